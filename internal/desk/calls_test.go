package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
	"dateline/internal/web"
	"dateline/templates"
)

// drawer is a PhoneStore in memory.
type drawer struct {
	mu     sync.Mutex
	phones []news.Phone
}

func (d *drawer) AddPhone(_ context.Context, p news.Phone, most int, _ string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.phones) >= most {
		return fmt.Errorf("%w: you are called on %d devices already; remove one first", news.ErrConflict, len(d.phones))
	}
	if p.ID == "" {
		p.ID = fmt.Sprint("phone-", len(d.phones)+1)
	}
	if p.Role == "" {
		p.Role = news.RoleEditor
	}
	d.phones = append(d.phones, p)
	return nil
}

func (d *drawer) Phones(context.Context) ([]news.Phone, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.phones), nil
}

func (d *drawer) RemovePhone(_ context.Context, editor, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, p := range d.phones {
		if p.ID == id && p.Editor == editor {
			d.phones = slices.Delete(d.phones, i, i+1)
			return nil
		}
	}
	return news.ErrNotFound
}

func (d *drawer) PhoneGone(_ context.Context, id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.phones = slices.DeleteFunc(d.phones, func(p news.Phone) bool { return p.ID == id })
	return nil
}

// line answers calls as the test says, by endpoint, one answer after the other.
type line struct {
	mu      sync.Mutex
	answers map[string][]news.Receipt
	calls   []string // endpoint and when
	began   time.Time
	block   chan struct{}
}

func (l *line) Send(_ context.Context, t push.Target, _ push.Message) news.Receipt {
	if l.block != nil {
		<-l.block
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls = append(l.calls, fmt.Sprint(t.Endpoint, " after ", time.Since(l.began)))
	r := news.Receipt{Outcome: news.Accepted}
	if left := l.answers[t.Endpoint]; len(left) > 0 {
		r, l.answers[t.Endpoint] = left[0], left[1:]
	}
	return r
}

func (*line) CheckSubscription(news.PushSubscription) error { return nil }
func (*line) PublicKey() string                             { return "key" }

func phone(editor string, role news.Role) news.Phone {
	return news.Phone{ID: "of-" + editor, Editor: editor, Role: role, Push: news.PushSubscription{Endpoint: editor}}
}

// Who is called for what.
func TestWhoIsCalled(t *testing.T) {
	a := news.Alert{ID: "1", Author: "Ann", Submitter: "Cem"}
	all := []news.Phone{phone("Ann", news.RoleEditor), phone("Ben", news.RoleEditor), phone("Cem", news.RoleEditor),
		phone("Chief", news.RoleChief), phone("Rika", news.RoleReporter)}
	for kind, want := range map[news.Call]string{
		news.CallApprove: "Ben Chief", news.CallAlone: "Ann Ben Chief Rika", news.CallPaused: "Ann Ben Chief Rika",
		news.CallKilled: "Ann Ben Chief Rika", news.CallTest: "Cem"} {
		var got []string
		for _, p := range all {
			if concerns(kind, a, "Cem", p) {
				got = append(got, p.Editor)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s calls %v, want %s", kind, got, want)
		}
	}
}

// What becomes of one call: tried a few times, not for ever; a phone that is
// gone is forgotten, one that is refused stays.
func TestACallIsTriedAFewTimes(t *testing.T) {
	retry, gone := news.Receipt{Outcome: news.Retry}, news.Receipt{Outcome: news.Gone}
	for name, c := range map[string]struct {
		answers []news.Receipt
		want    []string
		left    int
	}{
		"taken":           {nil, []string{"Ben after 0s"}, 1},
		"later":           {[]news.Receipt{retry}, []string{"Ben after 0s", "Ben after 2s"}, 1},
		"never":           {[]news.Receipt{retry, {Outcome: news.Ambiguous}, retry}, []string{"Ben after 0s", "Ben after 2s", "Ben after 12s"}, 1},
		"asked to wait":   {[]news.Receipt{{Outcome: news.Retry, After: time.Hour}}, []string{"Ben after 0s", "Ben after 30s"}, 1},
		"gone":            {[]news.Receipt{gone}, []string{"Ben after 0s"}, 0},
		"gone in the end": {[]news.Receipt{retry, gone}, []string{"Ben after 0s", "Ben after 2s"}, 0},
		"refused":         {[]news.Receipt{{Outcome: news.Refused}}, []string{"Ben after 0s"}, 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			d, l := &drawer{phones: []news.Phone{phone("Ben", news.RoleEditor)}}, &line{answers: map[string][]news.Receipt{"Ben": c.answers}, began: time.Now()}
			caller := NewCaller(d, l, nil)
			caller.Notify(t.Context(), news.CallApprove, news.Alert{ID: "1"}, "Ann")
			caller.wg.Wait()
			caller.Close()
			if !slices.Equal(l.calls, c.want) || len(d.phones) != c.left {
				t.Errorf("%s: calls %v, %d phones left", name, l.calls, len(d.phones))
			}
		})
	}
}

// A push service that hangs holds up no step, and no more than a few calls wait
// for it; stopping does not wait for ever.
func TestCallsNeverHoldUpTheDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &line{block: make(chan struct{})}
		caller := NewCaller(&drawer{phones: []news.Phone{phone("Ben", news.RoleEditor)}}, l, nil)
		began := time.Now()
		for range callsAtOnce { // whoever asks a lot leaves room for what has happened
			caller.Notify(t.Context(), news.CallTest, news.Alert{ID: "1"}, "Ben")
			caller.Notify(t.Context(), news.CallApprove, news.Alert{ID: "1"}, "Ann")
		}
		if len(caller.slots) != askedAtOnce {
			t.Errorf("%d calls asked for are under way", len(caller.slots))
		}
		for range 3 * callsAtOnce {
			caller.Notify(t.Context(), news.CallKilled, news.Alert{ID: "1"}, "Ann")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("the steps waited %s", took)
		}
		synctest.Wait()
		close(l.block)
		caller.Close()
		if len(l.calls) != callsAtOnce || len(caller.slots) != 0 || len(caller.asked) != 0 {
			t.Errorf("%d calls, want %d; %d and %d slots are taken", len(l.calls), callsAtOnce, len(caller.slots), len(caller.asked))
		}
	})
}

