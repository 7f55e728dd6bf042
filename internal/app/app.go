// Package app is the roof: it reads the configuration, builds every part in
// order, runs the loops, and stops them in reverse.
//
// It promises: every fault of the configuration is reported at once and
// nothing is touched before; a process that can't rely on its keys, its
// database or its streams does not start; a loop that ends takes the process
// down with it, and never dies alone; stopping is bounded and may be asked for
// twice. It can be embedded in a test with ":0" listeners.
package app

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"dateline/internal/bus"
	"dateline/internal/desk"
	"dateline/internal/digest"
	"dateline/internal/dispatch"
	"dateline/internal/email"
	"dateline/internal/email/bounce"
	"dateline/internal/intake"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
	"dateline/internal/site"
	"dateline/internal/store"
	"dateline/internal/web"
	"dateline/templates"
)

// StopWithin bounds an orderly stop.
const StopWithin = 10 * time.Second

// App is one process with all its parts.
type App struct {
	cfg    Config
	keys   Keys
	log    *slog.Logger
	holder string // this process in leases

	store     *store.Store
	bus       *bus.Bus
	links     *link.Signer
	sender    *push.Sender
	mailer    *email.Mailer
	outbox    *simulate.MailServer // nil with an SMTP_URL
	floor     *web.Floor
	deskFloor *web.Floor // the desk's: its own where it has a listener of its own
	intake    *intake.Service
	desk      *desk.Service
	pages     *desk.Pages
	site      *site.Site
	digest    *digest.Service
	dispatch  *dispatch.Service
	backDoor  *bounce.Server // nil: nothing comes back by SMTP
	metrics   *metrics
	drills    *drillRoom

	public, ops, deskDoor net.Listener
	showcase              func(*http.ServeMux) // the demo's pages; nil otherwise
	take                  takeStory            // of the events of NATS: the intake's, on which a bench looks on
	cleanup               []cleanupStep
}

// takeStory takes an event and gives what finishes it.
type takeStory func(context.Context, news.StoryEvent) (finish func() news.Disposition)

// cleanupStep undoes one step of Open.
type cleanupStep struct {
	name string
	run  func() error
}

// Open builds everything, in order, and listens; nothing runs yet. What fails
// undoes what was built.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (_ *App, err error) {
	a := &App{cfg: cfg, log: log, holder: holderOf(cfg)}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, step := range []func(context.Context) error{
		a.openFolder, a.openStore, a.recoverDigests, a.openBus, a.openSender, a.openMailer, a.openDoors, a.buildParts,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// onClose notes how to undo a step.
func (a *App) onClose(name string, run func() error) {
	a.cleanup = append(a.cleanup, cleanupStep{name, run})
}

// Close undoes Open, last step first. It may be called twice.
func (a *App) Close() error {
	var errs []error
	for i := len(a.cleanup) - 1; i >= 0; i-- {
		if err := a.cleanup[i].run(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", a.cleanup[i].name, err))
		}
	}
	a.cleanup = nil
	return errors.Join(errs...)
}

func (a *App) openFolder(context.Context) error {
	unlock, err := lockFolder(a.cfg.Data)
	if err != nil {
		return err
	}
	a.onClose("data folder", func() error { unlock(); return nil })
	a.keys, err = LoadKeys(&a.cfg)
	if err != nil {
		return err
	}
	a.links = link.New(a.keys.Link)
	return nil
}

// storeURL is DATABASE_URL, else SQLite in the data folder.
func (c *Config) storeURL() string {
	if c.DatabaseURL != "" {
		return c.DatabaseURL
	}
	return "sqlite:" + filepath.Join(c.Data, databaseFile)
}

// openStore opens and migrates the database, and checks that our keys are the
// ones its data were sealed and signed with.
func (a *App) openStore(ctx context.Context) error {
	s, err := openStore(ctx, &a.cfg, a.keys, a.log)
	if err != nil {
		return err
	}
	a.store = s
	a.onClose("database", s.Close)
	if err := s.InitPolicies(ctx, a.cfg.Policies); err != nil {
		return fmt.Errorf("first policies: %w", err)
	}
	if err := s.InitCaps(ctx, a.cfg.Caps); err != nil {
		return fmt.Errorf("first caps: %w", err)
	}
	return nil
}

func openStore(ctx context.Context, cfg *Config, keys Keys, log *slog.Logger) (*store.Store, error) {
	s, err := store.Open(ctx, store.Config{URL: cfg.storeURL(), SealKey: keys.Seal, VAPIDKeyID: keys.VAPID.KeyID(),
		Logger: log})
	if err != nil {
		return nil, cfg.storeFault(err)
	}
	if err := s.Migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("bring the database's schema up to date: %w", err), s.Close())
	}
	if err := s.CheckFingerprints(ctx, keys.fingerprints()); err != nil {
		return nil, errors.Join(cfg.strange(ctx, s, keys, err), s.Close())
	}
	return s, nil
}

