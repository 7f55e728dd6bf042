// Package link signs what leaves the house and comes back: links in mails and
// pages, bearer tokens of subscriptions, receipts of notifications, and the
// tag that stands for a story on a device.
//
// It promises that a token is good for one purpose and one id only (both are
// under the MAC), that it says nothing a stranger could use, that checking it
// takes the same time whatever is wrong with it, and that the same purpose,
// id and end always give the same token. It keeps no state: what a token may
// do once only is for the store to remember.
package link

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"dateline/internal/news"
)

// Purpose says what a token is for. It is part of the MAC, so a token of one
// purpose is worthless for every other.
type Purpose string

// The purposes.
const (
	Confirm       Purpose = "confirm"        // id: digest sign-up; 48 h
	ManageDevice  Purpose = "manage-device"  // id: device
	ManageMailbox Purpose = "manage-mailbox" // id: mailbox; 30 days in mails
	FreshMailbox  Purpose = "fresh-mailbox"  // id: mailbox; what was mailed a moment ago may export, wipe and move
	Unsubscribe   Purpose = "unsubscribe"    // id: mailbox; never expires, can do nothing else
	API           Purpose = "api"            // id: device; the bearer token of a subscription
	Why           Purpose = "why"            // id: device
	Visit         Purpose = "visit"          // id: VisitID; in mails of publishers who count
	receipt       Purpose = "receipt"
)

// How long links last (DESIGN 9; reliability.md, security requirements).
const (
	ConfirmFor = 48 * time.Hour
	ManageFor  = 30 * 24 * time.Hour
	FreshFor   = time.Hour
	ReceiptFor = 7 * 24 * time.Hour
)

// Errors of Verify and VerifyReceipt. ErrBad is also news.ErrNotFound (a link
// that leads nowhere), ErrExpired is also news.ErrGone.
var (
	ErrBad     = fmt.Errorf("%w: this link is not valid", news.ErrNotFound)
	ErrExpired = fmt.Errorf("%w: this link has expired", news.ErrGone)
)

// OfDate is the query parameter by which a link in a digest says of which local date
// the digest is.
const OfDate = "of"

// VisitID is what a Visit token is for: a story in an edition's mails, or with no story
// the picture in them. No reader is in it.
func VisitID(edition, story string) string { return edition + "\n" + story }

// ParseVisitID takes a VisitID apart.
func ParseVisitID(id string) (edition, story string) {
	edition, story, _ = strings.Cut(id, "\n")
	return edition, story
}

// macBytes is the length of the truncated MAC: 128 bits.
const macBytes = 16

// encoding is strict: of the strings that decode to the same bytes only one
// is a token.
var encoding = base64.RawURLEncoding.Strict()

// Signer makes and checks tokens with one key. It is safe for concurrent use.
type Signer struct {
	keyID byte
	mac   []byte // for tokens
	tag   []byte // for tags: DESIGN names the link key itself
	hash  []byte // for Hash
}

// New makes a signer from the link key (32 random bytes). Keys for the
// different uses are derived from it.
func New(key []byte) *Signer {
	own := append([]byte(nil), key...)
	id := sum(own, "key id")
	return &Signer{keyID: id[0], mac: sum(own, "token"), tag: own, hash: sum(own, "hash")}
}

// Fingerprint names the key without giving it away; for the check that a
// database and a process belong together.
func (s *Signer) Fingerprint() string { return hex.EncodeToString(sum(s.tag, "fingerprint")[:8]) }

func sum(key []byte, parts ...string) []byte {
	m := hmac.New(sha256.New, key)
	for _, p := range parts {
		// Lengths keep ("ab","c") and ("a","bc") apart.
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(len(p)))
		m.Write(n[:])
		m.Write([]byte(p))
	}
	return m.Sum(nil)
}

// The second byte of a token.
const (
	flagExpires = 1 << iota // four bytes of Unix seconds follow
	flagUUID                // the id is a UUID, packed into 16 bytes
)

// Sign makes the token for a purpose and an id. A zero expires never ends.
// With a UUID for an id it has 46 characters, 51 with an end.
func (s *Signer) Sign(purpose Purpose, id string, expires time.Time) string {
	body := []byte{s.keyID, 0}
	if !expires.IsZero() {
		body[1] |= flagExpires
		body = binary.BigEndian.AppendUint32(body, uint32(expires.Unix()))
	}
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		body[1] |= flagUUID
		body = append(body, u[:]...)
	} else {
		body = append(body, id...)
	}
	return s.seal(purpose, body)
}

// Verify gives back the id a token was signed for, or ErrBad, or ErrExpired.
func (s *Signer) Verify(purpose Purpose, token string, now time.Time) (id string, err error) {
	body, err := s.open(purpose, token)
	if err != nil {
		return "", err
	}
	if len(body) < 2 {
		return "", ErrBad
	}
	flags, rest := body[1], body[2:]
	if flags&flagExpires != 0 {
		if len(rest) < 4 {
			return "", ErrBad
		}
		if now.Unix() >= int64(binary.BigEndian.Uint32(rest)) {
			return "", ErrExpired
		}
		rest = rest[4:]
	}
	if flags&flagUUID == 0 {
		return string(rest), nil
	}
	u, err := uuid.FromBytes(rest)
	if err != nil {
		return "", ErrBad
	}
	return u.String(), nil
}

// seal appends the MAC and encodes.
func (s *Signer) seal(purpose Purpose, body []byte) string {
	return encoding.EncodeToString(append(body, s.tokenMAC(purpose, body)...))
}

// maxToken bounds what is decoded at all: a stranger's token can be as long
// as a URL.
const maxToken = 512

// open decodes and checks the MAC. Every fault of form still costs one MAC, so
// the time does not tell what was wrong.
func (s *Signer) open(purpose Purpose, token string) ([]byte, error) {
	if len(token) > maxToken {
		return nil, ErrBad
	}
	raw, err := encoding.DecodeString(token)
	formed := err == nil && len(raw) > macBytes && raw[0] == s.keyID
	if !formed {
		raw = make([]byte, 1+macBytes)
	}
	body, mac := raw[:len(raw)-macBytes], raw[len(raw)-macBytes:]
	if !hmac.Equal(mac, s.tokenMAC(purpose, body)) || !formed {
		return nil, ErrBad
	}
	return body, nil
}

func (s *Signer) tokenMAC(purpose Purpose, body []byte) []byte {
	return sum(s.mac, string(purpose), string(body))[:macBytes]
}

// Tag is the Topic of a push and the tag of its notification: the same for
// every revision of a story, and silent about which story it is (DESIGN 9).
func (s *Signer) Tag(storyURI string) string {
	m := hmac.New(sha256.New, s.tag)
	m.Write([]byte(storyURI))
	return encoding.EncodeToString(m.Sum(nil))[:32]
}

// Hash stands for something that is to be recognised but not kept, such as a
// client address in a consent record. Hex, 32 characters.
func (s *Signer) Hash(purpose, text string) string {
	return hex.EncodeToString(sum(s.hash, purpose, text)[:16])
}

// Path is the path of the page a token is for: "/confirm/TOKEN". Put a fixed
// base URL before it, never the Host of a request.
func Path(purpose Purpose, token string) string {
	switch purpose {
	case Confirm:
		return "/confirm/" + token
	case Unsubscribe:
		return "/unsubscribe/" + token
	case Visit:
		return "/visit/" + token
	case ManageDevice, ManageMailbox, FreshMailbox:
		return "/manage/" + token
	}
	return "/"
}
