package app

import (
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// judge reads the rules of "who gets it" a second time, slowly and by itself:
// places are sets of names, every reader is looked at alone. The demo holds
// what its phones show against it.
type judge struct {
	leaves  map[string]map[string]bool // of a place: the smallest places in it
	matched map[string]bool            // of a preference and a release: remembered, as many readers share both
}

func newJudge() *judge {
	return &judge{leaves: map[string]map[string]bool{}, matched: map[string]bool{}}
}

// within is every smallest place in a region or a group.
func (j *judge) within(code string) map[string]bool {
	if known := j.leaves[code]; known != nil {
		return known
	}
	set := map[string]bool{}
	parts := region.Children(code)
	for _, g := range region.Groups() {
		if g.Name == code {
			parts = g.Members
		}
	}
	if len(parts) == 0 {
		set[code] = true
	}
	for _, part := range parts {
		for leaf := range j.within(part) {
			set[leaf] = true
		}
	}
	j.leaves[code] = set
	return set
}

// set is the places of a list, less those of another.
func (j *judge) set(include, exclude []string) map[string]bool {
	set := map[string]bool{}
	for _, code := range include {
		for leaf := range j.within(code) {
			set[leaf] = true
		}
	}
	for _, code := range exclude {
		for leaf := range j.within(code) {
			delete(set, leaf)
		}
	}
	return set
}

// placeMatches is the place rule: a notice's place lies inside what the reader
// follows; a louder alert's touches it.
func (j *judge) placeMatches(level news.Level, places []string, followed map[string]bool) bool {
	for _, place := range places {
		inside, touches := true, false
		for leaf := range j.within(place) {
			touches = touches || followed[leaf]
			inside = inside && followed[leaf]
		}
		if level == news.LevelNotice && inside || level != news.LevelNotice && touches {
			return true
		}
	}
	return false
}

// wantedLevel is the lowest level the reader wants where the alert is.
func (j *judge) wantedLevel(level news.Level, places []string, p news.Preference, followed map[string]bool) news.Level {
	wanted := news.Level(0)
	rest := map[string]bool{}
	for leaf := range followed {
		rest[leaf] = true
	}
	for _, o := range p.Overrides {
		its := map[string]bool{}
		for leaf := range j.set(o.Regions, nil) {
			if followed[leaf] {
				its[leaf] = true
				delete(rest, leaf)
			}
		}
		if j.placeMatches(level, places, its) && (wanted == 0 || o.Level < wanted) {
			wanted = o.Level
		}
	}
	if j.placeMatches(level, places, rest) && (wanted == 0 || p.Level < wanted) {
		wanted = p.Level
	}
	if wanted == 0 { // only the whole of what she follows holds the place
		wanted = p.Level
	}
	return wanted
}

// verdict of the judge.
type verdict int

const (
	notHers verdict = iota
	hers
	asleep // hers, once her quiet hours are over
)

// of says whether the alert is the reader's. sentToday is how many she was
// sent that count for her cap.
func (j *judge) of(w news.Wishes, r news.Release, sentToday int) verdict {
	key := fmt.Sprint(w.Preference, r.ID)
	match, known := j.matched[key]
	if !known {
		match = j.matches(w.Preference, r)
		j.matched[key] = match
	}
	over := slices.Contains(w.OverStories, r.StoryURI)
	switch {
	case !match && !(over && r.Final),
		over && !r.Final,
		w.OnlyLanguage && !slices.ContainsFunc(textLanguages(r), func(l string) bool { return news.SameLanguage(w.Language, l) }),
		slices.Contains(w.MutedStories, r.StoryURI),
		w.PausedUntil.After(r.ReleasedAt):
		return notHers
	}
	passes := r.Level == news.LevelFlash && (w.Quiet == nil || w.Quiet.Flash)
	if !passes && w.Cap > 0 && sentToday >= w.Cap {
		return notHers
	}
	if !passes && quietAt(w, r.ReleasedAt) {
		return asleep
	}
	return hers
}

// matches is place, section and level.
func (j *judge) matches(p news.Preference, r news.Release) bool {
	expr, err := region.Parse(r.Audience)
	if err != nil {
		return false
	}
	followed, places := j.set(p.Regions, p.Muted), expr.Places()
	return j.placeMatches(r.Level, places, followed) && news.SectionsOverlap(p.Sections, r.Sections) &&
		r.Level >= j.wantedLevel(r.Level, places, p, followed)
}

func textLanguages(r news.Release) []string {
	var out []string
	for l := range r.Texts {
		out = append(out, l)
	}
	return out
}

// quietAt reads the clock on the reader's wall.
func quietAt(w news.Wishes, at time.Time) bool {
	if w.Quiet == nil || w.Quiet.From == w.Quiet.To {
		return false
	}
	zone, err := time.LoadLocation(w.Timezone)
	if err != nil {
		zone = time.UTC
	}
	minute := at.In(zone).Hour()*60 + at.In(zone).Minute()
	if w.Quiet.From < w.Quiet.To {
		return minute >= w.Quiet.From && minute < w.Quiet.To
	}
	return minute >= w.Quiet.From || minute < w.Quiet.To
}
