package audience

import (
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// Cell is one slice of all devices: columns by device number for what matching
// reads, records for what sending reads. About 16 bytes and a record of some 300
// (most of it the endpoint and the keys) a device, outside of the garbage
// collector's heap: nothing that points there leaves the lock.
type Cell struct {
	number   int
	interned *interned

	mu      sync.RWMutex
	change  int64
	pages   pages
	records records
	scratch []byte // for the record at hand
	count   [states]int
	// What few devices have is kept aside, by number.
	paused map[uint32]time.Time // until
	muted  map[uint32][]string  // stories
	over   map[uint32][]string  // stories of which only the end is wanted
	far    map[uint32]far       // what the columns have no room for
}

// far are the ids of a clock and a language of which one at least is rare.
type far struct{ clock, language uint32 }

func newCell(number int, in *interned) *Cell {
	c := &Cell{number: number, interned: in}
	c.reset()
	return c
}

func (c *Cell) reset() {
	c.pages.free()
	c.records.free()
	c.change, c.count = 0, [states]int{}
	c.paused = map[uint32]time.Time{}
	c.muted, c.over, c.far = map[uint32][]string{}, map[uint32][]string{}, map[uint32]far{}
}

// Reset forgets every device and the change counter, and gives their memory
// back: for a cell whose lease went to another process.
func (c *Cell) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.pages.list {
		for i := range uint32(pageSize) {
			if p.state(i) != stateNone {
				c.interned.release(p.preferences[i])
			}
		}
	}
	c.reset()
}

// Change is the cell's change counter that the devices here have caught up
// with.
func (c *Cell) Change() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.change
}

// SetChange says that every change up to n has been Put.
func (c *Cell) SetChange(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.change = n
}

// Put inserts the device or replaces what was known under its number. One that
// is not active keeps its number and is never matched.
func (c *Cell) Put(d news.Device) {
	common := c.interned.hold(&d)
	c.mu.Lock()
	defer c.mu.Unlock()
	p, i := c.page(d.Number), d.Number%pageSize
	if old := p.state(i); old != stateNone {
		c.count[old]--
		c.interned.release(p.preferences[i])
	}
	p.setState(i, stateOf(d.State))
	c.count[p.state(i)]++
	p.preferences[i], p.languages[i], p.clocks[i] = common.preference, short(common.language), short(common.clock)
	p.setService(i, ServiceOf(d.Push.Endpoint))
	p.caps[i] = uint16(min(max(d.Wishes.Cap, 0), 1<<16-1))
	p.only.set(i, d.Wishes.OnlyLanguage)
	p.quiet.set(i, d.Wishes.Quiet != nil)
	c.scratch = appendRecord(c.scratch[:0], &d, common.front, common.rest)
	p.records[i] = c.records.put(p.records[i], c.scratch)
	p.judged(i, c.putAside(&d, far{common.clock, common.language}))
	if c.records.wasteful() {
		c.compact()
	}
}

// page is a number's, made if there is none.
func (c *Cell) page(number uint32) page {
	at, ok := c.pages.find(number / pageSize)
	if !ok {
		c.pages.order = slices.Insert(c.pages.order, at, number/pageSize)
		c.pages.list = slices.Insert(c.pages.list, at, c.pages.fresh())
	}
	return c.pages.list[at]
}

// compact moves every record to new blocks, without what is waste.
func (c *Cell) compact() {
	old := c.records
	c.records = records{}
	for _, p := range c.pages.list {
		for i, at := range p.records {
			if at != 0 {
				r := old.at(at)
				p.records[i] = c.records.add(r[:r.size()])
			}
		}
	}
	old.free()
}

// putAside notes what few have, and reports whether this one does.
func (c *Cell) putAside(d *news.Device, ids far) bool {
	distant := ids.clock >= rare || ids.language >= rare
	delete(c.far, d.Number)
	if distant {
		c.far[d.Number] = ids
	}
	delete(c.paused, d.Number)
	if !d.Wishes.PausedUntil.IsZero() {
		c.paused[d.Number] = d.Wishes.PausedUntil
	}
	delete(c.muted, d.Number)
	if len(d.Wishes.MutedStories) > 0 {
		c.muted[d.Number] = slices.Clone(d.Wishes.MutedStories)
	}
	delete(c.over, d.Number)
	if len(d.Wishes.OverStories) > 0 {
		c.over[d.Number] = slices.Clone(d.Wishes.OverStories)
	}
	return distant || !d.Wishes.PausedUntil.IsZero() || len(d.Wishes.MutedStories) > 0 || len(d.Wishes.OverStories) > 0
}

