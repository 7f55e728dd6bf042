package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"modernc.org/sqlite"
)

// dialect is everything in which the engines differ, apart from the types in
// the migrations.
type dialect struct {
	name   string // also the folder of its migrations
	goose  goose.Dialect
	locker func() (lock.SessionLocker, error) // nil: the engine has one writer anyway
	// Row locks. SQLite has one writer (BEGIN IMMEDIATE), so it needs none.
	forUpdate     string
	forShare      string
	forUpdateSkip string
	open          func(rawURL string) (db, ro *sqlx.DB, err error)
	classify      func(err error) fault
	oneWriter     bool // and a commit that all who wait may share: see joint
	idle          int  // connections kept open; 0: the engine has no server that could drop them
}

// fault is what an engine's error means to us.
type fault int

const (
	faultOther   fault = iota
	faultUnique        // a unique or primary key exists
	faultForeign       // a foreign key is missing
	faultAgain         // deadlock, serialisation, busy: run the transaction again
	faultDown          // the database can't be reached or can't write now
	faultText          // text that Postgres can't hold: invalid UTF-8, or a NUL
)

// dialectOf picks the engine by the URL's scheme.
func dialectOf(rawURL string) (*dialect, error) {
	scheme, _, _ := strings.Cut(rawURL, ":")
	switch scheme {
	case "sqlite":
		return &dialect{name: "sqlite", goose: goose.DialectSQLite3, open: openSQLite, classify: classifySQLite, oneWriter: true}, nil
	case "postgres", "postgresql":
		locker := func() (lock.SessionLocker, error) {
			return lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300)) // looks every second
		}
		return &dialect{name: "postgres", goose: goose.DialectPostgres, locker: locker,
			forUpdate: " FOR UPDATE", forShare: " FOR SHARE", forUpdateSkip: " FOR UPDATE SKIP LOCKED",
			open: openPostgres, classify: classifyPostgres, idle: postgresIdle}, nil
	}
	return nil, errors.New("the database URL must begin with sqlite:, postgres:// or postgresql://")
}

// openSQLite opens the file twice: one connection that writes, so that writers
// queue in Go and not in SQLite's busy loop, and a pool that can only read.
func openSQLite(rawURL string) (db, ro *sqlx.DB, err error) {
	path := strings.TrimPrefix(rawURL, "sqlite:")
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		path = rest
	}
	if path == "" || strings.ContainsAny(path, "?#") {
		return nil, nil, errors.New("want sqlite:/path/to/file.db")
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, nil, err
	}
	if err := createPrivate(path); err != nil {
		return nil, nil, err
	}
	db, err = sqlx.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, nil, err
	}
	ro, err = sqlx.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	// sqlx knows the bind style of the name "sqlite3" only.
	db, ro = sqlx.NewDb(db.DB, "sqlite3"), sqlx.NewDb(ro.DB, "sqlite3")
	readers := max(4, runtime.NumCPU())
	db.SetMaxOpenConns(1)
	ro.SetMaxOpenConns(readers)
	ro.SetMaxIdleConns(readers)
	return db, ro, nil
}

