// Package h2 is one HTTP/2 connection (RFC 9113) for many small POST requests
// to one origin: all that a push service is asked.
//
// It promises: requests leave in batches of one write each, with a header block
// that costs a few bytes and no work after the first; a batch is written only
// when its gate agrees in the instant before; each request that was written gets
// exactly one Answer, whatever the peer does, and it says whether the peer may
// have processed it; no more than MostWaiting bytes wait to be written; an answer
// costs at most MaxAnswer bytes of memory; a peer that breaks the protocol ends
// the connection with ErrProtocol, and never more than the connection. It knows
// nothing of pushes, redirects, pools or retries.
//
// golang.org/x/net/http2's Framer and hpack read and write what is on the wire;
// what is left out is what makes its Transport cost 25 µs a request
// (a goroutine, a dozen allocations and two writes for each).
package h2

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	// MaxAnswer is how many bytes of an answer's body are kept.
	MaxAnswer = 4 << 10
	// MostWaiting bytes are gathered before they are written, and one request
	// more: DESIGN 8 allows 64 KB unsent.
	MostWaiting = 48 << 10
	// MaxBatch requests are written at once, at most: what a process that is
	// frozen between its last look and the write still emits.
	MaxBatch = 64
	// maxHeader bounds an answer's header block; real ones have about 1 KiB.
	maxHeader = 32 << 10
	// mostStreams bounds what a peer that names no limit is believed to take.
	mostStreams = 1000
	// tableSize is HPACK's dynamic table, both ways: what everybody has (RFC 9113
	// 6.5.2).
	tableSize = 4096
	// ourWindow is what a peer may send us ahead, on each stream. Answers are
	// short.
	ourWindow = 64 << 10
	// settleWait is how long a peer may take for its SETTINGS, which have to come
	// first.
	settleWait = 5 * time.Second
	// tickEvery is how often timeouts and the connection's health are looked at.
	tickEvery = 250 * time.Millisecond
)

// Errors that end a connection.
var (
	ErrProtocol = errors.New("h2: the peer broke the protocol")
	ErrClosed   = errors.New("h2: closed")
	ErrGoAway   = errors.New("h2: the peer goes away")
	ErrSilent   = errors.New("h2: the peer does not answer a ping")
)

// Config of a connection.
type Config struct {
	Authority string // host, and port where it is not the scheme's own
	// MostBody is the length of the longest body: what a request is sure to
	// find of the peer's flow control when there is room for it.
	MostBody int
	Timeout  time.Duration // of a request
	// AnswerWait is how long the body of an answer is waited for when its status
	// is known.
	AnswerWait   time.Duration
	PingAfter    time.Duration // without a word from the peer
	PingTimeout  time.Duration
	WriteTimeout time.Duration
	// Answered is told what became of requests. Calls may overlap; the slice is
	// reused.
	Answered func([]Answer)
	// Changed is told that there may be room, or that the connection has ended or
	// takes nothing more. It must not call back into the connection.
	Changed func()
}

// Fate is what happened to a request that has no status.
type Fate uint8

// Fates.
const (
	Answered Fate = iota // there is a status
	GoneAway             // the peer goes away and did not look at it (RFC 9113 6.8)
	Refused              // nor did it at this one (RFC 9113 8.7)
	Unsent               // it has not left
	Reset                // the peer ended the stream; it may have been processed
	Lost                 // the connection ended, and it may have been processed
	TimedOut             // so may it
)

// Ref is the caller's name for a request.
type Ref struct {
	Batch any // a pointer, else each costs an allocation
	Index int
}

// Answer is what became of a request.
type Answer struct {
	Ref    Ref
	Fate   Fate
	Status int
	// Header is set when the status is no 2xx, or the answer has one of the
	// headers of KeptHeader.
	Header http.Header
	Body   []byte // never of a 2xx
	// TTL is what the peer has made of the request's (RFC 8030 5.2), in seconds;
	// -1: it said nothing.
	TTL int
}

// Conn is one connection. It is safe for concurrent use.
type Conn struct {
	cfg Config
	net net.Conn
	in  *bufio.Reader

	writing sync.Mutex // guards what is written: the order on the wire
	out     bytes.Buffer
	framer  *http2.Framer // writes to out; reads from in, by the reader alone
	heads   heads

	decoder *hpack.Decoder // the reader's own, with all below
	reading block
	done    []Answer
	since   int // bytes of data consumed since the last update of the window

	mu       sync.Mutex
	peer     limits
	settled  bool
	streams  map[uint32]stream
	order    []turn // of the streams, oldest first; some have ended
	tails    map[uint32]*tail
	next     uint32 // stream id
	window   int64  // of the connection
	reserved bool   // somebody is about to write a batch
	away     bool   // the peer takes nothing more
	answers  int64
	heard    time.Time // from the peer
	used     time.Time
	pinged   time.Time // zero: no ping is out
	err      error     // set: ended
	over     chan struct{}
}

// limits are the peer's settings.
type limits struct {
	streams uint32
	window  uint32 // of a stream, at its beginning
}

// stream is a request under way.
type stream struct {
	ref     Ref
	writing bool // its batch is being written: whoever writes it answers for it
	told    bool // it has been answered, and only its end is waited for
	status  int
	header  http.Header
	body    []byte
	ttl     int
	until   time.Time // AnswerWait's; zero: no status yet
}

// turn is a stream's place among those that may time out.
type turn struct {
	id    uint32
	until time.Time
}

// tail is the rest of a body that the stream's window has no room for.
type tail struct {
	rest   []byte
	window int64
}

