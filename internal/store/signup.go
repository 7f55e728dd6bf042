package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"dateline/internal/news"
)

// States of a sign-up's confirmation mail.
const (
	mailNone    = "none" // the address was written to within the last 24 h
	mailQueued  = "queued"
	mailClaimed = "claimed"
	mailDone    = "done"
)

// signupPause is how long after a confirmation mail no other one goes to the
// same address: a form must not be a way to bomb a mailbox.
const signupPause = 24 * time.Hour

const signupColumns = "id, address_mac, key_id, address, wishes, hour, days, weekly, subscriber_id, device_label, " +
	consentColumns + ", created_at, expires_at, used_at, mailbox_id, mail_state, mail_next_at, mail_owner, mail_lease_until, kind"

type signupRow struct {
	ID           string               `db:"id"`
	AddressMAC   []byte               `db:"address_mac"`
	KeyID        string               `db:"key_id"`
	Address      []byte               `db:"address"`
	Wishes       document[wishesJSON] `db:"wishes"`
	Hour         int                  `db:"hour"`
	Days         document[[]int]      `db:"days"`
	Weekly       bool                 `db:"weekly"`
	SubscriberID string               `db:"subscriber_id"`
	DeviceLabel  string               `db:"device_label"`
	consentRow
	CreatedAt      stamp  `db:"created_at"`
	ExpiresAt      stamp  `db:"expires_at"`
	UsedAt         stamp  `db:"used_at"`
	MailboxID      string `db:"mailbox_id"`
	MailState      string `db:"mail_state"`
	MailNextAt     stamp  `db:"mail_next_at"`
	MailOwner      string `db:"mail_owner"`
	MailLeaseUntil stamp  `db:"mail_lease_until"`
	Kind           string `db:"kind"`
}

func (s *Store) signup(r signupRow) (news.DigestSignup, error) {
	address, err := s.seal.open(r.KeyID, "digest_signups", r.ID, r.Address)
	return news.DigestSignup{ID: r.ID, Kind: news.SignupKind(r.Kind), MailboxID: r.MailboxID, Address: string(address), Wishes: r.Wishes.V.wishes(), Hour: r.Hour,
		Days: r.Days.V, Weekly: r.Weekly, SubscriberID: r.SubscriberID, DeviceLabel: r.DeviceLabel,
		Consent: r.consent(), CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time, UsedAt: r.UsedAt.Time}, err
}

// CreateDigestSignup stores a sign-up, or a move to a new address, and queues its
// confirmation mail, unless one was queued for the address within the last 24
// hours. It does the same work for every address and never looks whether a
// mailbox exists. An empty ID or CreatedAt is filled.
func (s *Store) CreateDigestSignup(ctx context.Context, d news.DigestSignup) error {
	r := s.signupRowOf(&d)
	err := s.inTx(ctx, func(c conn) error {
		now := s.now()
		n, err := c.count(ctx, `INSERT INTO signup_addresses (address_mac, queued_at) VALUES (?, ?)
			ON CONFLICT (address_mac) DO UPDATE SET queued_at = excluded.queued_at
			WHERE signup_addresses.queued_at <= ?`, r.AddressMAC, now, now.Add(-signupPause))
		if err != nil {
			return err
		}
		r.MailState, r.MailNextAt = mailNone, at(now)
		if n > 0 {
			r.MailState = mailQueued
		}
		return c.insert(ctx, "digest_signups", signupColumns, r, "")
	})
	return s.fail(err, "CreateDigestSignup", d.ID)
}

