package dispatch

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// keyed is a service that remembers the keys it was to seal with.
type keyed struct {
	*service
	mu      sync.Mutex
	used    map[push.ArmedKey]int
	without int // messages without one that fits
}

func (k *keyed) Reserve(context.Context, string, int) (push.Room, *news.Receipt) {
	return oneByOne{k, ""}, nil
}

func (k *keyed) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	k.mu.Lock()
	if m.Key != nil && m.Key.Fits(to) {
		k.used[*m.Key]++
	} else {
		k.without++
	}
	k.mu.Unlock()
	return k.service.Send(ctx, to, m)
}

// counts are the messages sealed with keys of their own, with one that another had
// too, and without.
func (k *keyed) counts() (own, shared, without int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range k.used {
		if n == 1 {
			own++
		} else {
			shared += n
		}
	}
	return own, shared, k.without
}

// withKeys gives a device keys that a message can be sealed for.
func (d *desk) withKeys(devices ...news.Device) {
	d.t.Helper()
	for _, device := range devices {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			d.t.Fatal(err)
		}
		auth := make([]byte, 16)
		_, _ = rand.Read(auth)
		d.store.changeDevice(news.DeviceRef{Cell: device.Cell, Number: device.Number}, func(at *news.Device) {
			at.Push.P256dh, at.Push.Auth = key.PublicKey().Bytes(), auth
		})
	}
}

func wantArmed(t *testing.T, s *Service, when string, alert, repair int) {
	t.Helper()
	synctest.Wait()
	if a, r := s.Armed(); a != alert || r != repair {
		t.Errorf("%s: %d armed for an alert and %d for a repair, want %d and %d", when, a, r, alert, repair)
	}
}

// TestKeysAreMadeWhileNothingGoesOut: both slots of every device, each for one
// message; while an alert goes out none is made; afterwards what was used is made
// anew.
func TestKeysAreMadeWhileNothingGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		k := &keyed{service: d.service, used: map[push.ArmedKey]int{}}
		const n = 300
		list := d.devices(n, wishes("JP"))
		d.withKeys(list...)
		s, _ := d.dispatcherWith(k, "me")
		time.Sleep(5 * time.Second)
		wantArmed(t, s, "at first", n, n)

		d.service.takes = 300 * time.Millisecond // 64 at once: 1.5 s
		a := d.alert("https://news.example/1", news.LevelFlash, "JP")
		s.Poke()
		time.Sleep(900 * time.Millisecond)
		synctest.Wait()
		if alert, _ := s.Armed(); alert == n {
			t.Error("nothing was taken")
		}
		before, _ := s.Armed()
		time.Sleep(500 * time.Millisecond)
		if now, _ := s.Armed(); now > before {
			t.Errorf("%d keys were made while an alert went out", now-before)
		}
		time.Sleep(time.Minute)
		wantArmed(t, s, "after an alert", n, n)
		if own, shared, without := k.counts(); own != n || shared != 0 || without != 0 {
			t.Errorf("of an alert: %d with a key of their own, %d shared one, %d had none", own, shared, without)
		}

		d.service.takes = 0
		d.correct(a.ID, "Corrected")
		s.Poke()
		time.Sleep(time.Minute)
		wantArmed(t, s, "after its repair", n, n)
		if own, shared, without := k.counts(); own != 2*n || shared != 0 || without != 0 {
			t.Errorf("of an alert and its repair: %d with a key of their own, %d shared one, %d had none", own, shared, without)
		}
	})
}

// Who has new keys is sealed for with those; and whose cell went to another process
// is forgotten.
func TestKeysFollowTheirDevices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		k := &keyed{service: d.service, used: map[push.ArmedKey]int{}}
		list := d.devices(40, wishes("JP"))
		d.withKeys(list...)
		s, _ := d.dispatcherWith(k, "me")
		time.Sleep(5 * time.Second)
		wantArmed(t, s, "at first", 40, 40)
		d.withKeys(list[0])
		d.alert("https://news.example/1", news.LevelFlash, "JP")
		s.Poke()
		time.Sleep(time.Minute)
		if own, shared, without := k.counts(); own+without != 40 || shared != 0 || without > 1 {
			t.Errorf("%d with a key of their own, %d shared one, %d had none", own, shared, without)
		}
		wantArmed(t, s, "after an alert", 40, 40)
		d.store.give("another", time.Now().Add(time.Hour), list[1].Cell, list[2].Cell)
		time.Sleep(time.Minute)
		wantArmed(t, s, "two cells less", 38, 38)
	})
}
