package store

import (
	"context"

	"dateline/internal/news"
)

// ReleaseFigures adds up the ledger of each release, and how many devices
// said they showed it. A release without rows has zero figures.
func (s *Store) ReleaseFigures(ctx context.Context, releaseIDs []string) (map[string]news.ReleaseFigures, error) {
	out := map[string]news.ReleaseFigures{}
	if len(releaseIDs) == 0 {
		return out, nil
	}
	for _, id := range releaseIDs {
		out[id] = news.ReleaseFigures{}
	}
	for _, add := range []func(context.Context, []string, map[string]news.ReleaseFigures) error{
		s.addCounts, s.addTimings, s.addShown,
	} {
		if err := add(ctx, releaseIDs, out); err != nil {
			return nil, s.fail(err, "ReleaseFigures", releaseIDs[0])
		}
	}
	return out, nil
}

func (s *Store) addCounts(ctx context.Context, ids []string, out map[string]news.ReleaseFigures) error {
	var rows []struct {
		ReleaseID   string `db:"release_id"`
		Quarantined int    `db:"quarantined"`
		Planned     int    `db:"n_planned"`
		Held        int    `db:"n_held"`
		Accepted    int    `db:"n_accepted"`
		Gone        int    `db:"n_gone"`
		Failed      int    `db:"n_failed"`
		Ambiguous   int    `db:"n_ambiguous"`
		Cancelled   int    `db:"n_cancelled"`
		Expired     int    `db:"n_expired"`
	}
	err := s.read().selIn(ctx, &rows, `SELECT release_id, SUM(quarantined) AS quarantined, SUM(n_planned) AS n_planned,
		SUM(n_held) AS n_held, SUM(n_accepted) AS n_accepted, SUM(n_gone) AS n_gone, SUM(n_failed) AS n_failed,
		SUM(n_ambiguous) AS n_ambiguous, SUM(n_cancelled) AS n_cancelled, SUM(n_expired) AS n_expired
		FROM ledger WHERE release_id IN (?) GROUP BY release_id`, ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		f := out[r.ReleaseID]
		f.Counts = news.Counts{Intended: r.Planned + r.Quarantined, Reachable: r.Planned, Held: r.Held,
			Accepted: r.Accepted, Gone: r.Gone, Failed: r.Failed, Ambiguous: r.Ambiguous,
			Cancelled: r.Cancelled, Expired: r.Expired}
		f.Counts.Pending = r.Planned - r.Held - r.Accepted - r.Gone - r.Failed - r.Ambiguous - r.Cancelled - r.Expired
		out[r.ReleaseID] = f
	}
	return nil
}

func (s *Store) addTimings(ctx context.Context, ids []string, out map[string]news.ReleaseFigures) error {
	var rows []struct {
		ReleaseID string               `db:"release_id"`
		Timing    document[timingJSON] `db:"timing"`
	}
	err := s.read().selIn(ctx, &rows,
		"SELECT release_id, timing FROM ledger WHERE release_id IN (?) AND timing <> '{}'", ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		f := out[r.ReleaseID]
		f.Timing.Merge(timingOf(r.Timing))
		out[r.ReleaseID] = f
	}
	return nil
}

func (s *Store) addShown(ctx context.Context, ids []string, out map[string]news.ReleaseFigures) error {
	var rows []struct {
		ID    string `db:"id"`
		Shown int    `db:"shown"`
	}
	err := s.read().selIn(ctx, &rows, `SELECT r.id, COUNT(*) AS shown FROM releases r
		JOIN receipts t ON t.alert_id = r.alert_id AND t.revision = r.revision AND t.kind = 'shown'
		WHERE r.id IN (?) GROUP BY r.id`, ids)
	if err != nil {
		return err
	}
	for _, r := range rows {
		f := out[r.ID]
		f.Counts.Shown = r.Shown
		out[r.ID] = f
	}
	return nil
}

// SaveReceipt counts what a device says of a notification, once per kind; it
// answers whether this one was new.
func (s *Store) SaveReceipt(ctx context.Context, r news.DeviceReceipt) (bool, error) {
	n, err := s.write().count(ctx, `INSERT INTO receipts (alert_id, revision, kind, cell, number, received_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (alert_id, revision, kind, cell, number) DO NOTHING`,
		r.AlertID, r.Revision, r.Kind, r.Device.Cell, int64(r.Device.Number), s.now())
	return n > 0, s.fail(err, "SaveReceipt", r.AlertID)
}

// CountReceipts counts the devices that sent each kind of receipt for a
// revision of an alert.
func (s *Store) CountReceipts(ctx context.Context, alertID string, revision int) (map[string]int, error) {
	var rows []struct {
		Kind string `db:"kind"`
		N    int    `db:"n"`
	}
	err := s.read().sel(ctx, &rows, `SELECT kind, COUNT(*) AS n FROM receipts
		WHERE alert_id = ? AND revision = ? GROUP BY kind`, alertID, revision)
	out := map[string]int{}
	for _, r := range rows {
		out[r.Kind] = r.N
	}
	return out, s.fail(err, "CountReceipts", alertID)
}
