package region

import (
	_ "embed"
	"slices"
	"strconv"
	"sync"
)

// asiaText is written by gen from Natural Earth (public domain).
//
//go:embed asia.tsv
var asiaText string

// Shape is a country on the map.
type Shape struct {
	Code string
	Path string // the d of an SVG path, to be filled by the even-odd rule
	// Dot marks, with its place, a country too small to be pressed.
	Dot  bool
	X, Y int
}

// Drawing is the map of Asia: every country of area 142 that Natural Earth
// draws, in a box of Width by Height.
type Drawing struct {
	Width, Height int
	Shapes        []Shape // by code
}

var asia = sync.OnceValue(func() Drawing {
	var d Drawing
	for fields := range rows(asiaText, 3) {
		if fields[0] == "size" {
			d.Width, d.Height = whole(fields[1]), whole(fields[2])
			continue
		}
		s := Shape{Code: fields[0], Path: fields[2]}
		for i, c := range fields[1] {
			if c == ' ' {
				s.Dot, s.X, s.Y = true, whole(fields[1][:i]), whole(fields[1][i+1:])
			}
		}
		d.Shapes = append(d.Shapes, s)
	}
	return d
})

// whole is a number of our own file; a test reads it.
func whole(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// Asia is the map.
func Asia() Drawing {
	d := asia()
	d.Shapes = slices.Clone(d.Shapes)
	return d
}

// Toggle puts a place into an expression, or takes it out when all of it is in:
// what a press on a map means. What was written stays as it was where it can:
// "ASEAN + JP" without JP is ASEAN again, and without TH it is "ASEAN + JP - TH".
// An expression that can't be read is an error, and so is one of which nothing
// is left. An empty one becomes the place.
func Toggle(expr, place string) (string, error) {
	if len(tokens(expr)) == 0 {
		expr = place
		e, err := Parse(expr)
		return e.String(), err
	}
	e, err := Parse(expr)
	if err != nil {
		return expr, err
	}
	only, err := Parse(place)
	if err != nil {
		return expr, err
	}
	place = only.String()
	in := e.set.Contains(only.set)
	// Without the terms that name just this place, and then with one more where
	// that was not enough.
	terms := slices.DeleteFunc(slices.Clone(e.terms), func(t term) bool { return t.place == place })
	for len(terms) > 0 && terms[0].exclude {
		terms = terms[1:] // nothing is there any more that it could be taken from
	}
	if changed := (Expr{terms: terms}); len(terms) > 0 {
		if settled, err := changed.check(false); err == nil && settled.set.Contains(only.set) != in && settled.set.Overlaps(only.set) != in {
			return settled.String(), nil
		}
	}
	e, err = Expr{terms: append(terms, term{place: place, exclude: in})}.check(false)
	if err != nil || e.terms[0].exclude {
		return "", nil
	}
	return e.String(), nil
}
