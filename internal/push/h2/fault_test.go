package h2

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// fault is something that a peer does with five requests under way, on the
// streams 1, 3, 5, 7 and 9.
type fault struct {
	name string
	do   func(p *peer)
	want []Fate // of the first requests; the others are under way
	err  error  // that ends the connection; nil: it goes on
	// reset is what stream 1 was reset with.
	reset http2.ErrCode
}

func raw(kind http2.FrameType, flags http2.Flags, id uint32, payload ...byte) func(*peer) {
	return func(p *peer) {
		if kind == http2.FrameRSTStream {
			p.over(id)
		}
		_ = p.framer.WriteRawFrame(kind, flags, id, payload) // an end shows itself
	}
}

func settingsOf(list ...http2.Setting) func(*peer) { return func(p *peer) { p.settings(list...) } }

func header(id uint32, last bool, fields ...string) func(*peer) {
	return func(p *peer) { p.headersFrame(id, last, fields...) }
}

func data(id uint32, last bool, body string) func(*peer) {
	return func(p *peer) {
		if last {
			p.over(id)
		}
		_ = p.framer.WriteData(id, last, []byte(body))
	}
}

func all(steps ...func(*peer)) func(*peer) {
	return func(p *peer) {
		for _, step := range steps {
			step(p)
		}
	}
}

const endHeaders, endStream = http2.FlagHeadersEndHeaders, http2.FlagHeadersEndStream

var (
	lost  = []Fate{Lost, Lost, Lost, Lost, Lost}
	reset = []Fate{Reset}
	fine  = []Fate{Answered}
)

