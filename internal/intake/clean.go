package intake

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"

	"dateline/internal/news"
)

// maxRounds is how often text may be wrapped in another layer of encoding
// (&amp;lt;b&amp;gt;). Nobody does it more than twice by accident.
const maxRounds = 8

var errLayers = errors.New("is encoded in more layers than anybody needs")

// clean makes one line of plain text: a clean line (news.CleanLine) without
// markup, entities decoded. What one step takes away can make the other find
// something ("<\u200bscript>", "&amp;lt;b>"), so both are repeated until nothing
// changes; hence cleaning clean text changes nothing.
func clean(s string) (string, error) {
	s = news.CleanLine(s)
	for range maxRounds {
		next := news.CleanLine(dropMarkup(s))
		if next == s {
			return s, nil
		}
		s = next
	}
	return "", errLayers
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

// quote shows a piece of somebody's input in a message: short, and without
// what could do harm in a terminal.
func quote(s string) string {
	const most = 40
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most]) + "…"
	}
	s = strings.Map(func(r rune) rune {
		if news.Hidden(r) || news.LineEnd(r) {
			return '\uFFFD'
		}
		return r
	}, s)
	return "“" + s + "”"
}
