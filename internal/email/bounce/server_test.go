package bounce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"log/slog"
	"net"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"dateline/internal/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mailbox = "0192f0c1-7f3a-7b11-8f10-3a5de5a0c001"

var signer = link.New([]byte("0123456789abcdef0123456789abcdef"))

// genuine is a token of ours.
func genuine() string { return signer.Mail(link.MailBounce, mailbox, "2026-11-24") }

// house is a server under test and what it took.
type house struct {
	*Server
	taken chan Delivery
	ran   chan error
	logs  *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func startServer(t *testing.T, change func(*Config)) *house {
	t.Helper()
	h := &house{taken: make(chan Delivery, 100), ran: make(chan error, 1), logs: &lockedBuffer{}}
	c := Config{Addr: "127.0.0.1:0", Address: base, Known: func(token string) bool {
		_, _, _, err := signer.VerifyMail(token)
		return err == nil
	}, Logger: slog.New(slog.NewTextHandler(h.logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	c.Take = func(_ context.Context, d Delivery) error {
		h.taken <- d
		return nil
	}
	if change != nil {
		change(&c)
	}
	s, err := Listen(c)
	if err != nil {
		t.Fatal(err)
	}
	h.Server = s
	go func() { h.ran <- s.Run(context.Background()) }()
	t.Cleanup(func() {
		_ = s.Close()
		_ = <-h.ran // what Close said, once more
		if logs := h.logs.String(); strings.Contains(logs, ".example") || strings.Contains(logs, genuine()) || strings.Contains(logs, "127.0.0.1") {
			t.Errorf("the log names somebody:\n%s", logs)
		}
	})
	return h
}

// one is the only mail taken so far.
func (h *house) one(t *testing.T) Delivery {
	t.Helper()
	if len(h.taken) != 1 {
		t.Fatalf("%d mails were taken, want one", len(h.taken))
	}
	return <-h.taken
}

func (h *house) none(t *testing.T) {
	t.Helper()
	if len(h.taken) > 0 {
		t.Errorf("taken: %+v", <-h.taken)
	}
}

// talk is a conversation with it, on the client's side.
type talk struct {
	t    *testing.T
	conn net.Conn
	text *textproto.Conn
}

func (h *house) talk(t *testing.T) *talk {
	t.Helper()
	conn, err := net.Dial("tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // of a test that hangs
	return &talk{t, conn, textproto.NewConn(conn)}
}

// hear wants an answer that begins so.
func (c *talk) hear(want string) string {
	c.t.Helper()
	code, text, err := c.text.ReadResponse(0)
	var protocol *textproto.Error
	if errors.As(err, &protocol) {
		code, text, err = protocol.Code, protocol.Msg, nil
	}
	got := fmt.Sprintf("%d %s", code, text)
	if err != nil || !strings.HasPrefix(got, want) {
		c.t.Fatalf("heard %q (%v), want %q", got, err, want)
	}
	return got
}

// say sends bytes as they are.
func (c *talk) say(raw string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, raw); err != nil {
		c.t.Fatal(err)
	}
}

// ask says a line and hears the answer.
func (c *talk) ask(line, want string) string {
	c.t.Helper()
	c.say(line + "\r\n")
	return c.hear(want)
}

// hangsUp wants the end of the connection.
func (c *talk) hangsUp() {
	c.t.Helper()
	if line, err := c.text.ReadLine(); err == nil || os.IsTimeout(err) {
		c.t.Fatalf("the server goes on: %q, %v", line, err)
	}
}

// begins is a conversation up to where recipients are named.
func (h *house) begins(t *testing.T) *talk {
	t.Helper()
	c := h.talk(t)
	c.hear("220 ")
	c.ask("EHLO mx.mail.example", "250 ")
	c.ask("MAIL FROM:<>", "250 ")
	return c
}

func to(token string) string { return "RCPT TO:<digest+" + token + "@news.example>" }

const short = "From: reader@mail.example\r\nMessage-ID: <short@mail.example>\r\nSubject: unsubscribe\r\n\r\n\r\n"

func TestReportsAreTaken(t *testing.T) {
	h := startServer(t, nil)
	raw := bytes.ReplaceAll(readFile(t, "testdata/postfix.eml"), []byte("\n"), []byte("\r\n"))
	for _, test := range []struct{ name, from, to, token string }{
		{"a report", "", "digest+" + genuine() + "@news.example", genuine()},
		{"of a server that likes capitals", "", "DIGEST+" + strings.ToUpper(genuine()) + "@NEWS.EXAMPLE", genuine()},
		{"a complaint's sender has an address", "feedback@arf.mail.example", "digest@news.example", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := smtp.SendMail(h.Addr(), nil, test.from, []string{test.to}, raw); err != nil {
				t.Fatal(err)
			}
			d := h.one(t)
			if want := Read(raw, base); d.Token != test.token || d.Size != len(raw) || d.Report.ID != want.ID || d.Report.Status != "5.1.1" {
				t.Errorf("%+v", d)
			}
		})
	}
}

// T63: nobody else's token opens this door, nor one that is nobody's.
func TestT63_ForgedTokens(t *testing.T) {
	h := startServer(t, nil)
	foreign := link.New([]byte("another key of thirty-two bytes.")).Mail(link.MailBounce, mailbox, "2026-11-24")
	changed := []byte(genuine())
	changed[20] ^= 1
	for _, token := range []string{foreign, string(changed), "u" + genuine()[1:], genuine()[:47], genuine() + "a", "b", "x"} {
		c := h.begins(t)
		c.ask(to(token), "550 5.1.1")
		c.ask("DATA", "502")
		c.ask(to(genuine()), "250") // a fault of one recipient is no fault of the next
		c.ask("QUIT", "221")
	}
	h.none(t)
}

// T60, from the other side: recipients that are none, and relaying.
func TestT60_HostileRecipients(t *testing.T) {
	h := startServer(t, nil)
	for _, rcpt := range []string{
		"<reader@mail.example>", "<digest@mail.example>", "<digest%mail.example@news.example>", "<mail.example!digest@news.example>",
		`<"digest@mail.example"@news.example>`, "<digest@news.example@mail.example>", "<digest@news.example.mail.example>", "<postmaster@news.example>",
		`<"digest+` + genuine() + ` "@news.example>`, "<digest+" + genuine() + "@mail.example>", "<digest+" + genuine() + "+x@news.example>",
		"<digest+../../etc@news.example>", "<digest+@news.example>", "<DIGEST@[127.0.0.1]>", "<digest\u212a@news.example>", "<>", "", "<digest", "<digest+" + strings.Repeat("a", 5000) + "@news.example>",
	} {
		c := h.begins(t)
		answer := c.ask("RCPT TO:"+rcpt, "5")
		if !strings.HasPrefix(answer, "550 5.1.1") && !strings.HasPrefix(answer, "501 5.5.2") {
			t.Errorf("%.60s: %s", rcpt, answer)
		}
		c.ask("DATA", "502")
	}
	for _, line := range []string{"RCPT TO:<digest@news.example> ORCPT=rfc822;x@y", "RCPT TO:<digest@news.example> NOTIFY=SUCCESS", "RCPT TO:<digest@news.example>\rRCPT TO:<x@y>"} {
		c := h.begins(t)
		c.ask(line, "5")
	}
	h.none(t)
}

func TestOneRecipientForEachMail(t *testing.T) {
	h := startServer(t, nil)
	c := h.begins(t)
	c.ask(to(genuine()), "250")
	c.ask("RCPT TO:<digest@news.example>", "452 4.5.3")
	c.ask("DATA", "354")
	c.say(short)
	c.ask(".", "250")
	if d := h.one(t); d.Token != genuine() {
		t.Errorf("%+v", d)
	}
	// The next mail over the connection has a recipient of its own.
	c.ask("MAIL FROM:<>", "250")
	c.ask("DATA", "502")
	c.ask("RCPT TO:<digest@news.example>", "250")
	c.ask("DATA", "354")
	c.say(short)
	c.ask(".", "250")
	if d := h.one(t); d.Token != "" || d.Report.Kind != Leave {
		t.Errorf("%+v", d)
	}
}

func TestTooLarge(t *testing.T) {
	h := startServer(t, func(c *Config) { c.MaxBytes = 10_000 })
	c := h.talk(t)
	c.hear("220 ")
	c.ask("EHLO mx.mail.example", "250 ")
	c.ask("MAIL FROM:<> SIZE=10001", "552 5.3.4")
	c.ask("MAIL FROM:<> SIZE=10000", "250")
	c.ask(to(genuine()), "250")
	c.ask("DATA", "354")
	c.say(strings.Repeat("x\r\n", 5000))
	c.ask(".", "552 5.3.4")
	c.hear("421")
	c.hangsUp()
	h.none(t)
}

// A transcript in one line is more than RFC 5321 allows, and no reason to lose
// a report; a line without end is.
func TestLongLines(t *testing.T) {
	h := startServer(t, nil)
	c := h.begins(t)
	c.ask(to(genuine()), "250")
	c.ask("DATA", "354")
	c.say("Subject: x\r\n\r\n" + strings.Repeat("x", 70_000) + "\r\n")
	c.ask(".", "250")
	h.one(t)
	c.ask("MAIL FROM:<>", "250")
	c.ask(to(genuine()), "250")
	c.ask("DATA", "354")
	_, _ = io.WriteString(c.conn, strings.Repeat("x", 2*maxLine))
	c.hear("552 5.3.4")
	h.none(t)
}

// What Take does not take, the sender keeps.
func TestNotTaken(t *testing.T) {
	answers := []func() error{
		func() error { return errors.New("the database is away") },
		func() error { panic("a bug") },
		func() error { return nil },
	}
	var h *house
	h = startServer(t, func(c *Config) {
		c.Take = func(_ context.Context, d Delivery) error {
			answer := answers[0]
			answers = answers[1:]
			if err := answer(); err != nil {
				return err
			}
			h.taken <- d
			return nil
		}
	})
	c := h.begins(t)
	for _, want := range []string{"451 4.3.0", "451 4.3.0", "250 2.0.0"} {
		h.none(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short)
		c.ask(".", want)
		c.ask("MAIL FROM:<>", "250")
	}
	h.one(t)
	if logs := h.logs.String(); !strings.Contains(logs, "the database is away") || strings.Contains(logs, "reader") {
		t.Errorf("logs:\n%s", logs)
	}
}

// The answer waits for Take.
func TestAcknowledgedAfterItWasTaken(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := startServer(t, func(c *Config) {
		c.Take = func(ctx context.Context, _ Delivery) error {
			close(entered)
			<-release
			return ctx.Err()
		}
	})
	c := h.begins(t)
	c.ask(to(genuine()), "250")
	c.ask("DATA", "354")
	c.say(short + ".\r\n")
	answered := make(chan string, 1)
	go func() {
		line, _ := c.text.ReadLine()
		answered <- line
	}()
	<-entered
	h.begins(t).ask("QUIT", "221") // the server answers others meanwhile
	select {
	case line := <-answered:
		t.Errorf("answered too early: %s", line)
	default:
	}
	close(release)
	if line := <-answered; !strings.HasPrefix(line, "250 2.0.0") {
		t.Errorf("answer: %s", line)
	}
}

// A bare LF or CR is no end of a line: what follows such a dot is text
// (SMTP smuggling, CVE-2023-51764).
func TestSmuggledCommandsAreText(t *testing.T) {
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r.\r\n", "\r\n.\r", "\n.\r", "\r\n.\r\r\n", "\r\r\n.\n", "\x00\r\n.\n"} {
		h := startServer(t, nil)
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		smuggled := "MAIL FROM:<>\r\nRCPT TO:<digest@news.example>\r\nDATA\r\n" + short
		c.say("Subject: outer\r\n\r\nbody" + end + smuggled)
		c.ask(".", "250")
		c.ask("NOOP", "250") // and nothing else is answered
		if d := h.one(t); d.Token != genuine() || d.Size < len(smuggled) {
			t.Errorf("%q: %+v", end, d)
		}
	}
}

// A mail that breaks off is none, and its rest is no commands.
func TestBrokenOff(t *testing.T) {
	h := startServer(t, func(c *Config) { c.ReadTimeout = 500 * time.Millisecond })
	rest := "\r\nRSET\r\nMAIL FROM:<>\r\nRCPT TO:<digest@news.example>\r\nDATA\r\n" + short + ".\r\n"
	t.Run("hung up", func(t *testing.T) {
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short)
		_ = c.conn.(*net.TCPConn).CloseWrite()
		c.hear("451 4.3.0")
	})
	t.Run("too slow", func(t *testing.T) {
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short)
		c.hear("451 4.3.0")
		_, _ = io.WriteString(c.conn, rest)
		c.hear("421")
		c.hangsUp()
	})
	t.Run("too slow in chunks", func(t *testing.T) {
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.say("BDAT 100000 LAST\r\nSubject: x\r\n")
		c.hear("451 4.3.0")
		_, _ = io.WriteString(c.conn, rest)
		c.hear("421")
		c.hangsUp()
	})
	for name, begun := range map[string]string{"hung up in chunks": "BDAT 100000 LAST\r\nSubject: x\r\n", "hung up before a chunk": "BDAT 100 LAST\r\n"} {
		t.Run(name, func(t *testing.T) {
			c := h.begins(t)
			c.ask(to(genuine()), "250")
			c.say(begun)
			_ = c.conn.(*net.TCPConn).CloseWrite()
			c.hear("451 4.3.0")
		})
	}
	h.none(t)
}

