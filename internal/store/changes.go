package store

import (
	"context"

	"dateline/internal/news"
)

// alertChanges takes its lines before it looks for their alerts: joined first,
// Postgres reads and sorts the whole trail for a page that was away for long
// (0.36 s of 100,000 lines).
const alertChanges = `SELECT t.seq, a.id, a.story_uri
	FROM (SELECT seq, subject FROM audit WHERE seq > ? AND subject LIKE 'alert/%' ORDER BY seq LIMIT ?) t
	JOIN alerts a ON a.id = SUBSTR(t.subject, 7) ORDER BY t.seq`

// AlertChanges lists what changed of alerts after a line of the audit trail,
// the first change first, at most limit of them. Every change has its line,
// written in its own transaction with the chain's head locked: lines are in the
// order of commits, and whoever asks from the last one she got misses none.
func (s *Store) AlertChanges(ctx context.Context, after int64, limit int) ([]news.ChangedAlert, error) {
	var rows []struct {
		Seq      int64  `db:"seq"`
		AlertID  string `db:"id"`
		StoryURI string `db:"story_uri"`
	}
	err := s.read().sel(ctx, &rows, alertChanges, after, limit)
	out := make([]news.ChangedAlert, len(rows))
	for i, r := range rows {
		out[i] = news.ChangedAlert{Seq: r.Seq, AlertID: r.AlertID, StoryURI: r.StoryURI}
	}
	return out, s.fail(err, "AlertChanges", "")
}

// LastChange is the newest line of the audit trail, 0 when there is none: an
// alert that is read after it is at least that new.
func (s *Store) LastChange(ctx context.Context) (int64, error) {
	var seq int64
	err := s.read().get(ctx, &seq, "SELECT seq FROM audit_head WHERE id = 1")
	return seq, s.fail(err, "LastChange", "")
}