func (s *Store) signupRowOf(d *news.DigestSignup) signupRow {
	d.ID = cmp.Or(d.ID, newID())
	if d.CreatedAt.IsZero() {
		d.CreatedAt = s.now()
	}
	address := foldAddress(d.Address)
	return signupRow{ID: d.ID, AddressMAC: s.seal.addressMAC(address), KeyID: s.seal.id,
		Address: s.seal.seal("digest_signups", d.ID, []byte(address)), Wishes: doc(wishesJSONOf(d.Wishes)),
		Hour: d.Hour, Days: doc(d.Days), Weekly: d.Weekly, SubscriberID: d.SubscriberID,
		DeviceLabel: plain(d.DeviceLabel), consentRow: consentRowOf(d.Consent), CreatedAt: at(d.CreatedAt),
		ExpiresAt: at(d.ExpiresAt), UsedAt: at(d.UsedAt), MailboxID: d.MailboxID, Kind: string(cmp.Or(d.Kind, news.SignupDigest))}
}

// linksADay is how many fresh links a mailbox is sent in 24 h: who holds one of
// its links can't fill it. Who has left has a right to see and erase what is kept
// of her, but wants no mail: one.
var linksADay = map[news.MailboxState]int{news.MailboxActive: 5, news.MailboxLeft: 1}

// QueueMailboxLink queues the mail that takes a fresh link to the owner of a
// mailbox, active or left. More than linksADay in 24 hours are a
// *news.LimitError.
func (s *Store) QueueMailboxLink(ctx context.Context, d news.DigestSignup) error {
	err := s.inTx(ctx, func(c conn) error {
		m, before, err := s.loadMailbox(ctx, c, "id = ?", c.d.forUpdate, d.MailboxID)
		if err != nil {
			return err
		}
		since := s.now().Add(-signupPause)
		if m.State == news.MailboxLeft && before.UpdatedAt.After(since) {
			since = before.UpdatedAt.Time // what came before she left does not count
		}
		most := linksADay[m.State]
		if most == 0 || m.Address == "" {
			return verdictOf(fmt.Errorf("%w: no mail goes to this address any more", news.ErrConflict))
		}
		d.Kind, d.Address, d.Wishes, d.Hour, d.Days, d.Weekly = news.SignupLink, m.Address, m.Wishes, m.Hour, m.Days, m.Weekly
		r := s.signupRowOf(&d)
		var n int
		if err := c.get(ctx, &n, "SELECT COUNT(*) FROM digest_signups WHERE address_mac = ? AND kind = ? AND created_at > ?",
			r.AddressMAC, r.Kind, since); err != nil {
			return err
		}
		if n >= most {
			return verdictOf(&news.LimitError{What: "links by mail", RetryAfter: signupPause})
		}
		r.MailState, r.MailNextAt = mailQueued, at(s.now())
		return c.insert(ctx, "digest_signups", signupColumns, r, "")
	})
	return s.fail(err, "QueueMailboxLink", d.MailboxID)
}

// ClaimSignupMails takes confirmation mails that are due, for as long as the
// lease, and returns their sign-ups. An address that bounced is not among
// them. A claim whose lease ended is taken again: the mail may then come
// twice, with the same link.
func (s *Store) ClaimSignupMails(ctx context.Context, owner string, limit int, lease time.Duration) ([]news.DigestSignup, error) {
	var rows []signupRow
	err := s.inTx(ctx, func(c conn) error {
		rows = nil
		now := s.now()
		return c.sel(ctx, &rows, `UPDATE digest_signups SET mail_state = ?, mail_owner = ?, mail_lease_until = ?
			WHERE id IN (SELECT d.id FROM digest_signups d
				WHERE ((d.mail_state = ? AND d.mail_next_at <= ?) OR (d.mail_state = ? AND d.mail_lease_until <= ?))
				AND d.used_at IS NULL AND d.expires_at > ? AND NOT EXISTS (SELECT 1 FROM suppressions p
					WHERE p.address_mac = d.address_mac AND p.reason = 'bounced')
				ORDER BY d.id LIMIT ?`+c.d.forUpdateSkip+`)
			RETURNING `+signupColumns, mailClaimed, owner, now.Add(lease), mailQueued, now, mailClaimed, now, now, limit)
	})
	if err != nil {
		return nil, s.fail(err, "ClaimSignupMails", owner)
	}
	out := make([]news.DigestSignup, len(rows))
	for i, r := range rows {
		if out[i], err = s.signup(r); err != nil {
			return nil, s.fail(err, "ClaimSignupMails", r.ID)
		}
	}
	return out, nil
}

