package push

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// way sends one message.
type way func(t testing.TB, s *Sender, to Target, m Message) news.Receipt

func alone(t testing.TB, s *Sender, to Target, m Message) news.Receipt {
	t.Helper()
	return s.Send(t.Context(), to, m)
}

// inBatch sends a message as a batch of one.
func inBatch(t testing.TB, s *Sender, to Target, m Message) news.Receipt {
	t.Helper()
	for {
		room, fault := s.Reserve(t.Context(), Origin(to.Endpoint), 1)
		switch {
		case fault != nil:
			return *fault
		case room == nil && t.Context().Err() != nil:
			t.Fatal("no room")
		case room != nil:
			c := newCollector(t)
			c.expect(s, 1)
			room.Send(t.Context(), []Outgoing{{to, m}}, agrees, c, s)
			c.left.Wait()
			return *c.got[s][0]
		}
	}
}

// bothWays: what holds of one message holds of it in a batch.
func bothWays(t *testing.T, run func(t *testing.T, send way)) {
	t.Run("alone", func(t *testing.T) { run(t, alone) })
	t.Run("batch", func(t *testing.T) { run(t, inBatch) })
}

// isFast reports that batches go by the lane's own connections.
func isFast(t *testing.T, s *Sender, origin string) bool {
	t.Helper()
	room, fault := s.Reserve(t.Context(), origin, 1)
	if room == nil {
		t.Fatalf("no room: %+v", fault)
	}
	defer room.Release()
	_, fast := room.(*fastRoom)
	return fast
}

// TestBrokenOriginGoesPlain: a service that breaks HTTP/2 once is spoken to by the
// plain transport for ten minutes, and by our own connections afterwards.
func TestBrokenOriginGoesPlain(t *testing.T) {
	var requests atomic.Int32
	s, to := frames(t, func(f *http2.Framer, _ uint32, headers func(string)) {
		if requests.Add(1) == 1 {
			_ = f.WriteRawFrame(http2.FrameData, 0, 0, nil) // RFC 9113 6.1: never of stream 0
			return
		}
		headers("201")
	})
	if got := inBatch(t, s, to, message("t", 1)); got != (news.Receipt{Outcome: news.Ambiguous, Reason: "reset"}) {
		t.Errorf("%+v", got)
	}
	f := s.lanes[Origin(to.Endpoint)].fast
	for i := range 5 {
		if got := inBatch(t, s, to, message("t", 1)); got.Outcome != news.Accepted {
			t.Fatalf("%+v", got)
		}
		if isFast(t, s, Origin(to.Endpoint)) {
			t.Fatalf("message %d went by a connection of our own", i)
		}
	}
	if left := time.Until(time.Unix(f.plain.Load(), 0)); left < 9*time.Minute || left > 10*time.Minute {
		t.Errorf("for %v", left)
	}
	f.plain.Store(0) // ten minutes later
	if got := inBatch(t, s, to, message("t", 1)); got.Outcome != news.Accepted || !isFast(t, s, Origin(to.Endpoint)) {
		t.Errorf("%+v", got)
	}
}

// TestPlainOrigins: who has no HTTP/2 is spoken to all the same.
func TestPlainOrigins(t *testing.T) {
	for name, opts := range map[string]simulate.PushOptions{"http/1.1": {HTTP1: true}, "http": {Plain: true}} {
		svc, s := service(t, opts, nil)
		_, to := phone(t, svc)
		if got := inBatch(t, s, to, message("t", 1)); got.Outcome != news.Accepted || isFast(t, s, svc.Origin()) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// blocked is a service that answers when it is released.
func blocked(t *testing.T, streams int) (svc *simulate.PushService, s *Sender, arrived, release chan struct{}) {
	t.Helper()
	arrived, release = make(chan struct{}, 1000), make(chan struct{})
	svc, s = service(t, simulate.PushOptions{Streams: streams, Answer: func(*simulate.PushRequest) *simulate.PushAnswer {
		arrived <- struct{}{}
		<-release
		return nil
	}}, nil)
	return svc, s, arrived, release
}

// fill sends until there is no room any more.
func fill(t *testing.T, s *Sender, svc *simulate.PushService, c *collector, n int) {
	t.Helper()
	_, to := phone(t, svc)
	for sent := 0; sent < n; {
		room, fault := s.Reserve(t.Context(), svc.Origin(), n-sent)
		if room == nil {
			if fault != nil {
				t.Fatalf("%+v", fault)
			}
			continue
		}
		var list []Outgoing
		for range room.Places() {
			list = append(list, Outgoing{to, message("t", 1)})
		}
		batch := new(int)
		c.expect(batch, len(list))
		room.Send(t.Context(), list, agrees, c, batch)
		sent += len(list)
	}
}

func (c *collector) count(of news.Outcome) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.got {
		for _, r := range list {
			if r != nil && r.Outcome == of {
				n++
			}
		}
	}
	return n
}

func (f *fastLane) connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns)
}

