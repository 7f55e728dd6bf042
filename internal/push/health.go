package push

import (
	"sync"
	"time"

	"dateline/internal/news"
)

const (
	healthWindow   = time.Minute
	troubleInARow  = 20  // 5xx or no answer: the service is down
	minThrottled   = 20  // answers before a share of 429 is judged
	minForbidden   = 200 // answers before a share of 401/403 is judged
	throttledShare = 5   // one in 5: 20 % of 429/406
	forbiddenShare = 200 // one in 200: 0.5 % of 401/403
)

// health judges an origin by its last answers. It only gives advice
// (news.Receipt.SlowOrigin); whoever sends decides.
type health struct {
	mu        sync.Mutex
	since     time.Time
	now, last answers // this window and the one before
	row       int
}

type answers struct{ all, throttled, forbidden int }

func (a answers) plus(b answers) answers {
	return answers{a.all + b.all, a.throttled + b.throttled, a.forbidden + b.forbidden}
}

// judge counts one receipt and says whether the whole origin should be slowed:
// 20 troubles in a row, more than 20 % throttled or more than 0.5 % refused
// for our key within the last one to two minutes.
func (h *health) judge(r news.Receipt, at time.Time) bool {
	if r.Reason == "stopped" || r.Reason == "cancelled" {
		return false // our own doing says nothing about them
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if passed := at.Sub(h.since); passed >= healthWindow || passed < 0 {
		h.last, h.now = h.now, answers{}
		if passed >= 2*healthWindow || passed < 0 {
			h.last = answers{}
		}
		h.since = at
	}
	h.now.all++
	switch r.Reason {
	case "throttled":
		h.now.throttled++
	case "vapid":
		h.now.forbidden++
	}
	switch {
	case r.Outcome == news.Ambiguous, r.Outcome == news.Retry && r.Reason != "throttled":
		h.row++
	default:
		h.row = 0
	}
	sum := h.now.plus(h.last)
	return h.row >= troubleInARow ||
		sum.all >= minThrottled && sum.throttled*throttledShare > sum.all ||
		sum.all >= minForbidden && sum.forbidden*forbiddenShare > sum.all
}
