package store_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
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

// Open pages ask every half second. Behind a trail of 100,000 lines that is as
// quick as behind ten: the plan begins at the line asked from and does not read the
// others.
func TestAlertChangesDoNotReadTheTrail(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		ctx, db := context.Background(), raw(t, url)
		a, _ := released(t, s, "https://news.example/one")
		const lines = 100_000
		fill := `INSERT INTO audit (seq, at, actor, action, subject, detail, hash)
			WITH RECURSIVE n(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + ` + strconv.Itoa(lines) + `)
			SELECT i, CURRENT_TIMESTAMP, 'mira', 'sign in', CASE WHEN i % 3 = 0 THEN 'alert/` + a.ID + `' ELSE 'editor/mira' END, '', 'h' FROM n`
		_, err := db.Exec(fill)
		must(t, err)
		_, err = db.Exec("ANALYZE")
		must(t, err)
		_, err = db.Exec("UPDATE audit_head SET seq = $1", 1000+lines)
		must(t, err)
		explain := "EXPLAIN QUERY PLAN "
		if s.Engine() == "postgres" {
			explain = "EXPLAIN "
		}
		for _, after := range []int{1000 + lines, 990 + lines, 1000} {
			rows, err := db.Queryx(explain + store.AlertChangesQuery(after, 200)) //nolint:sqlclosecheck // closed below: it knows sql.Rows, not sqlx's
			must(t, err)
			defer rows.Close()
			var plan strings.Builder
			for rows.Next() {
				cols, err := rows.SliceScan()
				must(t, err)
				line := cols[len(cols)-1]
				if b, ok := line.([]byte); ok {
					line = string(b)
				}
				fmt.Fprintln(&plan, line)
			}
			must(t, rows.Err())
			if p := plan.String(); strings.Contains(p, "Seq Scan on audit") || strings.Contains(p, "SCAN audit") {
				t.Errorf("%s, after line %d of %d:\n%s", s.Engine(), after, 1000+lines, p)
			} else {
				t.Logf("%s, after line %d:\n%s", s.Engine(), after, p)
			}
			begun := time.Now()
			_, err = s.AlertChanges(ctx, int64(after), 200)
			must(t, err)
			t.Logf("%v", time.Since(begun))
		}
	})
}
