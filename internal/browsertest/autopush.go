package browsertest

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// Code is a browser's word on one message.
type Code int

// The codes that Firefox acknowledges with.
const (
	Delivered     Code = 100 // decrypted and handed to the service worker
	Undecryptable Code = 101 // the keys do not fit: nobody saw it
	NotDelivered  Code = 102 // decrypted, but no worker took it
)

// Post is one request of a sender and what it was answered.
type Post struct {
	Endpoint string
	Topic    string
	Urgency  string
	TTL      int // seconds
	Body     []byte
	At       time.Time
	Status   int    // 201: taken
	Why      string // what was wrong, unless it was taken
	Version  string // the service's name for the message; "" unless it was taken
}

// Ack is a browser's acknowledgement of one message.
type Ack struct {
	Version string // of the Post
	Code    Code
}

// Autopush is a push service for one browser or a few. It forgets nothing it
// was sent, is not hardened, and serves tests only. Its methods may be called
// from any goroutine, the waiting ones only from the test's own.
type Autopush struct {
	tb      testing.TB
	now     func() time.Time
	origin  string
	socket  string
	caPEM   []byte
	journal *journal

	board      // guards the fields below
	refuse     bool
	devices    map[string]*device  // by uaid
	channels   map[string]*channel // by endpoint
	posts      []Post
	acks       []Ack
	acksTaken  []bool // by index of acks: WaitAck has returned it
	sequence   int
	handshakes int
}

// device is one browser profile, known by its uaid over reconnects.
type device struct {
	uaid  string
	conn  *connection // nil while it is away
	queue []*stored   // what it has not acknowledged, oldest first
}

// channel is one subscription of a device.
type channel struct {
	id       string
	endpoint string
	key      string // the VAPID public key it was made for
	owner    *device
	gone     bool
}

// stored is a message on its way.
type stored struct {
	Post
	channel string
	sent    bool // over the present connection
}

// AutopushOption changes how NewAutopush listens.
type AutopushOption func(*autopushOptions)

type autopushOptions struct {
	tls bool
	now func() time.Time
}

// TLS makes the endpoints https with HTTP/2. The websocket stays plain: Firefox
// would not accept a private certificate there.
func TLS() AutopushOption { return func(o *autopushOptions) { o.tls = true } }

// WithClock gives the clock that tokens and TTLs are judged by.
func WithClock(now func() time.Time) AutopushOption {
	return func(o *autopushOptions) { o.now = now }
}

// NewAutopush starts a push service on loopback that stops with the test.
func NewAutopush(tb testing.TB, options ...AutopushOption) *Autopush {
	tb.Helper()
	o := autopushOptions{now: time.Now}
	for _, option := range options {
		option(&o)
	}
	s := &Autopush{tb: tb, now: o.now, journal: newJournal(),
		devices: map[string]*device{}, channels: map[string]*channel{}}
	s.journal.dumpOnFailure(tb, "autopush")
	s.listenSocket(tb)
	s.listenPush(tb, o.tls)
	return s
}

func (s *Autopush) listenSocket(tb testing.TB) {
	server := httptest.NewServer(http.HandlerFunc(s.serveSocket))
	tb.Cleanup(server.Close)
	tb.Cleanup(s.Disconnect) // runs first: Close would wait for the sockets
	s.socket = strings.Replace(server.URL, "http://", "ws://", 1) + "/"
}

func (s *Autopush) listenPush(tb testing.TB, secure bool) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /push/{uaid}/{channel}", s.servePush)
	server := httptest.NewUnstartedServer(mux)
	if secure {
		server.EnableHTTP2 = true
		server.StartTLS()
		s.caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	} else {
		server.Start()
	}
	tb.Cleanup(server.Close)
	s.origin = server.URL
}

// Origin is scheme, host and port of every endpoint: what a sender must allow.
func (s *Autopush) Origin() string { return s.origin }

// SocketURL is where browsers connect (Firefox's dom.push.serverURL).
func (s *Autopush) SocketURL() string { return s.socket }

// CAPEM is the certificate to trust for https endpoints; nil without [TLS].
func (s *Autopush) CAPEM() []byte { return s.caPEM }

// Disconnect drops every browser and refuses new connections until Allow.
func (s *Autopush) Disconnect() {
	s.Lock()
	s.refuse = true
	var open []*connection
	for _, d := range s.devices {
		if d.conn != nil {
			open = append(open, d.conn)
			d.detach(d.conn)
		}
	}
	s.change()
	for _, c := range open {
		c.drop()
	}
}

// Allow lets browsers connect again.
func (s *Autopush) Allow() {
	s.Lock()
	s.refuse = false
	s.change()
}

// Posts lists every request so far, whatever it was answered.
func (s *Autopush) Posts() []Post {
	s.Lock()
	defer s.Unlock()
	return slices.Clone(s.posts)
}

// Acks lists every acknowledgement so far.
func (s *Autopush) Acks() []Ack {
	s.Lock()
	defer s.Unlock()
	return slices.Clone(s.acks)
}

// Pending counts the messages that no browser has acknowledged yet.
func (s *Autopush) Pending() int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, d := range s.devices {
		n += len(d.queue)
	}
	return n
}

// WaitConnected returns when a browser has said hello that had not when
// WaitConnected returned last.
func (s *Autopush) WaitConnected() {
	s.tb.Helper()
	s.wait(s.tb, "a browser's hello", func() bool {
		if s.handshakes == 0 {
			return false
		}
		s.handshakes = 0
		return true
	})
}

// WaitAway returns when no browser is connected.
func (s *Autopush) WaitAway() {
	s.tb.Helper()
	s.wait(s.tb, "every browser to go away", func() bool {
		for _, d := range s.devices {
			if d.conn != nil {
				return false
			}
		}
		return true
	})
}

// WaitUnregistered returns when the browser has given the endpoint up.
func (s *Autopush) WaitUnregistered(endpoint string) {
	s.tb.Helper()
	s.wait(s.tb, "the end of "+endpoint, func() bool {
		c := s.channels[endpoint]
		return c != nil && c.gone
	})
}

// WaitAck returns the oldest acknowledgement with this code that no WaitAck has
// returned before.
func (s *Autopush) WaitAck(code Code) Ack {
	s.tb.Helper()
	var found Ack
	s.wait(s.tb, "an acknowledgement", func() bool {
		for i, a := range s.acks {
			if a.Code == code && !s.acksTaken[i] {
				found, s.acksTaken[i] = a, true
				return true
			}
		}
		return false
	})
	return found
}

// WaitPost returns the oldest request that ok holds for.
func (s *Autopush) WaitPost(what string, ok func(Post) bool) Post {
	s.tb.Helper()
	var found Post
	s.wait(s.tb, what, func() bool {
		i := slices.IndexFunc(s.posts, ok)
		if i >= 0 {
			found = s.posts[i]
		}
		return i >= 0
	})
	return found
}
