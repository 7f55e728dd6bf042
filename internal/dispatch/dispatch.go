// Package dispatch takes a released alert to the devices of the cells this
// process holds: plan, open, send, record, retry.
//
// It promises what DESIGN 3 and 8 say of sending:
//
//   - a device number is committed as opened before its first send starts, so
//     that after a crash everybody who may have been sent to is known;
//   - answers are committed at least every 500 ms;
//   - no send starts without a permit (300 ms, renewed by reading the stop
//     counter) and a live lease on the device's cell, both judged on the
//     monotonic clock;
//   - a slow or broken push service slows its own lane only;
//   - nothing is sent twice on purpose: a repeat follows an attempt whose
//     outcome is not known, and carries the same Topic and tag.
//
// One goroutine, the conductor, plans and writes the ledger; the pumps of the lanes
// only ask the book for permission and report receipts to it, many at a time.
package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/audience"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

// CellStore is where cells, their leases and their devices are kept.
type CellStore interface {
	AcquireCells(ctx context.Context, holder string, ttl time.Duration, limit int) ([]news.Lease, error)
	RenewCells(ctx context.Context, holder string, ttl time.Duration) ([]news.Lease, error)
	Dispatchers(ctx context.Context) (int, error)
	YieldSome(ctx context.Context, holder string, cells []int) error
	YieldCells(ctx context.Context, holder string) error
	CellChanges(ctx context.Context) ([news.Cells]int64, error)
	CellDevices(ctx context.Context, cells []int, after []int64, fn func(news.Device) error) error
	MarkGone(ctx context.Context, refs []news.DeviceRef) error
	// StaleSnapshots are those of the cells of which SnapshotCell is to be called,
	// so that CellDevices is quick when they are loaded next.
	StaleSnapshots(ctx context.Context, cells []int) ([]int, error)
	SnapshotCell(ctx context.Context, cell int, rest func(took time.Duration) error) error
}

// LedgerStore keeps the write-ahead ledger.
type LedgerStore interface {
	SaveLedger(ctx context.Context, holder string, rows []*news.LedgerRow) error
	Ledger(ctx context.Context, releaseIDs []string, cells []int) ([]*news.LedgerRow, error)
	HeldRows(ctx context.Context, cells []int) ([]*news.LedgerRow, error)
	SettleRelease(ctx context.Context, releaseID string) (bool, error)
	Canary(ctx context.Context, releaseID string) (news.CanaryFigures, error)
}

// ReleaseStore knows what has been released and what has been stopped.
type ReleaseStore interface {
	Control(ctx context.Context) (int64, error)
	// ActiveReleases need no more than their names, kind, state and phase, level,
	// ReleasedAt and Supersedes.
	ActiveReleases(ctx context.Context) ([]news.Release, error)
	Release(ctx context.Context, id string) (news.Release, error)
	ReleasesOfStory(ctx context.Context, uri string) ([]news.Release, error)
	ReleasesSince(ctx context.Context, since time.Time) ([]news.Release, error)
}

// AlertStore ends the countdown of alerts, and their canary.
type AlertStore interface {
	Policies(ctx context.Context) (news.Policies, error)
	// Countdowns lists the alerts whose countdown ends by then, or has.
	Countdowns(ctx context.Context, by time.Time) ([]news.Alert, error)
	ChangeAlert(ctx context.Context, id string, change func(*news.Alert, news.Story) (news.AlertAction, error)) (news.Alert, error)
}

// Store is all of the above.
type Store interface {
	CellStore
	LedgerStore
	ReleaseStore
	AlertStore
}

// Sender takes Web Push messages to one push service at a time, as soon as it has
// room for them. A nil Room without a receipt: it has none yet; with one: that is
// what became of the messages that should have gone.
type Sender interface {
	Reserve(ctx context.Context, origin string, most int) (push.Room, *news.Receipt)
}

// Config of a Service. Zero durations take their defaults.
type Config struct {
	Store  Store
	Sender Sender
	Links  *link.Signer
	// Holder names this process in leases. A process that owns its database
	// alone may use a fixed name, so that it takes its cells back at once
	// after a crash; otherwise the name must be new at each start.
	Holder  string
	BaseURL string
	// Mark is put before every title: the word that tells a drill's messages
	// from real ones. "" : nothing.
	Mark string
	// NoReceipts: no message asks its device to say that it was shown.
	NoReceipts bool
	// Terms gives the terms under which a countdown ends: Navigate and
	// NewID. Now is filled in here.
	Terms news.ReleaseTerms
	// OnWake subscribes to wake-ups from other processes; nil: polling alone.
	OnWake func(topic string, fn func()) (cancel func(), err error)
	// Paused is told, once in the whole house, of an alert whose canary held it;
	// it must not wait. nil: nobody is told.
	Paused func(a news.Alert)
	Logger *slog.Logger
	Now    func() time.Time

	LeaseTTL     time.Duration // default 6 s
	CommitEvery  time.Duration // default 250 ms; DESIGN 8 allows 500 ms
	PermitFor    time.Duration // default 300 ms
	PermitEvery  time.Duration // default 100 ms
	DrainTimeout time.Duration // default 5 s: in-flight requests at shutdown
	InFlight     int           // default 4,096 requests per push service
}

