package bounce

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// Close lets a mail that is being taken be taken, and hangs up on the idle.
func TestCloseDrains(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	h := startServer(t, func(c *Config) {
		c.Grace = time.Minute
		c.Take = func(ctx context.Context, _ Delivery) error {
			close(entered)
			<-release
			return ctx.Err()
		}
	})
	idle, busy := h.begins(t), h.begins(t)
	busy.ask(to(genuine()), "250")
	busy.ask("DATA", "354")
	busy.say(short + ".\r\n")
	<-entered
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	idle.hear("421")
	idle.hangsUp()
	if _, err := net.Dial("tcp", h.Addr()); err == nil {
		t.Error("it still listens")
	}
	select {
	case err := <-closed:
		t.Errorf("closed before the mail was taken: %v", err)
	default:
	}
	close(release)
	busy.hear("250 2.0.0")
	busy.hear("421")
	busy.hangsUp()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Errorf("twice: %v", err)
	}
}

// After Grace the context of Take ends, and the sender keeps the mail.
func TestCloseDoesNotWaitForEver(t *testing.T) {
	t.Run("a Take that heeds its context", func(t *testing.T) {
		entered := make(chan struct{})
		h := startServer(t, func(c *Config) {
			c.Grace = 50 * time.Millisecond
			c.Take = func(ctx context.Context, _ Delivery) error {
				close(entered)
				<-ctx.Done()
				return ctx.Err()
			}
		})
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short + ".\r\n")
		<-entered
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		if line, err := c.text.ReadLine(); err == nil && !strings.HasPrefix(line, "4") {
			t.Errorf("answer: %q", line)
		}
	})
	t.Run("a Take that does not", func(t *testing.T) {
		entered, release := make(chan struct{}), make(chan struct{})
		h := startServer(t, func(c *Config) {
			c.Grace = 50 * time.Millisecond
			c.Take = func(context.Context, Delivery) error {
				close(entered)
				<-release
				return nil
			}
		})
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short + ".\r\n")
		<-entered
		if err := h.Close(); err == nil {
			t.Error("it says that it is done")
		}
		close(release)
		<-h.listener.empty()
	})
	t.Run("a mail that is still arriving", func(t *testing.T) {
		h := startServer(t, func(c *Config) { c.Grace = 50 * time.Millisecond })
		c := h.begins(t)
		c.ask(to(genuine()), "250")
		c.ask("DATA", "354")
		c.say(short)
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		h.none(t)
	})
}

func TestRunEndsWithItsContext(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Address: base, Known: func(string) bool { return true }, Take: func(context.Context, Delivery) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &talk{t, conn, textproto.NewConn(conn)}
	c.hear("220 ")
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	c.hear("421")
}

func TestCloseBeforeRun(t *testing.T) {
	s, err := Listen(Config{Addr: "127.0.0.1:0", Address: base, Known: func(string) bool { return true }, Take: func(context.Context, Delivery) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

// ownCertificate is one for 127.0.0.1.
func ownCertificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, pool
}

// STARTTLS: what was said in the clear behind it is not heard (T56, from the
// other side), and everything else holds as before.
func TestStartTLS(t *testing.T) {
	own, roots := ownCertificate(t)
	h := startServer(t, func(c *Config) { c.TLSConfig = own })
	c := h.talk(t)
	c.hear("220 ")
	if answer := c.ask("EHLO mx.mail.example", "250 "); !strings.Contains(answer, "STARTTLS") {
		t.Fatalf("no STARTTLS: %s", answer)
	}
	c.say("STARTTLS\r\nEHLO smuggler.example\r\nMAIL FROM:<>\r\n")
	c.hear("220 ")
	encrypted := tls.Client(c.conn, &tls.Config{ServerName: "127.0.0.1", RootCAs: roots})
	if err := encrypted.Handshake(); err != nil {
		t.Fatal(err)
	}
	c.conn, c.text = encrypted, textproto.NewConn(encrypted)
	c.ask(to(genuine()), "502") // nobody has said MAIL here
	c.ask("EHLO mx.mail.example", "250 ")
	c.ask("MAIL FROM:<>", "250 ")
	c.ask(to(genuine()), "250")
	c.ask("DATA", "354")
	c.say(short)
	c.ask(".", "250")
	if d := h.one(t); d.Token != genuine() {
		t.Errorf("%+v", d)
	}
	closed := make(chan error, 1)
	go func() { closed <- h.Close() }()
	c.hear("421")
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// Without a certificate there is nothing to start.
func TestNoTLSIsOffered(t *testing.T) {
	c := startServer(t, nil).talk(t)
	c.hear("220 ")
	if answer := c.ask("EHLO mx.mail.example", "250 "); strings.Contains(answer, "STARTTLS") {
		t.Errorf("%s", answer)
	}
	c.ask("STARTTLS", "502")
}
