package bounce

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// door lets so many connections in, and knows which of them are in the middle
// of a mail: the SMTP library waits on each for as long as its client likes to
// say nothing.
type door struct {
	net.Listener
	limit      int
	life       time.Duration
	turnedAway func()

	mu      sync.Mutex
	closed  bool
	inside  map[*visitor]bool
	waiting chan struct{} // made by empty, closed when the last visitor leaves
}

// Accept lets the next connection in. One too many is told so, in place of the
// greeting (RFC 5321, 3.1 and 4.2.3), and comes again later.
func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if v := d.let(conn); v != nil {
			return v, nil
		}
		// A fresh socket's buffer takes a line at once.
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = io.WriteString(conn, "421 4.3.2 Too many connections, come again later\r\n")
		_ = conn.Close()
		d.turnedAway()
	}
}

func (d *door) let(conn net.Conn) *visitor {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || len(d.inside) >= d.limit {
		return nil
	}
	v := &visitor{Conn: conn, door: d, until: time.Now().Add(d.life)}
	d.inside[v] = true
	return v
}

// Close shuts the door and asks those inside to leave who are not in the middle
// of a mail.
func (d *door) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	err := d.Listener.Close()
	for v := range d.inside {
		if v.mails == 0 {
			_ = v.Conn.SetReadDeadline(longAgo) // the library then says 421, and hangs up
		}
	}
	return err
}

func (d *door) shut() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

// evict hangs up on whoever is left.
func (d *door) evict() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for v := range d.inside {
		_ = v.Conn.Close()
	}
}

// empty is closed once nobody is inside. The door must be shut.
func (d *door) empty() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	gone := make(chan struct{})
	d.waiting = gone
	d.tell()
	return gone
}

func (d *door) tell() {
	if d.waiting != nil && len(d.inside) == 0 {
		close(d.waiting)
		d.waiting = nil
	}
}

// leave notes that a visitor's connection is closed, or its mail done with. It
// is gone when both are: the library does not wait for a mail that comes in
// chunks (BDAT).
func (d *door) leave(v *visitor) {
	if v.gone && v.mails == 0 {
		delete(d.inside, v)
		d.tell()
	}
}

// visitor is a connection inside.
type visitor struct {
	net.Conn
	door  *door
	until time.Time // whatever happens
	// Under the door's lock:
	mails int  // arriving or being taken: the library may begin one in chunks (BDAT) before one that was given up has ended
	open  bool // a recipient was named, and no mail is complete yet
	gone  bool // closed
	over  bool // no command will be heard any more
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// SetReadDeadline is what the library calls before it looks for a command: that
// is where a conversation can end in good order (421), even if more commands
// are here already.
func (v *visitor) SetReadDeadline(t time.Time) error {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.over || v.door.closed && v.mails == 0 {
		return os.ErrDeadlineExceeded // which the library knows
	}
	if t.IsZero() || t.After(v.until) {
		t = v.until
	}
	return v.Conn.SetReadDeadline(t)
}

// Close ends the connection.
func (v *visitor) Close() error {
	v.door.mu.Lock()
	v.gone = true
	v.door.leave(v)
	v.door.mu.Unlock()
	return v.Conn.Close()
}

// Read is where a mail breaks off. The library would take the end of a
// connection for the end of a chunk (BDAT), and answer a timeout there with a
// 554, for ever: let it say what Data says.
func (v *visitor) Read(p []byte) (int, error) {
	n, err := v.Conn.Read(p)
	if err == nil {
		return n, nil
	}
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.open {
		err = comeAgain
	}
	return n, err
}

// expect notes that a mail has a recipient.
func (v *visitor) expect() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.open = true
}

// giveUp ends a conversation whose mail is called off after its recipient was
// named. The library reads chunks (BDAT) in a goroutine of their own, and would
// give the answer of a mail that was called off to the next one.
func (v *visitor) giveUp() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.over = v.over || v.open
	v.open = false
}

// begin notes that a mail arrives; false when it is too late for that.
func (v *visitor) begin() bool {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	if v.door.closed || v.gone {
		return false
	}
	v.mails++
	return true
}

// end notes that it was answered, or will be at once.
func (v *visitor) end() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.mails--
	v.open = false
	v.door.leave(v)
}

// finish ends the conversation after the answer that is about to be given.
func (v *visitor) finish() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.over = true
}

// hangUp does so without reading on: of a mail that broke off, the rest would
// be taken for commands.
func (v *visitor) hangUp() {
	v.door.mu.Lock()
	defer v.door.mu.Unlock()
	v.over = true
	_ = v.Conn.SetReadDeadline(longAgo)
}
