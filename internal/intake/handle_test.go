package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
)

func TestHandleStores(t *testing.T) {
	t.Parallel()
	store, waker := newFakeStore(), &fakeWaker{}
	s := newService(t, store, func(c *Config) { c.Waker = waker })
	if d := s.Handle(t.Context(), event(t, with(nil))); d != news.Ack() {
		t.Fatalf("got %+v", d)
	}
	if got := store.story(t, "https://news.example/rice"); got.Version != 1 || got.Headline != "Rice prices rise in Manila" {
		t.Errorf("got %+v", got)
	}
	// A notice is auto by default: it goes at once.
	if diff := cmp.Diff([]string{"releases", "stories"}, waker.topics); diff != "" {
		t.Error(diff)
	}
	// The same again: done, nobody is woken.
	if d := s.Handle(t.Context(), event(t, with(map[string]any{"version": 1}))); d != news.Ack() || len(waker.topics) != 2 {
		t.Errorf("got %+v, woke %v", d, waker.topics)
	}
	if got, want := s.Figures(), (Figures{Stored: 1, Duplicates: 1}); got != want {
		t.Errorf("got %+v", got)
	}
}

func TestHandleWakesStopsFirst(t *testing.T) {
	t.Parallel()
	store, waker := newFakeStore(), &fakeWaker{}
	s := newService(t, store, func(c *Config) { c.Waker = waker })
	s.Handle(t.Context(), event(t, with(map[string]any{"version": 1})))
	waker.topics = nil
	s.Handle(t.Context(), event(t, with(map[string]any{"version": 2, "pubstatus": "canceled"})))
	if diff := cmp.Diff([]string{"control", "releases", "stories"}, waker.topics); diff != "" {
		t.Error(diff)
	}
	if len(store.releases) != 2 || store.releases[1].Kind != news.ReleaseKill || store.releases[1].Revision != 2 {
		t.Errorf("releases %+v", store.releases)
	}
}

