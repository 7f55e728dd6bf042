package audience

import (
	"encoding/hex"

	"github.com/google/uuid"

	"dateline/internal/news"
)

// record is what sending needs of a device, in one run of bytes: flags, id,
// subscriber, the two keys, the number of the endpoint's front and the rest of
// the endpoint. What a flag says to be usual has no length before it: ids that
// are UUIDs in their usual spelling (16 bytes instead of 36), an uncompressed
// point of P-256 (without its leading 4), an auth of 16 bytes. Others are a
// length and their bytes.
type record []byte

const (
	usualID byte = 1 << iota
	usualSubscriber
	usualP256dh
	usualAuth
	sameMoment
)

const (
	pointLen = 65 // of P-256, uncompressed
	authLen  = 16 // RFC 8291 3.2
	moment   = 6  // bytes of a UUID of version 7 that are its time (RFC 9562 5.7)
)

func appendRecord(b []byte, d *news.Device, front uint32, rest string) []byte {
	at := len(b)
	b = append(b, 0)
	b = appendID(b, at, usualID, d.ID)
	second := len(b)
	b = appendID(b, at, usualSubscriber, d.SubscriberID)
	if b[at]&(usualID|usualSubscriber) == usualID|usualSubscriber && string(b[at+1:at+1+moment]) == string(b[second:second+moment]) {
		b[at] |= sameMoment
		b = append(b[:second], b[second+moment:]...)
	}
	if p := d.Push.P256dh; len(p) == pointLen && p[0] == 4 {
		b[at] |= usualP256dh
		b = append(b, p[1:]...)
	} else {
		b = appendBytes(b, p)
	}
	if a := d.Push.Auth; len(a) == authLen {
		b[at] |= usualAuth
		b = append(b, a...)
	} else {
		b = appendBytes(b, a)
	}
	b = appendNumber(b, front)
	return packText(b, rest)
}

// appendID appends an id and notes it in the flags if it is usual.
func appendID(b []byte, flags int, usual byte, id string) []byte {
	if u, ok := parseUUID(id); ok {
		b[flags] |= usual
		return append(b, u[:]...)
	}
	return appendBytes(b, id)
}

// parseUUID reads the usual spelling, and no other: a device gives back what it
// was given.
func parseUUID(id string) (u uuid.UUID, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return u, false
	}
	at := 0
	for i := 0; i < len(id); i += 2 {
		if id[i] == '-' {
			i++
		}
		high, low := digit(id[i]), digit(id[i+1])
		if high|low > 15 {
			return u, false
		}
		u[at] = high<<4 | low
		at++
	}
	return u, true
}

// digit is a small hexadecimal digit's value; 255: it is none.
func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func appendNumber(b []byte, n uint32) []byte {
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

func appendBytes[T string | []byte](b []byte, s T) []byte {
	return append(appendNumber(b, uint32(len(s))), s...)
}

// part takes the next off rest: so many bytes where it is usual.
func (r record) part(rest []byte, usual byte, size int) (part, behind []byte) {
	if r[0]&usual == 0 {
		size, rest = uvarint(rest)
	}
	return rest[:size], rest[size:]
}

// parts are all of a record, in place; the last begins with the packed rest of
// the endpoint.
func (r record) parts() (id, subscriber, p256dh, auth []byte, front uint32, rest []byte) {
	id, subscriber, rest = r.ids()
	p256dh, rest = r.part(rest, usualP256dh, pointLen-1)
	auth, rest = r.part(rest, usualAuth, authLen)
	n, rest := uvarint(rest)
	return id, subscriber, p256dh, auth, uint32(n), rest
}

// ids are the two in front, the second perhaps without its moment.
func (r record) ids() (id, subscriber, rest []byte) {
	id, rest = r.part(r[1:], usualID, 16)
	if r[0]&sameMoment != 0 {
		return id, rest[:16-moment], rest[16-moment:]
	}
	subscriber, rest = r.part(rest, usualSubscriber, 16)
	return id, subscriber, rest
}

func (r record) id() string {
	id, _, _ := r.ids()
	return string(r.spell(nil, usualID, id))
}

func (r record) subscriber() string {
	var b [36]byte
	return string(r.appendSubscriber(b[:0]))
}

// appendSubscriber is subscriber without making a string.
func (r record) appendSubscriber(b []byte) []byte {
	first, id, _ := r.ids()
	if r[0]&sameMoment != 0 {
		var whole [16]byte
		copy(whole[copy(whole[:], first[:moment]):], id)
		id = whole[:]
	}
	return r.spell(b, usualSubscriber, id)
}

// spell appends an id as it was given.
func (r record) spell(b []byte, usual byte, id []byte) []byte {
	if r[0]&usual == 0 {
		return append(b, id...)
	}
	for i, part := range [][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 10}, {10, 16}} { // 8-4-4-4-12 digits
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[part[0]:part[1]])
	}
	return b
}

// endpoint is where the device is reached, in place.
func (r record) endpoint(fronts []string) Endpoint {
	_, _, _, _, front, rest := r.parts()
	return Endpoint{fronts[front], rest}
}

// push copies the subscription out.
func (r record) push(fronts []string) (p news.PushSubscription) {
	var buffer [512]byte
	b, t := r.appendPush(buffer[:0], fronts)
	endpoint, p256dh, auth := t.Of(b)
	p.Endpoint = string(endpoint)
	p.P256dh = append([]byte(nil), p256dh...)
	p.Auth = append([]byte(nil), auth...)
	return p
}

// appendPush is push into the caller's buffer.
func (r record) appendPush(b []byte, fronts []string) ([]byte, Place) {
	_, _, p256dh, auth, front, rest := r.parts()
	t := Place{start: len(b)}
	b = append(b, fronts[front]...)
	b, _ = unpackText(b, rest)
	t.endpoint = len(b)
	if r[0]&usualP256dh != 0 {
		b = append(b, 4)
	}
	b = append(b, p256dh...)
	t.p256dh = len(b)
	b = append(b, auth...)
	t.auth = len(b)
	return b, t
}

// size is how many bytes the record takes at the front of r.
func (r record) size() int {
	_, _, _, _, _, rest := r.parts()
	return len(r) - len(skipText(rest))
}
