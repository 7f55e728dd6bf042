package region_test

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dateline/internal/region"
)

// Every country of Asia is on the map, once, and can be pressed.
func TestTheMapShowsEveryCountryOfAsia(t *testing.T) {
	d := region.Asia()
	shown, size := map[string]bool{}, 0
	path := regexp.MustCompile(`^(M\d+ \d+l[-\d ]+z)+$`)
	for _, s := range d.Shapes {
		if shown[s.Code] || region.KindOf(s.Code) != region.KindCountry || !region.Within(s.Code, "142") {
			t.Errorf("%s is on the map, and should be there once, as a country of Asia", s.Code)
		}
		if !path.MatchString(s.Path) || s.Dot && (s.X <= 0 || s.X >= d.Width || s.Y <= 0 || s.Y >= d.Height) {
			t.Errorf("%s is not drawn as SVG draws", s.Code)
		}
		shown[s.Code] = true
		size += len(s.Path)
	}
	for p := range region.All() {
		if p.Kind == region.KindCountry && region.Within(p.Code, "142") && !shown[p.Code] {
			t.Errorf("%s is not on the map", p.Code)
		}
	}
	for _, small := range []string{"SG", "HK", "MO", "MV", "BH"} {
		if !shown[small] {
			t.Errorf("%s is lacking", small)
		}
	}
	if size > 60_000 || d.Width < 500 || d.Height < 300 {
		t.Errorf("a map of %d by %d in %d bytes", d.Width, d.Height, size)
	}
}

func TestToggle(t *testing.T) {
	for _, c := range []struct{ expr, place, want string }{
		{"", "jp", "JP"},
		{" ", "JP", "JP"},
		{"ASEAN", "JP", "ASEAN + JP"},
		{"ASEAN + JP", "JP", "ASEAN"},
		{"ASEAN + JP", "TH", "ASEAN + JP - TH"},
		{"ASEAN + JP - TH", "TH", "ASEAN + JP"},
		{"JP + ASEAN - JP", "JP", "ASEAN + JP"},
		{"ASEAN + TH", "TH", "ASEAN - TH"},
		{"JP - JP-13", "JP", "JP"}, // a part of it becomes all of it
		{"JP", "JP", ""},
		{"JP + KR - JP-13", "KR", "JP - JP-13"},
		{"JP - JP-13 + KR", "JP", "KR + JP"},
	} {
		if got, err := region.Toggle(c.expr, c.place); got != c.want || err != nil {
			t.Errorf("%q with %s pressed: %q, %v; want %q", c.expr, c.place, got, err, c.want)
		}
	}
	for _, bad := range [][2]string{{"ATLANTIS", "JP"}, {"JP +", "KR"}, {"JP", "ATLANTIS"}} {
		if got, err := region.Toggle(bad[0], bad[1]); err == nil || got != bad[0] {
			t.Errorf("%q with %s pressed: %q, %v", bad[0], bad[1], got, err)
		}
	}
}

// A press changes whether the place is in, and a second one brings back whether
// it was.
func TestTogglingTurnsAPlaceInAndOut(t *testing.T) {
	codes := []string{"JP", "TH", "SG", "ASEAN", "142", "035", "JP-13", "SAARC"}
	rapid.Check(t, func(t *rapid.T) {
		expr := rapid.SampledFrom(codes).Draw(t, "first")
		for range rapid.IntRange(0, 4).Draw(t, "more") {
			expr += rapid.SampledFrom([]string{" + ", " - "}).Draw(t, "operator") + rapid.SampledFrom(codes).Draw(t, "place")
		}
		e, err := region.Parse(expr)
		if err != nil {
			t.Skip()
		}
		place := rapid.SampledFrom([]string{"JP", "TH", "SG", "KR"}).Draw(t, "pressed")
		only, _ := region.Parse(place)
		after, err := region.Toggle(expr, place)
		if err != nil {
			t.Fatalf("%q with %s pressed: %v", expr, place, err)
		}
		was := e.Set().Contains(only.Set())
		if after == "" {
			if !was {
				t.Fatalf("%q with %s pressed is nothing", expr, place)
			}
			return
		}
		now, err := region.Parse(after)
		if err != nil {
			t.Fatalf("%q with %s pressed: %q, %v", expr, place, after, err)
		}
		if was && now.Set().Overlaps(only.Set()) || !was && !now.Set().Contains(only.Set()) {
			t.Errorf("%q with %s pressed: %q", expr, place, after)
		}
		if !was && !now.Set().Contains(e.Set()) {
			t.Errorf("%q with %s pressed loses something: %q", expr, place, after)
		}
	})
}

// TestSmallCountriesHavePins: what a finger can't press has a circle, which lies
// on no other and is 24 pixels across on a phone 360 wide (WCAG 2.2, 2.5.8).
func TestSmallCountriesHavePins(t *testing.T) {
	d := region.Asia()
	pinned := map[string]region.Pin{}
	for i, p := range d.Pins {
		pinned[p.Code] = p
		if p.X-region.PinRadius < d.Left || p.X+region.PinRadius > d.Left+d.Wide || p.Y-region.PinRadius < d.Top || p.Y+region.PinRadius > d.Top+d.High {
			t.Errorf("the pin of %s sticks out", p.Code)
		}
		for _, o := range d.Pins[:i] {
			if math.Hypot(float64(p.X-o.X), float64(p.Y-o.Y)) < 2*region.PinRadius {
				t.Errorf("the pins of %s and %s overlap", p.Code, o.Code)
			}
		}
	}
	if across := 2 * region.PinRadius * 360 / float64(d.Wide); across < 24 {
		t.Errorf("a pin is %.1f pixels across on a phone", across)
	}
	number := regexp.MustCompile(`-?\d+`)
	for _, s := range d.Shapes {
		low, high := [2]int{1 << 20, 1 << 20}, [2]int{}
		for _, ring := range strings.Split(strings.TrimSuffix(s.Path, "z"), "z") {
			var at [2]int
			for i, n := range number.FindAllString(ring, -1) {
				step, _ := strconv.Atoi(n)
				at[i%2] += step
				low[i%2], high[i%2] = min(low[i%2], at[i%2]), max(high[i%2], at[i%2])
			}
		}
		pin, ok := pinned[s.Code]
		// Israel is larger, and its middle is another's.
		if width, height := high[0]-low[0], high[1]-low[1]; (min(width, height) <= 18 || s.Code == "IL") != ok {
			t.Errorf("%s is %d by %d, pinned: %t", s.Code, width, height, ok)
		}
		if ok && (pin.ToX < low[0]-4 || pin.ToX > high[0]+4 || pin.ToY < low[1]-4 || pin.ToY > high[1]+4) {
			t.Errorf("the line of %s leads to %d %d, which is not there", s.Code, pin.ToX, pin.ToY)
		}
	}
}
