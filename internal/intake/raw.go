package intake

import (
	"bytes"
	"unicode/utf8"

	"dateline/internal/news"
)

// Limits of one event, before anything is made of it. They are far above what
// a newsroom sends: the longest story of our fixtures has 12 KB.
const (
	// MaxBody is the size of an event's body.
	MaxBody = 256 << 10
	// MaxHeaders is the size of its headers, names and values.
	MaxHeaders = 16 << 10
	// maxDepth is how deep its JSON may nest. encoding/json itself goes to 10,000.
	maxDepth = 32
	// maxNumber is how long a number may be written. Longer ones, and large
	// exponents (1e999999999 has ten characters), cost the arithmetic of exact
	// validation minutes.
	maxNumber = 32
	maxPower  = 99
)

// checkRaw judges a body by its bytes. Broken text (invalid UTF-8, half a
// surrogate pair, NUL) is refused and not repaired: it means that the sender's
// encoder is broken, and then the words around it are not to be trusted.
func checkRaw(body []byte) error {
	switch {
	case len(body) > MaxBody:
		return news.Invalid("", "the event has %d bytes; at most %d are allowed", len(body), MaxBody)
	case len(bytes.TrimSpace(body)) == 0:
		return news.Invalid("", "the event is empty; it must be a JSON object")
	case !utf8.Valid(body):
		return news.Invalid("", "the event is not valid UTF-8 (byte %d)", firstInvalid(body))
	}
	s := scanner{body: body}
	return s.scan()
}

func firstInvalid(body []byte) int {
	for i := 0; i < len(body); {
		r, n := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return len(body)
}

// scanner walks the bytes of JSON text without building anything. It does not
// judge the grammar: the decoder does that afterwards.
type scanner struct {
	body  []byte
	at    int
	depth int
}

func (s *scanner) scan() error {
	for s.at < len(s.body) {
		var err error
		switch c := s.body[s.at]; {
		case c == '"':
			err = s.text()
		case c == '{' || c == '[':
			s.at++
			if s.depth++; s.depth > maxDepth {
				err = news.Invalid("", "the event nests deeper than %d levels (byte %d)", maxDepth, s.at)
			}
		case c == '}' || c == ']':
			s.at++
			s.depth--
		case c == '-' || '0' <= c && c <= '9':
			err = s.number()
		default:
			s.at++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// text walks over a string.
func (s *scanner) text() error {
	for s.at++; s.at < len(s.body); s.at++ {
		switch s.body[s.at] {
		case '"':
			s.at++
			return nil
		case 0:
			return news.Invalid("", "the event contains a NUL character (byte %d)", s.at)
		case '\\':
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return nil
}

// escape walks over an escape, up to its last byte; of a surrogate pair over both.
func (s *scanner) escape() error {
	start := s.at
	s.at++
	unit, ok := s.unit()
	switch {
	case !ok:
		return nil
	case unit == 0:
		return news.Invalid("", "the event contains a NUL character (byte %d)", start)
	case unit >= 0xDC00 && unit <= 0xDFFF:
		return loneSurrogate(start)
	case unit < 0xD800 || unit > 0xDBFF:
		return nil
	}
	if s.at+2 >= len(s.body) || s.body[s.at+1] != '\\' {
		return loneSurrogate(start)
	}
	s.at += 2
	if low, ok := s.unit(); !ok || low < 0xDC00 || low > 0xDFFF {
		return loneSurrogate(start)
	}
	return nil
}

func loneSurrogate(at int) error {
	return news.Invalid("", "the event contains half a surrogate pair (byte %d)", at)
}

// unit reads uXXXX at s.at and moves to its last digit; not ok, and not moved,
// for anything else.
func (s *scanner) unit() (uint32, bool) {
	if s.at+4 >= len(s.body) || s.body[s.at] != 'u' {
		return 0, false
	}
	var v uint32
	for _, c := range s.body[s.at+1 : s.at+5] {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint32(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint32(c-'a'+10)
		case 'A' <= c && c <= 'F':
			v = v<<4 | uint32(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.at += 4
	return v, true
}

// number walks over a number.
func (s *scanner) number() error {
	start, power, inPower := s.at, 0, false
	for ; s.at < len(s.body); s.at++ {
		switch c := s.body[s.at]; {
		case '0' <= c && c <= '9':
			if inPower {
				power = min(power*10+int(c-'0'), maxPower+1)
			}
		case c == 'e' || c == 'E':
			inPower = true
		case c != '.' && c != '+' && c != '-':
			return numberLimit(start, s.at, power)
		}
	}
	return numberLimit(start, s.at, power)
}

func numberLimit(from, to, power int) error {
	if to-from > maxNumber || power > maxPower {
		return news.Invalid("", "the event contains a number that is too long or too large (byte %d)", from)
	}
	return nil
}
