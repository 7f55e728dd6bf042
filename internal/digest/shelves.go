package digest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

const (
	maxShelf = 10_000 // stories of eight days; a big agency publishes 1,000 a day
	shelfAge = 5 * time.Second
)

// shelves reads the stories anew every few seconds while they are asked for, so that a
// story killed meanwhile is in no later mail.
type shelves struct {
	store Stories
	now   func() time.Time

	mu    sync.Mutex
	shelf *Shelf
	read  time.Time // on the process's own clock
	as    time.Time // on the service's
}

func (s *shelves) current(ctx context.Context) (*Shelf, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.shelf != nil && time.Since(s.read) < shelfAge && !s.as.After(now) && now.Sub(s.as) < shelfAge {
		return s.shelf, nil
	}
	shelf, err := s.load(ctx, now)
	if err != nil {
		return nil, err
	}
	s.shelf, s.read, s.as = shelf, time.Now(), now
	return shelf, nil
}

func (s *shelves) load(ctx context.Context, now time.Time) (*Shelf, error) {
	since := now.Add(-weeklyWindow - EditionLife)
	stories, err := s.store.RecentStories(ctx, news.StoryFilter{CreatedSince: since, Limit: maxShelf})
	if err != nil {
		return nil, fmt.Errorf("digest: stories: %w", err)
	}
	killed, err := s.store.Retracted(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("digest: retracted stories: %w", err)
	}
	repairs, err := s.store.Repairs(ctx, since)
	if err != nil {
		return nil, fmt.Errorf("digest: repairs: %w", err)
	}
	plans, err := s.store.EditionPlans(ctx, since.Format(dateFormat))
	if err != nil {
		return nil, fmt.Errorf("digest: plans: %w", err)
	}
	var retracted []news.Story
	stories = slices.DeleteFunc(stories, func(story news.Story) bool {
		gone := story.Version <= killed[story.URI]
		if gone {
			retracted = append(retracted, story)
		}
		return gone
	})
	shelf := NewShelf(stories, now)
	shelf.Repair(repairs, retracted)
	shelf.Plan(plans...)
	return shelf, nil
}