// T77: who says nothing, or nothing of use, is shown out.
func TestT77_SlowClients(t *testing.T) {
	t.Run("silent", func(t *testing.T) {
		h := startServer(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond })
		c := h.talk(t)
		c.hear("220 ")
		c.hear("421 4.4.2")
		c.hangsUp()
	})
	t.Run("in the middle of a line", func(t *testing.T) {
		h := startServer(t, func(c *Config) { c.ReadTimeout = 50 * time.Millisecond })
		c := h.talk(t)
		c.hear("220 ")
		c.say("EHLO mx.m")
		all, err := io.ReadAll(c.conn) // the library makes do with the line it has
		if err != nil || !bytes.Contains(all, []byte("\r\n421 4.4.2")) && !bytes.HasPrefix(all, []byte("421 4.4.2")) {
			t.Errorf("%q, %v", all, err)
		}
	})
	t.Run("for ever", func(t *testing.T) {
		h := startServer(t, func(c *Config) { c.ConnectionTimeout = time.Second })
		c := h.begins(t)
		for {
			if _, err := io.WriteString(c.conn, "NOOP\r\n"); err != nil {
				return
			}
			line, err := c.text.ReadLine()
			if err != nil || strings.HasPrefix(line, "421") {
				return
			}
		}
	})
}

