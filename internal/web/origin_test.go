package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	realTemplates "dateline/templates"
)

// A floor of the desk's own listener takes forms from its own origin, and not
// from the readers'; its cookies are bound to its own scheme, and its error
// pages lead to the desk.
func TestAFloorOfItsOwnOrigin(t *testing.T) {
	f, err := New(Config{Templates: realTemplates.FS, BaseURL: "https://alerts.example", Origin: "http://desk.internal:8081", Front: DeskPath})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST /desk/x", f.Page(func(w http.ResponseWriter, _ *http.Request) error {
		f.SetSession(w, "cookie", time.Now().Add(time.Hour))
		return nil
	}))
	post := func(origin string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/desk/x", http.NoBody)
		r.Host = "behind.a.proxy:9999"
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		f.Handler(mux).ServeHTTP(w, r)
		return w.Result()
	}
	own := post("http://desk.internal:8081")
	if own.StatusCode != http.StatusOK || len(own.Cookies()) != 1 || own.Cookies()[0].Name != "desk" {
		t.Errorf("its own form: %d, %v", own.StatusCode, own.Cookies())
	}
	for _, other := range []string{"https://alerts.example", "https://desk.internal:8081", "http://desk.internal", "https://evil.example"} {
		if got := post(other); got.StatusCode != http.StatusForbidden {
			t.Errorf("a form of %s: %d", other, got.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	f.Handler(mux).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", http.NoBody))
	if body := w.Body.String(); w.Code != http.StatusNotFound || !strings.Contains(body, `href="/desk">Go to the desk`) {
		t.Errorf("%d %s", w.Code, body)
	}
	for _, bad := range []Config{{Origin: "desk.internal"}, {Origin: "https://ok.example", BaseURL: "nothing"}} {
		if _, err := New(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}
