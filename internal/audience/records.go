package audience

import "dateline/internal/arena"

// blockBits: records lie in blocks of 256 KB. 4,000 devices, a cell's share of a
// million, fill four.
const (
	blockBits = 18
	blockSize = 1 << blockBits
)

// records are those of a cell, outside of the garbage collector's heap, one
// after the other in blocks. A place is a block and an offset into it; 0 is none.
type records struct {
	blocks []*arena.Block
	used   int // of the last block
	live   int // bytes in use
	waste  int // bytes that no device uses any more
}

func (r *records) at(place uint32) record {
	return record(r.blocks[place>>blockBits].Bytes()[place&(blockSize-1):])
}

// put keeps a record: over the old one where it is as long, else behind the last.
func (r *records) put(old uint32, fresh []byte) uint32 {
	if old != 0 {
		was := r.at(old)
		size := was.size()
		if size == len(fresh) {
			copy(was, fresh)
			return old
		}
		clear(was[:size]) // an endpoint that is not hers any more
		r.waste += size
		r.live -= size
	}
	return r.add(fresh)
}

func (r *records) add(fresh []byte) uint32 {
	if len(r.blocks) == 0 || r.used+len(fresh) > blockSize {
		r.blocks = append(r.blocks, arena.New(max(blockSize, len(fresh)+1)))
		r.used = 1 // so that no record lies at 0
	}
	place := uint32(len(r.blocks)-1)<<blockBits | uint32(r.used)
	copy(r.at(place), fresh)
	r.used += len(fresh)
	r.live += len(fresh)
	return place
}

// wasteful: a quarter of what is taken, and more than a block.
func (r *records) wasteful() bool { return r.waste > blockSize && r.waste > r.live/3 }

func (r *records) free() {
	for _, b := range r.blocks {
		b.Free()
	}
	*r = records{}
}
