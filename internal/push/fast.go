package push

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/news"
	"dateline/internal/push/h2"
)

const (
	// maxFast connections of 100 streams each carry 80,000 requests a second at
	// 20 ms of round trip, and 16,000 at 100 ms.
	maxFast = 16
	// plainFor is how long an origin is spoken to by x/net's transport after it
	// broke the protocol, or because it has no HTTP/2.
	plainFor = 10 * time.Minute
	// mostBody is the longest body of a message.
	mostBody = headerLen + 1536 + tagLen
)

// errPlain is an origin that has no HTTP/2.
var errPlain = errors.New("push: the origin speaks HTTP/1.1")

// fastLane is an origin's own connections for batches.
type fastLane struct {
	lane       *lane
	address    string // host:port to dial
	authority  string
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	tls        *tls.Config
	timeout    time.Duration // of a request
	answerWait time.Duration

	plain   atomic.Int64 // unix seconds until when the lane is not used
	changed chan struct{}

	mu      sync.Mutex
	conns   []*h2.Conn
	dialing bool
	failed  int   // dials that failed, in all
	err     error // of the last
	closed  bool
}

func (s *Sender) newFastLane(l *lane, u *url.URL, exempt bool) *fastLane {
	t := s.dialing.tls()
	t.ServerName, t.NextProtos = u.Hostname(), []string{"h2", "http/1.1"}
	t.DynamicRecordSizingDisabled = true // batches are large, and nobody waits for the first bytes of one
	return &fastLane{lane: l, address: l.address, authority: u.Host, dial: s.dialing.dialer(exempt), tls: t,
		timeout: s.timeout, answerWait: s.answerWait, changed: make(chan struct{}, 1)}
}

// speaksFast reports whether batches may go by the lane's own connections.
func (l *lane) speaksFast() bool {
	return l.fast != nil && time.Now().Unix() >= l.fast.plain.Load()
}

// reserve waits for a connection with room. An error is why there is none: a
// dial failed, and there is no other connection. Neither: the origin is not spoken
// to this way.
func (f *fastLane) reserve(ctx context.Context, most int) (c *h2.Conn, places int, err error) {
	failed := -1
	for {
		c, places, failed, err = f.try(most, failed)
		switch {
		case errors.Is(err, errPlain):
			return nil, 0, nil
		case c != nil || err != nil:
			return c, places, err
		}
		select {
		case <-f.changed:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
	}
}

// try looks once. failed is how many dials had failed when the caller began to
// wait, and stays so; -1: it begins now.
func (f *fastLane) try(most, failed int) (c *h2.Conn, places, waited int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, 0, failed, net.ErrClosed
	case time.Now().Unix() < f.plain.Load():
		f.poke() // whoever else waits
		return nil, 0, failed, errPlain
	}
	f.prune()
	allFull, young := true, false
	for _, c := range f.conns {
		n, full := c.Reserve(most)
		if n > 0 {
			f.poke() // there may be room for another
			return c, n, failed, nil
		}
		allFull, young = allFull && full, young || !c.Settled()
	}
	if failed < 0 {
		failed = f.failed
	} else if f.failed > failed && len(f.conns) == 0 {
		f.poke()
		return nil, 0, failed, f.err
	}
	if !young { // else what it takes is not known yet
		f.grow(allFull)
	}
	return nil, 0, failed, nil
}

// grow opens one connection more where it may help. Where all are full, the peer's
// limits and the way there set the pace, and more connections carry more; where
// some are being written to, more than there are processors do not. f.mu is held.
func (f *fastLane) grow(allFull bool) {
	most := min(maxFast, runtime.GOMAXPROCS(0))
	if allFull {
		most = maxFast
	}
	if !f.dialing && len(f.conns) < most {
		f.dialing = true
		go f.open()
	}
}

