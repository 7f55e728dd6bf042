package dispatch

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/uuid"

	"dateline/internal/news"
	"dateline/internal/region"
)

// A count knows who was sent this story already, and who was sent another alert
// in the last hour and day.
func TestReachKnowsWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(10, wishes("JP"))
		d.devices(4, wishes("KR"))
		s, _ := d.dispatcher("one")
		ask := func(uri, audience string, level news.Level) Reach {
			return s.Reach(t.Context(), &news.Alert{StoryURI: uri, Level: level, Audience: audience, Language: "en", Texts: map[string]news.Text{"en": {Title: "x"}}})
		}
		if r := ask("new", "JP + KR", news.LevelBulletin); r.Devices != 14 || r.Here != 14 || r.Cells != news.Cells || r.SentDay != 0 || r.RecentAt.IsZero() {
			t.Errorf("before anything was sent: %+v", r)
		}
		first := d.alert("old", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.store.counts(d.releaseOf(first.ID)).Accepted == 10 })
		time.Sleep(recentFresh)
		r := ask("new", "JP + KR", news.LevelBulletin)
		if r.Devices != 14 || r.SentHour != 10 || r.SentDay != 10 || len(r.Recent) != 1 || r.Recent[0].Devices != 10 || r.Recent[0].AlertID != first.ID || r.Recent[0].Title != "First old" {
			t.Errorf("after another alert: %+v", r)
		}
		if r := ask("new", "KR", news.LevelBulletin); r.SentDay != 0 || len(r.Recent) != 1 {
			t.Errorf("those who were sent none: %+v", r)
		}
		if r := ask("old", "JP + KR", news.LevelBulletin); r.Devices != 4 || r.Reasons["already-sent"] != 10 {
			t.Errorf("the same story again: %+v", r)
		}
		if r := ask("old", "JP + KR", news.LevelFlash); r.Devices != 14 {
			t.Errorf("the same story, louder: %+v", r)
		}
		// A dispatcher that is awake for a day takes minutes, also in a bubble.
		look, _ := s.recent.looks()
		other := &news.Alert{StoryURI: "new", Level: news.LevelBulletin}
		for later, want := range map[time.Duration][2]int{0: {1, 1}, 2 * time.Hour: {1, 0}, 25 * time.Hour: {0, 0}} {
			if list, hour, _ := look.others(other, time.Now().Add(later)); len(list) != want[0] || hour != want[1] {
				t.Errorf("%s later it is %d alerts of the last day, %d of the last hour", later, len(list), hour)
			}
		}
	})
}

// Who has had enough for today is found by a loop once all is quiet: the first
// count of a page does not wait for it.
func TestReachKnowsWhoHadEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		one := wishes("TW")
		one.Cap = 1
		d.devices(3, one)
		s, _ := d.dispatcher("one")
		ask := func() Reach {
			return s.Reach(t.Context(), &news.Alert{StoryURI: "next", Level: news.LevelBulletin, Audience: "TW", Language: "en", Texts: map[string]news.Text{"en": {Title: "x"}}})
		}
		if r := ask(); r.Devices != 3 {
			t.Errorf("before anything was sent: %+v", r)
		}
		d.alert("first", news.LevelBulletin, "TW")
		enough := func() bool {
			_, look := s.recent.looks()
			found := 0
			for cell := range news.Cells {
				found += int(look.cells[cell].GetCardinality())
			}
			return found == 3
		}
		d.until("found without a count that asks", 3*cappedLongest, enough)
		if r := ask(); r.Devices != 0 || r.Reasons["capped"] != 3 {
			t.Errorf("after the one alert of the day: %+v", r)
		}
	})
}

func (d *desk) releaseOf(alertID string) string {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	for i := range d.store.releases {
		if d.store.releases[i].AlertID == alertID {
			return d.store.releases[i].ID
		}
	}
	return ""
}

// BenchmarkReach counts the whole card for a million devices: 20,000 different
// preferences, half of the readers with quiet hours, a third with a cap, of
// whom two thirds were sent something today, and 20 alerts of the last day, each
// to a tenth of them. DESIGN's bar is 200 ms.
func BenchmarkReach(b *testing.B) {
	s := newsroomOfAMillion(b)
	known := s.lookAtCaps(s.cfg.Now())
	for _, places := range []string{"BT", "JP", "ASEAN + TW - SG", "142", "001"} {
		for _, caps := range []string{"known", "unknown"} { // always, and before the loop's first look
			b.Run(places+"/caps="+caps, func(b *testing.B) {
				var slowest time.Duration
				var r Reach
				s.recent.caps = nil
				if caps == "known" {
					s.recent.caps = known
				}
				worked := processorTime(b)
				for b.Loop() {
					begun := time.Now()
					r = s.Reach(b.Context(), &news.Alert{StoryURI: "s", Level: news.LevelBulletin, Audience: places, Language: "en",
						Sections: []string{"politics"}, Texts: map[string]news.Text{"en": {Title: "T"}, "ja": {Title: "T"}}})
					slowest = max(slowest, time.Since(begun))
				}
				b.ReportMetric(float64(r.Devices), "devices")
				b.ReportMetric(float64((processorTime(b)-worked).Microseconds())/1000/float64(b.N), "cpu-ms/op")
				b.ReportMetric(float64(slowest.Milliseconds()), "ms/slowest")
			})
		}
	}
}

