package h2

import (
	"bytes"
	"encoding/binary"

	"golang.org/x/net/http2/hpack"
)

// Head is what the requests of a batch have in common. The fields that are ""
// are left out.
type Head struct {
	Authorization   string
	TTL             string
	Urgency         string
	Topic           string
	ContentEncoding string
	UserAgent       string
}

// heads writes header blocks. The paths of push endpoints are all different and
// long: they stay out of the table of the connection, so that what is always the
// same, above all the token, stays in. After the first of its kind, a block is
// the path and a byte for each other field.
type heads struct {
	authority string
	encoder   *hpack.Encoder
	text      bytes.Buffer // what the encoder writes
	last      Head
	pseudo    []byte // last's fields before the path, and after it; nil: not known
	rest      []byte
}

func (h *heads) init(authority string) {
	h.authority = authority
	h.encoder = hpack.NewEncoder(&h.text)
}

// append writes the header block of a request to a path.
func (h *heads) append(dst []byte, head *Head, path string) []byte {
	if h.pseudo == nil || *head != h.last {
		dst = h.learn(dst, head, path)
		return dst
	}
	dst = append(dst, h.pseudo...)
	dst = appendPath(dst, path)
	return append(dst, h.rest...)
}

// learn writes a block whose fields may have to be put into the table, and then
// asks how they are written when they are in it. That the table is the same
// afterwards is so because a field that is in it is not put in again; where one
// of them does not fit it is not known, and learned each time.
func (h *heads) learn(dst []byte, head *Head, path string) []byte {
	first, second := h.encode(head)
	dst = append(dst, first...)
	dst = appendPath(dst, path)
	dst = append(dst, second...)
	h.pseudo = nil
	before, after := h.encode(head)
	pseudo, rest := bytes.Clone(before), bytes.Clone(after)
	if len(pseudo)+len(rest) != h.indexed(head) {
		h.forget() // the second writing changed the table: the peer must not miss it
		return dst
	}
	h.last, h.pseudo, h.rest = *head, pseudo, rest
	return dst
}

// encode gives the fields before and after the path; they live until the next.
func (h *heads) encode(head *Head) (before, after []byte) {
	h.text.Reset()
	put := func(name, value string) {
		if value != "" {
			_ = h.encoder.WriteField(hpack.HeaderField{Name: name, Value: value}) // a buffer takes everything
		}
	}
	put(":method", "POST")
	put(":scheme", "https")
	put(":authority", h.authority)
	split := h.text.Len()
	put("content-encoding", head.ContentEncoding)
	put("content-type", "application/octet-stream")
	put("ttl", head.TTL)
	put("urgency", head.Urgency)
	put("topic", head.Topic)
	put("user-agent", head.UserAgent)
	put("authorization", head.Authorization)
	all := h.text.Bytes()
	return all[:split], all[split:]
}

// indexed is the length of both parts when every field is one byte: all indexes
// of 61 static and at most 65 other entries are below 127.
func (h *heads) indexed(head *Head) int {
	n := 4 // method, scheme, authority, content-type
	for _, v := range []string{head.ContentEncoding, head.TTL, head.Urgency, head.Topic, head.UserAgent, head.Authorization} {
		if v != "" {
			n++
		}
	}
	return n
}

// forget empties the table on both sides, with the next block: what was written
// into blocks that never left is in ours and not in the peer's.
func (h *heads) forget() {
	h.pseudo = nil
	h.encoder.SetMaxDynamicTableSize(0)
	h.encoder.SetMaxDynamicTableSize(tableSize)
}

// limit takes the peer's bound on the table (SETTINGS_HEADER_TABLE_SIZE).
func (h *heads) limit(size uint32) {
	h.pseudo = nil
	h.encoder.SetMaxDynamicTableSizeLimit(min(size, tableSize))
}

// appendPath writes :path as a literal that no hop may put into a table (RFC
// 7541 6.2.3): it is the device's address, and secret.
func appendPath(dst []byte, path string) []byte {
	dst = append(dst, 0x14) // never indexed, name 4 of the static table
	// Not by Huffman's code: random letters gain an eighth by it, and it takes 3 % of
	// the time of a send.
	dst = appendInt(dst, 0, uint64(len(path)))
	return append(dst, path...)
}

// appendInt writes a number behind a 7-bit prefix (RFC 7541 5.1).
func appendInt(dst []byte, flags byte, n uint64) []byte {
	if n < 127 {
		return append(dst, flags|byte(n))
	}
	return binary.AppendUvarint(append(dst, flags|127), n-127)
}
