package mailtest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"regexp"
	"strings"
	"unicode/utf8"
)

// part is one decoded body part.
type part struct{ kind, text string }

// parts reads a multipart/alternative of text and HTML, the one that says more
// last (RFC 2046, 5.1.4).
func (l *linter) parts(body []byte) (text, page string, ok bool) {
	kind, params, err := mime.ParseMediaType(l.header.get("Content-Type"))
	if err != nil || kind != "multipart/alternative" || params["boundary"] == "" {
		l.say("Content-Type is not multipart/alternative with a boundary")
		return "", "", false
	}
	parts, err := l.readParts(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	if err != nil {
		l.say("the parts can't be read: %v", err)
		return "", "", false
	}
	if len(parts) != 2 || parts[0].kind != "text/plain" || parts[1].kind != "text/html" {
		l.say("the parts are not text/plain and then text/html")
		return "", "", false
	}
	for _, p := range parts {
		if strings.TrimSpace(p.text) == "" {
			l.say("the %s part is empty", p.kind)
		}
		if !utf8.ValidString(p.text) {
			l.say("the %s part is not UTF-8", p.kind)
		}
		l.artefacts("the "+p.kind+" part", p.text)
	}
	return parts[0].text, parts[1].text, true
}

func (l *linter) readParts(r *multipart.Reader) (out []part, err error) {
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(params["charset"], "utf-8") {
			l.say("the %s part does not say that it is UTF-8", kind)
		}
		text, err := decode(p, p.Header.Get("Content-Transfer-Encoding"))
		if err != nil {
			return nil, fmt.Errorf("the %s part: %w", kind, err)
		}
		out = append(out, part{kind, text})
	}
}

// decode takes the two encodings that pass every relay unchanged.
func decode(r io.Reader, encoding string) (string, error) {
	switch strings.ToLower(encoding) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	default:
		return "", fmt.Errorf("the encoding %q does not pass every relay", encoding)
	}
	text, err := io.ReadAll(r)
	return string(text), err
}

// artefact is what a template or a format leaves when it was given the wrong
// thing: text/template's, html/template's, and package fmt's.
var artefact = regexp.MustCompile(`<no value>|&lt;no value&gt;|ZgotmplZ|%![a-zA-Z]?\(|\{\{|\}\}`)

func (l *linter) artefacts(where, text string) {
	if found := artefact.FindString(text); found != "" {
		l.say("%s has %q in it", where, found)
	}
}

var (
	tag         = regexp.MustCompile(`(?i)</?(a|b|bdi|body|br|div|em|h[1-6]|head|html|i|img|li|meta|p|span|strong|style|table|td|title|tr|ul)(\s[^>]*)?/?>`)
	placeholder = regexp.MustCompile(`\{[a-z_]+\}`)
)

// text holds the plain part against the HTML: who reads it gets the same.
func (l *linter) text(text, page string) {
	if found := tag.FindString(text); found != "" {
		l.say("the text has the tag %s in it", found)
	}
	if found := placeholder.FindString(text); found != "" {
		l.say("the text has the placeholder %s in it", found)
	}
	if l.unsubscribe != "" && !strings.Contains(text, l.unsubscribe) {
		l.say("the text does not have the unsubscribe link")
	}
	for _, link := range links(page) {
		if link != l.unsubscribe && !strings.Contains(text, link) {
			l.say("the text does not have the link %s", link)
		}
	}
}
