package push

import (
	"crypto/ecdh"
	"encoding/base64"
	"errors"
	"strings"

	"dateline/internal/news"
)

// Paths of the faults of a subscription, as the subscribe door names them.
const (
	pathEndpoint = "subscription/endpoint"
	pathP256dh   = "subscription/keys/p256dh"
	pathAuth     = "subscription/keys/auth"
)

// ParseSubscription reads what a browser hands over and checks all of it that
// does not depend on the operator's settings: the endpoint's shape and both
// keys. CheckSubscription then says whether we send there. Faults come as one
// *news.InvalidError; no message quotes what was sent.
func ParseSubscription(endpoint, p256dh, auth string) (news.PushSubscription, error) {
	var faults news.Problems
	if _, _, fault := parseEndpoint(endpoint); fault != "" {
		faults.Add(pathEndpoint, "%s", fault)
	}
	sub := news.PushSubscription{Endpoint: endpoint}
	var err error
	if sub.P256dh, err = decodeBase64(p256dh); err != nil {
		faults.Add(pathP256dh, "must be base64url")
	} else if fault := pointFault(sub.P256dh); fault != "" {
		faults.Add(pathP256dh, "%s", fault)
	}
	if sub.Auth, err = decodeBase64(auth); err != nil {
		faults.Add(pathAuth, "must be base64url")
	} else if fault := authFault(sub.Auth); fault != "" {
		faults.Add(pathAuth, "%s", fault)
	}
	if err := faults.Err(); err != nil {
		return news.PushSubscription{}, err
	}
	return sub, nil
}

// CheckSubscription says whether we would send to this subscription: the
// endpoint's origin is on the list, the keys are good, and Apple's origin has
// the subject it asks for. Faults come as one *news.InvalidError.
func (s *Sender) CheckSubscription(sub news.PushSubscription) error {
	var faults news.Problems
	if _, _, fault := s.route(sub.Endpoint); fault != "" {
		faults.Add(pathEndpoint, "%s", fault)
	}
	if fault := pointFault(sub.P256dh); fault != "" {
		faults.Add(pathP256dh, "%s", fault)
	}
	if fault := authFault(sub.Auth); fault != "" {
		faults.Add(pathAuth, "%s", fault)
	}
	return faults.Err()
}

func pointFault(point []byte) string {
	if len(point) != pointLen {
		return "must be 65 bytes: an uncompressed P-256 point"
	}
	if _, err := ecdh.P256().NewPublicKey(point); err != nil {
		return "must be a point on the curve P-256"
	}
	return ""
}

func authFault(auth []byte) string {
	if len(auth) != authLen {
		return "must be exactly 16 bytes"
	}
	return ""
}

// decodeBase64 reads base64url with or without padding, and the plain alphabet
// that pages which encode getKey() by btoa send. Nothing else: Go's decoder
// would skip line breaks.
func decodeBase64(text string) ([]byte, error) {
	if len(text) > 1024 { // the longest of ours is 88
		return nil, errors.New("too long")
	}
	text = strings.NewReplacer("+", "-", "/", "_").Replace(text)
	if len(text)%4 == 0 {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	for _, c := range []byte(text) {
		if !isBase64URL(c) {
			return nil, errors.New("not base64url")
		}
	}
	return base64.RawURLEncoding.Strict().DecodeString(text)
}
