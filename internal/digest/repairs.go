package digest

import (
	"slices"
	"time"

	"dateline/internal/news"
)

// This file says who is told that something she got from us was wrong: exactly those
// who got it, by push or by an earlier digest, before it was repaired, once each.

// maxRepairs is how many a mail tells of; the others stand in the next.
const maxRepairs = 8

// told is a repair with the headline that readers know the story by.
type told struct {
	news.Repair
	headline string      // "" : not known any more
	story    *news.Story // nil: likewise
}

// Repair says what was corrected and killed, the newest of each story, and which
// stories were retracted by it and are therefore not among the shelf's. It is set
// before the shelf is used. A story that was withdrawn without any alert is found
// among the shelf's own.
func (s *Shelf) Repair(repairs []news.Repair, retracted []news.Story) {
	known := map[string]*news.Story{}
	for i := range retracted {
		known[retracted[i].URI] = &retracted[i]
	}
	newest := map[string]news.Repair{}
	for _, r := range repairs {
		newest[r.StoryURI] = r
	}
	for i := range s.stories {
		story := s.stories[i].story
		if known[story.URI] == nil {
			known[story.URI] = story
		}
		if story.Status == news.Canceled && newest[story.URI].Kind != news.ReleaseKill {
			newest[story.URI] = news.Repair{StoryURI: story.URI, Kind: news.ReleaseKill, At: story.StoredAt}
		}
	}
	s.repairs = nil
	for uri, r := range newest {
		t := told{Repair: r, story: known[uri]}
		if t.story != nil {
			t.headline = t.story.Headline
		}
		s.repairs = append(s.repairs, t)
	}
	slices.SortFunc(s.repairs, func(a, b told) int {
		if c := b.At.Compare(a.At); c != 0 {
			return c
		}
		return slices.Compare([]string{a.StoryURI}, []string{b.StoryURI})
	})
}

// Repaired reports whether anything was repaired at all: only then do a reader's
// earlier mails have to be read.
func (s *Shelf) Repaired() bool { return len(s.repairs) > 0 }

// repairsFor are those of what she got before it was repaired and has not been told
// in a mail.
func (s *Shelf) repairsFor(q Query) []told {
	var out []told
	for _, r := range s.repairs {
		if s.got(q, r.StoryURI, r.At) && !slices.Contains(q.Past.Told, r.Key()) {
			if out = append(out, r); len(out) == maxRepairs {
				break
			}
		}
	}
	return out
}

// got reports whether a story reached her before an instant.
func (s *Shelf) got(q Query, uri string, before time.Time) bool {
	if at, ok := q.Past.Carried[uri]; ok && at.Before(before) {
		return true
	}
	return slices.ContainsFunc(q.Pushed, func(p news.Pushed) bool { return p.StoryURI == uri && p.First.Before(before) })
}
