package h2

import (
	"cmp"
	"errors"
	"time"

	"golang.org/x/net/http2"
)

// mostAsked bounds the answers that wait for the keeper: only a peer that floods us
// with pings or settings while it does not read gets there.
const mostAsked = 1000

// ask leaves something that is written between batches to the keeper, in the
// order of asking. So the reader never waits for a peer to read, who may be
// waiting for us to. c.mu is held.
func (c *Conn) ask(frame func() error) {
	c.asked = append(c.asked, frame)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// control is ask for the reader, who does not hold c.mu.
func (c *Conn) control(frame func() error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.replies >= mostAsked {
		return violated("a flood of frames that want an answer")
	}
	c.replies++
	c.ask(frame)
	return nil
}

// keep writes what was asked for, and looks after timeouts and the peer's health,
// until the connection ends.
func (c *Conn) keep() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-c.over:
			return
		case <-c.wake:
		case now := <-ticker.C:
			c.look(now)
		}
		c.serve()
	}
}

// serve writes what was asked for. A peer that does not take it ends the
// connection.
func (c *Conn) serve() {
	c.mu.Lock()
	nothing := len(c.asked) == 0
	c.mu.Unlock()
	if nothing {
		return
	}
	switch err := c.writeAsked(); {
	case errors.Is(err, ErrProtocol):
		c.fail(err)
	case err != nil:
		_ = c.net.Close() // the reader notices
	}
	c.cfg.Changed()
}

func (c *Conn) writeAsked() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.mu.Lock()
	asked := c.asked
	c.asked, c.replies = nil, 0
	c.mu.Unlock()
	c.out.Reset()
	var failed error
	for _, frame := range asked {
		if failed = frame(); failed != nil {
			break
		}
	}
	if c.out.Len() == 0 {
		return failed
	}
	_, err := c.flush()
	return cmp.Or(failed, err)
}

// look ends what has waited too long, and pings a peer that is silent.
func (c *Conn) look(now time.Time) {
	c.mu.Lock()
	late := c.late(now)
	silent := false
	switch {
	case !c.settled:
		silent = now.Sub(c.heard) > settleWait
	case !c.pinged.IsZero():
		silent = now.Sub(c.pinged) > c.cfg.PingTimeout
	case now.Sub(c.heard) > c.cfg.PingAfter:
		c.pinged = now
		c.ask(c.writePing)
	}
	c.mu.Unlock()
	c.tell(late)
	if silent {
		c.fail(ErrSilent)
	}
}

// writePing counts the peer's time from now on: it may have had to wait for a
// batch.
func (c *Conn) writePing() error {
	c.mu.Lock()
	c.pinged = time.Now()
	c.mu.Unlock()
	return c.framer.WritePing(false, [8]byte{'d', 'a', 't', 'e'})
}

// late takes out the streams that have waited too long. c.mu is held.
func (c *Conn) late(now time.Time) (answers []Answer) {
	drop := func(id uint32, s stream) {
		if !s.told {
			answers = append(answers, s.answer(TimedOut))
		}
		c.forget(id)
		c.abort(id, http2.ErrCodeCancel)
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
	return answers
}

// abort resets a stream that we are done with and the peer is not. It counts
// against the peer's limit until that is written. c.mu is held.
func (c *Conn) abort(id uint32, code http2.ErrCode) {
	c.ending++
	c.ask(func() error {
		c.mu.Lock()
		c.ending--
		c.mu.Unlock()
		return c.framer.WriteRSTStream(id, code)
	})
}

// forget takes out a stream, and reports whether a part of its body has not been
// sent. c.mu is held.
func (c *Conn) forget(id uint32) (unsent bool) {
	delete(c.streams, id)
	if t := c.tails[id]; t != nil {
		delete(c.tails, id)
		c.window += int64(len(t.rest))
		unsent = true
	}
	c.finish()
	return unsent
}

// errFinished ends a connection that is not used any more.
var errFinished = errors.New("h2: finished")

// finish closes a connection that takes nothing more and has nothing under way:
// closing may take time, and the keeper has it. c.mu is held.
func (c *Conn) finish() {
	if c.away && len(c.streams) == 0 {
		c.ask(func() error { return errFinished })
	}
}
