package h2

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// tape is a connection whose peer says what is on it: its settings at once, the
// rest when it is played, and then the end.
type tape struct {
	net.Conn // nil: what is not below is not called
	first    *bytes.Reader
	rest     *bytes.Reader
	play     chan struct{}
	closed   chan struct{}
	once     sync.Once
}

func (p *tape) Read(b []byte) (int, error) {
	if n, err := p.first.Read(b); err == nil {
		return n, nil
	}
	select {
	case <-p.play:
	case <-p.closed:
	}
	return p.rest.Read(b)
}

func (p *tape) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	default:
		return len(b), nil
	}
}

func (p *tape) SetWriteDeadline(time.Time) error { return nil }

func (p *tape) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// FuzzPeer: whatever a peer says with requests under way, each gets one answer,
// and the connection ends with what it said. Arbitrary bytes are mostly no frames:
// they are taken as they are, and as frames' kinds, flags, streams and payloads.
func FuzzPeer(f *testing.F) {
	for _, fault := range faults {
		f.Add(bytesOf(fault.do), false)
	}
	f.Add([]byte{1, 5, 1, 1, 0x88, 0, 1, 3, 2, 'a', 'b', 3, 0, 5, 4, 0, 0, 0, 7}, true)
	f.Add([]byte{4, 0, 0, 6, 0, 4, 0, 0, 0, 0, 8, 0, 1, 4, 0, 0, 0, 9, 7, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, said []byte, framed bool) {
		if framed {
			said = asFrames(said)
		}
		for _, small := range []uint32{0, 65_535} {
			fuzzPeer(t, said, small)
		}
	})
}

// bytesOf are the frames that a fault writes.
func bytesOf(do func(*peer)) []byte {
	var out bytes.Buffer
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = io.Copy(&out, ours) }()
	p := &peer{framer: http2.NewFramer(theirs, nil), conn: theirs, byID: map[uint32]*request{}}
	p.framer.AllowIllegalWrites = true
	p.encoder = newEncoder(p)
	do(p)
	_ = theirs.Close()
	<-done
	return out.Bytes()
}

// asFrames reads kind, flags, stream, length and so many bytes, again and again.
func asFrames(text []byte) []byte {
	var out bytes.Buffer
	f := http2.NewFramer(&out, nil)
	f.AllowIllegalWrites = true
	for len(text) >= 4 {
		n := min(int(text[3]), len(text)-4)
		_ = f.WriteRawFrame(http2.FrameType(text[0]), http2.Flags(text[1]), uint32(text[2]), text[4:4+n])
		text = text[4+n:]
	}
	return out.Bytes()
}

func fuzzPeer(t *testing.T, said []byte, window uint32) {
	var hello bytes.Buffer
	_ = http2.NewFramer(&hello, nil).WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	conn := &tape{first: bytes.NewReader(hello.Bytes()), rest: bytes.NewReader(said), play: make(chan struct{}), closed: make(chan struct{})}
	c := newClient(t)
	changed := make(chan struct{}, 1)
	opened, err := Open(conn, Config{MostBody: 100, Timeout: time.Minute, AnswerWait: time.Minute, PingAfter: time.Minute, PingTimeout: time.Minute,
		WriteTimeout: time.Minute, Answered: c.answered, Changed: func() {
			select {
			case changed <- struct{}{}:
			default:
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = opened
	for !c.Settled() {
		<-changed
	}
	c.send(4, 50, agree)
	c.send(4, 50, func() error { close(conn.play); return nil }) // some of it comes before the write has ended
	<-c.Done()
	c.check()
	if err := c.Err(); err == nil || errors.Is(err, ErrSilent) {
		t.Errorf("ended with %v", err)
	}
	if n := c.InFlight(); n != 0 {
		t.Errorf("%d are under way", n)
	}
}
