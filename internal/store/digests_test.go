package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// digestReaders reads the readers of the mailbox's slot.
func digestReaders(t testing.TB, s *store.Store, m news.Mailbox) []news.DigestReader {
	t.Helper()
	out, err := s.DigestReaders(context.Background(), &news.ZoneHour{Timezone: m.Wishes.Timezone, Hour: m.Hour}, "", 100)
	must(t, err)
	return out
}

func digest(m news.Mailbox, date, owner string) news.DigestMail {
	return news.DigestMail{MailboxID: m.ID, LocalDate: date, EditionAt: begin, State: news.DigestClaimed,
		StoriesUntil: begin.Add(-time.Minute), Stories: []string{"https://news.example/a"}, MessageID: "<" + m.ID + "@d>",
		Owner: owner, LeaseUntil: begin.Add(time.Minute)}
}

func TestClaimDigest(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		m := confirmed(t, s, "reader@example.org", "")
		claim := func(d news.DigestMail, want bool) {
			t.Helper()
			if got, err := s.ClaimDigest(ctx, d); err != nil || got != want {
				t.Fatalf("claim %s by %s: %v, %v; want %v", d.LocalDate, d.Owner, got, err, want)
			}
		}
		d := digest(m, "2026-11-24", "p1")
		claim(d, true)
		claim(d, false)
		claim(digest(m, "2026-11-24", "p2"), false)
		claim(digest(m, "2026-11-25", "p2"), true)
		list, err := s.Digests(ctx, m.ID)
		must(t, err)
		d.Attempts, d.UpdatedAt = 1, begin
		if diff := cmp.Diff(d, list[1]); len(list) != 2 || diff != "" {
			t.Errorf("%d rows (-want +got):\n%s", len(list), diff)
		}
		// p1 is gone; its claim is retaken.
		c.add(2 * time.Minute)
		taken := digest(m, "2026-11-24", "p2")
		taken.LeaseUntil = c.Now().Add(time.Minute)
		claim(taken, true)
		d.State = news.DigestStarted
		if err := s.MarkDigest(ctx, d); !errors.Is(err, news.ErrFenced) {
			t.Fatalf("the old owner marked: %v", err)
		}
		// Deferred until later.
		taken.State, taken.NextAt, taken.Reply = news.DigestDeferred, c.Now().Add(5*time.Minute), "451 later\x00\xff"
		must(t, s.MarkDigest(ctx, taken))
		again := digest(m, "2026-11-24", "p3")
		again.LeaseUntil = c.Now().Add(time.Hour)
		claim(again, false)
		if due, err := s.DigestDeferred(ctx, c.Now(), 10); err != nil || len(due) != 0 {
			t.Errorf("deferred, due: %v, %v", due, err)
		}
		c.add(5 * time.Minute)
		if due, err := s.DigestDeferred(ctx, c.Now(), 10); err != nil || len(due) != 1 || due[0].Attempts != 2 {
			t.Errorf("deferred, due: %v, %v", due, err)
		}
		claim(again, true)
		again.State = news.DigestStarted
		must(t, s.MarkDigest(ctx, again))
		claim(digest(m, "2026-11-24", "p4"), false)
		again.State = news.DigestSent
		must(t, s.MarkDigest(ctx, again))
		if err := s.MarkDigest(ctx, again); !errors.Is(err, news.ErrFenced) {
			t.Errorf("a finished mail was marked: %v", err)
		}
		c.add(1000 * time.Hour)
		claim(again, false)
		// Nobody who has left is claimed, and a state may finish at once.
		empty := digest(m, "2027-01-01", "p1")
		empty.State = news.DigestEmpty
		claim(empty, true)
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		claim(digest(m, "2027-01-02", "p1"), false)
		unknown := digest(m, "2027-01-02", "p1")
		unknown.MailboxID = id()
		claim(unknown, false)
		figures, err := s.DigestFigures(ctx, begin)
		must(t, err)
		if diff := cmp.Diff(news.DigestFigures{Due: 3, Sent: 1, Empty: 1}, figures); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
	})
}

// Whoever left does not stand in the way of the others.
func TestDigestDeferredOfWritableMailboxes(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		var boxes []news.Mailbox
		for i := range 2 {
			m := confirmed(t, s, fmt.Sprintf("r%d@example.org", i), "")
			d := digest(m, "2026-11-24", "p1")
			if ok, err := s.ClaimDigest(ctx, d); err != nil || !ok {
				t.Fatal(ok, err)
			}
			d.State, d.NextAt = news.DigestDeferred, begin.Add(time.Duration(i)*time.Second)
			must(t, s.MarkDigest(ctx, d))
			boxes = append(boxes, m)
		}
		c.add(time.Minute)
		first := func(want news.Mailbox) {
			t.Helper()
			if mails, err := s.DigestDeferred(ctx, c.Now(), 1); err != nil || len(mails) != 1 || mails[0].MailboxID != want.ID {
				t.Errorf("deferred %+v, %v; want %s", mails, err, want.ID)
			}
		}
		first(boxes[0])
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: boxes[0].ID, Way: news.LeftByPage}))
		first(boxes[1])
	})
}

