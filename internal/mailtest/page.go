package mailtest

import (
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/html"
)

// attr is an attribute's value; ok tells an empty one from none.
func attr(n *html.Node, name string) (value string, ok bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func has(n *html.Node, name, value string) bool {
	got, _ := attr(n, name)
	return strings.EqualFold(strings.TrimSpace(got), value)
}

// elements are those with one of the names, in order; all without names.
func elements(root *html.Node, names ...string) (out []*html.Node) {
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if len(names) == 0 {
			out = append(out, n)
		}
		for _, name := range names {
			if n.Data == name {
				out = append(out, n)
			}
		}
	}
	return out
}

// words is the text below a node, blanks squeezed.
func words(n *html.Node) string {
	var out strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			out.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(out.String()), " ")
}

// links are the https links of a page, without those that only decorate.
func links(page string) (out []string) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil // said by page
	}
	for _, a := range elements(doc, "a") {
		if href, _ := attr(a, "href"); strings.HasPrefix(href, "https://") && !decoration(a) {
			out = append(out, href)
		}
	}
	return out
}

// page looks at the HTML.
func (l *linter) page(page string) {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		l.say("the HTML can't be read: %v", err)
		return
	}
	if doc.FirstChild == nil || doc.FirstChild.Type != html.DoctypeNode {
		l.say("the HTML has no doctype: mail programs fall into quirks mode")
	}
	l.head(doc)
	for _, n := range elements(doc) {
		l.element(n)
	}
	l.headings(doc)
	l.styles(doc)
	for _, body := range elements(doc, "body") {
		l.sizes(body, 0)
		if l.list {
			l.preheader(body)
		}
	}
	if l.list {
		l.wayOut(doc)
	}
}

// head looks at what a mail program and a screen reader need to know first.
func (l *linter) head(doc *html.Node) {
	for _, root := range elements(doc, "html") {
		if lang, _ := attr(root, "lang"); lang == "" {
			l.say("html has no lang")
		}
		if dir, _ := attr(root, "dir"); dir != "ltr" && dir != "rtl" {
			l.say("html has no dir that is ltr or rtl")
		}
	}
	charset, names := false, map[string]bool{}
	for _, meta := range elements(doc, "meta") {
		charset = charset || has(meta, "charset", "utf-8")
		name, _ := attr(meta, "name")
		if content, _ := attr(meta, "content"); content != "" {
			names[strings.ToLower(name)] = true
		}
	}
	if !charset {
		l.say("no meta charset says utf-8")
	}
	for _, name := range []string{"viewport", "color-scheme"} {
		if !names[name] {
			l.say("there is no meta %s", name)
		}
	}
	for _, title := range elements(doc, "title") {
		if words(title) != "" {
			return
		}
	}
	l.say("the title is empty")
}

// forbidden is what mail programs take out, block, or take for an attack.
func forbidden() []string {
	return []string{"script", "form", "input", "button", "textarea", "select", "iframe", "object", "embed", "applet", "base", "svg", "canvas",
		"video", "audio", "link"}
}

// element looks at one element by itself.
func (l *linter) element(n *html.Node) {
	for _, name := range forbidden() {
		if n.Data == name {
			l.say("there is a %s element", name)
		}
	}
	for _, a := range n.Attr {
		if strings.HasPrefix(a.Key, "on") {
			l.say("%s has a script in %s", n.Data, a.Key)
		}
		if a.Key == "background" {
			l.say("%s has a background picture", n.Data)
		}
	}
	if dir, ok := attr(n, "dir"); ok && dir != "ltr" && dir != "rtl" {
		l.say("%s has the dir %q", n.Data, dir)
	}
	switch n.Data {
	case "img":
		l.picture(n)
	case "a":
		l.link(n)
	case "table":
		if !has(n, "role", "presentation") && len(elements(n, "th")) == 0 {
			l.say("a table for layout has no role=presentation: screen readers count its cells aloud")
		}
	case "div", "td":
		_, dir := attr(n, "dir")
		if _, lang := attr(n, "lang"); lang && !dir {
			l.say("a block in another language has no dir")
		}
	}
}

func (l *linter) picture(n *html.Node) {
	if _, ok := attr(n, "alt"); !ok {
		l.say("a picture has no alt")
	}
	for _, name := range []string{"width", "height"} {
		value, _ := attr(n, name)
		if size, err := strconv.Atoi(value); err != nil || size < 1 {
			l.say("a picture's %s is %q, not a number of pixels", name, value)
		}
	}
	src, _ := attr(n, "src")
	if u, err := url.Parse(src); err != nil || u.Scheme != "https" || u.Host == "" {
		l.say("a picture's src is not an https URL")
	}
}

// decoration is a link that is there once more beside the one that reads:
// neither a screen reader nor the tab key comes to it.
func decoration(n *html.Node) bool {
	return has(n, "aria-hidden", "true") && has(n, "tabindex", "-1")
}

func (l *linter) link(n *html.Node) {
	href, _ := attr(n, "href")
	u, err := url.Parse(href)
	if err != nil || (u.Scheme != "https" || u.Host == "") && (u.Scheme != "mailto" || u.Opaque == "") {
		l.say("a link leads to %q, not to an https or mailto URL", href)
	}
	if !decoration(n) && accessibleName(n) == "" {
		l.say("the link to %s has no words: a screen reader spells the address", href)
	}
}

// accessibleName is what a screen reader says of a link.
func accessibleName(n *html.Node) string {
	label, _ := attr(n, "aria-label")
	name := label + words(n)
	for _, img := range elements(n, "img") {
		alt, _ := attr(img, "alt")
		name += alt
	}
	return strings.TrimSpace(name)
}

// headings wants one lead (the h1, or the heading of that class) and no level
// left out on the way down: that is how screen readers walk a mail.
func (l *linter) headings(doc *html.Node) {
	leads, level := 0, 1
	for _, h := range elements(doc, "h1", "h2", "h3", "h4", "h5", "h6") {
		class, _ := attr(h, "class")
		if h.Data == "h1" || strings.Contains(" "+class+" ", " lead ") {
			leads++
		}
		if words(h) == "" {
			l.say("an %s is empty", h.Data)
		}
		next := int(h.Data[1] - '0')
		if next > level+1 {
			l.say("the headings go from h%d to h%d", level, next)
		}
		level = next
	}
	if leads != 1 {
		l.say("%d headings are the lead, not one", leads)
	}
}

// preheader is what the list of mails shows beside the subject: hidden, and
// first.
func (l *linter) preheader(body *html.Node) {
	if all := elements(body); len(all) == 0 || !hidden(all[0]) || words(all[0]) == "" {
		l.say("the body does not begin with a hidden preheader")
	}
}

// wayOut wants the link of the header to be one that can be seen.
func (l *linter) wayOut(doc *html.Node) {
	for _, a := range elements(doc, "a") {
		if href, _ := attr(a, "href"); href == l.unsubscribe && visible(a) {
			return
		}
	}
	l.say("the HTML has no unsubscribe link that can be seen")
}

func visible(n *html.Node) bool {
	for ; n != nil; n = n.Parent {
		if hidden(n) || has(n, "aria-hidden", "true") {
			return false
		}
	}
	return true
}
