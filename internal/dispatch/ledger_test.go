package dispatch

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// inDoubt is how many numbers of a release are opened without an answer.
func (m *memory) inDoubt(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, row := range m.rows[id] {
		n += int(roaring.And(row.Pending(), row.Opened).GetCardinality())
	}
	return n
}

func TestAnOrderlyStopLeavesNobodyInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(3000, wishes("JP"))
		d.service.takes = 400 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 1000 })
		stop()
		id := d.releases(news.ReleaseAlert)[0].ID
		if n := d.store.inDoubt(id); n != 0 {
			t.Errorf("%d numbers count as perhaps sent after an orderly stop", n)
		}
		if c := d.balanced(id); c.Accepted != d.service.total() || c.Ambiguous != 0 {
			t.Errorf("%d were sent; counts %+v", d.service.total(), c)
		}
		_, stop = d.dispatcher("two")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 3000 {
			t.Errorf("%d sends for 3000 devices", n)
		}
	})
}

// Requests that outlive the drain are cut off and in doubt; all other answers
// are written, also those of a drain longer than the lease, and the cells are
// given back.
func TestAStopWithHangingRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for i := range 200 {
			host := origin
			if i%2 == 0 {
				host = "https://slow.example"
			}
			d.store.addDevice(i%news.Cells, wishes("JP"), fmt.Sprintf("%s/%d", host, i))
		}
		sender := &uneven{service: d.service, takes: map[string]time.Duration{origin: 4800 * time.Millisecond, "https://slow.example": time.Minute}}
		_, stop := d.dispatcherWith(sender, "one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("128 in flight", time.Minute, func() bool { return d.service.total() == 128 })
		begun := time.Now()
		stop()
		if took := time.Since(begun); took > 8*time.Second {
			t.Errorf("the stop took %s", took)
		}
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 64 || c.Ambiguous != 64 || c.Pending != 72 {
			t.Errorf("counts %+v", c)
		}
		sender.takes = nil
		begun = time.Now()
		_, stop = d.dispatcher("two")
		if took := time.Since(begun); took > time.Second {
			t.Errorf("the cells were free after %s only", took)
		}
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 200+64 {
			t.Errorf("%d sends, want one each and 64 repeats", n)
		}
	})
}

// uneven is a sender that takes longer for some origins.
type uneven struct {
	*service
	takes map[string]time.Duration
	hang  string // origins that end so never answer
}

func (u *uneven) Reserve(context.Context, string, int) (push.Room, *news.Receipt) {
	return oneByOne{u, ""}, nil
}

func (u *uneven) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	r := u.service.Send(ctx, to, m)
	takes := u.takes[push.Origin(to.Endpoint)]
	if u.hang != "" && strings.HasSuffix(push.Origin(to.Endpoint), u.hang) {
		takes = time.Hour
	}
	if !wait(ctx, takes) {
		r = news.Receipt{Outcome: news.Ambiguous, Reason: "cancelled"}
	}
	return r
}

// What a push service says it has not taken is not open: a crash puts nobody in
// doubt, and a kill goes to nobody.
func TestWhatWasNotTakenIsNotInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		const devices = 1500
		d.devices(devices, wishes("JP"))
		d.service.answer = func(to push.Target, n int) news.Receipt {
			if n > 5 {
				return news.Receipt{Outcome: news.Accepted, Status: 201}
			}
			return news.Receipt{Outcome: news.Retry, Status: 429, Reason: "throttled"}
		}
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		id := d.releases(news.ReleaseAlert)[0].ID
		for range 240 { // a minute
			time.Sleep(250 * time.Millisecond)
			if n := d.store.inDoubt(id); n > firstWindow+64 {
				t.Fatalf("%d numbers count as perhaps sent, all were refused", n)
			}
		}
		d.kill(a.ID)
		d.until("retracted", time.Minute, func() bool { return d.releases(news.ReleaseKill)[0].State == news.ReleaseSent })
		stop()
		if c := d.balanced(id); c.Cancelled != devices {
			t.Errorf("counts %+v", c)
		}
		if c := d.balanced(d.releases(news.ReleaseKill)[0].ID); c.Reachable != 0 {
			t.Errorf("the retraction of something that nobody got: %+v", c)
		}
	})
}

func TestManySmallServicesDoNotStarveALargeOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		const small = 1500
		for i := range small {
			d.store.addDevice(i%news.Cells, wishes("JP"), fmt.Sprintf("https://n%d.hanging.example/x", i))
		}
		healthy := d.devices(6000, wishes("JP"))
		d.service.takes = 50 * time.Millisecond // 64 at a time: 5 s for all
		_, stop := d.dispatcherWith(&uneven{service: d.service, hang: ".hanging.example"}, "one")
		begun := time.Now()
		d.alert("story-1", news.LevelBulletin, "JP")
		d.until("the healthy service", time.Minute, func() bool { return d.service.total() >= len(healthy)+small })
		if took := time.Since(begun); took > 7*time.Second {
			t.Errorf("the healthy service took %s beside %d that hang", took, small)
		}
		stop()
	})
}

// Services that were fast, and have all they may have open, begin to hang one
// after the other: the write-ahead keeps to its bound, and none keeps the next
// from going on.
func TestOpenNumbersKeepToTheirBound(t *testing.T) {
	l := loads{byOrigin: map[string]*load{}}
	for i := range 10 {
		o := fmt.Sprintf("https://push%d.example", i)
		for range 10 { // it has nothing to do, and more waits: its window grows
			n := l.room(map[string]int{o: 1_000_000})[o]
			l.begin(o, n)
			for range n {
				l.end(o, true)
			}
			l.committed(l.unsafe())
			l.of(o).more = true
		}
		n := l.room(map[string]int{o: 1_000_000})[o]
		if n < dry {
			t.Fatalf("service %d may open %d numbers beside those that hang", i, n)
		}
		if l.begin(o, n); l.working > maxOpen+i*dry {
			t.Fatalf("%d numbers are open", l.working)
		}
	}
}

func TestShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(0, 1000).Draw(t, "total")
		want := rapid.MapOfN(rapid.StringN(1, 3, -1), rapid.IntRange(1, 500), 0, 30).Draw(t, "want")
		got := shares(want, total)
		sum, all := 0, 0
		for name, n := range want {
			sum, all = sum+got[name], all+n
			if got[name] < 0 || got[name] > n {
				t.Fatalf("%q wants %d and gets %d", name, n, got[name])
			}
			if got[name] < n && got[name] < total/len(want) {
				t.Fatalf("%q wants %d and gets %d, less than an equal share of %d", name, n, got[name], total)
			}
		}
		if sum > total || sum < min(total, all)-len(want) {
			t.Fatalf("%d of %d are given out, %d are wanted", sum, total, all)
		}
	})
}

// A correction goes instead of the original to whoever still waited for it,
// and to nobody else who did not get it.
func TestACorrectionGoesInsteadOnlyToThoseWhoWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := wishes("JP")
		reached := d.devices(600, w)
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 100 })
		paused := map[string]bool{}
		for _, dev := range reached[400:] {
			if len(d.service.to(dev.Push.Endpoint)) == 0 {
				paused[dev.Push.Endpoint] = true
				d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.Wishes.PausedUntil = time.Now().Add(time.Minute) })
			}
		}
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		time.Sleep(2 * time.Minute) // nobody is paused any more
		d.correct(a.ID, "Corrected")
		d.until("corrected", time.Minute, func() bool { return d.releases(news.ReleaseCorrection)[0].State == news.ReleaseSent })
		stop()
		for _, dev := range reached {
			got := d.service.to(dev.Push.Endpoint)
			if paused[dev.Push.Endpoint] && len(got) > 0 && got[0].payload.Notification.Title == "Corrected" {
				t.Fatal("a reader who had paused, and had not got the alert, got its correction")
			}
			if len(got) > 0 && got[len(got)-1].payload.Notification.Title != "Corrected" {
				t.Fatal("a reader who had the alert did not get its correction")
			}
		}
	})
}

// Who gets a correction instead of its alert may pause or mute it, also after a
// restart.
func TestAfterARestartACorrectionStillGoesInstead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		dev := d.devices(1, wishes("JP"))[0]
		d.service.answer = func(push.Target, int) news.Receipt { return news.Receipt{Outcome: news.Retry, Status: 503} }
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("tried", time.Minute, func() bool { return d.service.total() == 1 })
		d.correct(a.ID, "Corrected")
		d.until("tried again", time.Minute, func() bool { return d.service.total() == 2 })
		stop()
		d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.Wishes.PausedUntil = time.Now().Add(time.Hour) })
		d.service.behaves()
		_, stop = d.dispatcher("two")
		d.until("over", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 2 {
			t.Error("a reader who had paused, and had not got the alert, got its correction")
		}
	})
}

