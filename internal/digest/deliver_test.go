package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

const today = "2026-02-06"

func TestDeliverOneMailPerReaderAndDate(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"), story("b"))
	h.store.join(box("r1"), box("r2"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 2, Sent: 2})
	wantFigures(t, h.run(t), news.DigestFigures{})
	h.clock.add(10 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{})
	if got := h.server.To("r1@mail.example"); len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	d := h.store.mail(t, "r1", today)
	if d.State != news.DigestSent || len(d.Stories) != 2 || !d.StoriesUntil.Equal(now().Add(-time.Hour)) || !d.EditionAt.Equal(now()) || !d.LeaseUntil.IsZero() {
		t.Errorf("row %+v", d)
	}
	// The next day: nothing new, nothing sent; then something new.
	h.clock.add(14 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1 + 1, Empty: 2})
	h.store.put(story("c", func(s *news.Story) { s.StoredAt = h.clock.now().Add(time.Minute); s.Created = s.StoredAt }))
	h.clock.add(24 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 2, Sent: 2})
	if got := h.store.mail(t, "r1", "2026-02-08").Stories; len(got) != 1 || got[0] != "c" {
		t.Errorf("carried %v", got)
	}
}

func TestDeliveredMailIsComplete(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	h.run(t)
	mails := h.server.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	header, err := mails[0].Header()
	if err != nil {
		t.Fatal(err)
	}
	unsubscribe := header.Get("List-Unsubscribe")
	token, date, _ := strings.Cut(strings.TrimPrefix(strings.Split(unsubscribe, ">")[0], "<https://alerts.news.example/unsubscribe/"), "?")
	if date != "of="+today {
		t.Errorf("of which date: %q", date)
	}
	if id, err := h.Links.Verify(link.Unsubscribe, token, now().AddDate(20, 0, 0)); err != nil || id != "r1" {
		t.Errorf("%s: %q, %v", unsubscribe, id, err)
	}
	if header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Error("no one-click")
	}
	text, html, err := mails[0].Parts()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{text, html} {
		_, rest, ok := strings.Cut(part, "https://alerts.news.example/manage/")
		token := strings.FieldsFunc(rest, func(r rune) bool { return strings.ContainsRune("\"\r\n <", r) })
		if !ok || len(token) == 0 {
			t.Fatal("no manage link")
		}
		if id, err := h.Links.Verify(link.ManageMailbox, token[0], now().AddDate(0, 0, 29)); err != nil || id != "r1" {
			t.Errorf("manage: %q, %v", id, err)
		}
	}
	id := mails[0].MessageID
	if !strings.HasPrefix(id, "digest.20260206.") || !strings.HasSuffix(id, "@news.example") || strings.Contains(id, "r1") || id != h.store.mail(t, "r1", today).MessageID {
		t.Errorf("message id %s", id)
	}
	if mails[0].Subject != "Headline a" || mails[0].From != "digest@news.example" {
		t.Errorf("subject %q from %s", mails[0].Subject, mails[0].From)
	}
}

// T66: an edition without a story is no mail.
func TestT66EmptyEdition(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("killed", func(s *news.Story) { s.Status = news.Canceled }), story("elsewhere", func(s *news.Story) { s.Regions = []string{"TH"} }))
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Empty: 1})
	if h.server.Taken() != 0 || h.store.mail(t, "r1", today).State != news.DigestEmpty {
		t.Errorf("%d mails", h.server.Taken())
	}
}

// T52, C17: the answer to the dot is lost: unknown, shown, never sent again.
func TestT52UnknownIsNeverSentAgain(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("dot", nil, simulate.MailAnswer{Drop: true})})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Unknown: 1})
	for range 3 {
		h.clock.add(time.Hour)
		wantFigures(t, h.run(t), news.DigestFigures{}) // counted once
	}
	if h.server.Taken() != 1 || h.store.mail(t, "r1", today).State != news.DigestUnknown {
		t.Errorf("%d mails", h.server.Taken())
	}
	// What it carried counts as told.
	h.clock.add(21 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Empty: 1})
}

// T54: greylisted, tried again after five minutes, with the same Message-ID.
func TestT54Greylisted(t *testing.T) {
	ids := make(chan string, 10)
	h := newHouse(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb != "dot" {
			return nil
		}
		ids <- step.Mail.MessageID
		if step.Try == 1 {
			return &simulate.MailAnswer{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "greylisted <r1@mail.example>"}
		}
		return nil
	}})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Deferred: 1})
	d := h.store.mail(t, "r1", today)
	if d.State != news.DigestDeferred || !d.NextAt.Equal(now().Add(5*time.Minute)) || strings.Contains(d.Reply, "@") || !strings.Contains(d.Reply, "greylisted") {
		t.Errorf("row %+v", d)
	}
	h.clock.add(4 * time.Minute)
	wantFigures(t, h.run(t), news.DigestFigures{})
	h.clock.add(time.Minute)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	if first, second := <-ids, <-ids; first != second || h.server.Taken() != 1 {
		t.Errorf("ids %s and %s", first, second)
	}
}

