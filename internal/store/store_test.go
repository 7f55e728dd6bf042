package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jmoiron/sqlx"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
	"dateline/migrations"
)

func TestMigrateTwice(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		must(t, s.Migrate(ctx))
		current, latest, err := s.SchemaVersion(ctx)
		if err != nil || current != latest || current < 5 {
			t.Fatalf("schema version %d of %d, %v", current, latest, err)
		}
	})
}

// raw opens a database beside the store.
func raw(t testing.TB, url string) *sqlx.DB {
	t.Helper()
	driver, dsn := "postgres", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, dsn = "sqlite", "file:"+path+"?_busy_timeout=5000"
	}
	db, err := sqlx.Open(driver, dsn)
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Several processes start at once on a database that has no schema.
func TestMigrateAtOnce(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		if strings.HasPrefix(url, "postgres") { // it comes migrated
			_, err := raw(t, url).Exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
			must(t, err)
		}
		done := make(chan error, 4)
		for range cap(done) {
			go func() {
				s, err := store.Open(ctx, store.Config{URL: url, SealKey: storetest.SealKey()})
				if err == nil {
					err = errors.Join(s.Migrate(ctx), s.Close())
				}
				done <- err
			}()
		}
		for range cap(done) {
			must(t, <-done)
		}
		storeStory(t, storetest.Open(t, store.Config{URL: url}), "https://news.example/a")
	})
}

// Both engines have the same migrations, and the live schemas are the same
// apart from the names of types.
func TestSchemasAreEqual(t *testing.T) {
	names := func(engine string) string {
		files, err := fs.Glob(migrations.FS, engine+"/*.sql")
		must(t, err)
		return strings.ReplaceAll(strings.Join(files, " "), engine+"/", "")
	}
	if names("sqlite") != names("postgres") {
		t.Errorf("migrations differ: %s, %s", names("sqlite"), names("postgres"))
	}
	lite := storetest.SQLite(t)
	storetest.Open(t, store.Config{URL: lite})
	pg := storetest.Postgres(t)
	want, got := describeSQLite(t, raw(t, lite)), describePostgres(t, raw(t, pg))
	for key, w := range want {
		if g, ok := got[key]; !ok || g != w {
			t.Errorf("%s: sqlite %q, postgres %q", key, w, g)
		}
	}
	for key, g := range got {
		if _, ok := want[key]; !ok {
			t.Errorf("%s: postgres alone has it: %q", key, g)
		}
	}
	if len(want) < 200 {
		t.Errorf("only %d things compared", len(want))
	}
}

// describeSQLite lists columns ("table.column" -> type and nullability) and
// indexes ("index name" -> kind and columns).
func describeSQLite(t *testing.T, db *sqlx.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	var columns []struct {
		Table   string `db:"tbl"`
		Name    string `db:"name"`
		Type    string `db:"type"`
		NotNull bool   `db:"notnull"`
		Key     int    `db:"pk"`
	}
	must(t, db.Select(&columns, `SELECT m.name AS tbl, c.name, c.type, c."notnull", c.pk FROM sqlite_schema m
		JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name NOT LIKE 'goose_%'`))
	types := map[string]string{"TEXT": "text", "BIGINT": "bigint", "BOOLEAN": "boolean", "BLOB": "bytea",
		"TIMESTAMP": "timestamp with time zone"}
	for _, c := range columns {
		out[c.Table+"."+c.Name] = fmt.Sprintf("%s notnull=%v key=%d", types[c.Type], c.NotNull, c.Key)
	}
	var indexes []struct {
		Name    string `db:"name"`
		Unique  bool   `db:"unq"`
		Partial bool   `db:"partial"`
		Columns string `db:"columns"`
	}
	must(t, db.Select(&indexes, `SELECT i.name, i."unique" AS unq, i.partial,
		COALESCE((SELECT group_concat(name) FROM (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)), '') AS columns
		FROM sqlite_schema m JOIN pragma_index_list(m.name) i WHERE m.type = 'table' AND i.origin = 'c'`))
	for _, i := range indexes {
		out["index "+i.Name] = fmt.Sprintf("%s unique=%v partial=%v", i.Columns, i.Unique, i.Partial)
	}
	var foreign []struct {
		Table string `db:"tbl"`
		From  string `db:"from"`
		To    string `db:"to_table"`
	}
	must(t, db.Select(&foreign, `SELECT m.name AS tbl, f."from", f."table" AS to_table FROM sqlite_schema m
		JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`))
	for _, f := range foreign {
		out["foreign "+f.Table+"."+f.From] = f.To
	}
	return out
}

