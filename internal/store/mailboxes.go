package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
)

const mailboxColumns = "id, address_mac, key_id, address, subscriber_id, state, " + wishesColumns +
	", hour, slot, days, weekly, " + consentColumns + ", created_at, updated_at"

const consentColumns = "consent_text, consent_source, consent_requested_at, consent_confirmed_at, consent_client_hash"

// mailboxMutable is what a change may write.
const mailboxMutable = "address_mac, key_id, address, subscriber_id, state, " + wishesColumns +
	", hour, slot, days, weekly, " + consentColumns + ", updated_at"

type mailboxRow struct {
	ID           string  `db:"id"`
	AddressMAC   []byte  `db:"address_mac"`
	KeyID        string  `db:"key_id"`
	Address      []byte  `db:"address"`
	SubscriberID *string `db:"subscriber_id"`
	State        string  `db:"state"`
	wishesRow
	Hour   int             `db:"hour"`
	Slot   string          `db:"slot"`
	Days   document[[]int] `db:"days"`
	Weekly bool            `db:"weekly"`
	consentRow
	CreatedAt stamp `db:"created_at"`
	UpdatedAt stamp `db:"updated_at"`
}

type consentRow struct {
	Text        string `db:"consent_text"`
	Source      string `db:"consent_source"`
	RequestedAt stamp  `db:"consent_requested_at"`
	ConfirmedAt stamp  `db:"consent_confirmed_at"`
	ClientHash  string `db:"consent_client_hash"`
}

func consentRowOf(c news.Consent) consentRow {
	return consentRow{Text: plain(c.TextVersion), Source: plain(c.Source), RequestedAt: at(c.RequestedAt),
		ConfirmedAt: at(c.ConfirmedAt), ClientHash: c.ClientHash}
}

func (r consentRow) consent() news.Consent {
	return news.Consent{TextVersion: r.Text, Source: r.Source, RequestedAt: r.RequestedAt.Time,
		ConfirmedAt: r.ConfirmedAt.Time, ClientHash: r.ClientHash}
}

// slotOf is what a digest run looks mailboxes up by.
func slotOf(z news.ZoneHour) string { return z.Timezone + "|" + strconv.Itoa(z.Hour) }

func parseSlot(slot string) (news.ZoneHour, error) {
	zone, hour, _ := strings.Cut(slot, "|")
	h, err := strconv.Atoi(hour)
	return news.ZoneHour{Timezone: zone, Hour: h}, err
}

func (s *Store) mailboxRowOf(m news.Mailbox, preferenceID string, updated time.Time) mailboxRow {
	m.Address = foldAddress(m.Address)
	r := mailboxRow{ID: m.ID, AddressMAC: s.seal.addressMAC(m.Address), KeyID: s.seal.id,
		Address: s.seal.seal("mailboxes", m.ID, []byte(m.Address)), State: string(m.State),
		wishesRow: wishesRowOf(m.Wishes, preferenceID), Hour: m.Hour,
		Slot: slotOf(news.ZoneHour{Timezone: m.Wishes.Timezone, Hour: m.Hour}), Days: doc(m.Days), Weekly: m.Weekly,
		consentRow: consentRowOf(m.Consent), CreatedAt: at(m.CreatedAt), UpdatedAt: at(updated)}
	if m.SubscriberID != "" {
		r.SubscriberID = &m.SubscriberID
	}
	return r
}

func (s *Store) mailbox(r mailboxRow, p news.Preference) (news.Mailbox, error) {
	m := news.Mailbox{ID: r.ID, State: news.MailboxState(r.State), Wishes: r.wishes(p), Hour: r.Hour, Days: r.Days.V,
		Weekly: r.Weekly, Consent: r.consent(), CreatedAt: r.CreatedAt.Time}
	if r.SubscriberID != nil {
		m.SubscriberID = *r.SubscriberID
	}
	if len(r.Address) == 0 { // wiped
		return m, nil
	}
	address, err := s.seal.open(r.KeyID, "mailboxes", r.ID, r.Address)
	m.Address = string(address)
	return m, err
}

// loadMailbox reads one mailbox; sql.ErrNoRows when it is not there or wiped.
func (s *Store) loadMailbox(ctx context.Context, c conn, condition, lock string, arg any) (news.Mailbox, mailboxRow, error) {
	var r mailboxRow
	if err := c.get(ctx, &r, "SELECT "+mailboxColumns+" FROM mailboxes WHERE "+condition+lock, arg); err != nil {
		return news.Mailbox{}, r, err
	}
	if r.AddressMAC == nil {
		return news.Mailbox{}, r, sql.ErrNoRows
	}
	p, err := s.preference(ctx, c, r.PreferenceID)
	if err != nil {
		return news.Mailbox{}, r, err
	}
	m, err := s.mailbox(r, canonical(p))
	return m, r, err
}

// Mailbox is one mailbox, in any state; news.ErrNotFound once it was wiped.
func (s *Store) Mailbox(ctx context.Context, id string) (news.Mailbox, error) {
	m, _, err := s.loadMailbox(ctx, s.read(), "id = ?", "", id)
	return m, s.fail(err, "Mailbox", id)
}

