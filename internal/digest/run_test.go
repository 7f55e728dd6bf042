package digest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

func TestRunAtTooFarAhead(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	if _, err := h.RunAt(t.Context(), now().Add(26*time.Hour)); err != nil {
		t.Errorf("26 hours ahead: %v", err)
	}
	if _, err := h.RunAt(t.Context(), now().Add(26*time.Hour+time.Second)); !errors.Is(err, news.ErrInvalid) {
		t.Errorf("further: %v", err)
	}
}

// Asked ahead, tomorrow's edition goes now, and tomorrow is not sent again;
// an embargo is not lifted by it.
func TestRunAtAhead(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.clock.at = now().Add(-5 * time.Hour)
	stored := func(s *news.Story) { s.StoredAt, s.Created = h.clock.now(), h.clock.now() }
	h.store.put(story("a", stored), story("embargoed", stored, func(s *news.Story) { s.Embargo = now() }))
	h.store.join(box("r1", func(b *news.Mailbox) { b.CreatedAt = h.clock.now() }))
	f, err := h.RunAt(t.Context(), now())
	if err != nil {
		t.Fatal(err)
	}
	wantFigures(t, f, news.DigestFigures{Due: 1, Sent: 1})
	if got := h.store.mail(t, "r1", today).Stories; len(got) != 1 || got[0] != "a" {
		t.Errorf("carried %v", got)
	}
	h.clock.at = now().Add(time.Minute)
	wantFigures(t, h.run(t), news.DigestFigures{})
	h.clock.at = now().Add(24 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	if got := h.store.mail(t, "r1", "2026-02-07").Stories; len(got) != 1 || got[0] != "embargoed" {
		t.Errorf("carried %v", got)
	}
}

// An edition that is asked for before its hour and has nothing to say is not
// over: what comes until its hour is still to be told.
func TestRunAtAheadLeavesEmptyEditionsOpen(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.clock.at = now().Add(-5 * time.Hour)
	h.store.join(box("r1"))
	for range 2 {
		f, err := h.RunAt(t.Context(), now())
		if err != nil {
			t.Fatal(err)
		}
		wantFigures(t, f, news.DigestFigures{Due: 1, Empty: 1})
	}
	h.store.put(story("overnight", func(s *news.Story) { s.StoredAt, s.Created = h.clock.now(), h.clock.now() }))
	h.clock.at = now().Add(time.Minute)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	if got := h.store.mail(t, "r1", today); got.State != news.DigestSent {
		t.Errorf("the edition is %s", got.State)
	}
}

// blocking holds every answer to the dot back until it is released.
func blocking(t *testing.T) (simulate.MailOptions, chan struct{}, chan struct{}) {
	t.Helper()
	reached, release := make(chan struct{}, 100), make(chan struct{})
	t.Cleanup(sync.OnceFunc(func() {
		select {
		case <-release:
		default:
			close(release)
		}
	}))
	return simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" {
			reached <- struct{}{}
			<-release
		}
		return nil
	}}, reached, release
}

func TestRunAtOutlivesItsCallerAndIsJoined(t *testing.T) {
	options, reached, release := blocking(t)
	h := newHouse(t, options)
	h.store.put(story("a"))
	h.store.join(box("r1"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := h.RunAt(ctx, now())
		gone <- err
	}()
	<-reached
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left: %v", err)
	}
	joined := make(chan news.DigestFigures)
	go func() {
		f, err := h.RunAt(t.Context(), now().In(time.FixedZone("JST", 9*3600)))
		if err != nil {
			t.Error(err)
		}
		joined <- f
	}()
	close(release)
	wantFigures(t, <-joined, news.DigestFigures{Due: 1, Sent: 1})
	if h.server.Taken() != 1 {
		t.Errorf("%d mails", h.server.Taken())
	}
}

func TestRunAtKeepsFiguresNobodyHeard(t *testing.T) {
	options, reached, release := blocking(t)
	h := newHouse(t, options)
	h.store.put(story("a"))
	h.store.join(box("r1"))
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := h.RunAt(ctx, now())
		gone <- err
	}()
	<-reached
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller who left: %v", err)
	}
	close(release)
	h.busy.Wait()
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	wantFigures(t, h.run(t), news.DigestFigures{})
}

// A drain ends what is under way: a mail whose dot is out is waited for (email.
// Config.Grace), then unknown; nothing new begins.
func TestCloseEndsRuns(t *testing.T) {
	options, reached, release := blocking(t)
	h := newHouse(t, options)
	h.store.put(story("a"))
	h.store.join(box("r1"))
	done := make(chan news.DigestFigures, 1)
	go func() {
		f, _ := h.RunAt(t.Context(), now())
		done <- f
	}()
	<-reached
	closed := make(chan struct{})
	go func() {
		_ = h.Close()
		close(closed)
	}()
	close(release) // the answer comes within the grace
	<-closed
	if f := <-done; f.Sent != 1 {
		t.Errorf("figures %+v", f)
	}
	if _, err := h.RunAt(t.Context(), now()); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("after the end: %v", err)
	}
}

