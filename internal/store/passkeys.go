package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

// passkeyRow is one row of passkeys.
type passkeyRow struct {
	ID         string `db:"id"`
	Editor     string `db:"editor"`
	Name       string `db:"name"`
	Credential string `db:"credential"`
	Counter    int64  `db:"counter"`
	CreatedAt  stamp  `db:"created_at"`
	UsedAt     stamp  `db:"used_at"`
}

const passkeyColumns = "id, editor, name, credential, counter, created_at, used_at" //nolint:gosec // names of columns

func (r passkeyRow) passkey() news.Passkey {
	return news.Passkey{ID: r.ID, Editor: r.Editor, Name: r.Name, Credential: []byte(r.Credential),
		Counter: uint32(r.Counter), CreatedAt: r.CreatedAt.Time, UsedAt: r.UsedAt.Time}
}

// Passkeys lists an editor's passkeys, oldest first.
func (s *Store) Passkeys(ctx context.Context, editor string) ([]news.Passkey, error) {
	var rows []passkeyRow
	err := s.read().sel(ctx, &rows, "SELECT "+passkeyColumns+" FROM passkeys WHERE editor = ? ORDER BY created_at, id", editor)
	return convert(rows, passkeyRow.passkey), s.fail(err, "Passkeys", editor)
}

// Passkey finds a passkey by its credential's id; news.ErrNotFound when nobody
// has it.
func (s *Store) Passkey(ctx context.Context, id string) (news.Passkey, error) {
	var r passkeyRow
	err := s.read().get(ctx, &r, "SELECT "+passkeyColumns+" FROM passkeys WHERE id = ?", id)
	return r.passkey(), s.fail(err, "Passkey", id)
}

// AddPasskey keeps a new passkey of an editor who is signed in with the session
// of the hash. An editor has at most so many; a credential is one editor's:
// news.ErrConflict.
func (s *Store) AddPasskey(ctx context.Context, p news.Passkey, most int, session string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := s.stillIn(ctx, c, p.Editor, session); err != nil {
			return err
		}
		var have int
		if err := c.get(ctx, &have, "SELECT COUNT(*) FROM passkeys WHERE editor = ?", p.Editor); err != nil {
			return err
		}
		if have >= most {
			return fmt.Errorf("%w: there are %d passkeys already; remove one that is not used", news.ErrConflict, have)
		}
		row := passkeyRow{ID: p.ID, Editor: p.Editor, Name: p.Name, Credential: string(p.Credential), Counter: int64(p.Counter), CreatedAt: at(s.now())}
		if err := c.insert(ctx, "passkeys", passkeyColumns, row, ""); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: p.Editor, Action: "passkey add", Subject: "editor/" + p.Editor, Detail: p.Name})
	})
	if s.unique(err) {
		err = fmt.Errorf("%w: this passkey is known already", news.ErrConflict)
	}
	return s.fail(err, "AddPasskey", p.Editor)
}

// stillIn locks the editor's account, as a Join does, and sees that the session
// goes on, also until the transaction ends: what a person adds who was signed
// out meanwhile must not stay.
func (s *Store) stillIn(ctx context.Context, c conn, editor, session string) error {
	if err := holdEditor(ctx, c, editor); err != nil {
		return err
	}
	var name string
	err := c.get(ctx, &name, "SELECT editor FROM accounts WHERE editor = ?"+c.d.forUpdate, editor)
	if err == nil {
		err = c.get(ctx, &name, "SELECT editor FROM sessions WHERE hash = ? AND editor = ? AND expires_at > ?"+c.d.forShare, session, editor, s.now())
	}
	if errors.Is(err, sql.ErrNoRows) {
		return news.ErrUnknownKey
	}
	return err
}

// RemovePasskey ends a passkey of an editor; news.ErrNotFound when she has none
// of this id.
func (s *Store) RemovePasskey(ctx context.Context, editor, id string) error {
	err := s.inTx(ctx, func(c conn) error {
		var name string
		if err := c.get(ctx, &name, "SELECT name FROM passkeys WHERE id = ? AND editor = ?"+c.d.forUpdate, id, editor); err != nil {
			return err
		}
		if err := c.one(ctx, "DELETE FROM passkeys WHERE id = ?", id); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: editor, Action: "passkey remove", Subject: "editor/" + editor, Detail: name})
	})
	return s.fail(err, "RemovePasskey", editor)
}

// SignInByPasskey begins a session, by the hash of its cookie, with a passkey
// as the sign-in leaves it. news.ErrConflict when it was removed meanwhile, or
// its counter is not above the one that is kept.
func (s *Store) SignInByPasskey(ctx context.Context, p news.Passkey, hash string, expires time.Time) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := holdEditor(ctx, c, p.Editor); err != nil {
			return err
		}
		if err := c.exec(ctx, "UPDATE accounts SET signed_in_at = ? WHERE editor = ?", s.now(), p.Editor); err != nil {
			return err // the lock that a Join takes first
		}
		n, err := c.count(ctx, `UPDATE passkeys SET credential = ?, counter = ?, used_at = ?
			WHERE id = ? AND editor = ? AND (counter < ? OR counter = 0 AND ? = 0)`,
			string(p.Credential), int64(p.Counter), s.now(), p.ID, p.Editor, int64(p.Counter), int64(p.Counter))
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: this passkey was removed, or its counter went back", news.ErrConflict)
		}
		return s.begin(ctx, c, p.Editor, hash, expires, "passkey "+p.Name)
	})
	return s.fail(err, "SignInByPasskey", p.Editor)
}

// BeginCeremony keeps what a browser will come back with, by the hash of its
// challenge or state, and forgets those that nobody came back for.
func (s *Store) BeginCeremony(ctx context.Context, hash string, m news.Ceremony) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.exec(ctx, "DELETE FROM ceremonies WHERE expires_at <= ?", s.now()); err != nil {
			return err
		}
		return c.exec(ctx, "INSERT INTO ceremonies (hash, purpose, editor, detail, expires_at) VALUES (?, ?, ?, ?, ?)",
			hash, m.Purpose, m.Editor, m.Detail, micro(m.ExpiresAt))
	})
	return s.fail(err, "BeginCeremony", m.Purpose)
}

// TakeCeremony gives what was begun, once; news.ErrGone for what was taken, has
// expired, or was begun for another purpose.
func (s *Store) TakeCeremony(ctx context.Context, hash, purpose string) (news.Ceremony, error) {
	var m news.Ceremony
	err := s.inTx(ctx, func(c conn) error {
		var r struct {
			Editor    string `db:"editor"`
			Detail    string `db:"detail"`
			ExpiresAt stamp  `db:"expires_at"`
		}
		err := c.get(ctx, &r, "SELECT editor, detail, expires_at FROM ceremonies WHERE hash = ? AND purpose = ? AND expires_at > ?"+c.d.forUpdate,
			hash, purpose, s.now())
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("%w: this sign-in was used already or waited too long; begin again", news.ErrGone)
		}
		if err != nil {
			return err
		}
		m = news.Ceremony{Purpose: purpose, Editor: r.Editor, Detail: r.Detail, ExpiresAt: r.ExpiresAt.Time}
		return c.one(ctx, "DELETE FROM ceremonies WHERE hash = ?", hash)
	})
	return m, s.fail(err, "TakeCeremony", purpose)
}
