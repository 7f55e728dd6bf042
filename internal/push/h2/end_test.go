package h2

import (
	"bytes"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestGoAway: what the peer says that it does not look at is given back, the
// rest is waited for, and then the connection is closed.
func TestGoAway(t *testing.T) {
	goAway := func(p *peer, last uint32, code http2.ErrCode) { _ = p.framer.WriteGoAway(last, code, []byte("bye")) }
	bubble(t, "in the middle, twice", nil, func(t *testing.T, c *client, p *peer) {
		c.send(5, 1, agree)
		goAway(p, 1<<31-1, http2.ErrCodeNo) // as a server does that goes down in order
		synctest.Wait()
		if !errors.Is(c.Err(), ErrGoAway) || c.send(1, 1, agree) != 0 {
			t.Error("it takes another request:", c.Err())
		}
		goAway(p, 5, http2.ErrCodeNo)
		synctest.Wait()
		if got := c.fates(); !slices.Equal(got, []int{-1, -1, -1, int(GoneAway), int(GoneAway)}) {
			t.Error(got)
		}
		for _, id := range []uint32{1, 3, 5} {
			p.answer(id)
		}
		<-c.Done()
		c.want(Answered, Answered, Answered, GoneAway, GoneAway)
	})
	bubble(t, "0, with an error", nil, func(t *testing.T, c *client, p *peer) {
		c.send(2, 1, agree)
		goAway(p, 0, http2.ErrCodeEnhanceYourCalm)
		<-c.Done()
		c.want(GoneAway, GoneAway)
	})
	bubble(t, "then cut", nil, func(t *testing.T, c *client, p *peer) {
		c.send(2, 1, agree)
		goAway(p, 1, http2.ErrCodeNo)
		synctest.Wait()
		_ = p.conn.Close()
		<-c.Done()
		c.want(Lost, GoneAway)
	})
	bubble(t, "then nothing", nil, func(t *testing.T, c *client, p *peer) {
		c.send(2, 1, agree)
		goAway(p, 1, http2.ErrCodeNo)
		<-c.Done() // when the last has timed out
		c.want(TimedOut, GoneAway)
	})
	bubble(t, "idle", nil, func(t *testing.T, c *client, p *peer) {
		goAway(p, 0, http2.ErrCodeNo)
		<-c.Done()
	})
	bubble(t, "between Reserve and Flush", nil, func(t *testing.T, c *client, p *peer) {
		c.send(1, 1, agree)
		if c.send(3, 1, func() error { goAway(p, 1, http2.ErrCodeNo); synctest.Wait(); return nil }) != 3 {
			t.Error("no room")
		}
		p.answer(1)
		<-c.Done()
		c.want(Answered, Unsent, Unsent, Unsent)
	})
}

// half takes so many bytes of what is written after it was armed, and fails.
type half struct {
	net.Conn
	left  int // -1: not armed
	fault func()
}

func (h *half) Write(p []byte) (int, error) {
	if h.left < 0 {
		return h.Conn.Write(p)
	}
	n := min(h.left, len(p))
	h.left -= n
	if n < len(p) {
		if h.fault != nil {
			h.fault()
		}
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

// TestHalfWritten: what begins behind the bytes that left has not been sent, all
// else is in doubt. And once each, also where the peer speaks of it before.
func TestHalfWritten(t *testing.T) {
	for name, fault := range map[string]func(p *peer){
		"": nil, "GOAWAY meanwhile": raw(http2.FrameGoAway, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0),
		"answers meanwhile": all(header(1, true, ":status", "201"), header(5, false, ":status", "201")),
		"fault meanwhile":   data(99, true, ""),
	} {
		t.Run(name, func(t *testing.T) {
			for left := 0; ; left += 7 {
				whole := false
				synctest.Test(t, func(t *testing.T) { whole = halfWritten(t, left, fault) })
				if whole {
					return
				}
			}
		})
	}
}

func halfWritten(t *testing.T, left int, fault func(*peer)) (whole bool) {
	ours, theirs := net.Pipe()
	h := &half{Conn: ours, left: -1}
	c, p := meetOver(t, h, theirs, nil)
	p.settings()
	synctest.Wait()
	if fault != nil {
		h.fault = func() { fault(p); synctest.Wait() }
	}
	c.Reserve(3)
	var b Batch
	c.Begin(&b)
	for range 3 {
		c.add(&b, &someHead, "/x", 20)
	}
	var begins []int
	for _, g := range b.begins {
		begins = append(begins, g.at)
	}
	whole = left >= len(b.frames)
	h.left = left
	c.flush(&b, agree)
	b.Close()
	synctest.Wait()
	if whole {
		return true
	}
	<-c.Done()
	for i, fate := range c.fates() {
		want := Unsent
		if begins[i] < left {
			want = Lost
		}
		if fault == nil && fate != int(want) {
			t.Fatalf("%d bytes left, requests begin at %v: fates %v", left, begins, c.fates())
		}
	}
	return false
}

// eager tells the peer of a write before it has returned.
type eager struct {
	net.Conn
	wrote func()
}

func (e *eager) Write(p []byte) (int, error) {
	n, err := e.Conn.Write(p)
	if e.wrote != nil {
		e.wrote()
	}
	return n, err
}

// TestAnswerBeforeFlushReturns: it is told of at once, and only once.
func TestAnswerBeforeFlushReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		e := &eager{Conn: ours}
		c, p := meetOver(t, e, theirs, nil)
		p.settings()
		synctest.Wait()
		e.wrote = func() {
			e.wrote = nil
			synctest.Wait()
			p.answer(1)
			p.headersFrame(3, false, ":status", "201")
			p.reset(5, http2.ErrCodeRefusedStream)
			synctest.Wait()
			c.want(Answered, Answered, Refused)
		}
		c.send(4, 1, agree)
		p.answer(7)
		synctest.Wait()
		c.want(Answered, Answered, Refused, Answered)
		if n := c.InFlight(); n != 1 { // the end of stream 3's answer
			t.Errorf("%d under way", n)
		}
	})
}

