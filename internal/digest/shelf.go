package digest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/telling"
)

// Shelf is the stories of a digest run, newest version each, what was repaired of
// what readers had, and what editors planned. What a preference
// matches, and in which order, is worked out once per distinct preference. It is safe for concurrent use.
type Shelf struct {
	now     time.Time
	stories []shelved
	byURI   map[string]*news.Story
	until   time.Time
	repairs []told // the newest first
	plans   map[planKey]news.EditionPlan

	mu     sync.Mutex
	tastes map[string]taste
}

// shelved is a story with what Choose asks of it again and again.
type shelved struct {
	story     *news.Story
	places    region.Set
	available time.Time // when readers could have it: stored, and the embargo over
	countries []string
	telling   *telling.Telling
}

// taste is what a preference makes of the stories: why each suits it or not, by
// place and section alone, and those that do in the order of their points.
type taste struct {
	reasons []Reason
	order   []ranked
}

// maxTastes bounds the preferences remembered at once: one byte for each story, and
// 16 for each that suits, some 30 MB with 10,000 stories of which a tenth does.
const maxTastes = 1000

// NewShelf takes stories as they are at an instant. An embargoed story's age counts
// from the end of its embargo.
func NewShelf(stories []news.Story, now time.Time) *Shelf {
	s := &Shelf{now: now, byURI: map[string]*news.Story{}, tastes: map[string]taste{}}
	for i := range stories {
		story := &stories[i]
		// A place that is not in the tree (any more) matches nobody.
		places, _ := region.SetOf(story.Regions, nil)
		item := shelved{story: story, places: places, available: later(story.StoredAt, story.Embargo),
			countries: countriesOf(story), telling: telling.Of(story)}
		s.stories = append(s.stories, item)
		s.byURI[story.URI] = story
		// Stored "later than now" happens: by another process's clock, or by the
		// store, which lets StoredAt grow in the order of commits. Such a story
		// is told now, so it counts now.
		if !story.Embargoed(now) {
			s.until = later(s.until, item.available)
		}
	}
	return s
}

// planKey is the editions that a plan is for.
type planKey struct {
	localDate string
	weekly    bool
}

// Plan says what editors want of editions; it is set before the shelf is used.
func (s *Shelf) Plan(plans ...news.EditionPlan) {
	s.plans = make(map[planKey]news.EditionPlan, len(plans))
	for _, p := range plans {
		s.plans[planKey{p.LocalDate, p.Weekly}] = p
	}
}

func (s *Shelf) planOf(e Edition) news.EditionPlan { return s.plans[planKey{e.LocalDate, e.Weekly}] }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// taste is what a preference makes of the stories.
func (s *Shelf) taste(p news.Preference) taste {
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
	all, _ := region.SetOf(p.Regions, p.Muted)
	each := followedOf(p)
	out := taste{reasons: make([]Reason, len(s.stories))}
	for i := range s.stories {
		item := &s.stories[i]
		switch {
		case !all.Overlaps(item.places):
			out.reasons[i] = NotFollowed
		case !news.SectionsOverlap(p.Sections, item.story.Sections):
			out.reasons[i] = OtherSection
		default:
			out.reasons[i] = Chosen
			out.order = append(out.order, ranked{item: item, points: pointsOf(item.story, s.now, near(each, item.places))})
		}
	}
	slices.SortFunc(out.order, ranked.order)
	s.tastes[key] = out
	return out
}

// tasteKey is equal for preferences that match the same stories. The level is
// not in it: it says how loudly a story may come, and a digest is quiet.
func tasteKey(p news.Preference) string {
	return strings.Join(p.Regions, ",") + "|" + strings.Join(p.Muted, ",") + "|" + strings.Join(p.Sections, ",")
}
