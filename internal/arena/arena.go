// Package arena gives memory outside of the garbage collector's heap, for what
// is large, lives long and holds no pointers: the devices of a cell, the keys
// armed for them. The collector lets a heap grow to twice what lives in it
// before it runs (GOGC=100), so that on the heap a gigabyte of devices would
// take two.
//
// It promises: memory is zero when given; a block that nobody refers to any
// more is given back like anything else, if nobody did so before; where the
// system has no anonymous mappings, or refuses one, the block is on the heap
// and everything works as before.
//
// Whoever frees a block must know that nobody reads it: a slice of it that
// outlives it reads what is not there. Keep blocks behind a lock, and copy out.
package arena

import "runtime"

// Block is a run of bytes outside of the heap.
type Block struct {
	data    []byte
	mapped  bool
	cleanup runtime.Cleanup
}

// New gives a block of so many bytes, all zero. What is never touched takes no
// memory, but for the part of a system page that touched bytes share.
func New(size int) *Block {
	b := &Block{}
	data, err := mapping(size)
	if err != nil {
		b.data = make([]byte, size)
		return b
	}
	b.data, b.mapped = data, true
	b.cleanup = runtime.AddCleanup(b, unmap, data)
	return b
}

// Bytes is the block's memory, up to Free and as long as somebody refers to the
// block.
func (b *Block) Bytes() []byte { return b.data }

// Free gives the memory back to the system at once.
func (b *Block) Free() {
	if b.mapped {
		b.cleanup.Stop()
		unmap(b.data)
	}
	b.data, b.mapped = nil, false
}
