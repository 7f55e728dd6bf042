package news

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
)

// Numbers is a set of device numbers within one cell.
type Numbers = roaring.Bitmap

// Lease is one held cell. Fence grows with every change of holder; every
// ledger write names it.
type Lease struct {
	Cell  int
	Fence int64
	Until time.Time
}

// LedgerRow is what is known of one release in one cell. Every planned number
// is in exactly one of Held, Accepted, Gone, Failed, Ambiguous, Cancelled,
// Expired, or in none: then it is pending. Opened is the write-ahead mark: a
// number is in it before its first send may start, and stays in it.
type LedgerRow struct {
	ReleaseID string
	Cell      int
	Fence     int64 // of the lease it is written under
	Planned   *Numbers
	Held      *Numbers
	Opened    *Numbers
	Accepted  *Numbers
	Gone      *Numbers
	Failed    *Numbers
	Ambiguous *Numbers
	Cancelled *Numbers
	Expired   *Numbers
	// Quarantined counts matched devices that were in quarantine: intended is
	// the planned plus these.
	Quarantined int
	Timing      Timing
	// Settled says that the holder has nothing left to do for this row: nothing
	// pending, no ambiguous one that will be tried again. Held ones may remain.
	Settled bool
	// Canary is how the first few of the cell went, by push service; nil when
	// none of them is in it, or nobody knows yet.
	Canary map[string]CanaryTally
}

// NewLedgerRow is an empty row.
func NewLedgerRow(releaseID string, cell int) *LedgerRow {
	n := roaring.New
	return &LedgerRow{ReleaseID: releaseID, Cell: cell, Planned: n(), Held: n(), Opened: n(), Accepted: n(),
		Gone: n(), Failed: n(), Ambiguous: n(), Cancelled: n(), Expired: n()}
}

// states are the sets a planned number can have ended up in.
func (r *LedgerRow) states() []*Numbers {
	return []*Numbers{r.Held, r.Accepted, r.Gone, r.Failed, r.Ambiguous, r.Cancelled, r.Expired}
}

// Settle moves the number n into the state set `to` (one of the row's own
// sets) and out of every other.
func (r *LedgerRow) Settle(n uint32, to *Numbers) {
	for _, s := range r.states() {
		if s != to {
			s.Remove(n)
		}
	}
	to.Add(n)
}

// Pending is the planned numbers without a state.
func (r *LedgerRow) Pending() *Numbers {
	p := r.Planned.Clone()
	for _, s := range r.states() {
		p.AndNot(s)
	}
	return p
}

// Reached is who was sent it or may have been: accepted or ambiguous, and
// opened without an answer (after a crash that is ambiguous too).
func (r *LedgerRow) Reached() *Numbers {
	p := r.Pending()
	p.And(r.Opened)
	p.Or(r.Accepted)
	p.Or(r.Ambiguous)
	return p
}

// Counts of the row.
func (r *LedgerRow) Counts() Counts {
	c := Counts{
		Reachable: int(r.Planned.GetCardinality()), Held: int(r.Held.GetCardinality()),
		Accepted: int(r.Accepted.GetCardinality()), Gone: int(r.Gone.GetCardinality()),
		Failed: int(r.Failed.GetCardinality()), Ambiguous: int(r.Ambiguous.GetCardinality()),
		Cancelled: int(r.Cancelled.GetCardinality()), Expired: int(r.Expired.GetCardinality()),
	}
	c.Intended = c.Reachable + r.Quarantined
	c.Pending = c.Reachable - c.Held - c.Accepted - c.Gone - c.Failed - c.Ambiguous - c.Cancelled - c.Expired
	return c
}

// Counts are devices. Reachable = Held + Accepted + Gone + Failed + Ambiguous
// + Pending + Cancelled + Expired; Intended = Reachable + quarantined.
type Counts struct {
	Intended, Reachable, Held, Accepted, Gone, Failed, Ambiguous, Pending, Cancelled, Expired, Shown int
}

// Add adds d.
func (c *Counts) Add(d Counts) {
	c.Intended += d.Intended
	c.Reachable += d.Reachable
	c.Held += d.Held
	c.Accepted += d.Accepted
	c.Gone += d.Gone
	c.Failed += d.Failed
	c.Ambiguous += d.Ambiguous
	c.Pending += d.Pending
	c.Cancelled += d.Cancelled
	c.Expired += d.Expired
	c.Shown += d.Shown
}

// Timing is how long after its release devices' messages were accepted: exact
// first and last, and a log histogram (5 % wide buckets) for quantiles. The
// zero value is empty.
type Timing struct {
	First, Last time.Time
	Buckets     map[int]int
}

const timingBase = 1.05 // bucket i holds latencies in [1.05^i, 1.05^(i+1)) ms

// Record counts one acceptance at `at` of a release made at `released`.
func (t *Timing) Record(released, at time.Time) {
	if t.First.IsZero() || at.Before(t.First) {
		t.First = at
	}
	if at.After(t.Last) {
		t.Last = at
	}
	if t.Buckets == nil {
		t.Buckets = map[int]int{}
	}
	ms := max(1, float64(at.Sub(released))/float64(time.Millisecond))
	t.Buckets[int(math.Log(ms)/math.Log(timingBase))]++
}

// Merge adds o's observations.
func (t *Timing) Merge(o Timing) {
	if !o.First.IsZero() && (t.First.IsZero() || o.First.Before(t.First)) {
		t.First = o.First
	}
	if o.Last.After(t.Last) {
		t.Last = o.Last
	}
	if len(o.Buckets) > 0 && t.Buckets == nil {
		t.Buckets = map[int]int{}
	}
	for b, n := range o.Buckets {
		t.Buckets[b] += n
	}
}

// Quantile is the latency within which the share q (0..1] was accepted, to
// 5 %; 0 without observations.
func (t *Timing) Quantile(q float64) time.Duration {
	total := 0
	for _, n := range t.Buckets {
		total += n
	}
	if total == 0 {
		return 0
	}
	want, seen := int(math.Ceil(q*float64(total))), 0
	for _, b := range slices.Sorted(maps.Keys(t.Buckets)) {
		if seen += t.Buckets[b]; seen >= want {
			return time.Duration(math.Pow(timingBase, float64(b)+0.5) * float64(time.Millisecond))
		}
	}
	return 0
}

// ReleaseFigures are one release's counts and timing over all cells.
type ReleaseFigures struct {
	Counts Counts
	Timing Timing
}

// DeviceRef names a device by its place.
type DeviceRef struct {
	Cell   int
	Number uint32
}

// DeviceReceipt is what a device says of a notification.
type DeviceReceipt struct {
	AlertID  string
	Revision int
	Device   DeviceRef
	Kind     string // shown, clicked, closed
}

// StoredReceipt is a receipt with the time it came.
type StoredReceipt struct {
	DeviceReceipt
	At time.Time
}