func TestRecoverDigests(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		var mails []news.DigestMail
		for i := range 4 {
			d := digest(confirmed(t, s, fmt.Sprintf("r%d@example.org", i), ""), "2026-11-24", "p1")
			if ok, err := s.ClaimDigest(ctx, d); err != nil || !ok {
				t.Fatal(ok, err)
			}
			mails = append(mails, d)
		}
		for _, i := range []int{1, 2} {
			mails[i].State = news.DigestStarted
			must(t, s.MarkDigest(ctx, mails[i]))
		}
		mails[3].State = news.DigestSent
		must(t, s.MarkDigest(ctx, mails[3]))
		check := func(now time.Time, wantRetry, wantUnknown int) {
			t.Helper()
			if retry, unknown, err := s.RecoverDigests(ctx, now); err != nil || retry != wantRetry || unknown != wantUnknown {
				t.Fatalf("retry %d, unknown %d, %v; want %d, %d", retry, unknown, err, wantRetry, wantUnknown)
			}
		}
		check(begin, 0, 0) // the leases run
		c.add(time.Minute)
		check(c.Now(), 1, 2)
		check(c.Now(), 0, 0)
		due, err := s.DigestDeferred(ctx, c.Now(), 10)
		must(t, err)
		if len(due) != 1 || due[0].MailboxID != mails[0].MailboxID {
			t.Errorf("due again %+v", due)
		}
		// An answer that comes after all is the truth; a claim is not.
		if ok, err := s.ClaimDigest(ctx, digest(news.Mailbox{ID: mails[1].MailboxID}, "2026-11-24", "p2")); err != nil || ok {
			t.Errorf("an unknown mail was claimed again: %v, %v", ok, err)
		}
		mails[1].State = news.DigestSent
		must(t, s.MarkDigest(ctx, mails[1]))
		figures, err := s.DigestFigures(ctx, begin)
		must(t, err)
		if diff := cmp.Diff(news.DigestFigures{Due: 4, Sent: 2, Deferred: 1, Unknown: 1}, figures); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
		for _, want := range []int{1, 0} { // each is told once
			if n, err := s.TellUnknown(ctx, begin.Add(-48*time.Hour), begin.Add(48*time.Hour)); err != nil || n != want {
				t.Errorf("%d unknown are told, %v; want %d", n, err, want)
			}
		}
	})
}

// Two schedulers claim the same mails (C22): each goes to one of them.
func TestClaimDigestRace(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		var boxes []news.Mailbox
		for i := range 25 {
			d := signup(fmt.Sprintf("r%d@example.org", i), "")
			must(t, stores[0].CreateDigestSignup(ctx, d))
			m, err := stores[0].ConfirmDigest(ctx, d.ID, news.Consent{})
			must(t, err)
			boxes = append(boxes, m)
		}
		type result struct {
			n   int
			err error
		}
		results := make(chan result, 4)
		for p := range 4 {
			go func() {
				var r result
				for _, m := range boxes {
					d := digest(m, "2026-11-24", fmt.Sprint("p", p))
					d.LeaseUntil = time.Now().Add(time.Hour)
					ok, err := stores[p%2].ClaimDigest(ctx, d)
					r.err = errors.Join(r.err, err)
					if ok {
						r.n++
					}
				}
				results <- r
			}()
		}
		total := 0
		for range 4 {
			r := <-results
			must(t, r.err)
			total += r.n
		}
		if total != len(boxes) {
			t.Errorf("%d claims of %d mails", total, len(boxes))
		}
	})
}

