package site

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/region"
)

// finds asks the server: the codes found, each with the name by which it was.
func (h *house) finds(t testing.TB, typed, lang string) (countries []string, places map[string]string) {
	t.Helper()
	w := h.do("GET", "/places?find="+url.QueryEscape(typed)+"&words="+lang, "")
	var said answer
	decode(t, w.Body, &said)
	if w.Code != http.StatusOK {
		t.Fatalf("%q: %d", typed, w.Code)
	}
	places = map[string]string{}
	for _, p := range said.Places {
		places[p.Code] = p.By
	}
	return said.Countries, places
}

func TestPlacesAreFoundByWhatPeopleCallThem(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct{ typed, lang, code, by string }{
		{"hokka", "en", "JP-01", ""}, {"MUMBAI", "en", "IN-MH", "Mumbai"}, {"JP-13", "en", "JP-13", ""}, {"kyot", "en", "JP-26", ""}, {"Đà N", "en", "VN-DN", ""},
		{"Macau", "en", "MO", "Macau"}, {"macao", "en", "MO", ""}, {"Turkey", "en", "TR", "Turkey"}, {"turkiye", "en", "TR", ""}, {"Burma", "en", "MM", "Burma"}, {"Hongkong", "en", "HK", ""},
		{"hong-kong", "ja", "HK", "Hong Kong"}, {"HK", "ja", "HK", ""}, {"Bombay", "en", "IN-MH", "Bombay"}, {"UAE", "en", "AE", "UAE"}, {"u.a.e.", "en", "AE", "UAE"}, {"日本", "en", "JP", "日本"},
		{"日本", "ja", "JP", ""}, {"KSA", "en", "SA", "KSA"}, {"PRC", "ja", "CN", "PRC"}, {"ROC", "en", "TW", ""}, {"DPRK", "en", "KP", "DPRK"}, {"ROK", "en", "KR", "ROK"},
		{"Ceylon", "en", "LK", "Ceylon"}, {"Persia", "en", "IR", "Persia"}, {"Siam", "en", "TH", "Siam"}, {"East Timor", "en", "TL", "East Timor"}, {"timor leste", "en", "TL", ""},
		{"Calcutta", "en", "IN-WB", "Calcutta"}, {"Madras", "en", "IN-TN", "Madras"}, {"Bangalore", "en", "IN-KA", "Bangalore"}, {"Peking", "en", "CN-BJ", "Peking"}, {"Canton", "en", "CN-GD", "Canton"},
		{"Saigon", "en", "VN-SG", "Saigon"}, {"Sai Gon", "vi", "VN-SG", "Saigon"}, {"Hanoi", "en", "VN-HN", ""}, {"ha noi", "vi", "VN-HN", ""}, {"Shenzhen", "en", "CN-GD", "Shenzhen"},
		{"Yokohama", "en", "JP-14", "Yokohama"}, {"Osaka", "en", "JP-27", ""}, {"Osaka", "ja", "JP-27", "Osaka"}, {"大阪", "en", "JP-27", "大阪府"}, {"Surabaya", "en", "ID-JW", "Surabaya"}, {"Cebu", "en", "PH-07", "Cebu"},
		{"رياض", "ar", "SA-01", ""}, {"ریاض", "ur", "SA-01", ""}, {"Gulf", "en", "GCC", ""}, {"東南アジア", "ja", "035", ""}, {"SAARC", "th", "SAARC", "SAARC"}, {"asean", "en", "035", "ASEAN"}, {"เชียงใหม่", "th", "TH-50", ""},
		{"维吾尔", "zh-Hans", "CN-XJ", ""}, {"South-East Asia", "en", "035", "South-East Asia"}, {"North West Frontier", "en", "PK-KP", ""}, {"Constantinople", "en", "TR-34", ""},
	} {
		countries, places := h.finds(t, tt.typed, tt.lang)
		by, ok := places[tt.code]
		if !ok || by != tt.by && tt.code != "GCC" && tt.code != "035" {
			t.Errorf("%q in %s: %s is found: %v, by %q, want by %q", tt.typed, tt.lang, tt.code, ok, by, tt.by)
		}
		if region.KindOf(tt.code) == region.KindSubdivision && !slices.Contains(countries, tt.code[:2]) {
			t.Errorf("%q in %s: the parts of %v are fetched", tt.typed, tt.lang, countries)
		}
	}
	for _, typed := range []string{"x", "", "nosuch", strings.Repeat("a", 100), "--", "。。", "\x00", "%00%00"} {
		if countries, places := h.finds(t, typed, "en"); len(countries)+len(places) > 0 {
			t.Errorf("%q finds %v and %v", typed, countries, places)
		}
	}
}

