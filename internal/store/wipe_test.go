package store_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// TestWipeLeavesNothingPersonal: after a wipe the rows of a reader name neither
// her places nor her zone nor what she read, and the suppression stands.
func TestWipeLeavesNothingPersonal(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := storetest.Open(t, store.Config{URL: url})
		w := wishes("JP")
		w.Timezone, w.MutedStories = "Asia/Vladivostok", []string{"https://news.example/muted"}
		d := subscribe(t, s, w)
		sub := signup("reader@example.org", d.SubscriberID)
		sub.Wishes, sub.DeviceLabel = w, "Her Own Browser"
		must(t, s.CreateDigestSignup(ctx, sub))
		m, err := s.ConfirmDigest(ctx, sub.ID, news.Consent{Source: "her-source"})
		must(t, err)
		until := time.Now().Add(time.Hour)
		ok, err := s.ClaimDigest(ctx, news.DigestMail{MailboxID: m.ID, LocalDate: "2026-11-24", EditionAt: begin, Owner: "me", LeaseUntil: until,
			Stories: []string{"https://news.example/read"}, MessageID: "<her-mail>"})
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		personal := []string{"Vladivostok", "news.example/muted", "news.example/read", "her-mail", "Her Own Browser", "her-source"}
		tables := []string{"mailboxes", "subscribers", "devices", "digest_signups", "digest_mails"}
		db := raw(t, url)
		for _, word := range personal {
			if !bytes.Contains(dump(t, db, tables), []byte(word)) {
				t.Fatalf("%s was not there before: the test looks at nothing", word)
			}
		}
		must(t, s.WipeMailbox(ctx, m.ID))
		for _, word := range personal {
			if bytes.Contains(dump(t, db, tables), []byte(word)) {
				t.Errorf("%s is there still", word)
			}
		}
		if all := dump(t, db, []string{"suppressions"}); len(bytes.TrimSpace(all)) == 0 {
			t.Error("no suppression")
		}
		if _, err := s.MailboxRecord(ctx, m.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the record: %v", err)
		}
		// She signs up anew and confirms: only that lifts the suppression.
		faults, err := s.ImportMailboxes(ctx, []news.Mailbox{{Address: "reader@example.org", Wishes: wishes("JP")}})
		if err != nil || faults[0] == nil {
			t.Errorf("imported: %v %v", faults, err)
		}
		again := signup("reader@example.org", "")
		must(t, s.CreateDigestSignup(ctx, again))
		if readers, err := s.DigestReaders(ctx, nil, "", 10); err != nil || len(readers) != 0 {
			t.Errorf("a sign-up alone brought the digest back: %v %v", readers, err)
		}
		back, err := s.ConfirmDigest(ctx, again.ID, news.Consent{})
		if err != nil || back.ID == m.ID || back.State != news.MailboxActive {
			t.Errorf("%+v %v", back, err)
		}
	})
}

// TestWipeDevicePartsTheMailbox: who holds a device's link can't wipe the
// mailbox; it stays, parted.
func TestWipeDevicePartsTheMailbox(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		d := subscribe(t, s, wishes("JP"))
		m := confirmed(t, s, "reader@example.org", d.SubscriberID)
		if boxes, err := s.MailboxesOf(ctx, d.SubscriberID); err != nil || len(boxes) != 1 || boxes[0].ID != m.ID {
			t.Errorf("%v %v", boxes, err)
		}
		if devices, err := s.DevicesOf(ctx, d.SubscriberID); err != nil || len(devices) != 1 || devices[0].ID != d.ID {
			t.Errorf("%v %v", devices, err)
		}
		must(t, s.WipeDevice(ctx, d.ID))
		must(t, s.WipeDevice(ctx, d.ID))
		got, err := s.Mailbox(ctx, m.ID)
		if err != nil || got.SubscriberID != "" || got.State != news.MailboxActive || got.Address != "reader@example.org" {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := s.DeviceRecord(ctx, d.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the device's record: %v", err)
		}
	})
}

