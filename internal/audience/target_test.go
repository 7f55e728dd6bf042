package audience_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/audience"
)

// TestAppendTarget: it says what Target and Device say, behind what the buffer
// held before.
func TestAppendTarget(t *testing.T) {
	now := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		c := audience.New().Cell(7)
		d := genDevice(now, rapid.SampledFrom([]uint32{0, 255, 256, 70_000}).Draw(t, "number")).Draw(t, "device")
		d.Push.P256dh = rapid.SliceOfN(rapid.Byte(), 0, 66).Draw(t, "p256dh")
		d.Push.Auth = rapid.SliceOfN(rapid.Byte(), 0, 17).Draw(t, "auth")
		c.Put(d)
		before := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "buffer")
		b, place, language, ok := c.AppendTarget(bytes.Clone(before), d.Number)
		endpoint, p256dh, auth := place.Of(b)
		if !ok || !bytes.HasPrefix(b, before) || string(endpoint) != d.Push.Endpoint || !bytes.Equal(p256dh, d.Push.P256dh) ||
			!bytes.Equal(auth, d.Push.Auth) || language != d.Wishes.Language {
			t.Fatalf("%q %x %x %q %v, want %+v in %q", endpoint, p256dh, auth, language, ok, d.Push, d.Wishes.Language)
		}
		if b, _, _, ok := c.AppendTarget(bytes.Clone(before), d.Number+1); ok || !bytes.Equal(b, before) {
			t.Fatalf("a number without a device: %x, %v", b, ok)
		}
	})
}

func TestAppendTargetAllocatesNothing(t *testing.T) {
	c := audience.New().Cell(7)
	c.Put(follower(1, "JP"))
	b := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { _, _, _, _ = c.AppendTarget(b, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
