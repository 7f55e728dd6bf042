package news

import (
	"maps"
	"math"
	"slices"
	"time"
)

// Spread deals what was accepted over n slices of the time since the release,
// each bucket of the histogram evenly over the time it stands for; later is what
// came after the last slice.
func (t *Timing) Spread(slice time.Duration, n int) (accepted []float64, later float64) {
	accepted = make([]float64, n)
	width := float64(slice) / float64(time.Millisecond)
	for _, b := range slices.Sorted(maps.Keys(t.Buckets)) {
		count := float64(t.Buckets[b])
		from, to := math.Pow(timingBase, float64(b)), math.Pow(timingBase, float64(b+1))
		if b == 0 { // what took no millisecond is in it, too
			from = 0
		}
		for i := min(n, int(from/width)); i < n && float64(i)*width < to; i++ {
			within := min(to, float64(i+1)*width) - max(from, float64(i)*width)
			accepted[i] += count * within / (to - from)
		}
		if end := float64(n) * width; to > end {
			later += count * (to - max(from, end)) / (to - from)
		}
	}
	return accepted, later
}

// Until is a copy with what was accepted within d of the release, and how many
// were not. A bucket of which a part is later counts as later.
func (t *Timing) Until(d time.Duration) (within Timing, later int) {
	within = Timing{First: t.First, Last: t.Last, Buckets: map[int]int{}}
	for b, n := range t.Buckets {
		if math.Pow(timingBase, float64(b)) > float64(d)/float64(time.Millisecond) {
			later += n
		} else {
			within.Buckets[b] = n
		}
	}
	return within, later
}
