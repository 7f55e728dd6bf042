package push

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	webpush "github.com/SherClockHolmes/webpush-go"
)

// VAPID is the key pair that tells push services who we are. All
// subscriptions are bound to it: another key means that every reader has to
// subscribe again. It never prints its secret; Secret is the one way to it.
type VAPID struct {
	private *ecdsa.PrivateKey
	public  []byte
}

// ParseVAPIDKey reads a private key as webpush-go prints it: the P-256 scalar,
// 32 bytes, base64url without padding. The error never quotes the text.
func ParseVAPIDKey(text string) (VAPID, error) {
	raw, err := decodeBase64(strings.TrimSpace(text))
	if err != nil || len(raw) != 32 {
		return VAPID{}, errors.New("push.ParseVAPIDKey: not 32 bytes in base64url (43 characters)")
	}
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), raw)
	if err != nil {
		return VAPID{}, errors.New("push.ParseVAPIDKey: not a private key of the curve P-256")
	}
	public, err := private.PublicKey.Bytes()
	if err != nil {
		return VAPID{}, fmt.Errorf("push.ParseVAPIDKey: public key: %w", err)
	}
	return VAPID{private: private, public: public}, nil
}

// NewVAPIDKey makes a key pair.
func NewVAPIDKey() (VAPID, error) {
	private, _, err := webpush.GenerateVAPIDKeys()
	if err != nil {
		return VAPID{}, fmt.Errorf("push.NewVAPIDKey: %w", err)
	}
	return ParseVAPIDKey(private)
}

// IsZero reports that there is no key.
func (v VAPID) IsZero() bool { return v.private == nil }

// PublicKey is the public key as browsers want it (applicationServerKey).
func (v VAPID) PublicKey() string { return base64.RawURLEncoding.EncodeToString(v.public) }

// Secret is the private key in the form ParseVAPIDKey reads.
func (v VAPID) Secret() string {
	if v.IsZero() {
		return ""
	}
	raw, err := v.private.Bytes()
	if err != nil { // a key that was parsed can be written
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// KeyID is a fingerprint of the public key: 16 hex digits of its SHA-256.
func (v VAPID) KeyID() string {
	sum := sha256.Sum256(v.public)
	return hex.EncodeToString(sum[:8])
}

// String names the key without giving it away.
func (v VAPID) String() string { return "VAPID key " + v.KeyID() }

// GoString is String: %#v must not print the secret either.
func (v VAPID) GoString() string { return v.String() }

const (
	// RFC 8292 2 allows 24 h ahead of the push service's clock; half of it
	// leaves room for a clock that is wrong by hours on either side.
	tokenLife = 12 * time.Hour
	// Apple: not more often than once per hour.
	tokenRefresh = tokenLife / 2
	clockSlack   = 5 * time.Minute
)

// token is one origin's Authorization header, signed once for hours.
type token struct {
	mu     sync.Mutex
	signed time.Time
	header []string
}

// value gives the header's value, signing anew when the last is half through
// its life or the clock has been set back.
func (t *token) value(key VAPID, origin, subject string, now time.Time) ([]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.header != nil && now.Before(t.signed.Add(tokenRefresh)) && now.After(t.signed.Add(-clockSlack)) {
		return t.header, nil
	}
	text, err := authorization(key, origin, subject, now.Add(tokenLife))
	if err != nil {
		return nil, err
	}
	t.signed, t.header = now, []string{text}
	return t.header, nil
}

// authorization is the header of RFC 8292 3 with a JWT signed by ES256.
func authorization(key VAPID, origin, subject string, expires time.Time) (string, error) {
	claims, err := json.Marshal(struct {
		Aud string `json:"aud"`
		Exp int64  `json:"exp"`
		Sub string `json:"sub,omitempty"`
	}{origin, expires.Unix(), subject})
	if err != nil {
		return "", fmt.Errorf("push.authorization(%s): %w", origin, err)
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"typ":"JWT","alg":"ES256"}`)) + "." + b64.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, key.private, digest[:])
	if err != nil {
		return "", fmt.Errorf("push.authorization(%s): sign: %w", origin, err)
	}
	var sig [64]byte // RFC 7518 3.4: r and s, 32 bytes each
	r.FillBytes(sig[:32])
	s.FillBytes(sig[32:])
	return "vapid t=" + signed + "." + b64.EncodeToString(sig[:]) + ", k=" + key.PublicKey(), nil
}
