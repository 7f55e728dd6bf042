package store

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

func TestPostgresDSN(t *testing.T) {
	for _, c := range []struct{ in, host, parameter, sslmode string }{
		{"postgres://u:p@db.example/name", "db.example", "", "require"},
		{"postgresql://u:p@db.example:5433/name?sslmode=verify-full", "db.example:5433", "", "verify-full"},
		{"postgres://db.example/name?sslmode=disable", "db.example", "", "disable"},
		{"postgres://u@localhost/name", "localhost", "", "prefer"},
		{"postgres://u@127.0.0.1:5432/name", "127.0.0.1:5432", "", "prefer"},
		{"postgres://[::1]/name", "[::1]", "", "prefer"},
		{"postgres:///name", "", "", "prefer"},
		{"postgres:///name?host=/run/postgresql", "", "/run/postgresql", "disable"},
		{"postgresql://u:p%40@%2Frun%2Fpostgresql/name", "", "/run/postgresql", "disable"},
		{"postgres://%2frun%2Fpostgresql/name?sslmode=disable", "", "/run/postgresql", "disable"},
	} {
		dsn, err := postgresDSN(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		u, err := url.Parse(dsn)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		if u.Scheme != "postgres" || u.Host != c.host || q.Get("host") != c.parameter || q.Get("sslmode") != c.sslmode || u.Path != "/name" {
			t.Errorf("%s became %s", c.in, dsn)
		}
		if strings.Contains(c.in, "p%40") {
			if p, _ := u.User.Password(); p != "p@" {
				t.Errorf("password %q", p)
			}
		}
	}
}

func TestFail(t *testing.T) {
	d, err := dialectOf("postgres://x")
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{dialect: d}
	coded := func(code string) error { return &pq.Error{Code: pqerror.Code(code), Message: "m"} }
	mine := errors.New("mine")
	for _, c := range []struct {
		name string
		in   error
		is   error
		not  error
	}{
		{"no rows", sql.ErrNoRows, news.ErrNotFound, news.ErrUnavailable},
		{"refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, news.ErrUnavailable, news.ErrNotFound},
		{"bad connection", driver.ErrBadConn, news.ErrUnavailable, nil},
		{"shutdown", coded("57P01"), news.ErrUnavailable, nil},
		{"too many connections", coded("53300"), news.ErrUnavailable, nil},
		{"disk full", coded("53100"), news.ErrUnavailable, nil},
		{"connection failure", coded("08006"), news.ErrUnavailable, nil},
		{"standby", coded("25006"), news.ErrUnavailable, nil},
		{"deadlock to the end", coded("40P01"), news.ErrUnavailable, nil},
		{"canceled", context.Canceled, context.Canceled, news.ErrUnavailable},
		{"ours", coded("42601"), nil, news.ErrUnavailable},
		{"fenced", fmt.Errorf("%w: cell 3", news.ErrFenced), news.ErrFenced, news.ErrUnavailable},
	} {
		got := s.fail(c.in, "Story", "key")
		if c.is != nil && !errors.Is(got, c.is) {
			t.Errorf("%s: %v is not %v", c.name, got, c.is)
		}
		if c.not != nil && errors.Is(got, c.not) {
			t.Errorf("%s: %v is %v", c.name, got, c.not)
		}
		if !strings.HasPrefix(got.Error(), "store.Story(key): ") {
			t.Errorf("%s: %v does not name the call", c.name, got)
		}
	}
	if got := s.fail(fmt.Errorf("around: %w", verdictOf(mine)), "Story", "key"); got.Error() != mine.Error() || !errors.Is(got, mine) {
		t.Errorf("a callback's error became %v", got)
	}
	if s.fail(nil, "Story", "key") != nil || verdictOf(nil) != nil {
		t.Error("nil became an error")
	}
	if !s.unique(coded("23505")) || !s.foreign(coded("23503")) || s.unique(nil) {
		t.Error("constraint errors are not recognised")
	}
}

func TestSeal(t *testing.T) {
	a, err := newSealer(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	b, err := newSealer(bytes.Repeat([]byte{2}, 32))
	if err != nil {
		t.Fatal(err)
	}
	p := news.PushSubscription{Endpoint: "https://push.example/secret", P256dh: bytes.Repeat([]byte{4}, 65), Auth: bytes.Repeat([]byte{5}, 16)}
	sealed := a.sealPush("device-1", p)
	if bytes.Contains(sealed, []byte("secret")) || bytes.Equal(sealed, a.sealPush("device-1", p)) {
		t.Error("sealed text is readable or repeats")
	}
	got, err := a.openPush(a.id, "device-1", sealed)
	if err != nil || !cmp.Equal(got, p) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, open := range map[string]func() error{
		"another row":    func() error { _, err := a.openPush(a.id, "device-2", sealed); return err },
		"another table":  func() error { _, err := a.open(a.id, "mailboxes", "device-1", sealed); return err },
		"another key":    func() error { _, err := b.openPush(b.id, "device-1", sealed); return err },
		"another key id": func() error { _, err := b.openPush(a.id, "device-1", sealed); return err },
		"cut":            func() error { _, err := a.openPush(a.id, "device-1", sealed[:len(sealed)-1]); return err },
		"nothing":        func() error { _, err := a.openPush(a.id, "device-1", nil); return err },
	} {
		err := open()
		if err == nil {
			t.Errorf("%s: opened", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells: %v", name, err)
		}
	}
	if !bytes.Equal(a.addressMAC(" A@Example.org"), a.addressMAC("a@example.ORG ")) {
		t.Error("one address has two hashes")
	}
	if bytes.Equal(a.addressMAC("x"), a.endpointMAC("x")) || bytes.Equal(a.addressMAC("x"), b.addressMAC("x")) {
		t.Error("hashes of different kinds or keys are equal")
	}
}

// Whatever bytes stand in a row, opening them is an error and no panic.
func TestOpenPushProperty(t *testing.T) {
	s, err := newSealer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.Byte()).Draw(t, "raw")
		p, err := s.openPush(s.id, "d", s.seal("devices", "d", raw))
		if err == nil && len(p.Endpoint)+len(p.P256dh)+len(p.Auth) > len(raw) {
			t.Fatalf("%v became %+v", raw, p)
		}
	})
}

func TestPreferenceIDs(t *testing.T) {
	a := news.Preference{Regions: []string{"JP", "035", "JP"}, Sections: []string{"b", "a"}, Level: news.LevelNotice}
	b := news.Preference{Regions: []string{"035", "JP"}, Muted: []string{}, Sections: []string{"a", "b"}, Level: news.LevelNotice}
	c := b
	c.Level = news.LevelFlash
	id := func(p news.Preference) string {
		f, err := internForm(p)
		if err != nil {
			t.Fatal(err)
		}
		return f.id
	}
	if id(a) != id(b) || id(a) == id(c) {
		t.Errorf("ids %s %s %s", id(a), id(b), id(c))
	}
	// The id is stored: it must never change for the same preference.
	if got := id(b); got != "59593024daec3b3492f34bc0a74ac630" {
		t.Errorf("the id of a stored preference changed: %s", got)
	}
	f, err := internForm(news.Preference{Regions: []string{"JP"}, Muted: []string{"JP-13"}, Level: news.LevelNotice,
		Overrides: []news.Override{{Regions: []string{"TW", "KR"}, Level: news.LevelFlash}}})
	if err != nil {
		t.Fatal(err)
	}
	back, err := parsePreference(f.body)
	if err != nil || !cmp.Equal(back, f.Preference) {
		t.Errorf("%v\n%s", err, cmp.Diff(f.Preference, back))
	}
}

func TestStamp(t *testing.T) {
	when := time.Date(2026, 2, 3, 4, 5, 6, 789_123_456, time.FixedZone("", 9*3600))
	v, err := at(when).Value()
	if err != nil || !v.(time.Time).Equal(when.Truncate(time.Microsecond)) || v.(time.Time).Location() != time.UTC {
		t.Errorf("value %v, %v", v, err)
	}
	var s stamp
	for _, src := range []any{when, when.UTC().Format(sqliteTime)} {
		if err := s.Scan(src); err != nil || !s.Equal(when.Truncate(time.Microsecond)) {
			t.Errorf("%v became %v, %v", src, s, err)
		}
	}
	if err := s.Scan(nil); err != nil || !s.IsZero() {
		t.Errorf("null became %v, %v", s, err)
	}
	if s.Scan("tomorrow") == nil || s.Scan(5) == nil {
		t.Error("nonsense became a time")
	}
	if v, err := (stamp{}).Value(); v != nil || err != nil {
		t.Errorf("zero became %v, %v", v, err)
	}
}
