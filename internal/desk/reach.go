package desk

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Reach is whom an alert would go to if it went now.
type Reach struct {
	Devices     int            // would get it, those who sleep included
	Held        int            // of them, asleep and not to be woken
	Woken       int            // of them, in quiet hours that a flash passes
	Unreachable int            // quarantined
	Capped      int            // have had enough for today
	AlreadySent int            // were sent this story, at this level or a higher one
	Regions     map[string]int // by the places they follow; one may count twice
	Languages   map[string]int // by the text they would get
	Hours       [24]int        // by their local hour
	Services    map[PushService]int
	// SentHour and SentDay of the devices were sent an alert of another story in
	// the last hour and day; Recent says which. RecentAt is when that was looked
	// at; zero: nobody knows yet.
	SentHour, SentDay int
	Recent            []Overlap
	RecentAt          time.Time
	// Here is how many devices were looked at: those of the cells of this
	// process, Cells of news.Cells.
	Here, Cells int
	// Armed is how many of those have a key made ahead: sealing for
	// them is a fraction of the work.
	Armed int
}

// Overlap is how many of the devices were sent an earlier alert, too.
type Overlap struct {
	AlertID, Title string
	Level          news.Level
	At             time.Time
	Devices        int
}

// PushService is whose service a device's subscription is at. A browser chooses
// it, so it stands for browsers; whether they run on a phone nobody is told.
type PushService string

// The push services.
const (
	PushGoogle    PushService = "google"
	PushApple     PushService = "apple"
	PushMozilla   PushService = "mozilla"
	PushMicrosoft PushService = "microsoft"
	PushOther     PushService = "other"
)

func (s PushService) words() string {
	switch s {
	case PushGoogle:
		return "Google (Chrome, Samsung Internet, Opera and others)"
	case PushApple:
		return "Apple (Safari; home-screen apps on iPhone and iPad)"
	case PushMozilla:
		return "Mozilla (Firefox)"
	case PushMicrosoft:
		return "Microsoft (Edge on computers)"
	}
	return "Other push services"
}

// Reacher counts for an alert as it is written. One count serves all who look,
// so nobody's request can end it.
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

// TopServices is TopRegions for the push services.
func (r *Reach) TopServices() []Share {
	named := map[string]int{}
	for s, n := range r.Services {
		named[s.words()] += n
	}
	return top(named, func(name string) string { return name })
}

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

// cardView is the blast card.
type cardView struct {
	*Reach // nil: nobody counts here, or there is nothing to count for
	Usual  usualView
	Flash  bool
	Fault  string // why there is no count
	Typed  bool   // it is for the form, not for what is saved
	Recent []overlapView
	Hour   string // the share of SentHour
	Day    string
}

// Saved says that there is a count, of what is saved: what a release goes by.
func (c *cardView) Saved() bool { return c.Reach != nil && !c.Typed }

type overlapView struct {
	Overlap
	When, Share string
}

const recentLines = 5

// cardOf counts for an alert as it is written. nil where nobody counts.
func (p *Pages) cardOf(ctx context.Context, f *formed, typed bool) *cardView {
	if p.reach == nil {
		return nil
	}
	card := &cardView{Flash: f.alert.Level == news.LevelFlash, Typed: typed}
	if f.alert.Audience == "" {
		card.Fault = "The count waits for an audience that can be read."
		return card
	}
	r := p.reachOf(f.alert)
	card.Reach, card.Usual = r, p.usual(ctx, f.alert.Level, r)
	card.Hour, card.Day = percent(r.SentHour, r.Devices), percent(r.SentDay, r.Devices)
	for _, o := range r.Recent[:min(len(r.Recent), recentLines)] {
		card.Recent = append(card.Recent, overlapView{o, clockTime(o.At), percent(o.Devices, r.Devices)})
	}
	return card
}

func percent(part, whole int) string {
	if whole == 0 {
		return "0 %"
	}
	return strconv.Itoa((part*100+whole/2)/whole) + " %"
}

// Add takes in what another process counted over its own cells.
func (r *Reach) Add(o Reach) {
	for _, n := range []struct {
		to   *int
		more int
	}{{&r.Devices, o.Devices}, {&r.Held, o.Held}, {&r.Woken, o.Woken}, {&r.Unreachable, o.Unreachable}, {&r.Capped, o.Capped},
		{&r.AlreadySent, o.AlreadySent}, {&r.SentHour, o.SentHour}, {&r.SentDay, o.SentDay}, {&r.Here, o.Here}, {&r.Cells, o.Cells}, {&r.Armed, o.Armed}} {
		*n.to += n.more
	}
	r.Regions, r.Languages, r.Services = added(r.Regions, o.Regions), added(r.Languages, o.Languages), added(r.Services, o.Services)
	for hour, n := range o.Hours {
		r.Hours[hour] += n
	}
	for _, other := range o.Recent {
		if i := slices.IndexFunc(r.Recent, func(mine Overlap) bool { return mine.AlertID == other.AlertID }); i >= 0 {
			r.Recent[i].Devices += other.Devices
		} else {
			r.Recent = append(r.Recent, other)
		}
	}
	slices.SortStableFunc(r.Recent, func(a, b Overlap) int { return b.At.Compare(a.At) })
	if r.RecentAt.IsZero() || !o.RecentAt.IsZero() && o.RecentAt.Before(r.RecentAt) { // all of it is at least as fresh
		r.RecentAt = o.RecentAt
	}
}

// added is a with b's counts; neither is changed.
func added[K comparable](a, b map[K]int) map[K]int {
	sum := make(map[K]int, len(a)+len(b))
	for _, m := range []map[K]int{a, b} {
		for k, n := range m {
			sum[k] += n
		}
	}
	return sum
}
