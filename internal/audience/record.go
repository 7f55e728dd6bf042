package audience

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/google/uuid"

	"dateline/internal/news"
)

// record is what sending needs of a device, in one run of bytes: id,
// subscriber, endpoint, the two keys; each after its length. A UUID in its
// usual spelling takes 16 bytes instead of 36 and is told by the length 0;
// other texts have their length plus one.
type record []byte

func appendRecord(b []byte, d news.Device) []byte {
	b = appendID(b, d.ID)
	b = appendID(b, d.SubscriberID)
	b = appendBytes(b, d.Push.Endpoint)
	b = appendBytes(b, d.Push.P256dh)
	return appendBytes(b, d.Push.Auth)
}

func appendID(b []byte, id string) []byte {
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		return append(append(b, 0), u[:]...)
	}
	return appendBytes(b, id)
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s))+1)
	return append(b, s...)
}

// id takes a text off the front.
func (r record) id() (string, record) {
	if r[0] == 0 {
		return uuid.UUID(r[1:17]).String(), r[17:]
	}
	b, rest := r.bytes()
	return string(b), rest
}

func (r record) bytes() ([]byte, record) {
	n, used := binary.Uvarint(r)
	end := used + int(n) - 1
	return r[used:end], r[end:]
}

func (r record) skipID() record {
	if r[0] == 0 {
		return r[17:]
	}
	_, rest := r.bytes()
	return rest
}

func (r record) subscriber() string {
	s, _ := r.skipID().id()
	return s
}

// appendSubscriber is subscriber without making a string.
func (r record) appendSubscriber(b []byte) []byte {
	r = r.skipID()
	if r[0] != 0 {
		id, _ := r.bytes()
		return append(b, id...)
	}
	for i, part := range [][2]int{{1, 5}, {5, 7}, {7, 9}, {9, 11}, {11, 17}} { // 8-4-4-4-12 digits
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, r[part[0]:part[1]])
	}
	return b
}

// endpoint is where the device is reached, in place.
func (r record) endpoint() []byte {
	e, _ := r.skipID().skipID().bytes()
	return e
}

// push copies the subscription out.
func (r record) push() (p news.PushSubscription) {
	rest := r.skipID().skipID()
	endpoint, rest := rest.bytes()
	p256dh, rest := rest.bytes()
	auth, _ := rest.bytes()
	p.Endpoint = string(endpoint)
	p.P256dh = append([]byte(nil), p256dh...)
	p.Auth = append([]byte(nil), auth...)
	return p
}

// size is how many bytes the record takes at the front of r.
func (r record) size() int {
	rest := r.skipID().skipID()
	for range 3 {
		_, rest = rest.bytes()
	}
	return len(r) - len(rest)
}
