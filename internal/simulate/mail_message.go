package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"
)

// Mail is one mail that was taken. From and To are the envelope's.
type Mail struct {
	From      string
	To        string
	MessageID string // without brackets
	Subject   string
	At        time.Time
	Raw       []byte
}

// readMail reads what the outbox lists; a mail that can't be read is kept with
// its bytes alone.
func readMail(raw []byte) Mail {
	m := Mail{Raw: raw}
	header, err := m.Header()
	if err != nil {
		return m
	}
	m.MessageID = strings.Trim(header.Get("Message-Id"), "<> ")
	m.Subject = header.Get("Subject")
	if subject, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = subject
	}
	return m
}

// Header reads the mail's header.
func (m *Mail) Header() (mail.Header, error) {
	r, err := mail.CreateReader(bytes.NewReader(m.Raw))
	if err != nil {
		return mail.Header{}, fmt.Errorf("simulate: mail %s: %w", m.MessageID, err)
	}
	defer r.Close()
	return r.Header, nil
}

// Parts decodes the text and the HTML of a mail; "" for one that is missing.
func (m *Mail) Parts() (text, html string, err error) {
	r, err := mail.CreateReader(bytes.NewReader(m.Raw))
	if err != nil {
		return "", "", fmt.Errorf("simulate: mail %s: %w", m.MessageID, err)
	}
	defer r.Close()
	for {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return text, html, nil
		}
		if err != nil {
			return "", "", fmt.Errorf("simulate: mail %s: %w", m.MessageID, err)
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return "", "", fmt.Errorf("simulate: mail %s: %w", m.MessageID, err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		switch kind {
		case "text/plain":
			text = string(body)
		case "text/html":
			html = string(body)
		}
	}
}
