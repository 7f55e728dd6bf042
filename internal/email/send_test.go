package email

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

const reader = "reader@mail.example"

func startServer(t *testing.T, o simulate.MailOptions) *simulate.MailServer {
	t.Helper()
	s, err := simulate.NewMailServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newMailer(t *testing.T, url string, change func(*Config)) *Mailer {
	t.Helper()
	server, err := ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Server: server, From: "Asia Desk <digest@news.example>"}
	if change != nil {
		change(&c)
	}
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func compose(t *testing.T, m *Mailer, id string) []byte {
	t.Helper()
	mail := sampleMail()
	mail.MessageID = id + "@news.example"
	raw, err := m.Compose(mail)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func check(t *testing.T, got news.Receipt, outcome news.Outcome, reason string) {
	t.Helper()
	if got.Outcome != outcome || got.Reason != reason {
		t.Errorf("receipt %+v, want %s %s", got, outcome, reason)
	}
}

func TestSendAccepted(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), nil)
	asked := 0
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), func() error {
		asked++
		if s.Taken() != 0 {
			t.Error("the server had the mail before beforeDot was asked")
		}
		return nil
	})
	check(t, got, news.Accepted, ReasonAccepted)
	if asked != 1 || len(s.ByMessageID("one@news.example")) != 1 {
		t.Errorf("asked %d times, %d mails", asked, s.Taken())
	}
	mails := s.To(reader)
	if len(mails) != 1 || mails[0].From != "digest@news.example" {
		t.Errorf("mails: %+v", mails)
	}
}

// Without an answer of the server the receipt says what happened instead:
// whoever reads "tls" or "connection" alone knows nothing to mend.
func TestReceiptSaysWhatFailed(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := tcp.Addr().String()
	_ = tcp.Close()
	m := newMailer(t, "smtp://"+nobody, nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	check(t, got, news.Retry, ReasonConnection)
	if !strings.Contains(got.Detail, "refused") {
		t.Errorf("nobody listens: %+v", got)
	}
	s := startServer(t, simulate.MailOptions{})
	m = newMailer(t, s.URL(), func(c *Config) { c.RequireTLS = true })
	got = m.Send(t.Context(), m.Address(), reader, compose(t, m, "two"), nil)
	check(t, got, news.Retry, ReasonTLS)
	if !strings.Contains(got.Detail, "STARTTLS") {
		t.Errorf("no STARTTLS: %+v", got)
	}
}

// T51: 421 wherever it may come; the reader is never to blame.
func TestT51ServerSays421(t *testing.T) {
	for _, verb := range []string{"connect", "mail", "rcpt", "dot"} {
		s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
			if step.Verb == verb {
				return &simulate.MailAnswer{Code: 421, Enhanced: [3]int{4, 7, 28}, Text: "rate limited"}
			}
			return nil
		}})
		m := newMailer(t, s.URL(), nil)
		got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
		check(t, got, news.Retry, ReasonThrottled)
		if got.After < 15*time.Minute || !got.SlowOrigin || s.Taken() != 0 {
			t.Errorf("421 at %s: %+v, %d taken", verb, got, s.Taken())
		}
	}
}

// T51, after DATA: before a byte of the body.
func TestT51ServerSays421ToData(t *testing.T) {
	addr := script(t, func(c *conversation) {
		c.say("220 hello")
		c.expect("EHLO", "250 hello")
		c.expect("MAIL", "250 ok")
		c.expect("RCPT", "250 ok")
		c.expect("DATA", "421 4.3.2 shutting down")
	})
	m := newMailer(t, "smtp://"+addr, nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), func() error {
		t.Error("beforeDot was asked")
		return nil
	})
	check(t, got, news.Retry, ReasonThrottled)
}

// T52: the connection dies right after the final dot.
func TestT52DropAfterTheDot(t *testing.T) {
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" {
			return &simulate.MailAnswer{Drop: true}
		}
		return nil
	}})
	m := newMailer(t, s.URL(), nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	check(t, got, news.Ambiguous, ReasonNoAnswer)
	if s.Taken() != 1 {
		t.Errorf("%d taken: the server had the mail", s.Taken())
	}
}

