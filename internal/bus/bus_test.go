package bus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"dateline/internal/news"
)

// patience bounds every wait of these tests; nothing takes that long, but an
// election among three nodes on two busy cores can take half a minute.
const patience = 2 * time.Minute

func openIn(t *testing.T, dir string) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// consume starts the loop and hands what it gets to the channel; answer says
// what becomes of it (nil: done).
func consume(t *testing.T, b *Bus, answer func(Message) Disposition) (got <-chan Message, ended <-chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	messages, end := make(chan Message, 1000), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end <- b.ConsumeStories(ctx, func(_ context.Context, m Message) func() Disposition {
			messages <- m
			if answer == nil {
				return news.Ack
			}
			return func() Disposition { return answer(m) }
		})
	}()
	t.Cleanup(func() { cancel(); <-done })
	return messages, end
}

func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
	}
	panic("unreachable")
}

func none[T any](t *testing.T, from <-chan T) {
	t.Helper()
	select {
	case v := <-from:
		t.Fatalf("unexpected: %v", v)
	default:
	}
}

// eventually waits for a state that NATS reaches in its own time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func publish(t *testing.T, b *Bus, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := b.PublishStory(t.Context(), Message{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStoryGoesThrough(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, _ := consume(t, b, nil)
	err := b.PublishStory(t.Context(), Message{Body: []byte(`{"a":1}`), Headers: map[string][]string{"ce-id": {"1"}}})
	if err != nil {
		t.Fatal(err)
	}
	m := next(t, got)
	if string(m.Body) != `{"a":1}` || m.Subject != StorySubject || m.Deliveries != 1 || m.Sequence != 1 ||
		m.Headers["ce-id"][0] != "1" || time.Since(m.At) > time.Minute {
		t.Errorf("got %+v", m)
	}
	eventually(t, "no lag", func() bool {
		pending, unacked, err := b.Lag(t.Context())
		return err == nil && pending == 0 && unacked == 0
	})
	if err := b.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	for i := range 50 {
		publish(t, b, fmt.Sprint(i))
	}
	got, _ := consume(t, b, nil)
	for i := range 50 {
		if m := next(t, got); string(m.Body) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Body)
		}
	}
}

func TestURLFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openIn(t, filepath.Join(dir, "nats"))
	path := filepath.Join(dir, "nats.url")
	if err := b.WriteURLFile(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, error %v", info.Mode(), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSpace(string(raw))
	if !strings.HasPrefix(url, "nats://dateline:") || !strings.Contains(url, "@127.0.0.1:") {
		t.Error("the URL has no user or is not on loopback")
	}
	other, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, other, "from outside")
	got, _ := consume(t, b, nil)
	if m := next(t, got); string(m.Body) != "from outside" {
		t.Errorf("got %s", m.Body)
	}
	if err := other.WriteURLFile(filepath.Join(dir, "other.url")); err != nil {
		t.Error(err)
	}
	other.Close()
	_, err = nats.Connect(strings.Replace(url, "dateline:", "dateline:x", 1))
	if !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a wrong password got: %v", err)
	}
	b.Close()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("nats.url after Close: %v", err)
	}
}

