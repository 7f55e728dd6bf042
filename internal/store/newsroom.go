package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"dateline/internal/news"
)

// Policies is who must agree, by level: as set, else news.DefaultPolicies.
func (s *Store) Policies(ctx context.Context) (news.Policies, error) {
	var rows []struct {
		Level  int    `db:"level"`
		Policy string `db:"policy"`
	}
	err := s.read().sel(ctx, &rows, "SELECT level, policy FROM policies")
	out := news.DefaultPolicies()
	for _, r := range rows {
		out[news.Level(r.Level)] = news.Policy(r.Policy)
	}
	return out, s.fail(err, "Policies", "")
}

// lockPolicy is the policy of a level, which nobody changes until the
// transaction ends.
func lockPolicy(ctx context.Context, c conn, level news.Level) (news.Policy, error) {
	var policy string
	err := c.get(ctx, &policy, "SELECT policy FROM policies WHERE level = ?"+c.d.forUpdate, int(level))
	if errors.Is(err, sql.ErrNoRows) {
		return news.DefaultPolicies()[level], nil
	}
	return news.Policy(policy), err
}

// SetPolicies changes the policies of the levels given, and says so in the
// audit trail.
func (s *Store) SetPolicies(ctx context.Context, p news.Policies, by string) error {
	return s.fail(s.putPolicies(ctx, p, by, `DO UPDATE SET policy = excluded.policy, set_by = excluded.set_by,
		set_at = excluded.set_at`), "SetPolicies", by)
}

// InitPolicies sets the policies of levels that have none yet: the
// configuration's initial value, which never overrules the chief's setting.
func (s *Store) InitPolicies(ctx context.Context, p news.Policies) error {
	return s.fail(s.putPolicies(ctx, p, news.SystemName, "DO NOTHING"), "InitPolicies", "")
}

func (s *Store) putPolicies(ctx context.Context, p news.Policies, by, onConflict string) error {
	return s.inTx(ctx, func(c conn) error {
		// All levels before the trail: a release holds its level's row when it
		// comes to that.
		var entries []news.AuditEntry
		for _, level := range sortedKeys(p) {
			before, err := lockPolicy(ctx, c, level)
			if err != nil {
				return err
			}
			n, err := c.count(ctx, `INSERT INTO policies (level, policy, set_by, set_at) VALUES (?, ?, ?, ?)
				ON CONFLICT (level) `+onConflict, int(level), string(p[level]), by, s.now())
			if err != nil {
				return err
			}
			if n == 0 || by != news.SystemName && before == p[level] { // nothing has changed
				continue
			}
			entries = append(entries, news.AuditEntry{By: by, Action: "policy", Subject: "policy/" + level.String(), Detail: string(p[level])})
		}
		for _, entry := range entries {
			if err := s.audit(ctx, c, entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// AddEditor adds a person of the newsroom, or gives a known one another role,
// which ends her sign-ins: a session with the old rights must not go on (T75).
// The last chief keeps her role: news.ErrConflict. by is who does it.
func (s *Store) AddEditor(ctx context.Context, e news.Editor, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		before, err := s.lockEditor(ctx, c, e.Name, e.Role == news.RoleChief)
		if err != nil {
			return err
		}
		if err := s.putEditor(ctx, c, e, before != ""); err != nil {
			return err
		}
		entry := news.AuditEntry{By: by, Action: "editor add", Subject: "editor/" + e.Name, Detail: string(e.Role)}
		if before != "" && before != string(e.Role) {
			if err := c.exec(ctx, "DELETE FROM sessions WHERE editor = ?", e.Name); err != nil {
				return err
			}
			entry.Action, entry.Detail = "editor role", before+" to "+string(e.Role)
		}
		return s.audit(ctx, c, entry)
	})
	if s.unique(err) {
		err = fmt.Errorf("%w: there is an editor of this name already, perhaps in other letters", news.ErrConflict)
	}
	return s.fail(err, "AddEditor", e.Name)
}

// putEditor writes an editor who is known, or a new one whose name nobody has in
// other letters: a second person by the same name would be one who agrees with
// herself. Two at once are told apart by the index editors_spelling, as far as
// the database knows the letters.
func (s *Store) putEditor(ctx context.Context, c conn, e news.Editor, known bool) error {
	if known {
		return c.one(ctx, "UPDATE editors SET role = ? WHERE name = ?", string(e.Role), e.Name)
	}
	switch name, err := spelling(ctx, c, e.Name); {
	case err != nil:
		return err
	case name != "":
		return fmt.Errorf("%w: there is an editor %s already", news.ErrConflict, name)
	}
	return c.exec(ctx, "INSERT INTO editors (name, role, created_at) VALUES (?, ?, ?)", e.Name, string(e.Role), s.orNow(at(e.CreatedAt)))
}

// spelling is how the newsroom writes a name that was typed in any letters; ""
// when nobody has it. SQLite folds the letters of English alone.
func spelling(ctx context.Context, c conn, typed string) (string, error) {
	var names []string
	if err := c.sel(ctx, &names, "SELECT name FROM editors ORDER BY name"); err != nil {
		return "", err
	}
	i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, typed) })
	if i < 0 {
		return "", nil
	}
	return names[i], nil
}

