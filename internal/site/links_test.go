package site

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/region"
)

// TestPagesNameWhatTheyDoNotKnow: the rest of the link holds.
func TestPagesNameWhatTheyDoNotKnow(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	for link, want := range map[string]struct{ named, kept string }{
		"/subscribe?region=XX&region=JP":                       {"XX", `id="region-JP" checked`},
		"/subscribe?region=JP&section=foo&section=politics":    {"foo", `id="section-politics" checked`},
		"/subscribe?region=JP&level=loud":                      {"loud", `id="level-bulletin" checked`},
		"/subscribe?region=JP&hour=99&day=8&day=2":             {"99, 8", `id="day-2" checked`},
		"/subscribe?region=JP&language=klingon!&cap=many":      {"klingon, many", `<option value="en" lang="en" selected>`},
		"/subscribe?region=JP&timezone=Mars/Olympus":           {"Mars/Olympus", `id="region-JP" checked`},
		"/subscribe?override=ZZ&overrideLevel=flash&region=JP": {"ZZ", `id="region-JP" checked`},
		"/subscribe?region=JP&quiet=on&quietFrom=dusk":         {"dusk", `value="22:00"`},
		"/alerts?region=XX&section=foo":                        {"XX, foo", "Strong quake off Luzon"},
		"/subscribe?region=JP&level=flash":                     {"", `id="level-flash" checked`},
		"/alerts?region=&section=":                             {"", "magnitude corrected"},
		"/subscribe?region=JP&lang=xx":                         {"", `<html lang="en"`},
		"/subscribe?region=JP&unheard=of":                      {"", `id="region-JP" checked`},
	} {
		if strings.HasPrefix(link, "/alerts") {
			want.kept = "magnitude corrected"
		}
		w := h.do("GET", link, "")
		page := w.Body.String()
		named := ""
		if m := regexp.MustCompile(`id="unknown">[^<]*left out: ([^<]*)\.</p>`).FindStringSubmatch(page); m != nil {
			named = html.UnescapeString(m[1])
		}
		if w.Code != 200 || named != want.named || !strings.Contains(page, want.kept) || strings.Contains(page, `id="faults"`) {
			t.Errorf("%s: %d, names %q, want %q and %s", link, w.Code, named, want.named, want.kept)
		}
		wellFormed(t, link, page)
	}
	if page := h.do("GET", "/subscribe?region=CN-HK&hour=99&day=2", "").Body.String(); !strings.Contains(page, `id="region-HK" checked`) || strings.Contains(page, `id="day-3" checked`) {
		t.Error("a place by its other code, or a day beside a wrong hour, is lost")
	}
	if page := h.do("GET", "/subscribe?lang=ja&region=XX", "").Body.String(); !strings.Contains(page, "リンクに分からないものがあったため、除きました：XX。") {
		t.Error("said in another language than the page's")
	}
}

// A link is somebody else's: a page does not become his placard.
func TestUnknownValuesAreNoPlacard(t *testing.T) {
	for typed, want := range map[string]string{"": "", "XX": "XX", "XX,XX,": "XX", "<b>": "b", "call 0800 now\u202e!": "call0800now",
		strings.Repeat("x", 99): strings.Repeat("x", maxUnknownText) + "…", "a,b,c,d,e,f,g": "a, b, c, d, e, …"} {
		if got := unknownInWords(strings.Split(typed, ",")); got != want {
			t.Errorf("%q is told as %q, want %q", typed, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		values, p := url.Values{}, NewParser(nil)
		for _, name := range []string{"region", "mute", "level", "section", "language", "timezone", "quietFrom", "quietTo", "cap", "hour", "day", "override", "overrideLevel"} {
			values[name] = rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"JP", "flash", "7", "sport", "ja", "22:00", "Asia/Tokyo"})), 0, 3).Draw(t, name)
		}
		p.knownOnly(values)
		if again := p.knownOnly(values); len(again) > 0 {
			t.Fatalf("%q is unknown only the second time, of %v", again, values)
		}
	})
}

// TestDoorsRefuseWhatTheyDoNotKnow: by the field, and what would be right.
func TestDoorsRefuseWhatTheyDoNotKnow(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Rehearser = everything{} })
	for query, path := range map[string]string{"region=XX": "regions/0", "region=JP&section=foo": "sections/0", "section=foo": "sections/0", "level=loud": "level",
		"region=JP&language=%21": "language", "mute=YY": "mutedRegions/0"} {
		for _, door := range []string{"/api/v1/preview", "/feeds/alerts.atom", "/feeds/alerts.json"} {
			if w := h.do("GET", door+"?"+query, ""); w.Code != 400 || faults(t, w) != path {
				t.Errorf("%s?%s: %d, want a fault at %s", door, query, w.Code, path)
			}
		}
	}
	if w := h.do("GET", "/api/v1/preview?region=JP&words=xx&cap=0", ""); w.Code != 400 || faults(t, w) != "words cap" {
		t.Errorf("%d", w.Code)
	}
	if w := h.do("GET", "/feeds/alerts.atom?region=JP&override=JP", ""); w.Code != 400 || faults(t, w) != "overrides" {
		t.Errorf("a place of its own level without one: %d", w.Code)
	}
	if w := h.do("GET", "/feeds/alerts.atom?region=JP&unheard=of", ""); w.Code != 200 {
		t.Errorf("a parameter of another's: %d", w.Code)
	}
}

// A feed that names no place and a section is about that section, everywhere.
func TestFeedWithoutAPlace(t *testing.T) {
	var asked news.Wishes
	h := newHouse(t, func(c *Config) { c.Rehearser = onlyKilled{&asked} })
	h.fill()
	f := h.atom("?section=politics&level=flash")
	if p := asked.Preference; strings.Join(p.Regions, " ")+strings.Join(p.Sections, " ")+p.Level.String() != region.World+"politicsflash" || len(f.Entries) != 1 {
		t.Errorf("%+v", asked)
	}
	if strings.Contains(f.Title, "World") {
		t.Errorf("titled %q", f.Title)
	}
	if all := h.atom(""); len(all.Entries) != 2 {
		t.Errorf("no choice: %d entries", len(all.Entries))
	}
}