var faults = []fault{
	// RFC 9113 6.5.
	{"ENABLE_PUSH 2", settingsOf(http2.Setting{ID: http2.SettingEnablePush, Val: 2}), lost, ErrProtocol, 0},
	{"ENABLE_PUSH 1", settingsOf(http2.Setting{ID: http2.SettingEnablePush, Val: 1}), lost, ErrProtocol, 0},
	{"INITIAL_WINDOW 2^31", settingsOf(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}), lost, ErrProtocol, 0},
	{"MAX_FRAME 1", settingsOf(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1}), lost, ErrProtocol, 0},
	{"MAX_FRAME 2^24", settingsOf(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 24}), lost, ErrProtocol, 0},
	{"unknown setting", settingsOf(http2.Setting{ID: 0x99, Val: 7}), nil, nil, 0},
	{"SETTINGS of 5 bytes", raw(http2.FrameSettings, 0, 0, 1, 2, 3, 4, 5), lost, ErrProtocol, 0},
	{"SETTINGS on a stream", raw(http2.FrameSettings, 0, 1), lost, ErrProtocol, 0},
	{"ack with a payload", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, 1, 2, 3, 4, 5, 6), lost, ErrProtocol, 0},
	// 6.9.
	{"WINDOW_UPDATE 0", raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 0, 0), lost, ErrProtocol, 0},
	{"WINDOW_UPDATE 0 of a stream", raw(http2.FrameWindowUpdate, 0, 1, 0, 0, 0, 0), reset, nil, http2.ErrCodeProtocol},
	{"WINDOW_UPDATE 0 of an idle stream", raw(http2.FrameWindowUpdate, 0, 99, 0, 0, 0, 0), lost, ErrProtocol, 0},
	{"WINDOW_UPDATE too large", raw(http2.FrameWindowUpdate, 0, 0, 0x7f, 0xff, 0xff, 0xff), lost, ErrProtocol, 0},
	{"WINDOW_UPDATE of an idle stream", raw(http2.FrameWindowUpdate, 0, 99, 0, 0, 0, 1), lost, ErrProtocol, 0},
	{"WINDOW_UPDATE of an even stream", raw(http2.FrameWindowUpdate, 0, 2, 0, 0, 0, 1), lost, ErrProtocol, 0},
	{"WINDOW_UPDATE of 3 bytes", raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 1), lost, ErrProtocol, 0},
	// 6.7.
	{"PING of 7 bytes", raw(http2.FramePing, 0, 0, 1, 2, 3, 4, 5, 6, 7), lost, ErrProtocol, 0},
	{"PING on a stream", raw(http2.FramePing, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8), lost, ErrProtocol, 0},
	{"PING ack nobody asked for", raw(http2.FramePing, http2.FlagPingAck, 0, 1, 2, 3, 4, 5, 6, 7, 8), nil, nil, 0},
	// 6.4.
	{"RST_STREAM of an idle stream", raw(http2.FrameRSTStream, 0, 99, 0, 0, 0, 8), lost, ErrProtocol, 0},
	{"RST_STREAM of an even stream", raw(http2.FrameRSTStream, 0, 2, 0, 0, 0, 8), lost, ErrProtocol, 0},
	{"RST_STREAM of stream 0", raw(http2.FrameRSTStream, 0, 0, 0, 0, 0, 8), lost, ErrProtocol, 0},
	{"RST_STREAM of 3 bytes", raw(http2.FrameRSTStream, 0, 1, 0, 0, 8), lost, ErrProtocol, 0},
	{"RST_STREAM twice", all(raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 8), raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 7)), reset, nil, 0},
	{"RST_STREAM after the answer", all(header(1, false, ":status", "201"), raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 7)), fine, nil, 0},
	{"RST_STREAM within a refusal", all(header(1, false, ":status", "429"), data(1, false, "x"), raw(http2.FrameRSTStream, 0, 1, 0, 0, 0, 0)), fine, nil, 0},
	// 8.3 and 8.1: malformed answers are the stream's.
	{"no :status", header(1, true, "ttl", "60"), reset, nil, http2.ErrCodeProtocol},
	{"two :status", header(1, true, ":status", "201", ":status", "201"), reset, nil, http2.ErrCodeProtocol},
	{":status after a field", header(1, true, "ttl", "60", ":status", "201"), reset, nil, http2.ErrCodeProtocol},
	{":status 99", header(1, true, ":status", "99"), reset, nil, http2.ErrCodeProtocol},
	{":status 1000", header(1, true, ":status", "1000"), reset, nil, http2.ErrCodeProtocol},
	{":status +20", header(1, true, ":status", "+20"), reset, nil, http2.ErrCodeProtocol},
	{":status empty", header(1, true, ":status", ""), reset, nil, http2.ErrCodeProtocol},
	{":path in an answer", header(1, true, ":status", "201", ":path", "/"), reset, nil, http2.ErrCodeProtocol},
	{"101", header(1, false, ":status", "101"), reset, nil, http2.ErrCodeProtocol},
	{"100 that ends", header(1, true, ":status", "100"), reset, nil, http2.ErrCodeProtocol},
	{"100, 103, then 201", all(header(1, false, ":status", "100"), header(1, false, ":status", "103", "link", "x"), header(1, true, ":status", "201")), fine, nil, 0},
	{"trailers", all(header(1, false, ":status", "400"), data(1, false, "no"), header(1, true, "x", "y")), fine, nil, 0},
	{"trailers that do not end", all(header(1, false, ":status", "400"), header(1, false, "x", "y")), fine, nil, http2.ErrCodeProtocol},
	{"a list of fields that unpacks to 1 MB", func(p *peer) {
		fields := []string{":status", "400"}
		for range 400 {
			fields = append(fields, "x", strings.Repeat("y", 3000))
		}
		p.headersFrame(1, true, fields...)
	}, reset, nil, http2.ErrCodeProtocol},
	// 8.1 and 6.1.
	{"DATA before HEADERS", data(1, false, "x"), reset, nil, http2.ErrCodeProtocol},
	{"DATA of an idle stream", data(99, false, "x"), lost, ErrProtocol, 0},
	{"DATA of an even stream", data(2, false, "x"), lost, ErrProtocol, 0},
	{"DATA of stream 0", data(0, false, "x"), lost, ErrProtocol, 0},
	{"DATA after the end", all(header(1, true, ":status", "201"), data(1, true, "x")), fine, nil, 0},
	{"padded DATA", all(header(1, false, ":status", "400"), func(p *peer) { p.over(1); _ = p.framer.WriteDataPadded(1, true, []byte("ab"), make([]byte, 99)) }), fine, nil, 0},
	{"DATA that is all padding, and more", raw(http2.FrameData, http2.FlagDataPadded, 1, 200, 0), lost, ErrProtocol, 0},
	{"DATA padded, without the length", raw(http2.FrameData, http2.FlagDataPadded, 1), lost, ErrProtocol, 0},
	// 6.2 and 6.10.
	{"HEADERS of an idle stream", header(99, true, ":status", "201"), lost, ErrProtocol, 0},
	{"HEADERS of an even stream", header(2, true, ":status", "201"), lost, ErrProtocol, 0},
	{"HEADERS of stream 0", header(0, true, ":status", "201"), lost, ErrProtocol, 0},
	{"HEADERS with too much padding", raw(http2.FrameHeaders, endHeaders|endStream|http2.FlagHeadersPadded, 1, 200, 0x88), lost, ErrProtocol, 0},
	{"HEADERS with half a priority", raw(http2.FrameHeaders, endHeaders|endStream|http2.FlagHeadersPriority, 1, 0, 0), lost, ErrProtocol, 0},
	{"CONTINUATION alone", raw(http2.FrameContinuation, endHeaders, 1, 0x88), lost, ErrProtocol, 0},
	{"CONTINUATION of another stream", all(raw(http2.FrameHeaders, endStream, 1, 0x88), raw(http2.FrameContinuation, endHeaders, 3)), lost, ErrProtocol, 0},
	{"PING within a header block", all(raw(http2.FrameHeaders, endStream, 1, 0x88), raw(http2.FramePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)), lost, ErrProtocol, 0},
	{"CONTINUATION without end", func(p *peer) {
		_ = p.framer.WriteRawFrame(http2.FrameHeaders, 0, 1, p.block(":status", "400"))
		for i := range maxHeader / 500 {
			_ = p.framer.WriteContinuation(1, false, p.block(strings.Repeat("|", 500)+fmt.Sprint(i), "x"))
		}
	}, lost, ErrProtocol, 0},
	{"empty CONTINUATION without end", func(p *peer) {
		_ = p.framer.WriteRawFrame(http2.FrameHeaders, 0, 1, nil)
		for range maxHeader / frameHeader {
			_ = p.framer.WriteContinuation(1, false, nil)
		}
	}, lost, ErrProtocol, 0},
	// RFC 7541.
	{"an index that is not there", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0xfe), lost, ErrProtocol, 0},
	{"index 0", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0x80), lost, ErrProtocol, 0},
	{"half a field", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0x88, 0x40, 5, 'a'), lost, ErrProtocol, 0},
	{"a number without end", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), lost, ErrProtocol, 0},
	{"a table of 8 KiB", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0x3f, 0xe1, 0x3f, 0x88), lost, ErrProtocol, 0},
	{"a table size behind a field", all(header(1, true, ":status", "201"), raw(http2.FrameHeaders, endHeaders|endStream, 3, 0x88, 0x20)),
		[]Fate{Answered, Lost, Lost, Lost, Lost}, ErrProtocol, 0},
	{"bad Huffman", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0x88, 0x40, 0x81, 0, 0x81, 0), lost, ErrProtocol, 0},
	{"a string of 1 MB", raw(http2.FrameHeaders, endHeaders|endStream, 1, 0x88, 0x40, 1, 'a', 0x7f, 0x81, 0xff, 0x3f), lost, ErrProtocol, 0},
	{"garbage for a stream that is over", all(header(1, true, ":status", "201"), raw(http2.FrameHeaders, endHeaders|endStream, 1, 0xfe)), []Fate{Answered, Lost, Lost, Lost, Lost}, ErrProtocol, 0},
	// 8.4, 4.2 and 4.1.
	{"PUSH_PROMISE", raw(http2.FramePushPromise, endHeaders, 1, 0, 0, 0, 2, 0x82), lost, ErrProtocol, 0},
	{"a frame of 16 KiB and a byte", raw(http2.FrameType(0x77), 0, 0, make([]byte, 16<<10+1)...), lost, ErrProtocol, 0},
	{"a frame of 16 KiB that nobody knows", raw(http2.FrameType(0x77), 0xff, 1, make([]byte, 16<<10)...), nil, nil, 0},
	{"PRIORITY", raw(http2.FramePriority, 0, 1, 0, 0, 0, 3, 9), nil, nil, 0},
	{"GOAWAY of 7 bytes", raw(http2.FrameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0), lost, ErrProtocol, 0},
	{"GOAWAY on a stream", raw(http2.FrameGoAway, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), lost, ErrProtocol, 0},
	{"HTTP/1.1", func(p *peer) { _, _ = p.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, lost, ErrProtocol, 0},
}

