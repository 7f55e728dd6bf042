package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dateline/internal/news"
)

// Limits of the write-ahead (DESIGN 8).
const (
	maxOpen      = 20_000 // devices of a process opened without a committed answer
	blockSize    = 4_096  // numbers opened at once in a cell
	firstWindow  = 512    // numbers a push service has open at first
	dry          = 64     // fewer than this under way leave workers idle
	rowsPerWrite = 512    // rows in one transaction: it must not hold the database long
	commitAfter  = 2_048  // answers that are written without waiting for the next tick
)

// write is one batch for the store: copies of the dirty rows, and the tasks
// that may be queued once their row is committed.
type write struct {
	rows  []*news.LedgerRow
	tasks map[*news.LedgerRow][]task // by the copy
	loads map[string]int             // answers that this write commits, by push service
	gone  []news.DeviceRef
}

// writeLedger opens the next blocks, writes every changed row and then, not
// before, queues what was opened.
func (s *Service) writeLedger(ctx context.Context) error {
	w := s.book.prepare()
	for rows := range slices.Chunk(w.rows, rowsPerWrite) {
		if err := s.cfg.Store.SaveLedger(ctx, s.cfg.Holder, rows); err != nil {
			s.book.undo(w, rows[0])
			if errors.Is(err, news.ErrFenced) {
				s.figures.Fenced.Add(1)
				signal(s.renew) // to learn which cells are gone
			}
			return fmt.Errorf("write %d ledger rows: %w", len(rows), err)
		}
		s.figures.Commits.Add(1)
		for _, row := range rows {
			s.lanes.enqueue(w.tasks[row])
		}
	}
	s.book.committed(w)
	if len(w.gone) == 0 {
		return nil
	}
	if err := s.cfg.Store.MarkGone(ctx, w.gone); err != nil {
		s.book.goneAgain(w.gone)
		return fmt.Errorf("mark %d devices gone: %w", len(w.gone), err)
	}
	return nil
}

// prepare opens what the push services have room for and copies every row that
// differs from the store's.
func (b *book) prepare() *write {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &write{tasks: map[*news.LedgerRow][]task{}, loads: map[string]int{}, gone: b.gone}
	b.gone = nil
	for origin, l := range b.loads {
		w.loads[origin] = l.answered
	}
	room := b.room()
	for _, r := range b.ordered() {
		for _, c := range r.cells {
			if !c.ours(b.held) {
				continue
			}
			var opened []task
			if r.state == news.ReleaseSending || r.state == news.ReleaseSent {
				opened = b.openBlock(r, c, room)
			}
			b.markRow(r, c)
			if !c.dirty {
				continue
			}
			c.dirty = false
			copied := cloneRow(c.row, c.row.Fence)
			w.rows = append(w.rows, copied)
			if len(opened) > 0 {
				w.tasks[copied] = opened
			}
		}
	}
	return w
}

// room is how many numbers each push service may have opened more. The share
// is equal, so that one that hangs can't take the others' room.
func (b *book) room() func(origin string) *int {
	origins := map[string]bool{}
	for _, r := range b.runs {
		for _, c := range r.cells {
			for origin := range c.todo {
				origins[origin] = true
			}
		}
	}
	for origin, l := range b.loads {
		if l.working+l.answered > 0 {
			origins[origin] = true
		}
	}
	left := map[string]*int{}
	return func(origin string) *int {
		if left[origin] == nil {
			l := b.load(origin)
			if l.more && l.working < dry {
				l.window *= 2 // the refill came too late: workers had nothing to do
			}
			l.window = min(l.window, maxOpen/max(1, len(origins)))
			l.more = false
			// The same transaction opens these and commits what was answered.
			free := l.window - l.working
			left[origin] = &free
		}
		return left[origin]
	}
}

// openBlock takes at most a block of the row's numbers that wait.
func (b *book) openBlock(r *run, c *cellRun, room func(string) *int) []task {
	var tasks []task
	for origin, numbers := range c.todo {
		free := room(origin)
		n := min(len(numbers), *free, blockSize-len(tasks))
		if n < len(numbers) {
			b.load(origin).more = true
		}
		if n <= 0 {
			continue
		}
		for _, number := range numbers[:n] {
			c.row.Opened.Add(number)
			tasks = append(tasks, task{run: r, cell: c, number: number, lane: origin})
		}
		*free -= n
		b.load(origin).working += n
		c.queue += n
		c.dirty = true
		if n == len(numbers) {
			delete(c.todo, origin)
		} else {
			c.todo[origin] = numbers[n:]
		}
	}
	return tasks
}

// markRow says in the row whether anything is left to do for it.
func (b *book) markRow(r *run, c *cellRun) {
	settled := c.row.Pending().IsEmpty()
	if r.state == news.ReleaseStopped {
		settled = settled && len(c.inFlight) == 0
	} else {
		settled = settled && c.queue == 0 && len(c.todo) == 0
	}
	if settled != c.row.Settled {
		c.row.Settled, c.dirty = settled, true
	}
}

func cloneRow(r *news.LedgerRow, fence int64) *news.LedgerRow {
	c := *r
	c.Fence = fence
	for _, set := range []**news.Numbers{&c.Planned, &c.Held, &c.Opened, &c.Accepted, &c.Gone,
		&c.Failed, &c.Ambiguous, &c.Cancelled, &c.Expired} {
		*set = (*set).Clone()
	}
	c.Timing = news.Timing{}
	c.Timing.Merge(r.Timing)
	return &c
}

// committed frees the room of the answers that are safe now.
func (b *book) committed(w *write) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for origin, n := range w.loads {
		b.load(origin).answered -= n
	}
}

// undo takes back what was prepared, from the row `from` on: those rows are
// still to be written, and what they opened still waits.
func (b *book) undo(w *write, from *news.LedgerRow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, w.gone...)
	failed := false
	for _, row := range w.rows {
		failed = failed || row == from
		if !failed {
			continue
		}
		for _, t := range w.tasks[row] {
			t.cell.todo[t.lane] = append(t.cell.todo[t.lane], t.number)
			b.done(t)
		}
		if r := b.runs[row.ReleaseID]; r != nil && r.cells[row.Cell] != nil {
			r.cells[row.Cell].dirty = true
		}
	}
}

func (b *book) goneAgain(refs []news.DeviceRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, refs...)
}
