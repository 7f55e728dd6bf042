package desk

import (
	"slices"
	"strings"

	"dateline/internal/region"
)

// mapView is the map of an audience.
type mapView struct {
	Width, Height int
	Countries     []countryView
	In, Partly    string // the codes, as the page's script takes them
	InWords       string // for those who don't see it
	PartlyWords   string
}

type countryView struct {
	region.Shape
	Name  string
	State string // "in", "partly" or "out"
}

// Pressed is the country's state as a toggle button says it.
func (c countryView) Pressed() string {
	switch c.State {
	case "in":
		return "true"
	case "partly":
		return "mixed"
	}
	return "false"
}

// mapOf shows an expression; one that can't be read covers nothing.
func mapOf(expr string) mapView {
	drawing := region.Asia()
	v := mapView{Width: drawing.Width, Height: drawing.Height}
	slices.SortFunc(drawing.Shapes, func(a, b region.Shape) int {
		return strings.Compare(region.Name(a.Code, "en"), region.Name(b.Code, "en"))
	})
	whole, _ := region.Parse(expr)
	var codes, names [2][]string // in, partly
	for _, shape := range drawing.Shapes {
		c := countryView{Shape: shape, Name: region.Name(shape.Code, "en"), State: "out"}
		country, err := region.SetOf([]string{shape.Code}, nil)
		if err != nil {
			continue
		}
		if whole.Set().Overlaps(country) {
			i := 1
			c.State = "partly"
			if whole.Set().Contains(country) {
				i, c.State = 0, "in"
			}
			codes[i], names[i] = append(codes[i], c.Code), append(names[i], c.Name)
		}
		v.Countries = append(v.Countries, c)
	}
	v.In, v.Partly = strings.Join(codes[0], " "), strings.Join(codes[1], " ")
	v.InWords, v.PartlyWords = strings.Join(names[0], ", "), strings.Join(names[1], ", ")
	return v
}
