package app_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// binary builds the program once per test binary.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dateline-test-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "dateline")
	build := exec.Command("go", "build", "-o", path, "dateline/cmd/dateline")
	// Without the race detector: what is killed here is the program as it ships.
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	if os.Getenv(pushesRole) != "" {
		if err := servePushes(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

const adminKey = "an-admin-key-for-tests"

// program is the real binary with its own folder and simulated surroundings.
type program struct {
	t      *testing.T
	path   string
	folder string
	listen string
	env    []string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	over   chan error
	// patience and pace of asking for an alert; 0: a minute, 50 ms
	patience, asking time.Duration
}

// newProgram prepares the program for the push services and the mail server;
// extra settings come last and win.
func newProgram(t *testing.T, services []*simulate.PushService, mail *simulate.MailServer, extra ...string) *program {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	p := &program{t: t, path: path, folder: t.TempDir(), listen: freePort(t)}
	ca := filepath.Join(p.folder, "ca.pem")
	origins := make([]string, 0, len(services))
	for _, s := range services {
		origins = append(origins, s.Origin())
		if err := os.WriteFile(ca, s.CAPEM(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p.env = append(cleanEnv(), "DATELINE_DATA="+filepath.Join(p.folder, "data"), "DATELINE_LISTEN="+p.listen,
		"DATELINE_OPS_LISTEN=127.0.0.1:0", "DATELINE_ADMIN_KEY="+adminKey, "DATELINE_POLICY=auto", "DATELINE_HOLD=0s",
		"DATELINE_VAPID_SUBJECT=https://dateline.example", "DATELINE_SIGNUP_LIMIT=0")
	if len(services) > 0 {
		p.env = append(p.env, "DATELINE_PUSH_ORIGINS="+strings.Join(origins, ","), "DATELINE_PUSH_CA="+ca)
	}
	if mail != nil {
		p.env = append(p.env, "SMTP_URL="+mail.URL(), "DATELINE_MAIL_FROM=News <news@dateline.example>")
	}
	p.env = append(p.env, extra...)
	t.Cleanup(p.kill)
	return p
}

// cleanEnv is our environment without anybody's settings.
func cleanEnv() []string {
	var env []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "DATELINE_") || name == "DATABASE_URL" || name == "NATS_URL" || name == "SMTP_URL" {
			continue
		}
		env = append(env, kv)
	}
	return env
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs serve and waits until it is ready.
func (p *program) start() {
	p.t.Helper()
	p.stderr = &bytes.Buffer{}
	p.cmd = exec.Command(p.path, "serve")
	p.cmd.Env, p.cmd.Stderr = p.env, p.stderr
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.over = make(chan error, 1)
	go func(cmd *exec.Cmd, over chan error) { over <- cmd.Wait() }(p.cmd, p.over)
	deadline := time.Now().Add(30 * time.Second)
	for {
		resp, err := http.Get(p.url("/readyz"))
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-p.over:
			p.cmd = nil
			p.t.Fatalf("serve ended: %v\n%s", err, p.stderr)
		case <-time.After(10 * time.Millisecond): // the pace of asking, not a wait for something to have happened
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("serve is not ready after 30 s\n%s", p.stderr)
		}
	}
}

// kill is kill -9. It waits until the process is gone.
func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = <-p.over
	p.cmd = nil
}

// terminate is SIGTERM; it gives how long the drain took.
func (p *program) terminate() time.Duration {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if err := <-p.over; err != nil {
		p.t.Errorf("after SIGTERM: %v\n%s", err, p.stderr)
	}
	p.cmd = nil
	return time.Since(began)
}

func (p *program) url(path string) string { return "http://" + p.listen + path }

// run runs another command of the program and gives its output.
func (p *program) run(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.path, args...)
	cmd.Env, cmd.Stdin = p.env, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// call makes a request as the admin and decodes the answer into dst.
func (p *program) call(method, path string, body, dst any) int {
	p.t.Helper()
	return p.callAs(adminKey, method, path, body, dst)
}

func (p *program) callAs(key, method, path string, body, dst any) int {
	p.t.Helper()
	var in io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			p.t.Fatal(err)
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url(path), in)
	if err != nil {
		p.t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if p.cmd == nil { // killed under us: the caller knows
			return 0
		}
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0
	}
	if dst != nil && resp.StatusCode < 300 {
		if err := json.Unmarshal(raw, dst); err != nil {
			p.t.Fatalf("%s %s: %d %s", method, path, resp.StatusCode, raw)
		}
	}
	if resp.StatusCode >= 400 {
		p.t.Logf("%s %s: %d %s", method, path, resp.StatusCode, raw)
	}
	return resp.StatusCode
}

// alertAnswer is what the doors say of an alert.
type alertAnswer struct {
	ID       string
	Revision int
	State    string
	Level    string
	Hash     string
	Reason   string
	Counts   struct{ Intended, Reachable, Held, Accepted, Gone, Failed, Ambiguous, Pending, Cancelled, Expired int }
	Times    struct {
		Created, Released, FirstAccepted, LastAccepted string
		P50, P90, P99                                  *float64
	}
	Repairs []struct {
		Kind, State string
		Revision    int
		Counts      struct{ Intended, Reachable, Accepted, Pending, Ambiguous int }
	}
}

// story publishes a breaking story about Japan over HTTP.
func (p *program) story(uri, headline string) {
	p.t.Helper()
	if code := p.call("POST", "/api/v1/stories", storyBody(uri, headline), nil); code != http.StatusAccepted {
		p.t.Fatalf("story: %d", code)
	}
}

func storyBody(uri, headline string) map[string]any {
	return map[string]any{"uri": uri, "version": 1, "headline": headline, "standfirst": "Tokyo says more will follow.",
		"url": uri, "regions": []string{"JP"}, "sections": []string{"politics"}, "urgency": 1, "breaking": true,
		"versioncreated": time.Now().UTC().Format(time.RFC3339)}
}

// alert waits for the newest alert of a story to be as wanted.
func (p *program) alert(uri, what string, ok func(alertAnswer) bool) alertAnswer {
	p.t.Helper()
	var list struct{ Alerts []alertAnswer }
	patience, pace := cmp.Or(p.patience, time.Minute), cmp.Or(p.asking, 50*time.Millisecond)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if code := p.call("GET", "/api/v1/alerts?story="+uri, nil, &list); code != http.StatusOK {
			p.t.Fatalf("alerts of the story: %d", code)
		}
		if len(list.Alerts) > 0 && ok(list.Alerts[0]) {
			return list.Alerts[0]
		}
		time.Sleep(pace) // of asking another process
	}
	p.t.Fatalf("%s: not within %s: %+v\n%s", what, patience, list.Alerts, p.stderr)
	return alertAnswer{}
}

