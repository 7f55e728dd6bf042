package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// leases are the cells that are ours in the store, and the instant (monotonic)
// until which they are ours without asking again. The lease loop says what is
// ours; the conductor loads what is new and drops what is lost.
type leases struct {
	mu    sync.Mutex
	cells map[int]*tenure
	lost  []int // not dropped by the conductor yet
	given int   // of these, given back
	until time.Time
	asked bool // the store has said at least once what is ours and what is free
	// held is what list gives, until cells come or go: it is asked for at every
	// step. nil: to be made anew.
	held *holding
}

// tenure is the time during which one cell is ours without a break.
type tenure struct {
	fence  int64
	loaded bool // its devices are in memory
	// leaving: it is to be given back; nothing starts in it any more. since when,
	// and whether nothing is left to do before.
	leaving bool
	since   time.Time
	idle    bool
}

func newLeases() *leases { return &leases{cells: map[int]*tenure{}} }

// update replaces what is ours by what the store says. What it names and we did
// not know of is ours, too: the answer to an acquisition may have been lost.
func (l *leases) update(ours []news.Lease, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	named := make(map[int]int64, len(ours))
	for _, lease := range ours {
		named[lease.Cell] = lease.Fence
	}
	for cell, t := range l.cells {
		if fence, ok := named[cell]; !ok || fence != t.fence {
			l.lost = append(l.lost, cell)
			delete(l.cells, cell)
			l.held = nil
		}
	}
	l.take(ours)
	l.until = until
}

// add takes cells just acquired, under the time that update was given: all that
// were free.
func (l *leases) add(got []news.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.take(got)
	l.asked = true
}

func (l *leases) take(leases []news.Lease) {
	for _, lease := range leases {
		if l.cells[lease.Cell] == nil {
			l.cells[lease.Cell] = &tenure{fence: lease.Fence}
		}
	}
}

// fence gives the fencing token of a cell; false when it is not held, or not
// loaded, or its lease may have ended.
func (l *leases) fence(cell int) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.cells[cell]
	if t == nil {
		return 0, false
	}
	return t.fence, t.loaded && time.Now().Before(l.until)
}

// starts is fence for who wants to start something: false, too, where the cell is
// about to be given back.
func (l *leases) starts(cell int) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.cells[cell]
	if t == nil {
		return 0, false
	}
	return t.fence, t.loaded && !t.leaving && time.Now().Before(l.until)
}

// holding is the cells of one moment that were ours and loaded, ascending, with
// the fences they were held under. Nobody changes one.
type holding struct {
	cells  []int
	fences map[int]int64
}

func (l *leases) list() holding {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held == nil {
		l.held = &holding{fences: map[int]int64{}}
		for c, t := range l.cells {
			if t.loaded {
				l.held.cells = append(l.held.cells, c)
				l.held.fences[c] = t.fence
			}
		}
		slices.Sort(l.held.cells)
	}
	return *l.held
}

// current reports whether the leases hold at this moment: a process that was frozen
// may be without knowing it.
func (l *leases) current() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until)
}

// fresh is the cells to be loaded, with their fences.
func (l *leases) fresh() map[int]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := map[int]int64{}
	for c, t := range l.cells {
		if !t.loaded {
			fresh[c] = t.fence
		}
	}
	return fresh
}

// loaded says that the devices of these cells are in memory. A cell that was
// lost meanwhile, even if it has come back, is not meant.
func (l *leases) loaded(cells map[int]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c, fence := range cells {
		if t := l.cells[c]; t != nil && t.fence == fence {
			t.loaded = true
			l.held = nil
		}
	}
}

// takeLost gives the cells that went since it was last asked, and how many of them
// were given back.
func (l *leases) takeLost() (lost []int, given int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost, given = l.lost, l.given
	l.lost, l.given = nil, 0
	return lost, given
}

func (l *leases) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.cells)
}

// disturbed reports whether the conductor has cells to drop or to load.
func (l *leases) disturbed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.cells {
		if !t.loaded {
			return true
		}
	}
	return len(l.lost) > 0
}

// settledIn reports whether the store has answered and everything that is ours
// is loaded.
func (l *leases) settledIn() bool {
	l.mu.Lock()
	asked := l.asked
	l.mu.Unlock()
	return asked && !l.disturbed() // in this order: what came with the answer counts
}

