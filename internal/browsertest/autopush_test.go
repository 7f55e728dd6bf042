package browsertest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// trusting is a client that trusts one certificate.
func trusting(t *testing.T, pem []byte) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// agent speaks the browser's side of the websocket.
type agent struct {
	t      *testing.T
	socket *websocket.Conn
	uaid   string
}

func dial(t *testing.T, svc *Autopush, uaid string) *agent {
	t.Helper()
	socket, _, err := websocket.Dial(t.Context(), svc.SocketURL(),
		&websocket.DialOptions{Subprotocols: []string{"push-notification"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.CloseNow() })
	a := &agent{t: t, socket: socket}
	a.send(`{"messageType":"hello","broadcasts":{},"use_webpush":true,"uaid":"` + uaid + `"}`)
	hello := a.read()
	a.uaid, _ = hello["uaid"].(string)
	if hello["messageType"] != "hello" || a.uaid == "" {
		t.Fatalf("hello: %v", hello)
	}
	svc.WaitConnected()
	return a
}

func (a *agent) send(frame string) {
	a.t.Helper()
	if err := a.socket.Write(a.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		a.t.Fatal(err)
	}
}

func (a *agent) read() map[string]any {
	a.t.Helper()
	ctx, cancel := context.WithTimeout(a.t.Context(), patience)
	defer cancel()
	_, raw, err := a.socket.Read(ctx)
	if err != nil {
		a.t.Fatal(err)
	}
	var frame map[string]any
	if err := json.Unmarshal(raw, &frame); err != nil {
		a.t.Fatal(err)
	}
	return frame
}

func (a *agent) register(id, key string) (endpoint string) {
	a.t.Helper()
	a.send(`{"messageType":"register","channelID":"` + id + `","key":"` + key + `"}`)
	endpoint, _ = a.read()["pushEndpoint"].(string)
	if endpoint == "" {
		a.t.Fatal("no endpoint")
	}
	return endpoint
}

func (a *agent) ack(id, version string, code Code) {
	a.t.Helper()
	a.send(fmt.Sprintf(`{"messageType":"ack","updates":[{"channelID":%q,"version":%q,"code":%d}]}`, id, version, code))
}

// signer makes VAPID headers, right and wrong ones.
type signer struct {
	t   *testing.T
	key *ecdsa.PrivateKey
}

func newSigner(t *testing.T) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{t, key}
}

func (s *signer) public() string {
	raw, err := s.key.PublicKey.Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (s *signer) header(claims string) string {
	return s.headerAlg(`{"typ":"JWT","alg":"ES256"}`, claims)
}

func (s *signer) headerAlg(head, claims string) string {
	b64 := base64.RawURLEncoding.EncodeToString
	signed := b64([]byte(head)) + "." + b64([]byte(claims))
	sum := sha256.Sum256([]byte(signed))
	r, z, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	var raw [64]byte
	r.FillBytes(raw[:32])
	z.FillBytes(raw[32:])
	return "vapid t=" + signed + "." + b64(raw[:]) + ", k=" + s.public()
}

func (s *signer) good(svc *Autopush) string {
	return s.header(fmt.Sprintf(`{"aud":%q,"exp":%d,"sub":"mailto:ops@example.org"}`, svc.Origin(), svc.now().Add(time.Hour).Unix()))
}

func post(t *testing.T, client *http.Client, endpoint string, body []byte, header map[string]string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return resp
}

// TestAutopushRefusals holds each answer to the request that earns it.
func TestAutopushRefusals(t *testing.T) {
	svc := NewAutopush(t)
	a := dial(t, svc, "")
	mine, other := newSigner(t), newSigner(t)
	endpoint := a.register("c1", mine.public()+"=")
	ended := a.register("c2", mine.public())
	a.send(`{"messageType":"unregister","channelID":"c2","code":200}`)
	a.read()
	svc.WaitUnregistered(ended)

	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	claims := func(aud string, exp int64, sub string) string {
		return mine.header(fmt.Sprintf(`{"aud":%q,"exp":%d,"sub":%q}`, aud, exp, sub))
	}
	good := map[string]string{"TTL": "60", "Content-Encoding": "aes128gcm", "Authorization": mine.good(svc)}
	with := func(name, value string) map[string]string {
		header := map[string]string{}
		for k, v := range good {
			header[k] = v
		}
		header[name] = value
		return header
	}
	for _, c := range []struct {
		name     string
		endpoint string
		header   map[string]string
		size     int
		want     int
	}{
		{"good", endpoint, good, 100, 201},
		{"largest", endpoint, good, 4096, 201},
		{"too large", endpoint, good, 4097, 413},
		{"unknown", endpoint + "x", good, 100, 404},
		{"gone", ended, good, 100, 410},
		{"no TTL", endpoint, with("TTL", ""), 100, 400},
		{"negative TTL", endpoint, with("TTL", "-1"), 100, 400},
		{"old encoding", endpoint, with("Content-Encoding", "aesgcm"), 100, 400},
		{"topic", endpoint, with("Topic", "ok_-09"), 100, 201},
		{"long topic", endpoint, with("Topic", strings.Repeat("a", 33)), 100, 400},
		{"odd topic", endpoint, with("Topic", "a.b"), 100, 400},
		{"odd urgency", endpoint, with("Urgency", "urgent"), 100, 400},
		{"no token", endpoint, with("Authorization", ""), 100, 401},
		{"half a token", endpoint, with("Authorization", "vapid t=a.b.c"), 100, 403},
		{"another key", endpoint, with("Authorization", other.good(svc)), 100, 403},
		{"another origin", endpoint, with("Authorization", claims("https://push.example", in(time.Hour), "")), 100, 403},
		{"expired", endpoint, with("Authorization", claims(svc.Origin(), in(-time.Minute), "")), 100, 403},
		{"for two days", endpoint, with("Authorization", claims(svc.Origin(), in(48*time.Hour), "")), 100, 403},
		{"odd subject", endpoint, with("Authorization", claims(svc.Origin(), in(time.Hour), "ops")), 100, 403},
		{"no subject", endpoint, with("Authorization", claims(svc.Origin(), in(time.Hour), "")), 100, 201},
		{"no signature", endpoint, with("Authorization", mine.headerAlg(`{"alg":"none"}`, `{}`)), 100, 403},
		{"damaged", endpoint, with("Authorization", strings.Replace(mine.good(svc), ".ey", ".eY", 1)), 100, 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp := post(t, http.DefaultClient, c.endpoint, make([]byte, c.size), c.header)
			if resp.StatusCode != c.want {
				posts := svc.Posts()
				t.Errorf("answered %d, want %d (%s)", resp.StatusCode, c.want, posts[len(posts)-1].Why)
			}
		})
	}
}

