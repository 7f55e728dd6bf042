package digest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// This file says which stories come first, for one preference. Each has points:
// by what the newsroom says of it, by its age, and by how near its place is to what
// the reader follows. One whose country or section has stories in the mail already
// gives way. docs/editors.md has the table for those who write.

// Points. A step of urgency is worth five hours, and breaking half a step.
const (
	pointsUrgency  = 10 // for each step up from 9
	pointsBreaking = 5
	pointsHour     = 2  // lost with each hour of age
	pointsHours    = 36 // after which age costs no more: a weekly digest looks back for days
	pointsPlace    = 12 // a country she names, or a place inside it that she does
	pointsArea     = 4  // a part of a continent, or a group of countries
	pointsAgain    = 6  // lost for each story of the same country that is chosen already
)

// pointsOf are a story's at an instant, for who follows a place as near as this.
func pointsOf(s *news.Story, now time.Time, near int) int {
	points := pointsUrgency*(9-min(max(s.Urgency, 1), 9)) + near
	if s.Breaking {
		points += pointsBreaking
	}
	hours := int(now.Sub(s.AgeFrom()) / time.Hour)
	return points - pointsHour*min(max(hours, 0), pointsHours)
}

// nearness says what a place that is followed is worth for a story in it: the
// smaller, the more she means it.
func nearness(code string) int {
	switch region.KindOf(code) {
	case region.KindCountry, region.KindSubdivision:
		return pointsPlace
	case region.KindGroup:
		return pointsArea
	}
	if code == "001" || code == "142" {
		return 0
	}
	return pointsArea
}

// followedPlace is one place that a preference follows.
type followedPlace struct {
	places region.Set
	near   int
}

func followedOf(p news.Preference) []followedPlace {
	var out []followedPlace
	for _, code := range p.Regions {
		if places, err := region.SetOf([]string{code}, p.Muted); err == nil {
			out = append(out, followedPlace{places, nearness(code)})
		}
	}
	return out
}

// near is the nearest of what is followed that a story's places touch.
func near(follows []followedPlace, places region.Set) int {
	nearest := 0
	for _, f := range follows {
		if f.near > nearest && f.places.Overlaps(places) {
			nearest = f.near
		}
	}
	return nearest
}

// ranked is a story that suits a preference.
type ranked struct {
	item   *shelved
	points int
	pinned bool // comes before all that are not, whatever its section has
}

// pinnedFirst puts the pinned stories before the others, in the order of the pins.
func pinnedFirst(fit []ranked, pins []string) []ranked {
	if len(pins) == 0 {
		return fit
	}
	out := make([]ranked, 0, len(fit))
	for _, uri := range pins {
		for _, r := range fit {
			if r.item.story.URI == uri {
				r.pinned = true
				out = append(out, r)
			}
		}
	}
	for _, r := range fit {
		if !slices.Contains(pins, r.item.story.URI) {
			out = append(out, r)
		}
	}
	return out
}

// order is a total one: two runs agree.
func (a ranked) order(b ranked) int {
	return cmp.Or(
		cmp.Compare(b.points, a.points),
		b.item.story.AgeFrom().Compare(a.item.story.AgeFrom()),
		strings.Compare(a.item.story.URI, b.item.story.URI),
	)
}

// pick takes, of stories in order, those that there is room for, the one that has
// the most points left each time: at most four of a section while another has
// something, and one telling of an event.
func pick(fit []ranked, sections []string) []*news.Story {
	var out []*news.Story
	taken := make([]bool, len(fit))
	ofSection, ofCountry := map[string]int{}, map[string]int{}
	for full := false; len(out) < maxStories; {
		best, most := -1, 0
		for i, r := range fit {
			if best >= 0 && r.points <= most {
				break // they have no more than this
			}
			if r.pinned && !taken[i] {
				best = i
				break
			}
			if taken[i] || !full && ofSection[sectionOf(r.item.story, sections)] >= maxPerSection {
				continue
			}
			if left := r.points - pointsAgain*mostOf(ofCountry, r.item.countries); best < 0 || left > most {
				best, most = i, left
			}
		}
		if best < 0 && full {
			break
		}
		if best < 0 { // other sections have nothing more
			full = true
			continue
		}
		one := fit[best].item
		taken[best] = true
		for i, r := range fit {
			taken[i] = taken[i] || r.item.telling.Alike(one.telling)
		}
		out = append(out, one.story)
		ofSection[sectionOf(one.story, sections)]++
		for _, country := range one.countries {
			ofCountry[country]++
		}
	}
	return out
}

// mostOf is how many chosen stories there are of that of the countries that has the
// most.
func mostOf(ofCountry map[string]int, countries []string) (most int) {
	for _, country := range countries {
		most = max(most, ofCountry[country])
	}
	return most
}

// countriesOf are a story's countries, and whatever larger it names.
func countriesOf(s *news.Story) []string {
	var out []string
	for _, code := range s.Regions {
		if country := cmp.Or(region.CountryOf(code), code); !slices.Contains(out, country) {
			out = append(out, country)
		}
	}
	return out
}
