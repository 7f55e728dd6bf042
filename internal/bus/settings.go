package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"dateline/internal/news"
)

// The stream, its subjects, and the one durable consumer.
const (
	StreamName   = "STORIES"
	Subjects     = "stories.>"
	StorySubject = "stories.published"
	ConsumerName = "INTAKE"
)

// What the house relies on.
const (
	maxAge = 72 * time.Hour
	// duplicates is how long a Nats-Msg-Id is remembered: a convenience, the
	// database knows duplicates by (uri, version).
	duplicates = 24 * time.Hour
	// maxBytes is filled only by a stream nobody reads for 72 hours; a full one
	// refuses publishers (Discard new) and never drops a story unread.
	maxBytes = 1 << 30
	// MaxMessage is a story's 256 KiB (the intake's limit) twice: what is too
	// large for the intake, or has 64 KiB of headers, still gets into the dead
	// letters with its reason, and a five megabyte headline gets no PubAck.
	MaxMessage = 512 << 10
	// AckWait is how soon a story comes back when its handler died. It is short
	// because breaking news waits for it; a living handler renews it.
	AckWait = 5 * time.Second
	// maxAckPending bounds the stories that are put off at one time; while so
	// many are, new ones wait.
	maxAckPending = 64
)

func streamConfig(replicas int) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: StreamName, Description: "story events for Dateline", Subjects: []string{Subjects},
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		MaxAge: maxAge, MaxBytes: maxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1, MaxMsgSize: MaxMessage,
		Duplicates: duplicates, DenyDelete: true, DenyPurge: true, Replicas: replicas,
	}
}

func consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: ConsumerName, Description: "Dateline's intake",
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		ReplayPolicy: jetstream.ReplayInstantPolicy,
		AckWait:      AckWait, MaxDeliver: -1, MaxAckPending: maxAckPending,
	}
}

// Difference is one setting that is not what the house relies on.
type Difference struct {
	Where   string // "stream STORIES", "consumer INTAKE"
	Setting string
	Found   string
	Wanted  string
	Mend    string
}

// SettingsError refuses a start on a stream or consumer that somebody made or
// changed otherwise.
type SettingsError struct{ Differences []Difference }

func (e *SettingsError) Error() string {
	var b strings.Builder
	b.WriteString("NATS settings differ from what Dateline relies on:")
	for _, d := range e.Differences {
		fmt.Fprintf(&b, "\n  %s: %s is %s, must be %s; mend it with: %s", d.Where, d.Setting, d.Found, d.Wanted, d.Mend)
	}
	return b.String()
}

// setting compares one setting; mend are the words that follow "nats stream
// edit STORIES", or "" where it cannot be edited.
type setting struct {
	name          string
	found, wanted any
	mend          string
}

// remake mends what cannot be edited.
const remake = "a stream made anew (stop the publishers, wait until `dateline doctor` sees no lag, " +
	"`nats stream rm STORIES`, start Dateline: it creates the stream; stored stories are in the database)"

// checkStream compares a stream with what the house relies on. Sizes and ages
// are compared exactly: "at least" would hide the typing error that matters.
func checkStream(found jetstream.StreamConfig, replicas int) []Difference {
	want := streamConfig(replicas)
	// More copies than asked for are no fault.
	if found.Replicas > want.Replicas {
		want.Replicas = found.Replicas
	}
	list := []setting{
		{"subjects", found.Subjects, want.Subjects, "--subjects=" + Subjects},
		{"retention", found.Retention, want.Retention, ""},
		{"storage", found.Storage, want.Storage, ""},
		{"discard", found.Discard, want.Discard, "--discard=new"},
		{"discard new per subject", found.DiscardNewPerSubject, false, "--no-discard-per-subject"},
		{"max age", found.MaxAge, want.MaxAge, "--max-age=72h"},
		{"max bytes", found.MaxBytes, want.MaxBytes, fmt.Sprintf("--max-bytes=%d", maxBytes)},
		{"max messages", found.MaxMsgs, want.MaxMsgs, "--max-msgs=-1"},
		{"max messages per subject", found.MaxMsgsPerSubject, want.MaxMsgsPerSubject, "--max-msgs-per-subject=-1"},
		{"max message size", found.MaxMsgSize, want.MaxMsgSize, fmt.Sprintf("--max-msg-size=%d", MaxMessage)},
		{"duplicate window", found.Duplicates, want.Duplicates, "--dupe-window=24h"},
		{"replicas", found.Replicas, want.Replicas, fmt.Sprintf("--replicas=%d", want.Replicas)},
		{"deny delete", found.DenyDelete, true, ""},
		{"deny purge", found.DenyPurge, true, ""},
		{"no ack", found.NoAck, false, "--ack"},
		{"sealed", found.Sealed, false, ""},
		{"allow rollup", found.AllowRollup, false, "--no-allow-rollup"},
		{"per-message ttl", found.AllowMsgTTL, false, ""},
		{"mirror", found.Mirror != nil, false, ""},
		{"sources", len(found.Sources) > 0, false, ""},
		{"subject transform", found.SubjectTransform != nil, false, ""},
		{"persist mode", found.PersistMode, jetstream.DefaultPersistMode, ""},
	}
	return differences("stream "+StreamName, list, "nats stream edit "+StreamName+" ", remake)
}

