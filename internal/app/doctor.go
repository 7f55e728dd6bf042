package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dateline/internal/bus"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/store"
)

// lookUpWithin bounds a question to the name service.
const lookUpWithin = 5 * time.Second

// examination collects findings.
type examination struct {
	cfg      *Config
	out      io.Writer
	bad      int
	faulty   map[string]bool // settings that can't be used; said once, and not tried
	resolver resolver
}

// resolver is the part of net.Resolver that is asked.
type resolver interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

func (e *examination) say(grade, what, words string, args ...any) {
	if grade == "bad" {
		e.bad++
	}
	mark := map[string]string{"ok": "  ok  ", "note": " note ", "bad": "MEND  "}[grade]
	fmt.Fprintf(e.out, "%s %-14s %s\n", mark, what, Plain(fmt.Sprintf(words, args...)))
}

// Doctor runs the checks of the start and those that need the network, and
// says in words what to mend. It changes nothing. loadErr is what Load found.
// The error says that something has to be mended.
func Doctor(ctx context.Context, cfg Config, loadErr error, out io.Writer) error {
	e := &examination{cfg: &cfg, out: out, resolver: net.DefaultResolver}
	e.configuration(loadErr)
	for _, n := range cfg.notes(os.Environ()) {
		e.say("note", n.what, "%s", n.words)
	}
	if cfg.VAPIDSubject == "" {
		e.say("note", "push", "DATELINE_VAPID_SUBJECT is not set and the base URL is not https: Apple's push service is off")
	}
	if keys, whole := e.keys(); whole {
		e.database(ctx, keys)
		e.push(ctx, keys)
	}
	e.nats(ctx)
	e.mail(ctx)
	if e.bad > 0 {
		return fmt.Errorf("%d of the findings above need mending", e.bad)
	}
	return nil
}

func (e *examination) configuration(err error) {
	e.faulty = map[string]bool{}
	var invalid *news.InvalidError
	switch {
	case err == nil:
		e.say("ok", "configuration", "%s", e.cfg.String())
	case errors.As(err, &invalid):
		for _, p := range invalid.Problems {
			e.say("bad", "configuration", "%s %s", p.Path, p.Message)
			e.faulty[strings.TrimSuffix(p.Path, "_FILE")] = true
		}
	default:
		e.say("bad", "configuration", "%v", err)
	}
}

// keys reads the keys without making any. They are whole when all but the admin
// key are there: any start may make that one.
func (e *examination) keys() (keys Keys, whole bool) {
	texts, absent := e.cfg.keyTexts(), 0
	whole = true
	for _, k := range keyFiles() {
		if e.faulty[k.variable] { // said already
			whole = false
			continue
		}
		if texts[k.variable] != "" {
			continue
		}
		text, err := e.keyFile(filepath.Join(e.cfg.Data, k.file))
		switch {
		case errors.Is(err, os.ErrNotExist) && k.variable != adminKey && e.cfg.hasData():
			e.say("bad", "keys", "%v", e.cfg.keyMissing(k))
			whole = false
		case errors.Is(err, os.ErrNotExist):
			absent++
			whole = whole && k.variable == adminKey
		case err != nil:
			e.say("bad", "keys", "%s: %v", k.variable, err)
			whole = false
		}
		texts[k.variable] = text
	}
	if absent > 0 {
		e.say("note", "keys", "%d of 4 are not there yet: the first `dateline serve` makes them in %s", absent, e.cfg.Data)
	}
	if !whole {
		return Keys{}, false
	}
	keys, problems := parseKeys(texts)
	if err := problems.Err(); err != nil {
		e.say("bad", "keys", "%v", err)
		return Keys{}, false
	}
	e.say("ok", "keys", "VAPID key %s", keys.VAPID.KeyID())
	return keys, true
}

// keyFile reads a key's file, and says so when others can.
func (e *examination) keyFile(path string) (string, error) {
	raw, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		e.say("bad", "keys", "%s can be read by others; run: chmod 600 %s", path, path)
	}
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return "", fmt.Errorf("%s is empty; restore it from the backup", path)
	}
	return text, nil
}

