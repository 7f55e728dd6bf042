package news

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What was accepted is dealt over the slices without loss, about where it was.
func TestSpread(t *testing.T) {
	begin := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var timing Timing
		took := rapid.SliceOf(rapid.IntRange(0, 100_000)).Draw(t, "took, in ms")
		for _, ms := range took {
			timing.Record(begin, begin.Add(time.Duration(ms)*time.Millisecond))
		}
		slice := time.Duration(rapid.IntRange(1, 5_000).Draw(t, "slice, in ms")) * time.Millisecond
		accepted, later := timing.Spread(slice, 60)
		sum := later
		for i, n := range accepted {
			sum += n
			near := 0
			for _, ms := range took { // a bucket is 5 % wide
				at := float64(ms) * float64(time.Millisecond)
				if at*1.06+float64(2*time.Millisecond) >= float64(i)*float64(slice) && at/1.06-float64(2*time.Millisecond) <= float64(i+1)*float64(slice) {
					near++
				}
			}
			if n > float64(near)+1e-6 {
				t.Fatalf("slice %d has %f of %d", i, n, near)
			}
		}
		if math.Abs(sum-float64(len(took))) > 1e-6 {
			t.Fatalf("%f of %d", sum, len(took))
		}
		within, after := timing.Until(slice)
		if total := within.Quantile(1); after == len(took) && total != 0 || float64(total) > 1.06*float64(slice)+float64(time.Millisecond) {
			t.Fatalf("within %s: %s, after %d", slice, total, after)
		}
	})
}
