// Package digest is the reader's morning: which edition of whom is due, which
// stories go into it, the mail, and the record of its sending.
//
// It promises at most one mail per reader and local date, whatever crashes,
// restarts, runs twice or changes its time zone: a mail is claimed in the
// store before anything is said to a mail server, and marked started right
// before its final dot, so that a crash leaves it either to be sent again or
// unknown, and what is unknown is never sent again by itself. It promises no
// mail without a story, none with a story that is killed, withheld, embargoed,
// muted or already on the reader's phone, and a way out in every one. What is
// the same for many readers is rendered and encoded once, and remembered while
// there is room.
//
// Calendar, choice and mail are pure: they take the instant and know no store.
package digest

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
)

// Ledger is the record of what was sent: at most one row per mailbox and local
// date.
type Ledger interface {
	// ClaimDigest is true when the mail is this caller's to send: there was no
	// row, or it was deferred and its time has come, or its claim's lease has
	// ended; and the mailbox may be written to.
	ClaimDigest(ctx context.Context, m news.DigestMail) (bool, error)
	// MarkDigest writes the state of a mail; only its Owner may.
	MarkDigest(ctx context.Context, m news.DigestMail) error
	// RecoverDigests frees what crashed processes claimed, and calls unknown
	// what they had started.
	RecoverDigests(ctx context.Context, now time.Time) (retry, unknown int, err error)
	// TellUnknown counts the mails of the editions after from, up to until, of
	// which nobody knows whether they went out, and which no call counted before.
	TellUnknown(ctx context.Context, from, until time.Time) (int, error)
	DigestDeferred(ctx context.Context, now time.Time, limit int) ([]news.DigestMail, error)
	// Digests are the mails of a mailbox, the newest date first.
	Digests(ctx context.Context, mailboxID string) ([]news.DigestMail, error)
	// DigestsSince are those of dates from one on.
	DigestsSince(ctx context.Context, mailboxID, date string) ([]news.DigestMail, error)
	// PlanDigests writes down who is due, before any is claimed; what is there stays.
	PlanDigests(ctx context.Context, editions []news.Edition, mails []news.DigestMail) error
	// ExpireDigests ends what waits of editions up to an instant.
	ExpireDigests(ctx context.Context, upTo time.Time) (int, error)
	Edition(ctx context.Context, id string) (news.EditionAccount, error)
	PauseEdition(ctx context.Context, p news.EditionPause) (paused bool, err error)
	OpenPauses(ctx context.Context) ([]news.EditionPause, error)
	// ReserveMails and ProviderDays are the warm-up's.
	ReserveMails(ctx context.Context, provider, day string, n, limit int) (granted int, err error)
	ProviderDays(ctx context.Context, provider, before string) (int, error)
}

// Readers are the mailboxes.
type Readers interface {
	DigestSlots(ctx context.Context) ([]news.ZoneHour, error)
	// DigestReaders are those of a slot (nil: of all) after a place, in the order of their
	// places: what equal preferences share is made, used and may be forgotten.
	DigestReaders(ctx context.Context, slot *news.ZoneHour, after string, limit int) ([]news.DigestReader, error)
	Mailbox(ctx context.Context, id string) (news.Mailbox, error)
	ChangeMailbox(ctx context.Context, id string, change func(*news.Mailbox) error) (news.Mailbox, error)
	// SuspendMailbox stops writing to a mailbox whose last editions all bounced softly.
	SuspendMailbox(ctx context.Context, id string) (bool, error)
	// TakeReport writes down what was said of a mail after it was sent, once, and names
	// the mail's edition.
	TakeReport(ctx context.Context, r news.MailReport) (edition string, fresh bool, err error)
}

// Stories are what there is to tell, and what was told already.
type Stories interface {
	RecentStories(ctx context.Context, f news.StoryFilter) ([]news.Story, error)
	PushedTo(ctx context.Context, subscriberIDs []string, since time.Time) (map[string][]news.Pushed, error)
	// Retracted lists the stories whose alert was killed, with the highest
	// version that was there then.
	Retracted(ctx context.Context, since time.Time) (map[string]int64, error)
	// Repairs lists the corrections and kills released since, the newest of each story.
	Repairs(ctx context.Context, since time.Time) ([]news.Repair, error)
	// EditionPlans are what editors want of the editions from a date on.
	EditionPlans(ctx context.Context, fromDate string) ([]news.EditionPlan, error)
}

// Signups are the double opt-ins that wait for their mail.
type Signups interface {
	ClaimSignupMails(ctx context.Context, owner string, limit int, lease time.Duration) ([]news.DigestSignup, error)
	MarkSignupMail(ctx context.Context, id string, done bool, next time.Time) error
	// ForgetSignups deletes those that expired by `before`.
	ForgetSignups(ctx context.Context, before time.Time) (int, error)
}

// Store is all four; *store.Store is one.
type Store interface {
	Ledger
	Readers
	Stories
	Signups
}

// Mailer composes and sends; *email.Mailer is one.
type Mailer interface {
	// Compose and Send are for mails that one reader alone gets.
	Compose(m email.Mail) ([]byte, error)
	Send(ctx context.Context, envelopeFrom, to string, raw []byte, beforeDot func() error) news.Receipt
	// Prepare and SendLetter are for those that many get.
	Prepare(pattern email.Mail) (*email.Plate, error)
	SendLetter(ctx context.Context, envelopeFrom, to string, l *email.Letter, beforeDot func() error) news.Receipt
	Address() string
	Domain() string
}

