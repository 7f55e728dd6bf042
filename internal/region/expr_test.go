package region_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/region"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		expr, canonical string
		places          []string
	}{
		{"JP", "JP", []string{"JP"}},
		{"ASEAN + TW - JP", "ASEAN + TW - JP", []string{"ASEAN", "TW"}},
		{"  asean+tw -jp ", "ASEAN + TW - JP", []string{"ASEAN", "TW"}},
		{"JP, KR,TW", "JP + KR + TW", []string{"JP", "KR", "TW"}},
		{"JP、KR，TW", "JP + KR + TW", []string{"JP", "KR", "TW"}},
		{"142 − JP – KR － TW", "142 - JP - KR - TW", []string{"142"}},
		{"JP-13+JP-27", "JP-13 + JP-27", []string{"JP-13", "JP-27"}},
		{"JP -JP-13", "JP - JP-13", []string{"JP"}},
		{"JP- JP-13", "JP - JP-13", []string{"JP"}},
		{"142 - CN + CN-SH", "142 - CN + CN-SH", []string{"142", "CN-SH"}},
		{"JP + JP", "JP + JP", []string{"JP"}},
		{"ASEAN_PLUS_THREE−cn", "ASEAN_PLUS_THREE - CN", []string{"ASEAN_PLUS_THREE"}},
	} {
		e, err := region.Parse(tt.expr)
		if err != nil || e.String() != tt.canonical || !slices.Equal(e.Places(), tt.places) {
			t.Errorf("Parse(%q) = %q, places %v, %v; want %q, %v", tt.expr, e, e.Places(), err, tt.canonical, tt.places)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for expr, want := range map[string]string{
		"":                                "names no place",
		" \t\n":                           "names no place",
		"- JP":                            `must begin with a place, not with "-"`,
		"+":                               `must begin with a place, not with "+"`,
		"JP +":                            "ends without a place after the last operator",
		"JP + - KR":                       `needs a place between "+" and "-"`,
		"JP KR":                           `needs +, - or a comma between JP and "KR"`,
		"Atlantis":                        `unknown place "Atlantis"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
		"JP-48":                           `unknown place "JP-48"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
		"ASEAN-JP":                        `unknown place "ASEAN-JP"; to leave out JP, put spaces around the minus: ASEAN - JP`,
		"JP - 142":                        `covers no place: everything in "JP - 142" is excluded again`,
		"JP*":                             `unknown place "JP*"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
		"ASEAN.*":                         `unknown place "ASEAN.*"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
		strings.Repeat("x", 60):           `unknown place "` + strings.Repeat("x", 40) + `…"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
		strings.Repeat("JP+", 9e3):        "is longer than 8192 bytes",
		strings.Repeat("JP+", 300) + "JP": "names 301 places; at most 300 are allowed",
		"JP\xff":                          `unknown place "JP\ufffd"; give a region code (142, JP, JP-13) or a group (ASEAN)`,
	} {
		_, err := region.Parse(expr)
		var invalid *news.InvalidError
		if !errors.As(err, &invalid) || !errors.Is(err, news.ErrInvalid) || strings.ReplaceAll(err.Error(), "\ufffd", `\ufffd`) != want {
			t.Errorf("Parse(%.40q): %v, want %s", expr, err, want)
		}
	}
}

func TestParts(t *testing.T) {
	e, err := region.Parse("142 + JP - JP-13 + JP-13 - KR")
	if err != nil {
		t.Fatal(err)
	}
	set := func(text string) region.Set { return mustParse(t, text).Set() }
	want := []region.Set{set("142 - JP-13 - KR"), set("JP - JP-13"), set("JP-13")}
	if !slices.EqualFunc(e.Parts(), want, region.Set.Equal) {
		t.Errorf("Parts = %v", e.Parts())
	}
	if one := mustParse(t, "142 + KR - KR").Parts(); len(one) != 1 {
		t.Errorf("a place of which nothing is left still has a part: %v", one)
	}
}

func mustParse(t testing.TB, text string) region.Expr {
	t.Helper()
	e, err := region.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestZeroExpr(t *testing.T) {
	var e region.Expr
	if e.String() != "" || len(e.Places()) != 0 || len(e.Parts()) != 0 || !e.Set().Empty() {
		t.Errorf("the zero Expr: %q %v", e, e.Places())
	}
}

// atoms is the naive model of a Set: the smallest places, in a map.
type atoms map[string]bool

var modelled sync.Map // code: atoms, never changed

func model(code string) atoms {
	if known, ok := modelled.Load(code); ok {
		return known.(atoms)
	}
	set := atoms{}
	var add func(code string)
	add = func(code string) {
		children := region.Children(code)
		if len(children) == 0 {
			set[code] = true
		}
		for _, c := range children {
			add(c)
		}
	}
	add(code)
	modelled.Store(code, set)
	return set
}

func minus(a, b atoms) atoms {
	out := maps.Clone(a)
	maps.DeleteFunc(out, func(code string, _ bool) bool { return b[code] })
	return out
}

func plus(a, b atoms) atoms {
	out := maps.Clone(a)
	maps.Copy(out, b)
	return out
}

// leaves are the smallest places, each with its own Set.
var leaves = sync.OnceValue(func() map[string]region.Set {
	sets := map[string]region.Set{}
	for p := range region.All() {
		if len(region.Children(p.Code)) == 0 {
			sets[p.Code], _ = region.SetOf([]string{p.Code}, nil)
		}
	}
	return sets
})

// modelOf gives a Set's smallest places through its exported answers alone.
func modelOf(s region.Set) atoms {
	set := atoms{}
	for code, leaf := range leaves() {
		if s.Contains(leaf) {
			set[code] = true
		}
	}
	return set
}

var somePlaces = []string{"001", "142", "030", "034", "035", "JP", "JP-13", "JP-27", "KR", "TW", "HK", "CN", "CN-SH", "ID", "ID-JW", "ID-JK",
	"IN", "AE", "AE-DU", "KZ", "FR", "FR-IDF", "BQ", "AQ", "ASEAN", "GCC", "SAARC", "CENTRAL_ASIA", "KOREAN_PENINSULA", "APEC"}

// TestExprModel: a random expression reads back the same and covers what the
// model says, from left to right.
func TestExprModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(somePlaces).Draw(t, "place")
		want := maps.Clone(model(text))
		for range rapid.IntRange(0, 6).Draw(t, "more") {
			op := rapid.SampledFrom([]string{" + ", "+", ",", " - ", " −", "–"}).Draw(t, "operator")
			code := rapid.SampledFrom(somePlaces).Draw(t, "place")
			if strings.ContainsAny(op, "-−–") {
				want = minus(want, model(code))
			} else {
				want = plus(want, model(code))
			}
			text += op + rapid.SampledFrom([]string{code, strings.ToLower(code), " " + code + " "}).Draw(t, "spelled")
		}
		e, err := region.Parse(text)
		if (err != nil) != (len(want) == 0) {
			t.Fatalf("Parse(%q): %v, the model has %d places", text, err, len(want))
		}
		if err != nil {
			return
		}
		if diff := cmp.Diff(want, modelOf(e.Set())); diff != "" {
			t.Fatalf("%q covers (-want +got):\n%s", text, diff)
		}
		again, err := region.Parse(e.String())
		if err != nil || again.String() != e.String() || !again.Set().Equal(e.Set()) {
			t.Fatalf("%q reads back as %q, %v", e, again, err)
		}
		all := region.Set{}
		for _, p := range e.Parts() {
			all = all.Union(p)
		}
		if !all.Equal(e.Set()) {
			t.Fatalf("%q: the union of its parts is not its set", e)
		}
	})
}

// TestSetModel: the algebra of sets against the model's.
func TestSetModel(t *testing.T) {
	codes := rapid.SliceOfN(rapid.SampledFrom(somePlaces), 0, 4)
	union := func(list []string) atoms {
		all := atoms{}
		for _, c := range list {
			all = plus(all, model(c))
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		in1, out1, in2 := codes.Draw(t, "in"), codes.Draw(t, "out"), codes.Draw(t, "other")
		a, err := region.SetOf(in1, out1)
		b, err2 := region.SetOf(in2, nil)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		ma, mb := minus(union(in1), union(out1)), union(in2)
		common := len(ma) - len(minus(ma, mb))
		for name, ok := range map[string]bool{
			"SetOf":    cmp.Equal(ma, modelOf(a)),
			"Union":    cmp.Equal(plus(ma, mb), modelOf(a.Union(b))),
			"Minus":    cmp.Equal(minus(ma, mb), modelOf(a.Minus(b))),
			"Overlaps": a.Overlaps(b) == (common > 0) && b.Overlaps(a) == a.Overlaps(b),
			"Contains": a.Contains(b) == (len(minus(mb, ma)) == 0),
			"Equal":    a.Equal(b) == maps.Equal(ma, mb),
			"Key":      (a.Key() == b.Key()) == a.Equal(b),
			"Empty":    a.Empty() == (len(ma) == 0),
		} {
			if !ok {
				t.Fatalf("%s is wrong for %v - %v and %v", name, in1, out1, in2)
			}
		}
		count := 0
		for from, to := range a.Spans() {
			count += int(to - from)
		}
		if count != len(ma) {
			t.Fatalf("Spans cover %d of %d", count, len(ma))
		}
	})
}

// FuzzParse: no panic, and what is read reads back the same. The seeds are
// also run by go test.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{"ASEAN + TW - JP", "JP-13", "US-CA", "142−JP", "jp,kr", "--", "+", "A - - B", "JP -", "035 + ", "\xff\xfe - JP",
		"ＪＰ", "İ + JP", "ß", "CN-TW", "=CN-TW", "JP-13-13", "-JP-", "𝐉𝐏", "JP\x00", "JP\u200f + TW", "001 - 142 - 150 - 002 - 019 - 009 - AQ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		region.Words(text, "ja")
		e, err := region.Parse(text)
		if err != nil {
			if !errors.Is(err, news.ErrInvalid) || len(err.Error()) > 500 {
				t.Fatalf("Parse(%q): %v", text, err)
			}
			return
		}
		again, err := region.Parse(e.String())
		if err != nil || again.String() != e.String() || !again.Set().Equal(e.Set()) {
			t.Fatalf("%q: %q reads back as %q, %v", text, e, again, err)
		}
		if e.Set().Empty() || len(e.Parts()) == 0 || len(e.Places()) == 0 {
			t.Fatalf("%q covers nothing", text)
		}
	})
}