// TestFaults: each fault ends what it has to, and no more; what goes on works.
func TestFaults(t *testing.T) {
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := meet(t, nil)
				p.settings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 5})
				synctest.Wait()
				if n := c.send(5, 20, agree); n != 5 {
					t.Fatalf("room for %d", n)
				}
				f.do(p)
				synctest.Wait()
				c.want(f.want...)
				if got := p.resetOf(1); got != f.reset {
					t.Errorf("stream 1 was reset with %v, want %v", got, f.reset)
				}
				if f.err != nil {
					wantProtocol(t, c, p)
					return
				}
				wantAlive(t, c, p, len(f.want))
			})
		})
	}
}

func wantProtocol(t *testing.T, c *client, p *peer) {
	t.Helper()
	<-c.Done()
	if err := c.Err(); !errors.Is(err, ErrProtocol) {
		t.Errorf("the connection ended with %v", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.goaway == nil || *p.goaway != http2.ErrCodeProtocol {
		t.Errorf("GOAWAY with %v", p.goaway)
	}
	if c.send(1, 1, agree) != 0 {
		t.Error("it takes another request")
	}
}

// wantAlive fills what is free, and answers everything.
func wantAlive(t *testing.T, c *client, p *peer, ended int) {
	t.Helper()
	if err := c.Err(); err != nil {
		t.Fatalf("the connection ended with %v", err)
	}
	// A stream whose answer has not ended is in use until AnswerWait.
	time.Sleep(3 * time.Second)
	if n := c.send(5, 20, agree); n != ended {
		t.Fatalf("room for %d, want %d", n, ended)
	}
	synctest.Wait()
	for _, id := range p.ids() {
		p.answer(id)
	}
	synctest.Wait()
	for i, fate := range c.fates() {
		if fate == -1 {
			t.Errorf("request %d has no answer", i)
		}
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d are under way", n)
	}
}

// TestSettingsComeFirst is RFC 9113 3.4.
func TestSettingsComeFirst(t *testing.T) {
	for name, do := range map[string]func(*peer){
		"HEADERS": header(1, true, ":status", "201"), "PING": raw(http2.FramePing, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8),
		"an ack": raw(http2.FrameSettings, http2.FlagSettingsAck, 0), "unknown": raw(http2.FrameType(0x77), 0, 0),
		"DATA": data(1, true, "x"), "WINDOW_UPDATE": raw(http2.FrameWindowUpdate, 0, 0, 0, 0, 0, 1),
		"GOAWAY": raw(http2.FrameGoAway, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, p := meet(t, nil)
				if c.send(1, 1, agree) != 0 {
					t.Error("a request leaves before SETTINGS")
				}
				do(p)
				synctest.Wait()
				wantProtocol(t, c, p)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, _ := meet(t, nil)
		time.Sleep(settleWait + time.Second)
		synctest.Wait()
		<-c.Done()
		if !errors.Is(c.Err(), ErrSilent) {
			t.Error(c.Err())
		}
	})
}

// TestResets: what the peer says of a stream decides on the request.
func TestResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := meet(t, nil)
		p.settings()
		synctest.Wait()
		const codes = 14 // RFC 9113 7
		c.send(codes+1, 20, agree)
		for code := range http2.ErrCode(codes + 1) { // and one that nobody knows
			p.reset(uint32(2*code+1), code)
		}
		synctest.Wait()
		for code, fate := range c.fates() {
			want := Reset
			if http2.ErrCode(code) == http2.ErrCodeRefusedStream {
				want = Refused
			}
			if fate != int(want) {
				t.Errorf("%v: fate %v", http2.ErrCode(code), fate)
			}
		}
	})
}

// TestContinuations: a block comes in pieces of any size.
func TestContinuations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, p := meet(t, nil)
		p.settings()
		synctest.Wait()
		for size := range 40 {
			c.send(1, 20, agree)
			synctest.Wait()
			id := p.ids()[0]
			block := p.block(":status", "429", "retry-after", "120", "x-long", "0123456789012345678901234567890123456789")
			_ = p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: true})
			for len(block) > size+1 {
				_ = p.framer.WriteContinuation(id, false, block[:size+1])
				block = block[size+1:]
			}
			_ = p.framer.WriteContinuation(id, true, block)
			p.over(id)
			synctest.Wait()
			if a := c.first(size); a.Status != 429 || a.Header.Get("Retry-After") != "120" {
				t.Fatalf("in pieces of %d: %+v", size+1, a)
			}
		}
	})
}
