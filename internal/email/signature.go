package email

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What is here signs a mail whose shared part was hashed once. The library
// (go-msgauth) reads the whole mail for each signature; that remains the way of
// mails made one by one, and what this one is held against, byte for byte.

// relaxHeader is a header field in DKIM's relaxed form (RFC 6376, 3.4.2).
func relaxHeader(field []byte) []byte {
	name, value, _ := strings.Cut(string(field), ":")
	words := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	return []byte(strings.ToLower(strings.TrimSpace(name)) + ":" + strings.Join(words, " ") + "\r\n")
}

// relaxBody is whole lines of a body in DKIM's relaxed form (RFC 6376, 3.4.4),
// which treats each line by itself: white space within is one space, at the
// end none. That empty lines at the end of a body do not count is left to the
// caller. Lines that are in that form already are given back as they are.
func relaxBody(raw []byte) []byte {
	if relaxed(raw) {
		return raw
	}
	out := make([]byte, 0, len(raw))
	space := false
	for _, c := range raw {
		switch c {
		case ' ', '\t':
			space = true
			continue
		case '\r':
			space = false
		}
		if space {
			out, space = append(out, ' '), false
		}
		out = append(out, c)
	}
	return out
}

func relaxed(raw []byte) bool {
	last := byte('\n')
	for _, c := range raw {
		if c == '\t' || last == ' ' && (c == ' ' || c == '\r') {
			return false
		}
		last = c
	}
	return true
}

// signedOrder are the header fields under a signature: the index of each in
// names, in the order in which they are hashed. A name that stands in h= more
// often than in the mail guards against one that is added on the way and is
// hashed once.
func signedOrder(names []string) []int {
	var out []int
	for _, name := range signedHeaders() {
		i := slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
		if i >= 0 && !slices.Contains(out, i) {
			out = append(out, i)
		}
	}
	return out
}

// signature is the DKIM-Signature field over header fields in relaxed form and
// the hash of a body in relaxed form. It looks like the library's.
func (m *Mailer) signature(fields [][]byte, bodyHash []byte) ([]byte, error) {
	unsigned := m.signatureTags(base64.StdEncoding.EncodeToString(bodyHash))
	h := sha256.New()
	for _, field := range fields {
		h.Write(field)
	}
	last := relaxHeader([]byte(unsigned + " b="))
	h.Write(last[:len(last)-len("\r\n")])
	options := crypto.SignerOpts(crypto.SHA256)
	if _, ok := m.config.DKIMKey.Public().(ed25519.PublicKey); ok {
		options = crypto.Hash(0) // RFC 8463 signs the hash as if it were the message
	}
	sum, err := m.config.DKIMKey.Sign(rand.Reader, h.Sum(nil), options)
	if err != nil {
		return nil, fmt.Errorf("sign with DKIM for %s: %w", m.domain, err)
	}
	return append([]byte(unsigned), foldSignature(" b="+base64.StdEncoding.EncodeToString(sum))...), nil
}

// signatureTags is the field up to b=, which begins a line.
func (m *Mailer) signatureTags(bodyHash string) string {
	algorithm := "rsa-sha256"
	if _, ok := m.config.DKIMKey.Public().(ed25519.PublicKey); ok {
		algorithm = "ed25519-sha256"
	}
	var b strings.Builder
	b.WriteString("DKIM-Signature:")
	line := 0
	for _, tag := range [][2]string{{"a", algorithm}, {"bh", bodyHash}, {"c", "relaxed/relaxed"}, {"d", m.domain}, {"h", m.signedNames},
		{"s", m.config.DKIMSelector}, {"t", strconv.FormatInt(m.config.Now().Unix(), 10)}, {"v", "1"}} {
		if size := len(tag[0]) + len(tag[1]) + len(" =;"); line > 0 && line+size > 75 {
			b.WriteString("\r\n")
			line = size
		} else {
			line += size
		}
		b.WriteString(" " + tag[0] + "=" + tag[1] + ";")
	}
	b.WriteString("\r\n")
	return b.String()
}

// foldSignature breaks a tag of letters into lines; white space in b= counts
// for nothing (RFC 6376, 3.5).
func foldSignature(tag string) string {
	var b strings.Builder
	for len(tag) > 75 {
		b.WriteString(tag[:75] + "\r\n ")
		tag = tag[75:]
	}
	return b.String() + tag + "\r\n"
}