// at finds a number's page and place, ok when a device is there. The caller
// holds the lock.
func (c *Cell) at(number uint32) (p page, i uint32, ok bool) {
	at, ok := c.pages.find(number / pageSize)
	if !ok {
		return page{}, 0, false
	}
	p, i = c.pages.list[at], number%pageSize
	return p, i, p.state(i) != stateNone
}

// clock is the id of a device's clock.
func (c *Cell) clock(p page, i, number uint32) uint32 {
	if id := p.clocks[i]; id != rare {
		return uint32(id)
	}
	return c.far[number].clock
}

// language is the id of a device's language.
func (c *Cell) language(p page, i, number uint32) uint32 {
	if id := p.languages[i]; id != rare {
		return uint32(id)
	}
	return c.far[number].language
}

func (c *Cell) record(p page, i uint32) record { return c.records.at(p.records[i]) }

// Device gives back what Put was given, but for Change, the times and the
// preference's id; its preference is in canonical order.
func (c *Cell) Device(number uint32) (d news.Device, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	if !ok {
		return news.Device{}, false
	}
	r := c.record(p, i)
	d.ID, d.SubscriberID, d.Push = r.id(), r.subscriber(), r.push(c.interned.frontList())
	d.Cell, d.Number = c.number, number
	d.State, d.Wishes = p.state(i).device(), c.wishes(p, i, number)
	return d, true
}

// Target is where to send to, if there is such a device, whatever its state.
func (c *Cell) Target(number uint32) (push news.PushSubscription, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	if !ok {
		return news.PushSubscription{}, false
	}
	return c.record(p, i).push(c.interned.frontList()), true
}

// NextTarget is the first active device from a number on, and where to send to it;
// false when there is none.
func (c *Cell) NextTarget(from uint32) (number uint32, push news.PushSubscription, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	at, _ := c.pages.find(from / pageSize)
	for ; at < len(c.pages.list); at++ {
		p, key := c.pages.list[at], c.pages.order[at]
		for i := range uint32(pageSize) {
			if number := key*pageSize + i; number >= from && p.state(i) == stateActive {
				return number, c.record(p, i).push(c.interned.frontList()), true
			}
		}
	}
	return 0, news.PushSubscription{}, false
}

// Owner is what the cap needs of a device: whose it is, where her day begins
// and ends, how many alerts a day she wants (0: no cap), and whether she wants
// no exception for a flash.
type Owner struct {
	SubscriberID string
	Zone         *time.Location
	Cap          int
	FlashHeld    bool
}

// Owner tells whose device a number is, whatever its state.
func (c *Cell) Owner(number uint32) (o Owner, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	if !ok {
		return Owner{}, false
	}
	return c.owner(p, i, number), true
}

func (c *Cell) owner(p page, i, number uint32) Owner {
	clock, zone, _ := c.interned.clock(c.clock(p, i, number))
	return Owner{SubscriberID: c.record(p, i).subscriber(), Zone: zone, Cap: int(p.caps[i]), FlashHeld: clock.quiet.flashHeld()}
}

// EachCapped calls fn for those of the numbers whose reader has a cap. It locks
// the cell once; fn must not call back into it.
func (c *Cell) EachCapped(numbers *news.Numbers, fn func(number uint32, o Owner)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for it := numbers.Iterator(); it.HasNext(); {
		n := it.Next()
		if p, i, ok := c.at(n); ok && p.caps[i] > 0 {
			fn(n, c.owner(p, i, n))
		}
	}
}

