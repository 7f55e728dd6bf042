package dispatch

import (
	"context"
	"fmt"
	"slices"
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
// The rows go to the store with the next write, before any send.
func (s *Service) planRun(ctx context.Context, r *run, h holding) error {
	todo := s.book.unplanned(r, h.cells)
	if len(todo) == 0 || s.book.frozen(r) {
		return nil
	}
	for _, c := range todo {
		if have := s.audience.Cell(c).Change(); have < r.release.Changes[c] {
			return fmt.Errorf("%w: cell %d is at change %d, the release needs %d", news.ErrUnavailable, c, have, r.release.Changes[c])
		}
	}
	earlier, err := s.earlier(ctx, r)
	if err != nil {
		return err
	}
	rows, err := s.earlierRows(ctx, earlier, todo)
	if err != nil {
		return err
	}
	if r.release.Repair() {
		s.planRepair(r, earlier, rows, todo, h)
		return nil
	}
	return s.planAlert(r, earlier, rows, todo, h)
}

// earlier lists the releases that bear on the plan of r, oldest first: for a
// repair those of its alert, else those about the same story.
func (s *Service) earlier(ctx context.Context, r *run) ([]news.Release, error) {
	all, err := s.cfg.Store.ReleasesOfStory(ctx, r.release.StoryURI)
	if err != nil {
		return nil, fmt.Errorf("releases of the story: %w", err)
	}
	var before []news.Release
	for _, e := range all {
		if e.Revision < r.release.Revision && (!r.release.Repair() || e.AlertID == r.release.AlertID) {
			before = append(before, e)
		}
	}
	slices.SortFunc(before, func(x, y news.Release) int { return x.Revision - y.Revision })
	return before, nil
}

// earlierRows gives the rows of earlier releases by release and cell; the
// book's own are newer than the store's.
func (s *Service) earlierRows(ctx context.Context, earlier []news.Release, cells []int) (map[string]map[int]*news.LedgerRow, error) {
	rows := map[string]map[int]*news.LedgerRow{}
	if len(earlier) == 0 {
		return rows, nil
	}
	ids := make([]string, 0, len(earlier))
	for _, e := range earlier {
		ids = append(ids, e.ID)
		rows[e.ID] = map[int]*news.LedgerRow{}
	}
	stored, err := s.cfg.Store.Ledger(ctx, ids, cells)
	if err != nil {
		return nil, fmt.Errorf("ledger of earlier releases: %w", err)
	}
	for _, row := range stored {
		rows[row.ReleaseID][row.Cell] = row
	}
	s.book.copyRows(rows, cells)
	return rows, nil
}

// planAlert matches a first alert against the audience.
func (s *Service) planAlert(r *run, earlier []news.Release, rows map[string]map[int]*news.LedgerRow, cells []int, h holding) error {
	q := r.query
	q.Now = s.cfg.Now()
	matcher := s.audience.NewMatcher(q)
	planned, fresh := 0, make([]*news.LedgerRow, 0, len(cells))
	for _, cell := range cells {
		exclude := alreadySent(&r.release, earlier, func(id string) *news.LedgerRow { return rows[id][cell] })
		p := matcher.MatchCell(s.audience.Cell(cell), s.sentToday(q.Now), exclude)
		row := news.NewLedgerRow(r.release.ID, cell)
		row.Planned, row.Held, row.Quarantined = p.Planned, p.Held, p.Quarantined
		s.countCaps(r.release, cell, roaring.AndNot(p.Planned, p.Held))
		fresh = append(fresh, row)
		planned += int(row.Planned.GetCardinality())
	}
	r.payload.sampleOf(planned)
	for _, row := range fresh {
		s.book.adopt(r, row, h.fences[row.Cell], false)
	}
	return nil
}

// sentToday gives the matcher a reader's alerts of her local day.
func (s *Service) sentToday(now time.Time) func(string) int {
	return func(subscriber string) int { return s.caps.today(subscriber, now) }
}

// alreadySent is who, in one cell, gets no first alert of this story any more:
// everybody an earlier one of the same or a higher level reached or will
// (DESIGN 6: "sent again only for a repair or a higher level").
func alreadySent(r *news.Release, earlier []news.Release, row func(string) *news.LedgerRow) *news.Numbers {
	sent := roaring.New()
	for _, e := range earlier {
		w := row(e.ID)
		if w == nil || e.Kind == news.ReleaseKill || e.Level < r.Level {
			continue
		}
		sent.Or(w.Reached())
		sent.Or(w.Held)
		if e.State != news.ReleaseStopped {
			sent.Or(w.Pending())
		}
	}
	return sent
}

// planRepair takes its readers from the ledger of what it repairs.
func (s *Service) planRepair(r *run, earlier []news.Release, rows map[string]map[int]*news.LedgerRow, cells []int, h holding) {
	now := s.cfg.Now()
	patient := now.Sub(r.release.ReleasedAt) < inFlightPatience
	for _, cell := range cells {
		if patient && s.book.inFlight(earlier, cell) {
			continue
		}
		reached, waiting := repairSets(&r.release, earlier, func(id string) *news.LedgerRow { return rows[id][cell] })
		row := news.NewLedgerRow(r.release.ID, cell)
		row.Planned = roaring.Or(reached, waiting)
		row.Held = s.asleep(waiting, cell, &r.release, now)
		s.book.adopt(r, row, h.fences[row.Cell], false)
	}
}

// repairSets is DESIGN 3's rule: reached were sent an earlier revision or may
// have been; waiting were to get one and get the correction instead.
func repairSets(r *news.Release, earlier []news.Release, row func(string) *news.LedgerRow) (reached, waiting *news.Numbers) {
	reached, waiting = roaring.New(), roaring.New()
	var last *news.LedgerRow
	for _, e := range earlier {
		w := row(e.ID)
		if w == nil {
			continue
		}
		reached.Or(w.Reached())
		last = w
	}
	if r.Kind == news.ReleaseCorrection && r.Supersedes && last != nil {
		// What the correction stopped is in the state cancelled by now.
		waiting.Or(last.Cancelled)
		waiting.Or(last.Held)
		waiting.AndNot(reached)
	}
	return reached, waiting
}

// asleep is who of the waiting is in quiet hours and is not to be woken.
func (s *Service) asleep(waiting *news.Numbers, cell int, r *news.Release, now time.Time) *news.Numbers {
	held := roaring.New()
	c := s.audience.Cell(cell)
	for it := waiting.Iterator(); it.HasNext(); {
		n := it.Next()
		d, ok := c.Device(n)
		if !ok || (r.Level == news.LevelFlash && (d.Wishes.Quiet == nil || d.Wishes.Quiet.Flash)) {
			continue
		}
		if _, quiet := audience.QuietUntil(d.Wishes, now); quiet {
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
		Languages: languages, Language: r.Language, Now: r.ReleasedAt}
}
