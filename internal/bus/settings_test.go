package bus

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"dateline/internal/news"
)

func TestCheckStream(t *testing.T) {
	t.Parallel()
	tests := []struct {
		setting string
		change  func(*jetstream.StreamConfig)
		words   string
	}{
		{"subjects", func(c *jetstream.StreamConfig) { c.Subjects = []string{"stories.published"} }, "subjects is stories.published, must be stories.>"},
		{"retention", func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy }, "nats stream rm STORIES"},
		{"storage", func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage is Memory, must be File"},
		{"discard", func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "nats stream edit STORIES --discard=new"},
		{"max age", func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max age is 1h0m0s, must be 72h0m0s; mend it with: nats stream edit STORIES --max-age=72h"},
		{"max bytes", func(c *jetstream.StreamConfig) { c.MaxBytes = -1 }, "--max-bytes=1073741824"},
		{"max messages", func(c *jetstream.StreamConfig) { c.MaxMsgs = 5 }, "--max-msgs=-1"},
		{"max messages per subject", func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "per-subject"},
		{"max message size", func(c *jetstream.StreamConfig) { c.MaxMsgSize = -1 }, "--max-msg-size=524288"},
		{"duplicate window", func(c *jetstream.StreamConfig) { c.Duplicates = 2 * time.Minute }, "--dupe-window=24h"},
		{"replicas", func(c *jetstream.StreamConfig) { c.Replicas = 1 }, "replicas is 1, must be 3"},
		{"deny delete", func(c *jetstream.StreamConfig) { c.DenyDelete = false }, "made anew"},
		{"deny purge", func(c *jetstream.StreamConfig) { c.DenyPurge = false }, "made anew"},
		{"no ack", func(c *jetstream.StreamConfig) { c.NoAck = true }, "--ack"},
		{"mirror", func(c *jetstream.StreamConfig) { c.Mirror = &jetstream.StreamSource{} }, "mirror is true"},
		{"persist mode", func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, "persist mode"},
	}
	for _, tt := range tests {
		c := streamConfig(3)
		tt.change(&c)
		got := checkStream(c, 3)
		if len(got) != 1 || got[0].Setting != tt.setting {
			t.Errorf("%s: got %+v", tt.setting, got)
			continue
		}
		if words := (&SettingsError{got}).Error(); !strings.Contains(words, tt.words) {
			t.Errorf("%s: %q lacks %q", tt.setting, words, tt.words)
		}
	}
	if got := checkStream(streamConfig(3), 1); len(got) != 0 {
		t.Errorf("more replicas than wanted: %+v", got)
	}
}

func TestCheckConsumer(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*jetstream.ConsumerConfig){
		"deliver policy":  func(c *jetstream.ConsumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy },
		"ack policy":      func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckNonePolicy },
		"ack wait":        func(c *jetstream.ConsumerConfig) { c.AckWait = time.Minute },
		"max deliver":     func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 8 },
		"max ack pending": func(c *jetstream.ConsumerConfig) { c.MaxAckPending = 1000 },
		"backoff":         func(c *jetstream.ConsumerConfig) { c.BackOff = []time.Duration{time.Second} },
		"filter":          func(c *jetstream.ConsumerConfig) { c.FilterSubject = "stories.asia" },
		"headers only":    func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true },
		"push subject":    func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "x" },
	}
	for setting, change := range tests {
		c := consumerConfig()
		change(&c)
		got := checkConsumer(c)
		if len(got) != 1 || got[0].Setting != setting || !strings.Contains(got[0].Mend, "nats consumer rm") {
			t.Errorf("%s: got %+v", setting, got)
		}
	}
}

// What the server reports of a stream that Open created is what Open wants:
// else no second start would succeed.
func TestOwnSettingsPass(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	openIn(t, dir).Close()
	openIn(t, dir)
}

// Who only looks creates nothing, and is told at once what is not there.
func TestLookOnly(t *testing.T) {
	t.Parallel()
	srv := startServer(t, t.TempDir(), server.RANDOM_PORT)
	look := func() error {
		started := time.Now()
		b, err := Open(t.Context(), Config{URL: srv.ClientURL(), LookOnly: true})
		if time.Since(started) > 5*time.Second {
			t.Error("waited although waiting mends nothing")
		}
		if err == nil {
			b.Close()
		}
		return err
	}
	for range 2 { // the first one creates nothing
		if err := look(); !errors.Is(err, news.ErrNotFound) {
			t.Fatalf("without a stream: %v", err)
		}
	}
	conn, err := nats.Connect(srv.ClientURL())
	fatal(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	fatal(t, err)
	c := streamConfig(1)
	c.MaxAge = 48 * time.Hour
	_, err = js.CreateStream(t.Context(), c)
	fatal(t, err)
	var settings *SettingsError
	if err := look(); !errors.As(err, &settings) {
		t.Errorf("with a foreign stream and no consumer: %v", err)
	}
	_, err = js.UpdateStream(t.Context(), streamConfig(1))
	fatal(t, err)
	b, err := Open(t.Context(), Config{URL: srv.ClientURL()})
	fatal(t, err)
	b.Close()
	fatal(t, look())
}

func TestForeignSettingsRefuseTheStart(t *testing.T) {
	t.Parallel()
	tests := map[string]func(*testing.T, jetstream.JetStream){
		"max age": func(t *testing.T, js jetstream.JetStream) {
			c := streamConfig(1)
			c.MaxAge = 48 * time.Hour
			_, err := js.CreateStream(t.Context(), c)
			fatal(t, err)
		},
		"retention": func(t *testing.T, js jetstream.JetStream) {
			c := streamConfig(1)
			c.Retention = jetstream.WorkQueuePolicy
			_, err := js.CreateStream(t.Context(), c)
			fatal(t, err)
		},
		"max deliver": func(t *testing.T, js jetstream.JetStream) {
			stream, err := js.CreateStream(t.Context(), streamConfig(1))
			fatal(t, err)
			c := consumerConfig()
			c.MaxDeliver = 5
			_, err = stream.CreateConsumer(t.Context(), c)
			fatal(t, err)
		},
	}
	for setting, prepare := range tests {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t, t.TempDir(), server.RANDOM_PORT)
			conn, err := nats.Connect(srv.ClientURL())
			fatal(t, err)
			defer conn.Close()
			js, err := jetstream.New(conn)
			fatal(t, err)
			prepare(t, js)
			started := time.Now()
			_, err = Open(t.Context(), Config{URL: srv.ClientURL()})
			var settings *SettingsError
			if !errors.As(err, &settings) || settings.Differences[0].Setting != setting {
				t.Fatalf("got %v", err)
			}
			if time.Since(started) > 5*time.Second {
				t.Error("waited although waiting mends nothing")
			}
			t.Log(err)
		})
	}
}

func TestWantedReplicas(t *testing.T) {
	t.Parallel()
	got := []int{wantedReplicas(0, ""), wantedReplicas(0, "c1"), wantedReplicas(1, "c1"), wantedReplicas(5, "")}
	if want := []int{1, 3, 1, 5}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRedact(t *testing.T) {
	t.Parallel()
	got := redact("nats://a:b@one:4222, nats://token@two:4222,::")
	if want := "nats://one:4222,nats://two:4222,(unreadable URL)"; got != want {
		t.Errorf("got %q", got)
	}
}

func fatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
