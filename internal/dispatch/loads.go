package dispatch

import (
	"cmp"
	"maps"
	"slices"
)

// Limits of the write-ahead (DESIGN 8).
const (
	maxOpen     = 20_000 // devices of a process opened without a committed answer
	blockSize   = 4_096  // numbers opened at once in a cell
	firstWindow = 512    // numbers a push service has open at first
	mostWindow  = 10_000 // and at last: half of maxOpen, so that a large one that hangs leaves the others as much
	dry         = 64     // fewer than this queued leave the pumps without work
	commitAfter = 8_192  // answers that are written without waiting for the next tick
)

// loads is what the push services have open: numbers committed as opened whose
// answers are not committed yet. It bounds what a crash makes ambiguous. The
// book's lock guards it.
type loads struct {
	byOrigin map[string]*load
	working  int // of all
	answered int
}

// load is one push service's.
type load struct {
	working  int // queued or in flight
	flying   int // of these, in flight
	answered int // answered since the last commit
	// window is how many may be working at once. It grows only when a refill
	// comes too late, so that a crash leaves little in doubt, however many are
	// to be sent.
	window int
	more   bool // numbers wait for room
}

func (l *loads) of(origin string) *load {
	if l.byOrigin[origin] == nil {
		l.byOrigin[origin] = &load{window: firstWindow}
	}
	return l.byOrigin[origin]
}

func (l *loads) begin(origin string, n int) {
	l.of(origin).working += n
	l.working += n
}

// end takes one task out; answered says that it was made.
func (l *loads) end(origin string, answered bool) {
	load := l.of(origin)
	load.working--
	l.working--
	if answered {
		load.flying--
		load.answered++
		l.answered++
	}
}

// queued is how many have been opened and wait for a pump.
func (l *load) queued() int { return l.working - l.flying }

// committed frees the room of answers that are safe now.
func (l *loads) committed(answered map[string]int) {
	for origin, n := range answered {
		l.of(origin).answered -= n
		l.answered -= n
	}
}

// unsafe is how many answers of each push service are not committed.
func (l *loads) unsafe() map[string]int {
	n := map[string]int{}
	for origin, load := range l.byOrigin {
		if load.answered > 0 {
			n[origin] = load.answered
		}
	}
	return n
}

// room says how many numbers more each push service may have open, given how
// many wait for it. The transaction that opens these commits what was answered,
// so only what is working counts. It forgets push services that have nothing
// to do: their windows begin anew.
func (l *loads) room(waiting map[string]int) map[string]int {
	want := map[string]int{}
	for origin := range waiting {
		l.of(origin)
	}
	for origin, load := range l.byOrigin {
		if load.more && load.queued() < dry {
			load.window = min(2*load.window, mostWindow) // the refill came too late: pumps had nothing to do
		}
		load.more = false
		if n := load.working + waiting[origin]; n > 0 {
			want[origin] = min(n, load.window)
		} else if load.answered == 0 {
			delete(l.byOrigin, origin)
		}
	}
	free, left := shares(want, maxOpen), maxOpen-l.working
	for origin, share := range free {
		// What others have open beyond their share by now can't be taken back: it
		// is waited for, but for what keeps the pumps busy.
		working := l.of(origin).working
		free[origin] = min(share-working, max(left, dry-working))
		left -= max(0, free[origin])
	}
	return free
}

// shares divides total: each gets what it wants, up to an equal part of what
// those who want less have left. One that hangs can't take the others' room,
// and a thousand small ones don't starve a large one.
func shares(want map[string]int, total int) map[string]int {
	names := slices.SortedFunc(maps.Keys(want), func(x, y string) int { return cmp.Or(want[x]-want[y], cmp.Compare(x, y)) })
	got := make(map[string]int, len(want))
	for i, name := range names {
		got[name] = min(want[name], total/(len(names)-i))
		total -= got[name]
	}
	return got
}

// worthWriting reports whether answers should be written now: many have come
// together, nothing is under way, or the push service is about to run dry while
// more waits for it.
func (b *book) worthWriting(origin string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.loads.byOrigin[origin]; l != nil && l.more && (l.working < l.window/2 || l.queued() < l.window/8) {
		return true
	}
	return b.loads.answered >= commitAfter || b.loads.working == 0
}
