package audience_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// places are enough of the tree to have every relation: above, inside, beside,
// groups across.
var places = []string{"001", "142", "030", "034", "035", "JP", "JP-13", "JP-27", "KR", "TW", "HK", "ID", "ID-JW", "ID-JK",
	"TH", "IN", "SA", "AE", "KZ", "TL", "ASEAN", "GCC", "SAARC", "CENTRAL_ASIA", "KOREAN_PENINSULA"}

var zones = []string{"UTC", "Asia/Tokyo", "Asia/Kathmandu", "Asia/Tehran", "America/New_York", "Australia/Lord_Howe",
	"Europe/London", "Asia/Jerusalem", "Pacific/Apia", "not/a-zone", ""}

var tongues = []string{"en", "ja", "zh-Hant", "zh-HK", "zh-Hans", "hi", "pt-BR", "x-y-z", ""}

const story = "https://news.example/1"

func genCodes(least int) *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom(places), least, 3)
}

func genSections() *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom([]string{"politics", "sport", "weather"}), 0, 2)
}

func genLevel() *rapid.Generator[news.Level] { return rapid.SampledFrom(news.Levels()) }

func genExpr() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		expr := rapid.SampledFrom(places).Draw(t, "place")
		for _, code := range genCodes(0).Draw(t, "more") {
			expr += rapid.SampledFrom([]string{" + ", " + ", " - "}).Draw(t, "operator") + code
		}
		return expr
	}).Filter(func(expr string) bool {
		_, err := region.Parse(expr)
		return err == nil // covers something
	})
}

func genWishes(now time.Time) *rapid.Generator[news.Wishes] {
	return rapid.Custom(func(t *rapid.T) news.Wishes {
		w := news.Wishes{
			Preference: news.Preference{
				Regions: genCodes(1).Draw(t, "regions"), Muted: genCodes(0).Draw(t, "muted"),
				Sections: genSections().Draw(t, "sections"), Level: genLevel().Draw(t, "level"),
			},
			Language: rapid.SampledFrom(tongues).Draw(t, "language"), OnlyLanguage: rapid.Bool().Draw(t, "only"),
			Timezone: rapid.SampledFrom(zones).Draw(t, "zone"), Cap: rapid.IntRange(0, 2).Draw(t, "cap"),
		}
		for _, regions := range rapid.SliceOfN(genCodes(1), 0, 3).Draw(t, "overrides") {
			w.Preference.Overrides = append(w.Preference.Overrides, news.Override{Regions: regions, Level: genLevel().Draw(t, "its level")})
		}
		if rapid.Bool().Draw(t, "quiet?") {
			minute := rapid.IntRange(0, 24*60-1)
			w.Quiet = &news.Quiet{From: minute.Draw(t, "from"), To: minute.Draw(t, "to"), Flash: rapid.Bool().Draw(t, "flash passes")}
		}
		if rapid.IntRange(0, 4).Draw(t, "paused?") == 0 {
			w.PausedUntil = now.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "hours")) * time.Hour)
		}
		if rapid.IntRange(0, 4).Draw(t, "muted?") == 0 {
			w.MutedStories = []string{"https://news.example/0", story}
		}
		if rapid.IntRange(0, 3).Draw(t, "over?") == 0 {
			w.OverStories = []string{"https://news.example/0", story}
		}
		return w
	})
}

func genDevice(now time.Time, number uint32) *rapid.Generator[news.Device] {
	return rapid.Custom(func(t *rapid.T) news.Device {
		state := rapid.SampledFrom([]news.DeviceState{news.DeviceActive, news.DeviceActive, news.DeviceActive, news.DeviceActive,
			news.DeviceGone, news.DeviceLeft, news.DeviceQuarantined}).Draw(t, "state")
		return news.Device{
			ID: fmt.Sprintf("dev-%d", number), Number: number, State: state,
			SubscriberID: fmt.Sprintf("sub-%d", rapid.IntRange(0, 3).Draw(t, "subscriber")),
			Push: news.PushSubscription{Endpoint: "https://push.example/" + rapid.StringN(0, 20, -1).Draw(t, "endpoint"),
				P256dh: make([]byte, 65), Auth: []byte("0123456789abcdef")},
			Wishes: genWishes(now).Draw(t, "wishes"),
		}
	})
}

// genNow favours the nights on which clocks change.
func genNow() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		day := rapid.SampledFrom([]time.Time{
			time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 3, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 3, 26, 0, 0, 0, 0, time.UTC), time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 6, 15, 0, 0, 0, 0, time.UTC), time.Date(2021, 9, 21, 12, 0, 0, 0, time.UTC),
		}).Draw(t, "day")
		return day.Add(time.Duration(rapid.IntRange(0, 48*3600).Draw(t, "second")) * time.Second)
	})
}

