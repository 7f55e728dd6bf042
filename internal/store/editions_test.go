package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
)

func edition() news.Edition {
	e := news.Edition{LocalDate: "2026-11-24", Timezone: "Asia/Tokyo", Hour: 7, At: begin}
	e.ID = news.EditionID(e.LocalDate, e.Timezone, e.Hour, e.Weekly)
	return e
}

// due is a mail as it is planned.
func due(m news.Mailbox, provider string) news.DigestMail {
	e := edition()
	return news.DigestMail{MailboxID: m.ID, LocalDate: e.LocalDate, EditionAt: e.At, Edition: e.ID, Provider: provider, MessageID: "digest." + m.ID + "@d"}
}

// took claims a planned mail and brings it to a state.
func took(t *testing.T, s *store.Store, d news.DigestMail, state news.DigestState, reason string) {
	t.Helper()
	d.State, d.Owner, d.LeaseUntil = news.DigestClaimed, "p1", begin.Add(time.Hour)
	if ok, err := s.ClaimDigest(context.Background(), d); err != nil || !ok {
		t.Fatalf("claim: %t, %v", ok, err)
	}
	for _, step := range []news.DigestState{news.DigestStarted, state} {
		d.State, d.Reason = step, reason
		if step == news.DigestStarted && state == news.DigestDeferred {
			continue
		}
		must(t, s.MarkDigest(context.Background(), d))
	}
}

func manyMailboxes(t *testing.T, s *store.Store, n int) []news.Mailbox {
	t.Helper()
	var out []news.Mailbox
	for i := range n {
		out = append(out, confirmed(t, s, fmt.Sprintf("r%d@example.org", i), ""))
	}
	return out
}

// C22: however many plan an edition at once, it is one row, and every reader is due once.
func TestC22OneEditionWhoeverPlansIt(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		boxes := manyMailboxes(t, s, 20)
		var mails []news.DigestMail
		for _, m := range boxes {
			mails = append(mails, due(m, "gmail"))
		}
		took(t, s, mails[3], news.DigestSent, "accepted")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if err := s.PlanDigests(ctx, []news.Edition{edition()}, mails); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		list, err := s.Editions(ctx, begin.Add(-time.Hour), begin.Add(time.Hour))
		must(t, err)
		want := news.EditionFigures{Due: 20, Waiting: 19, Sent: 1}
		if len(list) != 1 || list[0].Edition != edition() || list[0].EditionFigures != want || !list[0].Conserved() {
			t.Errorf("%+v", list)
		}
		if _, err := s.Edition(ctx, "2026-11-25 07 Asia/Tokyo"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an edition nobody planned: %v", err)
		}
	})
}

// Every mail is in one figure, and the figures of the providers are those of the edition.
func TestEditionFigures(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		boxes := manyMailboxes(t, s, 10)
		var mails []news.DigestMail
		for i, m := range boxes {
			mails = append(mails, due(m, []string{"gmail", "rest"}[i%2]))
		}
		must(t, s.PlanDigests(ctx, []news.Edition{edition()}, mails))
		took(t, s, mails[0], news.DigestSent, "accepted")
		took(t, s, mails[1], news.DigestSent, "accepted")
		took(t, s, mails[2], news.DigestBounced, news.HardBounce)
		took(t, s, mails[3], news.DigestBounced, news.SoftBounce)
		took(t, s, mails[4], news.DigestDeferred, "policy")
		took(t, s, mails[5], news.DigestUnknown, "no-answer")
		took(t, s, mails[6], news.DigestEmpty, "")
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: boxes[7].ID, Way: news.LeftByPage}))
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: boxes[1].ID, Way: news.LeftByLink, LocalDate: "2026-11-24"}))
		if _, _, err := s.TakeReport(ctx, news.MailReport{MessageID: "arf", Kind: news.ReportComplaint, MailboxID: boxes[0].ID, LocalDate: "2026-11-24"}); err != nil {
			t.Fatal(err)
		}
		if n, err := s.ExpireDigests(ctx, begin.Add(-time.Hour)); err != nil || n != 0 {
			t.Fatalf("expired %d, %v", n, err)
		}
		a, err := s.Edition(ctx, edition().ID)
		must(t, err)
		want := news.EditionFigures{Due: 10, Waiting: 2, Sent: 2, Bounced: 2, Hard: 1, Deferred: 1, Unknown: 1, Empty: 1, Suppressed: 1, Complaints: 1, Left: 2}
		if diff := cmp.Diff(want, a.EditionFigures); diff != "" || !a.Conserved() {
			t.Errorf("conserved %t (-want +got):\n%s", a.Conserved(), diff)
		}
		if sum := a.Providers["gmail"].Plus(a.Providers["rest"]); sum != a.EditionFigures || len(a.Providers) != 2 {
			t.Errorf("providers %+v", a.Providers)
		}
		if diff := cmp.Diff(map[string]int{"policy": 1, news.HardBounce: 1, news.SoftBounce: 1, "no-answer": 1}, a.Reasons); diff != "" {
			t.Error(diff)
		}
		// The deadline: what waits or was put off is expired, and nothing is left over.
		if n, err := s.ExpireDigests(ctx, begin); err != nil || n != 3 {
			t.Errorf("expired %d, %v", n, err)
		}
		a, err = s.Edition(ctx, edition().ID)
		must(t, err)
		if a.Waiting != 0 || a.Deferred != 0 || a.Expired != 3 || !a.Conserved() {
			t.Errorf("%+v", a.EditionFigures)
		}
	})
}

