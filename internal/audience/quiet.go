package audience

import (
	"time"

	"dateline/internal/news"
)

const day = 24 * 60 // minutes of a clock's day; a real day may have 23 or 25 hours

// quietUntil reports whether now falls into quiet hours and, if so, the first
// instant at which it no longer does. They are read off the reader's own clock:
// where that is put forward over their end, they end with the jump; where it is
// put back into them, they begin again.
func quietUntil(q news.Quiet, zone *time.Location, now time.Time) (time.Time, bool) {
	from, to := wrap(q.From), wrap(q.To)
	if !within(from, to, secondOfDay(now.In(zone))) {
		return time.Time{}, false
	}
	// Between two changes of its offset a zone's clock runs evenly. Quiet hours
	// are shorter than a day, so this meets one such change, or two if a
	// government is very busy.
	for at := now; ; {
		local := at.In(zone)
		left := (to*60 - secondOfDay(local) + day*60) % (day * 60)
		end := at.Truncate(time.Second).Add(time.Duration(left) * time.Second)
		_, change := local.ZoneBounds()
		if change.IsZero() || end.Before(change) {
			return end.UTC(), true
		}
		if !within(from, to, secondOfDay(change.In(zone))) {
			return change.UTC(), true
		}
		at = change
	}
}

// within reports whether a second of the day lies in [from, to), in minutes.
func within(from, to, second int) bool {
	minute := second / 60
	if from <= to {
		return from <= minute && minute < to
	}
	return minute >= from || minute < to
}

func secondOfDay(local time.Time) int {
	h, m, s := local.Clock()
	return h*3600 + m*60 + s
}

// wrap brings a minute from outside the day into it.
func wrap(minute int) int { return ((minute % day) + day) % day }

// zoneOf loads a zone by its IANA name; an unknown one counts as UTC.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" { // Local is this machine's zone: nobody's wish
		return time.UTC
	}
	return zone
}
