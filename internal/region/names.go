package region

import (
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// Name is what a place or group is called in a language (BCP 47): areas and
// countries in any language x/text knows, groups where groups.json has a
// title, Asia's subdivisions in the languages of the pages (from CLDR 41 and by
// hand, see gen/subdivisions.go), the others in English. What is lacking in a
// language is said in English; an unknown code is its own name.
func Name(code, lang string) string {
	t := tree()
	if g, ok := t.group(code); ok {
		for _, l := range chain(lang) {
			if title := g.Titles[l]; title != "" {
				return title
			}
		}
		return g.Title
	}
	i, ok := t.index[code]
	if !ok {
		return code
	}
	if n := t.nodes[i].name; n != "" {
		if name := subdivisionName(code, lang); name != "" {
			return name
		}
		return n
	}
	for _, l := range [2]string{lang, "en"} {
		if name := t.territoryName(code, l); name != "" {
			return name
		}
	}
	return code
}

// subdivisionName is a subdivision's name in another language than English; ""
// where we have none.
func subdivisionName(code, lang string) string {
	if lang == "en" {
		return ""
	}
	for _, l := range chain(lang) {
		if name := subdivisionNames()[l][code]; name != "" {
			return name
		}
	}
	return ""
}

// territoryName is one language's name of an area or country: our correction,
// else what x/text has; "" if neither knows.
func (t *atlas) territoryName(code, lang string) string {
	for _, l := range chain(lang) {
		if name := t.names[l][code]; name != "" {
			return name
		}
	}
	tag, err := language.Parse(lang)
	if err != nil {
		return ""
	}
	namer := display.Regions(tag)
	if namer == nil {
		return ""
	}
	r, err := language.ParseRegion(code)
	if err != nil {
		return ""
	}
	return namer.Name(r)
}

// chain is the language and what may stand in for it, closest first: zh-TW is
// zh-Hant before it is zh; zh-CN and zh are zh-Hans.
func chain(lang string) []string {
	tag, err := language.Parse(lang)
	if err != nil {
		return nil
	}
	base, _ := tag.Base()
	script, _ := tag.Script()
	country, confidence := tag.Region()
	withScript := base.String() + "-" + script.String()
	var out []string
	if confidence == language.Exact {
		out = append(out, withScript+"-"+country.String(), base.String()+"-"+country.String())
	}
	return append(out, withScript, base.String())
}

// Words says an expression as a sentence's part: "ASEAN and Taiwan, without
// Japan". An expression that cannot be read is given back as it is.
func Words(expr, lang string) string {
	e, err := Parse(expr)
	if err != nil {
		return expr
	}
	w := wordsIn(lang)
	var phrases []string
	for i := 0; i < len(e.terms); {
		var in, out []string
		for ; i < len(e.terms) && !e.terms[i].exclude; i++ {
			in = append(in, Name(e.terms[i].place, lang))
		}
		for ; i < len(e.terms) && e.terms[i].exclude; i++ {
			out = append(out, Name(e.terms[i].place, lang))
		}
		phrase := w.list(in)
		if len(out) > 0 {
			phrase = w.without(phrase, w.list(out))
		}
		phrases = append(phrases, phrase)
	}
	return strings.Join(phrases, w.also)
}

// words is how a language lists and excludes. %s stands for what is listed.
type words struct {
	comma, and string
	except     string // in: INCLUDED, EXCLUDED
	also       string
}

func (w words) list(items []string) string {
	if len(items) < 2 {
		return strings.Join(items, "")
	}
	last := len(items) - 1
	return strings.Join(items[:last], w.comma) + w.and + items[last]
}

func (w words) without(included, excluded string) string {
	return strings.NewReplacer("INCLUDED", included, "EXCLUDED", excluded).Replace(w.except)
}

func wordsIn(lang string) words {
	for _, l := range chain(lang) {
		if w, ok := wordsTable(l); ok {
			return w
		}
	}
	w, _ := wordsTable("en")
	return w
}

func wordsTable(lang string) (words, bool) {
	switch lang {
	case "en":
		return words{", ", " and ", "INCLUDED, without EXCLUDED", "; also "}, true
	case "ja":
		return words{"、", "と", "INCLUDED（EXCLUDEDを除く）", "、さらに"}, true
	case "zh-Hans":
		return words{"、", "和", "INCLUDED（不含EXCLUDED）", "，以及"}, true
	case "zh-Hant":
		return words{"、", "和", "INCLUDED（不含EXCLUDED）", "，以及"}, true
	case "ko":
		return words{", ", ", ", "INCLUDED(EXCLUDED 제외)", ", 그리고 "}, true
	case "id", "ms":
		return words{", ", " dan ", "INCLUDED, tanpa EXCLUDED", "; juga "}, true
	case "vi":
		return words{", ", " và ", "INCLUDED, trừ EXCLUDED", "; và cả "}, true
	case "th":
		return words{" ", " และ", "INCLUDED ยกเว้น EXCLUDED", " รวมถึง "}, true
	case "hi":
		return words{", ", " और ", "INCLUDED, EXCLUDED को छोड़कर", "; साथ ही "}, true
	case "ur":
		return words{"، ", " اور ", "INCLUDED، EXCLUDED کے علاوہ", "؛ نیز "}, true
	case "ar":
		return words{" و", " و", "INCLUDED، باستثناء EXCLUDED", "؛ وأيضا "}, true
	case "fa":
		return words{"، ", " و ", "INCLUDED، به‌جز EXCLUDED", "؛ همچنین "}, true
	case "ru":
		return words{", ", " и ", "INCLUDED, кроме EXCLUDED", "; а также "}, true
	case "tr":
		return words{", ", " ve ", "INCLUDED (EXCLUDED hariç)", "; ayrıca "}, true
	}
	return words{}, false
}