func TestHandleSetsAside(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	store := newFakeStore()
	s := newService(t, store, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	ev := event(t, with(map[string]any{"headline": "Secret <script>", "regions": []string{"JP", "Atlantis"}}))
	ev.Headers, ev.Sequence = map[string][]string{"ce-id": {"1"}}, 77
	d := s.Handle(t.Context(), ev)
	if !d.Done || d.Reason == "" || strings.Contains(d.Reason, "Atlantis") {
		t.Errorf("got %+v", d)
	}
	got := store.onlyLetter(t)
	want := news.DeadLetter{ID: "id-1", ReceivedAt: clock(), Source: "nats", Subject: "stories.published", Sequence: 77, Headers: ev.Headers, Body: ev.Body,
		Problems: []news.Problem{{Path: "regions/1", Message: "“Atlantis” is not a known region; write a UN M.49 area (035), a country (JP), a subdivision (JP-13) or a group (ASEAN)"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if log := logged.String(); strings.Contains(log, "Secret") || strings.Contains(log, "Atlantis") || !strings.Contains(log, "regions/1") {
		t.Errorf("log: %s", log)
	}
	// The store's own verdict on content counts as well.
	s2 := newService(t, &invalidStore{newFakeStore()})
	if d := s2.Handle(t.Context(), event(t, with(nil))); !d.Done || d.Reason == "" {
		t.Errorf("got %+v", d)
	}
}

// invalidStore refuses every story.
type invalidStore struct{ *fakeStore }

func (*invalidStore) StoreStory(context.Context, news.Story, func(news.StoryPrior) (news.StoryEffects, error)) (news.Story, news.StoryResult, error) {
	return news.Story{}, "", fmt.Errorf("store: %w", news.Invalid("uri", "is refused"))
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for deliveries, seconds := range map[int]float64{0: 1, 1: 1, 2: 5, 3: 30, 4: 120, 5: 300, 6: 300, 1 << 30: 300} {
		for random, factor := range map[float64]float64{0: 0.8, 0.5: 1, 1: 1.2} {
			if got := backoff(deliveries, random).Seconds(); got < seconds*factor-0.001 || got > seconds*factor+0.001 {
				t.Errorf("delivery %d, random %v: %v s", deliveries, random, got)
			}
		}
	}
}

func TestStoreFaultsPutOff(t *testing.T) {
	t.Parallel()
	for _, ev := range []news.StoryEvent{event(t, with(nil)), event(t, with(map[string]any{"regions": []string{"XX"}}))} {
		for deliveries, want := range map[int]time.Duration{1: time.Second, 2: 5 * time.Second, 9: 300 * time.Second} {
			store := newFakeStore()
			store.break_(errors.New("the disk is full"))
			s := newService(t, store)
			ev.Deliveries = deliveries
			d := s.Handle(t.Context(), ev)
			if d.Done || d.After < want*8/10 || d.After > want*12/10 {
				t.Errorf("delivery %d: %+v", deliveries, d)
			}
			if len(store.letters) != 0 {
				t.Error("a fault of the store is no fault of the content")
			}
		}
	}
}

// After a fault of the store the next story waits for it, and goes at once
// when it is back, however long that takes.
func TestOutageCostsNoStoryItsTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore()
		s := newService(t, store)
		store.break_(news.ErrUnavailable)
		if d := s.Handle(t.Context(), event(t, with(nil))); d.Done {
			t.Fatalf("got %+v", d)
		}
		started := time.Now()
		done := make(chan news.Disposition)
		go func() { done <- s.Handle(t.Context(), event(t, with(nil))) }()
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		select {
		case d := <-done:
			t.Fatalf("did not wait: %+v", d)
		default:
		}
		store.break_(nil)
		if d := <-done; d != news.Ack() {
			t.Fatalf("got %+v", d)
		}
		if late := time.Since(started) - 20*time.Minute; late > 300*time.Millisecond {
			t.Errorf("stored %s after the store was back", late)
		}
	})
}

func TestEndingPutsOffAtOnce(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	s := newService(t, store)
	store.break_(news.ErrUnavailable)
	s.Handle(t.Context(), event(t, with(nil)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d := s.Handle(ctx, event(t, with(nil))); d != news.Later(0) {
		t.Errorf("waiting for the store: %+v", d)
	}
	store = newFakeStore()
	store.break_(context.Canceled)
	s = newService(t, store)
	if d := s.Handle(ctx, event(t, with(nil))); d != news.Later(0) {
		t.Errorf("within the store: %+v", d)
	}
}

func TestHandlingIsCountedFromTheSecondDelivery(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	s := newService(t, store)
	store.crash = func(news.Story) {
		if len(store.handlings) != 0 {
			t.Error("the first delivery is counted: it costs a write")
		}
	}
	s.Handle(t.Context(), event(t, with(nil)))
	counted := false
	store.crash = func(news.Story) { counted = store.handlings[1] == 1 }
	ev := event(t, with(nil))
	ev.Deliveries = 2
	s.Handle(t.Context(), ev)
	if !counted || len(store.handlings) != 0 {
		t.Errorf("counted %v, left %v", counted, store.handlings)
	}
}

// A process that is stopped in the middle of a story, often, is no crash of the
// story's.
func TestStopIsNoCrash(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	s := newService(t, store)
	ev := event(t, with(nil))
	for delivery := 2; delivery <= 8; delivery++ {
		ev.Deliveries = delivery
		ctx, cancel := context.WithCancel(t.Context())
		store.crash = func(news.Story) { cancel() }
		if d := s.Handle(ctx, ev); d.Reason != "" {
			t.Fatalf("delivery %d: set aside: %s", delivery, d.Reason)
		}
	}
	if len(store.handlings) != 0 || len(store.letters) != 0 {
		t.Errorf("left %v, dead letters %d", store.handlings, len(store.letters))
	}
}

// A story that takes the process down: the count is what is left in the store.
func TestFiveCrashesSetAside(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	ev := event(t, with(nil))
	for delivery := 2; delivery <= 5; delivery++ { // the first is not counted
		ev.Deliveries = delivery
		// What a killed process leaves: a start without an end.
		crashes, err := store.BeginHandling(t.Context(), ev.Sequence)
		if err != nil || crashes != delivery-2 {
			t.Fatalf("%d crashes, %v", crashes, err)
		}
	}
	ev.Deliveries = 6
	s := newService(t, store)
	store.crash = func(news.Story) { t.Error("handled a sixth time") }
	if d := s.Handle(t.Context(), ev); !d.Done || d.Reason == "" {
		t.Errorf("got %+v", d)
	}
	if got := store.onlyLetter(t); !strings.Contains(got.Problems[0].Message, "5 times") {
		t.Errorf("got %+v", got.Problems)
	}
	if len(store.handlings) != 0 {
		t.Errorf("left %v", store.handlings)
	}
}

func TestPanicIsCountedLikeACrash(t *testing.T) {
	t.Parallel()
	var logged bytes.Buffer
	store := newFakeStore()
	store.crash = func(s news.Story) { panic("cannot bear " + s.Headline) }
	s := newService(t, store, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&logged, nil)) })
	ev := event(t, with(nil))
	var waited time.Duration
	for delivery := 1; ; delivery++ {
		ev.Deliveries = delivery
		d := s.Handle(t.Context(), ev)
		if d.Done {
			if delivery != maxCrashes+1 {
				t.Errorf("set aside at delivery %d", delivery)
			}
			break
		}
		waited += d.After
	}
	if waited > 2*time.Second { // T14: a dead letter within 5 s
		t.Errorf("set aside after %s", waited)
	}
	if got := s.Figures(); got.Panics != maxCrashes || got.DeadLetters != 1 {
		t.Errorf("got %+v", got)
	}
	if strings.Contains(logged.String(), "Manila") {
		t.Error("the log says what the story says")
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	s := newService(t, store, func(c *Config) { c.StoryHosts = []string{"other.example"} })
	s.Handle(t.Context(), event(t, with(nil)))
	id := store.onlyLetter(t).ID
	if _, _, err := s.Replay(t.Context(), id); !errors.Is(err, news.ErrInvalid) {
		t.Errorf("still refused: %v", err)
	}
	if note := store.onlyLetter(t).ReplayNote; !strings.HasPrefix(note, "still refused: url: leads to a host") {
		t.Errorf("note %q", note)
	}
	mended := newService(t, store)
	story, result, err := mended.Replay(t.Context(), id)
	if err != nil || result != news.StoryStored || story.Version != 1 {
		t.Fatalf("%+v, %s, %v", story, result, err)
	}
	if note := store.onlyLetter(t).ReplayNote; note != "stored as version 1" {
		t.Errorf("note %q", note)
	}
	if _, _, err := mended.Replay(t.Context(), "nothing"); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}

func TestDeadLettersAreBounded(t *testing.T) {
	t.Parallel()
	store := newFakeStore()
	s := newService(t, store)
	d := s.Handle(t.Context(), news.StoryEvent{Body: bytes.Repeat([]byte(" "), 2*MaxBody), Deliveries: 1,
		Headers: map[string][]string{"x": {strings.Repeat("x", 60<<10)}}})
	got := store.onlyLetter(t)
	if !d.Done || len(got.Body) != MaxBody || got.Headers != nil || got.Problems[0].Path != "headers" {
		t.Errorf("%d bytes, %d headers, %+v", len(got.Body), len(got.Headers), got.Problems)
	}
}
