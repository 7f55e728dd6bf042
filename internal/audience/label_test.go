package audience_test

import (
	"fmt"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
)

func TestLabels(t *testing.T) {
	a := audience.New()
	put := func(n uint32, endpoint string, regions ...string) {
		a.Cell(3).Put(news.Device{ID: fmt.Sprint("d", n), SubscriberID: fmt.Sprint("s", n), Cell: 3, Number: n, State: news.DeviceActive,
			Push: news.PushSubscription{Endpoint: endpoint}, Wishes: news.Wishes{Timezone: "UTC", Language: "en", Preference: news.Preference{Regions: regions}}})
	}
	put(0, "https://fcm.googleapis.com/fcm/send/a", "JP")
	put(1, "https://web.push.apple.com/b", "JP-13", "TH")
	put(2, "https://fcm.googleapis.com/c", "AE", "035") // the alert does not touch AE
	put(5, "https://fcm.googleapis.com", "ASEAN")
	put(7, "nonsense", "KR")
	l := a.NewLabels(expr(t, "JP + TH").Set())
	labels := l.Of(a.Cell(3), roaring.BitmapOf(0, 1, 2, 4, 5, 7))
	google, apple := labels[0].Service, labels[1].Service
	for n, want := range map[uint32][2]string{0: {"https://fcm.googleapis.com", "JP"}, 1: {"https://web.push.apple.com", "JP"}, 2: {"https://fcm.googleapis.com", "035"},
		4: {"", ""}, 5: {"https://fcm.googleapis.com", "ASEAN"}, 7: {"nonsense", ""}} {
		got := labels[n]
		if l.Services()[got.Service] != want[0] || l.Places()[got.Place] != want[1] {
			t.Errorf("device %d: %q, %q, want %v", n, l.Services()[got.Service], l.Places()[got.Place], want)
		}
	}
	if google == apple || len(labels) != 8 {
		t.Errorf("%v", labels)
	}
	if l.Of(a.Cell(4), roaring.New()) != nil {
		t.Error("labels of nobody")
	}
	// More services than there are numbers, which anybody can bring about.
	all := roaring.New()
	for n := range uint32(400) {
		put(n, fmt.Sprintf("https://push-%d.example/x", n), "JP")
		all.Add(n)
	}
	if last := l.Of(a.Cell(3), all)[399]; last.Service != 0 {
		t.Errorf("%+v", last)
	}
}
