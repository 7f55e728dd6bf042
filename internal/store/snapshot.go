package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"dateline/internal/news"
)

// This file keeps the devices of a cell once more, many in one sealed value: to
// read and to unseal a million of them one by one, each with its subscriber, takes
// two processors 9 s, these 2 or 3. A snapshot lies in the database that it
// repeats, so that a backup restored, another machine or a wipe finds both alike;
// that who is wiped is in none is a trigger's work (migration 18).
//
// A part says as of which change of the cell it is: read before its devices were,
// so that each is as it was then, or later. Whoever reads parts and then all
// changes behind the least of these has everything.

const (
	// snapshotPart numbers are in a part, some 430 KB, or fewer, if they are more
	// than snapshotBytes: a reader may have muted 500 stories.
	snapshotPart  = 1024
	snapshotBytes = 1 << 20
	// snapshotLeast devices of a cell are worth a snapshot: fewer are read in 10 ms.
	snapshotLeast = 256
	// snapshotBehind: a part is due when more than this share of its cell has changed
	// since, an eighth.
	snapshotBehind = 8
	// snapshotAge: or when it is so old and anything has.
	snapshotAge = 7 * 24 * time.Hour
)

// snapshotHead is a part of a cell's snapshot without its devices.
type snapshotHead struct {
	Cell   int   `db:"cell"`
	First  int64 `db:"first"`
	Last   int64 `db:"last"`
	Change int64 `db:"change"`
	Made   stamp `db:"made_at"`
}

// row binds a sealed part to where it stands and to what it is as of.
func (h snapshotHead) row() string {
	return fmt.Sprintf("%d/%d-%d@%d", h.Cell, h.First, h.Last, h.Change)
}

// cellState is how far a cell is: its last change, and the number after its last.
type cellState struct {
	Cell   int   `db:"cell"`
	Change int64 `db:"change"`
	Next   int64 `db:"next_number"`
}

// due reports whether a part is to be written anew.
func (c cellState) due(h snapshotHead, now time.Time) bool {
	behind := c.Change - h.Change
	return behind < 0 || behind*snapshotBehind > c.Next || behind > 0 && now.Sub(h.Made.Time) > snapshotAge
}

// stale reports whether a snapshot, by first numbers, has a part that is due, or
// lacks numbers that are worth one.
func (c cellState) stale(heads []snapshotHead, now time.Time) bool {
	covered := int64(0)
	for _, h := range heads {
		if h.First > covered || c.due(h, now) {
			return true
		}
		covered = max(covered, h.Last+1)
	}
	return (c.Next-covered)*snapshotBehind > c.Next
}

const snapshotTable = "cell_snapshots"

// snapshots reads the state of cells and the heads of their snapshots by first number;
// cell -1: of all. The heads are read first, so that no label is newer than its
// cell, unless another database's rows were put into this one.
func (s *Store) snapshots(ctx context.Context, cell int) ([]cellState, map[int][]snapshotHead, error) {
	which, args := "", []any{}
	if cell >= 0 {
		which, args = " WHERE cell = ?", []any{cell}
	}
	var heads []snapshotHead
	if err := s.read().sel(ctx, &heads, "SELECT cell, first, last, change, made_at FROM cell_snapshots"+which+" ORDER BY cell, first", args...); err != nil {
		return nil, nil, err
	}
	var states []cellState
	if err := s.read().sel(ctx, &states, "SELECT cell, change, next_number FROM cells"+which+" ORDER BY cell", args...); err != nil {
		return nil, nil, err
	}
	byCell := map[int][]snapshotHead{}
	for _, h := range heads {
		byCell[h.Cell] = append(byCell[h.Cell], h)
	}
	return states, byCell, nil
}

// StaleSnapshots are those of the cells that are large enough to have a snapshot
// and whose snapshot is missing, incomplete, far behind, or old.
func (s *Store) StaleSnapshots(ctx context.Context, cells []int) ([]int, error) {
	states, heads, err := s.snapshots(ctx, -1)
	if err != nil {
		return nil, s.fail(err, "StaleSnapshots", "")
	}
	var stale []int
	for _, c := range states {
		if c.Next > snapshotLeast && c.stale(heads[c.Cell], s.now()) && slices.Contains(cells, c.Cell) {
			stale = append(stale, c.Cell)
		}
	}
	return stale, nil
}

