package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

const releaseColumns = "id, alert_id, story_uri, revision, kind, state, level, texts, language, audience, sections, final, " +
	"regions, navigate, image, deadline, released_at, raised, supersedes, changes, phase"

type releaseRow struct {
	ID         string                        `db:"id"`
	AlertID    string                        `db:"alert_id"`
	StoryURI   string                        `db:"story_uri"`
	Revision   int                           `db:"revision"`
	Kind       string                        `db:"kind"`
	State      string                        `db:"state"`
	Settled    bool                          `db:"settled"`
	Level      int                           `db:"level"`
	Texts      document[map[string]textJSON] `db:"texts"`
	Language   string                        `db:"language"`
	Audience   string                        `db:"audience"`
	Sections   document[[]string]            `db:"sections"`
	Final      bool                          `db:"final"`
	Regions    document[[]string]            `db:"regions"`
	Navigate   string                        `db:"navigate"`
	Image      string                        `db:"image"`
	Deadline   stamp                         `db:"deadline"`
	ReleasedAt stamp                         `db:"released_at"`
	Raised     bool                          `db:"raised"`
	Supersedes bool                          `db:"supersedes"`
	Changes    document[[news.Cells]int64]   `db:"changes"`
	Phase      string                        `db:"phase"`
}

func releaseRowOf(r news.Release) releaseRow {
	return releaseRow{ID: r.ID, AlertID: r.AlertID, StoryURI: r.StoryURI, Revision: r.Revision, Kind: string(r.Kind),
		State: string(r.State), Level: int(r.Level), Texts: textsDoc(r.Texts), Language: r.Language,
		Audience: r.Audience, Sections: doc(r.Sections), Final: r.Final, Regions: doc(r.Regions), Navigate: r.Navigate,
		Image: r.Image, Deadline: at(r.Deadline), ReleasedAt: at(r.ReleasedAt), Raised: r.Raised,
		Supersedes: r.Supersedes, Changes: doc(r.Changes), Phase: string(cmp.Or(r.Phase, news.PhaseAll))}
}

func (r releaseRow) release() news.Release {
	return news.Release{ID: r.ID, AlertID: r.AlertID, StoryURI: r.StoryURI, Revision: r.Revision,
		Kind: news.ReleaseKind(r.Kind), State: news.ReleaseState(r.State), Level: news.Level(r.Level),
		Texts: textsOf(r.Texts), Language: r.Language, Audience: r.Audience, Sections: r.Sections.V, Final: r.Final,
		Regions: r.Regions.V, Navigate: r.Navigate, Image: r.Image, Deadline: r.Deadline.Time,
		ReleasedAt: r.ReleasedAt.Time, Raised: r.Raised, Supersedes: r.Supersedes,
		Changes: r.Changes.V, Phase: news.Phase(r.Phase)}
}

// insertRelease gives the release the next revision of its story and the
// change counters of this moment: whoever changed a device before is in it.
func (s *Store) insertRelease(ctx context.Context, c conn, h *head, a *news.Alert, r news.Release) error {
	if r.ID == "" {
		return errors.New("a release needs an id")
	}
	h.Revision++
	r.AlertID, r.StoryURI, r.Revision = a.ID, a.StoryURI, h.Revision
	var err error
	if r.Changes, err = cellChanges(ctx, c); err != nil {
		return err
	}
	a.Revision = r.Revision
	return c.insert(ctx, "releases", releaseColumns+", settled", releaseRowOf(r), "")
}

func (s *Store) releases(ctx context.Context, condition string, args ...any) ([]news.Release, error) {
	var rows []releaseRow
	err := s.read().selIn(ctx, &rows, "SELECT "+releaseColumns+" FROM releases WHERE "+condition, args...)
	if err != nil {
		return nil, err
	}
	return convert(rows, releaseRow.release), nil
}

// Release is one release.
func (s *Store) Release(ctx context.Context, id string) (news.Release, error) {
	var r releaseRow
	err := s.read().get(ctx, &r, "SELECT "+releaseColumns+" FROM releases WHERE id = ?", id)
	return r.release(), s.fail(err, "Release", id)
}

// ReleasesOfAlert lists an alert's releases, oldest first.
func (s *Store) ReleasesOfAlert(ctx context.Context, alertID string) ([]news.Release, error) {
	out, err := s.releases(ctx, "alert_id = ? ORDER BY revision", alertID)
	return out, s.fail(err, "ReleasesOfAlert", alertID)
}

// ReleasesOfStory lists everything ever sent about a story, oldest first.
func (s *Store) ReleasesOfStory(ctx context.Context, uri string) ([]news.Release, error) {
	out, err := s.releases(ctx, "story_uri = ? ORDER BY revision", uri)
	return out, s.fail(err, "ReleasesOfStory", uri)
}

// ReleasesSince lists the releases made at or after t, oldest first.
func (s *Store) ReleasesSince(ctx context.Context, t time.Time) ([]news.Release, error) {
	out, err := s.releases(ctx, "released_at >= ? ORDER BY released_at, id", micro(t))
	return out, s.fail(err, "ReleasesSince", t.String())
}

