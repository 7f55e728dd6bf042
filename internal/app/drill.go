package app

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/desk"
	"dateline/internal/dispatch"
	"dateline/internal/intake"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
	"dateline/internal/store"
	"dateline/internal/web"
	"dateline/templates"
)

const (
	// drillMark stands before the title of every notification of a drill.
	drillMark = "DRILL · "
	// drillSite is where a drill's stories say they are. The name is reserved
	// (RFC 2606 section 3): there is nothing to be reached at it.
	drillSite = "https://drill.example"
	// drillFolders is the pattern of the folders that drills have in the data
	// folder; the next start removes what a crash has left.
	drillFolders = "drill-*"
	// drillFor is how long a drill that nobody ends goes on.
	drillFor = 2 * time.Hour
	// Devices of a drill.
	drillDevices     = 2_000
	drillDevicesMost = 50_000
)

// drillOptions say what a drill is like. They are values: nothing of the real
// desk can be reached through them.
type drillOptions struct {
	Folder   string // its own, empty
	Devices  int
	Mood     mood
	Policies news.Policies
	Hold     time.Duration
	Canary   bool
	Seed     uint64
	By       string
	// Of the pages; without Sessions there are none.
	BaseURL  string
	Origin   string // of the desk, whose cookie opens the drill; "": BaseURL
	Sessions readSession
	Proxies  []netip.Prefix
	Logger   *slog.Logger
	// odd is asked first what a service answers; tests'.
	odd func(*simulate.PushRequest) *simulate.PushAnswer
}

// readSession is all that a drill's pages know of the real desk: who is signed
// in with a cookie.
type readSession func(ctx context.Context, hash string) (news.Session, error)

// sessionsOnly is the accounts of a drill's pages. Whatever else an account can
// do is not there: the pages have no door to it (desk.PagesConfig.Drill).
type sessionsOnly struct {
	desk.Accounts // nil
	read          readSession
}

// Session is the real desk's.
func (s sessionsOnly) Session(ctx context.Context, hash string) (news.Session, error) {
	return s.read(ctx, hash)
}

// drill is a second, small roof: a rehearsal with its own database, keys,
// intake, desk, dispatcher and simulated push services. It holds nothing of the
// real ones, and its connections are made by a gate that dials its own
// services and nobody else.
type drill struct {
	drillOptions
	ID    string
	Began time.Time

	keys     push.VAPID
	store    *store.Store
	services []*simulate.PushService
	gate     *gate
	sender   *push.Sender
	starts   *starts
	wakes    *wakes
	dispatch *dispatch.Service
	intake   *intake.Service
	desk     *desk.Service
	pages    *desk.Pages  // nil without sessions
	handler  http.Handler // of the pages
	floor    *web.Floor

	mu       sync.Mutex
	phones   []*drillPhone
	injected []injection
	next     int // the prepared story that comes next
	loaded   int // devices in the store

	looking  sync.Mutex // at the phones
	looked   phoneWall
	lookedAt time.Time

	stop    context.CancelFunc
	stopped chan struct{}
	failure error // why its parts ended by themselves; read after stopped
}

// openDrill builds a drill; nothing runs yet.
func openDrill(ctx context.Context, o drillOptions) (_ *drill, err error) {
	d := &drill{drillOptions: o, ID: newID(), Began: time.Now().UTC().Truncate(time.Microsecond), starts: newStarts(),
		wakes: &wakes{topics: map[string]map[int]func(){}}, stopped: make(chan struct{})}
	if d.Logger == nil {
		d.Logger = discard()
	}
	d.Logger = d.Logger.With("drill", d.ID)
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open a drill: %w", err), d.close())
		}
	}()
	for _, step := range []func(context.Context) error{d.openStore, d.openServices, d.openSender, d.openParts, d.openPages} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// openStore makes a database of its own, with keys of its own.
func (d *drill) openStore(ctx context.Context) error {
	var err error
	if d.keys, err = push.NewVAPIDKey(); err != nil {
		return err
	}
	d.store, err = store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(d.Folder, databaseFile), SealKey: secret32(),
		VAPIDKeyID: d.keys.KeyID(), Logger: d.Logger})
	if err != nil {
		return err
	}
	if err := d.store.Migrate(ctx); err != nil {
		return err
	}
	return d.store.InitPolicies(ctx, d.Policies)
}

func secret32() []byte {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails (crypto/rand)
	return raw
}

// openSender makes the one thing of a drill that connects to anything: to the
// listeners of its own services.
func (d *drill) openSender(context.Context) error {
	roots := x509.NewCertPool()
	var origins, addresses []string
	for _, s := range d.services {
		u, err := url.Parse(s.Origin())
		if err != nil {
			return err
		}
		origins, addresses = append(origins, s.Origin()), append(addresses, u.Host)
		roots.AppendCertsFromPEM(s.CAPEM())
	}
	d.gate = newGate(addresses)
	var err error
	d.sender, err = push.New(push.Config{Keys: d.keys, Subject: drillSite, Origins: origins, OnlyOrigins: true, Dial: d.gate.dial,
		RootCAs: roots, Logger: d.Logger})
	return err
}

