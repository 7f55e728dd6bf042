package desk

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"dateline/internal/news"
	"dateline/internal/region"
)

// wireFilter is what an editor wants to see of the wire. Its zero value fits
// everything.
type wireFilter struct {
	Region   string // a place or a named group
	Section  string
	Language string
	Urgency  int // at least as urgent: 1 is the most
	Text     string
	// Unknown is a place that was asked for and that nobody knows: nothing fits.
	Unknown string

	places region.Set
}

// longestSearch bounds what is looked for in every story, in characters.
const longestSearch = 100

// longestPlace bounds what is kept of a place that nobody knows.
const longestPlace = 60

// filterOf reads the query of the page. A place is known by its code, by one it
// had before, and by its English name; another one is kept as it was typed, so
// that nobody takes everything for what she asked for. An urgency that is none is
// left out.
func filterOf(q url.Values) wireFilter {
	f := wireFilter{Section: q.Get("section"), Language: q.Get("language"), Text: firstRunes(news.CleanLine(q.Get("q")), longestSearch)}
	if typed := strings.TrimSpace(q.Get("region")); typed != "" {
		f.Region = placeCalled(typed)
		set, err := region.SetOf([]string{f.Region}, nil)
		if f.places = set; err != nil || f.Region == "" {
			f.Region, f.Unknown = "", firstRunes(news.CleanLine(typed), longestPlace)
		}
	}
	if n, err := strconv.Atoi(q.Get("urgency")); err == nil && n >= 1 && n <= 9 {
		f.Urgency = n
	}
	return f
}

// empty reports whether everything fits.
func (f *wireFilter) empty() bool {
	return f.Region == "" && f.Unknown == "" && f.Section == "" && f.Language == "" && f.Urgency == 0 && f.Text == ""
}

// query is the filter as the page's address has it.
func (f *wireFilter) query() string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("region", f.Region+f.Unknown)
	set("section", f.Section)
	set("language", f.Language)
	set("q", f.Text)
	if f.Urgency > 0 {
		set("urgency", strconv.Itoa(f.Urgency))
	}
	return q.Encode()
}

// fits reports whether a story is to be shown.
func (f *wireFilter) fits(s *news.Story) bool {
	switch {
	case f.Unknown != "",
		f.Section != "" && !slices.Contains(s.Sections, f.Section),
		f.Language != "" && s.Language != f.Language && s.Translations[f.Language].Headline == "",
		f.Urgency > 0 && s.Urgency > f.Urgency,
		f.Region != "" && !f.about(s):
		return false
	}
	return f.Text == "" || f.says(s)
}

// about reports whether one of the story's places touches the filter's.
func (f *wireFilter) about(s *news.Story) bool {
	places, err := region.SetOf(s.Regions, nil)
	return err == nil && places.Overlaps(f.places)
}

func (f *wireFilter) says(s *news.Story) bool {
	want := strings.ToLower(f.Text)
	found := func(text string) bool { return strings.Contains(strings.ToLower(text), want) }
	if found(s.Headline) || found(s.Standfirst) || found(s.URI) {
		return true
	}
	for _, t := range s.Translations {
		if found(t.Headline) || found(t.Standfirst) {
			return true
		}
	}
	return false
}