// ActiveReleases lists the releases that have something to do, oldest first:
// sending, held, and stopped with devices still to be cancelled. One that is
// sent is among them only while a row of it is unsettled again (held devices
// whose quiet hours ended). It is asked for at every change of what may be sent,
// so it tells what decides about that and no more: no texts, audience, deadline
// and counters of the cells.
func (s *Store) ActiveReleases(ctx context.Context) ([]news.Release, error) {
	var rows []releaseRow
	err := s.read().sel(ctx, &rows, `SELECT id, alert_id, story_uri, revision, kind, state, level, released_at, supersedes, phase
		FROM releases WHERE settled = FALSE ORDER BY released_at, id`)
	return convert(rows, releaseRow.release), s.fail(err, "ActiveReleases", "")
}

// SettleRelease closes a release when all 256 rows of it exist and are settled:
// sending becomes sent (and its alert, if that is sending, sent). A stopped one
// needs its rows too: a correction goes to those whom its plan named. done says
// that the release is closed now.
func (s *Store) SettleRelease(ctx context.Context, id string) (done bool, err error) {
	err = s.inTx(ctx, func(c conn) error {
		done = false
		var uri string
		if err := c.get(ctx, &uri, "SELECT story_uri FROM releases WHERE id = ?", id); err != nil {
			return err
		}
		if _, err := lockHead(ctx, c, uri); err != nil {
			return err
		}
		var r struct {
			AlertID string `db:"alert_id"`
			State   string `db:"state"`
			Settled bool   `db:"settled"`
		}
		if err := c.get(ctx, &r, "SELECT alert_id, state, settled FROM releases WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		if r.Settled {
			done = true
			return nil
		}
		var rows struct{ All, Settled int }
		if err := c.get(ctx, &rows, `SELECT COUNT(*) AS "all", COALESCE(SUM(CASE WHEN settled THEN 1 ELSE 0 END), 0) AS settled
			FROM ledger WHERE release_id = ?`, id); err != nil {
			return err
		}
		state := news.ReleaseState(r.State)
		if state == news.ReleaseHeld || rows.All != news.Cells || rows.Settled != rows.All {
			return nil
		}
		done = true
		return s.closeRelease(ctx, c, id, r.AlertID, state)
	})
	return done, s.fail(err, "SettleRelease", id)
}

func (s *Store) closeRelease(ctx context.Context, c conn, id, alertID string, state news.ReleaseState) error {
	to := state
	if state == news.ReleaseSending {
		to = news.ReleaseSent
	}
	if err := c.exec(ctx, "UPDATE releases SET state = ?, settled = TRUE WHERE id = ?", string(to), id); err != nil {
		return err
	}
	if state != news.ReleaseSending {
		return nil
	}
	// It may be over before anybody judged its canary: all asleep, or all too
	// late. Those who wake in the morning wait for no canary.
	if err := c.exec(ctx, "UPDATE releases SET phase = ? WHERE id = ? AND phase = ?", string(news.PhaseAll), id, string(news.PhaseCanary)); err != nil {
		return err
	}
	// A newer release of the alert that is still on its way keeps it sending.
	sent, err := c.count(ctx, `UPDATE alerts SET state = ? WHERE id = ? AND state = ? AND NOT EXISTS
		(SELECT 1 FROM releases r WHERE r.alert_id = alerts.id AND r.state IN ('sending', 'held'))`,
		string(news.AlertSent), alertID, string(news.AlertSending))
	if err != nil || sent == 0 {
		return err
	}
	return s.audit(ctx, c, news.AuditEntry{By: news.SystemName, Action: "sent", Subject: "alert/" + alertID})
}

// Canary is what the ledger says of the first few of a release.
func (s *Store) Canary(ctx context.Context, releaseID string) (news.CanaryFigures, error) {
	var rows []struct {
		Planned int               `db:"n_planned"`
		Held    int               `db:"n_held"`
		Canary  document[tallies] `db:"canary"`
	}
	err := s.read().sel(ctx, &rows, "SELECT n_planned, n_held, canary FROM ledger WHERE release_id = ?", releaseID)
	f := news.CanaryFigures{Rows: len(rows)}
	for _, r := range rows {
		f.Planned += r.Planned - r.Held
		f.Add(r.Canary.V)
	}
	return f, s.fail(err, "Canary", releaseID)
}

// movePhase moves the release of an alert out of its canary, once. One that was
// stopped has none any more: its figures must not hold the correction that goes
// instead of it.
func movePhase(ctx context.Context, c conn, alertID string, to news.Phase) error {
	n, err := c.count(ctx, "UPDATE releases SET phase = ? WHERE alert_id = ? AND phase = ? AND state IN (?, ?)", string(to), alertID,
		string(news.PhaseCanary), string(news.ReleaseSending), string(news.ReleaseHeld))
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: the canary is over already", news.ErrConflict)
	}
	return err
}
