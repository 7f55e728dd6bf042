package audience_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

func expr(t testing.TB, text string) region.Expr {
	t.Helper()
	e, err := region.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// follower is an active device that wants bulletins from some places.
func follower(number uint32, regions ...string) news.Device {
	return news.Device{ID: fmt.Sprint("dev-", number), Number: number, SubscriberID: fmt.Sprint("sub-", number),
		State: news.DeviceActive, Push: news.PushSubscription{Endpoint: "https://push.example/x", P256dh: make([]byte, 65), Auth: make([]byte, 16)},
		Wishes: news.Wishes{Preference: news.Preference{Regions: regions, Level: news.LevelBulletin}, Language: "en", Timezone: "Asia/Tokyo"}}
}

func bulletin(t testing.TB, places string) audience.Query {
	return audience.Query{StoryURI: story, Level: news.LevelBulletin, Expr: expr(t, places), Languages: []string{"en", "ja"},
		Language: "en", Now: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}
}

func TestEqualPreferencesAreOne(t *testing.T) {
	a := audience.New()
	a.Cell(0).Put(follower(1, "JP", "KR"))
	a.Cell(200).Put(follower(1, "KR", "JP", "KR"))
	a.Cell(200).Put(follower(2, "KR"))
	if got := a.Size(); got.Active != 3 || got.Preferences != 2 {
		t.Fatalf("Size = %+v, want 3 devices with 2 preferences", got)
	}
	a.Cell(200).Put(follower(2, "JP", "KR"))
	if got := a.Size().Preferences; got != 1 {
		t.Errorf("after the last of KR changed: %d preferences, want 1", got)
	}
	a.Cell(200).Reset()
	if got := a.Size(); got.Active != 1 || got.Preferences != 1 || a.Cell(200).Change() != 0 {
		t.Errorf("after Reset: %+v", got)
	}
}

// TestMatcherSurvivesReusedPreference: an id freed and given to another
// preference between two cells must not keep its old verdict.
func TestMatcherSurvivesReusedPreference(t *testing.T) {
	a := audience.New()
	a.Cell(0).Put(follower(1, "JP"))
	m := a.NewMatcher(bulletin(t, "JP"))
	if got := m.MatchCell(a.Cell(0), nil, nil).Planned.GetCardinality(); got != 1 {
		t.Fatalf("planned %d, want 1", got)
	}
	a.Cell(0).Reset()
	a.Cell(1).Put(follower(1, "KR"))
	if got := m.MatchCell(a.Cell(1), nil, nil); !got.Planned.IsEmpty() || got.Reasons[audience.NotFollowed] != 1 {
		t.Errorf("a follower of KR got an alert for JP: %v", got.Reasons)
	}
}

func TestNumberOutlivesItsDevice(t *testing.T) {
	a := audience.New()
	c := a.Cell(5)
	d := follower(9, "JP")
	for _, tt := range []struct {
		state  news.DeviceState
		reason audience.Reason
	}{
		{news.DeviceActive, audience.Matched}, {news.DeviceGone, audience.Gone}, {news.DeviceActive, audience.Matched},
		{news.DeviceQuarantined, audience.Quarantined}, {news.DeviceLeft, audience.Left}, {"nonsense", audience.Gone},
	} {
		d.State = tt.state
		c.Put(d)
		plan := a.NewMatcher(bulletin(t, "JP")).MatchCell(c, nil, nil)
		if diff := cmp.Diff(map[audience.Reason]int{tt.reason: 1}, plan.Reasons); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.state, diff)
		}
		if plan.Planned.Contains(9) != (tt.reason == audience.Matched) || plan.Quarantined != len(plan.Reasons)*btoi(tt.reason == audience.Quarantined) {
			t.Errorf("%s: planned %v, quarantined %d", tt.state, plan.Planned, plan.Quarantined)
		}
	}
	if size := a.Size(); size != (audience.Size{Gone: 1, Preferences: 1}) {
		t.Errorf("Size = %+v", size)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestEndpointsComeAndGo(t *testing.T) {
	c := audience.New().Cell(0)
	for round := range 300 { // long and short ones, so that records move and the slab is rebuilt
		d := follower(uint32(round%7), "JP")
		d.Push.Endpoint = fmt.Sprintf("https://push.example/%0*d", 1+round%90, round)
		c.Put(d)
		if got, _ := c.Target(d.Number); got.Endpoint != d.Push.Endpoint {
			t.Fatalf("round %d: %q, want %q", round, got.Endpoint, d.Push.Endpoint)
		}
	}
}

func TestExcluded(t *testing.T) {
	a := audience.New()
	for n := range uint32(4) {
		a.Cell(0).Put(follower(n, "JP"))
	}
	plan := a.NewMatcher(bulletin(t, "JP")).MatchCell(a.Cell(0), nil, roaring.BitmapOf(1, 2))
	if want := roaring.BitmapOf(0, 3); !plan.Planned.Equals(want) || plan.Reasons[audience.AlreadySent] != 2 {
		t.Errorf("planned %v, reasons %v", plan.Planned, plan.Reasons)
	}
}

func TestReach(t *testing.T) {
	a := audience.New()
	a.Cell(0).Put(follower(1, "JP", "142"))
	ja := follower(2, "JP-13")
	ja.Wishes.Language = "ja-JP"
	a.Cell(1).Put(ja)
	hi := follower(3, "IN")
	hi.Wishes.Language, hi.Wishes.Timezone = "hi", "Asia/Kathmandu"
	a.Cell(2).Put(hi)
	asleep := follower(4, "ASEAN", "TW")
	asleep.Wishes.Quiet = &news.Quiet{From: 11 * 60, To: 13 * 60}
	a.Cell(255).Put(asleep)
	got := a.Reach(bulletin(t, "JP + TW + IN"), audience.Survey{})
	want := audience.Tally{Devices: 4, Held: 1,
		Regions: map[string]int{"JP": 1, "142": 1, "JP-13": 1, "IN": 1, "TW": 1},
		Texts:   map[string]int{"en": 3, "ja": 1}, Languages: map[string]int{"en": 2, "ja-JP": 1, "hi": 1},
		Services: map[audience.Service]int{audience.ServiceOther: 4},
		Reasons:  map[audience.Reason]int{audience.Matched: 3, audience.HeldQuiet: 1}}
	want.Hours[12], want.Hours[8] = 3, 1
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Reach (-want +got):\n%s", diff)
	}
}

