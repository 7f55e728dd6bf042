package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// A push service that can't be reached keeps no alert open beyond its deadline,
// however much is queued for it; and when it is back in time, all of it goes.
func TestAServiceThatCannotBeReached(t *testing.T) {
	for name, back := range map[string]bool{"for good": false, "for a while": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.devices(3000, wishes("JP"))
				d.lasts = 3 * time.Minute
				d.service.away = true
				_, stop := d.dispatcher("one")
				defer stop()
				a := d.alert("story-1", news.LevelBulletin, "JP")
				time.Sleep(30 * time.Second)
				d.service.mu.Lock()
				d.service.away = !back
				d.service.mu.Unlock()
				within, sent := 4*time.Minute, 0
				if back {
					within, sent = 30*time.Second, 3000
				}
				d.until("over", within, func() bool { return d.state(a.ID) == news.AlertSent })
				c := d.balanced(d.releases(news.ReleaseAlert)[0].ID)
				if d.service.total() != sent || c.Accepted != sent || c.Expired != 3000-sent {
					t.Errorf("%d sends, %+v", d.service.total(), c)
				}
			})
		})
	}
}

// A device that changes its push service while its message is queued for the old one
// gets it from the new one, once.
func TestADeviceThatChangesItsPushService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(500, wishes("JP"))
		d.service.takes = time.Second
		_, stop := d.dispatcher("one")
		defer stop()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() >= 64 })
		last := devices[len(devices)-1]
		if len(d.service.to(last.Push.Endpoint)) > 0 {
			t.Fatal("it is out already")
		}
		const moved = "https://updates.push.services.mozilla.com/wpush/v2/x"
		d.store.changeDevice(news.DeviceRef{Cell: last.Cell, Number: last.Number}, func(x *news.Device) { x.Push.Endpoint = moved })
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if old, now := len(d.service.to(last.Push.Endpoint)), len(d.service.to(moved)); old != 0 || now != 1 {
			t.Errorf("%d messages to the old service, %d to the new one", old, now)
		}
	})
}

// A service that nothing is sent to by our own rules is not taken for one that is
// down, however often somebody is refused.
func TestAServiceThatIsNotOursIsNotDown(t *testing.T) {
	l := newLanes(New(Config{})).lane(origin)
	for range 3 * failuresToOpen {
		v := newVolley(l)
		l.takeQueued(v, news.Receipt{Outcome: news.Refused, Reason: "no-subject"})
		v.done()
	}
	if at := l.health.standing(); at != standingWell {
		t.Errorf("it is %s", at)
	}
	for range failuresToOpen {
		v := newVolley(l)
		l.takeQueued(v, news.Receipt{Outcome: news.Retry, Reason: "dial"})
		v.done()
	}
	if at := l.health.standing(); at != standingDown {
		t.Errorf("one that can't be reached is %s", at)
	}
}
