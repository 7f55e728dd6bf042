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
	// lastStream is the id after which no batch is begun: the highest possible one
	// is 2^31-1 (RFC 9113 5.1.1).
	lastStream = 1<<31 - 1 - 4*MaxBatch
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
	// Bare: of a 2xx nothing is wanted but its status. The rest of its header is not
	// made into strings.
	Bare bool
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

	writing sync.Mutex // guards what is written: the order on the wire. The reader never waits for it
	out     bytes.Buffer
	framer  *http2.Framer // writes to out; reads from in, by the reader alone
	heads   heads

	decoder *hpack.Decoder // the reader's own, with all below
	greeted bool           // the peer's first SETTINGS are in
	reading block
	done    []Answer
	since   int // bytes of data consumed since the last update of the window

	mu       sync.Mutex
	peer     limits
	settled  bool
	streams  map[uint32]stream
	order    []turn // of the streams, oldest first; some have ended
	ending   int    // streams that are over but for the peer, who learns it from a frame in asked
	tails    map[uint32]*tail
	tailing  bool   // the keeper has been asked to write them
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
	asked    []func() error // of the keeper
	replies  int            // of these, to what the peer sent
	wake     chan struct{}
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
		next: 1, window: 65_535, heard: now, used: now, over: make(chan struct{}), wake: make(chan struct{}, 1),
		peer: limits{streams: mostStreams, window: 65_535}}
	c.framer = http2.NewFramer(&c.out, c.in)
	c.framer.SetReuseFrames()
	c.framer.SetMaxReadFrameSize(16 << 10)
	c.heads.init(cfg.Authority)
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
	go c.keep()
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

// CloseIdle closes the connection when nothing has been asked for a while and
// nothing is under way, and else says after how long it may be.
func (c *Conn) CloseIdle(after time.Duration) (left time.Duration) {
	c.mu.Lock()
	if len(c.streams) > 0 || c.reserved {
		c.mu.Unlock()
		return after
	}
	if left = after - time.Since(c.used); left > 0 {
		c.mu.Unlock()
		return left
	}
	c.away = true // whoever comes now finds it closed
	c.mu.Unlock()
	c.Close()
	return 0
}

// fail ends the connection for a reason; the first counts. The reader answers
// for what is under way. A peer that broke the protocol is told so (RFC 9113
// 5.4.1), unless a batch is being written: nobody waits for that.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first && errors.Is(err, ErrProtocol) && c.writing.TryLock() {
		c.out.Reset()
		_ = c.framer.WriteGoAway(0, http2.ErrCodeProtocol, nil) // a buffer takes everything
		_ = c.net.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.net.Write(c.out.Bytes()) // it is as good as closed
		c.writing.Unlock()
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