// A pause holds in every process, because the claim asks for it.
func TestPausedEditionIsNotClaimed(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		boxes := manyMailboxes(t, s, 3)
		gmail, rest := due(boxes[0], "gmail"), due(boxes[1], "rest")
		must(t, s.PlanDigests(ctx, []news.Edition{edition()}, []news.DigestMail{gmail, rest}))
		pause := news.EditionPause{Edition: edition().ID, Provider: "gmail", Reason: news.PauseBounces, Detail: "3 of 90", By: news.SystemName}
		paused := func(p news.EditionPause, want bool) {
			t.Helper()
			if got, err := s.PauseEdition(ctx, p); err != nil || got != want {
				t.Errorf("pause: %t, %v; want %t", got, err, want)
			}
		}
		paused(pause, true)
		paused(pause, false)
		gmail.State, gmail.Owner, gmail.LeaseUntil = news.DigestClaimed, "p1", begin.Add(time.Hour)
		if ok, err := s.ClaimDigest(ctx, gmail); err != nil || ok {
			t.Errorf("a mail that is kept back was claimed: %v", err)
		}
		took(t, s, rest, news.DigestSent, "accepted")
		if list, err := s.OpenPauses(ctx); err != nil || len(list) != 1 || list[0].Detail != "3 of 90" {
			t.Errorf("%+v, %v", list, err)
		}
		if n, err := s.ResumeEdition(ctx, edition().ID, "", "Aiko"); err != nil || n != 1 {
			t.Errorf("resumed %d, %v", n, err)
		}
		paused(pause, false) // an editor has the last word
		took(t, s, gmail, news.DigestSent, "accepted")
		byHand := news.EditionPause{Edition: edition().ID, Reason: news.PauseEditor, By: "Aiko"}
		paused(byHand, true)
		third := due(boxes[2], "naver")
		third.State, third.Owner, third.LeaseUntil = news.DigestClaimed, "p1", begin.Add(time.Hour)
		if ok, err := s.ClaimDigest(ctx, third); err != nil || ok {
			t.Errorf("claimed though all of it waits: %v", err)
		}
		c.add(time.Minute)
		if n, err := s.ResumeEdition(ctx, edition().ID, "", "Bao"); err != nil || n != 1 {
			t.Errorf("resumed %d, %v", n, err)
		}
		paused(byHand, true)
		a, err := s.Edition(ctx, edition().ID)
		must(t, err)
		if len(a.Pauses) != 2 || !a.Paused() {
			t.Errorf("%+v", a.Pauses)
		}
		entries, err := s.Audit(ctx, 10)
		must(t, err)
		var did []string
		for _, e := range entries {
			did = append(did, e.Action)
		}
		if diff := cmp.Diff([]string{"pause-edition", "resume-edition", "pause-edition", "resume-edition", "pause-edition"}, did); diff != "" {
			t.Errorf("the trail: %s", diff)
		}
	})
}

