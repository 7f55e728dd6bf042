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
}

// everybody is the lane of the mail server itself.
const everybody = ""

const (
	// faultsToClose in a row close a lane: one may be chance.
	faultsToClose = 3
	closedFor     = 5 * time.Minute
)

func newLanes() *lanes { return &lanes{faults: map[string]int{}, until: map[string]time.Time{}} }

func domainOf(address string) string { return address[strings.LastIndexByte(address, '@')+1:] }

// closed reports whether mails to an address have to wait, and until when.
func (l *lanes) closed(address string, now time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	until := later(l.until[everybody], l.until[domainOf(address)])
	return until, until.After(now)
}

// learn takes a receipt in. It reports the lane it closed by it.
func (l *lanes) learn(address string, r news.Receipt, now time.Time) (lane string, shut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	domain := domainOf(address)
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
