package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	end := time.NewTimer(time.Hour) // of a countdown: an alert does not wait for the next look
	defer end.Stop()
	whole := true
	for {
		if next := s.book.dueRetries(time.Now()); !next.IsZero() {
			retry.Reset(time.Until(next))
		}
		if err := s.step(ctx, whole); err != nil && ctx.Err() == nil {
			s.stepTrouble.warn(s.log, "a step failed and is tried again", err)
		}
		if !s.nextEnd.IsZero() {
			end.Reset(s.nextEnd.Sub(s.cfg.Now()))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			whole = true
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
// Whatever fails, the rest is done: above all, answers are written.
func (s *Service) step(ctx context.Context, whole bool) error {
	var err error
	if whole {
		err = s.lookAtReleases(ctx)
		s.wakeSleepers(s.cfg.Now())
		s.caps.prune(s.cfg.Now())
		s.lanes.sweep(time.Now())
	}
	if e := s.writeLedger(ctx); e != nil {
		err = errors.Join(err, e)
	} else {
		s.clearOut()
	}
	s.countPlanned()
	return errors.Join(err, s.tendCanaries(ctx), s.settle(ctx))
}

// lookAtReleases ends countdowns, takes over what is active, cancels what was
// stopped and plans what has no plan yet.
func (s *Service) lookAtReleases(ctx context.Context) error {
	err := errors.Join(s.endCountdowns(ctx), s.takeIn(ctx))
	h := s.held.list()
	if len(h.cells) == 0 {
		return err
	}
	err = errors.Join(err, s.loadDevices(ctx, h.cells), s.openActive(ctx))
	if e := errors.Join(s.adoptHeld(ctx, h), s.adoptRows(ctx, h)); e != nil {
		return errors.Join(err, e) // whoever does not know the rows must not plan: there may be some
	}
	s.book.stopWaiting()
	s.uncountedWait = false
	for _, r := range s.book.inOrder() {
		if s.uncountedWait && !r.release.Repair() {
			continue // in their order, once what went before is counted
		}
		if e := s.planRun(r, h); e != nil {
			err = errors.Join(err, fmt.Errorf("plan release %s: %w", r.release.ID, e))
		}
	}
	return err
}

// openActive takes what is active into the book.
func (s *Service) openActive(ctx context.Context) error {
	var err error
	for _, uri := range s.book.missing() {
		err = errors.Join(err, s.openStory(ctx, uri))
	}
	return err
}

// openStory takes everything ever released about a story into the book: who
// was sent one of it decides who is sent another.
func (s *Service) openStory(ctx context.Context, uri string) error {
	s.stir()
	all, err := s.cfg.Store.ReleasesOfStory(ctx, uri)
	if err != nil {
		return fmt.Errorf("releases of story %s: %w", uri, err)
	}
	for _, r := range all {
		loudest := news.Level(0)
		for _, e := range all {
			if e.AlertID != r.AlertID && e.Revision < r.Revision {
				loudest = max(loudest, e.Level)
			}
		}
		raised := r.Raised || loudest > 0 && r.Level > loudest
		words := newPayloads(&r, s.cfg.BaseURL, raised)
		words.mark, words.unasked = s.cfg.Mark, s.cfg.NoReceipts
		s.book.open(r, all, words, s.query(r))
	}
	return nil
}

// endCountdowns turns alerts whose hold is over into releases, and has the plans
// of the next made. Any process may do it; the row's state decides who was first.
func (s *Service) endCountdowns(ctx context.Context) error {
	now := s.cfg.Now()
	s.nextEnd = time.Time{}
	all, err := s.cfg.Store.Countdowns(ctx, now.Add(foreseen))
	if err != nil {
		return fmt.Errorf("countdowns: %w", err)
	}
	due := slices.IndexFunc(all, func(a news.Alert) bool { return a.HoldUntil.After(now) })
	if due < 0 {
		due = len(all)
	}
	if due < len(all) {
		s.nextEnd = all[due].HoldUntil
	}
	s.forecasts.expect(all[due:], now)
	if due == 0 {
		return nil
	}
	policies, err := s.cfg.Store.Policies(ctx)
	if err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	for _, a := range all[:due] {
		err = errors.Join(err, s.endCountdown(ctx, a.ID, policies))
	}
	return err
}

func (s *Service) endCountdown(ctx context.Context, id string, policies news.Policies) error {
	terms := s.cfg.Terms
	terms.Now = s.cfg.Now()
	_, err := s.cfg.Store.ChangeAlert(ctx, id, func(a *news.Alert, story news.Story) (news.AlertAction, error) {
		terms.Policy = policies[a.Level]
		return news.EndHold(a, &story, terms)
	})
	switch {
	case errors.Is(err, news.ErrConflict):
		s.log.Info("a countdown ended without a send", "alert", id, "why", err)
		return nil
	case err != nil:
		return fmt.Errorf("begin alert %s: %w", id, err)
	}
	signal(s.look)
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
		if err := s.openStory(ctx, r.StoryURI); err != nil {
			return err
		}
	}
	s.book.adoptFound(rows, h)
	s.book.markAwake(fresh)
	return nil
}

// settling is how many releases are closed at a time: on a day of many notices
// they share the database's commits.
const settling = 8

// settle tells the store of runs that have nothing left to do here.
func (s *Service) settle(ctx context.Context) error {
	var all errgroup.Group
	all.SetLimit(settling)
	for _, r := range s.book.finished(s.held.list()) {
		all.Go(func() error {
			done, err := s.cfg.Store.SettleRelease(ctx, r.release.ID)
			if err != nil {
				return fmt.Errorf("settle release %s: %w", r.release.ID, err)
			}
			if done { // else other processes have cells to finish
				s.book.closed(r)
			}
			return nil
		})
	}
	err := all.Wait()
	s.book.forget()
	return err
}
