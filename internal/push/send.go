package push

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"dateline/internal/news"
)

// What is the same in every request.
const (
	contentEncoding = "aes128gcm"
	userAgent       = "Dateline"
)

// Reasons of receipts of messages that the push service did not look at.
const (
	reasonStopped       = "stopped"
	reasonUnsent        = "unsent"         // the connection ended before it was written
	reasonGoAway        = "goaway"         // RFC 9113 6.8
	reasonRefusedStream = "refused-stream" // RFC 9113 8.7
	reasonMoved         = "moved"          // the endpoint is another service's
)

const (
	maxAnswer  = 4 << 10         // bytes of a body we read
	answerWait = 2 * time.Second // for a body, once the status is known
	maxTTL     = 28 * 24 * 3600  // FCM's cap; RFC 8030 lets a service shorten it
	maxLanes   = 512             // Microsoft has dozens of hosts; strangers could name thousands
)

// Send sends one message, once, and says what became of it. It never panics
// and never waits longer than the timeout of Config. Retry means that nothing
// of the body was handed over: dialling, look-up, TLS, the wait for a free
// stream, a stop by Message.Permit, or an answer that says so. Ambiguous means
// that the body was handed over and no answer came.
func (s *Sender) Send(ctx context.Context, t Target, m Message) news.Receipt {
	if !checkMessage(m) {
		return refused("bad-message")
	}
	u, origin, fault := s.route(t.Endpoint)
	if fault == noSubject {
		return refused("no-subject")
	} else if fault != "" {
		return refused("bad-endpoint")
	}
	l, err := s.lane(origin, u)
	if err != nil {
		s.log.Error("lane", "origin", origin, "error", err)
		return refused("internal")
	}
	req, b, refusal := s.prepare(l, t, m)
	if refusal != "" {
		return refused(refusal)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	conn, err := l.acquire(ctx)
	if err != nil {
		return noAnswer(err, b)
	}
	return s.exchange(ctx, cancel, l, conn, req, b)
}

// prepare makes the request of a message to a lane's origin, or says why not.
func (s *Sender) prepare(l *lane, t Target, m Message) (req *http.Request, b *body, refusal string) {
	u, origin, fault := parseEndpoint(t.Endpoint)
	switch {
	case fault != "":
		return nil, nil, "bad-endpoint"
	case origin != l.origin: // another service must not learn the address
		return nil, nil, reasonMoved
	}
	if !checkMessage(m) {
		return nil, nil, "bad-message"
	}
	payload, err := m.seal(t)
	if errors.Is(err, errTooLong) {
		return nil, nil, "too-large"
	} else if err != nil {
		return nil, nil, "bad-keys"
	}
	auth, err := l.token.value(s.keys, l.origin, s.subject, s.now())
	if err != nil {
		s.log.Error("sign", "origin", l.origin, "error", err)
		return nil, nil, "internal"
	}
	return request(u, auth, m), &body{data: payload, permit: m.Permit}, ""
}

// seal is the request's body: sealed with the key that was armed for it, or with one
// made now.
func (m Message) seal(t Target) ([]byte, error) {
	if m.Key != nil && m.Key.Fits(t) {
		return m.Key.Seal(m.Payload)
	}
	return Seal(t, m.Payload)
}

// refused is the receipt of a message that is not handed over. One for another push
// service only has to go there.
func refused(reason string) news.Receipt {
	if reason == reasonMoved {
		return news.Receipt{Outcome: news.Retry, Reason: reasonMoved}
	}
	return news.Receipt{Outcome: news.Refused, Reason: reason}
}

// lane gives an origin's lane, made at its first use. When there are too many,
// the one longest unused goes.
func (s *Sender) lane(origin string, u *url.URL) (*lane, error) {
	now := time.Now().Unix()
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lanes[origin]
	if l == nil {
		made, err := s.newLane(origin, u)
		if err != nil {
			return nil, err
		}
		s.dropOldest()
		s.lanes[origin] = made
		l = made
	}
	l.used.Store(now)
	return l, nil
}

// dropOldest makes room for a lane; s.mu is held.
func (s *Sender) dropOldest() {
	if len(s.lanes) < maxLanes {
		return
	}
	var oldest *lane
	for _, l := range s.lanes {
		if oldest == nil || l.used.Load() < oldest.used.Load() {
			oldest = l
		}
	}
	delete(s.lanes, oldest.origin)
	go oldest.close() // a peer that does not read may take its time
}

// ttlText is a message's TTL as a header.
func ttlText(seconds int) string { return strconv.Itoa(min(max(seconds, 0), maxTTL)) }

// request is everything of a message but its body.
func request(u *url.URL, auth []string, m Message) *http.Request {
	h := make(http.Header, 8)
	h["Authorization"] = auth
	h["Content-Encoding"] = []string{contentEncoding}
	h["Content-Type"] = []string{"application/octet-stream"}
	h["Ttl"] = []string{ttlText(m.TTL)}
	h["User-Agent"] = []string{userAgent}
	if m.Urgency != "" {
		h["Urgency"] = []string{m.Urgency}
	}
	if m.Topic != "" {
		h["Topic"] = []string{m.Topic}
	}
	return &http.Request{Method: http.MethodPost, URL: u, Host: u.Host, Header: h,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
}

// exchange writes the request to a connection with a place for it, and reads the
// answer.
func (s *Sender) exchange(ctx context.Context, cancel func(), l *lane, conn *connection, req *http.Request, b *body) news.Receipt {
	conn.lastUsed.Store(time.Now().Unix())
	// No GetBody: without it no transport sends a request a second time, which
	// could start it after a stop.
	req.Body, req.ContentLength = b, int64(len(b.data))
	resp, err := conn.RoundTrip(req.WithContext(ctx))
	l.settle(conn)
	if err != nil {
		return noAnswer(err, b)
	}
	defer func() { _ = resp.Body.Close() }()
	text := s.readAnswer(resp, cancel)
	return ReceiptFor(resp.StatusCode, resp.Header, text, s.now())
}

// readAnswer reads what the verdict may need and leaves the connection usable
// where the answer is short; it never reads more than maxAnswer, nor waits
// longer than answerWait.
func (s *Sender) readAnswer(resp *http.Response, cancel func()) []byte {
	if resp.ContentLength == 0 || resp.Body == http.NoBody {
		return nil
	}
	late := time.AfterFunc(s.answerWait, cancel)
	defer late.Stop()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return text
}

// noAnswer is the verdict when no answer came: retry when the body was never
// handed over, or when the service says that it did not look at it.
func noAnswer(err error, b *body) news.Receipt {
	untouched, stopped := b.withdraw()
	if stopped {
		return news.Receipt{Outcome: news.Retry, Reason: reasonStopped}
	}
	var stream http2.StreamError
	if errors.As(err, &stream) && stream.Code == http2.ErrCodeRefusedStream {
		// RFC 9113 8.7: it was not processed.
		return news.Receipt{Outcome: news.Retry, Reason: reasonRefusedStream}
	}
	if untouched {
		return news.Receipt{Outcome: news.Retry, Reason: transportReason(err)}
	}
	return news.Receipt{Outcome: news.Ambiguous, Reason: transportReason(err)}
}

// transportReason names a transport's error by kind; its text may hold an
// address and stays out.
func transportReason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var netErr net.Error
	switch {
	case errors.Is(err, errAddress):
		return "address"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.As(err, &dns):
		return "dns"
	case isTLS(err):
		return "tls"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return "timeout"
	case errors.As(err, &op) && op.Op == "dial":
		return "dial"
	}
	return "reset"
}

func isTLS(err error) bool {
	var verify *tls.CertificateVerificationError
	var alert tls.AlertError
	var header tls.RecordHeaderError
	var name x509.HostnameError
	var authority x509.UnknownAuthorityError
	return errors.As(err, &verify) || errors.As(err, &alert) || errors.As(err, &header) ||
		errors.As(err, &name) || errors.As(err, &authority)
}

var (
	errStopped   = errors.New("push: stopped before it was sent")
	errWithdrawn = errors.New("push: withdrawn before it was sent")
)

// body is a request's body that knows whether any of it was handed over, and
// that can be withdrawn: a transport may still hold it after it has given up.
type body struct {
	data   []byte
	permit func() error
	state  atomic.Int32
	asking sync.Mutex // held while the permit is asked: there is no receipt before its answer
}

// States of a body.
const (
	bodyFresh     int32 = iota
	bodyAsking          // the permit is being asked
	bodyTaken           // some of it is out
	bodyStopped         // the permit was refused
	bodyWithdrawn       // we gave up before it was taken
)

// Read hands the body over, after asking for the permit once.
func (b *body) Read(p []byte) (int, error) {
	if b.state.Load() == bodyFresh {
		if err := b.begin(); err != nil {
			return 0, err
		}
	}
	if b.state.Load() != bodyTaken {
		return 0, errWithdrawn
	}
	if len(b.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.data)
	b.data = b.data[n:]
	return n, nil
}

func (b *body) begin() error {
	b.asking.Lock()
	defer b.asking.Unlock()
	if !b.state.CompareAndSwap(bodyFresh, bodyAsking) {
		return errWithdrawn
	}
	if b.permit != nil && b.permit() != nil {
		b.state.CompareAndSwap(bodyAsking, bodyStopped)
		return errStopped
	}
	if !b.state.CompareAndSwap(bodyAsking, bodyTaken) {
		return errWithdrawn
	}
	return nil
}

// Close does nothing: the bytes are the garbage collector's.
func (b *body) Close() error { return nil }

// withdraw takes the body back for good. untouched reports that none of it is
// out, stopped that the permit was the reason.
func (b *body) withdraw() (untouched, stopped bool) {
	b.asking.Lock()
	defer b.asking.Unlock()
	for {
		state := b.state.Load()
		switch {
		case state == bodyTaken:
			return false, false
		case state == bodyStopped:
			return true, true
		case b.state.CompareAndSwap(state, bodyWithdrawn):
			return true, false
		}
	}
}
