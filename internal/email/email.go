// Package email takes one mail out of the house: it composes (text and HTML,
// list headers), signs with DKIM, speaks SMTP and says in a receipt what
// became of it. A mail that many readers get is made once, as a plate, and
// printed for each with her own address and links.
//
// It promises: a mail is never sent twice by itself (no retries here); the
// caller is asked right before the final dot, and its "no" means that the
// server discards the mail; an answer that was lost after that dot is
// ambiguous and nothing else; a mail for a server that is not on this machine
// leaves encrypted or not at all; no address or server answer can add a header
// or an SMTP command; where a server takes commands ahead of its answers
// (PIPELINING), a refusal of any of them delivers nothing; a printed copy is,
// byte for byte, the mail that would have been composed for the reader alone;
// logs and receipts carry no address.
package email

import (
	"cmp"
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"strings"
	"time"

	"dateline/internal/news"
)

// Config is what a Mailer needs. Zero durations and counts take the defaults.
type Config struct {
	// Server is where mails go (ParseURL).
	Server Server
	// From is the sender readers see, as in a header: `Asia Desk <digest@news.example>`.
	From string
	// DKIMKey signs for the domain of From under DKIMSelector (ParseDKIMKey).
	// nil: mails go unsigned.
	DKIMKey      crypto.Signer
	DKIMSelector string
	// Connections is how many SMTP connections are open at most (4).
	Connections int
	// MailsPerConnection ends a connection after so many mails (100): big
	// providers drop long ones without a word.
	MailsPerConnection int
	// IdleAfter closes a connection that carried nothing for so long (30 s).
	IdleAfter time.Duration
	// ReplyTimeout is the wait for the answer to the final dot. RFC 5321,
	// 4.5.3.2.6 asks for 10 minutes: giving up earlier makes duplicates.
	ReplyTimeout time.Duration
	// StepTimeout is the wait for every other answer (2 min; RFC 5321 asks for
	// 2 to 5).
	StepTimeout time.Duration
	// Grace is how long an answer to the final dot is still awaited once the
	// context has ended (5 s): a drain must end, and the less is ambiguous the
	// better.
	Grace time.Duration
	// RootCAs are trusted instead of the system's; for tests.
	RootCAs *x509.CertPool
	// RequireTLS asks for STARTTLS on a loopback server too.
	RequireTLS bool
	Dial       func(ctx context.Context, network, addr string) (net.Conn, error)
	Now        func() time.Time
	Logger     *slog.Logger
}

// Mailer composes and sends mails. It is safe for concurrent use.
type Mailer struct {
	config Config
	from   *mail.Address
	domain string // of from
	pool   *pool
	log    *slog.Logger

	signedNames string // h= of every signature
}

// New makes a mailer. It does not connect: the first Send does.
func New(c Config) (*Mailer, error) {
	from, domain, err := parseFrom(c.From)
	if err != nil {
		return nil, fmt.Errorf("email.New: sender: %w", err)
	}
	if c.Server.Host == "" {
		return nil, errors.New("email.New: no SMTP server")
	}
	if c.DKIMKey != nil {
		if err := checkDKIM(c.DKIMKey, c.DKIMSelector); err != nil {
			return nil, fmt.Errorf("email.New: %w", err)
		}
	}
	c = c.withDefaults()
	m := &Mailer{config: c, from: from, domain: domain, log: c.Logger.With("component", "email"), signedNames: strings.Join(signedHeaders(), ":")}
	m.pool = newPool(c)
	return m, nil
}

func (c Config) withDefaults() Config {
	c.Connections = max(1, cmp.Or(c.Connections, 4))
	c.MailsPerConnection = cmp.Or(c.MailsPerConnection, 100)
	c.IdleAfter = cmp.Or(c.IdleAfter, 30*time.Second)
	c.ReplyTimeout = cmp.Or(c.ReplyTimeout, 10*time.Minute)
	c.StepTimeout = cmp.Or(c.StepTimeout, 2*time.Minute)
	c.Grace = cmp.Or(c.Grace, 5*time.Second)
	if c.Dial == nil {
		dialer := &net.Dialer{Timeout: 30 * time.Second}
		c.Dial = dialer.DialContext
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// parseFrom reads the sender: a bare address, or a name and an address.
func parseFrom(from string) (*mail.Address, string, error) {
	if strings.ContainsAny(from, "\r\n") {
		return nil, "", news.Invalid("", "must be one line")
	}
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, "", news.Invalid("", "must look like `Name <digest@news.example>`: %v", err)
	}
	address, err := CheckAddress(a.Address)
	if err != nil {
		return nil, "", err
	}
	return &mail.Address{Name: a.Name, Address: address}, address[strings.LastIndexByte(address, '@')+1:], nil
}

// CheckFrom says what is wrong with a sender, nil if nothing.
func CheckFrom(from string) error {
	_, _, err := parseFrom(from)
	return err
}

// Address is the sender's bare address: the envelope sender unless the caller
// has a better one.
func (m *Mailer) Address() string { return m.from.Address }

// Domain is the sender's domain: right of the @ in message ids, and d= of the
// signature.
func (m *Mailer) Domain() string { return m.domain }

// Close ends the idle connections. Sends under way finish; later ones connect
// anew.
func (m *Mailer) Close() error {
	m.pool.close()
	return nil
}
