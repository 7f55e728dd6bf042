package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func signup(address, subscriber string) news.DigestSignup {
	w := wishes("035", "JP")
	w.Quiet, w.Cap, w.OnlyLanguage = nil, 0, false
	return news.DigestSignup{ID: id(), Kind: news.SignupDigest, Address: address, Wishes: w, Hour: 7, Days: []int{1, 2, 3, 4, 5}, SubscriberID: subscriber,
		DeviceLabel: "Firefox on Linux", Consent: news.Consent{TextVersion: "2026-11", Source: "site", RequestedAt: begin, ClientHash: "abc"},
		CreatedAt: begin, ExpiresAt: begin.Add(10000 * time.Hour)}
}

// confirmed signs up and confirms.
func confirmed(t testing.TB, s *store.Store, address, subscriber string) news.Mailbox {
	t.Helper()
	ctx := context.Background()
	d := signup(address, subscriber)
	must(t, s.CreateDigestSignup(ctx, d))
	m, err := s.ConfirmDigest(ctx, d.ID, news.Consent{})
	must(t, err)
	return m
}

func TestSignupMails(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		claim := func(want int) []news.DigestSignup {
			t.Helper()
			got, err := s.ClaimSignupMails(ctx, "me", 10, time.Minute)
			must(t, err)
			if len(got) != want {
				t.Fatalf("claimed %d mails, want %d", len(got), want)
			}
			return got
		}
		first := signup(" Reader@Example.ORG ", "")
		must(t, s.CreateDigestSignup(ctx, first))
		must(t, s.CreateDigestSignup(ctx, signup("reader@example.org", "")))
		got := claim(1)[0]
		first.Address = "reader@example.org"
		if diff := cmp.Diff(first, got); diff != "" {
			t.Errorf("claimed (-want +got):\n%s", diff)
		}
		claim(0)
		must(t, s.MarkSignupMail(ctx, first.ID, false, begin.Add(5*time.Minute)))
		claim(0)
		c.add(6 * time.Minute)
		claim(1)
		c.add(2 * time.Minute) // its owner died
		claim(1)
		must(t, s.MarkSignupMail(ctx, first.ID, true, time.Time{}))
		c.add(10 * time.Minute)
		claim(0)
		must(t, s.CreateDigestSignup(ctx, signup("reader@example.org", "")))
		claim(0)
		c.add(24 * time.Hour)
		late := signup("reader@example.org", "")
		must(t, s.CreateDigestSignup(ctx, late))
		if got := claim(1)[0]; got.ID != late.ID {
			t.Errorf("claimed %s, want %s", got.ID, late.ID)
		}
		if _, err := s.ConfirmDigest(ctx, late.ID, news.Consent{}); err != nil {
			t.Fatal(err)
		}
		c.add(time.Hour)
		claim(0) // confirmed: no mail any more
		if err := s.MarkSignupMail(ctx, id(), true, time.Time{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

// An address that was typed in and never confirmed is not kept.
func TestForgetSignups(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		old := signup("old@example.org", "")
		must(t, s.CreateDigestSignup(ctx, old))
		c.add(time.Minute)
		young := signup("young@example.org", "")
		young.ExpiresAt = old.ExpiresAt.Add(time.Minute)
		must(t, s.CreateDigestSignup(ctx, young))
		if n, err := s.ForgetSignups(ctx, old.ExpiresAt); err != nil || n != 1 {
			t.Fatalf("%d, %v", n, err)
		}
		if _, err := s.DigestSignup(ctx, old.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("old: %v", err)
		}
		if _, err := s.DigestSignup(ctx, young.ID); err != nil {
			t.Errorf("young: %v", err)
		}
		// What spaces the mails to an address outlives the sign-up.
		again := signup("old@example.org", "")
		must(t, s.CreateDigestSignup(ctx, again))
		got, err := s.ClaimSignupMails(ctx, "me", 10, time.Minute)
		must(t, err)
		if len(got) != 1 || got[0].ID != young.ID {
			t.Errorf("mails of %v", got)
		}
	})
}

// One address and a thousand forms (T73): one mail.
func TestSignupBombing(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		done := make(chan error, 30)
		for i := range cap(done) {
			go func() {
				d := signup("victim@example.org", "")
				d.CreatedAt, d.ExpiresAt = time.Now(), time.Now().Add(time.Hour)
				done <- stores[i%2].CreateDigestSignup(ctx, d)
			}()
		}
		for range cap(done) {
			must(t, <-done)
		}
		got, err := stores[0].ClaimSignupMails(ctx, "me", 100, time.Minute)
		must(t, err)
		if len(got) != 1 {
			t.Errorf("%d mails", len(got))
		}
	})
}

