package app

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

func TestFolded(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"  a  short one", "  a  short one"},
		{"  a    one two three", "  a    one two\n    three"},
		{"  a    one two three four five", "  a    one two\n    three four\n    five"},
		{"  b    indivisible-word", "  b\n    indivisible-word"},
		{"  indivisible-word-here", "  indivisible-word-here"},
	} {
		if got := folded(c.line, 14, "    "); got != c.want {
			t.Errorf("%q:\n%s\nwant\n%s", c.line, got, c.want)
		}
	}
}

// TestMisspeltSettingsAreNamed, by the doctor and at the start of serve, and
// are no fault.
func TestMisspeltSettingsAreNamed(t *testing.T) {
	var out bytes.Buffer
	for _, n := range unknownSettings([]string{"DATELINE_LISTN=:1", "DATELINE_LISTEN=:1", "DATELINE_LINK_KEY_FILE=x", "DATELINE_HOLD_FILE=x", "PATH=x"}) {
		fmt.Fprintln(&out, n.words)
	}
	if text := out.String(); strings.Count(text, "\n") != 2 || !strings.Contains(text, "DATELINE_LISTN ") || !strings.Contains(text, "DATELINE_HOLD_FILE ") {
		t.Errorf("the notes are %q", text)
	}
}

func TestBaseURLIsNoted(t *testing.T) {
	for url, want := range map[string]bool{
		"https://alerts.example.org": false, "http://alerts.example.org": true, "http://localhost:8080": false,
		"http://127.0.0.1:8080": false, "http://[::1]:8080": false, "http://10.0.0.7": true,
	} {
		c, err := Load(settings("DATELINE_BASE_URL=" + url))
		if err != nil {
			t.Fatal(err)
		}
		noted := slices.ContainsFunc(c.notes(nil), func(n note) bool { return n.what == "base URL" })
		if noted != want {
			t.Errorf("%s: %v", url, c.notes(nil))
		}
	}
}

// An editor in the wrong folder is not told that there are no alerts.
func TestNoDatabaseIsMadeByLooking(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	var out bytes.Buffer
	for name, do := range map[string]func() error{
		"alert list": func() error { return ListAlerts(context.Background(), &cfg, &out) },
		"editor add": func() error { return AddEditor(context.Background(), &cfg, "Aiko Mori", news.RoleEditor, &out) },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), cfg.Data) || out.Len() > 0 {
			t.Errorf("%s: %v, %q", name, err, out.String())
		}
	}
}

// TestWelcome: a person at a terminal learns where to go.
func TestWelcome(t *testing.T) {
	listener := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	a := &App{cfg: Config{Data: "data"}, public: listener()}
	site := a.URL()
	for _, want := range []string{site + " ", site + "/desk ", "data/admin.key"} {
		if !strings.Contains(a.welcome(), want) {
			t.Errorf("%q does not say %q", a.welcome(), want)
		}
	}
	a.deskDoor, a.cfg.AdminKey = listener(), "a key of the environment"
	for _, want := range []string{"http://" + a.deskDoor.Addr().String() + "/desk ", "DATELINE_ADMIN_KEY"} {
		if !strings.Contains(a.welcome(), want) || strings.Contains(a.welcome(), a.cfg.AdminKey) {
			t.Errorf("%q does not say %q", a.welcome(), want)
		}
	}
}

// TestPlain: who types a command is told what is wrong, not which calls it
// went through.
func TestPlain(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"the database does not answer: store.Open(postgres): store.Ping(): unavailable: dial tcp [::1]:5432: connect: connection refused",
			"the database does not answer: dial tcp [::1]:5432: connect: connection refused"},
		{"bus: connect to NATS at nats://127.0.0.1:1: nats: no servers available", "connect to NATS at nats://127.0.0.1:1: nats: no servers available"},
		{"not found: there is no editor X", "there is no editor X"},
		{"desk: add editor X: store.AddEditor(X): unavailable", "add editor X: unavailable"},
		{"not found", "not found"},
		{"DATABASE_URL: is a setting", "DATABASE_URL: is a setting"},
		{"-/uri: is required", "-/uri: is required"},
		{"one: conflict: the alert is sent\nstore.Close(): unavailable: gone", "one: the alert is sent\ngone"},
	} {
		if got := Plain(c.text); got != c.want {
			t.Errorf("%q\n is %q,\nwant %q", c.text, got, c.want)
		}
	}
}

func TestParseSpan(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90d": 90 * day, "1d12h": day + 12*time.Hour, "12h": 12 * time.Hour, "30m": 30 * time.Minute,
		"": 0, "d": 0, "-1d": 0, "0h": 0, "-5h": 0, "1d-5h": 0, "1.5d": 0, "ninety": 0, "999999999d": 0,
	} {
		if got, err := ParseSpan(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

// TestAKeyCutShortSaysSo: 24 hours is all that a powerful key can have.
func TestAKeyCutShortSaysSo(t *testing.T) {
	cfg := Config{Data: t.TempDir()}
	var out bytes.Buffer
	if err := Migrate(t.Context(), &cfg, &out); err != nil {
		t.Fatal(err)
	}
	if err := AddEditor(t.Context(), &cfg, "Aiko Mori", news.RoleEditor, &out); err != nil {
		t.Fatal(err)
	}
	const cut = "(24h and not 48h: a key that can approve or release lasts no longer)"
	for scope, says := range map[string]bool{news.ScopeAlertsRelease: true, news.ScopeAlertsRead: false} {
		out.Reset()
		if err := AddAPIKey(t.Context(), &cfg, "Aiko Mori", []string{scope}, 48*time.Hour, &out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), cut) != says {
			t.Errorf("%s:\n%s", scope, &out)
		}
	}
}