// TestAutopushQueue holds Topic, TTL and acknowledgements with a clock of its own.
func TestAutopushQueue(t *testing.T) {
	var offset atomic.Int64
	svc := NewAutopush(t, TLS(), WithClock(func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }))
	client, key := trusting(t, svc.CAPEM()), newSigner(t)
	a := dial(t, svc, "")
	endpoint := a.register("c1", key.public())
	send := func(body, topic, ttl string) {
		t.Helper()
		resp := post(t, client, endpoint, []byte(body), map[string]string{"TTL": ttl, "Topic": topic,
			"Content-Encoding": "aes128gcm", "Authorization": key.good(svc)})
		if resp.StatusCode != http.StatusCreated || resp.ProtoMajor != 2 || resp.Header.Get("TTL") != ttl {
			t.Fatalf("%d over %s, TTL %s", resp.StatusCode, resp.Proto, resp.Header.Get("TTL"))
		}
	}
	send("first", "", "60")
	frame := a.read()
	if frame["data"] != base64.RawURLEncoding.EncodeToString([]byte("first")) {
		t.Errorf("frame %v", frame)
	}
	version, _ := frame["version"].(string)
	a.ack("c1", version, Delivered)
	if got := svc.WaitAck(Delivered); got.Version != version {
		t.Errorf("ack %+v", got)
	}

	svc.Disconnect()
	svc.WaitAway()
	send("old", "live", "60")
	send("new", "live", "60")
	send("short", "", "5")
	send("now or never", "", "0")
	offset.Store(int64(30 * time.Second))
	svc.Allow()
	again := dial(t, svc, a.uaid)
	if frame = again.read(); frame["data"] != base64.RawURLEncoding.EncodeToString([]byte("new")) {
		t.Errorf("after the reconnect: %v", frame)
	}
	if n := svc.Pending(); again.uaid != a.uaid || n != 1 {
		t.Errorf("uaid %s, %d wait", again.uaid, n)
	}
	last := svc.WaitPost("the newest", func(p Post) bool { return p.Topic == "live" && string(p.Body) == "new" })
	again.ack("c1", last.Version, Undecryptable)
	svc.WaitAck(Undecryptable)
	if got := len(svc.Acks()); got != 2 || svc.Pending() != 0 {
		t.Errorf("%d acks, %d wait", got, svc.Pending())
	}
}

// TestAutopushStranger: a name we never gave gets a new one, and a ping a ping.
func TestAutopushStranger(t *testing.T) {
	svc := NewAutopush(t)
	a := dial(t, svc, "never-heard-of")
	if a.uaid == "never-heard-of" {
		t.Error("kept a name we never gave")
	}
	a.send(`{}`)
	if frame := a.read(); len(frame) != 0 {
		t.Errorf("ping answered %v", frame)
	}
}

func TestFind(t *testing.T) {
	look := func(name string) (string, error) {
		if name == "missing" || name == "firefox-esr" {
			return "", exec.ErrNotFound
		}
		return "/opt/" + name, nil
	}
	if path, err := find("FIREFOX", "fox", "firefox-esr", look); err != nil || path != "/opt/fox" {
		t.Errorf("%q, %v", path, err)
	}
	if _, err := find("FIREFOX", "", "firefox-esr", look); !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "apt-get install firefox-esr") {
		t.Errorf("without one: %v", err)
	}
}

func TestUserJS(t *testing.T) {
	got := string(userJS(map[string]any{"b": true, "a": "x", "gone": nil, "c": 200}))
	want := "user_pref(\"a\", \"x\");\nuser_pref(\"b\", true);\nuser_pref(\"c\", 200);\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// gap is a testing.TB that records a fatal end or a skip instead of taking it.
type gap struct {
	testing.TB
	fatal, skip string
}

func (g *gap) Helper() {}
func (g *gap) Fatalf(format string, args ...any) {
	g.fatal = fmt.Sprintf(format, args...)
	panic(g)
}
func (g *gap) Skipf(format string, args ...any) {
	g.skip = fmt.Sprintf(format, args...)
	panic(g)
}

// TestMissingFirefox: a laptop says NOT RUN, CI fails.
func TestMissingFirefox(t *testing.T) {
	t.Setenv("FIREFOX", "/no/such/firefox")
	try := func(ci string) (g *gap) {
		t.Setenv("CI", ci)
		g = &gap{TB: t}
		defer func() { _ = recover() }()
		Firefox(g)
		return g
	}
	if g := try("true"); !strings.Contains(g.fatal, "a browser must be there") {
		t.Errorf("with CI: %+v", g)
	}
	if g := try(""); !strings.HasPrefix(g.skip, "NOT RUN: no /no/such/firefox") {
		t.Errorf("without: %+v", g)
	}
}
