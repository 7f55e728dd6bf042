package email

import (
	"context"
	"sync"
	"time"
)

// pool holds the connections: at most so many are open, and a mail waits for
// its turn. Idle ones are closed by whoever comes next, or by close.
type pool struct {
	config Config
	turns  chan struct{}
	mu     sync.Mutex
	idle   []*session
	timer  *time.Timer
}

func newPool(c Config) *pool {
	return &pool{config: c, turns: make(chan struct{}, c.Connections)}
}

// enter waits for a turn.
func (p *pool) enter(ctx context.Context) error {
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() { <-p.turns }

// take gives an idle connection, or nil.
func (p *pool) take() *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	s := p.idle[len(p.idle)-1]
	p.idle = p.idle[:len(p.idle)-1]
	return s
}

// keep puts a healthy connection back, unless it has carried enough.
func (p *pool) keep(s *session) {
	if s.mails >= p.config.MailsPerConnection {
		s.quit()
		return
	}
	s.idle = time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, s)
	if p.timer == nil {
		p.timer = time.AfterFunc(p.config.IdleAfter, p.sweep)
	}
}

// sweep closes what has been idle too long, and comes again while there is
// something left.
func (p *pool) sweep() {
	p.mu.Lock()
	var stale, fresh []*session
	for _, s := range p.idle {
		if time.Since(s.idle) >= p.config.IdleAfter {
			stale = append(stale, s)
		} else {
			fresh = append(fresh, s)
		}
	}
	p.idle, p.timer = fresh, nil
	if len(fresh) > 0 {
		p.timer = time.AfterFunc(p.config.IdleAfter, p.sweep)
	}
	p.mu.Unlock()
	for _, s := range stale {
		s.quit()
	}
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	p.mu.Unlock()
	for _, s := range idle {
		s.quit()
	}
}
