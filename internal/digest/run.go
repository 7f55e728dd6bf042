package digest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/news"
)

// maxAhead is how far ahead an instant may lie for which a run is asked: the
// editions of the coming day, and an hour or two of clocks being set.
const maxAhead = 26 * time.Hour

// run is a RunAt under way.
type run struct {
	done    chan struct{}
	waiting int // callers
	figures news.DigestFigures
	err     error
	ended   bool
}

// RunAt sends the editions due up to an instant, the newest of each reader,
// and answers when done. It goes on when the caller goes away; a second call
// with the same instant joins it, and if nobody was left to hear the figures,
// they are added to those of the next call with that instant. Unknown counts
// also what an earlier run, or a crash, left so in the last day's editions.
// Stories are chosen as they stand now, whatever the instant: an embargo is not lifted by
// asking for tomorrow's edition.
func (s *Service) RunAt(ctx context.Context, at time.Time) (news.DigestFigures, error) {
	at = at.UTC().Truncate(time.Microsecond)
	if at.After(s.now().Add(maxAhead)) {
		return news.DigestFigures{}, news.Invalid("at", "must be at most %d hours ahead", int(maxAhead/time.Hour))
	}
	r, err := s.join(at)
	if err != nil {
		return news.DigestFigures{}, err
	}
	select {
	case <-r.done:
		return r.figures, r.err
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		r.waiting--
		return news.DigestFigures{}, ctx.Err()
	}
}

// join finds the run of an instant, or starts it.
func (s *Service) join(at time.Time) (*run, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: the program is stopping", news.ErrUnavailable)
	}
	r := s.runs[at]
	if r != nil && !r.ended {
		r.waiting++
		return r, nil
	}
	next := &run{done: make(chan struct{}), waiting: 1}
	if r != nil { // ended unheard; what is unknown is counted anew
		next.figures = r.figures
		next.figures.Due -= r.figures.Unknown
		next.figures.Unknown = 0
	}
	s.runs[at] = next
	s.busy.Go(func() { s.do(at, next) })
	return next, nil
}

// unheardRuns bounds the runs whose figures wait for somebody to ask.
const unheardRuns = 16

func (s *Service) do(at time.Time, r *run) {
	began := s.now()
	figures, err := s.walk(s.ctx, pass{at: at})
	if err == nil {
		figures, err = s.withUnknown(figures, at)
	}
	s.log.Info("digests run", "at", at, "due", figures.Due, "sent", figures.Sent, "deferred", figures.Deferred, "empty", figures.Empty,
		"failed", figures.Failed, "unknown", figures.Unknown, "took", s.now().Sub(began), "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	r.figures, r.err, r.ended = add(r.figures, figures), err, true
	if r.waiting > 0 || err != nil {
		delete(s.runs, at)
	}
	for old, other := range s.runs {
		if len(s.runs) > unheardRuns && other.ended {
			delete(s.runs, old)
		}
	}
	close(r.done)
}

// withUnknown makes the account name the mails of the last day's editions that
// are unknown and that no account named before, also those that a crash before
// this call left so: they are never sent again by themselves, and nobody else
// would tell.
func (s *Service) withUnknown(f news.DigestFigures, at time.Time) (news.DigestFigures, error) {
	n, err := s.Store.TellUnknown(s.ctx, at.Add(-24*time.Hour), at)
	if err != nil {
		return f, fmt.Errorf("digest: unknown mails: %w", err)
	}
	f.Due += n - f.Unknown
	f.Unknown = n
	return f, nil
}

func add(a, b news.DigestFigures) news.DigestFigures {
	return news.DigestFigures{Due: a.Due + b.Due, Sent: a.Sent + b.Sent, Deferred: a.Deferred + b.Deferred, Empty: a.Empty + b.Empty,
		Failed: a.Failed + b.Failed, Unknown: a.Unknown + b.Unknown}
}

// fullScan is how often all readers are looked at, and not only those whose
// hour has just come: a pause that ended, a zone that changed, an edition that
// another process left.
const fullScan = time.Hour

// Run sends editions as their hours come, and confirmation mails as readers
// sign up, until the context ends; it then ends what RunAt started too. Faults
// of the store are logged and tried again at the next tick.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.editions(ctx) })
	group.Go(func() error { return s.confirmations(ctx) })
	err := group.Wait()
	_ = s.Close() // it only waits
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// editions looks at every tick which editions have come due. A walk takes as long as
// its slowest provider, and the next hour's readers do not wait for it.
func (s *Service) editions(ctx context.Context) error {
	ticker := time.NewTicker(s.Tick)
	defer ticker.Stop()
	rounds := rounds{owed: true}
	var walks sync.WaitGroup
	defer walks.Wait()
	for {
		p := s.round(ctx, &rounds)
		walks.Go(func() { rounds.ended(p, s.tick(ctx, p)) })
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// rounds remembers what was looked at.
type rounds struct {
	mu      sync.Mutex
	last    time.Time // the newest instant walked to
	full    time.Time // when all readers were last looked at
	owed    bool      // all have to be, until a walk over all has ended well
	walking bool      // one over all is under way
}

// ended notes how a walk did.
func (r *rounds) ended(p pass, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.from.IsZero() {
		r.walking = false
	}
	r.owed = r.owed || err != nil
}

// round is the next walk: over the slots whose hour has come since the last, or over
// all.
func (s *Service) round(ctx context.Context, r *rounds) pass {
	now := s.now()
	resumed, err := s.pauses.resumed(ctx, s.Store)
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "digests", "error", err)
	}
	reopened := s.lanes.reopened(now)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.owed = r.owed || reopened || resumed || now.Sub(r.full) >= fullScan
	p := pass{at: now, from: r.last, fresh: true}
	if r.owed && !r.walking {
		p.from, r.full, r.owed, r.walking = time.Time{}, now, false, true
	}
	r.last = now
	return p
}

// settleOld takes up what crashes left, and ends what will not go any more.
func (s *Service) settleOld(ctx context.Context, now time.Time) error {
	retry, lost, err := s.Store.RecoverDigests(ctx, now)
	if err != nil {
		return fmt.Errorf("digest: recover: %w", err)
	}
	if retry+lost > 0 {
		s.log.WarnContext(ctx, "mails of a process that ended", "again", retry, "unknown", lost)
	}
	expired, err := s.Store.ExpireDigests(ctx, now.Add(-EditionLife))
	if err != nil {
		return fmt.Errorf("digest: expire: %w", err)
	}
	if expired > 0 {
		s.log.WarnContext(ctx, "mails too late to be sent", "mails", expired)
	}
	return nil
}

func (s *Service) tick(ctx context.Context, p pass) error {
	err := s.settleOld(ctx, p.at)
	var figures news.DigestFigures
	if err == nil {
		figures, err = s.walk(ctx, p)
	}
	if figures.Due > 0 {
		s.log.InfoContext(ctx, "digests", "due", figures.Due, "sent", figures.Sent, "deferred", figures.Deferred, "empty", figures.Empty,
			"failed", figures.Failed, "unknown", figures.Unknown)
	}
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "digests", "error", err)
	}
	return err
}
