package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"dateline/internal/news"
)

type editionRow struct {
	ID        string `db:"id"`
	LocalDate string `db:"local_date"`
	Timezone  string `db:"timezone"`
	Hour      int    `db:"hour"`
	Weekly    bool   `db:"weekly"`
	EditionAt stamp  `db:"edition_at"`
	PlannedAt stamp  `db:"planned_at"`
}

const editionColumns = "id, local_date, timezone, hour, weekly, edition_at, planned_at"

func (r editionRow) edition() news.Edition {
	return news.Edition{ID: r.ID, LocalDate: r.LocalDate, Timezone: r.Timezone, Hour: r.Hour, Weekly: r.Weekly, At: r.EditionAt.Time}
}

// planBatch bounds the rows of one statement: seven parameters each.
const planBatch = 500

// PlanDigests writes down who is due a mail, before any is claimed: what was due is
// then known whatever happens. An edition, and a mailbox's date, that is there
// already stays as it is, whoever planned it.
func (s *Store) PlanDigests(ctx context.Context, editions []news.Edition, mails []news.DigestMail) error {
	if len(mails) == 0 {
		return nil
	}
	for _, some := range chunks(mails, planBatch) {
		err := s.inTx(ctx, func(c conn) error {
			now := s.now()
			for _, e := range editions {
				r := editionRow{e.ID, e.LocalDate, e.Timezone, e.Hour, e.Weekly, at(e.At), at(now)}
				if err := c.insert(ctx, "editions", editionColumns, r, "ON CONFLICT DO NOTHING"); err != nil {
					return err
				}
			}
			args := make([]any, 0, 7*len(some))
			for _, m := range some {
				args = append(args, m.MailboxID, m.LocalDate, at(m.EditionAt), m.MessageID, at(now), m.Edition, m.Provider)
			}
			row := "(?, ?, ?, 'due', 'null', 0, '', ?, '', ?, ?, ?)"
			return c.exec(ctx, `INSERT INTO digest_mails (mailbox_id, local_date, edition_at, state, stories, attempts, reply, message_id, owner,
				updated_at, edition, provider) VALUES `+strings.Repeat(row+", ", len(some)-1)+row+" ON CONFLICT (mailbox_id, local_date) DO NOTHING", args...)
		})
		if err != nil {
			return s.fail(err, "PlanDigests", some[0].Edition)
		}
	}
	return nil
}

// ExpireDigests ends the mails of editions up to an instant that wait or were put off:
// they are no news any more.
func (s *Store) ExpireDigests(ctx context.Context, upTo time.Time) (int, error) {
	n, err := s.write().count(ctx, `UPDATE digest_mails SET state = 'expired', next_at = NULL, updated_at = ?
		WHERE state IN ('due', 'deferred') AND edition_at <= ?`, s.now(), micro(upTo))
	return int(n), s.fail(err, "ExpireDigests", "")
}

// giveUpWaiting ends what waits for a mailbox that may not be written to any more.
func (s *Store) giveUpWaiting(ctx context.Context, c conn, mailboxID string) error {
	return c.exec(ctx, `UPDATE digest_mails SET state = 'suppressed', next_at = NULL, updated_at = ?
		WHERE mailbox_id = ? AND state IN ('due', 'deferred')`, s.now(), mailboxID)
}

// Editions are those of instants from `from` up to `until`, the newest first, with
// what became of them.
func (s *Store) Editions(ctx context.Context, from, until time.Time) ([]news.EditionAccount, error) {
	return s.editions(ctx, "edition_at >= ? AND edition_at <= ?", micro(from), micro(until))
}

// Edition is one of them; news.ErrNotFound when it was never planned.
func (s *Store) Edition(ctx context.Context, id string) (news.EditionAccount, error) {
	list, err := s.editions(ctx, "id = ?", id)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("store.Edition(%s): %w", id, news.ErrNotFound)
	}
	if err != nil {
		return news.EditionAccount{}, err
	}
	return list[0], nil
}

// tally is how many mails of an edition and provider are in a state.
type tally struct {
	Edition    string `db:"edition"`
	Provider   string `db:"provider"`
	State      string `db:"state"`
	Reason     string `db:"reason"`
	N          int    `db:"n"`
	Complaints int    `db:"complaints"`
	Departed   int    `db:"departed"`
}

func (s *Store) editions(ctx context.Context, condition string, args ...any) ([]news.EditionAccount, error) {
	c := s.read()
	var rows []editionRow
	if err := c.sel(ctx, &rows, "SELECT "+editionColumns+" FROM editions WHERE "+condition+" ORDER BY edition_at DESC, id", args...); err != nil {
		return nil, s.fail(err, "Editions", "")
	}
	out := make([]news.EditionAccount, len(rows))
	place := make(map[string]*news.EditionAccount, len(rows))
	for i, r := range rows {
		out[i] = news.EditionAccount{Edition: r.edition(), Providers: map[string]news.EditionFigures{}, Reasons: map[string]int{}}
		place[r.ID] = &out[i]
	}
	for _, some := range chunks(sortedKeys(place), planBatch) {
		if err := s.account(ctx, c, some, place); err != nil {
			return nil, s.fail(err, "Editions", "")
		}
	}
	return out, nil
}

