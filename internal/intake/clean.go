package intake

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"
)

// maxRounds is how often text may be wrapped in another layer of encoding
// (&amp;lt;b&amp;gt;). Nobody does it more than twice by accident.
const maxRounds = 8

// maxMarks is how many combining marks one letter keeps: Tibetan and Vietnamese
// need no more than four; a tower of them covers the lines above it.
const maxMarks = 16

var errLayers = errors.New("is encoded in more layers than anybody needs")

// clean makes one line of plain text: no control, bidi-override, zero-width or
// tag characters, no markup, entities decoded, NFC, single spaces. U+200C to
// U+200F stay: Hindi, Urdu, Persian and emoji need them. What one step takes
// away can make another find something ("<\u200bscript>", "&amp;lt;b>"), so all
// are repeated until nothing changes; hence cleaning clean text changes nothing.
func clean(s string) (string, error) {
	for range maxRounds {
		next := squeeze(norm.NFC.String(dropMarkup(dropRunes(s))))
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", errLayers
}

// dropRunes takes out what no plain text needs and turns line ends into spaces.
func dropRunes(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks, flag := 0, false
	for _, r := range s {
		if unicode.In(r, unicode.Mn, unicode.Me) && !variation(r) {
			marks++
		} else {
			marks = 0
		}
		// Flags of regions (England) are a black flag followed by tag characters;
		// anywhere else tag characters are hidden text.
		tag := r >= 0xE0020 && r <= 0xE007F
		switch {
		case lineEnd(r):
			b.WriteByte(' ')
		case marks > maxMarks, tag && !flag, !tag && hidden(r):
		default:
			b.WriteRune(r)
		}
		flag = r == 0x1F3F4 || tag && flag
	}
	return b.String()
}

func variation(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF }

func lineEnd(r rune) bool {
	return r >= '\t' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// hidden reports characters that change how others look, or look like nothing.
func hidden(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r): // controls
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069: // bidi embeddings, overrides, isolates
	case r == 0x200B, r >= 0x2060 && r <= 0x2065, r >= 0x206A && r <= 0x206F, r == 0xFEFF: // zero width
	case r >= 0xFFF9 && r <= 0xFFFB: // interlinear annotation
	case r >= 0xE0000 && r <= 0xE001F: // tags
	case r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE: // not characters
	default:
		return false
	}
	return true
}

// dropMarkup takes out tags, comments and what scripts and styles contain, and
// decodes entities. A tag or comment that is never closed takes the rest with it.
func dropMarkup(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(s))
	code := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			return b.String()
		case html.TextToken:
			if !code {
				b.Write(z.Text())
			}
			code = false
		case html.StartTagToken, html.SelfClosingTagToken:
			name, _ := z.TagName()
			code = notText(string(name))
			if breaksLine(string(name)) {
				b.WriteByte(' ')
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			code = false
			if breaksLine(string(name)) {
				b.WriteByte(' ')
			}
		}
	}
}

func notText(tag string) bool {
	switch tag {
	case "script", "style", "iframe", "noembed", "noframes", "noscript":
		return true
	}
	return false
}

func breaksLine(tag string) bool {
	switch tag {
	case "br", "p", "div", "li", "ul", "ol", "tr", "td", "th", "table", "blockquote", "hr",
		"h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer", "figure", "figcaption":
		return true
	}
	return false
}

// squeeze makes runs of spaces one and trims. The ideographic space stays where
// it stands alone: Japanese headlines are parted by it.
func squeeze(s string) string {
	s = strings.TrimFunc(s, unicode.IsSpace)
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if r == ' ' && space {
			continue
		}
		space = r == ' '
		b.WriteRune(r)
	}
	return b.String()
}

// visible reports whether there is something to see.
func visible(s string) bool {
	for _, r := range s {
		switch r {
		case 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800: // fillers and the blank Braille cell
			continue
		}
		if unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) {
			return true
		}
	}
	return false
}

// quote shows a piece of somebody's input in a message: short, and without
// what could do harm in a terminal.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	s = strings.Map(func(r rune) rune {
		if hidden(r) || lineEnd(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	return "“" + s + "”"
}
