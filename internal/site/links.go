package site

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/language"

	"dateline/internal/news"
	"dateline/internal/region"
)

// A page leaves out what it does not know of a link's values, and says which; the
// API and the feeds answer 400 and name the field. openapi.yaml tells both.

const (
	maxUnknown     = 5  // values named on a page: somebody else wrote the link
	maxUnknownText = 24 // letters of one
)

// knownOnly leaves in a link what the form knows, and gives what it took out, as
// it was written.
func (p *Parser) knownOnly(values url.Values) (unknown []string) {
	places := func(name string) {
		kept, out := knownPlaces(values[name])
		values[name], unknown = kept, append(unknown, out...)
	}
	places("region")
	places("mute")
	unknown = append(unknown, knownOverrides(values)...)
	for _, field := range []struct {
		name  string
		known func(string) bool
	}{
		{"level", isLevel}, {"section", news.IsSection}, {"language", isLanguage}, {"timezone", p.zone}, {"quietFrom", isClock}, {"quietTo", isClock},
		{"cap", between(1, maxCap)}, {"hour", between(0, 23)}, {"day", between(1, 7)},
	} {
		var kept []string
		for _, value := range values[field.name] {
			switch {
			case value == "" || field.known(value):
				kept = append(kept, value)
			default:
				unknown = append(unknown, value)
			}
		}
		if values.Del(field.name); kept != nil {
			values[field.name] = kept
		}
	}
	return unknown
}

// knownPlaces are the places of a link in their one spelling, and what is none.
func knownPlaces(typed []string) (codes, unknown []string) {
	for _, t := range typed {
		code, ok := region.Canonical(t)
		if !ok { // CN-HK is written HK
			code, ok = region.Canonical(region.Replacement(code))
		}
		switch {
		case ok:
			codes = append(codes, code)
		case t != "":
			unknown = append(unknown, t)
		}
	}
	return codes[:min(len(codes), maxPlaces)], unknown
}

// knownOverrides keeps each place with its level.
func knownOverrides(values url.Values) (unknown []string) {
	levels := values["overrideLevel"]
	var places, kept []string
	for i, typed := range values["override"] {
		known, not := knownPlaces([]string{typed})
		unknown = append(unknown, not...)
		if len(known) == 0 || i >= len(levels) || len(places) == maxPlaces {
			continue
		}
		if !isLevel(levels[i]) {
			unknown = append(unknown, levels[i])
			continue
		}
		places, kept = append(places, known[0]), append(kept, levels[i])
	}
	values["override"], values["overrideLevel"] = places, kept
	return unknown
}

func isLevel(name string) bool {
	_, err := news.ParseLevel(name)
	return err == nil
}

func isLanguage(tag string) bool {
	t, err := language.Parse(tag)
	return err == nil && t != language.Und && len(tag) <= 35
}

func isClock(text string) bool {
	_, ok := parseClock(text)
	return ok
}

func between(least, most int) func(string) bool {
	return func(text string) bool {
		n, err := strconv.Atoi(text)
		return err == nil && n >= least && n <= most
	}
}

// unknownInWords is what a page names of a link's unknown values: each once, and no
// more of a stranger's text than a code or a name has.
func unknownInWords(unknown []string) string {
	var said []string
	for _, value := range unknown {
		if len(said) > maxUnknown { // a link may have thousands
			break
		}
		value = strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || strings.ContainsRune("-_:./", r) {
				return r
			}
			return -1
		}, value)
		if letters := []rune(value); len(letters) > maxUnknownText {
			value = string(letters[:maxUnknownText]) + "…"
		}
		if value != "" && !slices.Contains(said, value) {
			said = append(said, value)
		}
	}
	if len(said) > maxUnknown {
		said = append(said[:maxUnknown], "…")
	}
	return strings.Join(said, ", ")
}
