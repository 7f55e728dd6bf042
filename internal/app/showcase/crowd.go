package showcase

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// censusAge is how long a count of all phones holds. Asking ten thousand
// phones what they show takes some 5 ms; several visitors share one answer.
const censusAge = 250 * time.Millisecond

// crowd is all phones, with what does not change about them.
type crowd struct {
	phones    []Phone
	words     []searchable // what a search looks through, by phone
	languages []option     // the readers', most frequent first
	services  []*simulate.PushService
	service   []int            // of each phone: the index in services
	where     []*time.Location // of each phone: LoadLocation takes some 20 µs

	mu   sync.Mutex
	last *census
}

func newCrowd(phones []Phone) *crowd {
	c := &crowd{phones: slices.Clone(phones), words: make([]searchable, len(phones)), service: make([]int, len(phones))}
	index := newSearchIndex()
	zones := map[string]*time.Location{}
	known := map[*simulate.PushService]int{}
	speakers := map[string]int{}
	for i, p := range c.phones {
		c.words[i] = index.of(i+1, p)
		speakers[p.Wishes.Language]++
		if zones[p.Wishes.Timezone] == nil {
			zones[p.Wishes.Timezone] = zone(p.Wishes.Timezone)
		}
		c.where = append(c.where, zones[p.Wishes.Timezone])
		at, ok := known[p.Service()]
		if !ok {
			at = len(c.services)
			known[p.Service()] = at
			c.services = append(c.services, p.Service())
		}
		c.service[i] = at
	}
	c.languages = languageMenu(speakers)
	return c
}

// census is what all phones show at one instant.
type census struct {
	at       time.Time
	some     []bool // of each phone: whether it shows anything
	shown    int    // phones that show something
	notes    int    // notifications on all screens
	repeats  int
	asleep   int               // phones in their quiet hours
	alerts   map[string]*tally // of the louder alerts, by id
	breaking *tally            // the newest of them; nil before there is one
}

// tally is one alert on all phones.
type tally struct {
	id, level   string
	title, lang string
	dir         string
	released    int64 // ms since 1970, of the newest revision seen
	on          []bool
	count       int
	byService   []int
	after       []time.Duration // from the release until it was shown, sorted
}

// census counts, or repeats a count that is fresh enough.
func (c *crowd) census(now time.Time) *census {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && now.Sub(c.last.at).Abs() < censusAge {
		return c.last
	}
	all := &census{at: now, some: make([]bool, len(c.phones)), alerts: map[string]*tally{}}
	for i, p := range c.phones {
		if quietUntil(p.Wishes.Quiet, now.In(c.where[i])) != "" {
			all.asleep++
		}
		shown := p.Shown()
		if len(shown) > 0 {
			all.some[i] = true
			all.shown++
		}
		all.notes += len(shown)
		for _, n := range shown {
			all.repeats += n.Repeats
			if loud(n) {
				all.tally(n, c).add(i, n, c)
			}
		}
	}
	all.finish()
	c.last = all
	return all
}

// loud reports whether a notification is breaking news rather than a notice.
func loud(n simulate.Notification) bool {
	return n.Alert != "" && (n.Level == news.LevelFlash.String() || n.Level == news.LevelBulletin.String())
}

func (all *census) tally(n simulate.Notification, c *crowd) *tally {
	t := all.alerts[n.Alert]
	if t == nil {
		t = &tally{id: n.Alert, on: make([]bool, len(c.phones)), byService: make([]int, len(c.services))}
		all.alerts[n.Alert] = t
	}
	return t
}

func (t *tally) add(i int, n simulate.Notification, c *crowd) {
	// The newest revision names the alert, in English where somebody reads it so.
	newer := n.Timestamp > t.released
	if newer || t.title == "" || n.Timestamp == t.released && t.lang != "en" && n.Lang == "en" {
		t.title, t.lang, t.dir, t.level, t.released = n.Title, n.Lang, direction(n.Dir), n.Level, n.Timestamp
	}
	if t.on[i] { // an alert without a tag may stand twice
		return
	}
	t.on[i] = true
	t.count++
	t.byService[c.service[i]]++
	if n.Timestamp > 0 {
		t.after = append(t.after, n.At.Sub(time.UnixMilli(n.Timestamp)))
	}
}

// finish picks the breaking alert: the one released last.
func (all *census) finish() {
	for _, t := range all.alerts {
		slices.Sort(t.after)
		if all.breaking == nil || cmp.Or(cmp.Compare(t.released, all.breaking.released), cmp.Compare(t.id, all.breaking.id)) > 0 {
			all.breaking = t
		}
	}
}

// has reports whether a phone shows the breaking alert.
func (all *census) has(i int) bool { return all.breaking != nil && all.breaking.on[i] }

// within is how long after the release a share of those who show it did.
func (t *tally) within(share float64) time.Duration {
	if len(t.after) == 0 {
		return 0
	}
	i := int(float64(len(t.after))*share+0.999999) - 1
	return max(0, t.after[min(max(i, 0), len(t.after)-1)])
}
