package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"dateline/internal/news"
)

const alertColumns = "id, story_uri, story_version, state, held_from, level, texts, language, audience, sections, final, " +
	"deadline, revision, author, submitter, approver, releaser, approved_hash, reason, stopped_by, stopped_at, hold_until, created_at, released_at"

// alertMutable is what ChangeAlert may change.
const alertMutable = "story_version, state, held_from, level, texts, language, audience, sections, final, " +
	"deadline, revision, author, submitter, approver, releaser, approved_hash, reason, stopped_by, stopped_at, hold_until, released_at"

type alertRow struct {
	ID           string                        `db:"id"`
	StoryURI     string                        `db:"story_uri"`
	StoryVersion int64                         `db:"story_version"`
	State        string                        `db:"state"`
	HeldFrom     string                        `db:"held_from"`
	Level        int                           `db:"level"`
	Texts        document[map[string]textJSON] `db:"texts"`
	Language     string                        `db:"language"`
	Audience     string                        `db:"audience"`
	Sections     document[[]string]            `db:"sections"`
	Final        bool                          `db:"final"`
	Deadline     stamp                         `db:"deadline"`
	Revision     int                           `db:"revision"`
	Author       string                        `db:"author"`
	Submitter    string                        `db:"submitter"`
	Approver     string                        `db:"approver"`
	Releaser     string                        `db:"releaser"`
	ApprovedHash string                        `db:"approved_hash"`
	Reason       string                        `db:"reason"`
	StoppedBy    string                        `db:"stopped_by"`
	StoppedAt    stamp                         `db:"stopped_at"`
	HoldUntil    stamp                         `db:"hold_until"`
	CreatedAt    stamp                         `db:"created_at"`
	ReleasedAt   stamp                         `db:"released_at"`
}

type textJSON struct {
	Title string `json:"title"`
	Body  string `json:"body"`
}

func textsDoc(texts map[string]news.Text) document[map[string]textJSON] {
	return doc(mapValues(texts, func(t news.Text) textJSON { return textJSON(t) }))
}

func textsOf(d document[map[string]textJSON]) map[string]news.Text {
	return mapValues(d.V, func(t textJSON) news.Text { return news.Text(t) })
}

func alertRowOf(a news.Alert) alertRow {
	return alertRow{ID: a.ID, StoryURI: a.StoryURI, StoryVersion: a.StoryVersion, State: string(a.State),
		HeldFrom: string(a.HeldFrom), Level: int(a.Level), Texts: textsDoc(a.Texts), Language: a.Language,
		Audience: a.Audience, Sections: doc(a.Sections), Final: a.Final, Deadline: at(a.Deadline), Revision: a.Revision,
		Author: a.Author, Submitter: a.Submitter, Approver: a.Approver, Releaser: a.Releaser,
		ApprovedHash: a.ApprovedHash, Reason: plain(a.Reason), HoldUntil: at(a.HoldUntil),
		StoppedBy: a.StoppedBy, StoppedAt: at(a.StoppedAt),
		CreatedAt: at(a.CreatedAt), ReleasedAt: at(a.ReleasedAt)}
}

func (r alertRow) alert() news.Alert {
	return news.Alert{ID: r.ID, StoryURI: r.StoryURI, StoryVersion: r.StoryVersion, State: news.AlertState(r.State),
		HeldFrom: news.AlertState(r.HeldFrom), Level: news.Level(r.Level), Texts: textsOf(r.Texts),
		Language: r.Language, Audience: r.Audience, Sections: r.Sections.V, Final: r.Final, Deadline: r.Deadline.Time,
		Revision: r.Revision, Author: r.Author, Submitter: r.Submitter, Approver: r.Approver,
		Releaser: r.Releaser, ApprovedHash: r.ApprovedHash, Reason: r.Reason, HoldUntil: r.HoldUntil.Time,
		StoppedBy: r.StoppedBy, StoppedAt: r.StoppedAt.Time,
		CreatedAt: r.CreatedAt.Time, ReleasedAt: r.ReleasedAt.Time}
}

func insertAlert(ctx context.Context, c conn, a news.Alert) error {
	return c.insert(ctx, "alerts", alertColumns, alertRowOf(a), "")
}

// alertsWhere lists alerts newest first; limit 0: all.
func alertsWhere(ctx context.Context, c conn, condition string, limit int, args ...any) ([]news.Alert, error) {
	query := "SELECT " + alertColumns + " FROM alerts WHERE " + condition + " ORDER BY created_at DESC, id DESC"
	if limit > 0 {
		query += " LIMIT ?"
		args = append(args, limit)
	}
	var rows []alertRow
	if err := c.selIn(ctx, &rows, query, args...); err != nil {
		return nil, err
	}
	return convert(rows, alertRow.alert), nil
}

