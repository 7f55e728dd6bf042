package audience

import (
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Cause is the rule that decided about an alert for one device: the parts of
// the reader's wishes without which, or with which turned round, the decision
// would be another.
type Cause struct {
	Reason Reason
	// Places: the followed places that the alert meets; of MutedPlace the muted
	// ones that are in the way, of NotFollowed those the alert is about. As they
	// were written.
	Places []string
	// Sections: those of hers that the alert is filed under, none when she chose
	// all or it has none; of Section those the alert is filed under.
	Sections []string
	// Demands: the levels asked for where the alert is. Of a planned alert those
	// it is loud enough for, of Level those it is not.
	Demands []Demand
	Until   time.Time // of Paused and HeldQuiet: when they end
}

// Demand is the lowest level wanted: in some places, by an override, or (nil) in
// all others.
type Demand struct {
	Places []string
	Level  news.Level
}

// Explain is Judge with the rule that decided.
func Explain(q Query, d news.Device, sentToday int) Cause {
	a := aimOf(q)
	v := judge(q, a, d, sentToday, zoneOf)
	c := Cause{Reason: v.Reason}
	if q.Final && slices.Contains(d.Wishes.OverStories, q.StoryURI) {
		c.Until = v.HeldUntil
		return c // asked for by name: places, sections and levels were not looked at
	}
	p, t := d.Wishes.Preference, newTaste(d.Wishes.Preference)
	switch v.Reason {
	case NotFollowed:
		c.Places = q.Expr.Places()
	case MutedPlace:
		c.Places = muting(p, t, q.Level, a)
	case Section:
		c.Sections = q.Sections
	case Level:
		c.Demands = t.demands(q.Level, a)
	case Paused:
		c.Until = d.Wishes.PausedUntil
	case Matched, HeldQuiet, Capped:
		c.Until = v.HeldUntil
		c.Places, c.Sections = followed(p, t, q.Level, a), shared(p.Sections, q.Sections)
		c.Demands = slices.DeleteFunc(t.demands(q.Level, a), func(d Demand) bool { return d.Level > q.Level })
	}
	return c
}

// followed are the followed places that make the alert meet the reader's.
func followed(p news.Preference, t *taste, level news.Level, a *aim) []string {
	var codes []string
	for _, code := range p.Regions {
		here, _ := region.SetOf([]string{code}, p.Muted)
		if slices.ContainsFunc(a.met(level, t.places), here.Overlaps) {
			codes = append(codes, code)
		}
	}
	return codes
}

// muting are the mutes without which the alert would meet what she follows.
func muting(p news.Preference, t *taste, level news.Level, a *aim) []string {
	lost := t.follows.Minus(t.places)
	var codes []string
	for _, code := range p.Muted {
		muted, _ := region.SetOf([]string{code}, nil)
		here := lost.Minus(lost.Minus(muted)) // what this mute takes away
		if slices.ContainsFunc(a.met(level, t.follows), here.Overlaps) {
			codes = append(codes, code)
		}
	}
	return codes
}

// met are the parts of the aim by which the places fulfil the place rule.
func (a *aim) met(level news.Level, places region.Set) []region.Set {
	if level > news.LevelNotice {
		if a.whole.Overlaps(places) {
			return []region.Set{a.whole}
		}
		return nil
	}
	return slices.DeleteFunc(slices.Clone(a.parts), func(part region.Set) bool { return !places.Contains(part) })
}

// demands lists every level that levelWanted takes the lowest of.
func (t *taste) demands(level news.Level, a *aim) []Demand {
	var out []Demand
	general := false
	add := func(here *aim, rest bool) {
		found := false
		for _, o := range t.overrides {
			if !here.meets(level, o.places) {
				continue
			}
			found = true
			if !slices.ContainsFunc(out, func(d Demand) bool { return d.Level == o.level && slices.Equal(d.Places, o.regions) }) {
				out = append(out, Demand{o.regions, o.level})
			}
		}
		general = general || rest || !found
	}
	if level > news.LevelNotice {
		add(a, a.whole.Overlaps(t.rest))
	} else {
		for _, part := range a.met(level, t.places) {
			add(&aim{whole: part, parts: []region.Set{part}}, false)
		}
	}
	if general {
		out = append(out, Demand{nil, t.wanted.Level})
	}
	return out
}

// shared are the sections of both lists, as the first has them.
func shared(wanted, filed []string) []string {
	var out []string
	for _, section := range wanted {
		if slices.ContainsFunc(filed, func(s string) bool { return strings.EqualFold(s, section) }) {
			out = append(out, section)
		}
	}
	return out
}
