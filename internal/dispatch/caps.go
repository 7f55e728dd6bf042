package dispatch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// capHours is how far back a release can count for somebody's today: a local
// day has up to 25 h, and what was held for the night before it went out in it.
const capHours = 50

// capBook remembers, for subscribers with a cap, which releases went to which of
// their devices and when. A release counts once, however many devices got it.
type capBook struct {
	mu       sync.RWMutex
	sent     map[string]*capEntry // by subscriber
	releases map[string]uint32    // short names of releases
	pruned   time.Time
	changes  int // grows with every note and drop
}

// capEntry is one subscriber's: her zone decides what is today.
type capEntry struct {
	zone  *time.Location
	notes []capNote
}

// capNote is one device's: 24 bytes, since there can be millions.
type capNote struct {
	release, cell, number uint32
	at                    int64 // unix seconds
}

func newCapBook() *capBook {
	return &capBook{sent: map[string]*capEntry{}, releases: map[string]uint32{}}
}

// note counts a release for the owner of a device. Said twice, it counts once.
func (b *capBook) note(o audience.Owner, release string, ref news.DeviceRef, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	name, ok := b.releases[release]
	if !ok {
		name = uint32(len(b.releases)) + 1
		b.releases[release] = name
	}
	e := b.sent[o.SubscriberID]
	if e == nil {
		e = &capEntry{}
		b.sent[o.SubscriberID] = e
	}
	e.zone = o.Zone
	b.changes++
	e.forget(name, ref)
	e.notes = append(e.notes, capNote{name, uint32(ref.Cell), ref.Number, at.Unix()})
}

func (e *capEntry) forget(release uint32, ref news.DeviceRef) {
	e.notes = slices.DeleteFunc(e.notes, func(n capNote) bool {
		return n.release == release && n.cell == uint32(ref.Cell) && n.number == ref.Number
	})
}

// drop takes a release back that did not go to the device after all.
func (b *capBook) drop(subscriber, release string, ref news.DeviceRef) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.sent[subscriber]; e != nil {
		b.changes++
		e.forget(b.releases[release], ref)
	}
}

// knows reports whether the release counts for anybody.
func (b *capBook) knows(release string) bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.releases[release] != 0
}

// today is todays for one subscriber.
func (b *capBook) today(subscriber, judged string, now time.Time) int {
	return b.todays(judged, now)(subscriber)
}

// todays counts the releases of a subscriber's local day that `now` is in,
// without the one that is being judged: it may have gone to another of her
// devices, and then is no further alert. What it gives is for one goroutine.
func (b *capBook) todays(judged string, now time.Time) func(subscriber string) int {
	days := capDays{now: now}
	return func(subscriber string) int {
		b.mu.RLock()
		defer b.mu.RUnlock()
		if e := b.sent[subscriber]; e != nil {
			return days.count(e, b.releases[judged])
		}
		return 0
	}
}

// capped are a cell's readers who have had enough for today. It locks the book
// once, after the cell, as those do who ask while they match.
func (b *capBook) capped(c *audience.Cell, now time.Time) *news.Numbers {
	days, locked := capDays{now: now}, false
	defer func() {
		if locked {
			b.mu.RUnlock()
		}
	}()
	lock := func() {
		if !locked {
			b.mu.RLock()
			locked = true
		}
	}
	return c.Capped(func(subscriber []byte) int {
		lock()
		if e := b.sent[string(subscriber)]; e != nil {
			return days.count(e, 0)
		}
		return 0
	})
}

func (b *capBook) changed() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.changes
}

// capDays are the local days that an instant is in.
type capDays struct {
	now  time.Time
	days map[*time.Location][2]int64
}

// count counts an entry's releases of its day but for one. The book is locked.
func (d *capDays) count(e *capEntry, judged uint32) int {
	day, known := d.days[e.zone]
	if !known {
		y, m, dd := d.now.In(e.zone).Date()
		day = [2]int64{time.Date(y, m, dd, 0, 0, 0, 0, e.zone).Unix(), time.Date(y, m, dd+1, 0, 0, 0, 0, e.zone).Unix()}
		if d.days == nil {
			d.days = map[*time.Location][2]int64{}
		}
		d.days[e.zone] = day
	}
	counted := append(make([]uint32, 0, 16), judged) // 16: more than anybody's cap, without garbage
	for _, n := range e.notes {
		if n.at >= day[0] && n.at < day[1] && !slices.Contains(counted, n.release) {
			counted = append(counted, n.release)
		}
	}
	return len(counted) - 1
}

