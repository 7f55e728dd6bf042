package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"dateline/internal/bus"
	"dateline/internal/desk"
	"dateline/internal/news"
	"dateline/internal/store"
)

// Migrate brings the database's schema up to date.
func Migrate(ctx context.Context, cfg *Config, out io.Writer) error {
	return withNewStore(ctx, cfg, func(s *store.Store) error {
		current, latest, err := s.SchemaVersion(ctx)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintf(out, "schema %d of %d\n", current, latest); err != nil {
			return err
		}
		return grant(ctx, s, out)
	})
}

// grant gives the program's role on Postgres its rights and says so.
func grant(ctx context.Context, s *store.Store, out io.Writer) error {
	if s.Engine() != "postgres" {
		return nil
	}
	granted, err := s.Grant(ctx)
	switch {
	case errors.Is(err, news.ErrForbidden): // not the owner, and the schema is current
		return nil
	case err != nil:
		return err
	case granted:
		_, err = fmt.Fprintf(out, "the role %s has its rights: let `dateline serve` connect as a member of it\n", store.AppRole)
	default:
		_, err = fmt.Fprintf(out, "there is no role %s: as a superuser, run CREATE ROLE %s NOLOGIN, then this again\n", store.AppRole, store.AppRole)
	}
	return err
}

// withDesk opens the database and gives a desk on it, which works whether or
// not a dateline is serving: dispatchers read the stop counter every 100 ms.
func withDesk(ctx context.Context, cfg *Config, do func(*desk.Service, desk.Newsroom) error) error {
	return withStore(ctx, cfg, func(s *store.Store) error {
		c := desk.Config{Store: s, BaseURL: cfg.BaseURL, StoryHosts: cfg.StoryHosts, Hold: cfg.Hold, NewID: newID}
		if url, err := natsURL(ctx, cfg); err == nil {
			// A wake-up is a courtesy: without it the others look within 250 ms.
			reach, cancel := context.WithTimeout(ctx, time.Second)
			if b, err := bus.Open(reach, bus.Config{URL: url, Logger: discard(), Patience: time.Second}); err == nil {
				defer b.Close()
				c.Waker = b
			}
			cancel()
		}
		return do(desk.New(c), s)
	})
}

// hasDatabase refuses a folder that nothing was kept in: whoever stands in the
// wrong one must not be told that there are no alerts.
func hasDatabase(cfg *Config) error {
	if !cfg.embedded() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(cfg.Data, databaseFile)); errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("there is no database in the data folder %s: name the right one with --data or DATELINE_DATA, or set DATABASE_URL; a new one is made by `dateline serve` or `dateline migrate`", cfg.Data)
	}
	return nil
}

// AddEditor adds a person to the newsroom.
func AddEditor(ctx context.Context, cfg *Config, name string, role news.Role, out io.Writer) error {
	return withDesk(ctx, cfg, func(_ *desk.Service, room desk.Newsroom) error {
		e, err := desk.AddEditor(ctx, room, name, role, news.SystemName, time.Now().UTC())
		if err != nil {
			return err
		}
		path, until, err := desk.Invite(ctx, room, e.Name, news.SystemName, time.Now().UTC())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s is now in the newsroom as %s\nto choose a password, once, until %s (keep it to the two of you):\n%s\n",
			e.Name, e.Role, until.Format(time.RFC3339), deskURL(cfg)+path)
		return err
	})
}

// ListEditors prints the newsroom: who has joined, and who was seen when.
func ListEditors(ctx context.Context, cfg *Config, out io.Writer) error {
	now := time.Now()
	return printList(ctx, cfg, out, "nobody yet: dateline editor add NAME --role editor", (*store.Store).Members, func(m news.Member) []string {
		return []string{m.Name, string(m.Role), "since " + m.CreatedAt.Format(time.DateOnly), joined(m, now)}
	})
}

// joined is how far a person has come into the newsroom.
func joined(m news.Member, now time.Time) string {
	if m.Joined {
		if m.SignedInAt.IsZero() {
			return "has joined, not signed in yet"
		}
		return "has joined, last signed in " + m.SignedInAt.UTC().Format("2006-01-02 15:04 MST")
	}
	if m.InvitedUntil.After(now) {
		return "has not joined yet, invited until " + m.InvitedUntil.UTC().Format("2006-01-02 15:04 MST")
	}
	return fmt.Sprintf("has not joined, and no invitation is open: dateline editor add %q --role %s", m.Name, m.Role)
}

// ListAPIKeys prints the keys that work, without the keys themselves.
func ListAPIKeys(ctx context.Context, cfg *Config, out io.Writer) error {
	return printList(ctx, cfg, out, "no key works: dateline apikey add --editor NAME --scopes …", (*store.Store).APIKeys, func(k news.APIKey) []string {
		until := "until revoked"
		if !k.ExpiresAt.IsZero() {
			until = "until " + k.ExpiresAt.Format(time.RFC3339)
		}
		return []string{k.ID, k.Editor, strings.Join(k.Scopes, ","), until}
	})
}

