package dispatch

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// book is the ledger in memory: every release this process works on, with a
// row per held cell. The rows are the truth for their cells while the lease
// lasts; the store gets copies of them.
type book struct {
	mu       sync.Mutex
	runs     map[string]*run
	stories  map[string][]*run // by story URI, by revision
	active   []news.Release    // as the store last listed them
	audience *audience.Audience
	now      func() time.Time
	permit   *permit
	held     *leases

	loads    map[string]*load // by push service
	retries  retryQueue
	awake    map[int]bool     // cells whose held rows were looked for
	lastWake time.Time        // used by the conductor alone
	gone     []news.DeviceRef // answered 404/410, to be marked after the next commit
}

func newBook(a *audience.Audience, p *permit, l *leases, now func() time.Time) *book {
	return &book{runs: map[string]*run{}, stories: map[string][]*run{}, loads: map[string]*load{}, awake: map[int]bool{},
		audience: a, permit: p, held: l, now: now}
}

// load is what one push service has open: numbers committed as opened whose
// answers are not committed yet. It bounds what a crash makes ambiguous.
type load struct {
	working  int // queued or in flight
	answered int // answered since the last commit
	// window is how many may be working at once. It grows only when a refill
	// comes too late, so that a crash leaves little in doubt, however many are
	// to be sent.
	window int
	more   bool // numbers wait for room
}

func (b *book) load(origin string) *load {
	if b.loads[origin] == nil {
		b.loads[origin] = &load{window: firstWindow}
	}
	return b.loads[origin]
}

// run is one release.
type run struct {
	release news.Release      // as released; its State is in state
	state   news.ReleaseState // newest known, guarded by the book
	cells   map[int]*cellRun
	payload *payloads
	query   audience.Query // to judge anew who was held back
	settled bool           // the store knows that all is done
}

// cellRun is one release in one cell, for as long as the cell is ours without a
// break. The fence of its row is of that tenure.
type cellRun struct {
	row  *news.LedgerRow
	lost bool // the cell went, or the run is forgotten: whatever still points here is of no use
	// todo are planned numbers that wait to be opened, by push service.
	todo map[string][]uint32
	// inFlight were handed to the sender and have not been answered; a stop
	// leaves them alone: they may have arrived.
	inFlight map[uint32]bool
	// extra says, for numbers let go at the end of their quiet hours, how many
	// other alerts the one push stands for, and until when it may be sent.
	extra map[uint32]letGo
	queue int // tasks queued, in flight or waiting for a retry
	dirty bool
}

// letGo is what a number held in quiet hours is sent under.
type letGo struct {
	more  int
	until time.Time
}

// task is one send to be made.
type task struct {
	run    *run
	cell   *cellRun
	number uint32
	lane   string // origin
	tries  int    // attempts made before
}

// weight orders tasks in a lane: lower goes first. A kill and a correction
// overtake everything, then the loudest level.
func weight(r *news.Release) int {
	switch {
	case r.Kind == news.ReleaseKill:
		return 0
	case r.Kind == news.ReleaseCorrection:
		return 1
	}
	return 2 + int(news.LevelFlash-r.Level)
}

const weights = 5

// ordered lists the runs, the most urgent first.
func (b *book) ordered() []*run {
	runs := make([]*run, 0, len(b.runs))
	for _, r := range b.runs {
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(x, y *run) int {
		return cmp.Or(cmp.Compare(weight(&x.release), weight(&y.release)),
			x.release.ReleasedAt.Compare(y.release.ReleasedAt), cmp.Compare(x.release.ID, y.release.ID))
	})
	return runs
}

// adopt puts a row under the run. Numbers found opened without an answer were
// perhaps sent before a crash: they become ambiguous and are sent again.
func (b *book) adopt(r *run, row *news.LedgerRow, fence int64, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	row.Fence = fence
	c := &cellRun{row: row, todo: map[string][]uint32{}, inFlight: map[uint32]bool{}, extra: map[uint32]letGo{}, dirty: !found}
	if found {
		lost := row.Pending()
		lost.And(row.Opened)
		if !lost.IsEmpty() {
			row.Ambiguous.Or(lost)
			c.dirty = true
		}
	}
	r.cells[row.Cell] = c
	b.arrange(r, c)
}

// arrange fills todo with everything of the row that is still to be sent.
func (b *book) arrange(r *run, c *cellRun) {
	if c.row.Settled || r.state == news.ReleaseStopped {
		return
	}
	send := c.row.Pending()
	send.Or(c.row.Ambiguous)
	cell := b.audience.Cell(c.row.Cell)
	for it := send.Iterator(); it.HasNext(); {
		n := it.Next()
		origin := originOf(cell, n)
		c.todo[origin] = append(c.todo[origin], n)
	}
}

// dropCells forgets cells that another process holds now.
func (b *book) dropCells(cells []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		for _, cell := range cells {
			if c := r.cells[cell]; c != nil {
				c.lost = true
				delete(r.cells, cell)
			}
		}
	}
	for _, cell := range cells {
		delete(b.awake, cell)
		b.audience.Cell(cell).Reset()
	}
}

// stopWaiting cancels, in every stopped run, what has not been started. What
// is in flight is left: it may arrive, and a repair must follow it.
func (b *book) stopWaiting() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		if r.state != news.ReleaseStopped {
			continue
		}
		for _, c := range r.cells {
			b.cancelWaiting(c)
		}
	}
}

func (b *book) cancelWaiting(c *cellRun) {
	waiting := c.row.Pending()
	waiting.Or(c.row.Held)
	for n := range c.inFlight {
		waiting.Remove(n)
	}
	clear(c.todo)
	if waiting.IsEmpty() && c.row.Settled {
		return
	}
	c.row.Held.AndNot(waiting)
	c.row.Cancelled.Or(waiting)
	c.dirty = true
}

// ours reports whether the row may be acted on and written: the cell is held,
// and has been without a break since the row was read or made.
func (c *cellRun) ours(held *leases) bool {
	fence, ok := held.fence(c.row.Cell)
	return ok && !c.lost && fence == c.row.Fence
}

// originOf is the push service of a device: its lane.
func originOf(c *audience.Cell, number uint32) string {
	to, _ := c.Target(number)
	return push.Origin(to.Endpoint)
}
