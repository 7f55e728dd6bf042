package dispatch

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// The store fails between the acquisition of the cells and the load of their
// devices: the cells are ours in the store, and have to be loaded all the same.
func TestCellsWhoseLoadFailedAreLoadedLater(t *testing.T) {
	for _, call := range []string{"AcquireCells", "CellChanges", "CellDevices", "ReleasesSince"} {
		t.Run(call, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.devices(300, wishes("JP"))
				failures := 0
				d.store.fault = func(c string) (before, after bool) {
					if c != call || failures == 3 {
						return false, false
					}
					failures++
					return false, true // done, but the answer is lost
				}
				_, stop := d.dispatcher("one")
				a := d.alert("story-1", news.LevelBulletin, "JP")
				d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
				stop()
				if n := d.service.total(); n != 300 {
					t.Errorf("%d sends for 300 devices", n)
				}
			})
		})
	}
}

// Loading a large audience takes longer than a lease lasts.
func TestALongLoadKeepsTheLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(300, wishes("JP"))
		d.store.slow = func(call string, n int) time.Duration {
			return time.Duration(n) * 50 * time.Millisecond
		}
		start := func(holder string) func() {
			s := New(Config{Store: d.store, Sender: d.service, Links: testLinks, Holder: holder, BaseURL: "https://alerts.example", Terms: d.terms()})
			ctx, cancel := context.WithCancel(t.Context())
			over := make(chan error, 1)
			go func() { over <- s.Run(ctx) }()
			return func() {
				cancel()
				if err := <-over; err != nil {
					t.Error(err)
				}
			}
		}
		stopOne := start("one")
		time.Sleep(time.Second)
		stopTwo := start("two")
		fences := func() [news.Cells]int64 {
			d.store.mu.Lock()
			defer d.store.mu.Unlock()
			return d.store.fence
		}
		fence := fences()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", 20*time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		for cell, now := range fences() {
			moved := now - fence[cell]
			if cell < news.Cells/2 && moved != 0 || moved > 1 { // the second half is the second process's share
				t.Errorf("cell %d changed hands %d times while its holder was loading it", cell, moved)
			}
		}
		stopTwo()
		stopOne()
		if n := d.service.total(); n != 300 {
			t.Errorf("%d sends for 300 devices", n)
		}
	})
}

// A cell goes to another process while we plan it, and comes back: what the
// other wrote is the truth, and not the plan we had in hand.
func TestACellThatComesBackIsReadAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(2*news.Cells, wishes("JP"))
		_, stop := d.dispatcher("one")
		time.Sleep(time.Second)
		var planning atomic.Bool
		d.store.mu.Lock()
		d.store.slow = func(call string, _ int) time.Duration {
			if call != "after Ledger" || !planning.CompareAndSwap(false, true) {
				return 0
			}
			return 8 * time.Second
		}
		d.store.mu.Unlock()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("planning", time.Minute, planning.Load)
		d.store.give("other", time.Now().Add(time.Second), 0)
		row := news.NewLedgerRow(d.releases(news.ReleaseAlert)[0].ID, 0)
		for _, dev := range devices {
			if dev.Cell == 0 {
				row.Planned.Add(dev.Number)
				row.Opened.Add(dev.Number)
				row.Accepted.Add(dev.Number)
			}
		}
		row.Settled, row.Fence = true, d.store.fence[0]
		if err := d.store.SaveLedger(t.Context(), "other", []*news.LedgerRow{row}); err != nil {
			t.Fatal(err)
		}
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		for _, dev := range devices {
			want := 1
			if dev.Cell == 0 {
				want = 0 // the other process sent it
			}
			if got := len(d.service.to(dev.Push.Endpoint)); got != want {
				t.Fatalf("a device of cell %d got %d messages, want %d", dev.Cell, got, want)
			}
		}
		if c := d.balanced(row.ReleaseID); c.Accepted != 2*news.Cells {
			t.Errorf("counts %+v", c)
		}
	})
}

// A cell moves away and back while requests of it are in flight and tasks of it
// are queued: nothing of the first tenure disturbs the second, and the alert
// settles.
func TestTasksOfAnEarlierTenureAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(2000, wishes("JP"))
		d.service.takes = 3 * time.Second
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 100 })
		for range 3 {
			for c := range news.Cells {
				d.store.give("other", time.Now(), c)
			}
			time.Sleep(5 * time.Second)
		}
		d.until("sent", 10*time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 2000 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestLeasesKeepApartWhatIsLoadedAndWhatIsLost(t *testing.T) {
	l := newLeases()
	soon := time.Now().Add(time.Minute)
	l.update([]news.Lease{{Cell: 1, Fence: 7}, {Cell: 2, Fence: 9}}, soon)
	if _, ok := l.fence(1); ok || len(l.list().cells) != 0 {
		t.Error("a cell counts as held before its devices are loaded")
	}
	l.loaded(map[int]int64{1: 7, 2: 8}) // the load of 2 was for an earlier lease
	if _, ok := l.fence(1); !ok {
		t.Error("a loaded cell is not held")
	}
	if _, ok := l.fence(2); ok {
		t.Error("a load for an earlier lease counts")
	}
	l.update([]news.Lease{{Cell: 1, Fence: 8}}, soon)
	if lost, _ := l.takeLost(); len(lost) != 2 {
		t.Errorf("lost %v, want both: one went, one came back under another fence", lost)
	}
	if fresh := l.fresh(); len(fresh) != 1 || fresh[1] != 8 {
		t.Errorf("to be loaded: %v", fresh)
	}
	l.loaded(map[int]int64{1: 8})
	l.update([]news.Lease{{Cell: 1, Fence: 8}}, time.Now().Add(-time.Second))
	if _, ok := l.fence(1); ok {
		t.Error("a lease that has run out is held")
	}
}

// A dispatcher is ready when the cells that were free are loaded, however long it
// takes to get them.
func TestReadyWithTheFirstCells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.store.slowOnce("after AcquireCells", time.Second)
		s, stop := d.dispatcher("one")
		defer stop()
		if got := len(s.held.list().cells); got != news.Cells {
			t.Errorf("ready with %d cells", got)
		}
	})
}
