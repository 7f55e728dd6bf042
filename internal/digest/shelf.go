package digest

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Shelf is the stories of a digest run, newest version each, in the order in
// which a digest prefers them. What a preference matches is worked out once
// per distinct preference. It is safe for concurrent use.
type Shelf struct {
	now     time.Time
	stories []shelved
	byURI   map[string]*news.Story
	until   time.Time

	mu     sync.Mutex
	tastes map[string][]Reason
}

// shelved is a story with what Choose asks of it again and again.
type shelved struct {
	story     *news.Story
	places    region.Set
	available time.Time // when readers could have it: stored, and the embargo over
}

// maxTastes bounds the preferences remembered at once: one byte per story and
// preference, 20 MB with 10,000 stories.
const maxTastes = 2000

// NewShelf ranks stories at an instant: the more urgent first, breaking before
// others of the same urgency, then the newer, then by URI so that two runs
// agree. An embargoed story's age counts from the end of its embargo.
func NewShelf(stories []news.Story, now time.Time) *Shelf {
	s := &Shelf{now: now, byURI: map[string]*news.Story{}, tastes: map[string][]Reason{}}
	for i := range stories {
		story := &stories[i]
		// A place that is not in the tree (any more) matches nobody.
		places, _ := region.SetOf(story.Regions, nil)
		item := shelved{story: story, places: places, available: later(story.StoredAt, story.Embargo)}
		s.stories = append(s.stories, item)
		s.byURI[story.URI] = story
		// Stored "later than now" happens: by another process's clock, or by the
		// store, which lets StoredAt grow in the order of commits. Such a story
		// is told now, so it counts now.
		if !story.Embargoed(now) {
			s.until = later(s.until, item.available)
		}
	}
	slices.SortStableFunc(s.stories, func(a, b shelved) int { return rank(a.story, b.story) })
	return s
}

func rank(a, b *news.Story) int {
	return cmp.Or(
		cmp.Compare(a.Urgency, b.Urgency),
		compareTrue(a.Breaking, b.Breaking),
		b.AgeFrom().Compare(a.AgeFrom()),
		strings.Compare(a.URI, b.URI),
	)
}

func compareTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// taste says of every story, in shelf order, whether its place and section
// suit a preference.
func (s *Shelf) taste(p news.Preference) []Reason {
	key := tasteKey(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, ok := s.tastes[key]; ok {
		return known
	}
	if len(s.tastes) >= maxTastes {
		clear(s.tastes)
	}
	// What is unknown in a preference follows and mutes nothing.
	follows, _ := region.SetOf(p.Regions, p.Muted)
	out := make([]Reason, len(s.stories))
	for i, item := range s.stories {
		switch {
		case !follows.Overlaps(item.places):
			out[i] = NotFollowed
		case !news.SectionsOverlap(p.Sections, item.story.Sections):
			out[i] = OtherSection
		default:
			out[i] = Chosen
		}
	}
	s.tastes[key] = out
	return out
}

// tasteKey is equal for preferences that match the same stories. The level is
// not in it: it says how loudly a story may come, and a digest is quiet.
func tasteKey(p news.Preference) string {
	return strings.Join(p.Regions, ",") + "|" + strings.Join(p.Muted, ",") + "|" + strings.Join(p.Sections, ",")
}
