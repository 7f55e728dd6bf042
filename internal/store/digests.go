package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"dateline/internal/news"
)

const digestColumns = "mailbox_id, local_date, edition_at, state, stories_until, stories, attempts, next_at, reply, " +
	"message_id, owner, lease_until, updated_at, edition, provider, reason, repairs, made_at"

type digestRow struct {
	MailboxID    string             `db:"mailbox_id"`
	LocalDate    string             `db:"local_date"`
	EditionAt    stamp              `db:"edition_at"`
	State        string             `db:"state"`
	StoriesUntil stamp              `db:"stories_until"`
	Stories      document[[]string] `db:"stories"`
	Attempts     int                `db:"attempts"`
	NextAt       stamp              `db:"next_at"`
	Reply        string             `db:"reply"`
	MessageID    string             `db:"message_id"`
	Owner        string             `db:"owner"`
	LeaseUntil   stamp              `db:"lease_until"`
	UpdatedAt    stamp              `db:"updated_at"`
	Edition      string             `db:"edition"`
	Provider     string             `db:"provider"`
	Reason       string             `db:"reason"`
	Repairs      document[[]string] `db:"repairs"`
	MadeAt       stamp              `db:"made_at"`
}

func (r digestRow) mail() news.DigestMail {
	return news.DigestMail{MailboxID: r.MailboxID, LocalDate: r.LocalDate, EditionAt: r.EditionAt.Time,
		State: news.DigestState(r.State), StoriesUntil: r.StoriesUntil.Time, Stories: r.Stories.V,
		Attempts: r.Attempts, NextAt: r.NextAt.Time, Reply: r.Reply, MessageID: r.MessageID, Owner: r.Owner,
		LeaseUntil: r.LeaseUntil.Time, UpdatedAt: r.UpdatedAt.Time, Edition: r.Edition, Provider: r.Provider, Reason: r.Reason,
		Repairs: r.Repairs.V, MadeAt: r.MadeAt.Time}
}

// mayWrite is the condition under which a mailbox may be written to.
const mayWrite = `m.state = 'active' AND NOT EXISTS (SELECT 1 FROM suppressions p WHERE p.address_mac = m.address_mac)`

// DigestSlots lists the pairs of zone and hour that active mailboxes ask for.
func (s *Store) DigestSlots(ctx context.Context) ([]news.ZoneHour, error) {
	var slots []string
	err := s.read().sel(ctx, &slots, "SELECT DISTINCT slot FROM mailboxes WHERE state = 'active' ORDER BY slot")
	if err != nil {
		return nil, s.fail(err, "DigestSlots", "")
	}
	out := make([]news.ZoneHour, len(slots))
	for i, slot := range slots {
		if out[i], err = parseSlot(slot); err != nil {
			return nil, s.fail(err, "DigestSlots", slot)
		}
	}
	return out, nil
}

type digestReaderRow struct {
	mailboxRow
	LastUntil stamp   `db:"last_until"`
	LastDate  *string `db:"last_date"`
}

// placeOf is a mailbox's place among the readers. Preferences' ids have one length.
func placeOf(r mailboxRow) string { return r.PreferenceID + "/" + r.ID }

// DigestReaders pages through the mailboxes of a slot that may be written to, in the
// order of their places, with what their last digest considered. No slot means all of
// them.
func (s *Store) DigestReaders(ctx context.Context, slot *news.ZoneHour, after string, limit int) ([]news.DigestReader, error) {
	var rows []digestReaderRow
	c := s.read()
	preference, id, _ := strings.Cut(after, "/")
	ofSlot, args := "", []any{preference, id}
	if slot != nil {
		ofSlot, args = " AND m.slot = ?", append(args, slotOf(*slot))
	}
	// The inner query walks an index only; SQLite would sort whole rows.
	err := c.sel(ctx, &rows, "SELECT "+prefixed("m", mailboxColumns)+`, d.stories_until AS last_until, d.local_date AS last_date
		FROM mailboxes m LEFT JOIN digest_mails d ON d.mailbox_id = m.id AND d.local_date =
			(SELECT MAX(x.local_date) FROM digest_mails x WHERE x.mailbox_id = m.id AND x.state IN ('sent', 'unknown', 'empty'))
		WHERE m.id IN (SELECT m.id FROM mailboxes m WHERE (m.preference_id, m.id) > (?, ?)`+ofSlot+` AND `+mayWrite+`
			ORDER BY m.preference_id, m.id LIMIT ?)
		ORDER BY m.preference_id, m.id`, append(args, limit)...)
	if err != nil {
		return nil, s.fail(err, "DigestReaders", after)
	}
	out := make([]news.DigestReader, len(rows))
	for i, r := range rows {
		p, err := s.preference(ctx, c, r.PreferenceID)
		if err != nil {
			return nil, s.fail(err, "DigestReaders", r.ID)
		}
		m, err := s.mailbox(r.mailboxRow, p)
		if err != nil {
			return nil, s.fail(err, "DigestReaders", r.ID)
		}
		out[i] = news.DigestReader{Mailbox: m, Place: placeOf(r.mailboxRow), LastUntil: r.LastUntil.Time}
		if r.LastDate != nil {
			out[i].LastDate = *r.LastDate
		}
	}
	return out, nil
}