func TestDeferredBacksOffAndExpires(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", nil, simulate.MailAnswer{Code: 450, Text: "later"})})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	var waits []time.Duration
	for h.clock.now().Before(now().Add(19 * time.Hour)) {
		if h.run(t).Deferred == 0 {
			break
		}
		next := h.store.mail(t, "r1", today).NextAt.Sub(h.clock.now())
		waits = append(waits, next)
		h.clock.add(next)
	}
	if fmt.Sprint(waits[:5]) != "[5m0s 15m0s 30m0s 1h0m0s 1h0m0s]" {
		t.Errorf("waits %v", waits)
	}
	d := h.store.mail(t, "r1", today)
	if d.State != news.DigestExpired || h.clock.now().Sub(now()) < EditionLife {
		t.Errorf("%s after %s", d.State, h.clock.now().Sub(now()))
	}
	h.clock.add(time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{})
}

// T51: 421 wherever it comes defers; the reader is not to blame.
func TestT51Throttled(t *testing.T) {
	for _, verb := range []string{"connect", "mail", "rcpt", "dot"} {
		h := newHouse(t, simulate.MailOptions{Answer: bad(verb, nil, simulate.MailAnswer{Code: 421, Enhanced: [3]int{4, 7, 28}, Text: "slow down"})})
		h.store.put(story("a"))
		h.store.join(box("r1"))
		wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Deferred: 1})
		d := h.store.mail(t, "r1", today)
		if d.State != news.DigestDeferred || d.NextAt.Before(now().Add(15*time.Minute)) || h.store.boxes["r1"].State != news.MailboxActive {
			t.Errorf("%s: %+v", verb, d)
		}
	}
}

func TestHardBounceSuppresses(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", nil, simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"})})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Failed: 1})
	if h.store.mail(t, "r1", today).State != news.DigestBounced || h.store.boxes["r1"].State != news.MailboxBounced {
		t.Error("a mailbox that does not exist is still written to")
	}
}

func TestSoftBounceDoesNotSuppress(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", nil, simulate.MailAnswer{Code: 552, Enhanced: [3]int{5, 2, 2}, Text: "full"})})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Failed: 1})
	if h.store.mail(t, "r1", today).State != news.DigestBounced || h.store.boxes["r1"].State != news.MailboxActive {
		t.Error("a full mailbox was given up")
	}
}

// T62: a provider refuses all our mail: its lane stops, nobody is suppressed,
// the others go on.
func TestT62PolicyStopsTheDomain(t *testing.T) {
	gmail := func(step simulate.MailStep) bool { return strings.HasSuffix(step.To, "@gmail.example") }
	var asked atomic.Int64
	h := newHouse(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" && gmail(step) {
			asked.Add(1)
			return &simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 7, 26}, Text: "unauthenticated"}
		}
		return nil
	}}, func(c *Config) { c.Workers = 1 })
	h.store.put(story("a"))
	for i := range 20 {
		h.store.join(box(fmt.Sprintf("g%02d", i), func(b *news.Mailbox) { b.Address = b.ID + "@gmail.example" }), box(fmt.Sprintf("o%02d", i)))
	}
	wantFigures(t, h.run(t), news.DigestFigures{Due: 40, Sent: 20, Deferred: 20})
	if asked.Load() != faultsToClose {
		t.Errorf("%d mails offered to a domain that refuses us, want %d", asked.Load(), faultsToClose)
	}
	for id, b := range h.store.boxes {
		if b.State != news.MailboxActive {
			t.Errorf("%s is %s", id, b.State)
		}
	}
}

// A server that won't have our mail at all is asked three times; nobody
// bounces.
func TestServerRefusesUs(t *testing.T) {
	var asked atomic.Int64
	h := newHouse(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "connect" {
			asked.Add(1)
			return &simulate.MailAnswer{Drop: true}
		}
		return nil
	}}, func(c *Config) { c.Workers = 1 })
	h.store.put(story("a"))
	for i := range 10 {
		h.store.join(box(fmt.Sprintf("r%02d", i)))
	}
	wantFigures(t, h.run(t), news.DigestFigures{Due: 10, Deferred: 10})
	if asked.Load() != faultsToClose {
		t.Errorf("asked %d times", asked.Load())
	}
}

// C15, C16: a claim whose process died is sent by the next, once; a mail that
// had been started is unknown.
func TestRecovery(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"), box("r2"))
	for id, state := range map[string]news.DigestState{"r1": news.DigestClaimed, "r2": news.DigestStarted} {
		h.store.mails[[2]string{id, today}] = news.DigestMail{MailboxID: id, LocalDate: today, EditionAt: now(), State: state,
			Owner: "dead", LeaseUntil: now().Add(30 * time.Second)}
	}
	wantFigures(t, h.run(t), news.DigestFigures{}) // their leases stand
	h.clock.add(31 * time.Second)
	if err := h.tick(t.Context(), pass{at: h.clock.now(), fresh: true}); err != nil {
		t.Fatal(err)
	}
	if h.store.mail(t, "r1", today).State != news.DigestSent || h.store.mail(t, "r2", today).State != news.DigestUnknown {
		t.Errorf("mails %+v", h.store.mails)
	}
	if h.server.Taken() != 1 {
		t.Errorf("%d mails", h.server.Taken())
	}
}

