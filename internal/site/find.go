package site

import (
	"net/http"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"

	"dateline/internal/region"
	"dateline/internal/web"
)

const (
	leastTyped  = 2  // letters: one would find a third of all places
	mostTyped   = 64 // as long as a place's name gets
	mostMatched = 6  // countries whose parts are fetched for one search
	// leastOther is for what is not the name of a place in the page's language or
	// in English: two letters begin some city of half of Asia. In another language
	// that writes Latin letters one more is asked for.
	leastOther = 3
)

// found is a place that a search finds, with the name that it is found by where
// that is not its name in the page's language.
type found struct {
	Code string `json:"code"`
	By   string `json:"by,omitempty"`
	Lang string `json:"lang,omitempty"` // of the name
}

// answer is what the page's script shows: the places of its list and their
// subdivisions; those of Countries it has to fetch.
type answer struct {
	Countries []string `json:"countries"`
	Places    []found  `json:"places"`
}

// placesFound answers GET /places?find=tok&words=en: which places have a name
// that has a word which begins with that: in a language of the pages, or one
// that region.OtherNames has.
func (s *Site) placesFound(w http.ResponseWriter, r *http.Request) error {
	typed := strings.TrimSpace(r.URL.Query().Get("find"))
	said := answer{Countries: []string{}, Places: []found{}}
	if n := len([]rune(typed)); n >= leastTyped && n <= mostTyped {
		said = s.atlas.find(typed, known(r.URL.Query().Get(wordsIn)))
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	return web.WriteJSON(w, http.StatusOK, said)
}

// searched is a place that can be found.
type searched struct {
	code    string
	country string // of a subdivision; "" for a place of the list
	names   []spelling
}

// spelling is a name that a place is found by. Of its squeezed text each end
// that begins with a word stands between two marks ("|hongkong|kong|"), so that
// what is typed is looked for with a mark before it.
type spelling struct {
	text, lang string
	ends       string
	own        bool // not another name, or that of a place within
	quiet      bool // found when it is typed whole, and never shown
	latin      bool
	spaceless  bool // of a script that sets no spaces: any letter may begin a word
}

// mark stands before every end.
const mark = "\x00"

func newSpelling(text, lang string, own bool) spelling {
	s := spelling{text: text, lang: lang, own: own, ends: mark + endsOf(wordsOf(text))}
	// Who has typed जम is on the way to जम्मू, which is folded to जंमू; and who has
	// typed झारखण, to झारखंड.
	if whole := endsOf(split(spelledOut(lettersOf(text)))); !strings.HasSuffix(s.ends, mark+whole) {
		s.ends += whole
	}
	for _, r := range text {
		s.latin = s.latin || unicode.Is(unicode.Latin, r)
		s.spaceless = s.spaceless || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
	}
	return s
}

// endsOf are the ends of a name that begin with a word, a mark after each.
func endsOf(words []string) string {
	var b strings.Builder
	for i, word := range words {
		b.WriteString(strings.Join(words[i:], "") + mark)
		if rest, ok := strings.CutPrefix(word, "ال"); ok && len([]rune(rest)) > 1 { // Arabic's article
			b.WriteString(rest + strings.Join(words[i+1:], "") + mark)
		}
	}
	return b.String()
}

// wordsOf are the words of a name without case, accents, hyphens and stops.
func wordsOf(text string) []string { return split(folded(text)) }

func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsMark(r) })
}

// How well a name fits what is typed.
const (
	fitsNot = iota
	fitsOther
	fitsOwn
	fitsWhole
)

func (s spelling) fits(wanted, lang string) int {
	if !strings.Contains(s.ends, mark+wanted) && !(s.spaceless && strings.Contains(s.ends, wanted)) {
		return fitsNot
	}
	if strings.HasPrefix(s.ends, mark+wanted+mark) {
		return fitsWhole
	}
	if s.quiet {
		return fitsNot
	}
	if s.own && (s.lang == lang || s.lang == fallback) {
		return fitsOwn
	}
	least := leastOther
	switch {
	case s.spaceless:
		least = leastTyped
	case s.own && s.latin:
		least++
	}
	if len([]rune(wanted)) < least {
		return fitsNot
	}
	return fitsOther
}

