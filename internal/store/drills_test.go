package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// A drill leaves its line and its report, ends once, and both ends are in the
// audit trail.
func TestDrillsAreRemembered(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		d := news.DrillRecord{ID: "d1", Place: "alone", StartedAt: begin, StartedBy: "Ann", Until: begin.Add(2 * time.Hour)}
		must(t, s.BeginDrill(ctx, d, "2000 devices"))
		must(t, s.BeginDrill(ctx, news.DrillRecord{ID: "d0", Place: "alone", StartedAt: begin.Add(-time.Hour), StartedBy: "Bao", Until: begin}, ""))
		got, err := s.Drill(ctx, "d1")
		must(t, err)
		if !got.Runs(begin.Add(time.Hour)) || got.Runs(begin.Add(3*time.Hour)) || got.StartedBy != "Ann" || !got.StartedAt.Equal(begin.Truncate(time.Microsecond)) {
			t.Errorf("while it runs: %+v", got)
		}
		must(t, s.EndDrill(ctx, "d1", "Bao", "by the button", []byte(`{"id":"d1"}`)))
		if err := s.EndDrill(ctx, "d1", "Bao", "again", nil); !errors.Is(err, news.ErrConflict) {
			t.Errorf("a second end: %v", err)
		}
		got, err = s.Drill(ctx, "d1")
		must(t, err)
		if got.Runs(begin) || got.EndedBy != "Bao" || string(got.Report) != `{"id":"d1"}` {
			t.Errorf("after the end: %+v", got)
		}
		if _, err := s.Drill(ctx, "d9"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("a drill that never was: %v", err)
		}
		list, err := s.Drills(ctx, 10)
		must(t, err)
		if len(list) != 2 || list[0].ID != "d1" || len(list[0].Report) != 0 {
			t.Errorf("the list: %+v", list)
		}
		lines, err := trail(t, s)
		must(t, err)
		if len(lines) != 3 || lines[0].Action != "drill start" || lines[0].Detail != "2000 devices" || lines[2].Action != "drill end" || lines[2].By != "Bao" {
			t.Errorf("the audit trail: %+v", lines)
		}
	})
}
