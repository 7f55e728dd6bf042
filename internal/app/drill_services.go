package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"dateline/internal/app/showcase"
	"dateline/internal/desk"
	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/simulate"
)

// mood is how a drill's push services behave.
type mood string

// The moods.
const (
	moodHealthy mood = "healthy"
	moodSlow    mood = "slow"
	moodFailing mood = "failing"
	moodGone    mood = "gone"
	moodScript  mood = "script"
)

// moods lists them with what each does, for the start page.
func moods() []struct {
	Mood mood
	Says string
} {
	return []struct {
		Mood mood
		Says string
	}{
		{moodHealthy, "All three push services take everything at once."},
		{moodSlow, "One of the three is slow, up to a minute for its share: time to press HOLD."},
		{moodFailing, "Every twentieth request is answered with a server error, and has to be tried again."},
		{moodGone, "Half of the phones have unsubscribed without telling us."},
		{moodScript, "It changes with each story: first all is well, then one service is slow, then requests fail, then one service is down for 30 seconds."},
	}
}

// drillOutage is how long a service is down in the script.
const drillOutage = 30 * time.Second

// scripted is the mood of the script once so many stories have come in.
func scripted(stories int) mood {
	return []mood{moodHealthy, moodSlow, moodFailing, moodDown}[max(0, stories-1)%4]
}

// moodDown is a part of the script alone.
const moodDown mood = "down"

// drillPhone is a simulated phone of a drill.
type drillPhone struct{ showcase.Phone }

// openServices starts three push services under one authority. Each takes
// tokens of the drill's own key alone.
func (d *drill) openServices(context.Context) error {
	authority, err := simulate.NewAuthority()
	if err != nil {
		return err
	}
	for i, o := range []simulate.PushOptions{{Name: "Northwind", Path: "/fcm/send/"}, {Name: "Meridian", Path: "/wpush/v2/"},
		{Name: "Orchard", Path: "/", NeedSubject: true}} {
		o.Authority, o.Key, o.Answer = authority, d.keys.PublicKey(), d.answer(i)
		s, err := simulate.NewPushService(o)
		if err != nil {
			return err
		}
		d.services = append(d.services, s)
	}
	d.setPace()
	return nil
}

// moodNow is the mood of this moment and since when it holds.
func (d *drill) moodNow() (mood, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.Mood != moodScript {
		return d.Mood, d.Began
	}
	since := d.Began
	if n := len(d.injected); n > 0 {
		since = d.injected[n-1].At
	}
	return scripted(len(d.injected)), since
}

// slowest messages a second that a service takes: of 64 requests in flight the
// last then waits 4 s of the 10 s after which a send counts as in doubt.
const slowest = 16

// setPace makes the second service slow when the mood says so: up to a minute
// for its share of all devices.
func (d *drill) setPace() {
	rate := 0.0
	if now, _ := d.moodNow(); now == moodSlow {
		rate = max(slowest, float64(d.Devices)/3/60)
	}
	d.services[1].SetRate(rate)
}

// answer is what service number i says out of the ordinary.
func (d *drill) answer(i int) func(*simulate.PushRequest) *simulate.PushAnswer {
	return func(r *simulate.PushRequest) *simulate.PushAnswer {
		if d.odd != nil {
			if a := d.odd(r); a != nil {
				return a
			}
		}
		now, since := d.moodNow()
		switch {
		case now == moodFailing && r.Total%20 == 0:
			return &simulate.PushAnswer{Status: http.StatusInternalServerError, Body: "a fault, as the drill has ordered"}
		case now == moodDown && i == 0 && time.Since(since) < drillOutage:
			return &simulate.PushAnswer{Status: http.StatusServiceUnavailable, Header: http.Header{"Retry-After": {"5"}}}
		}
		return nil
	}
}

// progress counts how far a release has come, each service under its name: its
// address on this machine tells an editor nothing.
func (d *drill) progress() desk.Watcher {
	count := watcherOf(d.dispatch)
	return func(ctx context.Context, releaseID string) (desk.Progress, error) {
		p, err := count(ctx, releaseID)
		for _, s := range d.services {
			if c, ok := p.Services[s.Origin()]; ok {
				delete(p.Services, s.Origin())
				p.Services["drill://"+s.Name()] = c
			}
		}
		return p, err
	}
}

// loadPhones makes the phones with the wishes of their owners and stores their
// subscriptions, as far as the drill has come.
func (d *drill) loadPhones(ctx context.Context) error {
	readers, now := newPeople(d.Seed+7), time.Now()
	const batch = 500
	for at := 0; at < d.Devices; at += batch {
		n := min(batch, d.Devices-at)
		phones := make([]*drillPhone, 0, n)
		list := make([]news.NewDevice, 0, n)
		for i := range n {
			p, err := d.services[(at+i)%len(d.services)].NewPhone()
			if err != nil {
				return err
			}
			w, h := readers.wishes(now)
			if d.Mood == moodGone && (at+i)%2 == 0 {
				p.Unsubscribe()
			}
			phones = append(phones, &drillPhone{showcase.Phone{Phone: p, Wishes: w, Label: region.Name(h.region, "en")}})
			list = append(list, news.NewDevice{Push: p.Subscription(), Wishes: w})
		}
		faults, err := d.store.ImportSubscriptions(ctx, list)
		if err := errors.Join(append(faults, err)...); err != nil {
			return fmt.Errorf("load phones: %w", err)
		}
		d.mu.Lock()
		d.phones, d.loaded = append(d.phones, phones...), d.loaded+n
		d.mu.Unlock()
		_ = d.wakes.Wake("devices") // never fails
	}
	<-ctx.Done()
	return ctx.Err()
}

// ready reports how many devices are loaded, and whether all are known to the
// dispatcher.
func (d *drill) ready() (loaded int, all bool) {
	d.mu.Lock()
	loaded = d.loaded
	d.mu.Unlock()
	select {
	case <-d.dispatch.Ready():
		return loaded, loaded == d.Devices && d.dispatch.Audience().Size().Active >= loaded
	default:
		return loaded, false
	}
}

// delivered counts the phones that each revision reached, whatever they did
// with it: what the services say, to be held against the desk's counts.
func (d *drill) delivered() map[revisionOf]int {
	d.mu.Lock()
	phones := d.phones[:len(d.phones):len(d.phones)]
	d.mu.Unlock()
	counts := map[revisionOf]int{}
	for _, p := range phones {
		seen := map[revisionOf]bool{}
		for _, m := range p.Received() {
			r := revisionOf{m.Notification.Alert, m.Notification.Revision}
			if !seen[r] {
				seen[r] = true
				counts[r]++
			}
		}
	}
	return counts
}
