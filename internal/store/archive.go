package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
)

// publicColumns are what readers see of a release.
const publicColumns = "r.id, r.alert_id, r.story_uri, r.revision, r.kind, r.state, r.level, r.texts, r.language, r.audience, " +
	"r.sections, r.regions, r.navigate, r.released_at"

// wentOut is true of a release r of which a send was begun, or will be. Held and
// stopped first alerts are looked up, and repairs: who took an alert back before
// its first send has told nobody, and the archive must not tell it either.
func wentOut(r string) string {
	return strings.ReplaceAll(`(r.kind = 'alert' AND r.state NOT IN ('held', 'stopped') OR EXISTS (SELECT 1 FROM ledger l
		WHERE l.release_id = r.id AND (l.n_accepted > 0 OR l.n_ambiguous > 0 OR LENGTH(l.opened) > 0)))`, "r.", r+".")
}

// PublicAlerts lists the alerts that readers were sent, with all that went out
// about each: the newest first, those that came before the mark.
func (s *Store) PublicAlerts(ctx context.Context, before news.ArchiveMark, limit int) ([]news.PublicAlert, error) {
	condition, args := "", []any{}
	if !before.At.IsZero() {
		condition, args = " AND (r.released_at < ? OR (r.released_at = ? AND r.alert_id < ?))", []any{micro(before.At), micro(before.At), before.AlertID}
	}
	var ids []string
	// The first of an alert that went out is the alert's place in the list.
	err := s.read().sel(ctx, &ids, "SELECT r.alert_id FROM releases r WHERE "+wentOut("r")+condition+`
		AND NOT EXISTS (SELECT 1 FROM releases e WHERE e.alert_id = r.alert_id AND e.revision < r.revision AND `+wentOut("e")+`)
		ORDER BY r.released_at DESC, r.alert_id DESC LIMIT ?`, append(args, limit)...)
	if err != nil || len(ids) == 0 {
		return nil, s.fail(err, "PublicAlerts", before.AlertID)
	}
	byAlert, err := s.publicReleases(ctx, ids)
	if err != nil {
		return nil, s.fail(err, "PublicAlerts", before.AlertID)
	}
	out := make([]news.PublicAlert, 0, len(ids))
	for _, id := range ids {
		if len(byAlert[id]) > 0 {
			out = append(out, news.PublicAlert{ID: id, Releases: byAlert[id]})
		}
	}
	return out, nil
}

// PublicAlert is one of them; news.ErrNotFound when nobody was sent it.
func (s *Store) PublicAlert(ctx context.Context, id string) (news.PublicAlert, error) {
	byAlert, err := s.publicReleases(ctx, []string{id})
	if err == nil && len(byAlert[id]) == 0 {
		err = news.ErrNotFound
	}
	return news.PublicAlert{ID: id, Releases: byAlert[id]}, s.fail(err, "PublicAlert", id)
}

// publicReleases are what went out of each alert, oldest first. A repair is
// told if what it repairs was, also where it had nobody to go to; not while it is
// on hold, and not when it was stopped before its first send.
func (s *Store) publicReleases(ctx context.Context, alertIDs []string) (map[string][]news.Release, error) {
	var rows []struct {
		releaseRow
		WentOut bool `db:"went_out"`
	}
	out := map[string][]news.Release{}
	err := s.read().selIn(ctx, &rows, "SELECT "+publicColumns+", "+wentOut("r")+" AS went_out FROM releases r WHERE r.alert_id IN (?) ORDER BY r.alert_id, r.revision", alertIDs)
	for _, r := range rows {
		waits := r.State == string(news.ReleaseHeld) || r.State == string(news.ReleaseStopped)
		if r.WentOut || len(out[r.AlertID]) > 0 && !waits {
			out[r.AlertID] = append(out[r.AlertID], r.release())
		}
	}
	return out, err
}

// sentPage is how many releases are looked at in one go.
const sentPage = 200

// SentTo lists what a subscriber's devices were sent from since on until then
// (both included; a zero until: to date), or may have been, the newest first: to
// the same devices a repair would go. limit 0: all.
func (s *Store) SentTo(ctx context.Context, subscriberID string, since, until time.Time, limit int) ([]news.Release, error) {
	places, err := s.placesOf(ctx, []string{subscriberID})
	if err != nil || len(places) == 0 {
		return nil, s.fail(err, "SentTo", "")
	}
	out, err := s.sentTo(ctx, places, since, until, limit)
	return out, s.fail(err, "SentTo", "")
}

