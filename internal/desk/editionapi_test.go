package desk

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"dateline/internal/news"
)

// call asks a door of the API as somebody.
func (p *press) call(by, method, path, body string, want int) string {
	p.t.Helper()
	r := httptest.NewRequestWithContext(p.t.Context(), method, path, strings.NewReader(body))
	if key := p.keys[by]; key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	if w.Code != want {
		p.t.Fatalf("%s %s by %s: %d, want %d: %s", method, path, by, w.Code, want, w.Body)
	}
	kind := "application/json"
	if want >= 400 {
		kind = "application/problem+json"
	}
	if got := w.Header().Get("Content-Type"); got != kind {
		p.t.Errorf("%s %s is %q", method, path, got)
	}
	return w.Body.String()
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(got), "", "  "); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.TrimSpace(b.String()) != strings.TrimSpace(string(want)) {
		t.Errorf("testdata/%s has something else than\n%s", file, b.String())
	}
}

// The doors answer as documented, on both engines.
func TestEditionDoors(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		e := p.morning()
		id := `"id":"` + e.ID + `"`
		p.call("Ann", "POST", "/api/v1/editions/pause", `{`+id+`,"provider":"gmail","reason":"the note is wrong"}`, 200)
		p.call("Cleo", "POST", "/api/v1/editions/resume", `{`+id+`,"provider":"gmail"}`, 200)
		golden(t, "editions.json", p.call("system", "GET", "/api/v1/editions", "", 200))
		one := p.call("Ann", "GET", "/api/v1/editions?id="+url.QueryEscape(e.ID), "", 200)
		for _, query := range []string{"date=2026-12-01", "from=2026-11-30T22:00:00Z&until=2026-12-01T07:00:00%2B09:00", "until=2026-12-01T00:00:00Z"} {
			if got := p.call("Ann", "GET", "/api/v1/editions?"+query, "", 200); !strings.Contains(got, strings.TrimSpace(one)) {
				t.Errorf("%s: %s", query, got)
			}
		}
		if got := p.call("Ann", "GET", "/api/v1/editions?date=2026-11-30", "", 200); !strings.HasPrefix(got, `{"editions":[],"totals":{"counts":{"due":0`) {
			t.Errorf("another date: %s", got)
		}
		if got := p.call("Ann", "POST", "/api/v1/editions/resend", `{`+id+`,"count":2}`, 200); !strings.Contains(got, `"deferred":3,"bounced":2,"unknown":0`) {
			t.Errorf("resent: %s", got)
		}
		p.desk.counted = true
		if got := p.call("Ann", "GET", "/api/v1/editions?id="+url.QueryEscape(e.ID), "", 200); !strings.Contains(got, `"opens":0,"clicks":0`) {
			t.Errorf("counted: %s", got)
		}

		golden(t, "plan.json", p.call("Ann", "PUT", "/api/v1/editions/plan?date=2026-12-05", `{"notes":{"en":" Good\nmorning "},"pins":["https://news.example/1"],"drops":["https://news.example/2"],"version":0}`, 200))
		if got := p.call("Ann", "GET", "/api/v1/editions/plan?date=2026-12-05", "", 200); !strings.Contains(got, `"version":1,"changedBy":"Ann"`) {
			t.Error(got)
		}
		if got := p.call("Ann", "GET", "/api/v1/editions/plan?weekly=true", "", 200); got != `{"date":"2026-12-05","weekly":true,"notes":{},"pins":[],"drops":[],"version":0,"changedBy":"","changedAt":null}`+"\n" {
			t.Error(got)
		}
		if got := p.call("Cleo", "PUT", "/api/v1/editions/plan?date=2026-12-05", `{"version":0}`, 409); !strings.Contains(got, "Ann changed this plan at") {
			t.Error(got)
		}
		p.call("Cleo", "PUT", "/api/v1/editions/plan?date=2026-12-05", `{"version":1}`, 200)
	})
}

