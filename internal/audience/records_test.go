package audience

import (
	"fmt"
	"strings"
	"testing"

	"dateline/internal/news"
)

// TestRecordsAreCompacted: endpoints that come and go leave no more behind than a
// third of what is in use and a block, and nobody's is lost.
func TestRecordsAreCompacted(t *testing.T) {
	a := New()
	c := a.Cell(0)
	endpoint := func(n uint32, round int) string {
		return fmt.Sprintf("https://push.example/%d/%s:%d", n, strings.Repeat("é", 100+int(n)+round%7), round)
	}
	const devices, rounds = 300, 20
	for round := range rounds {
		for n := range uint32(devices) {
			c.Put(news.Device{Number: n, State: news.DeviceActive, Push: news.PushSubscription{Endpoint: endpoint(n, round)}})
		}
		if c.records.waste > blockSize+c.records.live/3 {
			t.Fatalf("round %d: %d bytes of waste beside %d", round, c.records.waste, c.records.live)
		}
		for n := range uint32(devices) {
			if got, ok := c.Target(n); !ok || got.Endpoint != endpoint(n, round) {
				t.Fatalf("round %d, %d: %q", round, n, got.Endpoint)
			}
		}
	}
	if len(c.records.blocks) > 3 {
		t.Errorf("%d blocks for %d bytes", len(c.records.blocks), c.records.live)
	}
	huge := strings.Repeat("é", blockSize)
	c.Put(news.Device{Number: 7, State: news.DeviceActive, Push: news.PushSubscription{Endpoint: huge}})
	if got, _ := c.Target(7); got.Endpoint != huge {
		t.Error("an endpoint longer than a block was lost")
	}
	c.Reset()
	if len(c.records.blocks)+len(c.pages.list)+len(c.pages.chunks) != 0 {
		t.Error("Reset kept memory")
	}
	if _, ok := c.Target(7); ok {
		t.Error("Reset kept a device")
	}
}
