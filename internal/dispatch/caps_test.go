package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

func TestCapBook(t *testing.T) {
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	kim := audience.Owner{SubscriberID: "kim", Zone: tokyo, Cap: 3}
	phone, desktop := news.DeviceRef{Cell: 1, Number: 5}, news.DeviceRef{Cell: 9, Number: 2}
	noon := time.Date(2024, 2, 7, 12, 0, 0, 0, tokyo)
	b := newCapBook()
	b.note(kim, "r1", phone, noon)
	b.note(kim, "r1", phone, noon)   // said twice: a cell that moved away and back
	b.note(kim, "r1", desktop, noon) // her other device
	b.note(kim, "r2", phone, noon.Add(-12*time.Hour-time.Second))
	if n := b.today("kim", "r0", noon); n != 1 {
		t.Errorf("%d today, want 1: r2 was yesterday", n)
	}
	b.drop("kim", "r1", phone)
	if n := b.today("kim", "r0", noon); n != 1 {
		t.Errorf("%d today, want 1: the desktop got it", n)
	}
	b.drop("kim", "r1", desktop)
	b.drop("lee", "r1", desktop)
	if n := b.today("kim", "r0", noon); n != 0 {
		t.Errorf("%d today, want none", n)
	}
	b.prune(noon.Add(40 * time.Hour))
	if b.prune(noon.Add(60 * time.Hour)); len(b.sent) != 0 {
		t.Errorf("%d subscribers are remembered for nothing", len(b.sent))
	}
}

// What was cancelled, refused or has expired uses up nobody's cap.
func TestWhatDidNotGoOutUsesUpNoCap(t *testing.T) {
	for _, how := range []string{"cancel", "refused", "expired"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.slowly = true
				w := wishes("JP")
				w.Cap = 1
				dev := d.devices(1, w)[0]
				d.lasts = time.Minute
				d.service.answer = func(push.Target, int) news.Receipt {
					if how == "refused" {
						return news.Receipt{Outcome: news.Refused, Status: 400}
					}
					return news.Receipt{Outcome: news.Retry, Status: 503}
				}
				_, stop := d.dispatcher("one")
				a := d.alert("story-1", news.LevelBulletin, "JP")
				time.Sleep(3 * time.Second)
				if how == "cancel" {
					d.press("cancel", a.ID)
				}
				time.Sleep(90 * time.Second)
				d.service.behaves()
				d.alert("story-2", news.LevelBulletin, "JP")
				time.Sleep(3 * time.Second)
				d.alert("story-3", news.LevelBulletin, "JP") // one too many
				time.Sleep(3 * time.Second)
				stop()
				got := d.service.to(dev.Push.Endpoint)
				if last := got[len(got)-1].payload.Notification.Title; last != "First story-2" {
					t.Errorf("the last message is %q", last)
				}
			})
		})
	}
}

// The morning push counts for the day it went out on, also after a restart.
func TestTheMorningPushCountsForItsDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.slowly = true
		w := wishes("JP")
		w.Cap, w.Timezone, w.Quiet = 1, "UTC", &news.Quiet{From: 22 * 60, To: 1}
		time.Sleep(23*time.Hour + 58*time.Minute) // the bubble's clock starts at midnight UTC
		dev := d.devices(1, w)[0]
		_, stop := d.dispatcher("one")
		d.alert("story-1", news.LevelBulletin, "JP")
		time.Sleep(4 * time.Minute) // sent at 0:01
		stop()
		_, stop = d.dispatcher("two")
		d.alert("story-2", news.LevelBulletin, "JP") // one too many
		time.Sleep(5 * time.Second)
		stop()
		if got := d.service.to(dev.Push.Endpoint); len(got) != 1 || got[0].payload.Notification.Title != "First story-1" {
			t.Errorf("got %d messages", len(got))
		}
	})
}

// An alert counts once for a reader, however many devices she has: it goes to
// all of them, in whichever cells they are, awake or asleep.
func TestTheCapCountsAlertsAndNotDevices(t *testing.T) {
	for name, quiet := range map[string]*news.Quiet{"awake": nil, "asleep": {From: 22 * 60, To: 9*60 + 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.slowly = true
				w := wishes("JP")
				w.Cap, w.Quiet = 1, quiet
				devices := d.devices(3, w)
				for _, dev := range devices {
					d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.SubscriberID = "kim" })
				}
				_, stop := d.dispatcher("one")
				d.alert("story-1", news.LevelBulletin, "JP")
				time.Sleep(3 * time.Minute)
				d.alert("story-2", news.LevelBulletin, "JP") // one too many
				time.Sleep(5 * time.Second)
				stop()
				for _, dev := range devices {
					if got := d.service.to(dev.Push.Endpoint); len(got) != 1 || got[0].payload.Notification.Title != "First story-1" {
						t.Errorf("a device got %d messages, want the first alert", len(got))
					}
				}
			})
		})
	}
}

// A run that was sent faster than it could be counted for caps is not forgotten.
func TestWhatIsNotCountedIsNotFinished(t *testing.T) {
	s, r, _ := night(1, 3)
	h := holding{cells: []int{0}}
	c := r.cells[0]
	c.row.Held.Clear()
	c.dirty, c.uncounted = false, true
	if got := s.book.finished(h); len(got) != 0 {
		t.Errorf("%d runs are finished", len(got))
	}
	s.book.count(c)
	if got := s.book.finished(h); len(got) != 1 {
		t.Errorf("after counting %d runs are finished", len(got))
	}
}