func TestDoor(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	post := func(key, body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/api/v1/digests/run", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		w := httptest.NewRecorder()
		h.mux().ServeHTTP(w, r)
		return w
	}
	const key = "an admin key of the tests"
	tests := []struct {
		name, key, body string
		status          int
		want            string
	}{
		{"no key", "", `{"at":"2026-02-06T07:00:00+09:00"}`, http.StatusUnauthorized, ""},
		{"no instant", key, `{}`, http.StatusUnprocessableEntity, `"path":"at"`},
		{"no zone", key, `{"at":"2026-02-06T07:00:00"}`, http.StatusUnprocessableEntity, `"path":"at"`},
		{"too far", key, `{"at":"2026-02-08T07:00:00+09:00"}`, http.StatusUnprocessableEntity, `"path":"at"`},
		{"not JSON", key, `at`, http.StatusBadRequest, ""},
		{"due", key, `{"at":"2026-02-06T07:00:00+09:00"}`, http.StatusOK, `{"deferred":0,"due":1,"empty":0,"failed":0,"sent":1,"unknown":0}`},
		{"again", key, `{"at":"2026-02-05T22:00:00Z"}`, http.StatusOK, `"due":0`},
	}
	for _, test := range tests {
		w := post(test.key, test.body)
		if w.Code != test.status || !strings.Contains(strings.ReplaceAll(w.Body.String(), " ", ""), test.want) {
			t.Errorf("%s: %d %s", test.name, w.Code, w.Body)
		}
	}
}

// postbox is a mailer without a network, for tests in virtual time.
type postbox struct {
	*email.Mailer
	mu    sync.Mutex
	sent  []time.Time
	to    []string
	delay time.Duration
	away  int // attempts that find no server
}

func newPostbox(t testing.TB) *postbox {
	t.Helper()
	m, err := email.New(email.Config{Server: email.Server{Host: "nowhere.invalid", Port: 25}, From: "digest@news.example"})
	if err != nil {
		t.Fatal(err)
	}
	return &postbox{Mailer: m}
}

func (p *postbox) SendLetter(ctx context.Context, from, to string, l *email.Letter, beforeDot func() error) news.Receipt {
	return p.Send(ctx, from, to, l.Bytes(), beforeDot)
}

