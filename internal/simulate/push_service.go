package simulate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// PushOptions say how a push service is and behaves. The zero value is a good
// citizen: HTTPS with HTTP/2, no limits, no delay.
type PushOptions struct {
	Name      string     // in the log and on pages; default "push"
	Listen    string     // default 127.0.0.1:0
	Authority *Authority // nil: one of its own
	Hosts     []string   // further DNS names of the certificate
	Plain     bool       // http:// and HTTP/1.1
	HTTP1     bool       // https:// without HTTP/2
	Streams   int        // HTTP/2 streams per connection; 0: Go's default (250)
	Path      string     // before the endpoint's id; default "/push/"

	// Key is the VAPID public key (base64url) the phones subscribed with; a
	// token signed by another is answered 403. "" takes every valid token.
	Key string
	// NeedSubject refuses tokens whose subject is no real contact, as Apple does.
	NeedSubject bool

	Rate    float64       // messages taken per second, paced; 0: no limit
	Latency time.Duration // before each answer
	// Answer is asked about every request for a known endpoint, after it has
	// been read and before anything else is checked; nil, or a nil answer,
	// means to behave.
	Answer func(*PushRequest) *PushAnswer
	// OnShown hears of every message a phone decrypted, after the phone's state
	// has changed and before the service answers. Calls may overlap.
	OnShown func(*Phone, Delivery)
	// OnArrival hears of every request to a known endpoint as soon as all of it
	// is there, before any pace. Calls may overlap.
	OnArrival func(Arrival)
	// Unread takes messages without looking into them, as the real services do:
	// phones show nothing, and Phone.Open reads a message afterwards. Decrypting
	// costs more than all the rest, and who measures a sender has no time for it.
	Unread bool

	// Log receives one JSON line per request, before the answer; with Sync the
	// writer's Sync (an *os.File's fsync) follows each line.
	Log  io.Writer
	Sync bool

	Now func() time.Time // default time.Now
}

// PushRequest is what a service saw, as Answer gets it.
type PushRequest struct {
	Phone  *Phone
	Header http.Header
	Body   []byte
	Post   int // the how-manieth request to this endpoint, from 1
	Total  int // the how-manieth request to the service, from 1
}

// PushAnswer is an answer out of the ordinary.
type PushAnswer struct {
	Status int
	Header http.Header
	Body   string
	Delay  time.Duration
	// Drop cuts the stream (the connection, over HTTP/1.1) without an answer.
	Drop bool
	// Deliver lets the message reach the phone all the same.
	Deliver bool
}

// PushService is a simulated push service.
type PushService struct {
	opts      PushOptions
	authority *Authority
	origin    string
	server    *http.Server
	done      chan struct{}
	pace      *pace
	tokens    tokens
	log       requestLog
	total     atomic.Int64
	cutting   sync.Mutex // guards open
	open      map[net.Conn]bool

	mu      sync.RWMutex
	phones  map[string]*Phone
	ordered []*Phone

	changed chan struct{} // closed and renewed when a phone's state changes while somebody waits
	waiting sync.Mutex
	waiters atomic.Int32
}

// NewPushService starts a push service.
func NewPushService(opts PushOptions) (*PushService, error) {
	setPushDefaults(&opts)
	s := &PushService{opts: opts, authority: opts.Authority, done: make(chan struct{}), open: map[net.Conn]bool{},
		phones: map[string]*Phone{}, changed: make(chan struct{}), pace: newPace(opts.Rate),
		log: requestLog{w: opts.Log, sync: opts.Sync}}
	listener, err := net.Listen("tcp", opts.Listen)
	if err != nil {
		return nil, fmt.Errorf("simulate.NewPushService(%s): %w", opts.Listen, err)
	}
	if s.authority == nil {
		if s.authority, err = NewAuthority(); err != nil {
			_ = listener.Close()
			return nil, err
		}
	}
	if err := s.listen(listener); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return s, nil
}

