package desk

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"dateline/internal/news"
)

var quake = url.Values{"story": {storyURI}}

// Two presses, one after the other or at once, also in two processes, draft one
// alert; when that is over, the next press drafts the next one.
func TestTwoPressesDraftOneAlert(t *testing.T) {
	l := newLobby(t)
	_, first := l.press(t, ann, "/desk/raise", quake)
	if status, again := l.press(t, ann, "/desk/raise", quake); status != http.StatusSeeOther || again != first {
		t.Errorf("again: %d to %s, at first %s", status, again, first)
	}
	l.press(t, ann, first+"/cancel", nil)
	_, second := l.press(t, ann, "/desk/raise", quake)
	if second == first || len(l.desk.mem.alerts) != 2 {
		t.Errorf("after the first was cancelled: %s, %d alerts", second, len(l.desk.mem.alerts))
	}
	l.press(t, ann, second+"/cancel", nil)
	// At once: neither press sees what the other is about to draft.
	alerts, err := l.desk.mem.AlertsOfStory(t.Context(), storyURI)
	if err != nil {
		t.Fatal(err)
	}
	other := newLobby(t) // another process with the same keys and the same store
	other.pages.desk = l.pages.desk
	var presses sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		presses.Go(func() {
			p := []*Pages{l.pages, other.pages}[i%2]
			id, err := p.draftOnce(t.Context(), ann, storyURI, alerts)
			if ids[i] = id; err != nil {
				t.Error(err)
			}
		})
	}
	presses.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("one press made %s, another %s", id, ids[0])
		}
	}
	if n := len(l.desk.mem.alerts); n != 3 {
		t.Errorf("%d alerts", n)
	}
}

// Who raises a story that another editor is writing about is told, and decides;
// a draft that came by itself is simply opened.
func TestWhoElseIsWriting(t *testing.T) {
	l := newLobby(t)
	drafted := l.desk.draft(t, system, Writing{})
	if _, to := l.press(t, ann, "/desk/raise", quake); to != "/desk/alerts/"+drafted.Alert.ID {
		t.Errorf("the story's own draft is not opened: %s", to)
	}
	l.press(t, ann, "/desk/alerts/"+drafted.Alert.ID+"/cancel", nil)
	_, anns := l.press(t, ann, "/desk/raise", quake)
	resp := l.ask(t, "POST", "/desk/raise", l.as(ben), quake)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusConflict || !strings.Contains(string(body), `href="`+anns+`"`) || !strings.Contains(string(body), "by <bdi>Ann</bdi>") {
		t.Errorf("Ben is not told: %d %s, %v", resp.StatusCode, body, err)
	}
	if n := len(l.desk.mem.alerts); n != 2 {
		t.Errorf("asked, and drafted all the same: %d alerts", n)
	}
	status, bens := l.press(t, ben, "/desk/raise", url.Values{"story": {storyURI}, "own": {"1"}})
	if status != http.StatusSeeOther || bens == anns {
		t.Fatalf("his own: %d to %s", status, bens)
	}
	for who, c := range map[*news.Person]struct{ page, other, name string }{&ann: {anns, bens, "Ben"}, &ben: {bens, anns, "Ann"}} {
		if page := l.read(t, *who, c.page); !strings.Contains(page, fmt.Sprintf(`<a href="%s">%s`, c.other, c.name)) {
			t.Errorf("%s is not told of the other draft", who.Name)
		}
	}
	if _, to := l.press(t, ben, "/desk/raise", quake); to != bens {
		t.Errorf("Ben goes on with %s", to)
	}
	if status, _ := l.press(t, ann, "/desk/raise", url.Values{"story": {"https://news.example/none"}}); status != http.StatusNotFound {
		t.Errorf("no story: %d", status)
	}
}
