package showcase

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/region"
)

// searchable is what is known about a phone in words: each behind a space, in
// lower case, so that a search finds the beginnings of words.
type searchable string

// has reports whether every word that was typed begins one of the phone's. A
// number is a phone's number, with or without a #.
func (s searchable) has(typed []string, number int) bool {
	for _, word := range typed {
		if n, err := strconv.Atoi(strings.TrimPrefix(word, "#")); err == nil {
			if n != number {
				return false
			}
			continue
		}
		if !strings.Contains(string(s), " "+word) {
			return false
		}
	}
	return true
}

// wordsOf splits what was typed or what is searched the same way.
func wordsOf(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(",;/()_", r)
	})
}

// searchIndex remembers names: ten thousand readers follow a few hundred places.
type searchIndex map[[2]string]string

func newSearchIndex() searchIndex { return searchIndex{} }

func (x searchIndex) of(number int, p Phone) searchable {
	w := p.Wishes
	parts := []string{p.Label, w.Timezone, w.Language, x.language(w.Language), p.Service().Name(), w.Preference.Level.String()}
	for _, code := range w.Preference.Regions {
		parts = append(parts, code, x.region(code, "en"), x.region(code, w.Language))
	}
	parts = append(parts, w.Preference.Sections...)
	return searchable(fmt.Sprintf(" %d %s", number, strings.Join(wordsOf(strings.Join(parts, " ")), " ")))
}

func (x searchIndex) region(code, lang string) string {
	key := [2]string{code, lang}
	name, ok := x[key]
	if !ok {
		name = region.Name(code, lang)
		x[key] = name
	}
	return name
}

func (x searchIndex) language(tag string) string {
	key := [2]string{"", tag}
	name, ok := x[key]
	if !ok {
		name = languageName(tag) + " " + ownName(tag)
		x[key] = name
	}
	return name
}

// languageName is what a language is called in English.
func languageName(tag string) string {
	t, err := language.Parse(tag)
	if err != nil || tag == "" {
		return tag
	}
	return cmp.Or(display.English.Tags().Name(t), tag)
}

// ownName is what a language is called by those who speak it.
func ownName(tag string) string {
	t, err := language.Parse(tag)
	if err != nil || tag == "" {
		return tag
	}
	return display.Self.Name(t)
}

// languageMenu lists languages by how many asked for them.
func languageMenu(count map[string]int) []option {
	tags := slices.SortedFunc(maps.Keys(count), func(a, b string) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b))
	})
	var menu []option
	for _, tag := range tags {
		if tag != "" {
			menu = append(menu, option{Value: tag, Text: fmt.Sprintf("%s (%s)", languageName(tag), thousands(count[tag]))})
		}
	}
	return menu
}

// choose marks one option of a menu.
func choose(menu []option, value string) []option {
	marked := slices.Clone(menu)
	for i := range marked {
		marked[i].Chosen = marked[i].Value == value
	}
	return marked
}

// thousands is a number as English newspapers print it.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