func TestStopped(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	c := audience.New().Cell(0)
	for _, tt := range []struct {
		change        func(d *news.Device)
		alert, repair audience.Reason
		final         bool
	}{
		{func(*news.Device) {}, "", "", false},
		{func(d *news.Device) { d.Wishes.PausedUntil = now.Add(time.Second) }, audience.Paused, "", false},
		{func(d *news.Device) { d.Wishes.PausedUntil = now }, "", "", false},
		{func(d *news.Device) { d.Wishes.MutedStories = []string{story} }, audience.MutedStory, "", true},
		{func(d *news.Device) { d.Wishes.OverStories = []string{story} }, audience.OverStory, "", false},
		{func(d *news.Device) { d.Wishes.OverStories = []string{story} }, "", "", true},
		{func(d *news.Device) { d.Wishes.OverStories = []string{story + "?other"} }, "", "", false},
		{func(d *news.Device) { d.State = news.DeviceLeft }, audience.Left, audience.Left, true},
		{func(d *news.Device) { d.State = news.DeviceGone }, audience.Gone, audience.Gone, false},
		{func(d *news.Device) { d.State = news.DeviceQuarantined }, audience.Quarantined, audience.Quarantined, false},
	} {
		d := follower(4, "JP")
		tt.change(&d)
		c.Put(d)
		q := audience.Query{StoryURI: story, Final: tt.final}
		alert, repair := c.Stopped(4, &q, now, false), c.Stopped(4, &q, now, true)
		if alert != tt.alert || repair != tt.repair {
			t.Errorf("%s %+v: alert %q, repair %q; want %q, %q", d.State, d.Wishes, alert, repair, tt.alert, tt.repair)
		}
	}
	if got := c.Stopped(5, &audience.Query{StoryURI: story}, now, true); got != audience.Gone {
		t.Errorf("a number without a device: %q", got)
	}
}

func TestOwner(t *testing.T) {
	c := audience.New().Cell(0)
	d := follower(4, "JP")
	d.Wishes.Cap = 70_000 // more than the column holds, and than anybody sends
	c.Put(d)
	got, ok := c.Owner(4)
	if !ok || got.SubscriberID != "sub-4" || got.Zone.String() != "Asia/Tokyo" || got.Cap != 65535 {
		t.Errorf("Owner = %+v, %v", got, ok)
	}
	if _, ok := c.Owner(5); ok {
		t.Error("a number without a device has an owner")
	}
}

// TestOneWriterManyReaders is for the race detector.
func TestOneWriterManyReaders(t *testing.T) {
	a := audience.New()
	c := a.Cell(1)
	places := []string{"JP", "KR", "TW", "ID", "TH"}
	m := a.NewMatcher(bulletin(t, "JP"))
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for range 200 {
				m.MatchCell(c, func(string) int { return 0 }, nil)
				a.Reach(bulletin(t, "JP"), audience.Survey{})
				c.Device(3)
				a.Size()
			}
		})
	}
	for i := range uint32(600) {
		c.Put(follower(i%50, places[i%5], places[i%3]))
		c.SetChange(int64(i))
	}
	readers.Wait()
	if c.Change() != 599 {
		t.Errorf("Change = %d", c.Change())
	}
}
