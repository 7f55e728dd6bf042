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
		waits := !c.whole()
		if waits {
			c.tell(c.done)
			if len(c.done) > 0 {
				c.cfg.Changed()
			}
			clear(c.done)
			c.done = c.done[:0]
		}
		f, err := c.frame()
		if waits && err == nil { // what need not be waited for came with what was
			c.hear()
		}
		if err == nil && f != nil {
			err = c.handle(f)
		}
		if err != nil {
			return err
		}
	}
}

// frame reads one. nil without an error: it was a fault of a stream, and is dealt
// with.
func (c *Conn) frame() (http2.Frame, error) {
	head, err := c.framer.ReadFrameHeader()
	if err != nil {
		if isProtocol(err) {
			return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return nil, err
	}
	if _, err := c.in.Peek(int(head.Length)); err != nil {
		return nil, err
	}
	f, err := c.framer.ReadFrameForHeader(head)
	if err == nil {
		return f, nil
	}
	// All of the frame is there: what is wrong with it is the peer's doing.
	var broken http2.StreamError
	if head.Type != http2.FrameHeaders && errors.As(err, &broken) { // RFC 9113 6.2: padding of HEADERS is the connection's
		return nil, c.breakStream(broken.StreamID, broken.Code)
	}
	return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
}

// breakStream ends a stream for a fault of the peer's (RFC 9113 5.4.2).
func (c *Conn) breakStream(id uint32, code http2.ErrCode) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isIdle(id) {
		return violated("%v on a stream that was not opened", code)
	}
	if s, open := c.streams[id]; open {
		c.fault(id, s, code)
	}
	return nil
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

// hear notes that the peer says something.
func (c *Conn) hear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard = time.Now()
}

func (c *Conn) handle(f http2.Frame) error {
	if settings, ok := f.(*http2.SettingsFrame); !c.greeted && (!ok || settings.IsAck()) {
		return violated("%v before SETTINGS", f.Header().Type) // RFC 9113 3.4
	}
	switch f := f.(type) {
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.WindowUpdateFrame:
		return c.update(f)
	case *http2.PingFrame:
		return c.ping(f)
	case *http2.GoAwayFrame:
		c.goAway(f.LastStreamID)
	case *http2.PushPromiseFrame:
		return violated("PUSH_PROMISE, which was switched off")
	case *http2.HeadersFrame:
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

// settings are checked at once. They count from the moment that we say so, for
// the peer may go by that (RFC 9113 6.5.3): never in the middle of a batch.
func (c *Conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	c.greeted = true
	var list []http2.Setting
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil || s.ID == http2.SettingEnablePush && s.Val != 0 { // RFC 9113 6.5.2
			return violated("%v", s)
		}
		list = append(list, s)
		return nil
	})
	if err != nil {
		return err
	}
	return c.control(func() error {
		if err := c.apply(list); err != nil {
			return err
		}
		return c.framer.WriteSettingsAck()
	})
}

// apply takes the peer's settings. The keeper calls it.
func (c *Conn) apply(list []http2.Setting) error {
	for _, s := range list {
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			c.mu.Lock()
			c.peer.streams = min(s.Val, mostStreams)
			c.mu.Unlock()
		case http2.SettingHeaderTableSize:
			c.heads.limit(s.Val)
		case http2.SettingInitialWindowSize:
			if err := c.resize(s.Val); err != nil {
				return err
			}
		}
	}
	c.mu.Lock()
	c.settled = true
	c.mu.Unlock()
	return nil
}

// resize changes the windows of streams (RFC 9113 6.9.2), and writes what has room
// now. It comes after the word that we know: a peer may not take it before.
func (c *Conn) resize(window uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	more := int64(window) - int64(c.peer.window)
	c.peer.window = window
	for _, t := range c.tails {
		if t.window += more; t.window > math.MaxInt32 {
			return violated("a window of more than 2^31-1")
		}
		c.askTails()
	}
	return nil
}

func (c *Conn) update(f *http2.WindowUpdateFrame) error {
	if f.StreamID != 0 {
		return c.updateStream(f.StreamID, int64(f.Increment))
	}
	c.mu.Lock()
	c.window += int64(f.Increment)
	over := c.window > math.MaxInt32
	c.mu.Unlock()
	if over {
		return violated("a window of more than 2^31-1")
	}
	c.cfg.Changed()
	return nil
}

// updateStream matters only where a part of the body is still here.
func (c *Conn) updateStream(id uint32, more int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tails[id]
	switch {
	case c.isIdle(id):
		return violated("WINDOW_UPDATE of a stream that was not opened")
	case t == nil:
		return nil
	}
	if t.window += more; t.window > math.MaxInt32 { // RFC 9113 6.9.1
		c.fault(id, c.streams[id], http2.ErrCodeFlowControl)
		return nil
	}
	c.askTails()
	return nil
}