func (p *postbox) Send(ctx context.Context, _, to string, _ []byte, beforeDot func() error) news.Receipt {
	p.mu.Lock()
	away := p.away > 0
	p.away--
	p.mu.Unlock()
	if away {
		return news.Receipt{Outcome: news.Retry, Reason: email.ReasonConnection, SlowOrigin: true}
	}
	if beforeDot != nil {
		if err := beforeDot(); err != nil {
			return news.Receipt{Outcome: news.Retry, Reason: email.ReasonAborted}
		}
	}
	if p.delay > 0 { // a timer that is due when it is made breaks the race detector in a bubble (golang/go#78156)
		select {
		case <-time.After(p.delay):
		case <-ctx.Done():
			return news.Receipt{Outcome: news.Ambiguous, Reason: email.ReasonNoAnswer}
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent, p.to = append(p.sent, time.Now()), append(p.to, to)
	return news.Receipt{Outcome: news.Accepted, Status: 250, Reason: email.ReasonAccepted}
}

// bubble runs the loop in virtual time, which begins at midnight UTC of
// 1 January 2000.
func bubble(t *testing.T, prepare func(*memory, *postbox), check func(*memory, *postbox)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store, out := newMemory(time.Now), newPostbox(t)
		prepare(store, out)
		s, err := New(configOf(t, store, out, time.Now))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		check(store, out)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestLoopSendsAtTheHour(t *testing.T) {
	bubble(t, func(m *memory, _ *postbox) {
		for hour := range 24 {
			m.join(box(fmt.Sprintf("r%02d", hour), func(b *news.Mailbox) {
				b.Hour, b.Wishes.Timezone, b.CreatedAt = hour, "Asia/Kolkata", time.Now()
			}))
		}
		m.put(story("a", func(s *news.Story) { s.StoredAt, s.Created = time.Now(), time.Now() }))
	}, func(m *memory, out *postbox) {
		time.Sleep(24*time.Hour + time.Second)
		out.mu.Lock()
		defer out.mu.Unlock()
		if len(out.sent) != 24 {
			t.Fatalf("%d mails in a day", len(out.sent))
		}
		for _, at := range out.sent {
			if late := at.Sub(at.Truncate(time.Hour).Add(30*time.Minute)) % time.Hour; late < 0 || late > time.Minute {
				t.Errorf("sent at %s: India's hours begin at half past", at)
			}
		}
		defer m.lock()()
		// The hours that came, and one full scan an hour: the two newest slots by
		// themselves, the others together.
		if m.scans > 24+24*3+4 {
			t.Errorf("the readers were read %d times", m.scans)
		}
	})
}

// A mail server that takes nine minutes to answer (T53): the claim stays ours,
// and the mail is sent, once.
func TestT53LeaseIsRenewedWhileWaiting(t *testing.T) {
	bubble(t, func(m *memory, out *postbox) {
		out.delay = 9 * time.Minute
		m.join(box("r1", func(b *news.Mailbox) {
			b.Hour, b.Wishes.Timezone, b.CreatedAt = 1, "UTC", time.Now()
		}))
		m.put(story("a", func(s *news.Story) { s.StoredAt, s.Created = time.Now(), time.Now() }))
	}, func(m *memory, out *postbox) {
		time.Sleep(time.Hour + 5*time.Minute)
		defer m.lock()()
		d := m.digests("r1")
		if len(d) != 1 || d[0].State != news.DigestStarted || !d[0].LeaseUntil.After(time.Now()) {
			t.Errorf("while waiting: %+v", d)
		}
		if retry, unknown, _ := recoverLocked(m); retry+unknown != 0 {
			t.Error("our own recovery took the mail away")
		}
		m.mu.Unlock()
		time.Sleep(5 * time.Minute)
		m.mu.Lock()
		if d := m.digests("r1"); d[0].State != news.DigestSent || len(out.sent) != 1 {
			t.Errorf("after the answer: %+v, %d mails", d, len(out.sent))
		}
	})
}

func recoverLocked(m *memory) (int, int, error) {
	m.mu.Unlock()
	defer m.mu.Lock()
	return m.RecoverDigests(context.Background(), time.Now())
}

// A mail server that comes back while the store is away: those who were passed
// over are looked at as soon as both are there.
func TestLoopRemembersWhomItPassedOver(t *testing.T) {
	const readers = 12
	bubble(t, func(m *memory, out *postbox) {
		for i := range readers {
			m.join(box(fmt.Sprintf("r%02d", i), func(b *news.Mailbox) { b.Hour, b.Wishes.Timezone, b.CreatedAt = 1, "UTC", time.Now() }))
		}
		m.put(story("a", func(s *news.Story) { s.StoredAt, s.Created = time.Now(), time.Now() }))
		out.away = faultsToClose
	}, func(m *memory, out *postbox) {
		fail := func(err error) {
			defer m.lock()()
			m.fail = err
		}
		time.Sleep(time.Hour + time.Minute)
		fail(errTest)
		time.Sleep(10 * time.Minute)
		fail(nil)
		time.Sleep(time.Minute)
		out.mu.Lock()
		defer out.mu.Unlock()
		if len(out.sent) != readers {
			t.Errorf("%d mails to %d readers", len(out.sent), readers)
		}
	})
}

func TestLoopGoesOnAfterFaults(t *testing.T) {
	bubble(t, func(m *memory, _ *postbox) {
		m.join(box("r1", func(b *news.Mailbox) { b.Hour, b.Wishes.Timezone, b.CreatedAt = 1, "UTC", time.Now() }))
		m.put(story("a", func(s *news.Story) { s.StoredAt, s.Created = time.Now(), time.Now() }))
		m.fail = errTest
	}, func(m *memory, out *postbox) {
		time.Sleep(2 * time.Hour)
		m.mu.Lock()
		m.fail = nil
		m.mu.Unlock()
		time.Sleep(time.Minute)
		out.mu.Lock()
		defer out.mu.Unlock()
		if len(out.sent) != 1 {
			t.Errorf("%d mails once the store was back", len(out.sent))
		}
	})
}

func signup(id string) news.DigestSignup {
	w := japan()
	w.Language, w.Preference.Muted = "ja", []string{"JP-47"}
	return news.DigestSignup{ID: id, Address: id + "@mail.example", Wishes: w, Hour: 7, CreatedAt: now(), ExpiresAt: now().Add(48 * time.Hour)}
}

// confirmation is the one mail that a sign-up brings.
func (h *house) confirmation(t *testing.T, s news.DigestSignup) (mail simulate.Mail, text, html string) {
	t.Helper()
	h.store.signups[s.ID] = s
	if err := h.confirmQueued(t.Context()); err != nil {
		t.Fatal(err)
	}
	mails := h.server.To(s.Address)
	if len(mails) != 1 || !h.store.done[s.ID] {
		t.Fatalf("%d mails, done %t", len(mails), h.store.done[s.ID])
	}
	text, html, err := mails[0].Parts()
	if err != nil {
		t.Fatal(err)
	}
	return mails[0], text, html
}

func TestConfirmationMail(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	mail, text, html := h.confirmation(t, signup("s1"))
	_, rest, _ := strings.Cut(text, "https://alerts.news.example/confirm/")
	token := strings.Fields(rest)[0]
	if id, err := h.Links.Verify(link.Confirm, token, now().Add(47*time.Hour)); err != nil || id != "s1" {
		t.Errorf("token: %q, %v", id, err)
	}
	if _, err := h.Links.Verify(link.Confirm, token, now().Add(49*time.Hour)); !errors.Is(err, link.ErrExpired) {
		t.Errorf("after 48 hours: %v", err)
	}
	for _, want := range []string{"配信を確認する", "日本", "07:00 (東京)", "SNOWLAND s.r.o.", token} {
		if !strings.Contains(text, want) || !strings.Contains(html, want) {
			t.Errorf("%q is missing", want)
		}
	}
	header, err := mail.Header()
	if err != nil || header.Has("List-Unsubscribe") || header.Has("Precedence") || header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("a confirmation is no list mail (%v)", err)
	}
}

// The last mail to an address that a digest has left: it says so in her language,
// leads to the sign-up, and has no link that opens anything of hers.
func TestMovedMail(t *testing.T) {
	s := signup("s1")
	s.Kind, s.MailboxID = news.SignupMoved, "m1"
	_, text, html := newHouse(t, simulate.MailOptions{}).confirmation(t, s)
	for _, part := range []string{text, html} {
		if !strings.Contains(part, "送り先が変わりました") || !strings.Contains(part, "https://alerts.news.example/subscribe") {
			t.Errorf("it lacks something: %s", part)
		}
		for _, not := range []string{"/confirm/", "/manage/", "日本", "07:00"} {
			if strings.Contains(part, not) {
				t.Errorf("it tells %q", not)
			}
		}
	}
}

func TestConfirmationIsTriedAgain(t *testing.T) {
	for _, test := range []struct {
		answer simulate.MailAnswer
		verb   string
		done   bool
	}{
		{simulate.MailAnswer{Code: 451, Text: "later"}, "rcpt", false},
		{simulate.MailAnswer{Drop: true}, "dot", false}, // at least once
		{simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 7, 26}, Text: "policy"}, "dot", false},
		{simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "unknown"}, "rcpt", true},
	} {
		h := newHouse(t, simulate.MailOptions{Answer: bad(test.verb, nil, test.answer)})
		h.store.signups["s1"] = signup("s1")
		if err := h.confirmQueued(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, marked := h.store.done["s1"]; !marked || got != test.done {
			t.Errorf("%s %+v: done %t (%t)", test.verb, test.answer, got, marked)
		}
	}
}

