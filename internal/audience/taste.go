package audience

import (
	"strings"

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
	regions []string // as she wrote them
	places  region.Set
	level   news.Level
}

// newTaste ignores codes that are not known: the site refuses them, so they
// can only be the leavings of an older tree, and the rest still counts.
func newTaste(p news.Preference) *taste {
	t := &taste{wanted: p}
	t.follows, _ = region.SetOf(p.Regions, nil)
	t.places, _ = region.SetOf(p.Regions, p.Muted)
	t.rest = t.places
	for _, o := range p.Overrides {
		all, _ := region.SetOf(o.Regions, nil)
		t.rest = t.rest.Minus(all)
		if here := t.places.Minus(t.places.Minus(all)); !here.Empty() {
			t.overrides = append(t.overrides, override{o.Regions, here, o.Level})
		}
	}
	return t
}

// judge is the rule of place, section and level on a preference, for all who ask:
// codeMatched when all hold.
func (t *taste) judge(q *Query, a *aim) code {
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

// levelWanted is the lowest level that any part of her wishes asks for which
// this alert meets. It is only asked once the places are known to meet.
func (t *taste) levelWanted(level news.Level, a *aim) news.Level {
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
		here, found := t.lowestOverride(level, &aim{whole: p, parts: []region.Set{p}})
		if !found {
			here = t.wanted.Level
		}
		lowest = min(lowest, here)
	}
	return lowest
}

// lowestOverride is the lowest level of the overrides that the aim meets.
func (t *taste) lowestOverride(level news.Level, a *aim) (lowest news.Level, found bool) {
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
func via(p news.Preference, a *aim) []string {
	var codes []string
	for _, c := range p.Regions {
		if s, err := region.SetOf([]string{c}, p.Muted); err == nil && s.Overlaps(a.whole) {
			codes = append(codes, c)
		}
	}
	return codes
}

// aim is a query's place: the whole audience, its places one by one, and both
// again as rows are judged by them.
type aim struct {
	whole    region.Set
	parts    []region.Set
	covered  []uint16 // by atom: how many before it are in the audience
	spans    [][]span // of parts
	sections uint32
	// anySection: the alert is filed under none and goes to all.
	anySection bool
}

func aimOf(q Query) *aim {
	a := &aim{whole: q.Expr.Set(), parts: q.Expr.Parts(), covered: make([]uint16, region.Atoms()+1)}
	for from, to := range a.whole.Spans() {
		for i := from; i < to; i++ {
			a.covered[i+1] = 1
		}
	}
	for i := 1; i < len(a.covered); i++ {
		a.covered[i] += a.covered[i-1]
	}
	for _, p := range a.parts {
		a.spans = append(a.spans, spansOf(p))
	}
	a.sections, _ = sectionBits(q.Sections)
	a.anySection = len(q.Sections) == 0
	return a
}

// meets is the place rule: a bulletin or flash overlaps, of a notice one place
// equals or lies inside.
func (a *aim) meets(level news.Level, places region.Set) bool {
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

// sectionBits gives each section its bit; known is false when one is none of
// news.Sections.
func sectionBits(names []string) (bits uint32, known bool) {
	known = true
	if len(names) == 0 {
		return 0, true
	}
	all := news.Sections()
	for _, name := range names {
		found := false
		for i, s := range all {
			if strings.EqualFold(s.Name, name) {
				bits |= 1 << i
				found = true
			}
		}
		known = known && found
	}
	return bits, known
}
