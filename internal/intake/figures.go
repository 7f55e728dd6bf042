package intake

import (
	"sync/atomic"

	"dateline/internal/news"
)

// Figures are what the intake has done since the start.
type Figures struct {
	Stored, Duplicates, Older, Conflicts int64
	DeadLetters                          int64 // set aside
	Retries                              int64 // put off because of the store
	Panics                               int64
}

type figures struct {
	stored, duplicates, older, conflicts, deadLetters, retries, panics atomic.Int64
}

func (f *figures) count(r news.StoryResult) {
	switch r {
	case news.StoryStored:
		f.stored.Add(1)
	case news.StoryDuplicate:
		f.duplicates.Add(1)
	case news.StoryOlder:
		f.older.Add(1)
	case news.StoryConflict:
		f.conflicts.Add(1)
	}
}

// Figures tells what the intake has done, for metrics and the desk.
func (s *Service) Figures() Figures {
	f := &s.figures
	return Figures{Stored: f.stored.Load(), Duplicates: f.duplicates.Load(), Older: f.older.Load(), Conflicts: f.conflicts.Load(),
		DeadLetters: f.deadLetters.Load(), Retries: f.retries.Load(), Panics: f.panics.Load()}
}
