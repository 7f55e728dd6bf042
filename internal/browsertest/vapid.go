package browsertest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
)

// maxTokenLife is how far ahead RFC 8292 (section 2) lets a token expire.
const maxTokenLife = 24 * time.Hour

// errNoToken says that the request carries no VAPID token at all (401; every
// other fault is a 403).
var errNoToken = errors.New("no vapid token")

type claims struct {
	Aud string `json:"aud"`
	Exp int64  `json:"exp"`
	Sub string `json:"sub"`
}

// verifyVAPID checks an Authorization header as RFC 8292 and autopush do: an
// ES256 token, signed with the key the browser subscribed with, for this
// origin, not expired and not for more than a day.
func verifyVAPID(header, origin, registered string, now time.Time) error {
	token, key, err := splitVAPID(header)
	if err != nil {
		return err
	}
	if want, err := unbase64(registered); err != nil || !bytes.Equal(key, want) {
		return errors.New("vapid: not the key of the subscription")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), key)
	if err != nil {
		return fmt.Errorf("vapid: public key: %w", err)
	}
	c, err := verifyToken(token, public)
	if err != nil {
		return err
	}
	return c.check(origin, now)
}

func splitVAPID(header string) (token string, key []byte, err error) {
	rest, ok := strings.CutPrefix(header, "vapid ")
	if !ok {
		return "", nil, errNoToken
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			token = value
		case "k":
			if key, err = unbase64(value); err != nil {
				return "", nil, fmt.Errorf("vapid: k: %w", err)
			}
		}
	}
	if token == "" || key == nil {
		return "", nil, errors.New("vapid: needs t and k")
	}
	return token, key, nil
}

func verifyToken(token string, public *ecdsa.PublicKey) (claims, error) {
	signed, signature, ok := cutLast(token, ".")
	header, payload, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 {
		return claims{}, errors.New("vapid: not a compact JWT")
	}
	var head struct{ Typ, Alg string }
	if err := unjson(header, &head); err != nil || head.Alg != "ES256" {
		return claims{}, fmt.Errorf("vapid: alg %q instead of ES256", head.Alg)
	}
	raw, err := unbase64(signature)
	if err != nil || len(raw) != 64 {
		return claims{}, fmt.Errorf("vapid: signature of %d bytes instead of 64", len(raw))
	}
	sum := sha256.Sum256([]byte(signed))
	r, s := new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])
	if !ecdsa.Verify(public, sum[:], r, s) {
		return claims{}, errors.New("vapid: signature does not verify")
	}
	var c claims
	if err := unjson(payload, &c); err != nil {
		return claims{}, fmt.Errorf("vapid: claims: %w", err)
	}
	return c, nil
}

func (c claims) check(origin string, now time.Time) error {
	expires := time.Unix(c.Exp, 0)
	switch {
	case c.Aud != origin:
		return fmt.Errorf("vapid: aud %q instead of %q", c.Aud, origin)
	case !expires.After(now):
		return fmt.Errorf("vapid: expired at %s", expires.UTC())
	case expires.After(now.Add(maxTokenLife)):
		return fmt.Errorf("vapid: exp is more than %s ahead", maxTokenLife)
	case c.Sub != "" && !strings.HasPrefix(c.Sub, "mailto:") && !strings.HasPrefix(c.Sub, "https:"):
		return fmt.Errorf("vapid: sub %q is neither a mailto: nor an https: address", c.Sub)
	}
	return nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func unjson(part string, into any) error {
	raw, err := unbase64(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// unbase64 reads base64url with or without padding: Firefox registers its key
// with padding, RFC 8292 writes it without.
func unbase64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}