func describePostgres(t *testing.T, db *sqlx.DB) map[string]string {
	t.Helper()
	out := map[string]string{}
	var columns []struct {
		Table   string `db:"tbl"`
		Name    string `db:"name"`
		Type    string `db:"type"`
		NotNull bool   `db:"notnull"`
		Key     int    `db:"pk"`
	}
	must(t, db.Select(&columns, `SELECT c.relname AS tbl, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
		a.attnotnull AS notnull, COALESCE(array_position(p.conkey, a.attnum), 0) AS pk
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		LEFT JOIN pg_constraint p ON p.conrelid = c.oid AND p.contype = 'p'
		WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname NOT LIKE 'goose_%'`))
	for _, c := range columns {
		out[c.Table+"."+c.Name] = fmt.Sprintf("%s notnull=%v key=%d", c.Type, c.NotNull, c.Key)
	}
	var indexes []struct {
		Name    string `db:"name"`
		Unique  bool   `db:"unq"`
		Partial bool   `db:"partial"`
		Columns string `db:"columns"`
	}
	must(t, db.Select(&indexes, `SELECT c.relname AS name, i.indisunique AS unq, i.indpred IS NOT NULL AS partial,
		COALESCE((SELECT string_agg(a.attname, ',' ORDER BY k.n) FROM unnest(i.indkey) WITH ORDINALITY k(num, n)
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num), '') AS columns
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE NOT i.indisprimary AND c.relnamespace = 'public'::regnamespace`))
	for _, i := range indexes {
		out["index "+i.Name] = fmt.Sprintf("%s unique=%v partial=%v", i.Columns, i.Unique, i.Partial)
	}
	var foreign []struct {
		Table string `db:"tbl"`
		From  string `db:"col"`
		To    string `db:"to_table"`
	}
	must(t, db.Select(&foreign, `SELECT c.relname AS tbl, a.attname AS col, r.relname AS to_table FROM pg_constraint f
		JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class r ON r.oid = f.confrelid
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1] WHERE f.contype = 'f'`))
	for _, f := range foreign {
		out["foreign "+f.Table+"."+f.From] = f.To
	}
	return out
}

func TestOpenRefuses(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	_, err := store.Open(ctx, store.Config{URL: "postgres://dateline:hunter2@127.0.0.1:1/x", SealKey: storetest.SealKey()})
	if !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("nobody listens: %v, want ErrUnavailable", err)
	}
	for _, cfg := range []store.Config{
		{URL: "sqlite:" + dir + "/a.db", SealKey: []byte("short")},
		{URL: "sqlite:" + dir + "/a.db"},
		{URL: "mysql://root:hunter2@localhost/x", SealKey: storetest.SealKey()},
		{URL: "", SealKey: storetest.SealKey()},
		{URL: "sqlite:", SealKey: storetest.SealKey()},
		{URL: "sqlite:" + dir + "/none/a.db", SealKey: storetest.SealKey()},
		{URL: "postgres://dateline:hunter2@127.0.0.1:1/x", SealKey: storetest.SealKey()},
		{URL: "postgres://dateline:hunter2@[::1/x", SealKey: storetest.SealKey()},
		{URL: "postgres://dateline:hunter2@%2Fno%2Fsocket/x", SealKey: storetest.SealKey()},
		{URL: "postgres:dateline:hunter2", SealKey: storetest.SealKey()},
	} {
		s, err := store.Open(ctx, cfg)
		if err == nil {
			must(t, s.Close())
			t.Errorf("%s was opened", cfg.URL)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in %v", err)
		}
	}
}

func TestSQLiteFile(t *testing.T) {
	url := storetest.SQLite(t)
	storeStory(t, storetest.Open(t, store.Config{URL: url}), "https://news.example/a")
	path := strings.TrimPrefix(url, "sqlite:")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
	db := raw(t, url)
	var mode string
	must(t, db.Get(&mode, "PRAGMA journal_mode"))
	if mode != "wal" {
		t.Errorf("journal_mode %s", mode)
	}
}

func TestFingerprints(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := storetest.Open(t, store.Config{URL: url})
		must(t, s.CheckFingerprints(ctx, map[string]string{"vapid": "v", "link": "l"}))
		must(t, s.CheckFingerprints(ctx, map[string]string{"vapid": "v", "link": "l"}))
		must(t, s.CheckFingerprints(ctx, map[string]string{"vapid": "v", "link": "l", "seal": "s"}))
		err := s.CheckFingerprints(ctx, map[string]string{"vapid": "other", "seal": "s", "new": "n"})
		var invalid *news.InvalidError
		if !errors.As(err, &invalid) || len(invalid.Problems) != 2 || !strings.Contains(err.Error(), "vapid") || !strings.Contains(err.Error(), "link") {
			t.Errorf("a missing and a different key: %v", err)
		}
		must(t, s.CheckFingerprints(ctx, map[string]string{"vapid": "v", "link": "l", "seal": "s"})) // "new" was not kept
		// A comparison notes nothing.
		must(t, s.CompareFingerprints(ctx, map[string]string{"vapid": "v", "link": "l", "seal": "s", "new": "n"}))
		must(t, s.CompareFingerprints(ctx, map[string]string{"vapid": "v", "link": "l", "seal": "s", "new": "m"}))
		if err := s.CompareFingerprints(ctx, map[string]string{"vapid": "w", "link": "l", "seal": "s"}); !errors.Is(err, news.ErrInvalid) {
			t.Errorf("another key: %v", err)
		}
	})
}

