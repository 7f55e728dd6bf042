package site

import (
	"net/http"
	"testing"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
)

// T79: a link of a digest leads to the story its token names, and nowhere else; it is
// counted where the publisher has that done, without a word of who came.
func TestVisit(t *testing.T) {
	for _, counted := range []bool{true, false} {
		h := newHouse(t, func(c *Config) { c.CountVisits = counted })
		h.store.stories = map[string]news.Story{}
		h.store.stories["https://news.example/film"] = news.Story{URI: "https://news.example/film", URL: "https://www.news.example/film", Status: news.Usable}
		h.store.stories["https://news.example/hoax"] = news.Story{URI: "https://news.example/hoax", URL: "https://www.news.example/hoax", Status: news.Canceled}
		const edition = "2026-11-24 07 Asia/Tokyo"
		token := func(p link.Purpose, uri string) string {
			return h.links.Sign(p, link.VisitID(edition, uri), time.Time{})
		}
		for name, c := range map[string]struct {
			method, token string
			status        int
			leads         string
			counts        string // the story; "-" nothing
		}{
			"a story":           {"GET", token(link.Visit, "https://news.example/film"), http.StatusFound, "https://www.news.example/film", "https://news.example/film"},
			"the picture":       {"GET", token(link.Visit, ""), http.StatusOK, "", ""},
			"a look ahead":      {"HEAD", token(link.Visit, "https://news.example/film"), http.StatusFound, "https://www.news.example/film", "-"},
			"withdrawn":         {"GET", token(link.Visit, "https://news.example/hoax"), http.StatusGone, "", "https://news.example/hoax"},
			"never heard of":    {"GET", token(link.Visit, "https://evil.example/"), http.StatusGone, "", "https://evil.example/"},
			"another purpose":   {"GET", token(link.Unsubscribe, "https://news.example/film"), http.StatusNotFound, "", "-"},
			"no token":          {"GET", "https:%2F%2Fevil.example", http.StatusNotFound, "", "-"},
			"an address behind": {"GET", token(link.Visit, "https://news.example/film") + "?u=https://evil.example/", http.StatusFound, "https://www.news.example/film", "https://news.example/film"},
		} {
			h.store.visits = map[[2]string]int{}
			w := h.do(c.method, "/visit/"+c.token, "")
			if w.Code != c.status || w.Header().Get("Location") != c.leads {
				t.Errorf("%s: %d to %q", name, w.Code, w.Header().Get("Location"))
			}
			want := 1
			if !counted || c.counts == "-" {
				want = 0
			}
			if got := h.store.visits[[2]string{edition, c.counts}]; got != want || len(h.store.visits) != want {
				t.Errorf("%s: counted %v", name, h.store.visits)
			}
		}
	}
}
