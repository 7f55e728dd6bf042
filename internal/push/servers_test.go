package push

// Other people's HTTP/2: nghttpd and nginx of Debian, and Go's own server.

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
)

// installed is a server's binary. Without one the test is skipped as NOT RUN, or
// fails where CI is set.
func installed(t *testing.T, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		path, err = exec.LookPath("/usr/sbin/" + name) // not on everybody's path
	}
	switch {
	case err != nil && os.Getenv("CI") != "":
		t.Fatalf("no %s (apt-get install %s); where CI is set it must be there", name, debian)
	case err != nil:
		t.Skipf("NOT RUN: no %s found (apt-get install %s)", name, debian)
	}
	return path
}

// identity writes a certificate for 127.0.0.1 and its key to files.
func identity(t *testing.T) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	secret, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, key: {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	roots = x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return cert, key, roots
}

// freePort is one that nobody listened at just now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start runs a server until the test ends, and waits until it listens.
func start(t *testing.T, port, binary string, args ...string) {
	t.Helper()
	var said strings.Builder
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		if t.Failed() {
			t.Logf("%s said: %s", binary, said.String())
		}
	})
	for deadline := time.Now().Add(10 * time.Second); ; {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", binary, said.String())
		case <-time.After(5 * time.Millisecond): // a process that listens tells nobody
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not listen", binary)
		}
	}
}

// senderTo sends to one origin.
func senderTo(t *testing.T, origin string, roots *x509.CertPool) *Sender {
	t.Helper()
	s, err := New(Config{Keys: mustKey(t), Origins: []string{origin}, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// letters are messages to an origin whose keys are armed: all the same, for only
// the server looks at them, and it does not.
func letters(t *testing.T, origin string, n int) (list []Outgoing) {
	t.Helper()
	_, to := receiver(t)
	key, err := Arm(to)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		k, m := key, message("t", 1)
		m.Key = &k
		m.TTL = 3600 + i%3
		to.Endpoint = fmt.Sprintf("%s/ok?n=%d", origin, i)
		list = append(list, Outgoing{to, m})
	}
	return list
}

// deliverAll sends messages until each has been looked at: those that were not are
// sent again. It counts the reasons why.
func deliverAll(t *testing.T, s *Sender, origin string, list []Outgoing) (again map[string]int) {
	t.Helper()
	again = map[string]int{}
	for rest := list; len(rest) > 0; {
		var next []Outgoing
		for i, r := range deliver(t, s, origin, rest, agrees) {
			switch {
			case r.Outcome == news.Accepted:
			case r.Outcome == news.Retry && (r.Reason == reasonGoAway || r.Reason == reasonRefusedStream || r.Reason == reasonUnsent):
				again[r.Reason]++
				o := rest[i]
				k := *o.Message.Key
				o.Message.Key = &k
				next = append(next, o)
			default:
				t.Fatalf("message %s: %+v", rest[i].To.Endpoint, r)
			}
		}
		rest = next
	}
	return again
}

const manyLetters = 5000

func TestNghttpd(t *testing.T) {
	binary := installed(t, "nghttpd", "nghttp2-server")
	cert, key, roots := identity(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ok"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	start(t, port, binary, "--address=127.0.0.1", "--max-concurrent-streams=16", "--htdocs="+dir, "--no-content-length", port, key, cert)
	origin := "https://127.0.0.1:" + port
	s := senderTo(t, origin, roots)
	t.Logf("again: %v", deliverAll(t, s, origin, letters(t, origin, manyLetters)))
	if !isFast(t, s, origin) {
		t.Error("it went to the plain transport")
	}
}

// TestNginx closes its connections, in order, after 100 requests each.
func TestNginx(t *testing.T) {
	binary := installed(t, "nginx", "nginx-light")
	cert, key, roots := identity(t)
	dir := t.TempDir()
	port := freePort(t)
	config := filepath.Join(dir, "nginx.conf")
	text := strings.NewReplacer("DIR", dir, "PORT", port, "CERT", cert, "KEY", key).Replace(`
		daemon off; master_process off; pid DIR/pid; error_log stderr crit;
		events { worker_connections 256; }
		http {
			access_log off;
			client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
			uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
			keepalive_requests 100; http2_max_concurrent_streams 16;
			server {
				listen 127.0.0.1:PORT ssl http2;
				ssl_certificate CERT; ssl_certificate_key KEY;
				location / { return 201; }
			}
		}`)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, binary, "-p", dir, "-e", "stderr", "-c", config)
	origin := "https://127.0.0.1:" + port
	s := senderTo(t, origin, roots)
	again := deliverAll(t, s, origin, letters(t, origin, manyLetters))
	t.Logf("again: %v", again)
	if again[reasonGoAway]+again[reasonUnsent] == 0 {
		t.Error("no connection was ended by the server")
	}
	if !isFast(t, s, origin) {
		t.Error("it went to the plain transport")
	}
}

// TestGoShutsDown: Go's server is shut down in order while messages come: each is
// either accepted, once, or has not been looked at.
func TestGoShutsDown(t *testing.T) {
	var served atomic.Int64
	half := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusCreated)
		if served.Add(1) == 500 {
			close(half)
		}
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = quiet()
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 8}
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	s := senderTo(t, server.URL, roots)
	down := make(chan error)
	go func() {
		<-half
		down <- server.Config.Shutdown(context.Background())
	}()
	c := newCollector(t)
	list := letters(t, server.URL, 20_000)
	for len(list) > 0 {
		room, fault := s.Reserve(t.Context(), server.URL, len(list))
		if fault != nil {
			break // it is down
		}
		if room == nil {
			continue
		}
		n := min(room.Places(), len(list))
		batch := new(int)
		c.expect(batch, n)
		room.Send(t.Context(), list[:n], agrees, c, batch)
		list = list[n:]
	}
	c.left.Wait()
	if err := <-down; err != nil {
		t.Error(err)
	}
	for _, all := range c.got {
		for _, r := range all {
			if r.Outcome != news.Accepted && (r.Outcome != news.Retry || r.Reason != reasonGoAway && r.Reason != reasonUnsent && r.Reason != reasonRefusedStream) {
				t.Fatalf("%+v", *r)
			}
		}
	}
	if accepted := c.count(news.Accepted); int64(accepted) != served.Load() {
		t.Errorf("%d accepted, %d served", accepted, served.Load())
	}
}
