package store

import (
	"context"
	"crypto/subtle"
	"database/sql"
	"errors"
	"fmt"
	"reflect"

	"dateline/internal/news"
)

// errWiped: there is nothing to find any more, and whoever asks is to know that
// it was not us who lost it.
var errWiped = fmt.Errorf("it was wiped: %w", sql.ErrNoRows)

const subscriberColumns = "id, " + wishesColumns + ", created_at, updated_at"

type subscriberRow struct {
	ID string `db:"id"`
	wishesRow
	CreatedAt stamp `db:"created_at"`
	UpdatedAt stamp `db:"updated_at"`
}

// errOtherAuth: who hands over an endpoint must prove with its auth that the
// browser is hers.
var errOtherAuth = fmt.Errorf("%w: this endpoint is subscribed with another key", news.ErrConflict)

// CreateSubscription stores a browser's subscription and its reader's wishes.
// An endpoint that is known with the same auth is updated (created is false),
// also after it had left or was gone: it keeps its number and its subscriber,
// whose other devices get the new wishes too. With another auth the error is
// news.ErrConflict.
func (s *Store) CreateSubscription(ctx context.Context, push news.PushSubscription, w news.Wishes) (dev news.Device, created bool, err error) {
	mac := s.seal.endpointMAC(push.Endpoint)
	err = s.inTx(ctx, func(c conn) error {
		r, err := deviceByMAC(ctx, c, mac)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			created = true
			dev, err = s.addDevice(ctx, c, push, w, mac)
			if s.unique(err) {
				return errAgain // somebody subscribed the same endpoint just now
			}
			return err
		case err != nil:
			return err
		}
		created = false
		dev, err = s.renewDevice(ctx, c, r, push, w)
		return err
	})
	return dev, created, s.fail(err, "CreateSubscription", dev.ID)
}

func deviceByMAC(ctx context.Context, c conn, mac []byte) (deviceRow, error) {
	var r deviceRow
	err := c.get(ctx, &r, "SELECT "+deviceColumns+" FROM devices WHERE endpoint_mac = ?", mac)
	return r, err
}

// homeCell is where a new device is born: by the keyed hash of its endpoint,
// so that nobody outside can aim at a cell.
func homeCell(mac []byte) int { return int(mac[0]) % news.Cells }

// addDevice stores a device that is new, with a subscriber of its own.
func (s *Store) addDevice(ctx context.Context, c conn, push news.PushSubscription, w news.Wishes, mac []byte) (news.Device, error) {
	p, err := intern(ctx, c, s, w.Preference)
	if err != nil {
		return news.Device{}, err
	}
	now, subscriber := at(s.now()), newID()
	row := subscriberRow{ID: subscriber, wishesRow: wishesRowOf(w, p.id), CreatedAt: now, UpdatedAt: now}
	if err := c.insert(ctx, "subscribers", subscriberColumns, row, ""); err != nil {
		return news.Device{}, err
	}
	cell := homeCell(mac)
	turns, err := takeTurns(ctx, c, map[int]int{cell: 1}, map[int]int{cell: 1})
	if err != nil {
		return news.Device{}, err
	}
	id := newID()
	r := deviceRow{Cell: cell, Number: int64(turns[cell].nextNumber()), ID: id, SubscriberID: &subscriber,
		State: string(news.DeviceActive), Change: turns[cell].next(), EndpointMAC: mac, KeyID: s.seal.id,
		Secret: s.seal.sealPush(id, push), VAPIDKeyID: s.vapid, CreatedAt: now, UpdatedAt: now}
	if err := c.insert(ctx, "devices", deviceColumns, r, ""); err != nil {
		return news.Device{}, err
	}
	return s.device(r, row.wishes(p.Preference), p.id)
}

// renewDevice updates a device that is known by its endpoint.
func (s *Store) renewDevice(ctx context.Context, c conn, r deviceRow, push news.PushSubscription, w news.Wishes) (news.Device, error) {
	known, err := s.seal.openPush(r.KeyID, r.ID, r.Secret)
	if err != nil {
		return news.Device{}, err
	}
	if subtle.ConstantTimeCompare(known.Auth, push.Auth) != 1 {
		return news.Device{}, verdictOf(errOtherAuth)
	}
	return s.changeDevice(ctx, c, r.ID, func(d *news.Device) error {
		d.Push, d.Wishes, d.State = push, w, news.DeviceActive
		return nil
	})
}

// Subscription is one device with its wishes, in any state; news.ErrNotFound
// once it was wiped, and then news.ErrGone too.
func (s *Store) Subscription(ctx context.Context, id string) (news.Device, error) {
	_, d, err := s.loadDevice(ctx, s.read(), id, false)
	return d, s.fail(err, "Subscription", id)
}

// loadDevice reads a device and its subscriber; lock holds the subscriber.
func (s *Store) loadDevice(ctx context.Context, c conn, id string, lock bool) (deviceRow, news.Device, error) {
	var owner *string
	if err := c.get(ctx, &owner, "SELECT subscriber_id FROM devices WHERE id = ?", id); err != nil {
		return deviceRow{}, news.Device{}, err
	}
	if owner == nil {
		return deviceRow{}, news.Device{}, errWiped
	}
	query := "SELECT " + subscriberColumns + " FROM subscribers WHERE id = ?"
	if lock {
		query += c.d.forUpdate
	}
	var sub subscriberRow
	if err := c.get(ctx, &sub, query, *owner); err != nil {
		return deviceRow{}, news.Device{}, err
	}
	var r deviceRow
	if err := c.get(ctx, &r, "SELECT "+deviceColumns+" FROM devices WHERE id = ?", id); err != nil {
		return deviceRow{}, news.Device{}, err
	}
	p, err := s.preference(ctx, c, sub.PreferenceID)
	if err != nil {
		return deviceRow{}, news.Device{}, err
	}
	d, err := s.device(r, sub.wishes(canonical(p)), sub.PreferenceID)
	return r, d, err
}

