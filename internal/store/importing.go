package store

import (
	"context"
	"errors"
	"strconv"
	"time"

	"dateline/internal/news"
)

// importBatch new devices or readers a transaction (DESIGN 4: other commands
// write at most 500 rows and yield).
const importBatch = 500

// ImportSubscriptions stores many subscriptions by the rules of
// CreateSubscription, at most 500 in one transaction. The first result is as
// long as the list and holds what was wrong with a line; the second is a fault
// of ours, with an unknown share of the list stored.
func (s *Store) ImportSubscriptions(ctx context.Context, list []news.NewDevice) ([]error, error) {
	faults := make([]error, len(list))
	for start := 0; start < len(list); start += importBatch {
		end, began := min(start+importBatch, len(list)), time.Now()
		if err := s.importChunk(ctx, list[start:end], faults[start:end]); err != nil {
			return faults, s.fail(err, "ImportSubscriptions", strconv.Itoa(start))
		}
		if end < len(list) {
			s.yield(ctx, time.Since(began))
		}
	}
	return faults, nil
}

// yield leaves SQLite's only writer to other processes for a third of the
// time a batch took: they poll for the lock and would starve.
func (s *Store) yield(ctx context.Context, took time.Duration) {
	if s.dialect.forUpdate != "" {
		return // writers do not exclude each other
	}
	select {
	case <-time.After(min(took/3, 25*time.Millisecond)):
	case <-ctx.Done():
	}
}

// importChunk stores the new ones in one transaction, and those whose endpoint
// is known (or stands twice in the list) one by one after that.
func (s *Store) importChunk(ctx context.Context, list []news.NewDevice, faults []error) error {
	macs := make([][]byte, len(list))
	for i, n := range list {
		macs[i] = s.seal.endpointMAC(n.Push.Endpoint)
	}
	var again []int
	err := s.inTx(ctx, func(c conn) error {
		known := map[string]bool{}
		var found [][]byte
		if err := c.selIn(ctx, &found, "SELECT endpoint_mac FROM devices WHERE endpoint_mac IN (?)", macs); err != nil {
			return err
		}
		for _, mac := range found {
			known[string(mac)] = true
		}
		var fresh []int
		again = nil
		for i, mac := range macs {
			if known[string(mac)] {
				again = append(again, i)
				continue
			}
			known[string(mac)] = true
			fresh = append(fresh, i)
		}
		err := s.addDevices(ctx, c, list, macs, fresh)
		if s.unique(err) {
			return errAgain
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, i := range again {
		_, _, err := s.CreateSubscription(ctx, list[i].Push, list[i].Wishes)
		switch {
		case errors.Is(err, news.ErrConflict):
			faults[i] = err
		case err != nil:
			return err
		}
	}
	return nil
}

// addDevices is addDevice for many.
func (s *Store) addDevices(ctx context.Context, c conn, list []news.NewDevice, macs [][]byte, which []int) error {
	forms := make(map[int]preference, len(which))
	bodies := map[string]string{}
	perCell := map[int]int{}
	for _, i := range which {
		form, err := internForm(list[i].Wishes.Preference)
		if err != nil {
			return err
		}
		forms[i], bodies[form.id] = form, form.body
		perCell[homeCell(macs[i])]++
	}
	now := at(s.now())
	if err := insertPreferences(ctx, c, bodies, now); err != nil {
		return err
	}
	subscribers := make(map[int]string, len(which))
	for _, chunk := range chunks(which, 100) {
		args := make([]any, 0, len(chunk)*14)
		for _, i := range chunk {
			subscribers[i] = newID()
			w := wishesRowOf(list[i].Wishes, forms[i].id)
			args = append(args, subscribers[i], w.PreferenceID, w.Language, w.OnlyLanguage, w.Timezone, w.QuietFrom,
				w.QuietTo, w.QuietFlash, w.Cap, w.PausedUntil, w.MutedStories, w.OverStories, now, now)
		}
		if err := c.exec(ctx, "INSERT INTO subscribers ("+subscriberColumns+") VALUES "+marks(len(chunk), 14), args...); err != nil {
			return err
		}
	}
	turns, err := takeTurns(ctx, c, perCell, perCell)
	if err != nil {
		return err
	}
	for _, chunk := range chunks(which, 100) {
		args := make([]any, 0, len(chunk)*14)
		for _, i := range chunk {
			cell, id := homeCell(macs[i]), newID()
			args = append(args, cell, int64(turns[cell].nextNumber()), id, subscribers[i], string(news.DeviceActive),
				turns[cell].next(), macs[i], s.seal.id, s.seal.sealPush(id, list[i].Push), s.vapid, now, now, nil, nil)
		}
		if err := c.exec(ctx, "INSERT INTO devices ("+deviceColumns+") VALUES "+marks(len(chunk), 14), args...); err != nil {
			return err
		}
	}
	return nil
}

// insertPreferences interns many, in the order of their ids so that two
// imports do not wait for each other crosswise.
func insertPreferences(ctx context.Context, c conn, bodies map[string]string, now stamp) error {
	for _, chunk := range chunks(sortedKeys(bodies), 200) {
		args := make([]any, 0, len(chunk)*3)
		for _, id := range chunk {
			args = append(args, id, bodies[id], now)
		}
		if err := c.exec(ctx, "INSERT INTO preferences (id, body, created_at) VALUES "+marks(len(chunk), 3)+
			" ON CONFLICT (id) DO NOTHING", args...); err != nil {
			return err
		}
	}
	return nil
}
