package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dateline/internal/news"
)

// conduct is the loop that plans releases and writes the ledger. A failing
// step is logged and tried again: a database that is down pauses alerts, it
// does not end them.
func (s *Service) conduct(ctx context.Context) error {
	poll := time.NewTicker(s.cfg.CommitEvery)
	defer poll.Stop()
	retry := time.NewTimer(time.Hour)
	defer retry.Stop()
	whole := true
	for {
		if err := s.step(ctx, whole); err != nil && ctx.Err() == nil {
			s.log.Error("a step failed and is tried again", "err", err)
		}
		due, next := s.book.dueRetries(s.cfg.Now())
		s.lanes.enqueue(due)
		if !next.IsZero() {
			retry.Reset(max(next.Sub(s.cfg.Now()), time.Millisecond))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.commit:
			whole = false
		case <-retry.C:
			whole = false
		case <-s.poke:
			whole = true
		case <-poll.C:
			whole = true
		}
	}
}

// step looks at everything once; not whole: only writes what was answered.
func (s *Service) step(ctx context.Context, whole bool) error {
	if whole {
		if err := s.lookAtReleases(ctx); err != nil {
			return err
		}
		s.wakeSleepers(s.cfg.Now())
	}
	if err := s.writeLedger(ctx); err != nil {
		return err
	}
	return s.settle(ctx)
}

// lookAtReleases ends countdowns, takes over what is active, cancels what was
// stopped and plans what has no plan yet.
func (s *Service) lookAtReleases(ctx context.Context) error {
	if err := s.endCountdowns(ctx); err != nil {
		return err
	}
	if err := s.takeIn(ctx); err != nil {
		return err
	}
	h := s.held.list()
	if len(h.cells) == 0 {
		return nil
	}
	active, err := s.cfg.Store.ActiveReleases(ctx)
	if err != nil {
		return fmt.Errorf("active releases: %w", err)
	}
	s.book.setStates(active)
	if err := s.loadDevices(ctx, h.cells); err != nil {
		return err
	}
	for _, r := range s.book.missing(active) {
		if err := s.open(ctx, r); err != nil {
			return err
		}
	}
	if err := s.adoptHeld(ctx, h); err != nil {
		return err
	}
	if err := s.adoptRows(ctx, h); err != nil {
		return err
	}
	s.book.stopWaiting()
	for _, r := range s.book.inOrder() {
		if r.release.Repair() {
			s.book.supersede(r)
			s.book.stopWaiting()
		}
		if err := s.planRun(ctx, r, h); err != nil {
			return fmt.Errorf("plan release %s: %w", r.release.ID, err)
		}
	}
	return nil
}

// open takes a release into the book.
func (s *Service) open(ctx context.Context, r news.Release) error {
	all, err := s.cfg.Store.ReleasesOfStory(ctx, r.StoryURI)
	if err != nil {
		return fmt.Errorf("releases of the story: %w", err)
	}
	loudest := news.Level(0)
	for _, e := range all {
		switch {
		case e.AlertID == r.AlertID && e.Revision > r.Revision:
			r.State = news.ReleaseStopped // repaired: nothing of it may start
		case e.AlertID != r.AlertID && e.Revision < r.Revision:
			loudest = max(loudest, e.Level)
		}
	}
	raised := r.Raised || loudest > 0 && r.Level > loudest
	s.book.open(r, newPayloads(&r, s.cfg.BaseURL, raised), s.query(r))
	return nil
}

// endCountdowns turns alerts whose hold is over into releases. Any process may
// do it; the row's state decides who was first.
func (s *Service) endCountdowns(ctx context.Context) error {
	due, err := s.cfg.Store.DueAlerts(ctx, s.cfg.Now())
	if err != nil {
		return fmt.Errorf("due alerts: %w", err)
	}
	for _, id := range due {
		terms := s.cfg.Terms
		terms.Now = s.cfg.Now()
		_, err := s.cfg.Store.ChangeAlert(ctx, id, func(a *news.Alert, story news.Story) (news.AlertAction, error) {
			return news.EndHold(a, &story, terms)
		})
		switch {
		case errors.Is(err, news.ErrConflict):
			s.log.Info("a countdown ended without a send", "alert", id, "why", err)
		case err != nil:
			return fmt.Errorf("begin alert %s: %w", id, err)
		}
	}
	return nil
}

// adoptRows loads the ledger rows of runs in cells that have just come here.
func (s *Service) adoptRows(ctx context.Context, h holding) error {
	ids, lacking := s.book.lacking(h.cells)
	if len(ids) == 0 {
		return nil
	}
	rows, err := s.cfg.Store.Ledger(ctx, ids, lacking)
	if err != nil {
		return fmt.Errorf("ledger of %d releases: %w", len(ids), err)
	}
	s.book.adoptFound(rows, h)
	return nil
}

// adoptHeld loads, once per cell, what waits for the end of quiet hours, also
// of releases that are otherwise done.
func (s *Service) adoptHeld(ctx context.Context, h holding) error {
	fresh := s.book.sleepless(h.cells)
	if len(fresh) == 0 {
		return nil
	}
	rows, err := s.cfg.Store.HeldRows(ctx, fresh)
	if err != nil {
		return fmt.Errorf("held rows: %w", err)
	}
	for _, row := range rows {
		if s.book.has(row.ReleaseID) {
			continue // adoptRows brings it with the others
		}
		r, err := s.cfg.Store.Release(ctx, row.ReleaseID)
		if err != nil {
			return fmt.Errorf("release %s: %w", row.ReleaseID, err)
		}
		if err := s.open(ctx, r); err != nil {
			return err
		}
	}
	s.book.adoptFound(rows, h)
	s.book.markAwake(fresh)
	return nil
}

// settle tells the store of runs that have nothing left to do here.
func (s *Service) settle(ctx context.Context) error {
	for _, r := range s.book.finished() {
		done, err := s.cfg.Store.SettleRelease(ctx, r.release.ID)
		if err != nil {
			return fmt.Errorf("settle release %s: %w", r.release.ID, err)
		}
		if !done {
			continue // other processes have cells to finish
		}
		s.book.markSettled(r)
		if s.cfg.Settled != nil {
			s.cfg.Settled(r.release)
		}
	}
	s.book.forget()
	return nil
}
