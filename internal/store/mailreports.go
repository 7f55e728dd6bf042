package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"dateline/internal/news"
)

// TakeReport writes down what a server or provider said of a mail, and what follows
// from it, in one transaction: a failed mail is bounced, a mailbox that is not there
// and one whose reader complained or left is suppressed. It names the edition of that mail, if
// there is one, and reports false, and changes nothing, when the report was taken
// before (its MessageID is the key). What is
// older than the reader's last confirmation, or than her move to another address, is
// written down and no more.
func (s *Store) TakeReport(ctx context.Context, r news.MailReport) (edition string, fresh bool, err error) {
	err = s.inTx(ctx, func(c conn) error {
		edition, fresh = "", false
		n, err := c.count(ctx, `INSERT INTO mail_reports (message_id, kind, mailbox_id, local_date, status, reason, detail, received_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, plain(r.MessageID), string(r.Kind), r.MailboxID, r.LocalDate, r.Status,
			r.Reason, plain(r.Detail), s.now())
		if err != nil || n == 0 {
			return err
		}
		fresh = true
		err = c.get(ctx, &edition, "SELECT edition FROM digest_mails WHERE mailbox_id = ? AND local_date = ?", r.MailboxID, r.LocalDate)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return s.followReport(ctx, c, r)
	})
	return edition, fresh, s.fail(err, "TakeReport", r.MailboxID)
}

func (s *Store) followReport(ctx context.Context, c conn, r news.MailReport) error {
	now := s.now()
	switch r.Kind {
	case news.ReportFailed:
		// A server beside us may report before the answer to the mail is written down.
		if err := c.exec(ctx, `UPDATE digest_mails SET state = 'bounced', reason = ?, reply = ?, lease_until = NULL, updated_at = ?
			WHERE mailbox_id = ? AND local_date = ? AND state IN ('data_started', 'sent', 'unknown')`,
			r.Reason, plain(r.Detail), now, r.MailboxID, r.LocalDate); err != nil {
			return err
		}
		switch r.Reason {
		case news.HardBounce:
			return s.endMailbox(ctx, c, r, news.MailboxBounced, string(news.MailboxBounced), news.LeftByBounce)
		case news.SoftBounce:
			_, err := s.suspend(ctx, c, r.MailboxID)
			return err
		}
	case news.ReportComplaint:
		// Who complains has got it: the answer that was lost was a yes.
		if err := c.exec(ctx, `UPDATE digest_mails SET complained_at = COALESCE(complained_at, ?), state = CASE state WHEN 'unknown' THEN 'sent' ELSE state END
			WHERE mailbox_id = ? AND local_date = ? AND state IN ('sent', 'unknown')`, now, r.MailboxID, r.LocalDate); err != nil {
			return err
		}
		return s.endMailbox(ctx, c, r, news.MailboxLeft, "complained", news.LeftByReport)
	case news.ReportLeave:
		return s.endMailbox(ctx, c, r, news.MailboxLeft, string(news.MailboxLeft), news.LeftByMail)
	}
	return nil
}

// endMailbox ends a digest for what was reported of a mail of it, unless the reader
// has confirmed, or moved, since that mail.
func (s *Store) endMailbox(ctx context.Context, c conn, r news.MailReport, state news.MailboxState, reason string, way news.DepartureWay) error {
	m, before, err := s.loadMailbox(ctx, c, "id = ?", c.d.forUpdate, r.MailboxID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // wiped
	}
	if err != nil {
		return err
	}
	if r.Kind != news.ReportLeave { // her own wish holds whenever it comes
		stale, err := s.confirmedSince(ctx, c, m, r.LocalDate)
		if err != nil || stale {
			return err
		}
	}
	if err := s.suppress(ctx, c, before.AddressMAC, reason); err != nil {
		return err
	}
	if m.State == state || m.State != news.MailboxActive && r.Kind != news.ReportLeave {
		return nil // it has ended before
	}
	m.State = state
	if _, err := s.rewriteMailbox(ctx, c, m, before.PreferenceID); err != nil {
		return err
	}
	return s.departed(ctx, c, news.Departure{MailboxID: m.ID, LocalDate: r.LocalDate, Way: way})
}

// confirmedSince reports whether the mailbox was confirmed, or moved to another
// address, after the mail of a date was sent: then that mail says nothing of it.
func (s *Store) confirmedSince(ctx context.Context, c conn, m news.Mailbox, date string) (bool, error) {
	var sent stamp
	err := c.get(ctx, &sent, "SELECT edition_at FROM digest_mails WHERE mailbox_id = ? AND local_date = ?", m.ID, date)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil || m.Consent.ConfirmedAt.After(sent.Time) {
		return err == nil, err
	}
	var moves int
	err = c.get(ctx, &moves, "SELECT COUNT(*) FROM digest_signups WHERE mailbox_id = ? AND kind = ? AND used_at > ?", m.ID, string(news.SignupMove), sent)
	return moves > 0, err
}

// departed writes down that a reader left.
func (s *Store) departed(ctx context.Context, c conn, d news.Departure) error {
	return c.exec(ctx, `INSERT INTO departures (mailbox_id, left_at, way, local_date) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		d.MailboxID, s.now(), string(d.Way), d.LocalDate)
}

// softEditions in a row, over softSpan or longer, that could not be delivered suspend
// a mailbox (reliability.md 3b).
const (
	softEditions = 3
	softSpan     = 7 * 24 * time.Hour
)

// SuspendMailbox stops writing to a mailbox whose last three editions in a row, over
// a week or more, came back with a fault that passes by itself (it is full, say). A
// mail that is delivered begins the count anew. It reports whether it did.
func (s *Store) SuspendMailbox(ctx context.Context, id string) (bool, error) {
	done := false
	err := s.inTx(ctx, func(c conn) (err error) {
		done, err = s.suspend(ctx, c, id)
		return err
	})
	return done, s.fail(err, "SuspendMailbox", id)
}

func (s *Store) suspend(ctx context.Context, c conn, id string) (bool, error) {
	var last []struct {
		State     string `db:"state"`
		Reason    string `db:"reason"`
		EditionAt stamp  `db:"edition_at"`
	}
	// Thirty editions are a month of them: who bounced that long is suspended.
	err := c.sel(ctx, &last, `SELECT state, reason, edition_at FROM digest_mails WHERE mailbox_id = ? AND state IN ('sent', 'bounced')
		ORDER BY local_date DESC LIMIT 30`, id)
	if err != nil {
		return false, err
	}
	n := 0
	for n < len(last) && last[n].State == string(news.DigestBounced) && last[n].Reason == news.SoftBounce {
		n++
	}
	if n < softEditions || last[0].EditionAt.Sub(last[n-1].EditionAt.Time) < softSpan {
		return false, nil
	}
	changed, err := c.count(ctx, "UPDATE mailboxes SET state = ?, updated_at = ? WHERE id = ? AND state = 'active'", string(news.MailboxSuspended), s.now(), id)
	if err != nil || changed == 0 {
		return false, err
	}
	return true, s.giveUpWaiting(ctx, c, id)
}

// Reports counts what came back since an instant, by kind.
func (s *Store) Reports(ctx context.Context, since time.Time) (map[news.MailReportKind]int, error) {
	var rows []struct {
		Kind string `db:"kind"`
		N    int    `db:"n"`
	}
	err := s.read().sel(ctx, &rows, "SELECT kind, COUNT(*) AS n FROM mail_reports WHERE received_at >= ? GROUP BY kind", micro(since))
	out := map[news.MailReportKind]int{}
	for _, r := range rows {
		out[news.MailReportKind(r.Kind)] = r.N
	}
	return out, s.fail(err, "Reports", "")
}

// ReserveMails asks for up to n mails of a UTC day to a provider, of which all
// processes together may send no more than limit. It gives how many were granted.
func (s *Store) ReserveMails(ctx context.Context, provider, day string, n, limit int) (granted int, err error) {
	err = s.inTx(ctx, func(c conn) error {
		if err := c.exec(ctx, "INSERT INTO provider_days (provider, day, reserved) VALUES (?, ?, 0) ON CONFLICT DO NOTHING", provider, day); err != nil {
			return err
		}
		var reserved int
		if err := c.get(ctx, &reserved, "SELECT reserved FROM provider_days WHERE provider = ? AND day = ?"+c.d.forUpdate, provider, day); err != nil {
			return err
		}
		granted = max(0, min(n, limit-reserved))
		return c.exec(ctx, "UPDATE provider_days SET reserved = reserved + ? WHERE provider = ? AND day = ?", granted, provider, day)
	})
	return granted, s.fail(err, "ReserveMails", provider)
}

// ProviderDays counts the days before one on which a provider was sent mails.
func (s *Store) ProviderDays(ctx context.Context, provider, before string) (int, error) {
	var n int
	err := s.read().get(ctx, &n, "SELECT COUNT(*) FROM provider_days WHERE provider = ? AND day < ? AND reserved > 0", provider, before)
	return n, s.fail(err, "ProviderDays", provider)
}

// CountVisit adds one to how often a story's link of an edition was followed; "" is
// its picture.
func (s *Store) CountVisit(ctx context.Context, edition, story string) error {
	err := s.write().exec(ctx, `INSERT INTO edition_visits (edition, story, visits) VALUES (?, ?, 1)
		ON CONFLICT (edition, story) DO UPDATE SET visits = edition_visits.visits + 1`, edition, plain(story))
	return s.fail(err, "CountVisit", edition)
}
