package email

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// ownCertificate is a certificate for 127.0.0.1 and the pool that trusts it.
func ownCertificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
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

func TestSendOverSTARTTLSWithLogin(t *testing.T) {
	config, roots := ownCertificate(t)
	s := startServer(t, simulate.MailOptions{TLS: config, Users: map[string]string{"desk": "p@ss"}})
	m := newMailer(t, "smtp://desk:p%40ss@"+s.Addr(), func(c *Config) { c.RequireTLS, c.RootCAs = true, roots })
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Accepted, ReasonAccepted)
}

// A mail of many TLS records, twice over one connection.
func TestSendLetterOverTLS(t *testing.T) {
	config, roots := ownCertificate(t)
	s := startServer(t, simulate.MailOptions{TLS: config})
	m := newMailer(t, s.URL(), func(c *Config) { c.RequireTLS, c.RootCAs, c.Connections = true, roots, 1 })
	pattern := samplePattern()
	pattern.HTML = strings.Repeat(".a line that begins with a dot, and goes on\n", 2000) + pattern.HTML
	l := printed(t, prepare(t, m, pattern), sampleCopy())
	for range 2 {
		check(t, m.SendLetter(t.Context(), m.Address(), reader, l, nil), news.Accepted, ReasonAccepted)
	}
	for _, got := range s.To(reader) {
		if !bytes.Equal(got.Raw, l.Bytes()) {
			t.Errorf("%d bytes arrived of %d, or others", len(got.Raw), len(l.Bytes()))
		}
	}
}

// T56: without STARTTLS, or with a certificate nobody vouches for, nothing is
// said.
func TestT56StrippedSTARTTLS(t *testing.T) {
	s := startServer(t, simulate.MailOptions{})
	m := newMailer(t, s.URL(), func(c *Config) { c.RequireTLS = true })
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Retry, ReasonTLS)

	config, _ := ownCertificate(t)
	s = startServer(t, simulate.MailOptions{TLS: config})
	m = newMailer(t, s.URL(), func(c *Config) { c.RequireTLS = true })
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Retry, ReasonTLS)
	if s.Taken() != 0 {
		t.Errorf("%d taken", s.Taken())
	}
}

func TestSTARTTLSIsRequiredElsewhere(t *testing.T) {
	// A host that is not loopback, reached through a dialer that lands on one.
	s := startServer(t, simulate.MailOptions{})
	dial := func(c *Config) {
		d := &net.Dialer{}
		c.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, s.Addr())
		}
	}
	m := newMailer(t, "smtp://mail.example:587", dial)
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil), news.Retry, ReasonTLS)
	m = newMailer(t, "smtp://catcher:1025?tls=none", dial)
	check(t, m.Send(t.Context(), m.Address(), reader, compose(t, m, "two"), nil), news.Accepted, ReasonAccepted)
}

// T56: what was said in the clear after STARTTLS is not believed afterwards.
func TestT56InjectionAfterSTARTTLS(t *testing.T) {
	config, roots := ownCertificate(t)
	injected := make(chan bool, 1)
	addr := script(t, func(c *conversation) {
		c.say("220 hello")
		c.expect("EHLO", "250-hello\r\n250 STARTTLS")
		c.expect("STARTTLS", "220 go\r\n250-injected\r\n250 AUTH PLAIN")
		server := tls.Server(c.conn, config)
		if err := server.Handshake(); err != nil {
			injected <- false // the client would not speak TLS after it: fine as well
			return
		}
		buf := make([]byte, 512)
		n, err := server.Read(buf)
		injected <- err == nil && n > 0 && string(buf[:4]) != "EHLO"
	})
	m := newMailer(t, "smtp://"+addr, func(c *Config) { c.RequireTLS, c.RootCAs, c.StepTimeout = true, roots, time.Second })
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	if got.Outcome != news.Retry || <-injected {
		t.Errorf("receipt %+v: the client went on with what was injected", got)
	}
}

// T57: a wrong password is ours: nobody bounces, the whole lane stops.
func TestT57LoginFails(t *testing.T) {
	s := startServer(t, simulate.MailOptions{Users: map[string]string{"desk": "right"}})
	m := newMailer(t, "smtp://desk:wrong@"+s.Addr(), nil)
	got := m.Send(t.Context(), m.Address(), reader, compose(t, m, "one"), nil)
	check(t, got, news.Retry, ReasonAuth)
	if !got.SlowOrigin || got.After == 0 {
		t.Errorf("receipt %+v does not stop the lane", got)
	}
}
