package store

import (
	"context"
	"fmt"

	"dateline/internal/news"
)

// AddPhone keeps a browser that an editor, signed in with the session of the
// hash, wants to be called on; she has at most so many: news.ErrConflict. One
// that is known is hers from now on: whoever signed in last on a device is
// called there.
func (s *Store) AddPhone(ctx context.Context, p news.Phone, most int, session string) error {
	if p.ID == "" {
		p.ID = newID()
	}
	err := s.inTx(ctx, func(c conn) error {
		if err := s.stillIn(ctx, c, p.Editor, session); err != nil {
			return err
		}
		mac := s.seal.endpointMAC(p.Push.Endpoint)
		if err := c.exec(ctx, "DELETE FROM desk_phones WHERE endpoint_mac = ?", mac); err != nil {
			return err
		}
		var have int
		if err := c.get(ctx, &have, "SELECT COUNT(*) FROM desk_phones WHERE editor = ?", p.Editor); err != nil {
			return err
		}
		if have >= most {
			return fmt.Errorf("%w: you are called on %d devices already; remove one first", news.ErrConflict, have)
		}
		if err := c.exec(ctx, `INSERT INTO desk_phones (id, editor, endpoint_mac, key_id, secret, vapid_key_id, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?)`, p.ID, p.Editor, mac, s.seal.id, s.seal.seal("desk_phones", p.ID, packPush(p.Push)),
			s.vapid, s.orNow(at(p.CreatedAt))); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: p.Editor, Action: "phone add", Subject: "editor/" + p.Editor})
	})
	return s.fail(err, "AddPhone", p.Editor)
}

// Phones lists every browser that editors are called on, with the role its
// editor has now, by name. One that subscribed under another VAPID key can't
// be called and is left out.
func (s *Store) Phones(ctx context.Context) ([]news.Phone, error) {
	var rows []struct {
		ID        string `db:"id"`
		Editor    string `db:"editor"`
		Role      string `db:"role"`
		KeyID     string `db:"key_id"`
		Secret    []byte `db:"secret"`
		CreatedAt stamp  `db:"created_at"`
	}
	if err := s.read().sel(ctx, &rows, `SELECT p.id, p.editor, e.role, p.key_id, p.secret, p.created_at FROM desk_phones p
		JOIN editors e ON e.name = p.editor WHERE p.vapid_key_id = ? ORDER BY p.editor, p.created_at, p.id`, s.vapid); err != nil {
		return nil, s.fail(err, "Phones", "")
	}
	out := make([]news.Phone, 0, len(rows))
	for _, r := range rows {
		raw, err := s.seal.open(r.KeyID, "desk_phones", r.ID, r.Secret)
		if err != nil {
			return nil, s.fail(err, "Phones", r.ID)
		}
		push, err := unpackPush(r.ID, raw)
		if err != nil {
			return nil, s.fail(err, "Phones", r.ID)
		}
		out = append(out, news.Phone{ID: r.ID, Editor: r.Editor, Role: news.Role(r.Role), Push: push, CreatedAt: r.CreatedAt.Time})
	}
	return out, nil
}

// RemovePhone forgets one of an editor's browsers; news.ErrNotFound when it is
// not hers.
func (s *Store) RemovePhone(ctx context.Context, editor, id string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.one(ctx, "DELETE FROM desk_phones WHERE id = ? AND editor = ?", id, editor); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: editor, Action: "phone remove", Subject: "editor/" + editor})
	})
	return s.fail(err, "RemovePhone", id)
}

// PhoneGone forgets a browser whose push service does not know it any more.
func (s *Store) PhoneGone(ctx context.Context, id string) error {
	return s.fail(s.write().exec(ctx, "DELETE FROM desk_phones WHERE id = ?", id), "PhoneGone", id)
}
