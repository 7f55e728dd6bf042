package site

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/news"
	"dateline/internal/web"
)

//go:embed words/*.json
var wordFiles embed.FS

// fallback is the language whose catalogue is whole.
const fallback = "en"

// languages are those of the pages, in the order of the menu.
func languages() []string {
	return []string{"en", "ja", "zh-Hans", "zh-Hant", "ko", "hi", "id", "th", "vi", "ar", "ur"}
}

// catalogue holds the words of the pages, by language and key.
type catalogue struct {
	words map[string]map[string]string
	names []languageName
}

type languageName struct{ Code, Name string }

func loadWords() (*catalogue, error) {
	c := &catalogue{words: map[string]map[string]string{}}
	files, err := fs.Glob(wordFiles, "words/*.json")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		raw, err := wordFiles.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var words map[string]string
		if err := json.Unmarshal(raw, &words); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		c.words[strings.TrimSuffix(path.Base(file), ".json")] = words
	}
	for _, l := range languages() {
		c.names = append(c.names, languageName{l, display.Self.Name(language.Make(l))})
	}
	return c, nil
}

// say puts a phrase into words; what a language lacks is said in English.
func (c *catalogue) say(lang, key string, args ...any) (string, error) {
	text, ok := c.words[lang][key]
	if !ok {
		text, ok = c.words[fallback][key]
	}
	if !ok {
		return "", fmt.Errorf("there are no words for %q", key)
	}
	if len(args) == 0 {
		return text, nil
	}
	return fmt.Sprintf(text, args...), nil
}

// view is what every page is rendered with.
type view struct {
	words     *catalogue
	Lang      string
	Dir       string
	Here      string // the page's path, for the language menu; "": it can't be asked for again
	kept      string // query of what was chosen, to go with it; "" or with its question mark
	Unknown   string // what the link had that we don't know; "" nothing
	Publisher Publisher
	Year      int
}

// T puts a phrase into the page's language. On a page that is written from the
// right, what is filled in (names, addresses, times) keeps its own direction.
func (v view) T(key string, args ...any) (string, error) {
	if v.Dir == "rtl" {
		for i, arg := range args {
			args[i] = firstStrongIsolate + fmt.Sprint(arg) + popIsolate
		}
	}
	return v.words.say(v.Lang, key, args...)
}

// phrase is a phrase around what is filled in, for what stands in an element
// of its own.
type phrase struct{ Before, Filled, After string }

// Short reports whether what is filled in fits on a line of a phone 320 pixels
// wide, about 9 pixels a letter.
func (p phrase) Short() bool { return utf8.RuneCountInString(p.Filled) <= 32 }

// Around puts a phrase that fills in one thing into the page's language.
func (v view) Around(key, filled string) (phrase, error) {
	text, err := v.words.say(v.Lang, key)
	before, after, _ := strings.Cut(text, "%s")
	return phrase{before, filled, after}, err
}

// Alone is what is filled in without a phrase around it.
func (v view) Alone(filled string) phrase { return phrase{Filled: filled} }

// The marks of Unicode that do in text what <bdi> does in HTML.
const firstStrongIsolate, popIsolate = "\u2068", "\u2069"

// Languages is the language menu.
func (v view) Languages() []languageName { return v.words.names }

const languageCookie = "lang"

// view is the page's frame; a language that the reader chose now is remembered.
func (s *Site) view(w http.ResponseWriter, r *http.Request) view {
	if lang := known(r.URL.Query().Get("lang")); lang != "" {
		//nolint:gosec // Secure wherever the site is https; on http://localhost it would not be kept
		http.SetCookie(w, &http.Cookie{Name: languageCookie, Value: lang, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()),
			SameSite: http.SameSiteLaxMode, HttpOnly: true, Secure: strings.HasPrefix(s.Floor.BaseURL(), "https:")})
	}
	return s.fetched(w, r)
}

// fetched is a view that remembers nothing.
func (s *Site) fetched(w http.ResponseWriter, r *http.Request) view {
	w.Header().Add("Vary", "Accept-Language, Cookie")
	lang := languageOf(r)
	return view{words: s.words, Lang: lang, Dir: news.Direction(lang), Here: r.URL.Path, Publisher: s.Publisher, Year: s.Now().Year()}
}

// Turned is the page in another language. One that answers a form is asked for
// anew, with the choice that its address can tell.
func (v view) Turned(lang string) string {
	return v.Here + "?lang=" + lang + strings.Replace(v.kept, "?", "&", 1)
}

// wordsIn is the parameter by which a page's script asks for words in the page's
// own language: nothing is remembered for it.
const wordsIn = "words"

// AppManifest is the page as an app: in its language, and beginning with its choice.
func (v view) AppManifest() string {
	return "/manifest.webmanifest?lang=" + v.Lang + strings.Replace(v.kept, "?", "&", 1)
}

// languageOf picks a page's language: what the reader chose now (?lang=) or the page
// that asks is in (?words=), what she chose before (a cookie), what her browser
// suggests.
func languageOf(r *http.Request) string {
	for _, name := range []string{"lang", wordsIn} {
		if lang := known(r.URL.Query().Get(name)); lang != "" {
			return lang
		}
	}
	if c, err := r.Cookie(languageCookie); err == nil && known(c.Value) != "" {
		return known(c.Value)
	}
	return suggested(r.Header.Get("Accept-Language"))
}

func known(lang string) string {
	for _, l := range languages() {
		if strings.EqualFold(l, lang) {
			return l
		}
	}
	return ""
}

// suggested goes through the tags one by one, best first: the first that we
// speak in its own script wins (zh-HK is Traditional).
func suggested(accept string) string {
	if len(accept) > 200 {
		return fallback
	}
	tags, _, err := language.ParseAcceptLanguage(accept)
	if err != nil {
		return fallback
	}
	for _, tag := range tags {
		for _, l := range languages() {
			if news.SameLanguage(tag.String(), l) {
				return l
			}
		}
	}
	return fallback
}

// errorView words the page that says what went wrong.
func (s *Site) errorView(r *http.Request, status int) web.ErrorView {
	lang := languageOf(r)
	v := web.ErrorView{Status: status, Lang: lang, Dir: news.Direction(lang)}
	for _, phrase := range []struct {
		key string
		dst *string
	}{{errorKey(status), &v.Title}, {errorKey(status) + ".text", &v.Text}, {"error.front", &v.Front}} {
		*phrase.dst, _ = s.words.say(lang, phrase.key) // a test asks for every one
	}
	return v
}

// errorKey is what a status means to a reader.
func errorKey(status int) string {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return "error.forbidden"
	case http.StatusNotFound:
		return "error.missing"
	case http.StatusConflict:
		return "error.conflict"
	case http.StatusGone:
		return "error.expired"
	case http.StatusTooManyRequests:
		return "error.limit"
	case http.StatusServiceUnavailable:
		return "error.away"
	}
	if status < http.StatusInternalServerError {
		return "error.bad"
	}
	return "error.ours"
}

// tokenPage makes a page behind a signed link: kept by no cache and no search
// engine.
func (s *Site) tokenPage(h func(w http.ResponseWriter, r *http.Request) error) func(w http.ResponseWriter, r *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Robots-Tag", "noindex, nofollow")
		return h(w, r)
	}
}

// form reads a form of a page; it is never large.
func form(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, fmt.Errorf("%w: the form", news.ErrTooLarge)
		}
		return nil, news.Invalid("", "the form could not be read")
	}
	return r.PostForm, nil
}
