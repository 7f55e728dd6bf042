package desk

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// signedIn is somebody on the desk's pages.
func signedIn(p news.Person) news.Person {
	p.SignedIn = true
	return p
}

const whyAlone = "the tsunami is minutes away"

// A release by one editor: who may, for what reason, and what follows.
func TestReleaseAlone(t *testing.T) {
	for name, c := range map[string]struct {
		by     news.Person
		policy news.Policy
		reason string
		want   error
	}{
		"an editor":                {signedIn(ann), news.PolicyTwo, whyAlone, nil},
		"a chief":                  {signedIn(chief), news.PolicyTwo, whyAlone, nil},
		"by key":                   {ann, news.PolicyTwo, whyAlone, news.ErrForbidden},
		"a reporter":               {signedIn(rika), news.PolicyTwo, whyAlone, news.ErrForbidden},
		"one who lost her role":    {signedIn(demoted), news.PolicyTwo, whyAlone, news.ErrForbidden},
		"the system":               {system, news.PolicyTwo, whyAlone, news.ErrForbidden},
		"no reason":                {signedIn(ann), news.PolicyTwo, "", news.ErrInvalid},
		"a short reason":           {signedIn(ann), news.PolicyTwo, "tsunami! ", news.ErrInvalid},
		"a reason of spaces":       {signedIn(ann), news.PolicyTwo, strings.Repeat(" ", 40) + "now", news.ErrInvalid},
		"a reason of hidden signs": {signedIn(ann), news.PolicyTwo, strings.Repeat("\u200b", 40), news.ErrInvalid},
		"a reason in Japanese":     {signedIn(ann), news.PolicyTwo, "津波が数分で到達します", nil},
		"one is enough":            {signedIn(ann), news.PolicyOne, whyAlone, news.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesktop(t)
			d.mem.policies = news.Policies{news.LevelBulletin: c.policy}
			v := d.draft(t, rika, Writing{})
			_, err := d.Press(t.Context(), c.by, v.Alert.ID, Pressing{Hash: v.Alert.Hash(), Alone: true, Reason: c.reason})
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			a, _ := d.mem.Alert(t.Context(), v.Alert.ID)
			if c.want != nil {
				if a.State != news.AlertDraft || len(d.mem.glass) != 0 {
					t.Errorf("refused, and now %s with %d reviews", a.State, len(d.mem.glass))
				}
				return
			}
			if a.State != news.AlertHolding || !a.HoldUntil.Equal(noon.Add(30*time.Second)) {
				t.Errorf("%s until %s", a.State, a.HoldUntil)
			}
			last := d.mem.audit[len(d.mem.audit)-1]
			if last.Action != "release alone" || last.By != c.by.Name || len(d.mem.glass) != 1 || d.mem.glass[0].Reason != c.reason {
				t.Errorf("trail %+v, to be reviewed %+v", last, d.mem.glass)
			}
		})
	}
}

// The hold is three times the level's, and never less than half a minute.
func TestAloneWaitsLonger(t *testing.T) {
	for hold, want := range map[time.Duration]time.Duration{0: 30 * time.Second, 5 * time.Second: 30 * time.Second, 20 * time.Second: time.Minute} {
		if got := news.AloneHold(hold); got != want {
			t.Errorf("%s: %s, want %s", hold, got, want)
		}
	}
}

// Undone, an alert that was released alone waits for the approval it went
// without, and goes no other way.
func TestAloneUndone(t *testing.T) {
	d := newDesktop(t)
	d.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	ctx, ok := t.Context(), must(t)
	v := d.draft(t, ann, Writing{})
	id, hash := v.Alert.ID, v.Alert.Hash()
	ok(d.Press(ctx, signedIn(ann), id, Pressing{Hash: hash, Alone: true, Reason: whyAlone}))
	ok(d.Hold(ctx, ben, id, "undone"))
	v = ok(d.Resume(ctx, ben, id))
	if v.Alert.State != news.AlertSubmitted {
		t.Errorf("it is %s", v.Alert.State)
	}
	if _, err := d.Release(ctx, ben, id, hash); !errors.Is(err, news.ErrForbidden) {
		t.Errorf("released again without approval: %v", err)
	}
	ok(d.Approve(ctx, ben, id, hash))
	if _, err := d.Press(ctx, signedIn(ann), id, Pressing{Hash: hash, Alone: true, Reason: whyAlone}); !errors.Is(err, news.ErrConflict) {
		t.Errorf("alone with an approval: %v", err)
	}
	ok(d.Release(ctx, ann, id, hash))
}

