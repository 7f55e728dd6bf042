package audience_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// TestFullWordsMatchSlowMatcher: cells in which words of 64 devices are full, of
// plain devices and of every exception beside one another, on both sides of where
// words, pages and groups of numbers end.
func TestFullWordsMatchSlowMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := genNow().Draw(t, "now")
		a := audience.New()
		c := a.Cell(9)
		kinds := rapid.SliceOfN(genDevice(now, 0), 1, 9).Draw(t, "kinds")
		if rapid.Bool().Draw(t, "mostly plain") {
			for i := range kinds[1:] {
				plain := &kinds[i+1]
				plain.State = news.DeviceActive
				plain.Wishes.PausedUntil, plain.Wishes.MutedStories, plain.Wishes.OverStories = time.Time{}, nil, nil
			}
		}
		devices := map[uint32]news.Device{}
		for range 2 {
			first := rapid.SampledFrom([]uint32{0, 200, 1<<16 - 40, 1<<24 - 64}).Draw(t, "first")
			for n := range uint32(rapid.IntRange(1, 66).Draw(t, "devices")) {
				d := kinds[(n*n+n/7)%uint32(len(kinds))]
				d.Number, d.SubscriberID = first+n, fmt.Sprint("sub-", n%4)
				devices[d.Number] = d
				c.Put(d)
			}
		}
		compare(t, a, c, genQuery(now).Draw(t, "query"), devices, map[string]int{"sub-1": 1, "sub-2": 2, "sub-3": 3})
	})
}

// TestOneMatcherManyCells: the cells of one alert may be planned side by side,
// while others change, and each plan is what it is alone. For the race detector,
// too.
func TestOneMatcherManyCells(t *testing.T) {
	a := audience.New()
	places := []string{"JP", "KR", "TW", "ID", "142", "035"}
	for i := range 8 * 300 {
		d := follower(uint32(i/8), places[i%6], places[i/8%5])
		d.Wishes.OnlyLanguage, d.Wishes.Language = i%3 == 0, tongues[i%len(tongues)]
		a.Cell(i % 8).Put(d)
	}
	var want, got [8]audience.Plan
	alone := a.NewMatcher(bulletin(t, "JP"))
	for i := range want {
		want[i] = alone.MatchCell(a.Cell(i), nil, nil)
	}
	together := a.NewMatcher(bulletin(t, "JP"))
	var all sync.WaitGroup
	all.Go(func() { // preferences and clocks that nobody had before
		for i := range uint32(500) {
			d := follower(i%20, places[i%6], "TH")
			d.Wishes.Quiet = &news.Quiet{From: int(i), To: int(i) + 1}
			d.Wishes.Language = fmt.Sprint("x-", i)
			a.Cell(100).Put(d)
		}
	})
	for i := range got {
		all.Go(func() { got[i] = together.MatchCell(a.Cell(i), nil, nil) })
	}
	all.Wait()
	for i := range got {
		if !got[i].Planned.Equals(want[i].Planned) || got[i].Planned.IsEmpty() || !maps.Equal(got[i].Reasons, want[i].Reasons) {
			t.Errorf("cell %d: %v, alone %v", i, got[i].Reasons, want[i].Reasons)
		}
	}
}

// TestMoreClocksThanAColumnHolds: whoever comes after 65,535 others with clocks of
// their own is judged, and given back, like anybody.
func TestMoreClocksThanAColumnHolds(t *testing.T) {
	a := audience.New()
	for i := range uint32(66_000) {
		d := follower(i%600, "KR")
		d.Wishes.Quiet, d.Wishes.Language = &news.Quiet{From: int(i / 1440), To: int(i % 1440)}, fmt.Sprint("x-", i)
		a.Cell(0).Put(d)
	}
	c, q := a.Cell(1), bulletin(t, "JP")
	for i := range uint32(300) {
		d := follower(i, "JP")
		d.Cell = 1
		d.Wishes.Quiet, d.Wishes.Language = &news.Quiet{From: 600 + int(i), To: 900 + int(i)}, fmt.Sprint("y-", i)
		d.Wishes.OnlyLanguage = i%2 == 0
		c.Put(d)
		if got, _ := c.Device(i); !cmp.Equal(got, d) {
			t.Fatalf("(-want +got)\n%s", cmp.Diff(d, got))
		}
		if _, _, language, _ := c.AppendTarget(nil, i); language != d.Wishes.Language {
			t.Fatalf("AppendTarget: %q", language)
		}
	}
	m := a.NewMatcher(q)
	want := map[audience.Reason]int{}
	for i := range uint32(300) {
		d, _ := c.Device(i)
		want[m.Judge(d, 0).Reason]++
	}
	if got := m.MatchCell(c, nil, nil).Reasons; !maps.Equal(got, want) || len(want) < 3 {
		t.Errorf("%v, one by one %v", got, want)
	}
	if got := a.Reach(q, audience.Survey{}); !maps.Equal(got.Reasons, sum(want, map[audience.Reason]int{audience.NotFollowed: 600})) {
		t.Errorf("Reach: %v", got.Reasons)
	}
}

func sum(counts ...map[audience.Reason]int) map[audience.Reason]int {
	all := map[audience.Reason]int{}
	for _, c := range counts {
		for r, n := range c {
			all[r] += n
		}
	}
	return all
}

// TestManyPlacesOfANotice: more ranges than a word has bits.
func TestManyPlacesOfANotice(t *testing.T) {
	countries, _ := countriesAndZones()
	slices.Sort(countries)
	q := bulletin(t, strings.Join(countries, " + "))
	q.Level = news.LevelNotice
	a := audience.New()
	for i, code := range countries {
		d := follower(uint32(i), code, "JP-13")
		d.Wishes.Preference.Level = news.LevelNotice
		a.Cell(0).Put(d)
	}
	part := follower(1000, "JP-13", "KR-11")
	part.Wishes.Preference.Level = news.LevelNotice
	a.Cell(0).Put(part)
	plan := a.NewMatcher(q).MatchCell(a.Cell(0), nil, nil)
	if got := int(plan.Planned.GetCardinality()); got != len(countries) || plan.Planned.Contains(1000) {
		t.Errorf("planned %d of %d: %v", got, len(countries), plan.Reasons)
	}
}
