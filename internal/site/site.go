// Package site is what readers do: sign a browser up for alerts, ask for the
// digest by mail, confirm, choose, look why something came, and leave. It
// serves the readers' pages, the API behind them and the service worker.
//
// It promises: nothing a reader is told has happened is not yet durable; a GET
// never changes anything; a token opens one reader's things and no other's;
// every fault of an input is named with its place, all at once; and whether an
// address is known can be told neither from the answer nor from its time.
package site

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
)

// Devices is where push subscriptions are kept.
type Devices interface {
	// CreateSubscription stores a subscription, or updates the one with the same
	// endpoint and auth; another auth is news.ErrConflict.
	CreateSubscription(ctx context.Context, sub news.PushSubscription, w news.Wishes) (dev news.Device, created bool, err error)
	Subscription(ctx context.Context, id string) (news.Device, error)
	ChangeSubscription(ctx context.Context, id string, change func(*news.Device) error) (news.Device, error)
	Leave(ctx context.Context, id string) error // idempotent
}

// Mailboxes is where digest readers are kept.
type Mailboxes interface {
	// CreateDigestSignup queues at most one confirmation per address and 24 h,
	// and takes the same time for every address.
	CreateDigestSignup(ctx context.Context, s news.DigestSignup) error
	DigestSignup(ctx context.Context, id string) (news.DigestSignup, error)
	ConfirmDigest(ctx context.Context, id string, consent news.Consent) (news.Mailbox, error) // idempotent
	Mailbox(ctx context.Context, id string) (news.Mailbox, error)
	ChangeMailbox(ctx context.Context, id string, change func(*news.Mailbox) error) (news.Mailbox, error)
	LeaveMailbox(ctx context.Context, d news.Departure) error // idempotent
	// CountVisit adds one to how often a story's link of an edition was followed.
	CountVisit(ctx context.Context, edition, story string) error
}

// Archive is what was sent.
type Archive interface {
	Alert(ctx context.Context, id string) (news.Alert, error)
	Alerts(ctx context.Context, states []news.AlertState, limit int) ([]news.Alert, error)
	// PublicAlerts are what went out, and never what was drafted, stopped before
	// its first send or taken back before it. Newest first.
	PublicAlerts(ctx context.Context, before news.ArchiveMark, limit int) ([]news.PublicAlert, error)
	PublicAlert(ctx context.Context, id string) (news.PublicAlert, error)
	ReleasesSince(ctx context.Context, since time.Time) ([]news.Release, error)
	SaveReceipt(ctx context.Context, r news.DeviceReceipt) (bool, error)
	StoriesByURI(ctx context.Context, uris []string) (map[string]news.Story, error)
}

// Records are what is kept of one reader, and its end.
type Records interface {
	SentTo(ctx context.Context, subscriberID string, since, until time.Time, limit int) ([]news.Release, error) // newest first; a zero until: to date
	DevicesOf(ctx context.Context, subscriberID string) ([]news.Device, error)
	MailboxesOf(ctx context.Context, subscriberID string) ([]news.Mailbox, error)
	DeviceRecord(ctx context.Context, id string) (news.DeviceRecord, error)
	MailboxRecord(ctx context.Context, id string) (news.MailboxRecord, error)
	Digests(ctx context.Context, mailboxID string) ([]news.DigestMail, error) // newest first
	// WipeDevice parts the mailbox joined to it; WipeMailbox wipes the devices
	// joined to it too. Both are idempotent.
	WipeDevice(ctx context.Context, id string) error
	WipeMailbox(ctx context.Context, id string) error
	// QueueMailboxLink mails a fresh link to the mailbox itself, a few times a day.
	QueueMailboxLink(ctx context.Context, s news.DigestSignup) error
}

// Store is all of them.
type Store interface {
	Devices
	Mailboxes
	Archive
	Records
}

// Push says which subscriptions we would send to, and sends.
type Push interface {
	CheckSubscription(sub news.PushSubscription) error
	PublicKey() string
	// Send sends a test notification.
	Send(ctx context.Context, t push.Target, m push.Message) news.Receipt
}

// Waker tells the other processes that something changed.
type Waker interface {
	Wake(topic string) error
}

// The topics the site wakes.
const (
	topicDevices = "devices" // devices have changed
	topicControl = "control" // look at what must stop
)

// Publisher is who the pages say they are from.
type Publisher struct {
	Name    string
	ID      string // of the company register
	Address []string
}

// Config is what a Site is made of.
type Config struct {
	Floor     *web.Floor
	Links     *link.Signer
	Store     Store
	Push      Push
	Waker     Waker     // nil: nobody is woken
	Explainer Explainer // nil: the page tells the rule in general
	Rehearser Rehearser // nil: no choice is previewed, and feeds carry everything
	Stories   Stories   // nil: nothing is known of stories, so previews show alerts alone
	// StoryHosts are the hosts a notification may open; none: any https host.
	StoryHosts []string
	// SignupLimit is how many new subscriptions (and how many digest sign-ups)
	// one client address may make in an hour; 0: any number.
	SignupLimit int
	// NoReceipts: what devices say of notifications is thrown away.
	NoReceipts bool
	// EmbedOrigins are the publisher's own origins whose pages may sign readers
	// up; none: only our own.
	EmbedOrigins []string
	// CountVisits counts how often links of digests are followed (DATELINE_MAIL_TRACKING).
	CountVisits bool
	// DigestPause is the time every answer of the digest's door takes, so that
	// it does not tell whether an address is known. 0: 250 ms.
	DigestPause time.Duration
	Publisher   Publisher
	Logger      *slog.Logger
	Now         func() time.Time
	NewID       func() string
}

