package dispatch

import (
	"errors"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// stoppedWait is when a message that was stopped before its first byte is
// looked at again.
const (
	reasonStopped = "stopped" // push's word for it
	stoppedWait   = 50 * time.Millisecond
)

// start asks the book whether the send of t may start at this moment, and
// gives what to send. It is called under a permit. false: the task is over, or
// waits (frozen), and is no longer the lane's.
func (b *book) start(t task, links payloadLinks) (push.Target, push.Message, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := t.cell
	if c.lost {
		b.done(t)
		return push.Target{}, push.Message{}, false
	}
	now := b.now()
	deadline := t.run.release.Deadline
	extra, late := c.extra[t.number]
	if late {
		deadline = extra.until
	}
	switch {
	case t.run.state == news.ReleaseHeld:
		c.todo[t.lane] = append(c.todo[t.lane], t.number)
		b.done(t)
		return push.Target{}, push.Message{}, false
	case t.run.state == news.ReleaseStopped:
		b.giveUp(c, t.number, c.row.Cancelled)
		b.done(t)
		return push.Target{}, push.Message{}, false
	case !deadline.After(now):
		b.giveUp(c, t.number, c.row.Expired)
		b.done(t)
		return push.Target{}, push.Message{}, false
	}
	d, ok := b.audience.Cell(c.row.Cell).Device(t.number)
	if !ok || !wants(d, &t.run.release, now) {
		b.giveUp(c, t.number, c.row.Cancelled)
		b.done(t)
		return push.Target{}, push.Message{}, false
	}
	c.inFlight[t.number] = true
	ref := news.DeviceRef{Cell: c.row.Cell, Number: t.number}
	m := t.run.payload.message(d.Wishes.Language, ref, extra.more, deadline.Sub(now), links)
	m.Permit = func() error { return b.permits(t) }
	return push.Target{Endpoint: d.Push.Endpoint, P256dh: d.Push.P256dh, Auth: d.Push.Auth}, m, true
}

// errStopped keeps a message from leaving: it was held, stopped, or the permit
// ran out while it waited for a connection.
var errStopped = errors.New("stopped before the first byte")

// permits is asked in the instant before the first byte is handed over.
func (b *book) permits(t task) error {
	if !b.permit.holds() {
		return errStopped
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.run.state == news.ReleaseHeld || t.run.state == news.ReleaseStopped || t.cell.lost {
		return errStopped
	}
	return nil
}

// wants reports whether the device may still be sent to: leaving, pausing and
// muting the story stop sends even after the plan was frozen. A repair goes to
// a paused reader too: she has the wrong text in her hands.
func wants(d news.Device, r *news.Release, now time.Time) bool {
	if d.State != news.DeviceActive {
		return false
	}
	if r.Repair() {
		return true
	}
	if d.Wishes.PausedUntil.After(now) {
		return false
	}
	for _, uri := range d.Wishes.MutedStories {
		if uri == r.StoryURI {
			return false
		}
	}
	return true
}

// giveUp settles a number that will not be tried again. One that may have been
// sent stays ambiguous: whoever may have the text must stay known for repairs.
func (b *book) giveUp(c *cellRun, n uint32, to *news.Numbers) {
	if !c.row.Ambiguous.Contains(n) {
		c.row.Settle(n, to)
	}
	c.dirty = true
}

// done takes a task out of the book's count of work.
func (b *book) done(t task) {
	t.cell.queue--
	b.load(t.lane).working--
}

// answer records a receipt. It returns the wait before the next attempt, 0
// when there is none.
func (b *book) answer(t task, r news.Receipt) (retry time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.load(t.lane).answered++
	c := t.cell
	if c.lost { // its new holder finds it opened without an answer
		b.done(t)
		return 0
	}
	delete(c.inFlight, t.number)
	c.dirty = true
	now := b.now()
	switch r.Outcome {
	case news.Accepted:
		c.row.Settle(t.number, c.row.Accepted)
		c.row.Timing.Record(t.run.release.ReleasedAt, now)
	case news.Gone:
		c.row.Settle(t.number, c.row.Gone)
		b.gone = append(b.gone, news.DeviceRef{Cell: c.row.Cell, Number: t.number})
	case news.Refused:
		b.giveUp(c, t.number, c.row.Failed)
	case news.Ambiguous:
		c.row.Settle(t.number, c.row.Ambiguous)
		return b.again(c, t, r, now)
	default:
		return b.again(c, t, r, now)
	}
	b.done(t)
	return 0
}

// again plans the next attempt, or gives up when the alert's deadline comes
// first.
func (b *book) again(c *cellRun, t task, r news.Receipt, now time.Time) time.Duration {
	deadline := t.run.release.Deadline
	if extra, late := c.extra[t.number]; late {
		deadline = extra.until
	}
	wait := backoff(t.tries, r.After, t.number)
	if r.Reason == reasonStopped { // not an attempt: nothing left
		wait = stoppedWait
		t.tries--
	}
	switch {
	case t.run.state == news.ReleaseStopped:
		b.giveUp(c, t.number, c.row.Cancelled)
	case now.Add(wait).After(deadline):
		b.giveUp(c, t.number, c.row.Expired)
	default:
		t.tries++
		b.load(t.lane).working--
		b.retries.add(now.Add(wait), t)
		return wait
	}
	b.done(t)
	return 0
}

// dueRetries takes the tasks whose wait is over, and says when the next ends.
func (b *book) dueRetries(now time.Time) (due []task, next time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	due, next = b.retries.take(now)
	for _, t := range due {
		b.load(t.lane).working++
	}
	return due, next
}