func TestConfirmDigest(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		device := subscribe(t, s, wishes("JP"))
		d := signup("reader@example.org", device.SubscriberID)
		must(t, s.CreateDigestSignup(ctx, d))
		c.add(time.Minute)
		m, err := s.ConfirmDigest(ctx, d.ID, news.Consent{ClientHash: "def", TextVersion: " "})
		must(t, err)
		want := news.Mailbox{ID: m.ID, Address: d.Address, SubscriberID: device.SubscriberID, State: news.MailboxActive, Wishes: m.Wishes,
			Hour: 7, Days: d.Days, CreatedAt: begin.Add(time.Minute), Consent: news.Consent{TextVersion: "2026-11", Source: "site",
				RequestedAt: begin, ConfirmedAt: begin.Add(time.Minute), ClientHash: "def"}}
		if diff := cmp.Diff(want, m); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(d.Wishes, m.Wishes); diff != "" {
			t.Errorf("wishes (-want +got):\n%s", diff)
		}
		if again, err := s.ConfirmDigest(ctx, d.ID, news.Consent{}); err != nil || !cmp.Equal(again, m) {
			t.Errorf("confirmed again: %v\n%s", err, cmp.Diff(m, again))
		}
		if used, err := s.DigestSignup(ctx, d.ID); err != nil || !used.UsedAt.Equal(begin.Add(time.Minute)) {
			t.Errorf("used at %v, %v", used.UsedAt, err)
		}
		// She leaves; the old link does not bring her back, a new sign-up does.
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: id()}))
		if again, err := s.ConfirmDigest(ctx, d.ID, news.Consent{}); err != nil || again.State != news.MailboxLeft {
			t.Errorf("an old link made her %s, %v", again.State, err)
		}
		if readers := digestReaders(t, s, m); len(readers) != 0 {
			t.Errorf("%d readers after leaving", len(readers))
		}
		back := confirmed(t, s, "READER@example.org", "")
		if back.ID != m.ID || back.State != news.MailboxActive || back.SubscriberID != device.SubscriberID {
			t.Errorf("back %+v", back)
		}
		if readers := digestReaders(t, s, m); len(readers) != 1 {
			t.Errorf("%d readers after coming back", len(readers))
		}
		expired := signup("late@example.org", "")
		expired.ExpiresAt = c.Now()
		must(t, s.CreateDigestSignup(ctx, expired))
		if _, err := s.ConfirmDigest(ctx, expired.ID, news.Consent{}); !errors.Is(err, news.ErrGone) {
			t.Errorf("expired: %v", err)
		}
		if _, err := s.ConfirmDigest(ctx, id(), news.Consent{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		gone := signup("gone@example.org", id()) // the subscriber was wiped meanwhile
		must(t, s.CreateDigestSignup(ctx, gone))
		if m, err := s.ConfirmDigest(ctx, gone.ID, news.Consent{}); err != nil || m.SubscriberID != "" {
			t.Errorf("joined %q, %v", m.SubscriberID, err)
		}
	})
}

// The button is pressed twice at once, through two processes: one mailbox.
func TestConfirmOnceUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		var signups []news.DigestSignup
		for range 2 { // two sign-ups of one address
			d := signup("twice@example.org", "")
			d.ExpiresAt = time.Now().Add(time.Hour)
			must(t, stores[0].CreateDigestSignup(ctx, d))
			signups = append(signups, d)
		}
		type answer struct {
			id  string
			err error
		}
		answers := make(chan answer, 8)
		for i := range cap(answers) {
			go func() {
				m, err := stores[i%2].ConfirmDigest(ctx, signups[i/2%2].ID, news.Consent{})
				answers <- answer{m.ID, err}
			}()
		}
		ids := map[string]bool{}
		for range cap(answers) {
			a := <-answers
			must(t, a.err)
			ids[a.id] = true
		}
		if len(ids) != 1 {
			t.Errorf("%d mailboxes", len(ids))
		}
	})
}

