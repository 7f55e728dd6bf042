package audience

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

// genID favours what has a short form, and what nearly has.
func genID() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var u uuid.UUID
		copy(u[:], rapid.SampledFrom([]string{"moment", "moments"}).Draw(t, "time"))
		copy(u[7:], rapid.SliceOfN(rapid.Byte(), 9, 9).Draw(t, "rest"))
		id := u.String()
		switch rapid.IntRange(0, 5).Draw(t, "spelling") {
		case 0:
			return "{" + id + "}"
		case 1:
			return id[:35]
		case 2:
			return id[:20] + "AB" + id[22:]
		case 3:
			return rapid.String().Draw(t, "id")
		}
		return id
	})
}

// TestRecordRoundTrip: what is packed comes back as it was, whatever it is.
func TestRecordRoundTrip(t *testing.T) {
	front := rapid.SampledFrom([]string{"https://push.example/a/", "https://push.example/w/?token=", "https://push.example:1/", "http://h/", "://", "x://y", "/", ""})
	token := rapid.Custom(func(t *rapid.T) string {
		return rapid.StringMatching(`[A-Za-z0-9_-]{0,40}`).Draw(t, "token") + rapid.SampledFrom([]string{"", ":", "%2b", "/", "=", "é"}).Draw(t, "mark")
	})
	rapid.Check(t, func(t *rapid.T) {
		in := newInterned()
		for range 3 {
			d := news.Device{ID: genID().Draw(t, "id"), SubscriberID: genID().Draw(t, "subscriber")}
			d.Push.Endpoint = front.Draw(t, "front")
			for _, part := range rapid.SliceOfN(token, 0, 9).Draw(t, "endpoint") {
				d.Push.Endpoint += part
			}
			d.Push.P256dh = rapid.SliceOfN(rapid.Byte(), 0, 66).Draw(t, "p256dh")
			d.Push.Auth = rapid.SliceOfN(rapid.Byte(), 0, 17).Draw(t, "auth")
			if rapid.Bool().Draw(t, "usual") {
				d.Push.P256dh, d.Push.Auth = append([]byte{4}, make([]byte, 64)...), make([]byte, 16)
			}
			common := in.hold(&d)
			packed := appendRecord(nil, &d, common.front, common.rest)
			r := record(append(packed, "behind"...))
			push := r.push(in.frontList())
			got := news.Device{ID: r.id(), SubscriberID: r.subscriber(), Push: news.PushSubscription{Endpoint: push.Endpoint,
				P256dh: append([]byte{}, push.P256dh...), Auth: append([]byte{}, push.Auth...)}}
			if diff := cmp.Diff(d, got); diff != "" || r.size() != len(packed) {
				t.Fatalf("size %d of %d (-want +got):\n%s", r.size(), len(packed), diff)
			}
			if e := r.endpoint(in.frontList()); e.String() != d.Push.Endpoint {
				t.Fatalf("%q, want %q", e, d.Push.Endpoint)
			}
		}
	})
}

// TestFrontsAreBounded: endpoints are strangers' words.
func TestFrontsAreBounded(t *testing.T) {
	f := newFronts()
	for i := range 20_000 {
		host := uuid.New().String()
		for range 1 + i%2*30 {
			endpoint := "https://" + host + "/" + uuid.New().String() + "/x"
			if front, rest := f.cut(endpoint); f.list[front]+rest != endpoint {
				t.Fatalf("%q and %q are not %q", f.list[front], rest, endpoint)
			}
		}
	}
	if len(f.list) != mostFronts {
		t.Errorf("%d fronts", len(f.list))
	}
}

// TestATokenTakesSixBitsALetter is what the memory of a million devices rests on.
func TestATokenTakesSixBitsALetter(t *testing.T) {
	d := news.Device{ID: "0190f2f0-0000-7000-8000-000000000001", SubscriberID: "0190f2f0-0000-7000-8000-000000000002"}
	d.Push.Endpoint = "https://fcm.googleapis.com/fcm/send/dXJ0c2FkZnM:"
	for range 140 {
		d.Push.Endpoint += "x"
	}
	d.Push.P256dh, d.Push.Auth = append([]byte{4}, make([]byte, 64)...), make([]byte, 16)
	common := newInterned().hold(&d)
	// 1 flags, 26 ids, 80 keys, 1 front; of 152 letters 140 in 105 bytes, and 12, with the colon, as they are; 3 to say so
	if got := len(appendRecord(nil, &d, common.front, common.rest)); got > 1+26+80+1+105+12+3 {
		t.Errorf("%d bytes", got)
	}
}
