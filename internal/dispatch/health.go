package dispatch

import (
	"time"

	"dateline/internal/news"
)

// Limits of a lane's circuit breaker (reliability.md 3a).
const (
	failuresToOpen = 20               // server errors or dead connections in a row
	probeEvery     = 5 * time.Second  // one request to see whether it is back
	judgedAnswers  = 100              // answers looked at together for 429s and refusals
	throttleShare  = 20               // per cent of 429s that slow the whole service
	wallShare      = 50               // per cent of 401/403 that stop it: our key or clock is wrong
	refusedPause   = 60 * time.Second // between two looks whether the wall still stands
	mostHalvings   = 6                // 64 workers to one
)

// health is what recent receipts say of a push service. It decides how many
// workers the lane may have and whether it must pause.
type health struct {
	failures int       // in a row
	wall     bool      // 401/403 all over
	until    time.Time // nothing starts before

	seen      int // answers since the last judgement
	throttled int
	refused   int
	asked     time.Duration // the longest wait they asked for
	halvings  int           // of the worker count
}

// workers is how many may run now.
func (h *health) workers(most int) int {
	if h.failures >= failuresToOpen || h.wall {
		return 1 // the probe
	}
	return max(1, most>>h.halvings)
}

// Standings of a push service, for the log and the metrics.
const (
	standingWell     = "well"
	standingSlow     = "throttling"
	standingDown     = "down"
	standingRefusing = "refusing"
)

// standing is the health in a word.
func (h *health) standing() string {
	switch {
	case h.wall:
		return standingRefusing
	case h.failures >= failuresToOpen:
		return standingDown
	case h.halvings > 0:
		return standingSlow
	}
	return standingWell
}

// pause is how long nothing may start.
func (h *health) pause(now time.Time) time.Duration { return max(0, h.until.Sub(now)) }

// clean reports whether there is nothing to remember.
func (h *health) clean(now time.Time) bool {
	return h.failures < failuresToOpen && !h.wall && h.halvings == 0 && h.pause(now) == 0
}

// note takes one receipt into account.
func (h *health) note(r news.Receipt, now time.Time) {
	if ownDoing(r) {
		return
	}
	switch {
	case r.Outcome == news.Accepted, r.Outcome == news.Gone:
		if h.failures = 0; h.wall { // the probe came through: what was refused before counts no more
			*h = health{until: h.until, halvings: h.halvings}
		}
	case r.Status == 429, r.Status == 406: // 406 is how WNS throttles
		h.throttled++
		h.asked = max(h.asked, r.After)
	case r.Outcome == news.Retry, r.Outcome == news.Ambiguous:
		if h.failures++; h.failures >= failuresToOpen {
			h.until = now.Add(probeEvery)
		}
	case ourKey(r) && h.wall: // a probe, or what was in flight when the wall was seen
		h.until = now.Add(refusedPause)
		return
	case ourKey(r):
		h.refused++
	}
	if h.seen++; h.seen >= judgedAnswers {
		h.judge(now)
		h.seen, h.throttled, h.refused, h.asked = 0, 0, 0, 0
	}
}

// ourKey reports whether a refusal is about our key, token or clock.
func ourKey(r news.Receipt) bool {
	return r.Outcome == news.Refused && (r.Status == 401 || r.Status == 403 || r.Reason == "vapid")
}

// judge looks at the last answers together: many 429s slow the service, none
// let it grow again, a wall of refusals stops it.
func (h *health) judge(now time.Time) {
	switch {
	case h.refused*100 > wallShare*h.seen:
		h.wall, h.until = true, now.Add(refusedPause)
	case h.throttled*100 > throttleShare*h.seen:
		h.halvings = min(h.halvings+1, mostHalvings)
		h.until = now.Add(max(h.asked, time.Second))
	case h.throttled == 0:
		h.halvings = max(0, h.halvings-1)
	}
}