// Floor is the HTTP floor; *web.Floor is one.
type Floor interface {
	API(scope string, h web.Handler) http.Handler
}

// Config is what a Service needs. Zero numbers and durations take the defaults.
type Config struct {
	Store     Store
	Mailer    Mailer
	Links     *link.Signer
	Floor     Floor // for Routes
	Templates fs.FS // with email/
	Publisher email.Publisher
	BaseURL   string // of the links in mails
	// BounceAddress is what mails come back to, with +TOKEN before the @ (the mailer's
	// address); TakesBack says that TakeBack is called with them.
	BounceAddress string
	TakesBack     bool
	// Owner names this process in claims; made at random when empty.
	Owner string
	// Workers is how many mails are under way at once, of all providers (4: as many as
	// the mailer has connections).
	Workers int
	// Busy says that an alert is on its way out of this process: few mails then go at a
	// time (nil: never).
	Busy func() bool
	// Tracking makes links that count how often they are followed, and a picture, of all
	// of an edition's readers together. Off: links lead to the stories, and nothing tells.
	Tracking bool
	// WarmUp holds a sender back that mailbox providers do not know yet.
	WarmUp bool
	// Tick is how often the loop looks at the clock (20 s); Poll how often it
	// looks for confirmation mails (2 s).
	Tick, Poll time.Duration
	// Lease is how long a claim stands without a sign of life (30 s). It is
	// renewed while a mail is under way; after a crash others wait so long.
	Lease  time.Duration
	Now    func() time.Time
	Logger *slog.Logger
}

// Service sends the digests.
type Service struct {
	Config
	log      *slog.Logger
	renderer *Renderer
	plates   *plates
	confirm  *email.Confirmation
	lanes    *lanes
	post     *post
	shelves  *shelves
	judges   judges
	pauses   pauses
	warmup   warmup
	zones    zones
	// deferring is held by the walk that takes up deferred mails.
	deferring sync.Mutex

	ctx   context.Context // ends with Close; what RunAt starts lives in it
	close context.CancelFunc
	mu    sync.Mutex
	runs  map[time.Time]*run
	busy  sync.WaitGroup
}

// New makes the service. Every template is tried out, so that a broken one is
// found at the start.
func New(c Config) (*Service, error) {
	c = c.withDefaults()
	words, err := email.LoadWords(c.Templates)
	if err != nil {
		return nil, fmt.Errorf("digest.New: %w", err)
	}
	renderer, err := NewRenderer(c.Templates, words, c.Publisher, c.BaseURL)
	if err != nil {
		return nil, fmt.Errorf("digest.New: %w", err)
	}
	if c.Tracking {
		renderer.visit = func(e Edition, uri string) string {
			return c.BaseURL + link.Path(link.Visit, c.Links.Sign(link.Visit, link.VisitID(e.ID(), uri), time.Time{}))
		}
	}
	if err := renderer.try(); err != nil {
		return nil, fmt.Errorf("digest.New: %w", err)
	}
	confirm, err := email.NewConfirmation(c.Templates, words, c.Publisher)
	if err != nil {
		return nil, fmt.Errorf("digest.New: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{Config: c, log: c.Logger.With("component", "digest"), renderer: renderer, plates: newPlates(maxPlates), confirm: confirm,
		lanes: newLanes(), ctx: ctx, close: cancel, runs: map[time.Time]*run{}}
	s.shelves = &shelves{store: c.Store, now: s.now}
	s.judges = judges{service: s, pending: map[string]bool{}}
	s.post = newPost(c.Workers, c.Busy, func(x parcel) (outcome, error) { return s.deliver(x.ctx, s.shelves, x.job) })
	return s, nil
}

func (c Config) withDefaults() Config {
	c.Workers = max(1, cmp.Or(c.Workers, 4))
	c.Tick = cmp.Or(c.Tick, 20*time.Second)
	c.Poll = cmp.Or(c.Poll, 2*time.Second)
	c.Lease = cmp.Or(c.Lease, 30*time.Second)
	c.BaseURL = strings.TrimRight(c.BaseURL, "/")
	c.BounceAddress = cmp.Or(c.BounceAddress, c.Mailer.Address())
	if c.Owner == "" {
		c.Owner = "digest-" + randomName()[:16]
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Busy == nil {
		c.Busy = func() bool { return false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// now is the instant, as the store keeps instants.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// Close ends what RunAt started and waits for it. Run closes by itself.
func (s *Service) Close() error {
	s.mu.Lock() // no run may begin between the two
	s.close()
	s.mu.Unlock()
	s.judges.stop()
	s.busy.Wait()
	return nil
}

// zones are the time zones in use: loading one reads a file.
type zones struct {
	mu    sync.Mutex
	known map[string]*time.Location
}

func (z *zones) load(name string) (*time.Location, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if loc, ok := z.known[name]; ok {
		return loc, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w", name, err)
	}
	if z.known == nil {
		z.known = map[string]*time.Location{}
	}
	z.known[name] = loc
	return loc, nil
}
