package email

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	netmail "net/mail"
	"slices"
	"strings"
	"time"
)

// Plate is a mail made once for everybody who gets the same content: composed,
// encoded, checked, dot-stuffed and, up to what is the first reader's own,
// hashed. Print fills in the rest. It never changes and is safe for concurrent
// use.
type Plate struct {
	mailer  *Mailer
	pattern Mail // without its parts
	fields  []field
	signed  []int // fields under the signature, in its order
	pieces  []piece
	// body is the state of SHA-256 after the pieces before the first own one,
	// in relaxed form; nil without a key.
	body hash.Cloner
	size int
}

// field is a header field of a plate.
type field struct {
	name    string
	own     bool   // each copy's; the rest is empty then
	raw     []byte // with its CRLF
	relaxed []byte
}

// Copy is what one reader's mail has of its own. The rest of Mail is the
// plate's.
type Copy struct {
	To          string
	MessageID   string // as in Mail
	Date        time.Time
	Unsubscribe string // as in List, and wherever the parts name it
	Help        string // as in List, and wherever the parts name it
	FeedbackID  string // as in List
	Mailto      string // as in List; "" : the pattern's
}

// Letter is a printed copy, ready for SendLetter.
type Letter struct {
	wire [][]byte // well formed and dot-stuffed; the header first
}

// Bytes are those that the receiver gets to read.
func (l *Letter) Bytes() []byte { return unstuff(bytes.Join(l.wire, nil)) }

// Size is about how much memory the plate takes.
func (p *Plate) Size() int { return p.size }

// ownFields are the header fields that differ from copy to copy.
func ownFields() []string {
	return []string{"Date", "Feedback-ID", "List-Help", "List-Unsubscribe", "Message-ID", "To"}
}

// Prepare makes a plate. The pattern's List.Unsubscribe and List.Help are
// marks: every place of the parts that names one will name the copy's own. They
// should be what no story can hold. To, MessageID, Date and FeedbackID of the
// pattern do not matter.
func (m *Mailer) Prepare(pattern Mail) (*Plate, error) {
	p, err := m.prepare(pattern)
	if err != nil {
		return nil, fmt.Errorf("email.Prepare: %w", err)
	}
	return p, nil
}

func (m *Mailer) prepare(pattern Mail) (*Plate, error) {
	pattern.To, pattern.MessageID, pattern.Date = "reader@plate.invalid", "plate@plate.invalid", time.Unix(0, 0).UTC()
	pattern.Text, pattern.HTML = wholeLines(pattern.Text), wholeLines(pattern.HTML)
	pattern.List.FeedbackID = "plate"
	if err := pattern.check(); err != nil {
		return nil, err
	}
	if err := checkMarks(pattern.List); err != nil {
		return nil, err
	}
	l := layoutOf(pattern, contentName(pattern))
	raw, err := m.compose(pattern, l)
	if err != nil {
		return nil, err
	}
	header, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	p := &Plate{mailer: m, fields: cutFields(append(header, "\r\n"...))}
	if p.pieces, err = cutBody(body, pattern, l); err != nil {
		return nil, err
	}
	if m.config.DKIMKey != nil {
		if err := p.hash(); err != nil {
			return nil, err
		}
	}
	pattern.Text, pattern.HTML = "", ""
	p.pattern = pattern
	return p, p.finish(raw)
}

// wholeLines ends every line of a part in the same way, the last one too. A
// carriage return by itself is a line's end, as the encoder has it.
func wholeLines(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// checkMarks wants marks that look the same in text and in HTML, and that
// can't be mistaken for each other.
func checkMarks(l List) error {
	for _, mark := range []string{l.Unsubscribe, l.Help} {
		rest, ok := strings.CutPrefix(mark, "https://")
		if !ok || len(rest) < 8 || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789.-/") != "" {
			return errors.New("the pattern's links must be https URLs of lower case letters, digits, dots and dashes")
		}
	}
	if strings.Contains(l.Unsubscribe, l.Help) || strings.Contains(l.Help, l.Unsubscribe) {
		return errors.New("one of the pattern's links is in the other")
	}
	return nil
}

// contentName is equal for plates of equal content, whatever their marks: the
// boundary is made of it, so that a mail that is tried again has the same.
func contentName(pattern Mail) string {
	marks := strings.NewReplacer(pattern.List.Unsubscribe, "https://unsubscribe/", pattern.List.Help, "https://help/")
	return pattern.Subject + "\n" + marks.Replace(pattern.Text) + "\n" + marks.Replace(pattern.HTML)
}

