package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
)

// sends puts what became of a release in the ledger of one device.
func sends(t testing.TB, s *store.Store, fences map[int]int64, r news.Release, d news.Device, set func(*news.LedgerRow)) {
	t.Helper()
	l := row(r.ID, d.Cell, fences[d.Cell], d.Number)
	set(l)
	must(t, s.SaveLedger(context.Background(), "me", []*news.LedgerRow{l}))
}

func repaired(t testing.TB, s *store.Store, a news.Alert, kind news.ReleaseKind, state news.AlertState, at time.Time) news.Release {
	t.Helper()
	r := release(a, kind)
	r.ReleasedAt = at
	_, err := s.ChangeAlert(context.Background(), a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
		a.State = state
		return news.AlertAction{Release: r, Stop: kind == news.ReleaseKill}, nil
	})
	must(t, err)
	return *r
}

// TestPublicAlerts: the archive has what went out, and nothing that was stopped
// before its first send, taken back before it, or never released.
func TestPublicAlerts(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		d := subscribe(t, s, wishes("JP"))
		fences := acquire(t, s, "me")
		accepted := func(l *news.LedgerRow) { l.Opened.Add(d.Number); l.Accepted.Add(d.Number) }
		pending := func(*news.LedgerRow) {}

		sent, first := released(t, s, "https://news.example/1")
		sends(t, s, fences, first, d, accepted)
		repaired(t, s, sent, news.ReleaseCorrection, news.AlertSent, begin.Add(time.Minute))
		nobody, _ := released(t, s, "https://news.example/2") // nobody follows it: it is public all the same
		killed, third := released(t, s, "https://news.example/3")
		sends(t, s, fences, third, d, accepted)
		repaired(t, s, killed, news.ReleaseKill, news.AlertKilled, begin.Add(time.Minute))
		unsent, fourth := released(t, s, "https://news.example/4")
		sends(t, s, fences, fourth, d, pending)
		repaired(t, s, unsent, news.ReleaseKill, news.AlertKilled, begin.Add(time.Minute)) // before the first send
		held, sixth := released(t, s, "https://news.example/6")
		sends(t, s, fences, sixth, d, accepted)
		repaired(t, s, held, news.ReleaseCorrection, news.AlertSent, begin.Add(time.Minute)) // held before its first send
		_, err := s.ChangeAlert(ctx, held.ID, func(*news.Alert, news.Story) (news.AlertAction, error) { return news.AlertAction{Freeze: true}, nil })
		must(t, err)
		storeStory(t, s, "https://news.example/5")
		draft := alert("https://news.example/5")
		must(t, s.CreateAlert(ctx, draft, news.AuditEntry{By: "mira", Action: "draft", Subject: "alert/" + draft.ID}))

		got, err := s.PublicAlerts(ctx, news.ArchiveMark{}, 10)
		must(t, err)
		said := map[string]string{}
		for _, a := range got {
			var kinds []string
			for _, r := range a.Releases {
				kinds = append(kinds, string(r.Kind))
			}
			said[a.ID] = strings.Join(kinds, " ")
		}
		want := map[string]string{sent.ID: "alert correction", nobody.ID: "alert", killed.ID: "alert kill", held.ID: "alert"}
		if fmt.Sprint(said) != fmt.Sprint(want) {
			t.Errorf("the archive has %v, want %v", said, want)
		}
		for _, hidden := range []string{unsent.ID, draft.ID, id()} {
			if _, err := s.PublicAlert(ctx, hidden); !errors.Is(err, news.ErrNotFound) {
				t.Errorf("%s: %v", hidden, err)
			}
		}
		if a, err := s.PublicAlert(ctx, killed.ID); err != nil || a.Newest().Kind != news.ReleaseKill {
			t.Errorf("%+v %v", a, err)
		}
		var paged []string
		for mark := (news.ArchiveMark{}); ; {
			page, err := s.PublicAlerts(ctx, mark, 1)
			must(t, err)
			if len(page) == 0 {
				break
			}
			mark = page[0].Mark()
			paged = append(paged, page[0].ID)
		}
		if len(paged) != 4 || paged[0] != got[0].ID || paged[1] != got[1].ID || paged[2] != got[2].ID || paged[3] != got[3].ID {
			t.Errorf("page by page %v", paged)
		}
	})
}

// TestSentTo: a reader's history is exactly the releases that a repair would go
// to her for, over more of them than one look takes.
func TestSentTo(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		d, other := subscribe(t, s, wishes("JP")), subscribe(t, s, wishes("JP"))
		fences := acquire(t, s, "me")
		_, first := released(t, s, "https://news.example/1")
		sends(t, s, fences, first, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number); l.Accepted.Add(d.Number) })
		_, second := releasedAt(t, s, "https://news.example/2", begin.Add(time.Millisecond))
		sends(t, s, fences, second, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number) }) // no answer
		_, third := released(t, s, "https://news.example/3")
		sends(t, s, fences, third, d, func(l *news.LedgerRow) { l.Opened.Add(d.Number); l.Failed.Add(d.Number) })
		for n := range 220 {
			_, r := released(t, s, fmt.Sprintf("https://news.example/held/%d", n))
			sends(t, s, fences, r, d, func(l *news.LedgerRow) { l.Held.Add(d.Number) })
		}
		got, err := s.SentTo(ctx, d.SubscriberID, begin.Add(-time.Hour), time.Time{}, 10)
		must(t, err)
		if len(got) != 2 || got[0].ID != second.ID || got[1].ID != first.ID || got[0].Texts["ja"].Title != "地震" {
			t.Errorf("%d: %+v", len(got), got)
		}
		if got, err := s.SentTo(ctx, d.SubscriberID, begin.Add(-time.Hour), time.Time{}, 1); err != nil || len(got) != 1 {
			t.Errorf("one: %v %v", got, err)
		}
		if got, err := s.SentTo(ctx, d.SubscriberID, begin, first.ReleasedAt, 0); err != nil || len(got) != 1 || got[0].ID != first.ID {
			t.Errorf("until the first: %d %v", len(got), err)
		}
		for who, since := range map[string]time.Time{other.SubscriberID: begin.Add(-time.Hour), d.SubscriberID: begin.Add(time.Second), id(): begin} {
			if got, err := s.SentTo(ctx, who, since, time.Time{}, 10); err != nil || len(got) != 0 {
				t.Errorf("%s since %s: %v %v", who, since, got, err)
			}
		}
	})
}
