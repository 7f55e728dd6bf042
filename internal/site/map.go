package site

import (
	"cmp"
	"slices"

	"dateline/internal/region"
)

// mapView is the map of a choice. Without the page's script it is a picture,
// and the list beside it does all.
type mapView struct {
	region.Drawing
	Countries []mapCountry
}

// mapCountry is drawn as what is chosen of it: "in", "partly", "out" (left out
// of what is followed) or "".
type mapCountry struct {
	region.Shape
	Pin    *region.Pin
	State  string
	Radius int
}

// Map shows what is chosen.
func (c choices) Map() mapView {
	m := mapView{Drawing: region.Asia()}
	p := c.Wishes.Preference
	all, _ := region.SetOf(p.Regions, nil) // what is not known is not drawn
	left, _ := region.SetOf(p.Regions, p.Muted)
	pins := map[string]*region.Pin{}
	for i := range m.Pins {
		pins[m.Pins[i].Code] = &m.Pins[i]
	}
	for _, shape := range m.Shapes {
		country, err := region.SetOf([]string{shape.Code}, nil)
		if err != nil {
			continue
		}
		m.Countries = append(m.Countries, mapCountry{shape, pins[shape.Code], drawnAs(country, all, left), region.PinRadius})
	}
	// What has a pin is drawn last: a pin lies over what is beside it.
	slices.SortStableFunc(m.Countries, func(a, b mapCountry) int {
		return cmp.Compare(boolInt(a.Pin != nil), boolInt(b.Pin != nil))
	})
	return m
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// drawnAs is the state of a country, given all that is followed and what is
// left of it without the mutes.
func drawnAs(country, all, left region.Set) string {
	switch {
	case left.Contains(country):
		return "in"
	case left.Overlaps(country):
		return "partly"
	case all.Overlaps(country):
		return "out"
	}
	return ""
}