// EachEndpoint calls fn with the endpoint of each of the numbers, whatever the
// state of its device; the zero Endpoint where there is none. It locks the cell
// once; fn must not call back into it, nor keep the endpoint.
func (c *Cell) EachEndpoint(numbers *news.Numbers, fn func(number uint32, e Endpoint)) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	fronts := c.interned.frontList()
	for it := numbers.Iterator(); it.HasNext(); {
		n := it.Next()
		if p, i, ok := c.at(n); ok {
			fn(n, c.record(p, i).endpoint(fronts))
		} else {
			fn(n, Endpoint{})
		}
	}
}

// Asleep reports whether now falls into the quiet hours of a number's reader and,
// if so, when they end; false also when there is no such device. It uses the zone
// in memory: to read one takes longer than everything else about a device, and
// in the morning a million are asked for.
func (c *Cell) Asleep(number uint32, now time.Time) (until time.Time, quiet bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	if !ok {
		return time.Time{}, false
	}
	clock, zone, _ := c.interned.clock(c.clock(p, i, number))
	if clock.quiet == 0 {
		return time.Time{}, false
	}
	return quietUntil(*clock.quiet.unpack(), zone, now)
}

// Stopped is the last look before a planned send: the reason for which a
// device that was planned may not be sent this story any more, "" if it may.
// Pausing and muting the story stop alerts but not their repairs, and "only when
// it's over" not the story's last; what she follows and when she sleeps were
// settled in the plan. It allocates nothing.
func (c *Cell) Stopped(number uint32, q *Query, now time.Time, repair bool) Reason {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, i, ok := c.at(number)
	switch {
	case !ok:
		return Gone
	case p.state(i) == stateQuarantined:
		return Quarantined
	case p.state(i) != stateActive:
		return stateCode(p.state(i)).reason()
	case repair:
		return ""
	case slices.Contains(c.muted[number], q.StoryURI):
		return MutedStory
	case !q.Final && slices.Contains(c.over[number], q.StoryURI):
		return OverStory
	case c.paused[number].After(now):
		return Paused
	}
	return ""
}

func (c *Cell) wishes(p page, i, number uint32) news.Wishes {
	clock, _, zone := c.interned.clock(c.clock(p, i, number))
	return news.Wishes{
		Preference: c.interned.preference(p.preferences[i]), Language: c.interned.language(c.language(p, i, number)),
		OnlyLanguage: p.only.has(i), Timezone: zone, Quiet: clock.quiet.unpack(), Cap: int(p.caps[i]),
		PausedUntil: c.paused[number], MutedStories: slices.Clone(c.muted[number]), OverStories: slices.Clone(c.over[number]),
	}
}

func (s *Size) add(c *Cell) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s.Active += c.count[stateActive]
	s.Gone += c.count[stateGone]
	s.Left += c.count[stateLeft]
	s.Quarantined += c.count[stateQuarantined]
}

// stateOf reads an unknown state as gone: such a device is not sent to.
func stateOf(s news.DeviceState) state {
	switch s {
	case news.DeviceActive:
		return stateActive
	case news.DeviceLeft:
		return stateLeft
	case news.DeviceQuarantined:
		return stateQuarantined
	}
	return stateGone
}

func (s state) device() news.DeviceState {
	switch s {
	case stateActive:
		return news.DeviceActive
	case stateLeft:
		return news.DeviceLeft
	case stateQuarantined:
		return news.DeviceQuarantined
	}
	return news.DeviceGone
}

// quiet is quiet hours in four bytes: 11 bits each for from and to, one for
// "a flash passes" and one for "there are any". Zero is none.
type quiet uint32

const (
	quietAny   quiet = 1 << 23
	quietFlash quiet = 1 << 22
)

func packQuiet(q *news.Quiet) quiet {
	if q == nil {
		return 0
	}
	packed := quietAny | quiet(wrap(q.From))<<11 | quiet(wrap(q.To))
	if q.Flash {
		packed |= quietFlash
	}
	return packed
}

// flashHeld: there are quiet hours, and a flash does not pass.
func (q quiet) flashHeld() bool { return q != 0 && q&quietFlash == 0 }

func (q quiet) unpack() *news.Quiet {
	if q == 0 {
		return nil
	}
	const minute = 1<<11 - 1
	return &news.Quiet{From: int(q>>11) & minute, To: int(q) & minute, Flash: q&quietFlash != 0}
}
