package desk

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

// chiefsForms are the doors of the chiefs' page, each with a form that a chief
// could send.
func chiefsForms() map[string]url.Values {
	return map[string]url.Values{
		"invite": {"name": {"Noor"}, "role": {"editor"}}, "renew": {"name": {"Rika"}}, "role": {"name": {"Rika"}, "role": {"chief"}},
		"remove": {"name": {"Rika"}, "typed": {"Rika"}}, "signout": {"name": {"Rika"}}, "keys": {"editor": {"Ann"}, "scope": {news.ScopeAlertsRead}},
		"keys/revoke": {"id": {"k"}}, "policy": {"level": {"flash"}, "policy": {"auto"}, "typed": {"auto"}},
	}
}

// Nobody but a chief gets at the newsroom, also by a direct call, and a foreign
// form not even with a chief's cookie (T74, T82).
func TestT82_TheNewsroomIsTheChiefs(t *testing.T) {
	o := newOffice(t, nil)
	before := o.trail(1)
	for who, want := range map[string]int{"": http.StatusSeeOther, "Ann": http.StatusForbidden, "Rika": http.StatusForbidden} {
		cookie := ""
		if who != "" {
			cookie = o.as(who)
			before = o.trail(1)
		}
		if got := o.ask("GET", "/desk/newsroom", cookie, nil); got.status != want {
			t.Errorf("%q looks: %d", who, got.status)
		}
		for door, form := range chiefsForms() {
			if got := o.ask("POST", "/desk/newsroom/"+door, cookie, form); got.status != want {
				t.Errorf("%q posts %s: %d", who, door, got.status)
			}
		}
		if who != "" && strings.Contains(o.ask("GET", "/desk", cookie, nil).text, "/desk/newsroom") {
			t.Errorf("%s is shown the way", who)
		}
		if got := o.trail(1); got != before {
			t.Errorf("%q changed something: %s", who, got)
		}
	}
	cookie := o.as("Cleo")
	before = o.trail(1)
	for door, form := range chiefsForms() {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/desk/newsroom/"+door, strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
		w := httptest.NewRecorder()
		if o.handler.ServeHTTP(w, r); w.Code != http.StatusForbidden {
			t.Errorf("a foreign form to %s: %d", door, w.Code)
		}
	}
	if got := o.trail(1); got != before {
		t.Errorf("a foreign form changed something: %s", got)
	}
}

// shownOnce is what an answer alone shows.
func shownOnce(page string) string {
	m := regexp.MustCompile(`class="once".*?<code class="secret">([^<]*)`).FindStringSubmatch(strings.ReplaceAll(page, "\n", ""))
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1])
}

