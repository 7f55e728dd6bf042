package site

import (
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"
)

// counted puts a phrase about a number of things into the page's language, by
// CLDR's plural rules: the form's name is the key's last part ("one", "few",
// …). A language whose catalogue lacks a form says "other", as CLDR does.
func (v view) counted(key string, n int) (string, error) {
	form := key + "." + pluralForm(v.Lang, n)
	if _, ok := v.words.words[v.Lang][form]; !ok {
		form = key + ".other"
	}
	text, err := v.words.say(v.Lang, form)
	if err != nil || !strings.Contains(text, "%s") { // "one alert", in letters
		return text, err
	}
	return v.T(form, strconv.Itoa(n))
}

// pluralForm is CLDR's name of the form that a whole number takes.
func pluralForm(lang string, n int) string {
	switch plural.Cardinal.MatchPlural(language.Make(lang), n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	}
	return "other"
}
