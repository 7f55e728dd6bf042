package site

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Limits of one reader's wishes: far above what a form offers, low enough
// that matching stays quick.
const (
	maxPlaces    = 300
	maxOverrides = 50
	maxMuted     = 500
	maxURI       = 1024 // as the story schema has it
	maxCap       = 1000
)

// Parser reads what readers ask for. It is safe for concurrent use.
type Parser struct {
	push  Push
	zones sync.Map // IANA names that exist; there are about 600
}

// NewParser makes a parser that holds push subscriptions against push.
func NewParser(push Push) *Parser { return &Parser{push: push} }

// defaultWishes is what who says nothing gets.
func defaultWishes() news.Wishes {
	return news.Wishes{Preference: news.Preference{Level: news.LevelBulletin}, Language: "en", Timezone: "UTC"}
}

// wishes applies what the body says to w: absent fields stay as they are,
// null goes back to the default.
func (p *Parser) wishes(f fields, w *news.Wishes) {
	pref := &w.Preference
	before := len(*f.faults)
	if f.places("regions", &pref.Regions) != absent && len(pref.Regions) == 0 {
		f.add("regions", "must have at least one place")
	}
	f.places("mutedRegions", &pref.Muted)
	if len(*f.faults) == before {
		f.coverage(*pref)
	}
	f.sections(&pref.Sections)
	if f.level("level", &pref.Level) == null {
		pref.Level = news.LevelBulletin
	}
	f.overrides(&pref.Overrides)
	p.speech(f, w)
	p.hours(f, w)
	f.instant("pausedUntil", &w.PausedUntil)
	f.stories("mutedStories", &w.MutedStories)
	f.stories("overStories", &w.OverStories)
}

// stories reads the uris of stories, in the spelling that the intake keeps
// them in: one that can't be a story's would be muted in vain.
func (f fields) stories(name string, dst *[]string) {
	var typed []string
	state := f.list(name, maxMuted, maxURI, &typed)
	for i, t := range typed {
		typed[i] = norm.NFC.String(t)
		if u, err := url.Parse(t); err != nil || !u.IsAbs() || strings.ContainsFunc(t, unicode.IsSpace) {
			f.add(fmt.Sprintf("%s/%d", name, i), "must be the uri of a story, such as https://news.example/2024/05/story")
			state = absent
		}
	}
	if state != absent {
		*dst = canonical(typed)
	}
}

