package dispatch

import (
	"context"
	"fmt"
	"time"

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

// rebuildCaps counts again, from the ledger, what readers with a cap were sent
// on their local day (DESIGN 7, "rebuilt from the ledger when a cell moves").
func (s *Service) rebuildCaps(ctx context.Context, cells []int) error {
	recent, err := s.cfg.Store.ReleasesSince(ctx, s.cfg.Now().Add(-capHours*time.Hour))
	if err != nil {
		return fmt.Errorf("recent releases: %w", err)
	}
	var ids []string
	byID := map[string]news.Release{}
	for _, r := range recent {
		if r.Kind == news.ReleaseAlert {
			ids = append(ids, r.ID)
			byID[r.ID] = r
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := s.cfg.Store.Ledger(ctx, ids, cells)
	if err != nil {
		return fmt.Errorf("ledger of %d releases: %w", len(ids), err)
	}
	for _, row := range rows {
		s.countCaps(byID[row.ReleaseID], row.Cell, capped(row))
	}
	return nil
}

// capped is who a row counts for: sent to, or about to be.
func capped(row *news.LedgerRow) *news.Numbers {
	n := row.Pending()
	n.Or(row.Accepted)
	n.Or(row.Ambiguous)
	return n
}

// countCaps notes a release against the cap of each of the numbers.
func (s *Service) countCaps(r news.Release, cell int, numbers *news.Numbers) {
	c := s.audience.Cell(cell)
	for it := numbers.Iterator(); it.HasNext(); {
		d, ok := c.Device(it.Next())
		if ok && d.Wishes.Cap > 0 && countsForCap(r.Level, d.Wishes) {
			s.caps.note(d.SubscriberID, d.Wishes.Timezone, r.ID, r.ReleasedAt)
		}
	}
}

// countsForCap: a flash passes the cap, and does not use it up, unless the
// reader asked for no exception.
func countsForCap(l news.Level, w news.Wishes) bool {
	return l != news.LevelFlash || (w.Quiet != nil && !w.Quiet.Flash)
}
