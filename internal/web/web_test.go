package web

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
)

var templates = fstest.MapFS{
	"site/layout.html":     {Data: []byte(`<!doctype html><title>{{block "title" .}}Dateline{{end}}</title><link href="{{asset "site/a.css"}}">{{template "part" .}}{{block "main" .}}{{end}}`)},
	"site/_part.html":      {Data: []byte(`{{define "part"}}<nav></nav>{{end}}`)},
	"site/hello.html":      {Data: []byte(`{{define "main"}}Hello {{.Name}}{{end}}`)},
	"site/broken.html":     {Data: []byte(`{{define "main"}}Before {{.Nothing}}{{end}}`)},
	"site/error.html":      {Data: []byte(`{{define "main"}}{{.Status}} {{.Text}}{{end}}`)},
	"site/static/a.css":    {Data: []byte(strings.Repeat("body{color:black}", 50))},
	"email/digest.html":    {Data: []byte(`{{if}}`)}, // no layout: not ours to parse
	"desk/layout.html":     {Data: []byte(`{{block "main" .}}{{end}}`)},
	"desk/board.html":      {Data: []byte(`{{define "main"}}{{.}}{{end}}`)},
	"desk/static/desk.css": {Data: []byte("x")},
}

type keys map[string]news.Person

func (k keys) APIKey(_ context.Context, hash string) (news.Person, error) {
	if hash == HashKey("the database is down") {
		return news.Person{}, errors.New("dial tcp 10.0.0.1: secret-host")
	}
	p, ok := k[hash]
	if !ok {
		return news.Person{}, fmt.Errorf("store.APIKey: %w", news.ErrNotFound)
	}
	return p, nil
}

func newFloor(t *testing.T, change func(*Config)) *Floor {
	t.Helper()
	c := Config{Templates: templates, BaseURL: "https://alerts.example", AdminKey: "an admin key of length",
		Keys: keys{HashKey("lena's"): {Name: "lena", Scopes: []string{news.ScopeAlertsRead}}}}
	if change != nil {
		change(&c)
	}
	f, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends one request through a mux with one route.
func ask(f *Floor, pattern string, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	mux.Handle(pattern, h)
	w := httptest.NewRecorder()
	f.Handler(mux).ServeHTTP(w, r)
	return w
}

func fail(err error) Handler { return func(http.ResponseWriter, *http.Request) error { return err } }

func TestErrorKindsHaveTheirStatus(t *testing.T) {
	f := newFloor(t, nil)
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"invalid":       {news.Invalid("regions/1", "unknown"), 400},
		"wrapped":       {fmt.Errorf("store.X(1): %w", news.ErrNotFound), 404},
		"conflict":      {fmt.Errorf("%w: it was killed", news.ErrConflict), 409},
		"forbidden":     {news.ErrForbidden, 403},
		"unknown key":   {news.ErrUnknownKey, 401},
		"gone":          {news.ErrGone, 410},
		"too large":     {news.ErrTooLarge, 413},
		"unavailable":   {news.ErrUnavailable, 503},
		"limit":         {&news.LimitError{What: "forms", RetryAfter: 90 * time.Second}, 429},
		"unprocessable": {Status(422, news.Invalid("at", "too far ahead")), 422},
		"our own fault": {errors.New("pq: secret"), 500},
		"slow database": {fmt.Errorf("q: %w", context.DeadlineExceeded), 503},
	} {
		for _, handler := range []http.Handler{f.API("", fail(c.err)), f.Page(fail(c.err))} {
			w := ask(f, "GET /x", handler, httptest.NewRequest("GET", "/x", nil))
			if w.Code != c.status {
				t.Errorf("%s: status %d, want %d", name, w.Code, c.status)
			}
			if strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "store.X") {
				t.Errorf("%s: tells too much: %s", name, w.Body)
			}
			if c.status == 429 && w.Header().Get("Retry-After") != "90" {
				t.Errorf("%s: Retry-After %q", name, w.Header().Get("Retry-After"))
			}
		}
	}
}