// TestEveryNameIsFound: every place of the list and every subdivision that is
// shown, by its name in each language on a page in each, and by all else that it
// is called; and the whole search, which fetches the subdivisions of a few
// countries only, has it too, on a page in one language or another.
func TestEveryNameIsFound(t *testing.T) {
	t.Parallel()
	a := newAtlas()
	all := a.searched()
	subdivisions := 0
	for i, p := range all {
		if p.country != "" {
			subdivisions++
		}
		var names []string
		for _, lang := range languages() {
			names = append(names, region.Name(p.code, lang))
		}
		for _, name := range region.OtherNames(p.code) {
			names = append(names, name.Text)
		}
		slices.Sort(names)
		for j, name := range slices.Compact(names) {
			wanted := strings.Join(wordsOf(name), "")
			for _, page := range languages() {
				if fit, _ := p.fits(wanted, page); fit != fitsWhole && wanted != "" {
					t.Errorf("%s does not fit %q on a page in %s", p.code, name, page)
				}
			}
			if page := languages()[(i+j)%len(languages())]; longEnough(name) && !a.has(name, page, p.code) && !crowded(all, wanted, page) {
				t.Errorf("%s is not found by %q on a page in %s", p.code, name, page)
			}
		}
	}
	if want := 963; subdivisions != want {
		t.Errorf("%d subdivisions can be found, want %d", subdivisions, want)
	}
}

// longEnough: one letter, as of 津, is not searched.
func longEnough(name string) bool { return len([]rune(name)) >= leastTyped }

// crowded reports whether more countries have a place of that name than are
// fetched: then it may be in none of them.
func crowded(all []searched, wanted, page string) bool {
	countries := map[string]bool{}
	for _, p := range all {
		if p.country == "" || countries[p.country] {
			continue
		}
		if fit, _ := p.fits(wanted, page); fit == fitsWhole {
			countries[p.country] = true
		}
	}
	return len(countries) > mostMatched
}

func (a *atlas) has(typed, page, code string) bool {
	return slices.ContainsFunc(a.find(typed, page).Places, func(f found) bool { return f.Code == code })
}

// TestNamesAreFoundHoweverWritten: in capitals, in one word, with hyphens.
func TestNamesAreFoundHoweverWritten(t *testing.T) {
	a := newAtlas()
	all := a.searched()
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(all).Draw(t, "place")
		page, lang := rapid.SampledFrom(languages()).Draw(t, "page"), rapid.SampledFrom(languages()).Draw(t, "language")
		name := region.Name(p.code, lang)
		switch rapid.IntRange(0, 2).Draw(t, "as") {
		case 0:
			name = strings.ToUpper(name)
		case 1:
			name = strings.ReplaceAll(name, " ", "")
		case 2:
			name = strings.ReplaceAll(name, " ", "-")
		}
		if wanted := strings.Join(wordsOf(name), ""); longEnough(name) && !a.has(name, page, p.code) && !crowded(all, wanted, page) {
			t.Errorf("%s is not found by %q on a page in %s", p.code, name, page)
		}
	})
}

