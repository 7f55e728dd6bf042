package dispatch

import (
	"time"

	"dateline/internal/news"
)

// Limits of a lane's circuit breaker (reliability.md 3a).
const (
	failuresToOpen = 20               // server errors or dead connections in a row
	probeEvery     = 5 * time.Second  // one request to see whether it is back
	throttleWindow = 100              // receipts looked at for 429s
	throttleShare  = 20               // per cent of them that slow the whole service
	refusedPause   = 60 * time.Second // after a wall of 401/403: our key or clock is wrong
)

// health is what recent receipts say of a push service. It decides how many
// workers the lane may have and whether it must pause.
type health struct {
	failures  int // in a row
	until     time.Time
	seen      int // in the current window
	throttled int
	refused   int
	narrowed  int // halvings of the worker count
}

// workers is how many may run now.
func (h *health) workers(most int) int {
	if h.failures >= failuresToOpen {
		return 1 // the probe
	}
	return max(1, most>>h.narrowed)
}

// pause is how long nothing may start.
func (h *health) pause(now time.Time) time.Duration { return max(0, h.until.Sub(now)) }

// clean reports whether there is nothing to remember.
func (h *health) clean(now time.Time) bool {
	return h.failures < failuresToOpen && h.narrowed == 0 && h.pause(now) == 0
}

// note takes one receipt into account.
func (h *health) note(r news.Receipt, now time.Time) {
	if ownDoing(r) {
		return
	}
	switch r.Outcome {
	case news.Retry, news.Ambiguous:
		if r.Status == 429 || r.Status == 406 {
			h.throttled++
			break
		}
		if h.failures++; h.failures >= failuresToOpen {
			h.until = now.Add(probeEvery)
		}
	case news.Accepted, news.Gone:
		h.failures = 0
	case news.Refused:
		if r.Status == 401 || r.Status == 403 {
			h.refused++
		}
	}
	if h.seen++; h.seen < throttleWindow {
		return
	}
	h.judge(r, now)
	h.seen, h.throttled, h.refused = 0, 0, 0
}

// judge closes a window: many 429s slow the service, none let it grow again.
func (h *health) judge(last news.Receipt, now time.Time) {
	switch {
	case h.refused*2 > h.seen:
		h.until = now.Add(refusedPause)
	case h.throttled*100 > throttleShare*h.seen:
		h.narrowed = min(h.narrowed+1, 6)
		h.until = now.Add(max(last.After, time.Second))
	case h.narrowed > 0:
		h.narrowed--
	}
}
