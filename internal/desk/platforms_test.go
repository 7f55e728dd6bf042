package desk

import (
	"strings"
	"testing"
)

// The figures are what Chromium's Intl.Segmenter and static/write.js make of the
// same texts.
func TestColumns(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "abc": 3, "e\u0301t\u00e9": 3,
		"東京で震度６強": 14, "地震🌊津波": 10, "ｱｲｳ": 3, "ｶﾞ": 1, "、。「」": 8, "𠮷野家": 6, "㈱トヨタ": 8,
		"한국어 뉴스": 11, "👨‍👩‍👧 family": 9, "🇯🇵🇰🇷": 4, "❤️": 2, "✈ plane": 7, "①②…—": 4,
		"زلزال قوي": 9, "กรุงเทพ": 6,
		"हिन्दी समाचार": 7, "தமிழ்": 3, "မြန်မာ": 4, "ខ្មែរ": 2, "ଓଡ଼ିଆ": 3,
	} {
		if got := columns(text); got != want {
			t.Errorf("%q has %d columns, want %d", text, got, want)
		}
	}
}

func TestCutColumns(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"Earthquake", 10, "Earthquake"},
		{"Earthquake off Honshu", 11, "Earthquake…"},
		{"Earthquake off Honshu", 12, "Earthquake…"}, // no space before the ellipsis
		{"東京で震度６強", 14, "東京で震度６強"},
		{"東京で震度６強", 13, "東京で震度６…"},
		{"東京で震度６強", 12, "東京で震度…"}, // a wide character is not halved
		{"👨‍👩‍👧👨‍👩‍👧", 3, "👨‍👩‍👧…"},
		{"हिन्दी समाचार", 3, "हिन्दी…"},
		{"زلزال قوي", 6, "زلزال…"},
		{"x", 0, "…"},
	} {
		got := cutColumns(c.text, c.most)
		if got != c.want || columns(got) > max(c.most, 1) {
			t.Errorf("%q in %d columns: %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestEveryPlatformIsDrawn(t *testing.T) {
	l := newLobby(t)
	l.pages.publisher = "The Strait"
	text := textView{Language: "ja", Dir: "ltr", Title: strings.Repeat("震", 60), Body: strings.Repeat("揺", 200)}
	pictures := l.pages.pictures(&text)
	if len(pictures) != len(platforms()) || len(pictures) != 4 {
		t.Fatalf("%d pictures", len(pictures))
	}
	for _, p := range pictures {
		if p.platform.Title == 0 || p.OpenBody < p.platform.Body || p.OpenTitle < p.platform.Title {
			t.Errorf("%s shows less when it is opened", p.Name)
		}
		if n := columns(p.Short.Title); n > p.platform.Title || n < p.platform.Title-2 || !strings.HasSuffix(p.Short.Title, "…") {
			t.Errorf("%s shows %d columns of the title, of %d", p.Name, n, p.platform.Title)
		}
		want := "alerts.example"
		if p.Key == "ios" {
			want = "The Strait"
		}
		if !strings.Contains(p.Short.Head, want) || !p.Long.Open || p.Short.Open {
			t.Errorf("%s does not say whose it is: %q", p.Name, p.Short.Head)
		}
	}
}