// CreateAlert inserts an alert with its line in the audit trail. The story
// must be known, else news.ErrNotFound.
func (s *Store) CreateAlert(ctx context.Context, a news.Alert, audit news.AuditEntry) error {
	err := s.inTx(ctx, func(c conn) error {
		switch h, err := lockHead(ctx, c, a.StoryURI); {
		case err != nil:
			return err
		case h.Latest == 0:
			return sql.ErrNoRows
		}
		if err := insertAlert(ctx, c, a); err != nil {
			return err
		}
		return s.audit(ctx, c, audit)
	})
	if s.unique(err) {
		err = fmt.Errorf("%w: %w", news.ErrConflict, err)
	}
	return s.fail(err, "CreateAlert", a.ID)
}

// Alert is one alert.
func (s *Store) Alert(ctx context.Context, id string) (news.Alert, error) {
	var r alertRow
	err := s.read().get(ctx, &r, "SELECT "+alertColumns+" FROM alerts WHERE id = ?", id)
	return r.alert(), s.fail(err, "Alert", id)
}

// AlertsOfStory lists a story's alerts, newest first.
func (s *Store) AlertsOfStory(ctx context.Context, uri string) ([]news.Alert, error) {
	out, err := alertsWhere(ctx, s.read(), "story_uri = ?", 0, uri)
	return out, s.fail(err, "AlertsOfStory", uri)
}

// AlertsOfStories lists the alerts of several stories, by URI, newest first.
func (s *Store) AlertsOfStories(ctx context.Context, uris []string) (map[string][]news.Alert, error) {
	out := map[string][]news.Alert{}
	for _, some := range chunks(uris, 500) {
		alerts, err := alertsWhere(ctx, s.read(), "story_uri IN (?)", 0, some)
		if err != nil {
			return nil, s.fail(err, "AlertsOfStories", "")
		}
		for _, a := range alerts {
			out[a.StoryURI] = append(out[a.StoryURI], a)
		}
	}
	return out, nil
}

// AlertsByID finds alerts; those that are not there are left out.
func (s *Store) AlertsByID(ctx context.Context, ids []string) (map[string]news.Alert, error) {
	out := map[string]news.Alert{}
	for _, some := range chunks(ids, 500) {
		alerts, err := alertsWhere(ctx, s.read(), "id IN (?)", 0, some)
		if err != nil {
			return nil, s.fail(err, "AlertsByID", "")
		}
		for _, a := range alerts {
			out[a.ID] = a
		}
	}
	return out, nil
}

// Alerts lists alerts in the given states (none: all), newest first; limit 0: all.
func (s *Store) Alerts(ctx context.Context, states []news.AlertState, limit int) ([]news.Alert, error) {
	if len(states) == 0 {
		out, err := alertsWhere(ctx, s.read(), "1 = 1", limit)
		return out, s.fail(err, "Alerts", "")
	}
	out, err := alertsWhere(ctx, s.read(), "state IN (?)", limit, states)
	return out, s.fail(err, "Alerts", "")
}

// Countdowns lists the alerts whose countdown ends by then, or has, the earliest
// first; of those that wait for one embargo the older.
func (s *Store) Countdowns(ctx context.Context, by time.Time) ([]news.Alert, error) {
	out, err := alertsWhere(ctx, s.read(), "state = ? AND hold_until <= ?", 0, string(news.AlertHolding), micro(by))
	slices.SortStableFunc(out, func(x, y news.Alert) int { return cmp.Or(x.HoldUntil.Compare(y.HoldUntil), cmp.Compare(x.ID, y.ID)) })
	return out, s.fail(err, "Countdowns", "")
}

// ChangeAlert lets change decide on the locked alert and its story's newest
// version, and applies what it decided, all in one transaction. change must be
// pure and may be called again. Its error comes back as it is, with nothing
// changed. The alert's ID, StoryURI and CreatedAt stay; Revision is the
// store's to set.
func (s *Store) ChangeAlert(ctx context.Context, id string,
	change func(a *news.Alert, story news.Story) (news.AlertAction, error),
) (news.Alert, error) {
	return s.changeAlert(ctx, "ChangeAlert", id, func(_ conn, a *news.Alert, story news.Story) (news.AlertAction, error) {
		action, err := change(a, story)
		return action, verdictOf(err)
	})
}

