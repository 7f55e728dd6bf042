package showcase

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/simulate"
	"dateline/internal/web"
)

// mailsPerPage is a screen or two.
const mailsPerPage = 50

// box is the page of mails.
type box struct {
	frame
	pager
	Query     string
	Languages []option
	Zones     []option
	Filtered  bool
	Held      string // mails that are here
	Dropped   string // older ones that are not; "" when none
	Readers   string // different mailboxes they went to
	Mails     []letter
}

// letter is one mail in the list.
type letter struct {
	Number   int
	Subject  string
	Lang     string
	To       string
	Language string
	Zone     string
	At       string // where the reader is
	Day      string
}

// held are the mails that are here, numbered from first on.
type held struct {
	mails []simulate.Mail
	first int
}

// held asks for the mails and their numbers. The outbox says in two answers
// what came and how many came: they are taken again until they fit.
func (s *Showcase) held() (held, error) {
	for range 100 {
		taken := s.outbox.Taken()
		mails := s.outbox.Mails()
		if s.outbox.Taken() == taken {
			return held{mails, taken - len(mails) + 1}, nil
		}
	}
	return held{}, fmt.Errorf("showcase: %w: mails come too fast to be numbered", news.ErrUnavailable)
}

func (s *Showcase) outboxPage(page string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		h, err := s.held()
		if err != nil {
			return err
		}
		return s.floor.Render(w, http.StatusOK, page, s.box(h, r.URL.Query()))
	}
}

func (s *Showcase) box(h held, asked url.Values) box {
	query := kept(asked, "q", "lang", "zone")
	v := box{frame: frame{Title: "Outbox", Tab: "outbox"}, Query: query.Get("q"), Filtered: len(query) > 0,
		Held: thousands(len(h.mails))}
	if h.first > 1 {
		v.Dropped = thousands(h.first - 1)
	}
	speakers, zones, readers := map[string]int{}, map[string]int{}, map[string]bool{}
	var found []int
	typed := wordsOf(query.Get("q"))
	for i := len(h.mails) - 1; i >= 0; i-- {
		m, number := &h.mails[i], h.first+i
		lang, zone := s.reader(m, number)
		speakers[lang]++
		zones[zone]++
		readers[m.To] = true
		if query.Has("lang") && query.Get("lang") != lang || query.Has("zone") && query.Get("zone") != zone || !mentions(m, number, typed) {
			continue
		}
		found = append(found, i)
	}
	v.Readers = thousands(len(readers))
	v.Languages = choose(languageMenu(speakers), query.Get("lang"))
	v.Zones = choose(zoneMenu(zones), query.Get("zone"))
	v.pager = newPager("/outbox", query, asked.Get("page"), len(found), mailsPerPage)
	from, to := v.bounds()
	for _, i := range found[from:to] {
		lang, zone := s.reader(&h.mails[i], h.first+i)
		v.Mails = append(v.Mails, newLetter(&h.mails[i], h.first+i, lang, zone))
	}
	return v
}

// mentions reports whether a mail's subject or address has every word typed.
func mentions(m *simulate.Mail, number int, typed []string) bool {
	text := searchable(" " + strings.Join(wordsOf(m.Subject), " ") + " " + strings.ToLower(m.To))
	lower := strings.ToLower(m.Subject)
	for _, word := range typed {
		// Japanese, Chinese and Thai have no spaces: there a word may stand anywhere.
		if strings.Contains(lower, word) || text.has([]string{word}, number) {
			continue
		}
		return false
	}
	return true
}

func newLetter(m *simulate.Mail, number int, lang, name string) letter {
	at := m.At.In(zone(name))
	return letter{Number: number, Subject: subject(m), Lang: lang, To: m.To, Language: languageName(lang), Zone: city(name),
		At: at.Format("15:04") + " " + region.Abbreviation(at), Day: at.Format("Mon 2 Jan")}
}

func subject(m *simulate.Mail) string {
	if m.Subject == "" {
		return "(no subject)"
	}
	return m.Subject
}

func zoneMenu(count map[string]int) []option {
	var menu []option
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if name != "" {
			menu = append(menu, option{Value: name, Text: fmt.Sprintf("%s (%s)", strings.ReplaceAll(name, "_", " "), thousands(count[name]))})
		}
	}
	return menu
}

// mailbox is the reader a mail went to, where she is known.
func (s *Showcase) mailbox(address string) (news.Mailbox, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, ok := s.readers[strings.ToLower(address)]
	return b, ok
}

// reader is the language and the zone of a mail's reader. One who is not known
// (a visitor who signed up) reads what the mail was written in.
func (s *Showcase) reader(m *simulate.Mail, number int) (lang, zone string) {
	if b, ok := s.mailbox(m.To); ok {
		return b.Wishes.Language, b.Wishes.Timezone
	}
	return s.languages.of(m, number), ""
}

// languageCache remembers what mails are written in: finding out takes a parse.
type languageCache struct {
	mu    sync.Mutex
	known map[int]string
}

var htmlLanguage = regexp.MustCompile(`(?i)<html[^>]*\blang="?([a-zA-Z0-9-]{2,35})`)

func (c *languageCache) of(m *simulate.Mail, number int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lang, ok := c.known[number]
	if ok {
		return lang
	}
	if _, html, err := m.Parts(); err == nil {
		if match := htmlLanguage.FindStringSubmatch(html); match != nil {
			lang = match[1]
		}
	}
	if c.known == nil {
		c.known = map[int]string{}
	}
	c.known[number] = lang
	return lang
}

// hours says when a reader wants her mail.
func hours(b news.Mailbox) string {
	at := fmt.Sprintf("%02d:00", b.Hour)
	if b.Weekly {
		return "Saturdays, " + at
	}
	if len(b.Days) == 0 || len(b.Days) == 7 {
		return "every day, " + at
	}
	names := make([]string, 0, len(b.Days))
	for _, d := range b.Days {
		names = append(names, time.Weekday(d % 7).String()[:3])
	}
	return strings.Join(names, ", ") + ", " + at
}
