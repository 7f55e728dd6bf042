package desk

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/news"
)

// pile is an Aside in memory.
type pile struct {
	letters   []news.DeadLetter
	conflicts []news.StoryConflictRecord
	trail     []news.AuditEntry
	alerts    map[string]news.Alert
}

func (p *pile) DeadLetters(context.Context, int) ([]news.DeadLetter, error) {
	return slices.DeleteFunc(slices.Clone(p.letters), func(l news.DeadLetter) bool { return l.DismissedBy != "" }), nil
}

func (p *pile) DismissedLetters(context.Context, int) ([]news.DeadLetter, error) {
	return slices.DeleteFunc(slices.Clone(p.letters), func(l news.DeadLetter) bool { return l.DismissedBy == "" }), nil
}

func (p *pile) DismissLetter(_ context.Context, id, by, why string) error {
	for i := range p.letters {
		if l := &p.letters[i]; l.ID == id && l.DismissedBy != "" {
			return fmt.Errorf("%w: %s has dismissed it already", news.ErrConflict, l.DismissedBy)
		} else if l.ID == id {
			l.DismissedBy, l.DismissedFor, l.DismissedAt = by, why, noon
			return nil
		}
	}
	return news.ErrNotFound
}

func (p *pile) StoryConflicts(context.Context, int) ([]news.StoryConflictRecord, error) {
	return p.conflicts, nil
}

func (p *pile) Audit(context.Context, int) ([]news.AuditEntry, error) { return p.trail, nil }

func (p *pile) AlertsByID(context.Context, []string) (map[string]news.Alert, error) {
	return p.alerts, nil
}

// A line of an alert has its title, and leads to it.
func TestLinesOfTheTrailLeadToTheirAlerts(t *testing.T) {
	l := newLobby(t)
	l.pile.alerts = map[string]news.Alert{"7": {ID: "7", Language: "ar", Texts: map[string]news.Text{"ar": {Title: "زلزال <b>"}}}}
	l.pile.trail = []news.AuditEntry{{Seq: 2, By: "Ann", Action: "kill", Subject: "alert/7"}, {Seq: 1, By: "Ann", Action: "draft", Subject: "alert/7", Detail: strings.Repeat("0a", 32)},
		{Seq: 3, By: "Ann", Action: "editor add", Subject: "editor/Ann"}}
	body := page(t, l, "/desk/audit")
	if strings.Count(body, `<a href="/desk/alerts/7" lang="ar" dir="rtl">زلزال &lt;b&gt;</a>`) != 2 || !strings.Contains(body, "<code>editor/Ann</code>") || strings.Contains(body, "0a0a") {
		t.Errorf("the trail: %s", body)
	}
}

// A line tells what was so at its step: after a correction the earlier ones are
// of the words that were approved.
func TestTheTrailTellsTheWordsOfItsStep(t *testing.T) {
	l := newLobby(t)
	a := news.Alert{ID: "7", Language: "en", Level: news.LevelFlash, Audience: "JP", Texts: map[string]news.Text{"en": {Title: "Magnitude 7.6", Body: "Go up."}}}
	record := func(step, why string) news.AuditEntry {
		return news.AuditEntry{By: "Ann", Action: step, Subject: "alert/7", Detail: news.RecordOf(step, why, &a, nil).String()}
	}
	first, approved := record("draft", ""), record("approve", "")
	approvedHash := a.Hash()
	a.Texts = map[string]news.Text{"en": {Title: "Magnitude 7.2"}}
	l.pile.alerts = map[string]news.Alert{"7": a}
	l.pile.trail = []news.AuditEntry{record("correct", "a typing error"), approved, first}
	body := page(t, l, "/desk/audit")
	if strings.Count(body, ">Magnitude 7.6</a>") != 2 || strings.Count(body, ">Magnitude 7.2</a>") != 1 || !strings.Contains(body, "<strong>Magnitude 7.6</strong> Go up.") ||
		!strings.Contains(body, "flash JP, 1 text") || strings.Count(body, approvedHash) != 2 || !strings.Contains(body, "<bdi>a typing error</bdi>") {
		t.Errorf("the trail: %s", body)
	}
}

func TestTheAuditTrailIsShown(t *testing.T) {
	l := newLobby(t)
	if body := page(t, l, "/desk/audit"); !strings.Contains(body, "Nobody has done anything yet") {
		t.Error("an empty trail says nothing")
	}
	l.pile.trail = []news.AuditEntry{{Seq: 7, At: noon, By: "Ann <b>", Action: "kill", Subject: "alert/1", Detail: "wrong \"place\""}}
	body := page(t, l, "/desk/audit")
	for _, want := range []string{"<td>7</td>", "23 Nov 12:00:00 UTC", "Ann &lt;b&gt;", "<code>alert/1</code>", "wrong &#34;place&#34;"} {
		if !strings.Contains(body, want) {
			t.Errorf("the trail lacks %q", want)
		}
	}
}

