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
	// mostUnlooked messages in a row come back from connections that end, before
	// that is a failure: a server that ends a connection after so many requests, as
	// nginx does by default after 1,000, returns at most those in flight.
	mostUnlooked = 2 * mostFlights
	// A service that is new to us, or that nobody has been sent to for a while, is
	// met with firstFlights requests at once. They double while nothing speaks
	// against it and answers come about as fast as the first, are halved when it asks
	// us to slow down, and grow again by moreFlights (AIMD, as in TCP: RFC 5681 3.1).
	firstFlights = 64
	moreFlights  = 32
	// queueFloor is what an answer may take beyond twice the quickest one without
	// our taking it for a queue at the service: the machine's own noise.
	queueFloor = 10 * time.Millisecond
	// mostFlights at 100 ms of round trip are 40,000 a second; and as many are in
	// doubt after a crash, at most.
	mostFlights = 4096
)

// health is what recent receipts say of a push service. It decides how many
// requests may be in flight and whether it must pause.
type health struct {
	failures int       // in a row
	unlooked int       // messages that came back unread, in a row
	wall     bool      // 401/403 all over
	until    time.Time // nothing starts before

	seen      int // answers since the last judgement
	throttled int
	refused   int
	asked     time.Duration // the longest wait they asked for
	flights   int           // may be in flight; 0: firstFlights
	full      int           // flights before it was asked to slow down; 0: it is not slowed
	peak      int           // the most in flight since the last judgement

	slowedAt time.Time     // what was sent before says nothing new of how much it takes
	quickest time.Duration // acceptance there ever was, as in a queue that stands all are slow; 0: none
	took     time.Duration // all acceptances since the last judgement together
	timed    int           // how many they were
}

// inFlight is how many requests may be under way now.
func (h *health) inFlight(most int) int {
	if h.failures >= failuresToOpen || h.wall {
		return 1 // the probe
	}
	return min(h.allowed(), most)
}

func (h *health) allowed() int {
	if h.flights == 0 {
		return firstFlights
	}
	return h.flights
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
	case h.full > 0:
		return standingSlow
	}
	return standingWell
}

// pause is how long nothing may start.
func (h *health) pause(now time.Time) time.Duration { return max(0, h.until.Sub(now)) }

// clean reports whether there is nothing to remember.
func (h *health) clean(now time.Time) bool {
	return h.failures < failuresToOpen && !h.wall && h.full == 0 && h.pause(now) == 0
}

// unreached takes in that a connection could not be had.
func (h *health) unreached(now time.Time) {
	if h.failures++; h.failures >= failuresToOpen {
		h.until = now.Add(probeEvery)
	}
}

// note takes one receipt into account.
func (h *health) note(r news.Receipt, now time.Time) {
	if ownDoing(r) {
		return
	}
	if notLookedAt(r) {
		if h.unlooked++; h.unlooked < mostUnlooked {
			return
		}
	} else {
		h.unlooked = 0
	}
	switch {
	case r.Outcome == news.Accepted, r.Outcome == news.Gone:
		if h.failures = 0; h.wall { // the probe came through: what was refused before counts no more
			*h = health{until: h.until, flights: h.flights, full: h.full, quickest: h.quickest}
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
		h.seen, h.throttled, h.refused, h.asked, h.peak, h.took, h.timed = 0, 0, 0, 0, 0, 0, 0
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
		h.slow()
		h.slowedAt = now
		h.until = now.Add(max(h.asked, time.Second))
	case h.throttled == 0:
		h.grow()
	}
}

// slow halves what is really in flight, which may be less than is allowed.
func (h *health) slow() {
	now := h.allowed()
	if h.full == 0 {
		h.full = now
	}
	if h.peak > 0 {
		now = min(now, h.peak)
	}
	h.flights = max(1, now/2)
}

// time takes in how long an acceptance took.
func (h *health) time(d time.Duration) {
	h.took += d
	h.timed++
	if h.quickest == 0 || d < h.quickest {
		h.quickest = d
	}
}

// queueing reports whether requests wait for each other at the service: more at once
// would get none of them there sooner, and more would be past stopping.
func (h *health) queueing() bool {
	return h.timed > 0 && h.took/time.Duration(h.timed) > 2*h.quickest+queueFloor
}

// stale reports whether a 429 answers what was sent before the service was slowed
// down: all that was in flight then comes back so, and is no reason to slow down
// again.
func (h *health) stale(r news.Receipt, sent time.Time) bool {
	return (r.Status == 429 || r.Status == 406) && sent.Before(h.slowedAt)
}

func (h *health) grow() {
	if h.queueing() {
		return
	}
	if h.full == 0 {
		h.flights = min(2*h.allowed(), mostFlights)
		return
	}
	if h.flights += moreFlights; h.flights >= h.full {
		h.flights, h.full = h.full, 0
	}
}