// A claim lost to another process before the dot is not sent.
func TestFencedBeforeTheDot(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	h.store.failMark = func(d news.DigestMail) error {
		if d.State == news.DigestStarted {
			other := h.store.mails[[2]string{"r1", today}]
			other.Owner = "another process"
			h.store.mails[[2]string{"r1", today}] = other
			return news.ErrFenced
		}
		return nil
	}
	h.run(t)
	if h.server.Taken() != 0 || h.store.mail(t, "r1", today).Owner != "another process" {
		t.Errorf("%d mails, row %+v", h.server.Taken(), h.store.mail(t, "r1", today))
	}
}

// Two processes and one store: every reader gets one mail.
func TestTwoProcesses(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	other, err := New(configOf(t, h.store, h.Mailer, h.clock.now))
	if err != nil {
		t.Fatal(err)
	}
	h.store.put(story("a"))
	const readers = 60
	for i := range readers {
		h.store.join(box(fmt.Sprintf("r%02d", i)))
	}
	results := make(chan news.DigestFigures, 2)
	for _, s := range []*Service{h.Service, other} {
		go func() {
			f, err := s.RunAt(context.Background(), now())
			if err != nil {
				t.Error(err)
			}
			results <- f
		}()
	}
	if f := add(<-results, <-results); f.Sent != readers || f.Due != readers {
		t.Errorf("figures %+v", f)
	}
	seen := map[string]int{}
	for _, m := range h.server.Mails() {
		seen[m.MessageID]++
	}
	if len(seen) != readers || h.server.Taken() != readers {
		t.Errorf("%d mails, %d ids", h.server.Taken(), len(seen))
	}
}

func TestUpdatedStoryIsNotCarriedTwice(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	h.run(t)
	h.clock.add(24 * time.Hour)
	again := func(s *news.Story) {
		s.Version, s.StoredAt, s.Created = 2, h.clock.now().Add(-time.Hour), h.clock.now().Add(-time.Hour)
	}
	h.store.put(story("a", again), story("b", func(s *news.Story) { again(s); s.Version = 3 }))
	h.run(t)
	if got := h.store.mail(t, "r1", "2026-02-07").Stories; len(got) != 1 || got[0] != "b" {
		t.Errorf("carried %v", got)
	}
}

func TestPushedStoriesAreLeftOut(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"), story("pushed"))
	h.store.pushed["s1"] = []news.Pushed{{StoryURI: "pushed", AlertID: "a-1", Kind: news.ReleaseAlert, At: now().Add(-time.Hour)}}
	h.store.join(box("joined", func(b *news.Mailbox) { b.SubscriberID = "s1" }), box("alone"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 2, Sent: 2})
	if got := h.store.mail(t, "joined", today).Stories; len(got) != 1 || got[0] != "a" {
		t.Errorf("joined: %v", got)
	}
	if got := h.store.mail(t, "alone", today).Stories; len(got) != 2 {
		t.Errorf("alone: %v", got)
	}
	text, _, err := h.server.To("joined@mail.example")[0].Parts()
	if err != nil || !strings.Contains(text, "You were already alerted to:\r\n* 06:00\r\n  https://alerts.news.example/alerts/a-1") {
		t.Errorf("%v: %s", err, text)
	}
}

// An alert that an editor killed takes its story out of the mails not sent yet,
// until a newer version tells it anew.
func TestStoriesOfKilledAlertsAreLeftOut(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"), story("forged", func(s *news.Story) { s.Version = 2 }), story("mended", func(s *news.Story) { s.Version = 3 }))
	h.store.killed = map[string]int64{"forged": 2, "mended": 2}
	h.store.join(box("r1"))
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	if got := h.store.mail(t, "r1", today).Stories; len(got) != 2 || slices.Contains(got, "forged") {
		t.Errorf("carried %v", got)
	}
}

func TestStoreAway(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	h.store.fail = errTest
	if _, err := h.RunAt(t.Context(), now()); !errors.Is(err, errTest) {
		t.Errorf("error %v", err)
	}
	h.store.fail = nil
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
}

// The store goes away between the dot and the record: nothing is sent twice.
func TestStoreAwayAfterTheDot(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"))
	h.store.failMark = func(d news.DigestMail) error {
		if d.State == news.DigestSent {
			return errTest
		}
		return nil
	}
	if f, err := h.RunAt(t.Context(), now()); !errors.Is(err, errTest) || f.Sent != 1 {
		t.Errorf("%+v, %v", f, err)
	}
	h.store.failMark = nil
	h.clock.add(time.Hour)
	if err := h.tick(t.Context(), pass{at: h.clock.now()}); err != nil {
		t.Fatal(err)
	}
	if h.server.Taken() != 1 || h.store.mail(t, "r1", today).State != news.DigestUnknown {
		t.Errorf("%d mails, %s", h.server.Taken(), h.store.mail(t, "r1", today).State)
	}
}
