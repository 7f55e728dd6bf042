package email

import (
	"context"
	"errors"
	"net/textproto"
)

// transact hands over one mail and gives the server's last answer. The body is
// on its way when beforeDot is asked; without its yes, or after any fault
// before it, no dot is sent and the connection is done for: the server must
// throw the mail away (RFC 5321, 4.1.1.4).
func (s *session) transact(ctx context.Context, e envelope, beforeDot func() error) (string, error) {
	defer s.conn.follow(ctx)()
	s.mails++
	if err := s.begin(e); err != nil {
		return "", err
	}
	s.spoiled = true // until the answer to the dot: a RSET would be a line of the body
	s.arm()
	if err := s.writeBody(e.wire); err != nil {
		return "", failed(StepData, err)
	}
	if err := ctx.Err(); err != nil {
		return "", failed(StepData, err)
	}
	if err := beforeDot(); err != nil {
		return "", failed(StepData, &abortError{err})
	}
	s.conn.step(s.config.ReplyTimeout, s.config.Grace)
	return s.dot()
}

// abortError is the caller's own "no".
type abortError struct{ err error }

func (e *abortError) Error() string { return "aborted before the final dot: " + e.err.Error() }
func (e *abortError) Unwrap() error { return e.err }

// command is one line of ours and the code that lets us go on: three digits,
// or what they begin with.
type command struct {
	step   Step
	line   string
	expect int
}

func commandsOf(e envelope) []command {
	return []command{
		{StepMail, "MAIL FROM:<" + e.from + ">\r\n", 250},
		{StepRcpt, "RCPT TO:<" + e.to + ">\r\n", 25},
		{StepData, "DATA\r\n", 354},
	}
}

// begin opens a transaction; after it the server waits for the body. Where it
// offers PIPELINING (RFC 2920) that is one round trip, else three.
func (s *session) begin(e envelope) error {
	commands := commandsOf(e)
	if s.pipelined {
		return s.beginAtOnce(commands)
	}
	for _, c := range commands {
		s.arm()
		if err := s.write(c.line); err != nil {
			return failed(c.step, err)
		}
		if err := s.hear(c); err != nil {
			return err
		}
	}
	return nil
}

// beginAtOnce says everything and then hears every answer: a fault is that of
// the first step which failed, but the answers to the others have to be taken
// from the line before anything else is said.
func (s *session) beginAtOnce(commands []command) error {
	s.arm()
	lines := ""
	for _, c := range commands {
		lines += c.line
	}
	if err := s.write(lines); err != nil {
		s.spoiled = true
		return failed(commands[0].step, err)
	}
	var first error
	codes := map[Step]int{}
	for _, c := range commands {
		s.arm()
		err := s.hear(c)
		if first == nil {
			first = err
		}
		if err == nil {
			codes[c.step] = c.expect
			continue
		}
		var step *stepError
		if errors.As(err, &step) {
			codes[c.step], _ = step.answer()
		}
		if code := codes[c.step]; code == 0 || code == 421 { // it has gone, or is about to
			s.spoiled = true
			return first
		}
	}
	if first != nil && codes[StepData] == 354 {
		s.back(codes[StepRcpt])
	}
	return first
}

// back ends a transaction which the server opened although it refused a step
// of it. With no recipient a single dot does (RFC 2920, 3.1): there is nobody
// to deliver an empty mail to. If a recipient may have been taken, nothing but
// closing the connection is sure to deliver nothing.
func (s *session) back(rcpt int) {
	if rcpt < 400 || rcpt > 599 {
		s.spoiled = true
		return
	}
	s.arm()
	_, _ = s.dot() // it says no, as it should
}

// hear reads the answer to a command.
func (s *session) hear(c command) error {
	_, _, err := s.client.Text.ReadResponse(c.expect)
	return failed(c.step, err)
}

func (s *session) write(lines string) error {
	if _, err := s.client.Text.W.WriteString(lines); err != nil {
		return err
	}
	return s.client.Text.W.Flush()
}

// writeBody sends everything but the final dot at once: a write is a system
// call, or a few TLS records.
func (s *session) writeBody(wire [][]byte) error {
	s.out = s.out[:0]
	for _, piece := range wire {
		s.out = append(s.out, piece...)
	}
	if _, err := s.client.Text.W.Write(s.out); err != nil { // nothing waits in the buffer: this passes it by
		return err
	}
	return s.client.Text.W.Flush()
}

// dot ends the body and hears the answer. That the dot could not be written is
// no answer: one may be there all the same, and what was written is unsure.
func (s *session) dot() (string, error) {
	_ = s.write(".\r\n")
	_, text, err := s.client.Text.ReadResponse(250)
	var reply *textproto.Error
	s.spoiled = err != nil && !errors.As(err, &reply)
	return text, failed(StepDot, err)
}
