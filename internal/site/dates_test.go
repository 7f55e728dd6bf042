package site

import (
	"strings"
	"testing"
	"time"
)

// TestDatesAreWrittenInEveryLanguage: twelve months each, and no pattern's letter
// left over.
func TestDatesAreWrittenInEveryLanguage(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, lang := range languages() {
		v := view{words: words, Lang: lang}
		for month := time.January; month <= time.December; month++ {
			day, err := v.Day(time.Date(2026, month, 6, 17, 51, 0, 0, tokyo))
			if err != nil || seen[lang+day] || strings.ContainsAny(strings.TrimLeft(day, "0123456789 "), "YB") || !strings.Contains(day, "2026") {
				t.Errorf("%s: %q %v", lang, day, err)
			}
			seen[lang+day] = true
		}
		if months := strings.Fields(words.words[lang]["date.months"]); len(months) != 12 {
			t.Errorf("%s has %d months", lang, len(months))
		}
	}
	for lang, want := range map[string]string{"en": "6 Dec 2026, 17:51 JST", "ja": "2026年12月6日 17:51 JST", "vi": "6 thg 12, 2026, 17:51 JST", "th": "6 ธ.ค. 2026 17:51 JST"} {
		if got, err := (view{words: words, Lang: lang}).Moment(time.Date(2026, 12, 6, 17, 51, 0, 0, tokyo)); got != want || err != nil {
			t.Errorf("%s: %q %v", lang, got, err)
		}
	}
}
