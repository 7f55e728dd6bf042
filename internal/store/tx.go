package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"

	"dateline/internal/news"
)

// conn runs SQL written with `?` on a pool or in a transaction.
type conn struct {
	sqlx.ExtContext
	d *dialect
}

func (s *Store) read() conn  { return conn{s.ro, s.dialect} }
func (s *Store) write() conn { return conn{s.db, s.dialect} }

func (c conn) rebind(query string) string {
	return sqlx.Rebind(sqlx.BindType(c.DriverName()), query)
}

// get reads one row; sql.ErrNoRows when there is none.
func (c conn) get(ctx context.Context, dst any, query string, args ...any) error {
	return sqlx.GetContext(ctx, c, dst, c.rebind(query), args...)
}

// sel reads all rows.
func (c conn) sel(ctx context.Context, dst any, query string, args ...any) error {
	return sqlx.SelectContext(ctx, c, dst, c.rebind(query), args...)
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

// insert writes a row struct by its db tags: columns are those of the list.
// tail may hold an ON CONFLICT clause.
func (c conn) insert(ctx context.Context, table, columns string, row any, tail string) error {
	names := ":" + strings.ReplaceAll(columns, ", ", ", :")
	_, err := sqlx.NamedExecContext(ctx, c,
		"INSERT INTO "+table+" ("+columns+") VALUES ("+names+") "+tail, row)
	return err
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

// inTx runs fn in a transaction, again when the engine asks for that. fn may
// therefore run several times and must keep nothing from a failed run.
func (s *Store) inTx(ctx context.Context, fn func(c conn) error) error {
	for attempt := 1; ; attempt++ {
		err := s.once(ctx, fn)
		if err == nil || attempt == maxAttempts || !s.again(err) {
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

func (s *Store) again(err error) bool {
	return errors.Is(err, errAgain) || s.dialect.classify(err) == faultAgain
}

func (s *Store) once(ctx context.Context, fn func(c conn) error) (err error) {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one that matters
		}
	}()
	if err = fn(conn{tx, s.dialect}); err != nil {
		return err
	}
	return tx.Commit()
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
	case errors.Is(err, sql.ErrNoRows):
		err = news.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone), s.again(err),
		s.dialect.classify(err) == faultDown:
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
