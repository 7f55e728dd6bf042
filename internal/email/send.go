package email

import (
	"context"
	"errors"

	"dateline/internal/news"
)

// Send hands one mail to the SMTP server and says what became of it. It never
// retries.
//
// beforeDot (nil for none) is asked once, after the whole body has been
// written and right before the final dot: the last moment at which nothing has
// happened yet. Its error ends the transaction without the dot; the receipt is
// then Retry with reason "aborted". Once it has agreed, the outcome is
// Accepted, Retry or Refused by the server's answer, or Ambiguous when that
// answer did not come: a connection that dies then leaves it open whether the
// server has the mail, and so does a context that ends (after Config.Grace).
func (m *Mailer) Send(ctx context.Context, envelopeFrom, to string, raw []byte, beforeDot func() error) news.Receipt {
	if !wellFormed(raw) {
		return m.send(ctx, envelopeFrom, to, nil, beforeDot)
	}
	return m.send(ctx, envelopeFrom, to, [][]byte{stuff(raw)}, beforeDot)
}

// SendLetter is Send for a copy of a plate, whose bytes were proven when they
// were made.
func (m *Mailer) SendLetter(ctx context.Context, envelopeFrom, to string, l *Letter, beforeDot func() error) news.Receipt {
	return m.send(ctx, envelopeFrom, to, l.wire, beforeDot)
}

// send takes bytes that are well formed and dot-stuffed; none are a mail that
// is not.
func (m *Mailer) send(ctx context.Context, envelopeFrom, to string, wire [][]byte, beforeDot func() error) news.Receipt {
	if beforeDot == nil {
		beforeDot = func() error { return nil }
	}
	e, reason := checkEnvelope(envelopeFrom, to, wire)
	if reason != "" {
		return news.Receipt{Outcome: news.Refused, Reason: reason, SlowOrigin: reason == ReasonMalformed}
	}
	if err := m.pool.enter(ctx); err != nil {
		return news.Receipt{Outcome: news.Retry, Reason: ReasonAborted}
	}
	defer m.pool.leave()
	s, reply, err := m.deliver(ctx, e, beforeDot)
	r := receiptOf(reply, err)
	if r.Outcome == news.Retry && r.Status == 0 && ctx.Err() != nil {
		r.Reason, r.SlowOrigin = ReasonAborted, false // we left, nobody else failed
	}
	m.settle(ctx, s, r)
	m.log.DebugContext(ctx, "mail", "outcome", r.Outcome.String(), "reason", r.Reason, "status", r.Status)
	return r
}

// deliver uses an idle connection or a new one. A server may close an idle
// connection at any time: where the very first command on one fails, nothing
// of this mail was said yet, and a new connection is no second attempt.
func (m *Mailer) deliver(ctx context.Context, e envelope, beforeDot func() error) (*session, string, error) {
	for s := m.pool.take(); s != nil; s = m.pool.take() {
		reply, err := s.transact(ctx, e, beforeDot)
		if !staleConnection(err) || ctx.Err() != nil {
			return s, reply, err
		}
		_ = s.conn.Close()
	}
	s, err := open(ctx, m.config, m.domain)
	if err != nil {
		return nil, "", err
	}
	reply, err := s.transact(ctx, e, beforeDot)
	return s, reply, err
}

func staleConnection(err error) bool {
	var step *stepError
	if !errors.As(err, &step) || step.step != StepMail {
		return false
	}
	code, _ := step.answer()
	return code == 0 || code == 421
}

// settle keeps the connection where its state is known, else ends it.
func (m *Mailer) settle(ctx context.Context, s *session, r news.Receipt) {
	switch {
	case s == nil:
	case r.Outcome == news.Accepted:
		m.pool.keep(s) // a 250 to the dot resets the transaction by itself
	case r.Status != 0 && r.Status != 421 && ctx.Err() == nil && s.reset(ctx):
		m.pool.keep(s)
	default:
		_ = s.conn.Close()
	}
}

func receiptOf(reply string, err error) news.Receipt {
	if err == nil {
		return ReceiptFor(StepDot, 250, reply)
	}
	var abort *abortError
	if errors.As(err, &abort) {
		return news.Receipt{Outcome: news.Retry, Reason: ReasonAborted}
	}
	var step *stepError
	if !errors.As(err, &step) {
		return ReceiptFor(StepConnect, 0, err.Error())
	}
	code, text := step.answer()
	if code == 0 {
		text = step.err.Error() // nobody answered: what happened instead
	}
	return ReceiptFor(step.step, code, text)
}

// envelope is one mail as it goes on the wire: its addresses as CheckAddress
// spells them, its bytes well formed and dot-stuffed.
type envelope struct {
	from, to string
	wire     [][]byte
}

// checkEnvelope is the last guard before the wire. A reason means no.
func checkEnvelope(from, to string, wire [][]byte) (envelope, string) {
	cleanFrom, err := CheckAddress(from)
	if err != nil {
		return envelope{}, ReasonAddress
	}
	cleanTo, err := CheckAddress(to)
	if err != nil {
		return envelope{}, ReasonAddress
	}
	if len(wire) == 0 {
		return envelope{}, ReasonMalformed
	}
	return envelope{cleanFrom, cleanTo, wire}, ""
}
