package email

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"mime/quotedprintable"
	netmail "net/mail"
	"net/url"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Mail is one mail to one reader.
type Mail struct {
	To        string
	Subject   string
	Text      string
	HTML      string
	MessageID string // local@domain, without brackets; the caller's, so that a repeat carries the same
	Date      time.Time
	List      List              // zero: not a list's mail (a confirmation)
	Headers   map[string]string // further headers
}

// List is what makes a mail a list's: who it is and how to leave it.
type List struct {
	ID          string // RFC 2919: "digest.news.example"
	Name        string // shown beside it: "Daily digest"
	Unsubscribe string // https URL of the one-click door (RFC 8058)
	Mailto      string // address whose reader takes a leave by mail; "" for none
	FeedbackID  string // Gmail's: "edition:region:digest:sender", no reader in it
	Help        string // https URL of the manage page
}

// Compose makes the bytes of a mail: multipart/alternative, lines of at most
// 76 characters with CRLF, no 8-bit byte, signed when there is a key. Without
// a key the same mail always gives the same bytes.
func (m *Mailer) Compose(mail Mail) ([]byte, error) {
	if err := mail.check(); err != nil {
		return nil, fmt.Errorf("email.Compose(%s): %w", mail.MessageID, err)
	}
	raw, err := m.compose(mail, layoutOf(mail, mail.MessageID))
	if err != nil {
		return nil, fmt.Errorf("email.Compose(%s): %w", mail.MessageID, err)
	}
	return m.sign(raw)
}

// layout is how a mail's parts are held apart and encoded.
type layout struct {
	boundary   string
	text, html gomail.Encoding
}

// layoutOf picks the encodings by the parts, and the boundary by a name for
// what is in the mail.
func layoutOf(mail Mail, name string) layout {
	sum := sha256.Sum256([]byte(name))
	return layout{"dateline" + hex.EncodeToString(sum[:12]), shorter(mail.Text), shorter(mail.HTML)}
}

// compose makes the unsigned bytes of a mail.
func (m *Mailer) compose(mail Mail, l layout) ([]byte, error) {
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithEncoding(shorter(mail.Subject)), gomail.WithBoundary(l.boundary))
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderFrom, m.from)
	msg.SetAddrHeaderFromMailAddress(gomail.HeaderTo, &netmail.Address{Address: mail.To})
	msg.Subject(strings.Join(strings.Fields(mail.Subject), " ")) // no line break, no run of spaces
	msg.SetMessageIDWithValue(mail.MessageID)
	msg.SetDateWithValue(mail.Date)
	for name, value := range mail.headers() {
		msg.SetGenHeader(gomail.Header(name), value)
	}
	msg.SetBodyString(gomail.TypeTextPlain, mail.Text, gomail.WithPartEncoding(l.text))
	msg.AddAlternativeString(gomail.TypeTextHTML, mail.HTML, gomail.WithPartEncoding(l.html))
	var raw bytes.Buffer
	if _, err := msg.WriteTo(&raw); err != nil {
		return nil, fmt.Errorf("go-mail: %w", err)
	}
	return raw.Bytes(), nil
}

// headers are those beside From, To, Subject, Date and Message-ID.
func (mail *Mail) headers() map[string]string {
	h := map[string]string{"Auto-Submitted": "auto-generated"}
	for name, value := range mail.Headers {
		h[name] = value
	}
	l := mail.List
	if l.ID == "" {
		return h
	}
	h["List-Id"] = "<" + l.ID + ">"
	if l.Name != "" && isASCII(l.Name) { // encoded as a whole, the id would be lost
		h["List-Id"] = quotePhrase(l.Name) + " <" + l.ID + ">"
	}
	h["Precedence"] = "bulk"
	if l.Unsubscribe != "" {
		h["List-Unsubscribe"] = "<" + l.Unsubscribe + ">"
		h["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
	}
	if l.Unsubscribe != "" && l.Mailto != "" {
		// The link goes along: whoever reads that mailbox can't look an address up,
		// but can press.
		h["List-Unsubscribe"] += ", <mailto:" + l.Mailto + "?subject=unsubscribe&body=" + url.QueryEscape(l.Unsubscribe) + ">"
	}
	if l.Help != "" {
		h["List-Help"] = "<" + l.Help + ">"
	}
	if l.FeedbackID != "" {
		h["Feedback-ID"] = l.FeedbackID
	}
	return h
}

// quotePhrase makes a display name of a header safe: a plain phrase stays, any
// other ASCII is quoted (go-mail encodes what is not ASCII).
func quotePhrase(s string) string {
	if strings.ContainsAny(s, `"\<>()[]:;@,.`) {
		return `"` + strings.ReplaceAll(strings.ReplaceAll(s, `"`, ""), `\`, "") + `"`
	}
	return s
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func (mail *Mail) check() error {
	if mail.Text == "" || mail.HTML == "" {
		return errors.New("a text and an HTML part are required")
	}
	return mail.checkHead(mail.headers())
}

// checkHead checks everything but the parts.
func (mail *Mail) checkHead(headers map[string]string) error {
	if _, err := CheckAddress(mail.To); err != nil {
		return err
	}
	if mail.Date.IsZero() {
		return errors.New("a date is required")
	}
	if id := mail.MessageID; !strings.Contains(id, "@") || strings.ContainsAny(id, "<> \r\n\t") {
		return errors.New("the message id must look like id@domain")
	}
	return checkHeaders(headers)
}

func checkHeaders(headers map[string]string) error {
	for name, value := range headers {
		if strings.ContainsAny(name, ": \r\n") || strings.ContainsAny(value, "\r\n") {
			return fmt.Errorf("header %.20q has a line break: it would be another header", name)
		}
		if strings.HasPrefix(name, "List-Unsubscribe") && strings.ContainsAny(strings.Trim(value, "<>"), "\"\\^`{|}") {
			return fmt.Errorf("header %s holds something that is not a URL", name)
		}
	}
	return nil
}

// shorter picks the transfer encoding that makes fewer bytes: quoted-printable
// (3 for each byte that is not ASCII) for Latin text, base64 (4 for 3) for
// Chinese, Hindi or Thai, where it saves more than half.
func shorter(text string) gomail.Encoding {
	if quoted, packed := encodedSizes(text); packed < quoted {
		return gomail.EncodingB64
	}
	return gomail.EncodingQP
}

// EncodedSize is how many bytes a part takes in a mail.
func EncodedSize(text string) int {
	quoted, packed := encodedSizes(text)
	return min(quoted, packed)
}

func encodedSizes(text string) (quoted, packed int) {
	w := quotedprintable.NewWriter(counter{&quoted})
	_, _ = w.Write([]byte(text)) // the counter never fails
	_ = w.Close()
	packed = (len(text) + 2) / 3 * 4
	return quoted, packed + packed/38 // a line break after each 76
}

type counter struct{ n *int }

func (c counter) Write(p []byte) (int, error) {
	*c.n += len(p)
	return len(p), nil
}
