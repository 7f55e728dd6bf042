package desk

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// The page says who pressed HOLD and who killed, when and why; the wire has the
// time of that press.
func TestWhoStoppedItIsSaid(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{})
	id, to := v.Alert.ID, "/desk/alerts/"+v.Alert.ID
	must(t)(l.desk.Release(t.Context(), ann, id, v.Alert.Hash()))
	says := func(want ...string) {
		t.Helper()
		for _, path := range []string{to, "/desk/alerts"} {
			body := l.read(t, rika, path)
			for _, w := range want {
				if !strings.Contains(body, w) {
					t.Errorf("%s lacks %q", path, w)
				}
			}
		}
	}
	if body := l.read(t, rika, to); strings.Contains(body, ">Undo<") || strings.Contains(body, "Undo stops it") {
		t.Error("a reporter is told of an Undo that she has not")
	}
	must(t)(l.desk.Hold(t.Context(), ben, id, undoneWords))
	says("Undone in the countdown by <bdi>Ben</bdi>, 23 Nov 12:05:00 UTC")
	must(t)(l.desk.Resume(t.Context(), ben, id))
	if body := l.read(t, rika, to); strings.Contains(body, "Undone in the countdown") {
		t.Error("it is said of an alert that goes on")
	}
	must(t)(l.desk.Release(t.Context(), ann, id, v.Alert.Hash()))
	l.desk.begin(t, id)
	must(t)(l.desk.Hold(t.Context(), ann, id, "checking the <figure>"))
	says("Put on hold by <bdi>Ann</bdi>, 23 Nov 12:05:00 UTC", "<bdi>checking the &lt;figure&gt;</bdi>")
	a, err := l.desk.mem.Alert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if line := alerted([]news.Alert{a}, nil)[0]; line.At != "12:05 UTC" || line.By != "Ann" || line.Since == line.At {
		t.Errorf("held, the wire says %+v", line)
	}
	must(t)(l.desk.Kill(t.Context(), ben, id, "forged"))
	says("Killed by <bdi>Ben</bdi>, 23 Nov 12:05:00 UTC", "<bdi>forged</bdi>")
}

// A release alone that was undone is to be reviewed, and nobody reads that it
// went out; the next one of the same alert did.
func TestAnUndoneReleaseAloneDidNotGo(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	v := l.desk.draft(t, ann, Writing{})
	alone := func() {
		t.Helper()
		*l.desk.time = l.desk.time.Add(time.Minute)
		must(t)(l.desk.Press(t.Context(), signedIn(ann), v.Alert.ID, Pressing{Hash: v.Alert.Hash(), Alone: true, Reason: whyAlone}))
	}
	const undone = "and undone: nothing went out"
	alone()
	for _, path := range []string{"/desk/alerts", "/desk/alerts/" + v.Alert.ID} {
		if body := l.read(t, ben, path); !strings.Contains(body, "counting down") || strings.Contains(body, undone) {
			t.Errorf("%s: it does not count down, or is undone", path)
		}
	}
	must(t)(l.desk.Hold(t.Context(), ann, v.Alert.ID, undoneWords))
	for range 2 { // on hold, and resumed
		for _, path := range []string{"/desk/alerts", "/desk/alerts/" + v.Alert.ID} {
			if body := l.read(t, ben, path); !strings.Contains(body, undone) || strings.Contains(body, "Released by <bdi>Ann</bdi> alone") {
				t.Errorf("%s: it reads as released", path)
			}
		}
		l.pages.bell.look(t.Context())
		if html, _ := l.pages.bell.says(); !strings.Contains(html, "was undone, nothing went out") || strings.Contains(html, "released by") {
			t.Errorf("the notice: %s", html)
		}
		_, _ = l.desk.Resume(t.Context(), ann, v.Alert.ID)
	}
	alone()
	l.desk.begin(t, v.Alert.ID)
	if body := l.read(t, ben, "/desk/alerts"); strings.Count(body, undone) != 1 || strings.Count(body, "Released by <bdi>Ann</bdi> alone") != 1 {
		t.Error("of two releases, the second of which went, the page does not tell one from the other")
	}
}

// A line whose tellings were alerted more than once says so once.
func TestAlreadyAlertedIsSaidOnce(t *testing.T) {
	l := newLobby(t)
	first, second := storyNo(2), storyNo(3)
	sent := func(id, uri string) []news.Alert {
		return []news.Alert{{ID: id, StoryURI: uri, Level: news.LevelFlash, State: news.AlertSent, Revision: 1, Audience: "KR", CreatedAt: noon, ReleasedAt: noon}}
	}
	html, err := l.pages.item(wireStory{story: storyNo(1), under: []news.Story{first, second},
		alerts: map[string][]news.Alert{first.URI: sent("a", first.URI), second.URI: sent("b", second.URI)}})
	if err != nil || strings.Count(html, "already alerted") != 1 || strings.Count(html, "and 12:00 UTC") != 1 {
		t.Errorf("%v: %s", err, html)
	}
}

// Whoever may not is told what her role may do, who can, and the way back.
func TestWhatIsForbiddenIsExplained(t *testing.T) {
	o := newOffice(t, nil)
	for path, who := range map[string]string{"/desk/newsroom": "Rika", "/desk/newsroom/invite": "Ann"} {
		method := http.MethodGet
		if strings.HasSuffix(path, "invite") {
			method = http.MethodPost
		}
		got := o.ask(method, path, o.as(who), url.Values{})
		if got.status != http.StatusForbidden {
			t.Errorf("%s by %s: %d", path, who, got.status)
		}
		for _, want := range []string{"A chief does this", `<a class="button" href="/desk">`, "<bdi>Cleo</bdi>", "<nav"} {
			if !strings.Contains(got.text, want) {
				t.Errorf("%s by %s: the page lacks %q", path, who, want)
			}
		}
		if wants := map[string]string{"Rika": "A reporter drafts", "Ann": "An editor drafts"}[who]; !strings.Contains(got.text, wants) {
			t.Errorf("%s is not told what she may: %q", who, wants)
		}
	}
}
