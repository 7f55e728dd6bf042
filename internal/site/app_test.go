package site

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestAppBeginsWithTheChoice: what is put on a Home Screen from a page with a choice
// opens the page with that choice, and is the same app.
func TestAppBeginsWithTheChoice(t *testing.T) {
	h := newHouse(t, nil)
	manifest := func(page string) (id, start string) {
		t.Helper()
		m := regexp.MustCompile(`<link rel="manifest" href="([^"]+)">`).FindStringSubmatch(h.do("GET", page, "", "Accept-Language", "en").Body.String())
		if m == nil {
			t.Fatalf("%s has no manifest", page)
		}
		var app struct {
			ID    string `json:"id"`
			Start string `json:"start_url"`
		}
		decode(t, h.do("GET", html.UnescapeString(m[1]), "", "Accept-Language", "en").Body, &app)
		return app.ID, app.Start
	}
	id, start := manifest("/subscribe?lang=ja&region=JP&mute=JP-13&section=culture&level=notice&override=ID&overrideLevel=flash&region=XX")
	page := h.do("GET", start, "", "Accept-Language", "en").Body.String()
	for _, want := range []string{`<html lang="ja"`, `id="region-JP" checked`, `id="mute-JP-13" checked`, `id="section-culture" checked`, `id="level-notice" checked`,
		`<option value="ID" selected>`} {
		if !strings.Contains(page, want) {
			t.Errorf("the app that begins at %s lacks %s", start, want)
		}
	}
	for _, other := range []string{"/", "/subscribe", "/alerts"} {
		if otherID, otherStart := manifest(other); otherID != id || otherStart != "/" {
			t.Errorf("%s: id %q, %q; begins at %s", other, otherID, id, otherStart)
		}
	}
	if _, start := manifest("/subscribe?region=JP"); strings.Contains(start, "lang=") {
		t.Errorf("%s names the language that her browser asks for", start)
	}
	var app struct {
		Start string `json:"start_url"`
	}
	decode(t, h.do("GET", "/manifest.webmanifest?region=JP&form=1&quiet=on&quietFrom=23:00&quietTo=06:00&cap=3&email=a@b.example&x=y", "").Body, &app)
	if q, err := url.ParseQuery(strings.TrimPrefix(app.Start, "/subscribe?")); err != nil || q.Get("quietFrom") != "23:00" || q.Get("cap") != "3" || q.Has("email") || q.Has("x") {
		t.Errorf("the app begins at %s", app.Start)
	}
}
