package dispatch

import (
	"container/heap"
	"hash/fnv"
	"strconv"
	"time"
)

// backoff is the wait before attempt tries+1: 1, 2, 4 … 64 s, +-50 % by the
// device so that a recovering service is not met by everybody at once, and
// never less than the service asked for (reliability: "backoff 1,2,4,8 s +-50 %
// until the alert deadline").
func backoff(tries int, asked time.Duration, number uint32) time.Duration {
	base := time.Second << min(tries, 6)
	h := fnv.New32a()
	h.Write(strconv.AppendUint(nil, uint64(number)<<8|uint64(tries&0xff), 10))
	share := 0.5 + float64(h.Sum32()%1000)/1000 // 0.5 … 1.5
	wait := time.Duration(float64(base) * share)
	if asked > 0 {
		// +0..20 % on top of Retry-After: not before, and not all at once.
		return max(wait, asked+time.Duration(float64(asked)*(share-0.5)/5))
	}
	return wait
}

// retryQueue is the numbers that wait for their next attempt, soonest first, by
// the monotonic clock: a clock that is set says nothing of a push service.
type retryQueue struct{ entries retryHeap }

type retryEntry struct {
	at     time.Time
	cell   *cellRun
	number uint32
}

type retryHeap []retryEntry

func (h retryHeap) Len() int           { return len(h) }
func (h retryHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h retryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *retryHeap) Push(x any)        { *h = append(*h, x.(retryEntry)) } //nolint:forcetypeassert // container/heap hands back what add pushed
func (h *retryHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = retryEntry{} // let the cell go
	*h = old[:len(old)-1]
	return last
}

func (q *retryQueue) add(at time.Time, c *cellRun, n uint32) {
	heap.Push(&q.entries, retryEntry{at, c, n})
}

// take removes what is due at now; next is zero when nothing waits.
func (q *retryQueue) take(now time.Time) (due []retryEntry, next time.Time) {
	for len(q.entries) > 0 && !q.entries[0].at.After(now) {
		due = append(due, heap.Pop(&q.entries).(retryEntry)) //nolint:forcetypeassert // as above
	}
	if len(q.entries) > 0 {
		next = q.entries[0].at
	}
	return due, next
}
