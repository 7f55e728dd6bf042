package digest

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strconv"
	"strings"
	texttemplate "text/template"

	"dateline/internal/email"
	"dateline/internal/news"
)

// Renderer writes the mails. It is safe for concurrent use.
type Renderer struct {
	words     *email.Words
	publisher email.Publisher
	baseURL   string
	html      *htmltemplate.Template
	text      *texttemplate.Template
	marks     Links
	cards     cards
	// visit is the link that counts a visit to a story of an edition ("": its picture);
	// nil: nothing is counted.
	visit func(e Edition, uri string) string
	zones zones
}

// Rendered is a mail but for the reader's own links, for which marks stand.
type Rendered struct {
	Subject, Text, HTML string
	Marks               Links
}

// Links are what differs from reader to reader.
type Links struct {
	Manage      string // https URL, lasts 30 days
	Unsubscribe string // https URL, never ends
}

// newMarks are links to be replaced by a reader's own. They are URLs, so that
// html/template takes them for what they become, and nobody can guess them: a
// story that named one would be handed a reader's token.
func newMarks() Links {
	return Links{Manage: "https://manage." + randomName() + ".invalid/", Unsubscribe: "https://unsubscribe." + randomName() + ".invalid/"}
}

func randomName() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // crypto/rand never fails: it ends the program instead
	return hex.EncodeToString(raw)
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
	return &Renderer{words: words, publisher: publisher, baseURL: baseURL, html: html, text: text, marks: newMarks()}, nil
}

// Render writes a selection for everybody who gets it.
func (r *Renderer) Render(e Edition, w news.Wishes, s Selection) (*Rendered, error) {
	_, out, err := r.fit(e, w, s)
	return out, err
}

// View is a selection laid out for the templates.
type View struct {
	renderer *Renderer
	view     mailView
}

// View lays a selection out.
func (r *Renderer) View(e Edition, w news.Wishes, s Selection) (*View, error) {
	view, _, err := r.fit(e, w, s)
	return &View{r, view}, err
}

// For runs the templates for one reader alone. What is sent is rendered once
// for everybody and comes to the same: this is what it is held against.
func (v *View) For(l Links) (*Rendered, error) {
	view := v.view
	view.Manage, view.Unsubscribe = l.Manage, l.Unsubscribe
	return v.renderer.execute(view)
}

// fit writes a selection so that the mail is small enough.
func (r *Renderer) fit(e Edition, w news.Wishes, s Selection) (view mailView, out *Rendered, err error) {
	for _, limit := range textLimits() {
		view = r.present(e, w, s, limit)
		if out, err = r.execute(view); err != nil {
			return view, nil, err
		}
		if email.EncodedSize(out.Text)+email.EncodedSize(out.HTML) <= maxMail {
			break
		}
	}
	return view, out, nil
}

// try renders a small mail in every language, so that a template that fails,
// or shows no way out, does so at the start.
func (r *Renderer) try() error {
	story := &news.Story{Headline: "x", URL: "https://news.example/", Kind: "analysis", Regions: []string{"JP"}}
	selection := Selection{Lead: story, Groups: []Group{{Stories: []*news.Story{story}}}, Alerted: []Alerted{{AlertID: "x"}}, Note: Note{"x", "en"},
		Repairs: []told{{Repair: news.Repair{StoryURI: "x", Kind: news.ReleaseKill}}}}
	for _, l := range r.words.Languages() {
		m, err := r.execute(r.present(Edition{LocalDate: "2026-01-01"}, news.Wishes{Language: l}, selection, 60))
		if err != nil {
			return err
		}
		if !strings.Contains(m.Text, r.marks.Unsubscribe) || !strings.Contains(m.HTML, r.marks.Unsubscribe) {
			return errors.New("digest: a template shows no link to unsubscribe")
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
	return &Rendered{Subject: view.Subject, Text: text.String(), HTML: html.String(), Marks: Links{view.Manage, view.Unsubscribe}}, nil
}

// key is equal for mails that read the same: language, date, the stories in
// order and version, the editors' note, what was repaired, what the reader was alerted
// to and when, and what the footer says she follows.
func (r *Renderer) key(e Edition, w news.Wishes, s Selection) string {
	var b strings.Builder
	for _, part := range []string{w.Language, e.LocalDate, strconv.FormatBool(e.Weekly), strings.Join(w.Preference.Regions, ","),
		strings.Join(w.Preference.Muted, ","), r.words.In(w.Language).Language} {
		b.WriteString(part + "\n")
	}
	if r.visit != nil { // its links name the edition
		b.WriteString(e.ID() + "\n")
	}
	b.WriteString(s.Note.Language + "|" + s.Note.Text + "\n")
	for _, t := range s.Repairs {
		b.WriteString("?" + t.Key() + "\n" + t.headline + "\n")
	}
	if s.Lead != nil {
		b.WriteString(s.Lead.URI + "\n" + strconv.FormatInt(s.Lead.Version, 10) + "\n" + sectionOf(s.Lead, w.Preference.Sections) + "\n")
	}
	for _, g := range s.Groups {
		b.WriteString("#" + g.Section + "\n")
		for _, story := range g.Stories {
			b.WriteString(story.URI + "\n" + strconv.FormatInt(story.Version, 10) + "\n")
		}
	}
	for _, a := range s.Alerted {
		b.WriteString("!" + a.AlertID + "\n" + r.clockIn(w, a.At) + strconv.FormatBool(a.Corrected) + "\n")
	}
	return b.String()
}

// For puts a reader's links in.
func (m *Rendered) For(l Links) (text, html string) {
	plain := strings.NewReplacer(m.Marks.Manage, l.Manage, m.Marks.Unsubscribe, l.Unsubscribe)
	escaped := strings.NewReplacer(m.Marks.Manage, htmltemplate.HTMLEscapeString(l.Manage), m.Marks.Unsubscribe, htmltemplate.HTMLEscapeString(l.Unsubscribe))
	return plain.Replace(m.Text), escaped.Replace(m.HTML)
}

// Pattern is the mail that a plate is made of.
func (m *Rendered) Pattern(sender, domain, mailto string) email.Mail {
	return email.Mail{Subject: m.Subject, Text: m.Text, HTML: m.HTML,
		List: email.List{ID: "digest." + domain, Name: sender, Unsubscribe: m.Marks.Unsubscribe, Mailto: mailto, Help: m.Marks.Manage}}
}
