package digest

import (
	"fmt"
	"testing"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// TestJudgeEdition: at the shares of reliability.md 3b and 4, and not for one address.
func TestJudgeEdition(t *testing.T) {
	figures := func(sent, hard, complaints int) news.EditionFigures {
		return news.EditionFigures{Due: sent + hard, Sent: sent, Bounced: hard, Hard: hard, Complaints: complaints}
	}
	waiting := func(f news.EditionFigures) news.EditionFigures {
		f.Due, f.Waiting = f.Due+1000, 1000
		return f
	}
	for name, c := range map[string]struct {
		gmail, rest news.EditionFigures
		content     int
		want        string
	}{
		"all is well":                  {gmail: figures(10_000, 199, 9), want: ""},
		"hard bounces":                 {gmail: figures(98, 3, 0), want: "gmail bounces"},
		"just under":                   {gmail: figures(1_000, 20, 0), want: ""},
		"just at":                      {gmail: figures(980, 20, 0), want: "gmail bounces"},
		"two of three do not exist":    {gmail: figures(1, 2, 0), want: ""},
		"early, and it may be chance":  {gmail: waiting(figures(97, 3, 0)), want: ""},
		"early, and no chance":         {gmail: waiting(figures(20, 3, 0)), want: "gmail bounces"},
		"later":                        {gmail: waiting(figures(490, 10, 0)), want: "gmail bounces"},
		"complaints":                   {gmail: figures(2_000, 0, 2), want: "gmail complaints"},
		"one of a thousand":            {gmail: figures(1_000, 0, 1), want: "gmail complaints"},
		"one of two thousand":          {gmail: figures(2_000, 0, 1), want: ""},
		"one angry reader of 300":      {gmail: figures(300, 0, 1), want: ""},
		"two of 300":                   {gmail: figures(300, 0, 2), want: "gmail complaints"},
		"another provider's are fine":  {gmail: figures(10_000, 0, 0), rest: figures(90, 10, 0), want: "rest bounces"},
		"refused for what is in them":  {gmail: figures(97, 0, 0), content: 3, want: " content"},
		"one filter does not like one": {gmail: figures(10, 0, 0), content: 1, want: ""},
	} {
		a := news.EditionAccount{Providers: map[string]news.EditionFigures{"gmail": c.gmail, email.Rest: c.rest}, Reasons: map[string]int{email.ReasonContent: c.content}}
		a.EditionFigures = c.gmail.Plus(c.rest)
		a.Bounced += c.content
		got := ""
		for _, v := range judgeEdition(&a) {
			got += v.provider + " " + string(v.reason)
			if v.detail == "" {
				t.Errorf("%s: it does not say why", name)
			}
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestEditionPausesItself: hard bounces of one provider keep back what is left for it,
// and nothing else; an editor has the last word.
func TestEditionPausesItself(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", func(s simulate.MailStep) bool { return domainOf(s.To) == "naver.com" && s.To < "r05" },
		simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"})}, func(c *Config) { c.Workers = 1 })
	h.store.put(story("a"))
	for i := range 5 {
		h.store.join(box(fmt.Sprintf("r%02d", i), func(b *news.Mailbox) { b.Address = b.ID + "@naver.com" }))
	}
	h.run(t)
	id := news.EditionID(today, "Asia/Tokyo", 7, false)
	if err := h.judge(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	if len(h.store.pauses) != 1 || h.store.pauses[0].Provider != "naver" || h.store.pauses[0].Reason != news.PauseBounces {
		t.Fatalf("pauses: %+v", h.store.pauses)
	}
	for i := range 4 { // of the same edition, not claimed yet
		h.store.join(box(fmt.Sprintf("r1%d", i), func(b *news.Mailbox) { b.Address = b.ID + "@naver.com" }),
			box(fmt.Sprintf("r2%d", i), func(b *news.Mailbox) { b.Address = b.ID + "@mail.example" }))
	}
	wantFigures(t, h.run(t), news.DigestFigures{Due: 8, Sent: 4, Deferred: 4})
	if d := h.store.mail(t, "r10", today); d.State != news.DigestDue {
		t.Errorf("what is kept back is %s", d.State)
	}
	h.store.resume()
	if resumed, err := h.pauses.resumed(t.Context(), h.store); err != nil || !resumed {
		t.Errorf("resumed: %t, %v", resumed, err)
	}
	wantFigures(t, h.run(t), news.DigestFigures{Due: 4, Sent: 4})
	if err := h.judge(t.Context(), id); err != nil || len(h.store.pauses) != 1 {
		t.Errorf("paused again over the editor's head: %v", h.store.pauses)
	}
}

// TestContentStopsADomain: a domain that does not like an edition gets no more of it.
func TestContentStopsADomain(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{Answer: bad("dot", func(s simulate.MailStep) bool { return domainOf(s.To) == "strict.example" },
		simulate.MailAnswer{Code: 554, Enhanced: [3]int{5, 6, 0}, Text: "spam"})}, func(c *Config) { c.Workers = 1 })
	h.store.put(story("a"))
	for i := range 5 {
		h.store.join(box(fmt.Sprintf("r1%d", i), func(b *news.Mailbox) { b.Address = b.ID + "@strict.example" }), box(fmt.Sprintf("r2%d", i)))
	}
	wantFigures(t, h.run(t), news.DigestFigures{Due: 10, Sent: 5, Failed: 3, Deferred: 2})
	h.clock.add(refusedFor + time.Second)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 2, Failed: 1, Deferred: 1}) // it is tried again
	h.clock.add(-refusedFor - time.Second)
	if b := h.store.boxes["r10"]; b.State != news.MailboxActive {
		t.Errorf("its reader is %s: it is our mail that was refused", b.State)
	}
	h.clock.add(24 * time.Hour)
	h.store.put(story("b", func(s *news.Story) { s.StoredAt, s.Created = h.clock.now(), h.clock.now() }))
	if f := h.run(t); f.Failed != 3 {
		t.Errorf("the next edition is another: %+v", f)
	}
}

// TestWarmUp: a hundred on the first day, twice as many on each further one, whatever
// the number of processes; who has to wait keeps her turn.
func TestWarmUp(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{}, func(c *Config) { c.WarmUp, c.Workers = true, 16 })
	other, err := New(func() Config { c := h.Config; c.Owner = "another process"; return c }())
	if err != nil {
		t.Fatal(err)
	}
	for i := range 450 {
		h.store.join(box(fmt.Sprintf("r%03d", i)))
	}
	for day, want := range []int{100, 200, 400} {
		at := h.clock.now()
		h.store.put(story(fmt.Sprintf("of day %d", day), func(s *news.Story) { s.StoredAt, s.Created = at, at }))
		before := h.server.Taken()
		for _, s := range []*Service{h.Service, other} {
			if _, err := s.RunAt(t.Context(), at); err != nil {
				t.Fatal(err)
			}
		}
		if got := h.server.Taken() - before; got != want {
			t.Errorf("day %d: %d mails, want %d", day, got, want)
		}
		h.clock.add(24 * time.Hour)
	}
	p := email.ProviderNamed("gmail")
	for days, want := range map[int]int{0: 100, 1: 200, 5: 3200} {
		if got := warmUpLimit(p, days, false); got != want {
			t.Errorf("after %d days: %d", days, got)
		}
	}
	if got := warmUpLimit(p, 5, true); got != 1600 {
		t.Errorf("while an edition of its is paused: %d", got)
	}
}

// TestNothingIsJudgedAfterTheEnd: an edition that is to be looked at in a moment does not
// keep the service alive, and is not looked at once it has ended.
func TestNothingIsJudgedAfterTheEnd(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.fail = errTest // a look would be logged, and after the test that is a panic
	for range 3 {
		h.judges.look(news.EditionID(today, "Asia/Tokyo", 7, false))
	}
	began := time.Now()
	if err := h.Close(); err != nil || time.Since(began) >= judgeEvery {
		t.Errorf("closed after %s: %v", time.Since(began), err)
	}
	h.judges.look("another")
	if h.judges.timer != nil {
		t.Error("a look is planned after the end")
	}
}