func (d *drill) openParts(context.Context) error {
	base := d.BaseURL + web.DrillPath
	navigate := desk.Navigate(base, nil)
	d.starts.sender = d.sender
	d.dispatch = dispatch.New(dispatch.Config{Store: d.store, Sender: d.starts, Links: link.New(secret32()), Holder: "drill", BaseURL: base,
		Mark: drillMark, Terms: news.ReleaseTerms{Navigate: navigate, NewID: newID, Canary: d.Canary}, OnWake: d.wakes.onWake, Logger: d.Logger})
	d.desk = desk.New(desk.Config{Store: d.store, Waker: d.wakes, BaseURL: base, Hold: d.Hold, Canary: d.Canary, Logger: d.Logger, NewID: newID})
	var err error
	d.intake, err = intake.New(intake.Config{Store: d.store, Waker: d.wakes, Navigate: navigate, Logger: d.Logger, NewID: newID})
	return err
}

// openPages mounts the desk's pages under /drill. Its machine doors are not
// there: an API key is for the real thing.
func (d *drill) openPages(context.Context) error {
	if d.Sessions == nil {
		return nil
	}
	root := web.DrillPath + web.DeskPath
	var err error
	d.floor, err = web.New(web.Config{Templates: templates.FS, Desk: root, BaseURL: d.BaseURL, Origin: d.Origin, Front: root, Logger: d.Logger, TrustedProxies: d.Proxies,
		Drill: func() web.Drill { return web.Drill{Here: true, Running: true, Since: clockIn(d.Began), By: d.By} }})
	if err != nil {
		return err
	}
	d.pages = desk.NewPages(desk.PagesConfig{Desk: d.desk, Reach: reachOf(d.dispatch), Past: d.store, Progress: d.progress(), Accounts: sessionsOnly{read: d.Sessions}, Wire: d.store,
		Aside: d.store, Trail: d.store, Replay: d.intake.Replay, Floor: d.floor, Links: link.New(secret32()), Root: root, Drill: true,
		OnWake: d.wakes.onWake, Logger: d.Logger})
	mux := http.NewServeMux()
	d.pages.Routes(mux)
	mux.Handle("GET "+web.DrillPath+"/phones", d.pages.SignedIn(d.getPhones))
	mux.Handle("GET "+web.DrillPath+"/phones/events", d.pages.Live(d.renderPhones))
	mux.Handle("GET "+web.DrillPath+"/{$}", http.RedirectHandler(root, http.StatusSeeOther))
	d.handler = d.floor.Handler(mux)
	return nil
}

// begin runs the parts and loads the devices until end, or until ctx ends.
func (d *drill) begin(ctx context.Context) {
	ctx, d.stop = context.WithCancel(ctx)
	group, loops := errgroup.WithContext(ctx)
	group.Go(func() error { return d.dispatch.Run(loops) })
	if d.pages != nil {
		group.Go(func() error { return d.pages.Run(loops) })
	}
	group.Go(func() error { return d.loadPhones(loops) })
	go func() {
		defer close(d.stopped)
		if err := group.Wait(); ctx.Err() == nil {
			d.failure = cmpErr(err)
			d.Logger.Error("a part of the drill ended", "component", "drill", "error", err)
		}
	}()
}

// end stops the parts: sends in flight finish and their answers are written.
// What was asked for stays to be read until close.
func (d *drill) end() {
	if d.stop != nil {
		d.stop()
		<-d.stopped
	}
}

// close takes everything away; the folder goes last.
func (d *drill) close() error {
	d.end()
	if d.sender != nil {
		d.sender.Close()
	}
	for _, s := range d.services {
		s.Close()
	}
	var err error
	if d.store != nil {
		err = d.store.Close()
	}
	return errors.Join(err, os.RemoveAll(d.Folder)) //nolint:gosec // ours: made by os.MkdirTemp
}

// wakes are the wake-ups within a drill: what the bus is to the real parts.
type wakes struct {
	mu     sync.Mutex
	topics map[string]map[int]func()
	last   int
}

// Wake calls everybody who listens on the topic. Listeners do not block.
func (w *wakes) Wake(topic string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fn := range w.topics[topic] {
		fn()
	}
	return nil
}

func (w *wakes) onWake(topic string, fn func()) (cancel func(), err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics[topic] == nil {
		w.topics[topic] = map[int]func(){}
	}
	w.last++
	n := w.last
	w.topics[topic][n] = fn
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.topics[topic], n)
	}, nil
}

func clockIn(t time.Time) string { return t.UTC().Format("15:04 MST") }
