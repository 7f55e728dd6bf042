package dispatch

import (
	"iter"
	"math/bits"
)

// flying are the numbers of a cell that are in flight: a bit each, as numbers are
// dense. A map costs a send five times as much.
type flying struct {
	words []uint64
	count int
}

func (f *flying) add(n uint32) {
	for int(n/64) >= len(f.words) {
		f.words = append(f.words, 0)
	}
	if w, bit := &f.words[n/64], uint64(1)<<(n%64); *w&bit == 0 {
		*w |= bit
		f.count++
	}
}

func (f *flying) remove(n uint32) {
	if f.has(n) {
		f.words[n/64] &^= 1 << (n % 64)
		f.count--
	}
}

func (f *flying) has(n uint32) bool {
	return int(n/64) < len(f.words) && f.words[n/64]&(1<<(n%64)) != 0
}

func (f *flying) len() int { return f.count }

// all are the numbers, ascending.
func (f *flying) all() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for i, w := range f.words {
			for ; w != 0; w &= w - 1 {
				if !yield(uint32(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}
