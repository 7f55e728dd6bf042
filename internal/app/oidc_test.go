package app

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"dateline/internal/news"
)

// The provider is whole or absent, and every fault is told with the others.
func TestLoadProviders(t *testing.T) {
	const id, secret = "DATELINE_OIDC_CLIENT_ID=dateline", "DATELINE_OIDC_CLIENT_SECRET=s"
	for name, c := range map[string]struct {
		settings []string
		faults   []string // paths
	}{
		"none":              {nil, nil},
		"whole":             {[]string{"DATELINE_OIDC_ISSUER=https://id.example/realm", id, secret}, nil},
		"on this machine":   {[]string{"DATELINE_OIDC_ISSUER=http://127.0.0.1:5556/dex", id, secret}, nil},
		"without a secret":  {[]string{"DATELINE_OIDC_ISSUER=https://id.example", id}, []string{"DATELINE_OIDC_CLIENT_SECRET"}},
		"a secret alone":    {[]string{secret}, []string{"DATELINE_OIDC_CLIENT_ID", "DATELINE_OIDC_ISSUER"}},
		"over http":         {[]string{"DATELINE_OIDC_ISSUER=http://id.example", id, secret}, []string{"DATELINE_OIDC_ISSUER"}},
		"no address":        {[]string{"DATELINE_OIDC_ISSUER=id.example", id, secret, "DATELINE_HOLD=x"}, []string{"DATELINE_HOLD", "DATELINE_OIDC_ISSUER"}},
		"a desk of its own": {[]string{"DATELINE_DESK_LISTEN=:8081", "DATELINE_DESK_URL=https://desk.example/"}, nil},
		"a desk of none":    {[]string{"DATELINE_DESK_URL=https://desk.example"}, []string{"DATELINE_DESK_URL"}},
		"no desk's address": {[]string{"DATELINE_DESK_LISTEN=:8081", "DATELINE_DESK_URL=desk.example"}, []string{"DATELINE_DESK_URL"}},
	} {
		cfg, err := Load(settings(c.settings...))
		var paths []string
		var invalid *news.InvalidError
		if errors.As(err, &invalid) {
			for _, p := range invalid.Problems {
				paths = append(paths, p.Path)
			}
		}
		if !slices.Equal(paths, c.faults) {
			t.Errorf("%s: faults of %v, want %v (%v)", name, paths, c.faults, err)
		}
		if whole := slices.Contains(c.settings, id) && c.faults == nil; whole != (cfg.OIDC != nil) && c.faults == nil {
			t.Errorf("%s: %+v", name, cfg.OIDC)
		}
		if strings.HasSuffix(cfg.DeskURL, "/") {
			t.Errorf("%s: desk at %q", name, cfg.DeskURL)
		}
	}
}

// The desk's own listener is an origin of its own, has what its pages need, and
// opens although the provider does not answer.
func TestTheDesksOwnListener(t *testing.T) {
	cfg, err := Load(settings("DATELINE_DATA="+t.TempDir(), "DATELINE_LISTEN=127.0.0.1:0", "DATELINE_OPS_LISTEN=127.0.0.1:0", "DATELINE_DESK_LISTEN=127.0.0.1:0",
		"DATELINE_BASE_URL=https://alerts.example", "DATELINE_DESK_URL=https://desk.example",
		"DATELINE_OIDC_ISSUER=http://127.0.0.1:1", "DATELINE_OIDC_CLIENT_ID=dateline", "DATELINE_OIDC_CLIENT_SECRET=s"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	desk, public := a.deskRoutes(), a.publicRoutes()
	ask := func(h http.Handler, method, path, origin string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(""))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if origin != "" {
			r.Header.Set("Origin", origin)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if got := ask(desk, "GET", "/icons/192.png", ""); got.Code != 200 || got.Header().Get("Content-Type") != "image/png" {
		t.Errorf("the icon: %d", got.Code)
	}
	if got := ask(desk, "GET", "/", ""); got.Code != 404 || !strings.Contains(got.Body.String(), `href="/desk"`) {
		t.Errorf("what is not there: %d", got.Code)
	}
	if got := ask(public, "GET", "/nothing", ""); got.Code != 404 || !strings.Contains(got.Body.String(), `href="/"`) {
		t.Errorf("what is not there for readers: %d", got.Code)
	}
	foreign, own := ask(desk, "POST", "/desk/signin", "https://alerts.example"), ask(desk, "POST", "/desk/signin", "https://desk.example")
	if !strings.Contains(foreign.Body.String(), "pressed a button on our own page") || !strings.Contains(own.Body.String(), "do not fit") {
		t.Errorf("a form of the readers' origin: %d; of the desk's: %d", foreign.Code, own.Code)
	}
	if got := ask(public, "GET", "/desk/signin", ""); got.Code != 404 {
		t.Errorf("the desk on the public listener: %d", got.Code)
	}
	page := ask(desk, "GET", "/desk/signin", "")
	if page.Code != 200 || !strings.Contains(page.Body.String(), `data-origin="https://desk.example"`) || !strings.Contains(page.Body.String(), "Sign in with 127.0.0.1:1") {
		t.Errorf("the sign-in page: %d", page.Code)
	}
}