// lockEditor locks an editor's row and gives her role, "" when there is none.
// Who takes a chief away locks every chief and is refused when none would be
// left who can sign in as this one can; two chiefs who remove each other at
// once are one after the other.
func (s *Store) lockEditor(ctx context.Context, c conn, name string, staysChief bool) (role string, err error) {
	var rows []struct {
		Name   string `db:"name"`
		Role   string `db:"role"`
		Joined bool   `db:"joined"`
	}
	if err := c.sel(ctx, &rows, `SELECT e.name, e.role, EXISTS (SELECT 1 FROM accounts a WHERE a.editor = e.name) AS joined
		FROM editors e WHERE e.name = ? OR e.role = ? ORDER BY e.name`+c.d.forUpdate, name, string(news.RoleChief)); err != nil {
		return "", err
	}
	others, joinedOthers, joined := 0, 0, false
	for _, r := range rows {
		switch {
		case r.Name == name:
			role, joined = r.Role, r.Joined
		case r.Joined:
			joinedOthers++
			fallthrough
		default:
			others++
		}
	}
	if role == string(news.RoleChief) && !staysChief && (others == 0 || joined && joinedOthers == 0) {
		return "", fmt.Errorf("%w: %s is the last chief who can sign in; make somebody else chief first, and let her join", news.ErrConflict, name)
	}
	return role, nil
}

func (s *Store) orNow(t stamp) stamp {
	if t.IsZero() {
		return at(s.now())
	}
	return t
}

// Editors lists the newsroom by name.
func (s *Store) Editors(ctx context.Context) ([]news.Editor, error) {
	var rows []struct {
		Name      string `db:"name"`
		Role      string `db:"role"`
		CreatedAt stamp  `db:"created_at"`
	}
	err := s.read().sel(ctx, &rows, "SELECT name, role, created_at FROM editors ORDER BY name")
	out := make([]news.Editor, len(rows))
	for i, r := range rows {
		out[i] = news.Editor{Name: r.Name, Role: news.Role(r.Role), CreatedAt: r.CreatedAt.Time}
	}
	return out, s.fail(err, "Editors", "")
}

// AddAPIKey stores an editor's key and says so in the audit trail. The editor
// must exist, else news.ErrNotFound. An empty ID or CreatedAt is filled. by is
// who makes it.
func (s *Store) AddAPIKey(ctx context.Context, k news.APIKey, by string) error {
	if k.ID == "" {
		k.ID = newID()
	}
	scopes := slices.Sorted(slices.Values(k.Scopes))
	err := s.inTx(ctx, func(c conn) error {
		if err := c.exec(ctx, `INSERT INTO api_keys (id, editor, scopes, hash, created_at, expires_at)
			VALUES (?, ?, ?, ?, ?, ?)`, k.ID, k.Editor, doc(scopes), k.Hash, s.orNow(at(k.CreatedAt)), at(k.ExpiresAt)); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "apikey add", Subject: "apikey/" + k.ID,
			Detail: fmt.Sprintf("editor %s, scopes %v", k.Editor, scopes)})
	})
	switch {
	case s.foreign(err):
		err = fmt.Errorf("%w: there is no editor %s", news.ErrNotFound, k.Editor)
	case s.unique(err):
		err = fmt.Errorf("%w: this key exists", news.ErrConflict)
	}
	return s.fail(err, "AddAPIKey", k.Editor)
}

// RemoveEditor takes a person out of the newsroom: keys, sessions, account,
// passkeys, phones and invitation end with it. What she did stays in the audit
// trail. news.ErrNotFound when there is no such editor, news.ErrConflict for the
// last chief.
func (s *Store) RemoveEditor(ctx context.Context, name, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		if _, err := s.lockEditor(ctx, c, name, false); err != nil {
			return err
		}
		for _, table := range []string{"api_keys", "accounts", "sessions", "passkeys", "identities", "invitations", "desk_phones"} {
			if err := c.exec(ctx, "DELETE FROM "+table+" WHERE editor = ?", name); err != nil {
				return err
			}
		}
		if err := c.one(ctx, "DELETE FROM editors WHERE name = ?", name); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "editor remove", Subject: "editor/" + name})
	})
	return s.fail(err, "RemoveEditor", name)
}

