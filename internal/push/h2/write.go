package h2

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"golang.org/x/net/http2"
)

// frameHeader is RFC 9113 4.1's nine bytes.
const frameHeader = 9

// Reserve takes the right to write the next batch and says how many requests
// there is room for, at most `most`; 0: none, and nothing is taken. The caller
// ends it with Batch.Close. full says that it is the peer who has no room.
func (c *Conn) Reserve(most int) (n int, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.away || !c.settled || c.next > lastStream {
		return 0, false
	}
	n = min(most, MaxBatch, int(c.peer.streams)-len(c.streams)-c.ending, int(c.window)/c.cfg.MostBody)
	if n <= 0 {
		return 0, most > 0
	}
	if c.reserved {
		return 0, false
	}
	c.reserved = true
	return n, false
}

// Batch gathers requests for one or a few writes. It can be used again, and keeps
// its memory.
type Batch struct {
	c      *Conn
	frames []byte
	begins []begin
}

// begin is where a request begins in the batch's frames.
type begin struct {
	at, data int // of the HEADERS and of the DATA frame
	id       uint32
	ref      Ref
	rest     []byte // of the body, that the stream's window does not take yet
}

// Begin starts the batch that was reserved.
func (c *Conn) Begin(b *Batch) {
	c.writing.Lock()
	b.c, b.frames, b.begins = c, b.frames[:0], b.begins[:0]
}

// Close ends a batch and gives back the right to write.
func (b *Batch) Close() {
	c := b.c
	b.c = nil
	c.writing.Unlock()
	c.Release()
}

// Release gives back what Reserve took, where nothing was begun.
func (c *Conn) Release() {
	c.mu.Lock()
	c.reserved = false
	if c.next > lastStream { // another connection begins at 1
		c.away = true
		c.finish()
	}
	c.mu.Unlock()
	c.cfg.Changed()
}

// Waiting is how many bytes have been gathered.
func (b *Batch) Waiting() int { return len(b.frames) }

// Start begins a request and gives the buffer to append its body to. It is
// followed by End or Drop.
func (b *Batch) Start(head *Head, path string) []byte {
	at := len(b.frames)
	dst := append(b.frames, 0, 0, 0, byte(http2.FrameHeaders), byte(http2.FlagHeadersEndHeaders), 0, 0, 0, 0)
	dst = b.c.heads.append(dst, head, path)
	putLength(dst[at:], len(dst)-at-frameHeader)
	b.begins = append(b.begins, begin{at: at, data: len(dst)})
	b.frames = append(dst, 0, 0, 0, byte(http2.FrameData), byte(http2.FlagDataEndStream), 0, 0, 0, 0)
	return b.frames
}

// End takes the body that was appended.
func (b *Batch) End(dst []byte, ref Ref) {
	b.frames = dst
	last := &b.begins[len(b.begins)-1]
	last.ref = ref
	putLength(dst[last.data:], len(dst)-last.data-frameHeader)
}

// Drop takes back the request that was started. The header block may have put
// something into the table, which the peer must not miss: the table begins anew.
func (b *Batch) Drop() {
	last := b.begins[len(b.begins)-1]
	b.begins = b.begins[:len(b.begins)-1]
	b.frames = b.frames[:last.at]
	b.c.heads.forget()
}

func putLength(frame []byte, n int) {
	frame[0], frame[1], frame[2] = byte(n>>16), byte(n>>8), byte(n)
}

func putStream(frame []byte, id uint32) { binary.BigEndian.PutUint32(frame[5:], id) }

// Flush writes what has been gathered, if the gate agrees: it is asked in the
// instant before. What has not left (the gate said no, the connection ended, or
// its write did before it came to it) is given back as Unsent answers; all else
// is answered by the connection, perhaps before Flush returns.
func (b *Batch) Flush(gate func() error) (unsent []Answer, err error) {
	if len(b.begins) == 0 {
		return nil, nil
	}
	defer func() {
		clear(b.begins) // a batch that is kept keeps none of its requests
		b.begins, b.frames = b.begins[:0], b.frames[:0]
	}()
	if err := gate(); err != nil {
		b.c.heads.forget()
		return b.unsent(0), err
	}
	if err := b.register(); err != nil {
		b.c.heads.forget()
		return b.unsent(0), err
	}
	_ = b.c.net.SetWriteDeadline(time.Now().Add(b.c.cfg.WriteTimeout)) // a closed connection reports itself below
	n, err := b.c.net.Write(b.frames)
	if err != nil {
		_ = b.c.net.Close()
		n = max(n, 0)
	}
	lost := b.written(n, err)
	b.c.tell(lost)
	if err != nil {
		return b.unsent(n), err
	}
	return nil, nil
}

