package h2

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// mostDone answers are told of together, at most.
const mostDone = 256

// read takes in frames until the connection ends, and answers for the rest.
func (c *Conn) read() {
	err := c.frames()
	c.tell(c.done)
	c.done = nil
	if errors.Is(err, ErrProtocol) {
		c.fail(err)
	}
	c.end(err)
}

func (c *Conn) frames() error {
	for {
		if !c.whole() {
			c.tell(c.done)
			if len(c.done) > 0 {
				c.cfg.Changed()
			}
			c.done = c.done[:0]
		}
		f, err := c.framer.ReadFrame()
		if err != nil {
			if err = c.mend(err); err != nil {
				return err
			}
			continue
		}
		if err := c.handle(f); err != nil {
			return err
		}
	}
}

// mend takes a frame that can't be read: a fault of a stream ends the stream, any
// other the connection.
func (c *Conn) mend(err error) error {
	var broken http2.StreamError
	if errors.As(err, &broken) {
		c.endStream(broken.StreamID, Reset)
		c.control(func() error { return c.framer.WriteRSTStream(broken.StreamID, broken.Code) })
		return nil
	}
	if isProtocol(err) {
		return fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return err
}

// whole reports whether the next frame can be read without waiting, and there is
// room for its answer.
func (c *Conn) whole() bool {
	if len(c.done) >= mostDone || c.in.Buffered() < frameHeader {
		return false
	}
	head, err := c.in.Peek(frameHeader)
	return err == nil && c.in.Buffered() >= frameHeader+length(head)
}

func isProtocol(err error) bool {
	var connection http2.ConnectionError
	return errors.As(err, &connection) || errors.Is(err, http2.ErrFrameTooLarge)
}

func violated(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

func (c *Conn) handle(f http2.Frame) error {
	c.mu.Lock()
	c.heard = time.Now()
	first := !c.settled
	c.mu.Unlock()
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.WindowUpdateFrame:
		return c.update(f)
	case *http2.PingFrame:
		c.ping(f)
	case *http2.GoAwayFrame:
		c.goAway(f.LastStreamID)
	case *http2.PushPromiseFrame:
		return violated("PUSH_PROMISE, which was switched off")
	case *http2.HeadersFrame:
		if first {
			return violated("HEADERS before SETTINGS")
		}
		return c.headers(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded(), f.StreamEnded())
	case *http2.ContinuationFrame:
		return c.headers(f.StreamID, f.HeaderBlockFragment(), f.HeadersEnded(), c.reading.last)
	case *http2.DataFrame:
		return c.data(f)
	case *http2.RSTStreamFrame:
		return c.reset(f)
	}
	return nil // others are ignored (RFC 9113 5.5)
}

func (c *Conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	table := int64(-1)
	var resumed []uint32
	c.mu.Lock()
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return violated("%v", s.ID)
		}
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.peer.streams = min(s.Val, mostStreams)
		case http2.SettingHeaderTableSize:
			table = int64(s.Val)
		case http2.SettingInitialWindowSize:
			more := int64(s.Val) - int64(c.peer.window)
			c.peer.window = s.Val
			for id, t := range c.tails { // RFC 9113 6.9.2
				t.window += more
				resumed = append(resumed, id)
			}
		}
		return nil
	})
	c.settled = true
	c.mu.Unlock()
	if err != nil {
		return err
	}
	c.control(func() error {
		if table >= 0 {
			c.heads.limit(uint32(table))
		}
		return c.framer.WriteSettingsAck()
	})
	c.resume(resumed)
	c.cfg.Changed()
	return nil
}

func (c *Conn) update(f *http2.WindowUpdateFrame) error {
	c.mu.Lock()
	if f.StreamID == 0 {
		c.window += int64(f.Increment)
		over := c.window > math.MaxInt32
		c.mu.Unlock()
		if over {
			return violated("a window of more than 2^31-1")
		}
		c.cfg.Changed()
		return nil
	}
	idle := c.isIdle(f.StreamID)
	t := c.tails[f.StreamID]
	if t != nil {
		t.window += int64(f.Increment)
	}
	c.mu.Unlock()
	if idle {
		return violated("WINDOW_UPDATE of a stream that was not opened")
	}
	if t != nil {
		c.resume([]uint32{f.StreamID})
	}
	return nil
}

// isIdle reports a stream that was never opened. c.mu is held.
func (c *Conn) isIdle(id uint32) bool { return id%2 == 0 || id >= c.next }

func (c *Conn) ping(f *http2.PingFrame) {
	if f.IsAck() {
		c.mu.Lock()
		c.pinged = time.Time{}
		c.mu.Unlock()
		return
	}
	data := f.Data
	c.control(func() error { return c.framer.WritePing(true, data) })
}

// goAway takes nothing more to the peer. What it says that it will not process
// is given back; the rest is waited for.
func (c *Conn) goAway(last uint32) {
	c.mu.Lock()
	c.away = true
	for id, s := range c.streams {
		if id > last {
			delete(c.streams, id)
			delete(c.tails, id)
			if !s.told {
				c.done = append(c.done, s.answer(GoneAway))
			}
		}
	}
	empty := len(c.streams) == 0
	c.mu.Unlock()
	c.cfg.Changed()
	if empty {
		_ = c.net.Close() // the reader notices
	}
}

