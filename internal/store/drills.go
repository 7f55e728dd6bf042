package store

import (
	"context"
	"fmt"

	"dateline/internal/news"
)

const drillColumns = "id, place, started_at, started_by, until, ended_at, ended_by, report"

type drillRow struct {
	ID        string `db:"id"`
	Place     string `db:"place"`
	StartedAt stamp  `db:"started_at"`
	StartedBy string `db:"started_by"`
	Until     stamp  `db:"until"`
	EndedAt   stamp  `db:"ended_at"`
	EndedBy   string `db:"ended_by"`
	Report    string `db:"report"`
}

func (r drillRow) drill() news.DrillRecord {
	return news.DrillRecord{ID: r.ID, Place: r.Place, StartedAt: r.StartedAt.Time, StartedBy: r.StartedBy, Until: r.Until.Time,
		EndedAt: r.EndedAt.Time, EndedBy: r.EndedBy, Report: []byte(r.Report)}
}

// BeginDrill notes that a drill begins, also in the audit trail.
func (s *Store) BeginDrill(ctx context.Context, d news.DrillRecord, detail string) error {
	err := s.inTx(ctx, func(c conn) error {
		row := drillRow{ID: d.ID, Place: d.Place, StartedAt: at(d.StartedAt), StartedBy: d.StartedBy, Until: at(d.Until)}
		if err := c.insert(ctx, "drills", drillColumns, row, ""); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: d.StartedBy, Action: "drill start", Subject: "drill/" + d.ID, Detail: detail})
	})
	return s.fail(err, "BeginDrill", d.ID)
}

// EndDrill keeps a drill's report and says in the audit trail that it is over;
// news.ErrConflict when it was already.
func (s *Store) EndDrill(ctx context.Context, id, by, detail string, report []byte) error {
	err := s.inTx(ctx, func(c conn) error {
		n, err := c.count(ctx, "UPDATE drills SET ended_at = ?, ended_by = ?, report = ? WHERE id = ? AND ended_at IS NULL",
			s.now(), by, string(report), id)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: there is no such drill, or it is over", news.ErrConflict)
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "drill end", Subject: "drill/" + id, Detail: detail})
	})
	return s.fail(err, "EndDrill", id)
}

// Drill is one drill; news.ErrNotFound when there is none with this id.
func (s *Store) Drill(ctx context.Context, id string) (news.DrillRecord, error) {
	var r drillRow
	err := s.read().get(ctx, &r, "SELECT "+drillColumns+" FROM drills WHERE id = ?", id)
	return r.drill(), s.fail(err, "Drill", id)
}

// Drills lists the newest drills, newest first, without their reports.
func (s *Store) Drills(ctx context.Context, limit int) ([]news.DrillRecord, error) {
	var rows []drillRow
	err := s.read().sel(ctx, &rows, `SELECT id, place, started_at, started_by, until, ended_at, ended_by, '' AS report
		FROM drills ORDER BY started_at DESC, id DESC LIMIT ?`, limit)
	return convert(rows, drillRow.drill), s.fail(err, "Drills", "")
}
