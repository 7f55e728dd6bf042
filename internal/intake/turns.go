package intake

import "sync"

// turns keeps the events about one story in the order in which they were taken,
// and lets all others go beside each other. take and over are for one goroutine.
type turns struct {
	mu    sync.Mutex
	last  map[string]chan struct{} // by story: ended when its newest event is
	under sync.WaitGroup
}

// turn is the place of one event.
type turn struct {
	before chan struct{} // nil: nobody is before it
	ended  chan struct{}
	leave  func()
}

// take gives the next turn of a story.
func (t *turns) take(uri string) turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.under.Add(1)
	own := turn{before: t.last[uri], ended: make(chan struct{})}
	if uri == "" { // of no story we know: nobody waits for it
		own.before, own.leave = nil, t.under.Done
		return own
	}
	if t.last == nil {
		t.last = map[string]chan struct{}{}
	}
	t.last[uri] = own.ended
	own.leave = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.last[uri] == own.ended {
			delete(t.last, uri)
		}
		t.under.Done()
	}
	return own
}

// over waits until every turn that was taken has ended.
func (t *turns) over() { t.under.Wait() }

// begin waits for the turn before.
func (t turn) begin() {
	if t.before != nil {
		<-t.before
	}
}

// end lets the next one begin.
func (t turn) end() {
	close(t.ended)
	t.leave()
}