// TestFastConnectionsGrow: one connection does while it has room; where all are
// full there are more, up to the limit.
func TestFastConnectionsGrow(t *testing.T) {
	svc, s, arrived, release := blocked(t, 4)
	c := newCollector(t)
	fill(t, s, svc, c, 4)
	f := s.lanes[svc.Origin()].fast
	if n := f.connections(); n != 1 {
		t.Errorf("%d connections for 4 messages", n)
	}
	fill(t, s, svc, c, 4*maxFast-4)
	for range 4 * maxFast {
		<-arrived
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if room, fault := s.Reserve(ctx, svc.Origin(), 1); room != nil || fault != nil || f.connections() != maxFast {
		t.Errorf("%v %+v with %d connections", room, fault, f.connections())
	}
	close(release)
	c.left.Wait()
	if n := c.count(news.Accepted); n != 4*maxFast {
		t.Errorf("%d accepted", n)
	}
	for _, c := range f.conns {
		if c.CloseIdle(0) != 0 {
			t.Error("not idle")
		}
	}
	_, to := phone(t, svc)
	if got := inBatch(t, s, to, message("t", 1)); got.Outcome != news.Accepted || f.connections() != 1 {
		t.Errorf("%+v over %d connections", got, f.connections())
	}
}

// TestCloseWakesAll: who waits for a place when the sender is closed learns of it
// at once, and what is under way is in doubt.
func TestCloseWakesAll(t *testing.T) {
	svc, s, arrived, release := blocked(t, 1)
	c := newCollector(t)
	fill(t, s, svc, c, maxFast)
	for range maxFast {
		<-arrived
	}
	l := s.lanes[svc.Origin()]
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if c, _, err := l.fast.reserve(context.Background(), 1); c != nil || err == nil {
				t.Errorf("%v %v", c, err)
			}
		})
	}
	for l.fast.waiting.Load() < 20 {
		time.Sleep(time.Millisecond) // until all wait; nothing tells
	}
	s.Close()
	all.Wait()
	c.left.Wait()
	if n := c.count(news.Ambiguous); n != maxFast {
		t.Errorf("%d in doubt", n)
	}
	close(release)
}

// TestLeavingConnectionsAreClosed: a connection that its peer ends in order is
// closed with the sender, too, while something is under way on it.
func TestLeavingConnectionsAreClosed(t *testing.T) {
	s, to := frames(t, func(f *http2.Framer, id uint32, _ func(string)) { _ = f.WriteGoAway(id, http2.ErrCodeNo, nil) })
	room, fault := s.Reserve(t.Context(), Origin(to.Endpoint), 1)
	if room == nil {
		t.Fatal(fault)
	}
	conn := room.(*fastRoom).conn
	c := newCollector(t)
	c.expect(s, 1)
	room.Send(t.Context(), []Outgoing{{to, message("t", 1)}}, agrees, c, s)
	for conn.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if !isFast(t, s, Origin(to.Endpoint)) { // it is on another connection
		t.Error("not fast")
	}
	s.Close()
	<-conn.Done()
	c.left.Wait()
	if got := *c.got[s][0]; got != (news.Receipt{Outcome: news.Ambiguous, Reason: "reset"}) { // and no "timeout"
		t.Errorf("%+v", got)
	}
}

// TestNobodyWaitsBesideAPlace: many want the few places there are, and nobody
// waits for a second.
func TestNobodyWaitsBesideAPlace(t *testing.T) {
	svc, s := service(t, simulate.PushOptions{Streams: 1, Unread: true}, nil)
	_, to := phone(t, svc)
	key, err := Arm(to)
	if err != nil {
		t.Fatal(err)
	}
	c := newCollector(t)
	var all sync.WaitGroup
	for range 60 {
		all.Go(func() {
			for range 15 {
				m, k := message("t", 1), key
				m.Key = &k
				room, fault := s.Reserve(context.Background(), svc.Origin(), 1)
				if room == nil {
					t.Errorf("no place for a second: %+v", fault)
					return
				}
				batch := new(int)
				c.expect(batch, 1)
				room.Send(context.Background(), []Outgoing{{to, m}}, agrees, c, batch)
			}
		})
	}
	all.Wait()
	c.left.Wait()
	if n := c.count(news.Accepted); n != 60*15 {
		t.Errorf("%d accepted", n)
	}
}

// TestDialsFailForAll: when nobody is there, everybody learns it.
func TestDialsFailForAll(t *testing.T) {
	s, to := custom(t, true, func(http.ResponseWriter, *http.Request) {})
	dead := "https://127.0.0.1:1" // tcpmux; nobody has it
	s.origins[dead] = true
	to.Endpoint = dead + "/x"
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := inBatch(t, s, to, message("t", 1)); got.Outcome != news.Retry || got.Reason != "dial" {
				t.Errorf("%+v", got)
			}
		})
	}
	all.Wait()
}