// isIdle reports a stream that was never opened. c.mu is held.
func (c *Conn) isIdle(id uint32) bool { return id%2 == 0 || id >= c.next }

func (c *Conn) ping(f *http2.PingFrame) error {
	if f.IsAck() {
		c.mu.Lock()
		c.pinged = time.Time{}
		c.mu.Unlock()
		return nil
	}
	data := f.Data
	return c.control(func() error { return c.framer.WritePing(true, data) })
}

// goAway takes nothing more to the peer. What it says that it will not process
// is given back; the rest is waited for.
func (c *Conn) goAway(last uint32) {
	c.mu.Lock()
	c.away = true
	for id, s := range c.streams {
		if id > last {
			c.drop(id, s, GoneAway)
		}
	}
	c.finish()
	c.mu.Unlock()
	c.cfg.Changed()
}

// block is a header block as it comes.
type block struct {
	c      *Conn
	open   bool
	id     uint32
	last   bool // the stream ends with it
	size   int  // of its frames
	list   int  // of its fields, as RFC 9113 6.5.2 counts them
	plain  bool
	status int
	ttl    int
	header http.Header
	broken bool
}

// KeptHeader reports a header that a 2xx is asked for too: how Microsoft's push
// service says that it dropped what it accepted.
func KeptHeader(name string) bool { return strings.HasPrefix(name, "x-wns-") }

// take is told of each field of a block. Names are not looked at closely: an
// answer that we can read is worth more than one that is refused for its spelling,
// which would leave its message in doubt.
func (b *block) take(f hpack.HeaderField) {
	if b.list += int(f.Size()); b.list > maxHeader {
		b.broken, b.header = true, nil // one byte of a block can stand for 4 KiB of the table
		return
	}
	if !f.IsPseudo() {
		b.plain = true
		b.keep(f)
		return
	}
	n, err := strconv.Atoi(f.Value)
	if n/100 == 2 && b.c.cfg.Bare {
		b.c.decoder.SetEmitEnabled(false) // until the next block
	}
	// RFC 9113 8.3: no other, once, and before all else.
	if f.Name != ":status" || b.status != 0 || b.plain || err != nil || len(f.Value) != 3 || n < 100 {
		b.broken = true
		return
	}
	b.status = n
}

// keep takes what the verdict may need.
func (b *block) keep(f hpack.HeaderField) {
	switch {
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
		c.decoder.SetEmitEnabled(true)
	}
	if b.size += frameHeader + len(part); b.size > maxHeader { // empty ones cost, too
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
	case s.status > 0 && b.last: // a trailer
		c.proceed(b.id, s, true)
		return nil
	// RFC 9113 8.1: a trailer ends its stream; 8.6: there is no 101.
	case s.status > 0 || b.broken || b.status == 0 || b.status == 101 || b.status < 200 && b.last:
		c.fault(b.id, s, http2.ErrCodeProtocol)
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
	if c.forget(id) { // the peer has answered what it has not read to its end
		c.abort(id, http2.ErrCodeCancel)
	}
}

// drop ends a stream that brings no answer any more. c.mu is held.
func (c *Conn) drop(id uint32, s stream, fate Fate) {
	if !s.told {
		c.done = append(c.done, s.answer(fate))
	}
	c.forget(id)
}

// fault ends a stream for a fault of the peer's. c.mu is held.
func (c *Conn) fault(id uint32, s stream, code http2.ErrCode) {
	c.drop(id, s, Reset)
	c.abort(id, code)
}

func (c *Conn) reset(f *http2.RSTStreamFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isIdle(f.StreamID) {
		return violated("RST_STREAM of a stream that was not opened")
	}
	fate := Reset
	if f.ErrCode == http2.ErrCodeRefusedStream {
		fate = Refused
	}
	if s, open := c.streams[f.StreamID]; open {
		c.drop(f.StreamID, s, fate)
	}
	return nil
}

func (c *Conn) data(f *http2.DataFrame) error {
	if err := c.body(f); err != nil {
		return err
	}
	if c.since += int(f.Length); c.since > ourWindow/2 {
		n := uint32(c.since)
		c.since = 0
		return c.control(func() error { return c.framer.WriteWindowUpdate(0, n) })
	}
	return nil
}

// body keeps what the verdict may need of an answer's.
func (c *Conn) body(f *http2.DataFrame) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, open := c.streams[f.StreamID]
	switch {
	case c.isIdle(f.StreamID):
		return violated("DATA of a stream that was not opened")
	case !open:
		return nil
	case s.status == 0: // RFC 9113 8.1: no body without a header
		c.fault(f.StreamID, s, http2.ErrCodeProtocol)
		return nil
	}
	if room := MaxAnswer - len(s.body); s.status/100 != 2 && room > 0 {
		s.body = append(s.body, f.Data()[:min(room, len(f.Data()))]...)
	}
	c.proceed(f.StreamID, s, f.StreamEnded())
	return nil
}
