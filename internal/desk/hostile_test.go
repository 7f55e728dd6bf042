package desk

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
	"dateline/templates"
)

// A form of another site presses nothing (T74): every step, caps and phones.
func TestT74_ForeignFormsPressNothing(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyOne}
	v := l.desk.draft(t, ann, Writing{})
	at := "/desk/alerts/" + v.Alert.ID
	forms := map[string]url.Values{"/desk/raise": {"story": {storyURI}}, "/desk/caps": {"hour.flash": {"9"}, "day.flash": {"9"}},
		"/desk/phone": {"endpoint": {"https://push.example/1"}}, "/desk/phone/1/remove": {}, "/desk/phone/test": {}, "/desk/aside/1/replay": {}}
	for _, s := range []string{"edit", "submit", "approve", "release", "alone", "hold", "resume", "cancel", "kill", "correct", "review"} {
		forms[at+"/"+s] = url.Values{"hash": {v.Alert.Hash()}, "typed": {"kill"}, "reason": {whyAlone}}
	}
	for path, form := range forms {
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "https://evil.example"}, {"Origin", "null"}} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header[0], header[1])
			r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(chief)})
			w := httptest.NewRecorder()
			l.handler.ServeHTTP(w, r)
			if w.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, header, w.Code)
			}
		}
	}
	if a, _ := l.desk.mem.Alert(t.Context(), v.Alert.ID); a.State != news.AlertDraft || len(l.desk.mem.order) != 1 {
		t.Errorf("the alert is %s, there are %d", a.State, len(l.desk.mem.order))
	}
}

// A role that was taken away ends with the next press, in sessions that were
// open before (T75): a session holds no rights of its own.
func TestT75_ATakenRoleEndsWithTheNextPress(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, rika, Writing{})
	cookie := l.as(ann)
	l.register.mu.Lock()
	l.sessions[web.HashKey(cookie)] = news.Session{Editor: "Ann", Role: news.RoleReporter} // as the store joins it
	l.register.mu.Unlock()
	resp := l.ask(t, "POST", "/desk/alerts/"+v.Alert.ID+"/release", cookie, url.Values{"hash": {v.Alert.Hash()}})
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("released by one who is a reporter now: %d", resp.StatusCode)
	}
}

// A hundred megabytes are not read (T78), from whomever they come.
func TestT78_HundredMegabytesAreNotRead(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{})
	for _, path := range []string{"/desk/signin", "/desk/signout", "/desk/join/token", "/desk/raise", "/desk/caps", "/desk/phone",
		"/desk/alerts/" + v.Alert.ID + "/edit", "/desk/alerts/" + v.Alert.ID + "/alone", "/desk/alerts/" + v.Alert.ID + "/review"} {
		l.register.mu.Lock()
		l.invited[web.HashKey("token")] = "Rika"
		l.register.mu.Unlock()
		body := &flood{left: 100 << 20}
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, body)
		r.ContentLength = -1
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(chief)})
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || body.read > 2*bodyLimit {
			t.Errorf("%s: %d after %d bytes", path, w.Code, body.read)
		}
	}
}

// flood is a body that goes on.
type flood struct{ left, read int }

func (f *flood) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), f.left)
	for i := range n {
		p[i] = 'a'
	}
	f.left, f.read = f.left-n, f.read+n
	return n, nil
}

// No press and no sign-in leads to another host (T79), whatever is asked for.
func TestT79_NothingLeadsElsewhere(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{})
	for _, path := range []string{"/desk/alerts/" + v.Alert.ID + "/hold?next=https://evil.example", "/desk/signout?next=//evil.example",
		"/desk/raise?u=https://evil.example", "/desk//evil.example", "/desk/signin?next=https://evil.example"} {
		resp := l.ask(t, "POST", path, l.as(ann), url.Values{"u": {"https://evil.example"}, "next": {"//evil.example"}, "to": {"https://evil.example"}, "story": {storyURI}})
		if to := resp.Header.Get("Location"); to != "" && (!strings.HasPrefix(to, "/desk") || strings.HasPrefix(to, "//")) {
			t.Errorf("%s leads to %q", path, to)
		}
	}
	l.pass(codeStep * time.Second)
	resp := l.ask(t, "POST", "/desk/signin", "", url.Values{"name": {"Ann"}, "password": {annsPassword}, "code": {l.code(t)}, "next": {"https://evil.example/desk"}})
	if to := resp.Header.Get("Location"); to != "/desk" {
		t.Errorf("the sign-in leads to %q", to)
	}
}