// TestCitiesAreFoundInTheirScripts: the large cities of subdivisions that are
// called otherwise, capitals and the cities of time zones.
func TestCitiesAreFoundInTheirScripts(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct{ typed, lang, code string }{
		{"横浜", "ja", "JP-14"}, {"名古屋", "ja", "JP-23"}, {"神戸", "ja", "JP-28"}, {"ムンバイ", "ja", "IN-MH"}, {"深圳", "ja", "CN-GD"},
		{"深圳", "zh-Hans", "CN-GD"}, {"广州", "zh-Hans", "CN-GD"}, {"苏州", "zh-Hans", "CN-JS"}, {"廣州", "zh-Hant", "CN-GD"}, {"蘇州", "zh-Hant", "CN-JS"},
		{"橫濱", "zh-Hant", "JP-14"}, {"मुंबई", "hi", "IN-MH"}, {"कोलकाता", "hi", "IN-WB"}, {"चेन्नई", "hi", "IN-TN"}, {"बेंगलुरु", "hi", "IN-KA"},
		{"मुम्बई", "hi", "IN-MH"}, {"लखनऊ", "en", "IN-UP"}, {"جدة", "ar", "SA-02"}, {"حلب", "ar", "SY-HL"}, {"الموصل", "ar", "IQ-NI"}, {"موصل", "ar", "IQ-NI"},
		{"کراچی", "ur", "PK-SD"}, {"لاہور", "ur", "PK-PB"}, {"โคราช", "th", "TH-30"}, {"เชียงใหม่", "th", "TH-50"}, {"หาดใหญ่", "th", "TH-90"},
		{"수원", "ko", "KR-41"}, {"포항", "ko", "KR-47"}, {"札幌", "ko", "JP-01"}, {"泗水", "zh-Hans", "ID-JI"},
		// Of zones and capitals.
		{"烏魯木齊", "zh-Hant", "CN-XJ"}, {"マカッサル", "ja", "ID-SN"}, {"坤甸", "zh-Hant", "ID-KB"}, {"ジャヤプラ", "ja", "ID-PA"}, {"サマルカンド", "ja", "UZ-SA"},
		{"नई दिल्ली", "hi", "IN-DL"}, {"平壤", "zh-Hant", "KP"}, {"الخليل", "ar", "PS-HBN"}, {"古晉", "zh-Hant", "MY-13"},
	} {
		code := tt.code
		if p := region.Parent(code); region.KindOf(p) == region.KindSubdivision { // shown with what holds it
			code = p
		}
		if _, places := h.finds(t, tt.typed, tt.lang); !hasKey(places, code) {
			t.Errorf("%q in %s: %s is not found, but %v", tt.typed, tt.lang, code, places)
		}
	}
}

func hasKey(places map[string]string, code string) bool {
	_, ok := places[code]
	return ok
}

// TestEverydaySpellings: what people type in their own script, and that vowels
// of India's scripts, which Unicode has as marks, are no accents.
func TestEverydaySpellings(t *testing.T) {
	h := newHouse(t, nil)
	for _, tt := range []struct{ typed, lang, code string }{
		{"臺北", "zh-Hant", "TW-TPE"}, {"臺中", "zh-Hant", "TW-TXG"}, {"臺灣", "zh-Hant", "TW"}, {"台灣", "zh-Hant", "TW"}, {"臺灣", "ja", "TW"},
		{"झारखंड", "hi", "IN-JH"}, {"झारखण्ड", "hi", "IN-JH"}, {"झारखण", "hi", "IN-JH"}, {"चंडीगढ़", "hi", "IN-CH"}, {"चण्डीगढ़", "hi", "IN-CH"}, {"चंडीगढ", "hi", "IN-CH"},
		{"उत्तराखंड", "hi", "IN-UK"}, {"नागालैंड", "hi", "IN-NL"}, {"नागालैण्ड", "hi", "IN-NL"}, {"आंध्र", "hi", "IN-AP"}, {"आन्ध्र", "hi", "IN-AP"},
		{"अंडमान", "hi", "IN-AN"}, {"पुडुचेरी", "hi", "IN-PY"}, {"पुदुच्चेरी", "hi", "IN-PY"}, {"गोवा", "hi", "IN-GA"}, {"गोआ", "hi", "IN-GA"},
		{"तमिलनाडु", "hi", "IN-TN"}, {"तमिल नाडु", "hi", "IN-TN"}, {"जम", "hi", "IN-JK"}, {"जम्मू", "hi", "IN-JK"}, {"मिज़ोरम", "hi", "IN-MZ"},
		{"경남", "ko", "KR-48"}, {"경북", "ko", "KR-47"}, {"충남", "ko", "KR-44"}, {"충북", "ko", "KR-43"}, {"전남", "ko", "KR-46"}, {"전북", "ko", "KR-45"}, {"강원", "ko", "KR-42"},
		{"전라북도", "ko", "KR-45"}, {"강원도", "ko", "KR-42"}, {"North Jeolla", "en", "KR-45"}, {"Gangwon", "en", "KR-42"}, {"江原道", "ja", "KR-42"}, {"全羅北道", "ja", "KR-45"},
		{"ヤンゴン", "ja", "MM-06"}, {"Al Quds", "en", "PS-JEM"}, {"Al Quds", "en", "IL-JM"}, {"القُدس", "ar", "PS-JEM"},
	} {
		if _, places := h.finds(t, tt.typed, tt.lang); !hasKey(places, tt.code) {
			t.Errorf("%q in %s: %s is not found, but %v", tt.typed, tt.lang, tt.code, places)
		}
	}
	_, places := h.finds(t, "गोवा", "hi")
	if len(places) != 1 {
		t.Errorf("गोवा finds %v, want Goa alone", places)
	}
}

