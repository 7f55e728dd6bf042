package dispatch

import (
	"context"
	"fmt"

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
	err = s.cfg.Store.CellDevices(ctx, behind, after, func(d news.Device) error {
		s.audience.Cell(d.Cell).Put(d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("devices of %d cells: %w", len(behind), err)
	}
	for _, c := range behind {
		s.audience.Cell(c).SetChange(changes[c])
	}
	return nil
}
