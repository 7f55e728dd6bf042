package email

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"html"
	"mime/quotedprintable"
	"slices"
	"strings"

	gomail "github.com/wneessen/go-mail"
)

// piece is some lines of a body. Cut between lines, pieces can be encoded,
// checked, dot-stuffed and hashed each by itself: none of that looks beyond a
// line's end.
type piece struct {
	wire    []byte // dot-stuffed
	relaxed []byte // as the signature hashes it; nil without a key
	own     *ownPiece
}

// ownPiece is lines that name a reader's own links: they are encoded anew for
// each copy. To fill links into lines that are encoded already would need the
// line breaks of the encoding (after 76 characters) to keep out of their way;
// a line or two cost 2 microseconds.
type ownPiece struct {
	words  []string // between the marks: one more than marks
	marks  []mark
	html   bool
	packed bool // base64, else quoted-printable
}

// mark is a link that differs from reader to reader.
type mark uint8

const (
	markUnsubscribe mark = iota
	markHelp
)

func (p piece) size() int {
	n := len(p.wire)
	if cap(p.relaxed) > 0 && &p.relaxed[0] != &p.wire[0] {
		n += len(p.relaxed)
	}
	if p.own != nil {
		for _, words := range p.own.words {
			n += len(words)
		}
	}
	return n
}

// cutBody takes a composed body apart: what stands around the two parts, and
// the parts in pieces.
func cutBody(body []byte, pattern Mail, l layout) ([]piece, error) {
	var out []piece
	for _, part := range []struct {
		text     string
		html     bool
		encoding gomail.Encoding
	}{{pattern.Text, false, l.text}, {pattern.HTML, true, l.html}} {
		pieces := cutPart(part.text, pattern.List, part.html, part.encoding == gomail.EncodingB64)
		encoded := make([]byte, 0, len(part.text)*4/3)
		for _, p := range pieces {
			if p.own == nil {
				encoded = append(encoded, p.wire...)
			} else {
				encoded = append(encoded, p.own.encode(pattern.List)...)
			}
		}
		head, rest, _ := bytes.Cut(body, []byte("\r\n\r\n"))
		after, found := bytes.CutPrefix(rest, encoded)
		if !found {
			return nil, errors.New("a part is not encoded as it should be")
		}
		out = append(append(out, piece{wire: body[:len(head)+len("\r\n\r\n")]}), pieces...)
		body = after
	}
	return joinShared(append(out, piece{wire: body}))
}

// joinShared makes one piece of shared ones that follow each other, and
// prepares them for the wire.
func joinShared(pieces []piece) ([]piece, error) {
	var out []piece
	for _, p := range pieces {
		if last := len(out) - 1; last >= 0 && p.own == nil && out[last].own == nil {
			out[last].wire = slices.Concat(out[last].wire, p.wire)
			continue
		}
		out = append(out, p)
	}
	for i := range out {
		if out[i].own != nil {
			continue
		}
		if !wellFormed(out[i].wire) {
			return nil, errMalformed
		}
		out[i].wire = bytes.Clone(stuff(out[i].wire)) // not a window on a bigger array
	}
	return out, nil
}

// cutPart takes a part apart, its shared pieces encoded and not stuffed yet.
// Quoted-printable begins afresh with each line. Base64 knows no lines, but
// begins afresh after 57 bytes, which make one of 76 characters: what follows
// the first mark is each copy's own there.
func cutPart(text string, marks List, isHTML, packed bool) []piece {
	first := firstMark(text, marks)
	if packed && first < len(text) {
		first -= first % 57
		return []piece{{wire: encode(text[:first], true)}, {own: newOwnPiece(text[first:], marks, isHTML, true)}}
	}
	if packed || first == len(text) {
		return []piece{{wire: encode(text, packed)}}
	}
	var out []piece
	var shared, own strings.Builder
	flush := func() {
		if shared.Len() > 0 {
			out = append(out, piece{wire: encode(shared.String(), false)})
		}
		if own.Len() > 0 {
			out = append(out, piece{own: newOwnPiece(own.String(), marks, isHTML, false)})
		}
		shared.Reset()
		own.Reset()
	}
	for line := range strings.Lines(text) {
		if firstMark(line, marks) < len(line) {
			own.WriteString(line)
			continue
		}
		if own.Len() > 0 {
			flush()
		}
		shared.WriteString(line)
	}
	flush()
	return out
}

// firstMark is where the first mark of a text stands; its length without one.
func firstMark(text string, marks List) int {
	first := len(text)
	for _, m := range []string{marks.Unsubscribe, marks.Help} {
		if i := strings.Index(text, m); i >= 0 {
			first = min(first, i)
		}
	}
	return first
}

func newOwnPiece(text string, marks List, isHTML, packed bool) *ownPiece {
	o := &ownPiece{html: isHTML, packed: packed}
	for {
		i := firstMark(text, marks)
		o.words = append(o.words, text[:i])
		if i == len(text) {
			return o
		}
		m, name := markHelp, marks.Help
		if strings.HasPrefix(text[i:], marks.Unsubscribe) {
			m, name = markUnsubscribe, marks.Unsubscribe
		}
		o.marks = append(o.marks, m)
		text = text[i+len(name):]
	}
}

// encode fills links in and encodes the lines; they are not stuffed yet.
func (o *ownPiece) encode(links List) []byte {
	var b strings.Builder
	b.Grow(2 << 10)
	for i, words := range o.words {
		b.WriteString(words)
		if i == len(o.marks) {
			break
		}
		link := links.Help
		if o.marks[i] == markUnsubscribe {
			link = links.Unsubscribe
		}
		if o.html {
			link = html.EscapeString(link)
		}
		b.WriteString(link)
	}
	return encode(b.String(), o.packed)
}

// encode writes text in quoted-printable or base64 as go-mail does.
func encode(text string, packed bool) []byte {
	if packed {
		out := make([]byte, 0, len(text)*4/3+len(text)/57*2+8)
		for ; len(text) > 57; text = text[57:] {
			out = append(base64.StdEncoding.AppendEncode(out, []byte(text[:57])), "\r\n"...)
		}
		if text == "" {
			return out
		}
		return append(base64.StdEncoding.AppendEncode(out, []byte(text)), "\r\n"...)
	}
	out := bytes.NewBuffer(make([]byte, 0, len(text)*5/4+64))
	w := quotedprintable.NewWriter(out)
	_, _ = w.Write([]byte(text)) // a buffer never fails
	_ = w.Close()
	return out.Bytes()
}

// print makes a copy's body for the wire, and its hash where there is a key.
func (p *Plate) print(mail Mail) (wire [][]byte, sum []byte, err error) {
	wire = make([][]byte, 0, len(p.pieces)+1) // and the header
	state := p.body
	if state != nil {
		if state, err = state.Clone(); err != nil {
			return nil, nil, fmt.Errorf("state of SHA-256: %w", err)
		}
	}
	behind := false // the first own piece: the state ends there
	for _, piece := range p.pieces {
		relaxed := piece.relaxed
		if piece.own == nil {
			wire = append(wire, piece.wire)
		} else {
			raw := piece.own.encode(mail.List)
			if !wellFormed(raw) {
				return nil, nil, errMalformed
			}
			behind = true
			wire = append(wire, stuff(raw))
			if state != nil {
				relaxed = relaxBody(raw)
			}
		}
		if behind && state != nil {
			state.Write(relaxed)
		}
	}
	if state != nil {
		sum = state.Sum(nil)
	}
	return wire, sum, nil
}
