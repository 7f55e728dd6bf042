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

// Room is a place for up to N messages on a connection to one push service, for
// the moment between asking what is to be sent and sending it. It ends with Send
// or Release.
type Room struct {
	N int

	sender *Sender
	lane   *lane
	fast   *h2.Conn
	slow   *connection
}

// errNowhere is an origin that nothing is sent to.
var errNowhere = errors.New("push: not an origin of this sender")

// reserveWait is how long Reserve waits for a place, at most.
const reserveWait = time.Second

// Reserve waits until a message to the origin can leave at once, and takes a place
// for at most `most` of them. A nil Room without a fault: there was none for a
// second. A fault is the receipt of every message that should have gone now: the
// service can't be reached, or is none that anything is sent to.
func (s *Sender) Reserve(ctx context.Context, origin string, most int) (room *Room, fault *news.Receipt) {
	ctx, cancel := context.WithTimeout(ctx, reserveWait)
	defer cancel()
	l, refusal := s.laneOf(origin)
	if refusal != "" {
		r := refused(refusal)
		return nil, &r
	}
	var err error
	if l.speaksFast() {
		room, err = l.fast.reserve(ctx, most)
	}
	if !l.speaksFast() && room == nil && err == nil { // perhaps known only now
		var c *connection
		if c, err = l.acquire(ctx); err == nil {
			room = &Room{N: 1, slow: c}
		}
	}
	switch {
	case err == nil && room != nil:
		room.sender, room.lane = s, l
		return room, nil
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

// Release gives the place back.
func (r *Room) Release() {
	if r.fast != nil {
		r.fast.Release()
		return
	}
	r.slow.Release()
}

// Send hands over at most N messages of the room's origin. gate is asked in the
// instant before anything is written, for each write anew: its error stops what
// has not left, with Retry and the reason "stopped". It returns when all has been
// handed over; what becomes of the messages is told to `to`, with the batch.
func (r *Room) Send(ctx context.Context, messages []Outgoing, gate func() error, to Reporter, batch any) {
	if r.fast == nil {
		go r.sendSlow(ctx, &messages[0], gate, to, batch)
		return
	}
	w := writers.Get().(*writer)
	w.run(r, messages, gate, &flight{to: to, batch: batch})
	writers.Put(w)
}

// sendSlow sends one message the way that every HTTP server understands.
func (r *Room) sendSlow(ctx context.Context, o *Outgoing, gate func() error, to Reporter, batch any) {
	m := o.Message
	m.Permit = gate
	ctx, cancel := context.WithTimeout(ctx, r.sender.timeout)
	defer cancel()
	req, b, refusal := r.sender.prepare(r.lane, o.To, m)
	receipt := refused(refusal)
	if refusal != "" {
		r.slow.Release()
	} else {
		receipt = r.sender.exchange(ctx, cancel, r.lane, r.slow, req, b)
	}
	to.Report([]Report{{Batch: batch, Receipt: receipt}})
}

// flight is a batch under way.
type flight struct {
	to    Reporter
	batch any
}

// writer writes batches. It keeps its memory.
type writer struct {
	batch h2.Batch
	now   []Report // told when the batch has been handed over
}

var writers = sync.Pool{New: func() any { return new(writer) }}

// run writes the messages and reports those that did not leave.
func (w *writer) run(r *Room, messages []Outgoing, gate func() error, f *flight) {
	w.now = w.now[:0]
	r.fast.Begin(&w.batch)
	for i := range messages {
		if w.batch.Waiting() >= h2.MostWaiting {
			w.flush(gate, f)
		}
		if refusal := w.add(r, &messages[i], h2.Ref{Batch: f, Index: i}); refusal != "" {
			w.now = append(w.now, Report{f.batch, i, refused(refusal)})
		}
	}
	w.flush(gate, f)
	w.batch.Close()
	if len(w.now) > 0 {
		f.to.Report(w.now)
	}
}

// flush writes what has been gathered.
func (w *writer) flush(gate func() error, f *flight) {
	stopped := false
	unsent, _ := w.batch.Flush(func() error { // an error is of the connection: it answers for what left
		err := gate()
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
func (w *writer) add(r *Room, o *Outgoing, ref h2.Ref) (refusal string) {
	m := &o.Message
	path, ok := pathOf(r.lane.origin, o.To.Endpoint)
	size := PadTo(len(m.Payload))
	switch {
	case !checkMessage(*m):
		return "bad-message"
	case !ok:
		return "bad-endpoint"
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
	head, err := r.head(m)
	if err != nil {
		r.sender.log.Error("sign", "origin", r.lane.origin, "error", err)
		return "internal"
	}
	body, err := key.appendSealed(w.batch.Start(&head, path), m.Payload)
	if err != nil {
		w.batch.Drop()
		return "internal"
	}
	w.batch.End(body, ref)
	return ""
}

// head is what a message's request has in common with others.
func (r *Room) head(m *Message) (h2.Head, error) {
	auth, err := r.lane.token.value(r.sender.keys, r.lane.origin, r.sender.subject, r.sender.now())
	if err != nil {
		return h2.Head{}, err
	}
	return h2.Head{Authorization: auth[0], TTL: ttlText(m.TTL), Urgency: m.Urgency, Topic: m.Topic,
		ContentEncoding: contentEncoding, UserAgent: userAgent}, nil
}

// pathOf is what an endpoint adds to its origin. It refuses what is not plain
// enough to be sent as it stands: sign-ups were checked by the same rules, so that
// is a fault of ours.
func pathOf(origin, endpoint string) (path string, ok bool) {
	path, ok = strings.CutPrefix(endpoint, origin)
	if !ok || len(endpoint) > MaxEndpoint {
		return "", false
	}
	if path == "" {
		return "/", true
	}
	if path[0] != '/' {
		return "", false
	}
	for i := range len(path) {
		if c := path[i]; c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' {
			return "", false
		}
	}
	return path, true
}