// What the doors refuse changes nothing, and says what would be right.
func TestEditionDoorsRefuse(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		e := p.morning()
		id := `"id":"` + e.ID + `"`
		before := p.trail(1)
		const plan = "/api/v1/editions/plan?date=2026-12-05"
		for _, c := range []struct {
			by, method, path, body string
			want                   int
		}{
			{"", "GET", "/api/v1/editions", "", 401},
			{"Rika", "GET", "/api/v1/editions", "", 403},
			{"Rika", "POST", "/api/v1/editions/pause", `{` + id + `}`, 403},
			{"Rika", "PUT", plan, `{"version":0}`, 403},
			{"Ann", "GET", "/api/v1/editions?date=tomorrow", "", 400},
			{"Ann", "GET", "/api/v1/editions?from=noon", "", 400},
			{"Ann", "GET", "/api/v1/editions?from=2026-12-02T00:00:00Z&until=2026-12-01T00:00:00Z", "", 400},
			{"Ann", "GET", "/api/v1/editions?from=2025-12-02T00:00:00Z&until=2026-12-01T00:00:00Z", "", 400},
			{"Ann", "GET", "/api/v1/editions?id=x", "", 400},
			{"Ann", "GET", "/api/v1/editions?id=" + url.QueryEscape("2026-12-01 07 Asia/Seoul"), "", 404},
			{"Ann", "POST", "/api/v1/editions/pause", `{"id":"2026-12-01 07 Asia/Seoul"}`, 404},
			{"Ann", "POST", "/api/v1/editions/pause", `{"id":"x"}`, 422},
			{"Ann", "POST", "/api/v1/editions/pause", `{`, 400},
			{"Ann", "POST", "/api/v1/editions/pause", `{` + id + `,"provider":"nobody"}`, 422},
			{"Ann", "POST", "/api/v1/editions/resume", `{` + id + `}`, 409},
			{"Ann", "POST", "/api/v1/editions/resend", `{` + id + `,"count":3}`, 409},
			{"Ann", "POST", "/api/v1/editions/resend", `{` + id + `}`, 422},
			{"Ann", "GET", plan + "&weekly=perhaps", "", 400},
			{"Ann", "PUT", "/api/v1/editions/plan?date=soon", `{"version":0}`, 400},
			{"Ann", "PUT", "/api/v1/editions/plan?date=2026-12-04&weekly=1", `{"version":0}`, 422},
			{"Ann", "PUT", plan, `{}`, 422},
			{"Ann", "PUT", plan, `{"version":-1}`, 422},
			{"Ann", "PUT", plan, `{"version":7}`, 409},
			{"Ann", "PUT", plan, `{"version":0,"pins":["none"]}`, 422},
			{"Ann", "PUT", plan, `{"version":0,"notes":{"!":"a"}}`, 422},
		} {
			p.call(c.by, c.method, c.path, c.body, c.want)
		}
		if got := p.trail(1); got != before {
			t.Errorf("something was done: %s", got)
		}
		if got := p.call("Ann", "PUT", plan, `{"version":0,"pins":["https://news.example/1","none"],"drops":["https://news.example/1"]}`, 422); !strings.Contains(got, `"path":"pins/1"`) || !strings.Contains(got, `"path":"pins/0"`) {
			t.Error(got)
		}
	})
}

// A key made before its editor lost the role does not keep the role's rights.
func TestAnOldKeyRunsNoDigests(t *testing.T) {
	for name, c := range map[string]struct {
		by   news.Person
		want bool
	}{"an editor": {ann, true}, "a chief": {chief, true}, "the system": {system, true}, "a reporter": {rika, false}, "demoted": {demoted, false},
		"without the scope": {cms, false}, "nobody": {news.Person{}, false}} {
		if err := mayRunDigests(c.by); (err == nil) != c.want || err != nil && !errors.Is(err, news.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
