package audience

import (
	"math/bits"
	"unsafe"

	"dateline/internal/arena"
)

// pageSize is how many numbers share a page. Numbers are dense, so pages are
// full; a page of 256 costs a small newsroom's 256 cells little.
const pageSize = 256

// Pages are made so many at a time: what is never touched takes no memory.
const chunkPages = 64

// What the two halves of a page take.
const (
	scannedBytes = int(unsafe.Sizeof(scanned{}))
	othersBytes  = int(unsafe.Sizeof(others{}))
)

// state is a device's state as a column holds it; the zero state is "no device".
type state uint8

const (
	stateNone state = iota
	stateActive
	stateGone
	stateLeft
	stateQuarantined
	states
)

// mask is a bit for each number of a page.
type mask [pageSize / 64]uint64

func (m *mask) set(i uint32, on bool) {
	m[i/64] &^= 1 << (i % 64)
	if on {
		m[i/64] |= 1 << (i % 64)
	}
}

func (m *mask) has(i uint32) bool { return m[i/64]>>(i%64)&1 != 0 }

// page is the devices of pageSize neighbouring numbers, a column for each thing.
// Its halves hold no pointers: they lie outside of the garbage collector's heap.
//
// Clocks and languages are strangers' words and may be more than two bytes hold:
// the ids from rare on are kept aside.
//
// A device is plain, aside or neither: of a plain one, which is active and has
// nothing but its preference, clock, language and cap, whole words of 64 are
// judged together; those aside are judged one at a time.
type page struct {
	*scanned
	*others
}

// scanned is what planning reads of every device. Those of a cell lie one after
// the other, without what it seldom reads between them: so a processor reads ahead,
// and through 40 % of the memory.
type scanned struct {
	plain, aside mask
	only         mask // onlyLanguage
	capped       mask // has a cap
	quiet        mask // has quiet hours
	gone, left   uint32
	preferences  [pageSize]uint32
	clocks       [pageSize]uint16 // rare: among what the cell keeps aside
}

type others struct {
	records   [pageSize]uint32 // where among the cell's records; 0: none
	languages [pageSize]uint16 // rare: among what the cell keeps aside
	caps      [pageSize]uint16
	status    [pageSize]uint8 // see state and service
}

const rare = 1<<16 - 1

// short is an id as a column holds it.
func short(id uint32) uint16 { return uint16(min(id, rare)) }

// judged sorts a device in, whose state and columns are set: unusual says that
// something about it is kept aside.
func (p page) judged(i uint32, unusual bool) {
	active := p.state(i) == stateActive
	p.plain.set(i, active && !unusual)
	p.aside.set(i, active && unusual || p.state(i) == stateQuarantined)
	p.capped.set(i, p.caps[i] > 0)
}

// What a byte of status holds: a state, and behind it a service.
const (
	stateBits = 3
	stateMask = 1<<stateBits - 1
)

// They fit, or this does not compile.
var (
	_ [stateMask + 1 - states]struct{}
	_ [1<<(8-stateBits) - services]struct{}
)

func (p page) state(i uint32) state { return state(p.status[i] & stateMask) }

func (p page) service(i uint32) Service { return Service(p.status[i] >> stateBits) }

// setState changes a device's state.
func (p page) setState(i uint32, s state) {
	p.tally(p.state(i), -1)
	p.status[i] = p.status[i]&^stateMask | uint8(s)
	p.tally(s, 1)
}

func (p page) setService(i uint32, s Service) {
	p.status[i] = p.status[i]&stateMask | uint8(s)<<stateBits
}

// tally counts those of whom a plan says no more than that.
func (p page) tally(s state, by int) {
	switch s {
	case stateGone:
		p.gone += uint32(by)
	case stateLeft:
		p.left += uint32(by)
	}
}

// pages are a cell's, by number / pageSize.
type pages struct {
	order  []uint32 // the keys, ascending
	list   []page   // beside order; in chunks
	chunks []*arena.Block
	used   int // of the last chunk, in pages
}

// find is where a key's page is or belongs. Numbers are dense: nearly always at
// the key itself.
func (p *pages) find(key uint32) (at int, ok bool) {
	if int(key) < len(p.order) && p.order[key] == key {
		return int(key), true
	}
	low, high := 0, len(p.order)
	for low < high {
		if mid := (low + high) / 2; p.order[mid] < key {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, low < len(p.order) && p.order[low] == key
}

// fresh takes an empty page from the last chunk, or a new one. The halves of a
// chunk's pages are two runs.
func (p *pages) fresh() page {
	if len(p.chunks) == 0 || p.used == chunkPages {
		p.chunks = append(p.chunks, arena.New(chunkPages*(scannedBytes+othersBytes)))
		p.used = 0
	}
	data, i := p.chunks[len(p.chunks)-1].Bytes(), p.used
	p.used++
	return page{
		(*scanned)(unsafe.Pointer(&data[i*scannedBytes])),                       //nolint:gosec // of an arena, which holds no pointers
		(*others)(unsafe.Pointer(&data[chunkPages*scannedBytes+i*othersBytes])), //nolint:gosec // so, too
	}
}

func (p *pages) free() {
	for _, c := range p.chunks {
		c.Free()
	}
	*p = pages{}
}

// eachBit calls fn with every number of a word.
func eachBit(word uint64, fn func(i uint32)) {
	for ; word != 0; word &= word - 1 {
		fn(uint32(bits.TrailingZeros64(word)))
	}
}