// unsent are the requests that begin at or after n bytes. A record of TLS that
// did not leave whole can't be read, and net.Conn counts whole ones.
func (b *Batch) unsent(n int) []Answer {
	var out []Answer
	for i := range b.begins {
		if b.begins[i].at >= n {
			out = append(out, Answer{Ref: b.begins[i].ref, Fate: Unsent, TTL: -1})
		}
	}
	return out
}

// errFewer is a peer that takes fewer streams than when the batch was reserved.
var errFewer = errors.New("h2: the peer takes fewer streams by now")

// register gives the requests their streams and takes their bytes off the
// windows.
func (b *Batch) register() error {
	c, now := b.c, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.err != nil:
		return c.err
	case c.away:
		return ErrGoAway
	case len(c.streams)+c.ending+len(b.begins) > int(c.peer.streams):
		return errFewer
	}
	if small := int(c.peer.window) < c.cfg.MostBody; small {
		b.split(int(c.peer.window))
	}
	c.used = now
	for i := range b.begins {
		g := &b.begins[i]
		g.id = c.next
		c.next += 2
		putStream(b.frames[g.at:], g.id)
		if g.data >= 0 {
			putStream(b.frames[g.data:], g.id)
			c.window -= int64(length(b.frames[g.data:]))
		}
		c.streams[g.id] = stream{ref: g.ref, writing: true, ttl: -1}
		c.order = append(c.order, turn{g.id, now.Add(c.cfg.Timeout)})
		if g.rest != nil {
			c.window -= int64(len(g.rest))
			c.tails[g.id] = &tail{rest: g.rest}
		}
	}
	return nil
}

func length(frame []byte) int { return int(frame[0])<<16 | int(frame[1])<<8 | int(frame[2]) }

// split keeps back of each body what a stream's window does not take at its
// beginning. Real push services never need it.
func (b *Batch) split(window int) {
	var frames []byte
	for i := range b.begins {
		g := &b.begins[i]
		body := b.frames[g.data+frameHeader:][:length(b.frames[g.data:])]
		at := len(frames)
		frames = append(frames, b.frames[g.at:g.data]...)
		data := len(frames)
		if fits := min(window, len(body)); fits == len(body) {
			frames = append(frames, b.frames[g.data:g.data+frameHeader+len(body)]...)
		} else {
			g.rest = slices.Clone(body[fits:])
			frames = append(frames, 0, 0, 0, byte(http2.FrameData), 0, 0, 0, 0, 0)
			frames = append(frames, body[:fits]...)
			putLength(frames[data:], fits)
		}
		g.at, g.data = at, data
	}
	b.frames = frames
}

// written ends the write of n bytes: from now on the connection answers for what
// left. Where it has ended meanwhile, what left is lost.
func (b *Batch) written(n int, err error) (lost []Answer) {
	c := b.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range b.begins {
		g := &b.begins[i]
		s, open := c.streams[g.id]
		switch {
		case !open: // answered already, or refused
			if g.at >= n {
				g.at = -1 // not once more
			}
		case err != nil || c.err != nil:
			delete(c.streams, g.id)
			switch {
			case s.told: // by a peer that answers what it has not got yet, too
				g.at = -1
			case g.at < n:
				lost = append(lost, s.answer(Lost))
			}
		default:
			s.writing = false
			c.streams[g.id] = s
		}
	}
	return lost
}

// maxFrame is the largest frame that every peer takes (RFC 9113 4.2).
const maxFrame = 16 << 10

// askTails has the keeper write what streams' windows have room for. c.mu is held.
func (c *Conn) askTails() {
	if !c.tailing {
		c.tailing = true
		c.ask(c.writeTails)
	}
}

func (c *Conn) writeTails() error {
	c.mu.Lock()
	c.tailing = false
	ids := slices.Sorted(maps.Keys(c.tails))
	c.mu.Unlock()
	for _, id := range ids {
		if err := c.writeTail(id); err != nil {
			return err
		}
	}
	return nil
}

// writeTail writes what a stream's window has room for by now.
func (c *Conn) writeTail(id uint32) error {
	for {
		c.mu.Lock()
		t := c.tails[id]
		if t == nil || t.window <= 0 {
			c.mu.Unlock()
			return nil
		}
		n := int(min(t.window, int64(len(t.rest)), maxFrame))
		part := t.rest[:n]
		t.rest, t.window = t.rest[n:], t.window-int64(n)
		last := len(t.rest) == 0
		if last {
			delete(c.tails, id)
		}
		c.mu.Unlock()
		if err := c.framer.WriteData(id, last, part); err != nil || last {
			return err
		}
	}
}
