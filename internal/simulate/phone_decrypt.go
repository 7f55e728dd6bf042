package simulate

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// decrypt opens one aes128gcm body as a browser does: RFC 8291 for the key,
// RFC 8188 for the record. Written from the texts on its own, so that it can
// judge the sender.
func decrypt(private *ecdh.PrivateKey, auth, body []byte) ([]byte, error) {
	if len(body) < 21 {
		return nil, errors.New("simulate.decrypt: shorter than a header")
	}
	salt, size, idLen := body[:16], binary.BigEndian.Uint32(body[16:20]), int(body[20])
	if idLen != 65 || len(body) < 21+idLen {
		return nil, errors.New("simulate.decrypt: key id is not a public key")
	}
	sender, sealed := body[21:21+idLen], body[21+idLen:]
	if size < 18 || uint64(len(sealed)) > uint64(size) {
		return nil, errors.New("simulate.decrypt: not a single record")
	}
	theirs, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: sender's key: %w", err)
	}
	secret, err := private.ECDH(theirs)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: agree: %w", err)
	}
	info := "WebPush: info\x00" + string(private.PublicKey().Bytes()) + string(sender)
	ikm, err := hkdf.Key(sha256.New, secret, auth, info, 32)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: input key: %w", err)
	}
	plain, err := openRecord(ikm, salt, sealed)
	if err != nil {
		return nil, err
	}
	return unpad(plain)
}

// openRecord is RFC 8188 2.2, 2.3 and 2 for the first and only record.
func openRecord(ikm, salt, sealed []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: content key: %w", err)
	}
	nonce, err := hkdf.Key(sha256.New, ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: nonce: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: aes: %w", err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: gcm: %w", err)
	}
	plain, err := gcm.Open(nil, nonce, sealed, nil)
	if err != nil {
		return nil, fmt.Errorf("simulate.decrypt: open: %w", err)
	}
	return plain, nil
}

// unpad takes the padding off: zeros, and before them the last record's 2.
func unpad(plain []byte) ([]byte, error) {
	for i := len(plain) - 1; i >= 0; i-- {
		switch plain[i] {
		case 0:
		case 2:
			return plain[:i], nil
		default:
			return nil, errors.New("simulate.decrypt: bad delimiter")
		}
	}
	return nil, errors.New("simulate.decrypt: no delimiter")
}
