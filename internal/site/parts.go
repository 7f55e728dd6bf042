package site

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"dateline/internal/news"
	"dateline/internal/region"
)

// row is a place of the list as it stands on the page.
type row struct {
	view
	place
	Follows, Mutes bool
	Mutable        bool  // it may be left out of something larger
	HasParts       bool  // it has subdivisions, which are fetched when asked for
	Parts          []row // of a country that is open
}

// Row is a place of the list, with its subdivisions where one of them is
// chosen or the reader asked for them.
func (c choices) Row(p place) row {
	r := row{view: c.view, place: p, Follows: c.follows[p.Code], Mutes: c.mutes[p.Code], Mutable: true,
		HasParts: region.KindOf(p.Code) == region.KindCountry && len(region.Children(p.Code)) > 0}
	if !r.HasParts {
		return r
	}
	open := c.Opened == p.Code
	for code := range c.follows {
		open = open || region.Parent(code) == p.Code
	}
	for code := range c.mutes {
		open = open || region.Parent(code) == p.Code
	}
	if open {
		r.Parts = c.partsOf(p.Code)
	}
	return r
}

// Group is a place of the list that can only be followed whole.
func (c choices) Group(p place) row {
	r := c.Row(p)
	r.Mutable, r.HasParts = false, false
	return r
}

func (c choices) partsOf(country string) []row {
	var parts []row
	for _, p := range sortedPlaces(region.Children(country), c.Lang) {
		parts = append(parts, row{view: c.view, place: p, Follows: c.follows[p.Code], Mutes: c.mutes[p.Code], Mutable: true})
	}
	return parts
}

func sortedPlaces(codes []string, lang string) []place {
	order := collate.New(language.Make(lang))
	places := make([]place, 0, len(codes))
	for _, code := range codes {
		places = append(places, place{Code: code, Name: region.Name(code, lang), Also: strings.Join(alsoCalled(code, lang), ", ")})
	}
	slices.SortFunc(places, func(a, b place) int { return order.CompareString(a.Name, b.Name) })
	return places
}

// alsoCalled is what a subdivision's row is looked up by beside its name.
func alsoCalled(code, lang string) []string {
	var also []string
	if name := region.Name(code, fallback); name != region.Name(code, lang) {
		also = append(also, name)
	}
	if city := otherCity(code); city != "" {
		also = append(also, city)
	}
	return also
}

// otherCity is the city that a subdivision is looked up by where it is called
// otherwise (MUMBAI for Maharashtra).
func otherCity(code string) string {
	if city := region.DatelineCity(code); city != strings.ToUpper(region.Name(code, fallback)) {
		return city
	}
	return ""
}

// placeParts answers GET /places/{code}: the subdivisions of a country as rows
// of the list. The list itself would be ten times as long with all of them.
func (s *Site) placeParts(w http.ResponseWriter, r *http.Request) error {
	code, ok := region.Canonical(r.PathValue("code"))
	if !ok || region.KindOf(code) != region.KindCountry {
		return fmt.Errorf("%w: no such country", news.ErrNotFound)
	}
	c := s.choices(s.view(w, r), defaultWishes(), nil)
	part, err := s.Floor.Part("site/subscribe", "parts", c.partsOf(code))
	if err != nil {
		return fmt.Errorf("site.placeParts(%s): %w", code, err)
	}
	w.Header().Set("Cache-Control", "private, max-age=3600") // in the language of ?words=, or of a cookie
	w.Header().Set("X-Robots-Tag", "noindex")
	s.Floor.Send(w, http.StatusOK, "text/html; charset=utf-8", []byte(part))
	return nil
}
