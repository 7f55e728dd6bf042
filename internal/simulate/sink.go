package simulate

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// SinkOptions say how a Sink is and behaves.
type SinkOptions struct {
	Authority *Authority
	Streams   uint32        // per connection; 0: 1,000
	Delay     time.Duration // before each answer
	Throttle  bool          // 429 to everything
	Hang      bool          // no answer to anything
}

// Sink is the least that a push service can do: it takes HTTP/2 requests, looks at
// nothing in them, and answers 201. It costs less than a microsecond for each, so
// that on a machine of two processors what is measured is the sender. Whatever has
// to be believed of a sender is asked of PushService and its phones.
type Sink struct {
	opts     SinkOptions
	listener net.Listener
	tls      *tls.Config
	taken    atomic.Int64
	bytes    atomic.Int64
	mood     atomic.Int32
	accepted atomic.Int64 // since Expect
	goal     atomic.Int64 // of accepted; 0: none
	reached  atomic.Int64 // when, in nanoseconds since 1970; 0: not yet

	mu    sync.Mutex
	conns map[net.Conn]bool
	over  sync.WaitGroup
}

// Moods of a sink.
const (
	sinkWell = iota
	sinkThrottling
	sinkHanging
)

// Behave changes, while it runs, what it answers to what comes from now on: 429
// to everything, nothing to anything, or, with neither, 201. One that stops
// hanging was restarted: its connections end, with all that waited in them.
func (s *Sink) Behave(throttle, hang bool) {
	mood := int32(sinkWell)
	switch {
	case hang:
		mood = sinkHanging
	case throttle:
		mood = sinkThrottling
	}
	if s.mood.Swap(mood) != sinkHanging || hang {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Expect begins to count what is accepted anew, and notes when goal were.
func (s *Sink) Expect(goal int64) {
	s.goal.Store(0) // what is accepted in between counts for nothing
	s.reached.Store(0)
	s.accepted.Store(0)
	s.goal.Store(goal)
}

// Reached is when as many were accepted as Expect said; zero: not yet.
func (s *Sink) Reached() time.Time {
	n := s.reached.Load()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// NewSink starts one.
func NewSink(opts SinkOptions) (*Sink, error) {
	if opts.Streams == 0 {
		opts.Streams = 1000
	}
	cert, err := opts.Authority.issue(nil)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("simulate.NewSink: %w", err)
	}
	s := &Sink{opts: opts, listener: l, conns: map[net.Conn]bool{},
		tls: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2"}, MinVersion: tls.VersionTLS13}}
	s.Behave(opts.Throttle, opts.Hang)
	s.over.Go(s.accept)
	return s, nil
}

// Origin is scheme://host:port.
func (s *Sink) Origin() string { return "https://" + s.listener.Addr().String() }

// Taken is how many requests have come, and how many bytes of TLS records with
// them.
func (s *Sink) Taken() (requests, bytes int64) { return s.taken.Load(), s.bytes.Load() }

// Close ends it.
func (s *Sink) Close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.Close()
	}
	s.mu.Unlock()
	s.over.Wait()
}

func (s *Sink) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.over.Go(func() {
			_ = s.serve(tls.Server(countedConn{c, &s.bytes}, s.tls)) // a client that goes is no fault
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
			_ = c.Close()
		})
	}
}

// countedConn counts what is read.
type countedConn struct {
	net.Conn
	n *atomic.Int64
}

func (c countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// sinkConn is one connection.
type sinkConn struct {
	s      *Sink
	in     *bufio.Reader
	mu     sync.Mutex
	out    *bufio.Writer
	framer *http2.Framer
	answer []byte // a whole HEADERS frame but for its stream
	slower []byte // the same with a 429
	due    chan dueAnswer
	ping   [8]byte
	since  uint32 // bytes of data since the last update of the window
}

type dueAnswer struct {
	stream uint32
	at     time.Time
}

var errPreface = errors.New("no HTTP/2 preface")

func (s *Sink) serve(c net.Conn) error {
	conn := &sinkConn{s: s, in: bufio.NewReaderSize(c, 64<<10), out: bufio.NewWriterSize(c, 16<<10), answer: sinkAnswer(false), slower: sinkAnswer(true)}
	conn.framer = http2.NewFramer(conn.out, nil)
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(conn.in, preface); err != nil || string(preface) != http2.ClientPreface {
		return errors.Join(err, errPreface)
	}
	err := errors.Join(conn.framer.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: s.opts.Streams}),
		conn.framer.WriteWindowUpdate(0, 1<<26), conn.out.Flush())
	if err != nil {
		return err
	}
	if s.opts.Delay > 0 {
		conn.due = make(chan dueAnswer, 1<<16)
		s.over.Go(conn.later)
		defer close(conn.due)
	}
	for err == nil {
		err = conn.frame()
	}
	return err
}

