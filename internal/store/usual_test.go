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
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		fences := acquire(t, s, "me")
		var level news.Level
		for i := range 4 {
			_, rel := released(t, s, fmt.Sprint("https://news.example/usual/", i))
			level = rel.Level
			if i == 3 {
				break // nobody has planned it
			}
			rows := []*news.LedgerRow{row(rel.ID, 1, fences[1], 1, 2, 3), row(rel.ID, 2, fences[2], 4)}
			rows[0].Quarantined = i
			must(t, s.SaveLedger(ctx, "me", rows))
			c.forward(time.Second)
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
