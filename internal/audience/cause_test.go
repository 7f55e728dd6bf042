package audience_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// TestWhyNamesTheRuleThatDecided: for random wishes and alerts, taking away the
// rule that is named, or turning it round, changes the decision.
func TestWhyNamesTheRuleThatDecided(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	asked := map[audience.Reason]int{}
	check := func(rt *rapid.T) {
		d := news.Device{State: rapid.SampledFrom([]news.DeviceState{news.DeviceActive, news.DeviceActive, news.DeviceActive, news.DeviceActive,
			news.DeviceGone, news.DeviceLeft, news.DeviceQuarantined}).Draw(rt, "state"), Wishes: genWishes(now).Draw(rt, "wishes")}
		expr, err := region.Parse(genExpr().Draw(rt, "audience"))
		if err != nil {
			rt.Fatal(err)
		}
		q := audience.Query{StoryURI: story, Level: genLevel().Draw(rt, "level"), Expr: expr, Sections: genSections().Draw(rt, "filed under"),
			Languages: []string{"en", "ja"}, Language: "en", Now: now, Final: rapid.Bool().Draw(rt, "final")}
		sent := rapid.IntRange(0, 3).Draw(rt, "sent today")
		why := audience.Explain(q, d, sent)
		if got := audience.Judge(q, d, sent).Reason; got != why.Reason {
			rt.Fatalf("Explain says %s, Judge %s", why.Reason, got)
		}
		asked[why.Reason]++
		for name, other := range turned(why, q, d) {
			if got := audience.Judge(q, other, sent).Reason; got == why.Reason {
				rt.Fatalf("%s: %+v\nwithout the %s it is %s still\nwishes %+v\nbecame %+v\nalert %s to %s, sections %v", why.Reason, why, name, got,
					d.Wishes, other.Wishes, q.Level, q.Expr, q.Sections)
			}
		}
		if len(turned(why, q, d)) == 0 {
			rt.Fatalf("%s names no rule: %+v", why.Reason, why)
		}
	}
	unasked := func() bool {
		return slices.ContainsFunc(audience.Reasons(), func(r audience.Reason) bool { return r != audience.AlreadySent && asked[r] == 0 })
	}
	for round := 0; round < 50 && !t.Failed() && (round == 0 || unasked()); round++ {
		rapid.Check(t, check)
	}
	if unasked() && !t.Failed() {
		t.Errorf("some reasons were never asked for: %v", asked)
	}
}

// turned is the device with each named rule taken away or turned round.
func turned(why audience.Cause, q audience.Query, d news.Device) map[string]news.Device {
	out := map[string]news.Device{}
	change := func(name string, do func(d *news.Device, w *news.Wishes, p *news.Preference)) {
		other := d
		p := &other.Wishes.Preference
		p.Regions, p.Muted, p.Sections, p.Overrides = slices.Clone(p.Regions), slices.Clone(p.Muted), slices.Clone(p.Sections), slices.Clone(p.Overrides)
		do(&other, &other.Wishes, p)
		out[name] = other
	}
	without := func(list, gone []string) []string {
		return slices.DeleteFunc(list, func(s string) bool { return slices.Contains(gone, s) })
	}
	switch why.Reason {
	case audience.Gone, audience.Left, audience.Quarantined:
		change("state", func(d *news.Device, _ *news.Wishes, _ *news.Preference) { d.State = news.DeviceActive })
	case audience.NotFollowed:
		change("place", func(_ *news.Device, _ *news.Wishes, p *news.Preference) { p.Regions = append(p.Regions, why.Places...) })
	case audience.MutedPlace:
		change("mute", func(_ *news.Device, _ *news.Wishes, p *news.Preference) { p.Muted = without(p.Muted, why.Places) })
	case audience.Section:
		change("section", func(_ *news.Device, _ *news.Wishes, p *news.Preference) {
			p.Sections = append(p.Sections, why.Sections...)
		})
	case audience.Level:
		for i := range why.Demands {
			change("demand", func(_ *news.Device, _ *news.Wishes, p *news.Preference) { demand(p, why.Demands[i:i+1], q.Level) })
		}
	case audience.Language:
		change("language", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.OnlyLanguage = false })
	case audience.MutedStory:
		change("muted story", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.MutedStories = nil })
	case audience.OverStory, audience.StoryOver:
		change("story", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.OverStories = nil })
	case audience.Paused:
		change("pause", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.PausedUntil = time.Time{} })
	case audience.HeldQuiet:
		change("quiet hours", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.Quiet = nil })
	case audience.Capped:
		change("cap", func(_ *news.Device, w *news.Wishes, _ *news.Preference) { w.Cap = 0 })
	}
	if q.Final && slices.Contains(d.Wishes.OverStories, q.StoryURI) {
		return out
	}
	if why.Reason != audience.Matched && why.Reason != audience.HeldQuiet && why.Reason != audience.Capped {
		return out
	}
	change("places", func(_ *news.Device, _ *news.Wishes, p *news.Preference) { p.Regions = without(p.Regions, why.Places) })
	if len(why.Sections) > 0 {
		change("sections", func(_ *news.Device, _ *news.Wishes, p *news.Preference) {
			p.Sections = append(without(p.Sections, why.Sections), "lifestyle")
		})
	}
	if q.Level < news.LevelFlash { // nothing can be asked for that a flash is not
		change("demands", func(_ *news.Device, _ *news.Wishes, p *news.Preference) { demand(p, why.Demands, news.LevelFlash) })
	}
	return out
}

// demand sets the level of the demands.
func demand(p *news.Preference, demands []audience.Demand, level news.Level) {
	for _, d := range demands {
		if d.Places == nil {
			p.Level = level
		}
		for i, o := range p.Overrides {
			if d.Places != nil && slices.Equal(o.Regions, d.Places) && o.Level == d.Level {
				p.Overrides[i].Level = level
			}
		}
	}
}