// TestCut: the connection ends at every byte of two good answers.
func TestCut(t *testing.T) {
	var answers bytes.Buffer
	f := http2.NewFramer(&answers, nil)
	e := &peer{framer: f}
	e.encoder = newEncoder(e)
	e.answer(1)
	e.headersFrame(3, false, ":status", "400", "x", "y")
	_ = f.WriteData(3, true, []byte("no"))
	for n := range answers.Len() + 1 {
		synctest.Test(t, func(t *testing.T) {
			c, p := meet(t, nil)
			p.settings()
			synctest.Wait()
			c.send(2, 1, agree)
			synctest.Wait()
			_, _ = p.conn.Write(answers.Bytes()[:n])
			_ = p.conn.Close()
			<-c.Done()
			if errors.Is(c.Err(), ErrProtocol) {
				t.Error(c.Err())
			}
			if n == answers.Len() {
				c.want(Answered, Answered)
			} else if n == 0 {
				c.want(Lost, Lost)
			}
		})
	}
}

// TestBodies: an answer costs MaxAnswer bytes and AnswerWait, whatever comes.
func TestBodies(t *testing.T) {
	bubble(t, "endless", nil, func(t *testing.T, c *client, p *peer) {
		c.send(2, 1, agree)
		p.headersFrame(1, false, ":status", "400")
		p.headersFrame(3, false, ":status", "201")
		for range 100 {
			_ = p.framer.WriteData(1, false, bytes.Repeat([]byte("a"), 8<<10))
			_ = p.framer.WriteDataPadded(3, false, bytes.Repeat([]byte("a"), 8<<10), make([]byte, 200))
		}
		synctest.Wait()
		if got := c.fates(); got[0] != -1 || got[1] != int(Answered) { // a 2xx is one already
			t.Error(got)
		}
		if p.granted < 1<<20+2*100*8<<10-ourWindow {
			t.Errorf("%d bytes were granted", p.granted)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		a := c.first(0)
		if a.Status != 400 || len(a.Body) != MaxAnswer || len(c.first(1).Body) != 0 {
			t.Errorf("status %d, %d and %d bytes", a.Status, len(a.Body), len(c.first(1).Body))
		}
		if p.resetOf(1) != http2.ErrCodeCancel || p.resetOf(3) != http2.ErrCodeCancel || c.InFlight() != 0 {
			t.Errorf("%v %v, %d under way", p.resetOf(1), p.resetOf(3), c.InFlight())
		}
	})
	bubble(t, "what is kept", nil, func(t *testing.T, c *client, p *peer) {
		c.send(3, 1, agree)
		p.headersFrame(1, true, ":status", "201", "ttl", "77", "x-wns-status", "dropped", "location", "x")
		p.headersFrame(3, true, ":status", "201", "ttl", "-1")
		p.headersFrame(5, true, ":status", "429", "retry-after", "7", "ttl", "5")
		synctest.Wait()
		a, b, d := c.first(0), c.first(1), c.first(2)
		if a.TTL != 77 || len(a.Header) != 1 || a.Header.Get("X-Wns-Status") != "dropped" || b.TTL != -1 || b.Header != nil || d.TTL != -1 || d.Header.Get("Retry-After") != "7" {
			t.Errorf("%+v %+v %+v", a, b, d)
		}
	})
}

// TestHealth: a silent peer is asked, and one that does not answer is left.
func TestHealth(t *testing.T) {
	bubble(t, "answers pings", nil, func(t *testing.T, c *client, p *peer) {
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if p.asked < 7 || c.Err() != nil {
			t.Errorf("%d pings, %v", p.asked, c.Err())
		}
	})
	bubble(t, "does not", nil, func(t *testing.T, c *client, p *peer) {
		p.mu.Lock()
		p.mute = true
		p.mu.Unlock()
		start := time.Now()
		<-c.Done()
		if !errors.Is(c.Err(), ErrSilent) || time.Since(start) > 21*time.Second {
			t.Errorf("%v after %v", c.Err(), time.Since(start))
		}
	})
	bubble(t, "pings a lot", nil, func(t *testing.T, c *client, p *peer) {
		c.send(1, 1, agree)
		for i := range 3 * mostAsked {
			_ = p.framer.WritePing(false, [8]byte{byte(i)})
			if i%100 == 0 {
				synctest.Wait()
			}
		}
		p.answer(1)
		synctest.Wait()
		if c.want(Answered); p.pings != 3*mostAsked {
			t.Errorf("%d of them were answered", p.pings)
		}
	})
}

// TestTimeouts: the peer learns of them, and what comes afterwards is no news.
func TestTimeouts(t *testing.T) {
	bubble(t, "", nil, func(t *testing.T, c *client, p *peer) {
		c.send(3, 1, agree)
		time.Sleep(5 * time.Second)
		c.send(1, 1, agree)
		p.answer(3)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		c.want(TimedOut, Answered, TimedOut)
		if got := c.fates(); got[3] != -1 || p.resetOf(1) != http2.ErrCodeCancel || p.resetOf(3) != 0 {
			t.Error(got, p.resets)
		}
		p.answer(1)
		p.answer(7)
		synctest.Wait()
		c.want(TimedOut, Answered, TimedOut, Answered)
		if c.InFlight() != 0 {
			t.Errorf("%d under way", c.InFlight())
		}
	})
}

// TestClose: what is under way is lost, and nothing more is taken.
func TestClose(t *testing.T) {
	bubble(t, "", nil, func(t *testing.T, c *client, p *peer) {
		c.send(3, 1, agree)
		p.headersFrame(1, false, ":status", "410")
		synctest.Wait()
		c.Close()
		c.Close()
		<-c.Done()
		c.want(Answered, Lost, Lost) // of the first, the verdict was known
		if c.send(1, 1, agree) != 0 || !errors.Is(c.Err(), ErrClosed) {
			t.Error(c.Err())
		}
	})
	bubble(t, "in a batch", nil, func(t *testing.T, c *client, p *peer) {
		c.send(2, 1, func() error { c.Close(); return nil })
		<-c.Done()
		c.want(Unsent, Unsent)
	})
	bubble(t, "idle", nil, func(t *testing.T, c *client, p *peer) {
		if left := c.CloseIdle(time.Minute); left != time.Minute {
			t.Error(left)
		}
		c.send(1, 1, agree)
		time.Sleep(20 * time.Second)
		c.Reserve(1)
		if left := c.CloseIdle(time.Second); left != time.Second {
			t.Error("closed although somebody is about to write")
		}
		c.Release()
		if left := c.CloseIdle(time.Minute); left != 40*time.Second {
			t.Error(left)
		}
		if left := c.CloseIdle(20 * time.Second); left != 0 {
			t.Error(left)
		}
		<-c.Done()
	})
}

// TestLastStream: a connection is left before its stream ids end.
func TestLastStream(t *testing.T) {
	bubble(t, "", nil, func(t *testing.T, c *client, p *peer) {
		c.Conn.mu.Lock()
		c.next = lastStream
		c.Conn.mu.Unlock()
		if n := c.send(MaxBatch, 1, agree); n != MaxBatch {
			t.Errorf("room for %d", n)
		}
		if c.send(1, 1, agree) != 0 || !errors.Is(c.Err(), ErrGoAway) {
			t.Error(c.Err())
		}
		synctest.Wait()
		for _, id := range p.ids() {
			p.answer(id)
		}
		<-c.Done()
	})
}

// TestStuckPeer: a peer that does not read is left after WriteTimeout, and what it
// says meanwhile is heard: it may be waiting for us to read.
func TestStuckPeer(t *testing.T) {
	c, e, heard, wrote := stuck(t, 500*time.Millisecond)
	_ = e.framer.WritePing(false, [8]byte{}) // it wants an answer, which can't be written
	e.headersFrame(1, true, ":status", "201")
	if a := <-heard; len(a) != 1 || a[0].Fate != Answered {
		t.Errorf("%+v", a)
	}
	select {
	case err := <-wrote:
		t.Error("the write ended before:", err)
	default:
	}
	if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if a := <-heard; len(a) != 1 || a[0].Fate != Unsent && a[0].Fate != Lost {
		t.Errorf("%+v", a)
	}
	<-c.Done()
}

// TestFlood: who wants more answers than he reads is left.
func TestFlood(t *testing.T) {
	c, e, heard, wrote := stuck(t, time.Minute)
	for range mostAsked + 10 {
		if err := e.framer.WritePing(false, [8]byte{}); err != nil {
			break
		}
	}
	<-c.Done()
	if err := <-wrote; err == nil || !errors.Is(c.Err(), ErrProtocol) {
		t.Error(c.Err())
	}
	for got := 0; got < 2; {
		got += len(<-heard)
	}
}

// stuck is a connection whose peer speaks, and does not read the batch of two
// requests that is being written to it.
func stuck(t *testing.T, timeout time.Duration) (c *Conn, e *peer, heard chan []Answer, wrote chan error) {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = theirs.Close() })
	heard, wrote = make(chan []Answer, 10), make(chan error, 1)
	c, err := Open(&greedy{Conn: ours, room: 200}, Config{MostBody: 1000, Timeout: time.Minute, AnswerWait: time.Minute, PingAfter: time.Minute, PingTimeout: time.Minute,
		WriteTimeout: timeout, Changed: func() {}, Answered: func(a []Answer) { heard <- slices.Clone(a) }})
	if err != nil {
		t.Fatal(err)
	}
	e = &peer{framer: http2.NewFramer(theirs, nil), conn: theirs}
	e.encoder = newEncoder(e)
	_ = e.framer.WriteSettings()
	nothing := func() { _ = e.framer.WriteRawFrame(0x77, 0, 0, nil) } // passes time
	for !c.Settled() {
		nothing()
	}
	n, _ := c.Reserve(2)
	go func() {
		var b Batch
		c.Begin(&b)
		for i := range n {
			b.End(append(b.Start(&someHead, "/x"), make([]byte, 500)...), Ref{Index: i})
		}
		unsent, err := b.Flush(agree)
		b.Close()
		if len(unsent) > 0 {
			heard <- unsent
		}
		wrote <- err
	}()
	for c.InFlight() == 0 {
		nothing()
	}
	return c, e, heard, wrote
}

// greedy takes some bytes from its user, and then waits for somebody to read.
type greedy struct {
	net.Conn
	room int
}

func (g *greedy) Write(p []byte) (int, error) {
	if g.room -= len(p); g.room >= 0 {
		return len(p), nil
	}
	return g.Conn.Write(p)
}