// On the pages: what is offered, what was typed is kept, the list of what is to
// be reviewed, and who signs it off (T82, T83: never by the same person, nor
// through the API).
func TestT83_AReleaseAloneIsReviewedByAnother(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	if body := l.read(t, rika, to); strings.Contains(body, "Release it alone") {
		t.Error("a reporter is offered to release alone")
	}
	body := l.read(t, ann, to)
	for _, want := range []string{"Release it alone", "It waits 30 seconds", "everybody on the desk is told"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	form := url.Values{"hash": {hashOn(t, body)}, "reason": {whyAlone}, "typed": {"yes"}}
	resp := l.ask(t, "POST", to+"/alone", l.as(ann), form)
	if resp.StatusCode != http.StatusBadRequest || !strings.Contains(text(t, resp), whyAlone) {
		t.Errorf("without the word: %d, or the reason has to be typed again", resp.StatusCode)
	}
	form.Set("typed", " Alone ")
	if status, _ := l.press(t, ann, to+"/alone", url.Values{"hash": {"x"}, "reason": {whyAlone}, "typed": {"alone"}}); status != http.StatusConflict {
		t.Errorf("a stale hash: %d", status)
	}
	if status, _ := l.press(t, ann, to+"/alone", form); status != http.StatusSeeOther {
		t.Fatalf("alone: %d", status)
	}
	if body := l.read(t, ann, "/desk/alerts"); !strings.Contains(body, "To be reviewed") || strings.Contains(body, "Sign it off") {
		t.Error("it is not to be reviewed, or by herself")
	}
	list := l.read(t, ben, "/desk/alerts")
	_, rest, ok := strings.Cut(list, `name="emergency" value="`)
	if !ok {
		t.Fatal("another editor is not asked to review it")
	}
	emergency := rest[:strings.Index(rest, `"`)]
	review := url.Values{"emergency": {emergency}, "note": {"the coast had to know at once"}}
	for by, want := range map[*news.Person]int{&ann: http.StatusForbidden, &rika: http.StatusForbidden} {
		if status, _ := l.press(t, *by, to+"/review", review); status != want {
			t.Errorf("%s reviews: %d", by.Name, status)
		}
	}
	if status, _ := l.press(t, ben, to+"/review", url.Values{"emergency": {emergency}, "note": {"fine"}}); status != http.StatusBadRequest {
		t.Errorf("a note of one word: %d", status)
	}
	if status, _ := l.press(t, ben, to+"/review", review); status != http.StatusSeeOther {
		t.Errorf("the review: %d", status)
	}
	if status, _ := l.press(t, chief, to+"/review", review); status != http.StatusConflict {
		t.Errorf("a second review: %d", status)
	}
	if body := l.read(t, ann, to); !strings.Contains(body, "Reviewed by <bdi>Ben</bdi>") {
		t.Error("the review is not shown")
	}
	if body := l.read(t, ann, "/desk/alerts"); strings.Contains(body, "To be reviewed") {
		t.Error("what was reviewed is still on the list")
	}
}

func text(t *testing.T, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// Every open page of the desk is told at once, over the stream it has.
func TestOpenPagesAreToldOfAReleaseAlone(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	v := l.desk.draft(t, ann, Writing{})
	server := l.open(t)
	for _, path := range []string{"/desk/wire/events", "/desk/alerts/" + v.Alert.ID + "/events", "/desk/events"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(ben)})
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		defer func(path string) {
			lines := bufio.NewScanner(resp.Body)
			for lines.Scan() {
				if strings.Contains(lines.Text(), "released by <bdi>Ann</bdi> alone") {
					return
				}
			}
			t.Errorf("%s ended without the notice: %v", path, lines.Err())
		}(path)
	}
	must(t)(l.desk.Press(t.Context(), signedIn(ann), v.Alert.ID, Pressing{Hash: v.Alert.Hash(), Alone: true, Reason: whyAlone}))
	l.pages.bell.look(t.Context())
}
