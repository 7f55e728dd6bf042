package bounce

import (
	"bufio"
	"bytes"
	"html"
	"io"
	"mime"
	"regexp"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mailbox providers of half of Asia write in charsets of their own
	"github.com/emersion/go-message/textproto"
)

// What is looked at of a mail. A stranger wrote it: nesting, the number of
// parts and fields and the size of each have an end.
const (
	maxDepth  = 8
	maxParts  = 64
	maxHeader = 64 << 10
	maxFields = 500
	maxPart   = 256 << 10
	maxText   = 64 << 10
)

// pieces are the parts of a mail that matter here.
type pieces struct {
	header     message.Header
	reportType string // of multipart/report (RFC 6522), lower case

	plain, rich string         // what is there for people to read
	status      string         // message/delivery-status
	feedback    string         // message/feedback-report
	disposition bool           // a message/disposition-notification: somebody's program read it
	original    message.Header // of the mail that this one is about
	said        string         // of the text: the server's own words
	copied      string         // of the text: the mail that came back, pasted below them
	code, line  string         // what stands out in said: the code, and the line that tells why

	count int
}

// takeApart walks a mail. The bytes are divided here and not by go-message's
// readers, which stop at the first part that is malformed and read headers
// without a limit; it reads the fields and undoes encodings and charsets.
func takeApart(raw []byte) *pieces {
	p := &pieces{}
	head, body := splitHeader(raw)
	p.header = readHeader(head)
	p.visit(p.header, body, 0)
	text := p.plain
	if strings.TrimSpace(text) == "" {
		text = p.rich
	}
	p.said, p.copied = cutCopy(text)
	p.code = answerCode(p.said)
	p.line = tellingLine(p.said, p.code)
	return p
}

func (p *pieces) visit(h message.Header, body []byte, depth int) {
	p.count++
	media, params := mediaType(h)
	if strings.HasPrefix(media, "multipart/") {
		if media == "multipart/report" && p.reportType == "" {
			p.reportType = strings.ToLower(params["report-type"])
		}
		parts := splitParts(body, params["boundary"])
		if len(parts) > 0 && depth < maxDepth {
			for _, part := range parts {
				if p.count >= maxParts {
					return
				}
				head, rest := splitHeader(part)
				p.visit(readHeader(head), rest, depth+1)
			}
			return
		}
		media = "text/plain" // no parts to be found: whatever is there
	}
	p.keep(media, decoded(h, body))
}

// keep puts a part in its place; of each kind the first one counts. What is in
// the returned mail stays shut but for its header: a report in there is not
// this report.
func (p *pieces) keep(media string, body []byte) {
	switch media {
	case "message/delivery-status", "message/global-delivery-status":
		p.status = first(p.status, string(body))
	case "message/feedback-report":
		p.feedback = first(p.feedback, string(body))
	case "message/disposition-notification", "message/global-disposition-notification":
		p.disposition = true
	case "message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers", "message/global-headers":
		if p.original.Len() == 0 {
			head, _ := splitHeader(bytes.TrimLeft(body, "\r\n"))
			p.original = readHeader(head)
		}
	case "text/html":
		p.rich = joined(p.rich, untagged(string(body[:min(len(body), maxText)])))
	default:
		if strings.HasPrefix(media, "text/") {
			p.plain = joined(p.plain, string(body))
		}
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// joined adds a text to those before it.
func joined(all, text string) string {
	if all != "" {
		all += "\n"
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return all + text[:max(0, min(len(text), maxText-len(all)))]
}

// decoded undoes transfer encoding and charset as far as it goes: half a part
// is better than none, and an unknown charset is still ASCII where it matters.
func decoded(h message.Header, body []byte) []byte {
	e, _ := message.New(h, bytes.NewReader(body)) // an entity comes with every error
	out, _ := io.ReadAll(io.LimitReader(e.Body, maxPart))
	return out
}

// readHeader reads what splitHeader made.
func readHeader(head []byte) message.Header {
	h, _ := textproto.ReadHeader(bufio.NewReader(bytes.NewReader(head)))
	return message.Header{Header: h}
}

// splitHeader divides an entity into its header, made whole, and its body. A
// line that can't be a field is left out when a field follows; else it begins
// the body, whose empty line somebody forgot.
func splitHeader(raw []byte) (head, body []byte) {
	kept, fields := false, 0
	for len(raw) > 0 {
		line, rest := cutLine(raw)
		switch {
		case len(line) == 0:
			return append(head, "\r\n"...), rest
		case line[0] == ' ' || line[0] == '\t':
		case isField(line):
			fields++
			kept = true
		default:
			if next, _ := cutLine(rest); !isField(next) {
				return append(head, "\r\n"...), raw
			}
			kept = false
		}
		if kept && fields <= maxFields && len(head)+len(line) < maxHeader {
			head = append(append(head, line...), "\r\n"...)
		}
		raw = rest
	}
	return append(head, "\r\n"...), nil
}

// cutLine takes the first line off, without its break.
func cutLine(raw []byte) (line, rest []byte) {
	line, rest, _ = bytes.Cut(raw, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r")), rest
}

// isField: a name of printable ASCII (RFC 5322, 2.2), then a colon.
func isField(line []byte) bool {
	name, _, ok := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t")
	return ok && len(name) > 0 && !bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// parameter finds what mime.ParseMediaType would have found if the field had
// been well-formed: a boundary with a "=" in it, a ";" at the end…
var parameter = regexp.MustCompile(`(?i)[;\s](boundary|report-type|charset)\s*=\s*(?:"([^"]*)"|([^\s;"]+))`)

func mediaType(h message.Header) (string, map[string]string) {
	field := h.Get("Content-Type")
	if field == "" {
		return "text/plain", nil
	}
	media, params, err := mime.ParseMediaType(field)
	if err == nil {
		return media, params
	}
	media, _, _ = strings.Cut(field, ";")
	params = map[string]string{}
	for _, m := range parameter.FindAllStringSubmatch(field, 8) {
		params[strings.ToLower(m[1])] = m[2] + m[3]
	}
	return strings.ToLower(strings.TrimSpace(media)), params
}

// splitParts divides the body of a multipart. A part that has no end ends with
// the mail.
func splitParts(body []byte, boundary string) [][]byte {
	boundary = strings.TrimRight(boundary, " \t")
	if boundary == "" {
		return nil
	}
	var parts [][]byte
	begin := -1
	for at := 0; at < len(body) && len(parts) < maxParts; {
		line, rest := cutLine(body[at:])
		after, found := bytes.CutPrefix(line, []byte("--"+boundary))
		after = bytes.TrimRight(after, " \t")
		if last := string(after) == "--"; found && (last || len(after) == 0) {
			if begin >= 0 {
				parts = append(parts, body[begin:at])
			}
			if begin = len(body) - len(rest); last {
				return parts
			}
		}
		at = len(body) - len(rest)
	}
	if begin >= 0 && len(parts) < maxParts {
		parts = append(parts, body[begin:])
	}
	return parts
}

var (
	unread  = regexp.MustCompile(`(?is)<(?:style|script)\b.*?</(?:style|script)>`)
	lineEnd = regexp.MustCompile(`(?i)<(?:br|/p|/div|/tr|/h[1-6]|/li)\b[^>]*>`)
	anyTag  = regexp.MustCompile(`<[^<>]*>`)
)

// untagged is the text of a page, near enough to look for words in.
func untagged(page string) string {
	page = lineEnd.ReplaceAllString(unread.ReplaceAllString(page, " "), "\n")
	return html.UnescapeString(anyTag.ReplaceAllString(page, " "))
}
