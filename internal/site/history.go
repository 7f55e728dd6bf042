package site

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/region"
)

const (
	historyFor   = 30 * 24 * time.Hour
	historyLines = 200 // alerts shown: seven a day
)

// fact is one of a reader's wishes in words.
type fact struct{ Label, Value string }

// mailed is one digest and what it carried.
type mailed struct {
	Date    string // of the reader
	Stories []mailedStory
}

// mailedStory is a story in it.
type mailedStory struct {
	alertLine
	Reasons []string // why it was in it
}

// half is the other one of a device and a mailbox that are joined.
type half struct {
	Mailbox bool
	Name    string // a masked address, or what a device is called
	Path    string // of its page; "": this link does not lead there
}

// viewIn is a page of a reader we know: in the language she picked for pages, or
// else in that of her messages; her browser only suggests to strangers.
func (s *Site) viewIn(w http.ResponseWriter, r *http.Request, wished string) view {
	v := s.view(w, r)
	if known(r.URL.Query().Get("lang")) != "" {
		return v
	}
	if c, err := r.Cookie(languageCookie); err == nil && known(c.Value) != "" {
		return v
	}
	for _, l := range languages() {
		if wished != "" && news.SameLanguage(wished, l) {
			v.Lang, v.Dir = l, news.Direction(l)
		}
	}
	return v
}

// facts are what a reader follows, in words.
func (v view) facts(m managed) ([]fact, error) {
	w := m.wishes()
	p := w.Preference
	var out []fact
	var fault error
	word := func(key string, args ...any) string {
		text, err := v.T(key, args...)
		if fault == nil {
			fault = err
		}
		return text
	}
	add := func(label, value string) { out = append(out, fact{word(label), value}) }
	places := strings.Join(p.Regions, " + ")
	for _, muted := range p.Muted {
		places += " - " + muted
	}
	add("form.places", region.Words(places, v.Lang))
	sections := word("manage.all")
	if len(p.Sections) > 0 {
		sections = v.sections(p.Sections)
	}
	add("form.sections", sections)
	if !m.isBox {
		level := []string{word("level." + p.Level.String())}
		for _, o := range p.Overrides {
			level = append(level, word("why.level.place", v.places(o.Regions), word("level."+o.Level.String())))
		}
		add("form.level", strings.Join(level, " "))
		if w.Quiet != nil {
			add("form.quiet", fmt.Sprintf("%s–%s (%s)", clock(w.Quiet.From), clock(w.Quiet.To), region.ZoneCity(w.Timezone, v.Lang)))
		}
		if w.Cap > 0 {
			add("form.cap", fmt.Sprint(w.Cap))
		}
		return out, fault
	}
	var days []string
	for _, d := range m.mailbox.Days {
		days = append(days, word(fmt.Sprintf("day.%d", d)))
	}
	if m.mailbox.Weekly {
		days = []string{word("digest.weekly")}
	}
	tongue := w.Language
	if l := known(w.Language); l != "" {
		tongue = display.Self.Name(language.Make(l))
	}
	if w.OnlyLanguage {
		tongue += " · " + word("form.onlyLanguage")
	}
	add("digest.language", tongue)
	add("digest.when", fmt.Sprintf("%s · %s (%s)", strings.Join(days, " "), clock(m.mailbox.Hour*60), region.ZoneCity(w.Timezone, v.Lang)))
	return out, fault
}