func (e *examination) database(ctx context.Context, keys Keys) {
	if e.faulty["DATABASE_URL"] {
		return
	}
	if e.cfg.embedded() {
		if _, err := os.Stat(filepath.Join(e.cfg.Data, databaseFile)); errors.Is(err, os.ErrNotExist) {
			e.say("note", "database", "is not there yet: the first `dateline serve` makes it")
			return
		}
	}
	s, err := store.Open(ctx, store.Config{URL: e.cfg.storeURL(), SealKey: keys.Seal, VAPIDKeyID: keys.VAPID.KeyID(), Logger: discard()})
	if err != nil {
		e.say("bad", "database", "%v", e.cfg.storeFault(err))
		return
	}
	defer s.Close() //nolint:errcheck // what was written is committed
	current, latest, err := s.SchemaVersion(ctx)
	switch {
	case err != nil:
		e.say("bad", "database", "does not answer: %v", err)
		return
	case current < latest:
		e.say("note", "database", "schema %d of %d: `dateline serve` or `dateline migrate` brings it up to date", current, latest)
		return
	case current > latest:
		e.say("bad", "database", "schema %d is newer than this program's %d: run the newer program", current, latest)
		return
	}
	if err := s.CompareFingerprints(ctx, keys.fingerprints()); err != nil {
		e.say("bad", "database", "%v", e.cfg.strange(ctx, s, keys, err))
		return
	}
	e.say("ok", "database", "%s, schema %d, and the keys belong to it", s.Engine(), current)
	e.trail(ctx, s)
}

// trail reads the audit trail from its first line: each has a hash over itself
// and the line before.
func (e *examination) trail(ctx context.Context, s *store.Store) {
	lines := 0
	err := s.AuditTrail(ctx, func(news.AuditEntry) error { lines++; return nil })
	if err != nil {
		e.say("bad", "audit trail", "%v", err)
		return
	}
	e.say("ok", "audit trail", "%s, unbroken", number(lines, "line", "lines"))
	switch role, err := s.Rewriter(ctx); {
	case err != nil:
		e.say("bad", "audit trail", "who may rewrite it can't be read: %v", err)
	case role != "":
		e.say("note", "audit trail", "the database role %s can rewrite it: let `dateline serve` connect as a member of %s instead, "+
			"and keep this one for `dateline migrate` (docs/operating.md, \"Two roles on Postgres\")", role, store.AppRole)
	}
}

// push looks the services' names up: without them nothing can be sent.
func (e *examination) push(ctx context.Context, keys Keys) {
	s, err := newSender(e.cfg, keys, discard())
	if err != nil {
		e.say("bad", "push", "%v", err)
		return
	}
	s.Close()
	hosts := []string{"fcm.googleapis.com", "updates.push.services.mozilla.com", "web.push.apple.com", "wns2-par02p.notify.windows.com"}
	for _, o := range e.cfg.PushOrigins {
		if u, err := url.Parse(push.Origin(o)); err == nil && net.ParseIP(u.Hostname()) == nil {
			hosts = append(hosts, u.Hostname())
		}
	}
	unknown := e.lookUp(ctx, hosts)
	if len(unknown) > 0 {
		e.say("bad", "push", "these push services can't be found: %s; check DNS and the way out of this machine", strings.Join(unknown, ", "))
		return
	}
	e.say("ok", "push", "every push service's name is found")
}

func (e *examination) lookUp(ctx context.Context, hosts []string) (unknown []string) {
	ctx, cancel := context.WithTimeout(ctx, lookUpWithin)
	defer cancel()
	for _, h := range hosts {
		if _, err := e.resolver.LookupHost(ctx, h); err != nil {
			unknown = append(unknown, h)
		}
	}
	return unknown
}

func (e *examination) nats(ctx context.Context) {
	if e.faulty["NATS_URL"] {
		return
	}
	address, err := natsURL(ctx, e.cfg)
	if err != nil {
		e.say("note", "NATS", "embedded; it runs inside `dateline serve`, which is not running on %s", e.cfg.Data)
		return
	}
	b, err := bus.Open(ctx, bus.Config{URL: address, LookOnly: true, Logger: discard(), Patience: 3 * time.Second})
	var settings *bus.SettingsError
	if errors.Is(err, news.ErrNotFound) && !errors.As(err, &settings) {
		e.say("note", "NATS", "answers; it has no stream %s yet, or nobody who reads it: the first `dateline serve` makes both", bus.StreamName)
		return
	}
	if err != nil {
		e.say("bad", "NATS", "%v", e.cfg.natsFault(err))
		return
	}
	defer b.Close()
	pending, _, err := b.Lag(ctx)
	if err != nil {
		e.say("bad", "NATS", "the stream does not answer: %v", err)
		return
	}
	e.say("ok", "NATS", "the stream's settings are what we rely on; %d stories wait", pending)
}
