package mailtest

import (
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// minSize in px of what is to be read.
const minSize = 11

// declaration is one property of a style, in lower case.
type declaration struct{ property, value string }

func declarations(style string) (out []declaration) {
	for text := range strings.SplitSeq(strings.ToLower(style), ";") {
		if property, value, ok := strings.Cut(text, ":"); ok {
			out = append(out, declaration{strings.TrimSpace(property), strings.TrimSpace(value)})
		}
	}
	return out
}

func inline(n *html.Node) []declaration {
	style, _ := attr(n, "style")
	return declarations(style)
}

func hidden(n *html.Node) bool {
	for _, d := range inline(n) {
		if d.property == "display" && strings.HasPrefix(d.value, "none") {
			return true
		}
	}
	return false
}

// rule is a rule of a style sheet.
type rule struct {
	media    string // "" outside of @media
	selector string
	style    []declaration
}

var comment = regexp.MustCompile(`(?s)/\*.*?\*/`)

// rules reads a style sheet as far as a mail may use it: rules, and rules in
// one @media.
func rules(sheet string) (out []rule) {
	media, before := "", ""
	for rest := comment.ReplaceAllString(sheet, ""); ; {
		at := strings.IndexAny(rest, "{}")
		if at < 0 {
			return out
		}
		text := strings.TrimSpace(rest[:at])
		switch {
		case rest[at] == '{' && strings.HasPrefix(text, "@media"):
			media = text
		case rest[at] == '{':
			before = text
		case before != "":
			out = append(out, rule{media, before, declarations(text)})
			before = ""
		default:
			media = ""
		}
		rest = rest[at+1:]
	}
}

// styles looks at the style sheet and at every inline style.
func (l *linter) styles(doc *html.Node) {
	for _, sheet := range elements(doc, "style") {
		text := ""
		if sheet.FirstChild != nil {
			text = sheet.FirstChild.Data
		}
		for _, word := range []string{"@import", "@font-face"} {
			if strings.Contains(strings.ToLower(text), word) {
				l.say("the style sheet has %s", word)
			}
		}
		for _, r := range rules(text) {
			l.style("the style sheet", r.style)
			for _, d := range r.style {
				// A style sheet's rule loses against an inline style without it.
				if r.media != "" && !strings.HasSuffix(d.value, "!important") {
					l.say("%s %s: %s is not !important", r.media, r.selector, d.property)
				}
				if size, ok := pixels(d); ok && size < minSize {
					l.say("the style sheet makes %s %gpx small", r.selector, size)
				}
			}
		}
	}
	for _, n := range elements(doc) {
		l.style(n.Data, inline(n))
	}
}

// style looks for what mail programs do not do, or do not do alike.
func (l *linter) style(where string, style []declaration) {
	for _, d := range style {
		if d.property == "position" || d.property == "float" {
			l.say("%s has %s in its style", where, d.property)
		}
		if strings.Contains(d.value, "url(") {
			l.say("%s has a url() in its style", where)
		}
	}
}

// pixels is the size of a font-size in px.
func pixels(d declaration) (float64, bool) {
	text, ok := strings.CutSuffix(strings.TrimSpace(strings.TrimSuffix(d.value, "!important")), "px")
	size, err := strconv.ParseFloat(text, 64)
	return size, ok && err == nil && d.property == "font-size"
}

// sizes walks down with the font size that holds; 0 is the mail program's own.
func (l *linter) sizes(n *html.Node, size float64) {
	if hidden(n) {
		return
	}
	for _, d := range inline(n) {
		if px, ok := pixels(d); ok {
			size = px
		}
	}
	alt, _ := attr(n, "alt")
	for c := range n.ChildNodes() {
		if c.Type == html.TextNode {
			alt += strings.TrimSpace(c.Data)
		} else {
			l.sizes(c, size)
		}
	}
	if alt != "" && size > 0 && size < minSize {
		l.say("%s has text of %gpx; %d is the least", n.Data, size, minSize)
	}
}
