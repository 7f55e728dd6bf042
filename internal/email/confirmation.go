package email

import (
	"bytes"
	"cmp"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Publisher is who is behind the mails: the imprint that many countries ask
// for at the end of each.
type Publisher struct {
	Name    string
	ID      string   // company registration number; "" none
	Address []string // postal address, line by line
}

// Confirmation renders the mail of the double opt-in.
type Confirmation struct {
	words     *Words
	publisher Publisher
	html      *htmltemplate.Template
	text      *texttemplate.Template
}

// ConfirmationData is what one confirmation mail says.
type ConfirmationData struct {
	Signup news.DigestSignup
	Places string // what she follows, in words
	URL    string // of the page that the mail leads to; opening it changes nothing
}

// NewConfirmation parses email/confirm.html and email/confirm.txt.
func NewConfirmation(templates fs.FS, words *Words, publisher Publisher) (*Confirmation, error) {
	html, err := htmltemplate.ParseFS(templates, "email/confirm.html")
	if err != nil {
		return nil, fmt.Errorf("email.NewConfirmation: %w", err)
	}
	text, err := texttemplate.ParseFS(templates, "email/confirm.txt")
	if err != nil {
		return nil, fmt.Errorf("email.NewConfirmation: %w", err)
	}
	c := &Confirmation{words: words, publisher: publisher, html: html, text: text}
	// A template that fails is found now, not when a reader signs up.
	for _, l := range words.Languages() {
		for _, kind := range []news.SignupKind{news.SignupDigest, news.SignupLink, news.SignupMove, news.SignupMoved} {
			if _, _, _, err := c.Render(ConfirmationData{Signup: news.DigestSignup{Kind: kind, Wishes: news.Wishes{Language: l}}, URL: "https://news.example/"}); err != nil {
				return nil, fmt.Errorf("email.NewConfirmation: %w", err)
			}
		}
	}
	return c, nil
}

type confirmationView struct {
	W         Vocabulary
	Face      Face
	Kind      string // begins the names of the words: "confirm", "link", "move" or "moved"
	Subject   string
	Publisher Publisher
	URL       string
	Places    string
	Time      string
	Valid     string
}

// Say is the word of this kind of mail.
func (v confirmationView) Say(key string) string { return v.W.Term(v.Kind + "_" + key) }

// Render writes the mail in the language of the sign-up.
func (c *Confirmation) Render(d ConfirmationData) (subject, text, html string, err error) {
	words := c.words.In(d.Signup.Wishes.Language)
	view := confirmationView{W: words, Kind: "confirm", Face: FaceOf(words.Language), Publisher: c.publisher,
		URL: d.URL, Places: d.Places, Time: timeWords(words, d.Signup), Valid: validWords(words, d.Signup)}
	switch d.Signup.Kind {
	case news.SignupLink: // it says what it can do, and nothing of what is followed
		view.Kind, view.Places, view.Time, view.Valid = "link", "", "", words.Term("link_valid")
	case news.SignupMove:
		view.Kind = "move"
	case news.SignupMoved: // the last mail: where it goes now, and what is followed, is nobody's business here
		view.Kind, view.Places, view.Time, view.Valid = "moved", "", "", ""
	}
	view.Subject = view.Say("subject")
	var h, t bytes.Buffer
	if err := c.html.Execute(&h, view); err != nil {
		return "", "", "", fmt.Errorf("email: confirm.html: %w", err)
	}
	if err := c.text.Execute(&t, view); err != nil {
		return "", "", "", fmt.Errorf("email: confirm.txt: %w", err)
	}
	return view.Subject, t.String(), h.String(), nil
}

// timeWords is "Saturday · 07:00 (Tokyo)" or "Every day · 07:00 (…)".
func timeWords(words Vocabulary, s news.DigestSignup) string {
	days := words.Term("everyday")
	switch {
	case s.Weekly:
		days = words.Weekday(6)
	case len(s.Days) > 0 && len(s.Days) < 7:
		names := make([]string, len(s.Days))
		for i, d := range s.Days {
			names[i] = words.Weekday(d)
		}
		days = strings.Join(names, " ")
	}
	return fmt.Sprintf("%s · %02d:00 (%s)", days, s.Hour, region.ZoneCity(cmp.Or(s.Wishes.Timezone, region.UTC), words.Language))
}

func validWords(words Vocabulary, s news.DigestSignup) string {
	hours := int(s.ExpiresAt.Sub(s.CreatedAt).Round(time.Hour) / time.Hour)
	if hours <= 0 {
		hours = 48
	}
	return strings.ReplaceAll(words.Term("confirm_valid"), "{hours}", strconv.Itoa(hours))
}
