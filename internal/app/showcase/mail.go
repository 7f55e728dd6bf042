package showcase

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/simulate"
)

// mailPolicy is the cage a mail's HTML is shown in. Mails carry their styles
// inline; nothing else of theirs may run, load or be sent. Their links open in
// tabs of their own: our pages refuse to be shown inside a frame.
const mailPolicy = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; form-action 'none'; base-uri 'none'; " +
	"frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"

// sheet is the page of one mail.
type sheet struct {
	frame
	Letter  letter
	Facts   []fact // what its reader asked for
	Headers []fact
	Text    string
	HasHTML bool
	Fault   string // why its parts can't be read; ""
	Size    string
	Older   int // 0: none
	Newer   int
	Width   int
	Dark    bool
	StoodIn bool // drawings stand in for its photos
}

// Path is the address of this mail, a part of it or a way to look at it.
func (v sheet) Path(rest string) string { return fmt.Sprintf("/outbox/%d%s", v.Letter.Number, rest) }

// Look is the address of this page with another width or theme.
func (v sheet) Look(width int, dark bool) string {
	look := fmt.Sprintf("?width=%d", width)
	if dark {
		look += "&theme=dark"
	}
	return v.Path(look)
}

// mail finds the mail a path names, and its neighbours' numbers.
func (s *Showcase) mail(r *http.Request) (m simulate.Mail, number int, h held, err error) {
	if h, err = s.held(); err != nil {
		return m, 0, h, err
	}
	number, err = strconv.Atoi(r.PathValue("n"))
	i := number - h.first
	if err != nil || i < 0 || i >= len(h.mails) {
		return m, 0, h, fmt.Errorf("showcase: mail %q: %w", r.PathValue("n"), news.ErrNotFound)
	}
	return h.mails[i], number, h, nil
}

func (s *Showcase) mailPage(w http.ResponseWriter, r *http.Request) error {
	m, number, h, err := s.mail(r)
	if err != nil {
		return err
	}
	lang, zone := s.reader(&m, number)
	v := sheet{frame: frame{Title: subject(&m), Tab: "outbox"}, Letter: newLetter(&m, number, lang, zone), Headers: headers(&m),
		Size: kilobytes(len(m.Raw)), Width: 640, Dark: r.URL.Query().Get("theme") == "dark"}
	if r.URL.Query().Get("width") == "360" {
		v.Width = 360
	}
	if number > h.first {
		v.Older = number - 1
	}
	if number < h.first+len(h.mails)-1 {
		v.Newer = number + 1
	}
	if b, ok := s.mailbox(m.To); ok {
		v.Facts = mailboxFacts(b)
	}
	text, html, err := m.Parts()
	if err != nil {
		v.Fault = "Its parts can't be read; the source is all there is."
	}
	v.Text, v.HasHTML, v.StoodIn = text, html != "", s.stoodIn(html) != html
	return s.floor.Render(w, http.StatusOK, "demo/mail", v)
}

// headers are a mail's headers as they came, decoded.
func headers(m *simulate.Mail) []fact {
	header, err := m.Header()
	if err != nil {
		return nil
	}
	var all []fact
	for fields := header.Fields(); fields.Next(); {
		text, err := fields.Text()
		if err != nil {
			text = fields.Value()
		}
		all = append(all, fact{fields.Key(), text})
	}
	return all
}

func mailboxFacts(b news.Mailbox) []fact {
	p := b.Wishes.Preference
	all := []fact{{"Follows", places(p.Regions)}}
	if len(p.Muted) > 0 {
		all = append(all, fact{"But not", places(p.Muted)})
	}
	return append(all, fact{"Sections", orAll(p.Sections)}, fact{"Language", languageName(b.Wishes.Language)},
		fact{"Comes", hours(b) + ", " + cmp.Or(city(b.Wishes.Timezone), region.UTC) + " time"})
}

// mailHTML is the HTML part by itself, in its cage.
func (s *Showcase) mailHTML(w http.ResponseWriter, r *http.Request) error {
	m, number, _, err := s.mail(r)
	if err != nil {
		return err
	}
	_, html, err := m.Parts()
	if err != nil || html == "" {
		return fmt.Errorf("showcase: HTML of mail %d: %w", number, news.ErrNotFound)
	}
	w.Header().Set("Content-Security-Policy", mailPolicy)
	return write(w, "text/html; charset=utf-8", []byte(inTabs(s.stoodIn(html))))
}

var headTag = regexp.MustCompile(`(?i)<head(\s[^>]*)?>`)

// inTabs lets a mail's links open in new tabs.
func inTabs(html string) string {
	const base = `<base target="_blank">`
	at := headTag.FindStringIndex(html)
	if at == nil {
		return base + html
	}
	return html[:at[1]] + base + html[at[1]:]
}

// photos are the drawings that stand in for a mail's photos.
const photos = 3

var remoteImage = regexp.MustCompile(`(?i)(<img\b[^>]*?\bsrc=")(https?://[^"]*)(")`)

// stoodIn puts a drawing of ours in the place of every picture from elsewhere:
// the demo's newsroom has no photos, and no page of ours loads from strangers.
func (s *Showcase) stoodIn(html string) string {
	ours := s.floor.BaseURL() + "/"
	return remoteImage.ReplaceAllStringFunc(html, func(img string) string {
		part := remoteImage.FindStringSubmatch(img)
		if strings.HasPrefix(part[2], ours) {
			return img
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(part[2])) // a hash never fails
		return fmt.Sprintf("%s/static/demo/photo-%d.svg%s", part[1], h.Sum32()%photos+1, part[3])
	})
}

func (s *Showcase) mailText(w http.ResponseWriter, r *http.Request) error {
	m, number, _, err := s.mail(r)
	if err != nil {
		return err
	}
	text, _, err := m.Parts()
	if err != nil || text == "" {
		return fmt.Errorf("showcase: text of mail %d: %w", number, news.ErrNotFound)
	}
	return write(w, "text/plain; charset=utf-8", []byte(text))
}

// mailRaw is the mail as it came, as text: a browser would save message/rfc822.
func (s *Showcase) mailRaw(w http.ResponseWriter, r *http.Request) error {
	m, _, _, err := s.mail(r)
	if err != nil {
		return err
	}
	return write(w, "text/plain; charset=utf-8", m.Raw)
}

func write(w http.ResponseWriter, kind string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(body) // a visitor who has gone away needs no answer
	return nil
}

func kilobytes(n int) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1000), ".0") + " kB"
}