func TestAChiefInvites(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Cleo")
	got := o.ask("POST", "/desk/newsroom/invite", cookie, url.Values{"name": {"Noor"}, "role": {"reporter"}})
	link := shownOnce(got.text)
	if got.status != 200 || !strings.HasPrefix(link, officeOrigin+"/desk/join/") {
		t.Fatalf("invite: %d, %q", got.status, link)
	}
	if got := o.trail(2); got != "Cleo: editor invite editor/Noor \nCleo: editor add editor/Noor reporter" {
		t.Error(got)
	}
	if got := o.ask("GET", strings.TrimPrefix(link, officeOrigin), "", nil); got.status != 200 || !strings.Contains(got.text, "Noor") {
		t.Errorf("the link: %d", got.status)
	}
	page := o.ask("GET", "/desk/newsroom", cookie, nil).text
	if strings.Contains(page, "/desk/join/") || !strings.Contains(page, "has not joined yet") {
		t.Error("the page shows the link again, or not that she has not joined")
	}
	for name, form := range map[string]url.Values{"a name of somebody": {"name": {"ANN"}, "role": {"editor"}}, "no role": {"name": {"Zoe"}, "role": {"boss"}}, "no name": {"role": {"editor"}}, "a bad name": {"name": {"<b>"}, "role": {"editor"}}} {
		if got := o.ask("POST", "/desk/newsroom/invite", cookie, form); got.status < 400 || got.status >= 500 || problemOn(got.text) == "" {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := o.ask("POST", "/desk/newsroom/invite", cookie, url.Values{"name": {"Zoe"}, "role": {"boss"}}); !strings.Contains(got.text, `value="Zoe"`) {
		t.Error("what was typed is lost")
	}
	again := o.ask("POST", "/desk/newsroom/renew", cookie, url.Values{"name": {"Noor"}})
	if second := shownOnce(again.text); second == "" || second == link {
		t.Errorf("renewed: %q", second)
	}
	if got := o.ask("GET", strings.TrimPrefix(link, officeOrigin), "", nil); got.status != http.StatusGone {
		t.Errorf("the link before: %d", got.status)
	}
}

// A role that changes and a person who is removed end the sign-ins at once,
// with the page that is open (T75).
func TestT75_AChangeOfRoleSignsOut(t *testing.T) {
	o := newOffice(t, nil)
	chief, ann, rika := o.as("Cleo"), o.as("Ann"), o.as("Rika")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	server := httptest.NewServer(o.handler)
	defer server.Close()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/desk/wire/events", http.NoBody)
	o.must(err)
	r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: ann})
	run, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- o.pages.Run(run) }()
	stream, err := server.Client().Do(r)
	o.must(err)
	defer stream.Body.Close()
	first := make([]byte, 8)
	if _, err := io.ReadFull(stream.Body, first); err != nil { // it is open
		t.Fatal(err)
	}
	if got := o.ask("POST", "/desk/newsroom/role", chief, url.Values{"name": {"Ann"}, "role": {"reporter"}}); got.status != http.StatusSeeOther {
		t.Fatalf("change: %d %s", got.status, problemOn(got.text))
	}
	if got := o.trail(1); got != "Cleo: editor role editor/Ann editor to reporter" {
		t.Error(got)
	}
	// Called again in case the first call came while the stream was busy.
	rest := make(chan string, 1)
	go func() {
		raw, _ := io.ReadAll(stream.Body)
		rest <- string(raw)
	}()
	for said := ""; said == ""; {
		select {
		case said = <-rest:
			if !strings.Contains(said, endOfSession) {
				t.Errorf("the open page is told %q", said)
			}
		case <-time.After(10 * time.Millisecond):
			o.pages.rollcall()
		}
	}
	if o.isIn(ann) != "" || o.isIn(rika) != "Rika" {
		t.Error("the session goes on, or another's ended")
	}
	o.ask("POST", "/desk/newsroom/signout", chief, url.Values{"name": {"Rika"}})
	if got := o.trail(1); o.isIn(rika) != "" || got != "Cleo: sign out everywhere editor/Rika " {
		t.Error(got)
	}
	rika = o.as("Rika")
	if got := o.ask("POST", "/desk/newsroom/remove", chief, url.Values{"name": {"Rika"}, "typed": {"Rita"}}); got.status != http.StatusBadRequest || o.isIn(rika) == "" {
		t.Errorf("removed by a wrong name: %d", got.status)
	}
	o.ask("POST", "/desk/newsroom/remove", chief, url.Values{"name": {"Rika"}, "typed": {"rika"}})
	if got := o.trail(1); o.isIn(rika) != "" || got != "Cleo: editor remove editor/Rika " {
		t.Error(got)
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestTheLastChiefIsKept(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Cleo")
	for door, form := range map[string]url.Values{"role": {"name": {"Cleo"}, "role": {"editor"}}, "remove": {"name": {"Cleo"}, "typed": {"Cleo"}}} {
		if got := o.ask("POST", "/desk/newsroom/"+door, cookie, form); got.status != http.StatusConflict || !strings.Contains(problemOn(got.text), "last chief") ||
			strings.Contains(got.text, `name="name" value="Cleo" required`) {
			t.Errorf("%s: %d %q", door, got.status, problemOn(got.text))
		}
	}
	if o.isIn(cookie) != "Cleo" {
		t.Error("she was signed out")
	}
}

func TestAChiefMakesKeys(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Cleo")
	got := o.ask("POST", "/desk/newsroom/keys", cookie, url.Values{"editor": {"Ann"}, "scope": {news.ScopeAlertsRead, news.ScopeStoriesWrite}, "life": {"720h"}})
	key := shownOnce(got.text)
	person, err := o.APIKey(context.Background(), web.HashKey(key))
	if err != nil || person.Name != "Ann" || !strings.HasPrefix(o.trail(1), "Cleo: apikey add") {
		t.Fatalf("%d: %+v, %v; %s", got.status, person, err, o.trail(1))
	}
	page := o.ask("GET", "/desk/newsroom", cookie, nil).text
	if strings.Contains(page, key) || !strings.Contains(page, "alerts:read stories:write") {
		t.Error("the list shows the key, or not what it may")
	}
	for name, c := range map[string]struct {
		form url.Values
		want int
	}{
		"another's approval": {url.Values{"editor": {"Ann"}, "scope": {news.ScopeAlertsApprove}}, http.StatusForbidden},
		"another's drafts":   {url.Values{"editor": {"Ann"}, "scope": {news.ScopeAlertsDraft}}, http.StatusForbidden},
		"more than her role": {url.Values{"editor": {"Rika"}, "scope": {news.ScopeAlertsStop}}, http.StatusBadRequest},
		"nothing":            {url.Values{"editor": {"Ann"}}, http.StatusBadRequest},
		"nobody's":           {url.Values{"editor": {"Zoe"}, "scope": {news.ScopeAlertsRead}}, http.StatusNotFound},
		"a bad life":         {url.Values{"editor": {"Ann"}, "scope": {news.ScopeAlertsRead}, "life": {"long"}}, http.StatusBadRequest},
		"her own approval":   {url.Values{"editor": {"Cleo"}, "scope": {news.ScopeAlertsApprove}}, http.StatusOK},
	} {
		if got := o.ask("POST", "/desk/newsroom/keys", cookie, c.form); got.status != c.want {
			t.Errorf("%s: %d %s", name, got.status, problemOn(got.text))
		}
	}
	keys, err := o.APIKeys(context.Background())
	if o.must(err); len(keys) != 2 {
		t.Fatalf("%d keys", len(keys))
	}
	for _, k := range keys {
		if k.Editor == "Cleo" && (k.ExpiresAt.IsZero() || k.ExpiresAt.After(o.clock().Add(powerfulKeyLife))) {
			t.Errorf("a key that approves lasts until %s", k.ExpiresAt)
		}
		o.ask("POST", "/desk/newsroom/keys/revoke", cookie, url.Values{"id": {k.ID}})
	}
	if keys, err := o.APIKeys(context.Background()); err != nil || len(keys) != 0 || !strings.HasPrefix(o.trail(1), "Cleo: apikey revoke") {
		t.Errorf("%d keys left, %v", len(keys), err)
	}
}

func TestAChiefSetsPolicies(t *testing.T) {
	o := newOffice(t, nil)
	cookie := o.as("Cleo")
	set := func(level, policy, typed string) answer {
		return o.ask("POST", "/desk/newsroom/policy", cookie, url.Values{"level": {level}, "policy": {policy}, "typed": {typed}})
	}
	for _, c := range []struct {
		level, policy, typed string
		want                 int
		now                  news.Policy
	}{
		{"flash", "two", "", http.StatusSeeOther, news.PolicyTwo},
		{"flash", "auto", "", http.StatusBadRequest, news.PolicyTwo},
		{"bulletin", "auto", "yes", http.StatusBadRequest, news.PolicyOne},
		{"flash", "auto", " Auto ", http.StatusSeeOther, news.PolicyAuto},
		{"notice", "two", "", http.StatusSeeOther, news.PolicyTwo},
		{"notice", "auto", "", http.StatusSeeOther, news.PolicyAuto},
		{"flash", "three", "", http.StatusBadRequest, news.PolicyAuto},
	} {
		got := set(c.level, c.policy, c.typed)
		level, err := news.ParseLevel(c.level)
		o.must(err)
		policies, err := o.Policies(context.Background())
		if o.must(err); got.status != c.want || policies[level] != c.now {
			t.Errorf("%+v: %d, now %s; %s", c, got.status, policies[level], problemOn(got.text))
		}
	}
	if got := set("urgent", "one", ""); got.status != http.StatusBadRequest {
		t.Errorf("a level that is none: %d", got.status)
	}
	set("flash", "one", "")
	if got := set("flash", "auto", "no").text; !regexp.MustCompile(`(?s)value="flash".*?value="auto" checked`).MatchString(got) {
		t.Error("what was chosen is lost")
	}
	set("notice", "one", "")
	set("notice", "auto", "")
	before := o.trail(1)
	if before != "Cleo: policy policy/notice auto" {
		t.Error(before)
	}
	if set("notice", "auto", ""); o.trail(1) != before {
		t.Error("what changes nothing stands in the trail")
	}
}

// An open alert page is sent the new policy.
func TestOpenAlertPagesShowThePolicy(t *testing.T) {
	l := newLobby(t)
	v := l.desk.draft(t, ann, Writing{Level: "flash"})
	read := func() string {
		l.pass(time.Second)
		seen, err := l.pages.renderStatus(t.Context(), v.Alert.ID)
		if err != nil {
			t.Fatal(err)
		}
		return seen.html
	}
	before := read()
	l.desk.mem.policies[news.LevelFlash] = news.PolicyTwo
	if after := read(); !strings.Contains(before, `data-policy="one"`) || !strings.Contains(after, `data-policy="two"`) || !strings.Contains(after, "two different editors") {
		t.Errorf("%s\n%s", before, after)
	}
}
