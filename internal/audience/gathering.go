package audience

import (
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/news"
)

// groupBits: roaring keeps numbers in groups of 65,536, as words where they are
// dense. A cell of ten million devices is one group.
const (
	groupBits  = 16
	groupWords = 1 << groupBits / 64
)

// groups are groupWords words, all zero: a plan needs two for each cell.
var groups = sync.Pool{New: func() any { return new([groupWords]uint64) }}

// gathering makes a set from words of 64 numbers that come in ascending order.
type gathering struct {
	set   *news.Numbers // of the groups before; nil: none
	group uint32
	words *[groupWords]uint64 // of the group at hand; up to top they are its own, behind it zero
	top   int
}

// add takes the word that begins with number at.
func (g *gathering) add(at uint32, word uint64) {
	if word == 0 {
		return
	}
	if group := at >> groupBits; group != g.group {
		g.flush()
		g.group = group
	}
	if g.words == nil {
		g.words = groups.Get().(*[groupWords]uint64)
	}
	i := int(at%(1<<groupBits)) / 64
	g.words[i] = word
	g.top = i + 1
}

// flush makes the set of the group at hand.
func (g *gathering) flush() {
	if g.top == 0 {
		return
	}
	set := roaring.FromDense(g.words[:g.top], true)
	if g.group > 0 {
		set = roaring.AddOffset(set, g.group<<groupBits)
	}
	clear(g.words[:g.top])
	g.top = 0
	if g.set == nil {
		g.set = set
	} else {
		g.set.Or(set)
	}
}

// done flushes, and gives back what it worked with.
func (g *gathering) done() {
	g.flush()
	if g.words != nil {
		groups.Put(g.words)
		g.words = nil
	}
}

// numbers is the whole set, once done.
func (g *gathering) numbers() *news.Numbers {
	if g.set == nil {
		return roaring.New()
	}
	return g.set
}

// window reads a set as words of 64 numbers, asked for in ascending order by a
// scan, a group at a time.
type window struct {
	set   *news.Numbers // nil: empty
	begun bool
	group uint32
	words []uint64
	any   bool
}

// word is the 64 numbers from at on.
func (w *window) word(at uint32) uint64 {
	if w.set == nil {
		return 0
	}
	if group := at >> groupBits; !w.begun || group != w.group {
		w.open(group)
	}
	if !w.any {
		return 0
	}
	return w.words[at%(1<<groupBits)/64]
}

func (w *window) open(group uint32) {
	if w.words == nil {
		w.words = make([]uint64, groupWords)
	}
	clear(w.words)
	w.begun, w.group, w.any = true, group, false
	it := w.set.Iterator()
	it.AdvanceIfNeeded(group << groupBits)
	for it.HasNext() && it.PeekNext()>>groupBits == group {
		n := it.Next() % (1 << groupBits)
		w.words[n/64] |= 1 << (n % 64)
		w.any = true
	}
}