func checkConsumer(found jetstream.ConsumerConfig) []Difference {
	want := consumerConfig()
	list := []setting{
		{"deliver policy", found.DeliverPolicy, want.DeliverPolicy, ""},
		{"ack policy", found.AckPolicy, want.AckPolicy, ""},
		{"ack wait", found.AckWait, want.AckWait, ""},
		{"max deliver", found.MaxDeliver, want.MaxDeliver, ""},
		{"max ack pending", found.MaxAckPending, want.MaxAckPending, ""},
		{"backoff", len(found.BackOff), 0, ""},
		{"filter", strings.Join(append(found.FilterSubjects, found.FilterSubject), ""), "", ""},
		{"replay policy", found.ReplayPolicy, want.ReplayPolicy, ""},
		{"headers only", found.HeadersOnly, false, ""},
		{"memory storage", found.MemoryStorage, false, ""},
		{"inactive threshold", found.InactiveThreshold, time.Duration(0), ""},
		{"push subject", found.DeliverSubject, "", ""},
	}
	return differences("consumer "+ConsumerName, list, "",
		"nats consumer rm STORIES INTAKE (Dateline creates it anew; stories read twice have no effect twice)")
}

// differences lists the settings that are not as wanted, with what mends them.
func differences(where string, list []setting, edit, otherwise string) []Difference {
	var out []Difference
	for _, s := range list {
		found, wanted := show(s.found), show(s.wanted)
		if found == wanted {
			continue
		}
		mend := otherwise
		if s.mend != "" {
			mend = edit + s.mend
		}
		out = append(out, Difference{where, s.name, found, wanted, mend})
	}
	return out
}

func show(v any) string {
	switch x := v.(type) {
	case []string:
		return strings.Join(slices.Sorted(slices.Values(x)), ",")
	case string:
		if x == "" {
			return "none"
		}
	}
	return fmt.Sprint(v)
}

// untilEnsured ensures the stream and the consumer, trying until ctx ends: a
// cluster that has just started has no leader for a while.
func (b *Bus) untilEnsured(ctx context.Context) error {
	for {
		_, err := b.ensure(ctx)
		var settings *SettingsError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &settings), errors.Is(err, news.ErrNotFound), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
			return err
		case pause(ctx, 250*time.Millisecond) != nil:
			return fmt.Errorf("bus: NATS at %s is not ready: %w", redact(b.url), err)
		}
	}
}

// ensure creates the stream and the consumer where they are absent and checks
// them where they are present.
func (b *Bus) ensure(ctx context.Context) (jetstream.Consumer, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	stream, err := b.js.Stream(ctx, StreamName)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if b.config.LookOnly {
			return nil, fmt.Errorf("bus: stream %s: %w", StreamName, news.ErrNotFound)
		}
		b.log.Info("creating the stream", "stream", StreamName, "replicas", b.replicas)
		stream, err = b.js.CreateStream(ctx, streamConfig(b.replicas))
	}
	if err != nil {
		return nil, fmt.Errorf("bus: stream %s: %w", StreamName, err)
	}
	wrong := checkStream(stream.CachedInfo().Config, b.replicas)
	consumer, err := stream.Consumer(ctx, ConsumerName)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if b.config.LookOnly {
			return nil, errors.Join(fmt.Errorf("bus: consumer %s: %w", ConsumerName, news.ErrNotFound), settingsError(wrong))
		}
		consumer, err = stream.CreateConsumer(ctx, consumerConfig())
	}
	if err != nil {
		return nil, fmt.Errorf("bus: consumer %s: %w", ConsumerName, err)
	}
	wrong = append(wrong, checkConsumer(consumer.CachedInfo().Config)...)
	if err := settingsError(wrong); err != nil {
		return nil, err
	}
	return consumer, nil
}

// settingsError is nil without differences.
func settingsError(wrong []Difference) error {
	if len(wrong) == 0 {
		return nil
	}
	return &SettingsError{wrong}
}

// unreachable reports whether err means that NATS cannot be asked now.
func unreachable(err error) bool {
	for _, e := range []error{nats.ErrNoResponders, nats.ErrTimeout, nats.ErrConnectionClosed, nats.ErrConnectionReconnecting,
		nats.ErrDisconnected, nats.ErrNoServers, jetstream.ErrNoStreamResponse, context.DeadlineExceeded} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
