package email

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// together reads three commands before it answers any of them: whoever waits
// for an answer in between waits for ever.
func (c *conversation) together(answers ...string) {
	for _, verb := range []string{"MAIL", "RCPT", "DATA"} {
		line, err := c.r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, verb) {
			c.t.Errorf("the client said %q (%v), want %s", line, err, verb)
			return
		}
	}
	for _, answer := range answers {
		c.say(answer)
	}
}

// rest is what the client says until it hangs up, or takes its leave.
func (c *conversation) rest() string {
	var said strings.Builder
	for {
		line, err := c.r.ReadString('\n') // a reset is an end too
		said.WriteString(line)
		if line == "QUIT\r\n" {
			c.say("221 bye")
		}
		if err != nil {
			return said.String()
		}
	}
}

func greetPipelined(c *conversation) {
	c.say("220 hello")
	c.expect("EHLO", "250-hello\r\n250 PIPELINING")
}

func TestPipelinedMail(t *testing.T) {
	addr := script(t, func(c *conversation) {
		greetPipelined(c)
		for _, answer := range []string{"250 2.0.0 queued as 1", "452 4.2.2 full", "250 2.0.0 queued as 3"} {
			c.together("250 ok", "251 will forward", "354 go on")
			for line := ""; line != ".\r\n"; {
				line, _ = c.r.ReadString('\n')
				if line == "" {
					t.Error("the body has no end")
					return
				}
			}
			c.say(answer)
			if answer[0] == '4' {
				c.expect("RSET", "250 ok")
			}
		}
	})
	m := newMailer(t, "smtp://"+addr, func(c *Config) { c.Connections = 1 })
	raw := compose(t, m, "one")
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Accepted, ReasonAccepted)
	check(t, m.Send(t.Context(), m.Address(), reader, raw, nil), news.Retry, ReasonDeferred)
	got := m.Send(t.Context(), m.Address(), reader, raw, nil)
	check(t, got, news.Accepted, ReasonAccepted)
	if got.Detail != "2.0.0 queued as 3" {
		t.Errorf("%+v: another mail's answer", got)
	}
}

// Whatever step is refused, the receipt names that one; nothing is delivered;
// and the connection is kept only where both sides know what comes next.
func TestPipelinedRefusals(t *testing.T) {
	const kept = "RSET\r\n"
	for _, test := range []struct {
		name    string
		answers []string
		outcome news.Outcome
		reason  string
		then    string // what the client says next
	}{
		{"sender", []string{"550 5.7.1 no", "503 5.5.1 no sender", "503 5.5.1 no recipient"}, news.Refused, ReasonPolicy, kept},
		{"recipient", []string{"250 ok", "550 5.1.1 nobody", "503 5.5.1 no recipient"}, news.Refused, ReasonHardBounce, kept},
		{"recipient for now", []string{"250 ok", "450 4.2.1 later", "554 5.5.1 no valid recipients"}, news.Retry, ReasonDeferred, kept},
		{"data", []string{"250 ok", "250 ok", "554 5.5.1 no"}, news.Refused, ReasonProtocol, kept},
		{"slow down, at the sender", []string{"421 4.7.28 rate"}, news.Retry, ReasonThrottled, ""},
		{"slow down, at the recipient", []string{"250 ok", "421 4.7.28 rate"}, news.Retry, ReasonThrottled, ""},
		{"gone after the sender", []string{"250 ok"}, news.Retry, ReasonConnection, ""},
		{"gone after the refusal", []string{"250 ok", "550 5.1.1 nobody"}, news.Refused, ReasonHardBounce, ""},
		// 354 in spite of a refusal: a lone dot where nobody was accepted, silence
		// where somebody may have been.
		{"recipient, yet a body is awaited", []string{"250 ok", "550 5.1.1 nobody", "354 go on"}, news.Refused, ReasonHardBounce, ".\r\n"},
		{"sender, yet a body is awaited", []string{"550 5.7.1 no", "250 ok", "354 go on"}, news.Refused, ReasonPolicy, ""},
		{"both, yet a body is awaited", []string{"550 5.7.1 no", "503 5.5.1 no sender", "354 go on"}, news.Refused, ReasonPolicy, ".\r\n"},
		{"no sense at the recipient", []string{"250 ok", "354 go on", "354 go on"}, news.Retry, ReasonProtocol, ""},
		{"no answers at all", []string{"hello", "250 ok", "354 go on"}, news.Retry, ReasonConnection, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			said := make(chan string, 1)
			addr := script(t, func(c *conversation) {
				greetPipelined(c)
				c.together(test.answers...)
				switch {
				case strings.HasPrefix(test.name, "gone"):
					_ = c.conn.(*net.TCPConn).CloseWrite()
				case test.then == "": // it is the client who has to hang up
				case test.then == ".\r\n":
					c.expect(".", "554 5.5.1 no valid recipients")
					c.expect("RSET", "250 ok")
				default:
					c.expect("RSET", "250 ok")
				}
				said <- c.rest()
			})
			m := newMailer(t, "smtp://"+addr, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			got := m.Send(ctx, m.Address(), reader, compose(t, m, "one"), func() error {
				t.Error("beforeDot was asked")
				return nil
			})
			check(t, got, test.outcome, test.reason)
			if ctx.Err() != nil {
				t.Error("the client waited for an answer that could not come")
			}
			_ = m.Close()
			if rest := <-said; rest != "" && rest != "QUIT\r\n" || test.then == "" && rest != "" {
				t.Errorf("the client went on: %q", rest)
			}
		})
	}
}

