package push

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/push/h2"
)

// Outgoing is a message and where it goes. In a batch its Permit is not asked:
// the batch has one for all.
type Outgoing struct {
	To      Target
	Message Message
}

// Report is what became of one message of a batch.
type Report struct {
	Batch   any // as it was given to Send
	Index   int
	Receipt news.Receipt
}

// Reporter hears of the messages of its batches, of each exactly once: many at a
// time, perhaps before Send returns, and from several goroutines. The slice is
// reused.
type Reporter interface{ Report(reports []Report) }

// MaxBatch is how many messages leave at once, at most.
const MaxBatch = h2.MaxBatch

// Room is a place for up to Places messages on a connection to one push service,
// for the moment between asking what is to be sent and sending it. It ends with
// Send or Release.
type Room interface {
	Places() int
	// Send hands over at most so many messages of the room's origin. gate is asked
	// in the instant before messages from, from+1 … to-1 are written: its error
	// stops them, with Retry and the reason "stopped". It returns when all that is
	// to leave has been handed over; what becomes of the messages is told to `to`,
	// with the batch. The messages must not be changed until then.
	Send(ctx context.Context, messages []Outgoing, gate Gate, to Reporter, batch any)
	Release()
}

// Gate says whether the messages from, from+1 … to-1 of a batch may start at this
// very moment. It is called from Send's goroutine, or from another's; never after the
// receipt of one of them was told.
type Gate func(from, to int) error

// reserveWait is how long Reserve waits for a place, at most.
const reserveWait = time.Second

// Reserve waits until a message to the origin can leave at once, and takes a place
// for at most `most` of them. A nil Room without a fault: there was none for a
// second. A fault is the receipt of every message that should have gone now: the
// service can't be reached, or is none that anything is sent to.
func (s *Sender) Reserve(ctx context.Context, origin string, most int) (room Room, fault *news.Receipt) {
	whole := ctx
	ctx, cancel := context.WithTimeout(ctx, reserveWait)
	defer cancel()
	l, refusal := s.laneOf(origin)
	if refusal != "" {
		r := refused(refusal)
		return nil, &r
	}
	var err error
	if l.speaksFast() {
		var c *h2.Conn
		var places int
		if c, places, err = l.fast.reserve(ctx, most); c != nil {
			l.fast.follow(whole)
			return &fastRoom{places, s, l, c}, nil
		}
	}
	if !l.speaksFast() && err == nil { // perhaps known only now
		var c *connection
		if c, err = l.acquire(ctx); err == nil {
			return &plainRoom{s, l, c}, nil
		}
	}
	switch {
	case err == nil, ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil, nil
	}
	return nil, &news.Receipt{Outcome: news.Retry, Reason: transportReason(err)}
}

// laneOf is the lane of an origin, or the reason why nothing is sent there.
func (s *Sender) laneOf(origin string) (l *lane, refusal string) {
	s.mu.Lock()
	l = s.lanes[origin]
	s.mu.Unlock()
	if l == nil {
		u, at, fault := s.route(origin)
		switch {
		case fault == noSubject:
			return nil, "no-subject"
		case fault != "" || at != origin:
			return nil, "bad-endpoint"
		}
		made, err := s.lane(origin, u)
		if err != nil {
			s.log.Error("lane", "origin", origin, "error", err)
			return nil, "internal"
		}
		l = made
	}
	l.used.Store(time.Now().Unix())
	return l, ""
}

// plainRoom is a place for one message on a connection that the standard library
// looks after.
type plainRoom struct {
	sender *Sender
	lane   *lane
	conn   *connection
}

func (*plainRoom) Places() int { return 1 }

func (r *plainRoom) Release() { r.conn.Release() }

func (r *plainRoom) Send(ctx context.Context, messages []Outgoing, gate Gate, to Reporter, batch any) {
	go func() {
		to.Report([]Report{{Batch: batch, Receipt: r.send(ctx, &messages[0], gate)}})
	}()
}

func (r *plainRoom) send(ctx context.Context, o *Outgoing, gate Gate) news.Receipt {
	m := o.Message
	m.Permit = func() error { return gate(0, 1) }
	ctx, cancel := context.WithTimeout(ctx, r.sender.timeout)
	defer cancel()
	req, b, refusal := r.sender.prepare(r.lane, o.To, m)
	if refusal != "" {
		r.conn.Release()
		return refused(refusal)
	}
	return r.sender.exchange(ctx, cancel, r.lane, r.conn, req, b)
}

// fastRoom is a place on a connection of our own.
type fastRoom struct {
	places int
	sender *Sender
	lane   *lane
	conn   *h2.Conn
}

func (r *fastRoom) Places() int { return r.places }

func (r *fastRoom) Release() { r.conn.Release() }

