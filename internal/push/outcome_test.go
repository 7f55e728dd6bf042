package push

import (
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// answers makes a service that answers every request in one way.
func answering(a simulate.PushAnswer) simulate.PushOptions {
	return simulate.PushOptions{Answer: func(*simulate.PushRequest) *simulate.PushAnswer { return &a }}
}

func TestSendAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		answer simulate.PushAnswer
		want   news.Receipt
	}{
		"gone":      {simulate.PushAnswer{Status: 410}, news.Receipt{Outcome: news.Gone, Status: 410, Reason: "gone"}},
		"forbidden": {simulate.PushAnswer{Status: 403, Body: `{"reason":"BadJwtToken"}`}, news.Receipt{Outcome: news.Refused, Status: 403, Reason: "vapid", Detail: "BadJwtToken"}},
		"throttled": {simulate.PushAnswer{Status: 429, Header: http.Header{"Retry-After": {"7"}}}, news.Receipt{Outcome: news.Retry, Status: 429, Reason: "throttled", After: 7 * time.Second}},
		"down":      {simulate.PushAnswer{Status: 503}, news.Receipt{Outcome: news.Retry, Status: 503, Reason: "server-error"}},
		"too large": {simulate.PushAnswer{Status: 413}, news.Receipt{Outcome: news.Refused, Status: 413, Reason: "too-large"}},
		"cut":       {simulate.PushAnswer{Drop: true}, news.Receipt{Outcome: news.Ambiguous, Reason: "reset"}},
	} {
		t.Run(name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, h2 bool) {
				opts := answering(c.answer)
				opts.HTTP1 = !h2
				svc, s := service(t, opts, nil)
				p, to := phone(t, svc)
				if got := s.Send(t.Context(), to, message("t", 1)); got != c.want {
					t.Errorf("%+v, want %+v", got, c.want)
				}
				if n := svc.Posts(p.Endpoint()); n != 1 {
					t.Errorf("%d posts: a channel does not retry", n)
				}
			})
		})
	}
}

// TestAmbiguousMayBeShown: what was cut off after the service had taken it is
// ambiguous, and a second send of it is a repeat on the phone, not news.
func TestAmbiguousMayBeShown(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{Answer: func(r *simulate.PushRequest) *simulate.PushAnswer {
		if r.Post == 1 {
			return &simulate.PushAnswer{Drop: true, Deliver: true}
		}
		return nil
	}}, nil)
	p, to := phone(t, svc)
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Ambiguous {
		t.Fatalf("%+v", got)
	}
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Accepted {
		t.Fatalf("%+v", got)
	}
	if shown := p.Shown(); len(shown) != 1 || shown[0].Repeats != 1 {
		t.Errorf("%+v", shown)
	}
}

func TestSendUnsubscribed(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{}, nil)
	p, to := phone(t, svc)
	p.Unsubscribe()
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Gone || got.Status != 410 {
		t.Errorf("%+v", got)
	}
	to.Endpoint += "x"
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Gone || got.Status != 404 {
		t.Errorf("%+v", got)
	}
}

// TestWrongClock: a clock that is wrong by more than the token's room is
// refused for our key and deletes nobody; within it nothing is noticed.
func TestWrongClock(t *testing.T) {
	for shift, want := range map[time.Duration]news.Outcome{
		0: news.Accepted, 11 * time.Hour: news.Accepted, -11 * time.Hour: news.Accepted,
		25 * time.Hour: news.Refused, -25 * time.Hour: news.Refused,
	} {
		svc, s := service(t, simulate.PushOptions{}, func(c *Config) { c.Now = func() time.Time { return time.Now().Add(shift) } })
		_, to := phone(t, svc)
		if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != want {
			t.Errorf("%s: %+v", shift, got)
		}
	}
}

