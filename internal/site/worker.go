package site

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"dateline/internal/news"
)

// openAPIDocument describes every door of the API; a test holds it against
// the routes.
//
//go:embed openapi.yaml
var openAPIDocument []byte

// Where the worker's source takes the hosts a notification may open, and what it
// says itself.
const (
	hostsMark = "/*STORY_HOSTS*/ []"
	wordsMark = "/*WORDS*/ {}"
)

// workerWords are what notifications say besides an alert's own text, by
// language and by the worker's names for them. They are here and not in each
// message: push.Payload says why.
func (s *Site) workerWords() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, lang := range languages() {
		all[lang] = map[string]string{}
		for _, name := range []string{"read", "mute", "over", "undo", "muted", "waits", "later", "next", "alert"} {
			all[lang][name], _ = s.words.say(lang, "worker."+name) // a test asks for every one
		}
		all[lang]["failed"], _ = s.words.say(lang, "js.failed")
	}
	return all
}

// serviceWorker serves the worker with the list of story hosts in it. It is
// looked up anew each time: a worker that is wrong must not live on in caches.
func (s *Site) serviceWorker() http.Handler {
	h, err := s.Floor.Asset("site/sw.js", func(source []byte) []byte {
		for mark, value := range map[string]any{hostsMark: list(s.StoryHosts), wordsMark: s.workerWords()} {
			if raw, err := json.Marshal(value); err == nil { // strings only
				source = bytes.Replace(source, []byte(mark), raw, 1)
			}
		}
		return source
	})
	if err != nil { // a floor without our templates, in others' tests
		return http.NotFoundHandler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Chromium holds a notification's picture against the worker's own policy,
		// and pictures come from the publisher's hosts.
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' https:; frame-ancestors 'none'")
		h.ServeHTTP(w, r)
	})
}

// startURL is where the app begins. One that is put on a Home Screen from a page with
// a choice begins with it, in the page's language: on iOS it has no memory of the page.
func (s *Site) startURL(r *http.Request, lang string) string {
	q, choice := r.URL.Query(), url.Values{}
	for _, name := range []string{"region", "mute", "section", "level", "override", "overrideLevel", "language", "onlyLanguage", "timezone",
		"quiet", "quietFrom", "quietTo", "quietFlash", "cap", "form"} {
		if len(q[name]) > 0 {
			choice[name] = q[name]
		}
	}
	s.parser.knownOnly(choice)
	if len(choice["region"]) == 0 {
		return "/"
	}
	if lang != suggested(r.Header.Get("Accept-Language")) {
		choice.Set("lang", lang)
	}
	return "/subscribe?" + choice.Encode()
}

// manifest makes the site an app that can be put on a home screen, which iOS
// asks for before it lets a site notify. Its id is always the same: it is one app,
// wherever it begins.
func (s *Site) manifest(w http.ResponseWriter, r *http.Request) error {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose,omitempty"`
	}
	type shortcut struct {
		Name  string `json:"name"`
		URL   string `json:"url"`
		Icons []icon `json:"icons"`
	}
	icons := []icon{}
	for _, size := range []string{"192", "512"} {
		icons = append(icons, icon{"/icons/" + size + ".png", size + "x" + size, "image/png", "any"},
			icon{"/icons/maskable-" + size + ".png", size + "x" + size, "image/png", "maskable"})
	}
	v := view{words: s.words, Lang: languageOf(r)} // no cookie: browsers ask for it beside a page
	name, err := v.T("manifest.name", s.Publisher.Name)
	if err != nil {
		return fmt.Errorf("site.manifest: %w", err)
	}
	shortcuts := []shortcut{}
	for _, to := range [][2]string{{"nav.alerts", "/alerts"}, {"nav.follow", "/subscribe"}} {
		words, err := v.T(to[0])
		if err != nil {
			return fmt.Errorf("site.manifest: %w", err)
		}
		shortcuts = append(shortcuts, shortcut{words, to[1], []icon{{Src: "/icons/192.png", Sizes: "192x192", Type: "image/png"}}})
	}
	raw, err := json.MarshalIndent(map[string]any{
		"id": "/", "name": name, "short_name": s.Publisher.Name, "start_url": s.startURL(r, v.Lang), "scope": "/", "lang": v.Lang, "dir": news.Direction(v.Lang),
		"display": "standalone", "background_color": "#fbfaf7", "theme_color": "#fbfaf7", "icons": icons, "shortcuts": shortcuts,
	}, "", " ")
	if err != nil {
		return fmt.Errorf("site.manifest: %w", err)
	}
	w.Header().Set("Content-Type", "application/manifest+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Add("Vary", "Accept-Language, Cookie")
	_, _ = w.Write(raw)
	return nil
}

// robots keeps search engines off the pages behind links.
func (s *Site) robots(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /confirm/\nDisallow: /unsubscribe/\nDisallow: /manage/\nDisallow: /why/\nDisallow: /api/\n"))
	return nil
}

func (s *Site) openAPI(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(openAPIDocument)
	return nil
}
