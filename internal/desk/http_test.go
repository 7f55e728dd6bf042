package desk

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/web"
)

const adminKey = "admin key of the tests"

// doors is the desk behind the real floor.
type doors struct {
	*desktop
	handler http.Handler
	keys    map[string]string // by editor
}

func newDoors(t *testing.T) *doors {
	t.Helper()
	d := newDesktop(t)
	floor, err := web.New(web.Config{AdminKey: adminKey, Keys: d.mem, BaseURL: "https://alerts.example"})
	if err != nil {
		t.Fatal(err)
	}
	d.floor = floor
	mux := http.NewServeMux()
	d.Routes(mux)
	out := &doors{desktop: d, handler: floor.Handler(mux), keys: map[string]string{}}
	for _, p := range []news.Person{ann, ben, rika, cms} {
		if _, err := AddEditor(t.Context(), d.mem, p.Name, p.Role, news.SystemName, noon); err != nil {
			t.Fatal(err)
		}
		key, _, err := AddAPIKey(t.Context(), d.mem, KeyWish{Editor: p.Name, Scopes: p.Scopes}, noon)
		if err != nil {
			t.Fatal(err)
		}
		out.keys[p.Name] = key
	}
	out.keys["system"] = adminKey
	return out
}

// call answers with the status and the body as JSON.
func (d *doors) call(t *testing.T, by, method, path, body string) (int, map[string]any) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if key := d.keys[by]; key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s %s: %d, not JSON: %s", method, path, w.Code, w.Body)
	}
	if want := "application/json"; w.Code < 300 && w.Header().Get("Content-Type") != want {
		t.Errorf("content type %q", w.Header().Get("Content-Type"))
	} else if w.Code >= 400 && w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("content type of a problem %q", w.Header().Get("Content-Type"))
	}
	return w.Code, out
}

func (d *doors) want(t *testing.T, status int, by, method, path, body string) map[string]any {
	t.Helper()
	got, out := d.call(t, by, method, path, body)
	if got != status {
		t.Fatalf("%s %s by %s: %d, want %d: %v", method, path, by, got, status, out)
	}
	return out
}

func TestDoorsWholeWay(t *testing.T) {
	d := newDoors(t)
	a := d.want(t, 201, "Rika", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`","level":"flash","texts":{"en":{"title":"Quake","body":"Go up."}},"audience":"ASEAN + TW","sections":[],"deadline":"2026-11-23T22:00:00+09:00"}`)
	id, hash := a["id"].(string), a["hash"].(string)
	path := "/api/v1/alerts/" + id
	if a["state"] != "draft" || a["level"] != "flash" || a["audience"] != "ASEAN + TW" || a["deadline"] != "2026-11-23T13:00:00Z" || a["author"] != "Rika" {
		t.Errorf("%v", a)
	}
	d.want(t, 200, "Rika", "POST", path+"/submit", "")
	d.want(t, 200, "Ann", "POST", path+"/approve", `{"hash":"`+hash+`"}`)
	a = d.want(t, 200, "Ben", "POST", path+"/release", `{"hash":"`+hash+`"}`)
	if a["state"] != "holding" || a["holdUntil"] != "2026-11-23T12:00:20Z" || a["approver"] != "Ann" {
		t.Errorf("%v", a)
	}
	d.begin(t, id)
	a = d.want(t, 200, "Ann", "POST", path+"/hold", `{"reason":"second source?"}`)
	if a["state"] != "held" || a["reason"] != "second source?" || d.mem.releases[0].State != news.ReleaseHeld {
		t.Errorf("%v, %v", a, d.mem.releases[0].State)
	}
	if a = d.want(t, 200, "Ann", "POST", path+"/resume", "{}"); a["state"] != "sending" || d.mem.releases[0].State != news.ReleaseSending {
		t.Errorf("%v", a)
	}
	a = d.want(t, 200, "Ben", "POST", path+"/correct", `{"texts":{"en":{"title":"Weak quake","body":"Stay."}}}`)
	if a["id"] != id || a["revision"] != 2.0 || len(a["repairs"].([]any)) != 1 {
		t.Errorf("%v", a)
	}
	// A stop is never sent back for its form.
	a = d.want(t, 200, "system", "POST", path+"/kill", `{"reason":"`+repeat("r", 501)+`"}`)
	if a["reason"] != repeat("r", 500)+"…" {
		t.Errorf("kept reason %v", a["reason"])
	}
	if a["id"] != id || a["revision"] != 3.0 || a["state"] != "killed" {
		t.Errorf("%v", a)
	}
	second := a["repairs"].([]any)[1].(map[string]any)
	if second["kind"] != "kill" || second["revision"] != 3.0 {
		t.Errorf("%v", second)
	}
	d.want(t, 409, "Ann", "POST", path+"/cancel", "")

	list := d.want(t, 200, "Ann", "GET", "/api/v1/alerts?story="+storyURI, "")["alerts"].([]any)
	all := d.want(t, 200, "Ann", "GET", "/api/v1/alerts", "")["alerts"].([]any)
	one := d.want(t, 200, "Ann", "GET", path, "")
	if diff := cmp.Diff(any(one), list[0]); diff != "" || len(list) != 1 || len(all) != 1 {
		t.Errorf("%d and %d alerts; %s", len(list), len(all), diff)
	}
	none := d.want(t, 200, "Ann", "GET", "/api/v1/alerts?story=https://news.example/none", "")["alerts"].([]any)
	if len(none) != 0 {
		t.Errorf("%v", none)
	}
}

