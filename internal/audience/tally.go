package audience

import (
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Tally is whom a plan reaches, by what the desk asks for.
type Tally struct {
	Devices     int // planned
	Held        int // of them, asleep
	Woken       int // of them, in quiet hours that a flash passes
	Quarantined int
	// Regions counts devices by the followed places, as readers wrote them,
	// through which the alert reaches them. One that follows both JP and 142
	// counts under both, so these add up to more than Devices.
	Regions map[string]int
	// Texts counts by the language of the text they get, Languages by the one
	// they asked for.
	Texts     map[string]int
	Languages map[string]int
	// Hours counts by the local hour at the query's Now.
	Hours    [24]int
	Services map[Service]int
	// Overlaps counts, for each of the survey's sets, the planned that are in it;
	// InAny those that are in one at least, InFirst in one of the first ones.
	Overlaps       []int
	InAny, InFirst int
	Reasons        map[Reason]int // every device judged, planned or not
}

// NewTally is an empty tally.
func NewTally() Tally {
	return Tally{Regions: map[string]int{}, Texts: map[string]int{}, Languages: map[string]int{},
		Services: map[Service]int{}, Reasons: map[Reason]int{}}
}

// Add adds o to t, which NewTally made.
func (t *Tally) Add(o Tally) {
	t.Devices += o.Devices
	t.Held += o.Held
	t.Woken += o.Woken
	t.Quarantined += o.Quarantined
	t.InAny += o.InAny
	t.InFirst += o.InFirst
	addCounts(t.Regions, o.Regions)
	addCounts(t.Texts, o.Texts)
	addCounts(t.Languages, o.Languages)
	addCounts(t.Services, o.Services)
	addCounts(t.Reasons, o.Reasons)
	for h, n := range o.Hours {
		t.Hours[h] += n
	}
	if t.Overlaps == nil && o.Overlaps != nil {
		t.Overlaps = make([]int, len(o.Overlaps))
	}
	for i, n := range o.Overlaps {
		t.Overlaps[i] += n
	}
}

func addCounts[K comparable](to, from map[K]int) {
	for k, n := range from {
		to[k] += n
	}
}

// Survey is what a count asks besides its query; zero fields ask nothing.
type Survey struct {
	// Capped are the numbers of a cell whose readers have had as many alerts
	// today as they want (Cell.Capped).
	Capped func(cell int) *news.Numbers
	// Exclude are the numbers of a cell that were sent this story already.
	Exclude func(cell int) *news.Numbers
	// Sent are sets of a cell's numbers, as many for every cell, to count the
	// overlap with: who got another alert. First is how many of them count for
	// InFirst.
	Sent  func(cell int) []*news.Numbers
	First int
}

// Capped are the numbers whose readers have had as many alerts on their local
// day as they want. It is the same for every alert, and to ask for each reader
// takes longer than all the rest of a count. What sentToday is given is good
// until it returns.
func (c *Cell) Capped(sentToday func(subscriberID []byte) int) *news.Numbers {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var capped []uint32
	var id [64]byte
	for at, p := range c.pages.list {
		for i := range uint32(pageSize) {
			if most := int(p.caps[i]); most > 0 && p.state(i) == stateActive && sentToday(c.record(p, i).appendSubscriber(id[:0])) >= most {
				capped = append(capped, c.pages.order[at]*pageSize+i)
			}
		}
	}
	return roaring.BitmapOf(capped...)
}

// Reach matches and counts every cell, in one pass: what the desk shows before
// a release. The processor's cores share the cells.
func (a *Audience) Reach(q Query, s Survey) Tally {
	total := NewTally()
	m := a.NewMatcher(q)
	var mu sync.Mutex
	var next atomic.Int32
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), news.Cells) {
		workers.Go(func() {
			c := newCensus(m, s)
			for cell := next.Add(1) - 1; cell < news.Cells; cell = next.Add(1) - 1 {
				c.cell(a.cells[cell])
			}
			part := c.tally()
			mu.Lock()
			defer mu.Unlock()
			total.Add(part)
		})
	}
	workers.Wait()
	return total
}