// What is unknown goes again when an editor says so, and only what she was shown.
func TestResendUnknown(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		boxes := manyMailboxes(t, s, 3)
		for i, m := range boxes {
			took(t, s, due(m, "rest"), []news.DigestState{news.DigestUnknown, news.DigestUnknown, news.DigestSent}[i], "no-answer")
		}
		must(t, s.PlanDigests(ctx, []news.Edition{edition()}, []news.DigestMail{due(boxes[0], "rest")}))
		if err := s.ResendUnknown(ctx, edition().ID, 3, "Aiko"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("a number she did not see: %v", err)
		}
		must(t, s.ResendUnknown(ctx, edition().ID, 2, "Aiko"))
		mails, err := s.DigestDeferred(ctx, c.Now(), 10)
		if err != nil || len(mails) != 2 {
			t.Errorf("%d go again, %v", len(mails), err)
		}
		if err := s.ResendUnknown(ctx, edition().ID, 2, "Aiko"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("twice: %v", err)
		}
		late := due(confirmed(t, s, "late@example.org", ""), "rest")
		late.Edition = "2026-11-24 08 Asia/Tokyo"
		took(t, s, late, news.DigestUnknown, "no-answer")
		c.add(news.EditionLife)
		if err := s.ResendUnknown(ctx, late.Edition, 1, "Aiko"); !errors.Is(err, news.ErrConflict) || !strings.Contains(err.Error(), "18 hours") {
			t.Errorf("an edition of yesterday: %v", err)
		}
	})
}

func TestEditionPlan(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		p := news.EditionPlan{LocalDate: "2026-11-24", Notes: map[string]string{"en": "Good morning"}, Pins: []string{"a"}, Drops: []string{"b"}}
		first, err := s.SetEditionPlan(ctx, p, "Aiko")
		must(t, err)
		if first.Version != 1 || first.ChangedBy != "Aiko" {
			t.Errorf("%+v", first)
		}
		if _, err := s.SetEditionPlan(ctx, p, "Bao"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("over another's change: %v", err)
		}
		first.Pins = nil
		second, err := s.SetEditionPlan(ctx, first, "Bao")
		must(t, err)
		weekly := news.EditionPlan{LocalDate: "2026-11-28", Weekly: true, Drops: []string{"c"}}
		_, err = s.SetEditionPlan(ctx, weekly, "Bao")
		must(t, err)
		list, err := s.EditionPlans(ctx, "2026-11-24")
		must(t, err)
		if len(list) != 2 || cmp.Diff(second, list[0]) != "" || list[1].Drops[0] != "c" {
			t.Errorf("%+v", list)
		}
		if list, err := s.EditionPlans(ctx, "2026-11-25"); err != nil || len(list) != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// C23: a report that is processed again changes nothing and counts once.
func TestC23ReportOnce(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		boxes := manyMailboxes(t, s, 2)
		took(t, s, due(boxes[0], "rest"), news.DigestSent, "accepted")
		took(t, s, due(boxes[1], "rest"), news.DigestSent, "accepted")
		r := news.MailReport{MessageID: "<dsn@mx>", Kind: news.ReportFailed, MailboxID: boxes[0].ID, LocalDate: "2026-11-24", Status: "5.1.1", Reason: news.HardBounce}
		for i := range 3 {
			if _, fresh, err := s.TakeReport(ctx, r); err != nil || fresh != (i == 0) {
				t.Errorf("%d: %t, %v", i, fresh, err)
			}
		}
		a, err := s.Edition(ctx, edition().ID)
		if err == nil {
			t.Error("nobody planned it")
		}
		must(t, s.PlanDigests(ctx, []news.Edition{edition()}, []news.DigestMail{due(boxes[0], "rest")}))
		a, err = s.Edition(ctx, edition().ID)
		must(t, err)
		if a.Sent != 1 || a.Bounced != 1 || a.Hard != 1 || !a.Conserved() {
			t.Errorf("%+v", a.EditionFigures)
		}
		m, err := s.Mailbox(ctx, boxes[0].ID)
		if err != nil || m.State != news.MailboxBounced {
			t.Errorf("%s, %v", m.State, err)
		}
		if reports, err := s.Reports(ctx, begin.Add(-time.Hour)); err != nil || reports[news.ReportFailed] != 1 {
			t.Errorf("%v, %v", reports, err)
		}
		if faults, err := s.ImportMailboxes(ctx, []news.Mailbox{m}); err != nil || !errors.Is(faults[0], news.ErrConflict) {
			t.Errorf("a suppressed address was imported: %v, %v", faults, err)
		}
	})
}

