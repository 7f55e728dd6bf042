package news

import "time"

// Outcome is what a channel says of one attempt. Channels never retry.
type Outcome uint8

// The outcomes.
const (
	Accepted  Outcome = iota + 1 // the service took it
	Gone                         // 404/410: the device does not exist any more
	Retry                        // not taken; try again, not before After
	Refused                      // not taken, and trying again is pointless
	Ambiguous                    // it may have been taken (timeout, reset after writing)
)

func (o Outcome) String() string {
	return [...]string{"none", "accepted", "gone", "retry", "refused", "ambiguous"}[min(int(o), 5)]
}

// Receipt is a channel's verdict on one attempt.
type Receipt struct {
	Outcome Outcome
	Status  int           // HTTP or SMTP status; 0: no answer
	After   time.Duration // Retry only: wait at least this long; 0: the sender's own backoff
	Reason  string        // a short word for metrics and the desk: "accepted", "timeout", "vapid", "server-error"; no address, no endpoint
	// SlowOrigin asks the sender to slow or pause the whole origin (401/403 over
	// the breaker's share, 429 on many, 5xx in a row).
	SlowOrigin bool
	// Detail is the answer in the peer's own words, one short line without
	// addresses, endpoints or keys; "" when there was none.
	Detail string
}
