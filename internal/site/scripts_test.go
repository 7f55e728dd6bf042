package site

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestScriptsAskInThePagesLanguage: what they fetch is in it, whatever cookie and
// browser say, and remembers nothing.
func TestScriptsAskInThePagesLanguage(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Rehearser = everything{} })
	for path, want := range map[string]string{"/api/v1/preview?region=JP&words=ja": `"places":"日本"`, "/places/JP?words=ja": `aria-label="除く: `, "/places/JP?words=xx": `aria-label="제외: `} {
		w := h.do("GET", path, "", "Accept-Language", "th", "Cookie", "lang=ko")
		if got := strings.ReplaceAll(w.Body.String(), `": "`, `":"`); w.Code != 200 || !strings.Contains(got, want) || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v, lacks %s: %.300s", path, w.Code, w.Header(), want, got)
		}
	}
	if w := h.do("GET", "/api/v1/preview?region=JP&lang=ja", ""); w.Header().Get("Set-Cookie") != "" {
		t.Error("a door of the API sets a cookie")
	}
	for _, script := range []string{"choose.js", "places.js"} {
		source := h.do("GET", "/static/site/"+script, "").Body.String()
		for _, m := range regexp.MustCompile("fetch\\(`(/api/v1/preview|/places)[^`]*`").FindAllString(source, -1) {
			if !strings.Contains(m, "words=${document.documentElement.lang}") {
				t.Errorf("%s asks in some language: %s", script, m)
			}
		}
	}
	source := h.do("GET", "/embed.js", "").Body.String()
	if !strings.Contains(source, `const LANGUAGES = ["`+strings.Join(languages(), `", "`)+`"];`) {
		t.Error("the script for other pages knows other languages than ours")
	}
}

// TestEveryTroubleHasWords: whatever the script of a page with a form may fail with
// is told by one of its words.
func TestEveryTroubleHasWords(t *testing.T) {
	h := newHouse(t, nil)
	embed, page, script := h.do("GET", "/embed.js", "").Body.String(), h.do("GET", "/subscribe?lang=ja", "").Body.String(), h.do("GET", "/static/site/subscribe.js", "").Body.String()
	general := []string{"failed", "timeout", "storage", "unknown", "unable", "refused"} // "did not work"; refused: the fields' own
	for _, m := range regexp.MustCompile(`new Trouble\(([^)]*)\)`).FindAllStringSubmatch(embed, -1) {
		for _, code := range regexp.MustCompile(`"(\w+)"`).FindAllStringSubmatch(m[1], -1) {
			own := strings.Contains(script, code[1]+": words."+code[1]) && strings.Contains(page, `<span data-word="`+code[1]+`">`)
			if code[1] != "NotAllowedError" && !own && !slices.Contains(general, code[1]) {
				t.Errorf("%q is told by no word of its own", code[1])
			}
		}
	}
	for _, field := range []string{"regions", "mutedRegions", "sections", "level", "overrides", "language", "timezone", "quiet", "cap", "email", "hour", "days"} {
		if !strings.Contains(page, `<span data-fault="`+field+`">`) {
			t.Errorf("a fault of %s has no words", field)
		}
	}
	c := h.subscribe()
	if manage := h.do("GET", "/manage/"+c.Token, "").Body.String(); !strings.Contains(manage, `<span data-fault="cap">`) {
		t.Error("the page of one's choices has no words for what the preview refuses")
	}
}
