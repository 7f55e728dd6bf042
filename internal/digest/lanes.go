package digest

import (
	"strings"
	"sync"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

// lanes keeps off whoever can't or won't take our mail for now: a receiving
// domain that throttles or refuses us, or the mail server as a whole. Its
// readers keep their turn; nobody is blamed.
type lanes struct {
	mu     sync.Mutex
	faults map[string]int
	until  map[string]time.Time
	// refused counts how often a domain refused an edition for what is in it, and says
	// until when it gets no more of it.
	refused map[[2]string]refusals
}

type refusals struct {
	n     int
	until time.Time
}

// everybody is the lane of the mail server itself.
const everybody = ""

const (
	// faultsToClose in a row close a lane: one may be chance.
	faultsToClose = 3
	closedFor     = 5 * time.Minute
	// refusedFor is how long a domain gets no more of an edition that it did not like.
	refusedFor = time.Hour
	// maxRefused bounds what is remembered of refused editions.
	maxRefused = 10_000
)

func newLanes() *lanes {
	return &lanes{faults: map[string]int{}, until: map[string]time.Time{}, refused: map[[2]string]refusals{}}
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// closed reports whether an edition's mails to an address have to wait, and until when.
func (l *lanes) closed(edition, address string, now time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := later(l.refused[[2]string{edition, domainOf(address)}].until, l.until[everybody])
	until = later(until, l.until[domainOf(address)])
	until = later(until, l.until[providerLane(email.ProviderOf(address).Name)])
	return until, until.After(now)
}

// providerLane is the lane of all a provider's mailboxes; no domain has its name.
func providerLane(name string) string { return "@" + name }

// shut closes a lane until an instant.
func (l *lanes) shut(lane string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until[lane] = until
}

// learn takes a receipt in. It reports the lane it closed by it.
func (l *lanes) learn(edition, address string, r news.Receipt, now time.Time) (lane string, shut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	domain := domainOf(address)
	if r.Reason == email.ReasonContent {
		return domain, l.refuse([2]string{edition, domain}, now)
	}
	if !r.SlowOrigin {
		if r.Status != 0 { // somebody answered
			delete(l.faults, domain)
			delete(l.faults, everybody)
		}
		return "", false
	}
	lane = domain
	switch r.Reason {
	case email.ReasonConnection, email.ReasonTLS, email.ReasonAuth:
		lane = everybody
	}
	if l.faults[lane]++; l.faults[lane] < faultsToClose {
		return lane, false
	}
	delete(l.faults, lane)
	l.until[lane] = now.Add(max(r.After, closedFor))
	return lane, true
}

// refuse notes that a domain did not like what is in an edition's mail: that edition stops
// for it (reliability.md 3b), and is tried again after an hour.
func (l *lanes) refuse(key [2]string, now time.Time) (shut bool) {
	if len(l.refused) >= maxRefused {
		clear(l.refused)
	}
	r := l.refused[key]
	if r.n++; r.n >= faultsToClose {
		r.until = now.Add(refusedFor)
	}
	l.refused[key] = r
	return r.n >= faultsToClose
}

// reopened reports, once, that a lane has opened again: whoever was passed
// over has to be looked at.
func (l *lanes) reopened(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := false
	for lane, until := range l.until {
		if !until.After(now) {
			delete(l.until, lane)
			found = true
		}
	}
	return found
}
