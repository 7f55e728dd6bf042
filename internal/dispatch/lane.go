package dispatch

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// lanes are a queue and a few pumps per push-service origin: a slow origin holds up
// nobody else.
type lanes struct {
	service *Service
	sends   context.Context //nolint:containedctx // of the requests in flight, which outlive Run's
	stop    chan struct{}   // closed: nothing starts any more
	workers sync.WaitGroup  // pumps, and volleys that are not answered

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

// hire counts one more pump, if there may be any.
func (l *lanes) hire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.workers.Add(1)
	}
	return !l.closed
}

// sweep forgets the lanes that nobody would miss.
func (l *lanes) sweep(now time.Time) {
	l.mu.Lock() // never with a lane's: its pumps take that one first
	all := slices.Collect(maps.Values(l.byName))
	l.mu.Unlock()
	for _, x := range all {
		if x.forgettable(now) {
			l.retire(x)
		}
	}
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
	lanes    *lanes
	origin   string
	mu       sync.Mutex
	queues   [weights][]task
	pumps    int // running
	inFlight int // tasks that were taken and are not answered
	health   health
	idle     time.Time // since when there is nothing to do; zero: there is
}

// forgetAfter is how long a lane with nothing to do and nothing to remember is
// kept: between two commits it may have nothing for a moment.
const forgetAfter = 10 * time.Second

// mostPumps of a lane wait for room, or write, at once: one for each connection a
// push service is given, and one to ask for the next.
const mostPumps = 17

// push queues a task and starts a pump when there is none.
func (l *lane) push(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := weight(&t.cell.run.release)
	l.queues[w] = append(l.queues[w], t)
	l.idle = time.Time{}
	if l.pumps == 0 {
		l.grow()
	}
}

// grow starts one more pump, if the lane may have one. l.mu is held.
func (l *lane) grow() {
	if l.pumps < mostPumps && l.room() > 0 && l.lanes.hire() {
		l.pumps++
		go l.pump()
	}
}

// room is how many tasks more may be in flight. l.mu is held.
func (l *lane) room() int {
	return l.health.inFlight(l.lanes.service.cfg.InFlight) - l.inFlight
}

// pump sends until there is nothing more that may be in flight, or the process
// ends. Whoever takes an answer in starts the next.
func (l *lane) pump() {
	defer l.lanes.workers.Done()
	for {
		most, pause := l.demand()
		switch {
		case most > 0:
			l.send(most)
		case pause > 0:
			l.rest(pause)
		default:
			return
		}
	}
}

// longestRest bounds one wait of a pump: afterwards it looks again, since the
// lane's health may have changed.
const longestRest = time.Second

// demand is how many tasks there are that may go. Without one, pause says how long
// to rest before asking again; 0: the pump ends.
func (l *lane) demand() (most int, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	most = min(l.room(), l.waiting(push.MaxBatch))
	if most <= 0 || l.lanes.isClosed() {
		l.pumps--
		l.rests()
		return 0, 0
	}
	if pause := l.health.pause(time.Now()); pause > 0 {
		return 0, min(pause, longestRest)
	}
	if !l.lanes.service.permit.holds() {
		return 0, longestRest
	}
	return most, 0
}

// rests notes when there is nothing to do any more. l.mu is held.
func (l *lane) rests() {
	if l.pumps == 0 && l.inFlight == 0 && l.waiting(1) == 0 {
		l.idle = time.Now()
	}
}

// forgettable reports whether nobody would miss the lane.
func (l *lane) forgettable(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.idle.IsZero() && now.Sub(l.idle) >= forgetAfter && l.health.clean(now)
}

// waiting is how many tasks are queued, counted up to a bound. l.mu is held.
func (l *lane) waiting(bound int) (n int) {
	for _, q := range l.queues {
		if n += len(q); n >= bound {
			return bound
		}
	}
	return n
}

// send takes at most so many tasks to the push service, as soon as it has room.
func (l *lane) send(most int) {
	s := l.lanes.service
	room, fault := s.cfg.Sender.Reserve(l.lanes.sends, l.origin, most)
	if room == nil && fault == nil {
		return // none yet
	}
	v := newVolley(l)
	defer v.done()
	if fault != nil {
		l.takeQueued(v, *fault)
		s.book.start(v)
		v.fail(*fault, most)
		return
	}
	if l.take(v, min(most, room.Places())); !s.fill(v) {
		room.Release()
		return
	}
	s.stir()
	room.Send(l.lanes.sends, v.messages, v.permits, l, v)
}

// take moves the most urgent tasks into a volley. From then on they are in flight,
// until landed says otherwise.
func (l *lane) take(v *volley, most int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lanes.service.permit.holds() {
		return
	}
	l.move(v, min(most, l.room()))
}

// takeQueued takes what waits, whatever may be in flight: the service can't be
// reached, and what has expired or was cancelled must not wait until it is. One that
// nothing is sent to by our own rules is no worse for it.
func (l *lane) takeQueued(v *volley, why news.Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.move(v, firstWindow)
	if why.Outcome == news.Retry {
		l.health.unreached(time.Now())
	}
}

// move moves tasks. l.mu is held.
func (l *lane) move(v *volley, most int) {
	for w := range l.queues {
		q := l.queues[w]
		n := max(0, min(most-len(v.asked), len(q)))
		v.asked = append(v.asked, q[:n]...)
		if l.queues[w] = q[n:]; n == len(q) {
			l.queues[w] = nil // let the array go
		}
	}
	l.inFlight += len(v.asked)
	l.health.peak = max(l.health.peak, l.inFlight)
	if l.waiting(1) > 0 {
		l.grow()
	}
}

// landed says that so many tasks are not in flight any more.
func (l *lane) landed(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight -= n
	if l.waiting(1) > 0 && l.pumps == 0 {
		l.grow()
		return
	}
	l.rests()
}

// poke has the conductor write, where it is worth it.
func (l *lane) poke() {
	if s := l.lanes.service; s.book.worthWriting(l.origin) {
		signal(s.commit)
	}
}

// Report takes in what became of messages.
func (l *lane) Report(reports []push.Report) {
	s := l.lanes.service
	l.note(reports)
	for i := range reports {
		s.count(reports[i].Receipt)
	}
	s.stir()
	s.book.answers(reports)
	l.landed(len(reports))
	l.poke()
	for i := range reports {
		volleyOf(&reports[i]).done()
	}
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

// note takes receipts into account and says so when the push service stands
// differently now: an operator must hear of it from us, not from readers.
func (l *lane) note(reports []push.Report) {
	at := time.Now()
	l.mu.Lock()
	before := l.health.standing()
	now := before
	var r news.Receipt // the last that changed it
	for i := range reports {
		sent := volleyOf(&reports[i]).sent()
		if reports[i].Receipt.Outcome == news.Accepted {
			l.health.time(at.Sub(sent))
		}
		if l.health.stale(reports[i].Receipt, sent) {
			continue
		}
		l.health.note(reports[i].Receipt, at)
		if is := l.health.standing(); is != now {
			now, r = is, reports[i].Receipt
		}
	}
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
	s.lanes.mu.Lock() // never with a lane's: its pumps take that one first
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
