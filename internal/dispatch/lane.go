package dispatch

import (
	"context"
	"sync"
	"time"

	"dateline/internal/news"
)

// lanes are one queue and a few workers per push-service origin: a slow origin
// holds up nobody else.
type lanes struct {
	service *Service
	mu      sync.Mutex
	byName  map[string]*lane
	ctx     context.Context //nolint:containedctx // of the requests in flight, which outlive Run's
	workers sync.WaitGroup
	closed  bool
}

func newLanes(s *Service) *lanes { return &lanes{service: s, byName: map[string]*lane{}} }

func (l *lanes) start(ctx context.Context) { l.ctx = ctx }

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
		l.byName[origin] = &lane{lanes: l, origin: origin, arrived: make(chan struct{}, 1)}
	}
	return l.byName[origin]
}

// drain stops taking tasks and waits for the requests in flight, or for ctx.
func (l *lanes) drain(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	over := make(chan struct{})
	go func() {
		l.workers.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-ctx.Done():
	}
}

// lane is one push service.
type lane struct {
	lanes   *lanes
	origin  string
	mu      sync.Mutex
	queues  [weights][]task
	active  int // workers running
	health  health
	arrived chan struct{}
}

// push queues a task and starts a worker when there is room for one.
func (l *lane) push(t task) {
	l.mu.Lock()
	w := weight(&t.run.release)
	l.queues[w] = append(l.queues[w], t)
	l.grow()
	l.mu.Unlock()
}

// grow starts one more worker, if the lane may have one. l.mu is held.
func (l *lane) grow() {
	if l.active >= l.health.workers(l.lanes.service.cfg.LaneWorkers) {
		return
	}
	l.lanes.mu.Lock()
	defer l.lanes.mu.Unlock()
	if l.lanes.closed {
		return
	}
	l.active++
	l.lanes.workers.Add(1)
	go l.work(l.lanes.ctx)
}

// take gives the most urgent task; false when there is none, or too many
// workers for the lane's health: then the worker ends.
func (l *lane) take() (task, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.lanes.isClosed() && l.active <= l.health.workers(l.lanes.service.cfg.LaneWorkers) {
		for w := range l.queues {
			if q := l.queues[w]; len(q) > 0 {
				l.queues[w] = q[1:]
				if len(q) == 1 {
					l.queues[w] = nil // let the array go
				}
				if l.queued() > 0 {
					l.grow()
				}
				return q[0], true
			}
		}
	}
	l.active--
	return task{}, false
}

// queued is how many tasks wait. l.mu is held.
func (l *lane) queued() int {
	n := 0
	for _, q := range l.queues {
		n += len(q)
	}
	return n
}

func (l *lanes) isClosed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closed
}

// putBack returns a task that could not be started, at the front.
func (l *lane) putBack(t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := weight(&t.run.release)
	l.queues[w] = append([]task{t}, l.queues[w]...)
}

// work sends until the queue is empty.
func (l *lane) work(ctx context.Context) {
	s := l.lanes.service
	defer l.lanes.workers.Done()
	for {
		t, ok := l.take()
		if !ok {
			return
		}
		if !l.mayStart(ctx) {
			l.putBack(t)
			if l.lanes.isClosed() {
				l.leave()
				return
			}
			continue
		}
		s.attempt(ctx, l, t)
	}
}

func (l *lane) leave() {
	l.mu.Lock()
	l.active--
	l.mu.Unlock()
}

// mayStart waits for the permit and for the lane's own pause to be over. It
// returns false when it has waited: the caller looks again for the most urgent
// task, which may be another by now.
func (l *lane) mayStart(ctx context.Context) bool {
	s := l.lanes.service
	l.mu.Lock()
	pause := l.health.pause(s.cfg.Now())
	l.mu.Unlock()
	if pause > 0 {
		timer := time.NewTimer(min(pause, time.Second))
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		return false
	}
	if s.permit.holds() {
		return true
	}
	wait, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_ = s.permit.wait(wait) // the answer is in holds, at the next look
	return false
}

// attempt makes one send: asks the book, sends, records.
func (s *Service) attempt(ctx context.Context, l *lane, t task) {
	if !t.cell.ours(s.held) {
		s.book.abandon(t)
		return
	}
	to, message, ok := s.book.start(t, s.cfg.Links)
	if !ok {
		s.answered()
		return
	}
	s.figures.Sends.Add(1)
	receipt := s.cfg.Sender.Send(ctx, to, message)
	s.count(receipt)
	l.mu.Lock()
	l.health.note(receipt, s.cfg.Now())
	l.mu.Unlock()
	s.book.answer(t, receipt)
	s.answered()
}

// answered asks for a write when enough has come together, or everything has.
func (s *Service) answered() {
	if s.book.worthWriting() {
		signal(s.commit)
	}
}

func (s *Service) count(r news.Receipt) {
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
