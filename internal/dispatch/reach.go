package dispatch

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// Limits of what a count compares an alert with.
const (
	recentFor   = 24 * time.Hour
	recentMost  = 50              // alerts; a busy newsroom sends 30 a day
	recentFresh = 2 * time.Second // the ledger changes as an alert goes out
	// cappedLongest is how late a count may be for a midnight, or for a reader who
	// has just come.
	cappedLongest = 20 * time.Second
	recentWait    = 100 * time.Millisecond // what a count has for a new look
)

// Reach is whom an alert would go to.
type Reach struct {
	audience.Tally
	Here  int // devices looked at: those of the cells held here
	Cells int // that many of news.Cells
	// Sent counts the devices it would go to that were sent an alert of another
	// story in the last hour and in the last day; Recent says which.
	SentHour, SentDay int
	Recent            []RecentOverlap // newest first
	RecentAt          time.Time       // when the ledger was looked at; zero: it was not yet
}

// RecentOverlap is how many devices were sent an earlier alert, too.
type RecentOverlap struct {
	AlertID    string
	ReleasedAt time.Time
	Level      news.Level
	Title      string
	Devices    int
}

// Reach counts whom an alert would go to if it were released at this moment,
// over the cells this process holds.
func (s *Service) Reach(ctx context.Context, a *news.Alert) Reach {
	now := s.cfg.Now()
	look, caps := s.recent.fresh(ctx, now)
	others, hour, sets := look.others(a, now)
	r := Reach{Recent: others, RecentAt: look.at, Cells: len(s.held.list().cells), Here: s.audience.Size().Active}
	survey := audience.Survey{Capped: s.capped(caps, now), Exclude: look.sameStory(a)}
	if len(others) > 0 {
		survey.Sent, survey.First = sets, hour
	}
	q := s.query(news.Release{StoryURI: a.StoryURI, Level: a.Level, Texts: a.Texts, Language: a.Language, Audience: a.Audience,
		Sections: a.Sections, Final: a.Final, ReleasedAt: now})
	r.Tally = s.audience.Reach(q, survey)
	r.SentDay, r.SentHour = r.InAny, r.InFirst
	for i := range r.Overlaps {
		others[i].Devices = r.Overlaps[i]
	}
	return r
}

// recents keeps who was sent the alerts of the last day, and who has had enough
// for today. To find either takes longer than a count may, so a loop does it, and
// what does not change any more is read once.
type recents struct {
	ask chan chan struct{}

	mu   sync.Mutex
	last *recentLook
	caps *capLook // nil: nobody looked yet
}

// capLook is who had had enough for today when the book of caps had seen so many
// changes; it is not changed any more.
type capLook struct {
	at      time.Time
	changes int
	cells   [news.Cells]*news.Numbers // nil where the cell was not held
}

// stale: something counted for somebody's cap since, or it is too old for a
// midnight and for those who changed their cap.
func (l *capLook) stale(now time.Time, changes int) bool {
	age := now.Sub(l.at)
	return age >= cappedLongest || age >= recentFresh && l.changes != changes
}

// ofAnotherDay: it may be past a midnight; zones differ by quarters of an hour.
func (l *capLook) ofAnotherDay(now time.Time) bool {
	return l.at.Truncate(15*time.Minute) != now.Truncate(15*time.Minute)
}

// capped are a cell's readers who have had enough for today, as the loop found
// them; a cell it has not looked at is looked at now.
func (s *Service) capped(look *capLook, now time.Time) func(cell int) *news.Numbers {
	return func(cell int) *news.Numbers {
		if look != nil && look.cells[cell] != nil {
			return look.cells[cell]
		}
		return s.caps.capped(s.audience.Cell(cell), now)
	}
}

func (s *Service) lookAtCaps(now time.Time) *capLook {
	look := &capLook{at: now, changes: s.caps.changed()}
	for _, cell := range s.held.list().cells {
		look.cells[cell] = s.caps.capped(s.audience.Cell(cell), now)
	}
	return look
}

// recentLook is the alerts of the last day as the ledger had them; it is not
// changed any more.
type recentLook struct {
	at     time.Time
	alerts []recentAlert // newest first
}

type recentAlert struct {
	release news.Release
	cells   map[int]recentCell
	settled bool // nothing of it changes any more
}

// recentCell is one alert in one cell: who was sent it or is about to be, and
// who besides waits for the end of quiet hours.
type recentCell struct{ sent, planned *news.Numbers }

func newRecents() *recents { return &recents{ask: make(chan chan struct{}), last: &recentLook{}} }

// fresh are the looks of at most recentFresh ago or, where that takes too long,
// the last ones there were.
func (r *recents) fresh(ctx context.Context, now time.Time) (*recentLook, *capLook) {
	if look, caps := r.looks(); now.Sub(look.at) < recentFresh {
		return look, caps
	}
	patience := time.NewTimer(recentWait)
	defer patience.Stop()
	done := make(chan struct{})
	select {
	case r.ask <- done:
	case <-patience.C:
		return r.looks()
	case <-ctx.Done():
		return r.looks()
	}
	select {
	case <-done:
	case <-patience.C:
	case <-ctx.Done():
	}
	return r.looks()
}

func (r *recents) looks() (*recentLook, *capLook) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last, r.caps
}