// Members lists the newsroom by name, and how each comes in.
func (s *Store) Members(ctx context.Context) ([]news.Member, error) {
	var rows []struct {
		Name         string `db:"name"`
		Role         string `db:"role"`
		CreatedAt    stamp  `db:"created_at"`
		Joined       bool   `db:"joined"`
		SignedInAt   stamp  `db:"signed_in_at"`
		Passkeys     int    `db:"passkeys"`
		Identities   int    `db:"identities"`
		Sessions     int    `db:"sessions"`
		InvitedUntil stamp  `db:"invited_until"`
	}
	err := s.read().sel(ctx, &rows, `SELECT e.name, e.role, e.created_at, a.editor IS NOT NULL AS joined, a.signed_in_at,
		(SELECT COUNT(*) FROM passkeys p WHERE p.editor = e.name) AS passkeys,
		(SELECT COUNT(*) FROM identities o WHERE o.editor = e.name) AS identities,
		(SELECT COUNT(*) FROM sessions s WHERE s.editor = e.name AND s.expires_at > ?) AS sessions,
		i.expires_at AS invited_until
		FROM editors e LEFT JOIN accounts a ON a.editor = e.name
		LEFT JOIN invitations i ON i.editor = e.name AND i.expires_at > ? ORDER BY e.name`, s.now(), s.now())
	out := make([]news.Member, len(rows))
	for i, r := range rows {
		out[i] = news.Member{Editor: news.Editor{Name: r.Name, Role: news.Role(r.Role), CreatedAt: r.CreatedAt.Time}, Joined: r.Joined,
			SignedInAt: r.SignedInAt.Time, Passkeys: r.Passkeys, Identities: r.Identities, Sessions: r.Sessions, InvitedUntil: r.InvitedUntil.Time}
	}
	return out, s.fail(err, "Members", "")
}

// RevokeAPIKey ends a key by its id; news.ErrNotFound when there is none. by is
// who does it.
func (s *Store) RevokeAPIKey(ctx context.Context, id, by string) error {
	err := s.inTx(ctx, func(c conn) error {
		if err := c.one(ctx, "DELETE FROM api_keys WHERE id = ?", id); err != nil {
			return err
		}
		return s.audit(ctx, c, news.AuditEntry{By: by, Action: "apikey revoke", Subject: "apikey/" + id})
	})
	return s.fail(err, "RevokeAPIKey", id)
}

// APIKey is the person a key acts as, by the key's hex SHA-256. A key that is
// unknown or has expired is news.ErrUnknownKey.
func (s *Store) APIKey(ctx context.Context, hash string) (news.Person, error) {
	var r struct {
		Editor    string             `db:"editor"`
		Role      string             `db:"role"`
		Scopes    document[[]string] `db:"scopes"`
		ExpiresAt stamp              `db:"expires_at"`
	}
	err := s.read().get(ctx, &r, `SELECT k.editor, e.role, k.scopes, k.expires_at FROM api_keys k
		JOIN editors e ON e.name = k.editor WHERE k.hash = ?`, hash)
	if err == nil && !r.ExpiresAt.IsZero() && !r.ExpiresAt.After(s.now()) {
		err = sql.ErrNoRows
	}
	if err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = news.ErrUnknownKey
		}
		return news.Person{}, s.fail(err, "APIKey", "")
	}
	return news.Person{Name: r.Editor, Role: news.Role(r.Role), Scopes: r.Scopes.V}, nil
}

// APIKeys lists the keys that have not expired, newest first.
func (s *Store) APIKeys(ctx context.Context) ([]news.APIKey, error) {
	var rows []struct {
		ID        string             `db:"id"`
		Editor    string             `db:"editor"`
		Scopes    document[[]string] `db:"scopes"`
		Hash      string             `db:"hash"`
		CreatedAt stamp              `db:"created_at"`
		ExpiresAt stamp              `db:"expires_at"`
	}
	err := s.read().sel(ctx, &rows, `SELECT id, editor, scopes, hash, created_at, expires_at FROM api_keys
		WHERE expires_at IS NULL OR expires_at > ? ORDER BY created_at DESC, id DESC`, s.now())
	out := make([]news.APIKey, len(rows))
	for i, r := range rows {
		out[i] = news.APIKey{ID: r.ID, Editor: r.Editor, Scopes: r.Scopes.V, Hash: r.Hash, CreatedAt: r.CreatedAt.Time,
			ExpiresAt: r.ExpiresAt.Time}
	}
	return out, s.fail(err, "APIKeys", "")
}
