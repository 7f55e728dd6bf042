package h2

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// request is what the peer got of one.
type request struct {
	id     uint32
	fields []hpack.HeaderField
	block  int // bytes of the header block
	body   []byte
	ended  bool
	window int64 // what it may still send
	open   bool
}

// field is the value of one of a request's fields.
func (r *request) field(name string) string {
	for _, f := range r.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// peer speaks bare frames, and is a referee: it knows nothing of the code under
// test but RFC 9113. What it has said of itself binds from its acknowledgement on.
type peer struct {
	t      testing.TB
	conn   net.Conn
	framer *http2.Framer

	mu       sync.Mutex
	decoder  *hpack.Decoder
	requests []*request
	byID     map[uint32]*request
	resets   map[uint32]http2.ErrCode
	pings    int // of ours, acknowledged
	asked    int // pings of the client
	granted  int // window updates of the connection
	goaway   *http2.ErrCode
	pending  [][]http2.Setting
	window   int64 // of the connection
	initial  int64
	limit    int
	most     int // open at once
	mute     bool
	ended    error

	encoded strings.Builder
	encoder *hpack.Encoder
}

// meet opens a connection to a new peer, which has said nothing yet.
func meet(t testing.TB, change func(*Config)) (*client, *peer) {
	t.Helper()
	ours, theirs := net.Pipe()
	return meetOver(t, ours, theirs, change)
}

func meetOver(t testing.TB, ours, theirs net.Conn, change func(*Config)) (*client, *peer) {
	t.Helper()
	p := &peer{t: t, conn: theirs, framer: http2.NewFramer(theirs, theirs), decoder: hpack.NewDecoder(4096, nil),
		byID: map[uint32]*request{}, resets: map[uint32]http2.ErrCode{}, window: 65_535, initial: 65_535, limit: 1 << 30}
	p.framer.AllowIllegalWrites = true
	p.encoder = newEncoder(p)
	done := make(chan struct{})
	go func() { defer close(done); p.read() }()
	c := newClient(t)
	cfg := Config{Authority: "push.example", MostBody: 1000, Timeout: 10 * time.Second, AnswerWait: 2 * time.Second,
		PingAfter: 15 * time.Second, PingTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second, Answered: c.answered, Changed: func() {}}
	if change != nil {
		change(&cfg)
	}
	conn, err := Open(ours, cfg)
	if err != nil {
		t.Fatal(err)
	}
	c.Conn = conn
	t.Cleanup(func() {
		conn.Close()
		<-conn.Done()
		_ = theirs.Close()
		<-done
		c.check()
	})
	return c, p
}

// read is the peer's reader.
func (p *peer) read() {
	if _, err := io.ReadFull(p.conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	for {
		f, err := p.framer.ReadFrame()
		if err != nil {
			p.mu.Lock()
			p.ended = err
			p.mu.Unlock()
			if !isEnd(err) {
				p.t.Errorf("the peer can't read: %v", err)
			}
			return
		}
		if reply := p.take(f); reply != nil && reply() != nil {
			return
		}
	}
}

func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, net.ErrClosed)
}

func (p *peer) take(f http2.Frame) (reply func() error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if f.IsAck() {
			p.apply()
			return nil
		}
	case *http2.HeadersFrame:
		p.headers(f)
	case *http2.DataFrame:
		p.data(f)
	case *http2.RSTStreamFrame:
		p.resets[f.StreamID] = f.ErrCode
		if r := p.byID[f.StreamID]; r == nil {
			p.t.Errorf("RST_STREAM of stream %d, which is idle", f.StreamID)
		} else {
			r.open = false
		}
	case *http2.PingFrame:
		if f.IsAck() {
			p.pings++
			return nil
		}
		if p.asked++; !p.mute {
			data := f.Data
			return func() error { return http2.NewFramer(p.conn, nil).WritePing(true, data) } // the test has the other one
		}
	case *http2.GoAwayFrame:
		p.goaway = &f.ErrCode
	case *http2.WindowUpdateFrame:
		p.granted += int(f.Increment)
	default:
		p.t.Errorf("the client sent a %v", f.Header())
	}
	return nil
}

// apply makes the oldest settings count.
func (p *peer) apply() {
	if len(p.pending) == 0 {
		return
	}
	for _, s := range p.pending[0] {
		switch s.ID {
		case http2.SettingMaxConcurrentStreams:
			p.limit = int(s.Val)
		case http2.SettingHeaderTableSize:
			p.decoder.SetAllowedMaxDynamicTableSize(s.Val)
		case http2.SettingInitialWindowSize:
			for _, r := range p.requests {
				r.window += int64(s.Val) - p.initial
			}
			p.initial = int64(s.Val)
		}
	}
	p.pending = p.pending[1:]
}

func (p *peer) headers(f *http2.HeadersFrame) {
	r := &request{id: f.StreamID, block: len(f.HeaderBlockFragment()), window: p.initial, open: true, ended: f.StreamEnded()}
	fields, err := p.decoder.DecodeFull(f.HeaderBlockFragment())
	if err != nil || !f.HeadersEnded() {
		p.t.Errorf("header block of stream %d: %v", f.StreamID, err)
	}
	if last := len(p.requests); last > 0 && p.requests[last-1].id >= f.StreamID || f.StreamID%2 == 0 {
		p.t.Errorf("stream %d follows %d", f.StreamID, p.requests[last-1].id)
	}
	r.fields = fields
	p.requests = append(p.requests, r)
	p.byID[r.id] = r
	open := 0
	for _, r := range p.requests {
		if r.open {
			open++
		}
	}
	if p.most = max(p.most, open); open > p.limit {
		p.t.Errorf("%d streams are open, %d may be", open, p.limit)
	}
}

