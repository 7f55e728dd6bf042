package digest

import (
	"context"
	"slices"
	"sync"
	"time"

	"dateline/internal/email"
)

// queueRoom is how many mails of one slot wait in a lane at most: a page of readers.
// More would only be memory, and older knowledge of the readers.
const queueRoom = pageSize

// parcel is a mail that waits for its turn.
type parcel struct {
	ctx  context.Context
	job  job
	slot string
	done func(outcome, error)
}

// post is the way out: a lane for each mailbox provider, with its own queue,
// connections and pace, so that one that is slow holds up its own readers alone. In a
// lane the slots (zone and hour) take turns, so that a million readers at 07:00 in
// Jakarta do not stand before the few at 08:00 in Shanghai, which is the same moment.
// It is safe for concurrent use.
type post struct {
	send  func(parcel) (outcome, error)
	limit int         // mails under way at once, of all lanes
	busy  func() bool // an alert is on its way: few mails at a time until it is out

	mu     sync.Mutex
	lanes  []*lane
	next   int // whose turn it is
	active int
	queued map[string]bool // mailboxes that wait or are under way
	room   chan struct{}   // closed, and replaced, when there is room again
	timer  *time.Timer
	wakes  time.Time // when the timer does; zero: it does not run
}

// lane is one provider's.
type lane struct {
	email.Provider
	queues map[string][]parcel
	ring   []string // slots that have something, in turn
	active int
	next   time.Time // not before; the pace
	// scale is how much of its connections and pace we use: half after each "too much",
	// back by a quarter with every hundred mails taken.
	scale float64
	taken int
}

// Bounds of a lane's scale.
const (
	scaleLeast    = 1.0 / 16
	scaleRecovers = 1.25
	scaleEvery    = 100
)

func newPost(limit int, busy func() bool, send func(parcel) (outcome, error)) *post {
	p := &post{send: send, limit: limit, busy: busy, queued: map[string]bool{}, room: make(chan struct{})}
	for _, provider := range email.Providers() {
		p.lanes = append(p.lanes, &lane{Provider: provider, queues: map[string][]parcel{}, scale: 1})
	}
	return p
}

func (p *post) laneOf(provider string) *lane {
	for _, l := range p.lanes {
		if l.Name == provider {
			return l
		}
	}
	return p.lanes[len(p.lanes)-1]
}

// offer takes a parcel in, or says that its lane has no room for its slot. A mailbox
// that waits already, or is under way, is not taken twice: that is skipped.
func (p *post) offer(x parcel) bool {
	p.mu.Lock()
	id := x.job.reader.Mailbox.ID
	if p.queued[id] {
		p.mu.Unlock()
		x.done(skipped, nil)
		return true
	}
	l := p.laneOf(x.job.provider)
	if len(l.queues[x.slot]) >= queueRoom {
		p.mu.Unlock()
		return false
	}
	if len(l.queues[x.slot]) == 0 {
		l.ring = append(l.ring, x.slot)
	}
	l.queues[x.slot] = append(l.queues[x.slot], x)
	p.queued[id] = true
	p.pump()
	p.mu.Unlock()
	return true
}

// hasRoom reports whether a lane would take many parcels of a slot: half a queue, so that
// a page of readers is not read for each place that comes free.
func (p *post) hasRoom(provider, slot string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.laneOf(provider).queues[slot]) <= queueRoom/2
}

// waiting is closed when some lane has taken something out since it was read.
func (p *post) waiting() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.room
}

const (
	// busyPause is how often it is looked whether the alert is out.
	busyPause = 100 * time.Millisecond
	// busyShare is how much fewer mails are under way meanwhile. Not none: a push service
	// that is down for an hour must not cost anybody her morning.
	busyShare = 8
)

// pump begins what may begin now. p.mu is held.
func (p *post) pump() {
	limit := p.limit
	if p.busy() {
		limit = max(1, limit/busyShare)
		p.later(busyPause)
	}
	now := time.Now()
	for p.active < limit {
		l := p.ready(now)
		if l == nil {
			return
		}
		x := l.take(now)
		p.active++
		go p.carry(l, x)
	}
}

// ready is the next lane in turn that may begin a mail. p.mu is held.
func (p *post) ready(now time.Time) *lane {
	for i := range p.lanes {
		l := p.lanes[(p.next+i)%len(p.lanes)]
		if len(l.ring) == 0 || l.active >= l.width() {
			continue
		}
		if wait := l.next.Sub(now); wait > 0 && l.head().ctx.Err() == nil {
			p.later(wait)
			continue
		}
		p.next = (p.next + i + 1) % len(p.lanes)
		return l
	}
	return nil
}

// later looks again after a while, or before, if that was asked for. p.mu is held.
func (p *post) later(wait time.Duration) {
	at := time.Now().Add(wait)
	if !p.wakes.IsZero() && !p.wakes.After(at) {
		return
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	p.wakes = at
	p.timer = time.AfterFunc(wait, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wakes = time.Time{}
		p.pump()
	})
}

// head is the parcel whose turn it is.
func (l *lane) head() *parcel { return &l.queues[l.ring[0]][0] }

// take takes the first parcel of the slot whose turn it is.
func (l *lane) take(now time.Time) parcel {
	slot := l.ring[0]
	queue := l.queues[slot]
	x := queue[0]
	queue[0] = parcel{}
	l.ring = l.ring[1:]
	if l.queues[slot] = queue[1:]; len(queue) > 1 {
		l.ring = append(slices.Clip(l.ring), slot)
	} else {
		delete(l.queues, slot)
	}
	l.active++
	if l.PerMinute > 0 && x.ctx.Err() == nil { // what is called off goes at once
		// No credit is saved up: a lane that was idle does not burst.
		l.next = later(l.next, now).Add(time.Duration(float64(time.Minute) / (float64(l.PerMinute) * l.scale)))
	}
	return x
}

// width is how many connections are used of those there are.
func (l *lane) width() int { return max(1, int(float64(l.Connections)*l.scale)) }

// carry sends one parcel and makes room for the next.
func (p *post) carry(l *lane, x parcel) {
	o, err := skipped, error(nil)
	if x.ctx.Err() == nil {
		o, err = p.send(x)
	}
	p.mu.Lock()
	p.active--
	l.active--
	if o == sent {
		if l.taken++; l.taken%scaleEvery == 0 {
			l.scale = min(1, l.scale*scaleRecovers)
		}
	}
	delete(p.queued, x.job.reader.Mailbox.ID)
	close(p.room)
	p.room = make(chan struct{})
	p.pump()
	p.mu.Unlock()
	x.done(o, err)
}

// slow halves a lane: its provider said that it is too much.
func (p *post) slow(provider string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.laneOf(provider)
	l.scale = max(scaleLeast, l.scale/2)
}