// find looks a name up. Of subdivisions those of the countries that fit best.
func (a *atlas) find(typed, lang string) answer {
	if lang == "" {
		lang = fallback
	}
	wanted := strings.Join(wordsOf(typed), "")
	said := answer{Countries: []string{}, Places: []found{}}
	if wanted == "" {
		return said
	}
	type candidate struct {
		found
		country string
	}
	var candidates []candidate
	best := map[string]int{} // of a country's subdivisions
	for _, p := range a.searched() {
		most, by := p.fits(wanted, lang)
		if most == fitsNot {
			continue
		}
		candidates = append(candidates, candidate{found{p.code, by.text, by.lang}, p.country})
		if p.country == "" {
			continue
		}
		if best[p.country] == fitsNot {
			said.Countries = append(said.Countries, p.country)
		}
		best[p.country] = max(best[p.country], most)
	}
	slices.SortStableFunc(said.Countries, func(a, b string) int { return best[b] - best[a] })
	said.Countries = said.Countries[:min(len(said.Countries), mostMatched)]
	for _, c := range candidates {
		if c.country == "" || slices.Contains(said.Countries, c.country) {
			said.Places = append(said.Places, c.found.explained(wanted, lang))
		}
	}
	return said
}

// fits is how well the best of a place's names fits, and the best of those that
// may be shown.
func (p searched) fits(wanted, lang string) (most int, by spelling) {
	shown := fitsNot
	for _, name := range p.names {
		fit := name.fits(wanted, lang)
		most = max(most, fit)
		if fit > shown && !name.quiet {
			shown, by = fit, name
		}
	}
	return most, by
}

// explained leaves out why a place is found where its name on the page says so.
func (f found) explained(wanted, lang string) found {
	name := newSpelling(region.Name(f.Code, lang), lang, true)
	if f.By == "" || f.By == f.Code && region.KindOf(f.Code) != region.KindGroup || name.fits(wanted, lang) != fitsNot {
		return found{Code: f.Code}
	}
	return f
}

// searchable is all that a search finds: the places of the list, and the
// subdivisions that are shown under them with what lies within those. It is made
// for the first search.
func searchable(groups groupsSorted, list placeList) []searched {
	var all []searched
	for _, code := range list.codes() {
		p := searched{code: code, names: ownNames(code)}
		p.also(code)
		for _, twin := range groups.twins[code] {
			for _, name := range ownNames(twin.Name) {
				p.add(name.text, name.lang, true)
			}
			p.also(twin.Name)
		}
		all = append(all, p)
	}
	for _, area := range region.Children(asia) {
		for _, country := range region.Children(area) {
			for _, code := range region.Children(country) {
				p := searched{code: code, country: country, names: ownNames(code)}
				p.also(code)
				for _, within := range region.Children(code) {
					for _, name := range ownNames(within) {
						p.add(name.text, name.lang, false)
					}
					p.also(within)
				}
				all = append(all, p)
			}
		}
	}
	return all
}

// ownNames are a place's names in the languages of the pages, English first,
// each once, and its code.
func ownNames(code string) []spelling {
	p := searched{}
	for _, lang := range languages() {
		p.add(region.Name(code, lang), lang, true)
	}
	if region.KindOf(code) != region.KindGroup {
		p.names = append(p.names, spelling{text: code, lang: fallback, ends: mark + strings.Join(wordsOf(code), "") + mark, own: true})
	}
	return p.names
}

// also adds what else a place is called: other names, and its city. A city that
// is among its names in English brings the names that it has in other languages,
// which are as quiet as it is.
func (p *searched) also(code string) {
	english := []region.OtherName{{Text: region.Name(code, fallback)}}
	for _, name := range region.OtherNames(code) {
		p.take(name)
		if name.Lang == fallback {
			english = append(english, name)
		}
	}
	if city := otherCity(code); city != "" {
		name := region.OtherName{Text: cases.Title(language.English).String(city), Lang: fallback}
		p.take(name)
		english = append(english, name)
	}
	for _, city := range english {
		for _, name := range region.CityNames(city.Text) {
			name.Quiet = city.Quiet
			p.take(name)
		}
	}
}

func (p *searched) take(name region.OtherName) {
	s := newSpelling(name.Text, name.Lang, false)
	s.quiet = name.Quiet
	p.put(s)
}

// add takes one name more.
func (p *searched) add(text, lang string, own bool) { p.put(newSpelling(text, lang, own)) }

// put takes a name if it is none that is there.
func (p *searched) put(s spelling) {
	same := func(o spelling) bool { return o.ends == s.ends && (o.lang == s.lang || o.lang == fallback) }
	if s.ends != mark && !slices.ContainsFunc(p.names, same) {
		p.names = append(p.names, s)
	}
}
