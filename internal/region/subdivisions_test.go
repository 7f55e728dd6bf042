package region_test

import (
	"strings"
	"testing"
	"unicode"

	"dateline/internal/region"
)

// scripts are the letters of the languages of the pages beside English.
func scripts() map[string][]*unicode.RangeTable {
	latin, arabic, han := []*unicode.RangeTable{unicode.Latin}, []*unicode.RangeTable{unicode.Arabic}, []*unicode.RangeTable{unicode.Han}
	return map[string][]*unicode.RangeTable{
		"ja": {unicode.Han, unicode.Hiragana, unicode.Katakana}, "zh-Hans": han, "zh-Hant": han, "ko": {unicode.Hangul},
		"hi": {unicode.Devanagari}, "th": {unicode.Thai}, "ar": arabic, "ur": arabic, "id": latin, "vi": latin,
	}
}

// writtenIn reports whether there is a name and all its letters are of these scripts.
func writtenIn(name string, letters []*unicode.RangeTable) bool {
	for _, r := range name {
		if unicode.IsLetter(r) && r != 'ー' && !unicode.In(r, letters...) {
			return false
		}
	}
	return name != ""
}

// TestSubdivisionNames: nine in ten of Asia's first-level subdivisions have a
// name in each language of the pages, in its letters, without the marks of the
// encyclopedia that they come from, and no two in a place have one name. (All
// 963 have when this was written.)
func TestSubdivisionNames(t *testing.T) {
	var asia []region.Place
	for p := range region.All() {
		if p.Kind == region.KindSubdivision && region.Within(p.Code, "142") {
			asia = append(asia, p)
		}
	}
	for lang, letters := range scripts() {
		all, named := 0, 0
		siblings := map[string]string{}
		for _, p := range asia {
			name, english := region.Name(p.Code, lang), region.Name(p.Code, "en")
			own := writtenIn(name, letters)
			if !own && name != english {
				t.Errorf("%s in %s is %q", p.Code, lang, name)
			}
			if strings.ContainsAny(name, "()（）[],،、¹²³\u200c\u200e\u200f") || strings.TrimSpace(name) != name {
				t.Errorf("%s in %s is %q", p.Code, lang, name)
			}
			if other := siblings[p.Parent+name]; other != "" {
				t.Errorf("%s and %s are both %q in %s", other, p.Code, name, lang)
			}
			siblings[p.Parent+name] = p.Code
			if region.KindOf(p.Parent) == region.KindCountry {
				all++
				if own {
					named++
				}
			}
		}
		t.Logf("%s: %d of %d", lang, named, all)
		if named*10 < all*9 {
			t.Errorf("%s has names for %d of %d subdivisions", lang, named, all)
		}
	}
}

// TestOtherNames are of known places, and none is the English name again.
func TestOtherNames(t *testing.T) {
	codes := map[string]bool{}
	for p := range region.All() {
		codes[p.Code] = true
	}
	for _, g := range region.Groups() {
		codes[g.Name] = true
	}
	count := 0
	for code := range codes {
		for _, name := range region.OtherNames(code) {
			count++
			if name == "" || strings.TrimSpace(name) != name {
				t.Errorf("%s is called %q", code, name)
			}
		}
	}
	if all := region.CountOtherNames(); all != count {
		t.Errorf("%d of %d other names are of places that we know", count, all)
	}
}

// TestWordsOfSubdivisions: an expression names them in the reader's language.
func TestWordsOfSubdivisions(t *testing.T) {
	for _, tt := range []struct{ expr, lang, want string }{
		{"JP - JP-13", "ja", "日本（東京都を除く）"}, {"CN-GD + CN-SH", "zh-Hans", "广东省和上海市"}, {"IN - IN-MH", "en", "India, without Maharashtra"},
	} {
		if got := region.Words(tt.expr, tt.lang); got != tt.want {
			t.Errorf("Words(%q, %s) = %q, want %q", tt.expr, tt.lang, got, tt.want)
		}
	}
}