// What others wrote is shown as text on every page of the desk (T81): names of
// editors, stories with their regions, alerts, reasons, reviews, the trail, what
// a mail server or a push service said, and the notices and items that live
// pages put in by script.
func TestT81_NothingStoredRunsOnTheDesk(t *testing.T) {
	const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>`
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	story := testStory()
	story.Headline, story.Standfirst, story.Regions, story.Sections = evil, evil, []string{evil, "JP"}, []string{evil}
	story.Byline, story.Language, story.Kind, story.URL = evil, "en", evil, "javascript:alert(1)"
	l.desk.mem.stories[storyURI] = story
	l.stories.put(story)
	mallory := signedIn(news.Person{Name: evil, Role: news.RoleEditor, Scopes: RoleScopes(news.RoleEditor)})
	a := news.Alert{ID: "00000000-0000-7000-8000-00000000beef", StoryURI: storyURI, StoryVersion: 1, State: news.AlertDraft, Level: news.LevelBulletin,
		Texts: map[string]news.Text{"en": {Title: evil, Body: evil}}, Language: "en", Audience: evil, Sections: []string{evil},
		Author: evil, Reason: evil, CreatedAt: noon}
	if err := l.desk.mem.CreateAlert(t.Context(), a, news.AuditEntry{}); err != nil {
		t.Fatal(err)
	}
	l.stories.alerts = map[string][]news.Alert{storyURI: {a}}
	must(t)(l.desk.Press(t.Context(), mallory, a.ID, Pressing{Hash: a.Hash(), Alone: true, Reason: evil}))
	l.pile.trail = []news.AuditEntry{{Seq: 1, At: noon, By: evil, Action: evil, Subject: evil, Detail: "550 5.7.1 " + evil}}
	l.pile.letters = []news.DeadLetter{{ID: "1", ReceivedAt: noon, Source: evil, Subject: evil, Body: []byte(`{"headline":"` + evil + `"}`), Headers: map[string][]string{evil: {evil}},
		Problems: []news.Problem{{Path: evil, Message: evil}}, ReplayNote: "421 " + evil, ReplayedAt: noon}}
	l.pile.conflicts = []news.StoryConflictRecord{{ID: "1", URI: evil, Version: 1, Received: story, ReceivedAt: noon}}
	l.pages.phones = &drawer{phones: []news.Phone{{ID: evil, Editor: "Ben", Push: news.PushSubscription{Endpoint: "https://" + evil}}}}
	l.pages.sender = &line{}
	check := func(what, body string) {
		t.Helper()
		for _, live := range []string{"<script>alert", "<img src=x", `href="javascript:`, `'><script`} {
			if strings.Contains(body, live) {
				t.Errorf("%s has %q in it", what, live)
			}
		}
		if strings.Contains(what, "caps") || strings.Contains(what, "phone") {
			return
		}
		if !strings.Contains(body, "&lt;script&gt;alert(1)") {
			t.Errorf("%s does not show what was written: the test looks at nothing", what)
		}
	}
	for _, path := range []string{"/desk", "/desk/alerts", "/desk/alerts/" + a.ID, "/desk/audit", "/desk/aside", "/desk/caps", "/desk/phone"} {
		check(path, l.read(t, ben, path))
	}
	e := l.desk.mem.glass[0]
	if _, err := l.desk.Review(t.Context(), signedIn(ben), e.ID, evil); err != nil {
		t.Fatal(err)
	}
	check("the reviewed alert", l.read(t, ben, "/desk/alerts/"+a.ID))
	notices, err := l.pages.renderNotices(t.Context(), []news.Emergency{e})
	if err != nil {
		t.Fatal(err)
	}
	check("the notices", notices)
	seen, err := l.pages.renderStatus(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	check("the live status", seen.html)
	item, err := l.pages.item(wireStory{story: story, alerts: l.stories.alerts, under: []news.Story{story}})
	if err != nil {
		t.Fatal(err)
	}
	check("the live wire", item)
	// A form that is refused shows what was typed.
	resp := l.ask(t, "POST", "/desk/caps", l.as(chief), url.Values{"hour.flash": {evil}, "day.flash": {evil}})
	check("the refused form", text(t, resp))
}