func (p *peer) data(f *http2.DataFrame) {
	r := p.byID[f.StreamID]
	if r == nil || r.ended {
		p.t.Errorf("DATA of stream %d, which is not open", f.StreamID)
		return
	}
	n := int64(f.Length)
	r.body, r.ended = append(r.body, f.Data()...), f.StreamEnded()
	p.window -= n
	r.window -= n
	if p.window < 0 || r.window < 0 && n > 0 {
		p.t.Errorf("stream %d: windows are %d and %d", f.StreamID, p.window, r.window)
	}
}

// settings are said, and bind once they are acknowledged.
func (p *peer) settings(list ...http2.Setting) {
	p.mu.Lock()
	p.pending = append(p.pending, list)
	p.mu.Unlock()
	_ = p.framer.WriteSettings(list...) // a connection that has ended shows itself
}

func (p *peer) grant(id uint32, n uint32) {
	p.mu.Lock()
	if id == 0 {
		p.window += int64(n)
	} else if r := p.byID[id]; r != nil {
		r.window += int64(n)
	}
	p.mu.Unlock()
	_ = p.framer.WriteWindowUpdate(id, n)
}

func newEncoder(p *peer) *hpack.Encoder { return hpack.NewEncoder(&p.encoded) }

// block encodes an answer's fields, given as name, value, name, value.
func (p *peer) block(fields ...string) []byte {
	p.encoded.Reset()
	for pair := range slices.Chunk(fields, 2) {
		_ = p.encoder.WriteField(hpack.HeaderField{Name: pair[0], Value: pair[1]})
	}
	return []byte(p.encoded.String())
}

// over says that a stream has ended at the peer.
func (p *peer) over(id uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byID[id]; r != nil && r.ended {
		r.open = false
	}
}

func (p *peer) headersFrame(id uint32, last bool, fields ...string) {
	if last {
		p.over(id)
	}
	_ = p.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndStream: last, EndHeaders: true})
}

// answer is a good one.
func (p *peer) answer(id uint32) { p.headersFrame(id, true, ":status", "201", "ttl", "60") }

func (p *peer) reset(id uint32, code http2.ErrCode) {
	p.mu.Lock()
	if r := p.byID[id]; r != nil {
		r.open = false
	}
	p.mu.Unlock()
	_ = p.framer.WriteRSTStream(id, code)
}

// ids are the streams that are open, oldest first.
func (p *peer) ids() (ids []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.requests {
		if r.open {
			ids = append(ids, r.id)
		}
	}
	return ids
}

func (p *peer) got(id uint32) *request {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byID[id]
	if r == nil {
		p.t.Fatalf("stream %d was never opened", id)
	}
	clone := *r
	return &clone
}

func (p *peer) resetOf(id uint32) http2.ErrCode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.resets[id]
}

// client asks, and counts what it is told.
type client struct {
	*Conn
	t testing.TB

	mu      sync.Mutex
	answers [][]Answer // by request
	batch   *int       // what every Ref names
}

func newClient(t testing.TB) *client { return &client{t: t, batch: new(int)} }

func (c *client) answered(list []Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range list {
		if a.Ref.Batch != c.batch || a.Ref.Index >= len(c.answers) {
			c.t.Errorf("an answer to nothing: %+v", a)
			continue
		}
		c.answers[a.Ref.Index] = append(c.answers[a.Ref.Index], a)
	}
}

var someHead = Head{Authorization: "vapid t=abc, k=def", TTL: "60", Urgency: "high", Topic: "quake", ContentEncoding: "aes128gcm", UserAgent: "Dateline"}

func agree() error { return nil }

// send writes one batch of requests with bodies of so many bytes, and says how
// many there was room for.
func (c *client) send(n, size int, gate func() error) int {
	n, _ = c.Reserve(n)
	if n == 0 {
		return 0
	}
	var b Batch
	c.Begin(&b)
	for range n {
		c.add(&b, &someHead, "/push/abcdefghijklmnopqrstuvwxyz", size)
	}
	c.flush(&b, gate)
	b.Close()
	return n
}

// add starts and ends a request of the next number.
func (c *client) add(b *Batch, head *Head, path string, size int) {
	c.mu.Lock()
	ref := Ref{c.batch, len(c.answers)}
	c.answers = append(c.answers, nil)
	c.mu.Unlock()
	body := b.Start(head, path)
	for i := range size {
		body = append(body, byte(i))
	}
	b.End(body, ref)
}

func (c *client) flush(b *Batch, gate func() error) {
	unsent, err := b.Flush(gate)
	for _, a := range unsent {
		if a.Fate != Unsent || err == nil {
			c.t.Errorf("unsent, with the error %v: %+v", err, a)
		}
	}
	c.answered(unsent)
}

// fates are how the requests ended, in their order; -1: not yet.
func (c *client) fates() (fates []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, list := range c.answers {
		fate := -1
		if len(list) > 0 {
			fate = int(list[0].Fate)
		}
		fates = append(fates, fate)
	}
	return fates
}

// want compares them.
func (c *client) want(fates ...Fate) {
	c.t.Helper()
	got := c.fates()
	for i, fate := range fates {
		if i >= len(got) || got[i] != int(fate) {
			c.t.Fatalf("fates are %v, want %v", got, fates)
		}
	}
}

func (c *client) first(i int) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i >= len(c.answers) || len(c.answers[i]) == 0 {
		c.t.Fatalf("request %d has no answer", i)
	}
	return c.answers[i][0]
}

// check is the promise: one answer each.
func (c *client) check() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, list := range c.answers {
		if len(list) != 1 {
			c.t.Errorf("request %d of %d has %d answers: %+v", i, len(c.answers), len(list), list)
		}
	}
}
