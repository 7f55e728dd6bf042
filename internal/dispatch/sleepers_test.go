package dispatch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// asleep are wishes with quiet hours that end so long after the start of the
// bubble's clock, which is 9:00 in Tokyo.
func asleep(minutes int) news.Wishes {
	w := wishes("JP")
	w.Quiet = &news.Quiet{From: 22 * 60, To: 9*60 + minutes, Flash: true}
	return w
}

// The process stops, or is cut off, while the night's alert goes out to those
// who have just woken, long after the alert's own deadline.
func TestARestartInTheMorningLosesNobody(t *testing.T) {
	for _, how := range []string{"stop", "crash"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.lasts = time.Minute
				devices := d.devices(800, asleep(2))
				d.service.takes = 2 * time.Second
				d.service.answer = func(_ push.Target, n int) news.Receipt {
					if n == 0 {
						return news.Receipt{Outcome: news.Retry, Status: 429, After: 3 * time.Second}
					}
					return news.Receipt{Outcome: news.Accepted, Status: 201}
				}
				cut := &severed{memory: d.store}
				_, stop := d.dispatcherFor(cut, cut.sender(d.service), "one")
				d.alert("story-1", news.LevelBulletin, "JP")
				d.until("the morning's sends", 4*time.Minute, func() bool { return d.service.total() > 300 })
				cut.cut.Store(how == "crash")
				stop()
				time.Sleep(10 * time.Second)
				d.service.behaves()
				_, stop = d.dispatcher("two")
				first := d.releases(news.ReleaseAlert)[0].ID
				d.until("over", 10*time.Minute, func() bool {
					c := d.store.counts(first)
					return c.Held+c.Pending+c.Ambiguous == 0
				})
				stop()
				if c := d.balanced(first); c.Accepted != 800 {
					t.Errorf("counts %+v", c)
				}
				for _, dev := range devices {
					if len(d.service.to(dev.Push.Endpoint)) == 0 {
						t.Fatal("a reader never got what was held for her")
					}
				}
			})
		})
	}
}

// The same story goes out as a bulletin and, before that has reached everybody,
// as a flash: whoever has the flash does not get the bulletin afterwards.
func TestAnOlderAlertOfTheStoryStaysBehindANewer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		awake, sleeping := d.devices(600, wishes("JP")), d.devices(20, asleep(5))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		bulletin := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 100 })
		d.press("hold", bulletin.ID)
		flash := d.alert("story-1", news.LevelFlash, "JP")
		d.until("the flash", time.Minute, func() bool { return d.state(flash.ID) == news.AlertSent })
		d.press("resume", bulletin.ID)
		d.until("the bulletin", time.Minute, func() bool { return d.state(bulletin.ID) == news.AlertSent })
		stop() // also after a restart
		_, stop = d.dispatcher("two")
		other := d.alert("story-2", news.LevelBulletin, "JP")
		d.until("the other story", time.Minute, func() bool { return d.state(other.ID) == news.AlertSent })
		time.Sleep(6 * time.Minute)
		stop()
		for _, dev := range awake {
			newest := 0
			for _, m := range d.service.to(dev.Push.Endpoint) {
				if r := m.payload.Notification.Data.Revision; m.payload.Notification.Title == "First story-1" {
					if r < newest {
						t.Fatalf("a device got revision %d after %d", r, newest)
					}
					newest = r
				}
			}
			if newest != 2 {
				t.Fatal("a device did not get the flash")
			}
		}
		for _, dev := range sleeping {
			got := d.service.to(dev.Push.Endpoint)
			if len(got) != 2 || got[0].payload.Notification.Data.Level != "flash" || got[1].payload.Notification.Body != "Body" {
				t.Fatalf("a sleeper got %d messages, the last one %+v", len(got), got[len(got)-1].payload.Notification)
			}
		}
	})
}

// What is held of a correction goes instead of the original: whoever mutes the
// story meanwhile, or pauses, gets none.
func TestASleeperOfACorrectionIsJudgedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		sleeping := d.devices(300, asleep(2))
		d.devices(300, wishes("JP"))
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent to those awake", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		d.correct(a.ID, "Corrected")
		d.until("corrected", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		for i, dev := range sleeping {
			d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) {
				switch i % 3 {
				case 0:
					x.Wishes.MutedStories = []string{"story-1"}
				case 1:
					x.Wishes.PausedUntil = time.Now().Add(5 * time.Hour)
				}
			})
		}
		time.Sleep(3 * time.Minute)
		stop()
		for i, dev := range sleeping {
			got := d.service.to(dev.Push.Endpoint)
			switch {
			case i%3 != 2 && len(got) > 0:
				t.Fatal("a reader who had muted the story, or paused, got its correction")
			case i%3 == 2 && (len(got) != 1 || got[0].payload.Notification.Title != "Corrected"):
				t.Fatalf("a reader who had slept got %d messages", len(got))
			}
		}
		c := d.balanced(d.releases(news.ReleaseCorrection)[0].ID)
		if c.Accepted != 400 || c.Cancelled != 200 {
			t.Errorf("counts %+v", c)
		}
	})
}

