package news

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// How long the texts of a default alert may be. Headlines stay whole where
// possible: 120 characters as a reader counts them hold all but the longest.
// The bytes keep both texts, with the rest of a payload, within the 1,500
// bytes of DESIGN 9 in scripts of three bytes a letter, too.
const (
	MaxTitleCharacters = 120
	MaxTitleBytes      = 400
	MaxBodyCharacters  = 240
	MaxBodyBytes       = 600
)

// DefaultAlert is the draft that a story makes by itself: its head and its
// translations as texts, its regions as audience, its sections.
func DefaultAlert(s *Story, level Level, author string, newID func() string, now time.Time) Alert {
	texts := map[string]Text{s.Language: textOf(s.Headline, s.Standfirst)}
	for language, t := range s.Translations {
		// A standfirst that is not translated is left out rather than shown in
		// another language; the story's own head wins over a translation into
		// its own language.
		if _, ok := texts[language]; !ok {
			texts[language] = textOf(t.Headline, t.Standfirst)
		}
	}
	return Alert{
		ID: newID(), StoryURI: s.URI, StoryVersion: s.Version, State: AlertDraft, Level: level,
		Texts: texts, Language: s.Language, Audience: strings.Join(s.Regions, " + "), Sections: s.Sections,
		Author: author, CreatedAt: now,
	}
}

// DefaultLevel is the level a story asks for (DESIGN 6): a notice unless it is
// breaking; a flash when it is breaking and of the highest urgency.
func DefaultLevel(s *Story) Level {
	switch {
	case !s.Breaking:
		return LevelNotice
	case s.Urgency == 1:
		return LevelFlash
	}
	return LevelBulletin
}

func textOf(headline, standfirst string) Text {
	return Text{Title: Cut(headline, MaxTitleCharacters, MaxTitleBytes), Body: Cut(standfirst, MaxBodyCharacters, MaxBodyBytes)}
}

// Cut shortens s to at most so many characters as a reader counts them
// (grapheme clusters) and so many bytes. What is cut ends in an ellipsis, never
// in the middle of a character or of a consonant cluster.
func Cut(s string, characters, bytes int) string {
	const ellipsis = "…"
	if len(s) <= bytes && (len(s) <= characters || uniseg.GraphemeClusterCount(s) <= characters) {
		return s
	}
	end, whole, state := 0, 0, -1
	for rest, n := s, 0; rest != "" && n < characters-1; n++ {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if end+len(cluster)+len(ellipsis) > bytes {
			break
		}
		end += len(cluster)
		if !joinsNext(cluster) {
			whole = end
		}
	}
	if whole == 0 && bytes < len(ellipsis) {
		return ""
	}
	return strings.TrimRight(s[:whole], " ,;:-–—、，") + ellipsis
}

// joinsNext reports whether a cluster ends in a virama or a joiner: what
// follows is written into it (uniseg counts क् and षि of क्षि as two).
func joinsNext(cluster string) bool {
	const viramaClass = 9 // Unicode canonical combining class
	r, size := utf8.DecodeLastRuneInString(cluster)
	return r == '\u200d' || norm.NFC.PropertiesString(cluster[len(cluster)-size:]).CCC() == viramaClass
}
