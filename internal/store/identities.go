package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

// Identities lists the accounts at OpenID providers that open the desk for an
// editor.
func (s *Store) Identities(ctx context.Context, editor string) ([]news.Identity, error) {
	var rows []struct {
		Issuer    string `db:"issuer"`
		Subject   string `db:"subject"`
		CreatedAt stamp  `db:"created_at"`
	}
	err := s.read().sel(ctx, &rows, "SELECT issuer, subject, created_at FROM identities WHERE editor = ? ORDER BY issuer", editor)
	out := make([]news.Identity, len(rows))
	for i, r := range rows {
		out[i] = news.Identity{Issuer: r.Issuer, Subject: r.Subject, Editor: editor, CreatedAt: r.CreatedAt.Time}
	}
	return out, s.fail(err, "Identities", editor)
}

// AddIdentity links an account at a provider to an editor who is signed in with
// the session of the hash. An account is one editor's, and she has one with
// each provider: news.ErrConflict.
func (s *Store) AddIdentity(ctx context.Context, i news.Identity, session string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := s.stillIn(ctx, c, i.Editor, session); err != nil {
			return err
		}
		if err := c.exec(ctx, "INSERT INTO identities (issuer, subject, editor, created_at) VALUES (?, ?, ?, ?)",
			i.Issuer, i.Subject, i.Editor, s.now()); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: i.Editor, Action: "identity add", Subject: "editor/" + i.Editor, Detail: i.Issuer})
	})
	if s.unique(err) {
		err = fmt.Errorf("%w: this account opens the desk for somebody already, or you have linked another one", news.ErrConflict)
	}
	return s.fail(err, "AddIdentity", i.Editor)
}

// RemoveIdentity ends the link with a provider; news.ErrNotFound when there is
// none.
func (s *Store) RemoveIdentity(ctx context.Context, editor, issuer string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.one(ctx, "DELETE FROM identities WHERE editor = ? AND issuer = ?", editor, issuer); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: editor, Action: "identity remove", Subject: "editor/" + editor, Detail: issuer})
	})
	return s.fail(err, "RemoveIdentity", editor)
}

// SignInByIdentity begins a session, by the hash of its cookie, of the editor
// whose account at the provider it is; news.ErrNotFound when it is nobody's.
func (s *Store) SignInByIdentity(ctx context.Context, issuer, subject, hash string, expires time.Time) (editor string, err error) {
	err = s.inTx(ctx, func(c conn) error {
		find := func(lock string) error {
			return c.get(ctx, &editor, "SELECT editor FROM identities WHERE issuer = ? AND subject = ?"+lock, issuer, subject)
		}
		if err := find(""); err != nil {
			return err
		}
		if err := holdEditor(ctx, c, editor); err != nil {
			return err
		}
		// The account first, as a Join does; then the link again, which it may
		// have ended.
		if err := c.exec(ctx, "UPDATE accounts SET signed_in_at = ? WHERE editor = ?", s.now(), editor); err != nil {
			return err
		}
		if err := find(c.d.forUpdate); err != nil {
			return err
		}
		return s.begin(ctx, c, editor, hash, expires, "through "+issuer)
	})
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: this account opens the desk for nobody", news.ErrNotFound)
	}
	return editor, s.fail(err, "SignInByIdentity", editor)
}
