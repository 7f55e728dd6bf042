package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/app/newsroom"
	"dateline/internal/app/showcase"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// DemoOptions are the flags of `dateline demo`.
type DemoOptions struct {
	Once    bool
	Devices int
	Readers int
	Listen  string // "" : 127.0.0.1:8080, or with Once a free port
	Folder  string // "" : ./demo-data, or a folder that is removed with Once
	Out     io.Writer
	// Seed makes the same readers every time.
	Seed uint64
}

// demoMark is the file that says that a folder is a demo's and may be emptied.
const demoMark = "this-is-a-dateline-demo"

// demo is one run.
type demo struct {
	DemoOptions
	app      *App
	progress *Progress
	services []*simulate.PushService
	phones   []showcase.Phone

	account account
	show    *showcase.Showcase

	mu      sync.Mutex
	first   map[string]time.Time // alert -> when the first phone showed it
	arrived chan struct{}
}

// Demo runs the demo: it ends after the account with Once, else with ctx.
func Demo(ctx context.Context, o DemoOptions) (err error) {
	if err := o.complete(); err != nil {
		return err
	}
	folder, remove, err := demoFolder(o)
	if err != nil {
		return err
	}
	defer remove()
	d := &demo{DemoOptions: o, first: map[string]time.Time{}, arrived: make(chan struct{}, 1),
		progress: NewProgress(o.Out, "starting")}
	if err := d.startServices(); err != nil {
		return err
	}
	defer d.closeServices()
	began := time.Now()
	cfg := d.config(folder)
	d.app, err = Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.app.Close()) }()
	d.show = showcase.New(showcase.Config{Floor: d.app.floor, Outbox: d.app.outbox})
	d.app.showcase = d.show.Routes
	d.say("Dateline demo: one process; push services, phones and mailboxes are simulated")
	d.say("  started     in %s: embedded NATS, SQLite, an SMTP outbox, %d push services", time.Since(began).Round(time.Millisecond), len(d.services))
	err = alongside(ctx, d.app.Run, func(ctx context.Context) error {
		if err := d.day(ctx); err != nil || o.Once {
			return err
		}
		if err := d.invite(); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	if err != nil && (o.Once || !errors.Is(err, context.Canceled)) { // who stays up may be stopped at any time
		return err
	}
	return d.account.verdict()
}

// complete checks the options and fills in what was left open.
func (o *DemoOptions) complete() error {
	var problems news.Problems
	if o.Devices < 0 {
		problems.Add("--devices", "must be 0 or more")
	}
	if o.Readers < 0 {
		problems.Add("--readers", "must be 0 or more")
	}
	switch {
	case o.Listen == "" && o.Once: // nobody opens its pages
		o.Listen = "127.0.0.1:0"
	case o.Listen == "":
		o.Listen = "127.0.0.1:8080"
	}
	if o.Seed == 0 {
		o.Seed = 142
	}
	return problems.Err()
}

// alongside runs the program and what is shown of it; when either ends, so does
// the other: nobody would answer the show once a part of the program failed.
func alongside(ctx context.Context, program, show func(context.Context) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop()
		ended <- program(ctx)
	}()
	err := show(ctx)
	stop()
	failed := <-ended
	if failed != nil && errors.Is(err, context.Canceled) {
		return failed // the reason, not what followed from it
	}
	return errors.Join(err, failed)
}

// day is the whole show, in order.
func (d *demo) day(ctx context.Context) error {
	entries, err := newsroom.Day()
	if err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{
		d.loadPhones,
		d.loadReaders,
		func(ctx context.Context) error { return d.publishDay(ctx, entries) },
		d.runDigests,
		d.check,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.progress.Done()
	return nil
}

func (d *demo) say(words string, args ...any) {
	d.progress.Line(folded(fmt.Sprintf(words, args...), 80, strings.Repeat(" ", 14)))
}

// folded breaks a line that is too wide at spaces; what follows is indented.
func folded(line string, width int, indent string) string {
	var out []string
	for runes := []rune(line); ; runes = []rune(line) {
		at := -1
		for i := len(indent) + 1; i < len(runes) && i <= width; i++ {
			if runes[i] == ' ' {
				at = i
			}
		}
		if len(runes) <= width || at < 0 {
			return strings.Join(append(out, line), "\n")
		}
		out, line = append(out, strings.TrimRight(string(runes[:at]), " ")), indent+string(runes[at+1:])
	}
}

// task names what the progress line is about.
func (d *demo) task(what string) {
	d.progress.Done()
	d.progress = NewProgress(d.Out, "  "+what)
}

// demoFolder gives a folder that is a demo's own and empty. One that is not a
// demo's is refused: it would be emptied.
func demoFolder(o DemoOptions) (folder string, remove func(), err error) {
	remove = func() {}
	folder = o.Folder
	if folder == "" && o.Once {
		if folder, err = os.MkdirTemp("", "dateline-demo-"); err != nil {
			return "", nil, err
		}
		return folder, func() { _ = os.RemoveAll(folder) }, nil
	}
	if folder == "" {
		folder = "demo-data"
	}
	entries, err := os.ReadDir(folder)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", nil, err
		}
	case err != nil:
		return "", nil, err
	case !isDemos(entries):
		return "", nil, fmt.Errorf("%s is not a demo's folder, and a demo begins by emptying its folder; choose another with --data", folder)
	}
	unlock, err := lockFolder(folder) // a demo that runs there must not lose its files
	if err != nil {
		return "", nil, err
	}
	defer unlock()
	// Marked before anything is removed: a demo that is killed here must know
	// its folder again.
	if err := os.WriteFile(filepath.Join(folder, demoMark), nil, 0o600); err != nil {
		return "", nil, err
	}
	for _, e := range entries {
		if e.Name() == lockFile || e.Name() == demoMark {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, e.Name())); err != nil {
			return "", nil, err
		}
	}
	return folder, remove, nil
}

