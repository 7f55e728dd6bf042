package app

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
)

// checkScratch looks at the URL of a scratch database; "" is none.
func checkScratch(p *news.Problems, address string) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" { // the text is not shown: it has a password in it
		p.Add("--postgres", "must be a postgres:// URL")
	}
}

// inScratch runs do on a schema of its own in a scratch database, and drops it.
func inScratch(ctx context.Context, address string, do func(url string) error) (err error) {
	db, err := sql.Open("postgres", address)
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // nothing is lost
	schema := "dateline_bench_" + strings.ToLower(rand.Text()[:10])
	if _, err := db.ExecContext(ctx, "CREATE SCHEMA "+schema); err != nil {
		return fmt.Errorf("--postgres: a schema can't be made there: %w", err)
	}
	defer func() { // also when it was interrupted
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		_, dropped := db.ExecContext(clean, "DROP SCHEMA "+schema+" CASCADE")
		err = errors.Join(err, dropped)
	}()
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("--postgres: not a URL")
	}
	q := u.Query()
	q.Set("search_path", schema)
	u.RawQuery = q.Encode()
	return do(u.String())
}

// benchFloor writes the rows of a sign-up into copies of their tables, each with
// the same indexes and as many rows, in a transaction of its own: what the database
// alone needs, without a door, a rule, a check or a seal.
type benchFloor struct {
	db         *sql.DB
	postgres   bool
	preference string // one that there is
	secret     []byte // as long as a sealed one
}

// floorTables are written by a sign-up; preferences are shared and seldom new.
func floorTables() []string { return []string{"subscribers", "cells", "devices"} }

func newBenchFloor(ctx context.Context, postgres, store string) (_ *benchFloor, err error) {
	f := &benchFloor{postgres: postgres != ""}
	if f.postgres {
		f.db, err = sql.Open("postgres", postgres)
	} else {
		q := url.Values{"_busy_timeout": {"5000"}, "_synchronous": {"FULL"}, "_journal_mode": {"WAL"}, "_txlock": {"immediate"},
			"_time_format": {"sqlite"}, "_foreign_keys": {"1"}, "_pragma": {"cache_size(-16000)"}} // as package store opens it
		f.db, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: strings.TrimPrefix(store, "sqlite:"), RawQuery: q.Encode()}).String())
	}
	if err != nil {
		return nil, err
	}
	f.db.SetMaxOpenConns(16)
	f.db.SetMaxIdleConns(16)
	if !f.postgres {
		f.db.SetMaxOpenConns(1) // it has one writer
	}
	if err := f.copyTables(ctx); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

func (f *benchFloor) close() { _ = f.db.Close() } // its rows go with the folder or the schema

func (f *benchFloor) copyTables(ctx context.Context) error {
	for _, table := range floorTables() {
		statements := []string{"CREATE TABLE floor_" + table + " (LIKE " + table + " INCLUDING ALL)"}
		if !f.postgres {
			var err error
			if statements, err = f.copied(ctx, table); err != nil {
				return err
			}
		}
		for _, s := range append(statements, "INSERT INTO floor_"+table+" SELECT * FROM "+table) {
			if _, err := f.db.ExecContext(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
		}
	}
	// What so many new rows leave to be done would be done among the measurements.
	tidy := "PRAGMA wal_checkpoint(TRUNCATE)"
	if f.postgres {
		tidy = "ANALYZE"
	}
	if _, err := f.db.ExecContext(ctx, tidy); err != nil {
		return err
	}
	return f.db.QueryRowContext(ctx, "SELECT s.preference_id, d.secret FROM devices d JOIN subscribers s ON s.id = d.subscriber_id LIMIT 1").Scan(&f.preference, &f.secret)
}

// copied are a table's own statements and those of its indexes, for its copy.
func (f *benchFloor) copied(ctx context.Context, table string) (statements []string, err error) {
	rows, err := f.db.QueryContext(ctx, "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type IN ('table', 'index') AND sql IS NOT NULL ORDER BY type DESC", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names := regexp.MustCompile(`\b(subscribers|cells|devices)`)
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		statements = append(statements, names.ReplaceAllString(s, "floor_$1"))
	}
	return statements, rows.Err()
}

// do writes what the n-th reader's step changes.
func (f *benchFloor) do(ctx context.Context, step string, n int) (err error) {
	tx, err := f.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	write := func(statement string, args ...any) {
		if err == nil {
			_, err = tx.ExecContext(ctx, f.marked(statement), args...)
		}
	}
	device, subscriber, now := floorID("device", n), floorID("reader", n), time.Now().UTC()
	switch step {
	case "subscribe":
		write("INSERT INTO floor_subscribers (id, preference_id, language, only_language, timezone, quiet_from, quiet_to, quiet_flash, cap, muted_stories, over_stories, created_at, updated_at) "+
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", subscriber, f.preference, "en", false, "Asia/Tokyo", 1320, 420, true, 0, "[]", "[]", now, now)
	case "change":
		write("UPDATE floor_subscribers SET preference_id = ?, updated_at = ? WHERE id = ?", f.preference, now, subscriber)
	}
	if err != nil {
		return err
	}
	var number, change int64
	if err = tx.QueryRowContext(ctx, f.marked("UPDATE floor_cells SET next_number = next_number + 1, change = change + 1 WHERE cell = ? RETURNING next_number, change"),
		n%news.Cells).Scan(&number, &change); err != nil {
		return err
	}
	switch step {
	case "subscribe":
		write("INSERT INTO floor_devices (cell, number, id, subscriber_id, state, change, endpoint_mac, key_id, secret, vapid_key_id, created_at, updated_at) "+
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", n%news.Cells, number, device, subscriber, string(news.DeviceActive), change, floorMAC(n), "0123456789abcdef", f.secret, "0123456789abcdef", now, now)
	case "change":
		write("UPDATE floor_devices SET change = ?, updated_at = ? WHERE id = ?", change, now, device)
	default:
		write("UPDATE floor_devices SET state = ?, change = ?, updated_at = ? WHERE id = ?", string(news.DeviceLeft), change, now, device)
	}
	if err != nil {
		return err
	}
	return tx.Commit()
}

// marked writes parameters as the engine wants them.
func (f *benchFloor) marked(statement string) string {
	if !f.postgres {
		return statement
	}
	n := 0
	return regexp.MustCompile(`\?`).ReplaceAllStringFunc(statement, func(string) string {
		n++
		return "$" + strconv.Itoa(n)
	})
}
