package dispatch

import (
	"cmp"
	"slices"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// afterQuiet is how long after the end of a reader's quiet hours what was held
// may still be sent (DESIGN 7).
const afterQuiet = 2 * time.Hour

// sleeper is one device with something held back for it.
type sleeper struct {
	ref  news.DeviceRef
	runs []*run
}

// nap is what is known of the sleepers of a cell: nobody wakes before until,
// unless somebody changed her wishes.
type nap struct {
	until  time.Time
	change int64 // of the cell, when it was looked at
	looked time.Time
}

// lookAgain is how often a cell is looked at in which devices change: somebody
// may have ended her quiet hours by her wishes.
const lookAgain = time.Minute

func (n nap) over(now time.Time, change int64) bool {
	return !n.until.After(now) || change != n.change && now.Sub(n.looked) >= lookAgain
}

// wokenAtOnce is how many sleepers are looked at before answers are written
// again: where a night ends for a million at once, that takes many seconds.
const wokenAtOnce = 4_096

// morning is one look at sleepers.
type morning struct {
	now      time.Time
	matchers map[*run]*audience.Matcher // one a run: what it prepares is the same for all
}

// wakeSleepers looks at devices with held alerts whose quiet hours are over,
// judges them anew, and lets at most one push go. It goes on at the next step
// when there are many.
func (s *Service) wakeSleepers(now time.Time) {
	m := morning{now: now, matchers: map[*run]*audience.Matcher{}}
	seen := 0
	if len(s.uncounted) > 0 {
		return // they are judged by their caps: once the new plan is written and counted
	}
	for _, cell := range s.book.sleepingCells(now) {
		if seen >= wokenAtOnce {
			signal(s.poke)
			return
		}
		c := s.audience.Cell(cell)
		next := nap{until: now.Add(24 * time.Hour), change: c.Change(), looked: now}
		for _, sl := range s.book.sleepers(cell) {
			seen++
			if until, quiet := c.Asleep(sl.ref.Number, now); !quiet {
				s.wake(sl, m)
			} else if until.Before(next.until) {
				next.until = until
			}
		}
		s.book.sleepOn(cell, next)
	}
}

// wake decides for one device: the weightiest survivor is sent, what was too
// late is expired, the rest is cancelled (and so left to the digest).
func (s *Service) wake(sl sleeper, m morning) {
	c := s.audience.Cell(sl.ref.Cell)
	d, ok := c.Device(sl.ref.Number)
	if !ok {
		return
	}
	var survivors []*run
	for _, r := range sl.runs {
		switch {
		case !lateUntil(&r.release, c, sl.ref.Number, m.now).After(m.now):
			s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Expired })
		case !s.stillWanted(r, d, m):
			s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Cancelled })
		default:
			survivors = append(survivors, r)
		}
	}
	if len(survivors) == 0 {
		return
	}
	slices.SortFunc(survivors, func(x, y *run) int {
		return cmp.Or(cmp.Compare(y.release.Level, x.release.Level),
			y.release.ReleasedAt.Compare(x.release.ReleasedAt), cmp.Compare(y.release.ID, x.release.ID))
	})
	first := survivors[0]
	others := map[string]bool{}
	for _, r := range survivors[1:] {
		if r.release.StoryURI != first.release.StoryURI {
			others[r.release.StoryURI] = true
		}
		s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Cancelled })
	}
	s.book.letGo(first, sl.ref, letGo{more: len(others), until: lateUntil(&first.release, c, sl.ref.Number, m.now)})
	if o, ok := c.Owner(sl.ref.Number); ok && countsForCap(first.release.Level, o) {
		s.caps.note(o, first.release.ID, sl.ref, m.now)
	}
}

// lateUntil is until when a release that was held for a reader may be sent to
// her.
func lateUntil(r *news.Release, c *audience.Cell, number uint32, now time.Time) time.Time {
	ended, quiet := c.Asleep(number, r.ReleasedAt)
	if !quiet { // she changed her quiet hours meanwhile: they are over now
		ended = now
	}
	return ended.Add(afterQuiet)
}

