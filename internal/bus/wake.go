package bus

import (
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
)

// wakePrefix stands before a topic: dateline.wake.releases.
const wakePrefix = "dateline.wake."

// Wake tells every process that listens on the topic to look at the database
// now. Topics in use: releases, devices, stories, control. During an outage of
// NATS it is kept and sent on reconnection.
func (b *Bus) Wake(topic string) error {
	if err := b.conn.Publish(wakePrefix+topic, nil); err != nil {
		return fmt.Errorf("bus.Wake(%s): %w", topic, err)
	}
	return nil
}

// OnWake calls fn after every wake-up on the topic, and once after every
// reconnection. fn is never called twice at a time; wake-ups that come while it
// runs are one call afterwards. cancel ends that and waits for a running fn (so
// fn itself may not call it).
func (b *Bus) OnWake(topic string, fn func()) (cancel func(), err error) {
	w := &waker{poked: make(chan struct{}, 1), done: make(chan struct{}), ended: make(chan struct{})}
	sub, err := b.conn.Subscribe(wakePrefix+topic, func(*nats.Msg) { w.poke() })
	if err != nil {
		return nil, fmt.Errorf("bus.OnWake(%s): %w", topic, err)
	}
	if !b.wakes.add(topic, w) {
		_ = sub.Unsubscribe()
		return nil, fmt.Errorf("bus.OnWake(%s): %w", topic, errClosed)
	}
	go w.run(fn)
	// The subscription is known to the server before OnWake returns: a wake-up
	// published afterwards is not missed.
	if err := b.conn.Flush(); err != nil {
		b.log.Debug("subscription not confirmed yet", "topic", topic, "error", err)
	}
	return sync.OnceFunc(func() {
		_ = sub.Unsubscribe() // fails only when the connection is closed: then it is gone as well
		b.wakes.remove(topic, w)
		w.stop()
		<-w.ended
	}), nil
}

// waker is one listener.
type waker struct {
	poked    chan struct{}
	done     chan struct{}
	ended    chan struct{}
	stopOnce sync.Once
}

func (w *waker) poke() {
	select {
	case w.poked <- struct{}{}:
	default: // one is waiting already
	}
}

func (w *waker) stop() { w.stopOnce.Do(func() { close(w.done) }) }

func (w *waker) run(fn func()) {
	defer close(w.ended)
	for {
		select {
		case <-w.done:
			return
		case <-w.poked:
		}
		select {
		case <-w.done: // both were ready: the end wins
			return
		default:
			fn()
		}
	}
}

// wakes are the listeners of this process.
type wakes struct {
	mu      sync.Mutex
	closed  bool
	byTopic map[string][]*waker
}

func (s *wakes) add(topic string, w *waker) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.byTopic[topic] = append(s.byTopic[topic], w)
	return true
}

func (s *wakes) remove(topic string, w *waker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byTopic[topic] = slices.DeleteFunc(s.byTopic[topic], func(o *waker) bool { return o == w })
}

// all wakes everybody: what was published while we were away is unknown.
func (s *wakes) all() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, list := range s.byTopic {
		for _, w := range list {
			w.poke()
		}
	}
}

func (s *wakes) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, list := range s.byTopic {
		for _, w := range list {
			w.stop()
		}
	}
}
