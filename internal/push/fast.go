package push

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"runtime"
	"slices"
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
	// writeTimeout is how long a batch may take to be handed to the kernel: what was
	// agreed to by its gate must not start much later. A peer that reads never comes
	// near it; one that does not loses its connection.
	writeTimeout = 250 * time.Millisecond
	// dialPause is the wait after a dial that failed, where there are connections.
	dialPause = time.Second
	// mostBody is the longest body of a message.
	mostBody = headerLen + 1536 + tagLen
)

// errPlain is an origin that has no HTTP/2.
var errPlain = errors.New("push: the origin speaks HTTP/1.1")

// patience is how long somebody may wait for a place before nobody who comes later
// takes one. Handing every place to the oldest would leave connections idle while
// he wakes up.
const patience = 5 * time.Millisecond

// fastLane is an origin's own connections for batches.
type fastLane struct {
	lane       *lane
	address    string // host:port to dial
	authority  string
	bare       bool // the header of a 2xx says nothing that is asked for
	dial       func(ctx context.Context, network, address string) (net.Conn, error)
	tls        *tls.Config
	timeout    time.Duration // of a request
	answerWait time.Duration
	ctx        context.Context // of the lane's dials; it ends with close
	stop       context.CancelFunc

	plain   atomic.Int64 // unix seconds until when the lane is not used
	waiting atomic.Int32 // len(waiters), readable without the lock

	mu      sync.Mutex
	waiters []*waiter // oldest first
	conns   []*h2.Conn
	leaving []*h2.Conn // that take nothing more, and have something under way
	dialing bool
	failed  int   // dials that failed, in all
	err     error // of the last
	closed  bool

	failedAt time.Time       // the last dial
	followed context.Context //nolint:containedctx // the senders', to be told apart from another
	unfollow func() bool
}

// follow ends the lane's connections when ctx does: whoever sends has gone, and waits
// no longer for answers.
func (f *fastLane) follow(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.followed == ctx || f.closed {
		return
	}
	if f.unfollow != nil {
		f.unfollow()
	}
	f.followed, f.unfollow = ctx, context.AfterFunc(ctx, f.cut)
}

// cut ends the connections; there may be others.
func (f *fastLane) cut() {
	f.mu.Lock()
	conns := slices.Concat(f.conns, f.leaving)
	f.conns, f.leaving = nil, nil
	f.mu.Unlock()
	closeAll(conns)
}

// closeAll closes connections at once: a peer that does not read may take its time.
func closeAll(conns []*h2.Conn) {
	var all sync.WaitGroup
	for _, c := range conns {
		all.Go(c.Close)
	}
	all.Wait()
}

// waiter is somebody who found no place.
type waiter struct {
	since  time.Time
	wake   chan struct{} // capacity 1
	failed int           // how many dials had failed when he came
}

func (s *Sender) newFastLane(l *lane, u *url.URL, exempt bool) *fastLane {
	t := s.dialing.tls()
	t.ServerName, t.NextProtos = u.Hostname(), []string{"h2", "http/1.1"}
	t.DynamicRecordSizingDisabled = true // batches are large, and nobody waits for the first bytes of one
	ctx, stop := context.WithCancel(context.Background())
	return &fastLane{lane: l, address: l.address, authority: u.Host, bare: !saysMore(u.Hostname()), dial: s.dialing.dialer(exempt), tls: t,
		timeout: s.timeout, answerWait: s.answerWait, ctx: ctx, stop: stop}
}

// speaksFast reports whether batches may go by the lane's own connections.
func (l *lane) speaksFast() bool {
	return l.fast != nil && time.Now().Unix() >= l.fast.plain.Load()
}

// reserve waits for a connection with room. An error is why there is none: a
// dial failed, and there is no other connection. Neither: the origin is not spoken
// to this way.
func (f *fastLane) reserve(ctx context.Context, most int) (c *h2.Conn, places int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, places, err = f.try(most, nil); c == nil && err == nil {
		c, places, err = f.wait(ctx, most)
	}
	if errors.Is(err, errPlain) {
		return nil, 0, nil
	}
	return c, places, err
}

// wait stands in the queue. f.mu is held, but for the waiting.
func (f *fastLane) wait(ctx context.Context, most int) (c *h2.Conn, places int, err error) {
	w := &waiter{since: time.Now(), wake: make(chan struct{}, 1), failed: f.failed}
	f.waiters = append(f.waiters, w)
	f.waiting.Store(int32(len(f.waiters))) // before another look: what changes after it wakes us
	defer f.leave(w)
	for {
		if c, places, err = f.try(most, w); c != nil || err != nil {
			return c, places, err
		}
		f.mu.Unlock()
		select {
		case <-w.wake:
		case <-ctx.Done():
			err = ctx.Err()
		}
		if f.mu.Lock(); err != nil {
			return nil, 0, err
		}
	}
}