// Rights hold at the doors of the API, called directly (T82).
func TestT82_WithoutTheRightTheAPIRefuses(t *testing.T) {
	d := newDoors(t)
	a := d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`"}`)
	path, good := "/api/v1/alerts/"+a["id"].(string), `{"hash":"`+a["hash"].(string)+`"}`
	for _, by := range []string{"Rika", "CMS"} {
		for _, s := range []string{"approve", "release", "hold", "resume", "cancel", "kill", "correct"} {
			d.want(t, 403, by, "POST", path+"/"+s, good)
		}
	}
	d.want(t, 401, "", "POST", path+"/release", good)
	d.keys["Mallory"] = "dl_a key that nobody has"
	d.want(t, 401, "Mallory", "POST", path+"/release", good)
	// What only the pages have is no door of the API, for no key.
	for _, by := range []string{"Ann", "system"} {
		for _, s := range []string{"alone", "release%20alone", "review"} {
			d.want(t, 404, by, "POST", path+"/"+s, good)
		}
	}
	if got := d.want(t, 200, "Ann", "GET", path, ""); got["state"] != "draft" {
		t.Errorf("it is %v", got["state"])
	}
}

// Under two nobody approves her own alert, nor one that has changed since she
// read it (T83): in two tabs, with a hash of before, by a direct call.
func TestT83_OneselfIsNoSecondEditor(t *testing.T) {
	l := newLobby(t)
	l.desk.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	_, to := l.press(t, rika, "/desk/raise", url.Values{"story": {storyURI}})
	press := func(by news.Person, s string, form url.Values, want int) {
		t.Helper()
		if got, _ := l.press(t, by, to+"/"+s, form); got != want {
			t.Errorf("%s by %s: %d, want %d", s, by.Name, got, want)
		}
	}
	words := func(title string) url.Values {
		return url.Values{"level": {"bulletin"}, "audience": {"JP"}, "title.en": {title}, "body.en": {"Go up."}}
	}
	// Two tabs: Ben reads it in one and writes in the other; then the text he has
	// read is not the text, and the words are his.
	press(rika, "submit", nil, http.StatusSeeOther)
	before := hashOn(t, l.read(t, ben, to))
	press(ben, "edit", words("Ben's words"), http.StatusSeeOther)
	press(ben, "approve", url.Values{"hash": {before}}, http.StatusConflict)
	a, err := l.desk.mem.Alert(t.Context(), strings.TrimPrefix(to, "/desk/alerts/"))
	if err != nil {
		t.Fatal(err)
	}
	press(ben, "approve", url.Values{"hash": {a.Hash()}}, http.StatusForbidden)
	press(ben, "submit", nil, http.StatusSeeOther)
	press(ben, "approve", url.Values{"hash": {a.Hash()}}, http.StatusForbidden)
	press(ben, "approve", nil, http.StatusBadRequest)
	// Another approves; an edit afterwards voids it, whoever writes.
	press(ann, "approve", url.Values{"hash": {a.Hash()}}, http.StatusSeeOther)
	press(ben, "edit", words("Ben's other words"), http.StatusSeeOther)
	press(ben, "release", url.Values{"hash": {a.Hash()}}, http.StatusConflict)
	a, _ = l.desk.mem.Alert(t.Context(), a.ID)
	press(ben, "release", url.Values{"hash": {a.Hash()}}, http.StatusForbidden)
	// And by direct call, with a key of hers.
	d := newDoors(t)
	d.mem.policies = news.Policies{news.LevelBulletin: news.PolicyTwo}
	made := d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`"}`)
	path, good := "/api/v1/alerts/"+made["id"].(string), `{"hash":"`+made["hash"].(string)+`"}`
	d.want(t, 200, "Ann", "POST", path+"/submit", "")
	d.want(t, 403, "Ann", "POST", path+"/approve", good)
	d.want(t, 403, "system", "POST", path+"/approve", good)
	d.want(t, 403, "Ann", "POST", path+"/release", good)
	d.want(t, 403, "system", "POST", path+"/release", good)
	d.want(t, 409, "Ben", "POST", path+"/approve", `{"hash":"stale"}`)
}