func TestProblemBody(t *testing.T) {
	f := newFloor(t, nil)
	var p news.Problems
	p.Add("regions/1", "unknown region %q", "XX")
	p.Add("level", "must be flash")
	w := ask(f, "POST /x", f.API("", fail(p.Err())), httptest.NewRequest("POST", "/x", nil))
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"type": "about:blank", "title": "Bad Request", "status": 400.0,
		"detail": "The request has faults; errors names each.",
		"errors": []any{map[string]any{"path": "regions/1", "message": `unknown region "XX"`}, map[string]any{"path": "level", "message": "must be flash"}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestKeysAndScopes(t *testing.T) {
	f := newFloor(t, nil)
	who := func(w http.ResponseWriter, r *http.Request) error {
		return WriteJSON(w, 200, PersonFrom(r.Context()).Name)
	}
	for _, c := range []struct {
		key, scope string
		status     int
		body       string
	}{
		{"", news.ScopeAlertsRead, 401, ""},
		{"nonsense", news.ScopeAlertsRead, 401, ""},
		{"lena's", news.ScopeAlertsRead, 200, `"lena"`},
		{"lena's", news.ScopeAlertsRelease, 403, ""},
		{"an admin key of length", news.ScopeAlertsRelease, 200, `"system"`},
		{"the database is down", news.ScopeAlertsRead, 500, ""},
		{"", "", 200, `""`},
	} {
		r := httptest.NewRequest("GET", "/x", nil)
		if c.key != "" {
			r.Header.Set("Authorization", "Bearer "+c.key)
		}
		w := ask(f, "GET /x", f.API(c.scope, who), r)
		if w.Code != c.status || (c.body != "" && strings.TrimSpace(w.Body.String()) != c.body) {
			t.Errorf("key %q, scope %q: %d %s; want %d %s", c.key, c.scope, w.Code, w.Body, c.status, c.body)
		}
		if c.status == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("key %q: 401 without WWW-Authenticate", c.key)
		}
	}
}

func TestT74_CrossSiteFormIsRefused(t *testing.T) {
	f := newFloor(t, nil)
	ok := func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return nil }
	for name, c := range map[string]struct {
		header map[string]string
		status int
	}{
		"no browser headers (RFC 8058)": {nil, 200},
		"own page":                      {map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		"typed address":                 {map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"another site":                  {map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"another site, old browser":     {map[string]string{"Origin": "https://evil.example"}, 403},
		"own origin behind a proxy":     {map[string]string{"Origin": "https://alerts.example"}, 200},
	} {
		for _, h := range []http.Handler{f.Page(ok), f.API("", ok)} {
			r := httptest.NewRequest("POST", "http://10.0.0.1/x", nil)
			for k, v := range c.header {
				r.Header.Set(k, v)
			}
			if w := ask(f, "POST /x", h, r); w.Code != c.status {
				t.Errorf("%s: %d, want %d", name, w.Code, c.status)
			}
		}
	}
}

func TestT86_SecurityHeaders(t *testing.T) {
	f := newFloor(t, nil)
	for _, path := range []string{"/x", "/nowhere", "/api/v1/nowhere"} {
		w := ask(f, "GET /x", f.Page(fail(nil)), httptest.NewRequest("GET", path, nil))
		for name, part := range map[string]string{
			"Content-Security-Policy": "frame-ancestors 'none'", "Referrer-Policy": "no-referrer",
			"X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=",
		} {
			if !strings.Contains(w.Header().Get(name), part) {
				t.Errorf("%s: %s is %q", path, name, w.Header().Get(name))
			}
		}
	}
	if strings.Contains(ask(f, "GET /x", f.Page(fail(nil)), httptest.NewRequest("GET", "/x", nil)).Header().Get("Content-Security-Policy"), "unsafe") {
		t.Error("the policy allows inline code")
	}
	plain := newFloor(t, func(c *Config) { c.BaseURL = "http://localhost:8080" })
	w := ask(plain, "GET /x", plain.Page(fail(nil)), httptest.NewRequest("GET", "/x", nil))
	if w.Header().Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without https")
	}
}

func TestOwn404And405(t *testing.T) {
	f := newFloor(t, nil)
	for _, c := range []struct {
		method, path, kind string
		status             int
	}{
		{"GET", "/nowhere", "text/html; charset=utf-8", 404},
		{"GET", "/api/v1/nowhere", "application/problem+json", 404},
		{"DELETE", "/api/v1/x", "application/problem+json", 405},
	} {
		w := ask(f, "GET /api/v1/x", f.Page(fail(nil)), httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.status || w.Header().Get("Content-Type") != c.kind {
			t.Errorf("%s %s: %d %s, want %d %s", c.method, c.path, w.Code, w.Header().Get("Content-Type"), c.status, c.kind)
		}
		if c.status == 405 && (w.Header().Get("Allow") != "GET, HEAD" || strings.Contains(w.Body.String(), "not found") || !strings.Contains(w.Body.String(), "it takes GET, HEAD")) {
			t.Errorf("Allow %q, %s", w.Header().Get("Allow"), w.Body)
		}
	}
}

// TestPanicIsAnsweredInTheDoorsOwnForm: who calls a machine door reads JSON,
// also when the handler broke.
func TestPanicIsAnsweredInTheDoorsOwnForm(t *testing.T) {
	f := newFloor(t, nil)
	broken := func(http.ResponseWriter, *http.Request) error { panic("broken") }
	for _, c := range []struct {
		path, kind string
		handler    http.Handler
	}{
		{"/api/v1/x", "application/problem+json", f.API("", broken)},
		{"/x", "text/html; charset=utf-8", f.Page(broken)},
	} {
		w := ask(f, "GET "+c.path, c.handler, httptest.NewRequest("GET", c.path, nil))
		if w.Code != 500 || w.Header().Get("Content-Type") != c.kind || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", c.path, w.Code, w.Header())
		}
	}
}

func TestRenderWritesAllOrNothing(t *testing.T) {
	f := newFloor(t, nil)
	render := func(name string, data any) *httptest.ResponseRecorder {
		return ask(f, "GET /x", f.Page(func(w http.ResponseWriter, _ *http.Request) error {
			return f.Render(w, 200, name, data)
		}), httptest.NewRequest("GET", "/x", nil))
	}
	if w := render("site/hello", map[string]string{"Name": "<b>"}); w.Code != 200 || !strings.Contains(w.Body.String(), "Hello &lt;b&gt;") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, name := range []string{"site/broken", "site/none"} {
		if w := render(name, map[string]string{"Name": "x"}); w.Code != 500 || strings.Contains(w.Body.String(), "Before") {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
}

func TestBrokenTemplateStopsTheStart(t *testing.T) {
	for name, text := range map[string]string{"syntax": "{{if}}", "asset": `{{define "main"}}{{asset "site/none.css"}}{{end}}`} {
		fsys := fstest.MapFS{"site/layout.html": {Data: []byte(`{{block "main" .}}{{end}}`)}, "site/error.html": {Data: []byte(text)}}
		if _, err := New(Config{Templates: fsys}); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
	if _, err := New(Config{BaseURL: "ftp://x"}); err == nil {
		t.Error("base URL ftp://x taken")
	}
}

func TestReadJSON(t *testing.T) {
	type inner struct {
		From string `json:"from"`
	}
	type body struct {
		Regions []string `json:"regions"`
		Quiet   inner    `json:"quiet"`
	}
	for name, c := range map[string]struct{ in, path, message string }{
		"empty":     {" ", "", "is empty"},
		"not JSON":  {"{", "", "is not JSON"},
		"trailing":  {`{} {}`, "", "after the JSON value"},
		"type":      {`{"quiet":{"from":5}}`, "quiet/from", "must be a string, not number"},
		"deep":      {strings.Repeat("[", 40), "", "nested deeper"},
		"not UTF-8": {"{\"a\":\"\xff\"}", "", "UTF-8"},
	} {
		r := httptest.NewRequest("POST", "/x", strings.NewReader(c.in))
		var dst body
		err := ReadJSON(httptest.NewRecorder(), r, &dst, 1000)
		var invalid *news.InvalidError
		if !errors.As(err, &invalid) || invalid.Problems[0].Path != c.path || !strings.Contains(invalid.Problems[0].Message, c.message) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var dst body
	if err := ReadJSON(httptest.NewRecorder(), httptest.NewRequest("POST", "/x", strings.NewReader(`{"regions":["JP","[[[[{{{{\"[["],"new":1}`)), &dst, 1000); err != nil || dst.Regions[0] != "JP" {
		t.Errorf("%+v, %v", dst, err)
	}
}

func TestT78_HundredMegabyteBody(t *testing.T) {
	f := newFloor(t, nil)
	read := &counter{r: io.LimitReader(zeros{}, 100<<20)}
	w := ask(f, "POST /x", f.API("", func(w http.ResponseWriter, r *http.Request) error {
		var dst any
		return ReadJSON(w, r, &dst, 64<<10)
	}), httptest.NewRequest("POST", "/x", read))
	if w.Code != 413 || read.n > 1<<20 {
		t.Errorf("status %d after reading %d bytes", w.Code, read.n)
	}
}

// A client that sends its whole body before it reads gets the answer, not a
// reset connection.
func TestTooLargeIsAnsweredToAClientThatWritesFirst(t *testing.T) {
	f := newFloor(t, nil)
	s := httptest.NewServer(f.API("", func(w http.ResponseWriter, r *http.Request) error {
		_, err := ReadBody(w, r, 64<<10)
		return err
	}))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	const size = 5 << 20
	if _, err := fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(conn, zeros{}, size); err != nil {
		t.Fatalf("writing the body: %v", err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("%d", res.StatusCode)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestT85_LogsNeverCarryTokensOrKeys(t *testing.T) {
	var log bytes.Buffer
	f := newFloor(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h := f.Page(func(w http.ResponseWriter, r *http.Request) error {
		switch r.PathValue("token") {
		case "panic-SECRET":
			panic("SECRET")
		case "error-SECRET":
			return errors.New("a fault")
		}
		return nil
	})
	for _, path := range []string{"/manage/SECRET", "/manage/panic-SECRET", "/manage/error-SECRET", "/nowhere/SECRET"} {
		r := httptest.NewRequest("GET", path+"?t=SECRET", nil)
		r.Header.Set("Authorization", "Bearer SECRET")
		w := ask(f, "GET /manage/{token}", h, r)
		if strings.Contains(path, "-SECRET") && w.Code != 500 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if strings.Contains(log.String(), "SECRET") || strings.Contains(log.String(), "192.0.2.1") {
		t.Errorf("the log tells:\n%s", &log)
	}
	if !strings.Contains(log.String(), `route="GET /manage/{token}"`) || !strings.Contains(log.String(), "panic in a handler") {
		t.Errorf("the log lacks the route or the panic:\n%s", &log)
	}
}

func TestObserve(t *testing.T) {
	var pattern string
	var status int
	f := newFloor(t, func(c *Config) {
		c.Observe = func(p string, s int, _ time.Duration) { pattern, status = p, s }
	})
	ask(f, "GET /alerts/{id}", f.Page(fail(news.ErrGone)), httptest.NewRequest("GET", "/alerts/17", nil))
	if pattern != "GET /alerts/{id}" || status != 410 {
		t.Errorf("observed %q %d", pattern, status)
	}
}
