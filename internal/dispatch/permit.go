package dispatch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"dateline/internal/news"
)

// permit is the right to start sends, for a short while, in monotonic time. It
// is renewed by reading the stop counter; when that can't be read, or the
// process was frozen, it runs out by itself (DESIGN 8, "Stop").
type permit struct {
	mu    sync.Mutex
	until time.Time     // with a monotonic reading
	brake time.Time     // until then there is none, whatever is read
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
	if !p.open && !time.Now().Before(p.brake) {
		p.open = true
		close(p.free)
	}
}

// pause keeps the permit from holding until then: the next renewal after it
// gives it back.
func (p *permit) pause(until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.brake = until
	p.close()
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
	if !time.Now().Before(p.until) {
		p.close()
	}
	return p.open
}

// given is closed once there is a permit.
func (p *permit) given() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.free
}

// brakeFor is how long a press on a stop keeps sends from starting before it is
// written down. It is said again every 80 ms until then.
const brakeFor = 200 * time.Millisecond

// Brake keeps sends from starting for a moment: somebody has pressed a stop, and
// the store does not have it yet.
func (s *Service) Brake() { s.permit.pause(time.Now().Add(brakeFor)) }

// permitLoop renews the permit every PermitEvery, and when somebody says that
// there is something to see.
func (s *Service) permitLoop(ctx context.Context) error {
	tick := time.NewTicker(s.cfg.PermitEvery)
	defer tick.Stop()
	last := int64(-1)
	for {
		counter, err := s.renewPermit(ctx, last)
		if err != nil && ctx.Err() == nil {
			s.permitTrouble.warn(s.log, "no permit: the stop counter can't be read; sends pause", err)
		}
		last = counter
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-s.look:
			signal(s.poke) // news of devices come this way, too
		}
	}
}

// renewPermit reads the stop counter. When it has moved since last, what it
// stands for is applied to the book before the permit is prolonged: every
// change of what may be sent moves it, and nobody else writes the book's
// states, so no older reading ever undoes a newer.
func (s *Service) renewPermit(ctx context.Context, last int64) (int64, error) {
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, s.cfg.PermitFor)
	defer cancel()
	counter, err := s.cfg.Store.Control(ctx)
	if err != nil {
		return last, err
	}
	s.book.passed(asked, s.cfg.PermitFor)
	if counter != last {
		if err := s.applyStates(ctx); err != nil {
			return last, err
		}
		signal(s.poke)
	}
	s.permit.renew(asked.Add(s.cfg.PermitFor))
	return counter, nil
}

// applyStates copies the state of every active release into the book. One that
// the book takes for active and the store does not list was closed meanwhile,
// sent or stopped: it is asked for by itself.
func (s *Service) applyStates(ctx context.Context) error {
	active, err := s.cfg.Store.ActiveReleases(ctx)
	if err != nil {
		return fmt.Errorf("active releases: %w", err)
	}
	closed := map[string]news.ReleaseState{}
	for _, id := range s.book.unlisted(active) {
		r, err := s.cfg.Store.Release(ctx, id)
		switch {
		case errors.Is(err, news.ErrNotFound):
			closed[id] = news.ReleaseStopped
		case err != nil:
			return fmt.Errorf("release %s: %w", id, err)
		default:
			closed[id] = r.State
		}
	}
	s.book.setStates(active, closed)
	return nil
}