// T53: a late answer is an answer; one that is later than the limit is
// ambiguous.
func TestT53LateAnswer(t *testing.T) {
	release := make(chan struct{})
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" {
			<-release
		}
		return nil
	}})
	m := newMailer(t, s.URL(), func(c *Config) { c.StepTimeout = time.Second })
	done := make(chan news.Receipt)
	raw := compose(t, m, "one")
	go func() { done <- m.Send(t.Context(), m.Address(), reader, raw, nil) }()
	close(release)
	check(t, <-done, news.Accepted, ReasonAccepted)

	blocked := make(chan struct{})
	defer close(blocked)
	s = startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" {
			<-blocked
		}
		return nil
	}})
	m = newMailer(t, s.URL(), func(c *Config) { c.ReplyTimeout = 20 * time.Millisecond })
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Ambiguous, ReasonNoAnswer)
}

// T54: greylisted, then taken; the second attempt is the caller's.
func TestT54Greylisting(t *testing.T) {
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "rcpt" && step.Try == 1 {
			return &simulate.MailAnswer{Code: 451, Enhanced: [3]int{4, 7, 1}, Text: "greylisted"}
		}
		return nil
	}})
	m := newMailer(t, s.URL(), nil)
	raw := compose(t, m, "one")
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Retry, ReasonDeferred)
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Accepted, ReasonAccepted)
	if s.Taken() != 1 {
		t.Errorf("%d taken", s.Taken())
	}
}

// T55: answers of many lines and of 70 KB are answers; one without end is not.
func TestT55LongReplies(t *testing.T) {
	long := strings.Repeat("250-"+strings.Repeat("x", 500)+"\r\n", 140)
	m := newMailer(t, "smtp://"+script(t, taking(long+"250 2.0.0 queued")), nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	check(t, got, news.Accepted, ReasonAccepted)
	if len(got.Detail) > maxReply+4 {
		t.Errorf("detail of %d bytes", len(got.Detail))
	}
	endless := "250-" + strings.Repeat("x", maxAnswer+10)
	m = newMailer(t, "smtp://"+script(t, taking(endless)), nil)
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Ambiguous, ReasonNoAnswer)
}

// T58: an address that is not ASCII would need SMTPUTF8, which we don't offer.
func TestT58NonASCIIAddress(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), nil)
	raw := compose(t, m, "one")
	check(t, m.Send(t.Context(), m.Address(), "名@mail.example", raw, nil), news.Refused, ReasonAddress)
	check(t, m.Send(t.Context(), m.Address(), "reader@例え.example", raw, nil), news.Accepted, ReasonAccepted)
	if got := s.Mails(); len(got) != 1 || got[0].To != "reader@xn--r8jz45g.example" {
		t.Errorf("mails: %+v", got)
	}
}

// T60, on the wire: no address can become an SMTP command.
func TestT60NoCommandInjection(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), nil)
	raw := compose(t, m, "one")
	for _, to := range []string{"a@b\r\nRCPT TO:<c@d.example>", `"a> ORCPT=x"@b.c`, "a@b.example>\r\nDATA"} {
		check(t, m.Send(t.Context(), m.Address(), to, raw, nil), news.Refused, ReasonAddress)
		check(t, m.Send(t.Context(), to, reader, raw, nil), news.Refused, ReasonAddress)
	}
	if s.Taken() != 0 {
		t.Errorf("%d taken", s.Taken())
	}
}

// T61: a body can't end the mail and begin another.
func TestT61DotInBody(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), nil)
	mail := sampleMail()
	mail.Text = "before\n.\nMAIL FROM:<evil@news.example>\n..\n.\r\nafter\r.\rend"
	raw, err := m.Compose(mail)
	if err != nil {
		t.Fatal(err)
	}
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Accepted, ReasonAccepted)
	mails := s.Mails()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	text, _, err := mails[0].Parts()
	if err != nil || !strings.Contains(text, "\r\n.\r\nMAIL FROM:<evil@news.example>\r\n..\r\n.\r\nafter") {
		t.Errorf("text: %q, %v", text, err)
	}
	for _, bad := range []string{"a: b\n.\nc\r\n", "a: b\r\n\r\nx\r\n.\ry\r\n", "a: b\r\n\r\né\r\n", "a: b\r\n\r\n" + strings.Repeat("x", 999) + "\r\n", "no end"} {
		check(t, m.Send(t.Context(), m.Address(), reader, []byte(bad), nil), news.Refused, ReasonMalformed)
	}
}

func TestSendAbortedBeforeTheDot(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), nil)
	raw := compose(t, m, "one")
	got := m.Send(t.Context(), m.Address(), reader, raw, func() error { return errors.New("somebody else has it") })
	check(t, got, news.Retry, ReasonAborted)
	// The next mail must not become part of the aborted one.
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "two"), nil), news.Accepted, ReasonAccepted)
	if s.Taken() != 1 || len(s.ByMessageID("two@news.example")) != 1 {
		t.Errorf("mails: %+v", s.Mails())
	}
}

