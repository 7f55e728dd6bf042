package site

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"dateline/internal/news"
)

// fields is a JSON object read field by field, so that all its faults are
// found and "absent", "null" and "given" stay apart, as PATCH needs.
type fields struct {
	raw    map[string]json.RawMessage
	path   string // of the object itself; "" for the body
	faults *news.Problems
}

// given is what a body says of a field.
type given uint8

const (
	absent given = iota
	null
	value
)

func (f fields) add(name, format string, args ...any) { f.faults.Add(f.at(name), format, args...) }

func (f fields) at(name string) string {
	if f.path == "" {
		return name
	}
	return f.path + "/" + name
}

// read decodes a field into dst. A value of another type is a fault and
// counts as absent.
func (f fields) read(name, kind string, dst any) given {
	raw, ok := f.raw[name]
	switch {
	case !ok:
		return absent
	case bytes.Equal(bytes.TrimSpace(raw), []byte("null")):
		return null
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		f.add(name, "must be %s", kind)
		return absent
	}
	return value
}

// object reads a field that is an object.
func (f fields) object(name string) (fields, given) {
	inner := fields{path: f.at(name), faults: f.faults}
	return inner, f.read(name, "an object", &inner.raw)
}

// text reads a string; null leaves dst empty.
func (f fields) text(name string, dst *string) given {
	var s string
	state := f.read(name, "a string", &s)
	if state != absent {
		*dst = s
	}
	return state
}

func (f fields) flag(name string, dst *bool, byDefault bool) {
	var b bool
	switch f.read(name, "true or false", &b) {
	case value:
		*dst = b
	case null:
		*dst = byDefault
	}
}

// list reads an array of at most limit strings of at most length characters;
// null is an empty list.
func (f fields) list(name string, limit, length int, dst *[]string) given {
	var raw []json.RawMessage
	state := f.read(name, "an array of strings", &raw)
	if state == absent {
		return absent
	}
	if len(raw) > limit {
		f.add(name, "must not have more than %d entries, not %d", limit, len(raw))
		return absent
	}
	out := make([]string, len(raw))
	for i, r := range raw {
		if err := json.Unmarshal(r, &out[i]); err != nil || bytes.Equal(r, []byte("null")) {
			f.add(fmt.Sprintf("%s/%d", name, i), "must be a string")
			state = absent
		} else if utf8.RuneCountInString(out[i]) > length {
			f.add(fmt.Sprintf("%s/%d", name, i), "must not be longer than %d characters", length)
			state = absent
		}
	}
	if state != absent {
		*dst = out
	}
	return state
}

// number reads a whole number from lowest to highest.
func (f fields) number(name string, lowest, highest int, dst *int) given {
	var i int
	state := f.read(name, "a whole number", &i)
	if state != value {
		return state
	}
	if i < lowest || i > highest {
		f.add(name, "must be from %d to %d", lowest, highest)
		return absent
	}
	*dst = i
	return value
}

// instant reads an RFC 3339 time; null is the zero time.
func (f fields) instant(name string, dst *time.Time) {
	var s string
	switch f.read(name, "a time such as 2026-11-24T07:00:00+09:00", &s) {
	case null:
		*dst = time.Time{}
	case value:
		t, err := time.Parse(time.RFC3339, s)
		if err != nil || t.Year() < 1 || t.Year() > 9999 {
			f.add(name, "must be a time with its offset, such as 2026-11-24T07:00:00+09:00")
			return
		}
		*dst = t.UTC().Truncate(time.Microsecond)
	}
}