func TestOutdatedURLFileGoes(t *testing.T) {
	t.Parallel()
	srv := startServer(t, t.TempDir(), server.RANDOM_PORT)
	b, err := Open(t.Context(), Config{URL: srv.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	path := filepath.Join(t.TempDir(), "nats.url")
	if err := os.WriteFile(path, []byte("nats://old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.WriteURLFile(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the outdated file is still there: %v", err)
	}
}

func TestRestartKeepsWhatIsUnread(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openIn(t, dir)
	publish(t, b, "one", "two")
	b.Close()
	b.Close() // twice is allowed
	if b.Healthy() == nil {
		t.Error("closed and healthy")
	}
	b = openIn(t, dir)
	got, _ := consume(t, b, nil)
	if a, c := next(t, got), next(t, got); string(a.Body) != "one" || string(c.Body) != "two" {
		t.Errorf("got %s, %s", a.Body, c.Body)
	}
}

func TestDispositions(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, _ := consume(t, b, func(m Message) Disposition {
		switch {
		case string(m.Body) == "bad":
			return news.Term("content fault")
		case m.Deliveries == 1:
			return news.Later(20 * time.Millisecond)
		case m.Deliveries == 2:
			return Disposition{} // forgotten: comes back
		}
		return news.Ack()
	})
	publish(t, b, "bad", "good")
	want := []string{"bad 1", "good 1", "good 2", "good 3"}
	for _, w := range want {
		m := next(t, got)
		if s := fmt.Sprintf("%s %d", m.Body, m.Deliveries); s != w {
			t.Errorf("got %q, want %q", s, w)
		}
	}
	eventually(t, "everything is done", func() bool {
		pending, unacked, err := b.Lag(t.Context())
		return err == nil && pending == 0 && unacked == 0
	})
	none(t, got)
}

// A handler that takes longer than AckWait (a slow database) keeps its story.
func TestSlowHandlerKeepsItsStory(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, _ := consume(t, b, func(m Message) Disposition {
		if string(m.Body) == "slow" {
			<-time.After(AckWait + AckWait/2)
		}
		return news.Ack()
	})
	publish(t, b, "slow", "next")
	if m := next(t, got); m.Deliveries != 1 || string(m.Body) != "slow" {
		t.Errorf("got %s, delivery %d", m.Body, m.Deliveries)
	}
	if m := next(t, got); string(m.Body) != "next" {
		t.Errorf("the slow story came again: %s, delivery %d", m.Body, m.Deliveries)
	}
}

// A story whose handler died without an answer comes back after AckWait.
func TestUnansweredStoryComesBack(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	publish(t, b, "orphan")
	consumer, err := b.js.Consumer(t.Context(), StreamName, ConsumerName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := consumer.Next(jetstream.FetchMaxWait(patience)); err != nil { // taken, never answered
		t.Fatal(err)
	}
	started := time.Now()
	got, _ := consume(t, b, nil)
	if m := next(t, got); m.Deliveries != 2 {
		t.Errorf("delivery %d", m.Deliveries)
	}
	if took := time.Since(started); took > 4*AckWait { // it must not be the server's default, 30 s
		t.Errorf("came back after %s", took)
	}
}

func TestMessageSizes(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	publish(t, b, strings.Repeat("x", 256<<10))
	// T13: JetStream refuses 64 KiB of headers by itself; a little less gets in,
	// to be judged by the intake.
	for size, want := range map[int]error{64 << 10: news.ErrTooLarge, 63 << 10: nil} {
		err := b.PublishStory(t.Context(), Message{Body: []byte("{}"), Headers: map[string][]string{"big": {strings.Repeat("h", size)}}})
		if !errors.Is(err, want) {
			t.Errorf("%d bytes of headers: %v", size, err)
		}
	}
	// T02: five megabytes do not, nor does anything above MaxMessage.
	for _, size := range []int{MaxMessage + 1, 5 << 20} {
		err := b.PublishStory(t.Context(), Message{Body: make([]byte, size)})
		if !errors.Is(err, news.ErrTooLarge) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

func TestDuplicateMessageID(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	for range 3 {
		err := b.PublishStory(t.Context(), Message{Body: []byte("same"), Headers: map[string][]string{nats.MsgIdHdr: {"id"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	publish(t, b, "end")
	got, _ := consume(t, b, nil)
	if a, c := next(t, got), next(t, got); string(a.Body) != "same" || string(c.Body) != "end" {
		t.Errorf("got %s, %s", a.Body, c.Body)
	}
}

func TestConsumerDeletedUnderTheLoop(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, ended := consume(t, b, nil)
	publish(t, b, "one")
	next(t, got)
	if err := b.js.DeleteConsumer(t.Context(), StreamName, ConsumerName); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "two")
	for string(next(t, got).Body) != "two" { // "one" may come again: the new consumer begins at the start
	}
	none(t, ended)
}

func TestStreamDeletedUnderTheLoop(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, ended := consume(t, b, nil)
	publish(t, b, "one")
	next(t, got)
	if err := b.js.DeleteStream(t.Context(), StreamName); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a story is accepted again", func() bool {
		return b.PublishStory(t.Context(), Message{Body: []byte("two")}) == nil
	})
	if m := next(t, got); string(m.Body) != "two" {
		t.Errorf("got %s", m.Body)
	}
	none(t, ended)
}

func TestSettingsChangedUnderTheLoopEndItWithAnError(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, ended := consume(t, b, nil)
	publish(t, b, "one")
	next(t, got)
	other := streamConfig(1)
	other.MaxAge = 48 * time.Hour
	if _, err := b.js.UpdateStream(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	// The loop looks again when it has to start anew.
	if err := b.js.DeleteConsumer(t.Context(), StreamName, ConsumerName); err != nil {
		t.Fatal(err)
	}
	var settings *SettingsError
	if err := next(t, ended); !errors.As(err, &settings) {
		t.Fatalf("the loop ended with %v", err)
	}
	if b.Healthy() == nil {
		t.Error("healthy although stories are not read")
	}
}

func TestClosedBusEndsTheLoopWithAnError(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	got, ended := consume(t, b, nil)
	publish(t, b, "one")
	next(t, got)
	b.Close()
	if err := next(t, ended); err == nil {
		t.Error("the loop died silently")
	}
	if _, err := b.OnWake("x", func() {}); err == nil {
		t.Error("OnWake on a closed bus")
	}
	if err := b.PublishStory(t.Context(), Message{}); !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("publish on a closed bus: %v", err)
	}
}

// startServer is somebody else's NATS.
func startServer(t *testing.T, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir,
		JetStreamMaxStore: maxStore, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	go srv.Start()
	if !srv.ReadyForConnections(patience) {
		t.Fatal("NATS did not start")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

func TestServerComesBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	srv := startServer(t, dir, server.RANDOM_PORT)
	url := srv.ClientURL()
	b, err := Open(t.Context(), Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	got, ended := consume(t, b, nil)
	woken := make(chan struct{}, 10)
	if _, err := b.OnWake("stories", func() { woken <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	publish(t, b, "one")
	next(t, got)
	port := srv.Addr().String()
	srv.Shutdown()
	srv.WaitForShutdown()
	eventually(t, "the loss is noticed", func() bool { return b.Healthy() != nil })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err = b.PublishStory(ctx, Message{Body: []byte("in doubt")})
	if !errors.Is(err, news.ErrUnavailable) {
		t.Errorf("publish without a server: %v", err)
	}
	var number int
	if _, err := fmt.Sscanf(port[strings.LastIndex(port, ":"):], ":%d", &number); err != nil {
		t.Fatal(err)
	}
	startServer(t, dir, number)
	next(t, woken) // once, for whatever was missed
	eventually(t, "a story is accepted again", func() bool {
		return b.PublishStory(t.Context(), Message{Body: []byte("two")}) == nil
	})
	for string(next(t, got).Body) != "two" {
	}
	none(t, ended)
	eventually(t, "healthy again", func() bool { return b.Healthy() == nil })
}

func TestNoServer(t *testing.T) {
	t.Parallel()
	_, err := Open(t.Context(), Config{URL: "nats://user:secret@127.0.0.1:1", Patience: 300 * time.Millisecond})
	if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v", err)
	}
	if _, err := Open(t.Context(), Config{}); err == nil {
		t.Error("embedded without a folder")
	}
}

func TestDamagedFolderIsRefusedInWords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "jetstream"), []byte("not a folder"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{Dir: dir, Patience: time.Second})
	if err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v", err)
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	b := openIn(t, t.TempDir())
	var calls atomic.Int32
	entered, leave := make(chan struct{}, 20), make(chan struct{})
	cancel, err := b.OnWake("releases", func() {
		calls.Add(1)
		entered <- struct{}{}
		<-leave
	})
	if err != nil {
		t.Fatal(err)
	}
	wake := func(topic string) {
		t.Helper()
		if err := b.Wake(topic); err != nil {
			t.Fatal(err)
		}
	}
	wake("devices") // another topic
	wake("releases")
	next(t, entered)
	for range 10 {
		wake("releases")
	}
	if err := b.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	leave <- struct{}{}
	next(t, entered) // the ten are one or two calls
	close(leave)     // a third one may come at any time, and must not be waited for by cancel
	cancel()
	cancel()
	for len(entered) > 0 {
		<-entered
	}
	if n := calls.Load(); n < 2 || n > 4 {
		t.Errorf("%d calls", n)
	}
	wake("releases")
	none(t, entered)
}

func BenchmarkPubAckToHandler(b *testing.B) {
	bus, err := Open(b.Context(), Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer bus.Close()
	ctx, cancel := context.WithCancel(b.Context())
	at := make(chan time.Time, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = bus.ConsumeStories(ctx, func(context.Context, Message) func() Disposition {
			at <- time.Now()
			return news.Ack
		})
	}()
	var sum, worst time.Duration
	for b.Loop() {
		if err := bus.PublishStory(ctx, Message{Body: []byte("{}")}); err != nil {
			b.Fatal(err)
		}
		acked := time.Now()
		took := max(0, (<-at).Sub(acked))
		sum, worst = sum+took, max(worst, took)
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "µs/puback-to-handler")
	b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
	cancel()
	<-done
}
