package dispatch

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
)

// leaveAfter is how long a cell that is to be given back may wait for what is in
// flight in it: what is not answered then is ambiguous for its next holder, who
// sends it again. A join is to be over within 10 s, of which the two processes need
// a look of 2 s each.
const leaveAfter = 3 * time.Second

// share is how many cells this process may hold: as many as any other.
func (s *Service) share(ctx context.Context) (int, error) {
	n, err := s.cfg.Store.Dispatchers(ctx)
	if err != nil {
		return 0, fmt.Errorf("count dispatchers: %w", err)
	}
	n = max(1, n)
	return (news.Cells + n - 1) / n, nil
}

// giveBack marks the cells beyond the share as leaving, and gives back those of them
// in which nothing is left to do.
func (s *Service) giveBack(ctx context.Context, share int) error {
	if s.held.leave(share, time.Now()) {
		signal(s.poke) // the conductor ends what is under way in them
	}
	idle := s.held.idle()
	if len(idle) == 0 {
		return nil
	}
	if err := s.cfg.Store.YieldSome(ctx, s.cfg.Holder, idle); err != nil {
		return fmt.Errorf("give back %d cells: %w", len(idle), err)
	}
	s.held.drop(idle)
	s.log.Info("cells given to another process", "cells", len(idle))
	signal(s.poke) // the conductor drops them
	return nil
}

// leave has no more than share cells stay: the last ones leave. It reports whether
// there are more that leave than before.
func (l *leases) leave(share int, now time.Time) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cells := make([]int, 0, len(l.cells))
	for c := range l.cells {
		cells = append(cells, c)
	}
	slices.Sort(cells)
	for i, c := range cells {
		t := l.cells[c]
		switch goes := i >= share; {
		case goes && !t.leaving:
			t.leaving, t.since, more = true, now, true
		case !goes:
			t.leaving, t.idle = false, false
		}
	}
	return more
}

// leaving are the cells that are to be given back, and those of them that have
// waited for it long enough.
func (l *leases) leaving(now time.Time) (cells, late []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, t := range l.cells {
		if t.leaving {
			if cells = append(cells, c); now.Sub(t.since) >= leaveAfter {
				late = append(late, c)
			}
		}
	}
	return cells, late
}

// rests says in which of the cells that are leaving nothing is left to do: a cell
// that has new work since is not idle any more. It reports whether there are new ones.
func (l *leases) rests(cells []int) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, t := range l.cells {
		idle := t.leaving && slices.Contains(cells, c)
		more = more || idle && !t.idle
		t.idle = idle
	}
	return more
}

// idle are the cells that can be given back.
func (l *leases) idle() (cells []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, t := range l.cells {
		if t.leaving && t.idle {
			cells = append(cells, c)
		}
	}
	return cells
}

// drop forgets cells that were given back.
func (l *leases) drop(cells []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range cells {
		if l.cells[c] != nil {
			delete(l.cells, c)
			l.lost = append(l.lost, c)
			l.given++
			l.held = nil
		}
	}
}

// clearOut ends what is under way in the cells that are leaving, and says which can
// go: those in which everything that was handed over is answered and written down. It
// comes after a write, so that no answer is left to be fenced.
func (s *Service) clearOut() {
	cells, late := s.held.leaving(time.Now())
	if len(cells) == 0 {
		return
	}
	if s.held.rests(append(s.book.clear(cells), late...)) {
		signal(s.renew) // to give them back
	}
}

// clear takes the mark off everything in the cells that was opened and not handed
// to the sender, and gives the cells in which nothing is in flight or unwritten.
func (b *book) clear(cells []int) (done []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cell := range cells {
		busy := false
		for _, r := range b.runs {
			if c := r.cells[cell]; c != nil {
				c.unopen()
				busy = busy || c.dirty || c.inFlight.len() > 0
			}
		}
		if !busy {
			done = append(done, cell)
		}
	}
	return done
}
