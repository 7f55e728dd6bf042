package dispatch

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
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
	now      func() time.Time // the wall's clock: deadlines, readers' hours
	permit   *permit
	held     *leases
	caps     *capBook

	loads   loads
	retries retryQueue
	closing bool // nothing is opened any more

	seen time.Time // when the states were last known to be the store's

	origins *origins

	awake map[int]bool     // cells whose held rows were looked for
	naps  map[int]nap      // by cell
	gone  []news.DeviceRef // answered 404/410, to be marked after the next commit
}

func newBook(a *audience.Audience, p *permit, l *leases, c *capBook, now func() time.Time) *book {
	return &book{runs: map[string]*run{}, stories: map[string][]*run{}, loads: loads{byOrigin: map[string]*load{}},
		awake: map[int]bool{}, naps: map[int]nap{}, origins: newOrigins(), audience: a, permit: p, held: l, caps: c, now: now}
}

// run is one release.
type run struct {
	release news.Release      // as released; its State is in state
	state   news.ReleaseState // newest known, guarded by the book
	cells   map[int]*cellRun
	// replacedBy are the corrections that go to the run's waiting readers
	// instead of it, whether the book has them yet or not.
	replacedBy map[string]bool

	planned int // devices in cells
	payload *payloads
	query   audience.Query // to judge anew who was held back
	settled bool           // the store knows that all is done

	phase   news.Phase            // guarded by the book
	chosen  map[int]*news.Numbers // the canary, by cell; nil: not known yet
	sending time.Duration         // how long the canary was seen to be sent, since it last began
}

// cellRun is one release in one cell, for as long as the cell is ours without a
// break. The fence of its row is of that tenure.
//
// Every number that is still to be sent is in exactly one of: todo, what waits
// for the end of the canary, a task, the retry queue. In the row it is opened
// (and then in no state, or ambiguous) only while it is a task: what the push
// service is known not to have taken is not opened any more.
type cellRun struct {
	run   *run
	row   *news.LedgerRow
	lost  bool // the cell went, or the run is forgotten: whatever still points here is of no use
	dirty bool // the row differs from the store's
	// uncounted: it is not counted for its readers' caps yet.
	uncounted bool

	todo     map[string][]uint32 // waits to be opened, by push service
	tasks    int                 // queued or in flight
	inFlight flying              // handed to the sender and not answered; a stop leaves them alone
	waiting  int                 // in the retry queue
	tries    map[uint32]int      // attempts made, of those that were not the first
	// late are the numbers let go at the end of their quiet hours. They stay
	// held in the row until they are opened, and are again when they were not
	// taken: after a crash they are judged anew.
	late   map[uint32]letGo
	canary canaryPart
}

// letGo is what a number held in quiet hours is sent under.
type letGo struct {
	more  int       // other alerts that the one push stands for
	until time.Time // it may be sent
}

// task is one send to be made.
type task struct {
	cell   *cellRun
	number uint32
	lane   string // origin
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

// adoption is how a row came to be: read from the store, or planned a moment ago.
type adoption struct {
	fence int64
	found bool
	// lines are the numbers that wait, sorted by push service; nil: not yet.
	lines map[string][]uint32
	// uncounted: it has still to be counted for its readers' caps.
	uncounted bool
}

// adopt puts a row under the run. Numbers found opened without an answer were
// perhaps sent before a crash: they become ambiguous and are sent again. A
// correction that has its row takes over who waited for what it replaces.
func (b *book) adopt(r *run, row *news.LedgerRow, how adoption) *cellRun {
	b.mu.Lock()
	defer b.mu.Unlock()
	row.Fence = how.fence
	c := &cellRun{run: r, row: row, dirty: !how.found, uncounted: how.uncounted, todo: map[string][]uint32{},
		tries: map[uint32]int{}, late: map[uint32]letGo{}, canary: canaryPart{later: map[string][]uint32{}}}
	if r.chosen != nil {
		c.choose(r.chosen[row.Cell])
	}
	if how.found {
		lost := row.Pending()
		lost.And(row.Opened)
		if !lost.IsEmpty() {
			row.Ambiguous.Or(lost)
			c.dirty = true
		}
		if !row.Settled {
			b.lateAgain(c)
		}
	}
	r.cells[row.Cell] = c
	r.planned += int(row.Planned.GetCardinality())
	// Other processes have the other cells; all cells are about equal.
	r.payload.sampleOf(r.planned * news.Cells / len(r.cells))
	delete(b.naps, row.Cell)
	b.arrange(c, how.lines)
	for _, x := range b.stories[r.release.StoryURI] {
		b.stopIn(x, row.Cell)
	}
	return c
}

// arrange fills todo with everything of the row that is still to be sent: in
// lines, where it is sorted already.
func (b *book) arrange(c *cellRun, lines map[string][]uint32) {
	if c.row.Settled || c.run.state == news.ReleaseStopped {
		return
	}
	if lines == nil {
		send := c.row.Pending()
		send.Or(c.row.Ambiguous)
		lines = b.origins.sort(b.audience.Cell(c.row.Cell), send)
	}
	switch {
	case !c.run.inCanary():
		c.todo = lines
	case c.canary.members == nil:
		c.canary.later = lines
	default:
		c.queueAll(lines)
	}
}

// originOf is the push service of a device: its lane.
func (b *book) originOf(c *cellRun, number uint32) string {
	return b.origins.number(b.audience.Cell(c.row.Cell), number)
}

// dropCells forgets cells that are not ours any more, or not without a break.
func (b *book) dropCells(cells []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		for _, cell := range cells {
			if c := r.cells[cell]; c != nil {
				c.lost = true
				r.planned -= int(c.row.Planned.GetCardinality())
				delete(r.cells, cell)
			}
		}
	}
	for _, cell := range cells {
		delete(b.awake, cell)
		delete(b.naps, cell)
		b.audience.Cell(cell).Reset()
	}
}

