package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// errDropped ends a session whose connection was closed on purpose.
var errDropped = errors.New("dropped on purpose")

// decide finds out how to behave at a step, and waits as long as it is told
// to; nil is the usual way.
func (s *MailServer) decide(step MailStep) *MailAnswer {
	if s.options.Answer == nil {
		return nil
	}
	s.mu.Lock()
	key := step.Verb + " " + step.To
	s.tries[key]++
	step.Try = s.tries[key]
	s.mu.Unlock()
	answer := s.options.Answer(step)
	if answer != nil {
		s.wait(answer.Delay)
	}
	return answer
}

// act is an answer as an error to answer with: nil for the usual one,
// errDropped after closing the connection.
func (a *MailAnswer) act(conn net.Conn) error {
	switch {
	case a == nil || a.Code == 0 && !a.Drop:
		return nil
	case a.Drop:
		_ = conn.Close()
		return errDropped
	}
	enhanced := smtp.EnhancedCode(a.Enhanced)
	if enhanced == smtp.EnhancedCodeNotSet {
		enhanced = smtp.NoEnhancedCode
	}
	return &smtp.SMTPError{Code: a.Code, EnhancedCode: enhanced, Message: a.Text}
}

func (s *MailServer) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.closed:
	}
}

// mailListener asks at "connect", and closes connections after a 421 as the
// RFC wants (go-smtp leaves them open).
type mailListener struct {
	net.Listener
	server *MailServer
}

func (l *mailListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		fault := l.server.decide(MailStep{Verb: "connect"}).act(conn)
		if fault == nil {
			return &mailConn{conn}, nil
		}
		var reply *smtp.SMTPError
		if errors.As(fault, &reply) {
			fmt.Fprintf(conn, "%d %s\r\n", reply.Code, reply.Message)
		}
		_ = conn.Close()
	}
}

type mailConn struct{ net.Conn }

func (c *mailConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if bytes.HasPrefix(p, []byte("421 ")) {
		_ = c.Close()
	}
	return n, err
}

type mailBackend struct{ server *MailServer }

func (b mailBackend) NewSession(c *smtp.Conn) (smtp.Session, error) {
	return &mailSession{server: b.server, conn: c, known: len(b.server.options.Users) == 0}, nil
}

// mailSession is one connection's conversation.
type mailSession struct {
	server   *MailServer
	conn     *smtp.Conn
	known    bool // logged in, or nobody needs to
	from, to string
}

func (s *mailSession) ask(verb string) error {
	return s.server.decide(MailStep{Verb: verb, From: s.from, To: s.to}).act(s.conn.Conn())
}

func (s *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !s.known {
		return smtp.ErrAuthRequired
	}
	s.from, s.to = from, ""
	return s.ask("mail")
}

func (s *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.to != "" { // one reader per transaction, as we send
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "too many recipients"}
	}
	s.to = to
	err := s.ask("rcpt")
	if err != nil {
		s.to = ""
	}
	return err
}

func (s *mailSession) Data(r io.Reader) error {
	if err := s.ask("body"); err != nil {
		if !errors.Is(err, errDropped) {
			_, _ = io.Copy(io.Discard, r)
		}
		return err
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		return err // no final dot came: nothing was sent
	}
	m := readMail(raw)
	m.From, m.To, m.At = s.from, s.to, s.server.options.Now().UTC()
	answer := s.server.decide(MailStep{Verb: "dot", From: s.from, To: s.to, Mail: &m})
	if answer == nil || answer.Drop || answer.Code == 0 {
		// Before the answer, or its loss: the sender must not be able to know
		// more than we do.
		if err := s.server.take(m); err != nil {
			return err
		}
	}
	return answer.act(s.conn.Conn())
}

func (s *mailSession) Reset()        { s.from, s.to = "", "" }
func (s *mailSession) Logout() error { return nil }

func (s *mailSession) AuthMechanisms() []string {
	if len(s.server.options.Users) == 0 {
		return nil
	}
	return []string{sasl.Plain}
}

func (s *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if want, ok := s.server.options.Users[user]; !ok || want != password {
			return smtp.ErrAuthFailed
		}
		s.known = true
		return nil
	}), nil
}
