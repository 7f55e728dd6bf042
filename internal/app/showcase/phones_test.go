package showcase

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

var (
	quakeJA = text{"quake", "flash", "ja", "スマトラ島沖で地震", "沿岸では直ちに高台へ。"}
	quakeAR = text{"quake", "flash", "ar", "زلزال قبالة سومطرة", "التوجه إلى المرتفعات"}
	quakeEN = text{"quake", "flash", "en", "Earthquake off Sumatra", "Move to high ground now."}
	trains  = text{"trains", "notice", "en", "Mumbai tests <b>trains</b> & doors", "Automatic doors."}
)

// crowdOf is a Tokyo, a Riyadh, a Delhi and a Manila phone.
func crowdOf(st *stage) []Phone {
	delhi := wishes("hi", "Asia/Kolkata", "IN", "SAARC")
	delhi.Preference.Muted = []string{"PK"}
	delhi.Preference.Sections = []string{"business", "sport"}
	delhi.Preference.Level = news.LevelFlash
	delhi.Preference.Overrides = []news.Override{{Regions: []string{"NP"}, Level: news.LevelNotice}}
	delhi.OnlyLanguage, delhi.Cap = true, 3
	tokyo := wishes("ja", "Asia/Tokyo", "JP", "035")
	tokyo.Quiet = &news.Quiet{From: 21 * 60, To: 7 * 60, Flash: true}
	return []Phone{st.phone(0, "", tokyo), st.phone(1, "Riyadh", wishes("ar", "Asia/Riyadh", "145")),
		st.phone(0, "Delhi", delhi), st.phone(1, "Manila", wishes("en", "Asia/Manila", "ASEAN"))}
}

func TestPhonesShowWhatArrived(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	st.send(phones[0], quakeJA, 1, "q")
	st.send(phones[1], quakeAR, 1, "q")
	st.send(phones[1], quakeAR, 1, "q") // comes again
	st.send(phones[3], trains, 1, "t")
	a := st.ok("/phones")

	tokyo := a.card(1)
	for _, want := range []string{"No. 1", "has the breaking alert", "Tokyo", "21:00", "Mon 23 Nov", "JST", "Northwind", "quiet until 07:00",
		"flash", quakeJA.title, quakeJA.body, "Follows Japan, Southeast Asia", "Sections all", "Level everything: notices too",
		"Language Japanese", "Quiet 21:00 to 07:00, but for a flash"} {
		if !strings.Contains(said(tokyo), want) {
			t.Errorf("Tokyo's phone lacks %q: %s", want, said(tokyo))
		}
	}
	if screens := with(tokyo, ".screen"); attr(screens[0], "class") != "screen night" {
		t.Errorf("at 21:00 the screen is %q", attr(screens[0], "class"))
	}
	riyadh := a.card(2)
	for _, e := range with(riyadh, ".title") {
		if attr(e, "lang") != "ar" || attr(e, "dir") != "rtl" {
			t.Errorf("Arabic has lang %q, dir %q", attr(e, "lang"), attr(e, "dir"))
		}
	}
	if !strings.Contains(said(riyadh), "came 1× more, shown once") || len(with(riyadh, ".note")) != 1 {
		t.Errorf("a repeat: %s", said(riyadh))
	}
	delhi := a.card(3)
	for _, want := range []string{"No notifications", "Follows India, SAARC", "But not Pakistan", "Sections business, sport", "Level flashes only",
		"In Nepal everything: notices too", "Language Hindi, nothing else", "At most 3 a day"} {
		if !strings.Contains(said(delhi), want) {
			t.Errorf("Delhi's phone lacks %q: %s", want, said(delhi))
		}
	}
	manila := a.card(4)
	if !strings.Contains(said(manila), trains.title) || len(with(manila, "b")) != 1 { // the number's
		t.Errorf("markup of a title: %s", said(manila))
	}
	if strings.Contains(said(manila), "breaking alert") {
		t.Error("a notice passes for the breaking alert")
	}
	totals := said(a.with(".totals")[0])
	for _, want := range []string{"4 phones", "3 show something", "3 notifications", "1 in quiet hours now", "1 repeats", "2 phones show it",
		"1.5 s to the first", "1.5 s to the last", "Northwind 2 1 1", "Meridian 2 3 1"} {
		if !strings.Contains(totals, want) {
			t.Errorf("the totals lack %q: %s", want, totals)
		}
	}
}

