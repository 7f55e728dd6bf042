package simulate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
)

// MailOptions are how a mail server behaves. The zero value takes every mail.
type MailOptions struct {
	Addr string // default 127.0.0.1:0
	// Log gets one JSON line per mail taken, before the answer goes out, so
	// that a killed sender can be held against it. With Sync it is also
	// flushed to disk there (Log must have a Sync method, as *os.File).
	Log  io.Writer
	Sync bool
	// Answer may change the answer to a step; nil, or a nil answer, is the
	// usual one. It runs in the connection's own goroutine: one that blocks
	// delays the reply of that connection only ("connect": of every new one).
	Answer func(MailStep) *MailAnswer
	// TLS offers STARTTLS with this configuration.
	TLS *tls.Config
	// Users, when given, must log in (AUTH PLAIN): name to password.
	Users map[string]string
	// Keep bounds the mails held in memory; the oldest are dropped (5,000).
	Keep int
	Now  func() time.Time
}

// MailStep is a moment at which a mail server may misbehave.
type MailStep struct {
	Verb string // "connect", "mail", "rcpt", "body" (354 was said, nothing read), "dot" (everything read, nothing answered)
	From string
	To   string
	Try  int   // of this verb and recipient on this server, from 1
	Mail *Mail // at "dot"
}

// MailAnswer is an answer out of the ordinary.
type MailAnswer struct {
	Code     int    // 421, 451, 550…; 0: the usual answer
	Enhanced [3]int // {5, 1, 1}; zero: none
	Text     string
	Drop     bool          // close the connection without any answer; at "dot" the mail is taken all the same
	Delay    time.Duration // before the answer; ends early when the server closes
}

// MailServer is an SMTP server on loopback that keeps what it is sent. At
// "dot" it takes (and logs) a mail before it answers, as real ones do: that is
// what makes an answer that gets lost ambiguous.
type MailServer struct {
	options  MailOptions
	server   *smtp.Server
	listener net.Listener
	addr     string
	closed   chan struct{}
	served   chan error

	mu      sync.Mutex
	mails   []Mail
	taken   int
	tries   map[string]int
	changed chan struct{} // closed and replaced at every mail
}

// NewMailServer starts a mail server.
func NewMailServer(o MailOptions) (*MailServer, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Keep == 0 {
		o.Keep = 5000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if _, ok := o.Log.(interface{ Sync() error }); o.Sync && !ok {
		return nil, errors.New("simulate.NewMailServer: Sync needs a Log that has a Sync method")
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("simulate.NewMailServer: %w", err)
	}
	s := &MailServer{options: o, listener: listener, addr: listener.Addr().String(), closed: make(chan struct{}), served: make(chan error, 1),
		tries: map[string]int{}, changed: make(chan struct{})}
	s.server = smtp.NewServer(mailBackend{s})
	s.server.Domain = "localhost"
	s.server.MaxMessageBytes = 10 << 20
	s.server.AllowInsecureAuth = true
	s.server.ErrorLog = quiet{}
	s.server.TLSConfig = o.TLS
	go func() { s.served <- s.server.Serve(&mailListener{listener, s}) }()
	return s, nil
}

// quiet is the library's log: what it reports, dropped connections, is what
// this server is for.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// Addr is host:port.
func (s *MailServer) Addr() string { return s.addr }

// URL is what SMTP_URL would be.
func (s *MailServer) URL() string { return "smtp://" + s.addr }

// Close ends the server and every connection.
func (s *MailServer) Close() error {
	select {
	case <-s.closed:
		return nil
	default:
	}
	close(s.closed)
	// The server knows its listener only once Serve has begun: close it here
	// too, or a server closed at once would serve for ever.
	err := s.server.Close()
	if lerr := s.listener.Close(); err == nil && !errors.Is(lerr, net.ErrClosed) {
		err = lerr
	}
	_ = <-s.served // Serve ends because it was closed
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("simulate: close mail server: %w", err)
	}
	return nil
}

// Mails are the mails taken, oldest first (the newest Keep of them).
func (s *MailServer) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Taken counts every mail taken, also those no longer held.
func (s *MailServer) Taken() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// ByMessageID are the mails held under one Message-ID (without brackets): one,
// if everything went right.
func (s *MailServer) ByMessageID(id string) []Mail {
	return s.matching(func(m Mail) bool { return m.MessageID == id })
}

// To are the mails held for one address.
func (s *MailServer) To(address string) []Mail {
	return s.matching(func(m Mail) bool { return m.To == address })
}

func (s *MailServer) matching(ok func(Mail) bool) []Mail {
	return slices.DeleteFunc(s.Mails(), func(m Mail) bool { return !ok(m) })
}

// Wait waits until n mails have been taken.
func (s *MailServer) Wait(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		taken, changed := s.taken, s.changed
		s.mu.Unlock()
		if taken >= n {
			return nil
		}
		select {
		case <-changed:
		case <-s.closed:
			return fmt.Errorf("simulate: mail server closed with %d of %d mails", taken, n)
		case <-ctx.Done():
			return fmt.Errorf("simulate: waiting for %d mails, %d came: %w", n, taken, ctx.Err())
		}
	}
}

// take keeps a mail, in the log first.
func (s *MailServer) take(m Mail) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.write(m); err != nil {
		return err
	}
	s.mails = append(s.mails, m)
	if len(s.mails) > s.options.Keep {
		s.mails = slices.Delete(s.mails, 0, len(s.mails)-s.options.Keep)
	}
	s.taken++
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// MailLine is a line of the log.
type MailLine struct {
	At        time.Time `json:"at"`
	MessageID string    `json:"messageID"`
	From      string    `json:"from"`
	To        string    `json:"to"`
	Subject   string    `json:"subject"`
	Bytes     int       `json:"bytes"`
}

func (s *MailServer) write(m Mail) error {
	if s.options.Log == nil {
		return nil
	}
	line, err := json.Marshal(MailLine{m.At, m.MessageID, m.From, m.To, m.Subject, len(m.Raw)})
	if err != nil {
		return fmt.Errorf("simulate: mail log: %w", err)
	}
	if _, err := s.options.Log.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("simulate: mail log: %w", err)
	}
	if f, ok := s.options.Log.(interface{ Sync() error }); ok && s.options.Sync {
		return f.Sync()
	}
	return nil
}
