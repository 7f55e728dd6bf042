package desk

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"dateline/internal/news"
	"dateline/internal/region"
)

var spanOfTime = regexp.MustCompile(`^(\d{1,5})\s*(m|min|mins|minutes?|h|hours?)?$`)

// parseDeadline reads a deadline in an editor's words: minutes or hours from
// now, or a time whose zone is stated. "" is none: the level's own.
func parseDeadline(text string, now time.Time) (time.Time, error) {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return time.Time{}, nil
	}
	if m := spanOfTime.FindStringSubmatch(strings.ToLower(text)); m != nil {
		n, _ := strconv.Atoi(m[1]) // five digits
		unit := time.Minute
		if strings.HasPrefix(m[2], "h") {
			unit = time.Hour
		}
		return now.Add(time.Duration(n) * unit), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02 15:04Z07:00", "2006-01-02 15:04 Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	when, zoneName, _ := cutLast(text)
	zone, zoned := zoneNamed(zoneName)
	if !zoned {
		when = text
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", "15:04"} {
		at, err := time.ParseInLocation(layout, when, zone)
		switch {
		case err != nil:
			continue
		case !zoned:
			return time.Time{}, fmt.Errorf("says no zone: write 15:02 UTC, 2026-11-24 22:02 +07:00 or 22:02 Asia/Jakarta")
		case layout == "15:04":
			return nextClock(at, now.In(zone)), nil
		}
		return at, nil
	}
	return time.Time{}, fmt.Errorf("can't be read: write minutes (90), hours (2 h), or a time with its zone (15:02 UTC, 2026-11-24 22:02 Asia/Jakarta)")
}

// nextClock is the next time that a clock shows what at's does.
func nextClock(at, now time.Time) time.Time {
	next := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), 0, 0, now.Location())
	if !next.After(now) {
		next = time.Date(now.Year(), now.Month(), now.Day()+1, at.Hour(), at.Minute(), 0, 0, now.Location())
	}
	return next
}

func cutLast(text string) (before, last string, found bool) {
	i := strings.LastIndexByte(text, ' ')
	if i < 0 {
		return text, "", false
	}
	return text[:i], text[i+1:], true
}

// zoneNamed is UTC, an offset such as +07:00, or a zone by its IANA name.
func zoneNamed(name string) (*time.Location, bool) {
	if name == "" || name == "Local" { // Local is this machine's: nobody states it
		return time.UTC, false
	}
	if upper := strings.ToUpper(name); upper == "UTC" || upper == "GMT" || upper == "Z" {
		return time.UTC, true
	}
	if at, err := time.Parse("-07:00", name); err == nil {
		_, offset := at.Zone()
		return time.FixedZone(name, offset), true
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC, false
	}
	return zone, true
}

// deadlineText is a deadline as the form shows it and parseDeadline reads it.
func deadlineText(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.UTC().Format("2006-01-02 15:04") + " UTC"
}

// timeWords is a time for editors and for where the story is: "15:02 UTC (22:02
// Jakarta)", with the day where it is not today's.
func timeWords(at, now time.Time, places []string) string {
	place := region.DatelinePlace(places)
	layout := "15:04"
	if at.UTC().YearDay() != now.UTC().YearDay() || at.Sub(now).Abs() > 24*time.Hour {
		layout = "2 Jan 15:04"
	}
	words := at.UTC().Format(layout) + " UTC"
	if local := at.In(region.Location(place)); region.Zone(place) != region.UTC {
		if local.Day() != at.UTC().Day() {
			layout = "2 Jan 15:04"
		} else {
			layout = "15:04"
		}
		city := cases.Title(language.English).String(strings.ToLower(region.DatelineCity(place)))
		words += " (" + local.Format(layout) + " " + city + ")"
	}
	return words
}

// deadlineWords says until when an alert may be sent.
func deadlineWords(a *news.Alert, now time.Time, places []string) string {
	if a.Deadline.IsZero() {
		d := news.DefaultDeadline(a.Level)
		return fmt.Sprintf("Until %d h after its release: %s if released now.", int(d.Hours()), timeWords(now.Add(d), now, places))
	}
	return "Until " + timeWords(a.Deadline, now, places) + "."
}

// embargoWords says what an embargo does to an alert; "" without one.
func embargoWords(s *news.Story, now time.Time) string {
	if !s.Embargoed(now) {
		return ""
	}
	return "Embargo until " + timeWords(s.Embargo, now, s.Regions) + ": an approved alert goes then. One that is released before waits, and can be undone until then."
}