// TestBreakingIsTheNewestReleased: not what came last, not a notice, and in
// English where somebody reads it so.
func TestBreakingIsTheNewestReleased(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	if got := said(st.ok("/phones").with(".totals")[0]); !strings.Contains(got, "No breaking alert yet") {
		t.Errorf("before the first: %s", got)
	}
	st.send(phones[0], text{"storm", "bulletin", "ja", "台風", ""}, 1, "s")
	st.pass(time.Second)
	st.send(phones[0], quakeJA, 1, "q")
	st.send(phones[3], quakeEN, 1, "q")
	st.pass(time.Second)
	st.send(phones[3], trains, 1, "t")
	st.pass(time.Second)
	heading := st.ok("/phones").with("h2")[0]
	if said(heading) != quakeEN.title || attr(with(heading, "a")[0], "href") != "/alerts/quake" {
		t.Errorf("the breaking alert is %q", said(heading))
	}
}

func TestCorrectionTakesThePlace(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	st.send(phones[3], quakeEN, 1, "q")
	st.pass(time.Second)
	st.send(phones[3], text{"quake", "flash", "en", "Correction: no tsunami", "The warning was lifted."}, 2, "q")
	st.pass(time.Second)
	card := st.ok("/phones").card(4)
	if got := with(card, "del"); len(got) != 1 || said(got[0]) != quakeEN.title || len(with(card, ".note")) != 1 {
		t.Errorf("corrected: %s", said(card))
	}
	if !strings.Contains(said(card), "Revision 2 took the place of") {
		t.Error(said(card))
	}
}

func TestManyNotificationsFold(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	for i := range 6 {
		st.send(phones[3], text{fmt.Sprint("a", i), "notice", "en", fmt.Sprint("Story ", i), ""}, 1, fmt.Sprint(i))
	}
	st.push(phones[3], []byte("not a notification"))
	card := st.ok("/phones").card(4)
	notes := with(card, ".note")
	if len(notes) != 6 || !strings.Contains(said(notes[0]), "Story 5") || !strings.Contains(said(card), "3 more") {
		t.Errorf("%d notifications, first %s", len(notes), said(notes[0]))
	}
	if !strings.Contains(said(card), "1 message could not be read.") {
		t.Error("an unreadable message is not told of")
	}
}

func TestFindingPhones(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	st.send(phones[0], quakeJA, 1, "q")
	st.send(phones[1], quakeAR, 1, "q")
	st.send(phones[3], trains, 1, "t")
	for query, want := range map[string]string{
		"":                          "1 2 4 3",
		"q=japan":                   "1",
		"q=日":                       "1", // 日本
		"q=jp":                      "1",
		"q=JAPANESE":                "1",
		"q=日本語":                     "1",
		"q=southeast+asia":          "1",
		"q=%233":                    "3",
		"q=3":                       "3",
		"q=manila":                  "4",
		"q=kolkata":                 "3",
		"q=asean":                   "4",
		"q=saarc+flash":             "3",
		"q=japan+flash":             "",
		"q=meridian":                "2 4",
		"q=apan":                    "", // beginnings of words only
		"lang=ar":                   "2",
		"service=Northwind":         "1 3",
		"show=breaking":             "1 2",
		"show=without":              "3 4",
		"show=some":                 "1 2 4",
		"show=none":                 "3",
		"show=breaking&lang=ar":     "2",
		"q=%3Cscript%3E":            "",
		"show=breaking&q=%27+OR+1":  "",
		"page=9":                    "1 2 4 3",
		"page=-1":                   "1 2 4 3",
		"page=999999999999999999":   "1 2 4 3",
		"lang=xx&q=%00%ff&show=odd": "",
	} {
		for _, path := range []string{"/phones", "/phones/live"} {
			if got := st.ok(path + "?" + query).numbers(); got != want {
				t.Errorf("%s?%s: phones %q, want %q", path, query, got, want)
			}
		}
	}
	if a := st.ok("/phones?q=nowhere"); !strings.Contains(said(a.with(".empty")[0]), "No phone fits") {
		t.Error("nothing found, and nothing said")
	}
	a := st.ok("/phones?q=%22%3E%3Cscript%3Ex&lang=ja&show=breaking")
	if attr(a.with("#q")[0], "value") != `"><script>x` || len(a.with("script")) != 1 {
		t.Error("what was typed does not come back as text")
	}
}

func TestPagesOfPhones(t *testing.T) {
	st := newStage(t, nil)
	var phones []Phone
	for i := range 2*phonesPerPage + 5 {
		phones = append(phones, st.phone(i%2, "", wishes([]string{"en", "th"}[i%2], "Asia/Bangkok", "TH")))
	}
	st.show.SetPhones(phones)
	a := st.ok("/phones?lang=en")
	if n := len(a.with(".phone")); n != phonesPerPage {
		t.Errorf("%d phones on the first page", n)
	}
	live := attr(a.with("#live")[0], "data-live")
	if live != "/phones/live?lang=en" {
		t.Errorf("the live part is at %s", live)
	}
	next := a.with("nav")[1]
	if href := attr(with(next, "a")[0], "href"); href != "/phones?lang=en&page=2" {
		t.Errorf("next is %s", href)
	}
	last := st.ok("/phones?page=3")
	if !strings.Contains(said(last.tree), "121 to 125 of 125") || len(last.with(".phone")) != 5 {
		t.Errorf("last page: %s", last.numbers())
	}
	if attr(last.with("#live")[0], "data-live") != "/phones/live?page=3" {
		t.Error("the live part is another page")
	}
}

