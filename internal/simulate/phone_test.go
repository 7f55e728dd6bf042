package simulate

import (
	"crypto/ecdh"
	"encoding/base64"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestDecryptVector is the example of RFC 8291 section 5, on the phone's side.
func TestDecryptVector(t *testing.T) {
	raw := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	private, err := ecdh.P256().NewPrivateKey(raw("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	auth := raw("BTBZMqHH6r4Tts7J_aSIgg")
	body := raw("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	plain, err := decrypt(private, auth, body)
	if err != nil || string(plain) != "When I grow up, I want to be a watermelon" {
		t.Errorf("%q, %v", plain, err)
	}
	// Every bit counts.
	for i := range body {
		body[i] ^= 1
		if _, err := decrypt(private, auth, body); err == nil && (i < 16 || i > 19) { // rs: still one record
			t.Errorf("byte %d may be changed", i)
		}
		body[i] ^= 1
	}
	for n := range body {
		if _, err := decrypt(private, auth, body[:n]); err == nil {
			t.Errorf("cut at %d it still opens", n)
		}
	}
}

// TestShowRule: whatever comes, in whatever order and however often, the
// screen holds the newest revision of each tag, each once, and the phone has
// spoken up only for something new.
func TestShowRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := &Phone{}
		newest, spoken := map[string]int{}, map[string]int{}
		for range rapid.IntRange(0, 60).Draw(t, "messages") {
			tag := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tag")
			n := Notification{Tag: tag, Revision: rapid.IntRange(1, 6).Draw(t, "revision")}
			before, known := newest[tag]
			switch effect := p.show(n); effect {
			case Shown, Replaced:
				if known && n.Revision <= before || (effect == Shown) == known {
					t.Fatalf("%s of %+v after %d", effect, n, before)
				}
				spoken[tag]++
				newest[tag] = n.Revision
			case Repeated:
				if n.Revision != before {
					t.Fatalf("repeat of %+v after %d", n, before)
				}
			case Stale:
				if n.Revision >= before {
					t.Fatalf("stale %+v after %d", n, before)
				}
			default:
				t.Fatalf("effect %q", effect)
			}
		}
		screen := map[string]int{}
		for _, n := range p.live {
			if _, twice := screen[n.Tag]; twice {
				t.Fatalf("%s is on the screen twice", n.Tag)
			}
			screen[n.Tag] = n.Revision
		}
		if diff := cmp.Diff(newest, screen); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestWithoutATag(t *testing.T) {
	p := &Phone{}
	for range 3 {
		if effect := p.show(Notification{Revision: 1}); effect != Shown {
			t.Errorf("effect %s", effect)
		}
	}
	if len(p.live) != 3 {
		t.Errorf("%d on the screen", len(p.live))
	}
}

func TestOffline(t *testing.T) {
	var ahead atomic.Int64 // how far the service's clock is ahead
	s := start(t, PushOptions{Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	pub, phone := newPublisher(t, s.Authority()), subscribe(t, s)
	phone.GoOffline()
	send := func(tag string, revision int, topic, ttl string) {
		body := seal(t, phone, alert(tag, revision))
		if got := pub.post(t, phone, body, func(r *http.Request) {
			r.Header.Set("TTL", ttl)
			if topic != "" {
				r.Header.Set("Topic", topic)
			}
		}); got != 201 {
			t.Fatalf("status %d", got)
		}
	}
	send("story", 1, "story", "3600")
	send("story", 2, "story", "3600") // takes the place of the first
	send("brief", 1, "brief", "60")   // will have expired
	send("now", 1, "", "0")           // is never kept
	send("plain", 1, "", "3600")
	send("plain", 2, "", "3600")
	if n := len(phone.Received()); n != 0 {
		t.Errorf("%d messages arrived offline", n)
	}
	ahead.Store(int64(10 * time.Minute))
	phone.GoOnline()
	var got []string
	for _, d := range phone.Received() {
		got = append(got, d.Notification.Tag+" "+d.Notification.Title+" "+string(d.Effect))
	}
	if diff := cmp.Diff([]string{"story r2 shown", "plain r1 shown", "plain r2 replaced"}, got); diff != "" {
		t.Error(diff)
	}
	send("after", 1, "", "0")
	if n := len(phone.Received()); n != 4 {
		t.Errorf("%d messages, online again", n)
	}
}

func TestWrongKeyShowsNothing(t *testing.T) {
	s := start(t, PushOptions{})
	pub, phone, other := newPublisher(t, s.Authority()), subscribe(t, s), subscribe(t, s)
	body := seal(t, other, alert("t", 1))
	if got := pub.post(t, phone, body, func(*http.Request) {}); got != 201 { // a service can't tell
		t.Errorf("status %d", got)
	}
	got := phone.Received()
	if len(phone.Shown()) != 0 || len(got) != 1 || got[0].Effect != Undecoded || got[0].Payload != nil {
		t.Errorf("%+v", got)
	}
}

func TestUnreadable(t *testing.T) {
	for _, payload := range []string{"", "text", "{}", `{"web_push":8030,"notification":{"title":""}}`, `{"web_push":1,"notification":{"title":"x"}}`, `{"web_push":8030,"notification":[]}`} {
		if n, ok := readNotification([]byte(payload)); ok {
			t.Errorf("%q is shown as %+v", payload, n)
		}
	}
}
