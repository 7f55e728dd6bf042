package site

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
)

// consentText is the version of the sentence a reader agrees to; it changes
// with the words "digest.consent".
const consentText = "digest-2026-11c"

// domainShare is how many clients, each at its limit, it takes to shut the
// sign-ups of one mail domain for an hour: one alone must not shut out everybody
// at a large provider.
const domainShare = 20

// createDigest takes a digest sign-up: 202, the same answer after the same
// time for every address. Faults of the input are told: they say nothing
// about an address.
func (s *Site) createDigest(w http.ResponseWriter, r *http.Request) error {
	start := s.Now()
	body, err := web.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	signup, err := s.parser.Digest(body)
	if err != nil {
		return err
	}
	if web.Bearer(r) != "" {
		if err := s.join(r, &signup); err != nil {
			return err
		}
	}
	if err := s.signUp(r, start, signup, "api"); err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusAccepted, map[string]string{
		"message": "If this address can be written to, a mail with a link to confirm is on its way."})
}

// join notes whose device asks, so that the mailbox joins its subscriber once
// the mail is confirmed.
func (s *Site) join(r *http.Request, signup *news.DigestSignup) error {
	id, err := s.bearer(r)
	if err != nil {
		return err
	}
	d, err := s.device(r, id)
	if err != nil {
		return err
	}
	signup.SubscriberID, signup.DeviceLabel = d.SubscriberID, cmp.Or(deviceLabel(r.UserAgent()), deviceSince(d))
	return nil
}

// signUp stores a sign-up and returns when the pause is over.
func (s *Site) signUp(r *http.Request, start time.Time, signup news.DigestSignup, source string) error {
	client := web.ClientKey(r)
	if err := s.digests.Take(client); err != nil {
		return err
	}
	// Many clients together must not bomb one mail server either. The limit says
	// nothing of an address: it counts sign-ups, whether or not a mail goes.
	if _, domain, _ := strings.Cut(signup.Address, "@"); domain != "" {
		if err := s.domains.Take(domain); err != nil {
			return err
		}
	}
	now := s.Now()
	signup.ID, signup.CreatedAt, signup.ExpiresAt = s.NewID(), now, now.Add(link.ConfirmFor)
	signup.Consent = news.Consent{TextVersion: consentText, Source: source, RequestedAt: now,
		ClientHash: s.Links.Hash("client", client)}
	err := s.Store.CreateDigestSignup(r.Context(), signup)
	s.pause(r.Context(), start)
	if err != nil {
		return fmt.Errorf("site.signUp: %w", err)
	}
	return nil
}

// pause waits until DigestPause after start; where that has passed, until the
// next multiple of it.
func (s *Site) pause(ctx context.Context, start time.Time) {
	wait := s.DigestPause - s.Now().Sub(start)%s.DigestPause
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// deviceLabel is what a device is kept under with a sign-up, so that its owner
// knows it again: "Firefox on Android". A guess from the User-Agent, and
// nothing but these words, whatever was sent. Pages say it by deviceName.
func deviceLabel(agent string) string {
	browser := firstIn(agent, "Edg", "Edge", "OPR", "Opera", "SamsungBrowser", "Samsung Internet", "Firefox", "Firefox",
		"FxiOS", "Firefox", "CriOS", "Chrome", "Chrome", "Chrome", "Safari", "Safari")
	system := firstIn(agent, "iPhone", "iPhone", "iPad", "iPad", "Android", "Android", "Windows", "Windows",
		"Mac OS X", "Mac", "CrOS", "ChromeOS", "Linux", "Linux")
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser != "":
		return browser
	}
	return system
}

// deviceSince names a device whose program says nothing of itself: by its push
// service and the day it began to follow. The page must name every device, or
// the reader would join one without knowing it.
func deviceSince(d news.Device) string {
	service := "Web Push"
	if u, err := url.Parse(d.Push.Endpoint); err == nil && u.Hostname() != "" {
		service = u.Hostname()
	}
	return service + ", " + d.CreatedAt.UTC().Format(time.DateOnly)
}

// deviceName says a device's label in the page's language, with the date as that
// writes it.
func (v view) deviceName(label string) (string, error) {
	if browser, system, ok := strings.Cut(label, " on "); ok {
		return v.T("device.on", browser, system)
	}
	if service, since, ok := strings.Cut(label, ", "); ok {
		if at, err := time.Parse(time.DateOnly, since); err == nil {
			day, err := v.Day(at)
			if err != nil {
				return "", err
			}
			return v.T("device.since", browserOf(service), day)
		}
	}
	return label, nil
}

// browserOf is the browser that a push service belongs to. Google's serves many
// browsers, and is called by its own name.
func browserOf(service string) string {
	for _, known := range [][2]string{{"push.services.mozilla.com", "Firefox"}, {"push.apple.com", "Safari"}, {"notify.windows.com", "Edge"}} {
		if service == known[0] || strings.HasSuffix(service, "."+known[0]) {
			return known[1]
		}
	}
	return service
}

// firstIn is the word after the first of the marks that text contains.
func firstIn(text string, marksAndWords ...string) string {
	for i := 0; i+1 < len(marksAndWords); i += 2 {
		if strings.Contains(text, marksAndWords[i]) {
			return marksAndWords[i+1]
		}
	}
	return ""
}
