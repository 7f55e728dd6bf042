package push

import (
	"context"
	"encoding/base64"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// stub answers 201 without a network.
type stub struct{}

func (stub) Do(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusCreated, Body: http.NoBody}, nil
}

// BenchmarkMessage compares what one message costs before it meets the
// network: ours (seal, token, headers) against webpush-go with a stub client.
// The two alternate in pairs, so that a busy machine hits both:
//
//	go test -run '^$' -bench Message -benchtime 300ms ./internal/push
func BenchmarkMessage(b *testing.B) {
	key := mustKey(b)
	_, to := receiver(b)
	text := []byte(strings.Repeat("x", 300))
	sub := &webpush.Subscription{Endpoint: to.Endpoint, Keys: webpush.Keys{
		P256dh: base64.RawURLEncoding.EncodeToString(to.P256dh), Auth: base64.RawURLEncoding.EncodeToString(to.Auth)}}
	s, err := New(Config{Keys: key, Subject: "mailto:desk@news.example"})
	if err != nil {
		b.Fatal(err)
	}
	ours := func(b *testing.B) {
		b.ReportAllocs()
		var tok token
		for b.Loop() {
			u, origin, _ := s.route(to.Endpoint)
			body, err := Seal(to, text)
			if err != nil {
				b.Fatal(err)
			}
			auth, err := tok.value(key, origin, "mailto:desk@news.example", time.Now())
			if err != nil {
				b.Fatal(err)
			}
			if request(u, auth, Message{TTL: 60, Urgency: "high", Topic: "t"}) == nil || len(body) == 0 {
				b.Fatal("nothing")
			}
		}
	}
	public, private := key.PublicKey(), key.Secret()
	peer := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := webpush.SendNotification(text, sub, &webpush.Options{HTTPClient: stub{}, Subscriber: "desk@news.example",
				TTL: 60, Urgency: webpush.UrgencyHigh, Topic: "t", RecordSize: 512, VAPIDPublicKey: public, VAPIDPrivateKey: private})
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	for range 3 {
		b.Run("ours", ours)
		b.Run("webpush-go", peer)
	}
}

// BenchmarkSend is whole sends to a simulated service in this process, which
// decrypts each one: both sides' cost together.
func BenchmarkSend(b *testing.B) {
	svc, s := service(b, simulate.PushOptions{}, nil)
	phones, err := svc.NewPhones(1000)
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	b.SetParallelism(64)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := next.Add(1)
			if got := s.Send(context.Background(), target(phones[i%1000]), message("t", int(i/1000))); got.Outcome != news.Accepted {
				b.Errorf("%+v", got)
			}
		}
	})
}

// BenchmarkBatch is an armed message on its way through a connection of our own, to a
// service that costs next to nothing.
func BenchmarkBatch(b *testing.B) {
	authority, err := simulate.NewAuthority()
	if err != nil {
		b.Fatal(err)
	}
	sink, err := simulate.NewSink(simulate.SinkOptions{Authority: authority})
	if err != nil {
		b.Fatal(err)
	}
	defer sink.Close()
	keys, err := NewVAPIDKey()
	if err != nil {
		b.Fatal(err)
	}
	s, err := New(Config{Keys: keys, Subject: "https://news.example", Origins: []string{sink.Origin()}, RootCAs: authority.Pool()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	_, to := receiver(b)
	to.Endpoint = sink.Origin() + "/fcm/send/" + strings.Repeat("x1Yz", 37)
	key, err := Arm(to)
	if err != nil {
		b.Fatal(err)
	}
	keysOf := make([]ArmedKey, MaxBatch)
	messages := make([]Outgoing, MaxBatch)
	m := message("t", 1)
	m.Payload = []byte(strings.Repeat("x", 600))
	counted := &counter{done: make(chan struct{}, 1<<16)}
	flying := 0
	b.ReportAllocs()
	for n := 0; n < b.N; {
		room, fault := s.Reserve(b.Context(), sink.Origin(), min(MaxBatch, b.N-n))
		if fault != nil {
			b.Fatalf("%+v", *fault)
		}
		if room == nil {
			continue
		}
		for i := range room.Places() {
			keysOf[i] = key
			messages[i] = Outgoing{to, m}
			messages[i].Message.Key = &keysOf[i]
		}
		room.Send(b.Context(), messages[:room.Places()], agrees, counted, counted)
		n += room.Places()
		flying += room.Places()
		for flying > 512 {
			<-counted.done
			flying--
		}
	}
	for range flying {
		<-counted.done
	}
}

// counter counts what is accepted.
type counter struct{ done chan struct{} }

func (c *counter) Report(reports []Report) {
	for i := range reports {
		if reports[i].Receipt.Outcome != news.Accepted {
			panic(reports[i].Receipt)
		}
		c.done <- struct{}{}
	}
}
