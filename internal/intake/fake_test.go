package intake

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
)

// clock is the time of most tests.
func clock() time.Time { return time.Date(2024, 5, 6, 1, 31, 0, 0, time.UTC) }

// fakeStore keeps stories as the real one does, in memory.
type fakeStore struct {
	mu          sync.Mutex
	stories     map[string][]news.Story
	alerts      map[string][]news.Alert
	releases    []news.Release
	conflicts   int
	letters     map[string]news.DeadLetter
	handlings   map[uint64]int
	policies    news.Policies
	down        error // of every call
	crash       func(news.Story)
	saved       chan news.DeadLetter // when set: told of each dead letter
	storedSoFar int
}

func newFakeStore() *fakeStore {
	return &fakeStore{stories: map[string][]news.Story{}, alerts: map[string][]news.Alert{}, letters: map[string]news.DeadLetter{},
		handlings: map[uint64]int{}, policies: news.DefaultPolicies()}
}

func (f *fakeStore) break_(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = err
}

func (f *fakeStore) Ping(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.down
}

func (f *fakeStore) Policies(context.Context) (news.Policies, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.policies, f.down
}

func (f *fakeStore) StoreStory(_ context.Context, s news.Story,
	decide func(news.StoryPrior) (news.StoryEffects, error),
) (news.Story, news.StoryResult, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return news.Story{}, "", f.down
	}
	if f.crash != nil {
		f.crash(s)
	}
	known := f.stories[s.URI]
	prior := news.StoryPrior{Alerts: slices.Clone(f.alerts[s.URI])}
	if len(known) > 0 {
		prior.Latest = &known[len(known)-1]
	}
	if s.Version == 0 {
		s.Version = 1
		if prior.Latest != nil {
			if !s.Created.After(prior.Latest.Created) {
				return s, news.StoryOlder, nil
			}
			s.Version = prior.Latest.Version + 1
		}
	}
	for _, k := range known {
		if k.Version == s.Version && k.Hash == s.Hash {
			return k, news.StoryDuplicate, nil
		}
		if k.Version == s.Version {
			f.conflicts++
			return s, news.StoryConflict, nil
		}
	}
	if prior.Latest != nil && s.Version < prior.Latest.Version {
		return s, news.StoryOlder, nil
	}
	effects, err := decide(prior)
	if err != nil {
		return s, "", err
	}
	f.apply(s, effects)
	f.stories[s.URI] = append(known, s)
	f.storedSoFar++
	return s, news.StoryStored, nil
}

func (f *fakeStore) apply(s news.Story, e news.StoryEffects) {
	for _, c := range e.Changes {
		for i, a := range f.alerts[s.URI] {
			if a.ID == c.Alert.ID {
				f.alerts[s.URI][i] = f.released(c.Alert, c.Action.Release)
			}
		}
	}
	if e.Draft != nil {
		f.alerts[s.URI] = slices.Insert(f.alerts[s.URI], 0, f.released(*e.Draft, e.Release))
	}
}

// released inserts a release as the store does: with the story's next revision.
func (f *fakeStore) released(a news.Alert, r *news.Release) news.Alert {
	if r != nil {
		r.Revision = 1
		for _, other := range f.releases {
			if other.StoryURI == r.StoryURI {
				r.Revision = max(r.Revision, other.Revision+1)
			}
		}
		a.Revision = r.Revision
		f.releases = append(f.releases, *r)
	}
	return a
}

func (f *fakeStore) SaveDeadLetter(_ context.Context, d news.DeadLetter) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down != nil {
		return f.down
	}
	f.letters[d.ID] = d
	if f.saved != nil {
		f.saved <- d
	}
	return nil
}

func (f *fakeStore) DeadLetter(_ context.Context, id string) (news.DeadLetter, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d, ok := f.letters[id]
	if !ok {
		return d, news.ErrNotFound
	}
	return d, f.down
}

func (f *fakeStore) MarkReplayed(_ context.Context, id, note string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.letters[id]
	d.ReplayNote, d.ReplayedAt = note, clock()
	f.letters[id] = d
	return f.down
}

func (f *fakeStore) BeginHandling(_ context.Context, sequence uint64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handlings[sequence]++
	return f.handlings[sequence] - 1, f.down
}

func (f *fakeStore) EndHandling(ctx context.Context, sequence uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	delete(f.handlings, sequence)
	return f.down
}

func (f *fakeStore) story(t *testing.T, uri string) news.Story {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.stories[uri]) == 0 {
		t.Fatalf("no story %s", uri)
	}
	return f.stories[uri][len(f.stories[uri])-1]
}

func (f *fakeStore) onlyLetter(t *testing.T) news.DeadLetter {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.letters) != 1 {
		t.Fatalf("%d dead letters", len(f.letters))
	}
	for _, d := range f.letters {
		return d
	}
	panic("unreachable")
}

// fakeWaker remembers whom it woke.
type fakeWaker struct {
	mu     sync.Mutex
	topics []string
}

func (w *fakeWaker) Wake(topic string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics = append(w.topics, topic)
	return nil
}

// newIDs counts: id-1, id-2.
func newIDs() func() string {
	var mu sync.Mutex
	n := 0
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("id-%d", n)
	}
}

func newService(t *testing.T, store Store, change ...func(*Config)) *Service {
	t.Helper()
	c := Config{Store: store, Now: clock, NewID: newIDs()}
	for _, f := range change {
		f(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newDecoder(t testing.TB, hosts ...string) *Decoder {
	t.Helper()
	d, err := NewDecoder(hosts, clock)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// with is the shortest story, with changes; a nil value takes a field out.
func with(changes map[string]any) map[string]any {
	o := map[string]any{
		"uri": "https://news.example/rice", "headline": "Rice prices rise in Manila", "url": "https://news.example/rice",
		"regions": []string{"PH"}, "versioncreated": "2024-05-06T01:30:00Z",
	}
	maps.Copy(o, changes)
	for k, v := range changes {
		if v == nil {
			delete(o, k)
		}
	}
	return o
}

func event(t testing.TB, o any) news.StoryEvent {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return news.StoryEvent{Subject: "stories.published", Body: raw, Sequence: 1, Deliveries: 1, At: clock()}
}