func TestTooManyConnections(t *testing.T) {
	h := startServer(t, func(c *Config) { c.MaxConnections = 2 })
	first, second := h.begins(t), h.begins(t)
	third := h.talk(t)
	third.hear("421 4.3.2")
	third.hangsUp()
	second.ask("NOOP", "250") // those inside are not disturbed
	first.ask("QUIT", "221")
	first.hangsUp()
	h.begins(t).ask("QUIT", "221")
}

// Guessing tokens takes a connection for every ten.
func TestGuessing(t *testing.T) {
	h := startServer(t, nil)
	c := h.begins(t)
	guesses := strings.Repeat(to("guess")+"\r\n", maxGuesses)
	c.say(guesses + to(genuine()) + "\r\nDATA\r\n" + short + ".\r\n")
	for range maxGuesses {
		c.hear("550 5.1.1")
	}
	c.hear("421")
	c.hangsUp()
	h.none(t)
}

// VRFY and EXPN tell nothing about anybody.
func TestNobodyIsVerified(t *testing.T) {
	h := startServer(t, nil)
	c := h.begins(t)
	known, unknown := c.ask("VRFY digest@news.example", "252"), c.ask("VRFY nobody@news.example", "252")
	if known != unknown {
		t.Errorf("%q and %q", known, unknown)
	}
	c.ask("EXPN digest", "502")
	c.ask("AUTH PLAIN AHgAeA==", "5")
}