// leave takes a waiter out of the queue, and wakes the next: he may have been
// woken for something that he does not take, or there may be room for another.
// f.mu is held.
func (f *fastLane) leave(w *waiter) {
	f.waiters = slices.DeleteFunc(f.waiters, func(o *waiter) bool { return o == w })
	f.waiting.Store(int32(len(f.waiters)))
	f.wakeNext()
}

// wakeNext wakes the one who waits longest. Each that leaves wakes the next, so
// that nobody sleeps while there is room. f.mu is held.
func (f *fastLane) wakeNext() {
	if len(f.waiters) == 0 {
		return
	}
	select {
	case f.waiters[0].wake <- struct{}{}:
	default:
	}
}

// poke is told by connections that there may be room.
func (f *fastLane) poke() {
	if f.waiting.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakeNext()
}

// try looks once, for a waiter or for somebody who has just come (nil). f.mu is
// held.
func (f *fastLane) try(most int, w *waiter) (c *h2.Conn, places int, err error) {
	switch {
	case f.closed:
		return nil, 0, net.ErrClosed
	case time.Now().Unix() < f.plain.Load():
		return nil, 0, errPlain
	case len(f.waiters) > 0 && f.waiters[0] != w && time.Since(f.waiters[0].since) > patience:
		return nil, 0, nil
	}
	f.prune()
	allFull, young := true, false
	for _, c := range f.conns {
		n, full := c.Reserve(most)
		if n > 0 {
			return c, n, nil
		}
		allFull, young = allFull && full, young || !c.Settled()
	}
	if w != nil && f.failed > w.failed && len(f.conns) == 0 {
		return nil, 0, f.err
	}
	if !young { // else what it takes is not known yet
		f.grow(allFull)
	}
	return nil, 0, nil
}

// grow opens one connection more where it may help. Where all are full, the peer's
// limits and the way there set the pace, and more connections carry more; where
// some are being written to, more than there are processors do not. f.mu is held.
func (f *fastLane) grow(allFull bool) {
	most := min(maxFast, runtime.GOMAXPROCS(0))
	if allFull {
		most = maxFast
	}
	if len(f.conns) > 0 && time.Since(f.failedAt) < dialPause {
		return
	}
	if !f.dialing && len(f.conns) < most {
		f.dialing = true
		go f.open()
	}
}

// prune forgets connections that have ended. One that broke the protocol leaves
// the origin to x/net for a while. f.mu is held.
func (f *fastLane) prune() {
	f.conns = slices.DeleteFunc(f.conns, func(c *h2.Conn) bool {
		err := c.Err()
		switch {
		case errors.Is(err, h2.ErrProtocol):
			f.plain.Store(time.Now().Add(plainFor).Unix())
			f.lane.log.Warn("a push service breaks HTTP/2: its messages go by the plain transport for ten minutes", "service", f.lane.origin, "error", err)
		case errors.Is(err, h2.ErrGoAway):
			f.leaving = append(f.leaving, c)
		}
		return err != nil
	})
	f.leaving = slices.DeleteFunc(f.leaving, func(c *h2.Conn) bool { return !errors.Is(c.Err(), h2.ErrGoAway) })
}

// open dials one connection.
func (f *fastLane) open() {
	ctx, cancel := context.WithTimeout(f.ctx, 2*dialTimeout)
	defer cancel()
	c, err := f.connect(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dialing = false
	switch {
	case errors.Is(err, errPlain):
		f.plain.Store(time.Now().Add(plainFor).Unix())
	case err != nil:
		f.lane.log.Debug("dial", "origin", f.lane.origin, "error", err)
		f.failed++
		f.err, f.failedAt = err, time.Now()
	case f.closed:
		go c.Close() // it may wait for the peer
	default:
		f.conns = append(f.conns, c)
		time.AfterFunc(idleTimeout, func() { f.sweep(c) })
	}
	f.wakeNext()
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
	return h2.Open(secured, h2.Config{Authority: f.authority, Bare: f.bare, MostBody: mostBody, Timeout: f.timeout, AnswerWait: f.answerWait,
		PingAfter: pingAfter, PingTimeout: pingTimeout, WriteTimeout: writeTimeout, Answered: f.answered, Changed: f.poke})
}

// sweep closes a connection that nobody has used for a while.
func (f *fastLane) sweep(c *h2.Conn) {
	if c.Err() != nil {
		return
	}
	if left := c.CloseIdle(idleTimeout); left > 0 {
		time.AfterFunc(left, func() { f.sweep(c) })
	}
}

// close ends the lane and its connections.
func (f *fastLane) close() {
	f.stop()
	f.mu.Lock()
	conns := slices.Concat(f.conns, f.leaving)
	f.conns, f.leaving, f.closed = nil, nil, true
	if f.unfollow != nil {
		f.unfollow()
	}
	f.wakeNext()
	f.mu.Unlock()
	closeAll(conns)
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