func TestBeforeTheFirstPhone(t *testing.T) {
	st := newStage(t, func(c *Config) { c.Outbox = nil })
	if a := st.ok("/phones"); !strings.Contains(said(a.with(".empty")[0]), "being made") {
		t.Error(a.body)
	}
	if a := st.ok("/outbox"); !strings.Contains(said(a.with(".empty")[0]), "No mails yet") {
		t.Error(a.body)
	}
}

func TestWhy(t *testing.T) {
	st := newStage(t, func(c *Config) {
		c.Why = func(_ context.Context, p Phone, alert string) string {
			return alert + " is nothing for " + p.Wishes.Language
		}
	})
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	if strings.Contains(st.ok("/phones").body, "is nothing for") {
		t.Error("a reason for no alert")
	}
	st.send(phones[0], quakeJA, 1, "q")
	st.pass(time.Second)
	if card := st.ok("/phones").card(3); !strings.Contains(said(card), "quake is nothing for hi") {
		t.Error(said(card))
	}
}

// TestCensusIsShared: within its age a second visitor gets the same count.
func TestCensusIsShared(t *testing.T) {
	st := newStage(t, nil)
	phones := crowdOf(st)
	st.show.SetPhones(phones)
	st.ok("/phones")
	st.send(phones[0], quakeJA, 1, "q")
	if got := st.ok("/phones?show=some").numbers(); got != "" {
		t.Errorf("counted again at once: %s", got)
	}
	st.pass(censusAge)
	if got := st.ok("/phones?show=some").numbers(); got != "1" {
		t.Errorf("later: %q", got)
	}
}

func TestHeadersOfThePages(t *testing.T) {
	st := newStage(t, nil)
	st.show.SetPhones(crowdOf(st))
	st.mail("reader@b.example", "Hello", "text", "<p>rich</p>")
	for _, path := range []string{"/phones", "/phones/live", "/outbox", "/outbox/live", "/outbox/1"} {
		a := st.ok(path)
		if a.header.Get("Cache-Control") != "no-store" || strings.Contains(a.header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: %v", path, a.header)
		}
		if strings.Contains(a.body, "style=") || strings.Contains(a.body, "<style") || strings.Contains(strings.ToLower(a.body), "fake") {
			t.Errorf("%s: inline style, or a word we do not use", path)
		}
		for _, e := range append(a.with("script"), a.with("link")...) {
			if src := attr(e, "src") + attr(e, "href"); strings.HasPrefix(src, "/static/") && st.get(src).status != http.StatusOK {
				t.Errorf("%s: %s is not there", path, src)
			}
		}
	}
}

func TestQuietUntil(t *testing.T) {
	at := func(hour, minute int) time.Time { return time.Date(2026, 11, 23, hour, minute, 0, 0, time.UTC) }
	night, noonNap := &news.Quiet{From: 22 * 60, To: 7 * 60}, &news.Quiet{From: 12 * 60, To: 13*60 + 30}
	for _, c := range []struct {
		quiet *news.Quiet
		now   time.Time
		want  string
	}{
		{nil, at(3, 0), ""}, {&news.Quiet{From: 60, To: 60}, at(1, 0), ""},
		{night, at(21, 59), ""}, {night, at(22, 0), "07:00"}, {night, at(6, 59), "07:00"}, {night, at(7, 0), ""},
		{noonNap, at(11, 59), ""}, {noonNap, at(12, 0), "13:30"}, {noonNap, at(13, 30), ""},
	} {
		if got := quietUntil(c.quiet, c.now); got != c.want {
			t.Errorf("%+v at %s: %q, want %q", c.quiet, c.now.Format("15:04"), got, c.want)
		}
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 ms", 120 * time.Millisecond: "120 ms", 1500 * time.Millisecond: "1.5 s",
		90 * time.Second: "1 min", 90 * time.Minute: "1.5 h"} {
		if got := seconds(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	late := tally{after: []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 100}}
	for share, want := range map[float64]time.Duration{0: 1, 0.5: 5, 0.99: 100, 1: 100} {
		if got := late.within(share); got != want {
			t.Errorf("%v: %d, want %d", share, got, want)
		}
	}
}

var _ Outbox = (*simulate.MailServer)(nil)