func (a *App) openBus(ctx context.Context) error {
	b, err := bus.Open(ctx, bus.Config{URL: a.cfg.NATSURL, Dir: filepath.Join(a.cfg.Data, "nats"), Logger: a.log})
	if err != nil {
		return a.cfg.natsFault(err)
	}
	a.bus = b
	a.onClose("NATS", func() error { b.Close(); return nil })
	if a.cfg.NATSURL != "" {
		return nil
	}
	path := filepath.Join(a.cfg.Data, "nats.url")
	a.onClose("nats.url", func() error { return removeIfThere(path) })
	return b.WriteURLFile(path)
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (a *App) openSender(context.Context) error {
	s, err := newSender(&a.cfg, a.keys, a.log)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	a.sender = s
	a.onClose("push connections", func() error { s.Close(); return nil })
	if why := s.AppleOff(); why != "" {
		a.log.Warn("Apple's push service is off", "component", "push", "why", why)
	}
	return nil
}

func newSender(cfg *Config, keys Keys, log *slog.Logger) (*push.Sender, error) {
	roots, err := certificates(cfg.PushCA)
	if err != nil {
		return nil, err
	}
	return push.New(push.Config{Keys: keys.VAPID, Subject: cfg.VAPIDSubject, Origins: cfg.PushOrigins, RootCAs: roots, Logger: log})
}

// certificates are the system's authorities and those of DATELINE_PUSH_CA; nil
// for the system's alone.
func certificates(extra []byte) (*x509.CertPool, error) {
	if len(extra) == 0 {
		return nil, nil //nolint:nilnil // as crypto/tls understands it
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(extra) {
		return nil, news.Invalid("DATELINE_PUSH_CA", "has no certificate in it; it must be a PEM file")
	}
	return pool, nil
}

// openMailer reaches for SMTP_URL, or starts the outbox inside the program.
func (a *App) openMailer(context.Context) error {
	url := a.cfg.SMTPURL
	if url == "" {
		out, err := simulate.NewMailServer(simulate.MailOptions{})
		if err != nil {
			return fmt.Errorf("the outbox inside the program: %w", err)
		}
		a.outbox = out
		a.log.Warn("no SMTP_URL: mails stay in an outbox inside the program, readers get none", "component", "app")
		a.onClose("outbox", out.Close)
		url = out.URL()
	}
	c, err := mailConfig(&a.cfg, url, a.log)
	if err != nil {
		return err
	}
	a.mailer, err = email.New(c)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	a.onClose("mail connections", a.mailer.Close)
	return nil
}

func mailConfig(cfg *Config, url string, log *slog.Logger) (email.Config, error) {
	server, err := email.ParseURL(url)
	if err != nil {
		return email.Config{}, fmt.Errorf("SMTP_URL: %w", err)
	}
	c := email.Config{Server: server, From: cfg.MailFrom.String(), DKIMSelector: cfg.DKIMSelector, Connections: mailConnections, Logger: log}
	if cfg.DKIMKey != "" {
		if c.DKIMKey, err = email.ParseDKIMKey(cfg.DKIMKey); err != nil {
			return email.Config{}, fmt.Errorf("DATELINE_DKIM_KEY: %w", err)
		}
	}
	return c, nil
}

// buildParts makes the parts that do the work, from the store outwards.
func (a *App) buildParts(ctx context.Context) error {
	navigate := desk.Navigate(a.baseURL(), a.cfg.StoryHosts)
	terms := news.ReleaseTerms{Navigate: navigate, NewID: newID, Canary: a.cfg.Canary}
	caller := desk.NewCaller(a.store, a.sender, a.log)
	a.onClose("calls to editors", func() error { caller.Close(); return nil })
	paused := func(alert news.Alert) { caller.Notify(context.Background(), news.CallPaused, alert, news.SystemName) }
	a.dispatch = dispatch.New(dispatch.Config{Paused: paused, Store: a.store, Sender: a.sender, Links: a.links, Holder: a.holder,
		BaseURL: a.baseURL(), NoReceipts: !a.cfg.Tracking, Terms: terms, OnWake: a.bus.OnWake, Logger: a.log})
	a.metrics = newMetrics(a)
	if err := a.layFloors(); err != nil {
		return fmt.Errorf("pages: %w", err)
	}
	var err error
	a.intake, err = intake.New(intake.Config{Store: a.store, Waker: a.bus, StoryHosts: a.cfg.StoryHosts,
		MaxStoryAge: a.cfg.MaxStoryAge, Navigate: navigate, Floor: a.floor, Logger: a.log, NewID: newID})
	if err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	a.take = a.intake.Take
	a.digest, err = newDigest(a)
	if err != nil {
		return fmt.Errorf("digest: %w", err)
	}
	a.desk = desk.New(desk.Config{Store: a.store, Waker: a.bus, Notifier: caller, Floor: a.deskFloor, BaseURL: a.baseURL(),
		StoryHosts: a.cfg.StoryHosts, Hold: a.cfg.Hold, Canary: a.cfg.Canary, Unmeasured: !a.cfg.Tracking,
		Editions: a.store, Digests: a.digest, Counted: a.cfg.MailTracking, Logger: a.log, NewID: newID})
	a.pages = desk.NewPages(desk.PagesConfig{Desk: a.desk, Reach: a.reacher(), Past: a.store, Publisher: a.cfg.Publisher.Name, Progress: a.watcher(), Accounts: a.store, Wire: a.store, Aside: a.store, Trail: a.store, Replay: a.intake.Replay, Floor: a.deskFloor, Links: a.links,
		Keyring: a.store, People: a.store, Origin: a.deskOrigin(), OIDC: a.cfg.OIDC, Phones: a.store, Sender: a.sender,
		OnWake: a.bus.OnWake, Logger: a.log})
	a.site, err = site.New(site.Config{Floor: a.floor, Links: a.links, Store: a.store, Push: a.sender, Waker: a.bus,
		Explainer: explainer{a.store}, Rehearser: rehearser{}, Stories: a.store, StoryHosts: a.cfg.StoryHosts, SignupLimit: a.cfg.SignupLimit,
		NoReceipts: !a.cfg.Tracking, EmbedOrigins: a.cfg.EmbedOrigins, CountVisits: a.cfg.MailTracking,
		Publisher: site.Publisher(a.cfg.Publisher), Logger: a.log, NewID: newID})
	if err != nil {
		return fmt.Errorf("site: %w", err)
	}
	if err := a.openBackDoor(); err != nil {
		return err
	}
	if err := a.answerOthers(); err != nil {
		return err
	}
	if a.cfg.Has(RoleDesk) {
		a.drills = newDrillRoom(a)
		a.drills.sweep(ctx)
	}
	return nil
}

// layFloors makes the floor of the readers' pages and that of the desk, which
// trusts its own origin and not the public one where it has a listener of its
// own.
func (a *App) layFloors() error {
	c := web.Config{Templates: templates.FS, BaseURL: a.baseURL(), Logger: a.log,
		TrustedProxies: a.cfg.TrustedProxies, AdminKey: a.keys.Admin, Keys: a.store, Observe: a.metrics.observe, Drill: a.drillNotice}
	var err error
	if a.floor, err = web.New(c); err != nil {
		return err
	}
	a.deskFloor = a.floor
	if a.deskDoor != nil {
		c.Origin, c.Front = a.deskOrigin(), web.DeskPath
		a.deskFloor, err = web.New(c)
	}
	return err
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// holderOf names this process in leases. Alone on its database (the data
// folder's lock says so) it keeps one name, and takes its cells back at once
// after a crash; otherwise the name is new at each start.
func holderOf(cfg Config) string {
	if cfg.embedded() {
		return "alone"
	}
	return "process-" + strings.ToLower(rand.Text())
}

// Run serves and works until ctx ends, then stops everything in reverse within
// StopWithin. A loop that fails ends the rest.
func (a *App) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	loop := func(name string, run func(context.Context) error) {
		group.Go(func() error {
			err := run(ctx)
			if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
				return nil
			}
			return fmt.Errorf("%s ended: %w", name, cmpErr(err))
		})
	}
	a.serve(ctx, group)
	if a.cfg.Has(RoleDispatch) {
		loop("dispatch", a.dispatch.Run)
	}
	if a.cfg.Has(RoleIntake) {
		loop("intake", func(ctx context.Context) error { return a.bus.ConsumeStories(ctx, a.take) })
	}
	if a.cfg.Has(RoleDesk) {
		loop("desk", a.pages.Run)
		loop("drills", a.drills.run)
	}
	if a.cfg.Has(RoleDigest) {
		loop("digest", a.digest.Run)
	}
	if a.backDoor != nil {
		loop("mail that comes back", a.backDoor.Run)
	}
	return group.Wait()
}

// cmpErr gives an ending without a reason one.
func cmpErr(err error) error {
	if err == nil {
		return errors.New("without a reason")
	}
	return err
}

// URL is where the public pages are reached on this machine.
func (a *App) URL() string { return "http://" + localAddress(a.public.Addr().String()) }

// baseURL is what readers see.
func (a *App) baseURL() string {
	if a.cfg.BaseURL != "" {
		return a.cfg.BaseURL
	}
	return a.URL()
}

// deskOrigin is where editors' browsers find the desk.
func (a *App) deskOrigin() string {
	switch {
	case a.deskDoor == nil:
		return a.baseURL()
	case a.cfg.DeskURL != "":
		return a.cfg.DeskURL
	}
	return "http://" + localAddress(a.deskDoor.Addr().String())
}

// localAddress names a listener on every interface as localhost.
func localAddress(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
