package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/term"
)

// Serve is `dateline serve`: it runs until ctx ends and stops in order.
func Serve(ctx context.Context, cfg Config, logTo io.Writer) error {
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: readable}))
	for _, n := range cfg.notes(os.Environ()) {
		log.Warn(n.words, "component", "app", "about", n.what)
	}
	if err := notADemos(cfg.Data); err != nil {
		return err
	}
	began := time.Now()
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	log.Info("listening", "component", "app", "url", a.URL(), "base", a.baseURL(), "ops", a.ops.Addr().String(),
		"with", cfg.String(), "after", time.Since(began).Round(time.Millisecond).String(), "version", Version())
	if f, ok := logTo.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(f, a.welcome())
	}
	err = errors.Join(a.Run(ctx), a.Close())
	log.Info("stopped", "component", "app")
	return err
}

// notADemos refuses a folder that the next demo would empty.
func notADemos(folder string) error {
	if _, err := os.Stat(filepath.Join(folder, demoMark)); err == nil {
		return fmt.Errorf("%s is a demo's folder, and the next demo empties it; choose another with --data or DATELINE_DATA", folder)
	}
	return nil
}

// welcome is for a person at a terminal: where to go, and with which key.
func (a *App) welcome() string {
	desk := a.URL()
	if a.deskDoor != nil {
		desk = a.deskOrigin()
	}
	key := "in " + filepath.Join(a.cfg.Data, adminFile)
	if a.cfg.AdminKey != "" {
		key = "the one of " + adminKey
	}
	return fmt.Sprintf("Open %s for readers, %s/desk for editors. Ctrl-C stops.\nThe admin key is %s; `dateline editor add NAME --role editor` invites a person to the desk.\n",
		a.URL(), desk, key)
}

// Version is the module's version and revision, as the build recorded them.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && version == "(devel)" {
			version = "devel " + s.Value[:min(12, len(s.Value))]
		}
	}
	return version + " " + info.GoVersion
}

// readable writes a span of time as 1.5s: slog's JSON would give nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
