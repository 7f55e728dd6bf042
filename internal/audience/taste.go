package audience

import (
	"dateline/internal/news"
	"dateline/internal/region"
)

// taste is a preference made ready to be judged.
type taste struct {
	wanted    news.Preference
	follows   region.Set // what she follows, mutes not counted
	places    region.Set // what she follows minus what she mutes
	rest      region.Set // places that no override speaks for
	overrides []override
}

type override struct {
	places region.Set
	level  news.Level
}

// newTaste ignores codes that are no longer known: the site refuses them, so
// they can only be the leavings of an older tree, and the rest still counts.
func newTaste(p news.Preference) *taste {
	t := &taste{wanted: p}
	t.follows, _ = region.SetOf(p.Regions, nil)
	t.places, _ = region.SetOf(p.Regions, p.Muted)
	t.rest = t.places
	for _, o := range p.Overrides {
		all, _ := region.SetOf(o.Regions, nil)
		t.rest = t.rest.Minus(all)
		if here := t.places.Minus(t.places.Minus(all)); !here.Empty() {
			t.overrides = append(t.overrides, override{here, o.Level})
		}
	}
	return t
}

// aim is a query's place: the whole audience, and its places one by one.
type aim struct {
	whole region.Set
	parts []region.Set
}

// judge is the rule of place, section and level; codeMatched when all hold.
func (t *taste) judge(q *Query, a aim) code {
	switch {
	case !a.meets(q.Level, t.places):
		if a.meets(q.Level, t.follows) {
			return codeMutedPlace
		}
		return codeNotFollowed
	case !news.SectionsOverlap(t.wanted.Sections, q.Sections):
		return codeSection
	case q.Level < t.levelWanted(q.Level, a):
		return codeLevel
	}
	return codeMatched
}

// meets is the place rule: a bulletin or flash overlaps, of a notice one place
// equals or lies inside.
func (a aim) meets(level news.Level, places region.Set) bool {
	if level > news.LevelNotice {
		return a.whole.Overlaps(places)
	}
	for _, p := range a.parts {
		if places.Contains(p) {
			return true
		}
	}
	return false
}

// levelWanted is the lowest level that any part of her wishes asks for which
// this alert meets. It is only asked once the places are known to meet.
func (t *taste) levelWanted(level news.Level, a aim) news.Level {
	if level > news.LevelNotice {
		lowest, found := t.lowestOverride(level, a)
		if found && !a.whole.Overlaps(t.rest) {
			return lowest
		}
		return min(lowest, t.wanted.Level)
	}
	lowest := news.LevelFlash + 1
	for _, p := range a.parts {
		if !t.places.Contains(p) {
			continue
		}
		here, ok := t.lowestOverride(level, aim{p, []region.Set{p}})
		if !ok {
			here = t.wanted.Level
		}
		lowest = min(lowest, here)
	}
	return lowest
}

// lowestOverride is the lowest level of the overrides that the aim meets.
func (t *taste) lowestOverride(level news.Level, a aim) (lowest news.Level, found bool) {
	lowest = news.LevelFlash + 1
	for _, o := range t.overrides {
		if a.meets(level, o.places) {
			lowest, found = min(lowest, o.level), true
		}
	}
	return lowest, found
}

// via lists the followed places, as the reader wrote them, that the aim
// touches.
func (t *taste) via(a aim) []string {
	var codes []string
	for _, c := range t.wanted.Regions {
		if s, err := region.SetOf([]string{c}, t.wanted.Muted); err == nil && s.Overlaps(a.whole) {
			codes = append(codes, c)
		}
	}
	return codes
}