// cutFields reads a header, line by line.
func cutFields(header []byte) []field {
	var out []field
	for line := range bytes.Lines(header) {
		if (line[0] == ' ' || line[0] == '\t') && len(out) > 0 {
			last := &out[len(out)-1]
			last.raw = append(last.raw, line...)
			continue
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		out = append(out, field{name: string(name), raw: bytes.Clone(line)})
	}
	for i := range out {
		f := &out[i]
		if f.own = slices.Contains(ownFields(), f.name); f.own {
			f.raw = nil
		} else {
			f.relaxed = relaxHeader(f.raw)
		}
	}
	return out
}

// hash brings the shared pieces into the form that is signed, and hashes those
// before the first own one.
func (p *Plate) hash() error {
	for i := range p.pieces {
		if shared := &p.pieces[i]; shared.own == nil {
			shared.relaxed = relaxBody(unstuff(shared.wire))
		}
	}
	h := sha256.New()
	for _, piece := range p.pieces {
		if piece.own != nil {
			break
		}
		h.Write(piece.relaxed)
	}
	state, ok := h.(hash.Cloner)
	if !ok {
		return errors.New("SHA-256 has no state to be cloned")
	}
	p.body = state
	return nil
}

// finish proves that a copy for the pattern's reader is, byte for byte, the
// mail that was composed for her, and counts the memory taken.
func (p *Plate) finish(raw []byte) error {
	names := make([]string, len(p.fields))
	for i, f := range p.fields {
		names[i] = f.name
		p.size += len(f.raw) + len(f.relaxed)
	}
	p.signed = signedOrder(names)
	for _, piece := range p.pieces {
		p.size += piece.size()
	}
	pattern := p.pattern
	header, err := p.header(pattern)
	if err != nil {
		return err
	}
	wire, _, err := p.print(pattern)
	if err != nil {
		return err
	}
	var made bytes.Buffer
	for _, f := range header {
		made.Write(f.raw)
	}
	made.WriteString("\r\n")
	made.Write(unstuff(bytes.Join(wire, nil)))
	if !wellFormed(raw) || !bytes.Equal(made.Bytes(), raw) {
		return errors.New("the plate does not print what was composed")
	}
	return nil
}

// Print makes one reader's copy, signed when there is a key.
func (p *Plate) Print(c Copy) (*Letter, error) {
	mail := p.pattern
	mail.To, mail.MessageID, mail.Date = c.To, c.MessageID, c.Date
	mail.List.Unsubscribe, mail.List.Help, mail.List.FeedbackID = c.Unsubscribe, c.Help, c.FeedbackID
	mail.List.Mailto = cmp.Or(c.Mailto, mail.List.Mailto)
	l, err := p.letter(mail)
	if err != nil {
		return nil, fmt.Errorf("email.Print(%s): %w", c.MessageID, err)
	}
	return l, nil
}

func (p *Plate) letter(mail Mail) (*Letter, error) {
	fields, err := p.header(mail)
	if err != nil {
		return nil, err
	}
	body, sum, err := p.print(mail)
	if err != nil {
		return nil, err
	}
	var header []byte
	if p.body != nil {
		relaxed := make([][]byte, len(p.signed))
		for i, n := range p.signed {
			relaxed[i] = fields[n].relaxed
		}
		if header, err = p.mailer.signature(relaxed, sum); err != nil {
			return nil, err
		}
	}
	for _, f := range fields {
		header = append(header, f.raw...)
	}
	header = append(header, "\r\n"...)
	if !wellFormed(header) {
		return nil, errMalformed
	}
	return &Letter{wire: append([][]byte{stuff(header)}, body...)}, nil
}

var errMalformed = errors.New("a line is too long or holds what may not be sent")

// header is every field of a copy.
func (p *Plate) header(mail Mail) ([]field, error) {
	if mail.List.Unsubscribe == "" || mail.List.Help == "" || mail.List.FeedbackID == "" {
		return nil, errors.New("a copy needs both links and a feedback id")
	}
	values := mail.headers()
	if err := mail.checkHead(values); err != nil {
		return nil, err
	}
	values["To"] = (&netmail.Address{Address: mail.To}).String()
	values["Date"] = mail.Date.Format(time.RFC1123Z)
	values["Message-ID"] = "<" + mail.MessageID + ">"
	out := slices.Clone(p.fields)
	for i := range out {
		f := &out[i]
		if !f.own {
			continue
		}
		value := values[f.name]
		if !printable(value) { // it would have to be encoded, and no link or address has to
			return nil, fmt.Errorf("header %s is not plain ASCII", f.name)
		}
		f.raw = foldHeader(f.name, value)
		if p.body != nil {
			f.relaxed = relaxHeader(f.raw)
		}
	}
	return out, nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// foldHeader writes a header field as go-mail does: a word that would pass
// column 76 begins a new line.
func foldHeader(name, value string) []byte {
	const width = 76
	out := append(make([]byte, 0, len(name)+len(value)+16), name...)
	out = append(out, ": "...)
	left := width - 2 - len(name) - 2
	for i, word := range strings.Split(value, " ") {
		if i > 0 {
			out = append(out, ' ')
			left--
		}
		if left-len(word) <= 1 {
			out = append(bytes.TrimSuffix(out, []byte(" ")), "\r\n "...)
			left = width - 3
		}
		out = append(out, word...)
		left -= len(word)
	}
	return append(out, "\r\n"...)
}
