package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// leases are the cells held here, with the instant (monotonic) until which
// they are ours without asking again.
type leases struct {
	mu    sync.Mutex
	cells map[int]news.Lease
	until time.Time
}

func newLeases() *leases { return &leases{cells: map[int]news.Lease{}} }

// set replaces what is held; it returns the cells that are lost and new.
func (l *leases) set(now []news.Lease, until time.Time) (lost []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next := make(map[int]news.Lease, len(now))
	for _, lease := range now {
		if _, ours := l.cells[lease.Cell]; ours {
			next[lease.Cell] = lease
		}
	}
	for cell, old := range l.cells {
		if lease, ours := next[cell]; !ours || lease.Fence != old.Fence {
			lost = append(lost, cell)
			delete(next, cell)
		}
	}
	l.cells, l.until = next, until
	return lost
}

// add takes cells just acquired, under the time that set was given.
func (l *leases) add(got []news.Lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range got {
		l.cells[lease.Cell] = lease
	}
}

// fence gives the fencing token of a cell, false when it is not held now.
func (l *leases) fence(cell int) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease, ok := l.cells[cell]
	return lease.Fence, ok && time.Now().Before(l.until)
}

// list is the cells held, ascending.
func (l *leases) list() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	cells := make([]int, 0, len(l.cells))
	for c := range l.cells {
		cells = append(cells, c)
	}
	slices.Sort(cells)
	return cells
}

// leaseLoop renews every third of the lease, and takes what is free.
func (s *Service) leaseLoop(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.LeaseTTL / 3)
	defer tick.Stop()
	for {
		if err := s.holdCells(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("leases were not renewed; they run out by themselves", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// holdCells renews what is held and acquires what is free. New cells are
// loaded before they are offered to the conductor.
func (s *Service) holdCells(ctx context.Context) error {
	asked := time.Now()
	// Two thirds: a process that can't renew stops before others may take over,
	// whatever the clocks' rates.
	until := asked.Add(s.cfg.LeaseTTL * 2 / 3)
	renewed, err := s.cfg.Store.RenewCells(ctx, s.cfg.Holder, s.cfg.LeaseTTL)
	if err != nil {
		return fmt.Errorf("renew cells: %w", err)
	}
	if lost := s.held.set(renewed, until); len(lost) > 0 {
		s.log.Warn("cells moved to another process", "cells", len(lost))
		s.book.dropCells(lost)
	}
	if len(renewed) == news.Cells {
		return nil
	}
	got, err := s.cfg.Store.AcquireCells(ctx, s.cfg.Holder, s.cfg.LeaseTTL, news.Cells)
	if err != nil {
		return fmt.Errorf("acquire cells: %w", err)
	}
	if len(got) == 0 {
		return nil
	}
	cells := make([]int, 0, len(got))
	for _, lease := range got {
		cells = append(cells, lease.Cell)
	}
	if err := s.takeOver(ctx, cells); err != nil {
		return fmt.Errorf("load %d cells: %w", len(cells), err)
	}
	s.held.add(got)
	s.log.Info("cells acquired", "cells", len(got))
	if s.loaded.CompareAndSwap(false, true) {
		close(s.ready)
	}
	s.Poke()
	return nil
}

// takeOver loads the devices of cells and what was held back in them, and
// counts today's alerts for readers with a cap.
func (s *Service) takeOver(ctx context.Context, cells []int) error {
	if err := s.loadDevices(ctx, cells); err != nil {
		return err
	}
	return s.rebuildCaps(ctx, cells)
}
