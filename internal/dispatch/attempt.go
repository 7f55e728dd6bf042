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
	// reasonUnreached: somebody else found that the service can't be reached.
	reasonUnreached = "unreached"
	stoppedWait     = 50 * time.Millisecond // until such a message is looked at again
)

// ownDoing reports whether nothing was sent because we did not want it any more.
func ownDoing(r news.Receipt) bool {
	return r.Outcome == news.Retry && (r.Reason == reasonStopped || r.Reason == reasonCancelled || r.Reason == reasonUnreached)
}

// notLookedAt reports whether a message came back from a connection that ended, or
// was refused, before the push service looked at it, or was on its way to a service
// that its device has left: nothing speaks against the service, and the message may
// go again at once.
func notLookedAt(r news.Receipt) bool {
	if r.Outcome != news.Retry {
		return false
	}
	switch r.Reason {
	case "goaway", "unsent", "refused-stream", "moved":
		return true
	}
	return false
}

// atOnce is how often a message that was not looked at goes again without a wait: a
// service that takes none of it is no better than one that is down.
const atOnce = 3

// verdict is what becomes of a number at the moment of its send.
type verdict int

const (
	goes verdict = iota
	waits
	stopped   // its release is: the conductor cancels it, or a correction takes it over
	cancelled // its reader does not want it any more, or has something newer
	expired
)

// instant is a moment in which many numbers are judged: of neighbours in a list of
// tasks the lease is looked at once.
type instant struct {
	now    time.Time
	held   *leases
	cell   *cellRun // the last, and whether its numbers may start
	starts bool
}

func (i *instant) startsIn(c *cellRun) bool {
	if c != i.cell {
		i.cell, i.starts = c, c.starts(i.held)
	}
	return i.starts
}

// judge decides about one number at this moment. b.mu is held.
func (b *book) judge(c *cellRun, n uint32, at *instant) verdict {
	r, now := c.run, at.now
	overtaken, overtaking := b.newer(c, n)
	switch {
	case !at.startsIn(c), r.state == news.ReleaseHeld:
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
		if e.row.Accepted.Contains(n) || e.row.Ambiguous.Contains(n) || e.inFlight.has(n) {
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
	more   int  // other alerts it stands for
	repeat bool // an earlier attempt may have arrived
	ttl    time.Duration
}

// start asks the book which of the volley's sends may start at this moment. The
// others are over, or their numbers wait again, and are no longer the lane's.
func (b *book) start(v *volley) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := &instant{now: b.now(), held: b.held}
	for _, t := range v.asked {
		c, what := t.cell, waits
		if !c.lost {
			what = b.judge(c, t.number, at)
		}
		if what == goes && !c.row.Opened.Contains(t.number) {
			what = waits // its cell was leaving and stays: it is to be written down again first
		}
		if what == goes {
			c.inFlight.add(t.number)
			b.loads.of(t.lane).flying++
			v.add(t, order{more: c.late[t.number].more, repeat: c.row.Ambiguous.Contains(t.number), ttl: c.deadline(t.number).Sub(at.now)})
			continue
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
	}
}

// errStopped keeps messages from leaving: one of them was held, stopped, or the
// permit or a lease ran out while they waited for a connection, or were sealed.
var errStopped = errors.New("stopped before the first byte")

// permits is asked in the instant before the first byte of the tasks is handed
// over. Where one of them may not go, none does: they are looked at again, one by
// one, in a moment.
func (b *book) permits(tasks []task) error {
	if !b.permit.holds() {
		return errStopped
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := &instant{now: b.now(), held: b.held}
	for _, t := range tasks {
		if t.cell.lost || b.judge(t.cell, t.number, at) != goes {
			return errStopped
		}
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

// answers records receipts for messages of volleys.
func (b *book) answers(reports []push.Report) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	for i := range reports {
		v := volleyOf(&reports[i])
		b.answer(v.tasks[reports[i].Index], v.messages[reports[i].Index].To.Endpoint, reports[i].Receipt, now)
	}
}

// answer records a receipt for a message that went to endpoint. b.mu is held.
func (b *book) answer(t task, endpoint string, r news.Receipt, now time.Time) {
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
	c.inFlight.remove(n)
	c.dirty = true
	c.noteCanary(n, r)
	switch r.Outcome {
	case news.Accepted:
		c.row.Settle(n, c.row.Accepted)
		c.record(n, now)
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
	switch {
	case r.Reason == reasonUnreached:
		wait = backoff(0, probeEvery, n)
	case !ownDoing(r):
		if !notLookedAt(r) || c.tries[n] >= atOnce {
			wait = backoff(c.tries[n], r.After, n)
		}
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
