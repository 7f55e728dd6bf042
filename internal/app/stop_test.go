package app_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hang opens a request and never ends it: a phone in a tunnel.
func (p *program) hang() {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.listen)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { conn.Close() })
	if _, err := fmt.Fprintf(conn, "POST /api/v1/stories HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n", adminKey); err != nil {
		p.t.Fatal(err)
	}
	// "100 Continue" says that the handler waits for the body.
	answer := make([]byte, 12)
	if _, err := conn.Read(answer); err != nil || string(answer) != "HTTP/1.1 100" {
		p.t.Fatalf("%q, %v", answer, err)
	}
}

// TestStopsInTimeWithOpenRequests: SIGTERM is obeyed within 10 s whoever holds
// on, and that is no failure.
func TestStopsInTimeWithOpenRequests(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	p.start()
	p.hang()
	if took := p.terminate(); took > 10*time.Second {
		t.Errorf("stopped after %s", took)
	}
	if !strings.Contains(p.stderr.String(), "requests were cut off") {
		t.Errorf("nobody says that a request was cut off:\n%s", p.stderr)
	}
}

// TestSecondSignalStopsAtOnce: who presses twice means it.
func TestSecondSignalStopsAtOnce(t *testing.T) {
	p := newProgram(t, nil, nil)
	p.start()
	p.hang()
	send := func() {
		t.Helper()
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	send()
	for refused := false; !refused; { // its doors are closed: the first signal has arrived
		conn, err := net.Dial("tcp", p.listen)
		if refused = err != nil; !refused {
			conn.Close()
		}
	}
	began := time.Now()
	send()
	err := <-p.over
	p.cmd = nil
	if took := time.Since(began); exitCode(err) != 1 || took > 2*time.Second {
		t.Errorf("exit %d after %s\n%s", exitCode(err), took, p.stderr)
	}
}

// TestImportCountsLinesAsEditorsDo: blank lines are no subscriptions, and are
// lines all the same.
func TestImportCountsLinesAsEditorsDo(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	out, err := p.run("\n  \n\nnot json\n\r\nnor this", "import", "devices", "-")
	if exitCode(err) != 1 || !strings.Contains(out, "line 4 rejected") || !strings.Contains(out, "line 6 rejected") ||
		!strings.Contains(out, "2 lines: 0 stored, 2 rejected") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestImportSaysThatItMadeAKey: where devices come from elsewhere, they are bound to
// another one. What can't be read makes nothing; a byte order mark is no fault.
func TestImportSaysThatItMadeAKey(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	const made = "a new VAPID key was made"
	if out, err := p.run("", "import", "devices", filepath.Join(p.folder, "nobody.jsonl")); exitCode(err) != 1 || strings.Contains(out, made) {
		t.Errorf("no file: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(p.folder, "data", "vapid.key")); err == nil {
		t.Error("an import of nothing made a key")
	}
	for _, want := range []bool{true, false} {
		out, err := p.run("\ufeff\nnot json", "import", "devices", "-")
		if exitCode(err) != 1 || strings.Contains(out, made) != want || !strings.Contains(out, "1 lines: 0 stored, 1 rejected") || strings.Contains(out, "line 1 ") {
			t.Errorf("%v\n%s", err, out)
		}
	}
}