// ChangeSubscription lets change alter a device's Push, State and Wishes.
// Wishes are the subscriber's: all its devices follow. change's error comes
// back as it is; it may be called again. Another device's endpoint is
// news.ErrConflict.
func (s *Store) ChangeSubscription(ctx context.Context, id string, change func(*news.Device) error) (news.Device, error) {
	var out news.Device
	err := s.inTx(ctx, func(c conn) error {
		var err error
		out, err = s.changeDevice(ctx, c, id, change)
		return err
	})
	return out, s.fail(err, "ChangeSubscription", id)
}

func (s *Store) changeDevice(ctx context.Context, c conn, id string, change func(*news.Device) error) (news.Device, error) {
	r, before, err := s.loadDevice(ctx, c, id, true)
	if err != nil {
		return news.Device{}, err
	}
	d := before
	d.Wishes.Preference = canonical(before.Wishes.Preference) // a copy: the callback may change it
	if err := change(&d); err != nil {
		return news.Device{}, verdictOf(err)
	}
	// The order of locks: the subscriber is held; then preference, then cells.
	p, err := s.internChanged(ctx, c, d.Wishes.Preference, before.PreferenceID)
	if err != nil {
		return news.Device{}, err
	}
	wishes := wishesRowOf(d.Wishes, p.id)
	wishesChanged := !reflect.DeepEqual(wishes, wishesRowOf(before.Wishes, before.PreferenceID))
	if !wishesChanged && reflect.DeepEqual(d.Push, before.Push) && d.State == before.State {
		return before, nil
	}
	if wishesChanged {
		row := subscriberRow{ID: before.SubscriberID, wishesRow: wishes, UpdatedAt: at(s.now())}
		if err := c.update(ctx, "subscribers", wishesColumns+", updated_at", "id", row); err != nil {
			return news.Device{}, err
		}
	}
	if err := s.stampDevices(ctx, c, &r, wishesChanged); err != nil {
		return news.Device{}, err
	}
	if err := s.rewriteDevice(ctx, c, &r, before, d); err != nil {
		return news.Device{}, err
	}
	return s.device(r, wishes.wishes(p.Preference), p.id)
}

// stampDevices gives the device, or all devices of its subscriber, a new
// change; r.Change becomes the device's own.
func (s *Store) stampDevices(ctx context.Context, c conn, r *deviceRow, all bool) error {
	type place struct {
		Cell   int    `db:"cell"`
		Number int64  `db:"number"`
		ID     string `db:"id"`
	}
	places := []place{{r.Cell, r.Number, r.ID}}
	if all {
		places = nil
		if err := c.sel(ctx, &places, "SELECT cell, number, id FROM devices WHERE subscriber_id = ? ORDER BY cell, number",
			*r.SubscriberID); err != nil {
			return err
		}
	}
	changed := map[int]int{}
	for _, p := range places {
		changed[p.Cell]++
	}
	turns, err := takeTurns(ctx, c, nil, changed)
	if err != nil {
		return err
	}
	var now int64
	if err := c.get(ctx, &now, "SELECT change FROM devices WHERE cell = ? AND number = ?", r.Cell, r.Number); err != nil {
		return err
	}
	if now != r.Change {
		return errAgain // it became gone between our reading and the cell's lock
	}
	for _, p := range places {
		change := turns[p.Cell].next()
		if p.ID == r.ID {
			r.Change = change
		}
		if err := c.exec(ctx, "UPDATE devices SET change = ? WHERE cell = ? AND number = ?", change, p.Cell, p.Number); err != nil {
			return err
		}
	}
	return nil
}

// rewriteDevice writes what a change made of one device.
func (s *Store) rewriteDevice(ctx context.Context, c conn, r *deviceRow, before, d news.Device) error {
	now := at(s.now())
	r.State, r.UpdatedAt = string(d.State), now
	if d.Push.Endpoint != before.Push.Endpoint {
		r.EndpointMAC, r.EndpointChangedAt = s.seal.endpointMAC(d.Push.Endpoint), now
	}
	if !reflect.DeepEqual(d.Push, before.Push) {
		r.KeyID, r.Secret, r.VAPIDKeyID = s.seal.id, s.seal.sealPush(r.ID, d.Push), s.vapid
	}
	switch {
	case d.State == news.DeviceActive:
		r.GoneAt = stamp{}
	case d.State != before.State:
		r.GoneAt = now
	}
	err := c.update(ctx, "devices", "state, endpoint_mac, key_id, secret, vapid_key_id, updated_at, gone_at, endpoint_changed_at",
		"cell, number", *r)
	if s.unique(err) {
		return verdictOf(fmt.Errorf("%w: this endpoint belongs to another device", news.ErrConflict))
	}
	return err
}

// Leave takes a device out for good. It may be called again, and for a device
// that was wiped or never existed.
func (s *Store) Leave(ctx context.Context, id string) error {
	err := s.inTx(ctx, func(c conn) error {
		_, err := s.changeDevice(ctx, c, id, func(d *news.Device) error {
			d.State = news.DeviceLeft
			return nil
		})
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return s.fail(err, "Leave", id)
}
