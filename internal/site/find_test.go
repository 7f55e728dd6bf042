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
		{"日本", "ja", "JP", ""}, {"KSA", "en", "SA", "KSA"}, {"PRC", "ja", "CN", "PRC"}, {"ROC", "en", "TW", "ROC"}, {"DPRK", "en", "KP", "DPRK"}, {"ROK", "en", "KR", "ROK"},
		{"Ceylon", "en", "LK", "Ceylon"}, {"Persia", "en", "IR", "Persia"}, {"Siam", "en", "TH", "Siam"}, {"East Timor", "en", "TL", "East Timor"}, {"timor leste", "en", "TL", ""},
		{"Calcutta", "en", "IN-WB", "Calcutta"}, {"Madras", "en", "IN-TN", "Madras"}, {"Bangalore", "en", "IN-KA", "Bangalore"}, {"Peking", "en", "CN-BJ", "Peking"}, {"Canton", "en", "CN-GD", "Canton"},
		{"Saigon", "en", "VN-SG", "Saigon"}, {"Sai Gon", "vi", "VN-SG", "Saigon"}, {"Hanoi", "en", "VN-HN", ""}, {"ha noi", "vi", "VN-HN", ""}, {"Shenzhen", "en", "CN-GD", "Shenzhen"},
		{"Yokohama", "en", "JP-14", "Yokohama"}, {"Osaka", "en", "JP-27", ""}, {"Osaka", "ja", "JP-27", "Osaka"}, {"大阪", "en", "JP-27", "大阪府"}, {"Surabaya", "en", "ID-JW", "Surabaya"}, {"Cebu", "en", "PH-07", "Cebu"},
		{"رياض", "ar", "SA-01", ""}, {"ریاض", "ur", "SA-01", ""}, {"Gulf", "en", "GCC", ""}, {"東南アジア", "ja", "035", ""}, {"SAARC", "th", "SAARC", "SAARC"}, {"asean", "en", "035", "ASEAN"}, {"เชียงใหม่", "th", "TH-50", ""},
		{"维吾尔", "zh-Hans", "CN-XJ", ""}, {"South-East Asia", "en", "035", "South-East Asia"}, {"North West Frontier", "en", "PK-KP", "North-West Frontier"}, {"Constantinople", "en", "TR-34", "Constantinople"},
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

// TestEveryNameIsFound: every place of the list and every subdivision, by its
// name in each language of the pages on a page in any of them, and by all else
// that it is called.
func TestEveryNameIsFound(t *testing.T) {
	h := newHouse(t, nil)
	all := h.site.atlas.searched()
	if len(all) < 900 {
		t.Fatalf("%d places can be found", len(all))
	}
	find := func(t interface {
		Helper()
		Errorf(string, ...any)
	}, name, page, code string) {
		t.Helper()
		if len([]rune(name)) < leastTyped || len([]rune(strings.Join(wordsOf(name), ""))) == 0 { // 津: no search is made
			return
		}
		said := h.site.atlas.find(name, page)
		if !slices.ContainsFunc(said.Places, func(f found) bool { return f.Code == code }) {
			t.Errorf("%s is not found by %q on a page in %s", code, name, page)
		}
	}
	list := h.site.atlas.lists[fallback]
	for _, code := range list.codes() {
		for _, lang := range languages() {
			find(t, region.Name(code, lang), "en", code)
		}
		for _, name := range region.OtherNames(code) {
			find(t, name, "th", code)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(all).Draw(t, "place")
		page, lang := rapid.SampledFrom(languages()).Draw(t, "page"), rapid.SampledFrom(languages()).Draw(t, "language")
		name := region.Name(p.code, lang)
		switch rapid.IntRange(0, 3).Draw(t, "as") {
		case 1:
			name = strings.ToUpper(name)
		case 2:
			name = strings.ReplaceAll(name, " ", "")
		case 3:
			name = strings.ReplaceAll(name, " ", "-")
		}
		// Where more countries have such a place than are fetched, it may be in none of them.
		same, wanted := map[string]bool{}, strings.Join(wordsOf(name), "")
		for _, o := range all {
			if o.country != "" && slices.ContainsFunc(o.names, func(s spelling) bool { return s.fits(wanted, page) == fitsWhole }) {
				same[o.country] = true
			}
		}
		if len(same) <= mostMatched {
			find(t, name, page, p.code)
		}
	})
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