// The steps call through a push service that decrypts what it gets, as a phone
// does: submitted under two, released alone, killed; nothing else, and nothing
// secret in it, nor in the log.
func TestStepsCallThePhones(t *testing.T) {
	service, err := simulate.NewPushService(simulate.PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	roots := service.Authority().Pool()
	sender, err := push.New(push.Config{Keys: keys, Subject: "https://desk.example", Origins: []string{service.Origin()}, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	device, err := service.NewPhone()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	caller := NewCaller(&drawer{phones: []news.Phone{{ID: "1", Editor: "Ben", Role: news.RoleEditor, Push: device.Subscription()}}}, sender, slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(caller.Close)
	d := newDesktop(t)
	d.notify = caller
	d.mem.policies = news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.PolicyOne}
	ctx, ok := t.Context(), must(t)
	one := d.draft(t, ann, Writing{})
	ok(d.Submit(ctx, ann, one.Alert.ID)) // under one nobody is asked
	v := d.draft(t, ann, Writing{Level: "flash"})
	ok(d.Submit(ctx, ann, v.Alert.ID))
	caller.wg.Wait()
	ok(d.Submit(ctx, ann, v.Alert.ID)) // again: they know
	caller.wg.Wait()
	ok(d.Press(ctx, signedIn(ann), v.Alert.ID, Pressing{Hash: v.Alert.Hash(), Alone: true, Reason: whyAlone}))
	caller.wg.Wait()
	d.begin(t, v.Alert.ID)
	ok(d.Kill(ctx, system, v.Alert.ID, "a secret reason"))
	caller.wg.Wait()
	got := device.Received()
	var titles, topics []string
	for _, m := range got {
		var call struct{ Desk, Alert, Title, Body string }
		if err := json.Unmarshal(m.Payload, &call); err != nil {
			t.Fatal(err)
		}
		titles, topics = append(titles, call.Title), append(topics, m.Topic)
		if call.Alert != v.Alert.ID || m.Urgency != "high" || m.TTL != 900 {
			t.Errorf("%+v, urgency %s, TTL %d", call, m.Urgency, m.TTL)
		}
		for _, secret := range []string{"secret", whyAlone, "Ann"} {
			if strings.Contains(string(m.Payload), secret) {
				t.Errorf("the call tells %q: %s", secret, m.Payload)
			}
		}
	}
	want := []string{"Approve? FLASH: Earthquake off the coast", "Released alone. FLASH: Earthquake off the coast", "Killed. FLASH: Earthquake off the coast"}
	if !slices.Equal(titles, want) || len(topics) != 3 || topics[0] != topics[2] || len(topics[0]) != 32 {
		t.Errorf("titles %q, topics %q", titles, topics)
	}
	if strings.Contains(log.String(), device.Endpoint()) || strings.Contains(log.String(), device.ID()) {
		t.Errorf("the log names an endpoint (T85): %s", log.String())
	}
}

// An editor is called on her phone in a real browser: asked on the page,
// subscribed under the desk's own worker, called at a submission; signing out
// everywhere is the store's.
func TestAnEditorIsCalledInFirefox(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	service := browsertest.NewAutopush(t)
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	sender, err := push.New(push.Config{Keys: keys, Subject: "https://desk.example", Origins: []string{service.Origin()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	l, phones := newLobby(t), &drawer{}
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	base := "http://" + strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	caller := NewCaller(phones, sender, nil)
	t.Cleanup(caller.Close)
	l.desk.notify = caller
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	pages := NewPages(PagesConfig{Desk: l.desk.Service, Accounts: l, Wire: l.stories, Aside: l.pile, Trail: l.pile, Floor: floor,
		Links: link.New(make([]byte, 32)), Phones: phones, Sender: sender, Now: l.clock})
	mux := http.NewServeMux()
	pages.Routes(mux)
	mux.Handle("GET /static/", floor.Static())
	mux.HandleFunc("GET /enter", func(w http.ResponseWriter, r *http.Request) {
		l.register.mu.Lock()
		defer l.register.mu.Unlock()
		l.sessions[web.HashKey("bens")] = news.Session{Editor: "Ben", Role: news.RoleEditor}
		http.SetCookie(w, &http.Cookie{Name: "desk", Value: "bens", Path: "/", HttpOnly: true})
		http.Redirect(w, r, "/desk/phone", http.StatusSeeOther)
	})
	server.Config.Handler = floor.Handler(mux)
	server.Start()
	b := browsertest.Firefox(t, browsertest.WithPush(service))
	b.Navigate(base + "/enter")
	b.Until(`document.getElementById("call-me")?.hidden === false`)
	b.Click("#call-me")
	b.Until(`document.querySelectorAll("article.letter").length === 1`)
	v := l.desk.draft(t, ann, Writing{})
	must(t)(l.desk.Submit(t.Context(), ann, v.Alert.ID))
	shown := b.WaitNotifications("a call to approve", func(shown []browsertest.Notification) bool { return len(shown) == 1 })
	if n := shown[0]; n.Title != "Approve? BULLETIN: Earthquake off the coast" || n.Tag != "desk-"+v.Alert.ID {
		t.Errorf("%+v", n)
	}
	b.Navigate(base + "/desk/phone")
	b.Click(`form[action$="/remove"] button`)
	b.Until(`document.querySelectorAll("article.letter").length === 0`)
}

// What a page is sent as a subscription is checked like a reader's.
func TestPhonesOnThePages(t *testing.T) {
	l := newLobby(t)
	phones := &drawer{}
	l.pages.phones, l.pages.sender = phones, &line{}
	for name, form := range map[string]url.Values{"nothing": {}, "no address": {"endpoint": {"javascript:alert(1)"}, "p256dh": {"AA"}, "auth": {"AA"}}} {
		resp := l.ask(t, "POST", "/desk/phone", l.as(ann), form)
		if resp.StatusCode != http.StatusBadRequest || len(phones.phones) != 0 {
			t.Errorf("%s: %d", name, resp.StatusCode)
		}
	}
	phones.phones = []news.Phone{{ID: "1", Editor: "Ben", Push: news.PushSubscription{Endpoint: "https://push.example/a/secret/path"}}}
	if body := l.read(t, ben, "/desk/phone"); !strings.Contains(body, "By push.example") || strings.Contains(body, "secret") {
		t.Error("the phone is not shown, or its endpoint is")
	}
	if status, _ := l.press(t, ann, "/desk/phone/1/remove", nil); status != http.StatusNotFound {
		t.Errorf("another's phone is removed: %d", status)
	}
	if status, _ := l.press(t, ben, "/desk/phone/1/remove", nil); status != http.StatusSeeOther || len(phones.phones) != 0 {
		t.Errorf("remove: %d", status)
	}
	for i := range callsPerMinute + 1 {
		status, _ := l.press(t, ben, "/desk/phone/test", nil)
		if refused := status == http.StatusTooManyRequests; refused != (i == callsPerMinute) {
			t.Errorf("test call %d: %d", i, status)
		}
	}
	if resp := l.ask(t, "GET", "/desk/sw.js", "", nil); resp.StatusCode != 200 || !strings.Contains(resp.Header.Get("Content-Type"), "javascript") || resp.Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("the worker: %d, %v", resp.StatusCode, resp.Header)
	}
}
