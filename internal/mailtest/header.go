package mailtest

import (
	"bytes"
	"mime"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// maxSubject is in columns; mail programs show 40 to 70 of them.
const maxSubject = 120

// field is one header field, unfolded.
type field struct{ name, value string }

// header is all of them, in order.
type header []field

func readHeader(head []byte) header {
	var out header
	for line := range bytes.Lines(head) {
		text := strings.TrimRight(string(line), "\r\n")
		if (strings.HasPrefix(text, " ") || strings.HasPrefix(text, "\t")) && len(out) > 0 {
			last := &out[len(out)-1]
			last.value = strings.TrimSpace(last.value + " " + strings.TrimSpace(text))
			continue
		}
		name, value, _ := strings.Cut(text, ":")
		out = append(out, field{name, strings.TrimSpace(value)})
	}
	return out
}

// get is the first field's value, "" for none.
func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

func (h header) count(name string) (n int) {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			n++
		}
	}
	return n
}

func (h header) any(names []string) bool {
	for _, name := range names {
		if h.count(name) > 0 {
			return true
		}
	}
	return false
}

// listFields make a mail a list's.
func listFields() []string {
	return []string{"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "Feedback-ID", "Precedence"}
}

// singleFields may be in a mail once: RFC 5322, 3.6, RFC 2045, 3 and RFC 2369,
// 3.1. Of two, a receiver believes one and the signature covers another.
func singleFields() []string {
	return append([]string{"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To", "References", "Subject",
		"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Auto-Submitted"}, listFields()...)
}

var (
	messageID = regexp.MustCompile(`^<[^\s<>@]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+>$`)
	fieldName = regexp.MustCompile(`^[!-9;-~]+$`)
	listID    = regexp.MustCompile(`(^| )<[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)+>$`)
	bracketed = regexp.MustCompile(`<([^<>]*)>`)
)

// headers looks at what every mail has.
func (l *linter) headers() {
	h := l.header
	for _, f := range h {
		if !fieldName.MatchString(f.name) {
			l.say("%q is not the name of a header field", f.name)
		}
		if strings.IndexFunc(f.value, func(r rune) bool { return r > '~' || r < ' ' && r != '\t' }) >= 0 {
			l.say("%s is not plain ASCII", f.name)
		}
	}
	for _, name := range singleFields() {
		if h.count(name) > 1 {
			l.say("%s is there %d times", name, h.count(name))
		}
	}
	for _, name := range []string{"From", "To"} {
		if list, err := mail.ParseAddressList(h.get(name)); err != nil || len(list) != 1 {
			l.say("%s is not one address", name)
		}
	}
	if _, err := mail.ParseDate(h.get("Date")); err != nil {
		l.say("Date is missing or is no date")
	}
	if !messageID.MatchString(h.get("Message-ID")) {
		l.say("Message-ID is not <id@domain>")
	}
	if h.get("MIME-Version") != "1.0" {
		l.say("MIME-Version is not 1.0")
	}
	if h.get("Auto-Submitted") != "auto-generated" {
		l.say("Auto-Submitted is not auto-generated: holiday answers will come back (RFC 3834)")
	}
	l.subject()
}

func (l *linter) subject() {
	subject, err := new(mime.WordDecoder).DecodeHeader(l.header.get("Subject"))
	switch columns := uniseg.StringWidth(subject); {
	case err != nil:
		l.say("Subject can't be decoded: %v", err)
	case strings.TrimSpace(subject) == "":
		l.say("Subject is empty")
	case columns > maxSubject:
		l.say("Subject has %d columns; %d are allowed", columns, maxSubject)
	}
	l.artefacts("Subject", subject)
}

// listHeaders looks at what a bulk mail has besides: RFC 2369 and 2919, RFC
// 8058, Gmail's and Yahoo's rules for bulk senders.
func (l *linter) listHeaders() {
	h := l.header
	if !listID.MatchString(h.get("List-Id")) {
		l.say("List-Id is not <name.domain> (RFC 2919)")
	}
	l.waysOut(h.get("List-Unsubscribe"))
	if h.get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		l.say("List-Unsubscribe-Post is not List-Unsubscribe=One-Click (RFC 8058, 3.1)")
	}
	if fields := strings.Split(h.get("Feedback-ID"), ":"); len(fields) != 4 || slices.Contains(fields, "") {
		l.say("Feedback-ID has not four fields")
	}
	if h.get("Precedence") != "bulk" {
		l.say("Precedence is not bulk")
	}
}

// waysOut wants an https address, which one-click needs, and a mailbox, which
// some mail programs know alone.
func (l *linter) waysOut(value string) {
	byMail := false
	for _, m := range bracketed.FindAllStringSubmatch(value, -1) {
		u, err := url.Parse(m[1])
		switch {
		case err != nil:
			l.say("List-Unsubscribe holds something that is no URL")
		case u.Scheme == "https" && u.Host != "" && l.unsubscribe == "":
			l.unsubscribe = m[1]
		case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
			byMail = true
		default:
			l.say("List-Unsubscribe holds a %s URL", u.Scheme)
		}
	}
	if l.unsubscribe == "" {
		l.say("List-Unsubscribe has no https URL (RFC 8058, 3.1)")
	}
	if !byMail {
		l.say("List-Unsubscribe has no mailto URL")
	}
}
