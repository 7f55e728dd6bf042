package site

import (
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/news"
	"dateline/internal/region"
)

// asia is the M.49 area whose places the form lists one by one.
const asia = "142"

// atlas is the list of places to choose from, in every language of the pages.
type atlas struct {
	lists map[string]placeList
	zones []zone // of the places listed
	// zoneLists are the zones by language, sorted; searched is what a search finds.
	// Both are made when they are first asked for.
	zoneLists func() map[string][]zoneChoice
	searched  func() []searched
}

// placeList is what the form offers, in one language.
type placeList struct {
	Whole  place // all of Asia
	Areas  []area
	Beyond []place // the other parts of the world
	Clubs  []place // named groups
	// Southeast and Singapore are the example of what to leave out, by the
	// names that the list has.
	Southeast, Singapore string
}

type area struct {
	place
	Places []place
}

// Itself is the area as a place of the list.
func (a area) Itself() place { return a.place }

type place struct {
	Code, Name, Zone string
	Zones            string // all that its clocks may be set to, with a space between
	Clubs            string // whose members are exactly this area
	Also             string // what else it is looked up by
	Members          string // of a group: the countries of Asia in it, with a space between
}

func newAtlas() *atlas {
	a := &atlas{lists: map[string]placeList{}}
	groups := sortOut(region.Groups())
	for _, lang := range languages() {
		a.lists[lang] = groups.listIn(lang)
	}
	a.zones = zonesOf(a.lists[fallback])
	a.zoneLists = sync.OnceValue(a.sortZones)
	a.searched = sync.OnceValue(func() []searched { return searchable(groups, a.lists[fallback]) })
	return a
}

// groupsSorted are the named groups as the list has them: one that covers
// exactly what a listed place does would only stand there a second time.
type groupsSorted struct {
	listed []string
	twins  map[string][]region.Group // by the listed place that covers the same
}

func sortOut(groups []region.Group) groupsSorted {
	out := groupsSorted{twins: map[string][]region.Group{}}
	listed := slices.Concat([]string{asia}, region.Children(asia), beyondAsia())
	// Clubs first: SAARC stands on the list, and South Asia for the same eight does not.
	slices.SortStableFunc(groups, func(a, b region.Group) int { return rank(a) - rank(b) })
	for _, g := range groups {
		same := func(code string) bool { return region.Within(code, g.Name) && region.Within(g.Name, code) }
		if i := slices.IndexFunc(listed, same); i >= 0 {
			out.twins[listed[i]] = append(out.twins[listed[i]], g)
			continue
		}
		listed, out.listed = append(listed, g.Name), append(out.listed, g.Name)
	}
	return out
}

func rank(g region.Group) int {
	if g.Club {
		return 0
	}
	return 1
}

func beyondAsia() []string {
	return slices.DeleteFunc(region.Children(region.World), func(code string) bool { return code == asia })
}

func (g groupsSorted) listIn(lang string) placeList {
	l := placeList{Whole: g.placeIn(asia, lang), Beyond: g.placesIn(beyondAsia(), lang), Clubs: g.placesIn(g.listed, lang),
		Southeast: region.Name("035", lang), Singapore: region.Name("SG", lang)}
	for _, code := range region.Children(asia) {
		l.Areas = append(l.Areas, area{g.placeIn(code, lang), g.placesIn(region.Children(code), lang)})
	}
	return l
}

// placesIn are places in the order in which their names are looked up.
func (g groupsSorted) placesIn(codes []string, lang string) []place {
	order := collate.New(language.Make(lang))
	var places []place
	for _, code := range codes {
		places = append(places, g.placeIn(code, lang))
	}
	slices.SortFunc(places, func(a, b place) int { return order.CompareString(a.Name, b.Name) })
	return places
}

