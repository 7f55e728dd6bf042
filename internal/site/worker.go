package site

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
)

// openAPIDocument describes every door of the API; a test holds it against
// the routes.
//
//go:embed openapi.yaml
var openAPIDocument []byte

// hostsMark is where the worker's source takes the hosts a notification may
// open.
const hostsMark = "/*STORY_HOSTS*/ []"

// serviceWorker serves the worker with the list of story hosts in it. It is
// looked up anew each time: a worker that is wrong must not live on in caches.
func (s *Site) serviceWorker() http.Handler {
	raw, err := json.Marshal(list(s.StoryHosts))
	if err != nil { // a list of strings
		raw = []byte("[]")
	}
	h, err := s.Floor.Asset("site/sw.js", func(source []byte) []byte {
		return bytes.Replace(source, []byte(hostsMark), raw, 1)
	})
	if err != nil { // a floor without our templates, in others' tests
		return http.NotFoundHandler()
	}
	return h
}

// manifest makes the site an app that can be put on a home screen, which iOS
// asks for before it lets a site notify.
func (s *Site) manifest(w http.ResponseWriter, _ *http.Request) error {
	type icon struct {
		Src     string `json:"src"`
		Sizes   string `json:"sizes"`
		Type    string `json:"type"`
		Purpose string `json:"purpose"`
	}
	icons := []icon{}
	for _, size := range []string{"192", "512"} {
		icons = append(icons, icon{"/icons/" + size + ".png", size + "x" + size, "image/png", "any"},
			icon{"/icons/maskable-" + size + ".png", size + "x" + size, "image/png", "maskable"})
	}
	raw, err := json.MarshalIndent(map[string]any{
		"id": "/", "name": s.Publisher.Name + " Alerts", "short_name": s.Publisher.Name, "start_url": "/", "scope": "/",
		"display": "standalone", "background_color": "#fbfaf7", "theme_color": "#fbfaf7", "icons": icons,
	}, "", " ")
	if err != nil {
		return fmt.Errorf("site.manifest: %w", err)
	}
	w.Header().Set("Content-Type", "application/manifest+json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
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
