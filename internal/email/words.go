package email

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
)

// Words are the words around the stories of a mail in every language we speak
// (templates: email/words.json). They are read once and never change.
type Words struct {
	languages map[string]vocabularyJSON
	names     []string
}

type vocabularyJSON struct {
	Dir      string            `json:"dir"`
	Date     string            `json:"date"`
	Weekdays []string          `json:"weekdays"` // Monday first
	Months   []string          `json:"months"`
	Terms    map[string]string `json:"terms"`
	Kinds    map[string]string `json:"kinds"`
	Sections map[string]string `json:"sections"`
}

// English is the language of those whose language we don't speak.
const English = "en"

// LoadWords reads email/words.json and refuses one in which a language lacks
// a word that English has, or has one that English lacks.
func LoadWords(templates fs.FS) (*Words, error) {
	raw, err := fs.ReadFile(templates, "email/words.json")
	if err != nil {
		return nil, fmt.Errorf("email.LoadWords: %w", err)
	}
	w := &Words{}
	if err := json.Unmarshal(raw, &w.languages); err != nil {
		return nil, fmt.Errorf("email.LoadWords: words.json: %w", err)
	}
	w.names = slices.Sorted(maps.Keys(w.languages))
	for _, name := range w.names {
		if err := w.languages[name].check(w.languages[English]); err != nil {
			return nil, fmt.Errorf("email.LoadWords: words.json: %s: %w", name, err)
		}
	}
	if len(w.languages[English].Terms) == 0 {
		return nil, errors.New("email.LoadWords: words.json: no English")
	}
	return w, nil
}

func (v vocabularyJSON) check(model vocabularyJSON) error {
	if v.Dir != "ltr" && v.Dir != "rtl" {
		return fmt.Errorf("dir is %q", v.Dir)
	}
	if len(v.Weekdays) != 7 || len(v.Months) != 12 || v.Date == "" {
		return errors.New("a date needs 7 weekdays, 12 months and a pattern")
	}
	return errors.Join(sameKeys(v.Terms, model.Terms), sameKeys(v.Kinds, model.Kinds), sameKeys(v.Sections, model.Sections))
}

func sameKeys(got, want map[string]string) error {
	for key := range want {
		if got[key] == "" {
			return fmt.Errorf("no word for %q", key)
		}
	}
	for key := range got {
		if want[key] == "" {
			return fmt.Errorf("a word for %q, which English lacks", key)
		}
	}
	return nil
}

// Languages lists the languages on hand.
func (w *Words) Languages() []string { return slices.Clone(w.names) }

// In gives the vocabulary for a reader's language, or the closest one.
func (w *Words) In(wanted string) Vocabulary {
	name := news.PickLanguage(wanted, w.names, English)
	return Vocabulary{Language: name, words: w.languages[name]}
}

// Vocabulary is one language's words.
type Vocabulary struct {
	Language string
	words    vocabularyJSON
}

// Dir is "ltr" or "rtl".
func (v Vocabulary) Dir() string { return v.words.Dir }

// Term is an interface word.
func (v Vocabulary) Term(key string) string { return v.words.Terms[key] }

// Kind is what a kind of story is called; "" for a plain article.
func (v Vocabulary) Kind(kind string) string { return v.words.Kinds[kind] }

// Section is a section's name; an unknown section is its own name.
func (v Vocabulary) Section(name string) string {
	if word := v.words.Sections[name]; word != "" {
		return word
	}
	return name
}

// Weekday is the name of an ISO weekday, 1 to 7.
func (v Vocabulary) Weekday(iso int) string { return v.words.Weekdays[(iso+6)%7] }

// Date writes a local date.
func (v Vocabulary) Date(t time.Time) string {
	return strings.NewReplacer(
		"{weekday}", v.Weekday(int(t.Weekday())),
		"{day}", strconv.Itoa(t.Day()),
		"{month}", v.words.Months[t.Month()-1],
		"{year}", strconv.Itoa(t.Year()),
	).Replace(v.words.Date)
}
