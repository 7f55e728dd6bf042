package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"dateline/internal/news"
)

// This file keeps the devices of a cell once more, many in one sealed value: to
// read and to unseal a million of them one by one, each with its subscriber, takes
// two processors a quarter of a minute. A snapshot lies in the database that it
// repeats, so that a backup restored, another machine or a wipe finds both alike.

const (
	// snapshotPart neighbouring numbers are one value: some 430 KB.
	snapshotPart = 1024
	// snapshotLeast devices of a cell are worth one: fewer are read in 10 ms.
	snapshotLeast = 256
	// snapshotBehind: one is written anew when more than this share of a cell has
	// changed since, an eighth.
	snapshotBehind = 8
	// snapshotAge: or when it is so old and anything has.
	snapshotAge = 7 * 24 * time.Hour
)

// SnapshotCell writes the snapshot of a cell anew, part by part. rest is called
// after each with the time that it took; its error ends the work and comes back as
// it is.
func (s *Store) SnapshotCell(ctx context.Context, cell int, rest func(took time.Duration) error) error {
	for part, parts := 0, 1; part < parts; part++ {
		began := time.Now()
		p, err := s.readPart(ctx, cell, part)
		if err == nil {
			err = s.writePart(ctx, p)
		}
		if err != nil {
			return s.fail(err, "SnapshotCell", strconv.Itoa(cell))
		}
		parts = p.parts
		if err := rest(time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// cellPart is a part of a cell's snapshot: the devices as of change, or later.
type cellPart struct {
	cell, part, parts int
	change            int64
	devices           []news.Device
}

// readPart reads a part from the rows.
func (s *Store) readPart(ctx context.Context, cell, part int) (cellPart, error) {
	p := cellPart{cell: cell, part: part}
	var at struct {
		Change int64 `db:"change"`
		Next   int64 `db:"next_number"`
	}
	if err := s.read().get(ctx, &at, "SELECT change, next_number FROM cells WHERE cell = ?", cell); err != nil {
		return p, err
	}
	p.change, p.parts = at.Change, int((at.Next-1)/s.part)+1
	return p, s.eachChunk(ctx, s.numbersOf(cell, part), func(devices []news.Device) error {
		p.devices = append(p.devices, devices...)
		return nil
	})
}

// writePart keeps a part, unless somebody of the cell had herself wiped since it
// was read: then it stays due.
func (s *Store) writePart(ctx context.Context, p cellPart) error {
	sealed := s.seal.seal(snapshotTable, snapshotRow(p.cell, p.part, p.change), appendDevices(nil, p.devices))
	return s.inTx(ctx, func(c conn) error {
		// Whoever wipes a device of the cell waits for this row, or we for her.
		if err := c.get(ctx, new(int64), "SELECT change FROM cells WHERE cell = ?"+c.d.forUpdate, p.cell); err != nil {
			return err
		}
		var wiped int
		if err := c.get(ctx, &wiped, "SELECT COUNT(*) FROM devices WHERE cell = ? AND change > ? AND subscriber_id IS NULL", p.cell, p.change); err != nil || wiped > 0 {
			return err
		}
		return c.exec(ctx, `INSERT INTO cell_snapshots (cell, part, parts, change, made_at, key_id, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (cell, part) DO UPDATE SET parts = excluded.parts, change = excluded.change, made_at = excluded.made_at,
			key_id = excluded.key_id, sealed = excluded.sealed`, p.cell, p.part, p.parts, p.change, s.now(), s.seal.id, sealed)
	})
}

const snapshotTable = "cell_snapshots"

// snapshotRow binds a sealed part to where it stands and to what it is as of.
func snapshotRow(cell, part int, change int64) string {
	return fmt.Sprintf("%d/%d@%d", cell, part, change)
}

// dropSnapshots deletes the parts in which a subscriber's devices are.
func (s *Store) dropSnapshots(ctx context.Context, c conn, subscriberID string) error {
	return c.exec(ctx, `DELETE FROM cell_snapshots WHERE EXISTS (SELECT 1 FROM devices d
		WHERE d.subscriber_id = ? AND d.cell = cell_snapshots.cell AND d.number / ? = cell_snapshots.part)`, subscriberID, s.part)
}

// StaleSnapshots are those of the cells that are large enough to have a snapshot
// and whose snapshot is missing, incomplete, far behind, or old.
func (s *Store) StaleSnapshots(ctx context.Context, cells []int) ([]int, error) {
	var rows []struct {
		Cell   int           `db:"cell"`
		Change int64         `db:"change"`
		Next   int64         `db:"next_number"`
		Have   int           `db:"have"`
		Parts  sql.NullInt64 `db:"parts"`
		Label  sql.NullInt64 `db:"label"`
		Made   stamp         `db:"made"`
	}
	err := s.read().sel(ctx, &rows, `SELECT c.cell, c.change, c.next_number, COUNT(s.part) AS have, MAX(s.parts) AS parts, MIN(s.change) AS label, MIN(s.made_at) AS made
		FROM cells c LEFT JOIN cell_snapshots s ON s.cell = c.cell GROUP BY c.cell, c.change, c.next_number ORDER BY c.cell`)
	if err != nil {
		return nil, s.fail(err, "StaleSnapshots", "")
	}
	var stale []int
	for _, r := range rows {
		devices, behind := r.Next-1, r.Change-r.Label.Int64
		due := r.Have == 0 || r.Have < int(r.Parts.Int64) || behind*snapshotBehind > devices ||
			behind > 0 && s.now().Sub(r.Made.Time) > snapshotAge
		if devices >= snapshotLeast && due && slices.Contains(cells, r.Cell) {
			stale = append(stale, r.Cell)
		}
	}
	return stale, nil
}

// wholeCell streams a cell: its snapshot, and the numbers of which there is none,
// then what has changed since; without a snapshot by number.
func (s *Store) wholeCell(ctx context.Context, cell int, fn func([]news.Device) error) error {
	var heads []struct {
		Parts  int   `db:"parts"`
		Change int64 `db:"change"`
	}
	if err := s.read().sel(ctx, &heads, "SELECT parts, change FROM cell_snapshots WHERE cell = ?", cell); err != nil {
		return err
	}
	parts, since := 0, int64(0)
	for i, h := range heads {
		parts = max(parts, h.Parts)
		if i == 0 || h.Change < since {
			since = h.Change
		}
	}
	for part := range parts {
		switch devices, change, err := s.openPart(ctx, cell, part); {
		case err == nil:
			since = min(since, change)
			err = fn(devices)
			if err != nil {
				return err
			}
		case errors.Is(err, errNoPart):
			if err := s.eachChunk(ctx, s.numbersOf(cell, part), fn); err != nil {
				return err
			}
		default:
			return err
		}
	}
	if parts == 0 {
		return s.eachChunk(ctx, stretch{cell, "number", -1, math.MaxInt64}, fn)
	}
	return s.eachChunk(ctx, changesOf(cell, since), fn)
}

// errNoPart: the devices have to be read one by one.
var errNoPart = errors.New("no such part of a snapshot")

// openPart reads a part of a snapshot and says as of which change it is. One that
// is gone, or can't be read, is errNoPart; what can't be read is deleted, and will
// be written anew.
func (s *Store) openPart(ctx context.Context, cell, part int) (devices []news.Device, change int64, err error) {
	var row struct {
		Change int64  `db:"change"`
		KeyID  string `db:"key_id"`
		Sealed []byte `db:"sealed"`
	}
	err = s.read().get(ctx, &row, "SELECT change, key_id, sealed FROM cell_snapshots WHERE cell = ? AND part = ?", cell, part)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, 0, errNoPart
	}
	if err != nil {
		return nil, 0, err
	}
	plain, err := s.seal.open(row.KeyID, snapshotTable, snapshotRow(cell, part, row.Change), row.Sealed)
	if err == nil {
		devices, err = readDevices(cell, plain)
	}
	if err != nil {
		if err := s.write().exec(ctx, "DELETE FROM cell_snapshots WHERE cell = ? AND part = ? AND change = ?", cell, part, row.Change); err != nil {
			return nil, 0, err
		}
		return nil, 0, errNoPart
	}
	return devices, row.Change, s.addPreferences(ctx, s.read(), devices)
}
