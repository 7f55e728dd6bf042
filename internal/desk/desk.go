// Package desk is what editors do with alerts: write, submit, approve,
// release, hold, resume, cancel, kill, correct, and watch what went out.
//
// It promises: nothing is released that the level's policy does not allow, by
// nobody who may not; an approval binds exactly the content that was read; a
// change is one transaction in the store and is decided there, on the locked
// row, by the pure transitions of package news; a hold or a kill is never
// refused for want of a reason, and works without the site, the bus or a
// policy. The same Service stands behind the API, the command line and the
// desk's pages.
//
// Of the pages (Pages) it promises besides: nobody sees one without a session,
// which ends by itself; open ones get every story and every change of an alert
// they watch, none twice, also over a break; and a form that was refused changes
// nothing and keeps what was typed.
//
// A page of the wire knows how far it has come by two numbers, which every
// process counts alike and in the order of commits: the time at which the last
// story it has was stored, and the line of the audit trail that told of the last
// change of an alert. A story comes once. A change comes as the whole line as it
// is at that moment: it takes the place of the line that stands there, several
// changes may be told at once by the last state, and a line that came again would
// change nothing.
package desk

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"dateline/internal/news"
)

// Stories is what the desk reads of stories.
type Stories interface {
	Story(ctx context.Context, uri string) (news.Story, error)
}

// Alerts is where alerts are kept. ChangeAlert runs change on the locked row
// and applies the alert as changed and the action in one transaction.
type Alerts interface {
	CreateAlert(ctx context.Context, a news.Alert, audit news.AuditEntry) error
	Alert(ctx context.Context, id string) (news.Alert, error)
	ChangeAlert(ctx context.Context, id string,
		change func(a *news.Alert, story news.Story) (news.AlertAction, error)) (news.Alert, error)
	// ReleaseAlert is ChangeAlert with who must agree and what the newsroom's cap
	// leaves, which nobody else changes or uses up meanwhile.
	ReleaseAlert(ctx context.Context, id string,
		change func(a *news.Alert, story news.Story, policy news.Policy, room news.Room) (news.AlertAction, error)) (news.Alert, error)
	Policies(ctx context.Context) (news.Policies, error)
}

// Lists is what the desk reads to show alerts and how they went.
type Lists interface {
	AlertsOfStory(ctx context.Context, uri string) ([]news.Alert, error)
	Alerts(ctx context.Context, states []news.AlertState, limit int) ([]news.Alert, error)
	ReleasesOfAlert(ctx context.Context, alertID string) ([]news.Release, error)
	ReleaseFigures(ctx context.Context, releaseIDs []string) (map[string]news.ReleaseFigures, error)
}

// Rules is where the newsroom's caps are kept, and who went round the policy.
type Rules interface {
	Caps(ctx context.Context) (news.Caps, error)
	SetCaps(ctx context.Context, caps news.Caps, by string) error
	Room(ctx context.Context, level news.Level) (news.Room, error)
	OpenEmergencies(ctx context.Context) ([]news.Emergency, error)
	EmergenciesOfAlert(ctx context.Context, alertID string) ([]news.Emergency, error)
	ReviewEmergency(ctx context.Context, id string, decide func(*news.Emergency) error) (news.Emergency, error)
}

// Store is all of the four.
type Store interface {
	Stories
	Alerts
	Lists
	Rules
}

// Waker tells the other processes that something changed. The store is the
// judge and is looked at anyway; a wake-up that is lost costs time, not truth.
type Waker interface {
	Wake(topic string) error
}

// The topics the desk wakes.
const (
	topicReleases = "releases" // there is something to send
	topicControl  = "control"  // look at what must stop
	topicBrake    = "brake"    // start nothing for a moment: somebody has pressed a stop
	topicDesk     = "desk"     // editors have to be told something
)

