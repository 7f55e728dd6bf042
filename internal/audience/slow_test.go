package audience_test

import (
	"slices"
	"strings"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// This file is the slow matcher that the fast one is held against: DESIGN 7
// sentence by sentence, on plain sets of the smallest places, reading clocks
// minute by minute.

// atoms are the smallest places of a code.
type atoms map[string]bool

func atomsOf(codes ...string) atoms {
	set := atoms{}
	for _, code := range codes {
		addAtoms(set, code)
	}
	return set
}

func addAtoms(set atoms, code string) {
	children := region.Children(code)
	if len(children) == 0 {
		set[code] = true
	}
	for _, c := range children {
		addAtoms(set, c)
	}
}

func (s atoms) minus(o atoms) atoms {
	out := atoms{}
	for a := range s {
		if !o[a] {
			out[a] = true
		}
	}
	return out
}

func (s atoms) inside(o atoms) bool { return len(s.minus(o)) == 0 }

func (s atoms) meets(o atoms) bool { return len(s.minus(o)) < len(s) }

// slowParts reads "A + B - C" word by word: the audience's places, each
// without what is excluded after it.
func slowParts(expr string) []atoms {
	var parts []atoms
	sign := "+"
	for _, word := range strings.Fields(expr) {
		switch {
		case word == "+" || word == "-":
			sign = word
		case sign == "+":
			parts = append(parts, atomsOf(word))
		default:
			for i := range parts {
				parts[i] = parts[i].minus(atomsOf(word))
			}
		}
	}
	return slices.DeleteFunc(parts, func(p atoms) bool { return len(p) == 0 })
}

func union(sets []atoms) atoms {
	all := atoms{}
	for _, s := range sets {
		for a := range s {
			all[a] = true
		}
	}
	return all
}

func slowPlace(level news.Level, parts []atoms, reader atoms) bool {
	if level == news.LevelNotice {
		return slices.ContainsFunc(parts, func(p atoms) bool { return p.inside(reader) })
	}
	return union(parts).meets(reader)
}

// slowLevel is the lowest level the reader asks for among the places that
// count: for a bulletin or flash each smallest place shared, for a notice each
// of the audience's places that lies inside hers.
func slowLevel(level news.Level, parts []atoms, reader atoms, p news.Preference) news.Level {
	lowest := news.Level(99)
	theirs := make([]atoms, len(p.Overrides))
	for i, o := range p.Overrides {
		theirs[i] = atomsOf(o.Regions...)
	}
	ask := func(place atoms) {
		wanted, spoken := news.Level(99), false
		for i, o := range p.Overrides {
			if place.inside(theirs[i]) {
				wanted, spoken = min(wanted, o.Level), true
			}
		}
		if !spoken {
			wanted = p.Level
		}
		lowest = min(lowest, wanted)
	}
	if level == news.LevelNotice {
		for _, part := range parts {
			if part.inside(reader) {
				ask(part)
			}
		}
		return lowest
	}
	for a := range union(parts) {
		if reader[a] {
			ask(atoms{a: true})
		}
	}
	return lowest
}

// slowQuiet looks at the reader's clock every minute until it is not quiet.
func slowQuiet(w news.Wishes, now time.Time) (time.Time, bool) {
	zone, err := time.LoadLocation(w.Timezone)
	if err != nil {
		zone = time.UTC
	}
	quiet := func(at time.Time) bool {
		minute := at.In(zone).Hour()*60 + at.In(zone).Minute()
		switch {
		case w.Quiet == nil || w.Quiet.From == w.Quiet.To:
			return false
		case w.Quiet.From < w.Quiet.To:
			return w.Quiet.From <= minute && minute < w.Quiet.To
		}
		return minute >= w.Quiet.From || minute < w.Quiet.To
	}
	if !quiet(now) {
		return time.Time{}, false
	}
	at := now.Truncate(time.Minute)
	for quiet(at) {
		at = at.Add(time.Minute)
	}
	return at, true
}

// slowJudge is the whole of it.
func slowJudge(q audience.Query, expr string, d news.Device, sentToday int, alreadySent bool) (audience.Reason, time.Time) {
	w := d.Wishes
	parts := slowParts(expr)
	follows := atomsOf(w.Preference.Regions...)
	reader := follows.minus(atomsOf(w.Preference.Muted...))
	quietUntil, quiet := slowQuiet(w, q.Now)
	flashPasses := q.Level == news.LevelFlash && (w.Quiet == nil || w.Quiet.Flash)
	understood := slices.ContainsFunc(q.Languages, func(l string) bool { return news.SameLanguage(w.Language, l) })
	over := slices.Contains(w.OverStories, q.StoryURI)
	asked := over && q.Final && !q.Repair
	switch {
	case d.State == news.DeviceGone:
		return audience.Gone, time.Time{}
	case d.State == news.DeviceLeft:
		return audience.Left, time.Time{}
	case alreadySent && !asked:
		return audience.AlreadySent, time.Time{}
	case q.Repair && d.State == news.DeviceQuarantined:
		return audience.Quarantined, time.Time{}
	case q.Repair:
		return audience.Matched, time.Time{}
	case !asked && !slowPlace(q.Level, parts, follows):
		return audience.NotFollowed, time.Time{}
	case !asked && !slowPlace(q.Level, parts, reader):
		return audience.MutedPlace, time.Time{}
	case !asked && !news.SectionsOverlap(w.Preference.Sections, q.Sections):
		return audience.Section, time.Time{}
	case !asked && q.Level < slowLevel(q.Level, parts, reader, w.Preference):
		return audience.Level, time.Time{}
	case w.OnlyLanguage && !understood:
		return audience.Language, time.Time{}
	case slices.Contains(w.MutedStories, q.StoryURI):
		return audience.MutedStory, time.Time{}
	case over && !asked:
		return audience.OverStory, time.Time{}
	case w.PausedUntil.After(q.Now):
		return audience.Paused, time.Time{}
	case d.State == news.DeviceQuarantined:
		return audience.Quarantined, time.Time{}
	case quiet && !flashPasses:
		return audience.HeldQuiet, quietUntil
	case w.Cap > 0 && sentToday >= w.Cap && !flashPasses:
		return audience.Capped, time.Time{}
	case asked:
		return audience.StoryOver, time.Time{}
	}
	return audience.Matched, time.Time{}
}