// TestWhatIsContestedIsNotShown: a colonial or contested name is found by who
// types it whole, no part of it finds anything, and it stands nowhere.
func TestWhatIsContestedIsNotShown(t *testing.T) {
	a := newAtlas()
	for _, p := range a.searched() {
		for _, name := range region.OtherNames(p.code) {
			if !name.Quiet {
				continue
			}
			letters := []rune(name.Text)
			for n := leastTyped; n <= len(letters); n++ {
				typed := string(letters[:n])
				for _, f := range a.find(typed, name.Lang).Places {
					if f.Code == p.code && f.By == name.Text {
						t.Errorf("%q shows %s as %q", typed, f.Code, f.By)
					}
				}
			}
			if !a.has(name.Text, name.Lang, p.code) {
				t.Errorf("%s is not found by %q", p.code, name.Text)
			}
		}
	}
	for _, tt := range []struct{ typed, code string }{
		{"east t", "CN-XJ"}, {"east turkesta", "CN-XJ"}, {"east", "BD"}, {"kei", "KR-11"}, {"republic", "TW"}, {"dutch east", "ID"}, {"azad", "PK-JK"},
		{"chinese", "TW"}, {"constan", "TR-34"}, {"rajp", "IN-RJ"}, {"north bor", "MY-12"}, {"stepana", "AZ-XA"}, {"manchu", "CN-HL"},
	} {
		if a.has(tt.typed, fallback, tt.code) {
			t.Errorf("%q finds %s", tt.typed, tt.code)
		}
	}
	for _, typed := range []string{"Jerusalem", "エルサレム", "القدس", "耶路撒冷"} { // both sides are found, and neither is called so
		for _, code := range []string{"IL-JM", "PS-JEM"} {
			if !a.has(typed, "ja", code) {
				t.Errorf("%q does not find %s", typed, code)
			}
		}
		for _, f := range a.find(typed, "vi").Places {
			if f.Code == "IL" && f.By != "" {
				t.Errorf("%q shows Israel as %q", typed, f.By)
			}
		}
	}
	for _, tt := range []struct{ typed, code string }{
		{"Nagorno-Karabakh", "AZ-XA"}, {"Artsakh", "AZ-XA"}, {"Persian Gulf", "GCC"}, {"Arabian Gulf", "GCC"},
	} {
		if a.has(tt.typed, fallback, tt.code) {
			t.Errorf("%q finds %s", tt.typed, tt.code)
		}
	}
	if !a.has("Gulf", fallback, "GCC") {
		t.Error("Gulf does not find the GCC")
	}
}

func TestFolded(t *testing.T) {
	for _, tt := range foldings() {
		if got := folded(tt[0]); got != tt[1] {
			t.Errorf("folded(%q) = %q, want %q", tt[0], got, tt[1])
		}
		if got := folded(tt[1]); got != tt[1] {
			t.Errorf("folded(%q) = %q: folded twice it is another", tt[1], got)
		}
	}
}

