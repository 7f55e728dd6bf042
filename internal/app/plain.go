package app

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"

	"dateline/internal/bus"
	"dateline/internal/news"
)

// Plain is the text of an error for the person at the command line: without
// the calls it went through, which are for the log, and without the kinds of
// package news where a sentence follows.
func Plain(text string) string {
	calls := regexp.MustCompile(`\b(store|bus|desk|intake|dispatch|digest|site|newsroom)(\.[A-Z]\w*(\([^()\n]*\))?)?: `)
	kinds := regexp.MustCompile(`(?m)(^|: |; )((unavailable|not found|conflict|forbidden): )+`)
	return kinds.ReplaceAllString(calls.ReplaceAllString(text, ""), "$1")
}

// storeFault says what to do about a database that can't be opened.
func (c *Config) storeFault(err error) error {
	switch {
	case c.embedded():
		return fmt.Errorf("the database %s can't be opened; see whether the folder is this user's and the disk has room: %w",
			filepath.Join(c.Data, databaseFile), err)
	case errors.Is(err, news.ErrUnavailable):
		return fmt.Errorf("DATABASE_URL: the database does not answer; start it, or mend the address: %w", err)
	}
	return fmt.Errorf("DATABASE_URL: the database can't be opened; mend user, password, name or sslmode: %w", err)
}

// natsFault says what to do about a NATS that can't be used.
func (c *Config) natsFault(err error) error {
	var settings *bus.SettingsError
	switch {
	case c.NATSURL == "" && errors.As(err, &settings):
		return err
	case c.NATSURL == "":
		return fmt.Errorf("NATS inside the program can't be used; see whether %s is this user's and the disk has room: %w",
			filepath.Join(c.Data, "nats"), err)
	case errors.As(err, &settings):
		return fmt.Errorf("NATS_URL: %w", err)
	}
	return fmt.Errorf("NATS_URL: NATS can't be used; start it with JetStream, or mend address, user or password: %w", err)
}
