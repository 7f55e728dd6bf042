package audience

import (
	"encoding/base64"
	"encoding/binary"
)

// Endpoints are an address, the same for millions, and a token of random letters
// of base64url. The first is interned (see fronts), the second takes six bits a
// letter: 280 characters take 190 bytes.
//
// A packed text is its length and then, until that many characters are there, in
// turn: how many characters stand as they are, and those; how many times four are
// packed, and those, three bytes for four. The first of the two numbers is doubled.
// Where letters are all that is left, it is odd, the second is left out, and up to
// three letters that are not packed stand at the end: so are most tokens, and it
// saves three bytes of each.

// worthPacking is the shortest run of letters that is packed: two numbers stand
// before one.
const worthPacking = 12

// letters are those of base64url.
var letters = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" {
		set[c] = true
	}
	return set
}()

func packText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	for s != "" {
		plain, packed, last := run(s)
		b = binary.AppendUvarint(b, uint64(plain)<<1|uint64(boolInt(last)))
		b = append(b, s[:plain]...)
		s = s[plain:]
		if !last {
			b = binary.AppendUvarint(b, uint64(packed/4))
		}
		b = appendLetters(b, s[:packed])
		s = s[packed:]
		if last {
			return append(b, s...)
		}
	}
	return b
}

// run is how many characters stand as they are, and how many after them are
// letters to be packed, a multiple of four; last: these and up to three more
// letters are all of s.
func run(s string) (plain, packed int, last bool) {
	for plain < len(s) {
		end := plain
		for end < len(s) && letters[s[end]] {
			end++
		}
		if n := (end - plain) / 4 * 4; n >= worthPacking {
			return plain, n, end == len(s)
		}
		plain = min(end+1, len(s))
	}
	return plain, 0, false
}

// appendLetters packs a multiple of four letters.
func appendLetters(b []byte, s string) []byte {
	var four [4]byte
	for ; s != ""; s = s[4:] {
		copy(four[:], s)
		var three [3]byte
		_, _ = base64.RawURLEncoding.Decode(three[:], four[:]) // they are letters
		b = append(b, three[:]...)
	}
	return b
}

// unpackText appends the text at the front of packed to b.
func unpackText(b, packed []byte) (_, rest []byte) {
	left, packed := uvarint(packed)
	for left > 0 {
		var plain, letters, end []byte
		plain, letters, end, packed = turn(left, packed)
		b = append(b, plain...)
		b = base64.RawURLEncoding.AppendEncode(b, letters)
		b = append(b, end...)
		left -= len(plain) + len(letters)/3*4 + len(end)
	}
	return b, packed
}

// skipText is what stands behind a packed text.
func skipText(packed []byte) []byte {
	left, packed := uvarint(packed)
	for left > 0 {
		var plain, letters, end []byte
		plain, letters, end, packed = turn(left, packed)
		left -= len(plain) + len(letters)/3*4 + len(end)
	}
	return packed
}

// turn takes one turn off packed, of a text of which so many characters are left:
// those that stand as they are, packed letters, and letters at the end.
func turn(left int, packed []byte) (plain, letters, end, rest []byte) {
	head, packed := uvarint(packed)
	plain, packed = packed[:head>>1], packed[head>>1:]
	if head&1 == 0 {
		n, packed := uvarint(packed)
		return plain, packed[:3*n], nil, packed[3*n:]
	}
	left -= len(plain)
	n := left / 4
	return plain, packed[:3*n], packed[3*n : 3*n+left%4], packed[3*n+left%4:]
}

// uvarint takes a small number off the front. What is read was written here.
func uvarint(b []byte) (int, []byte) {
	if b[0] < 0x80 {
		return int(b[0]), b[1:]
	}
	n, size := binary.Uvarint(b)
	return int(n), b[size:]
}
