package arena

import (
	"bytes"
	"runtime"
	"testing"
)

func TestABlockIsZeroAndWritable(t *testing.T) {
	for _, size := range []int{1, 4096, 256 << 10} {
		b := New(size)
		if len(b.Bytes()) != size || len(bytes.Trim(b.Bytes(), "\x00")) != 0 {
			t.Fatalf("%d bytes asked for, %d given, or not zero", size, len(b.Bytes()))
		}
		b.Bytes()[size-1] = 1
		b.Free()
		b.Free() // twice is once
		if b.Bytes() != nil {
			t.Error("memory is left in a freed block")
		}
	}
}

// A refused mapping (no system gives 0 bytes) is a block on the heap.
func TestARefusedMappingIsOnTheHeap(t *testing.T) {
	b := New(0)
	if b.mapped || b.Bytes() == nil {
		t.Errorf("mapped %v, %v", b.mapped, b.Bytes())
	}
	b.Free()
}

// What nobody refers to is given back: a hundred blocks of 64 MB fit.
func TestForgottenBlocksAreGivenBack(t *testing.T) {
	for range 100 {
		b := New(64 << 20)
		for i := 0; i < len(b.Bytes()); i += 1 << 20 {
			b.Bytes()[i] = 1
		}
		runtime.KeepAlive(b)
	}
	runtime.GC()
}
