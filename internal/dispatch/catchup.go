package dispatch

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/news"
)

// loadDevices brings cells up to the store's last change. The changes are read
// first: what commits in between is fetched now and again later, never missed.
func (s *Service) loadDevices(ctx context.Context, cells []int) error {
	changes, err := s.cfg.Store.CellChanges(ctx)
	if err != nil {
		return fmt.Errorf("cell changes: %w", err)
	}
	var behind []int
	var after []int64
	for _, c := range cells {
		have := s.audience.Cell(c).Change()
		if have < changes[c] {
			behind = append(behind, c)
			after = append(after, have)
		}
	}
	if len(behind) == 0 {
		return nil
	}
	if err := s.streamCells(ctx, behind, after); err != nil {
		return fmt.Errorf("devices of %d cells: %w", len(behind), err)
	}
	for _, c := range behind {
		s.audience.Cell(c).SetChange(changes[c])
	}
	return nil
}

// streamCells reads and puts devices. The processors share the cells: to read a
// row, to unseal and to pack it takes one of them 10 µs.
func (s *Service) streamCells(ctx context.Context, cells []int, after []int64) error {
	workers := min(runtime.GOMAXPROCS(0), len(cells))
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		var mine []int
		var from []int64
		for i := w; i < len(cells); i += workers {
			mine, from = append(mine, cells[i]), append(from, after[i])
		}
		group.Go(func() error {
			return s.cfg.Store.CellDevices(ctx, mine, from, func(d news.Device) error {
				s.audience.Cell(d.Cell).Put(d)
				return nil
			})
		})
	}
	return group.Wait()
}

// loadReport is how often the log says how far loading is.
const loadReport = 3 * time.Second

// loading is a load that takes more than a moment; the conductor's own.
type loading struct{ began, said time.Time }

func (l *loading) begin(now time.Time) {
	if l.began.IsZero() {
		l.began, l.said = now, now
	}
}

// report logs how far it is, now and then, and the end.
func (l *loading) report(s *Service, left int) {
	now := time.Now()
	if held := s.held.size(); now.Sub(l.said) >= loadReport || left == 0 {
		l.said = now
		what := "loading devices"
		if left == 0 {
			what = "devices loaded"
		}
		s.log.Info(what, "cells", held-left, "of", held, "devices", s.audience.Size().Active, "took", now.Sub(l.began).Round(time.Millisecond))
	}
	if left == 0 {
		*l = loading{}
	}
}
