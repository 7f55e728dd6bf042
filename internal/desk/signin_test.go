package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
	"dateline/templates"
)

func codeAt(t *testing.T, secret []byte, step int64) string {
	t.Helper()
	code, err := totp.GenerateCodeCustom(secretText(secret), time.Unix(step*codeStep, 0),
		totp.ValidateOpts{Period: codeStep, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// register is Accounts in memory, with the store's semantics.
type register struct {
	mu       sync.Mutex
	invited  map[string]string
	accounts map[string]news.Account
	sessions map[string]news.Session
	asked    []string // the names that were looked up
	down     error    // every look at a session fails with it
}

func (g *register) Invited(_ context.Context, hash string) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.invited[hash]; e != "" {
		return e, nil
	}
	return "", fmt.Errorf("%w: used", news.ErrGone)
}

func (g *register) Join(ctx context.Context, hash string, a news.Account) error {
	if e, err := g.Invited(ctx, hash); err != nil || e != a.Editor {
		return fmt.Errorf("%w: used", news.ErrGone)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.invited, hash)
	a.Role = news.RoleEditor
	g.accounts[a.Editor] = a
	return nil
}

func (g *register) Account(_ context.Context, editor string) (news.Account, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, editor)
	a, ok := g.accounts[editor]
	if !ok {
		return a, news.ErrNotFound
	}
	return a, nil
}

func (g *register) SignIn(ctx context.Context, read news.Account, step int64, hash string, expires time.Time) error {
	if err := g.UseCode(ctx, read, step); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions[hash] = news.Session{Editor: read.Editor, Role: read.Role, ExpiresAt: expires}
	return nil
}

func (g *register) UseCode(_ context.Context, read news.Account, step int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.accounts[read.Editor]
	if step <= a.Step || a.Password != read.Password {
		return news.ErrConflict
	}
	a.Step = step
	g.accounts[read.Editor] = a
	return nil
}

func (g *register) Session(_ context.Context, hash string) (news.Session, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s, ok := g.sessions[hash]
	if !ok {
		return s, cmp.Or(g.down, news.ErrUnknownKey)
	}
	return s, g.down
}

func (g *register) SignOut(_ context.Context, hash string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.sessions, hash)
	return nil
}

func (g *register) SignOutEverywhere(_ context.Context, editor, _ string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for hash, s := range g.sessions {
		if s.Editor == editor {
			delete(g.sessions, hash)
		}
	}
	return nil
}

// lobby is the desk's pages behind the real floor, with one editor, Ann, who
// has joined.
type lobby struct {
	*register
	desk    *desktop
	pages   *Pages
	stories *storyboard
	pile    *pile
	handler http.Handler
	mu      sync.Mutex
	now     time.Time
	secret  []byte
}

// Made once: hashing takes a third of a second under the race detector.
const (
	annsPassword = "correct horse battery"
	annsHash     = "$argon2id$v=19$m=19456,t=2,p=1$g4nfuE9lLZ9m8kMRVOVXaw$IH/8r+BVZIsWXQECvLcHiq7VbMVIaxY1dIxgduMMUe4"
)

func newLobby(t *testing.T) *lobby {
	t.Helper()
	l := &lobby{register: &register{invited: map[string]string{}, accounts: map[string]news.Account{}, sessions: map[string]news.Session{}},
		desk: newDesktop(t), stories: &storyboard{}, pile: &pile{}, now: noon, secret: []byte("a secret of sixteen")}
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: "https://desk.example"})
	if err != nil {
		t.Fatal(err)
	}
	l.pages = NewPages(PagesConfig{Desk: l.desk.Service, Reach: l.reach, Accounts: l, Wire: l.stories, Aside: l.pile, Trail: l.pile, Floor: floor, Links: link.New(make([]byte, 32)), Now: l.clock})
	l.accounts["Ann"] = news.Account{Editor: "Ann", Role: news.RoleEditor, Password: annsHash, Secret: l.secret}
	mux := http.NewServeMux()
	l.pages.Routes(mux)
	l.handler = floor.Handler(mux)
	return l
}

// reach is what the pages are told of an alert's readers.
func (l *lobby) reach(a news.Alert) Reach {
	return Reach{Devices: 4120, Held: 310, Capped: 7, Here: 9000, Cells: news.Cells, Regions: map[string]int{"JP": 4000, a.Audience: 120},
		Languages: map[string]int{"ja": 4000, "en": 120}, Hours: [24]int{3: 10, 21: 20}}
}

func (l *lobby) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *lobby) pass(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = l.now.Add(d)
}

