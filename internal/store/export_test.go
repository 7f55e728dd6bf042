package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"

	"dateline/internal/news"
)

// HomeCell is where a device with this endpoint would be born.
func HomeCell(s *Store, endpoint string) int { return homeCell(s.seal.endpointMAC(endpoint)) }

// StreamChunk is how many devices are read at once.
const StreamChunk = streamChunk

// SetSnapshotPart has so many numbers in a part of a snapshot.
func SetSnapshotPart(s *Store, numbers int) { s.part = int64(numbers) }

// SnapshotWhile writes a part of a snapshot, and calls fn after it was read.
func SnapshotWhile(ctx context.Context, s *Store, cell int, first int64, fn func() error) error {
	p, err := s.readPart(ctx, cell, first)
	return errors.Join(err, fn(), s.writePart(ctx, p))
}

// SetSnapshotBytes has parts end behind so many bytes.
func SetSnapshotBytes(s *Store, most int) { s.partBytes = most }

// SnapshotDevices is everybody in a cell's snapshot.
func SnapshotDevices(t testing.TB, s *Store, cell int) (all []news.Device) {
	_, heads, err := s.snapshots(t.Context(), cell)
	for _, h := range heads[cell] {
		devices, failed := s.openPart(t.Context(), h)
		all, err = append(all, devices...), errors.Join(err, failed)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// SnapshotLeast is how many devices of a cell are worth a snapshot.
const SnapshotLeast = snapshotLeast

// ReadDevices is what reads a part of a snapshot.
var ReadDevices = readDevices

// PackDevices is what packs it.
func PackDevices(devices []news.Device) []byte {
	var p packer
	for i := range devices {
		p.device(&devices[i])
	}
	return p.append(nil)
}

// AlertChangesQuery is what AlertChanges asks, with its values.
func AlertChangesQuery(after, limit int) string {
	q := strings.Replace(alertChanges, "?", strconv.Itoa(after), 1)
	return strings.Replace(q, "?", strconv.Itoa(limit), 1)
}
