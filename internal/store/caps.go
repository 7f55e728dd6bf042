package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"time"

	"dateline/internal/news"
)

type capRow struct {
	Level int `db:"level"`
	Hour  int `db:"per_hour"`
	Day   int `db:"per_day"`
}

// Caps are the newsroom's caps.
func (s *Store) Caps(ctx context.Context) (news.Caps, error) {
	var rows []capRow
	err := s.read().sel(ctx, &rows, "SELECT level, per_hour, per_day FROM caps")
	out := news.Caps{}
	for _, r := range rows {
		out[news.Level(r.Level)] = news.Cap{Hour: r.Hour, Day: r.Day}
	}
	return out, s.fail(err, "Caps", "")
}

// SetCaps changes the caps of the levels given, and says so in the audit trail.
func (s *Store) SetCaps(ctx context.Context, caps news.Caps, by string) error {
	return s.fail(s.putCaps(ctx, caps, by, ""), "SetCaps", by)
}

// InitCaps sets caps that nobody has set yet: the configuration's first value,
// which never overrules the chief's.
func (s *Store) InitCaps(ctx context.Context, caps news.Caps) error {
	return s.fail(s.putCaps(ctx, caps, news.SystemName, " AND set_by = ''"), "InitCaps", "")
}

func (s *Store) putCaps(ctx context.Context, caps news.Caps, by, condition string) error {
	return s.inTx(ctx, func(c conn) error {
		// All levels before the trail: a release holds its level's row when it
		// comes to that.
		var entries []news.AuditEntry
		for _, level := range sortedKeys(caps) {
			if by == news.SystemName && caps[level].None() {
				continue // as it is from the first migration on
			}
			var before capRow
			if err := c.get(ctx, &before, "SELECT level, per_hour, per_day FROM caps WHERE level = ?"+c.d.forUpdate, int(level)); err != nil {
				return err
			}
			n, err := c.count(ctx, "UPDATE caps SET per_hour = ?, per_day = ?, set_by = ?, set_at = ? WHERE level = ?"+condition,
				caps[level].Hour, caps[level].Day, by, s.now(), int(level))
			if err != nil {
				return err
			}
			if n > 0 && (news.Cap{Hour: before.Hour, Day: before.Day}) != caps[level] {
				entries = append(entries, news.AuditEntry{By: by, Action: "cap", Subject: "cap/" + level.String(), Detail: caps[level].String()})
			}
		}
		for _, entry := range entries {
			if err := s.audit(ctx, c, entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// Room is what a level's cap leaves at this moment, to be shown.
func (s *Store) Room(ctx context.Context, level news.Level) (news.Room, error) {
	room, err := s.room(ctx, s.read(), level, "")
	return room, s.fail(err, "Room", level.String())
}

// lockRoom is Room for a transaction that releases: until it ends, no other
// release of the level is counted or made.
func (s *Store) lockRoom(ctx context.Context, c conn, level news.Level) (news.Room, error) {
	return s.room(ctx, c, level, c.d.forUpdate)
}

// room counts what was released and not undone in its countdown. An alert that
// waits for an embargo counts from the press.
func (s *Store) room(ctx context.Context, c conn, level news.Level, lock string) (news.Room, error) {
	var r capRow
	err := c.get(ctx, &r, "SELECT level, per_hour, per_day FROM caps WHERE level = ?"+lock, int(level))
	if errors.Is(err, sql.ErrNoRows) { // a level without a cap
		return news.Room{}, nil
	}
	if err != nil {
		return news.Room{}, err
	}
	var at []stamp
	if err := c.sel(ctx, &at, `SELECT released_at FROM alerts WHERE level = ? AND released_at > ?
		AND (revision > 0 OR state = ?)`, int(level), s.now().Add(-news.RoomWindow), string(news.AlertHolding)); err != nil {
		return news.Room{}, err
	}
	room := news.Room{Cap: news.Cap{Hour: r.Hour, Day: r.Day}, At: convert(at, func(t stamp) time.Time { return t.Time })}
	slices.SortFunc(room.At, time.Time.Compare)
	return room, nil
}
