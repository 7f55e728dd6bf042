package desk

import (
	"context"
	"maps"
	"sync"
	"time"

	"dateline/internal/news"
)

// shared keeps what every open page of an alert would have worked out by
// itself, for as long as it is fresh: one works, the others wait for it.
type shared[T any] struct {
	fresh time.Duration
	now   func() time.Time

	mu    sync.Mutex
	known map[string]*worked[T]
}

type worked[T any] struct {
	mu    sync.Mutex
	value T
	begun time.Time // before anything was read for it
	at    time.Time // zero: never
}

func newShared[T any](fresh time.Duration, now func() time.Time) *shared[T] {
	return &shared[T]{fresh: fresh, now: now, known: map[string]*worked[T]{}}
}

// get is the value of the key; work makes it when there is none that is fresh.
// What fails is not kept.
func (s *shared[T]) get(key string, work func() (T, error)) (T, error) {
	return s.since(time.Time{}, key, work)
}

// since is get for who knows of something that was so at a moment: what was
// begun before it may not tell of that, and does not count as fresh.
func (s *shared[T]) since(moment time.Time, key string, work func() (T, error)) (T, error) {
	k := s.of(key)
	k.mu.Lock()
	defer k.mu.Unlock()
	now := s.now()
	if !k.at.IsZero() && now.Sub(k.at) < s.fresh && !k.begun.Before(moment) {
		return k.value, nil
	}
	value, err := work()
	if err == nil {
		k.value, k.begun, k.at = value, now, s.now()
	}
	return value, err
}

// of finds the key's place and lets go of those that are not fresh any more.
func (s *shared[T]) of(key string) *worked[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.known[key]
	if k == nil {
		maps.DeleteFunc(s.known, func(_ string, old *worked[T]) bool {
			if !old.mu.TryLock() {
				return false // somebody works on it
			}
			defer old.mu.Unlock()
			return s.now().Sub(old.at) >= s.fresh
		})
		k = &worked[T]{}
		s.known[key] = k
	}
	return k
}

// reachFresh is how long a count of the readers serves: it looks at
// every device, and every open desk asks anew when an alert is saved.
const reachFresh = 2 * time.Second

// reachOf counts for the alert as it is written.
func (p *Pages) reachOf(a news.Alert) *Reach {
	r, _ := p.reaches.get(a.Hash(), func() (Reach, error) { return p.reach(a), nil })
	return &r
}

// watched is what an open page looks at.
type watched struct {
	html  string
	final bool // only late receipts and a new step of an editor change it
}

// statusNow is the block "status" of the alert, at most as old as half the time
// between two looks, and not older than the page that asks: it would take an
// older one for news, and load itself again.
func (p *Pages) statusNow(ctx context.Context, opened time.Time, id string) (watched, error) {
	return p.statuses.since(opened, id, func() (watched, error) { return p.renderStatus(ctx, id) })
}
