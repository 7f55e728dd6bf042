package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

// Invite opens an editor's invitation, by the hash of its token; an earlier
// one is void. The editor must exist, else news.ErrNotFound. by is who invites.
func (s *Store) Invite(ctx context.Context, editor, hash string, expires time.Time, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.exec(ctx, `INSERT INTO invitations (editor, hash, expires_at) VALUES (?, ?, ?)
			ON CONFLICT (editor) DO UPDATE SET hash = excluded.hash, expires_at = excluded.expires_at`,
			editor, hash, micro(expires)); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "editor invite", Subject: "editor/" + editor})
	})
	if s.foreign(err) {
		err = fmt.Errorf("%w: there is no editor %s", news.ErrNotFound, editor)
	}
	return s.fail(err, "Invite", editor)
}

// Invited is whose open invitation the hash is; news.ErrGone when it was used,
// replaced or has expired.
func (s *Store) Invited(ctx context.Context, hash string) (string, error) {
	var editors []string
	err := s.read().sel(ctx, &editors, "SELECT editor FROM invitations WHERE hash = ? AND expires_at > ?", hash, s.now())
	if err == nil && len(editors) == 0 {
		err = errInvitation
	}
	if err != nil {
		return "", s.fail(err, "Invited", "")
	}
	return editors[0], nil
}

var errInvitation = fmt.Errorf("%w: this invitation was used, replaced by a newer one, or is older than two days", news.ErrGone)

// Join uses an invitation up: its editor signs in with this password and
// secret from now on. Every session, passkey and linked identity of hers ends,
// and calls to her phones: an invitation is for a phone or a password that
// somebody else may have.
func (s *Store) Join(ctx context.Context, hash string, a news.Account) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := holdEditor(ctx, c, a.Editor); errors.Is(err, news.ErrConflict) {
			return errInvitation
		} else if err != nil {
			return err
		}
		n, err := c.count(ctx, "DELETE FROM invitations WHERE hash = ? AND editor = ? AND expires_at > ?", hash, a.Editor, s.now())
		if err != nil {
			return err
		}
		if n == 0 {
			return errInvitation
		}
		if err := c.exec(ctx, `INSERT INTO accounts (editor, password, secret, key_id, step, changed_at) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (editor) DO UPDATE SET password = excluded.password, secret = excluded.secret, key_id = excluded.key_id,
			step = excluded.step, changed_at = excluded.changed_at`, a.Editor, a.Password,
			s.seal.seal("accounts", a.Editor, a.Secret), s.seal.id, a.Step, s.now()); err != nil {
			return err
		}
		// After the account, whose row a sign-in locks first: one that began with
		// the old password has either ended in a session that is deleted here, or
		// waits and finds the password changed.
		if err := endSessions(ctx, c, a.Editor); err != nil {
			return err
		}
		for _, table := range []string{"passkeys", "identities"} {
			if err := c.exec(ctx, "DELETE FROM "+table+" WHERE editor = ?", a.Editor); err != nil {
				return err
			}
		}
		return s.audit(ctx, c, news.AuditEntry{By: a.Editor, Action: "join", Subject: "editor/" + a.Editor})
	})
	return s.fail(err, "Join", a.Editor)
}

// Account is how an editor signs in, whose name may be typed in any letters;
// news.ErrNotFound for one who is not in the newsroom or has never used an
// invitation.
func (s *Store) Account(ctx context.Context, typed string) (news.Account, error) {
	editor, err := spelling(ctx, s.read(), typed)
	if err != nil {
		return news.Account{}, s.fail(err, "Account", typed)
	}
	var r struct {
		Role     string `db:"role"`
		Password string `db:"password"`
		Secret   []byte `db:"secret"`
		KeyID    string `db:"key_id"`
		Step     int64  `db:"step"`
	}
	err = s.read().get(ctx, &r, `SELECT e.role, a.password, a.secret, a.key_id, a.step FROM accounts a
		JOIN editors e ON e.name = a.editor WHERE a.editor = ?`, editor)
	if err != nil {
		return news.Account{}, s.fail(err, "Account", editor)
	}
	secret, err := s.seal.open(r.KeyID, "accounts", editor, r.Secret)
	if err != nil {
		return news.Account{}, s.fail(err, "Account", editor)
	}
	return news.Account{Editor: editor, Role: news.Role(r.Role), Password: r.Password, Secret: secret, Step: r.Step}, nil
}