// ask makes one request of a browser; cookie "" is nobody's.
func (l *lobby) ask(t *testing.T, method, path, cookie string, form url.Values) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.RemoteAddr = "192.0.2.1:1234"
	if from := form.Get("from"); from != "" {
		r.RemoteAddr = from
	}
	if cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
	}
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	return w.Result()
}

func (l *lobby) code(t *testing.T) string {
	t.Helper()
	return codeAt(t, l.secret, l.clock().Unix()/codeStep)
}

// as signs somebody in without asking for a code.
func (l *lobby) as(p news.Person) string {
	l.register.mu.Lock()
	defer l.register.mu.Unlock()
	l.sessions[web.HashKey("cookie of "+p.Name)] = news.Session{Editor: p.Name, Role: p.Role}
	return "cookie of " + p.Name
}

// enter signs Ann in and gives her cookie.
func (l *lobby) enter(t *testing.T) string {
	t.Helper()
	l.pass(codeStep * time.Second)
	resp := l.ask(t, "POST", "/desk/signin", "", url.Values{"name": {"Ann"}, "password": {annsPassword}, "code": {l.code(t)}})
	if resp.StatusCode != http.StatusSeeOther || len(resp.Cookies()) != 1 {
		t.Fatalf("sign in: %d, cookies %v", resp.StatusCode, resp.Cookies())
	}
	return resp.Cookies()[0].Value
}

func TestSignIn(t *testing.T) {
	l := newLobby(t)
	resp := l.ask(t, "POST", "/desk/signin", "", url.Values{"name": {" Ann "}, "password": {annsPassword}, "code": {l.code(t)}, "next": {"/desk?region=JP"}})
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/desk?region=JP" {
		t.Fatalf("%d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	c := resp.Cookies()[0]
	if c.Name != "__Host-desk" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
		t.Errorf("cookie %+v", c)
	}
	if got := l.ask(t, "GET", "/desk", c.Value, nil); got.StatusCode != 200 || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the wire: %d, %v", got.StatusCode, got.Header)
	}
	for name, form := range map[string]url.Values{
		"the same code again": {"name": {"Ann"}, "password": {annsPassword}, "code": {l.code(t)}},
		"wrong password":      {"name": {"Ann"}, "password": {"wrong horse battery"}, "code": {codeAt(t, l.secret, l.clock().Unix()/codeStep+1)}},
		"wrong code":          {"name": {"Ann"}, "password": {annsPassword}, "code": {"000000"}},
		"nobody":              {"name": {"Bob"}, "password": {annsPassword}, "code": {"000000"}},
		"nothing":             {},
	} {
		got := l.ask(t, "POST", "/desk/signin", "", form)
		if got.StatusCode != http.StatusForbidden || len(got.Cookies()) != 0 {
			t.Errorf("%s: %d, cookies %v", name, got.StatusCode, got.Cookies())
		}
	}
}

// Whoever is not signed in is asked to sign in, and comes back to where she
// wanted to go, but nowhere else (T79).
func TestPagesAskForASignIn(t *testing.T) {
	l := newLobby(t)
	if got := l.ask(t, "GET", "/desk?q=a+b", "", nil); got.Header.Get("Location") != "/desk/signin?next=%2Fdesk%3Fq%3Da%2Bb" {
		t.Errorf("sent to %q", got.Header.Get("Location"))
	}
	if got := l.ask(t, "GET", "/desk", "a cookie of nobody", nil); got.StatusCode != http.StatusSeeOther {
		t.Errorf("a planted cookie: %d", got.StatusCode)
	}
	for next, want := range map[string]string{"": "/desk", "/desk": "/desk", "/desk/alerts/1?x=2": "/desk/alerts/1?x=2", "https://evil.example/desk": "/desk",
		"//evil.example/desk": "/desk", "/desk@evil.example": "/desk", "/\\evil.example": "/desk", "/desktop": "/desk", "/desk/signin": "/desk", "/drill/desk/alerts": "/drill/desk/alerts", "/drills": "/desk",
		"javascript:alert(1)": "/desk", "/desk/..//evil.example": "/desk", "/desk/../account": "/desk", "/%2f/evil.example": "/desk", "/desk/%2e%2e/x": "/desk", "/desk/\r\nSet-Cookie: a=b": "/desk"} {
		if got := l.pages.nextPage(next); got != want {
			t.Errorf("next %q leads to %q, want %q", next, got, want)
		}
	}
}