// foldings are texts and what they are searched as, by the server and the page.
func foldings() [][2]string {
	return [][2]string{
		{"Đà Nẵng", "da nang"}, {"Iğdır", "igdir"}, {"São", "sao"}, {"Ёлка", "елка"}, {"Κύπρος", "κυπρος"}, {"القُدْس", "القدس"}, {"إيران", "ايران"},
		{"کراچی", "كراچي"}, {"مکہ", "مكه"}, {"مكة", "مكه"}, {"臺北", "台北"}, {"ガザ", "ガザ"}, {"ペキン", "ペキン"}, {"カ", "カ"}, {"झारखण्ड", "झारखंड"}, {"चण्डीगढ़", "चंडीगढ"},
		{"मुम्बई", "मुंबई"}, {"चाँद", "चांद"}, {"गोवा", "गोवा"}, {"เชียงใหม่", "เชียงใหม่"}, {"ঢাকা", "ঢাকা"}, {"יְרוּשָׁלַיִם", "ירושלים"}, {"ل\u200cا", "لا"},
		{"부산", "\u1107\u116e\u1109\u1161\u11ab"},
	}
}

// FuzzFind: nothing that is typed panics, and what is found stands in the tree.
func FuzzFind(f *testing.F) {
	for _, typed := range []string{"Tokyo", "日本", "\x00", "a\u0301", "ال", "É", "\xff\xfe"} {
		f.Add(typed, "ja")
	}
	a := newAtlas()
	f.Fuzz(func(t *testing.T, typed, lang string) {
		said := a.find(typed, lang)
		if len(said.Countries) > mostMatched {
			t.Errorf("%q: the parts of %d countries", typed, len(said.Countries))
		}
		for _, p := range said.Places {
			if !region.Known(p.Code) {
				t.Errorf("%q finds %s", typed, p.Code)
			}
		}
	})
}

func BenchmarkFind(b *testing.B) {
	a := newAtlas()
	a.searched()
	for b.Loop() {
		a.find("mum", "en")
	}
}

func BenchmarkSearched(b *testing.B) {
	for b.Loop() {
		newAtlas().searched()
	}
}

func TestZonesAreNamed(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	a := newAtlas()
	for _, lang := range languages() {
		seen := map[string]bool{}
		for _, z := range a.zoneChoices(lang, "", now) {
			if z.Label == "" || strings.Contains(z.Label, "/") || strings.Contains(z.Label, "_") || seen[z.Label] {
				t.Errorf("%s in %s is %q", z.Zone, lang, z.Label)
			}
			seen[z.Label] = true
		}
	}
	for _, tt := range []struct{ zone, lang, want string }{
		{"Asia/Tokyo", "en", "Tokyo (UTC+9)"}, {"Asia/Tokyo", "ja", "東京 (UTC+9)"}, {"Asia/Kolkata", "hi", "कोलकाता (UTC+5:30)"}, {"UTC", "ar", "UTC"},
		{"Asia/Calcutta", "en", "Kolkata (UTC+5:30)"}, {"Europe/Prague", "en", "Prague (UTC+1)"}, {"Asia/Kathmandu", "zh-Hant", "加德滿都 (UTC+5:45)"},
	} {
		list := a.zoneChoices(tt.lang, tt.zone, now)
		i := slices.IndexFunc(list, func(z zoneChoice) bool { return z.Zone == tt.zone })
		if i < 0 || list[i].Label != tt.want {
			t.Errorf("%s in %s: %v", tt.zone, tt.lang, list)
		}
		if n := len(slices.DeleteFunc(list, func(z zoneChoice) bool { return z.Label != tt.want })); n != 1 {
			t.Errorf("%s in %s stands %d times", tt.zone, tt.lang, n)
		}
	}
	list := a.zoneChoices("en", "", now)
	if !slices.IsSortedFunc(list, func(a, b zoneChoice) int { return strings.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)) }) {
		t.Errorf("not sorted: %v", list)
	}
}
