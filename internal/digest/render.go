package digest

import (
	"bytes"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	texttemplate "text/template"

	"dateline/internal/email"
	"dateline/internal/news"
)

// Marks stand for a reader's own links in a mail that is rendered once for
// many. They are URLs, so that html/template takes them for what they become.
const (
	markManage      = "https://manage.dateline.invalid/"
	markUnsubscribe = "https://unsubscribe.dateline.invalid/"
)

// maxRendered bounds the mails remembered: 40 KB each, 20 MB.
const maxRendered = 500

// Renderer writes the mails. A mail is rendered once for everybody who gets
// the same content in the same language (DESIGN 8). It is safe for concurrent
// use.
type Renderer struct {
	words     *email.Words
	publisher email.Publisher
	baseURL   string
	html      *htmltemplate.Template
	text      *texttemplate.Template

	mu    sync.Mutex
	cache map[string]*Rendered
}

// Rendered is a mail but for the reader's own links.
type Rendered struct{ Subject, Text, HTML string }

// Links are what differs from reader to reader.
type Links struct {
	Manage      string // https URL, lasts 30 days
	Unsubscribe string // https URL, never ends
}

// NewRenderer parses email/digest.html and email/digest.txt.
func NewRenderer(templates fs.FS, words *email.Words, publisher email.Publisher, baseURL string) (*Renderer, error) {
	html, err := htmltemplate.ParseFS(templates, "email/digest.html")
	if err != nil {
		return nil, fmt.Errorf("digest.NewRenderer: %w", err)
	}
	text, err := texttemplate.ParseFS(templates, "email/digest.txt")
	if err != nil {
		return nil, fmt.Errorf("digest.NewRenderer: %w", err)
	}
	return &Renderer{words: words, publisher: publisher, baseURL: baseURL, html: html, text: text, cache: map[string]*Rendered{}}, nil
}

// Render writes a selection for everybody who gets it.
func (r *Renderer) Render(e Edition, w news.Wishes, s Selection) (*Rendered, error) {
	key := r.key(e, w, s)
	r.mu.Lock()
	known := r.cache[key]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}
	var out *Rendered
	for _, limit := range textLimits() {
		var err error
		if out, err = r.execute(r.present(e, w, s, limit)); err != nil {
			return nil, err
		}
		if email.EncodedSize(out.Text)+email.EncodedSize(out.HTML) <= maxMail {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.cache) >= maxRendered {
		clear(r.cache)
	}
	r.cache[key] = out
	return out, nil
}

// try renders a small mail in every language, so that a template that fails
// does so at the start.
func (r *Renderer) try() error {
	story := &news.Story{Headline: "x", URL: "https://news.example/", Kind: "analysis", Regions: []string{"JP"}}
	selection := Selection{Groups: []Group{{Stories: []*news.Story{story}}}, Alerted: []Alerted{{AlertID: "x"}}}
	for _, l := range r.words.Languages() {
		if _, err := r.execute(r.present(Edition{LocalDate: "2026-01-01"}, news.Wishes{Language: l}, selection, 60)); err != nil {
			return err
		}
	}
	return nil
}

// maxMail keeps a mail below 80 KB with its header: Gmail cuts at 102 KB, and
// hides the imprint and the way out with the rest.
const maxMail = 77 << 10

// textLimits are the lengths of standfirsts to try, until the mail is small
// enough: only long text in three-byte scripts ever needs the second.
func textLimits() []int { return []int{200, 120, 60} }

func (r *Renderer) execute(view mailView) (*Rendered, error) {
	var html, text bytes.Buffer
	if err := r.html.Execute(&html, view); err != nil {
		return nil, fmt.Errorf("digest: digest.html: %w", err)
	}
	if err := r.text.Execute(&text, view); err != nil {
		return nil, fmt.Errorf("digest: digest.txt: %w", err)
	}
	return &Rendered{Subject: view.Subject, Text: text.String(), HTML: html.String()}, nil
}

// key is equal for mails that read the same: language, date, the stories in
// order and version, what the reader was alerted to and when, and what the footer says
// she follows.
func (r *Renderer) key(e Edition, w news.Wishes, s Selection) string {
	var b strings.Builder
	for _, part := range []string{w.Language, e.LocalDate, strconv.FormatBool(e.Weekly), strings.Join(w.Preference.Regions, ","),
		strings.Join(w.Preference.Muted, ","), r.words.In(w.Language).Language} {
		b.WriteString(part + "\n")
	}
	for _, g := range s.Groups {
		b.WriteString("#" + g.Section + "\n")
		for _, story := range g.Stories {
			b.WriteString(story.URI + "\n" + strconv.FormatInt(story.Version, 10) + "\n")
		}
	}
	for _, a := range s.Alerted {
		b.WriteString("!" + a.AlertID + "\n" + clockIn(w, a.At) + strconv.FormatBool(a.Corrected) + "\n")
	}
	return b.String()
}

// For puts a reader's links in.
func (m *Rendered) For(l Links) (text, html string) {
	plain := strings.NewReplacer(markManage, l.Manage, markUnsubscribe, l.Unsubscribe)
	escaped := strings.NewReplacer(markManage, htmltemplate.HTMLEscapeString(l.Manage), markUnsubscribe, htmltemplate.HTMLEscapeString(l.Unsubscribe))
	return plain.Replace(m.Text), escaped.Replace(m.HTML)
}
