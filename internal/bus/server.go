package bus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// userName is the one user of the embedded server. Whoever may read nats.url
// may read the data folder too, so a lesser user would protect nothing.
const userName = "dateline"

// maxStore is what the embedded server may take of the disk; the stream's own
// MaxBytes is a quarter of it.
const maxStore = 4 * maxBytes

// startServer runs NATS inside this process: JetStream with every write
// fsynced before its PubAck (SyncAlways: a quarter of a millisecond here; the
// default is every two minutes), no signal handlers of its own, and besides
// our in-process connection a listener on loopback with a password of its own.
func (b *Bus) startServer(ctx context.Context) error {
	if b.config.Dir == "" {
		return errors.New("bus: the embedded NATS server needs a folder")
	}
	if err := os.MkdirAll(b.config.Dir, 0o700); err != nil {
		return fmt.Errorf("bus: folder of the embedded NATS server: %w", err)
	}
	password := rand.Text()
	logger := &serverLog{log: b.log.With("component", "nats-server")}
	srv, err := server.NewServer(&server.Options{
		ServerName: "dateline", Host: "127.0.0.1", Port: server.RANDOM_PORT,
		Username: userName, Password: password,
		JetStream: true, StoreDir: b.config.Dir, SyncAlways: true, JetStreamMaxStore: maxStore,
		NoSigs: true, NoLog: true, DisableJetStreamBanner: true,
	})
	if err != nil {
		return fmt.Errorf("bus: embedded NATS server: %w", err)
	}
	srv.SetLoggerV2(logger, false, false, false)
	b.server = srv
	go srv.Start()
	wait := 10 * time.Second
	if until, ok := ctx.Deadline(); ok {
		wait = time.Until(until)
	}
	if !srv.ReadyForConnections(wait) || !srv.JetStreamEnabled() {
		return fmt.Errorf("bus: the embedded NATS server did not start in %s: %s", b.config.Dir, logger.reason())
	}
	u := url.URL{Scheme: "nats", User: url.UserPassword(userName, password), Host: srv.Addr().(*net.TCPAddr).String()}
	b.url = u.String()
	return nil
}

// WriteURLFile writes the URL to connect with, credentials included, so that
// only our own user can read it (0600); Close removes it. With somebody else's
// NATS there is nothing to tell: a file of an earlier run is removed.
func (b *Bus) WriteURLFile(path string) error {
	if b.server == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("bus: remove an outdated %s: %w", path, err)
		}
		return nil
	}
	// CreateTemp makes files 0600; the rename means that nobody reads half a URL.
	f, err := os.CreateTemp(filepath.Dir(path), ".nats.url-*")
	if err != nil {
		return fmt.Errorf("bus: write %s: %w", path, err)
	}
	_, err = f.WriteString(b.url + "\n")
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bus: write %s: %w", path, err), os.Remove(f.Name()))
	}
	b.fileMu.Lock()
	defer b.fileMu.Unlock()
	b.file = path
	return nil
}

// redact takes user names, passwords and tokens out of NATS URLs (there may be
// several, separated by commas).
func redact(urls string) string {
	parts := strings.Split(urls, ",")
	for i, part := range parts {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil {
			parts[i] = "(unreadable URL)"
			continue
		}
		u.User = nil
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}

// serverLog hands the server's log lines on. They name connections and
// streams, never the content of messages.
type serverLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last string // the newest error, for the report of a failed start
}

func (l *serverLog) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *serverLog) Debugf(string, ...any)           {}
func (l *serverLog) Tracef(string, ...any)           {}

// Warnf passes over the one warning of every start: our password is random,
// made anew each time, and in no file but nats.url, which is only ours (0600).
func (l *serverLog) Warnf(format string, v ...any) {
	if text := fmt.Sprintf(format, v...); !strings.HasPrefix(text, "Plaintext passwords detected") {
		l.log.Warn(text)
	}
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.log.Error(text)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = text
}

// Fatalf does not end the process: only the command may.
func (l *serverLog) Fatalf(format string, v ...any) { l.Errorf(format, v...) }

func (l *serverLog) reason() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return "it did not become ready in time"
	}
	return l.last
}
