package push

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

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

// TestSlowOriginHoldsUpNobody: one service answers nothing; the other's sends
// go through meanwhile.
func TestSlowOriginHoldsUpNobody(t *testing.T) {
	arrived, release := make(chan struct{}, 200), make(chan struct{})
	slow, s := service(t, simulate.PushOptions{Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
		arrived <- struct{}{}
		<-release
		return nil
	}}, nil)
	fast, err := simulate.NewPushService(simulate.PushOptions{Authority: slow.Authority()})
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	s.origins[fast.Origin()] = true
	var all sync.WaitGroup
	for range 150 {
		_, to := phone(t, slow)
		all.Go(func() { s.Send(context.Background(), to, message("t", 1)) })
	}
	<-arrived
	for range 50 {
		_, to := phone(t, fast)
		if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Accepted {
			t.Errorf("%+v", got)
		}
	}
	close(release)
	all.Wait()
}

// TestServiceComesBack: a service that cuts every connection in the middle of
// a batch costs ambiguous receipts, and the next send dials anew.
func TestServiceComesBack(t *testing.T) {
	bothProtocols(t, func(t *testing.T, h2 bool) {
		arrived, release := make(chan struct{}, 50), make(chan struct{})
		var hang atomic.Bool
		hang.Store(true)
		svc, s := service(t, simulate.PushOptions{HTTP1: !h2, Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
			if hang.Load() {
				arrived <- struct{}{}
				<-release
			}
			return nil
		}}, nil)
		phones, err := svc.NewPhones(50)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		for _, p := range phones {
			all.Go(func() {
				if got := s.Send(context.Background(), target(p), message("t", 1)); got.Outcome != news.Ambiguous {
					t.Errorf("%+v", got)
				}
			})
		}
		for range phones {
			<-arrived
		}
		svc.Cut()
		all.Wait()
		hang.Store(false)
		close(release)
		for _, p := range phones {
			if got := s.Send(t.Context(), target(p), message("t", 1)); got.Outcome != news.Accepted {
				t.Errorf("%+v", got)
			}
		}
	})
}

// frames is an HTTP/2 server of bare frames: it answers every request by what
// the test says.
func frames(t *testing.T, answer func(f *http2.Framer, stream uint32, headers func(status string))) (*Sender, Target) {
	t.Helper()
	s, to := custom(t, true, func(http.ResponseWriter, *http.Request) {})
	// The certificate of httptest is good for any listener on 127.0.0.1.
	server := tlsListener(t)
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go serveFrames(conn, answer)
		}
	}()
	origin := "https://" + server.Addr().String()
	s.origins[origin] = true
	to.Endpoint = origin + "/x"
	return s, to
}

func serveFrames(conn net.Conn, answer func(f *http2.Framer, stream uint32, headers func(string))) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	f := http2.NewFramer(conn, conn)
	_ = f.WriteSettings()
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		data, ok := frame.(*http2.DataFrame)
		if !ok || !data.StreamEnded() {
			continue
		}
		id := data.StreamID
		answer(f, id, func(status string) {
			var block strings.Builder
			_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: status})
			_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte(block.String()), EndStream: true, EndHeaders: true})
		})
	}
}

// TestRefusedStreamAndGoAway: REFUSED_STREAM was not processed (Retry), a
// stream above GOAWAY's last one can't be told from one that was (Ambiguous);
// neither is sent again by itself, and the next send finds a new connection.
func TestRefusedStreamAndGoAway(t *testing.T) {
	var requests atomic.Int32
	s, to := frames(t, func(f *http2.Framer, id uint32, headers func(string)) {
		switch requests.Add(1) {
		case 1:
			_ = f.WriteRSTStream(id, http2.ErrCodeRefusedStream)
		case 2:
			_ = f.WriteRSTStream(id, http2.ErrCodeInternal)
		case 3:
			_ = f.WriteGoAway(id-2, http2.ErrCodeNo, nil)
		case 5:
			_ = f.WriteGoAway(id, http2.ErrCodeNo, nil)
			headers("201")
		default:
			headers("201")
		}
	})
	for i, want := range []news.Receipt{
		{Outcome: news.Retry, Reason: "refused-stream"},
		{Outcome: news.Ambiguous, Reason: "reset"},
		{Outcome: news.Ambiguous, Reason: "reset"},
		{Outcome: news.Accepted, Status: 201, Reason: "accepted"},
		{Outcome: news.Accepted, Status: 201, Reason: "accepted"},
		{Outcome: news.Accepted, Status: 201, Reason: "accepted"},
	} {
		if got := s.Send(t.Context(), to, message("t", 1)); got != want {
			t.Errorf("request %d: %+v, want %+v", i+1, got, want)
		}
	}
	if n := requests.Load(); n != 6 {
		t.Errorf("%d requests for 6 sends", n)
	}
}

// TestConnectionsGrow: where streams run out, connections are added, up to the
// limit; there is no storm of dials at the start.
func TestConnectionsGrow(t *testing.T) {
	arrived, release := make(chan struct{}, 1000), make(chan struct{})
	svc, s := service(t, simulate.PushOptions{Streams: 10, Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
		arrived <- struct{}{}
		<-release
		return nil
	}}, nil)
	phones, err := svc.NewPhones(10*maxH2 + 30)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for _, p := range phones {
		all.Go(func() {
			if got := s.Send(context.Background(), target(p), message("t", 1)); got.Outcome != news.Accepted {
				t.Errorf("%+v", got)
			}
		})
	}
	for range 10 * maxH2 {
		<-arrived
	}
	l := s.lanes[svc.Origin()]
	l.mu.Lock()
	conns, waiting := len(l.conns), len(l.waiters)
	l.mu.Unlock()
	if conns != maxH2 || waiting != 30 {
		t.Errorf("%d connections, %d waiting", conns, waiting)
	}
	close(release)
	all.Wait()
}

func TestLanesAreBounded(t *testing.T) {
	s := sender(t)
	for i := range maxLanes + 40 {
		u, origin, fault := s.route(fmt.Sprintf("https://x%d.notify.windows.com/w", i))
		if fault != "" {
			t.Fatal(fault)
		}
		if _, err := s.lane(origin, u); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.lanes) != maxLanes {
		t.Errorf("%d lanes", len(s.lanes))
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{HTTP1: true}, nil)
	_, to := phone(t, svc)
	s.Send(t.Context(), to, message("t", 1))
	l := s.lanes[svc.Origin()]
	l.sweep()
	if len(l.conns) != 1 {
		t.Fatalf("%d connections after a sweep", len(l.conns))
	}
	l.conns[0].lastUsed.Store(0)
	l.sweep()
	if len(l.conns) != 0 {
		t.Error("an idle connection stays")
	}
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Accepted {
		t.Errorf("%+v", got)
	}
}

func TestClose(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{}, nil)
	_, to := phone(t, svc)
	s.Close() // before anything was sent
	if got := s.Send(t.Context(), to, message("t", 1)); got.Outcome != news.Accepted {
		t.Errorf("%+v", got)
	}
	l := s.lanes[svc.Origin()]
	s.Close()
	s.Close()
	if _, err := l.acquire(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
