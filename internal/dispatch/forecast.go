package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// This file makes the plan of an alert while its countdown runs, so that it costs
// no delivery time. What is true at the end of the countdown holds: a cell that
// changed meanwhile is planned anew, and so is everything when alerts went out
// that count for caps.

const (
	// foreseen is how long before its end a countdown is begun to be planned
	// for. One that waits for an embargo lasts for hours.
	foreseen = 30 * time.Second
	// foreseenFor is how much later than foreseen an alert may begin: quiet
	// hours and pauses are judged for the end of the countdown.
	foreseenFor = time.Second
	// forgottenAfter is when what nobody asked for is let go: an alert may have
	// been undone, or held, or ended by another process.
	forgottenAfter = time.Minute
)

// forecast is the plan of one alert, made for the end of its countdown.
type forecast struct {
	asks  string
	at    time.Time // the end of the countdown
	caps  int       // what capBook.changed said before anybody was judged
	cells map[int]foreseenCell
}

// foreseenCell is a forecast in one cell.
type foreseenCell struct {
	state cellState // before it was looked at
	plan  audience.Plan
	lines map[string][]uint32 // who goes at once, by push service
}

// cellState tells whether a cell is as it was: its changes, and the tenure it is
// held in. One that was lost and came back is read anew, and may have been empty
// in between.
type cellState struct{ change, fence int64 }

// forecasts is what is known of countdowns. The conductor says which there are,
// another goroutine works, the conductor takes.
type forecasts struct {
	mu   sync.Mutex
	made map[string]*forecast // by alert
	want []news.Alert
	look chan struct{}
}

func newForecasts() *forecasts {
	return &forecasts{made: map[string]*forecast{}, look: make(chan struct{}, 1)}
}

// expect says which alerts count down.
func (f *forecasts) expect(alerts []news.Alert, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.want = alerts
	for id, made := range f.made {
		if now.Sub(made.at) > forgottenAfter {
			delete(f.made, id)
		}
	}
	if len(alerts) > 0 {
		signal(f.look)
	}
}

func (f *forecasts) wanted() []news.Alert {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.want
}

// asks is everything about an alert that its plan depends on.
func asks(r *news.Release) string {
	languages := make([]string, 0, len(r.Texts))
	for l := range r.Texts {
		languages = append(languages, l)
	}
	slices.Sort(languages)
	return fmt.Sprintf("%q %d %q %q %q %q %t", r.StoryURI, r.Level, r.Audience, r.Sections, languages, r.Language, r.Final)
}

// begin is the forecast of the alert to go on with: a new one when the alert is
// not what it was.
func (f *forecasts) begin(alert string, r *news.Release, caps int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.made[alert]
	if made == nil || made.asks != asks(r) || !made.at.Equal(r.ReleasedAt) {
		f.made[alert] = &forecast{asks: asks(r), at: r.ReleasedAt, caps: caps, cells: map[int]foreseenCell{}}
	}
}

// lacks reports whether the cell has still to be looked at, or changed since.
func (f *forecasts) lacks(alert string, cell int, now cellState) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.made[alert]
	if made == nil {
		return false // taken
	}
	known, ok := made.cells[cell]
	return !ok || known.state != now
}

func (f *forecasts) put(alert string, cell int, c foreseenCell) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if made := f.made[alert]; made != nil {
		made.cells[cell] = c
	}
}

// take gives the forecast of a release away, once; nil where there is none.
// Where it was made for another moment, or alerts have been counted since, who
// gets the alert has to be found out anew.
func (f *forecasts) take(r *news.Release, now time.Time, caps int) *taken {
	f.mu.Lock()
	defer f.mu.Unlock()
	made := f.made[r.AlertID]
	if made == nil || made.asks != asks(r) {
		return nil
	}
	delete(f.made, r.AlertID)
	return &taken{cells: made.cells, holds: made.caps == caps && made.foresees(now)}
}

// foresees: nobody's quiet hours or day end between the two: those have minutes.
func (f *forecast) foresees(now time.Time) bool {
	return now.Sub(f.at).Abs() <= foreseenFor && now.Truncate(time.Minute).Equal(f.at.Truncate(time.Minute))
}

// taken is a forecast at the end of the countdown. Of a nil one nothing holds.
type taken struct {
	cells map[int]foreseenCell
	holds bool // all but what changed in single cells
}

// plan is the plan of a cell, if it still holds. Who was sent the story before is
// no part of it.
func (t *taken) plan(cell int, now cellState, sent *news.Numbers) (audience.Plan, bool) {
	if t == nil || !t.holds || !sent.IsEmpty() {
		return audience.Plan{}, false
	}
	known, ok := t.cells[cell]
	return known.plan, ok && known.state == now
}

// lines are the numbers by push service, if they are those that were foreseen.
func (t *taken) lines(cell int, now cellState, numbers *news.Numbers) map[string][]uint32 {
	if t == nil {
		return nil
	}
	known, ok := t.cells[cell]
	if !ok || known.state != now || !roaring.AndNot(known.plan.Planned, known.plan.Held).Equals(numbers) {
		return nil
	}
	return known.lines
}

// foresee is the loop that plans for countdowns.
func (s *Service) foresee(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.forecasts.look:
		}
		for _, a := range s.forecasts.wanted() {
			s.foreseeAlert(ctx, &a)
		}
	}
}

// foreseeAlert plans for the end of an alert's countdown in the cells held here.
func (s *Service) foreseeAlert(ctx context.Context, a *news.Alert) {
	r := news.Release{AlertID: a.ID, StoryURI: a.StoryURI, Kind: news.ReleaseAlert, Level: a.Level, Texts: a.Texts, Language: a.Language,
		Audience: a.Audience, Sections: a.Sections, Final: a.Final, ReleasedAt: a.HoldUntil}
	s.forecasts.begin(a.ID, &r, s.caps.changed())
	matcher := s.audience.NewMatcher(s.query(r))
	h := s.held.list()
	for _, cell := range h.cells {
		c := s.audience.Cell(cell)
		now := cellState{c.Change(), h.fences[cell]}
		if ctx.Err() != nil || !s.forecasts.lacks(a.ID, cell, now) {
			continue
		}
		plan := matcher.MatchCell(c, s.sentToday("", a.HoldUntil), nil)
		s.forecasts.put(a.ID, cell, foreseenCell{state: now, plan: plan,
			lines: s.book.origins.sort(c, roaring.AndNot(plan.Planned, plan.Held))})
	}
}
