// Package newsroom is a newsroom's day, written for the demo: stories from all
// of Asia, in many languages, with the turns such a day has (a correction, an
// update, a report withheld and one taken back, an embargo) and, as its last
// entry, the breaking story of the demo.
//
// It is fiction, the first entry apart. It promises data only: stories as a
// CMS would publish them (DESIGN 6) with the time each came out, relative to
// the end of the day.
package newsroom

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"time"
)

//go:embed day.json
var day []byte

// Entry is one story event of the day.
type Entry struct {
	// After is when it came out, from the end of the day: negative.
	After time.Duration
	// Embargo is when its embargo ends, from the end of the day; zero: none.
	Embargo time.Duration
	// Story is the event's body without versioncreated and with an empty
	// embargoed: Dated fills them in.
	Story json.RawMessage
}

// Day is the day's entries: the first is the publisher's own story, the last
// the breaking one, those between are in the order they came out.
func Day() ([]Entry, error) {
	var raw []struct {
		After   string          `json:"after"`
		Embargo string          `json:"embargo"`
		Story   json.RawMessage `json:"story"`
	}
	if err := json.Unmarshal(day, &raw); err != nil {
		return nil, fmt.Errorf("newsroom.Day: %w", err)
	}
	entries := make([]Entry, 0, len(raw))
	for i, r := range raw {
		e := Entry{Story: r.Story}
		var err error
		if e.After, err = time.ParseDuration(r.After); err != nil {
			return nil, fmt.Errorf("newsroom.Day: entry %d: %w", i, err)
		}
		if r.Embargo != "" {
			if e.Embargo, err = time.ParseDuration(r.Embargo); err != nil {
				return nil, fmt.Errorf("newsroom.Day: entry %d: %w", i, err)
			}
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// Dated is the event's body for a day that ends at end, ready to be published.
func (e Entry) Dated(end time.Time) ([]byte, error) {
	var story map[string]json.RawMessage
	if err := json.Unmarshal(e.Story, &story); err != nil {
		return nil, fmt.Errorf("newsroom.Dated: %w", err)
	}
	story["versioncreated"] = stamp(end.Add(e.After))
	if e.Embargo != 0 {
		story["embargoed"] = stamp(end.Add(e.Embargo))
	}
	body, err := json.Marshal(story)
	if err != nil {
		return nil, fmt.Errorf("newsroom.Dated: %w", err)
	}
	return body, nil
}

func stamp(t time.Time) json.RawMessage {
	return json.RawMessage(`"` + t.UTC().Format(time.RFC3339Nano) + `"`)
}
