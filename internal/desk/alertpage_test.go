package desk

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/templates"
)

// read is a page's text.
func (l *lobby) read(t *testing.T, by news.Person, path string) string {
	t.Helper()
	resp := l.ask(t, "GET", path, l.as(by), nil)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return string(body)
}

// press posts a form as somebody and gives the status and where it leads.
func (l *lobby) press(t *testing.T, by news.Person, path string, form url.Values) (status int, to string) {
	t.Helper()
	if form == nil {
		form = url.Values{}
	}
	resp := l.ask(t, "POST", path, l.as(by), form)
	return resp.StatusCode, resp.Header.Get("Location")
}

// hashOn is the hash that the page's buttons carry.
func hashOn(t *testing.T, body string) string {
	t.Helper()
	_, rest, ok := strings.Cut(body, `name="hash" value="`)
	if !ok {
		t.Fatal("no button names what was read")
	}
	return rest[:strings.Index(rest, `"`)]
}

// From a story to its retraction on the pages, under two: raised, written,
// submitted, approved by another, released, undone, released, killed.
func TestTheWholeWayOnThePages(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyTwo}
	status, to := l.press(t, rika, "/desk/raise", url.Values{"story": {testStory().URI}})
	if status != http.StatusSeeOther || !strings.HasPrefix(to, "/desk/alerts/") {
		t.Fatalf("raise: %d to %q", status, to)
	}
	step := func(by news.Person, name string, form url.Values, want int) {
		t.Helper()
		if got, _ := l.press(t, by, to+"/"+name, form); got != want {
			t.Fatalf("%s by %s: %d, want %d", name, by.Name, got, want)
		}
	}
	body := l.read(t, rika, to)
	for _, want := range []string{"A draft. Nobody but the desk sees it.", "Submit for approval", "4120", "Japan <b>4000</b>", `data-limits="Android 30, iOS 30, Windows 69, macOS 43"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the draft lacks %q", want)
		}
	}
	if strings.Contains(body, "Release") || strings.Contains(body, "Approve exactly") {
		t.Error("a reporter is offered what she may not do")
	}
	step(rika, "edit", url.Values{"level": {"flash"}, "audience": {"ASEAN + JP - TH"}, "title.en": {"Quake off Honshu"}, "body.en": {"Go up."}}, http.StatusSeeOther)
	if body := l.read(t, rika, to); !strings.Contains(body, "ASEAN and Japan, without Thailand") || !strings.Contains(body, "Quake off Honshu") {
		t.Error("what was written is not shown")
	}
	step(rika, "submit", nil, http.StatusSeeOther)
	stale := hashOn(t, l.read(t, ann, to))
	step(ann, "edit", url.Values{"level": {"flash"}, "audience": {"JP"}, "title.en": {"Quake"}, "body.en": {"Go up."}}, http.StatusSeeOther)
	step(ann, "submit", nil, http.StatusSeeOther)
	step(ben, "approve", url.Values{"hash": {stale}}, http.StatusConflict) // after an edit (T83)
	if strings.Contains(l.read(t, ann, to), "Approve exactly") {
		t.Error("an author is offered to approve her own words")
	}
	hash := hashOn(t, l.read(t, ben, to))
	step(ann, "approve", url.Values{"hash": {hash}}, http.StatusForbidden) // and by direct call
	step(ben, "approve", url.Values{"hash": {hash}}, http.StatusSeeOther)
	step(ben, "release", url.Values{"hash": {hash}}, http.StatusSeeOther)
	if body := l.read(t, ben, to); !strings.Contains(body, ">Undo<") || !strings.Contains(body, "data-until=") {
		t.Error("the countdown offers no way back")
	}
	step(ben, "hold", url.Values{"reason": {"undone"}}, http.StatusSeeOther)
	step(ann, "resume", nil, http.StatusSeeOther)
	step(ben, "release", url.Values{"hash": {hash}}, http.StatusSeeOther)
	l.desk.begin(t, strings.TrimPrefix(to, "/desk/alerts/"))
	if body := l.read(t, ann, to); !strings.Contains(body, "Going out now.") || !strings.Contains(body, ">HOLD<") || !strings.Contains(body, "<progress") {
		t.Error("an alert that goes out can't be watched")
	}
	step(ann, "correct", url.Values{"title.en": {"Weak quake"}, "body.en": {"No tsunami."}}, http.StatusSeeOther)
	step(ann, "kill", url.Values{"typed": {"yes"}}, http.StatusBadRequest)
	step(ann, "kill", url.Values{"typed": {"Kill"}, "reason": {"forged"}}, http.StatusSeeOther)
	body = l.read(t, ann, to)
	for _, want := range []string{"Killed.", "Reason: <bdi>forged</bdi>", ">correction<", ">kill<"} {
		if !strings.Contains(body, want) {
			t.Errorf("the killed alert lacks %q", want)
		}
	}
	if list := l.read(t, ann, "/desk/alerts"); !strings.Contains(list, "Weak quake") || !strings.Contains(list, "flash two") {
		t.Error("the list of alerts lacks it, or the policies")
	}
}

func TestStepsOnThePagesAreRefused(t *testing.T) {
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	for name, c := range map[string]struct {
		by   news.Person
		path string
		form url.Values
		want int
	}{
		"nobody":           {news.Person{}, to + "/release", nil, http.StatusSeeOther},
		"a reporter":       {rika, to + "/release", url.Values{"hash": {"x"}}, http.StatusForbidden},
		"without a hash":   {ann, to + "/release", nil, http.StatusBadRequest},
		"a stale hash":     {ann, to + "/release", url.Values{"hash": {"x"}}, http.StatusConflict},
		"no audience":      {ann, to + "/edit", url.Values{"audience": {"ATLANTIS"}, "level": {"flash"}}, http.StatusBadRequest},
		"no step":          {ann, to + "/explode", nil, http.StatusNotFound},
		"an unknown alert": {ann, "/desk/alerts/00000000-0000-7000-8000-00000000ffff/hold", nil, http.StatusNotFound},
		"an unknown story": {ann, "/desk/raise", url.Values{"story": {"https://news.example/none"}}, http.StatusNotFound},
		"correct a draft":  {ann, to + "/correct", url.Values{"title.en": {"x"}}, http.StatusConflict},
		"resume a draft":   {ann, to + "/resume", nil, http.StatusConflict},
	} {
		path := c.path
		cookie := ""
		if c.by.Name != "" {
			cookie = l.as(c.by)
		}
		form := c.form
		if form == nil {
			form = url.Values{}
		}
		resp := l.ask(t, "POST", path, cookie, form)
		if resp.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, c.want)
		}
		if c.by.Name == "" && !strings.HasPrefix(resp.Header.Get("Location"), "/desk/signin") {
			t.Errorf("%s is led to %q", name, resp.Header.Get("Location"))
		}
	}
	if body := l.read(t, ann, to); !strings.Contains(body, "A draft.") {
		t.Error("a refused step changed the alert")
	}
}

// An open alert page is sent its status at once and whenever it changes.
func TestAnAlertIsWatchedLive(t *testing.T) {
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	server := l.open(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+to+"/events", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(ann)})
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	until := func(want string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), want) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", want, lines.Err())
	}
	until(`data-state="draft"`)
	l.press(t, ann, to+"/cancel", nil)
	until(`data-state="cancelled"`)
}

func TestReachIsDrawn(t *testing.T) {
	r := Reach{Regions: map[string]int{"JP": 5, "ID": 9, "TH": 5}, Languages: map[string]int{"zh-Hant": 2}, Hours: [24]int{0: 1, 7: 4}}
	if got := r.TopRegions(); len(got) != 3 || got[0] != (Share{"Indonesia", 9}) || got[1].Name != "Japan" {
		t.Errorf("regions %v", got)
	}
	if got := r.TopLanguages(); len(got) != 1 || got[0] != (Share{"Traditional Chinese", 2}) {
		t.Errorf("languages %v", got)
	}
	bars := r.Bars()
	if len(bars) != 24 || bars[7].Height != "10.00" || bars[0].Height != "2.50" || bars[0].Y != "7.50" || bars[3].Height != "0.00" {
		t.Errorf("bars %v", bars)
	}
	if empty := (&Reach{}).Bars(); empty[5].Height != "0.00" {
		t.Errorf("nobody is drawn as %v", empty)
	}
}

// refused posts a form that is refused and gives the page that says why.
func (l *lobby) refused(t *testing.T, by news.Person, path string, form url.Values) string {
	t.Helper()
	resp := l.ask(t, "POST", path, l.as(by), form)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode < 400 {
		t.Fatalf("%s: %d, %v", path, resp.StatusCode, err)
	}
	return string(body)
}

func TestWhatWasRefusedStaysInTheForm(t *testing.T) {
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	body := l.refused(t, ann, to+"/edit", url.Values{"level": {"notice"}, "audience": {"ATLANTIS"}, "sections": {"sport"}, "title.en": {"My words"}, "body.en": {"My text"}})
	for _, want := range []string{`value="ATLANTIS"`, `value="My words"`, ">My text</textarea>", `value="notice" checked`, `value="sport" checked`, " data-unsaved", "Audience unknown place"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	body = l.refused(t, ann, to+"/release", url.Values{"hash": {"stale"}})
	if want := "<p>The alert has changed since you saw it; read it again and decide anew.</p>"; !strings.Contains(body, want) {
		t.Errorf("the page lacks %q", want)
	}
}

// Two editors write at once: the second is told, and may then decide.
func TestNobodyIsWrittenOverUnread(t *testing.T) {
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	read := hashOn(t, l.read(t, ben, to))
	form := func(title, hash string) url.Values {
		return url.Values{"level": {"flash"}, "audience": {"JP"}, "title.en": {title}, "body.en": {"x"}, "hash": {hash}}
	}
	if status, _ := l.press(t, ann, to+"/edit", form("Ann's", read)); status != http.StatusSeeOther {
		t.Fatalf("an edit of what was read: %d", status)
	}
	body := l.refused(t, ben, to+"/edit", form("Ben's", read))
	if !strings.Contains(body, "was changed while you wrote") || !strings.Contains(body, `value="Ben&#39;s"`) || !strings.Contains(body, ">Ann&#39;s</h1>") {
		t.Error("the page does not show both")
	}
	if status, _ := l.press(t, ben, to+"/edit", form("Ben's", hashOn(t, body))); status != http.StatusSeeOther {
		t.Errorf("an edit after reading: %d", status)
	}
}

// The form of a correction offers the old texts: those that nobody changed are
// not sent again, as they may be what was wrong.
func TestOldWordsAreNotSentAgain(t *testing.T) {
	alert := &news.Alert{Language: "en", Texts: map[string]news.Text{"en": {Title: "Big quake", Body: "Go up."}, "id": {Title: "Gempa besar"}}}
	for name, c := range map[string]struct {
		form, want map[string]news.Text
		keep       []string
	}{
		"nothing but a tick": {form: map[string]news.Text{"en": {Title: "Big quake", Body: "Go up."}, "id": {Title: "Gempa besar"}}, keep: []string{"id"}, want: map[string]news.Text{}},
		"one is right as it is": {form: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {Title: "Gempa besar"}}, keep: []string{"id", "xx"},
			want: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {Title: "Gempa besar"}}},
		"a tick beside new words": {form: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {Title: "Gempa kecil"}}, keep: []string{"id"},
			want: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {Title: "Gempa kecil"}}},
		"nothing was changed": {form: map[string]news.Text{"en": {Title: "Big quake ", Body: "Go up."}, "id": {Title: "Gempa besar"}}, want: map[string]news.Text{}},
		"the first was":       {form: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {Title: "Gempa besar"}}, want: map[string]news.Text{"en": {Title: "Weak quake"}}},
		"another was": {form: map[string]news.Text{"en": {Title: "Big quake", Body: "Go up."}, "id": {Title: "Gempa kecil"}},
			want: map[string]news.Text{"en": {Title: "Big quake", Body: "Go up."}, "id": {Title: "Gempa kecil"}}},
		"one was emptied": {form: map[string]news.Text{"en": {Title: "Weak quake"}, "id": {}}, want: map[string]news.Text{"en": {Title: "Weak quake"}}},
	} {
		if got := newWords(alert, c.form, c.keep); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	l.press(t, ann, to+"/release", url.Values{"hash": {hashOn(t, l.read(t, ann, to))}})
	a := l.desk.begin(t, strings.TrimPrefix(to, "/desk/alerts/"))
	form := url.Values{}
	for tag, text := range a.Texts {
		form.Set("title."+tag, text.Title)
		form.Set("body."+tag, text.Body)
	}
	if body := l.refused(t, ann, to+"/correct", form); !strings.Contains(body, "the story has not changed since the alert") || !strings.Contains(body, "data-unsaved") {
		t.Error("a correction of nothing is not explained")
	}
	form.Set("title.en", "Weak quake")
	if status, _ := l.press(t, ann, to+"/correct", form); status != http.StatusSeeOther {
		t.Fatalf("correct: %d", status)
	}
	if sent := l.desk.mem.releases[len(l.desk.mem.releases)-1].Texts; len(sent) != 1 || sent["en"].Title != "Weak quake" {
		t.Errorf("sent again: %v", sent)
	}
}

// A page that answers a refused form leads to the alert, never to the form's
// own address, where asking again would post again.
func TestARefusedPageLeadsToTheAlert(t *testing.T) {
	l := newLobby(t)
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	body := l.refused(t, ann, to+"/resume", url.Values{})
	for _, want := range []string{`data-page="` + to + `"`, `<a href="` + to + `">Look again</a>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if script, err := templates.FS.ReadFile("desk/static/alert.js"); err != nil || strings.Contains(string(script), "location.reload") {
		t.Errorf("the script posts again: %v", err)
	}
}
