package dispatch

import (
	"context"
	"errors"
	"time"

	"dateline/internal/news"
)

// This file has the store keep snapshots of the cells, from which the next
// process that takes them loads.

const (
	// snapshotFirst is the first look after the start, snapshotEvery between looks:
	// a snapshot that is behind costs its next reader time and nothing else.
	snapshotFirst = time.Minute
	snapshotEvery = 10 * time.Minute
	// snapshotRest times what a part took is the rest after it: a quarter of a
	// processor's time and of the database's goes into snapshots.
	snapshotRest = 3
)

// snapshotLoop keeps this process's cells in snapshots until ctx ends.
func (s *Service) snapshotLoop(ctx context.Context) error {
	for wait := snapshotFirst; ; wait = snapshotEvery {
		if err := sleep(ctx, wait); err != nil {
			return err
		}
		began := time.Now()
		written, err := s.refreshSnapshots(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil: // the store is down, or slow: others say so, and nothing depends on this
			s.log.Warn("snapshots of cells for the next start", "written", written, "error", err)
		case written > 0:
			s.log.Info("snapshots of cells for the next start", "written", written, "took", time.Since(began).Round(time.Millisecond))
		}
	}
}

// refreshSnapshots writes those that are due, while nothing goes out.
func (s *Service) refreshSnapshots(ctx context.Context) (written int, err error) {
	stale, err := s.cfg.Store.StaleSnapshots(ctx, s.held.list().cells)
	if err != nil {
		return 0, err
	}
	var faults error
	for _, cell := range stale {
		if err := s.untilQuiet(ctx); err != nil {
			return written, err
		}
		if _, held := s.held.fence(cell); !held { // another process's by now
			continue
		}
		err := s.cfg.Store.SnapshotCell(ctx, cell, func(took time.Duration) error {
			if err := sleep(ctx, snapshotRest*took); err != nil {
				return err
			}
			return s.untilQuiet(ctx)
		})
		if err != nil {
			faults = errors.Join(faults, err)
			if ctx.Err() != nil || errors.Is(err, news.ErrUnavailable) {
				return written, faults
			}
			continue
		}
		written++
	}
	return written, faults
}

// untilQuiet waits while something goes out.
func (s *Service) untilQuiet(ctx context.Context) error {
	for s.busy() {
		if err := sleep(ctx, armLook); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
