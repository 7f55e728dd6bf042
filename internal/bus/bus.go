// Package bus is the only NATS: the embedded server, the stream of story
// events with its checked settings, and the wake-ups between processes.
//
// It promises: a story that PublishStory accepted survives a kill -9 of any
// process (file store, fsynced before the PubAck); a story event is handed to
// the intake until the intake says that it is done with it, in stream order as
// long as nothing is put off; a stream or consumer whose settings differ from
// what the house relies on refuses the start in words; a consuming loop ends
// only with its context or with an error. A wake-up is a hint: it may be lost
// or come twice, and after a reconnection everybody is woken once.
//
// What it does not promise: acknowledgements are not crash-durable (the server
// flushes them at most every 100 ms, reliability.md fact 1), so an event that
// is done may come again. The database is the judge of what was done. A story
// that crashes its handler is counted there too, which is why deliveries are
// unlimited here and no advisory of the server's is listened to.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"dateline/internal/news"
)

// Config says which NATS to use.
type Config struct {
	// URL of a NATS server or cluster with JetStream; "" starts one inside this
	// process that keeps its files in Dir.
	URL string
	Dir string
	// Replicas of the stream; 0: three where the server is part of a cluster,
	// else one. A stream with more is accepted.
	Replicas int
	// Patience is how long Open waits for a server that is not up yet;
	// 0: 10 s, as docker compose starts everything at once.
	Patience time.Duration
	// LookOnly makes Open create nothing: an absent stream or consumer is then
	// news.ErrNotFound.
	LookOnly bool
	Logger   *slog.Logger
}

// Message is a story event on the wire, and Disposition what becomes of it.
type (
	Message     = news.StoryEvent
	Disposition = news.Disposition
)

// Bus is a connection to NATS, and the server behind it when it is embedded.
// Its methods are safe for concurrent use.
type Bus struct {
	config   Config
	log      *slog.Logger
	server   *server.Server // nil: somebody else's
	url      string         // with credentials
	conn     *nats.Conn
	js       jetstream.JetStream
	replicas int
	wakes    wakes
	trouble  atomic.Pointer[error] // why stories are not being consumed at the moment
	closed   atomic.Bool
	closing  sync.Once

	fileMu sync.Mutex
	file   string // nats.url, removed on Close
}

// Open starts or reaches NATS, creates the stream and the consumer where they
// are absent, and checks them where they are present.
func Open(ctx context.Context, c Config) (*Bus, error) {
	if c.Patience <= 0 {
		c.Patience = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	b := &Bus{config: c, log: c.Logger.With("component", "bus"), url: c.URL}
	b.wakes.byTopic = map[string][]*waker{}
	ctx, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	if err := b.open(ctx); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *Bus) open(ctx context.Context) error {
	if b.config.URL == "" {
		if err := b.startServer(ctx); err != nil {
			return err
		}
	}
	if err := b.connect(ctx); err != nil {
		return err
	}
	js, err := jetstream.New(b.conn)
	if err != nil {
		return fmt.Errorf("bus: JetStream client: %w", err)
	}
	b.js = js
	b.replicas = wantedReplicas(b.config.Replicas, b.conn.ConnectedClusterName())
	return b.untilEnsured(ctx)
}

// wantedReplicas is three in a cluster unless the configuration says otherwise.
func wantedReplicas(configured int, cluster string) int {
	switch {
	case configured > 0:
		return configured
	case cluster != "":
		return 3
	}
	return 1
}

// connect reaches the server, trying until ctx ends.
func (b *Bus) connect(ctx context.Context) error {
	options := []nats.Option{
		nats.Name("dateline"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.Timeout(2 * time.Second),
		nats.PingInterval(5 * time.Second), // a dead connection is noticed within 10 s
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if !b.closed.Load() {
				b.log.Warn("connection to NATS lost; reconnecting", "error", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			b.log.Info("connection to NATS is back")
			b.wakes.all()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			b.log.Warn("NATS reports", "error", err)
		}),
	}
	if b.server != nil {
		options = append(options, nats.InProcessServer(b.server))
	}
	for {
		conn, err := nats.Connect(b.url, options...)
		if err == nil {
			b.conn = conn
			return nil
		}
		if errors.Is(err, nats.ErrAuthorization) || pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("bus: connect to NATS at %s: %w", redact(b.url), err)
		}
	}
}

// Healthy is nil while stories can flow: connected, and not failing to read
// the stream.
func (b *Bus) Healthy() error {
	switch {
	case b.closed.Load():
		return errClosed
	case b.server != nil && !b.server.Running():
		return errors.New("bus: the embedded NATS server is not running")
	case b.conn.Status() != nats.CONNECTED:
		return fmt.Errorf("bus: not connected to NATS at %s", redact(b.url))
	}
	if trouble := b.trouble.Load(); trouble != nil {
		return fmt.Errorf("bus: stories can't be read: %w", *trouble)
	}
	return nil
}

var errClosed = errors.New("bus: it is closed")

// Close ends the connection and, when it is ours, the server; it waits until
// the server's files are closed. Closing twice is allowed.
func (b *Bus) Close() {
	b.closing.Do(func() {
		b.closed.Store(true)
		b.wakes.close()
		if b.conn != nil {
			b.conn.Close()
		}
		if b.server != nil {
			b.server.Shutdown()
			b.server.WaitForShutdown()
		}
		b.fileMu.Lock()
		defer b.fileMu.Unlock()
		if b.file != "" {
			if err := os.Remove(b.file); err != nil && !errors.Is(err, os.ErrNotExist) {
				b.log.Warn("could not remove nats.url", "error", err)
			}
		}
	})
}

// pause waits, or returns why it could not.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
