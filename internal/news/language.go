package news

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// PickLanguage picks, from the languages on hand, the one for a reader who
// wants `wanted` (BCP 47): the same tag, else the same language in the same
// script, else a related one, else fallback. Tags are compared one by one and
// not by the x/text list matcher, which hands zh-HK readers zh-Hans when an
// exact low-priority match exists.
func PickLanguage(wanted string, have []string, fallback string) string {
	if wanted == "" || len(have) == 0 {
		return fallback
	}
	sorted := slices.Clone(have)
	slices.Sort(sorted)
	for _, h := range sorted {
		if strings.EqualFold(h, wanted) {
			return h
		}
	}
	want, err := language.Parse(wanted)
	if err != nil {
		return fallback
	}
	best, bestScore := fallback, 0
	for _, h := range sorted {
		if score := languageCloseness(want, h); score > bestScore {
			best, bestScore = h, score
		}
	}
	return best
}

// SameLanguage reports whether two tags name one language in one script, so
// that a reader of the one reads the other: zh-HK and zh-Hant, en-GB and en.
func SameLanguage(a, b string) bool {
	ta, err := language.Parse(a)
	if err != nil {
		return strings.EqualFold(a, b)
	}
	return languageCloseness(ta, b) >= 2
}

// languageCloseness is 0 for strangers, 1 for related languages (or the same
// language in another script), 2 for same language and script.
func languageCloseness(want language.Tag, have string) int {
	h, err := language.Parse(have)
	if err != nil {
		return 0
	}
	wb, _ := want.Base()
	hb, _ := h.Base()
	ws, _ := want.Script()
	hs, _ := h.Script()
	switch {
	case wb == hb && ws == hs:
		return 2
	case wb == hb:
		return 1
	}
	_, _, conf := language.NewMatcher([]language.Tag{h}).Match(want)
	if conf >= language.Low && !english(hb) {
		return 1
	}
	return 0
}

// english keeps the matcher's habit of offering English to anybody out of
// "related": English is offered only when it is the story's own language.
func english(b language.Base) bool { return b.String() == "en" }

// Direction is the way a language (BCP 47) is written: "rtl" or "ltr".
func Direction(lang string) string {
	script, _ := language.Make(lang).Script()
	switch script.String() {
	case "Arab", "Hebr", "Thaa", "Syrc", "Nkoo", "Adlm":
		return "rtl"
	}
	return "ltr"
}