// prune forgets, once an hour, what is nobody's today any more.
func (b *capBook) prune(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.pruned) < time.Hour {
		return
	}
	b.pruned = now
	old := now.Add(-capHours * time.Hour).Unix()
	for subscriber, e := range b.sent {
		e.notes = slices.DeleteFunc(e.notes, func(n capNote) bool { return n.at < old })
		if len(e.notes) == 0 {
			delete(b.sent, subscriber)
		}
	}
	if len(b.sent) == 0 {
		clear(b.releases)
	}
}

// rebuildCaps counts again, from the ledger, what readers with a cap were sent
// on their local day (DESIGN 7, "rebuilt from the ledger when a cell moves").
func (s *Service) rebuildCaps(ctx context.Context, cells []int) error {
	recent, err := s.cfg.Store.ReleasesSince(ctx, s.cfg.Now().Add(-capHours*time.Hour))
	if err != nil {
		return fmt.Errorf("recent releases: %w", err)
	}
	var ids []string
	byID := map[string]*news.Release{}
	for i, r := range recent {
		if r.Kind == news.ReleaseAlert {
			ids = append(ids, r.ID)
			byID[r.ID] = &recent[i]
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := s.cfg.Store.Ledger(ctx, ids, cells)
	if err != nil {
		return fmt.Errorf("ledger of %d releases: %w", len(ids), err)
	}
	for _, row := range rows {
		s.book.countCaps(byID[row.ReleaseID], row.Cell, capped(row), wokenAt)
	}
	return nil
}

// capped is who a row counts for: sent to, or about to be.
func capped(row *news.LedgerRow) *news.Numbers {
	n := row.Pending()
	n.Or(row.Accepted)
	n.Or(row.Ambiguous)
	return n
}

// countFor is how long caps are counted before answers are written again: where
// everybody has one, a million take a second.
const countFor = 50 * time.Millisecond

// countPlanned counts a slice of what was planned for the caps of its readers, and
// reports whether nothing is left. It comes after the first write of a plan, so
// that nobody waits for it; but whoever judges anybody by her cap waits.
func (s *Service) countPlanned() (done bool) {
	for begun := time.Now(); len(s.uncounted) > 0; {
		s.book.count(s.uncounted[0])
		if s.uncounted = s.uncounted[1:]; len(s.uncounted) > 0 && time.Since(begun) >= s.countFor {
			signal(s.commit)
			return false
		}
	}
	if s.uncountedWait {
		signal(s.poke)
	}
	return true
}

// count is countPlanned for one cell, as its row says by now.
func (b *book) count(c *cellRun) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.countNow(c)
}

// countNow is count with b.mu held.
func (b *book) countNow(c *cellRun) {
	if c.uncounted && !c.lost {
		b.countCaps(&c.run.release, c.row.Cell, capped(c.row), releasedAt)
	}
	c.uncounted = false
}

// countCaps notes a release against the cap of each of the numbers, at the
// instant that `at` gives.
func (b *book) countCaps(r *news.Release, cell int, numbers *news.Numbers, at func(r *news.Release, c *audience.Cell, n uint32) time.Time) {
	type owned struct {
		number uint32
		owner  audience.Owner
	}
	var all []owned
	c := b.audience.Cell(cell)
	c.EachCapped(numbers, func(n uint32, o audience.Owner) {
		if countsForCap(r.Level, o) {
			all = append(all, owned{n, o})
		}
	})
	for _, d := range all {
		b.caps.note(d.owner, r.ID, news.DeviceRef{Cell: cell, Number: d.number}, at(r, c, d.number))
	}
}

// releasedAt is when a release counts for whoever gets it at once.
func releasedAt(r *news.Release, _ *audience.Cell, _ uint32) time.Time { return r.ReleasedAt }

// wokenAt is when it counts for one who may have slept then: it was held until
// the end of her quiet hours.
func wokenAt(r *news.Release, c *audience.Cell, n uint32) time.Time {
	if until, quiet := c.Asleep(n, r.ReleasedAt); quiet {
		return until
	}
	return r.ReleasedAt
}

// countsForCap: she has one; and a flash passes it, and does not use it up,
// unless she asked for no exception.
func countsForCap(l news.Level, o audience.Owner) bool {
	return o.Cap > 0 && (l != news.LevelFlash || o.FlashHeld)
}

// uncount takes a number back that will not be sent the release: it uses up
// nobody's cap. b.mu is held.
func (b *book) uncount(c *cellRun, n uint32) {
	if !b.caps.knows(c.run.release.ID) {
		return
	}
	if o, ok := b.audience.Cell(c.row.Cell).Owner(n); ok && o.Cap > 0 {
		b.caps.drop(o.SubscriberID, c.run.release.ID, news.DeviceRef{Cell: c.row.Cell, Number: n})
	}
}