// canonical sorts and drops repeats, so that equal wishes are equal.
func canonical(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func (f fields) places(name string, dst *[]string) given {
	var typed []string
	state := f.list(name, maxPlaces, 64, &typed)
	if state == absent {
		return absent
	}
	for i, t := range typed {
		code, ok := region.Canonical(t)
		if !ok {
			f.add(fmt.Sprintf("%s/%d", name, i), "%s", unknownPlace(t))
			state = absent
		}
		typed[i] = code
	}
	if state != absent {
		*dst = canonical(typed)
	}
	return state
}

func unknownPlace(typed string) string {
	if other := region.Replacement(strings.ToUpper(strings.TrimSpace(typed))); other != "" {
		return fmt.Sprintf("this place is written %s", other)
	}
	return "is not a place we know; use ISO 3166 codes such as JP or JP-13, UN M.49 areas such as 035, or a group such as ASEAN"
}

// coverage refuses wishes that nothing could ever match.
func (f fields) coverage(p news.Preference) {
	if len(p.Regions) == 0 {
		return
	}
	set, err := region.SetOf(p.Regions, p.Muted)
	if err != nil {
		f.faults.Take(f.at("regions"), err)
		return
	}
	if set.Empty() {
		f.add("mutedRegions", "leave nothing of what is followed")
	}
}

func (f fields) sections(dst *[]string) {
	var list []string
	state := f.list("sections", 100, 64, &list)
	for i, s := range list {
		if !news.IsSection(s) {
			f.add(fmt.Sprintf("sections/%d", i), "must be one of %s", sectionNames())
			state = absent
		}
	}
	if state != absent {
		*dst = canonical(list)
	}
}

func sectionNames() string {
	var names []string
	for _, s := range news.Sections() {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

func (f fields) level(name string, dst *news.Level) given {
	var s string
	state := f.text(name, &s)
	if state != value {
		return state
	}
	level, err := news.ParseLevel(s)
	if err != nil {
		f.add(name, "must be flash, bulletin or notice")
		return absent
	}
	*dst = level
	return value
}

func (f fields) overrides(dst *[]news.Override) {
	var items []fieldsOnly
	switch f.read("overrides", "an array of objects", &items) {
	case absent:
		return
	case null:
		*dst = nil
		return
	}
	if len(items) > maxOverrides {
		f.add("overrides", "must not have more than %d entries", maxOverrides)
		return
	}
	var out []news.Override
	for i, item := range items {
		one := fields{raw: item, path: f.at(fmt.Sprintf("overrides/%d", i)), faults: f.faults}
		var o news.Override
		if one.places("regions", &o.Regions) != value || len(o.Regions) == 0 {
			one.required("regions", "must have at least one place")
		}
		if one.level("level", &o.Level) != value {
			one.required("level", "must be flash, bulletin or notice")
		}
		out = append(out, o)
	}
	*dst = out
}

// required adds a fault unless the field has one already.
func (f fields) required(name, message string) {
	at := f.at(name)
	for _, p := range *f.faults {
		if p.Path == at || strings.HasPrefix(p.Path, at+"/") {
			return
		}
	}
	f.add(name, "%s", message)
}

// speech reads the language and the zone.
func (p *Parser) speech(f fields, w *news.Wishes) {
	var tag string
	switch f.text("language", &tag) {
	case null:
		w.Language = defaultWishes().Language
	case value:
		t, err := language.Parse(tag)
		if err != nil || tag == "" || len(tag) > 35 || t == language.Und {
			f.add("language", "must be a BCP 47 tag such as en, ja or zh-Hant")
			break
		}
		w.Language = t.String()
	}
	f.flag("onlyLanguage", &w.OnlyLanguage, false)
	var zone string
	switch f.text("timezone", &zone) {
	case null:
		w.Timezone = defaultWishes().Timezone
	case value:
		if !p.zone(zone) {
			f.add("timezone", "must be an IANA time zone such as Asia/Tokyo")
			break
		}
		w.Timezone = zone
	}
}

// zone reports whether an IANA zone of that name exists. "" and "Local" mean
// this machine's to package time, and nothing to a reader.
func (p *Parser) zone(name string) bool {
	if name == "" || name == "Local" || len(name) > 64 {
		return false
	}
	if _, known := p.zones.Load(name); known {
		return true
	}
	if _, err := time.LoadLocation(name); err != nil {
		return false
	}
	p.zones.Store(name, struct{}{})
	return true
}

// hours reads quiet hours and the cap.
func (p *Parser) hours(f fields, w *news.Wishes) {
	if quiet, state := f.object("quiet"); state == null {
		w.Quiet = nil
	} else if state == value {
		w.Quiet = quiet.quiet(w.Quiet)
	}
	var limit int
	switch f.number("cap", 1, maxCap, &limit) {
	case null:
		w.Cap = 0
	case value:
		w.Cap = limit
	}
}

func (f fields) quiet(before *news.Quiet) *news.Quiet {
	q := news.Quiet{From: -1, To: -1, Flash: true}
	if before != nil {
		q = *before
	}
	known := len(*f.faults)
	f.clock("from", &q.From)
	f.clock("to", &q.To)
	f.flag("flash", &q.Flash, true)
	if q.From < 0 || q.To < 0 {
		return before
	}
	if q.From == q.To && len(*f.faults) == known { // no hour of the day, or all of them?
		f.faults.Add(f.path, "from and to are the same; leave quiet out for none")
	}
	return &q
}

// clock reads "22:00" as a minute of the day; dst below 0 means it has none
// yet and must get one.
func (f fields) clock(name string, dst *int) {
	var s string
	state := f.text(name, &s)
	if state == absent && *dst >= 0 {
		return
	}
	minute, ok := parseClock(s)
	if state != value || !ok {
		f.required(name, "must be a time of day such as 22:00")
		return
	}
	*dst = minute
}

func parseClock(s string) (minute int, ok bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	h, errH := strconv.ParseUint(s[:2], 10, 8)
	m, errM := strconv.ParseUint(s[3:], 10, 8)
	if errH != nil || errM != nil || h > 23 || m > 59 {
		return 0, false
	}
	return int(h)*60 + int(m), true
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
