package news

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

func TestDefaultAlert(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 5, 6, 1, 30, 0, 0, time.UTC)
	s := &Story{URI: "u", Version: 4, Headline: "Head", Standfirst: "Stand", Language: "en", Regions: []string{"ASEAN", "JP-13"}, Sections: []string{"politics"},
		Translations: map[string]StoryText{"ja": {"見出し", "本文"}, "th": {Headline: "พาดหัว"}, "en": {Headline: "not this"}}}
	got := DefaultAlert(s, LevelFlash, "mika", func() string { return "id" }, now)
	want := Alert{ID: "id", StoryURI: "u", StoryVersion: 4, State: AlertDraft, Level: LevelFlash, Language: "en", Audience: "ASEAN + JP-13",
		Texts:    map[string]Text{"en": {"Head", "Stand"}, "ja": {"見出し", "本文"}, "th": {Title: "พาดหัว"}},
		Sections: []string{"politics"}, Author: "mika", CreatedAt: now}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultLevel(t *testing.T) {
	t.Parallel()
	tests := []struct {
		story Story
		want  Level
	}{
		{Story{Urgency: 1}, LevelNotice},
		{Story{Urgency: 1, Breaking: true}, LevelFlash},
		{Story{Urgency: 2, Breaking: true}, LevelBulletin},
		{Story{Urgency: 9, Breaking: true}, LevelBulletin},
	}
	for _, tt := range tests {
		if got := DefaultLevel(&tt.story); got != tt.want {
			t.Errorf("urgency %d, breaking %v: %s", tt.story.Urgency, tt.story.Breaking, got)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	family := "👩‍👩‍👧‍👦"
	tests := []struct {
		in                string
		characters, bytes int
		want              string
	}{
		{"short", 10, 100, "short"},
		{"exactly ten", 11, 100, "exactly ten"},
		{"one too many", 11, 100, "one too ma…"},
		{"words end, here", 11, 100, "words end…"},
		{strings.Repeat(family, 3), 2, 1000, family + "…"},
		{strings.Repeat("क्षि", 5), 3, 1000, "क्षि…"},
		{strings.Repeat("क्षि", 5), 4, 1000, "क्षि…"},
		{"日本語の見出し", 100, 12, "日本語…"},
		{"日本語の見出し", 100, 14, "日本語…"},
		{"e\u0301e\u0301e\u0301", 2, 100, "e\u0301…"},
		{"", 10, 10, ""},
	}
	for _, tt := range tests {
		if got := Cut(tt.in, tt.characters, tt.bytes); got != tt.want {
			t.Errorf("Cut(%q, %d, %d) = %q, want %q", tt.in, tt.characters, tt.bytes, got, tt.want)
		}
	}
}

func TestCutKeepsTheLimits(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		characters, bytes := rapid.IntRange(1, 50).Draw(t, "characters"), rapid.IntRange(3, 200).Draw(t, "bytes")
		got := Cut(s, characters, bytes)
		if len(got) > bytes || uniseg.GraphemeClusterCount(got) > characters {
			t.Fatalf("%q has %d bytes, %d characters", got, len(got), uniseg.GraphemeClusterCount(got))
		}
		if !utf8.ValidString(got) || !strings.HasPrefix(s, strings.TrimSuffix(got, "…")) {
			t.Fatalf("%q is not the beginning of %q", got, s)
		}
	})
}

func TestRetractionTexts(t *testing.T) {
	t.Parallel()
	a := &Alert{Texts: map[string]Text{"en-GB": {Title: "Bank fails"}, "zh-HK": {Title: "銀行倒閉"}, "zh": {Title: "银行倒闭"}, "ja": {Title: "銀行破綻"},
		"ur-PK": {Title: "بینک"}, "tl": {Title: "Bangko"}, "mn": {Title: "Банк"}, "not a tag": {Title: "?"}}}
	got := RetractionTexts(a)
	for language, title := range map[string]string{"en-GB": "RETRACTED: Bank fails", "zh-HK": "【撤回】銀行倒閉", "zh": "【撤回】银行倒闭", "ja": "【取り消し】銀行破綻",
		"ur-PK": "خبر واپس لے لی گئی: بینک", "tl": "BINAWI: Bangko", "mn": "RETRACTED: Банк", "not a tag": "RETRACTED: ?"} {
		if got[language].Title != title {
			t.Errorf("%s: %q, want %q", language, got[language].Title, title)
		}
	}
	if got["zh-HK"].Body != "本報道已撤回，請勿採信先前的快訊。" || got["zh"].Body == got["zh-HK"].Body {
		t.Errorf("the scripts of Chinese are mixed up: %+v", got)
	}
}

// Who was shown an alert in a language that is not hers reads in her own that
// it is withdrawn, around the title she was shown.
func TestARetractionSpeaksTheReadersLanguage(t *testing.T) {
	t.Parallel()
	a := &Alert{Language: "en", Texts: map[string]Text{"en": {Title: "Bank fails"}, "id": {Title: "Bank gagal"}}}
	got := RetractionTexts(a)
	for language, title := range map[string]string{"en": "RETRACTED: Bank fails", "id": "DITARIK: Bank gagal", "ja": "【取り消し】Bank fails",
		"ar": "سحب خبر: Bank fails", "zh-Hant": "【撤回】Bank fails"} {
		if got[language].Title != title {
			t.Errorf("%s: %q, want %q", language, got[language].Title, title)
		}
	}
	if len(got) != len(retractions()) {
		t.Errorf("%d texts for %d languages", len(got), len(retractions()))
	}
	if got := RetractionTexts(&Alert{}); len(got) != 0 {
		t.Errorf("an alert that said nothing is taken back: %+v", got)
	}
}

// Every language stands by itself: it has words before the title and a body.
func TestRetractionsAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range retractions() {
		if seen[r.language] || r.before == "" || len(r.body) < 20 || !utf8.ValidString(r.before+r.body) {
			t.Errorf("%+v", r)
		}
		seen[r.language] = true
		if got := retractionIn(r.language); got != r {
			t.Errorf("%s finds %s", r.language, got.language)
		}
		long := RetractionTexts(&Alert{Texts: map[string]Text{r.language: {Title: strings.Repeat("語", 400)}}})[r.language]
		if len(long.Title) > MaxTitleBytes || len(long.Body) > MaxBodyBytes {
			t.Errorf("%s: %d and %d bytes", r.language, len(long.Title), len(long.Body))
		}
	}
}