// leaseLoop renews every third of the lease, and takes what is free. After a
// failure it tries again sooner: two thirds of a lease are soon over.
func (s *Service) leaseLoop(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case <-s.renew:
		}
		next := s.cfg.LeaseTTL / 3
		if err := s.holdCells(ctx); err != nil && ctx.Err() == nil {
			next /= 4
			s.log.Warn("leases were not renewed; they run out by themselves", "err", err)
		}
		timer.Reset(next)
	}
}

// holdCells renews what is held, gives back what is too much, and acquires of what
// is free its share.
func (s *Service) holdCells(ctx context.Context) error {
	if err := s.renewCells(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LeaseTTL/3)
	defer cancel()
	share, err := s.share(ctx)
	if err != nil {
		return err
	}
	if err := s.giveBack(ctx, share); err != nil {
		return err
	}
	room := share - s.held.size()
	if room <= 0 {
		s.held.add(nil)
		return nil
	}
	got, err := s.cfg.Store.AcquireCells(ctx, s.cfg.Holder, s.cfg.LeaseTTL, room)
	if err != nil {
		return fmt.Errorf("acquire cells: %w", err)
	}
	s.held.add(got)
	if len(got) > 0 {
		s.log.Info("cells acquired", "cells", len(got))
		signal(s.poke) // the conductor loads them
	}
	return nil
}

// renewCells renews what is held.
func (s *Service) renewCells(ctx context.Context) error {
	asked := time.Now()
	// Two thirds: a process that can't renew stops before others may take over,
	// whatever the clocks' rates.
	until := asked.Add(s.cfg.LeaseTTL * 2 / 3)
	ctx, cancel := context.WithTimeout(ctx, s.cfg.LeaseTTL/3)
	defer cancel()
	renewed, err := s.cfg.Store.RenewCells(ctx, s.cfg.Holder, s.cfg.LeaseTTL)
	if err != nil {
		return fmt.Errorf("renew cells: %w", err)
	}
	s.held.update(renewed, until)
	if s.held.disturbed() {
		signal(s.poke) // the conductor drops and loads
	}
	return nil
}

// takeIn drops the cells that were lost and loads those that came. It loads a
// few at a time and goes on at the next step: answers have to be written
// between. Only the conductor does this, so nobody else changes a cell's
// devices meanwhile.
func (s *Service) takeIn(ctx context.Context) error {
	if lost, given := s.held.takeLost(); len(lost) > 0 {
		if len(lost) > given {
			s.log.Warn("cells moved to another process", "cells", len(lost)-given)
		}
		s.book.dropCells(lost)
	}
	for begun := time.Now(); time.Since(begun) < loadSlice; {
		fresh := s.held.fresh()
		if len(fresh) == 0 {
			break
		}
		for _, c := range slices.Sorted(maps.Keys(fresh))[min(s.loadAtOnce, len(fresh)):] {
			delete(fresh, c)
		}
		start := time.Now()
		s.loading.begin(start)
		if err := s.load(ctx, fresh); err != nil {
			return fmt.Errorf("load %d cells: %w", len(fresh), err)
		}
		if took := time.Since(start); took < loadSlice/4 {
			s.loadAtOnce *= 2
		} else if took > loadSlice {
			s.loadAtOnce = max(runtime.GOMAXPROCS(0), s.loadAtOnce/2) // a cell for each processor
		}
		s.loading.report(s, len(s.held.fresh()))
	}
	switch {
	case len(s.held.fresh()) > 0:
		signal(s.poke)
	case s.held.settledIn() && s.loaded.CompareAndSwap(false, true):
		close(s.ready)
	}
	return nil
}

// loadSlice is how long cells are loaded before answers are written again.
const loadSlice = 100 * time.Millisecond

// load brings cells into memory: their devices, and today's alerts of readers
// with a cap.
func (s *Service) load(ctx context.Context, cells map[int]int64) error {
	list := slices.Sorted(maps.Keys(cells))
	if err := errors.Join(s.loadDevices(ctx, list), s.rebuildCaps(ctx, list)); err != nil {
		return err
	}
	s.held.loaded(cells)
	return nil
}