// sentTo goes from the newest release back; limit 0: all. Whom a release reached is
// looked up first, and what it said only of those that did: a month has hundreds,
// and the whole of a row costs ten times what is needed to tell.
func (s *Store) sentTo(ctx context.Context, places map[int][]devicePlace, since, until time.Time, limit int) ([]news.Release, error) {
	var out []news.Release
	condition, args := "", []any{}
	if !until.IsZero() {
		condition, args = " AND r.released_at <= ?", []any{micro(until)}
	}
	for {
		var rows []struct {
			ID         string `db:"id"`
			ReleasedAt stamp  `db:"released_at"`
		}
		err := s.read().sel(ctx, &rows, "SELECT r.id, r.released_at FROM releases r WHERE r.released_at >= ?"+condition+
			" ORDER BY r.released_at DESC, r.id DESC LIMIT ?", slices.Concat([]any{micro(since)}, args, []any{sentPage})...)
		if err != nil || len(rows) == 0 {
			return out, err
		}
		ids := make([]string, len(rows))
		for i, r := range rows {
			ids[i] = r.ID
		}
		page, err := s.reached(ctx, ids, places)
		if err != nil {
			return nil, err
		}
		out = append(out, page...)
		if limit > 0 && len(out) >= limit {
			return out[:limit], nil
		}
		if len(rows) < sentPage {
			return out, nil
		}
		last := rows[len(rows)-1]
		condition, args = " AND (r.released_at < ? OR (r.released_at = ? AND r.id < ?))", []any{last.ReleasedAt.Time, last.ReleasedAt.Time, last.ID}
	}
}

// reached are those of the releases that reached one of the devices, newest first.
// The accepted alone tell it of most; a row is read whole where an answer is, or
// may be, missing.
func (s *Store) reached(ctx context.Context, ids []string, places map[int][]devicePlace) ([]news.Release, error) {
	var rows []struct {
		ReleaseID string `db:"release_id"`
		Cell      int    `db:"cell"`
		Accepted  []byte `db:"accepted"`
		Unclear   bool   `db:"unclear"`
	}
	cells := sortedKeys(places)
	err := s.read().selIn(ctx, &rows, `SELECT release_id, cell, accepted, n_ambiguous > 0 OR
		n_planned > n_held + n_accepted + n_gone + n_failed + n_cancelled + n_expired AS unclear
		FROM ledger WHERE release_id IN (?) AND cell IN (?) AND n_planned > 0`, ids, cells)
	if err != nil {
		return nil, err
	}
	among := func(numbers *news.Numbers, cell int) bool {
		return slices.ContainsFunc(places[cell], func(p devicePlace) bool { return numbers.Contains(uint32(p.Number)) })
	}
	sent := map[string]bool{}
	var unclear []string
	for _, r := range rows {
		accepted, err := unpackNumbers(r.Accepted)
		switch {
		case err != nil:
			return nil, err
		case among(accepted, r.Cell):
			sent[r.ReleaseID] = true
		case r.Unclear:
			unclear = append(unclear, r.ReleaseID)
		}
	}
	unclear = slices.DeleteFunc(unclear, func(id string) bool { return sent[id] })
	if len(unclear) > 0 {
		whole, err := s.ledgerWhere(ctx, "release_id IN (?) AND cell IN (?) AND n_planned > 0", unclear, cells)
		if err != nil {
			return nil, err
		}
		for _, row := range whole {
			sent[row.ReleaseID] = sent[row.ReleaseID] || among(row.Reached(), row.Cell)
		}
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !sent[id] })
	return s.publicInOrder(ctx, ids)
}

// publicInOrder are releases as readers see them, the newest first.
func (s *Store) publicInOrder(ctx context.Context, ids []string) ([]news.Release, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var rows []releaseRow
	err := s.read().selIn(ctx, &rows, "SELECT "+publicColumns+" FROM releases r WHERE r.id IN (?) ORDER BY r.released_at DESC, r.id DESC", ids)
	return convert(rows, releaseRow.release), err
}

// StoriesByURI are the newest versions of some stories; those that are not known
// are left out.
func (s *Store) StoriesByURI(ctx context.Context, uris []string) (map[string]news.Story, error) {
	out := map[string]news.Story{}
	for _, some := range chunks(uris, 500) {
		var rows []storyRow
		if err := s.read().selIn(ctx, &rows, "SELECT "+prefixed("s", storyColumns)+newest+"WHERE h.uri IN (?)", some); err != nil {
			return nil, s.fail(err, "StoriesByURI", "")
		}
		for _, r := range rows {
			out[r.URI] = r.story()
		}
	}
	return out, nil
}