// MarkSignupMail ends a claim: done, or again not before next.
func (s *Store) MarkSignupMail(ctx context.Context, id string, done bool, next time.Time) error {
	state := mailQueued
	if done {
		state = mailDone
	}
	err := s.write().one(ctx, `UPDATE digest_signups SET mail_state = ?, mail_next_at = ?, mail_owner = '',
		mail_lease_until = NULL WHERE id = ?`, state, at(next), id)
	return s.fail(err, "MarkSignupMail", id)
}

// DigestSignup is one sign-up, used or not.
func (s *Store) DigestSignup(ctx context.Context, id string) (news.DigestSignup, error) {
	var r signupRow
	if err := s.read().get(ctx, &r, "SELECT "+signupColumns+" FROM digest_signups WHERE id = ?", id); err != nil {
		return news.DigestSignup{}, s.fail(err, "DigestSignup", id)
	}
	d, err := s.signup(r)
	return d, s.fail(err, "DigestSignup", id)
}

// ForgetSignups deletes the sign-ups, used or not, that expired by `before`: who
// never confirmed is not kept, and who did has a mailbox. With them goes what
// only served to space the mails to an address. It says how many it deleted.
func (s *Store) ForgetSignups(ctx context.Context, before time.Time) (int, error) {
	var n int64
	err := s.inTx(ctx, func(c conn) error {
		var err error
		if n, err = c.count(ctx, "DELETE FROM digest_signups WHERE expires_at <= ?", micro(before)); err != nil {
			return err
		}
		return c.exec(ctx, "DELETE FROM signup_addresses WHERE queued_at <= ?", s.now().Add(-signupPause))
	})
	return int(n), s.fail(err, "ForgetSignups", before.String())
}

// ConfirmDigest makes a sign-up a mailbox: the second opt-in. consent's fields
// that are set replace the sign-up's; ConfirmedAt defaults to now. The address
// is not suppressed any more. Called again it returns the mailbox as it is
// (also one that has left since: an old link resubscribes nobody). A sign-up
// past its expiry is news.ErrGone.
func (s *Store) ConfirmDigest(ctx context.Context, id string, consent news.Consent) (news.Mailbox, error) {
	var out news.Mailbox
	err := s.inTx(ctx, func(c conn) error {
		var r signupRow
		if err := c.get(ctx, &r, "SELECT "+signupColumns+" FROM digest_signups WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		if r.Kind == string(news.SignupLink) || r.Kind == string(news.SignupMoved) {
			return sql.ErrNoRows // nothing was asked: its mail confirms nothing
		}
		if !r.UsedAt.IsZero() {
			var err error
			out, _, err = s.loadMailbox(ctx, c, "id = ?", "", r.MailboxID)
			return err
		}
		now := s.now()
		if !r.ExpiresAt.IsZero() && !r.ExpiresAt.After(now) {
			return verdictOf(fmt.Errorf("%w: this confirmation has expired; sign up again", news.ErrGone))
		}
		d, err := s.signup(r)
		if err != nil {
			return err
		}
		confirm := s.confirm
		if d.Kind == news.SignupMove {
			confirm = s.move
		}
		out, err = confirm(ctx, c, d, r.AddressMAC, mergeConsent(d.Consent, consent, now))
		if err != nil {
			return err
		}
		return c.exec(ctx, `UPDATE digest_signups SET used_at = ?, mailbox_id = ?, mail_state = ? WHERE id = ?`,
			now, out.ID, mailDone, id)
	})
	return out, s.fail(err, "ConfirmDigest", id)
}