// stillWanted judges a held alert again, at the end of the quiet hours. What is
// held of a correction goes instead of the original, and is judged like it.
func (s *Service) stillWanted(r *run, d news.Device, m morning) bool {
	if s.book.overtaken(r, news.DeviceRef{Cell: d.Cell, Number: d.Number}) {
		return false
	}
	if m.matchers[r] == nil {
		q := r.query
		q.Now = m.now
		m.matchers[r] = s.audience.NewMatcher(q)
	}
	return m.matchers[r].Judge(d, s.caps.today(d.SubscriberID, r.release.ID, m.now)).Reason.Goes()
}

// sleepingCells is the cells in which somebody may have to be woken.
func (b *book) sleepingCells(now time.Time) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	cells := map[int]bool{}
	for _, r := range b.runs {
		if r.state == news.ReleaseHeld {
			continue // on hold by the desk: asked again when it is not
		}
		for cell, c := range r.cells {
			if !c.row.Held.IsEmpty() && b.naps[cell].over(now, b.audience.Cell(cell).Change()) {
				cells[cell] = true
			}
		}
	}
	list := make([]int, 0, len(cells))
	for c := range cells {
		list = append(list, c)
	}
	return list
}

func (b *book) sleepOn(cell int, n nap) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.naps[cell] = n
}

// sleepers lists the devices of a cell with something held.
func (b *book) sleepers(cell int) []sleeper {
	b.mu.Lock()
	defer b.mu.Unlock()
	byNumber := map[uint32][]*run{}
	for _, r := range b.runs {
		c := r.cells[cell]
		if c == nil || r.state == news.ReleaseHeld {
			continue
		}
		for it := c.row.Held.Iterator(); it.HasNext(); {
			n := it.Next()
			if _, awake := c.late[n]; !awake { // else it was let go and waits to be opened
				byNumber[n] = append(byNumber[n], r)
			}
		}
	}
	list := make([]sleeper, 0, len(byNumber))
	for n, runs := range byNumber {
		list = append(list, sleeper{news.DeviceRef{Cell: cell, Number: n}, runs})
	}
	return list
}

// overtaken reports whether nothing of the run may go to the device any more:
// it was stopped, or something newer about its story was sent there.
func (b *book) overtaken(r *run, ref news.DeviceRef) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := r.cells[ref.Cell]
	if c == nil || r.state == news.ReleaseStopped {
		return true
	}
	sent, _ := b.newer(c, ref.Number)
	return sent
}

// settleHeld moves a held number into another state.
func (b *book) settleHeld(r *run, ref news.DeviceRef, to func(*news.LedgerRow) *news.Numbers) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := r.cells[ref.Cell]; c != nil && c.row.Held.Contains(ref.Number) {
		c.row.Settle(ref.Number, to(c.row))
		c.dirty = true
	}
}

// letGo lets a held number be opened and sent like any other.
func (b *book) letGo(r *run, ref news.DeviceRef, how letGo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := r.cells[ref.Cell]
	if c == nil || !c.row.Held.Contains(ref.Number) {
		return
	}
	c.late[ref.Number] = how
	origin := b.originOf(c, ref.Number)
	c.todo[origin] = append(c.todo[origin], ref.Number)
	c.dirty, r.settled = true, false
}

// lateAgain finds out until when those may be sent whom a crash put in doubt
// after the alert's own deadline: they had been let go at the end of their
// quiet hours.
func (b *book) lateAgain(c *cellRun) {
	now := b.now()
	if c.run.release.Deadline.After(now) || c.run.release.Kind == news.ReleaseKill {
		return
	}
	for it := c.row.Ambiguous.Iterator(); it.HasNext(); {
		n := it.Next()
		if ended, quiet := b.audience.Cell(c.row.Cell).Asleep(n, c.run.release.ReleasedAt); quiet {
			c.late[n] = letGo{until: ended.Add(afterQuiet)}
		}
	}
}

// sleepless is the cells whose held rows have not been looked for yet.
func (b *book) sleepless(cells []int) []int {
	b.mu.Lock()
	defer b.mu.Unlock()
	var fresh []int
	for _, c := range cells {
		if !b.awake[c] {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

func (b *book) markAwake(cells []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range cells {
		b.awake[c] = true
	}
}
