package region

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // places come with their zones; a bare machine has no zoneinfo
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// UTC is the zone of what has none of its own: areas and groups.
const UTC = "UTC"

// Zone is the IANA zone of a place: a subdivision's own where its country has
// several, else the capital's; UTC for areas, groups and unknown codes.
func Zone(code string) string {
	t := tree()
	for c := code; c != ""; c = Parent(c) {
		if known, ok := t.cities[c]; ok && known.zone != "-" {
			return known.zone
		}
	}
	return UTC
}

// ZoneCity is the city by which a time zone is known, in a language: 東京 for
// Asia/Tokyo. Other names of a zone, such as Asia/Calcutta, are its own; where
// CLDR has no city the end of the zone's name is it.
func ZoneCity(zone, lang string) string {
	cities := zoneCities()
	known := zone
	if was, ok := cities["="][zone]; ok {
		known = was
	}
	for _, l := range append(chain(lang), "en", "root") {
		if city := cities[l][known]; city != "" {
			return city
		}
	}
	return strings.ReplaceAll(known[strings.LastIndex(known, "/")+1:], "_", " ")
}

// Offset is a clock's distance from UTC as a reader knows it: UTC, UTC+9,
// UTC+5:30.
func Offset(local time.Time) string {
	_, offset := local.Zone()
	numbers := local.Format("-07:00")
	switch {
	case offset == 0:
		return UTC
	case offset%3600 == 0:
		return fmt.Sprintf("UTC%+d", offset/3600)
	}
	return "UTC" + numbers[:1] + strings.TrimPrefix(numbers[1:], "0")
}

// DatelineCity is what a dateline names for a place, in capitals: the capital
// of a country, the main city of a subdivision that is called otherwise, else
// the place's English name.
func DatelineCity(code string) string {
	if known, ok := tree().cities[code]; ok {
		return known.name
	}
	return strings.ToUpper(Name(code, "en"))
}

// cityIn is DatelineCity as a language writes it. One that is not written in
// Latin letters, and whose name for the city we lack, names the place instead:
// a province in Arabic letters is better than its capital in Latin ones.
func cityIn(code, lang string) string {
	named := code
	if country := CountryOf(code); country != "" && DatelineCity(code) == DatelineCity(country) { // Delhi's is India's
		named = country
	}
	for _, l := range chain(lang) {
		if name := tree().citiesIn[l][named]; name != "" {
			return name
		}
	}
	switch kind := KindOf(code); {
	case kind == KindArea, kind == KindGroup, kind == KindCountry && !latin(lang):
		return strings.ToUpper(Name(code, lang))
	case kind == KindSubdivision && !latin(lang):
		if name := subdivisionName(code, lang); name != "" {
			return name
		}
	}
	return DatelineCity(code)
}

func latin(lang string) bool {
	tag, err := language.Parse(lang)
	if err != nil {
		return true
	}
	script, _ := tag.Script()
	return script.String() == "Latn"
}

// Dateline opens a story: place and that place's time, "TOKYO, 6 Feb, 10:30
// JST —", written as the language does; as English does where we do not know.
func Dateline(code string, at time.Time, lang string) string {
	local := at.In(Location(code))
	s := styleIn(lang)
	month := ""
	if i := int(local.Month()) - 1; i < len(s.months) {
		month = s.months[i]
	}
	place := cityIn(code, lang)
	if strings.HasPrefix(s.pattern, "C"+arabicComma) && endsLatin(place) {
		place += rightToLeftMark
	}
	return strings.NewReplacer("C", place, "D", strconv.Itoa(local.Day()),
		"M", strconv.Itoa(int(local.Month())), "B", month, "T", local.Format("15:04"), "Z", Abbreviation(local)).Replace(s.pattern)
}

// After a place in Latin letters the digits of the day would be set on its far
// side (rule W7 of Unicode's bidirectional algorithm): a mark, which is
// invisible, gives them the line's direction.
const arabicComma, rightToLeftMark = "،", "\u200f"

// endsLatin goes by the last letter: WASHINGTON, D.C. ends with a stop.
func endsLatin(text string) bool {
	at := strings.LastIndexFunc(text, unicode.IsLetter)
	if at < 0 {
		return false
	}
	last, _ := utf8.DecodeRuneInString(text[at:])
	return unicode.Is(unicode.Latin, last)
}

// Location is Zone, loaded.
func Location(code string) *time.Location {
	loc, err := time.LoadLocation(Zone(code))
	if err != nil { // a zone that the tz data dropped; a test loads every one
		return time.UTC
	}
	return loc
}

// dateStyle is a line of dates.tsv.
type dateStyle struct {
	pattern string
	months  []string
}

func styleIn(lang string) dateStyle {
	t := tree()
	for _, l := range chain(lang) {
		if s, ok := t.dates[l]; ok {
			return s
		}
	}
	return t.dates["en"]
}

// Abbreviation is the zone of a local time as newspapers write it: JST, IST,
// SGT; UTC+8 where no abbreviation is in common use.
func Abbreviation(local time.Time) string {
	name, _ := local.Zone()
	numbers := local.Format("-07:00")
	if known, ok := tree().abbreviations[local.Location().String()]; ok && known.offset == numbers {
		return known.name
	}
	if name != "" && name[0] != '+' && name[0] != '-' {
		return name
	}
	return Offset(local)
}

// abbreviation is a line of abbreviations.tsv: it holds while the zone's clock
// is at this offset.
type abbreviation struct{ name, offset string }

// DatelinePlace is the place of a story's dateline: its first country or part
// of one, else its first place.
func DatelinePlace(places []string) string {
	for _, place := range places {
		if CountryOf(place) != "" {
			return place
		}
	}
	if len(places) == 0 {
		return World
	}
	return places[0]
}