// Site serves the readers.
type Site struct {
	Config
	parser  *Parser
	words   *catalogue
	atlas   *atlas
	devices *web.Limiter
	digests *web.Limiter
	trials  *web.Limiter
	domains *web.Limiter
	icons   icons

	previews *web.Limiter
	lately   lately // what previews are made from
	kept     newestAlerts
}

// New makes a Site.
func New(c Config) (*Site, error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Logger = c.Logger.With("component", "site")
	if c.Now == nil {
		c.Now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	}
	if c.NewID == nil {
		c.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	if c.DigestPause == 0 {
		c.DigestPause = 250 * time.Millisecond
	}
	if c.Publisher.Name == "" {
		c.Publisher.Name = "Dateline"
	}
	hosts, err := web.Hosts(c.StoryHosts)
	if err != nil {
		return nil, fmt.Errorf("site.New: story hosts: %w", err)
	}
	c.StoryHosts = hosts // as browsers spell them, for the worker
	if err := c.checkEmbed(); err != nil {
		return nil, err
	}
	words, err := loadWords()
	if err != nil {
		return nil, fmt.Errorf("site.New: %w", err)
	}
	s := &Site{Config: c, parser: NewParser(c.Push), words: words, atlas: newAtlas(),
		devices:  web.NewLimiter("new subscriptions", c.SignupLimit, time.Hour, c.Now),
		digests:  web.NewLimiter("digest sign-ups", c.SignupLimit, time.Hour, c.Now),
		previews: web.NewLimiter("previews", previewLimit, time.Minute, c.Now), trials: newTrials(c.Now),
		domains: web.NewLimiter("digest sign-ups of one mail domain", domainShare*c.SignupLimit, time.Hour, c.Now)}
	if c.Floor != nil {
		c.Floor.SpeakErrors(s.errorView)
	}
	return s, nil
}

// route is one door.
type route struct {
	pattern string
	handler http.Handler
}

// Routes hangs every door of the site into mux.
func (s *Site) Routes(mux *http.ServeMux) {
	for _, r := range s.routes() {
		mux.Handle(r.pattern, r.handler)
	}
}

func (s *Site) routes() []route {
	page, api := s.Floor.Page, func(h web.Handler) http.Handler { return s.Floor.API("", h) }
	return s.embedded([]route{
		{"GET /{$}", page(s.front)},
		{"GET /subscribe", page(s.subscribePage)},
		{"POST /subscribe", page(s.subscribeForm)},
		{"GET " + mailedPath, page(s.mailedPage)},
		{"GET /places", page(s.placesFound)},
		{"GET /places/{code}", page(s.placeParts)},
		{"GET /alerts", page(s.alertsPage)},
		{"GET /alerts/{id}", page(s.alertPage)},
		{"GET /why/{alert}/{token}", page(s.tokenPage(s.whyPage))},
		{"GET /confirm/{token}", page(s.tokenPage(s.confirmPage))},
		{"POST /confirm/{token}", page(s.tokenPage(s.confirm))},
		{"GET /unsubscribe/{token}", page(s.tokenPage(s.unsubscribePage))},
		{"POST /unsubscribe/{token}", page(s.tokenPage(s.unsubscribe))},
		{"GET /visit/{token}", page(s.tokenPage(s.visit))},
		{"GET /manage/{token}", page(s.tokenPage(s.managePage))},
		{"POST /manage/{token}", page(s.tokenPage(s.manage))},
		{"GET /manage/{token}/data.json", page(s.tokenPage(s.exportPage))},
		{"GET /feeds/alerts.atom", api(s.atomFeed)},
		{"GET /feeds/alerts.json", api(s.jsonFeed)},

		{"GET /sw.js", s.serviceWorker()},
		{"GET /embed.js", s.embedScript()},
		{"GET /manifest.webmanifest", page(s.manifest)},
		{"GET /icons/{name}", page(s.icon)},
		{"GET /favicon.ico", page(s.favicon)},
		{"GET /robots.txt", page(s.robots)},
		{"GET /openapi.yaml", page(s.openAPI)},
		{"GET /static/", s.Floor.Static()},

		{"GET /api/v1/push/key", api(s.pushKey)},
		{"GET /api/v1/preview", api(s.previewDoor)},
		{"POST /api/v1/subscriptions", api(s.createSubscription)},
		{"GET /api/v1/subscriptions/{id}", api(s.showSubscription)},
		{"PATCH /api/v1/subscriptions/{id}", api(s.changeSubscription)},
		{"DELETE /api/v1/subscriptions/{id}", api(s.deleteSubscription)},
		{"POST /api/v1/subscriptions/{id}/test", api(s.testNotification)},
		{"POST /api/v1/subscriptions/{id}/stories", api(s.wishForStory)},
		{"GET /api/v1/subscriptions/{id}/data", api(s.exportSubscription)},
		{"DELETE /api/v1/subscriptions/{id}/data", api(s.wipeSubscription)},
		{"POST /api/v1/receipts", api(s.receipt)},
		{"POST /api/v1/digests", api(s.createDigest)},
	})
}

// wake tells the other processes. A lost wake-up costs a second, no truth: the
// change is durable, so it is not the reader's fault.
func (s *Site) wake(topics ...string) {
	if s.Waker == nil {
		return
	}
	for _, topic := range topics {
		if err := s.Waker.Wake(topic); err != nil {
			s.Logger.Warn("wake-up lost", "topic", topic, "error", err)
		}
	}
}