// watchRecents looks once there is something to look at, whenever a count asks,
// and after an alert has gone out: the first count of a page waits for nothing.
func (s *Service) watchRecents(ctx context.Context) error {
	select {
	case <-s.ready:
		s.lookAround(ctx)
	case <-ctx.Done():
		return nil
	}
	calm := time.NewTicker(cappedLongest)
	defer calm.Stop()
	changes := s.caps.changed()
	for {
		select {
		case <-ctx.Done():
			return nil
		case done := <-s.recent.ask:
			if look, _ := s.recent.looks(); s.cfg.Now().Sub(look.at) >= recentFresh {
				s.lookAround(ctx)
			}
			close(done)
		case <-calm.C:
			// Not while an alert goes out: that needs the processor.
			before := changes
			changes = s.caps.changed()
			if _, caps := s.recent.looks(); changes == before && (caps.changes != changes || caps.ofAnotherDay(s.cfg.Now())) {
				s.lookAround(ctx)
			}
		}
	}
}

// lookAround looks at the ledger first: that is quick, and a count that can't
// wait for the caps has it.
func (s *Service) lookAround(ctx context.Context) {
	s.lookAtRecents(ctx)
	now := s.cfg.Now()
	if _, caps := s.recent.looks(); caps != nil && !caps.stale(now, s.caps.changed()) {
		return
	}
	caps := s.lookAtCaps(now)
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	s.recent.caps = caps
}

func (s *Service) lookAtRecents(ctx context.Context) {
	last, _ := s.recent.looks()
	next, err := s.readRecents(ctx, last)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn("the recent alerts can't be read; counts of readers go by what was known", "error", err)
		}
		return
	}
	s.recent.mu.Lock()
	defer s.recent.mu.Unlock()
	s.recent.last = next
}

func (s *Service) readRecents(ctx context.Context, before *recentLook) (*recentLook, error) {
	now := s.cfg.Now()
	releases, err := s.cfg.Store.ReleasesSince(ctx, now.Add(-recentFor))
	if err != nil {
		return nil, err
	}
	releases = slices.DeleteFunc(releases, func(r news.Release) bool { return r.Kind != news.ReleaseAlert })
	slices.SortStableFunc(releases, func(x, y news.Release) int { return y.ReleasedAt.Compare(x.ReleasedAt) })
	cells := s.held.list().cells
	next := &recentLook{at: now}
	for _, r := range releases[:min(len(releases), recentMost)] {
		if known := before.find(r.ID); known != nil && known.settled && known.covers(cells) {
			next.alerts = append(next.alerts, *known)
			continue
		}
		rows, err := s.cfg.Store.Ledger(ctx, []string{r.ID}, cells)
		if err != nil {
			return nil, err
		}
		next.alerts = append(next.alerts, recentOf(r, rows))
	}
	return next, nil
}

func recentOf(r news.Release, rows []*news.LedgerRow) recentAlert {
	a := recentAlert{release: r, cells: map[int]recentCell{}, settled: r.State == news.ReleaseSent || r.State == news.ReleaseStopped}
	for _, row := range rows {
		c := recentCell{sent: row.Reached()}
		if r.State != news.ReleaseStopped {
			c.sent.Or(row.Pending())
		}
		c.planned = c.sent
		if r.State != news.ReleaseStopped && !row.Held.IsEmpty() {
			c.planned = roaring.Or(c.sent, row.Held)
		}
		a.settled = a.settled && row.Settled && row.Held.IsEmpty()
		a.cells[row.Cell] = c
	}
	return a
}

func (l *recentLook) find(releaseID string) *recentAlert {
	for i := range l.alerts {
		if l.alerts[i].release.ID == releaseID {
			return &l.alerts[i]
		}
	}
	return nil
}

func (a *recentAlert) covers(cells []int) bool {
	return !slices.ContainsFunc(cells, func(c int) bool { _, ok := a.cells[c]; return !ok })
}

// others are the alerts of other stories, how many of them, the first, are of
// the last hour, and who of a cell was sent each.
func (l *recentLook) others(a *news.Alert, now time.Time) (list []RecentOverlap, hour int, sets func(cell int) []*news.Numbers) {
	var of []*recentAlert
	for i := range l.alerts {
		r := &l.alerts[i].release
		if r.StoryURI == a.StoryURI || now.Sub(r.ReleasedAt) >= recentFor {
			continue
		}
		if now.Sub(r.ReleasedAt) < time.Hour {
			hour++
		}
		of = append(of, &l.alerts[i])
		list = append(list, RecentOverlap{AlertID: r.AlertID, ReleasedAt: r.ReleasedAt, Level: r.Level, Title: r.Texts[r.Language].Title})
	}
	return list, hour, func(cell int) []*news.Numbers {
		each := make([]*news.Numbers, 0, len(of))
		for _, r := range of {
			sent := r.cells[cell].sent
			if sent == nil {
				sent = roaring.New()
			}
			each = append(each, sent)
		}
		return each
	}
}

// sameStory is who gets no first alert of this story any more (see
// book.alreadySent), as far as the last day's alerts tell; nil for nobody.
func (l *recentLook) sameStory(a *news.Alert) func(cell int) *news.Numbers {
	var of []*recentAlert
	for i := range l.alerts {
		if r := &l.alerts[i].release; r.StoryURI == a.StoryURI && r.Level >= a.Level {
			of = append(of, &l.alerts[i])
		}
	}
	if len(of) == 0 {
		return nil
	}
	return func(cell int) *news.Numbers {
		sent := roaring.New()
		for _, r := range of {
			if planned := r.cells[cell].planned; planned != nil {
				sent.Or(planned)
			}
		}
		return sent
	}
}
