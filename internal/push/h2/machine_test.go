package h2

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"pgregory.net/rapid"
)

// metered watches how much leaves at once.
type metered struct {
	net.Conn
	most int
}

func (m *metered) Write(b []byte) (int, error) {
	m.most = max(m.most, len(b))
	return m.Conn.Write(b)
}

// plainTB hides that it is a *testing.T, whose deadline nobody may ask in a bubble.
type plainTB struct{ *testing.T }

// TestMachine: whatever happens in whatever order, the referee has nothing to say
// and every request is answered once.
func TestMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rapid.Check(plainTB{t}, func(rt *rapid.T) {
			ours, theirs := net.Pipe()
			m := &machine{wire: &metered{Conn: ours}}
			m.c, m.p = meetOver(t, m.wire, theirs, nil)
			m.p.settings(set(http2.SettingMaxConcurrentStreams, rapid.Uint32Range(0, 100).Draw(rt, "streams")))
			synctest.Wait()
			rt.Repeat(map[string]func(*rapid.T){
				"send": m.send, "answer": m.answer, "reset": m.reset, "settings": m.settings, "grant": m.grant,
				"wait": m.wait, "goaway": m.goAway, "": m.check,
			})
			m.c.Close()
			<-m.c.Done()
			m.c.check()
			synctest.Wait()
		})
	})
}

type machine struct {
	c    *client
	p    *peer
	wire *metered
	last uint32 // GOAWAY's; 0: none
}

func (m *machine) send(t *rapid.T) {
	n, _ := m.c.Reserve(rapid.IntRange(1, 200).Draw(t, "most"))
	if n == 0 {
		return
	}
	if n > MaxBatch {
		t.Fatalf("room for %d", n)
	}
	var b Batch
	m.c.Begin(&b)
	for range rapid.IntRange(0, n).Draw(t, "requests") {
		if b.Waiting() >= MostWaiting || rapid.IntRange(0, 9).Draw(t, "flush") == 0 {
			m.flush(t, &b)
		}
		m.c.add(&b, &someHead, "/push", rapid.IntRange(0, 1000).Draw(t, "size"))
	}
	m.flush(t, &b)
	b.Close()
}

func (m *machine) flush(t *rapid.T, b *Batch) {
	gate := agree
	if rapid.IntRange(0, 4).Draw(t, "refuse") == 0 {
		gate = func() error { return ErrClosed }
	}
	m.c.flush(b, gate)
}

// one of the peer's open streams; 0: there is none.
func (m *machine) one(t *rapid.T) uint32 {
	ids := m.p.ids()
	if len(ids) == 0 {
		return 0
	}
	return rapid.SampledFrom(ids).Draw(t, "stream")
}

func (m *machine) answer(t *rapid.T) {
	for range rapid.IntRange(1, 20).Draw(t, "answers") {
		id := m.one(t)
		if id == 0 {
			return
		}
		status := rapid.SampledFrom([]string{"201", "429", "410", "100", "xyz"}).Draw(t, "status")
		last := status == "201" && rapid.Bool().Draw(t, "last")
		if m.p.got(id).ended && last {
			m.p.answer(id)
		} else {
			m.p.headersFrame(id, false, ":status", status)
		}
		synctest.Wait()
	}
}

func (m *machine) reset(t *rapid.T) {
	if id := m.one(t); id != 0 {
		m.p.reset(id, http2.ErrCode(rapid.Uint32Range(0, 14).Draw(t, "code")))
	}
}

func (m *machine) settings(t *rapid.T) {
	var list []http2.Setting
	if rapid.Bool().Draw(t, "change streams") {
		list = append(list, set(http2.SettingMaxConcurrentStreams, rapid.Uint32Range(0, 100).Draw(t, "streams")))
	}
	if rapid.Bool().Draw(t, "change window") {
		list = append(list, set(http2.SettingInitialWindowSize, rapid.SampledFrom([]uint32{0, 1, 100, 999, 65_535}).Draw(t, "window")))
	}
	if rapid.Bool().Draw(t, "change table") {
		list = append(list, set(http2.SettingHeaderTableSize, rapid.SampledFrom([]uint32{0, 100, 4096}).Draw(t, "table")))
	}
	m.p.settings(list...)
}

func (m *machine) grant(t *rapid.T) {
	id := uint32(0)
	if rapid.Bool().Draw(t, "a stream's") {
		id = m.one(t)
	}
	m.p.grant(id, rapid.Uint32Range(1, 5000).Draw(t, "bytes"))
}

func (m *machine) wait(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms")) * time.Millisecond)
}

func (m *machine) goAway(t *rapid.T) {
	if m.last != 0 || rapid.IntRange(0, 4).Draw(t, "stay") > 0 {
		return
	}
	if m.last = m.one(t); m.last != 0 {
		_ = m.p.framer.WriteGoAway(m.last, http2.ErrCodeNo, nil)
	}
}

func (m *machine) check(t *rapid.T) {
	synctest.Wait()
	if most := MostWaiting + 2000; m.wire.most > most {
		t.Fatalf("%d bytes were written at once", m.wire.most)
	}
	m.c.mu.Lock()
	open := 0
	for i, list := range m.c.answers {
		if len(list) > 1 {
			t.Fatalf("request %d: %+v", i, list)
		}
		if len(list) == 0 {
			open++
		}
	}
	m.c.mu.Unlock()
	if n := m.c.InFlight(); n < open {
		t.Fatalf("%d are under way, and %d without an answer", n, open)
	}
	m.c.Conn.mu.Lock()
	window := m.c.window
	m.c.Conn.mu.Unlock()
	if window < 0 {
		t.Fatalf("window %d", window)
	}
	if m.c.t.Failed() {
		t.FailNow() // the referee
	}
}