// placeIn is a place of the list. It is found by its English name in every
// language, and by the names of the groups that it stands for.
func (g groupsSorted) placeIn(code, lang string) place {
	p := placeIn(code, lang)
	also := []string{region.Name(code, fallback)}
	var clubs []string
	for _, twin := range g.twins[code] {
		name := region.Name(twin.Name, lang)
		also = append(also, name, region.Name(twin.Name, fallback))
		if twin.Club {
			clubs = append(clubs, name)
		}
	}
	slices.Sort(also)
	also = slices.DeleteFunc(slices.Compact(also), func(name string) bool { return name == p.Name || slices.Contains(clubs, name) })
	p.Clubs, p.Also = strings.Join(clubs, ", "), strings.Join(also, ", ")
	return p
}

func placeIn(code, lang string) place {
	p := place{Code: code, Name: region.Name(code, lang), Zone: region.Zone(code)}
	switch region.KindOf(code) {
	case region.KindCountry:
		p.Zones = strings.TrimSpace(p.Zone + " " + moreZones(code))
	case region.KindGroup:
		p.Members = strings.Join(slices.DeleteFunc(region.Children(code), func(m string) bool {
			return region.KindOf(m) != region.KindCountry || !region.Within(m, asia)
		}), " ")
	}
	return p
}

// choices is the form of a reader's wishes, as chosen so far.
type choices struct {
	view
	placeList
	Others    []row   // followed or left out, but on none of the lists
	Suggested []place // to tick with one press
	Opened    string  // the country whose subdivisions are asked for
	Overrides []overrideRow
	Preview   preview
	Query     string // of the choice's feed, "" or with its question mark
	Wishes    news.Wishes
	Zones     []zoneChoice
	Spoken    []languageName
	Digest    bool // the digest's calendar is asked for, not quiet hours
	Hour      int
	Days      []int
	Weekly    bool
	Email     string
	Faults    []fault
	// PauseFrom and PauseTo are the first and the last day that a break may last
	// until, on the reader's clock.
	PauseFrom, PauseTo time.Time
	follows            map[string]bool
	mutes              map[string]bool
}

// choices prepares the form in the page's language.
func (s *Site) choices(v view, w news.Wishes, faults error) choices {
	c := choices{view: v, placeList: s.atlas.lists[v.Lang], Wishes: w, Overrides: overrideRows(w.Preference.Overrides),
		Hour: defaultHour, Days: everyDay(), follows: setOf(w.Preference.Regions), mutes: setOf(w.Preference.Muted)}
	today := s.Now().In(zoneIn(w))
	c.PauseFrom, c.PauseTo = today.AddDate(0, 0, 1), today.Add(longestPause)
	listed := c.listed()
	for _, code := range canonical(slices.Concat(w.Preference.Regions, w.Preference.Muted)) {
		if !listed[code] && !listed[region.Parent(code)] {
			c.Others = append(c.Others, row{view: v, place: placeIn(code, v.Lang), Follows: c.follows[code], Mutes: c.mutes[code], Mutable: c.mutes[code]})
		}
	}
	c.Zones = s.atlas.zoneChoices(v.Lang, w.Timezone, s.Now())
	c.Spoken = v.words.names
	if w.Language != "" && known(w.Language) == "" {
		c.Spoken = append(slices.Clone(c.Spoken), languageName{w.Language, display.Self.Name(language.Make(w.Language))})
	}
	var invalid *news.InvalidError
	if errors.As(faults, &invalid) {
		for _, p := range invalid.Problems {
			if f := faultOf(p); !slices.Contains(c.Faults, f) { // both ends of the quiet hours are one
				c.Faults = append(c.Faults, f)
			}
		}
		slices.SortStableFunc(c.Faults, func(a, b fault) int { return slices.Index(onPage(), a.Field) - slices.Index(onPage(), b.Field) })
	}
	return c
}

// onPage are the fields that can be wrong, in the order in which pages have them.
func onPage() []string {
	return []string{"regions", "mutedRegions", "level", "overrides", "sections", "language", "timezone", "quiet", "cap", "email", "hour", "days", "until"}
}

// fault is a fault of the form as its page says it: by the field's own label,
// which leads there.
type fault struct {
	Field string // of the API
	Label string // key of the words; "" for a fault of no field
	At    string // id on the page
	Said  string // key of the words: what would be right; that of an address or a day fills something in
}

