package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
)

// The last releases of the level, newest first, with the quarantined; repairs,
// other levels and what is not planned yet don't count.
func TestIntendedOfLevel(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		fences := acquire(t, s, "me")
		var level news.Level
		for i := range 4 {
			uri := fmt.Sprint("https://news.example/usual/", i)
			storeStory(t, s, uri)
			a := alert(uri)
			must(t, s.CreateAlert(ctx, a, news.AuditEntry{By: "mira", Action: "draft", Subject: "alert/" + a.ID}))
			r := release(a, news.ReleaseAlert)
			r.ReleasedAt, level = begin.Add(time.Duration(i)*time.Minute), r.Level
			_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
				a.State = news.AlertSending
				return news.AlertAction{Release: r, Audit: "send", By: "mira"}, nil
			})
			must(t, err)
			if i == 3 {
				break // nobody has planned it
			}
			rows := []*news.LedgerRow{row(r.ID, 1, fences[1], 1, 2, 3), row(r.ID, 2, fences[2], 4)}
			rows[0].Quarantined = i
			must(t, s.SaveLedger(ctx, "me", rows))
		}
		for limit, want := range map[int][]int{20: {6, 5, 4}, 3: {6, 5}} {
			if got, err := s.IntendedOfLevel(ctx, level, limit); err != nil || !slices.Equal(got, want) {
				t.Errorf("the last %d: %v, %v; want %v", limit, got, err, want)
			}
		}
		for _, other := range news.Levels() {
			if got, err := s.IntendedOfLevel(ctx, other, 20); other != level && (err != nil || len(got) != 0) {
				t.Errorf("%s: %v, %v", other, got, err)
			}
		}
	})
}
