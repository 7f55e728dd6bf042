// Package storetest gives tests stores of their own, on both engines, and a
// real Postgres for tests that need an URL. It is imported by tests only.
//
// The Postgres is started once per test binary from installed binaries, in a
// temporary folder, reachable by a unix socket alone, and ends with the test
// binary. Where CI is set a missing Postgres fails the test; elsewhere the
// test is skipped with "NOT RUN: why".
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"dateline/internal/store"
)

// SealKey is the key of every store made here.
func SealKey() []byte { return bytes.Repeat([]byte{7}, 32) }

// Each runs fn on a fresh, migrated store of each engine, as subtests "sqlite"
// and "postgres".
func Each(t *testing.T, fn func(t *testing.T, s *store.Store)) {
	t.Helper()
	EachURL(t, func(t *testing.T, url string) { fn(t, Open(t, store.Config{URL: url})) })
}

// EachURL is Each for tests that open the stores themselves (several on one
// database, or with a clock).
func EachURL(t *testing.T, fn func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { fn(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { fn(t, Postgres(t)) })
}

// Open opens and migrates a store and closes it with the test. An empty
// SealKey becomes the test key.
func Open(t testing.TB, cfg store.Config) *store.Store {
	t.Helper()
	if cfg.SealKey == nil {
		cfg.SealKey = SealKey()
	}
	if path, ok := strings.CutPrefix(cfg.URL, "sqlite:"); ok {
		if err := copyMigrated(path); err != nil {
			t.Fatal(err)
		}
	}
	s, err := store.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	if err := s.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

// migrated is a SQLite database as Migrate leaves a new one: to copy it takes a
// hundredth of the time. (State of the package: it is made once a process.)
var migrated = sync.OnceValues(func() (file []byte, err error) {
	dir, err := os.MkdirTemp("", "dateline-sqlite-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, ctx := filepath.Join(dir, "dateline.db"), context.Background()
	s, err := store.Open(ctx, store.Config{URL: "sqlite:" + path, SealKey: SealKey()})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(s.Migrate(ctx), s.Close()); err != nil {
		return nil, err
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		return nil, errors.New("the migrated database has a log that is not part of it")
	}
	return os.ReadFile(path)
})

// copyMigrated makes a database that does not exist yet.
func copyMigrated(path string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := migrated()
	if err != nil {
		return err
	}
	return os.WriteFile(path, file, 0o600)
}

// SQLite is the URL of a database file that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "dateline.db")
}

// Postgres is the URL of an empty, migrated database of its own.
func Postgres(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		notRun(t, err)
	}
	db := <-server.ready
	if db.err != nil {
		t.Fatal(db.err)
	}
	t.Cleanup(func() {
		if err := server.dropDatabase(db.name); err != nil {
			t.Errorf("dropping database %s: %v", db.name, err)
		}
	})
	return server.url(db.name)
}

// notRun fails where CI is set, and skips elsewhere: nothing is left out
// silently.
func notRun(t testing.TB, why error) {
	t.Helper()
	text := fmt.Sprintf("NOT RUN: %v", why)
	if os.Getenv("CI") != "" {
		t.Fatal(text)
	}
	t.Skip(text)
}

// Login makes a role that may sign in on the test's Postgres, with the options
// given ("IN ROLE dateline_app", "CREATEDB"), and gives url as that role.
func Login(t testing.TB, url, options string) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		notRun(t, err)
	}
	name := "login_" + strings.ToLower(rand.Text())
	if _, err := server.admin.Exec("CREATE ROLE " + name + " LOGIN " + options); err != nil {
		t.Fatal(err)
	}
	// Databases of the test are dropped after this: what it owns there goes with
	// them, and the server with the process.
	return strings.Replace(url, "user=postgres", "user="+name, 1)
}