// ClaimDigest takes the mail of one mailbox and local date for its Owner until
// LeaseUntil. It is true for a date without a row or with a mail that waits, for a
// deferred mail whose time has come, and for a claim whose lease has ended; false
// when somebody has it, when it is finished, when the mailbox may not be written to,
// and while its edition is paused for its provider.
// Attempts counts the claims. A claim may carry another State that finishes
// it at once (empty, expired).
func (s *Store) ClaimDigest(ctx context.Context, m news.DigestMail) (bool, error) {
	if m.State == "" {
		m.State = news.DigestClaimed
	}
	now := s.now()
	n, err := s.write().count(ctx, `INSERT INTO digest_mails (`+digestColumns+`)
		SELECT m.id, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM mailboxes m WHERE m.id = ? AND `+mayWrite+`
		AND NOT EXISTS (SELECT 1 FROM edition_pauses z WHERE z.edition = ? AND z.provider IN ('', ?) AND z.resumed_at IS NULL)
		ON CONFLICT (mailbox_id, local_date) DO UPDATE SET `+assignExcluded(claimedColumns)+`, attempts = digest_mails.attempts + 1
		WHERE digest_mails.state = 'due' OR (digest_mails.state = 'deferred' AND (digest_mails.next_at IS NULL OR digest_mails.next_at <= ?))
			OR (digest_mails.state = 'claimed' AND digest_mails.lease_until <= ?)`,
		m.LocalDate, at(m.EditionAt), string(m.State), at(m.StoriesUntil), doc(m.Stories), at(m.NextAt), plain(m.Reply),
		m.MessageID, m.Owner, at(m.LeaseUntil), at(now), m.Edition, m.Provider, plain(m.Reason), doc(m.Repairs), at(m.MadeAt), m.MailboxID,
		m.Edition, m.Provider, now, now)
	return n > 0, s.fail(err, "ClaimDigest", m.MailboxID+" "+m.LocalDate)
}

// claimedColumns are those that a claim writes anew.
const claimedColumns = "edition_at, state, stories_until, stories, next_at, reply, message_id, owner, lease_until, updated_at, " +
	"edition, provider, reason, repairs, made_at"

// MarkDigest writes where a claimed mail stands. Only its Owner may, and only
// while it is claimed, started or unknown (its answer may come after the mail
// was given up as unknown): else news.ErrFenced. That it was sent is no news of a mail
// that came back meanwhile, and changes nothing.
func (s *Store) MarkDigest(ctx context.Context, m news.DigestMail) error {
	n, err := s.write().count(ctx, `UPDATE digest_mails SET edition_at = ?, state = ?, stories_until = ?, stories = ?,
		next_at = ?, reply = ?, reason = ?, repairs = ?, made_at = ?, message_id = ?, lease_until = ?, updated_at = ?
		WHERE mailbox_id = ? AND local_date = ? AND owner = ? AND state IN ('claimed', 'data_started', 'unknown')`,
		at(m.EditionAt), string(m.State), at(m.StoriesUntil), doc(m.Stories), at(m.NextAt), plain(m.Reply), plain(m.Reason),
		doc(m.Repairs), at(m.MadeAt), m.MessageID, at(m.LeaseUntil), s.now(), m.MailboxID, m.LocalDate, m.Owner)
	if err == nil && n == 0 && m.State == news.DigestSent {
		n, err = s.cameBack(ctx, m)
	}
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: the mail is not %s's", news.ErrFenced, m.Owner)
	}
	return s.fail(err, "MarkDigest", m.MailboxID+" "+m.LocalDate)
}

// cameBack counts the owner's mail as one that came back before she heard that it went.
func (s *Store) cameBack(ctx context.Context, m news.DigestMail) (n int64, err error) {
	err = s.write().get(ctx, &n, "SELECT COUNT(*) FROM digest_mails WHERE mailbox_id = ? AND local_date = ? AND owner = ? AND state = 'bounced'",
		m.MailboxID, m.LocalDate, m.Owner)
	return n, err
}