// Send's context is Reserve's: when that ends, so do the lane's connections.
func (r *fastRoom) Send(_ context.Context, messages []Outgoing, gate Gate, to Reporter, batch any) {
	w := writers.Get().(*writer) //nolint:forcetypeassert // New makes nothing else
	w.run(r, messages, gate, &flight{to: to, batch: batch})
	writers.Put(w)
}

// flight is a batch under way.
type flight struct {
	to    Reporter
	batch any
}

// writer writes batches. It keeps its memory.
type writer struct {
	batch   h2.Batch
	now     []Report // told when the batch has been handed over
	scratch scratch
	ttl     int // the last, and as text
	ttlText string
	token   string // for all of a run: it is good for hours
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// run writes the messages and reports those that did not leave.
func (w *writer) run(r *fastRoom, messages []Outgoing, gate Gate, f *flight) {
	w.now, w.token = w.now[:0], ""
	r.conn.Begin(&w.batch)
	first := 0
	for i := range messages {
		if w.batch.Waiting() >= h2.MostWaiting {
			w.flush(gate, first, i, f)
			first = i
		}
		if refusal := w.add(r, &messages[i], h2.Ref{Batch: f, Index: i}); refusal != "" {
			w.now = append(w.now, Report{f.batch, i, refused(refusal)})
		}
	}
	w.flush(gate, first, len(messages), f)
	w.batch.Close()
	if len(w.now) > 0 {
		f.to.Report(w.now)
	}
	clear(w.now)
}

// flush writes the messages from, from+1 … to-1.
func (w *writer) flush(gate Gate, from, to int, f *flight) {
	stopped := false
	unsent, _ := w.batch.Flush(func() error { // an error is of the connection: it answers for what left
		err := gate(from, to)
		stopped = err != nil
		return err
	})
	for i := range unsent {
		receipt := news.Receipt{Outcome: news.Retry, Reason: reasonUnsent}
		if stopped {
			receipt.Reason = reasonStopped
		}
		w.now = append(w.now, Report{f.batch, unsent[i].Ref.Index, receipt})
	}
}

// add seals a message into the batch.
func (w *writer) add(r *fastRoom, o *Outgoing, ref h2.Ref) (refusal string) {
	m := &o.Message
	path, ok := pathOf(r.lane.origin, o.To.Endpoint)
	size := PadTo(len(m.Payload))
	switch {
	case !checkMessage(*m):
		return "bad-message"
	case !ok:
		return r.lane.misfit(o.To.Endpoint)
	case size == 0:
		return "too-large"
	}
	key := m.Key
	if key == nil || !key.Fits(o.To) {
		fresh, err := Arm(o.To)
		if err != nil {
			return "bad-keys"
		}
		key = &fresh
	}
	head, err := w.head(r, m)
	if err != nil {
		r.sender.log.Error("sign", "origin", r.lane.origin, "error", err)
		return "internal"
	}
	body, err := key.appendSealed(w.batch.Start(&head, path), m.Payload, &w.scratch)
	if err != nil {
		w.batch.Drop()
		return "internal"
	}
	w.batch.End(body, ref)
	return ""
}

// head is what a message's request has in common with others.
func (w *writer) head(r *fastRoom, m *Message) (h2.Head, error) {
	if w.ttlText == "" || w.ttl != m.TTL {
		w.ttl, w.ttlText = m.TTL, ttlText(m.TTL)
	}
	if w.token == "" {
		auth, err := r.lane.token.value(r.sender.keys, r.lane.origin, r.sender.subject, r.sender.now())
		if err != nil {
			return h2.Head{}, err
		}
		w.token = auth[0]
	}
	return h2.Head{Authorization: w.token, TTL: w.ttlText, Urgency: m.Urgency, Topic: m.Topic,
		ContentEncoding: contentEncoding, UserAgent: userAgent}, nil
}

// misfit is why an endpoint has no path here.
func (l *lane) misfit(endpoint string) (refusal string) {
	if at := Origin(endpoint); at != "" && at != l.origin {
		return reasonMoved
	}
	return "bad-endpoint"
}

// pathOf is what an endpoint adds to its origin. It refuses what is not plain
// enough to be sent as it stands: sign-ups were checked by the same rules, so that
// is a fault of ours.
func pathOf(origin, endpoint string) (path string, ok bool) {
	path, ok = strings.CutPrefix(endpoint, origin)
	if !ok || len(endpoint) > MaxEndpoint {
		return "", false
	}
	if rest, stated := strings.CutPrefix(path, ":443"); stated && strings.HasPrefix(origin, "https://") {
		path = rest // an origin is named without the scheme's own port
	}
	switch {
	case path == "", path[0] == '?':
		path = "/" + path
	case path[0] != '/':
		return "", false
	}
	for i := range len(path) {
		if c := path[i]; c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' {
			return "", false
		}
	}
	return path, true
}