// A server beside us reports a failure before the sender has written down that the mail
// went: the mail stays bounced, and nobody is told that it is not hers.
func TestReportOvertakesTheAnswer(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		d := due(confirmed(t, s, "r@example.org", ""), "rest")
		d.State, d.Owner, d.LeaseUntil = news.DigestClaimed, "p1", begin.Add(time.Hour)
		if ok, err := s.ClaimDigest(ctx, d); err != nil || !ok {
			t.Fatal(ok, err)
		}
		d.State = news.DigestStarted
		must(t, s.MarkDigest(ctx, d))
		if _, fresh, err := s.TakeReport(ctx, news.MailReport{MessageID: "dsn", Kind: news.ReportFailed, MailboxID: d.MailboxID, LocalDate: d.LocalDate, Reason: news.SoftBounce}); err != nil || !fresh {
			t.Fatal(fresh, err)
		}
		d.State = news.DigestSent
		must(t, s.MarkDigest(ctx, d))
		if list, err := s.Digests(ctx, d.MailboxID); err != nil || list[0].State != news.DigestBounced || list[0].Reason != news.SoftBounce {
			t.Errorf("%+v, %v", list, err)
		}
		other := d
		other.Owner = "p2"
		if err := s.MarkDigest(ctx, other); !errors.Is(err, news.ErrFenced) {
			t.Errorf("another's: %v", err)
		}
	})
}

// What is older than the reader's last confirmation says nothing of her mailbox.
func TestReportOfAnOlderMail(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		m := confirmed(t, s, "r@example.org", "")
		d := due(m, "rest")
		d.EditionAt, d.LocalDate = m.Consent.ConfirmedAt.Add(-time.Hour), "2026-11-20"
		took(t, s, d, news.DigestSent, "accepted")
		for i, kind := range []news.MailReportKind{news.ReportFailed, news.ReportComplaint} {
			r := news.MailReport{MessageID: fmt.Sprint(i), Kind: kind, MailboxID: m.ID, LocalDate: "2026-11-20", Reason: news.HardBounce}
			if _, fresh, err := s.TakeReport(ctx, r); err != nil || !fresh {
				t.Errorf("%t, %v", fresh, err)
			}
		}
		if got, err := s.Mailbox(ctx, m.ID); err != nil || got.State != news.MailboxActive {
			t.Errorf("%s, %v", got.State, err)
		}
		if _, _, err := s.TakeReport(ctx, news.MailReport{MessageID: "leave", Kind: news.ReportLeave, MailboxID: m.ID, LocalDate: "2026-11-20"}); err != nil {
			t.Error(err)
		}
		if got, err := s.Mailbox(ctx, m.ID); err != nil || got.State != news.MailboxLeft {
			t.Errorf("her own wish holds: %s, %v", got.State, err)
		}
		// Nobody we know.
		if _, fresh, err := s.TakeReport(ctx, news.MailReport{MessageID: "x", Kind: news.ReportComplaint, MailboxID: id(), LocalDate: "2026-11-20"}); err != nil || !fresh {
			t.Errorf("%t, %v", fresh, err)
		}
	})
}

// Three editions in a row over a week suspend a mailbox that is full; one that is
// delivered begins the count anew.
func TestSoftBouncesSuspend(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		m := confirmed(t, s, "r@example.org", "")
		day := func(n int, state news.DigestState, want news.MailboxState) {
			t.Helper()
			d := due(m, "rest")
			d.EditionAt = begin.Add(time.Duration(n) * 24 * time.Hour)
			d.LocalDate = d.EditionAt.Format(time.DateOnly)
			took(t, s, d, state, news.SoftBounce)
			_, err := s.SuspendMailbox(ctx, m.ID)
			must(t, err)
			if got, err := s.Mailbox(ctx, m.ID); err != nil || got.State != want {
				t.Errorf("day %d: %s, %v; want %s", n, got.State, err, want)
			}
		}
		for n := range 6 { // six in a row, but within a week
			day(n, news.DigestBounced, news.MailboxActive)
		}
		day(6, news.DigestSent, news.MailboxActive)
		day(7, news.DigestBounced, news.MailboxActive)
		day(10, news.DigestBounced, news.MailboxActive)
		day(14, news.DigestBounced, news.MailboxSuspended)
	})
}

func TestReserveMails(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		var all sync.WaitGroup
		var mu sync.Mutex
		total := 0
		for range 5 {
			all.Go(func() {
				n, err := s.ReserveMails(ctx, "gmail", "2026-11-24", 30, 100)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				total += n
			})
		}
		all.Wait()
		if n, err := s.ReserveMails(ctx, "gmail", "2026-11-24", 30, 100); err != nil || total+n != 100 {
			t.Errorf("%d and %d of 100, %v", total, n, err)
		}
		if n, err := s.ProviderDays(ctx, "gmail", "2026-11-25"); err != nil || n != 1 {
			t.Errorf("%d days, %v", n, err)
		}
		if n, err := s.ProviderDays(ctx, "gmail", "2026-11-24"); err != nil || n != 0 {
			t.Errorf("%d days, %v", n, err)
		}
	})
}
