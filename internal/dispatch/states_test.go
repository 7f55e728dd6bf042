package dispatch

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// slowOnce makes the next call of this name take a while; began is set once it
// is under way.
func (m *memory) slowOnce(call string, d time.Duration) (began *atomic.Bool) {
	began = &atomic.Bool{}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slow = func(c string, _ int) time.Duration {
		if c == call && began.CompareAndSwap(false, true) {
			return d
		}
		return 0
	}
	return began
}

func TestAStopDuringThePlanStartsNothing(t *testing.T) {
	for _, call := range []string{"after ReleasesOfStory", "after Ledger", "SaveLedger"} {
		for _, step := range []string{"hold", "cancel", "kill"} {
			t.Run(call+"/"+step, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDesk(t)
					d.slowly = true
					d.devices(500, wishes("JP"))
					_, stop := d.dispatcher("one")
					time.Sleep(time.Second)
					planning := d.store.slowOnce(call, 3*time.Second)
					a := d.alert("story-1", news.LevelBulletin, "JP")
					d.until("planning", time.Minute, planning.Load)
					time.Sleep(time.Second)
					d.press(step, a.ID)
					time.Sleep(20 * time.Second)
					if n := d.service.total(); n != 0 {
						t.Errorf("%d sends started although the alert was stopped while it was planned", n)
					}
					if step != "hold" {
						stop()
						if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Cancelled != 500 {
							t.Errorf("counts %+v", c)
						}
						return
					}
					d.press("resume", a.ID)
					d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
					stop()
					if n := d.service.total(); n != 500 {
						t.Errorf("%d sends for 500 devices", n)
					}
				})
			})
		}
	}
}

// press is a step of the desk by name.
func (d *desk) press(step, id string) {
	d.t.Helper()
	switch step {
	case "kill":
		d.kill(id)
	case "correct":
		d.correct(id, "Corrected")
	default:
		d.change(id, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) {
			switch step {
			case "hold":
				return news.Hold(a, editor, "wait")
			case "resume":
				return news.Resume(a, editor)
			case "cancel":
				return news.Cancel(a, editor, "no")
			}
			return news.AlertAction{}, fmt.Errorf("no step %q", step)
		})
	}
}

func TestAnOlderReadingNeverUndoesAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.slowly = true
		d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 200 })
		d.store.mu.Lock()
		var held atomic.Bool
		d.store.slow = func(call string, _ int) time.Duration {
			if call == "after ActiveReleases" && !held.Load() {
				return 290 * time.Millisecond
			}
			return 0
		}
		d.store.mu.Unlock()
		for i := range 10 {
			time.Sleep(time.Duration(900+i*37) * time.Millisecond)
			held.Store(true)
			d.press("hold", a.ID)
			pressed := time.Now()
			time.Sleep(2 * time.Second)
			if late := d.service.after(pressed, 500*time.Millisecond); len(late) > 0 {
				t.Fatalf("a send started %s after the hold", late[0].at.Sub(pressed))
			}
			held.Store(false)
			d.press("resume", a.ID)
		}
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 2000 {
			t.Errorf("%d sends for 2000 devices", n)
		}
	})
}

// A release that counts as sent still goes out to those whose quiet hours end.
// A kill stops that, too, whatever the conductor is busy with.
func TestAKillStopsTheMorningSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.slowly = true
		w := wishes("JP")
		w.Quiet = &news.Quiet{From: 22 * 60, To: 9*60 + 2} // the bubble's clock starts at 9:00 in Tokyo
		d.devices(500, w)
		d.service.takes = 2 * time.Second // 64 at a time: 16 s
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent to all but those asleep", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		d.until("the morning's sends", 5*time.Minute, func() bool { return d.service.total() > 100 })
		d.store.slowOnce("Countdowns", 5*time.Second)
		d.kill(a.ID)
		pressed := time.Now()
		time.Sleep(time.Minute)
		for _, m := range d.service.after(pressed, 500*time.Millisecond) {
			if m.payload.Notification.Data.Revision == 1 {
				t.Fatalf("a send of the killed revision started %s after the press", m.at.Sub(pressed))
			}
		}
		stop()
		reached := d.balanced(d.releases(news.ReleaseAlert)[0].ID).Accepted
		if c := d.balanced(d.releases(news.ReleaseKill)[0].ID); c.Accepted != reached || reached == 0 || reached == 500 {
			t.Errorf("%d were reached, %d got the retraction", reached, c.Accepted)
		}
	})
}

// half is the store of a process that takes half of the cells.
type half struct {
	*memory
	read func() // called after each reading of a story's releases
}

func (h half) AcquireCells(ctx context.Context, holder string, ttl time.Duration, _ int) ([]news.Lease, error) {
	have, err := h.memory.RenewCells(ctx, holder, ttl)
	if err != nil {
		return nil, err
	}
	return h.memory.AcquireCells(ctx, holder, ttl, news.Cells/2-len(have))
}

func (h half) ReleasesOfStory(ctx context.Context, uri string) ([]news.Release, error) {
	all, err := h.memory.ReleasesOfStory(ctx, uri)
	if h.read != nil {
		h.read()
	}
	return all, err
}

// Two processes share the cells. One has read that a release is under way, and
// is slow; meanwhile the release is stopped, and the other process is done with
// its cells.
func TestAStopReachesAProcessThatHadNotPlanned(t *testing.T) {
	for _, step := range []string{"cancel", "kill", "correct"} {
		t.Run(step, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.slowly = true
				devices := d.devices(512, wishes("JP"))
				gate, reached := make(chan struct{}), make(chan struct{}, 100)
				open := sync.OnceFunc(func() { close(gate) })
				_, stopOne := d.dispatcherOn(half{memory: d.store}, "one")
				_, stopTwo := d.dispatcherOn(half{memory: d.store, read: func() {
					select {
					case reached <- struct{}{}:
					default:
					}
					<-gate
				}}, "two")
				t.Cleanup(open) // also when the test has failed, or the dispatcher could not be stopped
				a := d.alert("story-1", news.LevelBulletin, "JP")
				<-reached
				d.until("the fast half", time.Minute, func() bool { return d.service.total() == 256 })
				d.press(step, a.ID)
				pressed := time.Now()
				first := d.releases(news.ReleaseAlert)[0].ID
				time.Sleep(time.Second)
				if n := d.store.settledRows(first); n != news.Cells/2 {
					t.Fatalf("%d rows are settled, want those of the fast half", n)
				}
				open()
				time.Sleep(10 * time.Second)
				stopOne()
				stopTwo()
				for _, m := range d.service.after(pressed, 500*time.Millisecond) {
					if m.payload.Notification.Data.Revision == 1 {
						t.Fatalf("a send started %s after the stop", m.at.Sub(pressed))
					}
				}
				want := map[string]int{"cancel": 256, "kill": 512, "correct": 256 + 512}[step]
				if n := d.service.total(); n != want {
					t.Errorf("%d sends, want %d", n, want)
				}
				for _, dev := range devices {
					if got := d.service.to(dev.Push.Endpoint); step == "correct" && got[len(got)-1].payload.Notification.Title != "Corrected" {
						t.Fatal("a device that waited did not get the correction instead")
					}
				}
			})
		})
	}
}

func TestOneAlertThatFailsHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.slowly = true
		d.devices(300, wishes("JP"))
		d.store.fault = func(call string) (before, after bool) { return call == "ChangeAlert" || call == "Countdowns", false }
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
	})
}