func TestWhatIsSetAside(t *testing.T) {
	l := newLobby(t)
	if body := page(t, l, "/desk/aside"); !strings.Contains(body, "every story so far could be read") {
		t.Error("an empty pile says nothing")
	}
	l.pile.letters = []news.DeadLetter{
		{ID: "one", ReceivedAt: noon, Source: "nats", Body: []byte(`{"uri":"<b>"}`), Problems: []news.Problem{{Path: "headline", Message: "is required"}}},
		{ID: "two", ReceivedAt: noon, Source: "http", Body: []byte{0xff, 0}, ReplayedAt: noon.Add(time.Minute), ReplayNote: "stored"},
	}
	l.pile.conflicts = []news.StoryConflictRecord{{URI: "https://news.example/a", Version: 3, Received: news.Story{Headline: "Second body"}, ReceivedAt: noon}}
	body := page(t, l, "/desk/aside")
	for _, want := range []string{"<code>headline</code> is required", "&#34;uri&#34;: &#34;&lt;b&gt;&#34;", `\xff\x00`, "replayed 23 Nov 12:01:00 UTC", "Second body", "version 3",
		`action="/desk/aside/one/replay"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

// What needs nothing any more is dismissed for a reason and stays to be read;
// what is no JSON is not tried again.
func TestDismissing(t *testing.T) {
	l := newLobby(t)
	cookie := l.enter(t)
	l.pile.letters = []news.DeadLetter{{ID: "one", ReceivedAt: noon, Source: "nats", Body: []byte("<xml/>")}, {ID: "two", ReceivedAt: noon, Source: "nats", Body: []byte(`{}`)}}
	body := page(t, l, "/desk/aside")
	if strings.Contains(body, "/aside/one/replay") || !strings.Contains(body, "It is no JSON") || !strings.Contains(body, "/aside/two/replay") {
		t.Error("what is no JSON can be tried again, or what is can't")
	}
	dismiss := func(id, why string) (int, string) {
		got := l.ask(t, "POST", "/desk/aside/"+id+"/dismiss", cookie, url.Values{"reason": {why}})
		text, err := io.ReadAll(got.Body)
		if err != nil {
			t.Fatal(err)
		}
		return got.StatusCode, string(text)
	}
	if status, text := dismiss("one", " \u200b "); status != http.StatusBadRequest || !strings.Contains(text, "Reason is required") {
		t.Errorf("without a reason: %d", status)
	}
	if status, _ := dismiss("one", "the old <CMS> is off"); status != http.StatusSeeOther {
		t.Errorf("dismissed: %d", status)
	}
	if status, text := dismiss("one", "once more"); status != http.StatusConflict || !strings.Contains(text, "Ann has dismissed it already") {
		t.Errorf("dismissed twice: %d", status)
	}
	if status, _ := dismiss("three", "what?"); status != http.StatusNotFound {
		t.Errorf("what is not there: %d", status)
	}
	body = page(t, l, "/desk/aside")
	if !strings.Contains(body, "Dismissed by <bdi>Ann</bdi>, 23 Nov 12:00:00 UTC: <bdi>the old &lt;CMS&gt; is off</bdi>") || strings.Contains(body, "/aside/one/") {
		t.Error("what was dismissed is not listed, or still waits")
	}
}

func TestReplay(t *testing.T) {
	l := newLobby(t)
	cookie := l.enter(t)
	var replayed string
	l.pages.replay = func(_ context.Context, id string) (news.Story, news.StoryResult, error) {
		replayed = id
		if id == "bad" {
			return news.Story{}, "", news.Invalid("headline", "is required")
		}
		return news.Story{Headline: "At last", Version: 2}, news.StoryStored, nil
	}
	if got := l.ask(t, "POST", "/desk/aside/good/replay", cookie, url.Values{}); got.StatusCode != 200 || replayed != "good" {
		t.Errorf("replay: %d of %q", got.StatusCode, replayed)
	}
	if got := l.ask(t, "POST", "/desk/aside/bad/replay", cookie, url.Values{}); got.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("replay of what still has faults: %d", got.StatusCode)
	}
	replayed = ""
	if got := l.ask(t, "POST", "/desk/aside/good/replay", "", url.Values{}); got.StatusCode != http.StatusSeeOther || replayed != "" {
		t.Errorf("replay by nobody: %d", got.StatusCode)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/desk/aside/good/replay", http.NoBody)
	w := httptest.NewRecorder()
	if l.handler.ServeHTTP(w, r); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("a GET: %d", w.Code)
	}
}

func TestReadableNeverPanics(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := []byte(strings.Repeat(rapid.String().Draw(t, "text"), rapid.SampledFrom([]int{1, 3000}).Draw(t, "times")))
		if text, cut := readable(body); !cut && len(body) > 0 && text == "" || cut && len(text) < bodyShown/2 {
			t.Fatalf("%d bytes are shown as %d, cut %v", len(body), len(text), cut)
		}
	})
}

// A body whose lines would be longer than memory is shown as it came.
func TestDeepBodiesAreNotUnfolded(t *testing.T) {
	nested := func(levels, numbers int) string {
		return strings.Repeat("[", levels) + strings.Repeat("1,", numbers) + "1" + strings.Repeat("]", levels)
	}
	if text, cut := readable([]byte(nested(4000, 3000))); cut || text != nested(4000, 3000) {
		t.Errorf("a deep body has become %d bytes, cut %v", len(text), cut)
	}
	if text, cut := readable([]byte(nested(2000, 20000))); !cut || !strings.HasPrefix(nested(2000, 20000), text) {
		t.Errorf("a deep and long body has become %d bytes, cut %v", len(text), cut)
	}
	if text, cut := readable([]byte(nested(2, 1))); cut || text != "[\n  [\n    1,\n    1\n  ]\n]" {
		t.Errorf("a shallow body is shown as %q", text)
	}
}
