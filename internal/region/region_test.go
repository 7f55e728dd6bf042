package region_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

func TestTree(t *testing.T) {
	seen, open := map[string]bool{}, map[int]string{}
	count := map[region.Kind]int{}
	for p := range region.All() {
		if seen[p.Code] {
			t.Errorf("%s stands in the tree twice", p.Code)
		}
		seen[p.Code] = true
		open[p.Depth] = p.Code
		count[p.Kind]++
		if p.Depth > 0 && p.Parent != open[p.Depth-1] {
			t.Errorf("%s: parent %s, but it stands under %s", p.Code, p.Parent, open[p.Depth-1])
		}
		if region.Parent(p.Code) != p.Parent || region.KindOf(p.Code) != p.Kind || !region.Known(p.Code) {
			t.Errorf("%s: Parent %q, kind %d", p.Code, region.Parent(p.Code), region.KindOf(p.Code))
		}
		if p.Parent != "" && !slices.Contains(region.Children(p.Parent), p.Code) {
			t.Errorf("%s is no child of %s", p.Code, p.Parent)
		}
		if p.Kind == region.KindSubdivision && !strings.HasPrefix(p.Code, region.CountryOf(p.Code)+"-") {
			t.Errorf("%s: country %q", p.Code, region.CountryOf(p.Code))
		}
	}
	// ISO 3166-1 has 249 countries and territories; XK makes 250. M.49 has
	// the world, 5 continents and 22 parts of them.
	if count[region.KindCountry] != 250 || count[region.KindArea] != 28 || count[region.KindSubdivision] < 5000 {
		t.Errorf("counts by kind: %v", count)
	}
}

func TestPlacesOfAsia(t *testing.T) {
	for code, parent := range map[string]string{"TW": "030", "HK": "030", "MO": "030", "JP": "030", "JP-13": "JP", "ID": "035",
		"ID-JK": "ID-JW", "ID-JW": "ID", "IN": "034", "IR": "034", "KZ": "143", "TR": "145", "PS": "145", "030": "142", "142": "001",
		"CN-NM": "CN", "AQ": "001", "XK": "039"} {
		if got := region.Parent(code); got != parent {
			t.Errorf("Parent(%s) = %q, want %q", code, got, parent)
		}
	}
	for _, code := range []string{"EU", "UN", "EZ", "QO", "AC", "003", "419", "202", "SU", "YU", "TP", "NT", "CN-TW", "CN-HK", "FR-971", "JP-48", "jp", "", "*", ">", "."} {
		if region.Known(code) {
			t.Errorf("%q is known", code)
		}
	}
	if got := len(region.Children("142")); got != 5 {
		t.Errorf("Asia has %d parts", got)
	}
	for outer, inner := range map[string]string{"142": "JP-13", "ASEAN": "TL", "GCC": "AE-DU", "EAST_ASIA": "TW", "CENTRAL_ASIA": "143"} {
		if !region.Within(inner, outer) || region.Within(outer, inner) && outer != "CENTRAL_ASIA" {
			t.Errorf("%s within %s: %v", inner, outer, region.Within(inner, outer))
		}
	}
	for _, country := range []string{"TW", "HK", "MO"} {
		if region.Within(country, "CN") {
			t.Errorf("%s is within CN", country)
		}
	}
}