// Mails in chunks (RFC 3030) are taken whole or not at all.
func TestChunks(t *testing.T) {
	h := startServer(t, func(c *Config) { c.MaxBytes = 10_000 })
	c := h.begins(t)
	chunk := func(text, last string) string { return fmt.Sprintf("BDAT %d%s\r\n%s", len(text), last, text) }
	c.ask(to(genuine()), "250")
	c.say(chunk(short[:20], ""))
	c.hear("250")
	c.say(chunk(short[20:], " LAST"))
	c.hear("250 2.0.0")
	if d := h.one(t); d.Token != genuine() || d.Size != len(short) || d.Report.Kind != Leave {
		t.Errorf("%+v", d)
	}
	c.ask("MAIL FROM:<>", "250")
	c.ask(to(genuine()), "250")
	c.say(chunk(short, "")) // and no LAST
	c.hear("250")
	// Called off: whoever has more to say comes again.
	c.say("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<digest@news.example>\r\n" + chunk(short, " LAST"))
	c.hear("250")
	c.hear("421")
	c.hangsUp()
	c = h.begins(t)
	c.ask(to(genuine()), "250")
	c.say(chunk(strings.Repeat("x", 6000), ""))
	c.hear("250")
	c.say(chunk(strings.Repeat("x", 6000), " LAST"))
	c.hear("552 5.3.4")
	h.none(t)
}

