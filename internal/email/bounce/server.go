package bounce

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"dateline/internal/email"
)

// Delivery is one mail that came in.
type Delivery struct {
	// Token is the one of the envelope's recipient, "" for the bare address:
	// there complaints come, and the replies of people.
	Token  string
	Report Report
	Size   int
}

// Config is what a Server needs. Zero numbers and durations take the defaults.
type Config struct {
	// Addr is where to listen, host:port.
	Addr string
	// Address is the base: mails for it and for its addresses with a token are
	// taken, and no others.
	Address string
	// Known says whether a token is one of ours. It is asked for every recipient
	// a stranger names, and must take the same time for all.
	Known func(token string) bool
	// Take gets each mail. The sender hears that the mail was taken when it
	// returns nil, and is asked to come again when it does not: it may see a mail
	// twice (C23), and has Report.ID to know it by.
	Take func(ctx context.Context, d Delivery) error
	// MaxBytes bounds a mail (1 MiB): a report with our mail in it has some
	// 100 KB. So much memory a connection may take, some times over.
	MaxBytes int64
	// MaxConnections at a time (50); others hear 421 and come again.
	MaxConnections int
	// ReadTimeout is how long a command, or a whole mail, may take to arrive
	// (2 min: RFC 5321, 4.5.3.2 would have 5 and more, which is for mails far
	// larger and lines far slower); ConnectionTimeout ends any conversation
	// (10 min), however lively.
	ReadTimeout, ConnectionTimeout time.Duration
	// WriteTimeout is how long an answer may take to leave (30 s), TakeTimeout
	// how long Take may think (1 min; senders wait 10: RFC 5321, 4.5.3.2.6).
	WriteTimeout, TakeTimeout time.Duration
	// Grace is how long Close lets a mail that is arriving, or being taken, go on
	// (5 s).
	Grace time.Duration
	// TLSConfig, when given, offers STARTTLS.
	TLSConfig *tls.Config
	Logger    *slog.Logger
}

// Server takes the mails that come back, over SMTP. It passes nothing on and
// sends nothing.
type Server struct {
	config   Config
	log      *slog.Logger
	smtp     *smtp.Server
	listener *door
	ctx      context.Context // of Take; ends when Close will wait no longer
	cancel   context.CancelFunc
	warned   atomic.Int64 // when somebody was turned away: Unix seconds
	closing  sync.Once
	closed   error
}

// Listen opens the address; Run answers there.
func Listen(c Config) (*Server, error) {
	base, err := email.CheckAddress(c.Address)
	if err != nil {
		return nil, fmt.Errorf("bounce.Listen: the address that mails come back to: %w", err)
	}
	if c.Known == nil || c.Take == nil {
		return nil, errors.New("bounce.Listen: Known and Take are needed")
	}
	c.Address = base
	c = c.withDefaults()
	listener, err := net.Listen("tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("bounce.Listen: %w (choose another address to listen on, or stop the program that has it)", err)
	}
	s := &Server{config: c, log: c.Logger.With("component", "bounce")}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.listener = &door{Listener: listener, limit: c.MaxConnections, life: c.ConnectionTimeout, turnedAway: s.turnedAway, inside: map[*visitor]bool{}}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.greet))
	s.smtp.Domain = base[strings.LastIndexByte(base, '@')+1:]
	s.smtp.MaxMessageBytes = c.MaxBytes
	s.smtp.MaxLineLength = maxLine
	s.smtp.MaxRecipients = 1 // a mail is about one mail of ours; beyond: 452 4.5.3
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = c.ReadTimeout, c.WriteTimeout
	s.smtp.EnableSMTPUTF8 = true // a report on an address that is not ASCII needs it (RFC 6533)
	s.smtp.TLSConfig = c.TLSConfig
	s.smtp.ErrorLog = discretion{s.log}
	return s, nil
}

// maxLine is far more than RFC 5321 allows in a mail (1,000): there are servers
// that put a transcript into one line, and a mail refused for that is a bounce
// lost.
const maxLine = 128 << 10

func (c Config) withDefaults() Config {
	c.MaxBytes = cmp.Or(c.MaxBytes, 1<<20)
	c.MaxConnections = cmp.Or(c.MaxConnections, 50)
	c.ReadTimeout = cmp.Or(c.ReadTimeout, 2*time.Minute)
	c.ConnectionTimeout = cmp.Or(c.ConnectionTimeout, 10*time.Minute)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, 30*time.Second)
	c.TakeTimeout = cmp.Or(c.TakeTimeout, time.Minute)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Run answers until the context ends or Close is called, and then drains. Any
// other end is an error.
func (s *Server) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	err := s.smtp.Serve(s.listener)
	if s.listener.shut() {
		return s.Close()
	}
	return errors.Join(fmt.Errorf("bounce.Run: %w", err), s.Close())
}

// Close hangs up where nothing is under way, waits for Grace for the mails that
// are, and ends the rest: what was not acknowledged will come again. It may be
// called more than once, and before Run.
func (s *Server) Close() error {
	s.closing.Do(func() { s.closed = s.drain() })
	return s.closed
}

func (s *Server) drain() error {
	defer s.cancel()
	err := s.listener.Close()
	patience := time.AfterFunc(s.config.Grace, func() {
		s.cancel()
		s.listener.evict()
	})
	defer patience.Stop()
	last := time.NewTimer(2 * s.config.Grace)
	defer last.Stop()
	select {
	case <-s.listener.empty():
	case <-last.C:
		err = errors.Join(err, errors.New("a mail is still being taken: Take does not heed its context"))
	}
	if err != nil {
		return fmt.Errorf("bounce.Close: %w", err)
	}
	return nil
}

// turnedAway warns once a minute: whoever fills the connections may go on for
// long.
func (s *Server) turnedAway() {
	now, last := time.Now().Unix(), s.warned.Load()
	if now-last < 60 || !s.warned.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn("too many connections of mail servers", "limit", s.config.MaxConnections)
}

// discretion is the library's log. Its lines hold remote addresses and what
// strangers typed; that something went wrong is enough.
type discretion struct{ log *slog.Logger }

func (d discretion) Printf(format string, _ ...any) {
	if strings.HasPrefix(format, "panic") {
		d.log.Error("panic while a mail server was being answered")
		return
	}
	d.log.Debug("a mail server's connection ended with a fault")
}

func (d discretion) Println(...any) { d.Printf("") }