// ChangeMailbox lets change alter a mailbox; it may be called again and its
// error comes back as it is. A state of left or bounced also suppresses the
// address. Another mailbox's address is news.ErrConflict.
func (s *Store) ChangeMailbox(ctx context.Context, id string, change func(*news.Mailbox) error) (news.Mailbox, error) {
	var out news.Mailbox
	err := s.inTx(ctx, func(c conn) error {
		m, before, err := s.loadMailbox(ctx, c, "id = ?", c.d.forUpdate, id)
		if err != nil {
			return err
		}
		if err := change(&m); err != nil {
			return verdictOf(err)
		}
		m.ID, m.CreatedAt = before.ID, before.CreatedAt.Time
		out, err = s.rewriteMailbox(ctx, c, m, before.PreferenceID)
		return err
	})
	return out, s.fail(err, "ChangeMailbox", id)
}

// rewriteMailbox writes a mailbox as it shall be.
func (s *Store) rewriteMailbox(ctx context.Context, c conn, m news.Mailbox, knownPreference string) (news.Mailbox, error) {
	p, err := s.internChanged(ctx, c, m.Wishes.Preference, knownPreference)
	if err != nil {
		return m, err
	}
	r := s.mailboxRowOf(m, p.id, s.now())
	switch err := c.update(ctx, "mailboxes", mailboxMutable, "id", r); {
	case s.unique(err):
		return m, verdictOf(fmt.Errorf("%w: this address has a mailbox already", news.ErrConflict))
	case err != nil:
		return m, err
	}
	if m.State != news.MailboxActive {
		if err := s.giveUpWaiting(ctx, c, m.ID); err != nil {
			return m, err
		}
	}
	if m.State == news.MailboxLeft || m.State == news.MailboxBounced {
		if err := s.suppress(ctx, c, r.AddressMAC, string(m.State)); err != nil {
			return m, err
		}
	}
	return s.mailbox(r, p.Preference)
}

// suppress keeps an address from being written to; a first reason stays.
func (s *Store) suppress(ctx context.Context, c conn, mac []byte, reason string) error {
	return c.exec(ctx, `INSERT INTO suppressions (address_mac, reason, created_at) VALUES (?, ?, ?)
		ON CONFLICT (address_mac) DO NOTHING`, mac, reason, s.now())
}

// LeaveMailbox ends a digest for good: the address is suppressed until it is
// confirmed anew. d names the mailbox, the way and, if known, the date of the mail
// that its reader left by. It may be called again, and for a mailbox that was wiped.
func (s *Store) LeaveMailbox(ctx context.Context, d news.Departure) error {
	err := s.inTx(ctx, func(c conn) error {
		return s.endMailbox(ctx, c, news.MailReport{Kind: news.ReportLeave, MailboxID: d.MailboxID, LocalDate: d.LocalDate},
			news.MailboxLeft, string(news.MailboxLeft), d.Way)
	})
	return s.fail(err, "LeaveMailbox", d.MailboxID)
}

// errSuppressed is what an import says of somebody who left.
var errSuppressed = fmt.Errorf("%w: this address has left or bounced; it must confirm anew", news.ErrConflict)

// ImportMailboxes stores readers who have confirmed already: a known active
// one is updated, a suppressed one refused. Results as in ImportSubscriptions.
func (s *Store) ImportMailboxes(ctx context.Context, list []news.Mailbox) ([]error, error) {
	faults := make([]error, len(list))
	for start := 0; start < len(list); start += importBatch {
		end, began := min(start+importBatch, len(list)), time.Now()
		err := s.inTx(ctx, func(c conn) error {
			for i := start; i < end; i++ {
				var err error
				if faults[i], err = s.importMailbox(ctx, c, list[i]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return faults, s.fail(err, "ImportMailboxes", strconv.Itoa(start))
		}
		if end < len(list) {
			s.yield(ctx, time.Since(began))
		}
	}
	return faults, nil
}

func (s *Store) importMailbox(ctx context.Context, c conn, m news.Mailbox) (refused, err error) {
	mac := s.seal.addressMAC(m.Address)
	var n int
	if err := c.get(ctx, &n, "SELECT COUNT(*) FROM suppressions WHERE address_mac = ?", mac); err != nil {
		return nil, err
	}
	if n > 0 {
		return errSuppressed, nil
	}
	if m.SubscriberID != "" {
		if err := c.get(ctx, &n, "SELECT COUNT(*) FROM subscribers WHERE id = ?", m.SubscriberID); err != nil {
			return nil, err
		}
		if n == 0 {
			return news.Invalid("subscriber", "is not known"), nil
		}
	}
	_, err = s.putMailbox(ctx, c, m, mac)
	return nil, err
}

// putMailbox makes the address's mailbox what m says, active; the one it has
// keeps its id, and with it its past digests.
func (s *Store) putMailbox(ctx context.Context, c conn, m news.Mailbox, mac []byte) (news.Mailbox, error) {
	known, before, err := s.loadMailbox(ctx, c, "address_mac = ?", c.d.forUpdate, mac)
	m.State = news.MailboxActive
	switch {
	case err == nil:
		m.ID, m.CreatedAt = known.ID, known.CreatedAt
		if m.SubscriberID == "" {
			m.SubscriberID = known.SubscriberID
		}
		return s.rewriteMailbox(ctx, c, m, before.PreferenceID)
	case !errors.Is(err, sql.ErrNoRows):
		return m, err
	}
	m.ID, m.CreatedAt = newID(), s.now()
	p, err := intern(ctx, c, s, m.Wishes.Preference)
	if err != nil {
		return m, err
	}
	r := s.mailboxRowOf(m, p.id, m.CreatedAt)
	if err := c.insert(ctx, "mailboxes", mailboxColumns, r, ""); err != nil {
		if s.unique(err) {
			return m, errAgain
		}
		return m, err
	}
	return s.mailbox(r, p.Preference)
}
