package browsertest

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	// startLimit bounds the start of Firefox: 2 to 5 s on an idle machine, 10 s
	// was seen on a busy one.
	startLimit = 2 * time.Minute
	// stopLimit is how long Firefox may take to write its profile when it ends.
	stopLimit = 20 * time.Second
)

// Browser is one Firefox with a profile of its own. Its methods fail the test
// when the browser does not obey, so they belong in the test's own goroutine.
type Browser struct {
	page
	binary  string
	profile string
	prefs   map[string]any
	journal *journal
	process *process // nil while it is stopped
	session *session
}

// BrowserOption changes the profile that Firefox starts with.
type BrowserOption func(prefs map[string]any)

// WithPush makes the browser use this push service.
func WithPush(s *Autopush) BrowserOption {
	return func(prefs map[string]any) { prefs["dom.push.serverURL"] = s.SocketURL() }
}

// WithPref sets any preference; nil removes it.
func WithPref(name string, value any) BrowserOption {
	return func(prefs map[string]any) { prefs[name] = value }
}

// AskFirst makes the browser ask before a page may notify, as it does for
// people. Nobody answers: use [Browser.Permit] before the page asks.
func AskFirst() BrowserOption { return WithPref(notificationPref, nil) }

const notificationPref = "permissions.default.desktop-notification"

// basePrefs are the preferences without which push does not work in a headless
// Firefox that is remote-controlled; each was found by leaving it out.
func basePrefs() map[string]any {
	return map[string]any{
		// No push service at all rather than Mozilla's, unless WithPush gives one.
		// Firefox ends a script that got no processor for 10 s as one that hangs.
		"dom.max_script_run_time":        0,
		"dom.max_chrome_script_run_time": 0,
		"dom.push.serverURL":             "",
		// Else subscribe() fails: "Error retrieving push subscription."
		"dom.push.testing.allowInsecureServerURL": true,
		// Remote control sets this to false unless the profile says otherwise.
		"dom.push.connection.enabled": true,
		// The default of 5000 ms makes every reconnect take that long.
		"dom.push.retryBaseInterval": 200,
		// Without a desktop, showNotification() rejects with NS_ERROR_FAILURE.
		"alerts.useSystemBackend": false,
		// Of notifications with requireInteraction Firefox shows 3 and keeps the
		// others back, so that getNotifications() does not list them.
		"dom.webnotifications.requireinteraction.count": 1000,
		// 1 is "allow": else subscribe() waits for an answer to its prompt.
		notificationPref: 1,
	}
}

// Firefox starts a browser that stops with the test. Without an installed
// Firefox the test is skipped as NOT RUN, or fails where CI is set.
func Firefox(tb testing.TB, options ...BrowserOption) *Browser {
	tb.Helper()
	binary := installed(tb, "FIREFOX", "firefox-esr")
	b := &Browser{binary: binary, prefs: basePrefs(), journal: newJournal()}
	b.page = page{tb, func(ctx context.Context, js string) (string, error) { return b.session.evaluate(ctx, js) }}
	for _, option := range options {
		option(b.prefs)
	}
	b.journal.dumpOnFailure(tb, "firefox")
	b.makeProfile()
	tb.Cleanup(b.Close)
	b.Start()
	return b
}

// installed is the browser to start. Without one the test is skipped as NOT RUN,
// or fails where CI is set.
func installed(tb testing.TB, variable, debian string) string {
	tb.Helper()
	binary, err := find(variable, os.Getenv(variable), debian, exec.LookPath)
	switch {
	case err != nil && os.Getenv("CI") != "":
		tb.Fatalf("browsertest: %v; where CI is set a browser must be there", err)
	case err != nil:
		tb.Skipf("NOT RUN: %v", err)
	}
	return binary
}

// find gives the browser to start: the one named, else Debian's. Others are not
// guessed: a packaged one may be confined to its own folders and could not read
// our profile.
func find(variable, named, debian string, look func(string) (string, error)) (string, error) {
	name := cmp.Or(named, debian)
	path, err := look(name)
	if err != nil {
		return "", fmt.Errorf("no %s found (apt-get install %s, or name one in %s): %w", name, debian, variable, err)
	}
	return path, nil
}

