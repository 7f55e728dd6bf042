package site

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/region"
)

// Explainer says why a device got an alert, or did not.
type Explainer interface {
	Explain(ctx context.Context, alertID string, device news.Device) (Explanation, error)
}

// Explanation is the answer to "why did I get this?": the rule that decided.
type Explanation struct {
	Got    bool   // it was sent to this device
	Reason string // a code of package audience, or one of those below
	// Places, Sections and Demands are the reader's wishes that decided (of
	// not-followed and section: what the alert has that she did not choose).
	Places   []string
	Sections []string
	Demands  []Demand
	Until    time.Time // of a pause
}

// Demand is the lowest level she asked for: in some places, or (nil) in general.
type Demand struct {
	Places []string
	Level  news.Level
}

// Reasons that are no rule's.
const (
	ReasonChanged  = "changed"   // it was sent; by what she wants now it would not be
	ReasonMissed   = "missed"    // by what she wants now it would have been planned
	ReasonStopped  = "stopped"   // planned, and stopped before its send
	ReasonLate     = "late"      // planned, and its deadline passed
	ReasonFailed   = "failed"    // planned, and refused by the push service
	ReasonUnderWay = "under-way" // planned, and not sent yet
)

// sentences are an explanation in words. audience is the region expression of what
// it is about.
func (v view) sentences(e Explanation, audience string, level news.Level) ([]string, error) {
	var out []string
	var fault error
	say := func(key string, args ...any) {
		text, err := v.T(key, args...)
		fault = cmp.Or(fault, err)
		out = append(out, text)
	}
	switch {
	case e.Got && e.Reason != "matched", !e.Got && e.Reason != "not-followed" && e.Reason != "muted-place" && e.Reason != "section":
		say("why.reason." + e.Reason)
	case e.Got:
		near, wide := nearAndWide(e.Places, audience)
		if len(near) > 0 {
			say("why.place", v.places(near))
		}
		if len(wide) > 0 {
			say("why.place.wider", v.around(audience, wide), v.places(wide))
		}
		if len(e.Sections) > 0 {
			say("why.section", v.sections(e.Sections))
		}
		if level == news.LevelFlash {
			say("why.flash")
		}
	case e.Reason == "not-followed":
		say("why.reason.not-followed", region.Words(audience, v.Lang))
	case e.Reason == "muted-place":
		say("why.reason.muted-place", v.places(e.Places))
	case e.Reason == "section":
		say("why.reason.section", v.sections(e.Sections))
	}
	if e.Got && level == news.LevelFlash {
		return out, fault
	}
	for _, d := range e.Demands {
		name, err := v.T("level." + d.Level.String())
		fault = cmp.Or(fault, err)
		if d.Places == nil {
			say("why.level", name)
		} else {
			say("why.level.place", v.places(d.Places), name)
		}
	}
	return out, fault
}

// nearAndWide parts the followed places that made an alert hers: it is about some
// of them, and about something that the others only lie in, as Japan does in Asia.
func nearAndWide(followed []string, audience string) (near, wide []string) {
	about, err := region.Parse(audience)
	for _, code := range followed {
		here, fault := region.SetOf([]string{code}, nil)
		if err == nil && fault == nil && !slices.ContainsFunc(about.Parts(), here.Contains) && len(outside(about, here)) > 0 {
			wide = append(wide, code)
		} else {
			near = append(near, code)
		}
	}
	return near, wide
}

// outside are the places of an audience that a place lies in.
func outside(about region.Expr, here region.Set) []string {
	return slices.DeleteFunc(about.Places(), func(code string) bool {
		outer, err := region.SetOf([]string{code}, nil)
		return err != nil || !outer.Contains(here)
	})
}

// around is what of an audience places lie in, in words: ASEAN of "ASEAN + TW" for
// Singapore. One that leaves something out is told whole.
func (v view) around(audience string, places []string) string {
	about, err := region.Parse(audience)
	if err != nil || strings.Contains(about.String(), " - ") {
		return region.Words(audience, v.Lang)
	}
	var names []string
	for _, code := range places {
		here, _ := region.SetOf([]string{code}, nil) // nearAndWide has looked
		names = append(names, outside(about, here)...)
	}
	return v.places(canonical(names))
}

