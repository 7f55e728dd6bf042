package h2

import (
	"bytes"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

func bubble(t *testing.T, name string, list []http2.Setting, run func(t *testing.T, c *client, p *peer)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, p := meet(t, nil)
			p.settings(list...)
			synctest.Wait()
			run(t, c, p)
		})
	})
}

func set(id http2.SettingID, value uint32) http2.Setting { return http2.Setting{ID: id, Val: value} }

func streams(n uint32) []http2.Setting {
	return []http2.Setting{set(http2.SettingMaxConcurrentStreams, n)}
}

func window(n uint32) []http2.Setting {
	return []http2.Setting{set(http2.SettingInitialWindowSize, n)}
}

func wantBody(t *testing.T, r *request, n int, ended bool) {
	t.Helper()
	want := make([]byte, n)
	for i := range want {
		want[i] = byte(i)
	}
	if !bytes.Equal(r.body, want) || r.ended != ended {
		t.Fatalf("stream %d: %d bytes, ended %t; want %d and %t", r.id, len(r.body), r.ended, n, ended)
	}
}

// TestStreamLimits: no more streams than the peer takes, as it says now.
func TestStreamLimits(t *testing.T) {
	bubble(t, "0, then 2", streams(0), func(t *testing.T, c *client, p *peer) {
		if n, full := c.Reserve(5); n != 0 || !full {
			t.Errorf("%d %t", n, full)
		}
		p.settings(streams(2)...)
		synctest.Wait()
		if n := c.send(5, 1, agree); n != 2 {
			t.Errorf("room for %d", n)
		}
	})
	bubble(t, "1", streams(1), func(t *testing.T, c *client, p *peer) {
		for range 10 {
			if n := c.send(5, 1, agree); n != 1 {
				t.Errorf("room for %d", n)
			}
			synctest.Wait()
			p.answer(p.ids()[0])
			synctest.Wait()
		}
	})
	bubble(t, "lowered", streams(10), func(t *testing.T, c *client, p *peer) {
		c.send(8, 1, agree)
		p.settings(streams(3)...)
		synctest.Wait()
		for open := 8; open > 3; open-- {
			if c.send(1, 1, agree) != 0 {
				t.Fatal("over the limit")
			}
			p.answer(p.ids()[0])
			synctest.Wait()
		}
		p.answer(p.ids()[0])
		synctest.Wait()
		if n := c.send(5, 1, agree); n != 1 {
			t.Errorf("room for %d", n)
		}
	})
	bubble(t, "lowered after Reserve", streams(10), func(t *testing.T, c *client, p *peer) {
		n, _ := c.Reserve(5)
		p.settings(streams(3)...)
		synctest.Wait() // it is acknowledged: nobody holds the pen
		var b Batch
		c.Begin(&b)
		for range n {
			c.add(&b, &someHead, "/x", 1)
		}
		c.flush(&b, agree)
		b.Close()
		c.want(Unsent, Unsent, Unsent, Unsent, Unsent)
		if n := c.send(5, 1, agree); n != 3 { // and the table is in order
			t.Errorf("room for %d", n)
		}
	})
	bubble(t, "a timeout counts until it is told", streams(3), func(t *testing.T, c *client, p *peer) {
		c.send(3, 1, agree)
		for range 20 { // the referee sees it when a place is taken too soon
			time.Sleep(time.Second)
			c.send(3, 1, agree)
		}
		if p.resetOf(1) != http2.ErrCodeCancel || c.first(0).Fate != TimedOut {
			t.Errorf("%v, %v", p.resetOf(1), c.first(0).Fate)
		}
	})
}

