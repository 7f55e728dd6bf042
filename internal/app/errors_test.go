package app_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorsSayWhatToDo: what went wrong, and the way out.
func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	if out, err := p.run("", "migrate"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		stdin string
		args  []string
		says  []string
	}{
		{"", []string{"alert", "hold", "nope"}, []string{"no alert nope", "dateline alert list"}},
		{"{}", []string{"publish", "-"}, []string{"nothing was published", "-/uri: is required", "-/url: is required"}},
	} {
		out, err := p.run(c.stdin, c.args...)
		if err == nil {
			t.Errorf("%v succeeds", c.args)
		}
		for _, want := range c.says {
			if !strings.Contains(out, want) {
				t.Errorf("%v does not say %q:\n%s", c.args, want, out)
			}
		}
	}
	elsewhere := newProgram(t, nil, nil, "NATS_URL=nats://127.0.0.1:1", "DATABASE_URL=postgres://u:p@127.0.0.1:1/x?sslmode=disable")
	keys, err := elsewhere.run("", "keys")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere.env = append(elsewhere.env, strings.Fields(keys)...)
	out, err := elsewhere.run("", "alert", "list")
	if err == nil || !strings.Contains(out, "start it, or mend the address: dial tcp") || strings.Contains(out, "store.") {
		t.Errorf("a database that is not there: %v\n%s", err, out)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out, err = p.run("", "demo", "--once", "--listen", taken.Addr().String())
	if err == nil || !strings.Contains(out, "--listen") {
		t.Errorf("a demo on a port that is taken: %v\n%s", err, out)
	}
}

// TestServeOnADemosFolder is refused: the next demo would empty it. What is
// misspelt is named before anything else can go wrong.
func TestServeOnADemosFolder(t *testing.T) {
	p := newProgram(t, nil, nil, "DATELINE_BASEURL=https://alerts.example.org")
	folder := filepath.Join(p.folder, "data")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "this-is-a-dateline-demo"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := p.run("", "serve")
	if err == nil {
		t.Error("it serves")
	}
	for _, want := range []string{"is a demo's folder", "--data", "DATELINE_BASEURL is not a setting"} {
		if !strings.Contains(out, want) {
			t.Errorf("serve does not say %q:\n%s", want, out)
		}
	}
}
