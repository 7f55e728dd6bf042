package dispatch

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
)

func itoa(n int) string { return strconv.Itoa(n) }

// afterQuiet is how long after the end of a reader's quiet hours what was held
// may still be sent (DESIGN 7).
const afterQuiet = 2 * time.Hour

// sleeper is one device with something held back for it.
type sleeper struct {
	ref  news.DeviceRef
	runs []*run
}

// wakeSleepers looks at every device with held alerts whose quiet hours are
// over, judges them anew, and lets at most one push go. Quiet hours end at
// full minutes, so once a minute is enough; when nothing is held it is free.
func (s *Service) wakeSleepers(now time.Time) {
	minute := now.Truncate(time.Minute)
	if minute.Equal(s.book.lastWake) {
		return
	}
	s.book.lastWake = minute
	for _, sl := range s.book.sleepers() {
		d, ok := s.audience.Cell(sl.ref.Cell).Device(sl.ref.Number)
		if !ok {
			continue
		}
		if _, quiet := audience.QuietUntil(d.Wishes, now); quiet {
			continue
		}
		s.wake(sl, d, now)
	}
}

// wake decides for one device: the weightiest survivor is sent, what was too
// late is expired, the rest is cancelled (and so left to the digest).
func (s *Service) wake(sl sleeper, d news.Device, now time.Time) {
	var survivors []*run
	var until time.Time
	for _, r := range sl.runs {
		ended, quiet := audience.QuietUntil(d.Wishes, r.release.ReleasedAt)
		if !quiet { // she changed her quiet hours meanwhile: they are over now
			ended = now
		}
		limit := ended.Add(afterQuiet)
		switch {
		case !limit.After(now):
			s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Expired })
		case !s.stillWanted(r, d, now):
			s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Cancelled })
		default:
			survivors = append(survivors, r)
			until = limit
		}
	}
	if len(survivors) == 0 {
		return
	}
	slices.SortFunc(survivors, func(x, y *run) int {
		return cmp.Or(cmp.Compare(y.release.Level, x.release.Level),
			y.release.ReleasedAt.Compare(x.release.ReleasedAt), cmp.Compare(y.release.ID, x.release.ID))
	})
	for _, r := range survivors[1:] {
		s.book.settleHeld(r, sl.ref, func(row *news.LedgerRow) *news.Numbers { return row.Cancelled })
	}
	first := survivors[0]
	s.book.letGo(first, sl.ref, letGo{more: len(survivors) - 1, until: until})
	if d.Wishes.Cap > 0 && countsForCap(first.release.Level, d.Wishes) {
		s.caps.note(d.SubscriberID, d.Wishes.Timezone, first.release.ID, now)
	}
}

// stillWanted judges a held alert again, at the end of the quiet hours.
func (s *Service) stillWanted(r *run, d news.Device, now time.Time) bool {
	if s.book.stopped(r) {
		return false
	}
	if r.release.Repair() {
		return d.State == news.DeviceActive
	}
	q := r.query
	q.Now = now
	verdict := s.audience.NewMatcher(q).Judge(d, s.caps.today(d.SubscriberID, now))
	return verdict.Reason == audience.Matched
}

// sleepers lists the devices with something held, in released order.
func (b *book) sleepers() []sleeper {
	b.mu.Lock()
	defer b.mu.Unlock()
	byDevice := map[news.DeviceRef][]*run{}
	for _, r := range b.runs {
		if r.state == news.ReleaseHeld {
			continue // on hold by the desk: asked again when it is not
		}
		for cell, c := range r.cells {
			for it := c.row.Held.Iterator(); it.HasNext(); {
				n := it.Next()
				if _, awake := c.late[n]; awake {
					continue // it was let go and waits to be opened
				}
				ref := news.DeviceRef{Cell: cell, Number: n}
				byDevice[ref] = append(byDevice[ref], r)
			}
		}
	}
	list := make([]sleeper, 0, len(byDevice))
	for ref, runs := range byDevice {
		list = append(list, sleeper{ref, runs})
	}
	return list
}

func (b *book) stopped(r *run) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return r.state == news.ReleaseStopped
}

// settleHeld moves a held number into another state.
func (b *book) settleHeld(r *run, ref news.DeviceRef, to func(*news.LedgerRow) *news.Numbers) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := r.cells[ref.Cell]; c != nil {
		c.row.Settle(ref.Number, to(c.row))
		c.dirty = true
	}
}

// letGo lets a held number be opened and sent like any other.
func (b *book) letGo(r *run, ref news.DeviceRef, how letGo) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := r.cells[ref.Cell]
	if c == nil {
		return
	}
	c.late[ref.Number] = how
	origin := b.originOf(c, ref.Number)
	c.todo[origin] = append(c.todo[origin], ref.Number)
	c.dirty, r.settled = true, false
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
