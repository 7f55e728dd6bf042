package store

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

// HomeCell is where a device with this endpoint would be born.
func HomeCell(s *Store, endpoint string) int { return homeCell(s.seal.endpointMAC(endpoint)) }

// StreamChunk is how many devices are read at once.
const StreamChunk = streamChunk

// SetSnapshotPart has so many numbers in a part of a snapshot.
func SetSnapshotPart(s *Store, numbers int) { s.part = int64(numbers) }

// SnapshotWhile writes a part of a snapshot, and calls fn after it was read.
func SnapshotWhile(ctx context.Context, s *Store, cell, part int, fn func() error) error {
	p, err := s.readPart(ctx, cell, part)
	return errors.Join(err, fn(), s.writePart(ctx, p))
}

// SnapshotLeast is how many devices of a cell are worth a snapshot.
const SnapshotLeast = snapshotLeast

// ReadDevices is what reads a part of a snapshot.
var ReadDevices = readDevices

// AppendDevices is what packs it.
var AppendDevices = appendDevices

// AlertChangesQuery is what AlertChanges asks, with its values.
func AlertChangesQuery(after, limit int) string {
	q := strings.Replace(alertChanges, "?", strconv.Itoa(after), 1)
	return strings.Replace(q, "?", strconv.Itoa(limit), 1)
}
