package store

import (
	"cmp"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// micro is t as the database keeps it: UTC, microseconds (Postgres precision).
func micro(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Microsecond)
}

// stamp is a time that may be null: the zero time.
type stamp struct{ time.Time }

func at(t time.Time) stamp { return stamp{micro(t)} }

// Value implements driver.Valuer.
func (s stamp) Value() (driver.Value, error) {
	if s.IsZero() {
		return nil, nil
	}
	return micro(s.Time), nil
}

// sqliteTime is how the driver writes times (_time_format=sqlite); expressions
// such as MAX(...) come back as this text.
const sqliteTime = "2006-01-02 15:04:05.999999999-07:00"

// Scan implements sql.Scanner.
func (s *stamp) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		s.Time = time.Time{}
	case time.Time:
		s.Time = micro(v)
	case string:
		t, err := time.Parse(sqliteTime, v)
		if err != nil {
			return fmt.Errorf("a time that is none: %w", err)
		}
		s.Time = micro(t)
	default:
		return fmt.Errorf("a time can't be a %T", src)
	}
	return nil
}

// document is a value kept as JSON text.
type document[T any] struct{ V T }

func doc[T any](v T) document[T] { return document[T]{v} }

// Value implements driver.Valuer.
func (d document[T]) Value() (driver.Value, error) {
	raw, err := json.Marshal(d.V)
	return string(raw), err
}

// Scan implements sql.Scanner.
func (d *document[T]) Scan(src any) error {
	var fresh T
	d.V = fresh
	switch v := src.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), &d.V)
	case []byte:
		return json.Unmarshal(v, &d.V)
	}
	return fmt.Errorf("a document can't be a %T", src)
}

// MarshalJSON and UnmarshalJSON let rows be kept inside documents.
func (d document[T]) MarshalJSON() ([]byte, error) { return json.Marshal(d.V) }

// UnmarshalJSON implements json.Unmarshaler.
func (d *document[T]) UnmarshalJSON(raw []byte) error { return json.Unmarshal(raw, &d.V) }

// plain makes strangers' text storable: Postgres takes neither NUL nor
// invalid UTF-8.
func plain(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// chunks cuts a slice for statements with a bounded number of parameters
// (SQLite takes 32,766, Postgres 65,535).
func chunks[T any](all []T, size int) [][]T { return slices.Collect(slices.Chunk(all, size)) }