func TestSendConnectionLostBeforeTheDot(t *testing.T) {
	addr := script(t, func(c *conversation) {
		c.say("220 hello")
		c.expect("EHLO", "250 hello")
		c.expect("MAIL", "250 ok")
		c.expect("RCPT", "250 ok")
	})
	m := newMailer(t, "smtp://"+addr, nil)
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Retry, ReasonConnection)
}

func TestSendContext(t *testing.T) {
	waiting := make(chan struct{}, 1)
	release := make(chan struct{})
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "dot" || step.Verb == "rcpt" && strings.HasPrefix(step.To, "slow") {
			waiting <- struct{}{}
			<-release
		}
		return nil
	}})
	t.Cleanup(func() { close(release) })
	m := newMailer(t, s.URL(), func(c *Config) { c.Grace = 10 * time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan news.Receipt, 1)
	raw := compose(t, m, "one")
	go func() { done <- m.Send(ctx, m.Address(), "slow@mail.example", raw, nil) }()
	<-waiting
	cancel()
	check(t, <-done, news.Retry, ReasonAborted) // nothing had happened yet

	ctx, cancel = context.WithCancel(t.Context())
	go func() { done <- m.Send(ctx, m.Address(), reader, raw, nil) }()
	<-waiting
	cancel()
	check(t, <-done, news.Ambiguous, ReasonNoAnswer) // the dot was out
}

func TestSendReusesConnections(t *testing.T) {
	var connects atomic.Int64
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "connect" {
			connects.Add(1)
		}
		if step.To == "nobody@mail.example" {
			return &simulate.MailAnswer{Code: 550, Enhanced: [3]int{5, 1, 1}, Text: "no such user"}
		}
		return nil
	}})
	m := newMailer(t, s.URL(), func(c *Config) { c.Connections, c.MailsPerConnection = 1, 4 })
	raw := compose(t, m, "one")
	for i := range 8 {
		if i%2 == 0 {
			check(t, m.Send(t.Context(), m.Address(), "nobody@mail.example", raw, nil), news.Refused, ReasonHardBounce)
			continue
		}
		check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Accepted, ReasonAccepted)
	}
	if got := connects.Load(); got != 2 {
		t.Errorf("%d connections for 8 mails of 4 each", got)
	}
}

func TestSendSurvivesStaleConnection(t *testing.T) {
	var once atomic.Bool
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "mail" && step.Try == 2 && once.CompareAndSwap(false, true) {
			return &simulate.MailAnswer{Code: 421, Enhanced: [3]int{4, 4, 2}, Text: "idle for too long"}
		}
		return nil
	}})
	m := newMailer(t, s.URL(), func(c *Config) { c.Connections = 1 })
	for _, id := range []string{"one", "two"} {
		check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, id), nil), news.Accepted, ReasonAccepted)
	}
}

func TestSendWithoutServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	m := newMailer(t, "smtp://"+addr, nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	check(t, got, news.Retry, ReasonConnection)
	if !got.SlowOrigin {
		t.Error("a server that is down does not slow its lane")
	}
}

// conversation is one scripted SMTP connection.
type conversation struct {
	t    *testing.T
	conn net.Conn
	r    *bufio.Reader
}

func (c *conversation) say(line string) { fmt.Fprintf(c.conn, "%s\r\n", line) }

func (c *conversation) expect(verb, answer string) {
	line, err := c.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(strings.ToUpper(line), verb) {
		c.t.Errorf("the client said %q (%v), want %s", line, err, verb)
		return
	}
	c.say(answer)
}

// taking scripts a server that takes one mail and answers the dot with answer.
func taking(answer string) func(*conversation) {
	return func(c *conversation) {
		c.say("220 hello")
		c.expect("EHLO", "250 hello")
		c.expect("MAIL", "250 ok")
		c.expect("RCPT", "250 ok")
		c.expect("DATA", "354 go on")
		for line := ""; line != ".\r\n"; {
			var err error
			if line, err = c.r.ReadString('\n'); err != nil {
				c.t.Errorf("body: %v", err)
				return
			}
		}
		c.say(answer)
	}
}

// script serves one connection by hand.
func script(t *testing.T, play func(*conversation)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		play(&conversation{t, conn, bufio.NewReader(conn)})
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}