// Without PIPELINING every command waits for the answer to the one before.
func TestNotPipelined(t *testing.T) {
	addr := script(t, func(c *conversation) {
		c.say("220 hello")
		c.expect("EHLO", "250 hello")
		for _, verb := range []string{"MAIL", "RCPT"} {
			line, err := c.r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, verb) || c.r.Buffered() > 0 {
				t.Errorf("the client said %q (%v) and %d bytes more", line, err, c.r.Buffered())
			}
			c.say("250 ok")
		}
		c.expect("DATA", "354 go on")
		if !strings.HasSuffix(c.rest(), "\r\n") {
			t.Error("no body")
		}
	})
	m := newMailer(t, "smtp://"+addr, nil)
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), func() error { return errors.New("no") }), news.Retry, ReasonAborted)
}

// A body that was begun is ended by hanging up and by nothing else.
func TestAbortedBodySaysNothingMore(t *testing.T) {
	said := make(chan string, 1)
	addr := script(t, func(c *conversation) {
		greetPipelined(c)
		c.together("250 ok", "250 ok", "354 go on")
		said <- c.rest()
	})
	m := newMailer(t, "smtp://"+addr, nil)
	raw := compose(t, m, "one")
	check(t, m.Send(t.Context(), m.Address(), reader, raw, func() error { return errors.New("no") }), news.Retry, ReasonAborted)
	if got := <-said; got != string(raw) {
		t.Errorf("the server heard %d bytes, want the body's %d", len(got), len(raw))
	}
}

// The state is written when the whole body is out and before the dot.
func TestBodyIsOutBeforeTheDot(t *testing.T) {
	body := make(chan string, 1)
	asked := make(chan struct{})
	l := printed(t, prepare(t, newMailer(t, "smtp://nowhere.invalid", nil), samplePattern()), sampleCopy())
	wire := string(bytes.Join(l.wire, nil))
	addr := script(t, func(c *conversation) {
		greetPipelined(c)
		c.together("250 ok", "250 ok", "354 go on")
		all := make([]byte, len(wire))
		if _, err := io.ReadFull(c.r, all); err != nil {
			t.Error(err)
		}
		body <- string(all)
		<-asked
		c.expect(".", "250 ok")
	})
	m := newMailer(t, "smtp://"+addr, nil)
	check(t, m.SendLetter(t.Context(), m.Address(), reader, l, func() error {
		if got := <-body; got != wire {
			t.Errorf("%d of %d bytes were out", len(got), len(wire))
		}
		close(asked)
		return nil
	}), news.Accepted, ReasonAccepted)
}

