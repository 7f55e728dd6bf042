package push

import (
	"sync"
	"sync/atomic"

	"dateline/internal/news"
)

// Slot is what an armed key is kept for.
type Slot int

// The slots of a device: an alert may be repaired before there was idle time to
// arm anew, and a repair must not be slower than what it repairs.
const (
	SlotAlert Slot = iota
	SlotRepair
	Slots // how many there are
)

// quiverPage is how many neighbouring numbers of a cell share a page.
const quiverPage = 256

// Quiver holds the armed keys of devices, in memory only: two slots for each, a
// key in a slot at most once, and taken at most once. It is safe for concurrent
// use.
type Quiver struct {
	cells [news.Cells]quiverCell
	armed [Slots]atomic.Int64
}

type quiverCell struct {
	taken [Slots]atomic.Int64
	mu    sync.Mutex
	pages map[uint32]*[Slots][quiverPage]ArmedKey // by number / quiverPage
}

// Armed is how many keys a slot has, over all devices.
func (q *Quiver) Armed(slot Slot) int { return int(q.armed[slot].Load()) }

// Taken counts the keys of a cell that were taken: where it is as it was, none is
// missing that was not missing then.
func (q *Quiver) Taken(cell int, slot Slot) int64 { return q.cells[cell].taken[slot].Load() }

// Lacks reports whether a slot of a device has no key for it as it is now. One
// that was armed for keys that the device has no more counts as none.
func (q *Quiver) Lacks(cell int, number uint32, slot Slot, t Target) bool {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.pages[number/quiverPage]
	return page == nil || !page[slot][number%quiverPage].Fits(t)
}

// Put keeps a key. One that was there is forgotten.
func (q *Quiver) Put(cell int, number uint32, slot Slot, k ArmedKey) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.pages[number/quiverPage]
	if page == nil {
		if c.pages == nil {
			c.pages = map[uint32]*[Slots][quiverPage]ArmedKey{}
		}
		page = new([Slots][quiverPage]ArmedKey)
		c.pages[number/quiverPage] = page
	}
	place := &page[slot][number%quiverPage]
	if place.IsZero() {
		q.armed[slot].Add(1)
	}
	*place = k
}

// Take gives a device's key and forgets it: who takes it is the only one. false:
// there is none, or it was armed for keys that the device has no more.
func (q *Quiver) Take(cell int, number uint32, slot Slot, t Target) (ArmedKey, bool) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.pages[number/quiverPage]
	if page == nil {
		return ArmedKey{}, false
	}
	place := &page[slot][number%quiverPage]
	if place.IsZero() {
		return ArmedKey{}, false
	}
	k := *place
	place.Zero()
	q.armed[slot].Add(-1)
	c.taken[slot].Add(1)
	return k, k.Fits(t)
}

// Forget zeroes every key of a cell: another process has it now.
func (q *Quiver) Forget(cell int) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, page := range c.pages {
		for slot := range page {
			for i := range page[slot] {
				if !page[slot][i].IsZero() {
					page[slot][i].Zero()
					q.armed[slot].Add(-1)
				}
			}
		}
	}
	c.pages = nil
}