// TestMoveMailbox: the digest goes to the new address once that has agreed, and
// nothing more to the old one.
func TestMoveMailbox(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		m := confirmed(t, s, "old@example.org", subscribe(t, s, wishes("JP")).SubscriberID)
		if m.SubscriberID == "" {
			t.Fatal("the mailbox is not joined")
		}
		left := confirmed(t, s, "new@example.org", "")
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: left.ID, Way: news.LeftByPage}))
		taken := confirmed(t, s, "taken@example.org", "")
		move := func(address string) (news.Mailbox, error) {
			d := signup(address, "")
			d.Kind, d.MailboxID, d.Consent.Source = news.SignupMove, m.ID, "move"
			must(t, s.CreateDigestSignup(ctx, d))
			if got, err := s.Mailbox(ctx, m.ID); err != nil || got.Address == address {
				t.Errorf("moved before the new address agreed: %+v %v", got, err)
			}
			first, err := s.ConfirmDigest(ctx, d.ID, news.Consent{})
			if err != nil {
				return first, err
			}
			return s.ConfirmDigest(ctx, d.ID, news.Consent{}) // pressed twice
		}
		if _, err := move("taken@example.org"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("to an address with a digest of its own (%s): %v", taken.ID, err)
		}
		got, err := move("new@example.org")
		if err != nil || got.ID != m.ID || got.Address != "new@example.org" || got.Consent.Source != "move" || got.SubscriberID != "" {
			t.Errorf("%+v %v", got, err)
		}
		faults, err := s.ImportMailboxes(ctx, []news.Mailbox{{Address: "old@example.org", Wishes: wishes("JP")}})
		if err != nil || faults[0] == nil {
			t.Errorf("the old address was imported: %v %v", faults, err)
		}
		// A second mail about the same move, confirmed later, moves and tells nothing.
		c.add(25 * time.Hour)
		second := signup("new@example.org", "")
		second.Kind, second.MailboxID = news.SignupMove, m.ID
		must(t, s.CreateDigestSignup(ctx, second))
		if got, err := s.ConfirmDigest(ctx, second.ID, news.Consent{}); err != nil || got.Address != "new@example.org" {
			t.Errorf("moved where it is: %+v %v", got, err)
		}
		// The old address is told, once, and nothing else: not where it goes now.
		mails, err := s.ClaimSignupMails(ctx, "me", 20, time.Minute)
		must(t, err)
		var told []news.DigestSignup
		for _, d := range mails {
			if d.Kind == news.SignupMoved {
				told = append(told, d)
			}
		}
		if len(told) != 1 || told[0].Address != "old@example.org" || told[0].MailboxID != m.ID {
			t.Errorf("told of the move: %+v", told)
		} else if _, err := s.ConfirmDigest(ctx, told[0].ID, news.Consent{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the notice confirmed something: %v", err)
		}
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		if got, err := move("third@example.org"); err != nil || got.State != news.MailboxLeft {
			t.Errorf("after leaving: %+v %v", got, err)
		}
	})
}

// TestMailboxLinks: a fresh link goes to the mailbox's own address and to no
// other, five times a day at most, and once to who has left.
func TestMailboxLinks(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		m := confirmed(t, s, "reader@example.org", "")
		ask := func() error {
			return s.QueueMailboxLink(ctx, news.DigestSignup{MailboxID: m.ID, Address: "thief@example.org", ExpiresAt: c.Now().Add(time.Hour)})
		}
		for range 5 {
			must(t, ask())
		}
		var limit *news.LimitError
		if err := ask(); !errors.As(err, &limit) {
			t.Errorf("the sixth: %v", err)
		}
		got, err := s.ClaimSignupMails(ctx, "me", 10, time.Minute)
		must(t, err)
		links := 0
		for _, d := range got {
			if d.Kind == news.SignupLink {
				links++
				if d.Address != "reader@example.org" || d.MailboxID != m.ID || strings.Contains(d.Address, "thief") {
					t.Errorf("%+v", d)
				}
				if _, err := s.ConfirmDigest(ctx, d.ID, news.Consent{}); !errors.Is(err, news.ErrNotFound) {
					t.Errorf("a link confirmed something: %v", err)
				}
			}
		}
		if links != 5 {
			t.Errorf("%d links", links)
		}
		c.add(25 * time.Hour)
		must(t, ask())
		c.add(time.Minute)
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage}))
		c.add(time.Minute)
		must(t, ask())
		if err := ask(); !errors.As(err, &limit) {
			t.Errorf("after leaving, the second: %v", err)
		}
		_, err = s.ChangeMailbox(ctx, m.ID, func(m *news.Mailbox) error { m.State = news.MailboxBounced; return nil })
		must(t, err)
		c.add(25 * time.Hour)
		if err := ask(); !errors.Is(err, news.ErrConflict) {
			t.Errorf("to an address that bounced: %v", err)
		}
	})
}
