package region_test

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"

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

// TestSubdivisionNames: all of Asia's first-level subdivisions have a name in
// each language of the pages, in its letters, without the marks of the
// encyclopedia that they come from, and no two in a place have one name.
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
		if all != 963 || named != all {
			t.Errorf("%s has names for %d of %d subdivisions, want 963 of 963", lang, named, all)
		}
	}
}

// letters is a name without what a search leaves out.
func letters(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.In(r, unicode.Devanagari, unicode.Thai) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(name))
}

// TestOtherNames are of known places and each there once, and none is the place's
// name in that language or in English again.
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
		seen := map[region.OtherName]bool{}
		for _, name := range region.OtherNames(code) {
			count++
			if name.Text == "" || strings.Trim(name.Text, " ~,") != name.Text {
				t.Errorf("%s is called %q", code, name.Text)
			}
			for _, lang := range []string{name.Lang, "en"} {
				if letters(name.Text) == letters(region.Name(code, lang)) {
					t.Errorf("%s is also called %q, which is its name in %s", code, name.Text, lang)
				}
			}
			if plain := (region.OtherName{Text: letters(name.Text), Lang: name.Lang}); seen[plain] {
				t.Errorf("%s is called %q twice in %s", code, name.Text, name.Lang)
			} else {
				seen[plain] = true
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

// TestNamesOfTheDay are those that newspapers print where CLDR 41 has others.
func TestNamesOfTheDay(t *testing.T) {
	for code, names := range map[string]string{
		"ID-PP": "ja=パプア zh-Hans=巴布亚 zh-Hant=巴布亞 ko=파푸아 hi=पापुआ id=Papua th=ปาปัว vi=Papua ar=بابوا ur=پاپوا",
		"KR-42": "ja=江原特別自治道 zh-Hans=江原特别自治道 zh-Hant=江原特別自治道 ko=강원특별자치도",
		"KR-45": "ja=全北特別自治道 zh-Hans=全北特别自治道 zh-Hant=全北特別自治道 ko=전북특별자치도",
		"JP-03": "zh-Hant=岩手縣", "JP-13": "ur=ٹوکیو", "IR-12": "zh-Hant=庫德斯坦省",
		"PS-GZA": "zh-Hant=加薩省", "PS-NGZ": "zh-Hant=北加薩省", "PS-JRH": "zh-Hant=耶利哥省", "SA-01": "zh-Hant=利雅德省", "QA-DA": "zh-Hant=杜哈", "CY-01": "zh-Hant=尼古西亞區",
		"IN-GA": "hi=गोवा", "IN-TN": "hi=तमिलनाडु", "IN-CH": "hi=चंडीगढ़", "IN-JH": "hi=झारखंड", "IN-UK": "hi=उत्तराखंड", "IN-NL": "hi=नागालैंड", "IN-PY": "hi=पुडुचेरी",
	} {
		for pair := range strings.FieldsSeq(names) {
			lang, want, _ := strings.Cut(pair, "=")
			if got := region.Name(code, lang); norm.NFC.String(got) != norm.NFC.String(want) {
				t.Errorf("%s in %s is %q, want %q", code, lang, got, want)
			}
		}
	}
	for _, tt := range []struct{ code, lang, want string }{
		{"KR-42", "en", "Gangwon State"}, {"KR-45", "en", "Jeonbuk State"}, {"PK-JK", "en", "Pakistan-administered Kashmir"}, {"PK-JK", "hi", "पाकिस्तान प्रशासित कश्मीर"},
		{"PK-JK", "ur", "پاکستان کے زیر انتظام کشمیر"}, {"IN-AP", "hi", "आंध्र प्रदेश"}, {"IN-AN", "hi", "अंडमान और निकोबार द्वीपसमूह"},
		{"IR-03", "vi", "Đông Azerbaijan"}, {"IR-04", "vi", "Tây Azerbaijan"},
	} {
		if got := region.Name(tt.code, tt.lang); got != tt.want {
			t.Errorf("%s in %s is %q, want %q", tt.code, tt.lang, got, tt.want)
		}
	}
	for lang := range scripts() { // neither side's word for it
		for _, word := range []string{"Azad", "アザド", "自由", "아자드", "आज़ाद", "อาซาด", "آزاد"} {
			if name := region.Name("PK-JK", lang); strings.Contains(name, word) {
				t.Errorf("PK-JK in %s is %q", lang, name)
			}
		}
	}
	for p := range region.All() {
		if name := region.Name(p.Code, "zh-Hant"); strings.ContainsAny(name, "巖臺") || strings.Contains(name, "加沙") {
			t.Errorf("%s in zh-Hant is %q", p.Code, name)
		}
	}
	for p := range region.All() { // a capital is called as its country's dateline has it
		country := region.CountryOf(p.Code)
		if p.Kind != region.KindSubdivision || strings.ToUpper(region.Name(p.Code, "en")) != region.DatelineCity(country) {
			continue
		}
		if capital, name := region.CitiesIn(country)["zh-Hant"], region.Name(p.Code, "zh-Hant"); !strings.HasPrefix(name, strings.TrimSuffix(capital, "市")) {
			t.Errorf("the capital of %s in zh-Hant is %q, as a subdivision %q", country, capital, name)
		}
	}
	for lang, want := range map[string]string{"ar": "الخليل", "ur": "الخلیل"} {
		if got := region.ZoneCity("Asia/Hebron", lang); got != want {
			t.Errorf("Hebron in %s is %q, want %q", lang, got, want)
		}
	}
}