// The log of the desk has nobody's password, code, cookie, key, endpoint or
// token in it (T85), whatever goes wrong.
func TestT85_TheDesksLogTellsNoSecret(t *testing.T) {
	var log strings.Builder
	l := newLobby(t)
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: "https://desk.example", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "https://push.example/a/secret/endpoint"
	l.pages.floor, l.pages.log = floor, logger
	l.pages.phones, l.pages.sender = &drawer{phones: []news.Phone{{ID: "1", Editor: "Ben", Push: news.PushSubscription{Endpoint: endpoint}}}}, &line{}
	mux := http.NewServeMux()
	l.pages.Routes(mux)
	l.handler = floor.Handler(mux)
	l.invited[web.HashKey("invitation-token")] = "Rika"
	cookie := l.enter(t)
	wrong := url.Values{"name": {"Ann"}, "password": {"a wrong passphrase"}, "code": {"123123"}}
	l.ask(t, "POST", "/desk/signin", cookie, wrong)
	l.ask(t, "GET", "/desk/join/invitation-token", "", nil)
	l.ask(t, "POST", "/desk/join/invitation-token", "", wrong)
	l.ask(t, "POST", "/desk/phone", cookie, url.Values{"endpoint": {endpoint}, "p256dh": {"c2VjcmV0"}, "auth": {"c2VjcmV0"}})
	l.ask(t, "GET", "/desk/phone", cookie, nil)
	l.down = context.DeadlineExceeded
	l.ask(t, "GET", "/desk/phone", cookie, nil)
	caller := NewCaller(&drawer{phones: []news.Phone{{ID: "1", Editor: "Ben", Role: news.RoleEditor, Push: news.PushSubscription{Endpoint: endpoint}}}},
		&line{answers: map[string][]news.Receipt{endpoint: {{Outcome: news.Refused, Reason: "vapid"}}}}, logger)
	caller.Notify(t.Context(), news.CallKilled, news.Alert{ID: "1"}, "Ann")
	caller.Close()
	if log.Len() == 0 {
		t.Fatal("nothing was logged: the test looks at nothing")
	}
	for _, secret := range []string{annsPassword, "a wrong passphrase", "123123", cookie, "invitation-token", "secret/endpoint", "c2VjcmV0", string(l.secret)} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

// No page of the desk can be framed (T86), and none takes its links from the
// Host that a request names (T87), or files from beside the templates.
func TestT86_T87_TheDeskIsNotFramedNorPoisoned(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{})
	l.invited[web.HashKey("token")] = "Rika"
	for _, path := range []string{"/desk", "/desk/signin", "/desk/join/token", "/desk/alerts", "/desk/alerts/" + v.Alert.ID, "/desk/aside", "/desk/audit", "/desk/caps", "/desk/phone", "/desk/none"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, http.NoBody)
		r.Host = "evil.example"
		r.Header.Set("X-Forwarded-Host", "evil.example")
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(ann)})
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, r)
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe-inline") {
			t.Errorf("%s: %q", path, policy)
		}
		if strings.Contains(w.Body.String()+w.Header().Get("Location"), "evil.example") {
			t.Errorf("%s takes a link from the request's Host", path)
		}
	}
	for _, path := range []string{"/desk/../etc/passwd", "/desk/..%2f..%2fetc%2fpasswd", "/desk/alerts/..%2f..%2faudit", "/desk/join/..%2fsignin", "/desk/sw.js/..%2fdesk.css"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody)
		r.URL = &url.URL{Path: path}
		if unescaped, err := url.PathUnescape(path); err == nil {
			r.URL = &url.URL{Path: unescaped, RawPath: path}
		}
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.as(ann)})
		w := httptest.NewRecorder()
		l.handler.ServeHTTP(w, r)
		if !slices.Contains([]int{301, 303, 307, 404, 410}, w.Code) {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	path, _, err := Invite(t.Context(), l.desk.mem, "Ann", news.SystemName, noon)
	if err != nil || !strings.HasPrefix(path, "/desk/join/") {
		t.Errorf("an invitation is %q, %v: its host is the command's to add, from the base URL", path, err)
	}
}