// SnapshotCell writes what is missing or due of a cell's snapshot, part by part.
// rest is called after each with the time that it took; its error ends the work and
// comes back as it is.
func (s *Store) SnapshotCell(ctx context.Context, cell int, rest func(took time.Duration) error) error {
	states, heads, err := s.snapshots(ctx, cell)
	if err != nil || len(states) == 0 {
		return s.fail(err, "SnapshotCell", strconv.Itoa(cell))
	}
	for first := int64(0); first < states[0].Next; {
		if at := slices.IndexFunc(heads[cell], func(h snapshotHead) bool { return h.First == first }); at >= 0 && !states[0].due(heads[cell][at], s.now()) {
			first = heads[cell][at].Last + 1
			continue
		}
		began := time.Now()
		p, err := s.readPart(ctx, cell, first)
		if err == nil {
			err = s.writePart(ctx, p)
		}
		if err != nil {
			return s.fail(err, "SnapshotCell", strconv.Itoa(cell))
		}
		first = p.Last + 1
		if err := rest(time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// cellPart is a part with its devices, packed.
type cellPart struct {
	snapshotHead
	packed []byte
}

// readPart reads a part from the rows.
func (s *Store) readPart(ctx context.Context, cell int, first int64) (cellPart, error) {
	p := cellPart{snapshotHead: snapshotHead{Cell: cell, First: first, Last: first + s.part - 1}}
	if err := s.read().get(ctx, &p.Change, "SELECT change FROM cells WHERE cell = ?", cell); err != nil {
		return p, err
	}
	var packed packer
	full := errors.New("full")
	err := s.eachChunk(ctx, stretch{cell, "number", p.First - 1, p.Last}, func(devices []news.Device) error {
		for i := range devices {
			if packed.device(&devices[i]); packed.size > s.partBytes {
				p.Last = int64(devices[i].Number)
				return full
			}
		}
		return nil
	})
	if errors.Is(err, full) {
		err = nil
	}
	p.packed = packed.append(nil)
	return p, err
}

// writePart keeps a part instead of those that it overlaps, unless somebody of the
// cell had herself wiped since it was read: then it stays due.
func (s *Store) writePart(ctx context.Context, p cellPart) error {
	sealed := s.seal.seal(snapshotTable, p.row(), p.packed)
	return s.inTx(ctx, func(c conn) error {
		// Whoever wipes a device of the cell waits for this row, or we for her.
		if err := c.get(ctx, new(int64), "SELECT change FROM cells WHERE cell = ?"+c.d.forUpdate, p.Cell); err != nil {
			return err
		}
		var wiped int
		if err := c.get(ctx, &wiped, "SELECT COUNT(*) FROM devices WHERE cell = ? AND change > ? AND subscriber_id IS NULL", p.Cell, p.Change); err != nil || wiped > 0 {
			return err
		}
		if err := c.exec(ctx, "DELETE FROM cell_snapshots WHERE cell = ? AND first <= ? AND last >= ?", p.Cell, p.Last, p.First); err != nil {
			return err
		}
		return c.exec(ctx, "INSERT INTO cell_snapshots (cell, first, last, change, made_at, key_id, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)",
			p.Cell, p.First, p.Last, p.Change, s.now(), s.seal.id, sealed)
	})
}

// wholeCell streams a cell: the parts of its snapshot, from the rows the numbers
// between and behind them, and then what has changed since. Where more than half
// of the cell has, the rows alone are quicker.
func (s *Store) wholeCell(ctx context.Context, cell int, fn func([]news.Device) error) error {
	states, heads, err := s.snapshots(ctx, cell)
	if err != nil || len(states) == 0 {
		return err
	}
	since, next := states[0].Change, int64(0)
	for _, h := range heads[cell] {
		if behind := states[0].Change - h.Change; behind < 0 || 2*behind > states[0].Next {
			continue // of another history, or not worth it
		}
		devices, err := s.openPart(ctx, h)
		if errors.Is(err, errNoPart) {
			continue
		}
		if err == nil && h.First > next {
			err = s.eachChunk(ctx, stretch{cell, "number", next - 1, h.First - 1}, fn)
		}
		if err == nil {
			err = fn(devices)
		}
		if err != nil {
			return err
		}
		since, next = min(since, h.Change), max(next, h.Last+1)
	}
	if err := s.eachChunk(ctx, stretch{cell, "number", next - 1, maxNumber}, fn); err != nil || next == 0 {
		return err
	}
	return s.eachChunk(ctx, changesOf(cell, since), fn)
}

// errNoPart: the devices have to be read one by one.
var errNoPart = errors.New("no such part of a snapshot")

// openPart reads the devices of a part. One that is not there any more as it was,
// or can't be read, is errNoPart; what can't be read is deleted, if it can be, and
// will be written anew.
func (s *Store) openPart(ctx context.Context, h snapshotHead) ([]news.Device, error) {
	var row struct {
		KeyID  string `db:"key_id"`
		Sealed []byte `db:"sealed"`
	}
	err := s.read().get(ctx, &row, "SELECT key_id, sealed FROM cell_snapshots WHERE cell = ? AND first = ? AND last = ? AND change = ?", h.Cell, h.First, h.Last, h.Change)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNoPart
	}
	if err != nil {
		return nil, err
	}
	var devices []news.Device
	plain, err := s.seal.open(row.KeyID, snapshotTable, h.row(), row.Sealed)
	if err == nil {
		devices, err = readDevices(h.Cell, plain)
	}
	if err == nil {
		if err = s.addPreferences(ctx, s.read(), devices); err == nil || !errors.Is(err, errNoPreference) {
			return devices, err
		}
	}
	_ = s.write().exec(ctx, "DELETE FROM cell_snapshots WHERE cell = ? AND first = ? AND change = ?", h.Cell, h.First, h.Change)
	return nil, errNoPart
}
