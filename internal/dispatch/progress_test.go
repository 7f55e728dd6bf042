package dispatch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// Progress adds up to the counts of the release, while the book has it and when
// only the store does.
func TestProgressAddsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(300, wishes("JP"))
		d.devices(100, wishes("035"))
		for i := range 60 {
			d.store.addDevice(i, wishes("KR"), fmt.Sprintf("https://web.push.apple.com/%d", i))
		}
		s, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP + KR")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		id := d.releases(news.ReleaseAlert)[0].ID
		again, stopAgain := s, stop
		for _, when := range []string{"as it ends", "by another process later"} {
			d.until("all cells held", time.Minute, func() bool { return len(again.held.list().cells) == news.Cells })
			p, err := NewWatch(again).Progress(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if p.Cells != news.Cells || p.Places["JP"].Accepted != 300 || p.Places["KR"].Accepted != 60 || len(p.Places) != 2 ||
				p.Services[origin].Accepted != 300 || p.Services["https://web.push.apple.com"].Accepted != 60 {
				t.Errorf("%s: %+v", when, p)
			}
			if whole := d.balanced(id); whole.Accepted != 360 || p.Places["JP"].Reachable+p.Places["KR"].Reachable != whole.Reachable {
				t.Errorf("%s: counts %+v", when, whole)
			}
			stopAgain()
			again, stopAgain = d.dispatcher("two")
		}
		stopAgain()
	})
}

// A look at a million devices that are going out: the first labels them, the
// others count; and how long one cell's rows hold the book.
func BenchmarkProgressOfAMillion(b *testing.B) {
	s, r, h := million(b, 0)
	if err := s.planRun(r, h); err != nil {
		b.Fatal(err)
	}
	for cell, c := range r.cells { // half are out
		for n := range uint32(1_000_000 / news.Cells / 2) {
			c.row.Opened.Add(n)
			if n%16 == uint32(cell%16) {
				c.row.Failed.Add(n)
			} else {
				c.row.Accepted.Add(n)
			}
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			if p, err := NewWatch(s).Progress(b.Context(), "r"); err != nil || p.Cells != news.Cells {
				b.Fatal(p, err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		w := NewWatch(s)
		for b.Loop() {
			if _, err := w.Progress(b.Context(), "r"); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("book held", func(b *testing.B) {
		for b.Loop() {
			s.book.copyOf(r, 7)
		}
	})
}