// processorTime is what the process has used of all cores: on a machine that
// others use too, a count takes this long divided by the cores.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func newsroomOfAMillion(b *testing.B) *Service {
	b.Helper()
	const devices, kinds = 1_000_000, 20_000
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	s := New(Config{Store: newMemory(), Sender: newService(), Links: testLinks, Holder: "one", BaseURL: "https://alerts.example", Now: func() time.Time { return now }})
	var countries, zones []string
	for p := range region.All() {
		if p.Kind == region.KindCountry && region.Within(p.Code, "142") {
			countries = append(countries, p.Code)
			if z := region.Zone(p.Code); !slices.Contains(zones, z) {
				zones = append(zones, z)
			}
		}
	}
	services := []string{"https://fcm.googleapis.com/fcm/send/", "https://web.push.apple.com/", "https://updates.push.services.mozilla.com/wpush/v2/", "https://sg2p.notify.windows.com/w/?token="}
	var leases []news.Lease
	for cell := range news.Cells {
		leases = append(leases, news.Lease{Cell: cell, Fence: 1})
		for i := cell; i < devices; i += news.Cells {
			d := reader(i, kinds, countries, zones)
			d.Push.Endpoint = services[min(i%7, 3)] + fmt.Sprintf("%0140d", i)
			s.audience.Cell(cell).Put(d)
			if o, _ := s.audience.Cell(cell).Owner(d.Number); o.Cap > 0 && i%3 > 0 {
				s.caps.note(o, "r1", news.DeviceRef{Cell: cell, Number: d.Number}, now.Add(-time.Hour))
			}
		}
	}
	s.held.update(leases, time.Now().Add(time.Hour))
	s.held.loaded(s.held.fresh())
	look := &recentLook{at: now}
	for n := range 20 {
		a := recentAlert{release: news.Release{ID: fmt.Sprint("r", n), AlertID: fmt.Sprint("a", n), StoryURI: fmt.Sprint("s", n), ReleasedAt: now.Add(-time.Duration(n) * 20 * time.Minute)}, cells: map[int]recentCell{}}
		for cell := range news.Cells {
			sent := roaring.New()
			for number := uint32(n % 10); number < devices/news.Cells; number += 10 {
				sent.Add(number)
			}
			a.cells[cell] = recentCell{sent: sent, planned: sent}
		}
		look.alerts = append(look.alerts, a)
	}
	s.recent.last = look
	return s
}

func reader(i, kinds int, countries, zones []string) news.Device {
	id := func(kind byte) string {
		var u uuid.UUID
		binary.BigEndian.PutUint64(u[:], uint64(i))
		u[15] = kind
		return u.String()
	}
	r := rand.New(rand.NewPCG(uint64(i), 7))
	r = rand.New(rand.NewPCG(uint64(r.IntN(kinds)), 8))
	skewed := func() string { u := r.Float64(); return countries[int(u*u*float64(len(countries)))] }
	p := news.Preference{Regions: []string{skewed(), skewed(), skewed()}, Level: news.Levels()[r.IntN(2)]}
	switch r.IntN(10) {
	case 0:
		p.Regions = []string{"142"}
	case 1:
		p.Regions, p.Muted = []string{"035", "JP"}, []string{"SG"}
	case 2, 3, 4:
		p.Sections = []string{"politics", "business"}
	}
	r = rand.New(rand.NewPCG(uint64(i), 9))
	d := news.Device{ID: id(1), SubscriberID: id(2), Cell: i % news.Cells, Number: uint32(i / news.Cells), State: news.DeviceActive,
		Push:   news.PushSubscription{P256dh: make([]byte, 65), Auth: make([]byte, 16)},
		Wishes: news.Wishes{Preference: p, Language: []string{"en", "ja", "hi", "id", "zh-Hant", "ar"}[r.IntN(6)], Timezone: zones[r.IntN(len(zones))], Cap: max(0, r.IntN(9)-5)}}
	if r.IntN(2) == 0 {
		d.Wishes.Quiet = &news.Quiet{From: 22 * 60, To: (6 + r.IntN(3)) * 60, Flash: r.IntN(3) > 0}
	}
	return d
}