// A form that comes when the session is over leads back to its page.
func TestFormsAfterASessionComeBack(t *testing.T) {
	l := newLobby(t)
	for path, want := range map[string]string{"/desk/alerts/1/edit": "/desk/alerts/1", "/desk/alerts/1/kill": "/desk/alerts/1", "/desk/caps": "/desk/caps",
		"/desk/aside/7/replay": "/desk/aside", "/desk/phone/test": "/desk/phone", "/desk/raise": "/desk", "/desk/signout": "/desk"} {
		got := l.ask(t, "POST", path, "", url.Values{"title.en": {"typed"}})
		if to := got.Header.Get("Location"); got.StatusCode != http.StatusSeeOther || to != "/desk/signin?next="+url.QueryEscape(want) || l.pages.nextPage(want) != want {
			t.Errorf("POST %s: %d to %q", path, got.StatusCode, to)
		}
	}
}

// A sign-in gets a new cookie whatever was sent with it (T75), and signing out
// ends one session or all.
func TestT75_SessionsAreNewAndEnd(t *testing.T) {
	l := newLobby(t)
	first := l.enter(t)
	l.pass(codeStep * time.Second)
	resp := l.ask(t, "POST", "/desk/signin", first, url.Values{"name": {"Ann"}, "password": {annsPassword}, "code": {l.code(t)}})
	second := resp.Cookies()[0].Value
	if second == first || len(second) < 50 {
		t.Fatalf("the cookie %q follows %q", second, first)
	}
	third, fourth := l.enter(t), l.enter(t)
	status := func(cookie string) int { return l.ask(t, "GET", "/desk", cookie, nil).StatusCode }
	if status(first) != http.StatusSeeOther {
		t.Error("the session that a sign-in replaced goes on where nobody can end it")
	}
	if out := l.ask(t, "POST", "/desk/signout", fourth, url.Values{}); out.StatusCode != http.StatusSeeOther || out.Cookies()[0].MaxAge >= 0 && out.Cookies()[0].Expires.After(noon) {
		t.Errorf("sign out: %d, %v", out.StatusCode, out.Cookies())
	}
	if status(fourth) != http.StatusSeeOther || status(second) != 200 {
		t.Error("signing out ended another session, or not its own")
	}
	l.ask(t, "POST", "/desk/signout", second, url.Values{"everywhere": {"1"}})
	if status(second) != http.StatusSeeOther || status(third) != http.StatusSeeOther {
		t.Error("a session outlived signing out everywhere")
	}
}

// Guesses are limited by account and network, and who guesses locks nobody
// out who comes from elsewhere (T76).
func TestT76_StrangersGuessButLockNobodyOut(t *testing.T) {
	l := newLobby(t)
	guess := url.Values{"name": {"ann"}, "password": {"guess"}, "code": {"123456"}, "from": {"198.51.100.7:4242"}}
	for range triesPerMinute {
		if got := l.ask(t, "POST", "/desk/signin", "", guess); got.StatusCode != http.StatusForbidden {
			t.Fatalf("a guess: %d", got.StatusCode)
		}
	}
	got := l.ask(t, "POST", "/desk/signin", "", guess)
	if got.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the guess after %d: %d", triesPerMinute, got.StatusCode)
	}
	l.enter(t) // from her own network
	l.pass(time.Minute)
	if got := l.ask(t, "POST", "/desk/signin", "", guess); got.StatusCode != http.StatusForbidden {
		t.Errorf("a minute later: %d", got.StatusCode)
	}
}

// A form of another site neither signs in nor out (T74).
func TestT74_ForeignFormsAreRefused(t *testing.T) {
	l := newLobby(t)
	cookie := l.enter(t)
	for _, path := range []string{"/desk/signin", "/desk/signout"} {
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(""))
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if got := l.ask(t, "GET", "/desk", cookie, nil); got.StatusCode != 200 {
		t.Error("the session ended")
	}
}