// isDemos reports whether a folder may be emptied: it bears the mark, or there
// is nothing in it but a lock that was taken before the mark was set.
func isDemos(entries []os.DirEntry) bool {
	named := func(name string) bool {
		return slices.ContainsFunc(entries, func(e os.DirEntry) bool { return e.Name() == name })
	}
	return len(entries) == 0 || named(demoMark) || len(entries) == 1 && named(lockFile)
}

// config is the demo's own; the environment plays no part in it.
func (d *demo) config(folder string) Config {
	auto := news.Policies{news.LevelFlash: news.PolicyAuto, news.LevelBulletin: news.PolicyAuto, news.LevelNotice: news.PolicyAuto}
	quiet := func(string) string { return "" }
	cfg, err := Load(quiet)
	if err != nil { // the defaults are good: a test loads them
		panic(err)
	}
	cfg.Data, cfg.Listen, cfg.OpsListen = folder, d.Listen, "127.0.0.1:0"
	cfg.Policies, cfg.demo = auto, true
	cfg.Caps = news.Caps{news.LevelFlash: {}, news.LevelBulletin: {}} // its whole day goes out within a minute
	cfg.VAPIDSubject = "https://dateline.example"
	cfg.Publisher = Publisher{Name: "SNOWLAND s.r.o.", ID: "06691200",
		Address: []string{"Na okraji 381/41, Veleslavín", "162 00 Praha 6", "Czech Republic"}}
	for _, s := range d.services {
		cfg.PushOrigins = append(cfg.PushOrigins, s.Origin())
		cfg.PushCA = s.CAPEM()
	}
	return cfg
}

// startServices starts three push services under one authority.
func (d *demo) startServices() error {
	authority, err := simulate.NewAuthority()
	if err != nil {
		return err
	}
	for _, o := range []simulate.PushOptions{{Name: "Northwind", Path: "/fcm/send/"}, {Name: "Meridian", Path: "/wpush/v2/"},
		{Name: "Orchard", Path: "/", NeedSubject: true}} {
		o.Authority, o.OnShown = authority, d.shown
		s, err := simulate.NewPushService(o)
		if err != nil {
			return err
		}
		d.services = append(d.services, s)
	}
	return nil
}

func (d *demo) closeServices() {
	for _, s := range d.services {
		s.Close()
	}
}

// shown hears of every message that a phone decrypted.
func (d *demo) shown(_ *simulate.Phone, m simulate.Delivery) {
	d.mu.Lock()
	if _, known := d.first[m.Notification.Alert]; !known {
		d.first[m.Notification.Alert] = m.At
	}
	d.mu.Unlock()
	select {
	case d.arrived <- struct{}{}:
	default:
	}
}

// invite says what can be done with a demo that stays up. The story it names is
// made now: one of six hours ago would raise nothing.
func (d *demo) invite() error {
	story, err := ExampleStory(time.Now(), nil)
	if err != nil {
		return err
	}
	path := filepath.Join(d.app.cfg.Data, exampleFile)
	if err := os.WriteFile(path, story, 0o600); err != nil {
		return err
	}
	d.say("")
	d.say("  open        %s/phones   what every phone shows", d.app.URL())
	d.say("              %s/outbox   the mails", d.app.URL())
	d.say("              %s/         readers subscribe here", d.app.URL())
	d.say("              %s/desk     editors work here; make yourself an account:", d.app.URL())
	d.progress.Line(fmt.Sprintf("              DATELINE_BASE_URL=%s %s --data %s editor add YOU --role chief", d.app.URL(), command(os.Args[0]), d.app.cfg.Data))
	d.say("  publish     one more story, and see it arrive at /phones:")
	// Not folded: a command is copied.
	d.progress.Line(fmt.Sprintf("              %s --data %s publish %s", command(os.Args[0]), d.app.cfg.Data, path))
	d.say("  key         %s (admin key of the API)", filepath.Join(d.app.cfg.Data, adminFile))
	d.say("  stop        Ctrl-C")
	return nil
}

// command is how this program was called; `go run` gives it a name of its own.
func command(name string) string {
	if strings.Contains(filepath.ToSlash(name), "/go-build") {
		return "go run ./cmd/dateline"
	}
	return name
}
