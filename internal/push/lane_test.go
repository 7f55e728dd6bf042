package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

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
