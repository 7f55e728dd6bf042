package dispatch

import (
	"context"
	"sync"
	"time"
)

// permit is the right to start sends, for a short while, in monotonic time. It
// is renewed by reading the stop counter; when that can't be read, or the
// process was frozen, it runs out by itself (DESIGN 8, "Stop").
type permit struct {
	mu    sync.Mutex
	until time.Time     // with a monotonic reading
	free  chan struct{} // closed while the permit holds, replaced when it ran out
	open  bool
}

func newPermit() *permit { return &permit{free: make(chan struct{})} }

// renew extends the permit to `until`, which the caller computed from a
// time.Now taken before the read that justifies it.
func (p *permit) renew(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = until
	if !p.open {
		p.open = true
		close(p.free)
	}
}

// revoke ends the permit now.
func (p *permit) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.until = time.Time{}
	p.close()
}

func (p *permit) close() {
	if p.open {
		p.open = false
		p.free = make(chan struct{})
	}
}

// holds reports whether a send may start at this very moment.
func (p *permit) holds() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.until) {
		return true
	}
	p.close()
	return false
}

// wait blocks until a permit is given or ctx ends.
func (p *permit) wait(ctx context.Context) error {
	p.mu.Lock()
	free := p.free
	p.mu.Unlock()
	select {
	case <-free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// permitLoop renews the permit every PermitEvery for PermitFor. When the stop
// counter has moved, what it stands for is applied to the book first.
func (s *Service) permitLoop(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.PermitEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		asked := time.Now()
		read, cancel := context.WithTimeout(ctx, s.cfg.PermitFor)
		counter, err := s.cfg.Store.Control(read)
		if err == nil && counter != last {
			if err = s.applyStates(read); err == nil {
				last = counter
				s.Poke()
			}
		}
		cancel()
		switch {
		case err == nil:
			s.permit.renew(asked.Add(s.cfg.PermitFor))
		case ctx.Err() == nil:
			s.log.Warn("no permit: the stop counter can't be read; sends pause", "err", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// applyStates copies the state of every active release into the book. A
// release that is no longer active has nothing left to start.
func (s *Service) applyStates(ctx context.Context) error {
	active, err := s.cfg.Store.ActiveReleases(ctx)
	if err != nil {
		return err
	}
	s.book.setStates(active)
	return nil
}