func faultOf(p news.Problem) fault {
	field, _, _ := strings.Cut(p.Path, "/")
	f := fault{Field: field, Said: "fault.choice"}
	switch field {
	case "email", "hour":
		f.Label, f.At = "digest."+field, field
	case "days":
		f.Label, f.At, f.Said = "digest.when", "day-1", "fault.day"
	case "regions":
		f.Label, f.At = "form.places", "places"
		if p.Path == field { // of a place in it: no form has that
			f.Said = "js.choose"
		}
	case "mutedRegions":
		f.Label, f.At = "form.out", "places"
		if p.Path == field {
			f.Said = "fault.muted"
		}
	case "level":
		f.Label, f.At = "form.level", "levels"
	case "quiet":
		f.Label, f.At, f.Said = "form.quiet", "hours", "fault.clock"
	case "until":
		f.Label, f.At = "manage.pause.date", "pause-date"
	case "overrides":
		f.Label, f.At = "form.overrides", "overrides"
	case "cap":
		f.Label, f.At, f.Said = "form.cap", field, "fault.cap"
	case "sections", "language", "timezone":
		f.Label, f.At = "form."+field, field
	}
	return f
}

// Faultable are what the page's script may have to say of an answer of the API.
func (c choices) Faultable() []fault {
	var all []fault
	for _, field := range onPage() {
		if field == "until" { // the page of one's choices alone
			continue
		}
		all = append(all, faultOf(news.Problem{Path: field}))
	}
	return all
}

func setOf(list []string) map[string]bool {
	set := map[string]bool{}
	for _, s := range list {
		set[s] = true
	}
	return set
}

func (c *choices) listed() map[string]bool { return setOf(c.codes()) }

// codes are all places of the list.
func (l *placeList) codes() []string {
	codes := []string{l.Whole.Code}
	for _, a := range l.Areas {
		codes = append(codes, a.Code)
		for _, p := range a.Places {
			codes = append(codes, p.Code)
		}
	}
	for _, p := range slices.Concat(l.Beyond, l.Clubs) {
		codes = append(codes, p.Code)
	}
	return codes
}

// Follows, Open, Mutes, Beyonds, Reads, Wants and Comes say what is ticked.
func (c choices) Follows(code string) bool { return c.follows[code] }
func (c choices) Open(a area) bool {
	within := func(code string) bool {
		return code == a.Code || region.Within(code, a.Code) && region.KindOf(code) != region.KindGroup
	}
	return slices.ContainsFunc(c.Wishes.Preference.Regions, within) || slices.ContainsFunc(c.Wishes.Preference.Muted, within) ||
		c.Opened != "" && within(c.Opened)
}
func (c choices) Mutes(code string) bool { return c.mutes[code] }
func (c choices) Beyonds() bool {
	return slices.ContainsFunc(slices.Concat(c.Beyond, c.Clubs), func(p place) bool { return c.follows[p.Code] })
}
func (c choices) Reads(section string) bool {
	return slices.Contains(c.Wishes.Preference.Sections, section)
}
func (c choices) Wants(level string) bool { return c.Wishes.Preference.Level.String() == level }
func (c choices) Comes(day int) bool      { return slices.Contains(c.Days, day) }

// Sections, Levels, Hours and Week are what there is to choose from.
func (c choices) Sections() []news.Section { return news.Sections() }
func (c choices) Levels() []string         { return []string{"flash", "bulletin", "notice"} }
func (c choices) Week() []int              { return everyDay() }
func (c choices) Hours() []hourChoice {
	hours := make([]hourChoice, 24)
	for h := range hours {
		hours[h] = hourChoice{h, clock(h * 60)}
	}
	return hours
}

type hourChoice struct {
	Hour int
	Text string
}

// QuietFrom and QuietTo are the hours in the form; those of a reader without
// any are the usual night.
func (c choices) QuietFrom() string {
	if c.Wishes.Quiet == nil {
		return "22:00"
	}
	return clock(c.Wishes.Quiet.From)
}

