package desk

import (
	"fmt"
	"strings"

	"dateline/internal/region"
)

// overlap is how much of a story's places the audience of an earlier alert
// covered: whom a second alert would tell twice, and whom the first one missed.
type overlap struct {
	places  int
	partly  []string // some of their readers were in the audience
	outside []string // none was
}

// overlapOf compares a story's places with an alert's audience. Places and
// expressions that the tree of today can't read count as not reached.
func overlapOf(places []string, audience string) overlap {
	expr, err := region.Parse(audience)
	reached := expr.Set()
	if err != nil {
		reached = region.Set{}
	}
	o := overlap{places: len(places)}
	for _, place := range places {
		set, err := region.SetOf([]string{place}, nil)
		switch {
		case err != nil || !reached.Overlaps(set):
			o.outside = append(o.outside, place)
		case !reached.Contains(set):
			o.partly = append(o.partly, place)
		}
	}
	return o
}

// share is the part of the places that was covered, 0 to 1; a place that was
// covered in part counts half.
func (o overlap) share() float64 {
	if o.places == 0 {
		return 0
	}
	whole := o.places - len(o.partly) - len(o.outside)
	return (float64(whole) + float64(len(o.partly))/2) / float64(o.places)
}

// words say it to an editor.
func (o overlap) words() string {
	switch {
	case o.places == 0:
		return ""
	case len(o.outside) == o.places:
		return "reached none of its places"
	case len(o.outside)+len(o.partly) == 0:
		return "covered all of its places"
	}
	var parts []string
	if len(o.outside) > 0 {
		parts = append(parts, "did not reach "+namesOf(o.outside))
	}
	if len(o.partly) > 0 {
		parts = append(parts, "reached only part of "+namesOf(o.partly))
	}
	return fmt.Sprintf("covered %.0f %% of its places: %s", o.share()*100, strings.Join(parts, ", "))
}

// mostNamed places are named; a line of the wire is one line.
const mostNamed = 4

func namesOf(codes []string) string {
	names := make([]string, 0, mostNamed+1)
	for i, code := range codes {
		if i == mostNamed {
			names = append(names, fmt.Sprintf("%d more", len(codes)-mostNamed))
			break
		}
		names = append(names, region.Name(code, "en"))
	}
	return strings.Join(names, ", ")
}
