package desk

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

func TestAddEditor(t *testing.T) {
	m := newMemory()
	for _, c := range []struct {
		name string
		role news.Role
		kept string
		err  error
	}{
		{" Mei  Lin ", news.RoleEditor, "Mei Lin", nil},
		{"佐藤 健", news.RoleChief, "佐藤 健", nil},
		{"रीना", news.RoleReporter, "रीना", nil},
		{"mei lin", news.RoleEditor, "", news.ErrConflict},
		{"Mei Lin", news.RoleChief, "Mei Lin", nil}, // another role
		{"", news.RoleEditor, "", news.ErrInvalid},
		{"System", news.RoleChief, "", news.ErrInvalid},
		{"<b>", news.RoleChief, "", news.ErrInvalid},
		{repeat("a", 65), news.RoleChief, "", news.ErrInvalid},
		{"Jo", "boss", "", news.ErrInvalid},
	} {
		e, err := AddEditor(t.Context(), m, c.name, c.role, news.SystemName, noon)
		if !errors.Is(err, c.err) || e.Name != c.kept {
			t.Errorf("%q %s: %q, %v; want %q, %v", c.name, c.role, e.Name, err, c.kept, c.err)
		}
	}
	if len(m.editors) != 3 {
		t.Errorf("kept %v", m.editors)
	}
}

func TestAddAPIKey(t *testing.T) {
	m := newMemory()
	for name, role := range map[string]news.Role{"Rika": news.RoleReporter, "Ann": news.RoleEditor, "Chief": news.RoleChief} {
		if _, err := AddEditor(t.Context(), m, name, role, news.SystemName, noon); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name   string
		wish   KeyWish
		expiry time.Duration // 0: never
		err    error
		path   string
	}{
		{name: "reads for ever", wish: KeyWish{Editor: "Rika", Scopes: []string{"alerts:read", "stories:write"}}},
		{name: "reads for a year", wish: KeyWish{Editor: "Rika", Scopes: []string{"alerts:read"}, Life: 365 * 24 * time.Hour}, expiry: 365 * 24 * time.Hour},
		{name: "releases for a day", wish: KeyWish{Editor: "ann", Scopes: []string{"alerts:release"}}, expiry: 24 * time.Hour},
		{name: "approves for a week", wish: KeyWish{Editor: "Ann", Scopes: []string{"alerts:approve", "alerts:read"}, Life: 7 * 24 * time.Hour}, expiry: 24 * time.Hour},
		{name: "approves for an hour", wish: KeyWish{Editor: "Ann", Scopes: []string{"alerts:approve"}, Life: time.Hour}, expiry: time.Hour},
		{name: "stops for ever", wish: KeyWish{Editor: "Ann", Scopes: []string{"alerts:stop"}}},
		{name: "chief runs digests", wish: KeyWish{Editor: "Chief", Scopes: news.Scopes()}, expiry: 24 * time.Hour},
		{name: "reporter releases", wish: KeyWish{Editor: "Rika", Scopes: []string{"alerts:read", "alerts:release"}}, err: news.ErrInvalid, path: "scopes/1"},
		{name: "editor has every scope", wish: KeyWish{Editor: "Ann", Scopes: news.Scopes()}, expiry: 24 * time.Hour},
		{name: "reporter runs digests", wish: KeyWish{Editor: "Rika", Scopes: []string{"digests:run"}}, err: news.ErrInvalid, path: "scopes/0"},
		{name: "no such scope", wish: KeyWish{Editor: "Chief", Scopes: []string{"everything"}}, err: news.ErrInvalid, path: "scopes/0"},
		{name: "no scope", wish: KeyWish{Editor: "Chief"}, err: news.ErrInvalid, path: "scopes"},
		{name: "nobody", wish: KeyWish{Editor: "Zoe", Scopes: []string{"alerts:read"}}, err: news.ErrNotFound},
		{name: "negative", wish: KeyWish{Editor: "Ann", Scopes: []string{"alerts:read"}, Life: -1}, err: news.ErrInvalid, path: "life"},
	} {
		t.Run(c.name, func(t *testing.T) {
			key, k, err := AddAPIKey(t.Context(), m, c.wish, noon)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			var invalid *news.InvalidError
			if errors.As(err, &invalid) && invalid.Problems[0].Path != c.path {
				t.Errorf("%v, want a fault at %s", err, c.path)
			}
			if err != nil {
				return
			}
			if !strings.HasPrefix(key, "dl_") || len(key) != 3+43 || k.Hash != web.HashKey(key) || strings.Contains(k.Hash, key) {
				t.Errorf("key of %d characters, kept as %q", len(key), k.Hash)
			}
			var want time.Time
			if c.expiry > 0 {
				want = noon.Add(c.expiry)
			}
			if !k.ExpiresAt.Equal(want) || !slices.IsSorted(k.Scopes) {
				t.Errorf("%+v; want it to end at %v", k, want)
			}
		})
	}
}
