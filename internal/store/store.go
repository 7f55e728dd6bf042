// Package store is the only SQL: what Dateline knows, in SQLite or Postgres.
//
// It promises:
//
//   - One set of methods and one SQL for both engines; what differs sits in
//     one dialect value. One suite of tests runs on both.
//   - Each method is one transaction. What it returned without an error is
//     durable (SQLite: WAL with synchronous FULL), and a method that failed
//     changed nothing, except when the failure is the answer to COMMIT
//     itself: then the caller reads again by key before it decides.
//   - Callbacks (StoryEffects, ChangeAlert, ...) run inside the transaction on
//     rows that are locked; they must be pure, because a transaction that
//     meets a deadlock or a serialisation failure is run again.
//   - Times are UTC, truncated to microseconds. Ids are version 7 UUIDs.
//   - Endpoints, device keys and mail addresses are sealed (seal.go) and are in
//     no error and no log.
//   - Errors name the method and its key argument. What is not there is
//     news.ErrNotFound; a database that can't be reached is
//     news.ErrUnavailable.
//
// Locks are taken in one order, so that transactions wait but do not block
// each other for ever: sign-up; subscriber; mailbox; preference; cells in
// ascending order, snapshot; story; alert; cap; lease; release; audit; control; story
// clock. What is about an editor alone begins with her: editor; account;
// session; audit.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"

	"dateline/internal/news"
	"dateline/migrations"
)

// Config is what a Store needs.
type Config struct {
	// URL is "sqlite:/path/to/file.db", "postgres://..." or "postgresql://...".
	URL string
	// SealKey, 32 bytes, seals data at rest and keys the look-up hashes.
	SealKey []byte
	// VAPIDKeyID is noted with each device: the key its browser subscribed with.
	VAPIDKeyID string
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger; nil: none.
	Logger *slog.Logger
}

// Store is the database. Its methods may be called from many goroutines.
type Store struct {
	dialect   *dialect
	db        *sqlx.DB // writes; SQLite: one connection
	ro        *sqlx.DB // reads outside of transactions; Postgres: the same as db
	joint     *joint   // nil: transactions have connections of their own
	seal      *sealer
	vapid     string
	clock     func() time.Time
	log       *slog.Logger
	prefs     *preferenceCache
	part      int64      // see snapshotPart
	partBytes int        // see snapshotBytes
	migrate   sync.Mutex // one Migrate at a time within the process
}

// Open connects. It neither creates nor changes the schema: see Migrate.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	seal, err := newSealer(cfg.SealKey)
	if err != nil {
		return nil, fmt.Errorf("store.Open: %w", err)
	}
	d, err := dialectOf(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("store.Open: %w", err)
	}
	s := &Store{dialect: d, seal: seal, vapid: cfg.VAPIDKeyID, clock: cfg.Now, prefs: newPreferenceCache(), part: snapshotPart, partBytes: snapshotBytes,
		log: cfg.Logger}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	s.log = s.log.With("component", "store")
	if s.db, s.ro, err = d.open(cfg.URL); err != nil {
		return nil, fmt.Errorf("store.Open(%s): %w", d.name, err)
	}
	if d.oneWriter {
		s.joint = &joint{db: s.db, joining: maxJoining}
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("store.Open(%s): %w", d.name, err), s.Close())
	}
	return s, nil
}

// connect opens the first connections. Of several processes that turn a new
// SQLite file to WAL at once, all but one are told "busy" without any wait.
func (s *Store) connect(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		err := s.Ping(ctx)
		if err == nil || attempt == 100 || !s.again(err) {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Close ends every connection.
func (s *Store) Close() error {
	if s.ro != s.db {
		return errors.Join(s.ro.Close(), s.db.Close())
	}
	return s.db.Close()
}

// Ping asks both pools for a sign of life. SQLite's writer is asked first: it
// turns a new file to WAL, which a reader may not.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.db.PingContext(ctx); err != nil {
		return s.fail(err, "Ping", "")
	}
	if s.ro == s.db {
		return nil
	}
	return s.fail(s.ro.PingContext(ctx), "Ping", "")
}

// Engine is "sqlite" or "postgres".
func (s *Store) Engine() string { return s.dialect.name }

// now is the clock in the database's precision.
func (s *Store) now() time.Time { return micro(s.clock()) }

// newID makes an id that sorts by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }

