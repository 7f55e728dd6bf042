package web

import (
	"sync"
	"time"

	"dateline/internal/news"
)

// maxKeys bounds a limiter's memory (about 100 bytes a key). When it is
// reached, keys whose window has passed are dropped, then any.
const maxKeys = 100_000

// Limiter allows a number of events per key and window. A window begins with
// its key's first event. Safe for concurrent use.
type Limiter struct {
	what   string
	limit  int
	window time.Duration
	now    func() time.Time

	mu   sync.Mutex
	keys map[string]spent
}

type spent struct {
	since time.Time
	count int
}

// NewLimiter makes a limiter; limit 0 means none. what names the limit in the
// answer: "new subscriptions". now nil is time.Now.
func NewLimiter(what string, limit int, window time.Duration, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}
	return &Limiter{what: what, limit: limit, window: window, now: now, keys: map[string]spent{}}
}

// Take counts one event for the key, or says with a *news.LimitError when the
// next will be allowed.
func (l *Limiter) Take(key string) error {
	if l == nil || l.limit <= 0 {
		return nil
	}
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	s, known := l.keys[key]
	if !known || now.Sub(s.since) >= l.window {
		s = spent{since: now}
	}
	if s.count >= l.limit {
		return &news.LimitError{What: l.what, RetryAfter: s.since.Add(l.window).Sub(now)}
	}
	if !known {
		l.makeRoom(now)
	}
	s.count++
	l.keys[key] = s
	return nil
}

// Return gives one event back: it turned out not to count.
func (l *Limiter) Return(key string) {
	if l == nil || l.limit <= 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, ok := l.keys[key]; ok && s.count > 0 {
		s.count--
		l.keys[key] = s
	}
}

func (l *Limiter) makeRoom(now time.Time) {
	if len(l.keys) < maxKeys {
		return
	}
	for key, s := range l.keys {
		if now.Sub(s.since) >= l.window {
			delete(l.keys, key)
		}
	}
	for key := range l.keys {
		if len(l.keys) < maxKeys*9/10 {
			return
		}
		delete(l.keys, key)
	}
}
