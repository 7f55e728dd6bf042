package showcase

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/simulate"
)

// notesOnTop is how many notifications a screen shows before "n more".
const notesOnTop = 3

// screen is one phone as the page draws it.
type screen struct {
	Number     int
	Name       string
	Clock      string // 19:24, where the phone is
	Day        string // Mon 23 Nov
	Zone       string // JST
	Sky        string // night, dawn, day, dusk
	Service    string
	QuietUntil string // "07:00" while it is quiet; else ""
	Notes      []note // newest first
	More       []note // those that do not fit
	Faults     int    // messages it could not read
	Breaking   bool   // shows the breaking alert
	Why        string
	Facts      []fact
}

// note is one notification.
type note struct {
	Key              string
	Level            string
	Title, Body      string
	Lang, Dir        string
	At               string
	Href             string
	Revision         int
	Earlier          string // the title it took the place of; ""
	EarlierLang      string
	EarlierDir       string
	Repeats          int
	Breaking, Urgent bool
}

// fact is one line of what a phone's owner asked for.
type fact struct{ Term, Text string }

func newScreen(number int, p Phone, local time.Time, breaking *tally) screen {
	v := screen{Number: number, Name: p.Label, Clock: local.Format("15:04"), Day: local.Format("Mon 2 Jan"),
		Zone: region.Abbreviation(local), Sky: sky(local.Hour()), Service: p.Service().Name(),
		QuietUntil: quietUntil(p.Wishes.Quiet, local), Facts: facts(p.Wishes, local)}
	if v.Name == "" {
		v.Name = city(p.Wishes.Timezone)
	}
	received := p.Received()
	for _, d := range received {
		if d.Effect == simulate.Undecoded || d.Effect == simulate.Unreadable {
			v.Faults++
		}
	}
	shown := p.Shown()
	slices.Reverse(shown)
	for i, n := range shown {
		one := newNote(number, n, received, local.Location())
		one.Breaking = breaking != nil && n.Alert == breaking.id
		v.Breaking = v.Breaking || one.Breaking
		if i < notesOnTop || i == notesOnTop && len(shown) == notesOnTop+1 {
			v.Notes = append(v.Notes, one)
		} else {
			v.More = append(v.More, one)
		}
	}
	return v
}

func newNote(number int, n simulate.Notification, received []simulate.Delivery, where *time.Location) note {
	v := note{Key: fmt.Sprintf("%d %s %d", number, n.Tag, n.Revision), Level: n.Level, Title: n.Title, Body: n.Body, Lang: n.Lang,
		Dir: direction(n.Dir), At: n.At.In(where).Format("15:04"), Revision: n.Revision, Repeats: n.Repeats,
		Urgent: n.Level == news.LevelFlash.String()}
	if n.Alert != "" {
		v.Href = "/alerts/" + n.Alert
	}
	for _, d := range received {
		old := d.Notification
		if n.Tag != "" && old.Tag == n.Tag && old.Revision < n.Revision && (d.Effect == simulate.Shown || d.Effect == simulate.Replaced) {
			v.Earlier, v.EarlierLang, v.EarlierDir = old.Title, old.Lang, direction(old.Dir)
		}
	}
	return v
}

// direction is what a dir attribute may hold.
func direction(dir string) string {
	if dir == "rtl" || dir == "ltr" {
		return dir
	}
	return "auto"
}

// facts is what somebody asked for, in words; local is her time.
func facts(w news.Wishes, local time.Time) []fact {
	p := w.Preference
	all := []fact{{"Follows", places(p.Regions)}}
	add := func(term, text string) {
		if text != "" {
			all = append(all, fact{term, text})
		}
	}
	add("But not", places(p.Muted))
	add("Sections", orAll(p.Sections))
	add("Level", levelWords(p.Level))
	for _, o := range p.Overrides {
		add("In "+places(o.Regions), levelWords(o.Level))
	}
	speaks := languageName(w.Language)
	if w.OnlyLanguage {
		speaks += ", nothing else"
	}
	add("Language", speaks)
	add("Quiet", quietWords(w.Quiet))
	if w.Cap > 0 {
		add("At most", fmt.Sprintf("%d a day", w.Cap))
	}
	if w.PausedUntil.After(local) {
		add("Paused", "until "+w.PausedUntil.In(local.Location()).Format("2 Jan, 15:04"))
	}
	if n := len(w.MutedStories); n > 0 {
		add("Muted", strconv.Itoa(n)+" stories")
	}
	return all
}

func places(codes []string) string {
	names := make([]string, 0, len(codes))
	for _, code := range codes {
		names = append(names, region.Name(code, "en"))
	}
	return strings.Join(names, ", ")
}

func orAll(sections []string) string {
	if len(sections) == 0 {
		return "all"
	}
	return strings.Join(sections, ", ")
}

func levelWords(l news.Level) string {
	switch l {
	case news.LevelFlash:
		return "flashes only"
	case news.LevelBulletin:
		return "breaking news: bulletins, flashes"
	case news.LevelNotice:
		return "everything: notices too"
	}
	return ""
}

func quietWords(q *news.Quiet) string {
	if q == nil || q.From == q.To {
		return ""
	}
	words := minutes(q.From) + " to " + minutes(q.To)
	if !q.Flash {
		return words + ", even from a flash"
	}
	return words + ", but for a flash"
}

func minutes(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }

// quietUntil is when the quiet hours that it is now in end; "" outside them.
func quietUntil(q *news.Quiet, local time.Time) string {
	if q == nil || q.From == q.To {
		return ""
	}
	minute := local.Hour()*60 + local.Minute()
	inside := minute >= q.From && minute < q.To
	if q.From > q.To {
		inside = minute >= q.From || minute < q.To
	}
	if !inside {
		return ""
	}
	return minutes(q.To)
}

func zone(name string) *time.Location {
	where, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return where
}

// city is what a zone is named after: "Ho Chi Minh" for Asia/Ho_Chi_Minh.
func city(zone string) string {
	return strings.ReplaceAll(zone[strings.LastIndexByte(zone, '/')+1:], "_", " ")
}

func sky(hour int) string {
	switch {
	case hour < 5 || hour >= 21:
		return "night"
	case hour < 8:
		return "dawn"
	case hour < 17:
		return "day"
	}
	return "dusk"
}
