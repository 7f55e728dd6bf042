package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"dateline/internal/news"
)

// WipeDevice forgets the person behind a device: wishes, endpoints and keys.
// What stays are numbers (never given again) and ledger entries by number. A
// mailbox that was joined is parted and stays: its owner alone may wipe it. It
// may be called again.
func (s *Store) WipeDevice(ctx context.Context, deviceID string) error {
	err := s.inTx(ctx, func(c conn) error { return s.wipeDevice(ctx, c, deviceID) })
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return s.fail(err, "WipeDevice", deviceID)
}

func (s *Store) wipeDevice(ctx context.Context, c conn, deviceID string) error {
	r, d, err := s.loadDevice(ctx, c, deviceID, true)
	if err != nil {
		return err
	}
	now := s.now()
	if err := c.exec(ctx, "UPDATE mailboxes SET subscriber_id = NULL, updated_at = ? WHERE subscriber_id = ?", now, d.SubscriberID); err != nil {
		return err
	}
	if err := c.exec(ctx, "UPDATE digest_signups SET subscriber_id = '', device_label = '' WHERE subscriber_id = ?", d.SubscriberID); err != nil {
		return err
	}
	if err := s.stampDevices(ctx, c, &r, true); err != nil {
		return err
	}
	if err := c.exec(ctx, `UPDATE devices SET state = 'left', subscriber_id = NULL, endpoint_mac = NULL, secret = ?,
		vapid_key_id = '', gone_at = ?, updated_at = ? WHERE subscriber_id = ?`, []byte{}, now, now, d.SubscriberID); err != nil {
		return err
	}
	return c.exec(ctx, "DELETE FROM subscribers WHERE id = ?", d.SubscriberID)
}

// WipeMailbox forgets the person behind a mailbox, and with her the devices that
// were joined to it. What stays is the suppression of the address, by its keyed
// hash, so that neither an import nor a stranger's sign-up brings the digest
// back; and that a mail went out on a date. It may be called again.
func (s *Store) WipeMailbox(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(c conn) error {
		var rows []mailboxRow
		if err := c.sel(ctx, &rows, "SELECT "+mailboxColumns+" FROM mailboxes WHERE id = ?"+c.d.forUpdate, id); err != nil {
			return err
		}
		if len(rows) == 0 || rows[0].AddressMAC == nil {
			return nil
		}
		if subscriber := rows[0].SubscriberID; subscriber != nil {
			var device string
			err := c.get(ctx, &device, "SELECT id FROM devices WHERE subscriber_id = ? ORDER BY cell, number LIMIT 1", *subscriber)
			if err == nil {
				err = s.wipeDevice(ctx, c, device)
			}
			if err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
		}
		if err := c.exec(ctx, "DELETE FROM digest_signups WHERE address_mac = ? OR mailbox_id = ?", rows[0].AddressMAC, id); err != nil {
			return err
		}
		return s.blank(ctx, c, rows)
	})
	return s.fail(err, "WipeMailbox", id)
}

// blank takes everything personal out of mailboxes and suppresses their
// addresses.
func (s *Store) blank(ctx context.Context, c conn, rows []mailboxRow) error {
	for _, r := range rows {
		if err := s.suppress(ctx, c, r.AddressMAC, string(news.MailboxLeft)); err != nil {
			return err
		}
		anywhere, err := intern(ctx, c, s, news.Preference{Regions: []string{"001"}})
		if err != nil {
			return err
		}
		if err := c.exec(ctx, `UPDATE mailboxes SET state = 'left', subscriber_id = NULL, address_mac = NULL, address = ?, key_id = '',
			preference_id = ?, language = '', only_language = FALSE, timezone = '', quiet_from = NULL, quiet_to = NULL, quiet_flash = NULL,
			cap = 0, paused_until = NULL, muted_stories = 'null', over_stories = 'null', hour = 0, slot = '', days = '[]', weekly = FALSE,
			consent_text = '', consent_source = '', consent_requested_at = NULL, consent_confirmed_at = NULL, consent_client_hash = '',
			updated_at = ? WHERE id = ?`, []byte{}, anywhere.id, s.now(), r.ID); err != nil {
			return err
		}
		if err := s.giveUpWaiting(ctx, c, r.ID); err != nil {
			return err
		}
		if err := c.exec(ctx, "UPDATE digest_mails SET stories = 'null', repairs = 'null', reply = '', message_id = '' WHERE mailbox_id = ?", r.ID); err != nil {
			return err
		}
		if err := c.exec(ctx, "DELETE FROM mail_reports WHERE mailbox_id = ?", r.ID); err != nil {
			return err
		}
	}
	return nil
}

