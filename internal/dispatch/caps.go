package dispatch

import (
	"sync"
	"time"
)

// capHours is how far back anybody's today can have begun: zones span 26 h.
const capHours = 50

// capBook remembers, for subscribers with a cap, which releases they were sent
// and when. A subscriber with several devices counts a release once.
type capBook struct {
	mu   sync.Mutex
	sent map[string]*capEntry // by subscriber
}

// capEntry is one subscriber's: her zone decides what is today.
type capEntry struct {
	zone     *time.Location
	released map[string]time.Time // by release
}

func newCapBook() *capBook { return &capBook{sent: map[string]*capEntry{}} }

func (b *capBook) note(subscriber, zone, release string, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.sent[subscriber]
	if e == nil {
		e = &capEntry{released: map[string]time.Time{}}
		b.sent[subscriber] = e
	}
	e.zone = location(zone)
	e.released[release] = at
}

// today counts the releases of the local day that `now` is in. It forgets what
// is too old to be anybody's today.
func (b *capBook) today(subscriber string, now time.Time) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.sent[subscriber]
	if e == nil {
		return 0
	}
	y, m, d := now.In(e.zone).Date()
	count := 0
	for id, at := range e.released {
		if now.Sub(at) > capHours*time.Hour {
			delete(e.released, id)
			continue
		}
		if ay, am, ad := at.In(e.zone).Date(); ay == y && am == m && ad == d {
			count++
		}
	}
	return count
}

// location is a zone by name; an unknown one counts as UTC, as in the audience.
func location(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil {
		return time.UTC
	}
	return zone
}