// census counts the planned of many cells. What a device has in common with
// others is counted by its id and looked up once.
type census struct {
	m       *Matcher
	survey  Survey
	sum     Tally
	reasons [codes]int
	planned []uint32 // of the cell at hand
	held    int      // of them
	marks   []uint8  // by number, all zero between cells
	numbers []uint32

	languages, clocks []int // by id
	services          [services]int
	touched           []touch             // by preference id
	many              map[uint32][]uint16 // of those that touched has no room for
	reused            uint64              // interned.reused when these were begun
	places            []string
	placeIDs          map[string]uint16 // 0: the alert does not touch the place
	byPlace           []int             // by place id
}

// touch is through which of the followed places an alert reaches a preference.
// Most people mute none and follow a handful, of which an alert touches one or
// two; many says that it is not so.
type touch struct {
	known, many bool
	places      [3]uint16 // ids, 0 for none
}

func newCensus(m *Matcher, s Survey) *census {
	return &census{m: m, survey: s, sum: NewTally(), placeIDs: map[string]uint16{}, places: []string{""}, byPlace: []int{0}, many: map[uint32][]uint16{}}
}

// begin makes room for ids that are new, and forgets what was noted under ids
// that mean something else by now. The interned are locked.
func (c *census) begin(m *Matcher) {
	if c.reused != m.interned.reused {
		c.touched, c.many, c.reused = nil, map[uint32][]uint16{}, m.interned.reused
	}
	c.touched = grown(c.touched, len(m.interned.rows))
	c.languages = grown(c.languages, len(m.interned.languages.list))
	c.clocks = grown(c.clocks, len(m.interned.clockList))
}

func grown[T any](s []T, size int) []T {
	if more := size - len(s); more > 0 {
		s = append(s, make([]T, more)...)
	}
	return s
}

// cell counts one.
func (c *census) cell(cell *Cell) {
	scan := newScan(c.m, cell, nil, nil)
	scan.census, c.planned, c.held = c, c.planned[:0], 0
	if c.survey.Exclude != nil {
		scan.exclude.set = c.survey.Exclude(cell.number)
	}
	if c.survey.Capped != nil {
		scan.capped.set, scan.caps = c.survey.Capped(cell.number), true
	}
	scan.run()
	c.sum.Devices += len(c.planned)
	c.sum.Held += c.held
	c.sum.Quarantined += scan.counts[codeQuarantined]
	for i, n := range scan.counts {
		c.reasons[i] += n
	}
	if c.survey.Sent != nil {
		c.overlap(c.survey.Sent(cell.number))
	}
}

// word counts the planned of 64 neighbours.
func (c *census) word(cell *Cell, p page, first, at uint32, planned, held uint64) {
	c.held += bits.OnesCount64(held)
	for ; planned != 0; planned &= planned - 1 {
		i := uint32(bits.TrailingZeros64(planned))
		c.planned = append(c.planned, at+i)
		clock := cell.clock(p, first+i, at+i)
		c.languages[cell.language(p, first+i, at+i)]++
		c.clocks[clock]++
		c.count(p, first+i, held>>i&1 == 0 && c.m.clocks[clock]&clockAsleep != 0)
	}
}

// The marks of a number while a cell's overlaps are counted.
const (
	markPlanned uint8 = 1 << iota
	markAny
	markFirst
)