// SignIn begins a session, by the hash of its cookie, and marks the code of the
// time step as used: news.ErrConflict when it, or a later one, was used before
// (RFC 6238 section 5.2: a code is accepted once), or when the password that a
// was read with is not hers any more.
func (s *Store) SignIn(ctx context.Context, a news.Account, step int64, hash string, expires time.Time) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := holdEditor(ctx, c, a.Editor); err != nil {
			return err
		}
		if err := useCode(ctx, c, a, step); err != nil {
			return err
		}
		return s.begin(ctx, c, a.Editor, hash, expires, "password and code")
	})
	return s.fail(err, "SignIn", a.Editor)
}

// UseCode marks a code as used without a sign-in: whoever shows it is at the
// editor's phone. The errors are those of SignIn.
func (s *Store) UseCode(ctx context.Context, a news.Account, step int64) error {
	return s.fail(s.inTx(ctx, func(c conn) error { return useCode(ctx, c, a, step) }), "UseCode", a.Editor)
}

func useCode(ctx context.Context, c conn, a news.Account, step int64) error {
	n, err := c.count(ctx, "UPDATE accounts SET step = ? WHERE editor = ? AND step < ? AND password = ?", step, a.Editor, step, a.Password)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: this code was used already, or the password has changed; wait for the next code", news.ErrConflict)
	}
	return err
}

// begin begins a session inside the transaction that has admitted its editor
// and holds her account's row.
func (s *Store) begin(ctx context.Context, c conn, editor, hash string, expires time.Time, how string) error {
	if err := c.exec(ctx, "UPDATE accounts SET signed_in_at = ? WHERE editor = ?", s.now(), editor); err != nil {
		return err
	}
	if err := c.exec(ctx, "DELETE FROM sessions WHERE expires_at <= ?", s.now()); err != nil {
		return err
	}
	if err := c.exec(ctx, "INSERT INTO sessions (hash, editor, created_at, expires_at) VALUES (?, ?, ?, ?)",
		hash, editor, s.now(), micro(expires)); err != nil {
		return err
	}
	return s.audit(ctx, c, news.AuditEntry{By: editor, Action: "sign in", Subject: "editor/" + editor, Detail: how})
}

// holdEditor keeps an editor in the newsroom until the transaction ends. Every
// transaction that gives her a way in begins with it, so that a removal comes
// wholly before or after (and takes its locks in the same order).
func holdEditor(ctx context.Context, c conn, name string) error {
	var held string
	err := c.get(ctx, &held, "SELECT name FROM editors WHERE name = ?"+c.d.forShare, name)
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%w: %s is not in the newsroom any more", news.ErrConflict, name)
	}
	return err
}

// Session finds a sign-in by the hash of its cookie, with the role its editor
// has now; news.ErrUnknownKey when there is none, or it has ended.
func (s *Store) Session(ctx context.Context, hash string) (news.Session, error) {
	var rows []struct {
		Editor    string `db:"editor"`
		Role      string `db:"role"`
		CreatedAt stamp  `db:"created_at"`
		ExpiresAt stamp  `db:"expires_at"`
	}
	err := s.read().sel(ctx, &rows, `SELECT s.editor, e.role, s.created_at, s.expires_at FROM sessions s
		JOIN editors e ON e.name = s.editor WHERE s.hash = ? AND s.expires_at > ?`, hash, s.now())
	if err == nil && len(rows) == 0 {
		err = news.ErrUnknownKey
	}
	if err != nil {
		return news.Session{}, s.fail(err, "Session", "")
	}
	r := rows[0]
	return news.Session{Editor: r.Editor, Role: news.Role(r.Role), CreatedAt: r.CreatedAt.Time, ExpiresAt: r.ExpiresAt.Time}, nil
}

// SignOut ends one session; ending one that is over is no error.
func (s *Store) SignOut(ctx context.Context, hash string) error {
	return s.fail(s.write().exec(ctx, "DELETE FROM sessions WHERE hash = ?", hash), "SignOut", "")
}

// SignOutEverywhere ends every session of an editor, and calls to her phones; by
// is who asks for it.
func (s *Store) SignOutEverywhere(ctx context.Context, editor, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := endSessions(ctx, c, editor); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "sign out everywhere", Subject: "editor/" + editor})
	})
	return s.fail(err, "SignOutEverywhere", editor)
}

func endSessions(ctx context.Context, c conn, editor string) error {
	for _, table := range []string{"sessions", "desk_phones"} {
		if err := c.exec(ctx, "DELETE FROM "+table+" WHERE editor = ?", editor); err != nil {
			return err
		}
	}
	return nil
}