func (s *Store) confirm(ctx context.Context, c conn, d news.DigestSignup, mac []byte, consent news.Consent) (news.Mailbox, error) {
	if err := c.exec(ctx, "DELETE FROM suppressions WHERE address_mac = ?", mac); err != nil {
		return news.Mailbox{}, err
	}
	m := news.Mailbox{Address: d.Address, Wishes: d.Wishes, Hour: d.Hour, Days: d.Days, Weekly: d.Weekly, Consent: consent}
	if d.SubscriberID != "" { // she may have been wiped since
		err := c.get(ctx, &m.SubscriberID, "SELECT id FROM subscribers WHERE id = ?"+c.d.forShare, d.SubscriberID)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return m, err
		}
	}
	return s.putMailbox(ctx, c, m, mac)
}

// move sends a mailbox's digest to another address, which has just agreed. The
// old one is suppressed: it did not ask for anything else.
func (s *Store) move(ctx context.Context, c conn, d news.DigestSignup, mac []byte, consent news.Consent) (news.Mailbox, error) {
	m, before, err := s.loadMailbox(ctx, c, "id = ?", c.d.forUpdate, d.MailboxID)
	switch {
	case err != nil:
		return m, err
	case m.State != news.MailboxActive && m.State != news.MailboxBounced:
		return m, nil // she has left since: an old link signs nobody up
	case bytes.Equal(before.AddressMAC, mac):
		return m, nil // an earlier mail about the same move was confirmed
	}
	// A digest that somebody left there long ago is no obstacle.
	var left []mailboxRow
	if err := c.sel(ctx, &left, "SELECT "+mailboxColumns+" FROM mailboxes WHERE address_mac = ? AND state = ? AND id <> ?",
		mac, string(news.MailboxLeft), m.ID); err != nil {
		return m, err
	}
	if err := s.blank(ctx, c, left); err != nil {
		return m, err
	}
	if err := s.suppress(ctx, c, before.AddressMAC, string(news.MailboxLeft)); err != nil {
		return m, err
	}
	if m.State == news.MailboxActive {
		if err := s.tellMoved(ctx, c, m); err != nil {
			return m, err
		}
	}
	if err := c.exec(ctx, "DELETE FROM suppressions WHERE address_mac = ?", mac); err != nil {
		return m, err
	}
	// The new address has not agreed to be joined with a device: whoever asked for
	// the move may be a stranger to it.
	m.Address, m.Consent, m.State, m.SubscriberID = d.Address, consent, news.MailboxActive, ""
	return s.rewriteMailbox(ctx, c, m, before.PreferenceID)
}

// movedFor is how long a notice of a move is tried.
const movedFor = 48 * time.Hour

// tellMoved queues the last mail to an address that a digest has left: its owner
// learns of it, also if it was not she who asked.
func (s *Store) tellMoved(ctx context.Context, c conn, m news.Mailbox) error {
	now := s.now()
	r := s.signupRowOf(&news.DigestSignup{Kind: news.SignupMoved, MailboxID: m.ID, Address: m.Address, Wishes: m.Wishes, Hour: m.Hour, Days: m.Days,
		Weekly: m.Weekly, CreatedAt: now, ExpiresAt: now.Add(movedFor)})
	r.MailState, r.MailNextAt = mailQueued, at(now)
	return c.insert(ctx, "digest_signups", signupColumns, r, "")
}

// mergeConsent is the sign-up's record with what the confirmation adds.
func mergeConsent(base, more news.Consent, now time.Time) news.Consent {
	pick := func(a, b string) string {
		if strings.TrimSpace(b) != "" {
			return b
		}
		return a
	}
	out := news.Consent{TextVersion: pick(base.TextVersion, more.TextVersion), Source: pick(base.Source, more.Source),
		RequestedAt: base.RequestedAt, ConfirmedAt: now, ClientHash: pick(base.ClientHash, more.ClientHash)}
	if !more.ConfirmedAt.IsZero() {
		out.ConfirmedAt = micro(more.ConfirmedAt)
	}
	return out
}