// Requests of a cell are in flight when the correction comes; others of it are
// queued, or wait for a retry. All of these get the correction instead.
func TestACorrectionTakesOverWhoIsQueued(t *testing.T) {
	for _, answer := range []news.Receipt{{Outcome: news.Accepted, Status: 201}, {Outcome: news.Retry, Status: 429}} {
		t.Run(answer.Outcome.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				for i := range 1000 {
					d.store.addDevice(i%3, wishes("JP"), fmt.Sprintf("%s/%d", origin, i))
				}
				d.service.takes = 1200 * time.Millisecond
				d.service.answer = func(push.Target, int) news.Receipt {
					if len(d.releases(news.ReleaseCorrection)) == 0 {
						return answer
					}
					return news.Receipt{Outcome: news.Accepted, Status: 201}
				}
				_, stop := d.dispatcher("one")
				a := d.alert("story-1", news.LevelBulletin, "JP")
				d.until("some are out", time.Minute, func() bool { return d.service.total() > 60 })
				d.correct(a.ID, "Corrected")
				d.until("corrected", 5*time.Minute, func() bool { return d.releases(news.ReleaseCorrection)[0].State == news.ReleaseSent })
				stop()
				first, second := d.balanced(d.releases(news.ReleaseAlert)[0].ID), d.balanced(d.releases(news.ReleaseCorrection)[0].ID)
				if second.Accepted != 1000 || first.Accepted+first.Cancelled != 1000 {
					t.Errorf("the alert %+v, its correction %+v", first, second)
				}
			})
		})
	}
}

// A message that waits for a connection asks again before it leaves: after the
// lease has run out, and after its reader has left, it stays here.
func TestAMessageThatWaitsForAConnectionAsksAgain(t *testing.T) {
	for _, what := range []string{"lease", "left"} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				devices := d.devices(600, wishes("JP"))
				d.service.queue = 8 * time.Second
				_, stop := d.dispatcher("one")
				d.alert("story-1", news.LevelBulletin, "JP")
				time.Sleep(10 * time.Second) // 64 are out, 64 wait
				limit := time.Second
				if what == "lease" {
					limit = 4 * time.Second // two thirds of the lease of 6 s
					for c := range news.Cells {
						d.store.give("other", time.Now().Add(time.Hour), c)
					}
				} else {
					for _, dev := range devices {
						d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.State = news.DeviceLeft })
					}
				}
				gone := time.Now()
				time.Sleep(30 * time.Second)
				stop()
				if late := d.service.after(gone, limit); len(late) > 0 {
					t.Errorf("%d sends started, the first %s later", len(late), late[0].at.Sub(gone))
				}
			})
		})
	}
}

// Messages that a hold stops in front of a connection say nothing of the push
// service: after the hold it goes on at full width.
func TestAHoldDoesNotCountAsTroubleOfTheService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(640, wishes("JP"))
		d.service.queue = time.Second
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 100 })
		d.press("hold", a.ID)
		time.Sleep(time.Second)
		d.press("resume", a.ID)
		resumed := time.Now()
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if took := time.Since(resumed); took > 11*time.Second {
			t.Errorf("after the hold the rest took %s, want about 8 s", took)
		}
		stop()
	})
}

// The clocks of the processes that released an alert and its correction differ:
// the correction still goes to everybody, instead of the alert or after it.
func TestACorrectionThatSeemsOlderThanItsAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(300, wishes("JP"))
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.correct(a.ID, "Corrected")
		d.store.releases[0].ReleasedAt = d.store.releases[1].ReleasedAt.Add(3 * time.Second)
		_, stop := d.dispatcher("one")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if c := d.balanced(d.releases(news.ReleaseCorrection)[0].ID); c.Accepted != 300 {
			t.Errorf("counts of the correction %+v", c)
		}
	})
}

// A repair waits until the book has what it repairs.
func TestARepairIsNotOpenedAlone(t *testing.T) {
	b := New(Config{}).book
	alert := news.Release{ID: "r1", AlertID: "a", StoryURI: "s", Revision: 1, Kind: news.ReleaseAlert, State: news.ReleaseSending}
	kill := news.Release{ID: "r2", AlertID: "a", StoryURI: "s", Revision: 2, Kind: news.ReleaseKill, State: news.ReleaseSending}
	story := []news.Release{alert, kill}
	open := func() {
		for _, r := range story {
			b.open(r, story, newPayloads(&r, "", false), audience.Query{})
		}
	}
	b.active = []news.Release{kill}
	if open(); b.has("r1") || b.has("r2") {
		t.Error("a repair was opened without the alert, of whose state nothing is known")
	}
	if missing := b.missing(); len(missing) != 1 {
		t.Errorf("missing %v: the repair is not looked for again", missing)
	}
	story[0].State = news.ReleaseStopped
	if open(); !b.has("r1") || !b.has("r2") {
		t.Error("not opened")
	}
}
