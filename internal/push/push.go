// Package push sends one Web Push message and says what became of it.
//
// It promises: every message is sealed for its one subscription with a fresh
// key (RFC 8291) and padded to a bucket; every request carries a VAPID token
// that is signed once per push service and reused for hours (RFC 8292); it
// goes only to origins on the list, never through a proxy, never after a
// redirect, and never to an address that is not public unless the operator
// named the origin; an answer costs at most 4 KiB of reading and Timeout of
// waiting. A receipt says accepted, gone, retry, refused or ambiguous, where
// retry means that nothing was handed over and ambiguous that it may have
// been. The package never retries by itself, keeps no list of devices and
// writes neither endpoints nor keys to the log.
package push

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"sync"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"

	"dateline/internal/news"
)

// Target is where a message goes: one browser's subscription.
type Target struct {
	Endpoint string
	P256dh   []byte // 65 bytes, uncompressed P-256 point
	Auth     []byte // 16 bytes
}

// Message is what to send.
type Message struct {
	Payload []byte // at most MaxPayload bytes; never changed, may be shared
	TTL     int    // seconds the push service may keep it; below 0 counts as 0
	Urgency string // "high", "normal", "low", "very-low" or "" (no header)
	Topic   string // at most 32 characters of the base64url alphabet, or ""
	// Key, when set, was armed for this one message: it is forgotten with it. One
	// that does not fit the target is not used.
	Key *ArmedKey
	// Permit, when set, is asked in the instant before the first byte of the
	// body is handed to the connection, after every wait for a connection or a
	// stream. Its error stops the message: the receipt is Retry with reason
	// "stopped", and nothing that could be shown has left. It is called at most
	// once, from another goroutine.
	Permit func() error
}

// Config is what a Sender needs. Its zero values, Keys excepted, are usable.
type Config struct {
	Keys    VAPID
	Subject string   // RFC 8292 contact, see CheckSubject; "" switches Apple's origin off
	Origins []string // further allowed origins, exact scheme+host+port; exempt from the address check
	// OnlyOrigins takes the public services off the list: nothing is sent but to
	// Origins.
	OnlyOrigins bool
	// Dial, when set, makes every connection, in the place of the network's own
	// way and of the address check. A drill's refuses all but its own services.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	RootCAs *x509.CertPool
	Now     func() time.Time
	Logger  *slog.Logger
	Timeout time.Duration // for one send, waiting included; 0: 10 s
}

const defaultTimeout = 10 * time.Second

// Sender sends messages. It is safe for concurrent use.
type Sender struct {
	keys    VAPID
	subject string
	origins map[string]bool // the operator's, canonical
	now     func() time.Time
	log     *slog.Logger
	timeout time.Duration
	dialing dialing
	closed  bool // to all but origins

	answerWait time.Duration

	mu    sync.Mutex
	lanes map[string]*lane
}

// New checks the configuration and reports every fault of it at once as an
// *news.InvalidError with the paths "keys", "subject", "origins/N".
func New(c Config) (*Sender, error) {
	var faults news.Problems
	if c.Keys.IsZero() {
		faults.Add("keys", "a VAPID key is required")
	}
	if c.Subject != "" {
		faults.Take("subject", CheckSubject(c.Subject))
	}
	origins, err := parseOrigins(c.Origins)
	faults.Take("origins", err)
	if err := faults.Err(); err != nil {
		return nil, err
	}
	s := &Sender{keys: c.Keys, subject: c.Subject, origins: origins, now: c.Now, log: c.Logger,
		timeout: c.Timeout, answerWait: answerWait, closed: c.OnlyOrigins,
		dialing: dialing{roots: c.RootCAs, dial: c.Dial}, lanes: map[string]*lane{}}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("component", "push")
	if s.timeout <= 0 {
		s.timeout = defaultTimeout
	}
	return s, nil
}

// PublicKey is the VAPID public key as browsers want it: base64url without
// padding of the uncompressed point.
func (s *Sender) PublicKey() string { return s.keys.PublicKey() }

// KeyID is a short fingerprint of the VAPID key.
func (s *Sender) KeyID() string { return s.keys.KeyID() }

// Close closes every connection. Sends that are under way end as their bytes
// decide; later ones dial anew.
func (s *Sender) Close() {
	s.mu.Lock()
	lanes := s.lanes
	s.lanes = map[string]*lane{}
	s.mu.Unlock()
	for _, l := range lanes {
		l.close()
	}
}

// checkMessage refuses what a push service would answer with 400.
func checkMessage(m Message) bool {
	switch webpush.Urgency(m.Urgency) {
	case "", webpush.UrgencyHigh, webpush.UrgencyNormal, webpush.UrgencyLow, webpush.UrgencyVeryLow:
	default:
		return false
	}
	return validTopic(m.Topic)
}

// validTopic is RFC 8030 5.4: at most 32 characters of the base64url alphabet.
func validTopic(topic string) bool {
	if len(topic) > 32 {
		return false
	}
	for _, c := range []byte(topic) {
		if !isBase64URL(c) {
			return false
		}
	}
	return true
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}
