package region

import (
	_ "embed"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// asiaText is written by gen from Natural Earth (public domain).
//
//go:embed asia.tsv
var asiaText string

// pinsText is kept by hand.
//
//go:embed pins.tsv
var pinsText string

// Shape is a country on the map.
type Shape struct {
	Code string
	Path string // the d of an SVG path, to be filled by the even-odd rule
	// Dot marks, with its place, a country too small to be pressed.
	Dot  bool
	X, Y int
}

// Pin is a circle that stands for a country too small to be pressed, with the
// place that its line leads to.
type Pin struct {
	Code           string
	X, Y, ToX, ToY int
}

// PinRadius is that of a pin's circle. Pins do not overlap, and on a phone 360
// pixels wide the circle is 24 across (WCAG 2.2, 2.5.8).
const PinRadius = 37

// Drawing is the map of Asia: every country of area 142 that Natural Earth
// draws, in a box of Width by Height.
type Drawing struct {
	Width, Height int
	Shapes        []Shape // by code
	Pins          []Pin   // by code
	// Left, Top, Wide and High are the box of the map together with its pins.
	Left, Top, Wide, High int
}

var asia = sync.OnceValue(func() Drawing {
	var d Drawing
	for fields := range rows(asiaText, 3) {
		if fields[0] == "size" {
			d.Width, d.Height = whole(fields[1]), whole(fields[2])
			continue
		}
		s := Shape{Code: fields[0], Path: fields[2]}
		if fields[1] != "" {
			s.Dot = true
			s.X, s.Y = twoWhole(fields[1])
		}
		d.Shapes = append(d.Shapes, s)
	}
	right, bottom := d.Width, d.Height
	for fields := range rows(pinsText, 3) {
		pin := Pin{Code: fields[0]}
		pin.X, pin.Y = twoWhole(fields[1])
		pin.ToX, pin.ToY = twoWhole(fields[2])
		d.Pins = append(d.Pins, pin)
		const around = PinRadius + 2
		d.Left, d.Top = min(d.Left, pin.X-around), min(d.Top, pin.Y-around)
		right, bottom = max(right, pin.X+around), max(bottom, pin.Y+around)
	}
	d.Wide, d.High = right-d.Left, bottom-d.Top
	return d
})

func twoWhole(text string) (x, y int) {
	first, second, _ := strings.Cut(text, " ")
	return whole(first), whole(second)
}

// whole is a number of our own file; a test reads it.
func whole(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// Asia is the map.
func Asia() Drawing {
	d := asia()
	d.Shapes, d.Pins = slices.Clone(d.Shapes), slices.Clone(d.Pins)
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