func TestChangeMailbox(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		m, other := confirmed(t, s, "a@example.org", ""), confirmed(t, s, "b@example.org", "")
		got, err := s.ChangeMailbox(ctx, m.ID, func(m *news.Mailbox) error {
			m.Hour, m.Weekly, m.Days, m.Wishes.Timezone = 19, true, []int{6}, "Asia/Taipei"
			m.Wishes.Preference.Regions = []string{"TW"}
			return nil
		})
		must(t, err)
		read, err := s.Mailbox(ctx, m.ID)
		must(t, err)
		if diff := cmp.Diff(got, read); diff != "" || read.Hour != 19 || read.Wishes.Preference.Regions[0] != "TW" {
			t.Errorf("%+v (-want +got):\n%s", read, diff)
		}
		slots, err := s.DigestSlots(ctx)
		must(t, err)
		if diff := cmp.Diff([]news.ZoneHour{{Timezone: "Asia/Taipei", Hour: 19}, {Timezone: "Asia/Tokyo", Hour: 7}}, slots); diff != "" {
			t.Errorf("slots (-want +got):\n%s", diff)
		}
		if _, err := s.ChangeMailbox(ctx, m.ID, func(m *news.Mailbox) error { m.Address = other.Address; return nil }); !errors.Is(err, news.ErrConflict) {
			t.Errorf("another mailbox's address: %v", err)
		}
		if _, err := s.ChangeMailbox(ctx, m.ID, func(m *news.Mailbox) error { m.State = news.MailboxBounced; return nil }); err != nil {
			t.Fatal(err)
		}
		// A bounced address is not even sent a confirmation.
		d := signup("a@example.org", "")
		must(t, s.CreateDigestSignup(ctx, d))
		if got, err := s.ClaimSignupMails(ctx, "me", 10, time.Minute); err != nil || len(got) != 0 {
			t.Errorf("%d mails to a bounced address, %v", len(got), err)
		}
		mine := errors.New("no")
		if _, err := s.ChangeMailbox(ctx, m.ID, func(*news.Mailbox) error { return mine }); !same(err, mine) {
			t.Errorf("got %v, want the callback's own error", err)
		}
	})
}

func TestImportMailboxes(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		left := confirmed(t, s, "left@example.org", "")
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: left.ID, Way: news.LeftByPage}))
		known := confirmed(t, s, "known@example.org", "")
		var list []news.Mailbox
		for i := range 600 {
			list = append(list, news.Mailbox{Address: fmt.Sprintf("r%d@example.org", i), Wishes: wishes("JP"), Hour: i % 24,
				Consent: news.Consent{TextVersion: "old", Source: "import", ConfirmedAt: begin.Add(-time.Hour)}})
		}
		list[1].Address, list[2].Address = "left@example.org", "Known@example.org"
		list[3].SubscriberID = id()
		faults, err := s.ImportMailboxes(ctx, list)
		must(t, err)
		for i, f := range faults {
			if (f != nil) != (i == 1 || i == 3) {
				t.Errorf("line %d: %v", i, f)
			}
		}
		if m, err := s.Mailbox(ctx, known.ID); err != nil || m.Consent.Source != "import" || m.Hour != 2 {
			t.Errorf("the known one: %+v, %v", m, err)
		}
		faults, err = s.ImportMailboxes(ctx, list) // again: the same
		must(t, err)
		if faults[0] != nil || faults[1] == nil {
			t.Errorf("again: %v, %v", faults[0], faults[1])
		}
		slots, err := s.DigestSlots(ctx)
		must(t, err)
		if len(slots) != 24 {
			t.Errorf("%d slots", len(slots))
		}
	})
}