// block is a header block as it comes.
type block struct {
	c      *Conn
	open   bool
	id     uint32
	last   bool // the stream ends with it
	size   int
	status int
	ttl    int
	header http.Header
	broken bool
}

// KeptHeader reports a header that a 2xx is asked for too: how Microsoft's push
// service says that it dropped what it accepted.
func KeptHeader(name string) bool { return strings.HasPrefix(name, "x-wns-") }

// take is told of each field of a block.
func (b *block) take(f hpack.HeaderField) {
	switch {
	case f.Name == ":status":
		n, err := strconv.Atoi(f.Value)
		if err != nil || n < 100 || n > 999 || b.status != 0 {
			b.broken = true
		}
		b.status = n
	case f.IsPseudo():
		b.broken = true // RFC 9113 8.3.2: no other
	case f.Name == "ttl" && b.status/100 == 2:
		if n, err := strconv.Atoi(f.Value); err == nil && n >= 0 {
			b.ttl = n
		}
	case b.status/100 == 2 && !KeptHeader(f.Name):
	default:
		if b.header == nil {
			b.header = http.Header{}
		}
		b.header.Add(f.Name, f.Value)
	}
}

// headers takes a part of a header block. Blocks of streams that are over are
// read, too: they change the table.
func (c *Conn) headers(id uint32, part []byte, ends, last bool) error {
	b := &c.reading
	if !b.open {
		*b = block{c: c, open: true, id: id, last: last, ttl: -1}
	}
	if b.size += len(part); b.size > maxHeader {
		return violated("a header block of more than %d bytes", maxHeader)
	}
	if _, err := c.decoder.Write(part); err != nil {
		return violated("header block: %v", err)
	}
	if !ends {
		return nil
	}
	b.open = false
	if err := c.decoder.Close(); err != nil {
		return violated("header block: %v", err)
	}
	return c.answered(b)
}

// answered takes the header of an answer, or its trailer.
func (c *Conn) answered(b *block) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, open := c.streams[b.id]
	switch {
	case c.isIdle(b.id):
		return violated("HEADERS of a stream that was not opened")
	case !open:
		return nil
	case s.status > 0: // a trailer
		c.proceed(b.id, s, b.last)
		return nil
	case b.broken || b.status == 0 || b.status < 200 && b.last:
		c.drop(b.id, s, Reset)
		return nil
	case b.status < 200:
		return nil // RFC 9110 15.2: the final one follows
	}
	s.status, s.header, s.ttl = b.status, b.header, b.ttl
	s.until = time.Now().Add(c.cfg.AnswerWait)
	c.answers++
	c.proceed(b.id, s, b.last)
	return nil
}

// proceed answers a stream when all of its answer is there: the whole of it, or
// the status where that is enough. c.mu is held.
func (c *Conn) proceed(id uint32, s stream, ended bool) {
	if (ended || s.status/100 == 2) && !s.told {
		c.done = append(c.done, s.answer(Answered))
		s.told = true
	}
	if !ended {
		c.streams[id] = s
		return
	}
	c.forget(id)
}

// forget takes out a stream that has ended. c.mu is held.
func (c *Conn) forget(id uint32) {
	delete(c.streams, id)
	if len(c.tails) > 0 {
		delete(c.tails, id)
	}
	if c.away && len(c.streams) == 0 {
		_ = c.net.Close() // the reader notices
	}
}

// drop ends a stream that brought no answer. c.mu is held.
func (c *Conn) drop(id uint32, s stream, fate Fate) {
	if !s.told {
		c.done = append(c.done, s.answer(fate))
	}
	c.forget(id)
}

func (c *Conn) endStream(id uint32, fate Fate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, open := c.streams[id]; open {
		c.drop(id, s, fate)
	}
}

func (c *Conn) reset(f *http2.RSTStreamFrame) error {
	c.mu.Lock()
	idle := c.isIdle(f.StreamID)
	c.mu.Unlock()
	if idle {
		return violated("RST_STREAM of a stream that was not opened")
	}
	fate := Reset
	if f.ErrCode == http2.ErrCodeRefusedStream {
		fate = Refused
	}
	c.endStream(f.StreamID, fate)
	return nil
}

func (c *Conn) data(f *http2.DataFrame) error {
	c.mu.Lock()
	s, open := c.streams[f.StreamID]
	idle := c.isIdle(f.StreamID)
	switch {
	case !open:
	case s.status == 0:
		c.drop(f.StreamID, s, Reset) // RFC 9113 8.1: no body without a header
	default:
		if room := MaxAnswer - len(s.body); s.status/100 != 2 && room > 0 {
			s.body = append(s.body, f.Data()[:min(room, len(f.Data()))]...)
		}
		c.proceed(f.StreamID, s, f.StreamEnded())
	}
	c.mu.Unlock()
	if idle {
		return violated("DATA of a stream that was not opened")
	}
	if c.since += int(f.Length); c.since > ourWindow/2 {
		n := uint32(c.since)
		c.since = 0
		c.control(func() error { return c.framer.WriteWindowUpdate(0, n) })
	}
	return nil
}
