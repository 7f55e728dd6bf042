package app

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// The newsroom by its commands: who is added is listed, a key works until it is
// revoked, and who is removed takes her keys along.
func TestTheNewsroomByItsCommands(t *testing.T) {
	ctx, folder := t.Context(), t.TempDir()
	cfg, err := Load(func(name string) string {
		return map[string]string{"DATELINE_DATA": folder, "DATELINE_BASE_URL": "https://alerts.example"}[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	do := func(command func(context.Context, *Config, *bytes.Buffer) error) string {
		t.Helper()
		var out bytes.Buffer
		if err := command(ctx, &cfg, &out); err != nil {
			return "error: " + err.Error()
		}
		return out.String()
	}
	says := func(got string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%q lacks %q", got, w)
			}
		}
	}
	editors := func(ctx context.Context, c *Config, out *bytes.Buffer) error { return ListEditors(ctx, c, out) }
	keys := func(ctx context.Context, c *Config, out *bytes.Buffer) error { return ListAPIKeys(ctx, c, out) }
	says(do(editors), "error: there is no database")
	says(do(func(ctx context.Context, c *Config, out *bytes.Buffer) error { return Migrate(ctx, c, out) }), "schema")
	says(do(editors), "nobody yet")
	says(do(keys), "no key works")
	for _, name := range []string{"Aiko Mori", "Ben"} {
		says(do(func(ctx context.Context, c *Config, out *bytes.Buffer) error {
			return AddEditor(ctx, c, name, news.RoleEditor, out)
		}), "https://alerts.example/desk/join/")
		says(do(func(ctx context.Context, c *Config, out *bytes.Buffer) error {
			return AddAPIKey(ctx, c, name, []string{news.ScopeAlertsRead}, time.Hour, out)
		}), "dl_")
	}
	says(do(editors), "Aiko Mori", "Ben", "editor", "has not joined yet, invited until 20")
	list := do(keys)
	says(list, "Aiko Mori", "alerts:read", "until 20")
	if strings.Contains(list, "dl_") {
		t.Error("the list shows a key")
	}
	for line := range strings.Lines(list) {
		if strings.Contains(line, "Ben") {
			id := strings.Fields(line)[0]
			revoke := func(ctx context.Context, c *Config, out *bytes.Buffer) error { return RevokeAPIKey(ctx, c, id, out) }
			says(do(revoke), "has ended")
			says(do(revoke), "error: there is no key "+id)
		}
	}
	remove := func(ctx context.Context, c *Config, out *bytes.Buffer) error {
		return RemoveEditor(ctx, c, "Aiko Mori", out)
	}
	says(do(remove), "out of the newsroom")
	says(do(remove), "error: there is no editor Aiko Mori")
	says(do(keys), "no key works")
}

// The list of editors says how far each has come.
func TestWhoHasJoined(t *testing.T) {
	now := time.Date(2026, 2, 6, 1, 30, 0, 0, time.UTC)
	ben := news.Editor{Name: "Ben Tan", Role: news.RoleChief}
	for want, m := range map[string]news.Member{
		"has not joined yet, invited until 2026-02-07 01:30 UTC":                                {Editor: ben, InvitedUntil: now.Add(24 * time.Hour)},
		`has not joined, and no invitation is open: dateline editor add "Ben Tan" --role chief`: {Editor: ben},
		"has joined, not signed in yet":                                                         {Editor: ben, Joined: true, InvitedUntil: now.Add(time.Hour)},
		"has joined, last signed in 2026-02-06 00:30 UTC":                                       {Editor: ben, Joined: true, SignedInAt: now.Add(-time.Hour)},
	} {
		if got := joined(m, now); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
