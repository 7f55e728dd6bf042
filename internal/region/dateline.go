package region

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // places come with their zones; a bare machine has no zoneinfo
)

// UTC is the zone of what has none of its own: areas and groups.
const UTC = "UTC"

// Zone is the IANA zone of a place: a subdivision's own where a country has
// several, else its country's capital's; UTC for areas, groups and unknowns.
func Zone(code string) string {
	t := tree()
	for c := code; c != ""; c = Parent(c) {
		if known, ok := t.cities[c]; ok && known.zone != "-" {
			return known.zone
		}
	}
	return UTC
}

// DatelineCity is what a dateline names for a place, in capitals: the capital
// of a country, the main city of a subdivision where it bears another name,
// else the place's English name.
func DatelineCity(code string) string {
	if known, ok := tree().cities[code]; ok {
		return known.name
	}
	return strings.ToUpper(Name(code, "en"))
}

// Dateline opens a story: place and that place's time, "TOKYO, 6 Feb, 10:30
// JST —". The date is written as the language does where we know how; the
// place is a Latin-script city, or the place's name in languages written
// otherwise.
func Dateline(code string, at time.Time, lang string) string {
	loc, err := time.LoadLocation(Zone(code))
	if err != nil { // a zone the tz data has dropped; a test looks every one up
		loc = time.UTC
	}
	local := at.In(loc)
	place := DatelineCity(code)
	return fmt.Sprintf("%s, %s, %s %s —", place, local.Format("2 Jan"), local.Format("15:04"), Abbreviation(local))
}

// Abbreviation is the zone of a local time as newspapers write it: JST, IST,
// SGT; UTC+8 where no abbreviation is in common use.
func Abbreviation(local time.Time) string {
	name, offset := local.Zone()
	if name != "" && name[0] != '+' && name[0] != '-' {
		return name
	}
	sign, rest := '+', offset
	if offset < 0 {
		sign, rest = '-', -offset
	}
	hours, minutes := rest/3600, rest%3600/60
	if minutes == 0 {
		return fmt.Sprintf("UTC%c%d", sign, hours)
	}
	return fmt.Sprintf("UTC%c%d:%02d", sign, hours, minutes)
}
