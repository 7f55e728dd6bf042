package news

import "time"

// PubStatus is IPTC ninjs' pubstatus.
type PubStatus string

// What a story may be.
const (
	Usable   PubStatus = "usable"
	Withheld PubStatus = "withheld" // HOLD: its unfinished alerts are put on hold
	Canceled PubStatus = "canceled" // KILL: its unfinished alerts are stopped
)

// Story is one version of a published piece. URI and Version identify it.
// Text is clean (package intake: no control or bidi-override characters, no
// markup, NFC). Times are UTC, truncated to microseconds (Postgres precision).
type Story struct {
	URI          string
	Version      int64
	Status       PubStatus
	Headline     string
	Standfirst   string
	Body         []string // paragraphs; may be empty
	URL          string
	Image        *Image // nil: none
	Kind         string // article, analysis, interview, photo, video
	Byline       string
	Language     string // BCP 47
	Regions      []string
	Sections     []string
	Urgency      int // 1 (most) to 9
	Breaking     bool
	Created      time.Time // ninjs versioncreated
	Embargo      time.Time // zero: none
	Translations map[string]StoryText
	Hash         string    // SHA-256 (hex) over the cleaned content: tells a duplicate from a conflict
	StoredAt     time.Time // when the store committed it; zero before
}

// StoryText is a story's head in one language.
type StoryText struct{ Headline, Standfirst string }

// Image is a story's picture. Width and Height are pixels, 0 when unknown.
type Image struct {
	URL    string
	Alt    string
	Width  int
	Height int
}

// Embargoed reports whether the story may not be shown to readers at now.
func (s *Story) Embargoed(now time.Time) bool { return s.Embargo.After(now) }

// AgeFrom is the instant a story's age counts from: its creation, or the end
// of its embargo when that is later (DESIGN 6).
func (s *Story) AgeFrom() time.Time {
	if s.Embargo.After(s.Created) {
		return s.Embargo
	}
	return s.Created
}

// TextIn gives the story's head in the language picked by PickLanguage.
func (s *Story) TextIn(wanted string) (text StoryText, language string) {
	own := StoryText{s.Headline, s.Standfirst}
	have := make([]string, 0, len(s.Translations)+1)
	have = append(have, s.Language)
	for l := range s.Translations {
		have = append(have, l)
	}
	language = PickLanguage(wanted, have, s.Language)
	if t, ok := s.Translations[language]; ok && language != s.Language {
		if t.Standfirst == "" {
			t.Standfirst = own.Standfirst
		}
		return t, language
	}
	return own, s.Language
}

// StoryResult says what the store did with a story event.
type StoryResult string

// The results; also the words of POST /api/v1/stories.
const (
	StoryStored    StoryResult = "stored"
	StoryDuplicate StoryResult = "duplicate" // same uri, version and content: nothing changed
	StoryOlder     StoryResult = "older"     // a higher version is already known: kept out
	StoryConflict  StoryResult = "conflict"  // same uri and version, other content: kept and shown
)

// StoryFilter picks stories for lists; zero fields do not filter.
type StoryFilter struct {
	CreatedSince time.Time // versioncreated at or after
	StoredAfter  time.Time // stored after
	StoredUntil  time.Time // stored at or before
	Status       PubStatus
	Limit        int // 0: 200
}
