package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

const (
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	// pingAfter and pingTimeout find a dead HTTP/2 connection in 20 s.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
	// maxHeader bounds an answer's headers; real ones have about 1 KiB.
	maxHeader = 32 << 10
	// maxH2 connections of 100 streams each carry 8,000 requests a second at
	// 100 ms of round trip.
	maxH2 = 8
	// maxH1: Apple asks for no more than 100 unanswered requests over HTTP/1.1.
	maxH1      = 100
	maxH1Dials = 8
	// settleWait: until the peer's SETTINGS are in, a new HTTP/2 connection takes
	// one request. Before them the client would assume 100 streams, and a peer
	// that allows fewer (Apple's native service starts with one) refuses the
	// rest. They come before the first answer, and this soon without one.
	settleWait = 250 * time.Millisecond
)

// dialing is how every lane reaches out.
type dialing struct {
	roots    *x509.CertPool
	resolver *net.Resolver // nil: the system's; tests bring their own
	dial     func(ctx context.Context, network, address string) (net.Conn, error)
}

// transport builds the settings of one origin's connections: no proxy, no
// compression, and unless the operator named the origin, public addresses
// only. ALPN decides between HTTP/2 and HTTP/1.1.
func (d dialing) transport(exempt bool) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                  nil, // a proxy would take the address check away
		DialContext:            d.dialer(exempt),
		TLSClientConfig:        d.tls(),
		TLSHandshakeTimeout:    dialTimeout,
		DisableCompression:     true,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: pingTimeout},
	}
	// The standard library carries a copy of this package that changes with the
	// Go release only; fixes arrive here first.
	if err := http2.ConfigureTransport(t); err != nil { //nolint:staticcheck // SA1019: see above
		return nil, fmt.Errorf("push: http2: %w", err)
	}
	return t, nil
}

// dialer opens connections, to public addresses only unless the operator named the
// origin.
func (d dialing) dialer(exempt bool) func(ctx context.Context, network, address string) (net.Conn, error) {
	if d.dial != nil {
		return d.dial
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second, Resolver: d.resolver}
	if !exempt {
		dialer.Control = checkAddress
	}
	return dialer.DialContext
}

func (d dialing) tls() *tls.Config {
	return &tls.Config{RootCAs: d.roots, MinVersion: tls.VersionTLS12}
}

// lane is one push service's origin: its token and its connections.
// Lanes share nothing, so a slow or broken one holds up nobody else.
type lane struct {
	origin    string
	scheme    string
	address   string // host:port to dial
	transport *http.Transport
	fast      *fastLane // nil: without TLS there is none
	log       *slog.Logger
	token     token
	used      atomic.Int64 // unix seconds of the last send

	waiting atomic.Int32 // len(waiters), readable without the lock
	mu      sync.Mutex
	conns   []*connection
	waiters []chan handover // oldest first
	dials   int
	sweeper *time.Timer
	closed  bool
}

// connection is one HTTP/1.1 or HTTP/2 connection.
type connection struct {
	*http.ClientConn
	h2       bool
	settled  atomic.Bool  // h2: the peer's limits are known
	lastUsed atomic.Int64 // unix seconds
}

// handover gives a waiting send its reserved connection, or the reason why
// there is none.
type handover struct {
	conn *connection
	err  error
}

func (s *Sender) newLane(origin string, u *url.URL) (*lane, error) {
	exempt := s.origins[origin]
	transport, err := s.dialing.transport(exempt)
	if err != nil {
		return nil, err
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	l := &lane{origin: origin, scheme: u.Scheme, address: net.JoinHostPort(u.Hostname(), port),
		transport: transport, log: s.log}
	if u.Scheme == "https" {
		l.fast = s.newFastLane(l, u, exempt)
	}
	return l, nil
}

// acquire gives a connection with a place reserved for one request. It waits
// for one when all are full, first come first served, until ctx ends.
func (l *lane) acquire(ctx context.Context) (*connection, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, net.ErrClosed
	}
	if len(l.waiters) == 0 {
		if c := l.reserve(); c != nil {
			l.mu.Unlock()
			return c, nil
		}
	}
	place := make(chan handover, 1)
	l.waiters = append(l.waiters, place)
	l.waiting.Store(int32(len(l.waiters)))
	l.handOut() // again: a place may have become free before we were in the queue
	l.mu.Unlock()
	select {
	case got := <-place:
		return got.conn, got.err
	case <-ctx.Done():
		l.leave(place)
		return nil, ctx.Err()
	}
}

