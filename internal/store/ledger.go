package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/news"
)

// ledgerColumns: the keys, then what an upsert overwrites.
const (
	ledgerKeys   = "release_id, cell, "
	ledgerValues = "fence, settled, planned, held, opened, accepted, gone, failed, ambiguous, cancelled, expired, " +
		"quarantined, n_planned, n_held, n_accepted, n_gone, n_failed, n_ambiguous, n_cancelled, n_expired, timing, canary"
	ledgerWidth = 24
	// ledgerBatch rows a statement: 64 x 24 parameters, far under SQLite's 32,766.
	ledgerBatch = 64
)

type timingJSON struct {
	First   time.Time   `json:"first,omitzero"`
	Last    time.Time   `json:"last,omitzero"`
	Buckets map[int]int `json:"buckets,omitempty"`
}

func timingOf(d document[timingJSON]) news.Timing {
	return news.Timing{First: d.V.First, Last: d.V.Last, Buckets: d.V.Buckets}
}

// ledgerArgs are a row's parameters in the order of the columns.
func ledgerArgs(r *news.LedgerRow) ([]any, error) {
	args := []any{r.ReleaseID, r.Cell, r.Fence, r.Settled}
	for _, set := range []*news.Numbers{r.Planned, r.Held, r.Opened, r.Accepted, r.Gone, r.Failed,
		r.Ambiguous, r.Cancelled, r.Expired} {
		raw, err := packNumbers(set)
		if err != nil {
			return nil, fmt.Errorf("cell %d: %w", r.Cell, err)
		}
		args = append(args, raw)
	}
	n := r.Counts()
	timing := doc(timingJSON{First: micro(r.Timing.First), Last: micro(r.Timing.Last), Buckets: r.Timing.Buckets})
	return append(args, r.Quarantined, n.Reachable, n.Held, n.Accepted, n.Gone, n.Failed, n.Ambiguous,
		n.Cancelled, n.Expired, timing, doc(r.Canary)), nil
}

// packNumbers is a bitmap's bytes; none for an empty one.
func packNumbers(n *news.Numbers) ([]byte, error) {
	if n.IsEmpty() {
		return []byte{}, nil
	}
	return n.ToBytes()
}

func unpackNumbers(raw []byte) (*news.Numbers, error) {
	n := roaring.New()
	if len(raw) == 0 {
		return n, nil
	}
	_, err := n.ReadFrom(bytes.NewReader(raw)) // copies: raw may be reused
	return n, err
}

// SaveLedger writes whole rows in one transaction. Every row's Fence must be
// the current fence of its cell and holder the current holder: otherwise the
// error is news.ErrFenced and nothing is written. (A lease that has ended and
// that nobody took since still counts: its fence is current.) A row that is
// not settled unsettles its release.
func (s *Store) SaveLedger(ctx context.Context, holder string, rows []*news.LedgerRow) error {
	if len(rows) == 0 {
		return nil
	}
	batches := [][]any{}
	var unsettled []string
	full, empty := partition(rows)
	for _, chunk := range chunks(full, ledgerBatch) {
		args := make([]any, 0, len(chunk)*ledgerWidth)
		for _, r := range chunk {
			a, err := ledgerArgs(r)
			if err != nil {
				return s.fail(err, "SaveLedger", r.ReleaseID)
			}
			if !r.Settled {
				unsettled = append(unsettled, r.ReleaseID)
			}
			args = append(args, a...)
		}
		batches = append(batches, args)
	}
	err := s.inTx(ctx, func(c conn) error {
		if err := checkFences(ctx, c, holder, rows); err != nil {
			return err
		}
		if err := unsettle(ctx, c, unsettled); err != nil {
			return err
		}
		for _, args := range batches {
			if err := c.exec(ctx, ledgerUpsert(len(args)/ledgerWidth), args...); err != nil {
				return err
			}
		}
		return insertEmpty(ctx, c, empty)
	})
	return s.fail(err, "SaveLedger", rows[0].ReleaseID)
}