// history fills in what came lately, and what the device or mailbox is joined
// with.
func (s *Site) history(ctx context.Context, p *manageView, m managed) error {
	since := s.Now().Add(-historyFor)
	devices, boxes := []news.Device{m.device}, []news.Mailbox{m.mailbox}
	var err error
	if m.isBox {
		devices = nil
		if m.mailbox.SubscriberID != "" {
			devices, err = s.Store.DevicesOf(ctx, m.mailbox.SubscriberID)
		}
	} else {
		boxes, err = s.Store.MailboxesOf(ctx, m.device.SubscriberID)
	}
	if err != nil {
		return fmt.Errorf("site.history: %w", err)
	}
	for _, d := range devices {
		if !m.isBox {
			continue
		}
		// A device's page exports and wipes it, so an old mail, which may have been
		// forwarded, does not lead there; and a fresh one no longer than itself.
		one := half{}
		if one.Name, err = p.deviceName(deviceSince(d)); err != nil {
			return fmt.Errorf("site.history: %w", err)
		}
		if m.fresh {
			one.Path = s.pathFor(link.ManageDevice, d.ID, link.FreshFor)
		}
		p.Joined = append(p.Joined, one)
	}
	for _, box := range boxes {
		if !m.isBox {
			p.Joined = append(p.Joined, half{Mailbox: true, Name: masked(box.Address), Path: s.pathFor(link.ManageMailbox, box.ID, link.ManageFor)})
		}
		if err := s.mailsOf(ctx, p, box, since); err != nil {
			return err
		}
	}
	if len(devices) == 0 {
		return nil
	}
	sent, err := s.Store.SentTo(ctx, m.subscriber(), since, time.Time{}, historyLines)
	if err != nil {
		return fmt.Errorf("site.history: %w", err)
	}
	why := cmp.Or(m.why, s.Links.Sign(link.Why, devices[0].ID, s.Now().Add(link.ManageFor)))
	seen := map[string]bool{}
	for _, r := range sent { // of each alert what reached her last
		if seen[r.AlertID] {
			continue
		}
		seen[r.AlertID] = true
		line := lineOf(p.view, r)
		line.Why = "/why/" + r.AlertID + "/" + why
		p.Sent = append(p.Sent, line)
	}
	return nil
}

func (s *Site) pathFor(purpose link.Purpose, id string, lasts time.Duration) string {
	return link.Path(purpose, s.Links.Sign(purpose, id, s.Now().Add(lasts)))
}

// mailsOf adds the digests of a mailbox.
func (s *Site) mailsOf(ctx context.Context, p *manageView, box news.Mailbox, since time.Time) error {
	mails, err := s.Store.Digests(ctx, box.ID)
	if err != nil {
		return fmt.Errorf("site.mailsOf: %w", err)
	}
	var uris []string
	var kept []news.DigestMail
	for _, mail := range mails {
		if (mail.State == news.DigestSent || mail.State == news.DigestUnknown) && mail.EditionAt.After(since) {
			kept, uris = append(kept, mail), append(uris, mail.Stories...)
		}
	}
	if len(uris) == 0 {
		return nil
	}
	stories, err := s.Store.StoriesByURI(ctx, uris)
	if err != nil {
		return fmt.Errorf("site.mailsOf: %w", err)
	}
	for _, mail := range kept {
		one := mailed{Date: mail.LocalDate}
		if day, err := time.Parse(time.DateOnly, mail.LocalDate); err == nil {
			if one.Date, err = p.Day(day); err != nil {
				return fmt.Errorf("site.mailsOf: %w", err)
			}
		}
		for _, uri := range mail.Stories {
			story, ok := stories[uri]
			if !ok || story.Status != news.Usable || story.Embargoed(s.Now()) { // taken back since, or not to be told yet
				continue
			}
			line, err := p.mailedStory(box.Wishes.Preference, story)
			if err != nil {
				return fmt.Errorf("site.mailsOf: %w", err)
			}
			one.Stories = append(one.Stories, line)
		}
		if len(one.Stories) > 0 {
			p.Mails = append(p.Mails, one)
		}
	}
	return nil
}

func (v view) mailedStory(p news.Preference, story news.Story) (mailedStory, error) {
	text, lang := story.TextIn(v.Lang)
	line := alertLine{Title: text.Headline, Body: text.Standfirst, Lang: lang, Dir: news.Direction(lang), Navigate: story.URL}
	if len(story.Regions) > 0 {
		line.Dateline = region.Dateline(story.Regions[0], story.Created, lang)
	}
	reasons, err := v.whyMailed(p, story)
	return mailedStory{line, reasons}, err
}