// ReleaseAlert is ChangeAlert for a first release: change also gets what the
// newsroom's cap leaves of the alert's level and who must agree, and until it is
// made neither changes and no other release of the level is made.
func (s *Store) ReleaseAlert(ctx context.Context, id string,
	change func(a *news.Alert, story news.Story, policy news.Policy, room news.Room) (news.AlertAction, error),
) (news.Alert, error) {
	return s.changeAlert(ctx, "ReleaseAlert", id, func(c conn, a *news.Alert, story news.Story) (news.AlertAction, error) {
		room, err := s.lockRoom(ctx, c, a.Level)
		if err != nil {
			return news.AlertAction{}, err
		}
		policy, err := lockPolicy(ctx, c, a.Level)
		if err != nil {
			return news.AlertAction{}, err
		}
		action, err := change(a, story, policy, room)
		return action, verdictOf(err)
	})
}

func (s *Store) changeAlert(ctx context.Context, method, id string,
	change func(c conn, a *news.Alert, story news.Story) (news.AlertAction, error),
) (news.Alert, error) {
	var out news.Alert
	err := s.inTx(ctx, func(c conn) error {
		var uri string
		if err := c.get(ctx, &uri, "SELECT story_uri FROM alerts WHERE id = ?", id); err != nil {
			return err
		}
		h, err := lockHead(ctx, c, uri)
		if err != nil {
			return err
		}
		var r alertRow
		if err := c.get(ctx, &r, "SELECT "+alertColumns+" FROM alerts WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		story, err := newestStory(ctx, c, uri)
		if err != nil {
			return err
		}
		a, before := r.alert(), h.Revision
		action, err := change(c, &a, story)
		if err != nil {
			return err
		}
		a.ID, a.StoryURI, a.CreatedAt, a.Revision = r.ID, r.StoryURI, r.CreatedAt.Time, r.Revision
		if err := s.applyAction(ctx, c, &h, &a, action); err != nil {
			return err
		}
		if h.Revision != before {
			if err := c.exec(ctx, "UPDATE story_heads SET revision = ? WHERE uri = ?", h.Revision, uri); err != nil {
				return err
			}
		}
		out = alertRowOf(a).alert()
		return nil
	})
	if err != nil {
		return news.Alert{}, s.fail(err, method, id)
	}
	return out, nil
}

// applyAction writes an alert as it shall be and what goes with it. The
// caller holds the story's head and writes h.Revision back.
func (s *Store) applyAction(ctx context.Context, c conn, h *head, a *news.Alert, action news.AlertAction) error {
	if err := moveReleases(ctx, c, a.ID, action); err != nil {
		return err
	}
	if action.Phase != "" {
		if err := movePhase(ctx, c, a.ID, action.Phase); err != nil {
			return verdictOf(err)
		}
	}
	if action.Release != nil {
		if err := s.insertRelease(ctx, c, h, a, *action.Release); err != nil {
			return err
		}
	}
	if a.StoppedBy != "" && a.StoppedAt.IsZero() {
		a.StoppedAt = s.now()
	}
	if err := c.update(ctx, "alerts", alertMutable, "id", alertRowOf(*a)); err != nil {
		return err
	}
	if action.Emergency != nil {
		if err := insertEmergency(ctx, c, *action.Emergency); err != nil {
			return err
		}
	}
	if action.Audit != "" {
		entry := news.AuditEntry{By: action.By, Action: action.Audit, Subject: "alert/" + a.ID,
			Detail: news.RecordOf(action.Audit, cmp.Or(action.Detail, a.Reason), a, action.Release).String()}
		if err := s.audit(ctx, c, entry); err != nil {
			return err
		}
	}
	if action.Freeze || action.Thaw || action.Stop || action.Phase != "" || action.Release != nil {
		return bumpControl(ctx, c)
	}
	return nil
}

// moveReleases freezes, thaws or stops an alert's releases.
func moveReleases(ctx context.Context, c conn, alertID string, action news.AlertAction) error {
	move := func(to news.ReleaseState, from ...news.ReleaseState) error {
		for _, f := range from {
			if err := c.exec(ctx, "UPDATE releases SET state = ? WHERE alert_id = ? AND state = ?",
				string(to), alertID, string(f)); err != nil {
				return err
			}
		}
		return nil
	}
	var err error
	if action.Freeze {
		err = errors.Join(err, move(news.ReleaseHeld, news.ReleaseSending))
	}
	if action.Thaw {
		err = errors.Join(err, move(news.ReleaseSending, news.ReleaseHeld))
	}
	if action.Stop {
		err = errors.Join(err, move(news.ReleaseStopped, news.ReleaseSending, news.ReleaseHeld))
	}
	return err
}