func TestNewsroom(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		must(t, s.AddEditor(ctx, news.Editor{Name: "mira", Role: news.RoleEditor, CreatedAt: begin}, news.SystemName))
		must(t, s.AddEditor(ctx, news.Editor{Name: "ana", Role: news.RoleReporter}, news.SystemName))
		must(t, s.AddEditor(ctx, news.Editor{Name: "ana", Role: news.RoleChief}, news.SystemName))
		editors, err := s.Editors(ctx)
		must(t, err)
		if len(editors) != 2 || editors[0] != (news.Editor{Name: "ana", Role: news.RoleChief, CreatedAt: begin}) || editors[1].Name != "mira" {
			t.Errorf("editors %+v", editors)
		}
		key := news.APIKey{Editor: "mira", Scopes: []string{news.ScopeStoriesWrite, news.ScopeAlertsRead}, Hash: "abc", ExpiresAt: begin.Add(expiry)}
		must(t, s.AddAPIKey(ctx, key, news.SystemName))
		if err := s.AddAPIKey(ctx, key, news.SystemName); !errors.Is(err, news.ErrConflict) {
			t.Errorf("the key again: %v", err)
		}
		if err := s.AddAPIKey(ctx, news.APIKey{Editor: "nobody", Hash: "x"}, news.SystemName); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("nobody's key: %v", err)
		}
		p, err := s.APIKey(ctx, "abc")
		must(t, err)
		if p.Name != "mira" || p.Role != news.RoleEditor || p.System || !p.May(news.ScopeStoriesWrite) || p.May(news.ScopeAlertsRelease) {
			t.Errorf("person %+v", p)
		}
		if _, err := s.APIKey(ctx, "abd"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("an unknown key: %v", err)
		}
		c.add(expiry)
		if _, err := s.APIKey(ctx, "abc"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("an expired key: %v", err)
		}
		if keys, err := s.APIKeys(ctx); err != nil || len(keys) != 0 {
			t.Errorf("keys %v, %v", keys, err)
		}
		must(t, s.AppendAudit(ctx, news.AuditEntry{By: "mira", Action: "look", Subject: "x", Detail: "\x00\xff"}))
		// Every person, every new role and every key is in the trail, newest first;
		// what was refused is not.
		audit, err := s.Audit(ctx, 10)
		must(t, err)
		var lines []string
		for _, e := range audit {
			subject, _, _ := strings.Cut(e.Subject, "/")
			if strings.HasPrefix(e.Subject, "editor/") {
				subject = e.Subject
			}
			lines = append(lines, e.By+" "+e.Action+" "+subject+" "+e.Detail)
			if strings.Contains(e.Detail+e.Subject, "abc") {
				t.Errorf("the key's hash is in the trail: %+v", e)
			}
		}
		want := []string{"mira look x \uFFFD\uFFFD", "system apikey add apikey editor mira, scopes [alerts:read stories:write]",
			"system editor role editor/ana reporter to chief", "system editor add editor/ana reporter", "system editor add editor/mira editor"}
		if diff := cmp.Diff(want, lines); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

// A Postgres that restarted under us is found again: no call fails.
func TestReconnect(t *testing.T) {
	ctx := context.Background()
	url := storetest.Postgres(t)
	s := storetest.Open(t, store.Config{URL: url})
	db := raw(t, url)
	for i := range 5 {
		for range 3 { // fill the pool
			if _, err := s.Control(ctx); err != nil {
				t.Fatal(err)
			}
		}
		_, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		must(t, err)
		for left := 1; left > 0; { // they end when they notice
			must(t, db.Get(&left, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"))
		}
		if i%2 == 0 {
			storeStory(t, s, fmt.Sprintf("https://news.example/%d", i))
			continue
		}
		if _, err := s.Control(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A callback that panics, under a server that recovers, leaves no transaction
// open: SQLite has one writer.
func TestPanicInCallback(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		a, _ := released(t, s, "https://news.example/p")
		for range 30 { // more than Postgres's pool
			func() {
				defer func() { _ = recover() }()
				_, _ = s.ChangeAlert(ctx, a.ID, func(*news.Alert, news.Story) (news.AlertAction, error) { panic("boo") })
			}()
		}
		if _, err := s.ChangeAlert(ctx, a.ID, func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Freeze: true}, nil
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestSQLitePaths(t *testing.T) {
	for _, name := range []string{"plain.db", "with space.db", "100%.db", "a%20b.db", "データ.db", "a&b=c;d.db"} {
		dir := t.TempDir()
		storeStory(t, storetest.Open(t, store.Config{URL: "sqlite:" + dir + "/" + name}), "https://news.example/a")
		if _, err := os.Stat(dir + "/" + name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 3 {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
	dir := t.TempDir()
	storeStory(t, storetest.Open(t, store.Config{URL: "sqlite://" + dir + "/a.db"}), "https://news.example/a")
	t.Chdir(dir)
	s := storetest.Open(t, store.Config{URL: "sqlite:a.db"})
	if _, err := s.Story(context.Background(), "https://news.example/a"); err != nil {
		t.Errorf("a relative path: %v", err)
	}
}