// account fills in what became of some editions.
func (s *Store) account(ctx context.Context, c conn, ids []string, place map[string]*news.EditionAccount) error {
	var tallies []tally
	// Who left by a mail is found by mailbox and date: few rows, by their index.
	if err := c.selIn(ctx, &tallies, `SELECT d.edition, d.provider, d.state, d.reason, COUNT(*) AS n, COUNT(d.complained_at) AS complaints,
		COUNT(l.mailbox_id) AS departed FROM digest_mails d
		LEFT JOIN (SELECT DISTINCT mailbox_id, local_date FROM departures WHERE local_date <> '' AND way <> 'bounce') l
			ON l.mailbox_id = d.mailbox_id AND l.local_date = d.local_date
		WHERE d.edition IN (?) GROUP BY d.edition, d.provider, d.state, d.reason`, ids); err != nil {
		return err
	}
	for _, t := range tallies {
		place[t.Edition].Count(t.Provider, news.DigestState(t.State), t.Reason, t.N, t.Complaints, t.Departed)
	}
	var pauses []pauseRow
	if err := c.selIn(ctx, &pauses, "SELECT "+pauseColumns+" FROM edition_pauses WHERE edition IN (?) ORDER BY paused_at DESC", ids); err != nil {
		return err
	}
	for _, p := range pauses {
		place[p.Edition].Pauses = append(place[p.Edition].Pauses, p.pause())
	}
	var visits []struct {
		Edition string `db:"edition"`
		Opens   int    `db:"opens"`
		Clicks  int    `db:"clicks"`
	}
	err := c.selIn(ctx, &visits, `SELECT edition, SUM(CASE WHEN story = '' THEN visits ELSE 0 END) AS opens,
		SUM(CASE WHEN story = '' THEN 0 ELSE visits END) AS clicks FROM edition_visits WHERE edition IN (?) GROUP BY edition`, ids)
	for _, v := range visits {
		place[v.Edition].Opens, place[v.Edition].Clicks = v.Opens, v.Clicks
	}
	return err
}

type pauseRow struct {
	Edition   string `db:"edition"`
	Provider  string `db:"provider"`
	Reason    string `db:"reason"`
	Detail    string `db:"detail"`
	PausedAt  stamp  `db:"paused_at"`
	PausedBy  string `db:"paused_by"`
	ResumedAt stamp  `db:"resumed_at"`
	ResumedBy string `db:"resumed_by"`
}

const pauseColumns = "edition, provider, reason, detail, paused_at, paused_by, resumed_at, resumed_by"

func (r pauseRow) pause() news.EditionPause {
	return news.EditionPause{Edition: r.Edition, Provider: r.Provider, Reason: news.PauseReason(r.Reason), Detail: r.Detail, At: r.PausedAt.Time,
		By: r.PausedBy, ResumedAt: r.ResumedAt.Time, ResumedBy: r.ResumedBy}
}

// PauseEdition keeps an edition's mails to a provider back, in every process, and
// says so in the audit trail. A reason that the program found pauses once: what an
// editor resumed stays so. An editor may pause again. It reports whether it changed
// anything.
func (s *Store) PauseEdition(ctx context.Context, p news.EditionPause) (paused bool, err error) {
	err = s.inTx(ctx, func(c conn) error {
		p.At = s.now()
		r := pauseRow{p.Edition, p.Provider, string(p.Reason), plain(p.Detail), at(p.At), p.By, stamp{}, ""}
		conflict := "ON CONFLICT DO NOTHING"
		if p.Reason == news.PauseEditor {
			conflict = "ON CONFLICT (edition, provider, reason) DO UPDATE SET " + assignExcluded("detail, paused_at, paused_by, resumed_at, resumed_by") +
				" WHERE edition_pauses.resumed_at IS NOT NULL"
		}
		n, err := c.countInsert(ctx, "edition_pauses", pauseColumns, r, conflict)
		if paused = n > 0; err != nil || !paused {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: p.By, Action: "pause-edition", Subject: "edition/" + p.Edition, Detail: pauseWords(p)})
	})
	return paused, s.fail(err, "PauseEdition", p.Edition)
}

func pauseWords(p news.EditionPause) string {
	words := string(p.Reason)
	if p.Provider != "" {
		words += ", " + p.Provider
	}
	if p.Detail != "" {
		words += ": " + p.Detail
	}
	return words
}

// ResumeEdition ends the pauses of an edition for a provider ("": for all of them),
// and says so in the audit trail. It reports how many it ended.
func (s *Store) ResumeEdition(ctx context.Context, id, provider, by string) (n int, err error) {
	err = s.inTx(ctx, func(c conn) error {
		ended, err := c.count(ctx, `UPDATE edition_pauses SET resumed_at = ?, resumed_by = ?
			WHERE edition = ? AND (? = '' OR provider = ?) AND resumed_at IS NULL`, s.now(), by, id, provider, provider)
		if n = int(ended); err != nil || n == 0 {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "resume-edition", Subject: "edition/" + id, Detail: provider})
	})
	return n, s.fail(err, "ResumeEdition", id)
}

