package dispatch

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// inFlightPatience is how long the plan of a repair waits, per cell, for the
// requests in flight of what it repairs: answered, they tell exactly who got
// it. Longer, and they count as sent.
const inFlightPatience = 2 * time.Second

// planRun writes, into the book, the row of every held cell that has none yet.
// The rows go to the store with the next write, before any send. A stopped run
// is planned too: its counts must say who did not get it, and a correction goes
// to them. One on hold is not: the longer it is held, the less a plan is worth.
func (s *Service) planRun(r *run, h holding) error {
	var todo []int
	var err error
	for _, c := range s.book.unplanned(r, h.cells) {
		if have := s.audience.Cell(c).Change(); have < r.release.Changes[c] {
			err = fmt.Errorf("%w: cell %d is at change %d, the release needs %d", news.ErrUnavailable, c, have, r.release.Changes[c])
			continue
		}
		todo = append(todo, c)
	}
	switch {
	case len(todo) == 0:
	case !r.release.Repair() && !s.countPlanned(): // others' plans count for this one, and it for those after it
		s.uncountedWait = true
	case r.release.Repair():
		s.planRepair(r, todo, h)
	default:
		s.planAlert(r, todo, h)
	}
	return err
}

// planAlert matches a first alert against the audience, or takes what was made
// of it in its countdown.
func (s *Service) planAlert(r *run, cells []int, h holding) {
	q := r.query
	q.Now = s.cfg.Now()
	ahead := s.forecasts.take(&r.release, q.Now, s.caps.changed())
	plans := make([]cellPlan, len(cells))
	var todo []*cellPlan
	for i, cell := range cells {
		p := &plans[i]
		p.cell, p.sent, p.state = s.audience.Cell(cell), s.book.alreadySent(r, cell), cellState{s.audience.Cell(cell).Change(), h.fences[cell]}
		var ok bool
		if p.plan, ok = ahead.plan(cell, p.state, p.sent); !ok {
			todo = append(todo, p)
		}
	}
	s.matchCells(q, r.release.ID, todo)
	for i, cell := range cells {
		plan := plans[i].plan
		row := news.NewLedgerRow(r.release.ID, cell)
		row.Planned, row.Held, row.Quarantined = plan.Planned, plan.Held, plan.Quarantined
		lines := ahead.lines(cell, plans[i].state, roaring.AndNot(plan.Planned, plan.Held))
		s.uncounted = append(s.uncounted, s.book.adopt(r, row, adoption{fence: h.fences[cell], lines: lines, uncounted: true}))
	}
}

// cellPlan is an alert in one cell, before it is in the book.
type cellPlan struct {
	cell  *audience.Cell
	state cellState     // before it was looked at
	sent  *news.Numbers // who was sent the story before
	plan  audience.Plan
}

// matchCells makes the plans that are missing. The processors share them: nothing
// is sent before the last is made.
func (s *Service) matchCells(q audience.Query, judged string, plans []*cellPlan) {
	matcher := s.audience.NewMatcher(q)
	var next atomic.Int32
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(plans)) {
		workers.Go(func() {
			sentToday := s.sentToday(judged, q.Now) // for one goroutine
			for i := next.Add(1) - 1; int(i) < len(plans); i = next.Add(1) - 1 {
				plans[i].plan = matcher.MatchCell(plans[i].cell, sentToday, plans[i].sent)
			}
		})
	}
	workers.Wait()
}

// sentToday gives the matcher a reader's other alerts of her local day.
func (s *Service) sentToday(judged string, now time.Time) func(string) int {
	return s.caps.todays(judged, now)
}

// newer reports whether something newer about the story was sent to the number,
// or may have been, or is being sent at this moment. b.mu is held.
func (b *book) newer(c *cellRun, n uint32) (sent, inFlight bool) {
	for _, x := range b.stories[c.run.release.StoryURI] {
		later := x.cells[c.row.Cell]
		if later == nil || x.release.Revision <= c.run.release.Revision {
			continue
		}
		sent = sent || later.row.Accepted.Contains(n) || later.row.Ambiguous.Contains(n)
		inFlight = inFlight || later.inFlight.has(n)
	}
	return sent, inFlight
}