// TestStreamWindows: bodies leave in parts, as the peer has room.
func TestStreamWindows(t *testing.T) {
	for _, initial := range []uint32{0, 1, 100} {
		bubble(t, "small", window(initial), func(t *testing.T, c *client, p *peer) {
			c.send(3, 500, agree)
			synctest.Wait()
			sent := int(initial)
			for id := uint32(1); id <= 5; id += 2 {
				wantBody(t, p.got(id), sent, false)
			}
			for sent < 500 {
				step := min(130, 500-sent)
				p.grant(3, uint32(step))
				sent += step
				synctest.Wait()
				wantBody(t, p.got(3), sent, sent == 500)
			}
			wantBody(t, p.got(1), int(initial), false)
			p.grant(1, 10_000) // more than it needs
			p.grant(3, 10_000) // although it has ended
			synctest.Wait()
			wantBody(t, p.got(1), 500, true)
			p.answer(1)
			p.answer(3)
			p.reset(5, http2.ErrCodeCancel)
			synctest.Wait()
			c.want(Answered, Answered, Reset)
		})
	}
	bubble(t, "raised and lowered", window(100), func(t *testing.T, c *client, p *peer) {
		c.send(1, 500, agree)
		p.settings(window(0)...) // the stream's is -100 now
		synctest.Wait()
		p.grant(1, 100)
		synctest.Wait()
		wantBody(t, p.got(1), 100, false)
		p.grant(1, 1)
		synctest.Wait()
		wantBody(t, p.got(1), 101, false)
		p.settings(window(200)...)
		synctest.Wait()
		wantBody(t, p.got(1), 301, false)
		p.settings(window(65_535)...)
		synctest.Wait()
		wantBody(t, p.got(1), 500, true)
		p.answer(1)
		synctest.Wait()
		c.want(Answered)
	})
	bubble(t, "within a batch", window(100), func(t *testing.T, c *client, p *peer) {
		n, _ := c.Reserve(2)
		var b Batch
		c.Begin(&b)
		c.add(&b, &someHead, "/x", 200)
		p.settings(window(1000)...) // it waits for the batch
		c.flush(&b, agree)
		c.add(&b, &someHead, "/x", 200)
		c.flush(&b, agree)
		b.Close()
		synctest.Wait()
		wantBody(t, p.got(1), 200, true)
		wantBody(t, p.got(3), 200, true)
		if n != 2 {
			t.Error(n)
		}
	})
	bubble(t, "too large", window(0), func(t *testing.T, c *client, p *peer) {
		c.send(2, 10, agree)
		p.grant(1, 1<<31-1)
		synctest.Wait()
		p.grant(3, 1<<31-1)
		synctest.Wait()
		p.settings(window(5)...) // what has left has no window that could be too large
		synctest.Wait()
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
	bubble(t, "a stream's overflows", window(0), func(t *testing.T, c *client, p *peer) {
		n, _ := c.Reserve(1)
		var b Batch
		c.Begin(&b)
		c.add(&b, &someHead, "/x", 10)
		c.flush(&b, agree)
		_ = p.framer.WriteWindowUpdate(1, 1<<31-1) // what it is for waits for the batch to end
		_ = p.framer.WriteWindowUpdate(1, 1<<31-1)
		for c.InFlight() > 0 { // a bubble does not wait for who waits for a mutex
			runtime.Gosched()
		}
		b.Close()
		synctest.Wait()
		c.want(Reset)
		if p.resetOf(1) != http2.ErrCodeFlowControl || n != 1 {
			t.Error(p.resetOf(1), n)
		}
	})
}

// TestEarlyAnswer: a peer may answer before it has read the body, which then does
// not leave any more, and is not missing from the connection's window either.
func TestEarlyAnswer(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"answer": header(1, true, ":status", "413"), "reset": raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 8),
		"malformed": header(1, true, "a", "b"), "timeout": func(*peer) { time.Sleep(11 * time.Second) },
	} {
		bubble(t, name, window(10), func(t *testing.T, c *client, p *peer) {
			c.send(1, 1000, agree)
			synctest.Wait()
			end(p)
			synctest.Wait()
			if _, reset := p.resets[1]; !reset && name != "reset" {
				t.Error("the peer waits for the rest of the body")
			}
			c.Conn.mu.Lock()
			defer c.Conn.mu.Unlock()
			if c.window != 65_535-10 || len(c.tails) != 0 || len(c.streams) != 0 {
				t.Errorf("window %d, %d tails, %d streams", c.window, len(c.tails), len(c.streams))
			}
		})
	}
}

// TestConnectionWindow: what the connection's window does not take waits.
func TestConnectionWindow(t *testing.T) {
	bubble(t, "", nil, func(t *testing.T, c *client, p *peer) {
		sent := 0
		for range 10 {
			sent += c.send(64, 1000, agree)
			synctest.Wait()
			for _, id := range p.ids() {
				p.answer(id)
			}
			synctest.Wait()
		}
		if sent != 65 {
			t.Fatalf("%d bodies of 1000 bytes in 65,535", sent)
		}
		if _, full := c.Reserve(1); !full {
			t.Error("not full")
		}
		p.grant(0, 464)
		synctest.Wait()
		if n := c.send(5, 1000, agree); n != 0 {
			t.Errorf("room for %d", n)
		}
		p.grant(0, 1)
		synctest.Wait()
		if n := c.send(5, 1000, agree); n != 1 {
			t.Errorf("room for %d", n)
		}
		p.grant(0, 10_000)
		synctest.Wait()
		if n := c.send(64, 1000, agree); n != 10 {
			t.Errorf("room for %d", n)
		}
	})
}
