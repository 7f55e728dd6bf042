package desk

import "sync"

// topicPeople wakes the other processes: somebody may have been signed out.
const topicPeople = "people"

// rollcall makes every open stream look at once whether its editor is still
// signed in. One that is busy while it is called looks at its next beat.
type rollcall struct {
	mu   sync.Mutex
	next chan struct{}
}

func newRollcall() *rollcall { return &rollcall{next: make(chan struct{})} }

// called is closed at the next call.
func (c *rollcall) called() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next
}

func (c *rollcall) call() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.next)
	c.next = make(chan struct{})
}

// rollcall calls here and in the other processes.
func (p *Pages) rollcall() {
	p.roll.call()
	if p.desk == nil || p.desk.waker == nil {
		return
	}
	if err := p.desk.waker.Wake(topicPeople); err != nil {
		p.log.Warn("wake-up failed; open pages of other processes look within their beat", "error", err)
	}
}