func setPushDefaults(o *PushOptions) {
	if o.Name == "" {
		o.Name = "push"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Path == "" {
		o.Path = "/push/"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// listen configures the server and lets it run.
func (s *PushService) listen(l net.Listener) error {
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ConnState: s.track,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	if s.opts.Streams > 0 {
		s.server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: s.opts.Streams}
	}
	s.origin = "http://" + l.Addr().String()
	if !s.opts.Plain {
		cert, err := s.authority.issue(s.opts.Hosts)
		if err != nil {
			return err
		}
		s.origin = "https://" + l.Addr().String()
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		s.server.Protocols = new(http.Protocols)
		s.server.Protocols.SetHTTP1(true)
		s.server.Protocols.SetHTTP2(!s.opts.HTTP1)
	}
	go func() {
		defer close(s.done)
		if s.opts.Plain {
			_ = s.server.Serve(l)
			return
		}
		_ = s.server.ServeTLS(l, "", "")
	}()
	return nil
}

// Origin is scheme://host:port of the service's endpoints.
func (s *PushService) Origin() string { return s.origin }

// Name is the service's name.
func (s *PushService) Name() string { return s.opts.Name }

// CAPEM is the certificate of the authority that signed the service's.
func (s *PushService) CAPEM() []byte { return s.authority.PEM() }

// Authority is the one that signed the service's certificate.
func (s *PushService) Authority() *Authority { return s.authority }

// Close stops the service and waits until it has.
func (s *PushService) Close() {
	_ = s.server.Close()
	<-s.done
}

// SetRate changes the pace for whoever comes next; 0 takes it away.
func (s *PushService) SetRate(perSecond float64) { s.pace.rate.Store(math.Float64bits(perSecond)) }

// track remembers open connections for Cut.
func (s *PushService) track(c net.Conn, state http.ConnState) {
	s.cutting.Lock()
	defer s.cutting.Unlock()
	switch state {
	case http.StateNew:
		s.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(s.open, c)
	}
}

// Cut closes every open connection at once, as a crash of the service would.
func (s *PushService) Cut() {
	s.cutting.Lock()
	defer s.cutting.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
}

// Requests counts the requests of all endpoints, unknown ones included.
func (s *PushService) Requests() int { return int(s.total.Load()) }

// Posts counts the requests to one endpoint.
func (s *PushService) Posts(endpoint string) int {
	p := s.Phone(endpoint)
	if p == nil {
		return 0
	}
	return int(p.posts.Load())
}

// Phone finds the phone of an endpoint; nil when there is none.
func (s *PushService) Phone(endpoint string) *Phone {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme+"://"+u.Host != s.origin {
		return nil
	}
	return s.phoneAt(u.Path)
}

func (s *PushService) phoneAt(path string) *Phone {
	id, ok := strings.CutPrefix(path, s.opts.Path)
	if !ok {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.phones[id]
}

// Phones lists all phones in the order they were made.
func (s *PushService) Phones() []*Phone {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.ordered[:len(s.ordered):len(s.ordered)]
}

// NewPhone makes a phone that is subscribed here.
func (s *PushService) NewPhone() (*Phone, error) {
	p, err := newPhone(s)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phones[p.id] = p
	s.ordered = append(s.ordered, p)
	return p, nil
}

// NewPhones makes n phones.
func (s *PushService) NewPhones(n int) ([]*Phone, error) {
	list := make([]*Phone, 0, n)
	for range n {
		p, err := s.NewPhone()
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}

// Wait returns when done holds, or with ctx's error when it ends first. done is
// asked again after every message a phone took; it must not block.
func (s *PushService) Wait(ctx context.Context, done func() bool) error {
	s.waiters.Add(1)
	defer s.waiters.Add(-1)
	for {
		s.waiting.Lock()
		changed := s.changed
		s.waiting.Unlock()
		if done() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("simulate.Wait(%s): %w", s.opts.Name, ctx.Err())
		}
	}
}

// wake tells those who wait that something changed.
func (s *PushService) wake() {
	if s.waiters.Load() == 0 {
		return
	}
	s.waiting.Lock()
	defer s.waiting.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
}

// pace spaces messages evenly: a token bucket that catches up by at most
// paceBurst after a pause of the scheduler.
type pace struct {
	rate atomic.Uint64 // bits of a float64: messages per second; 0: no limit
	turn chan struct{} // one waits for its time, the others in line behind it
	next time.Time     // guarded by turn
}

const paceBurst = 10

func newPace(rate float64) *pace {
	p := &pace{turn: make(chan struct{}, 1)}
	p.rate.Store(math.Float64bits(rate))
	return p
}

// wait lets the caller through at its turn, or reports ctx's end. Who gives up
// takes no turn.
func (p *pace) wait(ctx context.Context) error {
	rate := math.Float64frombits(p.rate.Load())
	if rate <= 0 {
		return ctx.Err()
	}
	select {
	case p.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-p.turn }()
	step := time.Duration(float64(time.Second) / rate)
	if p.next.IsZero() {
		p.next = time.Now()
	} else if oldest := time.Now().Add(-paceBurst * step); p.next.Before(oldest) {
		p.next = oldest
	}
	if err := pause(ctx, time.Until(p.next)); err != nil {
		return err
	}
	p.next = p.next.Add(step)
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errNoPhone = errors.New("simulate: no such phone")
