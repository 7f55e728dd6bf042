package desk

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// say posts a form and gives the status and the page.
func (l *lobby) say(t *testing.T, by news.Person, path string, form url.Values) (status int, body string) {
	t.Helper()
	resp := l.ask(t, "POST", path, l.as(by), form)
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

// raised is a draft and the form of it, as it stands in the page.
func raised(t *testing.T, l *lobby) (to string, form url.Values) {
	t.Helper()
	_, to = l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	return to, url.Values{"hash": {hashOn(t, l.read(t, ann, to))}, "level": {"bulletin"}, "audience": {"ID + MY"}, "languages": {"en", "id"}, "deadline": {""},
		"title.en": {"Quake"}, "body.en": {"Go up."}, "title.id": {"Gempa"}, "body.id": {"Naik."}}
}

func (l *lobby) alertAt(t *testing.T, to string) news.Alert {
	t.Helper()
	a, err := l.desk.mem.Alert(t.Context(), strings.TrimPrefix(to, "/desk/alerts/"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func with(form url.Values, field string, values ...string) url.Values {
	out := url.Values{}
	for k, v := range form {
		out[k] = append([]string{}, v...)
	}
	out[field] = values
	return out
}

// Without a script: the buttons change the form, keep what was typed into it,
// and save nothing.
func TestFormButtonsSaveNothing(t *testing.T) {
	l := newLobby(t)
	to, form := raised(t, l)
	before := l.alertAt(t, to)
	typed := with(with(form, "title.en", "Typed and not saved"), "language", "ja")
	for _, c := range []struct {
		name        string
		form        url.Values
		want, lacks []string
	}{
		{"add", with(typed, "add", "1"), []string{`name="title.ja"`, "Typed and not saved", `value="Gempa"`, "data-unsaved"}, []string{"required: write", "Title is required"}},
		{"remove", with(typed, "remove", "id"), []string{"Typed and not saved", `<option value="id">Indonesian`}, []string{`name="title.id"`}},
		{"remove the last resort", with(typed, "remove", "en"), []string{`name="title.en"`}, nil},
		{"toggle", with(typed, "toggle", "JP"), []string{`value="ID &#43; MY &#43; JP"`, "Indonesia, Malaysia and Japan", `value="JP" aria-pressed="true"`, "Typed and not saved"}, nil},
		{"show", with(with(typed, "audience", "ASEAN - TH"), "show", "1"), []string{"ASEAN, without Thailand", "not saved", `<p class="t">Typed and not saved</p>`}, nil},
		{"show what is wrong", with(with(with(typed, "audience", "ASEAN + ATLANTIS"), "deadline", "15:02"), "show", "1"),
			[]string{"Audience unknown place &#34;ATLANTIS&#34;", `value="ASEAN &#43; ATLANTIS"`, "Deadline says no zone", `value="15:02"`, "waits for an audience"}, nil},
	} {
		status, body := l.say(t, ann, to+"/edit", c.form)
		if status != http.StatusOK {
			t.Errorf("%s: %d", c.name, status)
		}
		for _, want := range c.want {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", c.name, want)
			}
		}
		for _, not := range c.lacks {
			if strings.Contains(body, not) {
				t.Errorf("%s has %q", c.name, not)
			}
		}
	}
	if after := l.alertAt(t, to); after.Hash() != before.Hash() {
		t.Error("a button that saves nothing changed the alert")
	}
}

// The tick "the last of this story" is part of what an approval is bound to,
// stays on the form, and comes off again.
func TestTheLastOfAStory(t *testing.T) {
	l := newLobby(t)
	to, form := raised(t, l)
	before := l.alertAt(t, to)
	if before.Final || strings.Contains(l.read(t, ann, to), `id="final" checked`) {
		t.Error("an alert is its story's last before anybody said so")
	}
	if status, _ := l.press(t, ann, to+"/edit", with(form, "final", "on")); status != http.StatusSeeOther {
		t.Fatalf("edit: %d", status)
	}
	page := l.read(t, ann, to)
	if a := l.alertAt(t, to); !a.Final || a.Hash() == before.Hash() || !strings.Contains(page, `id="final" checked`) {
		t.Errorf("final %v, the same hash: %v", a.Final, a.Hash() == before.Hash())
	}
	form.Set("hash", hashOn(t, page))
	if status, _ := l.press(t, ann, to+"/edit", form); status != http.StatusSeeOther || l.alertAt(t, to).Final {
		t.Errorf("the tick does not come off: %d", status)
	}
}

// A story's translation is offered for an added language, nothing else is.
func TestAnAddedLanguageHasTheStorysTextOrNone(t *testing.T) {
	l := newLobby(t)
	to, form := raised(t, l)
	form = with(form, "languages", "en")
	delete(form, "title.id")
	delete(form, "body.id")
	if status, _ := l.press(t, ann, to+"/edit", form); status != http.StatusSeeOther {
		t.Fatalf("without Indonesian: %d", status)
	}
	if _, there := l.alertAt(t, to).Texts["id"]; there {
		t.Error("a language that was removed from the form is still there")
	}
	form.Set("hash", hashOn(t, l.read(t, ann, to)))
	if _, body := l.say(t, ann, to+"/edit", with(with(form, "language", "id"), "add", "1")); !strings.Contains(body, "Gempa di lepas pantai") {
		t.Error("the story's own translation is not offered")
	}
	if _, body := l.say(t, ann, to+"/edit", with(with(form, "language", "ko"), "add", "1")); !strings.Contains(body, `name="title.ko" value=""`) {
		t.Error("a language the story is not in has a text")
	}
	blank := with(with(form, "languages", "en", "ko"), "title.ko", "")
	if status, body := l.say(t, ann, to+"/edit", blank); status != http.StatusBadRequest || !strings.Contains(body, `id="title-fault-ko">Title is required.`) {
		t.Errorf("a language without words: %d", status)
	}
	if status, body := l.say(t, ann, to+"/edit", with(form, "languages", "ko")); status != http.StatusBadRequest || !strings.Contains(body, "is required") {
		t.Errorf("a form without the text of last resort: %d", status)
	}
}

func TestDeadlineOnTheForm(t *testing.T) {
	l := newLobby(t)
	to, form := raised(t, l)
	body := l.read(t, ann, to)
	if !strings.Contains(body, "Until 1 h after its release: 13:00 UTC (20:00 Jakarta) if released now.") {
		t.Error("the default deadline is not said")
	}
	if status, _ := l.press(t, ann, to+"/edit", with(form, "deadline", "90")); status != http.StatusSeeOther {
		t.Fatalf("ninety minutes: %d", status)
	}
	if got := l.alertAt(t, to).Deadline; !got.Equal(noon.Add(90 * time.Minute)) {
		t.Errorf("ninety minutes are until %s", got)
	}
	if body := l.read(t, ann, to); !strings.Contains(body, "Until 13:30 UTC (20:30 Jakarta).") || !strings.Contains(body, `value="2026-11-23 13:30 UTC"`) {
		t.Error("the deadline is not shown as it was saved")
	}
	form.Set("hash", hashOn(t, l.read(t, ann, to)))
	for _, bad := range []string{"15:02", "soon", "2026-11-22 12:00 UTC", "99999 h"} {
		if status, body := l.say(t, ann, to+"/edit", with(form, "deadline", bad)); status != http.StatusBadRequest || !strings.Contains(body, `<p class="fault">Deadline`) || !strings.Contains(body, `value="`+bad+`"`) {
			t.Errorf("%q: %d", bad, status)
		}
	}
	if status, _ := l.press(t, ann, to+"/edit", form); status != http.StatusSeeOther || !l.alertAt(t, to).Deadline.IsZero() {
		t.Errorf("an emptied field keeps the deadline (%d)", status)
	}
}

func TestParseDeadline(t *testing.T) {
	at := func(s string) time.Time { v, _ := time.Parse(time.RFC3339, s); return v }
	for text, want := range map[string]time.Time{
		"": {}, "  ": {}, "90": noon.Add(90 * time.Minute), "45 min": noon.Add(45 * time.Minute), "2h": noon.Add(2 * time.Hour), "3 Hours": noon.Add(3 * time.Hour),
		"15:02 UTC": at("2026-11-23T15:02:00Z"), "11:00 utc": at("2026-11-24T11:00:00Z"), "22:02 Asia/Jakarta": at("2026-11-23T15:02:00Z"),
		"22:02 +07:00": at("2026-11-23T15:02:00Z"), "18:00 Asia/Tokyo": at("2026-11-24T09:00:00Z"), "2026-11-24 22:02 Asia/Jakarta": at("2026-11-24T15:02:00Z"),
		"2026-11-24T22:02:00+07:00": at("2026-11-24T15:02:00Z"), "2026-11-24 22:02 +07:00": at("2026-11-24T15:02:00Z"), "2026-11-24 22:02 UTC": at("2026-11-24T22:02:00Z"),
		"2026-11-24T22:02 Asia/Jakarta": at("2026-11-24T15:02:00Z"),
	} {
		if got, err := parseDeadline(text, noon); err != nil || !got.Equal(want) {
			t.Errorf("%q is %s, %v; want %s", text, got, err, want)
		}
	}
	for _, bad := range []string{"15:02", "2026-11-24 15:02", "15:02 Local", "15:02 Nowhere/Town", "tomorrow", "-5", "1.5 h", "25:00 UTC", "123456", "15:02 ../../etc/passwd"} {
		if got, err := parseDeadline(bad, noon); err == nil {
			t.Errorf("%q is read as %s", bad, got)
		}
	}
	a := news.Alert{Deadline: noon.Add(time.Hour)}
	if again, err := parseDeadline(deadlineText(a.Deadline), noon); err != nil || !again.Equal(a.Deadline) {
		t.Errorf("the form does not read what it shows: %s, %v", again, err)
	}
}

// The embargo is said, and a release within it waits for its end.
func TestEmbargoOnThePage(t *testing.T) {
	l := newLobby(t)
	story := testStory()
	story.Embargo = noon.Add(3 * time.Hour)
	l.desk.mem.stories[story.URI] = story
	to, _ := raised(t, l)
	body := l.read(t, ann, to)
	if !strings.Contains(body, "Embargo until 15:00 UTC (22:00 Jakarta): an approved alert goes then.") {
		t.Error("the embargo is not said")
	}
	if status, _ := l.press(t, ann, to+"/release", url.Values{"hash": {hashOn(t, body)}}); status != http.StatusSeeOther {
		t.Fatalf("release: %d", status)
	}
	if a := l.alertAt(t, to); a.State != news.AlertHolding || !a.HoldUntil.Equal(story.Embargo) {
		t.Errorf("released within the embargo it is %s until %s", a.State, a.HoldUntil)
	}
}

func TestPreview(t *testing.T) {
	l := newLobby(t)
	to, _ := raised(t, l)
	var asked []news.Alert
	l.pages.reach = func(a news.Alert) Reach { asked = append(asked, a); return l.reach(a) }
	preview := func(q url.Values) string { return l.read(t, ann, to+"/preview?"+q.Encode()) }
	q := url.Values{"level": {"flash"}, "audience": {"ASEAN + TW - JP"}, "sections": {"weather"}, "languages": {"en", "ar"}, "deadline": {"2 h"}}
	body := preview(q)
	for _, want := range []string{`data-part="audience-words"`, "ASEAN and Taiwan, without Japan", `data-in="`, " TW ", `data-part="until"`, "Until 14:00 UTC", `data-part="card"`, "4120", "not saved"} {
		if !strings.Contains(body, want) {
			t.Errorf("the preview lacks %q in %s", want, body)
		}
	}
	if strings.Contains(body, "<path") || strings.Contains(body, "<html") {
		t.Error("the preview carries the map's shapes or a whole page")
	}
	a := asked[len(asked)-1]
	if a.Level != news.LevelFlash || a.Audience != "ASEAN + TW - JP" || len(a.Texts) != 2 || a.Sections[0] != "weather" {
		t.Errorf("it counts for %+v", a)
	}
	if body := preview(with(q, "toggle", "TH")); !strings.Contains(body, `data-audience="ASEAN &#43; TW - JP - TH"`) {
		t.Error("a press on the map does not write the expression")
	}
	n := len(asked)
	if body := preview(with(q, "audience", "ASEAN +")); !strings.Contains(body, "Audience ends without a place") || len(asked) != n {
		t.Error("an expression that can't be read is counted for, or not said")
	}
	if body := preview(with(q, "audience", "")); !strings.Contains(body, "Audience names no place") {
		t.Error("an empty expression is not said")
	}
	same := url.Values{"level": {"bulletin"}, "audience": {"id+my"}, "sections": {"disaster"}, "languages": {"en", "id"}}
	if body := preview(same); !strings.Contains(body, "For what is saved.") {
		t.Error("what is saved counts as unsaved")
	}
	if a := l.alertAt(t, to); a.Level != news.LevelBulletin || a.Audience != "ID + MY" {
		t.Error("a look changed the alert")
	}
	if resp := l.ask(t, "GET", to+"/preview", "", nil); resp.StatusCode == http.StatusOK {
		t.Error("a stranger may look")
	}
	l.press(t, ann, to+"/cancel", nil)
	if resp := l.ask(t, "GET", to+"/preview?audience=JP", l.as(ann), nil); resp.StatusCode != http.StatusConflict {
		t.Errorf("a cancelled alert is written on: %d", resp.StatusCode)
	}
}

// past is a Past with these sizes.
type past []int

func (p past) IntendedOfLevel(context.Context, news.Level, int) ([]int, error) { return p, nil }

// More than twice what is usual goes only with its number.
func TestAnUnusualReleaseAsksForItsNumber(t *testing.T) {
	for _, c := range []struct {
		name   string
		past   past
		typed  string
		want   int
		said   string // on the page before
		refuse string
	}{
		{"few before", past{10, 10, 10, 10}, "", http.StatusSeeOther, "Only 4 earlier bulletin alerts", ""},
		{"none before", nil, "", http.StatusSeeOther, "No earlier bulletin alert", ""},
		{"usual", past{2000, 2100, 2060, 2070, 2080, 9000}, "", http.StatusSeeOther, "2.0 times what a bulletin usually reaches (2075", ""},
		{"large, nothing typed", past{1000, 900, 1000, 1100, 1000}, "", http.StatusBadRequest, "4.1 times what a bulletin usually reaches (1000, the median of the last 5)", "type 4120 to release it"},
		{"large, another number", past{1000, 900, 1000, 1100, 1000}, "412", http.StatusBadRequest, `name="count"`, "type 4120"},
		{"large, words", past{1000, 900, 1000, 1100, 1000}, "all of them", http.StatusBadRequest, `name="count"`, "type 4120"},
		{"large, typed", past{1000, 900, 1000, 1100, 1000}, "4120", http.StatusSeeOther, `name="count"`, ""},
		{"large, typed with commas", past{1000, 900, 1000, 1100, 1000}, " 4,120", http.StatusSeeOther, `name="count"`, ""},
		{"large, in another script", past{1000, 900, 1000, 1100, 1000}, "٤١٢٠", http.StatusSeeOther, `name="count"`, ""},
		{"large, some came meanwhile", past{1000, 900, 1000, 1100, 1000}, "4100", http.StatusSeeOther, `name="count"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLobby(t)
			l.pages.past = c.past
			to, _ := raised(t, l)
			body := l.read(t, ann, to)
			if !strings.Contains(body, c.said) {
				t.Errorf("the page lacks %q", c.said)
			}
			status, answer := l.say(t, ann, to+"/release", url.Values{"hash": {hashOn(t, body)}, "count": {c.typed}})
			if status != c.want || !strings.Contains(answer, c.refuse) {
				t.Errorf("release: %d, want %d", status, c.want)
			}
			if released := l.alertAt(t, to).State != news.AlertDraft; released != (c.want == http.StatusSeeOther) {
				t.Error("a refused release released it, or the other way round")
			}
		})
	}
}

func TestTheCardSaysWhatItKnows(t *testing.T) {
	l := newLobby(t)
	to, _ := raised(t, l)
	l.pages.reach = func(news.Alert) Reach {
		return Reach{Devices: 200, Held: 5, Woken: 40, AlreadySent: 9, Here: 900, Cells: 128, SentHour: 50, SentDay: 120, RecentAt: noon,
			Services: map[PushService]int{PushGoogle: 150, PushApple: 30, PushMozilla: 10, PushMicrosoft: 8, PushOther: 2},
			Recent:   []Overlap{{AlertID: "x", Title: "Storm", Level: news.LevelFlash, At: noon, Devices: 50}}}
	}
	l.pass(reachFresh)
	body := l.read(t, ann, to)
	for _, want := range []string{"128 of the 256 parts", "9 were sent this story already", "Of these devices 50 (25 %) were sent another alert in the last hour, 120 (60 %) in the last day",
		"Storm</a>", "Google (Chrome", "Apple (Safari", "Mozilla (Firefox)", "Microsoft (Edge", "Other push services", "nobody is woken"} {
		if !strings.Contains(body, want) {
			t.Errorf("the card lacks %q", want)
		}
	}
	if body := l.read(t, ann, to+"/preview?level=flash&audience=JP&languages=en"); !strings.Contains(body, "40 are in their quiet hours and <strong>are woken</strong>") {
		t.Error("whom a flash wakes is not said")
	}
}

// One editor alone types the number, too.
func TestAnUnusualReleaseAloneAsksForItsNumber(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	l.pages.past = past{1000, 900, 1000, 1100, 1000}
	to, _ := raised(t, l)
	body := l.read(t, ann, to)
	form := url.Values{"hash": {hashOn(t, body)}, "reason": {whyAlone}, "typed": {"alone"}}
	if strings.Count(body, `name="count"`) != 1 {
		t.Error("the number is not asked for once")
	}
	if status, answer := l.say(t, ann, to+"/alone", form); status != http.StatusBadRequest || !strings.Contains(answer, "type 4120 to release it") || !strings.Contains(answer, whyAlone) {
		t.Errorf("without the number: %d", status)
	}
	form.Set("count", "4120")
	if status, _ := l.press(t, ann, to+"/alone", form); status != http.StatusSeeOther {
		t.Errorf("with the number: %d", status)
	}
}