// partition takes out the rows of cells in which nobody gets the release: most
// of a notice's. They say nothing but that the cell was planned.
func partition(rows []*news.LedgerRow) (full []*news.LedgerRow, empty map[string][]int) {
	empty = map[string][]int{}
	for _, r := range rows {
		if r.Settled && r.Quarantined == 0 && r.Planned.IsEmpty() && len(r.Canary) == 0 {
			empty[r.ReleaseID] = append(empty[r.ReleaseID], r.Cell)
		} else {
			full = append(full, r)
		}
	}
	return full, empty
}

// insertEmpty writes the empty rows of a release in one statement, which costs a
// tenth of so many rows with all their values: 50 notices a second have 12,800.
// The fences are those of the leases, which checkFences has locked.
func insertEmpty(ctx context.Context, c conn, cells map[string][]int) error {
	none := []byte{}
	for _, id := range sortedKeys(cells) {
		numbers := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(cells[id])), ","), "[]")
		err := c.exec(ctx, "INSERT INTO ledger ("+ledgerKeys+ledgerValues+`)
			SELECT ?, cell, fence, TRUE, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?, ?
			FROM cell_leases WHERE cell IN (`+numbers+") ON CONFLICT (release_id, cell) DO NOTHING",
			id, none, none, none, none, none, none, none, none, none, doc(timingJSON{}), doc(tallies(nil)))
		if err != nil {
			return err
		}
	}
	return nil
}

func ledgerUpsert(rows int) string {
	set := assignExcluded(ledgerValues)
	return "INSERT INTO ledger (" + ledgerKeys + ledgerValues + ") VALUES " + marks(rows, ledgerWidth) +
		" ON CONFLICT (release_id, cell) DO UPDATE SET " + set
}

// checkFences locks the leases of the rows' cells, so that none changes hands
// before the commit, and compares.
func checkFences(ctx context.Context, c conn, holder string, rows []*news.LedgerRow) error {
	wanted := map[int]int64{}
	for _, r := range rows {
		if f, ok := wanted[r.Cell]; ok && f != r.Fence {
			return fmt.Errorf("%w: cell %d is named with two fences", news.ErrFenced, r.Cell)
		}
		wanted[r.Cell] = r.Fence
	}
	var leases []struct {
		Cell   int    `db:"cell"`
		Holder string `db:"holder"`
		Fence  int64  `db:"fence"`
	}
	err := c.selIn(ctx, &leases, "SELECT cell, holder, fence FROM cell_leases WHERE cell IN (?) ORDER BY cell"+
		c.d.forShare, slices.Sorted(maps.Keys(wanted)))
	if err != nil {
		return err
	}
	for _, l := range leases {
		if l.Holder != holder || l.Fence != wanted[l.Cell] {
			return fmt.Errorf("%w: cell %d", news.ErrFenced, l.Cell)
		}
	}
	if len(leases) != len(wanted) {
		return fmt.Errorf("%w: a cell outside 0..%d", news.ErrFenced, news.Cells-1)
	}
	return nil
}

// unsettle opens the releases of unsettled rows again. The
// lock keeps SettleRelease from counting rows while they are being written.
func unsettle(ctx context.Context, c conn, releaseIDs []string) error {
	if len(releaseIDs) == 0 {
		return nil
	}
	slices.Sort(releaseIDs)
	releaseIDs = slices.Compact(releaseIDs)
	var settled []string
	err := c.selIn(ctx, &settled, "SELECT id FROM releases WHERE id IN (?) ORDER BY id"+c.d.forShare, releaseIDs)
	if err != nil {
		return err
	}
	settled = settled[:0]
	if err := c.selIn(ctx, &settled, "SELECT id FROM releases WHERE id IN (?) AND settled = TRUE", releaseIDs); err != nil {
		return err
	}
	for _, id := range settled {
		if err := c.exec(ctx, "UPDATE releases SET settled = FALSE WHERE id = ?", id); err != nil {
			return err
		}
	}
	return nil
}