func (c choices) QuietTo() string {
	if c.Wishes.Quiet == nil {
		return "07:00"
	}
	return clock(c.Wishes.Quiet.To)
}

func (c choices) QuietFlash() bool { return c.Wishes.Quiet == nil || c.Wishes.Quiet.Flash }

// calendarTyped takes over when the digest is to come, as far as it can be read.
func (c *choices) calendarTyped(values url.Values) {
	if !slices.ContainsFunc([]string{"hour", "day", "weekly"}, values.Has) {
		return
	}
	var unread news.Problems
	values.Set("digest", "1")
	formFields(values, &unread).calendar(&c.Hour, &c.Days, &c.Weekly)
}

// formFields turns a form of a page into the body of the API, so that both
// are read by the same rules.
func formFields(v url.Values, faults *news.Problems) fields {
	raw := fieldsOnly{}
	put := func(name string, v any) {
		if b, err := json.Marshal(v); err == nil { // strings, numbers and lists of them
			raw[name] = b
		}
	}
	put("regions", list(v["region"]))
	put("mutedRegions", list(v["mute"]))
	put("sections", list(v["section"]))
	if v.Has("override") {
		put("overrides", overridesTyped(v["override"], v["overrideLevel"]))
	}
	for _, name := range []string{"level", "language", "timezone"} {
		if v.Get(name) != "" {
			put(name, v.Get(name))
		}
	}
	put("onlyLanguage", v.Has("onlyLanguage"))
	raw["quiet"] = json.RawMessage("null")
	if v.Has("quiet") {
		put("quiet", map[string]any{"from": v.Get("quietFrom"), "to": v.Get("quietTo"), "flash": v.Has("quietFlash")})
	}
	put("cap", numberOrText(v.Get("cap")))
	if v.Has("digest") {
		put("email", v.Get("email"))
		put("hour", numberOrText(v.Get("hour")))
		put("weekly", v.Has("weekly"))
		if !v.Has("weekly") { // else its day is Saturday, and those stay that were chosen before
			days := make([]any, 0, 7)
			for _, d := range v["day"] {
				days = append(days, numberOrText(d))
			}
			put("days", days)
		}
	}
	return fields{raw: raw, faults: faults}
}

// quietly takes out of a form what a mail knows nothing of: how loud, how often, when
// not. A fault in it is none of a digest.
func quietly(values url.Values) url.Values {
	kept := maps.Clone(values)
	for _, name := range []string{"level", "override", "overrideLevel", "quiet", "quietFrom", "quietTo", "quietFlash", "cap"} {
		kept.Del(name)
	}
	return kept
}

// numberOrText is nil for "", a number, or else the text, which the reader of
// the field will refuse with its own words.
func numberOrText(s string) any {
	if s == "" {
		return nil
	}
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return s
}

// longestPause is far longer than any holiday: who wants no alerts leaves.
const longestPause = 366 * 24 * time.Hour

// pause is what a press on one of the pauses does: for a while from now on, or
// until a day begins on the reader's clock.
func pause(values url.Values, now time.Time) (func(*news.Wishes) error, error) {
	days := map[string]int{"day": 1, "week": 7, "month": 30}[values.Get("for")]
	if days > 0 {
		return func(w *news.Wishes) error { w.PausedUntil = now.Add(time.Duration(days) * 24 * time.Hour); return nil }, nil
	}
	if values.Get("for") != "until" {
		return nil, news.Invalid("for", "must be day, week, month or until")
	}
	return func(w *news.Wishes) error {
		zone := zoneIn(*w)
		until, err := time.ParseInLocation(time.DateOnly, values.Get("until"), zone)
		if err != nil || !until.After(now) || until.Sub(now) > longestPause {
			return news.Invalid("until", "must be a day to come, within a year, such as %s", now.In(zone).AddDate(0, 0, 7).Format(time.DateOnly))
		}
		w.PausedUntil = until.UTC()
		return nil
	}, nil
}
