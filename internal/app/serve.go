package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"
)

// Serve is `dateline serve`: it runs until ctx ends and stops in order.
func Serve(ctx context.Context, cfg Config, logTo io.Writer) error {
	log := slog.New(slog.NewJSONHandler(logTo, &slog.HandlerOptions{Level: cfg.LogLevel, ReplaceAttr: readable}))
	for _, n := range cfg.notes(os.Environ()) {
		log.Warn(n.words, "component", "app", "about", n.what)
	}
	began := time.Now()
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	log.Info("listening", "component", "app", "url", a.URL(), "base", a.baseURL(), "ops", a.ops.Addr().String(),
		"with", cfg.String(), "after", time.Since(began).Round(time.Millisecond).String(), "version", Version())
	err = errors.Join(a.Run(ctx), a.Close())
	log.Info("stopped", "component", "app")
	return err
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