// OpenPauses are those that hold.
func (s *Store) OpenPauses(ctx context.Context) ([]news.EditionPause, error) {
	var rows []pauseRow
	err := s.read().sel(ctx, &rows, "SELECT "+pauseColumns+" FROM edition_pauses WHERE resumed_at IS NULL ORDER BY paused_at DESC")
	return convert(rows, pauseRow.pause), s.fail(err, "OpenPauses", "")
}

// ResendUnknown lets the mails of an edition of which nobody knows whether they went
// out go once more, because an editor says so. count is how many she was shown: when
// there are others by now, or the edition is too old to be sent, nothing is done
// (news.ErrConflict).
func (s *Store) ResendUnknown(ctx context.Context, id string, count int, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		var old int
		if err := c.get(ctx, &old, "SELECT COUNT(*) FROM digest_mails WHERE edition = ? AND state = 'unknown' AND edition_at <= ?",
			id, s.now().Add(-news.EditionLife)); err != nil {
			return err
		}
		if old > 0 {
			return verdictOf(fmt.Errorf("%w: this edition is more than %d hours old, and is not sent any more", news.ErrConflict, int(news.EditionLife.Hours())))
		}
		n, err := c.count(ctx, `UPDATE digest_mails SET state = 'deferred', owner = '', lease_until = NULL, next_at = ?, told = FALSE, updated_at = ?
			WHERE edition = ? AND state = 'unknown'`, s.now(), s.now(), id)
		if err != nil {
			return err
		}
		if int(n) != count || n == 0 {
			return verdictOf(fmt.Errorf("%w: %d mails of this edition are unknown, not %d", news.ErrConflict, n, count))
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "resend-unknown", Subject: "edition/" + id, Detail: fmt.Sprintf("%d mails", n)})
	})
	return s.fail(err, "ResendUnknown", id)
}

type planRow struct {
	LocalDate string                      `db:"local_date"`
	Weekly    bool                        `db:"weekly"`
	Notes     document[map[string]string] `db:"notes"`
	Pins      document[[]string]          `db:"pins"`
	Drops     document[[]string]          `db:"drops"`
	Version   int64                       `db:"version"`
	ChangedBy string                      `db:"changed_by"`
	ChangedAt stamp                       `db:"changed_at"`
}

const planColumns = "local_date, weekly, notes, pins, drops, version, changed_by, changed_at"

func (r planRow) plan() news.EditionPlan {
	return news.EditionPlan{LocalDate: r.LocalDate, Weekly: r.Weekly, Notes: r.Notes.V, Pins: r.Pins.V, Drops: r.Drops.V, Version: r.Version,
		ChangedBy: r.ChangedBy, ChangedAt: r.ChangedAt.Time}
}

// EditionPlans are those for dates from one on: what editors wrote, pinned and
// dropped.
func (s *Store) EditionPlans(ctx context.Context, fromDate string) ([]news.EditionPlan, error) {
	var rows []planRow
	err := s.read().sel(ctx, &rows, "SELECT "+planColumns+" FROM edition_plans WHERE local_date >= ? ORDER BY local_date, weekly", fromDate)
	return convert(rows, planRow.plan), s.fail(err, "EditionPlans", fromDate)
}

// SetEditionPlan changes the plan of a date, and says so in the audit trail. p.Version
// is that of the plan the editor saw; when another changed it meanwhile it is
// news.ErrConflict and nothing is changed.
func (s *Store) SetEditionPlan(ctx context.Context, p news.EditionPlan, by string) (news.EditionPlan, error) {
	err := s.inTx(ctx, func(c conn) error {
		var seen int64
		err := c.get(ctx, &seen, "SELECT version FROM edition_plans WHERE local_date = ? AND weekly = ?"+c.d.forUpdate, p.LocalDate, p.Weekly)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if seen != p.Version {
			return verdictOf(fmt.Errorf("%w: somebody else changed this edition meanwhile", news.ErrConflict))
		}
		r := planRow{p.LocalDate, p.Weekly, doc(p.Notes), doc(p.Pins), doc(p.Drops), seen + 1, by, at(s.now())}
		n, err := c.countInsert(ctx, "edition_plans", planColumns, r, "ON CONFLICT (local_date, weekly) DO UPDATE SET "+
			assignExcluded("notes, pins, drops, version, changed_by, changed_at")+fmt.Sprintf(" WHERE edition_plans.version = %d", seen))
		if err == nil && n == 0 {
			err = errAgain // two first plans at once
		}
		if err != nil {
			return err
		}
		p = r.plan()
		detail := fmt.Sprintf("%d notes, first %v, without %v", len(p.Notes), p.Pins, p.Drops)
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "plan-edition", Subject: "digest/" + p.LocalDate, Detail: detail})
	})
	return p, s.fail(err, "SetEditionPlan", p.LocalDate)
}