// A reader ends her quiet hours by her wishes, and an alert on hold waits for
// the desk, whatever the hour.
func TestWhoWakesEarlyAndWhatIsOnHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		dev := d.devices(1, asleep(5*60))[0]
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.Wishes.Quiet = nil })
		d.until("awake", 2*time.Minute, func() bool { return len(d.service.to(dev.Push.Endpoint)) == 1 })

		dev = d.devices(1, asleep(4))[0]
		d.service.answer = func(to push.Target, n int) news.Receipt { // keeps the second alert from being sent
			if to.Endpoint != dev.Push.Endpoint {
				return news.Receipt{Outcome: news.Retry, Status: 503}
			}
			return news.Receipt{Outcome: news.Accepted}
		}
		b := d.alert("story-2", news.LevelBulletin, "JP")
		time.Sleep(5 * time.Second)
		d.press("hold", b.ID)
		time.Sleep(5 * time.Minute)
		if n := len(d.service.to(dev.Push.Endpoint)); n != 0 {
			t.Error("an alert on hold went to a reader whose quiet hours had ended")
		}
		d.press("resume", b.ID)
		d.until("resumed", time.Minute, func() bool { return len(d.service.to(dev.Push.Endpoint)) == 1 })
		stop()
	})
}

func TestTheMorningPushCountsDistinctStories(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		dev := d.devices(1, asleep(2))[0]
		_, stop := d.dispatcher("one")
		for _, uri := range []string{"story-1", "story-2", "story-3"} {
			a := d.alert(uri, news.LevelBulletin, "JP")
			d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
			if uri == "story-3" {
				d.correct(a.ID, "Corrected")
				d.until("corrected", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
			}
		}
		time.Sleep(3 * time.Minute)
		stop()
		got := d.service.to(dev.Push.Endpoint)
		if len(got) != 1 || got[0].payload.Notification.Title != "Corrected" || got[0].payload.Notification.Body != "Body (and 2 more)" {
			t.Errorf("got %d messages: %+v", len(got), got)
		}
	})
}

// night is a dispatcher with so many cells full of readers who sleep from ten to
// seven in Tokyo, and an alert of half past six that is held for all of them.
func night(cells, perCell int) (s *Service, r *run, released time.Time) {
	d := &desk{store: newMemory(), service: newService()}
	s = New(Config{Store: d.store, Sender: d.service, Links: testLinks, Holder: "one"})
	released = time.Date(2024, 2, 6, 21, 30, 0, 0, time.UTC)
	r = &run{release: news.Release{ID: "r", StoryURI: "story-1", Level: news.LevelBulletin, Audience: "JP", Language: "en", ReleasedAt: released},
		state: news.ReleaseSent, cells: map[int]*cellRun{}, payload: newPayloads(&news.Release{}, "", false)}
	r.query = s.query(r.release)
	s.book.runs["r"] = r
	w := wishes("JP")
	w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60}
	for cell := range cells {
		row := news.NewLedgerRow("r", cell)
		for n := range uint32(perCell) {
			s.audience.Cell(cell).Put(news.Device{Cell: cell, Number: n, State: news.DeviceActive, Wishes: w, Push: news.PushSubscription{Endpoint: fmt.Sprintf("%s/%d", origin, n)}})
			row.Planned.Add(n)
			row.Held.Add(n)
		}
		row.Settled = true
		s.book.adopt(r, row, adoption{found: true})
	}
	return s, r, released
}

// awake is how many were let go.
func (r *run) awake() int {
	n := 0
	for _, c := range r.cells {
		n += len(c.late)
	}
	return n
}

// Where a night ends for many at once, answers are written between.
func TestAMorningIsWokenInParts(t *testing.T) {
	s, r, released := night(10, 1500)
	seven := released.Add(30 * time.Minute)
	for before := 0; before < 15_000; before = r.awake() {
		s.wakeSleepers(seven)
		if n := r.awake() - before; n == 0 || n >= wokenAtOnce+1500 {
			t.Fatalf("%d were woken at once", n)
		}
		if len(s.poke) == 0 && r.awake() < 15_000 {
			t.Fatal("nobody looks at the others")
		}
		for len(s.poke) > 0 {
			<-s.poke
		}
	}
}

// A million readers sleep: the minutes of the night must cost little.
func BenchmarkANightWithSleepers(b *testing.B) {
	s, _, released := night(news.Cells, 1_000_000/news.Cells)
	minute := 0
	for b.Loop() {
		s.wakeSleepers(released.Add(time.Duration(minute%29) * time.Minute))
		minute++
	}
}

func BenchmarkAMorning(b *testing.B) {
	s, r, released := night(1, wokenAtOnce)
	for b.Loop() {
		clear(r.cells[0].late)
		clear(s.book.naps)
		s.wakeSleepers(released.Add(30 * time.Minute))
	}
}