// before lists what was released about the story before r, oldest first, with
// the rows of one cell; nil where there is none. b.mu is held.
func (b *book) before(r *run, cell int) []prior {
	var out []prior
	for _, e := range b.stories[r.release.StoryURI] {
		if e.release.Revision >= r.release.Revision {
			break
		}
		if c := e.cells[cell]; c != nil {
			out = append(out, prior{e, &e.release, c})
		}
	}
	return out
}

// prior is an earlier release in one cell.
type prior struct {
	run     *run
	release *news.Release
	cell    *cellRun
}

// alreadySent is who, in one cell, gets no first alert of this story any more:
// everybody an earlier one of the same or a higher level reached or will
// (DESIGN 6: "sent again only for a repair or a higher level").
func (b *book) alreadySent(r *run, cell int) *news.Numbers {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent := roaring.New()
	for _, e := range b.before(r, cell) {
		if e.release.Kind == news.ReleaseKill || e.release.Level < r.release.Level {
			continue
		}
		sent.Or(e.cell.row.Reached())
		if e.run.state != news.ReleaseStopped {
			sent.Or(e.cell.row.Held)
			sent.Or(e.cell.row.Pending())
		}
	}
	return sent
}

// planRepair takes its readers from the ledger of what it repairs.
func (s *Service) planRepair(r *run, cells []int, h holding) {
	now := s.cfg.Now()
	patient := now.Sub(r.release.ReleasedAt) < inFlightPatience
	for _, cell := range cells {
		if !s.book.planned(r, cell) {
			continue
		}
		reached, waiting, inFlight := s.book.repairSets(r, cell)
		if patient && inFlight {
			continue
		}
		row := news.NewLedgerRow(r.release.ID, cell)
		row.Planned = roaring.Or(reached, waiting)
		row.Held = s.asleep(waiting, cell, &r.release, now)
		s.book.adopt(r, row, adoption{fence: h.fences[cell]})
	}
}

// planned reports whether everything that r repairs has its row in the cell: only
// then is it known who was sent it. They are planned in the order of the clocks
// that released them, which may differ from that of the revisions.
func (b *book) planned(r *run, cell int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.stories[r.release.StoryURI] {
		if repairs(&r.release, &e.release) && e.cells[cell] == nil {
			return false
		}
	}
	return true
}

// repairSets is DESIGN 3's rule: reached were sent an earlier revision of the
// alert or may have been; waiting were to get one and get the correction
// instead. inFlight says that some of the reached may turn out not to be.
func (b *book) repairSets(r *run, cell int) (reached, waiting *news.Numbers, inFlight bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	reached, waiting = roaring.New(), roaring.New()
	for _, e := range b.before(r, cell) {
		if e.release.AlertID != r.release.AlertID {
			continue
		}
		unsent := e.cell.unsent()
		reached.Or(roaring.AndNot(e.cell.row.Reached(), unsent))
		inFlight = inFlight || e.cell.inFlight.len() > 0
		if e.run.replacedBy[r.release.ID] {
			waiting.Or(unsent)
		}
	}
	waiting.AndNot(reached)
	return reached, waiting, inFlight
}

// asleep is who of the waiting is in quiet hours and is not to be woken.
func (s *Service) asleep(waiting *news.Numbers, cell int, r *news.Release, now time.Time) *news.Numbers {
	held := roaring.New()
	c := s.audience.Cell(cell)
	for it := waiting.Iterator(); it.HasNext(); {
		n := it.Next()
		if _, quiet := c.Asleep(n, now); !quiet {
			continue
		}
		if o, _ := c.Owner(n); r.Level != news.LevelFlash || o.FlashHeld {
			held.Add(n)
		}
	}
	return held
}

// query is what a release asks of the audience.
func (s *Service) query(r news.Release) audience.Query {
	expr, err := region.Parse(r.Audience)
	if err != nil { // checked when the alert was written; a place may have been dropped since
		s.log.Error("the audience of a release can't be read; it reaches nobody", "release", r.ID, "err", err)
	}
	languages := make([]string, 0, len(r.Texts))
	for l := range r.Texts {
		languages = append(languages, l)
	}
	return audience.Query{StoryURI: r.StoryURI, Level: r.Level, Expr: expr, Sections: r.Sections,
		Languages: languages, Language: r.Language, Now: r.ReleasedAt, Final: r.Final}
}