// Open begins HTTP/2 on a connection whose TLS handshake chose it. It does not
// wait for the peer.
func Open(nc net.Conn, cfg Config) (*Conn, error) {
	now := time.Now()
	c := &Conn{cfg: cfg, net: nc, in: bufio.NewReaderSize(nc, 32<<10), streams: map[uint32]stream{}, tails: map[uint32]*tail{},
		next: 1, window: 65_535, heard: now, used: now, over: make(chan struct{}),
		peer: limits{streams: mostStreams, window: 65_535}}
	c.framer = http2.NewFramer(&c.out, c.in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(16 << 10)
	c.heads.init(&c.out, cfg.Authority)
	c.decoder = hpack.NewDecoder(tableSize, c.reading.take)
	c.decoder.SetMaxStringLength(maxHeader)
	c.out.WriteString(http2.ClientPreface)
	err := c.framer.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: ourWindow},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeader})
	if err == nil {
		err = c.framer.WriteWindowUpdate(0, 1<<20)
	}
	if err == nil {
		_, err = c.flush()
	}
	if err != nil {
		_ = nc.Close()
		return nil, fmt.Errorf("h2.Open: %w", err)
	}
	go c.read()
	go c.tick()
	return c, nil
}

// Close ends the connection. Requests under way are answered as lost.
func (c *Conn) Close() { c.fail(ErrClosed) }

// Err is why the connection takes no requests any more; nil while it does.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil && c.away {
		return ErrGoAway
	}
	return c.err
}

// Settled reports whether the peer has said what it takes.
func (c *Conn) Settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.over }

// InFlight is how many requests are under way.
func (c *Conn) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// Answers counts the requests that got a status.
func (c *Conn) Answers() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answers
}

// Idle is for how long nothing has been asked and nothing is under way.
func (c *Conn) Idle(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.streams) > 0 || c.reserved {
		return 0
	}
	return now.Sub(c.used)
}

// fail ends the connection for a reason; the first counts. The reader answers
// for what is under way.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first && errors.Is(err, ErrProtocol) {
		_ = c.net.SetWriteDeadline(time.Now().Add(time.Second))
		c.control(func() error { return c.framer.WriteGoAway(0, http2.ErrCodeProtocol, nil) })
	}
	_ = c.net.Close()
}

// flush writes what is in out and says how much of it left. c.writing is held,
// or nobody else knows the connection yet.
func (c *Conn) flush() (int, error) {
	_ = c.net.SetWriteDeadline(time.Now().Add(c.cfg.WriteTimeout)) // a closed connection reports itself below
	n, err := c.net.Write(c.out.Bytes())
	c.out.Reset()
	return n, err
}

// control writes a frame between batches. A peer that does not take it ends the
// connection.
func (c *Conn) control(frame func() error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out.Reset()
	err := frame()
	if err == nil {
		_, err = c.flush()
	}
	if err != nil {
		_ = c.net.Close() // the reader notices
	}
}

// end answers for everything that is under way, but for what is being written.
func (c *Conn) end(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	var lost []Answer
	for id, s := range c.streams {
		if s.writing {
			continue
		}
		if delete(c.streams, id); !s.told {
			lost = append(lost, s.answer(Lost))
		}
	}
	clear(c.tails)
	c.mu.Unlock()
	_ = c.net.Close()
	c.tell(lost)
	close(c.over)
	c.cfg.Changed()
}

func (c *Conn) tell(answers []Answer) {
	if len(answers) > 0 {
		c.cfg.Answered(answers)
	}
}

// answer is what is known of a stream.
func (s *stream) answer(fate Fate) Answer {
	if s.status > 0 { // whatever comes after it
		fate = Answered
	}
	return Answer{Ref: s.ref, Fate: fate, Status: s.status, Header: s.header, Body: s.body, TTL: s.ttl}
}

// tick looks after timeouts and the peer's health until the connection ends.
func (c *Conn) tick() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.over:
			return
		case now := <-ticker.C:
			c.look(now)
		}
	}
}

// look ends what has waited too long, and pings a peer that is silent.
func (c *Conn) look(now time.Time) {
	c.mu.Lock()
	late, reset := c.late(now)
	silent, ping := false, false
	switch {
	case !c.settled:
		silent = now.Sub(c.heard) > settleWait
	case !c.pinged.IsZero():
		silent = now.Sub(c.pinged) > c.cfg.PingTimeout
	default:
		if ping = now.Sub(c.heard) > c.cfg.PingAfter; ping {
			c.pinged = now
		}
	}
	c.mu.Unlock()
	c.tell(late)
	if len(reset) > 0 {
		c.control(func() error { return c.cancel(reset) })
		c.cfg.Changed()
	}
	if ping {
		c.control(func() error { return c.framer.WritePing(false, [8]byte{'d', 'a', 't', 'e'}) })
	}
	if silent {
		c.fail(ErrSilent)
	}
}

func (c *Conn) cancel(ids []uint32) error {
	for _, id := range ids {
		if err := c.framer.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
			return err
		}
	}
	return nil
}

// late takes out the streams that have waited too long. c.mu is held.
func (c *Conn) late(now time.Time) (answers []Answer, ids []uint32) {
	drop := func(id uint32, s stream) {
		delete(c.streams, id)
		delete(c.tails, id)
		ids = append(ids, id)
		if !s.told {
			answers = append(answers, s.answer(TimedOut))
		}
	}
	for len(c.order) > 0 {
		first := c.order[0]
		s, open := c.streams[first.id]
		if open && (s.writing || now.Before(first.until)) {
			break
		}
		if c.order = c.order[1:]; open {
			drop(first.id, s)
		}
	}
	for id, s := range c.streams { // those whose body is waited for are few, and this is rare
		if !s.writing && !s.until.IsZero() && now.After(s.until) {
			drop(id, s)
		}
	}
	return answers, ids
}