// overlap counts the planned that are in the sets. A mark by number takes a
// tenth of the time of bitmaps that are cut with and joined to one another.
func (c *census) overlap(sets []*news.Numbers) {
	c.sum.Overlaps = grown(c.sum.Overlaps, len(sets))
	c.numbers = grown(c.numbers, 1024)
	if len(c.planned) == 0 {
		return
	}
	c.marks = grown(c.marks, int(c.planned[len(c.planned)-1])+1)
	for _, n := range c.planned {
		c.marks[n] = markPlanned
	}
	for i, set := range sets {
		mark := markAny
		if i < c.survey.First {
			mark |= markFirst
		}
		for it := set.ManyIterator(); ; {
			n := it.NextMany(c.numbers)
			if n == 0 {
				break
			}
			c.sum.Overlaps[i] += c.mark(c.numbers[:n], mark)
		}
	}
	for _, n := range c.planned {
		c.sum.InAny += int(c.marks[n] & markAny / markAny)
		c.sum.InFirst += int(c.marks[n] & markFirst / markFirst)
		c.marks[n] = 0
	}
}

// mark marks those of the numbers that are planned and counts them.
func (c *census) mark(numbers []uint32, mark uint8) (planned int) {
	for _, n := range numbers {
		if int(n) < len(c.marks) && c.marks[n] != 0 {
			c.marks[n] |= mark
			planned++
		}
	}
	return planned
}

// count notes one device that is planned.
func (c *census) count(p page, i uint32, woken bool) {
	if woken {
		c.sum.Woken++
	}
	c.services[p.service(i)]++
	preference := p.preferences[i]
	t := &c.touched[preference]
	if !t.known {
		*t = c.touch(preference)
	}
	if t.many {
		for _, id := range c.many[preference] {
			c.byPlace[id]++
		}
		return
	}
	for _, id := range t.places {
		c.byPlace[id]++ // of id 0 nobody asks
	}
}

// touch is via, without making strings where a preference mutes nothing.
func (c *census) touch(id uint32) touch {
	t, n := touch{known: true}, 0
	full := func() touch {
		var ids []uint16
		for _, code := range via(unpackPreference(c.m.interned.packed[id]), c.m.aim) {
			ids = append(ids, c.place(code))
		}
		c.many[id] = ids
		return touch{known: true, many: true}
	}
	packed := c.m.interned.packed[id][1:]
	count, rest := unpackNumber(packed)
	for range count {
		var size int
		size, rest = unpackNumber(rest)
		if place := c.place(rest[:size]); place != 0 {
			if n == len(t.places) {
				return full()
			}
			t.places[n] = place
			n++
		}
		rest = rest[size:]
	}
	if muted, _ := unpackNumber(rest); muted > 0 {
		return full()
	}
	return t
}

// place is the id of a followed place that the alert touches, else 0.
func (c *census) place(code string) uint16 {
	id, known := c.placeIDs[code]
	if known {
		return id
	}
	if s, err := region.SetOf([]string{code}, nil); err == nil && s.Overlaps(c.m.aim.whole) {
		id = uint16(len(c.places)) // there are some 5,000 places
		c.places, c.byPlace = append(c.places, code), append(c.byPlace, 0)
	}
	c.placeIDs[code] = id
	return id
}

// tally names what was counted.
func (c *census) tally() Tally {
	t := c.sum
	for id, n := range c.byPlace {
		addCount(t.Regions, c.places[id], n*min(id, 1))
	}
	for id, n := range c.languages {
		if n > 0 {
			asked := c.m.interned.language(uint32(id))
			addCount(t.Languages, asked, n)
			addCount(t.Texts, news.PickLanguage(asked, c.m.query.Languages, c.m.query.Language), n)
		}
	}
	for id, n := range c.clocks {
		if n > 0 {
			_, zone, _ := c.m.interned.clock(uint32(id))
			t.Hours[c.m.query.Now.In(zone).Hour()] += n
		}
	}
	for s, n := range c.services {
		addCount(t.Services, Service(s), n)
	}
	for code := codeNone + 1; code < codes; code++ {
		addCount(t.Reasons, code.reason(), c.reasons[code])
	}
	return t
}

// addCount keeps nothing out of the map: it says what there is.
func addCount[K comparable](to map[K]int, key K, n int) {
	if n > 0 {
		to[key] += n
	}
}
