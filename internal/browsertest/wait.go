package browsertest

import (
	"sync"
	"testing"
	"time"
)

// patience bounds every wait. A push takes 0.1 s on an idle machine; under the
// race detector, on two busy cores, waits of 10 s were seen.
const patience = 60 * time.Second

// board is state with many readers who wait for a condition of it. The zero
// value is ready. Change it between Lock and change.
type board struct {
	sync.Mutex
	changed chan struct{} // closed and replaced by each change; nil: nobody waits
}

// change wakes everybody who waits and unlocks.
func (b *board) change() {
	if b.changed != nil {
		close(b.changed)
		b.changed = nil
	}
	b.Unlock()
}

// next gives a channel that the next change closes. The lock must be held.
func (b *board) next() <-chan struct{} {
	if b.changed == nil {
		b.changed = make(chan struct{})
	}
	return b.changed
}

// wait returns when ok holds, and fails the test when it does not in time. ok
// is called with the lock held.
func (b *board) wait(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	deadline := time.After(patience)
	for {
		b.Lock()
		if ok() {
			b.Unlock()
			return
		}
		next := b.next()
		b.Unlock()
		select {
		case <-next:
		case <-deadline:
			tb.Fatalf("browsertest: waited %s in vain for %s", patience, what)
		}
	}
}

// journal keeps the last lines of a trace, to be printed when the test fails.
// Lines can't go to testing.TB.Log directly: they come from goroutines that may
// outlive the test, and logging then panics.
type journal struct {
	mu    sync.Mutex
	start time.Time
	lines []entry
}

type entry struct {
	at   time.Duration
	text string
}

const journalLines, journalWidth = 400, 600

func newJournal() *journal { return &journal{start: time.Now()} }

func (j *journal) add(text string) {
	if len(text) > journalWidth {
		text = text[:journalWidth] + "…"
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, entry{time.Since(j.start), text})
	if extra := len(j.lines) - journalLines; extra > 0 {
		j.lines = append(j.lines[:0], j.lines[extra:]...)
	}
}

// dumpOnFailure prints the journal when the test ends as a failure.
func (j *journal) dumpOnFailure(tb testing.TB, name string) {
	tb.Helper()
	tb.Cleanup(func() {
		if !tb.Failed() {
			return
		}
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, l := range j.lines {
			tb.Logf("%s %7.3fs %s", name, l.at.Seconds(), l.text)
		}
	})
}
