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
	// refused are the editions that a domain refuses for what is in them.
	refused map[[2]string]bool
}

// everybody is the lane of the mail server itself.
const everybody = ""

const (
	// faultsToClose in a row close a lane: one may be chance.
	faultsToClose = 3
	closedFor     = 5 * time.Minute
	// maxRefused bounds what is remembered of refused editions.
	maxRefused = 10_000
)

func newLanes() *lanes {
	return &lanes{faults: map[string]int{}, until: map[string]time.Time{}, refused: map[[2]string]bool{}}
}

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// closed reports whether an edition's mails to an address have to wait, and until
// when; the zero time is for good.
func (l *lanes) closed(edition, address string, now time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused[[2]string{edition, domainOf(address)}] {
		return time.Time{}, true
	}
	until := later(l.until[everybody], later(l.until[domainOf(address)], l.until[providerLane(email.ProviderOf(address).Name)]))
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
	if r.Reason == email.ReasonContent { // reliability.md 3b: that edition stops for the domain
		if len(l.refused) >= maxRefused {
			clear(l.refused)
		}
		l.refused[[2]string{edition, domain}] = true
		return domain, true
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
