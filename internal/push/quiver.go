package push

import (
	"sync"
	"sync/atomic"
	"unsafe"

	"dateline/internal/arena"
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

// quiverPage is how many neighbouring numbers of a cell share a page, and
// quiverChunk how many pages are made together: 8 of 50,176 bytes fill 98 of the
// system's pages.
const (
	quiverPage  = 256
	quiverChunk = 8
)

// keys are a page's, by number.
type keys [quiverPage]held

// held are a device's keys, by slot, and the one holder of both: 196 bytes and no
// pointers. Where there is no key, its agreement is zero.
type held struct {
	agreed [Slots]agreement
	holder uint32
}

func (h *held) has(slot Slot) bool { return h.agreed[slot] != agreement{} }

// Quiver holds the armed keys of devices, in memory only: two slots for each, a
// key in a slot at most once, and taken at most once. It is safe for concurrent
// use. A million devices' keys are 196 MB; they lie outside of the garbage
// collector's heap, which would grow by twice that.
type Quiver struct {
	cells [news.Cells]quiverCell
	armed [Slots]atomic.Int64
}

type quiverCell struct {
	taken  [Slots]atomic.Int64
	mu     sync.Mutex
	pages  map[uint32]*keys // by number / quiverPage; in chunks
	chunks []*arena.Block
	used   int // of the last chunk, in pages
}

// page is a number's; nil where it was not made.
func (c *quiverCell) page(number uint32) *keys { return c.pages[number/quiverPage] }

// fresh makes a number's page.
func (c *quiverCell) fresh(number uint32) *keys {
	const size = int(unsafe.Sizeof(keys{}))
	if c.pages == nil {
		c.pages = map[uint32]*keys{}
	}
	if len(c.chunks) == 0 || c.used == quiverChunk {
		c.chunks, c.used = append(c.chunks, arena.New(quiverChunk*size)), 0
	}
	page := (*keys)(unsafe.Pointer(&c.chunks[len(c.chunks)-1].Bytes()[c.used*size])) //nolint:gosec // size bytes of an arena, which holds no pointers
	c.used++
	c.pages[number/quiverPage] = page
	return page
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
	page, i := c.page(number), number%quiverPage
	return page == nil || !page[i].has(slot) || page[i].holder != holderOf(t)
}

// Put keeps a key. One that was there is forgotten, and so is a device's other one
// if it was armed for another holder.
func (q *Quiver) Put(cell int, number uint32, slot Slot, k ArmedKey) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.page(number)
	if page == nil {
		page = c.fresh(number)
	}
	h := &page[number%quiverPage]
	if h.holder != k.holder {
		q.forget(h)
		h.holder = k.holder
	}
	if !h.has(slot) {
		q.armed[slot].Add(1)
	}
	h.agreed[slot] = k.agreement
}

// forget zeroes a device's keys.
func (q *Quiver) forget(h *held) {
	for slot := range Slots {
		if h.has(slot) {
			q.armed[slot].Add(-1)
		}
	}
	*h = held{}
}

// Take gives a device's key and forgets it: who takes it is the only one. false:
// there is none, or it was armed for keys that the device has no more.
func (q *Quiver) Take(cell int, number uint32, slot Slot, t Target) (ArmedKey, bool) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	page := c.page(number)
	if page == nil || !page[number%quiverPage].has(slot) {
		return ArmedKey{}, false
	}
	h := &page[number%quiverPage]
	k := ArmedKey{h.agreed[slot], h.holder}
	h.agreed[slot] = agreement{}
	q.armed[slot].Add(-1)
	c.taken[slot].Add(1)
	return k, k.Fits(t)
}

// Forget zeroes every key of a cell, and gives their memory back: another process
// has it now.
func (q *Quiver) Forget(cell int) {
	c := &q.cells[cell]
	c.mu.Lock()
	defer c.mu.Unlock()
	q.zero(c)
	for _, chunk := range c.chunks {
		chunk.Free()
	}
	c.pages, c.chunks, c.used = nil, nil, 0
}

// zero zeroes every key of a cell, whose lock is held.
func (q *Quiver) zero(c *quiverCell) {
	for _, page := range c.pages {
		for i := range page {
			q.forget(&page[i])
		}
	}
}
