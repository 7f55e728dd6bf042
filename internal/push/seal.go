package push

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
)

// MaxPayload is the longest plaintext we send (DESIGN 9). The protocol would
// carry 3,993 bytes, but bridges to Android lose messages from about 2,744.
const MaxPayload = 1500

const (
	saltLen   = 16
	pointLen  = 65                         // uncompressed P-256
	authLen   = 16                         // RFC 8291 3.2
	headerLen = saltLen + 4 + 1 + pointLen // RFC 8188 2.1, keyid = our public key
	tagLen    = 16                         // AES-GCM
	maxBody   = 4096                       // RFC 8030 7.2: no service may refuse this much
	record    = maxBody                    // rs: above any record we make, as RFC 8291 4 asks
)

// PadTo is the bucket a plaintext of n bytes is padded to, delimiter included:
// 512, 1,024 or 1,536. The push service learns the bucket, not the length. An
// alert with its links and data hardly ever fits in less than 256 bytes, so
// smaller buckets would only tell more. 0 means too long.
func PadTo(n int) int {
	switch {
	case n < 0 || n > MaxPayload:
		return 0
	case n < 512:
		return 512
	case n < 1024:
		return 1024
	}
	return 1536
}

var errTooLong = fmt.Errorf("push.Seal: payload is longer than %d bytes", MaxPayload)

// Seal encrypts a payload for one subscription (RFC 8291, aes128gcm): the body
// of one request, never to be sent twice to different places. The key pair is
// made here and forgotten with it. The payload is only read.
func Seal(t Target, payload []byte) ([]byte, error) {
	if PadTo(len(payload)) == 0 {
		return nil, errTooLong
	}
	k, err := Arm(t)
	if err != nil {
		return nil, err
	}
	return k.Seal(payload)
}

var errUsed = errors.New("push.Seal: the key has sealed a message already")

// Seal is the function Seal with a key that was made before; the key is forgotten.
func (k *ArmedKey) Seal(payload []byte) ([]byte, error) {
	return k.appendSealed(make([]byte, 0, headerLen+PadTo(len(payload))+tagLen), payload, new(scratch))
}

// scratch is memory for the numbers that a message is sealed with. They go through
// interfaces, so that on the stack they can't be.
type scratch struct {
	salt  [saltLen]byte
	nonce [sha256.Size]byte
}

// appendSealed appends the body of one request; the key is forgotten.
func (k *ArmedKey) appendSealed(dst, payload []byte, own *scratch) ([]byte, error) {
	size := PadTo(len(payload))
	if size == 0 {
		return nil, errTooLong
	}
	if k.IsZero() {
		return nil, errUsed
	}
	defer k.Zero()
	if _, err := rand.Read(own.salt[:]); err != nil {
		return nil, fmt.Errorf("push.Seal: salt: %w", err)
	}
	return k.seal(dst, payload, size, own)
}

// seal is Seal with every random part given; size is the padded plaintext's,
// delimiter included.
func seal(own *ecdh.PrivateKey, salt [saltLen]byte, t Target, payload []byte, size int) ([]byte, error) {
	k, err := arm(own, t)
	if err != nil {
		return nil, err
	}
	return k.seal(nil, payload, size, &scratch{salt: salt})
}

// agree is the keying material of a message (RFC 8291 3.4), and our public key,
// which the other side needs for it.
func agree(own *ecdh.PrivateKey, t Target) (input [sha256.Size]byte, public []byte, err error) {
	if len(t.Auth) != authLen {
		return input, nil, errors.New("push.Seal: auth is not 16 bytes")
	}
	theirs, err := ecdh.P256().NewPublicKey(t.P256dh)
	if err != nil {
		return input, nil, fmt.Errorf("push.Seal: p256dh: %w", err)
	}
	secret, err := own.ECDH(theirs)
	if err != nil {
		return input, nil, fmt.Errorf("push.Seal: agree: %w", err)
	}
	public = own.PublicKey().Bytes()
	return inputKey(secret, t, public), public, nil
}

// inputKey is RFC 8291 3.4: the keying material both sides can compute.
func inputKey(secret []byte, t Target, public []byte) [sha256.Size]byte {
	var info [14 + 2*pointLen + 1]byte
	n := copy(info[:], "WebPush: info\x00")
	n += copy(info[n:], t.P256dh)
	n += copy(info[n:], public)
	info[n] = 1 // HKDF's first block counter
	prk := mac(t.Auth, secret)
	return mac(prk[:], info[:])
}

// contentKey is RFC 8188 2.2 and 2.3: the key and nonce of the only record.
func contentKey(input *[sha256.Size]byte, own *scratch) (cipher.AEAD, error) {
	prk := mac(own.salt[:], input[:])
	key := mac(prk[:], []byte("Content-Encoding: aes128gcm\x00\x01"))
	own.nonce = mac(prk[:], []byte("Content-Encoding: nonce\x00\x01"))
	block, err := aes.NewCipher(key[:16])
	if err != nil {
		return nil, fmt.Errorf("push.Seal: aes: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("push.Seal: gcm: %w", err)
	}
	return gcm, nil
}

// mac is HMAC-SHA-256 for a key of at most 64 and a message of at most 145
// bytes, which is all RFC 8291 needs. It stays on the stack: crypto/hkdf costs
// 42 allocations a message (performance notes, section 1), this none.
func mac(key, message []byte) [sha256.Size]byte {
	var inner [sha256.BlockSize + 14 + 2*pointLen + 1]byte
	var outer [sha256.BlockSize + sha256.Size]byte
	copy(inner[:sha256.BlockSize], key)
	copy(outer[:sha256.BlockSize], key)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := sha256.BlockSize + copy(inner[sha256.BlockSize:], message)
	sum := sha256.Sum256(inner[:n])
	copy(outer[sha256.BlockSize:], sum[:])
	return sha256.Sum256(outer[:])
}