// T64, T65: a storm of machines' answers is taken note of, each as what it is;
// and the package has nothing to answer with.
func TestT64_StormsEndHere(t *testing.T) {
	h := startServer(t, nil)
	files := []string{"out-of-office-with-code", "autoreply-x-header", "autoreply-japanese"}
	c := h.begins(t)
	for range 10 {
		for _, file := range files {
			c.ask(to(genuine()), "250")
			c.ask("DATA", "354")
			c.say(strings.ReplaceAll(string(readFile(t, "testdata/"+file+".eml")), "\n", "\r\n"))
			c.ask(".", "250")
			if d := h.one(t); d.Report.Kind != AutoReply {
				t.Errorf("%s: %+v", file, d.Report)
			}
			c.ask("MAIL FROM:<>", "250")
		}
	}
	paths, err := filepath.Glob("*.go")
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && slices.ContainsFunc([]string{"Dial", "NewClient", "SendMail"}, func(p string) bool { return strings.HasPrefix(s.Sel.Name, p) }) {
				t.Errorf("%s calls %s: this package sends nothing", path, s.Sel.Name)
			}
			return true
		})
	}
}

func TestListenRefuses(t *testing.T) {
	known, take := func(string) bool { return true }, func(context.Context, Delivery) error { return nil }
	taken := startServer(t, nil)
	for name, c := range map[string]Config{
		"no address":      {Addr: "127.0.0.1:0", Known: known, Take: take},
		"no Known":        {Addr: "127.0.0.1:0", Address: base, Take: take},
		"no Take":         {Addr: "127.0.0.1:0", Address: base, Known: known},
		"a taken address": {Addr: taken.Addr(), Address: base, Known: known, Take: take},
	} {
		if s, err := Listen(c); err == nil {
			_ = s.Close()
			t.Errorf("%s: no error", name)
		}
	}
}
