package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"dateline/internal/news"
)

// rowsPerWrite rows go into one transaction: it must not hold the database long.
const rowsPerWrite = 512

// write is one batch for the store: copies of the dirty rows, and the tasks
// that may be queued once their row is committed.
type write struct {
	rows     []*news.LedgerRow
	from     map[*news.LedgerRow]*cellRun
	tasks    map[*news.LedgerRow][]task // by the copy
	answered map[string]int             // answers that this write commits, by push service
	gone     []news.DeviceRef
}

// writeLedger opens the next blocks, writes every changed row and then, not
// before, queues what was opened.
func (s *Service) writeLedger(ctx context.Context) error {
	w := s.book.prepare()
	if len(w.rows) > 0 {
		s.stir()
	}
	for _, rows := range chunks(w.rows, rowsPerWrite) {
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

// chunks cuts rows, which are sorted by cell, into parts of about size. All rows
// of a cell stay together: a correction takes over who waited for the original,
// and one must not be stored without the other.
func chunks(rows []*news.LedgerRow, size int) [][]*news.LedgerRow {
	var out [][]*news.LedgerRow
	for len(rows) > 0 {
		end := min(size, len(rows))
		for end < len(rows) && rows[end].Cell == rows[end-1].Cell {
			end++
		}
		out = append(out, rows[:end])
		rows = rows[end:]
	}
	return out
}

// prepare opens what the push services have room for and copies every row that
// differs from the store's.
func (b *book) prepare() *write {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := &write{from: map[*news.LedgerRow]*cellRun{}, tasks: map[*news.LedgerRow][]task{}, answered: b.loads.unsafe(), gone: b.gone}
	b.gone = nil
	room := b.loads.room(b.waiting())
	for _, r := range b.ordered() {
		for _, c := range r.inOrder() {
			if !c.dirty && len(c.todo) == 0 || !c.ours(b.held) {
				continue
			}
			opened := b.openBlock(c, room)
			if !c.dirty {
				continue
			}
			c.markSettled()
			b.tally(c)
			c.dirty = false
			copied := cloneRow(c.row)
			w.rows = append(w.rows, copied)
			w.from[copied], w.tasks[copied] = c, opened
		}
	}
	slices.SortStableFunc(w.rows, func(x, y *news.LedgerRow) int { return x.Cell - y.Cell })
	return w
}

// inOrder lists the run's rows by cell: one after the other is finished, and what is
// half done, and written again and again, is little.
func (r *run) inOrder() []*cellRun {
	rows := make([]*cellRun, 0, len(r.cells))
	for cell := range news.Cells {
		if c := r.cells[cell]; c != nil {
			rows = append(rows, c)
		}
	}
	return rows
}

// opens reports whether the run's numbers may be opened.
func (r *run) opens() bool { return r.state == news.ReleaseSending || r.state == news.ReleaseSent }

// waiting is how many numbers wait to be opened, by push service.
func (b *book) waiting() map[string]int {
	n := map[string]int{}
	for _, r := range b.runs {
		if !r.opens() {
			continue
		}
		for _, c := range r.cells {
			for origin, numbers := range c.todo {
				n[origin] += len(numbers)
			}
		}
	}
	return n
}

// openBlock takes at most a block of the row's numbers that wait.
func (b *book) openBlock(c *cellRun, room map[string]int) []task {
	if b.closing || !c.run.opens() || !c.starts(b.held) {
		return nil
	}
	var tasks []task
	for origin, numbers := range c.todo {
		n := max(0, min(len(numbers), room[origin], blockSize-len(tasks)))
		if n < len(numbers) {
			b.loads.of(origin).more = true
		}
		for _, number := range numbers[:n] {
			c.row.Opened.Add(number)
			c.row.Held.Remove(number)
			c.dirty = true
			tasks = append(tasks, task{cell: c, number: number, lane: origin})
		}
		room[origin] -= n
		b.loads.begin(origin, n)
		c.tasks += n
		if n == len(numbers) {
			delete(c.todo, origin)
		} else {
			c.todo[origin] = numbers[n:]
		}
	}
	return tasks
}

// markSettled says in the row whether anything is left to do for it. In a
// stopped run that is only what is in flight.
func (c *cellRun) markSettled() {
	busy := c.inFlight.len() > 0
	if c.run.state != news.ReleaseStopped {
		busy = busy || c.tasks > 0 || c.waiting > 0 || len(c.todo) > 0 || len(c.canary.later) > 0
	}
	c.row.Settled = !busy && c.row.Pending().IsEmpty() // last: it copies a set
}

// cloneRow copies a row, in the form in which it is shortest: blocks are opened and
// answered nearly in order, so that a set of thousands is a few runs.
func cloneRow(r *news.LedgerRow) *news.LedgerRow {
	c := *r
	for _, set := range []**news.Numbers{&c.Planned, &c.Held, &c.Opened, &c.Accepted, &c.Gone,
		&c.Failed, &c.Ambiguous, &c.Cancelled, &c.Expired} {
		*set = (*set).Clone()
		(*set).RunOptimize()
	}
	c.Timing = news.Timing{}
	c.Timing.Merge(r.Timing)
	return &c
}

// committed frees the room of the answers that are safe now.
func (b *book) committed(w *write) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.loads.committed(w.answered)
}

// undo takes back what was prepared, from the row `from` on: those rows are
// still to be written, and what they opened still waits.
func (b *book) undo(w *write, from *news.LedgerRow) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, w.gone...)
	for _, row := range w.rows[slices.Index(w.rows, from):] {
		w.from[row].dirty = true
		for _, t := range w.tasks[row] {
			b.end(t, false)
			b.putBack(t)
		}
	}
}

func (b *book) goneAgain(refs []news.DeviceRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gone = append(b.gone, refs...)
}
