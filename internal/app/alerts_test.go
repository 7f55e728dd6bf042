package app_test

import (
	"strings"
	"testing"
)

// A kill without a reason does nothing and shows what to type. With one it works
// while no dateline runs, and the trail says why, whose word it was, and in whose
// shell.
func TestAlertsAreStoppedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil, "DATELINE_POLICY=one", "SUDO_USER=kim")
	p.start()
	const uri = "https://news.example/stopped/1"
	p.story(uri, "Taken back")
	id := p.alert(uri, "drafted", func(alertAnswer) bool { return true }).ID
	p.kill()
	for _, reason := range [][]string{nil, {"--reason", " \u200b "}} {
		out, err := p.run("", append([]string{"alert", "kill", id}, reason...)...)
		if exitCode(err) != 2 || !strings.Contains(out, "dateline alert kill "+id+` --reason "`) {
			t.Errorf("reason %q: exit %d\n%s", reason, exitCode(err), out)
		}
	}
	if out, err := p.run("", "alert", "show", id); err != nil || !strings.Contains(out, "is draft") {
		t.Errorf("after the refusals: %v\n%s", err, out)
	}
	for _, step := range [][]string{
		{"hold", id, "--reason", "checking the figure", "--by", "Aiko Mori"}, {"resume", id},
		{"kill", id, "--reason", "the statement was a forgery", "--by", "Aiko Mori"},
	} {
		if out, err := p.run("", append([]string{"alert"}, step...)...); err != nil {
			t.Fatalf("%s: %v\n%s", step[0], err, out)
		}
	}
	trail, err := p.run("", "export", "audit")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"action":"hold","subject":"alert/` + id + `","detail":"checking the figure · Aiko Mori, as kim (sudo) on the command line"`,
		`"action":"resume","subject":"alert/` + id + `","detail":"kim (sudo) on the command line"`,
		`"action":"kill","subject":"alert/` + id + `","detail":"the statement was a forgery · Aiko Mori, as kim (sudo) on the command line"`,
		`"to":"flash JP","texts":{"en":{"title":"Taken back","body":"Tokyo says more will follow."}}`,
	} {
		if !strings.Contains(trail, want) {
			t.Errorf("the trail lacks %s:\n%s", want, trail)
		}
	}
}
