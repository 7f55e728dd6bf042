package digest

import (
	"fmt"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// T67, T68: through a day of 23 and one of 25 hours and a move around the
// world, one mail a local date.
func TestT68MovingDuringTheDay(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.join(box("r1"))
	news7 := func() {
		at := h.clock.now()
		h.store.put(story(at.Format(time.RFC3339), func(s *news.Story) { s.StoredAt, s.Created = at, at }))
	}
	sentAt := func(zone string, hours int) (dates []string) {
		h.store.boxes["r1"] = box("r1", func(b *news.Mailbox) { b.Wishes.Timezone = zone })
		for range hours {
			news7()
			if h.run(t).Sent > 0 {
				all := h.store.digests("r1")
				dates = append(dates, all[0].LocalDate)
			}
			h.clock.add(time.Hour)
		}
		return dates
	}
	// 07:00 in Tokyo on the 6th; six hours later she is in New York, where it is
	// still the 5th and the 6th is yet to come: its mail has been had.
	got := append(sentAt("Asia/Tokyo", 6), sentAt("America/New_York", 40)...)
	if fmt.Sprint(got) != "[2026-02-06 2026-02-07]" {
		t.Errorf("westwards: %v", got)
	}
	// Eastwards again, in the middle of the night.
	got = sentAt("Asia/Tokyo", 36)
	for i, date := range append([]string{"2026-02-07"}, got...) {
		if i > 0 && date <= "2026-02-07" {
			t.Errorf("eastwards: %v", got)
		}
	}
	if mails, dates := h.server.Taken(), len(h.store.digests("r1")); mails != dates {
		t.Errorf("%d mails on %d dates", mails, dates)
	}
}

func TestT67DaysOf23And25Hours(t *testing.T) {
	for _, start := range []time.Time{time.Date(2026, 3, 6, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 30, 0, 0, 0, 0, time.UTC)} {
		for _, hour := range []int{1, 2, 3} {
			h := newHouse(t, simulate.MailOptions{})
			h.clock.at = start
			h.store.join(box("r1", func(b *news.Mailbox) { b.Wishes.Timezone, b.Hour = "America/New_York", hour }))
			for range 4 * 24 * 2 {
				at := h.clock.now()
				h.store.put(story(at.Format(time.RFC3339), func(s *news.Story) { s.StoredAt, s.Created = at, at }))
				h.run(t)
				h.clock.add(30 * time.Minute)
			}
			dates := 0
			for _, d := range h.store.digests("r1") {
				if d.State == news.DigestSent {
					dates++
				}
			}
			if dates < 4 || h.server.Taken() != dates {
				t.Errorf("from %s at %d: %d mails on %d dates", start.Format(dateFormat), hour, h.server.Taken(), dates)
			}
		}
	}
}

func TestPausedAndNewReaders(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(
		box("paused", func(b *news.Mailbox) { b.Wishes.PausedUntil = now().Add(time.Hour) }),
		box("left", func(b *news.Mailbox) { b.State = news.MailboxLeft }),
		box("new", func(b *news.Mailbox) { b.CreatedAt = now().Add(time.Minute) }),
		box("lost", func(b *news.Mailbox) { b.Wishes.Timezone = "Asia/Atlantis" }),
	)
	h.clock.add(2 * time.Minute)
	if err := h.tick(t.Context(), pass{at: h.clock.now(), fresh: true}); err != nil {
		t.Fatal(err)
	}
	if h.server.Taken() != 0 {
		t.Errorf("the loop sent %d mails", h.server.Taken())
	}
	// Asked for expressly, the new reader's edition goes.
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
	// A pause that ends is noticed by the full scan.
	h.clock.add(time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
}

// T96: after a long outage, or a restored backup, old editions are expired and
// not sent.
func TestT96OldEditionsExpire(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	h.store.join(box("r1"), box("weekly", func(b *news.Mailbox) { b.Weekly = true }))
	h.clock.add(20 * time.Hour)
	wantFigures(t, h.run(t), news.DigestFigures{})
	if h.server.Taken() != 0 || h.store.mail(t, "r1", today).State != news.DigestExpired {
		t.Errorf("%d mails", h.server.Taken())
	}
	if len(h.store.digests("weekly")) != 0 {
		t.Error("an edition of days ago got a row")
	}
}

// Of a reader's editions only the newest due one goes (DESIGN 9): one that was
// put off is expired as soon as a newer one is due, or has gone.
func TestNewerEditionExpiresDeferred(t *testing.T) {
	const tomorrow = "2026-02-07"
	greylisted := func(t *testing.T) *house {
		h := newHouse(t, simulate.MailOptions{Answer: bad("rcpt", func(s simulate.MailStep) bool { return s.Try == 1 },
			simulate.MailAnswer{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "come back later"})})
		h.store.put(story("a"))
		h.store.join(box("r1"))
		wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Deferred: 1})
		return h
	}
	fresh := func(h *house) {
		h.store.put(story("b", func(s *news.Story) { s.StoredAt, s.Created = h.clock.now(), h.clock.now() }))
	}
	t.Run("a newer one has gone", func(t *testing.T) {
		h := greylisted(t)
		f, err := h.RunAt(t.Context(), now().Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		wantFigures(t, f, news.DigestFigures{Due: 1, Sent: 1})
		h.clock.add(6 * time.Minute)
		fresh(h)
		wantFigures(t, h.run(t), news.DigestFigures{})
		if got := h.store.mail(t, "r1", today).State; got != news.DigestExpired {
			t.Errorf("today's edition is %s after tomorrow's", got)
		}
	})
	t.Run("a newer one is due", func(t *testing.T) {
		h := greylisted(t)
		h.clock.add(24 * time.Hour)
		fresh(h)
		wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
		if old, young := h.store.mail(t, "r1", today).State, h.store.mail(t, "r1", tomorrow).State; old != news.DigestExpired || young != news.DigestSent {
			t.Errorf("the old edition is %s, the new one %s", old, young)
		}
	})
	t.Run("and her hour has changed", func(t *testing.T) {
		h := greylisted(t)
		h.clock.add(17 * time.Hour) // midnight: the old edition could still go
		h.store.join(box("r1", func(b *news.Mailbox) { b.Hour = 0 }))
		fresh(h)
		wantFigures(t, h.run(t), news.DigestFigures{Due: 1, Sent: 1})
		h.clock.add(time.Minute)
		fresh(h)
		wantFigures(t, h.run(t), news.DigestFigures{})
		if h.server.Taken() != 1 {
			t.Errorf("%d mails", h.server.Taken())
		}
	})
}
