package app_test

import (
	"net"
	"strings"
	"testing"
)

// TestErrorsSayWhatToDo: what went wrong, and the way out.
func TestErrorsSayWhatToDo(t *testing.T) {
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
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	out, err := p.run("", "demo", "--once", "--listen", taken.Addr().String())
	if err == nil || !strings.Contains(out, "--listen") {
		t.Errorf("a demo on a port that is taken: %v\n%s", err, out)
	}
}
