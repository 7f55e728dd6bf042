package mailtest

import (
	"bytes"
	"fmt"
	"slices"
)

// maxSize of a whole mail: Gmail cuts what is beyond 102 KB, and the imprint
// and the way out with it; forwarders and scanners add to a mail on its way.
const maxSize = 80 << 10

// maxLine is RFC 5322, 2.1.1, without the CRLF.
const maxLine = 998

// linter collects what is wrong with one mail.
type linter struct {
	header      header
	list        bool   // a list's mail: it has more to say
	unsubscribe string // the https URL of List-Unsubscribe
	found       []string
}

// say notes a finding, once: what is wrong with a template is wrong in every
// story of it.
func (l *linter) say(format string, args ...any) {
	if finding := fmt.Sprintf(format, args...); !slices.Contains(l.found, finding) {
		l.found = append(l.found, finding)
	}
}

// Lint says what is wrong with a mail, nil if nothing is. One that bears any
// header of a list is held to all of them.
func Lint(raw []byte) []string {
	l := &linter{}
	l.wire(raw)
	head, body, ok := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !ok {
		l.say("no empty line ends the header")
	}
	l.header = readHeader(head)
	l.headers()
	if l.list = l.header.any(listFields()); l.list {
		l.listHeaders()
	}
	text, page, ok := l.parts(body)
	if !ok {
		return l.found
	}
	l.page(page)
	l.text(text, page)
	return l.found
}

// wire holds the bytes to what SMTP carries: lines that end in CRLF and in
// nothing else (a bare one is how a second mail is smuggled in), none too long.
func (l *linter) wire(raw []byte) {
	if len(raw) > maxSize {
		l.say("the mail has %d bytes; %d are allowed", len(raw), maxSize)
	}
	for line := range bytes.Lines(raw) {
		line, ok := bytes.CutSuffix(line, []byte("\r\n"))
		if !ok || bytes.IndexByte(line, '\r') >= 0 {
			l.say("a line does not end in CRLF, or has a bare CR or LF in it")
		}
		if len(line) > maxLine {
			l.say("a line has %d bytes; %d are allowed (RFC 5322, 2.1.1)", len(line), maxLine)
		}
		if bytes.IndexByte(line, 0) >= 0 {
			l.say("a line has a NUL in it")
		}
	}
}
