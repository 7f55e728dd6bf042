package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/lib/pq"

	"dateline/internal/news"
)

// AppRole is the Postgres role whose members run the newsroom without being
// able to rewrite the audit trail.
const AppRole = "dateline_app"

// Grant gives AppRole its rights, on tables that came since, too. granted is
// false where there is no such role, or the engine has none. Only the owner of
// the tables may do it: news.ErrForbidden for others.
func (s *Store) Grant(ctx context.Context) (granted bool, err error) {
	if s.dialect.name != "postgres" {
		return false, nil
	}
	err = s.inTx(ctx, func(c conn) error { return c.get(ctx, &granted, "SELECT dateline_grants()") })
	if denied(err) {
		err = fmt.Errorf("%w: only the owner of the tables gives rights", news.ErrForbidden)
	}
	return granted, s.fail(err, "Grant", "")
}

// denied reports that the connected role may not do it (insufficient_privilege).
func denied(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == "42501"
}

// Rewriter is the name of the connected role if it could rewrite the audit
// trail: it owns the table, is a superuser, or was given more rights than
// AppRole has. "" on an engine without roles.
func (s *Store) Rewriter(ctx context.Context) (string, error) {
	if s.dialect.name != "postgres" {
		return "", nil
	}
	var names []string
	err := s.read().sel(ctx, &names, `SELECT current_user FROM pg_class c WHERE c.oid = 'audit'::regclass
		AND (pg_has_role(c.relowner, 'USAGE') OR has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE, TRIGGER'))`)
	if err != nil || len(names) == 0 {
		return "", s.fail(err, "Rewriter", "")
	}
	return names[0], nil
}
