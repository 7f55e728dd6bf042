package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"dateline/internal/news"
)

// conn runs SQL written with `?` on a pool or in a transaction.
type conn struct {
	sqlx.ExtContext
	d *dialect
	// retry says whether to run a failed read again; nil: never.
	retry func(error) bool
}

// read is for reads outside of transactions: one whose connection turns out to
// be dead is run again.
func (s *Store) read() conn { return conn{s.ro, s.dialect, s.reconnect} }

// write is for single statements. They are not run again: nobody knows whether
// they were done.
func (s *Store) write() conn { return conn{s.db, s.dialect, nil} }

// reconnect reports whether err is a lost connection, and drops the idle ones:
// after a restart of Postgres they are dead too.
func (s *Store) reconnect(err error) bool {
	if err == nil || !s.lost(err) {
		return false
	}
	if s.dialect.idle > 0 {
		s.db.SetMaxIdleConns(0)
		s.db.SetMaxIdleConns(s.dialect.idle)
	}
	return true
}

func (c conn) rebind(query string) string {
	return sqlx.Rebind(sqlx.BindType(c.DriverName()), query)
}

// get reads one row; sql.ErrNoRows when there is none.
func (c conn) get(ctx context.Context, dst any, query string, args ...any) error {
	err := sqlx.GetContext(ctx, c, dst, c.rebind(query), args...)
	if c.retry != nil && c.retry(err) {
		err = sqlx.GetContext(ctx, c, dst, c.rebind(query), args...)
	}
	return err
}

// sel reads all rows into the slice that dst points to.
func (c conn) sel(ctx context.Context, dst any, query string, args ...any) error {
	err := sqlx.SelectContext(ctx, c, dst, c.rebind(query), args...)
	if c.retry != nil && c.retry(err) {
		reflect.ValueOf(dst).Elem().SetZero() // rows of the first try
		err = sqlx.SelectContext(ctx, c, dst, c.rebind(query), args...)
	}
	return err
}

// selIn is sel for queries with `IN (?)` over a slice.
func (c conn) selIn(ctx context.Context, dst any, query string, args ...any) error {
	query, args, err := sqlx.In(query, args...)
	if err != nil {
		return err
	}
	return c.sel(ctx, dst, query, args...)
}

func (c conn) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.ExecContext(ctx, c.rebind(query), args...)
	return err
}

