package site

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"dateline/internal/news"
)

// embeddable are the doors that a publisher's own pages and worker need: to
// sign up, to heal, to say what became of a notification.
func embeddable() []string {
	return []string{"/api/v1/push/key", "/api/v1/subscriptions", "/api/v1/receipts", "/api/v1/preview"}
}

// parseOrigins checks DATELINE_EMBED_ORIGINS: exact origins, as browsers send
// them. http is for loopback, where nobody listens in.
func parseOrigins(typed []string) ([]string, error) {
	var out []string
	for _, t := range typed {
		u, err := url.Parse(t)
		loopback := err == nil && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
		switch {
		case err != nil || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil,
			strings.Contains(u.Host, "*"), u.Scheme != "https" && !(u.Scheme == "http" && loopback):
			return nil, news.Invalid("", "%q must be an exact origin such as https://www.news.example", t)
		}
		host := strings.ToLower(u.Host)
		if u.Scheme == "https" {
			host = strings.TrimSuffix(host, ":443")
		}
		out = append(out, u.Scheme+"://"+host)
	}
	return out, nil
}

// CheckEmbedOrigins says what is wrong with a list of origins.
func CheckEmbedOrigins(origins []string) error {
	_, err := parseOrigins(origins)
	return err
}

// cors lets the publisher's own origins, and no others, call a door from a
// browser. No cookie is involved: what a caller may do is in its token.
func (s *Site) cors(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.allowOrigin(w, r) {
			// Said to be from another site, and let in by the list: the floor's own
			// check is about forms of strangers.
			r = r.Clone(r.Context())
			r.Header.Del("Sec-Fetch-Site")
			r.Header.Del("Origin")
		}
		h.ServeHTTP(w, r)
	})
}

func (s *Site) allowOrigin(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(s.EmbedOrigins, origin) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	return true
}

// preflight answers a browser that asks before it calls.
func (s *Site) preflight(w http.ResponseWriter, r *http.Request) {
	if s.allowOrigin(w, r) {
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, PATCH, DELETE")
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.Header().Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// embedded wraps the doors for other origins, and adds their preflights.
func (s *Site) embedded(routes []route) []route {
	if len(s.EmbedOrigins) == 0 {
		return routes
	}
	paths := map[string]bool{}
	for i, r := range routes {
		_, path, _ := strings.Cut(r.pattern, " ")
		if !slices.ContainsFunc(embeddable(), func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") }) {
			continue
		}
		routes[i].handler = s.cors(r.handler)
		if !paths[path] {
			paths[path] = true
			routes = append(routes, route{"OPTIONS " + path, http.HandlerFunc(s.preflight)})
		}
	}
	return routes
}

// embedScript is the one script of a publisher's page. A page may pin its
// content by integrity: the address names the interface's version, not the
// content's.
func (s *Site) embedScript() http.Handler {
	h, err := s.Floor.Asset("site/embed.js", nil)
	if err != nil { // a floor without our templates, in others' tests
		return http.NotFoundHandler()
	}
	return h
}

// checkEmbed is parseOrigins for New.
func (c *Config) checkEmbed() error {
	origins, err := parseOrigins(c.EmbedOrigins)
	if err != nil {
		return fmt.Errorf("site.New: embedding: %w", err)
	}
	c.EmbedOrigins = origins
	return nil
}
