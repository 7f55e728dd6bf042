package email

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// session is one SMTP connection. It is used by one Send at a time.
type session struct {
	config    Config
	conn      *boundedConn
	client    *smtp.Client
	pipelined bool // the server takes commands before it has answered those before
	mails     int
	idle      time.Time // since when
	out       []byte    // the mail on its way; kept for the next
	// spoiled: the server may wait for a body, or its answers and our questions
	// no longer belong together. Nothing may be said any more.
	spoiled bool
}

// stepError is what went wrong, and where.
type stepError struct {
	step Step
	err  error
}

func (e *stepError) Error() string { return fmt.Sprintf("smtp %s: %v", e.step, e.err) }
func (e *stepError) Unwrap() error { return e.err }

// code and text of the answer; 0 when there was none.
func (e *stepError) answer() (int, string) {
	var reply *textproto.Error
	if errors.As(e.err, &reply) {
		return reply.Code, reply.Msg
	}
	return 0, ""
}

func failed(step Step, err error) error {
	if err == nil {
		return nil
	}
	return &stepError{step, err}
}

// errNoTLS is a server that offers no encryption where it is required.
var errNoTLS = errors.New("the server offers no STARTTLS and is not on this machine")

// open connects, secures and logs in.
func open(ctx context.Context, c Config, hello string) (*session, error) {
	tcp, err := c.Dial(ctx, "tcp", c.Server.Addr())
	if err != nil {
		return nil, failed(StepConnect, err)
	}
	s := &session{config: c, conn: &boundedConn{Conn: tcp}}
	stop := s.conn.follow(ctx)
	defer stop()
	if err := s.greet(ctx, hello); err != nil {
		s.conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *session) greet(ctx context.Context, hello string) error {
	s.arm()
	var conn net.Conn = s.conn
	if s.config.Server.TLS {
		t := tls.Client(s.conn, s.tls())
		if err := t.HandshakeContext(ctx); err != nil {
			return failed(StepTLS, err)
		}
		conn = t
	}
	client, err := smtp.NewClient(conn, s.config.Server.Host)
	if err != nil {
		return failed(StepConnect, err)
	}
	s.client = client
	client.SkipSMTPUTF8(true) // CheckAddress lets ASCII through only
	s.arm()
	if err := client.Hello(hello); err != nil {
		return failed(StepConnect, err)
	}
	if err := s.secure(); err != nil {
		return failed(StepTLS, err)
	}
	if err := s.login(); err != nil {
		return failed(StepAuth, err)
	}
	s.pipelined, _ = client.Extension("PIPELINING")
	return nil
}

func (s *session) tls() *tls.Config {
	return &tls.Config{ServerName: s.config.Server.Host, MinVersion: tls.VersionTLS12, RootCAs: s.config.RootCAs}
}

// secure does STARTTLS. What a server (or somebody between) says before the
// handshake is not believed after it: the client asks EHLO anew and drops what
// was already read (CVE-2011-0411's class).
func (s *session) secure() error {
	server := s.config.Server
	needed := s.config.RequireTLS || !server.Loopback() && !server.Plain
	if server.TLS || !needed {
		return nil
	}
	if offered, _ := s.client.Extension("STARTTLS"); !offered {
		return errNoTLS
	}
	s.arm()
	return s.client.StartTLS(s.tls())
}

func (s *session) login() error {
	server := s.config.Server
	if server.User == "" {
		return nil
	}
	_, offered := s.client.Extension("AUTH")
	methods := strings.Fields(strings.ToUpper(offered))
	s.arm()
	switch {
	case slices.Contains(methods, "PLAIN"):
		return s.client.Auth(smtp.PlainAuth("", server.User, server.Password, server.Host, false))
	case slices.Contains(methods, "LOGIN"):
		return s.client.Auth(smtp.LoginAuth(server.User, server.Password, server.Host, false))
	}
	return fmt.Errorf("the server offers neither AUTH PLAIN nor LOGIN, but %q", offered)
}

// reset ends a refused transaction, so that the connection can carry another.
func (s *session) reset(ctx context.Context) bool {
	if s.spoiled {
		return false
	}
	defer s.conn.follow(ctx)()
	s.arm()
	return s.client.Reset() == nil
}

// arm begins a step before the dot: a context that ends, ends it at once.
func (s *session) arm() { s.conn.step(s.config.StepTimeout, 0) }

// quit says goodbye and closes; a server that does not answer is not waited for.
func (s *session) quit() {
	s.conn.step(time.Second, 0)
	if s.client.Quit() != nil {
		_ = s.conn.Close()
	}
}
