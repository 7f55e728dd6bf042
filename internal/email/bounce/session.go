package bounce

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"sync"

	"github.com/emersion/go-smtp"

	"dateline/internal/email"
)

// The answers that are not the library's. None tells more than the sender knew.
var (
	unknownRecipient = &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "No such mailbox here"}
	comeAgain        = &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "Not taken, come again later"}
	tooLongLine      = &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 3, 4}, Message: "A line is too long"}
	closingDown      = &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "Closing down, come again later"}
)

// maxGuesses is how many unknown recipients one connection may name: a server
// that delivers what came back names one.
const maxGuesses = 10

// session is one conversation. The library may reset it while a mail that comes
// in chunks is still being read (BDAT), hence the lock.
type session struct {
	server  *Server
	visitor *visitor

	mu      sync.Mutex
	guesses int
	token   string
}

func (s *Server) greet(c *smtp.Conn) (smtp.Session, error) {
	conn := c.Conn()
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	v, ok := conn.(*visitor)
	if !ok {
		return nil, fmt.Errorf("a connection that came in by no door: %T", conn)
	}
	return &session{server: s, visitor: v}, nil
}

// Mail takes every sender: reports have none (<>), complaints and people do.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt takes our addresses alone.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	token, ours := email.TokenOf(s.server.config.Address, to)
	if !ours || token != "" && !s.server.config.Known(token) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.guesses++; s.guesses >= maxGuesses {
			s.visitor.finish()
		}
		return unknownRecipient
	}
	s.visitor.expect()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
	return nil
}

// Data reads a mail and has it taken. Whatever goes wrong, a panic included,
// the sender keeps the mail.
func (s *session) Data(r io.Reader) (err error) {
	if !s.visitor.begin() {
		return closingDown
	}
	defer s.visitor.end()
	s.mu.Lock()
	token := s.token
	s.mu.Unlock()
	raw, err := io.ReadAll(r)
	switch {
	case errors.Is(err, smtp.ErrDataTooLarge):
		s.visitor.finish() // what follows is read up to its dot, if that comes in time
		return smtp.ErrDataTooLarge
	case errors.Is(err, smtp.ErrTooLongLine):
		s.visitor.hangUp()
		return tooLongLine
	case err != nil: // half a mail
		s.visitor.hangUp()
		return comeAgain
	case s.server.ctx.Err() != nil:
		return closingDown
	}
	return s.server.take(token, raw)
}

// take has a mail taken that is here in full.
func (s *Server) take(token string, raw []byte) (err error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.config.TakeTimeout)
	defer cancel()
	defer func() {
		if fault := recover(); fault != nil {
			s.log.Error("panic while a mail was taken", "stack", string(debug.Stack()))
			err = comeAgain
		}
	}()
	d := Delivery{Token: token, Report: Read(raw, s.config.Address), Size: len(raw)}
	if err := s.config.Take(ctx, d); err != nil {
		s.log.ErrorContext(ctx, "a mail that came back was not taken: its sender will try again", "kind", d.Report.Kind, "bytes", d.Size, "error", err)
		return comeAgain
	}
	s.log.DebugContext(ctx, "a mail came back", "kind", d.Report.Kind, "status", d.Report.Status, "bytes", d.Size)
	return nil
}

// Reset forgets the recipient. After a mail the library calls it too.
func (s *session) Reset() {
	s.visitor.giveUp()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = ""
}

// Logout comes with the end of the connection, and before TLS begins.
func (s *session) Logout() error {
	s.visitor.giveUp()
	return nil
}
