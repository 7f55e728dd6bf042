package audience

import (
	"slices"
	"time"

	"dateline/internal/news"
)

// Sample is what went out in the past, ready to be held against one reader's
// wishes after the other: what would have come to her? It is immutable and
// safe for concurrent use.
type Sample struct{ past []sampled }

type sampled struct {
	query Query
	aim   *aim
}

// NewSample prepares queries; they are looked at in the order given, which for
// a cap should be that of time. Alerts for the same places and sections share
// their aim.
func NewSample(queries []Query) *Sample {
	s := &Sample{past: make([]sampled, len(queries))}
	aims := map[string]*aim{}
	for i, q := range queries {
		b := packList([]byte(q.Expr.String()+"\x00"), q.Sections)
		if aims[string(b)] == nil {
			aims[string(b)] = aimOf(q)
		}
		s.past[i] = sampled{q, aims[string(b)]}
	}
	return s
}

// Fits is the index of every query that these wishes would have been sent by
// places, sections, level and language: as often and at whatever hour it was.
func (s *Sample) Fits(w news.Wishes) []int {
	t := newTaste(w.Preference)
	var fit []int
	for i := range s.past {
		q := &s.past[i].query
		if t.judge(q, s.past[i].aim) == codeMatched && !(w.OnlyLanguage && !readable(w.Language, q.Languages)) {
			fit = append(fit, i)
		}
	}
	return fit
}

// Comes is the index of every query that would have made a notification of its
// own for a reader with such wishes. It is decided by the rules that a plan is
// made by, each at the query's Now: what quiet hours hold comes as one
// notification at their end, a cap counts by the reader's day, and a story
// comes a second time only at a higher level. A pause is what she asks for from
// now on, so it doesn't count.
func (s *Sample) Comes(w news.Wishes) []int {
	t := newTaste(w.Preference)
	zone := zoneOf(w.Timezone)
	sent := map[string]news.Level{}
	held, today := map[time.Time]bool{}, map[string]int{}
	var comes []int
	for i := range s.past {
		q := &s.past[i].query
		over := slices.Contains(w.OverStories, q.StoryURI)
		asked := over && q.Final // by name: neither places nor what came before are looked at
		if t.judge(q, s.past[i].aim) != codeMatched && !asked {
			continue
		}
		if level, before := sent[q.StoryURI]; before && q.Level <= level && !asked {
			continue
		}
		who := person{overStory: over, unreadable: w.OnlyLanguage && !readable(w.Language, q.Languages), flashHeld: w.Quiet != nil && !w.Quiet.Flash, cap: w.Cap}
		who.mutedStory = slices.Contains(w.MutedStories, q.StoryURI)
		if w.Quiet != nil {
			who.quietUntil, _ = quietUntil(*w.Quiet, zone, q.Now)
		}
		day := q.Now.In(zone).Format(time.DateOnly)
		switch decide(q, &who, func() int { return today[day] }) {
		case codeMatched:
		case codeHeldQuiet:
			if held[who.quietUntil] {
				sent[q.StoryURI] = q.Level
				continue
			}
			held[who.quietUntil] = true
			day = who.quietUntil.In(zone).Format(time.DateOnly)
		default:
			continue
		}
		sent[q.StoryURI] = q.Level
		if q.Level != news.LevelFlash || who.flashHeld {
			today[day]++
		}
		comes = append(comes, i)
	}
	return comes
}
