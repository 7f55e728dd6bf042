package site

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"dateline/internal/region"
	"dateline/templates"
)

// TestWordsAreWholeInEveryLanguage: a catalogue lacks nothing, has nothing
// that is not said, and keeps what is filled in.
func TestWordsAreWholeInEveryLanguage(t *testing.T) {
	c, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.words) != len(languages()) {
		t.Errorf("%d catalogues, %d languages", len(c.words), len(languages()))
	}
	said := saidInTemplates(t)
	for _, lang := range languages() {
		words := c.words[lang]
		for key, english := range c.words[fallback] {
			text := words[key]
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s lacks %s", lang, key)
			}
			if strings.Count(text, "%s") != strings.Count(english, "%s") || strings.Count(text, "%") != strings.Count(text, "%s") {
				t.Errorf("%s %s: %q does not fill in what %q does", lang, key, text, english)
			}
		}
		for key := range words {
			if !said(key) {
				t.Errorf("%s: %s is never said", lang, key)
			}
		}
	}
}

// TestWordsAreOneForAThing: readers are addressed in one way, and a section has one
// name, on every page of a language; in Chinese as in its mails.
func TestWordsAreOneForAThing(t *testing.T) {
	c, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for lang, others := range map[string][]string{"zh-Hans": {"你", "主题"}, "zh-Hant": {"你", "主題", "關注"}, "ja": {"テーマ"}, "ko": {"주제", "요약", "다이제스트"},
		"id": {"topik"}, "th": {"หัวข้อ"}, "vi": {"chủ đề"}, "ar": {"موضوع", "مواضيع"}} {
		for key, text := range c.words[lang] {
			for _, other := range others {
				if strings.Contains(text, other) {
					t.Errorf("%s %s has another word: %s in %q", lang, key, other, text)
				}
			}
		}
	}
}

// TestDigestHasOneNameInKorean: on the pages and in the mails.
func TestDigestHasOneNameInKorean(t *testing.T) {
	mails, err := fs.ReadFile(templates.FS, "email/words.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"요약", "다이제스트"} {
		if strings.Contains(string(mails), other) {
			t.Errorf("a mail says %s, the pages 뉴스레터", other)
		}
	}
}

// TestGroupsAreNamedInEveryLanguage: region.Name would say in English what it
// lacks, unseen, so a new group is asked for its title in each.
func TestGroupsAreNamedInEveryLanguage(t *testing.T) {
	for _, g := range region.Groups() {
		for _, lang := range languages() {
			if lang != fallback && strings.TrimSpace(g.Titles[lang]) == "" {
				t.Errorf("%s has no title in %s", g.Name, lang)
			}
		}
	}
}

func saidInTemplates(t *testing.T) func(key string) bool {
	t.Helper()
	files, err := fs.Glob(templates.FS, "site/*.html")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, file := range files {
		raw, err := fs.ReadFile(templates.FS, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\.(?:T|Around) "([^"]+)"`).FindAllStringSubmatch(string(raw), -1) {
			said[m[1]] = true
		}
	}
	for _, told := range []string{"saved", "parted", "mailed", "moved", "same", "wipe.fault", "all"} { // what a press on the manage page did
		said["manage."+told] = true
	}
	return func(key string) bool {
		prefix, _, _ := strings.Cut(key, ".")           // "device." is said by deviceName, "section.", "level." and "day." are put together in the templates, "error." in errorView, "preview." in howOften, "why." from codes, "date." in dates.go, "fault." in faultOf
		if prefix == "worker" || prefix == "manifest" { // by workerWords, trialPayload and manifest
			return true
		}
		return said[key] || prefix == "section" || prefix == "why" || prefix == "level" || prefix == "day" || prefix == "date" || prefix == "fault" || prefix == "device" || prefix == "error" || prefix == "preview"
	}
}