func TestBadMessages(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{}, nil)
	_, to := phone(t, svc)
	for name, c := range map[string]struct {
		m    Message
		want string
	}{
		"topic too long":     {Message{Topic: strings.Repeat("a", 33)}, "bad-message"},
		"topic with a space": {Message{Topic: "a b"}, "bad-message"},
		"topic with a break": {Message{Topic: "a\r\nX: y"}, "bad-message"},
		"urgency":            {Message{Urgency: "urgent"}, "bad-message"},
		"payload":            {Message{Payload: make([]byte, MaxPayload+1)}, "too-large"},
	} {
		if got := s.Send(t.Context(), to, c.m); got != refused(c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if svc.Requests() != 0 {
		t.Error("a bad message was sent")
	}
	for _, ttl := range []int{-5, 0, 1 << 40} {
		m := Message{Payload: payload("t", 1), TTL: ttl}
		if got := s.Send(t.Context(), to, m); got.Outcome != news.Accepted {
			t.Errorf("TTL %d: %+v", ttl, got)
		}
	}
}

func TestPermit(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		svc, s := service(t, simulate.PushOptions{HTTP1: !h2}, nil)
		p, to := phone(t, svc)
		asked := 0
		m := message("t", 1)
		m.Permit = func() error { asked++; return nil }
		if got := s.Send(t.Context(), to, m); got.Outcome != news.Accepted || asked != 1 {
			t.Errorf("%+v, asked %d times", got, asked)
		}
		m.Permit = func() error { return errors.New("held") }
		for range 3 {
			if got := s.Send(t.Context(), to, m); got != (news.Receipt{Outcome: news.Retry, Reason: "stopped"}) {
				t.Errorf("%+v", got)
			}
		}
		// The connection is of use afterwards, and the phone has seen one message.
		m.Permit = nil
		if got := s.Send(t.Context(), to, m); got.Outcome != news.Accepted {
			t.Errorf("%+v", got)
		}
		if n := len(p.Received()); n != 2 {
			t.Errorf("%d messages arrived", n)
		}
	})
}

// TestPermitAfterTheWait: a message that waits for a free stream asks at the
// end of the wait, so a stop pressed meanwhile holds it.
func TestPermitAfterTheWait(t *testing.T) {
	arrived, release := make(chan struct{}, 64), make(chan struct{})
	svc, s := service(t, simulate.PushOptions{HTTP1: true, Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
		arrived <- struct{}{}
		<-release
		return nil
	}}, nil)
	phones, err := svc.NewPhones(maxH1 + 20)
	if err != nil {
		t.Fatal(err)
	}
	var stop atomic.Bool
	var stopped, accepted atomic.Int32
	var all sync.WaitGroup
	for _, p := range phones {
		all.Go(func() {
			m := message("t", 1)
			m.Permit = func() error {
				if stop.Load() {
					return errors.New("held")
				}
				return nil
			}
			switch got := s.Send(context.Background(), target(p), m); {
			case got.Reason == "stopped":
				stopped.Add(1)
			case got.Outcome == news.Accepted:
				accepted.Add(1)
			default:
				t.Errorf("%+v", got)
			}
		})
	}
	for range maxH1 { // Apple's limit of unanswered requests is reached
		<-arrived
	}
	stop.Store(true)
	close(release)
	all.Wait()
	if stopped.Load() != 20 || accepted.Load() != maxH1 {
		t.Errorf("stopped %d, accepted %d", stopped.Load(), accepted.Load())
	}
}

func TestTimeouts(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		release := make(chan struct{})
		defer close(release)
		svc, s := service(t, simulate.PushOptions{HTTP1: !h2, Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
			<-release
			return nil
		}}, func(c *Config) { c.Timeout = 100 * time.Millisecond })
		_, to := phone(t, svc)
		if got := s.Send(t.Context(), to, message("t", 1)); got != (news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestCancelled(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	svc, s := service(t, simulate.PushOptions{Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
		arrived <- struct{}{}
		<-release
		return nil
	}}, nil)
	_, to := phone(t, svc)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if got := s.Send(ctx, to, message("t", 1)); got != (news.Receipt{Outcome: news.Ambiguous, Reason: "cancelled"}) {
		t.Errorf("after writing: %+v", got)
	}
	if got := s.Send(ctx, to, message("t", 1)); got != (news.Receipt{Outcome: news.Retry, Reason: "cancelled"}) {
		t.Errorf("before: %+v", got)
	}
}

// TestNothingWritten: whatever fails before the body is out is Retry.
func TestNothingWritten(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "https://" + listener.Addr().String()
	_ = listener.Close()
	hung, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Close() }()
	svc, _ := service(t, simulate.PushOptions{}, nil)
	plain, _ := service(t, simulate.PushOptions{Plain: true}, nil)
	notTLS := strings.Replace(plain.Origin(), "http:", "https:", 1)
	hangs := "https://" + hung.Addr().String()
	noName := "https://push.example:8443"
	for origin, reason := range map[string]string{
		closed: "dial", hangs: "timeout", noName: "dns", notTLS: "tls", svc.Origin(): "tls", // signed by an authority we don't know
	} {
		s, err := New(Config{Keys: mustKey(t), Origins: []string{origin}, RootCAs: x509.NewCertPool(), Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		s.dialing.resolver = names(t)
		_, to := receiver(t)
		to.Endpoint = origin + "/x"
		if got := s.Send(t.Context(), to, message("t", 1)); got != (news.Receipt{Outcome: news.Retry, Reason: reason}) {
			t.Errorf("%s: %+v, want %s", origin, got, reason)
		}
		s.Close()
	}
}
