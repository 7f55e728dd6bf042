package push

import (
	"testing"
	"unsafe"
)

// TestForgottenKeysAreZero: not only unreachable. The memory of one page is looked
// at while it is still there.
func TestForgottenKeysAreZero(t *testing.T) {
	var q Quiver
	_, to := reader(t)
	for n := range uint32(quiverPage) {
		k, err := Arm(to)
		if err != nil {
			t.Fatal(err)
		}
		q.Put(3, n, Slot(n%2), k)
	}
	c := &q.cells[3]
	page := c.page(0)
	if n := uint32(7); !page[n].has(Slot(n % 2)) {
		t.Fatal("no key where one was put")
	}
	if _, ok := q.Take(3, 7, 1, to); !ok || page[7].agreed[1] != (agreement{}) {
		t.Error("something is left of a key that was taken")
	}
	q.zero(c)
	if *page != (keys{}) || q.Armed(SlotAlert) != 0 || q.Armed(SlotRepair) != 0 {
		t.Error("something is left of forgotten keys")
	}
	q.Forget(3)
	if len(c.chunks) != 0 || c.page(0) != nil {
		t.Error("the memory of forgotten keys was kept")
	}
	if k, err := Arm(to); err != nil {
		t.Fatal(err)
	} else {
		q.Put(3, 70_000, SlotRepair, k)
	}
	if _, ok := q.Take(3, 70_000, SlotRepair, to); !ok {
		t.Error("a cell that was forgotten takes no key")
	}
}

// A million devices with two keys each are 196 MB.
func TestADevicesKeysTake196Bytes(t *testing.T) {
	if size := unsafe.Sizeof(held{}); size != 196 {
		t.Errorf("%d", size)
	}
}