// leave takes a send out of the queue; what it was given meanwhile goes back.
func (l *lane) leave(place chan handover) {
	l.mu.Lock()
	for i, w := range l.waiters {
		if w == place {
			l.waiters = append(l.waiters[:i], l.waiters[i+1:]...)
			l.waiting.Store(int32(len(l.waiters)))
			break
		}
	}
	l.mu.Unlock()
	select {
	case got := <-place:
		if got.conn != nil {
			got.conn.Release()
		}
	default:
	}
}

// reserve takes a free place on an open connection; l.mu is held.
func (l *lane) reserve() *connection {
	for _, c := range l.conns {
		if c.h2 && !c.settled.Load() && c.InFlight() > 0 {
			continue
		}
		if c.Reserve() == nil {
			return c
		}
	}
	return nil
}

// prune forgets connections that have ended; l.mu is held.
func (l *lane) prune() {
	l.conns = slices.DeleteFunc(l.conns, func(c *connection) bool { return c.Err() != nil })
}

// grow dials where sends wait and the lane may have more connections; l.mu is
// held. One at a time, until HTTP/1.1 is known to need one per request.
func (l *lane) grow() {
	l.prune()
	limit, atOnce := maxH2, 1
	if len(l.conns) > 0 && !l.conns[0].h2 {
		limit, atOnce = maxH1, min(maxH1Dials, len(l.waiters))
	}
	for !l.closed && l.dials < atOnce && len(l.conns)+l.dials < limit && len(l.waiters) > 0 {
		l.dials++
		go l.dial()
	}
}

// dial opens one connection and serves the queue with it. When it fails and no
// connection is left, everybody who waits learns why: the caller backs off.
func (l *lane) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*dialTimeout)
	defer cancel()
	inner, err := l.transport.NewClientConn(ctx, l.scheme, l.address)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dials--
	if err != nil {
		l.log.Debug("dial", "origin", l.origin, "error", err)
		if l.prune(); len(l.conns) == 0 && l.dials == 0 {
			l.refuse(err)
		}
		return
	}
	c := &connection{ClientConn: inner, h2: inner.Available() > 1}
	c.lastUsed.Store(time.Now().Unix())
	if l.closed {
		_ = inner.Close()
		l.refuse(net.ErrClosed)
		return
	}
	l.conns = append(l.conns, c)
	if l.sweeper == nil {
		l.sweeper = time.AfterFunc(idleTimeout, l.sweep)
	}
	inner.SetStateHook(func(*http.ClientConn) {
		if l.waiting.Load() > 0 {
			go l.serve() // not here: the hook may run inside reserve
		}
	})
	if c.h2 {
		time.AfterFunc(settleWait, func() { l.settle(c) })
	}
	l.handOut()
}

// settle opens a connection to as many requests as the peer allows.
func (l *lane) settle(c *connection) {
	if !c.settled.Swap(true) {
		l.serve()
	}
}

// serve gives freed places to those who wait.
func (l *lane) serve() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handOut()
}

// handOut is serve with l.mu held.
func (l *lane) handOut() {
	for len(l.waiters) > 0 {
		c := l.reserve()
		if c == nil {
			break
		}
		l.waiters[0] <- handover{conn: c}
		l.waiters = l.waiters[1:]
	}
	l.waiting.Store(int32(len(l.waiters)))
	l.grow()
}

// refuse tells everybody who waits that there is no connection; l.mu is held.
func (l *lane) refuse(err error) {
	for _, w := range l.waiters {
		w <- handover{err: err}
	}
	l.waiters = nil
	l.waiting.Store(0)
}

// sweep closes HTTP/1.1 connections that nobody has used for a while (HTTP/2
// does so by itself), and comes back as long as there are connections.
func (l *lane) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	old := time.Now().Add(-idleTimeout).Unix()
	for _, c := range l.conns {
		if !c.h2 && c.InFlight() == 0 && c.lastUsed.Load() < old {
			_ = c.Close()
		}
	}
	l.prune()
	l.sweeper = nil
	if len(l.conns) > 0 && !l.closed {
		l.sweeper = time.AfterFunc(idleTimeout, l.sweep)
	}
}

// close ends the lane and its connections.
func (l *lane) close() {
	if l.fast != nil {
		l.fast.close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.sweeper != nil {
		l.sweeper.Stop()
	}
	l.refuse(net.ErrClosed)
	for _, c := range l.conns {
		_ = c.Close()
	}
	l.conns = nil
}
