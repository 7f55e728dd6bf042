package dispatch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// lanes are one queue and a few workers per push-service origin: a slow origin
// holds up nobody else.
type lanes struct {
	service *Service
	sends   context.Context //nolint:containedctx // of the requests in flight, which outlive Run's
	stop    chan struct{}   // closed: nothing starts any more
	workers sync.WaitGroup

	mu     sync.Mutex
	byName map[string]*lane
	closed bool
}

func newLanes(s *Service) *lanes {
	return &lanes{service: s, byName: map[string]*lane{}, stop: make(chan struct{})}
}

func (l *lanes) start(sends context.Context) { l.sends = sends }

// enqueue hands tasks to their lanes. Their numbers are committed as opened.
func (l *lanes) enqueue(tasks []task) {
	for _, t := range tasks {
		l.lane(t.lane).push(t)
	}
}

func (l *lanes) lane(origin string) *lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byName[origin] == nil {
		l.byName[origin] = &lane{lanes: l, origin: origin}
	}
	return l.byName[origin]
}

// close stops taking tasks. idle is closed when the requests in flight are over.
func (l *lanes) close() (idle <-chan struct{}) {
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		close(l.stop)
	}
	l.mu.Unlock()
	over := make(chan struct{})
	go func() {
		l.workers.Wait()
		close(over)
	}()
	return over
}

// hire counts one more worker, if there may be any.
func (l *lanes) hire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.workers.Add(1)
	}
	return !l.closed
}

// retire forgets a lane that has nothing to do and nothing to remember: origins
// are strangers' words, and there can be many.
func (l *lanes) retire(old *lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byName[old.origin] == old { // else it was handed a task when it had been forgotten already
		delete(l.byName, old.origin)
	}
}

// lane is one push service.
type lane struct {
	lanes  *lanes
	origin string
	mu     sync.Mutex
	queues [weights][]task
	active int // workers running
	health health
}

// push queues a task and starts a worker when there is room for one.
func (l *lane) push(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := weight(&t.cell.run.release)
	l.queues[w] = append(l.queues[w], t)
	l.grow()
}

// grow starts one more worker, if the lane may have one. l.mu is held.
func (l *lane) grow() {
	if l.active < l.health.workers(l.lanes.service.cfg.LaneWorkers) && l.lanes.hire() {
		l.active++
		go l.work()
	}
}

// work sends until the queue is empty, the lane has too many workers for its
// health, or the process ends.
func (l *lane) work() {
	defer l.lanes.workers.Done()
	for {
		t, pause, ok := l.take()
		switch {
		case ok:
			l.lanes.service.attempt(l, t)
		case pause > 0:
			l.rest(pause)
		default:
			return
		}
	}
}

// longestRest bounds one wait of a worker: afterwards it looks again, since the
// lane's health may have changed.
const longestRest = time.Second

// take gives the most urgent task. Without one, pause says how long to rest
// before asking again; 0: the worker ends.
func (l *lane) take() (t task, pause time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w, queued := l.first()
	if !queued || l.active > l.health.workers(l.lanes.service.cfg.LaneWorkers) || l.lanes.isClosed() {
		if l.active--; l.active == 0 && !queued && l.health.clean(time.Now()) {
			l.lanes.retire(l)
		}
		return task{}, 0, false
	}
	if pause := l.health.pause(time.Now()); pause > 0 {
		return task{}, min(pause, longestRest), false
	}
	if !l.lanes.service.permit.holds() {
		return task{}, longestRest, false
	}
	q := l.queues[w]
	l.queues[w] = q[1:]
	if len(q) == 1 {
		l.queues[w] = nil // let the array go
	}
	if _, more := l.first(); more {
		l.grow()
	}
	return q[0], 0, true
}

// first is the most urgent queue that has something. l.mu is held.
func (l *lane) first() (weight int, ok bool) {
	for w, q := range l.queues {
		if len(q) > 0 {
			return w, true
		}
	}
	return 0, false
}

func (l *lanes) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// rest waits for the end of the pause, or for a permit where there is none.
func (l *lane) rest(pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	var permit <-chan struct{}
	if p := l.lanes.service.permit; !p.holds() {
		permit = p.given()
	}
	select {
	case <-timer.C:
	case <-permit:
	case <-l.lanes.stop:
	}
}

// note takes a receipt into account and says so when the push service stands
// differently now: an operator must hear of it from us, not from readers.
func (l *lane) note(r news.Receipt) {
	l.mu.Lock()
	before := l.health.standing()
	l.health.note(r, time.Now())
	now := l.health.standing()
	l.mu.Unlock()
	if before == now {
		return
	}
	log := l.lanes.service.log.With("service", l.origin, "status", r.Status)
	switch now {
	case standingRefusing:
		log.Error("a push service refuses our key or our clock: sends to it wait, one looks every minute; nobody is deleted", "reason", r.Reason)
	case standingDown:
		log.Warn("a push service does not answer or is failing: sends to it wait, one looks every 5 s")
	case standingSlow:
		log.Warn("a push service asks us to slow down: sends to it are fewer at once")
	default:
		log.Info("a push service is well again")
	}
}

// Standings counts the push services there is something to say of: "throttling",
// "down" (failing or silent) and "refusing" (401/403 all over: our key or clock).
func (s *Service) Standings() map[string]int {
	s.lanes.mu.Lock() // never with a lane's: its workers take that one first
	all := slices.Collect(maps.Values(s.lanes.byName))
	s.lanes.mu.Unlock()
	n := map[string]int{standingSlow: 0, standingDown: 0, standingRefusing: 0}
	for _, l := range all {
		l.mu.Lock()
		if w := l.health.standing(); w != standingWell {
			n[w]++
		}
		l.mu.Unlock()
	}
	return n
}

// attempt makes one send: asks the book, sends, records, and asks for a write
// when enough has come together.
func (s *Service) attempt(l *lane, t task) {
	if o, ok := s.book.start(t); ok {
		m := t.cell.run.payload.message(o, s.cfg.Links)
		m.Permit = func() error { return s.book.permits(t) }
		m.Key = s.takeKey(t, o.device)
		s.stir()
		receipt := s.cfg.Sender.Send(l.lanes.sends, target(o.device), m)
		s.count(receipt)
		l.note(receipt)
		s.book.answer(t, o.device.Push.Endpoint, receipt)
	}
	if s.book.worthWriting(t.lane) {
		signal(s.commit)
	}
}

func (s *Service) count(r news.Receipt) {
	if ownDoing(r) {
		return
	}
	s.figures.Sends.Add(1)
	switch r.Outcome {
	case news.Accepted:
		s.figures.Accepted.Add(1)
	case news.Gone:
		s.figures.Gone.Add(1)
	case news.Retry:
		s.figures.Retried.Add(1)
	case news.Ambiguous:
		s.figures.Ambiguous.Add(1)
	default:
		s.figures.Failed.Add(1)
	}
}
