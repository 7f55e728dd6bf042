package store_test

import (
	"context"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
)

// Whatever changes of an alert is listed once, in the order of commits, also
// that it has gone to everybody.
func TestAlertChanges(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		before, err := s.LastChange(ctx)
		must(t, err)
		a, rel := released(t, s, "https://news.example/one")
		b, _ := released(t, s, "https://news.example/two")
		must(t, s.AppendAudit(ctx, news.AuditEntry{By: "mira", Action: "sign in", Subject: "editor/mira"}))
		hold := func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Freeze: true, Audit: "hold", By: "mira"}, nil
		}
		_, err = s.ChangeAlert(ctx, b.ID, hold)
		must(t, err)
		begun, err := s.LastChange(ctx)
		must(t, err)
		fences := acquire(t, s, "me")
		var rows []*news.LedgerRow
		for c := range news.Cells {
			r := row(rel.ID, c, fences[c], 1)
			r.Settle(1, r.Accepted)
			r.Settled = true
			rows = append(rows, r)
		}
		must(t, s.SaveLedger(ctx, "me", rows))
		if done, err := s.SettleRelease(ctx, rel.ID); err != nil || !done {
			t.Fatalf("settled: %v, %v", done, err)
		}
		all, err := s.AlertChanges(ctx, before, 100)
		must(t, err)
		last, err := s.LastChange(ctx)
		must(t, err)
		for i, c := range all {
			if i > 0 && c.Seq <= all[i-1].Seq || c.StoryURI == "" {
				t.Errorf("change %d: %+v", i, c)
			}
		}
		if end := all[len(all)-1]; end.AlertID != a.ID || end.StoryURI != a.StoryURI || end.Seq != last || last <= begun {
			t.Errorf("sent: %+v, line %d", end, last)
		}
		if hold := all[len(all)-2]; hold.AlertID != b.ID {
			t.Errorf("held: %+v", hold)
		}
		if few, err := s.AlertChanges(ctx, all[0].Seq, 1); err != nil || len(few) != 1 || few[0] != all[1] {
			t.Errorf("the second: %+v, %v", few, err)
		}
		if none, err := s.AlertChanges(ctx, last, 100); err != nil || len(none) != 0 {
			t.Errorf("after the last: %+v, %v", none, err)
		}
	})
}
