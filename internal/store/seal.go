package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"dateline/internal/news"
)

// sealer keeps endpoints, device keys and addresses unreadable at rest:
// AES-256-GCM with a random nonce, bound to table and row id so that a
// sealed value can't be moved to another row, and a keyed hash for look-up.
// Both keys are derived from the seal key (HKDF-SHA-256).
type sealer struct {
	id   string // of the key, noted in each row
	aead cipher.AEAD
	mac  []byte
}

func newSealer(key []byte) (*sealer, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("the seal key must have 32 bytes, not %d", len(key))
	}
	derive := func(use string, n int) ([]byte, error) {
		return hkdf.Key(sha256.New, key, nil, "dateline store "+use, n)
	}
	content, err := derive("seal", 32)
	if err != nil {
		return nil, err
	}
	mac, err := derive("look-up", 32)
	if err != nil {
		return nil, err
	}
	id, err := derive("key id", 4)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(content)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block) // the nonce is prepended
	if err != nil {
		return nil, err
	}
	return &sealer{id: hex.EncodeToString(id), aead: aead, mac: mac}, nil
}

// seal is the bytes to store for plain in the given table and row.
func (s *sealer) seal(table, rowID string, plain []byte) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(table+"/"+rowID))
}

// open undoes seal.
func (s *sealer) open(keyID, table, rowID string, sealed []byte) ([]byte, error) {
	if keyID != s.id {
		return nil, fmt.Errorf("%s %s is sealed with key %s, this process has %s", table, rowID, keyID, s.id)
	}
	raw, err := s.aead.Open(nil, nil, sealed, []byte(table+"/"+rowID))
	if err != nil {
		return nil, fmt.Errorf("%s %s can't be unsealed: %w", table, rowID, err)
	}
	return raw, nil
}

// lookup is the keyed hash by which a sealed value is found. kind keeps an
// address and an endpoint of the same text apart.
func (s *sealer) lookup(kind, value string) []byte {
	h := hmac.New(sha256.New, s.mac)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write([]byte(value))
	return h.Sum(nil)
}

func (s *sealer) endpointMAC(endpoint string) []byte { return s.lookup("endpoint", endpoint) }

func (s *sealer) addressMAC(address string) []byte {
	return s.lookup("address", foldAddress(address))
}

// foldAddress is the form in which addresses are compared and stored.
func foldAddress(address string) string { return strings.ToLower(strings.TrimSpace(address)) }

// sealPush seals a device's subscription as one value: one AEAD a device
// when millions are read.
func (s *sealer) sealPush(deviceID string, p news.PushSubscription) []byte {
	return s.seal("devices", deviceID, packPush(p))
}

func packPush(p news.PushSubscription) []byte {
	raw := binary.AppendUvarint(nil, uint64(len(p.Endpoint)))
	raw = append(raw, p.Endpoint...)
	raw = binary.AppendUvarint(raw, uint64(len(p.P256dh)))
	raw = append(raw, p.P256dh...)
	return append(raw, p.Auth...)
}

func (s *sealer) openPush(keyID, deviceID string, sealed []byte) (news.PushSubscription, error) {
	raw, err := s.open(keyID, "devices", deviceID, sealed)
	if err != nil {
		return news.PushSubscription{}, err
	}
	return unpackPush(deviceID, raw)
}

func unpackPush(id string, raw []byte) (news.PushSubscription, error) {
	endpoint, raw, ok := cutPart(raw)
	p256dh, raw, ok2 := cutPart(raw)
	if !ok || !ok2 {
		return news.PushSubscription{}, errors.New("device " + id + " holds no subscription")
	}
	return news.PushSubscription{Endpoint: string(endpoint), P256dh: p256dh, Auth: raw}, nil
}

// cutPart takes one length-prefixed part off raw.
func cutPart(raw []byte) (part, rest []byte, ok bool) {
	n, size := binary.Uvarint(raw)
	if size <= 0 || n > uint64(len(raw)-size) {
		return nil, nil, false
	}
	raw = raw[size:]
	return raw[:n:n], raw[n:], true
}
