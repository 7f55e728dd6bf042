package store

import (
	"context"

	"dateline/internal/news"
)

const emergencyColumns = "id, alert_id, editor, reason, at, reviewed_by, note, reviewed_at"

type emergencyRow struct {
	ID         string `db:"id"`
	AlertID    string `db:"alert_id"`
	Editor     string `db:"editor"`
	Reason     string `db:"reason"`
	At         stamp  `db:"at"`
	ReviewedBy string `db:"reviewed_by"`
	Note       string `db:"note"`
	ReviewedAt stamp  `db:"reviewed_at"`
}

func emergencyRowOf(e news.Emergency) emergencyRow {
	return emergencyRow{ID: e.ID, AlertID: e.AlertID, Editor: e.By, Reason: plain(e.Reason), At: at(e.At),
		ReviewedBy: e.ReviewedBy, Note: plain(e.Note), ReviewedAt: at(e.ReviewedAt)}
}

func (r emergencyRow) emergency() news.Emergency {
	return news.Emergency{ID: r.ID, AlertID: r.AlertID, By: r.Editor, Reason: r.Reason, At: r.At.Time,
		ReviewedBy: r.ReviewedBy, Note: r.Note, ReviewedAt: r.ReviewedAt.Time}
}

func insertEmergency(ctx context.Context, c conn, e news.Emergency) error {
	return c.insert(ctx, "emergencies", emergencyColumns, emergencyRowOf(e), "")
}

// OpenEmergencies lists the releases by one editor that nobody has reviewed,
// newest first.
func (s *Store) OpenEmergencies(ctx context.Context) ([]news.Emergency, error) {
	out, err := s.emergencies(ctx, "reviewed_by = ''")
	return out, s.fail(err, "OpenEmergencies", "")
}

// EmergenciesOfAlert lists those of one alert, newest first.
func (s *Store) EmergenciesOfAlert(ctx context.Context, alertID string) ([]news.Emergency, error) {
	out, err := s.emergencies(ctx, "alert_id = ?", alertID)
	return out, s.fail(err, "EmergenciesOfAlert", alertID)
}

func (s *Store) emergencies(ctx context.Context, condition string, args ...any) ([]news.Emergency, error) {
	var rows []emergencyRow
	err := s.read().sel(ctx, &rows, "SELECT "+emergencyColumns+" FROM emergencies WHERE "+condition+" ORDER BY at DESC, id DESC", args...)
	return convert(rows, emergencyRow.emergency), err
}

// ReviewEmergency lets decide sign an emergency off, on its locked row; what it
// refuses stays as it was. The schema refuses, too, what is signed off by whom
// it is of.
func (s *Store) ReviewEmergency(ctx context.Context, id string, decide func(*news.Emergency) error) (news.Emergency, error) {
	var out news.Emergency
	err := s.inTx(ctx, func(c conn) error {
		var r emergencyRow
		if err := c.get(ctx, &r, "SELECT "+emergencyColumns+" FROM emergencies WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		e := r.emergency()
		if err := decide(&e); err != nil {
			return verdictOf(err)
		}
		after := emergencyRowOf(e)
		if err := c.update(ctx, "emergencies", "reviewed_by, note, reviewed_at", "id", after); err != nil {
			return err
		}
		out = after.emergency()
		return s.audit(ctx, c, news.AuditEntry{By: e.ReviewedBy, Action: "review", Subject: "alert/" + r.AlertID, Detail: e.Note})
	})
	if err != nil {
		return news.Emergency{}, s.fail(err, "ReviewEmergency", id)
	}
	return out, nil
}
