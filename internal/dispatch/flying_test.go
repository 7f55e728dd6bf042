package dispatch

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFlying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f flying
		model := map[uint32]bool{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			n := rapid.Uint32Range(0, 300).Draw(t, "number")
			if rapid.Bool().Draw(t, "comes") {
				f.add(n)
				model[n] = true
			} else {
				f.remove(n)
				delete(model, n)
			}
			if f.has(n) != model[n] || f.len() != len(model) {
				t.Fatalf("%d: %v of %d, want %v of %d", n, f.has(n), f.len(), model[n], len(model))
			}
		}
		all := slices.Collect(f.all())
		if !slices.IsSorted(all) || len(all) != len(model) {
			t.Fatalf("%v, want %v", all, model)
		}
		for _, n := range all {
			if !model[n] {
				t.Fatalf("%d is not in %v", n, model)
			}
		}
	})
}