// RecoverDigests takes up what crashed processes left: a claim whose lease has
// ended is due again, a mail between its final dot and the answer is unknown
// and never sent again by itself. A process that knows that all others are dead
// gives an instant ahead: then no lease holds.
func (s *Store) RecoverDigests(ctx context.Context, now time.Time) (retry, unknown int, err error) {
	now = micro(now)
	err = s.inTx(ctx, func(c conn) error {
		// The index's own condition stands in each: SQLite does not infer it, and would read
		// the whole table.
		n, err := c.count(ctx, `UPDATE digest_mails SET state = 'deferred', owner = '', lease_until = NULL, next_at = ?,
			updated_at = ? WHERE state IN ('claimed', 'data_started') AND state = 'claimed' AND (lease_until IS NULL OR lease_until <= ?)`, s.now(), s.now(), now)
		if err != nil {
			return err
		}
		m, err := c.count(ctx, `UPDATE digest_mails SET state = 'unknown', lease_until = NULL, updated_at = ?
			WHERE state IN ('claimed', 'data_started') AND state = 'data_started' AND (lease_until IS NULL OR lease_until <= ?)`, s.now(), now)
		retry, unknown = int(n), int(m)
		return err
	})
	return retry, unknown, s.fail(err, "RecoverDigests", now.String())
}

// TellUnknown counts the mails of the editions after from, up to until, of
// which nobody knows whether they went out, and which no call counted before.
func (s *Store) TellUnknown(ctx context.Context, from, until time.Time) (int, error) {
	n, err := s.write().count(ctx, `UPDATE digest_mails SET told = TRUE
		WHERE state = 'unknown' AND told = FALSE AND edition_at > ? AND edition_at <= ?`, micro(from), micro(until))
	return int(n), s.fail(err, "TellUnknown", until.String())
}

// DigestFigures counts the mails of editions at or after since by what became
// of them. Due is all of them; those that wait or are under way, and those of readers
// who left before their turn, are in no other figure.
func (s *Store) DigestFigures(ctx context.Context, since time.Time) (news.DigestFigures, error) {
	var f news.DigestFigures
	var rows []struct {
		State string `db:"state"`
		N     int    `db:"n"`
	}
	err := s.read().sel(ctx, &rows, "SELECT state, COUNT(*) AS n FROM digest_mails WHERE edition_at >= ? GROUP BY state",
		micro(since))
	for _, r := range rows {
		f.Due += r.N
		switch news.DigestState(r.State) {
		case news.DigestSent:
			f.Sent += r.N
		case news.DigestDeferred:
			f.Deferred += r.N
		case news.DigestEmpty:
			f.Empty += r.N
		case news.DigestBounced, news.DigestExpired:
			f.Failed += r.N
		case news.DigestUnknown:
			f.Unknown += r.N
		}
	}
	return f, s.fail(err, "DigestFigures", since.String())
}

// DigestDeferred lists deferred mails whose time has come, the longest waiting
// first, of mailboxes that may be written to and of editions that are not paused for
// their provider: the others would stand before them for good.
func (s *Store) DigestDeferred(ctx context.Context, now time.Time, limit int) ([]news.DigestMail, error) {
	var rows []digestRow
	err := s.read().sel(ctx, &rows, "SELECT "+prefixed("d", digestColumns)+` FROM digest_mails d
		JOIN mailboxes m ON m.id = d.mailbox_id WHERE d.state = 'deferred' AND (d.next_at IS NULL OR d.next_at <= ?)
		AND `+mayWrite+` AND NOT EXISTS (SELECT 1 FROM edition_pauses z WHERE z.edition = d.edition AND z.provider IN ('', d.provider)
			AND z.resumed_at IS NULL) ORDER BY d.next_at, d.mailbox_id LIMIT ?`, micro(now), limit)
	return convert(rows, digestRow.mail), s.fail(err, "DigestDeferred", "")
}

// Digests lists a mailbox's mails, the newest date first.
func (s *Store) Digests(ctx context.Context, mailboxID string) ([]news.DigestMail, error) {
	var rows []digestRow
	err := s.read().sel(ctx, &rows, "SELECT "+digestColumns+" FROM digest_mails WHERE mailbox_id = ? ORDER BY local_date DESC",
		mailboxID)
	return convert(rows, digestRow.mail), s.fail(err, "Digests", mailboxID)
}

// DigestsSince is Digests for local dates from one on.
func (s *Store) DigestsSince(ctx context.Context, mailboxID, date string) ([]news.DigestMail, error) {
	var rows []digestRow
	err := s.read().sel(ctx, &rows, "SELECT "+digestColumns+" FROM digest_mails WHERE mailbox_id = ? AND local_date >= ? ORDER BY local_date DESC",
		mailboxID, date)
	return convert(rows, digestRow.mail), s.fail(err, "DigestsSince", mailboxID)
}