// poke wakes one of those who wait. Each that is woken and takes something wakes
// the next.
func (f *fastLane) poke() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// prune forgets connections that have ended. One that broke the protocol leaves
// the origin to x/net for a while. f.mu is held.
func (f *fastLane) prune() {
	kept := f.conns[:0]
	for _, c := range f.conns {
		switch err := c.Err(); {
		case errors.Is(err, h2.ErrProtocol):
			f.plain.Store(time.Now().Add(plainFor).Unix())
			f.lane.log.Warn("a push service breaks HTTP/2: its messages go by the plain transport for ten minutes", "service", f.lane.origin, "error", err)
		case err == nil:
			kept = append(kept, c)
		}
	}
	clear(f.conns[len(kept):])
	f.conns = kept
}

// open dials one connection.
func (f *fastLane) open() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*dialTimeout)
	defer cancel()
	c, err := f.connect(ctx)
	f.mu.Lock()
	f.dialing = false
	switch {
	case errors.Is(err, errPlain):
		f.plain.Store(time.Now().Add(plainFor).Unix())
	case err != nil:
		f.lane.log.Debug("dial", "origin", f.lane.origin, "error", err)
		f.failed++
		f.err = err
	case f.closed:
		defer c.Close()
	default:
		f.conns = append(f.conns, c)
		time.AfterFunc(idleTimeout, func() { f.sweep(c) })
	}
	f.mu.Unlock()
	f.poke()
}

func (f *fastLane) connect(ctx context.Context) (*h2.Conn, error) {
	tcp, err := f.dial(ctx, "tcp", f.address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(tcp, f.tls)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = tcp.Close()
		return nil, err
	}
	if secured.ConnectionState().NegotiatedProtocol != "h2" {
		_ = secured.Close()
		return nil, errPlain
	}
	return h2.Open(secured, h2.Config{Authority: f.authority, MostBody: mostBody, Timeout: f.timeout, AnswerWait: f.answerWait,
		PingAfter: pingAfter, PingTimeout: pingTimeout, WriteTimeout: pingTimeout, Answered: f.answered, Changed: f.poke})
}

// sweep closes a connection that nobody has used for a while.
func (f *fastLane) sweep(c *h2.Conn) {
	if c.Err() != nil {
		return
	}
	idle := c.Idle(time.Now())
	if idle >= idleTimeout {
		c.Close()
		return
	}
	time.AfterFunc(idleTimeout-idle, func() { f.sweep(c) })
}

func (f *fastLane) close() {
	f.mu.Lock()
	conns := f.conns
	f.conns, f.closed = nil, true
	f.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	f.poke()
}

var reportLists = sync.Pool{New: func() any { return new([]Report) }}

// answered tells the batches' reporters.
func (f *fastLane) answered(answers []h2.Answer) {
	list := reportLists.Get().(*[]Report)
	defer reportLists.Put(list)
	reports := (*list)[:0]
	now := time.Now()
	var to Reporter
	for i := range answers {
		of := answers[i].Ref.Batch.(*flight)
		if to != of.to && len(reports) > 0 {
			to.Report(reports)
			reports = reports[:0]
		}
		to = of.to
		reports = append(reports, Report{of.batch, answers[i].Ref.Index, receiptOf(&answers[i], now)})
	}
	to.Report(reports)
	clear(reports)
	*list = reports
}

// receiptOf is the verdict on an answer of a connection.
func receiptOf(a *h2.Answer, now time.Time) news.Receipt {
	switch a.Fate {
	case h2.Answered:
		return ReceiptFor(a.Status, a.Header, a.Body, now)
	case h2.GoneAway:
		return news.Receipt{Outcome: news.Retry, Reason: reasonGoAway}
	case h2.Refused:
		return news.Receipt{Outcome: news.Retry, Reason: reasonRefusedStream}
	case h2.Unsent:
		return news.Receipt{Outcome: news.Retry, Reason: reasonUnsent}
	case h2.TimedOut:
		return news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
	}
	return news.Receipt{Outcome: news.Ambiguous, Reason: "reset"}
}
