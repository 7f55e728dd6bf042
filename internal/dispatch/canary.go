package dispatch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/news"
)

// This file is the canary: the first few devices of an alert, whose answers
// decide whether everybody else gets it (news.JudgeCanary). Every holder picks
// the same few from the committed plan of all cells, and sends to those that are
// in its own; the tallies are in the ledger, so that any of them can judge.

// canaryPart is what a cellRun knows of it.
type canaryPart struct {
	members  *news.Numbers       // of this cell; nil: not known yet
	troubled *news.Numbers       // whose last answer said nothing for good
	later    map[string][]uint32 // wait for the phase to move, by push service
}

// inCanary reports whether only the first few may be sent to.
func (r *run) inCanary() bool { return r.phase == news.PhaseCanary }

// line is where a number that is to be sent waits: in todo, or for the end of
// the canary that it is no part of.
func (c *cellRun) line(n uint32) map[string][]uint32 {
	if c.run.inCanary() && (c.canary.members == nil || !c.canary.members.Contains(n)) {
		return c.canary.later
	}
	return c.todo
}

// choose makes the numbers the canary of the cell. What had waited may go.
func (c *cellRun) choose(members *news.Numbers) {
	if members == nil {
		members = roaring.New()
	}
	c.canary.members, c.canary.troubled = members, roaring.New()
	later := c.canary.later
	c.canary.later = map[string][]uint32{}
	c.queueAll(later)
	c.dirty = c.dirty || !members.IsEmpty() // the row says how many there are
}

func (c *cellRun) queueAll(byOrigin map[string][]uint32) {
	for origin, numbers := range byOrigin {
		for _, n := range numbers {
			line := c.line(n)
			line[origin] = append(line[origin], n)
		}
	}
}

// setPhase opens the run for everybody when its canary is over. b.mu is held.
func (b *book) setPhase(id string, phase news.Phase) {
	r := b.runs[id]
	if r == nil || r.phase == phase || !r.inCanary() {
		return
	}
	r.phase = phase
	for _, c := range r.cells {
		later := c.canary.later
		c.canary.later = map[string][]uint32{}
		c.queueAll(later)
	}
}

// noteCanary keeps what a receipt says of one of the first few.
func (c *cellRun) noteCanary(n uint32, r news.Receipt) {
	if !c.run.inCanary() || c.canary.members == nil || !c.canary.members.Contains(n) || ownDoing(r) {
		return
	}
	if r.Outcome == news.Retry || r.Outcome == news.Ambiguous {
		c.canary.troubled.Add(n)
	} else {
		c.canary.troubled.Remove(n)
	}
}

// tally says in the row how the first few of the cell stand. After the canary it
// stays as it was judged. b.mu is held.
func (b *book) tally(c *cellRun) {
	if !c.run.inCanary() || c.canary.members == nil || c.canary.members.IsEmpty() {
		return
	}
	tallies := map[string]news.CanaryTally{}
	for it := c.canary.members.Iterator(); it.HasNext(); {
		n := it.Next()
		origin := b.originOf(c, n)
		t := tallies[origin]
		t.Size++
		switch {
		case c.row.Accepted.Contains(n):
			t.Accepted++
		case c.row.Gone.Contains(n):
			t.Gone++
		case c.row.Failed.Contains(n):
			t.Refused++
		case c.row.Cancelled.Contains(n), c.row.Expired.Contains(n):
			t.Dropped++
		case c.canary.troubled.Contains(n):
			t.Troubled++
		}
		tallies[origin] = t
	}
	c.row.Canary = tallies
}

// canaryRun is a run whose canary is to be judged.
type canaryRun struct {
	id, alertID string
	sending     time.Duration
	chosen      bool
}

// passed counts the time up to now for the canaries that were being sent in it:
// what their patience is measured by. A hold is no part of it, nor is the time
// in which this process was frozen or could not read the store: nobody can
// answer what was not sent. It is called with every permit that is renewed, and
// counts at most one.
func (b *book) passed(now time.Time, most time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	span := min(now.Sub(b.seen), most)
	b.seen = now
	for _, r := range b.runs {
		if r.inCanary() && r.state == news.ReleaseSending {
			r.sending += span
		}
	}
}

// canaries lists the runs in their canary that send.
func (b *book) canaries() []canaryRun {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []canaryRun
	for _, r := range b.runs {
		if r.inCanary() && r.state == news.ReleaseSending && !r.settled {
			out = append(out, canaryRun{r.release.ID, r.release.AlertID, r.sending, r.chosen != nil})
		}
	}
	return out
}

// choose tells the run its first few, by cell.
func (b *book) choose(id string, members map[int]*news.Numbers) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.runs[id]
	if r == nil || r.chosen != nil {
		return
	}
	r.chosen = members
	for cell, c := range r.cells {
		c.choose(members[cell])
	}
}

// tendCanaries picks the first few where the whole plan is committed, and moves
// the phase where their answers allow it.
func (s *Service) tendCanaries(ctx context.Context) error {
	var err error
	for _, r := range s.book.canaries() {
		if e := s.tendCanary(ctx, r); e != nil {
			err = errors.Join(err, fmt.Errorf("canary of release %s: %w", r.id, e))
		}
	}
	return err
}

func (s *Service) tendCanary(ctx context.Context, r canaryRun) error {
	f, err := s.cfg.Store.Canary(ctx, r.id)
	if err != nil {
		return err
	}
	to, why := news.JudgeCanary(&f, r.sending)
	if to != news.PhaseCanary {
		return s.endCanary(ctx, r, to, why)
	}
	if r.chosen || f.Rows < news.Cells {
		return nil
	}
	rows, err := s.cfg.Store.Ledger(ctx, []string{r.id}, nil)
	if err != nil {
		return err
	}
	s.book.choose(r.id, news.CanaryDevices(r.id, rows))
	signal(s.commit)
	return nil
}

// endCanary moves the phase, unless somebody else was faster.
func (s *Service) endCanary(ctx context.Context, r canaryRun, to news.Phase, why string) error {
	changed, err := s.cfg.Store.ChangeAlert(ctx, r.alertID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
		return news.MoveCanary(a, to, why)
	})
	if err != nil && !errors.Is(err, news.ErrConflict) {
		return err
	}
	if err == nil {
		s.log.Info("the canary of an alert is over", "alert", r.alertID, "phase", string(to), "why", why)
		if to == news.PhasePaused && s.cfg.Paused != nil {
			s.cfg.Paused(changed)
		}
	}
	signal(s.look) // the permit loop reads what the phase is now
	return nil
}
