package email

import "bytes"

// wellFormed reports whether bytes can't be read as two mails (SMTP smuggling):
// they end in CRLF and hold no bare CR or LF, no NUL, no 8-bit byte and no line
// over RFC 5321's 998. What is put together from pieces that are well formed
// each is well formed: every piece ends a line.
func wellFormed(raw []byte) bool {
	if !bytes.HasSuffix(raw, []byte("\r\n")) {
		return false
	}
	line := 0
	for i, c := range raw {
		switch {
		case c == 0 || c >= 0x80,
			c == '\r' && (i+1 == len(raw) || raw[i+1] != '\n'),
			c == '\n' && (i == 0 || raw[i-1] != '\r'):
			return false
		case c == '\n':
			line = 0
		default:
			if line++; line > 999 { // 998 and the CR
				return false
			}
		}
	}
	return true
}

// stuff doubles the dot that begins a line (RFC 5321, 4.5.2). The bytes begin
// and end with a whole line; those without such a dot are given back as they
// are.
func stuff(raw []byte) []byte {
	if !hasDots(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw)+len(raw)/64)
	for line := range bytes.Lines(raw) {
		if line[0] == '.' {
			out = append(out, '.')
		}
		out = append(out, line...)
	}
	return out
}

// unstuff is what a server keeps of stuffed bytes.
func unstuff(wire []byte) []byte {
	if !hasDots(wire) {
		return wire
	}
	out := make([]byte, 0, len(wire))
	for line := range bytes.Lines(wire) {
		out = append(out, bytes.TrimPrefix(line, []byte("."))...)
	}
	return out
}

// hasDots reports whether a line begins with a dot.
func hasDots(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte(".")) || bytes.Contains(raw, []byte("\n."))
}
