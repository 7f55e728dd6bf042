package site

import (
	"regexp"
	"testing"
	"time"

	"dateline/internal/news"
)

// TestFirstLoadIsSmall: what a browser that has nothing yet is sent for the
// first page and for the form, with the map in it, is at most 60 KB in all; and
// what it has already it is not sent again.
func TestFirstLoadIsSmall(t *testing.T) {
	const most = 60 << 10
	h := newHouse(t, func(c *Config) { c.Rehearser = everything{} })
	h.fill()
	for _, path := range []string{"/", "/subscribe", "/subscribe?region=142&mute=SG&region=IN-MH&open=JP"} {
		for _, lang := range languages() {
			seen, total := map[string]bool{}, 0
			h.weigh(t, path, lang, seen, &total)
			t.Logf("%s in %s: %d bytes in %d answers", path, lang, total, len(seen))
			if total > most {
				t.Errorf("%s in %s takes %d bytes; at most %d are allowed", path, lang, total, most)
			}
		}
	}
	w := h.do("GET", "/subscribe", "", "Accept-Encoding", "gzip")
	if again := h.do("GET", "/subscribe", "", "If-None-Match", w.Header().Get("ETag")); again.Code != 304 || again.Body.Len() > 0 {
		t.Errorf("the same page again: %d with %d bytes", again.Code, again.Body.Len())
	}
	if c := h.subscribe(); h.do("GET", "/manage/"+c.Token, "", "Accept-Encoding", "gzip").Header().Get("Content-Encoding") != "" {
		t.Error("a page behind a secret link is compressed")
	}
}

var (
	named    = regexp.MustCompile(`(?:href|src)="(/(?:static|icons)/[^"]+|/manifest.webmanifest[^"]*)"`)
	imported = regexp.MustCompile(`(?m)^import .*"\./([a-z]+\.js)"`)
)

// weigh adds up a page and all that it makes a browser fetch at once.
func (h *house) weigh(t *testing.T, path, lang string, seen map[string]bool, total *int) {
	t.Helper()
	if seen[path] {
		return
	}
	seen[path] = true
	w := h.do("GET", path, "", "Accept-Encoding", "gzip", "Accept-Language", lang)
	if w.Code != 200 {
		t.Fatalf("%s: %d", path, w.Code)
	}
	*total += w.Body.Len()
	plain := h.do("GET", path, "", "Accept-Language", lang)
	if regexp.MustCompile(`^/static/.*\?v=`).MatchString(path) && plain.Header().Get("Cache-Control") != "public, max-age=31536000, immutable" {
		t.Errorf("%s is not kept: %v", path, plain.Header())
	}
	for _, m := range named.FindAllStringSubmatch(plain.Body.String(), -1) {
		h.weigh(t, m[1], lang, seen, total)
	}
	for _, m := range imported.FindAllStringSubmatch(plain.Body.String(), -1) {
		h.weigh(t, "/static/site/"+m[1], lang, seen, total)
	}
}

// everything rehearses a reader to whom all of it comes that shares a place's
// code with what she follows, or all of it when she follows all of Asia.
type everything struct{}

type rehearsed []news.Release

func (everything) Rehearse(past []news.Release) Rehearsal { return rehearsed(past) }

func (r rehearsed) Comes(news.Wishes) []int {
	var all []int
	for i := range r {
		all = append(all, i)
	}
	return all
}

func (r rehearsed) Fits(w news.Wishes) []int { return r.Comes(w) }

// BenchmarkSubscribePage is the form with a choice and what it means, compressed.
func BenchmarkSubscribePage(b *testing.B) {
	h, s := newPreviewHouse(b)
	h.past(s, "JP", 900, 45*time.Minute)
	h.site.previews = nil
	b.ReportAllocs()
	for b.Loop() {
		if w := h.do("GET", "/subscribe?region=035&mute=SG&region=JP", "", "Accept-Encoding", "gzip"); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}

// BenchmarkPreview is one click.
func BenchmarkPreview(b *testing.B) {
	h, s := newPreviewHouse(b)
	h.past(s, "JP", 900, 45*time.Minute)
	h.site.previews = nil
	b.ReportAllocs()
	for b.Loop() {
		if w := h.do("GET", "/api/v1/preview?region=035&mute=SG&region=JP", ""); w.Code != 200 {
			b.Fatal(w.Code)
		}
	}
}