// service starts a simulated push service.
func service(t *testing.T, o simulate.PushOptions) *simulate.PushService {
	t.Helper()
	s, err := simulate.NewPushService(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// phones makes n phones.
func phones(t *testing.T, s *simulate.PushService, n int) []*simulate.Phone {
	t.Helper()
	list, err := s.NewPhones(n)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// subscription is the body of POST /api/v1/subscriptions for a phone.
func subscription(p *simulate.Phone, regions ...string) map[string]any {
	sub := p.Subscription()
	return map[string]any{"subscription": browserSubscription(sub), "regions": regions, "timezone": "Asia/Tokyo", "language": "en"}
}

func browserSubscription(s news.PushSubscription) map[string]any {
	return map[string]any{"endpoint": s.Endpoint, "keys": map[string]string{"p256dh": base64url(s.P256dh), "auth": base64url(s.Auth)}}
}

// importPhones stores the phones through `dateline import devices`.
func (p *program) importPhones(list []*simulate.Phone, regions ...string) {
	p.t.Helper()
	bodies := make([]map[string]any, 0, len(list))
	for _, phone := range list {
		bodies = append(bodies, subscription(phone, regions...))
	}
	p.importDevices(bodies)
}

// importDevices stores sign-ups through `dateline import devices`.
func (p *program) importDevices(bodies []map[string]any) {
	p.t.Helper()
	var lines bytes.Buffer
	encode := json.NewEncoder(&lines)
	for _, body := range bodies {
		if err := encode.Encode(body); err != nil {
			p.t.Fatal(err)
		}
	}
	out, err := p.run(lines.String(), "import", "devices", "-")
	if err != nil || !strings.Contains(out, fmt.Sprintf("%d lines: %d stored, 0 rejected", len(bodies), len(bodies))) {
		p.t.Fatalf("import: %v\n%s", err, out)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	if err != nil {
		return -1
	}
	return 0
}
