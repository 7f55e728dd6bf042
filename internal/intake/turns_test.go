package intake

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"

	"dateline/internal/news"
)

// held is a store in which storing a story waits for its gate.
type held struct {
	*fakeStore
	mu     sync.Mutex
	gates  map[string]chan struct{} // by headline
	begun  []string
	stored []string
}

func newHeld(headlines ...string) *held {
	h := &held{fakeStore: newFakeStore(), gates: map[string]chan struct{}{}}
	for _, headline := range headlines {
		h.gates[headline] = make(chan struct{})
	}
	return h
}

func (h *held) StoreStory(ctx context.Context, s news.Story, decide func(news.StoryPrior) (news.StoryEffects, error)) (news.Story, news.StoryResult, error) {
	h.mu.Lock()
	h.begun = append(h.begun, s.Headline)
	gate := h.gates[s.Headline]
	h.mu.Unlock()
	if gate != nil {
		<-gate
	}
	h.mu.Lock()
	h.stored = append(h.stored, s.Headline)
	h.mu.Unlock()
	return h.fakeStore.StoreStory(ctx, s, decide)
}

func (h *held) went() (begun, stored []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.begun), slices.Clone(h.stored)
}

func about(t *testing.T, uri, headline string, version int) news.StoryEvent {
	t.Helper()
	ev := event(t, with(map[string]any{"uri": uri, "headline": headline, "version": version}))
	ev.Deliveries = 1
	return ev
}

// A story that waits holds up its own next version and nobody else's.
func TestVersionsOfAStoryStayInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newHeld("first")
		s := newService(t, store)
		done := make(chan news.Disposition, 3)
		for _, ev := range []news.StoryEvent{
			about(t, "https://news.example/a", "first", 1),
			about(t, "https://news.example/a", "second", 2),
			about(t, "https://news.example/b", "other", 1),
		} {
			finish := s.Take(t.Context(), ev)
			go func() { done <- finish() }()
		}
		synctest.Wait()
		if begun, stored := store.went(); !slices.Contains(begun, "first") || slices.Contains(begun, "second") || !slices.Equal(stored, []string{"other"}) {
			t.Fatalf("begun %v, stored %v", begun, stored)
		}
		close(store.gates["first"])
		for range 3 {
			if d := <-done; d != news.Ack() {
				t.Error(d)
			}
		}
		if _, stored := store.went(); !slices.Equal(stored, []string{"other", "first", "second"}) {
			t.Errorf("stored %v", stored)
		}
		if len(s.turns.last) != 0 {
			t.Errorf("%d turns are left behind", len(s.turns.last))
		}
	})
}

// What may have taken the process down is handled when nothing else is: else the
// others would be counted as guilty too, and after five crashes set aside.
func TestSuspectsAreHandledAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newHeld("0", "1", "2", "suspect")
		s := newService(t, store)
		var all sync.WaitGroup
		for n := range 3 {
			finish := s.Take(t.Context(), about(t, "https://news.example/"+strconv.Itoa(n), strconv.Itoa(n), 1))
			all.Go(func() { finish() })
		}
		suspect := about(t, "https://news.example/suspect", "suspect", 1)
		suspect.Deliveries = 2
		taken := make(chan struct{})
		go func() {
			s.Take(t.Context(), suspect)
			close(taken)
		}()
		synctest.Wait()
		if begun, _ := store.went(); len(begun) != 3 || slices.Contains(begun, "suspect") {
			t.Fatalf("begun %v", begun)
		}
		for n := range 3 {
			close(store.gates[strconv.Itoa(n)])
		}
		all.Wait()
		synctest.Wait()
		if begun, _ := store.went(); !slices.Contains(begun, "suspect") {
			t.Fatal("the suspect waits for nobody")
		}
		select {
		case <-taken: // then the next would be taken beside it
			t.Fatal("Take came back before the suspect was handled")
		default:
		}
		close(store.gates["suspect"])
		<-taken
	})
}
