package simulate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// tokens remembers which tokens were found good, as real services do
// (RFC 8292 5): a signature is checked once.
type tokens struct {
	mu   sync.Mutex
	good map[string]claims
}

type claims struct {
	Aud string `json:"aud"`
	Exp int64  `json:"exp"`
	Sub string `json:"sub"`
}

// verify is RFC 8292: the header's form, the signature, and the claims against
// this service and the clock.
func (s *PushService) verify(r *http.Request) error {
	header := r.Header.Get("Authorization")
	if header == "" {
		return &refusal{http.StatusUnauthorized, "no Authorization"}
	}
	s.tokens.mu.Lock()
	c, known := s.tokens.good[header]
	s.tokens.mu.Unlock()
	if !known {
		var fault string
		if c, fault = readToken(header, s.opts.Key); fault != "" {
			return &refusal{http.StatusForbidden, fault}
		}
	}
	if fault := s.judge(c); fault != "" {
		return &refusal{http.StatusForbidden, fault}
	}
	if !known {
		s.tokens.mu.Lock()
		defer s.tokens.mu.Unlock()
		if s.tokens.good == nil || len(s.tokens.good) > 1000 {
			s.tokens.good = map[string]claims{}
		}
		s.tokens.good[header] = c
	}
	return nil
}

// judge holds good claims against this service.
func (s *PushService) judge(c claims) string {
	now := s.opts.Now()
	expires := time.Unix(c.Exp, 0)
	switch {
	case c.Aud != s.origin:
		return "aud is not this service"
	case !expires.After(now):
		return "token has expired"
	case expires.After(now.Add(24*time.Hour + time.Minute)):
		return "exp is more than 24 hours ahead"
	case s.opts.NeedSubject && !isContact(c.Sub):
		return "BadJwtToken" // Apple's word
	}
	return ""
}

// isContact is the least Apple asks of a subject.
func isContact(sub string) bool {
	if address, ok := strings.CutPrefix(sub, "mailto:"); ok {
		user, host, _ := strings.Cut(address, "@")
		return user != "" && !strings.ContainsAny(user, " <>:") && isRealHost(host)
	}
	rest, ok := strings.CutPrefix(sub, "https://")
	host, _, _ := strings.Cut(rest, "/")
	return ok && isRealHost(host)
}

func isRealHost(host string) bool {
	return strings.Contains(host, ".") && !strings.ContainsAny(host, " <>@") &&
		!strings.HasSuffix(host, ".local") && !strings.HasSuffix(host, ".localhost")
}

// readToken takes the header apart and checks the signature. want is the key
// the subscriptions are bound to; "" takes any.
func readToken(header, want string) (claims, string) {
	t, k := tokenParts(header)
	public := unbase64(k)
	if t == "" || len(public) != 65 || public[0] != 4 {
		return claims{}, "Authorization is not vapid t=…, k=…"
	}
	if want != "" && string(public) != string(unbase64(want)) {
		return claims{}, "VapidPkHashMismatch"
	}
	parts := strings.Split(t, ".")
	if len(parts) != 3 {
		return claims{}, "token is not a JWT"
	}
	var head struct{ Alg, Typ string }
	if json.Unmarshal(unbase64(parts[0]), &head) != nil || head.Alg != "ES256" {
		return claims{}, "token is not signed by ES256"
	}
	if !signed(parts[0]+"."+parts[1], unbase64(parts[2]), public) {
		return claims{}, "signature does not match"
	}
	var c claims
	if json.Unmarshal(unbase64(parts[1]), &c) != nil {
		return claims{}, "claims are not JSON"
	}
	return c, ""
}

// tokenParts reads "vapid t=…, k=…".
func tokenParts(header string) (t, k string) {
	rest, ok := strings.CutPrefix(header, "vapid ")
	if !ok {
		return "", ""
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			t = value
		case "k":
			k = value
		}
	}
	return t, k
}

// signed verifies an ES256 signature (RFC 7518 3.4).
func signed(text string, sig, public []byte) bool {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), public)
	if err != nil || len(sig) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(text))
	return ecdsa.Verify(key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}

// unbase64 reads base64url with or without padding; nil when it is neither.
func unbase64(text string) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil
	}
	return raw
}