// places lists places by their names: "Japan and ASEAN".
func (v view) places(codes []string) string { return region.Words(strings.Join(codes, " + "), v.Lang) }

func (v view) sections(names []string) string {
	var said []string
	for _, name := range names {
		word, err := v.words.say(v.Lang, "section."+name)
		if err != nil {
			word = name
		}
		said = append(said, word)
	}
	return strings.Join(said, " · ")
}

// whyDevice is the device that a why link is for, and the way to its page where
// the link leads there itself. A link that only asks why opens nothing else: it
// stands on the page of a joined mailbox, and may be shown around.
func (s *Site) whyDevice(r *http.Request) (d news.Device, manage string, err error) {
	token, now := r.PathValue("token"), s.Now()
	id, err := s.Links.Verify(link.Why, token, now)
	if errors.Is(err, link.ErrBad) {
		id, err = s.Links.Verify(link.ManageDevice, token, now)
		manage = link.Path(link.ManageDevice, token)
	}
	if err != nil {
		return d, "", err
	}
	d, err = s.device(r, id)
	return d, manage, err
}

// mostAsked bounds the work of one page: nobody reads on that many devices.
const mostAsked = 10

// whyOf explains an alert to who holds a link. One that only asks why stands for
// all of a reader's devices: what one of them got, she got.
func (s *Site) whyOf(ctx context.Context, alertID string, device news.Device, all bool) (Explanation, error) {
	why, err := s.Explainer.Explain(ctx, alertID, device)
	if err != nil || why.Got || !all {
		return why, err
	}
	others, err := s.Store.DevicesOf(ctx, device.SubscriberID)
	if err != nil {
		return why, err
	}
	others = slices.DeleteFunc(others, func(other news.Device) bool { return other.ID == device.ID })
	for _, other := range others[:min(len(others), mostAsked)] {
		got, err := s.Explainer.Explain(ctx, alertID, other)
		if err != nil || got.Got {
			return got, err
		}
	}
	return why, nil
}

// whyPage says why a device got an alert, or why not, in words.
func (s *Site) whyPage(w http.ResponseWriter, r *http.Request) error {
	device, manage, err := s.whyDevice(r)
	if err != nil {
		return err
	}
	v, alert, err := s.alertView(r, s.viewIn(w, r, device.Wishes.Language), r.PathValue("alert"))
	if err != nil {
		return err
	}
	v.Asked, v.Manage = true, manage
	if s.Explainer != nil {
		why, err := s.whyOf(r.Context(), alert.ID, device, manage == "")
		if err != nil {
			return fmt.Errorf("site.whyPage: %w", err)
		}
		v.Got = why.Got
		if v.Why, err = v.sentences(why, alert.First().Audience, alert.First().Level); err != nil {
			return fmt.Errorf("site.whyPage: %w", err)
		}
	}
	return s.Floor.Render(w, http.StatusOK, "site/alert", v)
}

// whyMailed says why a story was in a digest: the places and sections of hers
// that it has. A digest asks for no level.
func (v view) whyMailed(p news.Preference, story news.Story) ([]string, error) {
	about, err := region.SetOf(story.Regions, nil)
	if err != nil {
		return nil, nil // a place that is not in the tree any more
	}
	e := Explanation{Got: true, Reason: "matched"}
	for _, code := range p.Regions {
		if here, err := region.SetOf([]string{code}, p.Muted); err == nil && here.Overlaps(about) {
			e.Places = append(e.Places, code)
		}
	}
	for _, section := range p.Sections {
		if slices.Contains(story.Sections, section) {
			e.Sections = append(e.Sections, section)
		}
	}
	if len(e.Places) == 0 {
		e = Explanation{Got: true, Reason: ReasonChanged}
	}
	return v.sentences(e, strings.Join(story.Regions, " + "), news.LevelNotice)
}
