// Package showcase is the two pages that exist under the demo alone: /phones,
// what each simulated phone shows and what it follows, and /outbox, the mails
// that the simulated mail server took.
//
// It promises to show what arrived and nothing else: notifications as the
// phones decrypted them, mails as their bytes came. It changes nothing. Both
// pages work without scripts; with them they follow along while an alert goes
// out. A mail's HTML is shown in a sandbox of its own, without scripts and
// without anything loaded from elsewhere: drawings stand in for its photos.
package showcase

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
	"dateline/internal/web"
)

// Phone is a simulated phone with what its owner asked for.
type Phone struct {
	*simulate.Phone
	Wishes news.Wishes
	Label  string // what to call it: a place, a person; may be empty
}

// Outbox is where the mails are; a *simulate.MailServer is one.
type Outbox interface {
	Mails() []simulate.Mail // oldest first, the newest of them at least
	Taken() int             // how many ever came
}

// Config is what a Showcase is made of.
type Config struct {
	Floor  *web.Floor
	Phones []Phone
	Outbox Outbox // nil: an empty one
	// Readers are the mailboxes that mails go to, so that a mail can be read
	// beside what its reader asked for.
	Readers []news.Mailbox
	// Why says in a sentence why a phone got an alert or did not. nil: the pages
	// show what was asked for and leave the conclusion to the visitor.
	Why func(ctx context.Context, phone Phone, alertID string) string
	Now func() time.Time
}

// Showcase serves the pages. It is safe for concurrent use.
type Showcase struct {
	floor  *web.Floor
	outbox Outbox
	why    func(ctx context.Context, phone Phone, alertID string) string
	now    func() time.Time

	mu      sync.RWMutex
	crowd   *crowd
	readers map[string]news.Mailbox // by address

	languages languageCache
}

// New makes a Showcase.
func New(c Config) *Showcase {
	s := &Showcase{floor: c.Floor, outbox: c.Outbox, why: c.Why, now: c.Now}
	if s.outbox == nil {
		s.outbox = noMails{}
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.SetPhones(c.Phones)
	s.SetReaders(c.Readers)
	return s
}

// SetPhones replaces the phones that are shown.
func (s *Showcase) SetPhones(phones []Phone) {
	c := newCrowd(phones)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crowd = c
}

// SetReaders replaces the mailboxes that are known.
func (s *Showcase) SetReaders(boxes []news.Mailbox) {
	readers := make(map[string]news.Mailbox, len(boxes))
	for _, b := range boxes {
		readers[strings.ToLower(b.Address)] = b
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers = readers
}

func (s *Showcase) phones() *crowd {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.crowd
}

// Routes adds the pages to a mux. Only the demo does so.
func (s *Showcase) Routes(mux *http.ServeMux) {
	page := func(pattern string, h web.Handler) {
		mux.Handle("GET "+pattern, s.floor.Page(func(w http.ResponseWriter, r *http.Request) error {
			// Mails hold links with tokens, and what phones show is gone in a second.
			w.Header().Set("Cache-Control", "no-store")
			return h(w, r)
		}))
	}
	page("/phones", s.phonesPage("demo/phones"))
	page("/phones/live", s.phonesPage("demo/phones-live"))
	page("/outbox", s.outboxPage("demo/outbox"))
	page("/outbox/live", s.outboxPage("demo/outbox-live"))
	page("/outbox/{n}", s.mailPage)
	page("/outbox/{n}/html", s.mailHTML)
	page("/outbox/{n}/text", s.mailText)
	page("/outbox/{n}/raw", s.mailRaw)
}

// frame is what every page is rendered with.
type frame struct {
	Title string
	Tab   string // "phones" or "outbox"
}

type noMails struct{}

func (noMails) Mails() []simulate.Mail { return nil }
func (noMails) Taken() int             { return 0 }
