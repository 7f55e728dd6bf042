package dispatch

import (
	"context"
	"time"
)

// Limits of the end, inside the 10 s that a stop may take (DESIGN 4).
const (
	cutGrace  = 500 * time.Millisecond // for requests cut off at DrainTimeout to say so
	lastWrite = 2 * time.Second
)

// drain lets what was handed to the sender be answered, goes on renewing the
// leases and writing answers meanwhile, and gives the cells back. What was
// opened and never handed over is not opened any more then: nobody counts as
// perhaps sent who was not.
func (s *Service) drain(cutOff func()) {
	s.permit.revoke()
	s.book.close()
	idle := s.lanes.close()
	if !s.attend(idle, s.cfg.DrainTimeout) {
		s.log.Warn("requests were cut off at the stop; they count as ambiguous")
		cutOff()
		s.attend(idle, cutGrace)
	}
	s.book.unopen()
	ctx, cancel := context.WithTimeout(context.Background(), lastWrite)
	defer cancel()
	if err := s.writeLedger(ctx); err != nil {
		s.log.Error("the last answers were not written; they count as ambiguous", "err", err)
	} else if err := s.settle(ctx); err != nil {
		s.log.Warn("releases were not settled; the next holder does it", "err", err)
	}
	if err := s.cfg.Store.YieldCells(ctx, s.cfg.Holder); err != nil {
		s.log.Warn("cells were not given back; their leases run out", "err", err)
	}
}

// attend keeps leases and ledger going until the lanes are idle; false when that
// takes longer than the limit.
func (s *Service) attend(idle <-chan struct{}, limit time.Duration) bool {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(s.cfg.CommitEvery)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for renewed := time.Now(); ; {
		select {
		case <-idle:
			return true
		case <-end.C:
			return false
		case <-tick.C:
		}
		if time.Since(renewed) >= s.cfg.LeaseTTL/3 {
			renewed = time.Now()
			if err := s.renewCells(ctx); err != nil {
				s.log.Warn("leases were not renewed at the stop", "err", err)
			}
		}
		if err := s.writeLedger(ctx); err != nil {
			s.log.Warn("answers were not written; tried again", "err", err)
		}
	}
}