// Config is what a Service is made of.
type Config struct {
	Store Store
	Waker Waker // nil: nobody is woken
	// Notifier calls editors to the desk; nil: nobody is called.
	Notifier Notifier
	Floor    Floor // nil: no doors; the command line needs none
	// BaseURL is our own public address; StoryHosts are the hosts whose story
	// pages a notification may open (empty: any https host).
	BaseURL    string
	StoryHosts []string
	// Hold is the countdown between a release and its first send; a flash waits
	// twice as long, policy auto not at all.
	Hold time.Duration
	// Canary says that the first few of an alert go first.
	Canary bool
	// Unmeasured says that no device is asked whether it showed anything.
	Unmeasured bool
	// Editions are the digest's; nil: no pages and no doors of them. Digests makes
	// some to be looked at; nil: nobody here can.
	Editions EditionStore
	Digests  Digests
	// Counted says that what readers open and follow in their digests is counted.
	Counted bool
	Logger  *slog.Logger
	Now     func() time.Time
	NewID   func() string
}

// Service is the desk's mechanism. It has no state of its own.
type Service struct {
	store    Store
	waker    Waker
	notify   Notifier
	floor    Floor
	baseURL  string
	navigate func(*news.Alert, *news.Story) string
	hold     time.Duration
	canary   bool
	// unmeasured: see Config
	unmeasured bool
	editions   EditionStore
	digests    Digests
	counted    bool
	log        *slog.Logger
	now        func() time.Time
	newID      func() string
}

// New makes a Service.
func New(c Config) *Service {
	d := &Service{store: c.Store, waker: c.Waker, notify: c.Notifier, floor: c.Floor, baseURL: c.BaseURL, navigate: Navigate(c.BaseURL, c.StoryHosts),
		hold: c.Hold, canary: c.Canary, unmeasured: c.Unmeasured, editions: c.Editions, digests: c.Digests, counted: c.Counted, log: c.Logger, now: c.Now, newID: c.NewID}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.log = d.log.With("component", "desk")
	if d.now == nil {
		d.now = func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
	}
	if d.notify == nil {
		d.notify = nobody{}
	}
	if d.newID == nil {
		d.newID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	return d
}

// terms are the terms of a release of an alert of this level.
func (d *Service) terms(level news.Level, policy news.Policy) news.ReleaseTerms {
	return news.ReleaseTerms{Policy: policy, Hold: HoldFor(level, policy, d.hold), Canary: d.canary,
		Navigate: d.navigate, NewID: d.newID, Now: d.now()}
}

// HoldFor is how long an alert waits, undoable, between its release and its
// first send: the configured hold, for a flash twice that, under policy auto
// none (nobody is there to undo it).
func HoldFor(level news.Level, policy news.Policy, hold time.Duration) time.Duration {
	switch {
	case policy == news.PolicyAuto:
		return 0
	case level == news.LevelFlash:
		return 2 * hold
	}
	return hold
}

// policyOf is the policy of a level; a level the store does not name has the
// default one.
func (d *Service) policyOf(ctx context.Context) (func(news.Level) news.Policy, error) {
	p, err := d.store.Policies(ctx)
	if err != nil {
		return nil, fmt.Errorf("desk: read the policies: %w", err)
	}
	return func(l news.Level) news.Policy {
		if policy, ok := p[l]; ok {
			return policy
		}
		return news.DefaultPolicies()[l]
	}, nil
}

// wake tells the others what an action asks of them. Stops first: a kill must
// not wait behind anything.
func (d *Service) wake(a news.Alert, action news.AlertAction) {
	if d.waker == nil {
		return
	}
	var topics []string
	if action.Freeze || action.Stop || action.Thaw || action.Release != nil {
		topics = append(topics, topicControl)
	}
	if action.Emergency != nil {
		topics = append(topics, topicDesk)
	}
	if action.Release != nil || action.Thaw || a.State == news.AlertHolding {
		topics = append(topics, topicReleases)
	}
	for _, topic := range topics {
		if err := d.waker.Wake(topic); err != nil {
			d.log.Warn("wake-up failed; the next look at the store finds it", "topic", topic, "alert", a.ID, "error", err)
		}
	}
}