// createPrivate creates the file for its owner alone; SQLite gives its side
// files the same mode. It must happen before SQLite holds the file: closing
// any other descriptor of it would drop SQLite's locks.
func createPrivate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// sqliteDSN: _txlock immediate because a deferred transaction that turns to
// writing gets SQLITE_BUSY_SNAPSHOT at once, past busy_timeout.
func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{"_time_format": {"sqlite"}, "_busy_timeout": {"5000"}, "_foreign_keys": {"1"},
		"_dqs": {"0"}, "_synchronous": {"FULL"}}
	q.Add("_pragma", "cache_size(-16000)") // 16 MB a connection
	if readOnly {
		q.Set("_query_only", "1")
	} else {
		q.Set("_txlock", "immediate")
		q.Set("_journal_mode", "WAL")
		q.Add("_pragma", "journal_size_limit(67108864)")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// postgresIdle connections may be open, and stay so for a while: where fewer stayed
// than were opened, each burst of sign-ups had Postgres fork for the rest anew, and
// those who waited for it were the slowest hundredth. Postgres allows 100 by
// default, and several processes share them.
const postgresIdle = 20

// openPostgres opens one pool for everything.
func openPostgres(rawURL string) (db, ro *sqlx.DB, err error) {
	dsn, err := postgresDSN(rawURL)
	if err != nil {
		return nil, nil, err
	}
	db, err = sqlx.Open("postgres", dsn)
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(postgresIdle)
	db.SetMaxIdleConns(postgresIdle)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

// postgresDSN accepts both schemes and socket folders as host (?host=/run/...
// or //user@%2Frun%2F.../name), and always states sslmode: lib/pq's default
// is about to change. Without one in the URL a remote server must speak TLS.
// The error never repeats the URL: it may hold a password.
func postgresDSN(rawURL string) (string, error) {
	_, rest, ok := strings.Cut(rawURL, "://")
	if !ok {
		return "", errors.New("want postgres://user:password@host/name")
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	socket := ""
	if i := strings.LastIndex(authority, "@") + 1; strings.HasPrefix(strings.ToUpper(authority[i:]), "%2F") {
		path, err := url.PathUnescape(authority[i:])
		if err != nil {
			return "", errors.New("the socket folder in the database URL is not valid")
		}
		socket, authority = path, authority[:i]
	}
	u, err := url.Parse("postgres://" + authority + tail)
	if err != nil {
		return "", errors.New("the database URL is not valid")
	}
	q := u.Query()
	if socket != "" {
		q.Set("host", socket)
	}
	if q.Get("sslmode") == "" {
		q.Set("sslmode", defaultSSLMode(u.Hostname(), q.Get("host")))
	}
	if q.Get("application_name") == "" {
		q.Set("application_name", "dateline")
	}
	if q.Get("connect_timeout") == "" {
		q.Set("connect_timeout", "10")
	}
	if q.Get(binaryParameters) == "" {
		q.Set(binaryParameters, "yes")
	}
	if q.Get(idleInTransaction) == "" {
		q.Set(idleInTransaction, idleLongest)
	}
	q.Set(isolation, "read committed")
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Transactions lock a row and then read what others committed before they let it
// go: with another default of the database's they would read what was before.
const isolation = "default_transaction_isolation"

// binaryParameters makes lib/pq send a statement and its arguments together, one
// round trip instead of two.
const binaryParameters = "binary_parameters"

// A process that is frozen in the middle of a transaction holds its locks, and
// a KILL would wait for them as long as it sleeps. After so many milliseconds
// without a word Postgres ends the transaction; ours take a few.
const (
	idleInTransaction = "idle_in_transaction_session_timeout"
	idleLongest       = "3000"
)

func defaultSSLMode(host, hostParameter string) string {
	if hostParameter != "" {
		host = hostParameter
	}
	ip := net.ParseIP(host)
	switch {
	case strings.HasPrefix(host, "/"), strings.HasPrefix(host, "@"):
		return "disable" // a unix socket
	case host == "", host == "localhost", ip != nil && ip.IsLoopback():
		return "prefer"
	}
	return "require"
}

// classifySQLite: codes of sqlite.org/rescode.html.
func classifySQLite(err error) fault {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return faultOther
	}
	switch e.Code() {
	case 2067, 1555, 2579: // CONSTRAINT_UNIQUE, _PRIMARYKEY, _ROWID
		return faultUnique
	case 787: // CONSTRAINT_FOREIGNKEY
		return faultForeign
	}
	switch e.Code() & 0xff {
	case 5, 6: // BUSY (all kinds), LOCKED
		return faultAgain
	case 8, 10, 13, 14: // READONLY, IOERR, FULL, CANTOPEN
		return faultDown
	}
	return faultOther
}

// classifyPostgres: codes of the manual's appendix A.
func classifyPostgres(err error) fault {
	var e *pq.Error
	if errors.As(err, &e) {
		switch e.Code {
		case "23505":
			return faultUnique
		case "23503":
			return faultForeign
		case "40001", "40P01", "55P03": // serialisation, deadlock, lock not available
			return faultAgain
		case "22021", "22P05":
			return faultText
		case "57P01", "57P02", "57P03", "25006", "25P03": // shutdown, crash, starting, read-only, silent for too long
			return faultDown
		}
		switch string(e.Code[:min(2, len(e.Code))]) {
		case "08", "53": // connection, resources
			return faultDown
		}
		return faultOther
	}
	var ne net.Error
	if errors.As(err, &ne) {
		return faultDown
	}
	return faultOther
}

// String is for logs: never the URL.
func (d *dialect) String() string { return fmt.Sprintf("dialect(%s)", d.name) }