// Migrate brings the schema up to date. Several processes may call it at once;
// one that finds it up to date waits for nobody.
func (s *Store) Migrate(ctx context.Context) error {
	s.migrate.Lock()
	defer s.migrate.Unlock()
	p, err := s.provider()
	if err != nil {
		return s.fail(err, "Migrate", "")
	}
	sources := p.ListSources()
	for {
		before := s.schema(ctx)
		if before >= sources[len(sources)-1].Version {
			return nil
		}
		done, err := p.Up(ctx)
		for _, m := range done {
			s.log.Info("migrated", "version", m.Source.Version, "took", m.Duration)
		}
		if err == nil && len(done) > 0 { // new tables, too
			_, err = s.Grant(ctx)
		}
		if denied(err) {
			err = fmt.Errorf("%w: the schema is %d, this program needs %d, and the database's role may not change it: run `dateline migrate` with the owner's DATABASE_URL",
				news.ErrForbidden, before, sources[len(sources)-1].Version)
		}
		// Without a lock between processes (SQLite), one that loses a race fails
		// on what the other has just created, and goes on from there.
		if err == nil || s.dialect.locker != nil || s.schema(ctx) <= before {
			return s.fail(err, "Migrate", "")
		}
	}
}

// schema is the version the database has; -1: not even that is noted.
func (s *Store) schema(ctx context.Context) int64 {
	var version int64
	if err := s.db.GetContext(ctx, &version, "SELECT MAX(version_id) FROM goose_db_version"); err != nil {
		return -1
	}
	return version
}

// SchemaVersion is the version the database has, and the newest this program
// knows.
func (s *Store) SchemaVersion(ctx context.Context) (current, latest int64, err error) {
	p, err := s.provider()
	if err != nil {
		return 0, 0, s.fail(err, "SchemaVersion", "")
	}
	current, latest, err = p.GetVersions(ctx)
	return current, latest, s.fail(err, "SchemaVersion", "")
}

// provider is goose over the engine's embedded files, without globals. It is
// never closed: that would close the database.
func (s *Store) provider() (*goose.Provider, error) {
	files, err := fs.Sub(migrations.FS, s.dialect.name)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	if s.dialect.locker != nil {
		lock, err := s.dialect.locker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(lock))
	}
	return goose.NewProvider(s.dialect.goose, s.db.DB, files, options...)
}

// Control is the stop counter. Whoever may start sends reads it every 100 ms
// and reads ActiveReleases again when it has changed.
func (s *Store) Control(ctx context.Context) (int64, error) {
	var n int64
	err := s.read().get(ctx, &n, "SELECT counter FROM control WHERE id = 1")
	return n, s.fail(err, "Control", "")
}

// bumpControl makes every holder of a permit look again.
func bumpControl(ctx context.Context, c conn) error {
	return c.exec(ctx, "UPDATE control SET counter = counter + 1 WHERE id = 1")
}

// CheckFingerprints holds the process's keys against those the database was
// first used with. It notes names it did not know; a name that differs, or
// that the database knows and the process lacks, is an error.
func (s *Store) CheckFingerprints(ctx context.Context, keys map[string]string) error {
	err := s.inTx(ctx, func(c conn) error {
		for _, name := range sortedKeys(keys) {
			if err := c.exec(ctx, `INSERT INTO fingerprints (name, value, created_at) VALUES (?, ?, ?)
				ON CONFLICT (name) DO NOTHING`, name, keys[name], s.now()); err != nil {
				return err
			}
		}
		return compareFingerprints(ctx, c, keys)
	})
	return s.fail(err, "CheckFingerprints", "")
}

// CompareFingerprints is CheckFingerprints that notes nothing: names that the
// database does not know are passed over.
func (s *Store) CompareFingerprints(ctx context.Context, keys map[string]string) error {
	return s.fail(compareFingerprints(ctx, s.read(), keys), "CompareFingerprints", "")
}

func compareFingerprints(ctx context.Context, c conn, keys map[string]string) error {
	var known []struct{ Name, Value string }
	if err := c.sel(ctx, &known, "SELECT name, value FROM fingerprints ORDER BY name"); err != nil {
		return err
	}
	var problems news.Problems
	for _, k := range known {
		switch mine, ok := keys[k.Name]; {
		case !ok:
			problems.Add(k.Name, "is missing: this database is used with one")
		case mine != k.Value:
			problems.Add(k.Name, "is not the key this database is used with")
		}
	}
	return problems.Err()
}