// Service is one dispatcher.
type Service struct {
	cfg       Config
	log       *slog.Logger
	audience  *audience.Audience
	book      *book
	lanes     *lanes
	permit    *permit
	held      *leases
	caps      *capBook
	recent    *recents
	forecasts *forecasts
	quiver    *push.Quiver
	began     time.Time
	stirred   atomic.Int64 // how long after began something last went out, in ns; 0: never
	figures   Figures

	look   chan struct{} // releases changed: the permit loop looks at once
	poke   chan struct{} // something changed: the conductor looks again
	commit chan struct{} // answers wait to be written
	renew  chan struct{} // ask for the leases now
	ready  chan struct{} // closed once what the first leases gave is loaded
	loaded atomic.Bool

	loadAtOnce    int        // cells; the conductor's own
	loading       loading    // the conductor's own
	uncounted     []*cellRun // to be counted for caps; the conductor's own
	uncountedWait bool       // alerts wait for that; the conductor's own
	countFor      time.Duration
	nextEnd       time.Time // of a countdown; the conductor's own; zero: none is near
	stepTrouble   trouble   // the conductor's own
	permitTrouble trouble   // the permit loop's own
}

// Figures are counters since the start of the process, for metrics.
type Figures struct {
	Sends, Armed, Accepted, Gone, Failed, Retried, Ambiguous, Commits, Fenced atomic.Int64
}

// New makes a dispatcher; Run starts it.
func New(cfg Config) *Service {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.LeaseTTL, 6*time.Second)
	def(&cfg.CommitEvery, 250*time.Millisecond)
	def(&cfg.PermitFor, 300*time.Millisecond)
	def(&cfg.PermitEvery, 100*time.Millisecond)
	def(&cfg.DrainTimeout, 5*time.Second)
	if cfg.InFlight == 0 {
		cfg.InFlight = mostFlights
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg: cfg, log: cfg.Logger.With("component", "dispatch"),
		audience: audience.New(), permit: newPermit(), held: newLeases(), caps: newCapBook(), recent: newRecents(), forecasts: newForecasts(), quiver: &push.Quiver{}, began: time.Now(),
		look: make(chan struct{}, 1), poke: make(chan struct{}, 1), commit: make(chan struct{}, 1),
		renew: make(chan struct{}, 1), ready: make(chan struct{}), loadAtOnce: runtime.GOMAXPROCS(0), countFor: countFor,
	}
	s.book = newBook(s.audience, s.permit, s.held, s.caps, cfg.Now)
	s.lanes = newLanes(s)
	return s
}

// Audience is the devices of the cells held here, for counting and explaining.
func (s *Service) Audience() *audience.Audience { return s.audience }

// Holds reports whether the cells of this process are its own at this moment.
func (s *Service) Holds() bool { return s.held.current() }

// Figures are the counters of this process.
func (s *Service) Figures() *Figures { return &s.figures }

// Ready is closed once the cells that were free at the start are loaded; at
// once where other processes hold them all.
func (s *Service) Ready() <-chan struct{} { return s.ready }

// Poke makes the dispatcher look at releases and devices now rather than at
// its next poll. It never blocks.
func (s *Service) Poke() { signal(s.look) }

// signal puts a token into a channel of capacity one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run dispatches until ctx ends, then lets requests in flight finish (at most
// DrainTimeout), writes the last answers and gives the cells back. A loop that
// fails ends them all.
func (s *Service) Run(ctx context.Context) error {
	if err := s.cfg.Store.YieldCells(ctx, s.cfg.Holder); err != nil {
		return fmt.Errorf("dispatch: give back old cells: %w", err)
	}
	for topic, fn := range map[string]func(){"releases": s.Poke, "control": s.Poke, "devices": s.Poke, "brake": s.Brake} {
		if s.cfg.OnWake == nil {
			break
		}
		cancel, err := s.cfg.OnWake(topic, fn)
		if err != nil {
			return fmt.Errorf("dispatch: wake-ups on %s: %w", topic, err)
		}
		defer cancel()
	}
	// Requests in flight outlive ctx for the drain.
	sendCtx, stopSends := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSends()
	s.lanes.start(sendCtx)
	group, loops := errgroup.WithContext(ctx)
	group.Go(func() error { return s.permitLoop(loops) })
	group.Go(func() error { return s.leaseLoop(loops) })
	group.Go(func() error { return s.conduct(loops) })
	group.Go(func() error { return s.watchRecents(loops) })
	group.Go(func() error { return s.foresee(loops) })
	group.Go(func() error { return s.armLoop(loops) })
	group.Go(func() error { return s.snapshotLoop(loops) })
	err := group.Wait()
	s.drain(stopSends)
	for cell := range news.Cells { // keys are zeroed
		s.quiver.Forget(cell)
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		return nil
	}
	return err
}