// printList prints what the store lists, a line each in columns, or the
// sentence for none.
func printList[T any](ctx context.Context, cfg *Config, out io.Writer, none string,
	list func(*store.Store, context.Context) ([]T, error), columns func(T) []string,
) error {
	return withStore(ctx, cfg, func(s *store.Store) error {
		all, err := list(s, ctx)
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
		for _, one := range all {
			fmt.Fprintln(table, strings.Join(columns(one), "\t"))
		}
		if len(all) == 0 {
			fmt.Fprintln(table, none)
		}
		return table.Flush()
	})
}

// RemoveEditor takes a person out of the newsroom, with keys and sessions.
func RemoveEditor(ctx context.Context, cfg *Config, name string, out io.Writer) error {
	return end(ctx, cfg, out, (*store.Store).RemoveEditor, name,
		"there is no editor %s; `dateline editor list` names them", "%s is out of the newsroom; keys and sessions have ended\n")
}

// RevokeAPIKey ends a key.
func RevokeAPIKey(ctx context.Context, cfg *Config, id string, out io.Writer) error {
	return end(ctx, cfg, out, (*store.Store).RevokeAPIKey, id,
		"there is no key %s; `dateline apikey list` names them", "the key %s has ended\n")
}

// end ends something by its name and says so, or that there is no such thing.
func end(ctx context.Context, cfg *Config, out io.Writer, remove func(*store.Store, context.Context, string, string) error, name, none, done string) error {
	return withStore(ctx, cfg, func(s *store.Store) error {
		err := remove(s, ctx, name, news.SystemName)
		if errors.Is(err, news.ErrNotFound) {
			return fmt.Errorf(none, name)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, done, name)
		return err
	})
}

// withStore opens the database for a command; one that is not there is a fault.
func withStore(ctx context.Context, cfg *Config, do func(*store.Store) error) error {
	if err := hasDatabase(cfg); err != nil {
		return err
	}
	return withNewStore(ctx, cfg, do)
}

// withNewStore is withStore where the database may have to be made.
func withNewStore(ctx context.Context, cfg *Config, do func(*store.Store) error) error {
	keys, err := LoadKeys(cfg)
	if err != nil {
		return err
	}
	s, err := openStore(ctx, cfg, keys, discard())
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // what was written is committed
	return do(s)
}

// deskURL is where editors reach the desk's pages, as far as the configuration
// tells.
func deskURL(cfg *Config) string {
	switch {
	case cfg.DeskURL != "":
		return cfg.DeskURL
	case cfg.DeskListen != "":
		return "http://" + localAddress(cfg.DeskListen)
	case cfg.BaseURL != "":
		return cfg.BaseURL
	}
	return "http://" + localAddress(cfg.Listen)
}

// AddAPIKey makes a key for an editor and prints it, alone, on the last line.
// It is shown this once.
func AddAPIKey(ctx context.Context, cfg *Config, editor string, scopes []string, lasts time.Duration, out io.Writer) error {
	return withDesk(ctx, cfg, func(_ *desk.Service, room desk.Newsroom) error {
		now := time.Now().UTC()
		secret, key, err := desk.AddAPIKey(ctx, room, desk.KeyWish{Editor: editor, Scopes: scopes, Life: lasts}, now)
		if errors.Is(err, news.ErrNotFound) {
			return fmt.Errorf("there is no editor %s; `dateline editor list` names them", editor)
		}
		if err != nil {
			return err
		}
		until := "until it is revoked"
		if !key.ExpiresAt.IsZero() {
			until = "until " + key.ExpiresAt.Format(time.RFC3339)
		}
		if given := key.ExpiresAt.Sub(now); lasts > given && !key.ExpiresAt.IsZero() {
			until += fmt.Sprintf(" (%s and not %s: a key that can approve or release lasts no longer)", brief(given), brief(lasts))
		}
		_, err = fmt.Fprintf(out, "key of %s for %s, %s; it is shown this once:\n%s\n",
			key.Editor, strings.Join(key.Scopes, ", "), until, secret)
		return err
	})
}

// ParseSpan reads a span of time, such as 12h, 90d or 1d12h.
func ParseSpan(text string) (time.Duration, error) {
	const most = 36500 // days; what is longer does not fit a time.Duration in the end
	var days uint64
	rest := text
	if number, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseUint(number, 10, 32)
		if err != nil || n > most {
			return 0, news.Invalid("", "must be a time such as 12h or 90d, not %q", text)
		}
		if days, rest = n, after; rest == "" {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d <= 0 || d > most*24*time.Hour {
		return 0, news.Invalid("", "must be a time such as 12h or 90d, not %q", text)
	}
	return time.Duration(days)*24*time.Hour + d, nil
}