// sinkAnswer is 201 with a Location, or 429 with Retry-After, in HPACK without any
// use of the table (RFC 7541 6.2.2).
func sinkAnswer(throttle bool) []byte {
	status, name, value := "201", byte(46), "https://push.example/message/0123456789abcdef0123456789abcdef"
	if throttle {
		status, name, value = "429", 53, "1"
	}
	block := append([]byte{0x08, 3}, status...)            // :status
	block = append(block, 0x0f, name-15, byte(len(value))) // location or retry-after
	block = append(block, value...)
	frame := append(make([]byte, 9), block...)
	frame[2], frame[3], frame[4] = byte(len(block)), byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream)
	return frame
}

// frame reads one and answers it. What has been written leaves when there is
// nothing more to read.
func (c *sinkConn) frame() error {
	if c.in.Buffered() == 0 {
		c.mu.Lock()
		err := c.out.Flush()
		c.mu.Unlock()
		if err != nil {
			return err
		}
	}
	head, err := c.in.Peek(9)
	if err != nil {
		return err
	}
	n := int(head[0])<<16 | int(head[1])<<8 | int(head[2])
	kind, flags, stream := http2.FrameType(head[3]), http2.Flags(head[4]), binary.BigEndian.Uint32(head[5:])&(1<<31-1)
	if _, err := c.in.Discard(9); err != nil {
		return err
	}
	if kind == http2.FramePing && n == len(c.ping) {
		_, err = io.ReadFull(c.in, c.ping[:])
	} else {
		_, err = c.in.Discard(n)
	}
	if err != nil {
		return err
	}
	return c.take(kind, flags, stream, uint32(n))
}

func (c *sinkConn) take(kind http2.FrameType, flags http2.Flags, stream, n uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case kind == http2.FrameSettings && !flags.Has(http2.FlagSettingsAck):
		return c.framer.WriteSettingsAck()
	case kind == http2.FramePing && !flags.Has(http2.FlagPingAck):
		return c.framer.WritePing(true, c.ping)
	case kind != http2.FrameData:
		return nil
	}
	if c.since += n; c.since > 1<<20 {
		if err := c.framer.WriteWindowUpdate(0, c.since); err != nil {
			return err
		}
		c.since = 0
	}
	if !flags.Has(http2.FlagDataEndStream) {
		return nil
	}
	c.s.taken.Add(1)
	switch {
	case c.s.mood.Load() == sinkHanging:
		return nil
	case c.due != nil:
		c.due <- dueAnswer{stream, time.Now().Add(c.s.opts.Delay)}
		return nil
	}
	return c.write(stream)
}

func (c *sinkConn) write(stream uint32) error {
	answer := c.answer
	if c.s.mood.Load() == sinkThrottling {
		answer = c.slower
	} else if n := c.s.accepted.Add(1); n == c.s.goal.Load() {
		c.s.reached.Store(time.Now().UnixNano())
	}
	binary.BigEndian.PutUint32(answer[5:], stream)
	_, err := c.out.Write(answer)
	return err
}

// later writes the answers that are due, together where several are.
func (c *sinkConn) later() {
	for a := range c.due {
		if wait := time.Until(a.at); wait > 0 {
			c.mu.Lock()
			_ = c.out.Flush() // a client that is gone is noticed by the reader
			c.mu.Unlock()
			time.Sleep(wait)
		}
		c.mu.Lock()
		_ = c.write(a.stream)
		if len(c.due) == 0 {
			_ = c.out.Flush()
		}
		c.mu.Unlock()
	}
}
