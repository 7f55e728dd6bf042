package dispatch

import (
	"errors"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// Reasons of receipts that are our own doing and say nothing of the push
// service: the permit was refused, the process ends. Nothing has left.
const (
	reasonStopped   = "stopped"
	reasonCancelled = "cancelled"
	stoppedWait     = 50 * time.Millisecond // until such a message is looked at again
)

// ownDoing reports whether nothing was sent because we did not want it any more.
func ownDoing(r news.Receipt) bool {
	return r.Outcome == news.Retry && (r.Reason == reasonStopped || r.Reason == reasonCancelled)
}

// verdict is what becomes of a number at the moment of its send.
type verdict int

const (
	goes verdict = iota
	waits
	stopped   // its release is: the conductor cancels it, or a correction takes it over
	cancelled // its reader does not want it any more, or has something newer
	expired
)

// judge decides about one number at this moment. b.mu is held.
func (b *book) judge(c *cellRun, n uint32, now time.Time) verdict {
	r := c.run
	overtaken, overtaking := b.newer(c, n)
	switch {
	case !c.ours(b.held), r.state == news.ReleaseHeld:
		return waits
	case r.state == news.ReleaseStopped:
		return stopped
	case overtaken:
		return cancelled
	case !c.deadline(n).After(now):
		return expired
	case b.audience.Cell(c.row.Cell).Stopped(n, &r.query, now, b.repairs(c, n)) != "":
		return cancelled
	case overtaking:
		return waits
	}
	return goes
}

// repairs reports whether the number has, or may have, what the run repairs. If
// not, a correction goes to it instead: there is nothing wrong in its hands, and
// its reader may pause or mute it. b.mu is held.
func (b *book) repairs(c *cellRun, n uint32) bool {
	if !c.run.release.Repair() {
		return false
	}
	for _, x := range b.stories[c.run.release.StoryURI] {
		e := x.cells[c.row.Cell]
		if e == nil || !repairs(&c.run.release, &x.release) {
			continue
		}
		if e.row.Accepted.Contains(n) || e.row.Ambiguous.Contains(n) || e.inFlight[n] {
			return true
		}
	}
	return false
}

// deadline is until when a number may be sent.
func (c *cellRun) deadline(n uint32) time.Time {
	if late, ok := c.late[n]; ok {
		return late.until
	}
	return c.run.release.Deadline
}

// order is a send that may start.
type order struct {
	device news.Device
	more   int  // other alerts it stands for
	repeat bool // an earlier attempt may have arrived
	ttl    time.Duration
}

// start asks the book whether the send of t may start at this moment. false:
// the task is over, or its number waits again, and is no longer the lane's.
func (b *book) start(t task) (order, bool) {
	c := t.cell
	d, _ := b.audience.Cell(c.row.Cell).Device(t.number)
	b.mu.Lock()
	defer b.mu.Unlock()
	now, what := b.now(), waits
	if !c.lost {
		what = b.judge(c, t.number, now)
	}
	if what == goes {
		c.inFlight[t.number] = true
		return order{device: d, more: c.late[t.number].more, repeat: c.row.Ambiguous.Contains(t.number), ttl: c.deadline(t.number).Sub(now)}, true
	}
	b.end(t, false)
	switch what {
	case stopped:
		c.notTaken(t.number)
	case cancelled:
		b.giveUp(c, t.number, c.row.Cancelled)
	case expired:
		b.giveUp(c, t.number, c.row.Expired)
	default:
		b.putBack(t)
	}
	return order{}, false
}

// errStopped keeps a message from leaving: it was held, stopped, or the permit
// or the lease ran out while it waited for a connection.
var errStopped = errors.New("stopped before the first byte")

// permits is asked in the instant before the first byte is handed over.
func (b *book) permits(t task) error {
	if !b.permit.holds() {
		return errStopped
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.cell.lost || b.judge(t.cell, t.number, b.now()) != goes {
		return errStopped
	}
	return nil
}

// end takes a task out of the count of work.
func (b *book) end(t task, answered bool) {
	t.cell.tasks--
	b.loads.end(t.lane, answered)
}

// putBack lets a task's number wait to be opened again.
func (b *book) putBack(t task) {
	if t.cell.lost {
		return
	}
	t.cell.notTaken(t.number)
	t.cell.todo[t.lane] = append(t.cell.todo[t.lane], t.number)
}

// giveUp settles a number that will not be tried again. One that may have been
// sent stays ambiguous: whoever may have the text must stay known for repairs.
func (b *book) giveUp(c *cellRun, n uint32, to *news.Numbers) {
	if !c.row.Ambiguous.Contains(n) {
		c.row.Settle(n, to)
		b.uncount(c, n)
	}
	delete(c.tries, n)
	c.dirty = true
}

// answer records a receipt for a message that went to endpoint.
func (b *book) answer(t task, endpoint string, r news.Receipt) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.end(t, true)
	c, n := t.cell, t.number
	if r.Outcome == news.Gone && b.moved(t, endpoint) {
		r = news.Receipt{Outcome: news.Retry} // the answer is about an address she has left
	}
	if r.Outcome == news.Gone {
		b.gone = append(b.gone, news.DeviceRef{Cell: c.row.Cell, Number: n})
	}
	if c.lost { // its new holder finds it opened without an answer
		return
	}
	delete(c.inFlight, n)
	c.dirty = true
	c.noteCanary(n, r)
	switch r.Outcome {
	case news.Accepted:
		c.row.Settle(n, c.row.Accepted)
		c.record(n, b.now())
	case news.Gone:
		c.row.Settle(n, c.row.Gone)
		b.uncount(c, n)
	case news.Refused:
		b.giveUp(c, n, c.row.Failed)
	case news.Ambiguous:
		c.row.Settle(n, c.row.Ambiguous)
		b.again(t, r)
	default:
		c.notTaken(n)
		b.again(t, r)
	}
}

// record times an acceptance. Those who slept are left out: their hours say
// nothing of how fast the alert was.
func (c *cellRun) record(n uint32, now time.Time) {
	delete(c.tries, n)
	if _, late := c.late[n]; !late {
		c.row.Timing.Record(c.run.release.ReleasedAt, now)
	}
}

// moved reports whether the device has another endpoint by now.
func (b *book) moved(t task, endpoint string) bool {
	to, ok := b.audience.Cell(t.cell.row.Cell).Target(t.number)
	return ok && !t.cell.lost && to.Endpoint != endpoint
}

// again plans the next attempt, or gives up when the deadline comes first.
func (b *book) again(t task, r news.Receipt) {
	c, n := t.cell, t.number
	wait := stoppedWait
	if !ownDoing(r) {
		wait = backoff(c.tries[n], r.After, n)
		c.tries[n]++
	}
	switch {
	case c.run.state == news.ReleaseStopped: // as in start
	case b.now().Add(wait).After(c.deadline(n)):
		b.giveUp(c, n, c.row.Expired)
	default:
		c.waiting++
		b.retries.add(time.Now().Add(wait), c, n)
	}
}

// dueRetries lets the numbers whose wait is over be opened again, before those
// that were never tried, and says when the next wait ends; zero: none waits.
func (b *book) dueRetries(now time.Time) (next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	due, next := b.retries.take(now)
	again := map[*cellRun]map[string][]uint32{}
	for _, e := range due {
		c := e.cell
		if c.waiting--; c.lost || c.run.state == news.ReleaseStopped {
			continue // as in start
		}
		if again[c] == nil {
			again[c] = map[string][]uint32{}
		}
		origin := b.originOf(c, e.number) // it may have moved
		again[c][origin] = append(again[c][origin], e.number)
	}
	for c, byOrigin := range again {
		for origin, numbers := range byOrigin {
			c.todo[origin] = append(numbers, c.todo[origin]...)
		}
	}
	return next
}

// target is where to send.
func target(d news.Device) push.Target {
	return push.Target{Endpoint: d.Push.Endpoint, P256dh: d.Push.P256dh, Auth: d.Push.Auth}
}
