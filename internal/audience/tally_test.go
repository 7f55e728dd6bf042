package audience_test

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
)

func endpoints() map[string]audience.Service {
	return map[string]audience.Service{
		"https://fcm.googleapis.com/fcm/send/x":                audience.ServiceGoogle,
		"https://jmt17.google.com/fcm/send/x":                  audience.ServiceGoogle,
		"https://updates.push.services.mozilla.com/wpush/v2/x": audience.ServiceMozilla,
		"https://web.push.apple.com/Qx":                        audience.ServiceApple,
		"https://sg2p.notify.windows.com/w/?token=x":           audience.ServiceMicrosoft,
		"https://push.example:8443/x":                          audience.ServiceOther,
		"https://push.example/?https://fcm.googleapis.com/":    audience.ServiceOther,
		"https://fcm.googleapis.com.push.example/":             audience.ServiceOther,
		"http://127.0.0.1:4711/fcm/send/x":                     audience.ServiceOther,
		"":                                                     audience.ServiceOther, "https://": audience.ServiceOther,
	}
}

func TestServiceOf(t *testing.T) {
	for endpoint, want := range endpoints() {
		if got := audience.ServiceOf(endpoint); got != want {
			t.Errorf("%q is at %d, want %d", endpoint, got, want)
		}
	}
}

// The count says what the plan and the explanation of each device say, device
// by device.
func TestReachIsWhatEachDeviceIsTold(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		a, q := audience.New(), bulletin(outer, rapid.SampledFrom([]string{"JP", "ASEAN + JP - TH", "142", "JP-13"}).Draw(t, "audience"))
		q.Level = rapid.SampledFrom(news.Levels()).Draw(t, "level")
		at := slices.Sorted(maps.Keys(endpoints()))
		survey := audience.Survey{
			Capped: func(cell int) *news.Numbers {
				return a.Cell(cell).Capped(func(id []byte) int { return sentToday(string(id)) })
			},
			Exclude: func(int) *news.Numbers { return roaring.BitmapOf(0, 1) },
			Sent: func(int) []*news.Numbers {
				return []*news.Numbers{roaring.BitmapOf(1, 2, 3), roaring.BitmapOf(3, 4, 1<<20)}
			},
			First: 1,
		}
		var devices []news.Device
		for n := range rapid.IntRange(0, 40).Draw(t, "devices") {
			places := rapid.SliceOfN(rapid.SampledFrom([]string{"JP", "TH", "035", "ASEAN", "142", "JP-13", "JP-27", "SG", "KR"}), 1, 6)
			d := follower(uint32(n/3), places.Draw(t, "follows")...)
			d.Cell, d.SubscriberID = n%3, strconv.Itoa(n*n)
			if n%4 == 0 {
				d.SubscriberID = uuidOf(n, 7)
			}
			if rapid.Bool().Draw(t, "mutes") {
				d.Wishes.Preference.Muted = places.Draw(t, "muted")
			}
			d.Wishes.Language = rapid.SampledFrom([]string{"en", "ja", "hi"}).Draw(t, "language")
			d.Wishes.Timezone = rapid.SampledFrom([]string{"Asia/Tokyo", "Asia/Kathmandu", "UTC"}).Draw(t, "zone")
			d.Wishes.Cap = rapid.IntRange(0, 2).Draw(t, "cap")
			if rapid.Bool().Draw(t, "quiet") {
				d.Wishes.Quiet = &news.Quiet{From: 8 * 60, To: 13 * 60, Flash: rapid.Bool().Draw(t, "wakes")}
			}
			if rapid.IntRange(0, 9).Draw(t, "state") == 0 {
				d.State = news.DeviceQuarantined
			}
			d.Push.Endpoint = rapid.SampledFrom(at).Draw(t, "endpoint")
			devices = append(devices, d)
			a.Cell(d.Cell).Put(d)
		}
		if diff := cmp.Diff(plainly(a, q, devices, survey), a.Reach(q, survey)); diff != "" {
			t.Errorf("(-each, +together):\n%s", diff)
		}
	})
}

// sentToday makes some readers' days fuller than others'.
func sentToday(subscriber string) int {
	n := 0
	for _, c := range subscriber {
		n += int(c)
	}
	return n % 3
}

// plainly counts one device after the other.
func plainly(a *audience.Audience, q audience.Query, devices []news.Device, s audience.Survey) audience.Tally {
	want, m := audience.NewTally(), a.NewMatcher(q)
	want.Overlaps = []int{0, 0}
	for _, d := range devices {
		v := m.Judge(d, sentToday(d.SubscriberID))
		if s.Exclude(d.Cell).Contains(d.Number) {
			v.Reason = audience.AlreadySent
		}
		want.Reasons[v.Reason]++
		switch v.Reason {
		case audience.Quarantined:
			want.Quarantined++
			continue
		case audience.HeldQuiet:
			want.Held++
		case audience.Matched, audience.StoryOver:
			zone, _ := time.LoadLocation(d.Wishes.Timezone)
			if hour := q.Now.In(zone).Hour(); d.Wishes.Quiet != nil && 8 <= hour && hour < 13 {
				want.Woken++
			}
		default:
			continue
		}
		want.Devices++
		zone, _ := time.LoadLocation(d.Wishes.Timezone)
		want.Hours[q.Now.In(zone).Hour()]++
		want.Texts[v.Language]++
		want.Languages[d.Wishes.Language]++
		want.Services[audience.ServiceOf(d.Push.Endpoint)]++
		slices.Sort(v.Via)
		for _, code := range slices.Compact(v.Via) {
			want.Regions[code]++
		}
		first, some := s.Sent(d.Cell)[0].Contains(d.Number), false
		for i, set := range s.Sent(d.Cell) {
			if set.Contains(d.Number) {
				want.Overlaps[i]++
				some = true
			}
		}
		if first {
			want.InFirst++
		}
		if some {
			want.InAny++
		}
	}
	return want
}