type ledgerRow struct {
	ReleaseID   string               `db:"release_id"`
	Cell        int                  `db:"cell"`
	Fence       int64                `db:"fence"`
	Planned     []byte               `db:"planned"`
	Held        []byte               `db:"held"`
	Opened      []byte               `db:"opened"`
	Accepted    []byte               `db:"accepted"`
	Gone        []byte               `db:"gone"`
	Failed      []byte               `db:"failed"`
	Ambiguous   []byte               `db:"ambiguous"`
	Cancelled   []byte               `db:"cancelled"`
	Expired     []byte               `db:"expired"`
	Quarantined int                  `db:"quarantined"`
	Settled     bool                 `db:"settled"`
	Timing      document[timingJSON] `db:"timing"`
	Canary      document[tallies]    `db:"canary"`
}

// tallies are a canary's, by push service.
type tallies = map[string]news.CanaryTally

const ledgerRead = "release_id, cell, fence, planned, held, opened, accepted, gone, failed, ambiguous, cancelled, " +
	"expired, quarantined, settled, timing, canary"

func (r ledgerRow) row() (*news.LedgerRow, error) {
	out := &news.LedgerRow{ReleaseID: r.ReleaseID, Cell: r.Cell, Fence: r.Fence, Quarantined: r.Quarantined,
		Settled: r.Settled, Timing: timingOf(r.Timing), Canary: r.Canary.V}
	for _, set := range []struct {
		dst **news.Numbers
		raw []byte
	}{
		{&out.Planned, r.Planned}, {&out.Held, r.Held}, {&out.Opened, r.Opened}, {&out.Accepted, r.Accepted},
		{&out.Gone, r.Gone}, {&out.Failed, r.Failed}, {&out.Ambiguous, r.Ambiguous},
		{&out.Cancelled, r.Cancelled}, {&out.Expired, r.Expired},
	} {
		n, err := unpackNumbers(set.raw)
		if err != nil {
			return nil, fmt.Errorf("ledger of %s, cell %d: %w", r.ReleaseID, r.Cell, err)
		}
		*set.dst = n
	}
	return out, nil
}

// Ledger reads the rows of some releases, in some cells (nil: all).
func (s *Store) Ledger(ctx context.Context, releaseIDs []string, cells []int) ([]*news.LedgerRow, error) {
	if len(releaseIDs) == 0 || (cells != nil && len(cells) == 0) {
		return nil, nil
	}
	condition, args := "release_id IN (?)", []any{releaseIDs}
	if cells != nil {
		condition += " AND cell IN (?)"
		args = append(args, cells)
	}
	out, err := s.ledgerWhere(ctx, condition, args...)
	return out, s.fail(err, "Ledger", releaseIDs[0])
}

// HeldRows reads the rows in these cells (nil: all) that hold devices for the
// end of their quiet hours.
func (s *Store) HeldRows(ctx context.Context, cells []int) ([]*news.LedgerRow, error) {
	if cells != nil && len(cells) == 0 {
		return nil, nil
	}
	condition, args := "n_held > 0", []any{}
	if cells != nil {
		condition += " AND cell IN (?)"
		args = append(args, cells)
	}
	out, err := s.ledgerWhere(ctx, condition, args...)
	return out, s.fail(err, "HeldRows", "")
}

func (s *Store) ledgerWhere(ctx context.Context, condition string, args ...any) ([]*news.LedgerRow, error) {
	var rows []ledgerRow
	if err := s.read().selIn(ctx, &rows, "SELECT "+ledgerRead+" FROM ledger WHERE "+condition+
		" ORDER BY release_id, cell", args...); err != nil {
		return nil, err
	}
	out := make([]*news.LedgerRow, len(rows))
	for i, r := range rows {
		var err error
		if out[i], err = r.row(); err != nil {
			return nil, err
		}
	}
	return out, nil
}
