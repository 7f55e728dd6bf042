package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
)

type leaseRow struct {
	Cell  int   `db:"cell"`
	Fence int64 `db:"fence"`
	Until stamp `db:"lease_until"`
}

func leasesOf(rows []leaseRow) []news.Lease {
	out := convert(rows, func(r leaseRow) news.Lease {
		return news.Lease{Cell: r.Cell, Fence: r.Fence, Until: r.Until.Time}
	})
	slices.SortFunc(out, func(a, b news.Lease) int { return a.Cell - b.Cell })
	return out
}

// AcquireCells takes up to limit cells that nobody holds, or whose lease has
// ended, and returns those. Each gets a new fence.
func (s *Store) AcquireCells(ctx context.Context, holder string, ttl time.Duration, limit int) ([]news.Lease, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []leaseRow
	err := s.inTx(ctx, func(c conn) error {
		rows = nil
		now := s.now()
		return c.sel(ctx, &rows, `UPDATE cell_leases SET holder = ?, fence = fence + 1, lease_until = ?
			WHERE cell IN (SELECT cell FROM cell_leases WHERE holder = '' OR lease_until <= ?
				ORDER BY cell LIMIT ?`+c.d.forUpdateSkip+`)
			RETURNING cell, fence, lease_until`, holder, now.Add(ttl), now, limit)
	})
	return leasesOf(rows), s.fail(err, "AcquireCells", holder)
}

// RenewCells prolongs every lease that is still the holder's, also one that
// has ended and that nobody took, and returns those. It says that the holder is
// there, for as long: see Dispatchers.
func (s *Store) RenewCells(ctx context.Context, holder string, ttl time.Duration) ([]news.Lease, error) {
	var rows []leaseRow
	err := s.inTx(ctx, func(c conn) error {
		rows = nil
		until := s.now().Add(ttl)
		if err := c.exec(ctx, `INSERT INTO dispatchers (holder, until) VALUES (?, ?)
			ON CONFLICT (holder) DO UPDATE SET until = excluded.until`, holder, until); err != nil {
			return err
		}
		return c.sel(ctx, &rows, `UPDATE cell_leases SET lease_until = ? WHERE cell IN
			(SELECT cell FROM cell_leases WHERE holder = ? ORDER BY cell`+c.d.forUpdate+`) AND holder = ?
			RETURNING cell, fence, lease_until`, until, holder, holder)
	})
	return leasesOf(rows), s.fail(err, "RenewCells", holder)
}

// Dispatchers is how many processes have said within their time that they are
// there: by RenewCells, and not by YieldCells that they go.
func (s *Store) Dispatchers(ctx context.Context) (n int, err error) {
	err = s.read().get(ctx, &n, "SELECT COUNT(*) FROM dispatchers WHERE until > ?", s.now())
	return n, s.fail(err, "Dispatchers", "")
}

// YieldSome gives some of the holder's cells back; those that are not the holder's
// stay as they are.
func (s *Store) YieldSome(ctx context.Context, holder string, cells []int) error {
	if len(cells) == 0 {
		return nil
	}
	cells = slices.Sorted(slices.Values(cells)) // as everybody locks them
	err := s.inTx(ctx, func(c conn) error {
		for _, cell := range cells {
			if err := c.exec(ctx, `UPDATE cell_leases SET holder = '', lease_until = NULL WHERE cell = ? AND holder = ?`, cell, holder); err != nil {
				return err
			}
		}
		return nil
	})
	return s.fail(err, "YieldSome", holder)
}

// YieldCells gives every cell of the holder back, who goes. Its fences stay used.
// Whoever has been gone for long is forgotten.
func (s *Store) YieldCells(ctx context.Context, holder string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.exec(ctx, "DELETE FROM dispatchers WHERE holder = ? OR until < ?", holder, s.now().Add(-time.Hour)); err != nil {
			return err
		}
		return c.exec(ctx, `UPDATE cell_leases SET holder = '', lease_until = NULL WHERE cell IN
			(SELECT cell FROM cell_leases WHERE holder = ? ORDER BY cell`+c.d.forUpdate+`) AND holder = ?`, holder, holder)
	})
	return s.fail(err, "YieldCells", holder)
}

// CellChanges is the change counter of every cell: all changes up to it are
// committed.
func (s *Store) CellChanges(ctx context.Context) ([news.Cells]int64, error) {
	changes, err := cellChanges(ctx, s.read())
	return changes, s.fail(err, "CellChanges", "")
}

func cellChanges(ctx context.Context, c conn) ([news.Cells]int64, error) {
	var out [news.Cells]int64
	var rows []struct {
		Cell   int   `db:"cell"`
		Change int64 `db:"change"`
	}
	if err := c.sel(ctx, &rows, "SELECT cell, change FROM cells"); err != nil {
		return out, err
	}
	for _, r := range rows {
		out[r.Cell] = r.Change
	}
	return out, nil
}

// turn is what a transaction got from a cell: the first of its device numbers
// and the first of its changes.
type turn struct {
	Number int64 `db:"number"`
	Change int64 `db:"change"`
}

// takeTurns locks cells in ascending order and moves their counters: numbers
// by how many new devices they get, changes by how many devices change (new
// ones included). Every changed device gets a change of its own, so that a
// reader can stop and go on anywhere.
func takeTurns(ctx context.Context, c conn, newDevices, changed map[int]int) (map[int]*turn, error) {
	turns := make(map[int]*turn, len(changed))
	for _, cell := range sortedKeys(changed) {
		if cell < 0 || cell >= news.Cells {
			return nil, fmt.Errorf("there is no cell %d", cell)
		}
		n, m := newDevices[cell], changed[cell]
		var t turn
		if err := c.get(ctx, &t, `UPDATE cells SET next_number = next_number + ?, change = change + ? WHERE cell = ?
			RETURNING next_number AS number, change`, n, m, cell); err != nil {
			return nil, err
		}
		turns[cell] = &turn{Number: t.Number - int64(n), Change: t.Change - int64(m) + 1}
	}
	return turns, nil
}

// next takes the next change.
func (t *turn) next() int64 {
	t.Change++
	return t.Change - 1
}

// nextNumber takes the next number.
func (t *turn) nextNumber() uint32 {
	t.Number++
	return uint32(t.Number - 1)
}
