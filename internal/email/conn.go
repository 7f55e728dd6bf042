package email

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// maxAnswer is how much a server may say between two of our steps. RFC 5321
// lines have 512 bytes; the longest real answers have a few KB. What says more
// is not a mail server, and would be read into memory without end.
const maxAnswer = 1 << 20

// errTooMuch is a server that talks without end.
var errTooMuch = errors.New("the server's answer is longer than 1 MB")

// boundedConn limits how long a step may take, how much may be read in it, and
// how long it goes on after the context of its mail has ended.
type boundedConn struct {
	net.Conn
	left int // bytes that may still be read

	mu    sync.Mutex
	limit time.Time     // of the step
	grace time.Duration // left once the context has ended
	ended bool          // the context has
}

// step begins one: it may take limit, or grace once the context has ended.
func (c *boundedConn) step(limit, grace time.Duration) {
	c.left = maxAnswer
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit, c.grace = time.Now().Add(limit), grace
	c.apply()
}

// follow ties the connection to a context until stop is called.
func (c *boundedConn) follow(ctx context.Context) (stop func()) {
	cancel := context.AfterFunc(ctx, func() { c.end(true) })
	return func() {
		if !cancel() {
			c.end(false)
		}
	}
}

func (c *boundedConn) end(ended bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = ended
	c.apply()
}

// apply sets the deadline. A closed connection reports itself when it is used.
func (c *boundedConn) apply() {
	at := c.limit
	if cut := time.Now().Add(c.grace); c.ended && cut.Before(at) {
		at = cut
	}
	_ = c.SetDeadline(at)
}

func (c *boundedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