// count is exec that says how many rows it touched.
func (c conn) count(ctx context.Context, query string, args ...any) (int64, error) {
	r, err := c.ExecContext(ctx, c.rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// one is exec for a row that must be there, else sql.ErrNoRows.
func (c conn) one(ctx context.Context, query string, args ...any) error {
	n, err := c.count(ctx, query, args...)
	if err == nil && n == 0 {
		return sql.ErrNoRows
	}
	return err
}

// insert writes a row struct by its db tags: columns are those of the list.
// tail may hold an ON CONFLICT clause.
func (c conn) insert(ctx context.Context, table, columns string, row any, tail string) error {
	_, err := c.countInsert(ctx, table, columns, row, tail)
	return err
}

// countInsert is insert that says how many rows it wrote.
func (c conn) countInsert(ctx context.Context, table, columns string, row any, tail string) (int64, error) {
	names := ":" + strings.ReplaceAll(columns, ", ", ", :")
	r, err := sqlx.NamedExecContext(ctx, c, "INSERT INTO "+table+" ("+columns+") VALUES ("+names+") "+tail, row)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// update writes the listed columns of a row struct where its key columns are
// the row's.
func (c conn) update(ctx context.Context, table, columns, keys string, row any) error {
	_, err := sqlx.NamedExecContext(ctx, c,
		"UPDATE "+table+" SET "+assign(columns, ", ")+" WHERE "+assign(keys, " AND "), row)
	return err
}

// assign turns "a, b" into "a = :a, b = :b".
func assign(columns, sep string) string {
	parts := strings.Split(columns, ", ")
	for i, p := range parts {
		parts[i] = p + " = :" + p
	}
	return strings.Join(parts, sep)
}

// assignExcluded is "a = excluded.a, b = excluded.b" for an upsert.
func assignExcluded(columns string) string {
	parts := strings.Split(columns, ", ")
	for i, p := range parts {
		parts[i] = p + " = excluded." + p
	}
	return strings.Join(parts, ", ")
}

// marks is "(?, ?), (?, ?)" for rows of so many columns.
func marks(rows, columns int) string {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	return strings.Repeat(row+", ", rows-1) + row
}

// errAgain asks inTx to run the transaction anew: somebody was faster.
var errAgain = errors.New("somebody else was faster")

// maxAttempts of one transaction. Each failed one has let somebody else's
// through; 8 with doubling waits is about half a second.
const maxAttempts = 8

// inTx runs fn in a transaction, again when the engine asks for that, and once
// more when the connection was lost before COMMIT was sent. fn may therefore
// run several times and must keep nothing from a failed run.
func (s *Store) inTx(ctx context.Context, fn func(c conn) error) error {
	for attempt := 1; ; attempt++ {
		unsure, err := s.once(ctx, fn)
		again := s.again(err) || attempt == 1 && !unsure && s.reconnect(err)
		if err == nil || attempt == maxAttempts || !again {
			return err
		}
		wait := time.Duration(rand.Int64N(int64(2*time.Millisecond) << attempt))
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// again reports whether the transaction was undone by others and may be run
// again.
func (s *Store) again(err error) bool {
	return errors.Is(err, errAgain) || s.dialect.classify(err) == faultAgain
}

// lost reports whether the database can't be reached, or can't write.
func (s *Store) lost(err error) bool {
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || s.dialect.classify(err) == faultDown
}

// once runs fn in one transaction. unsure says that it failed in COMMIT: then
// nobody knows whether it is stored.
func (s *Store) once(ctx context.Context, fn func(c conn) error) (unsure bool, err error) {
	if s.joint != nil {
		return s.joint.run(ctx, func(tx *sqlx.Tx) error { return fn(conn{tx, s.dialect, nil}) })
	}
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return false, err
	}
	// After Commit it does nothing. Deferred, because a callback may panic and
	// its caller live on: SQLite's only writer must not be lost.
	defer func() { _ = tx.Rollback() }()
	if err := fn(conn{tx, s.dialect, nil}); err != nil {
		return false, err
	}
	return true, tx.Commit()
}

// fail wraps an error with the method and its key argument, and gives it its
// kind. Nil stays nil. key is an id or an URI, never an address or endpoint.
func (s *Store) fail(err error, method, key string) error {
	var own *verdict
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own.error
	case errors.Is(err, errWiped):
		err = fmt.Errorf("%w: %w: it was wiped", news.ErrNotFound, news.ErrGone)
	case errors.Is(err, sql.ErrNoRows):
		err = news.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case s.dialect.classify(err) == faultText:
		err = fmt.Errorf("%w: %w", news.Invalid("", "text with a NUL, or that is not valid UTF-8"), err)
	case s.again(err), s.lost(err):
		err = fmt.Errorf("%w: %w", news.ErrUnavailable, err)
	}
	return fmt.Errorf("store.%s(%s): %w", method, key, err)
}

// verdict carries a callback's own error through a transaction: it is the
// caller's and goes back as it came.
type verdict struct{ error }

func (v *verdict) Unwrap() error { return v.error }

func verdictOf(err error) error {
	if err == nil {
		return nil
	}
	return &verdict{err}
}

// unique reports whether err is a unique key that exists already.
func (s *Store) unique(err error) bool { return s.dialect.classify(err) == faultUnique }

// foreign reports whether err is a foreign key that does not exist.
func (s *Store) foreign(err error) bool { return s.dialect.classify(err) == faultForeign }
