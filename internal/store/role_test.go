package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// The program's role can't rewrite the audit trail on Postgres, whatever it
// tries (T84): not by a statement, not by taking the triggers away, not by
// owning anything.
func TestT84_TheProgramsRoleCantRewriteTheTrail(t *testing.T) {
	owner := storetest.Postgres(t)
	member := storetest.Login(t, owner, "IN ROLE "+store.AppRole)
	s := storetest.Open(t, store.Config{URL: member}) // migrated already: needs no right to
	ctx := context.Background()
	for i := range 3 {
		must(t, s.AppendAudit(ctx, news.AuditEntry{By: "Ann", Action: "release", Subject: fmt.Sprint("alert/", i)}))
	}
	db := raw(t, member)
	_, _ = db.Exec("GRANT ALL ON audit TO PUBLIC") // Postgres warns, and grants nothing: what follows would go through
	for _, sql := range []string{
		"UPDATE audit SET detail = 'nothing' WHERE seq = 2",
		"DELETE FROM audit WHERE seq = 2",
		"TRUNCATE audit",
		"TRUNCATE audit CASCADE",
		"DROP TABLE audit",
		"ALTER TABLE audit DISABLE TRIGGER ALL",
		"ALTER TABLE audit ADD COLUMN note TEXT",
		"ALTER TABLE audit RENAME TO other",
		"DROP TRIGGER audit_is_not_changed ON audit",
		"DROP TRIGGER audit_is_not_cut ON audit",
		"DROP FUNCTION audit_stays() CASCADE",
		"CREATE OR REPLACE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
		"CREATE TRIGGER other BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays()",
		"CREATE RULE other AS ON INSERT TO audit DO INSTEAD NOTHING",
		"SET session_replication_role = replica",
		"SELECT dateline_grants()",
		"DELETE FROM audit_head",
		"UPDATE fingerprints SET value = 'another key'",
		"DELETE FROM goose_db_version",
		"CREATE TABLE mine (id BIGINT)",
		"INSERT INTO audit SELECT * FROM audit ON CONFLICT (seq) DO UPDATE SET detail = 'nothing'",
		"MERGE INTO audit a USING audit b ON a.seq = b.seq WHEN MATCHED THEN DELETE",
	} {
		if _, err := db.Exec(sql); err == nil || !strings.Contains(err.Error(), "permission denied") && !strings.Contains(err.Error(), "must be owner") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if lines, err := trail(t, s); err != nil || len(lines) != 3 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
	if role, err := s.Rewriter(ctx); err != nil || role != "" {
		t.Errorf("the member counts as %q, %v", role, err)
	}
	if role, err := storetest.Open(t, store.Config{URL: owner}).Rewriter(ctx); err != nil || role != "postgres" {
		t.Errorf("the owner counts as %q, %v", role, err)
	}
	if _, err := s.Grant(ctx); !errors.Is(err, news.ErrForbidden) {
		t.Errorf("a member gives rights: %v", err)
	}
	// Whoever may do everything is found out by the chain.
	super := raw(t, owner)
	for _, sql := range []string{"ALTER TABLE audit DISABLE TRIGGER ALL", "UPDATE audit SET actor = 'Ben' WHERE seq = 2", "ALTER TABLE audit ENABLE TRIGGER ALL"} {
		_, err := super.Exec(sql)
		must(t, err)
	}
	if _, err := trail(t, s); !errors.Is(err, news.ErrConflict) || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a superuser's change is not found: %v", err)
	}
}

// An owner that may make no roles migrates an empty database, and serves it by
// itself as before; a member that finds an old schema says what to do.
func TestAnOwnerWithoutRightsOnRolesMigrates(t *testing.T) {
	admin := storetest.Postgres(t)
	owner := storetest.Login(t, admin, "NOCREATEROLE")
	u, err := url.Parse(owner)
	must(t, err)
	name := u.Query().Get("user")
	for _, sql := range []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public AUTHORIZATION " + name, "GRANT USAGE ON SCHEMA public TO PUBLIC"} {
		_, err := raw(t, admin).Exec(sql)
		must(t, err)
	}
	ctx := context.Background()
	member := storetest.Login(t, admin, "IN ROLE "+store.AppRole)
	early, err := store.Open(ctx, store.Config{URL: member, SealKey: storetest.SealKey()})
	must(t, err)
	defer early.Close()
	if err := early.Migrate(ctx); !errors.Is(err, news.ErrForbidden) || !strings.Contains(err.Error(), "dateline migrate") {
		t.Errorf("a member that should migrate says %v", err)
	}
	s := storetest.Open(t, store.Config{URL: owner})
	storeStory(t, s, "https://news.example/a")
	if granted, err := s.Grant(ctx); err != nil || !granted {
		t.Errorf("granted %v, %v", granted, err)
	}
	storeStory(t, storetest.Open(t, store.Config{URL: member}), "https://news.example/b")
}

// A table that a later migration makes is the program's too, once the owner has
// migrated.
func TestLaterTablesAreGranted(t *testing.T) {
	owner := storetest.Postgres(t)
	_, err := raw(t, owner).Exec("CREATE TABLE later (id BIGINT)")
	must(t, err)
	if granted, err := storetest.Open(t, store.Config{URL: owner}).Grant(context.Background()); err != nil || !granted {
		t.Fatalf("granted %v, %v", granted, err)
	}
	member := raw(t, storetest.Login(t, owner, "IN ROLE "+store.AppRole))
	_, err = member.Exec("INSERT INTO later (id) VALUES (1)")
	must(t, err)
}
