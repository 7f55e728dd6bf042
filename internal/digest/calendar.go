package digest

import (
	"slices"
	"time"

	"dateline/internal/news"
)

// How long an edition may still be sent (reliability.md 3b), and how far back
// its stories may have been created (DESIGN 9).
const (
	EditionLife  = news.EditionLife
	dailyWindow  = 36 * time.Hour
	weeklyWindow = 8 * 24 * time.Hour
)

// dateFormat is how local dates are stored: they sort as text.
const dateFormat = "2006-01-02"

// Edition is one digest run of a mailbox: a date and hour in its zone.
type Edition struct {
	At        time.Time // UTC
	LocalDate string
	Weekly    bool
	Timezone  string
	Hour      int
}

// ID is news.EditionID.
func (e Edition) ID() string { return news.EditionID(e.LocalDate, e.Timezone, e.Hour, e.Weekly) }

// planned is the edition as the store knows it.
func (e Edition) planned() news.Edition {
	return news.Edition{ID: e.ID(), LocalDate: e.LocalDate, Timezone: e.Timezone, Hour: e.Hour, Weekly: e.Weekly, At: e.At}
}

// Deadline is when the edition is no longer news.
func (e Edition) Deadline() time.Time { return e.At.Add(EditionLife) }

// Oldest is the creation before which a story is too old for the edition, if
// it is made at now. An edition that is late keeps the window it would have
// had; one that is sent before its hour (an operator's run) looks back from
// now.
func (e Edition) Oldest(now time.Time) time.Time {
	from := e.At
	if now.Before(from) {
		from = now
	}
	if e.Weekly {
		return from.Add(-weeklyWindow)
	}
	return from.Add(-dailyWindow)
}

// Schedule is when a mailbox wants its digest.
type Schedule struct {
	Zone   *time.Location
	Hour   int
	Days   []int // ISO weekdays; empty: all
	Weekly bool  // Saturdays, whatever Days says
}

// scheduleOf reads a mailbox's wishes; zone is its time zone, loaded.
func scheduleOf(m *news.Mailbox, zone *time.Location) Schedule {
	return Schedule{Zone: zone, Hour: m.Hour, Days: m.Days, Weekly: m.Weekly}
}

// Newest is the newest edition at or before an instant; false when there was
// none in the last eight days. On every local date there is at most one, and
// exactly one on those the schedule names, also on days of 23 and 25 hours: an
// hour that the clocks skip is the moment they are set, an hour that comes
// twice is its first coming. A date that a zone skips whole has none.
func (s Schedule) Newest(at time.Time) (Edition, bool) {
	y, m, d := at.In(s.Zone).Date()
	for back := range 9 {
		// Noon UTC carries the date alone; AddDate knows no zone there.
		date := time.Date(y, m, d-back, 12, 0, 0, 0, time.UTC)
		if !s.wants(date.Weekday()) {
			continue
		}
		instant, ok := hourOf(date, s.Hour, s.Zone)
		if ok && !instant.After(at) {
			return Edition{At: instant, LocalDate: date.Format(dateFormat), Weekly: s.Weekly, Timezone: s.Zone.String(), Hour: s.Hour}, true
		}
	}
	return Edition{}, false
}

func (s Schedule) wants(day time.Weekday) bool {
	if s.Weekly {
		return day == time.Saturday
	}
	iso := int(day)
	if iso == 0 {
		iso = 7
	}
	return len(s.Days) == 0 || slices.Contains(s.Days, iso)
}

// hourOf is the instant at which a local date's hour begins. time.Date alone
// will not do: it leaves open which of two instants it gives for an hour that
// comes twice or never.
func hourOf(date time.Time, hour int, zone *time.Location) (time.Time, bool) {
	y, m, d := date.Date()
	wall := time.Date(y, m, d, hour, 0, 0, 0, time.UTC)
	// The offsets in force a day before and after bracket every change.
	_, before := wall.Add(-24 * time.Hour).In(zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(zone).Zone()
	first, second := wall.Add(-time.Duration(before)*time.Second), wall.Add(-time.Duration(after)*time.Second)
	if second.Before(first) {
		first, second = second, first
	}
	for _, candidate := range []time.Time{first, second} {
		if local := candidate.In(zone); local.Hour() == hour && local.Day() == d && local.Minute() == 0 {
			return candidate.UTC(), true
		}
	}
	return skippedHour(second, d, zone)
}

// skippedHour is the moment at which the clocks jump over an hour: around
// there, inside the gap's date.
func skippedHour(near time.Time, day int, zone *time.Location) (time.Time, bool) {
	start, _ := near.In(zone).ZoneBounds()
	if start.IsZero() || start.In(zone).Day() != day {
		return time.Time{}, false
	}
	return start.UTC(), true
}