// ours reports whether the row may be acted on and written: the cell is held,
// and has been without a break since the row was read or made.
func (c *cellRun) ours(held *leases) bool {
	fence, ok := held.fence(c.row.Cell)
	return ok && !c.lost && fence == c.row.Fence
}

// starts is ours for who wants to start something.
func (c *cellRun) starts(held *leases) bool {
	fence, ok := held.starts(c.row.Cell)
	return ok && !c.lost && fence == c.row.Fence
}

// unsent is who is planned, was not handed to the sender, or was not taken.
func (c *cellRun) unsent() *news.Numbers {
	n := c.row.Pending()
	n.Or(c.row.Held)
	for f := range c.inFlight.all() {
		n.Remove(f)
	}
	return n
}

// stopWaiting cancels, in every stopped run, what has not been started. What
// is in flight is left: it may arrive, and a repair must follow it.
func (b *book) stopWaiting() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		for cell := range r.cells {
			b.stopIn(r, cell)
		}
	}
}

// stopIn does so for one run in one cell. b.mu is held.
func (b *book) stopIn(r *run, cell int) {
	if c := r.cells[cell]; c != nil && r.state == news.ReleaseStopped && !b.awaitsCorrection(r, cell) {
		b.cancelWaiting(c)
	}
}

// awaitsCorrection reports whether a correction that goes to the run's waiting
// readers instead of it has still to be planned in the cell. Until then they
// stay as they are: their row says who they are, also after a crash.
func (b *book) awaitsCorrection(r *run, cell int) bool {
	for id := range r.replacedBy {
		if x := b.runs[id]; x == nil || x.cells[cell] == nil {
			return true
		}
	}
	return false
}

func (b *book) cancelWaiting(c *cellRun) {
	clear(c.todo)
	clear(c.canary.later)
	if c.row.Settled && c.row.Held.IsEmpty() {
		return
	}
	if len(c.run.replacedBy) > 0 {
		b.countNow(c)
	}
	waiting := c.unsent()
	c.row.Held.AndNot(waiting)
	c.row.Opened.AndNot(waiting)
	c.row.Cancelled.Or(waiting)
	c.dirty = true
	if len(c.run.replacedBy) > 0 {
		return // they were counted, and get a correction instead, which counts as this one did
	}
	for it := waiting.Iterator(); it.HasNext() && b.caps.knows(c.run.release.ID); {
		b.uncount(c, it.Next())
	}
}

// close ends the opening of numbers, for good.
func (b *book) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing = true
}

// unopen takes the mark off everything that was opened and never handed to the
// sender: the lanes take nothing any more.
func (b *book) unopen() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.runs {
		for _, c := range r.cells {
			c.unopen()
		}
	}
}

func (c *cellRun) unopen() {
	unsent := roaring.And(c.unsent(), c.row.Opened)
	for it := unsent.Iterator(); it.HasNext(); {
		c.notTaken(it.Next())
	}
}

// notTaken says that the push service does not have the number's message: it
// is not opened any more. One that has a state by now, ambiguous from before or
// cancelled, keeps it.
func (c *cellRun) notTaken(n uint32) {
	r := c.row
	for _, state := range []*news.Numbers{r.Accepted, r.Gone, r.Failed, r.Ambiguous, r.Cancelled, r.Expired} {
		if state.Contains(n) {
			return
		}
	}
	r.Opened.Remove(n)
	if _, late := c.late[n]; late {
		r.Held.Add(n)
	}
	c.dirty = true
}