func TestDigestReaders(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		var boxes []news.Mailbox
		for i := range 7 {
			boxes = append(boxes, confirmed(t, s, fmt.Sprintf("r%d@example.org", i), ""))
		}
		if _, err := s.ChangeMailbox(ctx, boxes[6].ID, func(m *news.Mailbox) error { m.Hour = 9; return nil }); err != nil {
			t.Fatal(err)
		}
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: boxes[1].ID, Way: news.LeftByPage}))
		if _, err := s.ChangeMailbox(ctx, boxes[2].ID, func(m *news.Mailbox) error { m.State = news.MailboxSuspended; return nil }); err != nil {
			t.Fatal(err)
		}
		// What the last digest considered: sent and empty count, deferred does not.
		for i, step := range []struct {
			date  string
			state news.DigestState
		}{{"2026-11-20", news.DigestSent}, {"2026-11-21", news.DigestEmpty}, {"2026-11-22", news.DigestExpired}, {"2026-11-23", news.DigestDeferred}} {
			d := digest(boxes[0], step.date, "p")
			d.StoriesUntil, d.State = begin.Add(time.Duration(i)*time.Hour), step.state
			if ok, err := s.ClaimDigest(ctx, d); err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		seven, eight := &news.ZoneHour{Timezone: "Asia/Tokyo", Hour: 7}, &news.ZoneHour{Timezone: "Asia/Tokyo", Hour: 8}
		var got []string
		walk := func(slot *news.ZoneHour) (found []string) {
			for after := ""; ; {
				page, err := s.DigestReaders(ctx, slot, after, 2)
				must(t, err)
				if len(page) == 0 {
					return found
				}
				for _, r := range page {
					found = append(found, r.Mailbox.Address)
					after = r.Place
					switch {
					case r.Mailbox.ID == boxes[0].ID && (!r.LastUntil.Equal(begin.Add(time.Hour)) || r.LastDate != "2026-11-21"):
						t.Errorf("last %v, %s", r.LastUntil, r.LastDate)
					case r.Mailbox.ID != boxes[0].ID && (!r.LastUntil.IsZero() || r.LastDate != ""):
						t.Errorf("%s has a last digest", r.Mailbox.Address)
					}
				}
			}
		}
		got = append(walk(seven), walk(eight)...)
		slices.Sort(got)
		if diff := cmp.Diff([]string{"r0@example.org", "r3@example.org", "r4@example.org", "r5@example.org"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if all := walk(nil); len(all) != len(got)+1 {
			t.Errorf("of all slots: %v; of two of them: %v", all, got)
		}
	})
}

func TestPushedTo(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		d, other := subscribe(t, s, wishes("JP")), subscribe(t, s, wishes("JP"))
		fences := acquire(t, s, "me")
		put := func(r news.Release, d news.Device, set func(*news.LedgerRow)) {
			t.Helper()
			l := row(r.ID, d.Cell, fences[d.Cell], d.Number)
			set(l)
			must(t, s.SaveLedger(ctx, "me", []*news.LedgerRow{l}))
		}
		_, accepted := released(t, s, "https://news.example/1")
		put(accepted, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number); l.Accepted.Add(d.Number) })
		_, open := released(t, s, "https://news.example/2")
		put(open, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number) })
		_, failed := released(t, s, "https://news.example/3")
		put(failed, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number); l.Failed.Add(d.Number) })
		_, waiting := released(t, s, "https://news.example/4")
		put(waiting, d, func(l *news.LedgerRow) { l.Held.Add(d.Number) })
		a, twice := released(t, s, "https://news.example/5")
		put(twice, d, func(l *news.LedgerRow) { l.Accepted.Add(d.Number) })
		kill := release(a, news.ReleaseKill)
		kill.ReleasedAt = begin.Add(time.Minute)
		_, err := s.ChangeAlert(ctx, a.ID, func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Release: kill}, nil
		})
		must(t, err)
		put(*kill, d, func(l *news.LedgerRow) { l.Ambiguous.Add(d.Number) })

		got, err := s.PushedTo(ctx, []string{d.SubscriberID, other.SubscriberID, id()}, begin.Add(-time.Hour))
		must(t, err)
		want := map[string][]news.Pushed{d.SubscriberID: {
			{StoryURI: "https://news.example/1", AlertID: accepted.AlertID, Kind: news.ReleaseAlert, Title: "Quake", At: begin, First: begin},
			{StoryURI: "https://news.example/2", AlertID: open.AlertID, Kind: news.ReleaseAlert, Title: "Quake", At: begin, First: begin},
			{StoryURI: "https://news.example/5", AlertID: a.ID, Kind: news.ReleaseKill, Title: "Quake", At: begin.Add(time.Minute), First: begin},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if got, err := s.PushedTo(ctx, []string{d.SubscriberID}, begin.Add(time.Hour)); err != nil || len(got) != 0 {
			t.Errorf("since later: %v, %v", got, err)
		}
		if got, err := s.PushedTo(ctx, []string{id()}, begin.Add(-time.Hour)); err != nil || len(got) != 0 {
			t.Errorf("an unknown subscriber: %v, %v", got, err)
		}
	})
}
