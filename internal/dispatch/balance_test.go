package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// holders counts the cells of each process.
func (m *memory) holders() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := map[string]int{}
	for c := range news.Cells {
		if m.owner[c] != "" && m.until[c].After(time.Now()) {
			n[m.owner[c]]++
		}
	}
	return n
}

// even reports whether n processes hold all cells, none more than one more than its
// share.
func (m *memory) even(n int) bool {
	held, all := m.holders(), 0
	for _, cells := range held {
		if cells > (news.Cells+n-1)/n {
			return false
		}
		all += cells
	}
	return len(held) == n && all == news.Cells
}

// Cells are shared out evenly within 10 s of a join, again and again, and within 10 s
// of a process that says nothing more; and an alert under way meanwhile goes to
// everybody once.
func TestCellsAreSharedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(6000, wishes("JP"))
		d.service.takes = 100 * time.Millisecond
		_, stopOne := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 500 })
		_, stopTwo := d.dispatcher("two")
		d.until("two share", 10*time.Second, func() bool { return d.store.even(2) })
		_, stopThree := d.dispatcher("three")
		d.until("three share", 10*time.Second, func() bool { return d.store.even(3) })
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stopTwo()
		d.until("two share what one left", 10*time.Second, func() bool { return d.store.even(2) })
		stopOne()
		stopThree()
		for _, dev := range devices {
			if n := len(d.service.to(dev.Push.Endpoint)); n != 1 {
				t.Fatalf("device %s got %d messages", dev.ID, n)
			}
		}
		d.balanced(d.releases(news.ReleaseAlert)[0].ID)
	})
}

// A push service that hangs does not keep a cell: what is in flight is left to its
// next holder, who sends it again.
func TestAHangingServiceKeepsNoCell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(600, wishes("JP"))
		d.service.takes = time.Hour
		_, stopOne := d.dispatcher("one")
		d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() >= 64 })
		_, stopTwo := d.dispatcher("two")
		d.until("two share", 10*time.Second, func() bool { return d.store.even(2) })
		stopOne()
		stopTwo()
	})
}