// A stale connection is no second attempt, pipelined or not.
func TestPipelinedSurvivesStaleConnection(t *testing.T) {
	var connects atomic.Int64
	s := startServer(t, simulate.MailOptions{Answer: func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == "connect" {
			connects.Add(1)
		}
		if step.Verb == "mail" && step.Try == 2 {
			return &simulate.MailAnswer{Drop: true}
		}
		return nil
	}})
	m := newMailer(t, s.URL(), func(c *Config) { c.Connections = 1 })
	for _, id := range []string{"one", "two"} {
		check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, id), nil), news.Accepted, ReasonAccepted)
	}
	if s.Taken() != 2 || connects.Load() != 2 {
		t.Errorf("%d mails over %d connections", s.Taken(), connects.Load())
	}
}

// FuzzReplies: a server may say anything at any time. A mail is reported as
// accepted only if its state was written before; a body ends with a dot only
// then; and apart from that a dot ends nothing but an empty mail to nobody.
func FuzzReplies(f *testing.F) {
	for _, seed := range []string{"250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n", "250 ok\r\n550 5.1.1 no\r\n354 go\r\n554 none\r\n250 reset\r\n",
		"250-a\r\n550 b\r\n250 c\r\n354 d\r\n", "550 a\r\n250 b\r\n354 c\r\n", "421 bye\r\n", "250\r\n250\r\n354\r\n", "\r\n\r\n", "250 ok\r\n250 ok\r\n354 go\r\n",
		"250 ok\r\n250 ok\r\n354 go\r\n550 no\r\n", "999 x\r\n", "354 a\r\n354 b\r\n354 c\r\n354 d\r\n"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, replies string, pipelined bool) {
		server := &talker{replies: replies, pipelined: pipelined, said: make(chan string, 8)}
		m := newMailer(t, "smtp://127.0.0.1:25", func(c *Config) { c.Dial, c.StepTimeout, c.ReplyTimeout = server.dial, time.Minute, time.Minute })
		raw := compose(t, m, "one")
		asked := false
		r := m.Send(t.Context(), m.Address(), reader, raw, func() error { asked = true; return nil })
		_ = m.Close()
		said := <-server.said
		_, data, _ := strings.Cut(said, "DATA\r\n")
		ended := strings.Contains(said, string(stuff(raw))+".\r\n")
		if (r.Outcome == news.Accepted || r.Outcome == news.Ambiguous || ended) && !asked {
			t.Errorf("%+v, though the state was not written: %q", r, data)
		}
		if !asked && strings.Contains("\r\n"+data, "\r\n.\r\n") && !strings.HasPrefix(data, ".\r\n") {
			t.Errorf("a dot after something: %q", data)
		}
		if strings.HasPrefix(data, ".\r\n") && (!pipelined || asked) {
			t.Errorf("an empty mail: %q", data)
		}
	})
}

// talker is a server that greets as it should and then says what it was given,
// whatever it hears.
type talker struct {
	replies   string
	pipelined bool
	said      chan string // what it heard on one connection
}

func (s *talker) dial(_ context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		r := bufio.NewReader(server)
		_, _ = io.WriteString(server, "220 hello\r\n")
		_, _ = r.ReadString('\n')
		hello := "250 hello\r\n"
		if s.pipelined {
			hello = "250-hello\r\n250 PIPELINING\r\n"
		}
		_, _ = io.WriteString(server, hello)
		heard := make(chan string, 1)
		go func() {
			all, _ := io.ReadAll(r)
			heard <- string(all)
		}()
		_, _ = io.WriteString(server, s.replies)
		_ = server.Close()
		s.said <- <-heard
	}()
	return client, nil
}
