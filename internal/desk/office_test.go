package desk

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
	"dateline/templates"
)

const officeOrigin = "https://desk.example"

// office is the desk's pages over a real store, with Cleo (chief), Ann
// (editor) and Rika (reporter), who have joined.
type office struct {
	*store.Store
	t       *testing.T
	pages   *Pages
	handler http.Handler
	secret  []byte
	mu      sync.Mutex
	now     time.Time
	from    string // the address that asks; "": always the same
}

func newOffice(t *testing.T, provider *OIDC) *office {
	t.Helper()
	o := &office{t: t, secret: []byte("a secret of sixteen"), now: time.Now().UTC().Truncate(time.Second)}
	o.Store = storetest.Open(t, store.Config{URL: storetest.SQLite(t), Now: o.clock})
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: officeOrigin})
	if err != nil {
		t.Fatal(err)
	}
	o.pages = NewPages(PagesConfig{Desk: New(Config{Store: o.Store, Now: o.clock}), Accounts: o.Store, Keyring: o.Store, People: o.Store, Wire: o.Store,
		Aside: o.Store, Trail: o.Store, Floor: floor, Links: link.New(make([]byte, 32)), Origin: officeOrigin, OIDC: provider, Now: o.clock})
	mux := http.NewServeMux()
	o.pages.Routes(mux)
	o.handler = floor.Handler(mux)
	for _, e := range []news.Editor{{Name: "Cleo", Role: news.RoleChief}, {Name: "Ann", Role: news.RoleEditor}, {Name: "Rika", Role: news.RoleReporter}} {
		o.join(e)
	}
	return o
}

func (o *office) clock() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.now
}

func (o *office) pass(d time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.now = o.now.Add(d)
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) join(e news.Editor) {
	o.t.Helper()
	ctx := context.Background()
	o.must(o.AddEditor(ctx, e, news.SystemName))
	o.must(o.Invite(ctx, e.Name, "invitation of "+e.Name, o.clock().Add(time.Hour), news.SystemName))
	o.must(o.Join(ctx, "invitation of "+e.Name, news.Account{Editor: e.Name, Password: annsHash, Secret: o.secret}))
}

// code is a fresh one: the clock goes on by a step.
func (o *office) code() string {
	o.pass(codeStep * time.Second)
	return codeAt(o.t, o.secret, o.clock().Unix()/codeStep)
}

// as signs somebody in and gives her cookie.
func (o *office) as(name string) string {
	o.t.Helper()
	cookie, hash := web.NewSession()
	a, err := o.Account(context.Background(), name)
	o.must(err)
	o.pass(codeStep * time.Second)
	o.must(o.SignIn(context.Background(), a, o.clock().Unix()/codeStep, hash, o.clock().Add(time.Hour)))
	return cookie
}

// answer is what a browser got.
type answer struct {
	status       int
	where, text  string
	cookie, away string // that were set
}

func (o *office) ask(method, path, cookie string, form url.Values, more ...*http.Cookie) answer {
	o.t.Helper()
	r := httptest.NewRequestWithContext(o.t.Context(), method, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.RemoteAddr = cmp.Or(o.from, "192.0.2.1") + ":1234"
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
	}
	for _, c := range more {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, r)
	a := answer{status: w.Code, where: w.Header().Get("Location"), text: w.Body.String()}
	for _, c := range w.Result().Cookies() {
		switch c.Name {
		case "__Host-desk":
			a.cookie = c.Value
		case "__Host-desk-state":
			a.away = c.Value
		}
	}
	return a
}

// isIn reports whose session a cookie is; "" when it is none.
func (o *office) isIn(cookie string) string {
	s, err := o.Session(context.Background(), web.HashKey(cookie))
	if err != nil {
		return ""
	}
	return s.Editor
}

// trail is the newest lines, as "who: action detail".
func (o *office) trail(n int) string {
	entries, err := o.Audit(context.Background(), n)
	o.must(err)
	lines := make([]string, 0, n)
	for _, e := range entries {
		lines = append(lines, e.By+": "+e.Action+" "+e.Subject+" "+e.Detail)
	}
	return strings.Join(lines, "\n")
}

func problemOn(page string) string {
	m := regexp.MustCompile(`role="alert"><p>([^<]*)`).FindStringSubmatch(page)
	if m == nil {
		return ""
	}
	return m[1]
}
