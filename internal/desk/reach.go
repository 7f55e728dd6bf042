package desk

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Reach is whom an alert would go to if it went now.
type Reach struct {
	Devices     int            // would get it, those who sleep included
	Held        int            // of them, asleep and not to be woken
	Unreachable int            // quarantined
	Capped      int            // have had enough for today
	Regions     map[string]int // by the places they follow; one may count twice
	Languages   map[string]int // by the text they would get
	Hours       [24]int        // by their local hour
	// Here is how many devices were looked at: those of the cells of this
	// process.
	Here int
}

// Reacher counts for an alert as it is written.
type Reacher func(news.Alert) Reach

// Share is a line of the card: what, how many.
type Share struct {
	Name  string
	Count int
}

const reachLines = 8

// TopRegions and TopLanguages are the largest shares.
func (r *Reach) TopRegions() []Share {
	return top(r.Regions, func(code string) string { return region.Name(code, "en") })
}

// TopLanguages is TopRegions for the language of the text.
func (r *Reach) TopLanguages() []Share { return top(r.Languages, languageName) }

func top(counts map[string]int, name func(string) string) []Share {
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	var out []Share
	for _, k := range keys[:min(len(keys), reachLines)] {
		out = append(out, Share{name(k), counts[k]})
	}
	return out
}

// Bar is one hour of the chart, in a box of 24 by 10.
type Bar struct {
	Hour, Count  int
	X, Y, Height string
}

// Bars draws the local hours.
func (r *Reach) Bars() []Bar {
	most := max(1, slices.Max(r.Hours[:]))
	bars := make([]Bar, 0, len(r.Hours))
	for hour, n := range r.Hours {
		height := 10 * float64(n) / float64(most)
		bars = append(bars, Bar{hour, n, strconv.Itoa(hour), strconv.FormatFloat(10-height, 'f', 2, 64), strconv.FormatFloat(height, 'f', 2, 64)})
	}
	return bars
}