func TestAnInvitationOpensTheDesk(t *testing.T) {
	l := newLobby(t)
	l.invited[web.HashKey("token")] = "Rika"
	if got := l.ask(t, "GET", "/desk/join/other", "", nil); got.StatusCode != http.StatusGone {
		t.Errorf("a link of nobody: %d", got.StatusCode)
	}
	if got := l.ask(t, "GET", "/desk/join/token", "", nil); got.StatusCode != 200 || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("the invitation: %d", got.StatusCode)
	}
	secret := l.pages.secretOf("token")
	good := codeAt(t, secret, noon.Unix()/codeStep)
	for name, form := range map[string]url.Values{"no password": {"code": {good}}, "a wrong code": {"code": {"000000"}, "password": {annsPassword}}} {
		if got := l.ask(t, "POST", "/desk/join/token", "", form); got.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
	}
	if got := l.ask(t, "POST", "/desk/join/token", "", url.Values{"code": {good}, "password": {annsPassword}}); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("join: %d", got.StatusCode)
	}
	if got := l.ask(t, "POST", "/desk/join/token", "", url.Values{"code": {good}, "password": {"another passphrase"}}); got.StatusCode != http.StatusGone {
		t.Errorf("the invitation again: %d", got.StatusCode)
	}
	l.pass(codeStep * time.Second)
	resp := l.ask(t, "POST", "/desk/signin", "", url.Values{"name": {"Rika"}, "password": {annsPassword}, "code": {codeAt(t, secret, l.clock().Unix()/codeStep)}})
	if resp.StatusCode != http.StatusSeeOther {
		t.Errorf("sign in after joining: %d", resp.StatusCode)
	}
}

// What can't be a name is nobody's: neither the limiter nor the store is given
// text of a stranger's length, or that a database refuses.
func TestNamesThatAreNone(t *testing.T) {
	l := newLobby(t)
	for n, name := range []string{strings.Repeat("n", 10_000), "Ann\x00", "\xff\xfe", "<b>"} {
		got := l.ask(t, "POST", "/desk/signin", "", url.Values{"name": {name}, "password": {annsPassword}, "code": {"000000"}})
		if got.StatusCode != http.StatusForbidden {
			t.Errorf("name %d: %d", n, got.StatusCode)
		}
	}
	for _, name := range l.asked {
		if name != "" && name != "Ann" {
			t.Errorf("the store was asked for %.20q", name)
		}
	}
}

// A live page whose session is over is told so; a store that does not answer
// is not taken for that.
func TestStreamsSayWhenTheSessionIsOver(t *testing.T) {
	l := newLobby(t)
	for _, path := range []string{"/desk/wire/events", "/desk/alerts/1/events"} {
		resp := l.ask(t, "GET", path, "a cookie that was good", nil)
		body, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || string(body) != endOfSession {
			t.Errorf("%s: %d, %s, %q", path, resp.StatusCode, resp.Header.Get("Content-Type"), body)
		}
	}
	cookie := l.as(ann)
	beat := func() string {
		once := make(chan time.Time, 1)
		once <- noon
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/desk/wire/events", http.NoBody)
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
		w := httptest.NewRecorder()
		if l.pages.wait(w, r, nil, nil, once) {
			t.Error("there is more, without any")
		}
		return w.Body.String()
	}
	l.down = errors.New("the database restarts")
	if said := beat(); said != "" {
		t.Errorf("while the store is down a page is told %q", said)
	}
	l.down = nil
	l.ask(t, "POST", "/desk/signout", cookie, url.Values{})
	if said := beat(); said != endOfSession {
		t.Errorf("after signing out a page is told %q", said)
	}
}

// deadlines is a connection that notes until when it may be written to.
type deadlines struct {
	*httptest.ResponseRecorder
	until []time.Time
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.until = append(d.until, t)
	return nil
}

// A page that reads no more does not hold its stream for ever.
func TestAPushHasADeadline(t *testing.T) {
	l, w := newLobby(t), &deadlines{ResponseRecorder: httptest.NewRecorder()}
	if err := l.pages.push(w, ":\n\n"); err != nil || len(w.until) != 1 || time.Until(w.until[0]) > pushWithin || time.Until(w.until[0]) < pushWithin/2 {
		t.Errorf("%v, deadlines %v", err, w.until)
	}
}

func TestNamesSignInInAnyCase(t *testing.T) {
	o := newOffice(t, nil)
	got := o.ask("POST", "/desk/signin", "", url.Values{"name": {"aNN"}, "password": {annsPassword}, "code": {o.code()}})
	if got.status != http.StatusSeeOther || o.isIn(got.cookie) != "Ann" {
		t.Errorf("%d, in as %q; %s", got.status, o.isIn(got.cookie), problemOn(got.text))
	}
}

// Who has just joined reads why the code on the phone does not serve any more.
func TestWhoHasJoinedIsTold(t *testing.T) {
	body := page(t, newLobby(t), "/desk/signin?joined=Noor+%3Cb%3E")
	if !strings.Contains(body, "Your account is ready. Sign in with the next code") || !strings.Contains(body, `value="Noor &lt;b&gt;"`) {
		t.Error(body)
	}
}
