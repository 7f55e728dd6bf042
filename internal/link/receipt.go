package link

import (
	"encoding/binary"
	"time"

	"github.com/google/uuid"
)

// Receipt is what a receipt token stands for: one revision of one alert on one
// device, by its place and not by its id.
type Receipt struct {
	AlertID  string // a UUID
	Revision int
	Cell     int
	Number   uint32
}

// Receipt signs the token a notification sends back when it was shown,
// clicked or closed. It is good for nothing else; give it ReceiptFor from the
// send. About 60 characters. An AlertID that is no UUID gives "".
func (s *Signer) Receipt(r Receipt, expires time.Time) string {
	alert, err := uuid.Parse(r.AlertID)
	if err != nil {
		return ""
	}
	body := append([]byte{s.keyID}, alert[:]...)
	body = binary.BigEndian.AppendUint32(body, uint32(expires.Unix()))
	body = append(body, byte(r.Cell))
	body = binary.AppendUvarint(body, uint64(r.Revision))
	body = binary.AppendUvarint(body, uint64(r.Number))
	return s.seal(receipt, body)
}

// VerifyReceipt gives back what a receipt token stands for, or ErrBad, or
// ErrExpired.
func (s *Signer) VerifyReceipt(token string, now time.Time) (Receipt, error) {
	body, err := s.open(receipt, token)
	if err != nil {
		return Receipt{}, err
	}
	const fixed = 1 + 16 + 4 + 1
	if len(body) < fixed {
		return Receipt{}, ErrBad
	}
	alert, err := uuid.FromBytes(body[1:17])
	if err != nil {
		return Receipt{}, ErrBad
	}
	revision, n := binary.Uvarint(body[fixed:])
	if n <= 0 {
		return Receipt{}, ErrBad
	}
	number, m := binary.Uvarint(body[fixed+n:])
	if m <= 0 || fixed+n+m != len(body) {
		return Receipt{}, ErrBad
	}
	if now.Unix() >= int64(binary.BigEndian.Uint32(body[17:21])) {
		return Receipt{}, ErrExpired
	}
	return Receipt{AlertID: alert.String(), Revision: int(revision), Cell: int(body[21]), Number: uint32(number)}, nil
}