func TestDoorsRefuse(t *testing.T) {
	d := newDoors(t)
	a := d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`"}`)
	path, hash := "/api/v1/alerts/"+a["id"].(string), a["hash"].(string)
	good := `{"hash":"` + hash + `"}`
	for _, c := range []struct {
		name, by, method, path, body string
		status                       int
		fault                        string // path of the first fault
	}{
		{"no key", "", "POST", path + "/release", good, 401, ""},
		{"a reporter releases", "Rika", "POST", path + "/release", good, 403, ""},
		{"a reporter kills", "Rika", "POST", path + "/kill", "", 403, ""},
		{"a feed releases", "CMS", "POST", path + "/release", good, 403, ""},
		{"a feed reads", "CMS", "GET", path, "", 403, ""},
		{"stale hash", "Ann", "POST", path + "/release", `{"hash":"00"}`, 409, ""},
		{"no hash", "Ann", "POST", path + "/release", "", 400, "hash"},
		{"no hash to approve", "Ben", "POST", path + "/approve", "{}", 400, "hash"},
		{"resume what is not held", "Ann", "POST", path + "/resume", "", 409, ""},
		{"correct what is not sent", "Ann", "POST", path + "/correct", `{"texts":{"en":{"title":"t"}}}`, 409, ""},
		{"unknown alert", "Ann", "POST", "/api/v1/alerts/none/kill", "", 404, ""},
		{"unknown alert read", "Ann", "GET", "/api/v1/alerts/none", "", 404, ""},
		{"unknown story", "Ann", "POST", "/api/v1/alerts", `{"story":"https://news.example/none"}`, 404, ""},
		{"no story", "Ann", "POST", "/api/v1/alerts", `{}`, 400, "story"},
		{"no body", "Ann", "POST", "/api/v1/alerts", "", 400, ""},
		{"deadline in words", "Ann", "POST", "/api/v1/alerts", `{"story":"` + storyURI + `","deadline":"tomorrow"}`, 400, "deadline"},
		{"fault in a text", "Ann", "POST", "/api/v1/alerts", `{"story":"` + storyURI + `","texts":{"en":{"title":""}}}`, 400, "texts/en/title"},
		{"texts of another type", "Ann", "POST", "/api/v1/alerts", `{"story":"` + storyURI + `","texts":[]}`, 400, "texts"},
		{"not JSON", "Ann", "POST", path + "/hold", `{"reason":`, 400, ""},
		{"large body", "Ann", "POST", path + "/hold", repeat(" ", bodyLimit+1), 413, ""},
		{"unknown step", "Ann", "POST", path + "/shout", "", 404, ""},
		{"GET changes nothing", "Ann", "GET", path + "/kill", "", 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(d.mem.audit)
			problem := d.want(t, c.status, c.by, c.method, c.path, c.body)
			if c.fault != "" {
				first := problem["errors"].([]any)[0].(map[string]any)
				if first["path"] != c.fault || first["message"] == "" {
					t.Errorf("%v, want a fault at %s", problem, c.fault)
				}
			}
			if len(d.mem.audit) != before {
				t.Error("it changed something")
			}
		})
	}
}