func TestGroups(t *testing.T) {
	groups := region.Groups()
	if !slices.IsSortedFunc(groups, func(a, b region.Group) int { return strings.Compare(a.Name, b.Name) }) || len(groups) < 15 {
		t.Fatalf("%d groups, sorted?", len(groups))
	}
	for _, g := range groups {
		if region.KindOf(g.Name) != region.KindGroup || strings.Trim(g.Name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || len(g.Name) < 3 {
			t.Errorf("%q is no name for a group", g.Name)
		}
		if _, err := time.Parse(time.DateOnly, g.AsOf); err != nil || !strings.HasPrefix(g.Source, "http") || g.Title == "" {
			t.Errorf("%s: as of %q, source %q, title %q", g.Name, g.AsOf, g.Source, g.Title)
		}
		if !slices.IsSorted(g.Members) && g.Name != "ASEAN_PLUS_THREE" || len(slices.Compact(slices.Sorted(slices.Values(g.Members)))) != len(g.Members) {
			t.Errorf("%s: members %v", g.Name, g.Members)
		}
		for _, m := range g.Members {
			if region.KindOf(m) != region.KindCountry {
				t.Errorf("%s: %q is no country", g.Name, m)
			}
		}
	}
	for name, count := range map[string]int{"ASEAN": 11, "ASEAN_PLUS_THREE": 14, "SAARC": 8, "GCC": 6, "CENTRAL_ASIA": 5, "SCO": 10,
		"BIMSTEC": 7, "QUAD": 4, "APEC": 21, "ARAB_LEAGUE": 22, "RCEP": 15, "ECO": 10, "OTS": 5} {
		if got := len(region.Children(name)); got != count {
			t.Errorf("%s has %d members, want %d", name, got, count)
		}
	}
	if !region.Within("ASEAN", "ASEAN_PLUS_THREE") || !region.Within("ASEAN", "SOUTHEAST_ASIA") || !region.Within("035", "SOUTHEAST_ASIA") {
		t.Error("ASEAN, ASEAN_PLUS_THREE, SOUTHEAST_ASIA and 035 do not fit together")
	}
}

// TestGroupsAreCopies: what a caller does to them stays with the caller.
func TestGroupsAreCopies(t *testing.T) {
	region.Groups()[0].Members[0] = "XX"
	region.Children("ASEAN")[0] = "XX"
	region.Children("142")[0] = "XX"
	for _, g := range region.Groups() {
		if slices.Contains(g.Members, "XX") || slices.Contains(region.Children(g.Name), "XX") || slices.Contains(region.Children("142"), "XX") {
			t.Errorf("%s was changed from outside", g.Name)
		}
	}
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ code, lang, want string }{
		{"JP", "en", "Japan"}, {"JP", "ja", "日本"}, {"JP", "zh-TW", "日本"}, {"JP", "ko-KR", "일본"}, {"TW", "zh-Hant", "台灣"},
		{"TW", "zh-CN", "台湾"}, {"HK", "en", "Hong Kong"}, {"HK", "ja", "香港"}, {"MO", "zh-Hans", "澳门"}, {"MM", "en-GB", "Myanmar"},
		{"SZ", "en", "Eswatini"}, {"MK", "ja", "北マケドニア"}, {"TR", "en", "Türkiye"}, {"142", "hi", "एशिया"}, {"035", "id", "Asia Tenggara"},
		{"001", "fr", "Monde"}, {"JP-13", "en", "Tokyo"}, {"JP-13", "ja", "東京都"}, {"JP-01", "ja-JP", "北海道"}, {"JP-13", "fa", "Tokyo"}, {"CN-GD", "zh", "广东省"}, {"CN-GD", "zh-HK", "廣東省"},
		{"TH-12", "zh-Hant", "暖武里府"}, {"TW-TPE", "zh-TW", "台北市"}, {"IR-23", "ur", "تہران"}, {"US-CA", "ja", "California"}, {"CN-NM", "en", "Inner Mongolia"}, {"IR-23", "en", "Tehran"},
		{"ASEAN", "en", "ASEAN"}, {"ASEAN", "th", "อาเซียน"}, {"GCC", "ar-AE", "مجلس التعاون الخليجي"}, {"GCC", "fr", "Gulf Cooperation Council"},
		{"JP", "tlh", "Japan"}, {"JP", "", "Japan"}, {"JP", "not a language", "Japan"}, {"XX", "en", "XX"}, {"", "en", ""},
	} {
		if got := region.Name(tt.code, tt.lang); got != tt.want {
			t.Errorf("Name(%s, %s) = %q, want %q", tt.code, tt.lang, got, tt.want)
		}
	}
}

// TestEveryPlaceHasAName in the languages of the newsroom, and no name is a code.
func TestEveryPlaceHasAName(t *testing.T) {
	for p := range region.All() {
		langs := []string{"en"}
		if p.Kind != region.KindSubdivision {
			langs = []string{"en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "ur", "ar", "th", "id", "vi", "bn", "ta", "fa", "tr", "ru", "my", "km", "ne"}
		}
		for _, l := range langs {
			name := region.Name(p.Code, l)
			if name == "" || name == p.Code || strings.ContainsAny(name, "¹²³\t\n") {
				t.Errorf("Name(%s, %s) = %q", p.Code, l, name)
			}
		}
	}
}

func TestWords(t *testing.T) {
	for _, tt := range []struct{ expr, lang, want string }{
		{"ASEAN + TW - JP", "en", "ASEAN and Taiwan, without Japan"},
		{"jp", "en", "Japan"},
		{"JP,KR,TW", "en", "Japan, South Korea and Taiwan"},
		{"142 - CN - IN", "en", "Asia, without China and India"},
		{"142 - CN + HK", "en", "Asia, without China; also Hong Kong"},
		{"ASEAN + TW - TH", "ja", "ASEANと台湾（タイを除く）"},
		{"ASEAN + TW - TH", "zh-TW", "東協和台灣（不含泰國）"},
		{"JP + KR", "de", "Japan and Südkorea"}, // no words for German yet: English ones
		{"not an expression", "en", "not an expression"},
		{"", "en", ""},
	} {
		if got := region.Words(tt.expr, tt.lang); got != tt.want {
			t.Errorf("Words(%q, %s) = %q, want %q", tt.expr, tt.lang, got, tt.want)
		}
	}
}

func TestReplacement(t *testing.T) {
	_, err := region.Parse("CN-TW")
	if err == nil || !strings.Contains(err.Error(), "CN-TW is written TW here") {
		t.Errorf("Parse(CN-TW): %v", err)
	}
	_, err = region.SetOf([]string{"JP", "jp", "FR-971"}, []string{"XX"})
	want := []news.Problem{
		{Path: "regions/1", Message: `unknown place "jp"; regions are written in upper case: JP`},
		{Path: "regions/2", Message: "FR-971 is written GP here"},
		{Path: "mutedRegions/0", Message: `unknown place "XX"; give a region code (142, JP, JP-13) or a group (ASEAN)`},
	}
	var invalid *news.InvalidError
	if !errors.As(err, &invalid) || !slices.Equal(invalid.Problems, want) {
		t.Errorf("SetOf: %v", err)
	}
}