func TestLoopSendsConfirmations(t *testing.T) {
	bubble(t, func(m *memory, _ *postbox) {}, func(m *memory, out *postbox) {
		time.Sleep(time.Minute)
		m.mu.Lock()
		s := signup("s1")
		m.signups["s1"] = s
		m.mu.Unlock()
		time.Sleep(3 * time.Second)
		out.mu.Lock()
		defer out.mu.Unlock()
		if len(out.to) != 1 || out.to[0] != "s1@mail.example" {
			t.Errorf("sent to %v", out.to)
		}
	})
}

// Sign-ups are forgotten a week after their link expired; it is looked for at
// the start and once an hour.
func TestLoopForgetsOldSignups(t *testing.T) {
	bubble(t, func(*memory, *postbox) {}, func(m *memory, _ *postbox) {
		began := time.Now()
		time.Sleep(2*time.Hour + time.Minute)
		defer m.lock()()
		if len(m.forgotten) != 3 {
			t.Fatalf("asked %d times", len(m.forgotten))
		}
		for i, before := range m.forgotten {
			if kept := began.Add(time.Duration(i) * time.Hour).Sub(before); kept < 7*24*time.Hour-time.Minute || kept > 7*24*time.Hour+time.Minute {
				t.Errorf("%d: kept for %s", i, kept)
			}
		}
	})
}

func TestNewRefusesBrokenTemplates(t *testing.T) {
	c := configOf(t, newMemory(time.Now), newPostbox(t), time.Now)
	c.Templates = brokenTemplates()
	if _, err := New(c); err == nil {
		t.Error("a broken template was found by nobody")
	}
}