// T83 through the doors: one's own alert, with one's own key, under two.
func TestDoorsSecondPerson(t *testing.T) {
	d := newDoors(t)
	d.mem.policies[news.LevelBulletin] = news.PolicyTwo
	a := d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`"}`)
	path, good := "/api/v1/alerts/"+a["id"].(string), `{"hash":"`+a["hash"].(string)+`"}`
	d.want(t, 200, "Ann", "POST", path+"/submit", "")
	d.want(t, 403, "Ann", "POST", path+"/approve", good)
	d.want(t, 403, "system", "POST", path+"/approve", good)
	d.want(t, 403, "Ann", "POST", path+"/release", good)
	d.want(t, 403, "system", "POST", path+"/release", good)
	d.want(t, 200, "Ben", "POST", path+"/approve", good)
	d.want(t, 403, "system", "POST", path+"/release", good)
	d.want(t, 200, "Ann", "POST", path+"/release", good)
	d.want(t, 200, "system", "POST", path+"/hold", "")
}

// The JSON of DESIGN 9, to the letter.
func TestAlertJSON(t *testing.T) {
	d := newDoors(t)
	a := d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`"}`)
	for _, key := range []string{"id", "story", "revision", "state", "level", "texts", "audience", "hash", "counts", "times",
		"sections", "deadline", "language", "author", "approver", "reason", "repairs", "changedSince"} {
		if _, ok := a[key]; !ok {
			t.Errorf("lacks %s", key)
		}
	}
	if a["final"] != false || d.want(t, 201, "Ann", "POST", "/api/v1/alerts", `{"story":"`+storyURI+`","final":true}`)["final"] != true {
		t.Error("an alert can't be drafted as its story's last, or is by itself")
	}
	zero := map[string]any{}
	for _, key := range []string{"intended", "reachable", "held", "accepted", "gone", "failed", "ambiguous", "pending", "cancelled", "expired", "shown"} {
		zero[key] = 0.0
	}
	if diff := cmp.Diff(any(zero), a["counts"]); diff != "" {
		t.Errorf("counts before: %s", diff)
	}
	times := map[string]any{"created": "2026-11-23T12:00:00Z", "released": nil, "firstAccepted": nil, "p50": nil, "p90": nil, "p99": nil, "lastAccepted": nil}
	if diff := cmp.Diff(any(times), a["times"]); diff != "" {
		t.Errorf("times before: %s", diff)
	}

	id := a["id"].(string)
	release := func() map[string]any {
		return d.want(t, 200, "Ann", "POST", "/api/v1/alerts/"+id+"/release", `{"hash":"`+a["hash"].(string)+`"}`)
	}
	if release()["holdUntil"] == nil {
		t.Error("the countdown has no end")
	}
	if held := d.want(t, 200, "Ann", "POST", "/api/v1/alerts/"+id+"/hold", ""); held["holdUntil"] != nil {
		t.Errorf("held, and counting down to %v", held["holdUntil"])
	}
	d.want(t, 200, "Ann", "POST", "/api/v1/alerts/"+id+"/resume", "")
	release()
	d.begin(t, id)
	released := d.mem.releases[0].ReleasedAt
	var timing news.Timing
	for i := range 100 {
		timing.Record(released, released.Add(time.Duration(i+1)*10*time.Millisecond))
	}
	d.mem.figures[d.mem.releases[0].ID] = news.ReleaseFigures{Timing: timing,
		Counts: news.Counts{Intended: 111, Reachable: 110, Accepted: 100, Gone: 1, Pending: 9, Shown: 40}}
	a = d.want(t, 200, "Ann", "GET", "/api/v1/alerts/"+id, "")
	counts := a["counts"].(map[string]any)
	if counts["intended"] != 111.0 || counts["accepted"] != 100.0 || counts["pending"] != 9.0 || counts["shown"] != 40.0 {
		t.Errorf("counts: %v", counts)
	}
	got := a["times"].(map[string]any)
	if got["released"] != "2026-11-23T12:01:00Z" || got["firstAccepted"] != "2026-11-23T12:01:00.01Z" || got["lastAccepted"] != "2026-11-23T12:01:01Z" {
		t.Errorf("times: %v", got)
	}
	for key, want := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99} {
		if p := got[key].(float64); p < want*0.94 || p > want*1.06 {
			t.Errorf("%s = %v s, want %v to 5 %%", key, p, want)
		}
	}
	if a["deadline"] == nil {
		t.Error("a released alert has no deadline")
	}
}
