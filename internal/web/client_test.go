package web

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

func TestClientKey(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"198.51.100.7:1234", "", "198.51.100.7"},
		{"198.51.100.7:1234", "203.0.113.9", "198.51.100.7"}, // not a proxy of ours: its word is worth nothing
		{"10.1.2.3:1", "203.0.113.9", "203.0.113.9"},
		{"10.1.2.3:1", "1.1.1.1, 203.0.113.9, 10.9.9.9", "203.0.113.9"},
		{"10.1.2.3:1", "1.1.1.1, nonsense", "10.1.2.3"},
		{"10.1.2.3:1", "", "10.1.2.3"},
		{"[2001:db8::1]:1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[2001:db8:1:2:ffff::9]:1", "", "2001:db8:1:2::/64"},
		{"[::ffff:198.51.100.7]:9", "", "198.51.100.7"},
		{"[fe80::1%eth0]:9", "", "fe80::/64"},
		{"@", "", "unknown"},
	} {
		f := newFloor(t, func(cfg *Config) { cfg.TrustedProxies = trusted })
		r := httptest.NewRequest("GET", "/x", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		var got string
		ask(f, "GET /x", f.Page(func(_ http.ResponseWriter, r *http.Request) error { got = ClientKey(r); return nil }), r)
		if got != c.want {
			t.Errorf("%s for %q: %q, want %q", c.remote, c.forwarded, got, c.want)
		}
	}
}

func TestLimiter(t *testing.T) {
	now := time.Unix(1000, 0)
	l := NewLimiter("forms", 2, time.Hour, func() time.Time { return now })
	take := func(key string, want time.Duration) {
		t.Helper()
		err := l.Take(key)
		var limit *news.LimitError
		switch {
		case want == 0 && err != nil:
			t.Errorf("Take(%s): %v", key, err)
		case want > 0 && (!errors.As(err, &limit) || limit.RetryAfter != want):
			t.Errorf("Take(%s): %v, want a wait of %s", key, err, want)
		}
	}
	take("a", 0)
	now = now.Add(10 * time.Minute)
	take("a", 0)
	take("a", 50*time.Minute)
	take("b", 0)
	l.Return("a")
	take("a", 0)
	now = now.Add(50 * time.Minute)
	take("a", 0)
	if err := NewLimiter("none", 0, time.Hour, nil).Take("a"); err != nil {
		t.Errorf("no limit: %v", err)
	}
}

func TestLimiterMemoryIsBounded(t *testing.T) {
	l := NewLimiter("forms", 1, time.Hour, nil)
	for i := range maxKeys + 1000 {
		if err := l.Take(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.keys) > maxKeys {
		t.Errorf("%d keys", len(l.keys))
	}
}

func TestStaticFiles(t *testing.T) {
	f := newFloor(t, nil)
	url, err := f.assets.url("site/a.css")
	if err != nil {
		t.Fatal(err)
	}
	get := func(url, encoding, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", url, nil)
		r.Header.Set("Accept-Encoding", encoding)
		r.Header.Set("If-None-Match", etag)
		return ask(f, "GET /static/", f.Static(), r)
	}
	w := get(url, "", "")
	if w.Code != 200 || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") || w.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if z := get(url, "gzip, br", ""); z.Header().Get("Content-Encoding") != "gzip" || z.Body.Len() >= w.Body.Len() {
		t.Errorf("%d bytes, %v", z.Body.Len(), z.Header())
	}
	if again := get("/static/site/a.css", "", w.Header().Get("ETag")); again.Code != 304 || again.Header().Get("Cache-Control") != "no-cache" {
		t.Errorf("%d %v", again.Code, again.Header())
	}
	for _, path := range []string{"/static/site/none", "/static/", "/static/site/../site/layout.html", "/static/..%2flayout.html", "/static/site/%2e%2e/layout.html"} {
		if w := get(path, "", ""); w.Code == 200 {
			t.Errorf("T87: %s answered 200", path)
		} else if w.Code == 404 && w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: not our own page: %v", path, w.Header())
		}
	}
}

// TestT77_Slowloris sends half a request and waits: the server hangs up by
// itself. The header time is shortened; the real one is checked beside it.
func TestT77_Slowloris(t *testing.T) {
	s := NewServer(http.NotFoundHandler())
	if s.ReadHeaderTimeout > 5*time.Second || s.ReadTimeout == 0 || s.WriteTimeout == 0 || s.IdleTimeout == 0 || s.MaxHeaderBytes == 0 {
		t.Errorf("timeouts %+v", s)
	}
	s.ReadHeaderTimeout = 50 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	defer func() { _ = s.Close() }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")); err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	for {
		_, err := conn.Read(buf)
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			t.Fatal("the server still waits after 10 s")
		}
		if err != nil {
			return
		}
	}
}
