// Package region is the one tree of places: the world, its areas (UN M.49),
// countries (ISO 3166-1), subdivisions (ISO 3166-2), and named groups of them
// (ASEAN, GCC, …). It reads region expressions, answers what covers what, and
// gives names in many languages and the dateline of a place.
//
// It promises: nothing here panics on any input, a code has one spelling and
// one place in the tree, and everything is immutable once loaded, so all of it
// is safe for concurrent use.
package region

import (
	"iter"
	"slices"
	"strings"
)

//go:generate go run ./gen -from $CLDR -to .
//go:generate go run ./gen -world $WORLD -to .
//go:generate go run ./gen -common $CLDR41 -to .

// World is the root of the tree.
const World = "001"

// Kind tells what a code names.
type Kind uint8

// The kinds of place. The zero Kind is "unknown".
const (
	KindArea        Kind = iota + 1 // the world or a part of it: 001, 142, 035
	KindCountry                     // JP, TW, HK
	KindSubdivision                 // JP-13
	KindGroup                       // ASEAN
)

// Place is one entry of the tree.
type Place struct {
	Code   string
	Parent string // "" for the world
	Kind   Kind
	Depth  int // the world is 0
}

// Known reports whether code is a place or a group, in its one spelling
// (upper case; see Canonical for what people type).
func Known(code string) bool { return KindOf(code) != 0 }

// KindOf tells what code names; 0 when it is unknown.
func KindOf(code string) Kind {
	t := tree()
	if i, ok := t.index[code]; ok {
		return t.nodes[i].kind()
	}
	if _, ok := t.group(code); ok {
		return KindGroup
	}
	return 0
}

// Canonical is the spelling of a code as people type it ("jp", " Asean ").
func Canonical(typed string) (code string, ok bool) {
	code = strings.ToUpper(strings.TrimSpace(typed))
	return code, Known(code)
}

// Replacement is what to write instead of a code that is not in the tree
// because its place stands there under another one (CN-HK: HK). "" if none.
func Replacement(code string) string { return tree().replaced[code] }

// Parent is the place that holds code; "" for the world, groups and unknowns.
func Parent(code string) string {
	t := tree()
	i, ok := t.index[code]
	if !ok || t.nodes[i].parent < 0 {
		return ""
	}
	return t.nodes[t.nodes[i].parent].code
}

// Children are the places directly inside code, in tree order; for a group its
// members.
func Children(code string) []string {
	t := tree()
	if g, ok := t.group(code); ok {
		return slices.Clone(g.Members)
	}
	i, ok := t.index[code]
	if !ok {
		return nil
	}
	children := make([]string, 0, len(t.nodes[i].children))
	for _, c := range t.nodes[i].children {
		children = append(children, t.nodes[c].code)
	}
	return children
}

// CountryOf is the country of a subdivision or of itself; "" for areas, groups
// and unknowns.
func CountryOf(code string) string {
	switch KindOf(code) {
	case KindCountry, KindSubdivision:
		return code[:2]
	}
	return ""
}

// Within reports whether the place or group code lies inside (or is) the place
// or group outer.
func Within(code, outer string) bool {
	a, errA := SetOf([]string{code}, nil)
	b, errB := SetOf([]string{outer}, nil)
	return errA == nil && errB == nil && b.Contains(a)
}

// All walks the tree, parents before their children; groups are not in it.
func All() iter.Seq[Place] {
	return func(yield func(Place) bool) {
		t := tree()
		for i := range t.nodes {
			n := &t.nodes[i]
			parent := ""
			if n.parent >= 0 {
				parent = t.nodes[n.parent].code
			}
			if !yield(Place{Code: n.code, Parent: parent, Kind: n.kind(), Depth: n.depth}) {
				return
			}
		}
	}
}

// Groups lists the named groups, sorted by name.
func Groups() []Group {
	groups := slices.Clone(tree().groups)
	for i := range groups {
		groups[i].Members = slices.Clone(groups[i].Members)
	}
	return groups
}