func genQuery(now time.Time) *rapid.Generator[audience.Query] {
	return rapid.Custom(func(t *rapid.T) audience.Query {
		expr, err := region.Parse(genExpr().Draw(t, "audience"))
		if err != nil {
			t.Fatal(err)
		}
		return audience.Query{StoryURI: story, Level: genLevel().Draw(t, "alert level"), Expr: expr,
			Sections: genSections().Draw(t, "alert sections"), Language: "en",
			Languages: rapid.SliceOfNDistinct(rapid.SampledFrom(tongues), 1, 3, rapid.ID).Draw(t, "texts"),
			Now:       now, Repair: rapid.IntRange(0, 9).Draw(t, "repair?") == 0, Final: rapid.IntRange(0, 2).Draw(t, "final?") == 0}
	})
}

// TestMatchesSlowMatcher holds plans, reasons and single verdicts against the
// slow matcher, over cells whose devices come, change and go.
func TestMatchesSlowMatcher(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := genNow().Draw(t, "now")
		a := audience.New()
		c := a.Cell(7)
		sent := map[string]int{"sub-0": 0, "sub-1": 1, "sub-2": 2, "sub-3": 3}
		devices := map[uint32]news.Device{}
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			for range rapid.IntRange(0, 6).Draw(t, "puts") {
				n := rapid.SampledFrom([]uint32{0, 1, 2, 255, 256, 257, 5000, 1<<32 - 1}).Draw(t, "number")
				devices[n] = genDevice(now, n).Draw(t, "device")
				c.Put(devices[n])
			}
			compare(t, a, c, genQuery(now).Draw(t, "query"), devices, sent)
		}
	})
}

func compare(t *rapid.T, a *audience.Audience, c *audience.Cell, q audience.Query, devices map[uint32]news.Device, sent map[string]int) {
	exclude := roaring.BitmapOf(rapid.SliceOfN(rapid.SampledFrom([]uint32{1, 256, 9999}), 0, 2).Draw(t, "exclude")...)
	m := a.NewMatcher(q)
	planned, held, reasons, quarantined := roaring.New(), roaring.New(), map[audience.Reason]int{}, 0
	for n, d := range devices {
		want, until := slowJudge(q, q.Expr.String(), d, sent[d.SubscriberID], exclude.Contains(n))
		reasons[want]++
		switch want {
		case audience.HeldQuiet:
			planned.Add(n)
			held.Add(n)
		case audience.Matched, audience.StoryOver:
			planned.Add(n)
		case audience.Quarantined:
			quarantined++
		}
		if exclude.Contains(n) && want == audience.AlreadySent {
			continue
		}
		if v := m.Judge(d, sent[d.SubscriberID]); v.Reason != want || !v.HeldUntil.Equal(until) {
			t.Fatalf("Judge: %s until %s, want %s until %s\n%+v\n%+v", v.Reason, v.HeldUntil, want, until, q, d)
		}
	}
	plan := m.MatchCell(c, func(s string) int { return sent[s] }, exclude)
	if !plan.Planned.Equals(planned) || !plan.Held.Equals(held) || plan.Quarantined != quarantined {
		t.Fatalf("MatchCell(%s %s): planned %v held %v quarantined %d,\nwant %v %v %d", q.Level, q.Expr,
			plan.Planned, plan.Held, plan.Quarantined, planned, held, quarantined)
	}
	if diff := cmp.Diff(reasons, plan.Reasons); diff != "" {
		t.Fatalf("reasons (-want +got):\n%s", diff)
	}
}

// TestDeviceRoundTrip: a cell gives back what it was given.
func TestDeviceRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := audience.New().Cell(3)
		devices := map[uint32]news.Device{}
		for range rapid.IntRange(1, 12).Draw(t, "puts") {
			n := rapid.SampledFrom([]uint32{1, 2, 3, 700}).Draw(t, "number")
			d := genDevice(time.Unix(0, 0).UTC(), n).Draw(t, "device")
			if rapid.Bool().Draw(t, "uuid") {
				d.ID = "0190e3a4-7b5a-7cc3-98c4-dc0c0c07398f"
			}
			d.Wishes.Preference = news.Preference{Regions: []string{"JP", "KR"}, Level: d.Wishes.Preference.Level}
			d.Cell = 3
			devices[n] = d
			c.Put(d)
		}
		for n, want := range devices {
			got, ok := c.Device(n)
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Fatalf("Device(%d), %v (-want +got):\n%s", n, ok, diff)
			}
			if push, ok := c.Target(n); !ok || !cmp.Equal(push, want.Push) {
				t.Fatalf("Target(%d) = %v, %v", n, push, ok)
			}
		}
		if _, ok := c.Device(4); ok {
			t.Fatal("a device that was never put")
		}
	})
}