// DevicesOf lists a subscriber's devices that have not left.
func (s *Store) DevicesOf(ctx context.Context, subscriberID string) ([]news.Device, error) {
	var ids []string
	out := []news.Device{}
	if err := s.read().sel(ctx, &ids, "SELECT id FROM devices WHERE subscriber_id = ? AND state <> 'left' ORDER BY created_at, id", subscriberID); err != nil {
		return nil, s.fail(err, "DevicesOf", "")
	}
	for _, id := range ids {
		_, d, err := s.loadDevice(ctx, s.read(), id, false)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, s.fail(err, "DevicesOf", id)
		}
		if err == nil {
			out = append(out, d)
		}
	}
	return out, nil
}

// MailboxesOf lists the mailboxes joined to a subscriber that have not left.
func (s *Store) MailboxesOf(ctx context.Context, subscriberID string) ([]news.Mailbox, error) {
	var ids []string
	if err := s.read().sel(ctx, &ids, "SELECT id FROM mailboxes WHERE subscriber_id = ? AND state <> 'left' ORDER BY created_at, id", subscriberID); err != nil {
		return nil, s.fail(err, "MailboxesOf", "")
	}
	var out []news.Mailbox
	for _, id := range ids {
		m, _, err := s.loadMailbox(ctx, s.read(), "id = ?", "", id)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, s.fail(err, "MailboxesOf", id)
		}
		if err == nil {
			out = append(out, m)
		}
	}
	return out, nil
}

// DeviceRecord is everything that is kept of a device; news.ErrNotFound once it
// was wiped.
func (s *Store) DeviceRecord(ctx context.Context, id string) (news.DeviceRecord, error) {
	_, d, err := s.loadDevice(ctx, s.read(), id, false)
	if err != nil {
		return news.DeviceRecord{}, s.fail(err, "DeviceRecord", id)
	}
	record := news.DeviceRecord{Device: d}
	if record.Sent, err = s.sentTo(ctx, map[int][]devicePlace{d.Cell: {{d.SubscriberID, d.Cell, int64(d.Number)}}}, d.CreatedAt, time.Time{}, 0); err != nil {
		return record, s.fail(err, "DeviceRecord", id)
	}
	var rows []struct {
		AlertID  string `db:"alert_id"`
		Revision int    `db:"revision"`
		Kind     string `db:"kind"`
		At       stamp  `db:"received_at"`
	}
	err = s.read().sel(ctx, &rows, `SELECT alert_id, revision, kind, received_at FROM receipts WHERE cell = ? AND number = ?
		ORDER BY received_at, kind`, d.Cell, d.Number)
	for _, r := range rows {
		record.Receipts = append(record.Receipts, news.StoredReceipt{At: r.At.Time, DeviceReceipt: news.DeviceReceipt{AlertID: r.AlertID,
			Revision: r.Revision, Kind: r.Kind, Device: news.DeviceRef{Cell: d.Cell, Number: d.Number}}})
	}
	return record, s.fail(err, "DeviceRecord", id)
}

// MailboxRecord is everything that is kept of a mailbox and of the devices joined
// to it; news.ErrNotFound once it was wiped.
func (s *Store) MailboxRecord(ctx context.Context, id string) (news.MailboxRecord, error) {
	m, row, err := s.loadMailbox(ctx, s.read(), "id = ?", "", id)
	if err != nil {
		return news.MailboxRecord{}, s.fail(err, "MailboxRecord", id)
	}
	record := news.MailboxRecord{Mailbox: m}
	var signups []signupRow
	if err := s.read().sel(ctx, &signups, "SELECT "+signupColumns+" FROM digest_signups WHERE address_mac = ? OR mailbox_id = ? ORDER BY created_at, id",
		row.AddressMAC, id); err != nil {
		return record, s.fail(err, "MailboxRecord", id)
	}
	for _, r := range signups {
		d, err := s.signup(r)
		if err != nil {
			return record, s.fail(err, "MailboxRecord", r.ID)
		}
		record.Signups = append(record.Signups, d)
	}
	if record.Mails, err = s.Digests(ctx, id); err != nil || m.SubscriberID == "" {
		return record, err
	}
	devices, err := s.DevicesOf(ctx, m.SubscriberID)
	for _, d := range devices {
		one, err := s.DeviceRecord(ctx, d.ID)
		if err != nil {
			return record, err
		}
		record.Devices = append(record.Devices, one)
	}
	return record, err
}