// profileDir is a folder for a browser's profile. Not tb.TempDir: a browser's
// helpers may still write while they end, and a folder that can't be removed at
// once would fail the test.
func profileDir(tb testing.TB, browser string) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "dateline-"+browser+"-")
	if err != nil {
		tb.Fatalf("browsertest: profile: %v", err)
	}
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Logf("browsertest: profile left behind: %v", err)
		}
	})
	return dir
}

func (b *Browser) makeProfile() {
	b.tb.Helper()
	b.profile = profileDir(b.tb, "firefox")
	if err := warmUp(b.profile); err != nil {
		b.tb.Fatalf("browsertest: profile: %v", err)
	}
	if err := os.WriteFile(filepath.Join(b.profile, "user.js"), userJS(b.prefs), 0o600); err != nil {
		b.tb.Fatalf("browsertest: profile: %v", err)
	}
}

func userJS(prefs map[string]any) []byte {
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(prefs)) {
		if prefs[name] == nil {
			continue
		}
		value, err := json.Marshal(prefs[name])
		if err != nil {
			value = []byte("null")
		}
		fmt.Fprintf(&out, "user_pref(%q, %s);\n", name, value)
	}
	return []byte(out.String())
}

// Start starts a browser that was closed, on the same profile: subscriptions
// and what it is called at the push service are still there.
func (b *Browser) Start() {
	b.tb.Helper()
	if b.process != nil {
		b.tb.Fatal("browsertest: Start: the browser is running")
	}
	var err error
	if b.process, err = launch(b.binary, b.profile, b.journal); err != nil {
		b.tb.Fatalf("browsertest: start %s: %v", b.binary, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	url, err := b.process.listening(ctx)
	if err == nil {
		b.session, err = openSession(ctx, url)
	}
	if err != nil {
		b.Close()
		b.tb.Fatalf("browsertest: start %s: %v", b.binary, err)
	}
}

// Close ends the browser in order; its profile stays until the test ends.
// Closing twice is allowed.
func (b *Browser) Close() {
	if b.process == nil {
		return
	}
	if b.session != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopLimit)
		if err := b.session.call(ctx, "browser.close", object{}, nil); err != nil {
			b.journal.add(err.Error()) // often the connection is gone before the answer
		}
		cancel()
	}
	b.process.stop(b.session != nil)
	if b.session != nil {
		b.session.close()
		keepWarm(b.profile)
	}
	b.process, b.session = nil, nil
}

// Restart is Close and Start.
func (b *Browser) Restart() {
	b.tb.Helper()
	b.Close()
	b.Start()
}

// process is a running Firefox.
type process struct {
	cmd    *exec.Cmd
	url    chan string // its BiDi address, once
	exited chan struct{}
}

var listening = regexp.MustCompile(`WebDriver BiDi listening on (ws://\S+)`)

func launch(binary, profile string, log *journal) (*process, error) {
	cmd := exec.Command(binary, "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--headless")
	cmd.Env = append(os.Environ(), "HOME="+profile, "MOZ_CRASHREPORTER_DISABLE=1")
	dieWithParent(cmd)
	out, in := io.Pipe()
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, url: make(chan string, 1), exited: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // its exit code says nothing a test could use
		_ = in.Close()
		close(p.exited)
	}()
	go p.follow(out, log)
	return p, nil
}

// follow reads what Firefox prints, to its end.
func (p *process) follow(out io.Reader, log *journal) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			select {
			case p.url <- m[1]:
			default:
			}
		}
		log.add(lines.Text())
	}
	_, _ = io.Copy(io.Discard, out) // a line too long: keep the pipe flowing
}

func (p *process) listening(ctx context.Context) (string, error) {
	select {
	case url := <-p.url:
		return url, nil
	case <-p.exited:
		return "", errors.New("it ended at once")
	case <-ctx.Done():
		return "", fmt.Errorf("it did not say where it listens: %w", ctx.Err())
	}
}

// stop waits for an orderly end when one was asked for, and kills otherwise.
func (p *process) stop(asked bool) {
	if asked {
		select {
		case <-p.exited:
			return
		case <-time.After(stopLimit):
		}
	}
	_ = p.cmd.Process.Kill() // fails only when it has ended
	<-p.exited
}
