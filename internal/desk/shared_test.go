package desk

import (
	"errors"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
)

// Many pages, one count: anew when the text changes or the time has passed.
func TestReachIsCountedOnceForAllPages(t *testing.T) {
	l := newLobby(t)
	var counts atomic.Int32
	l.pages.reach = func(news.Alert) Reach { counts.Add(1); return Reach{Devices: 7} }
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {testStory().URI}})
	var desks sync.WaitGroup
	for range 20 {
		desks.Go(func() { l.read(t, ann, to) })
	}
	desks.Wait()
	if got := counts.Load(); got != 1 {
		t.Errorf("20 pages counted %d times", got)
	}
	l.press(t, ann, to+"/edit", url.Values{"audience": {"JP"}, "level": {"flash"}})
	l.read(t, ann, to)
	if got := counts.Load(); got != 2 {
		t.Errorf("after a change %d counts", got)
	}
	l.pass(reachFresh)
	l.read(t, ann, to)
	if got := counts.Load(); got != 3 {
		t.Errorf("later %d counts", got)
	}
}

func TestShared(t *testing.T) {
	now, broken := noon, errors.New("broken")
	s := newShared[int](time.Second, func() time.Time { return now })
	made := 0
	ask := func(key string, fails error) (int, error) {
		return s.get(key, func() (int, error) { made++; return made, fails })
	}
	for n, step := range []struct {
		key   string
		fails error
		pass  time.Duration
		want  int
	}{{"a", broken, 0, 1}, {"a", nil, 0, 2}, {"a", nil, 0, 2}, {"b", nil, 0, 3}, {"a", nil, time.Second, 4}} {
		now = now.Add(step.pass)
		if got, err := ask(step.key, step.fails); got != step.want || !errors.Is(err, step.fails) {
			t.Errorf("step %d: %d, %v, want %d", n, got, err, step.want)
		}
	}
	now = now.Add(time.Second)
	if _, err := ask("c", nil); err != nil || len(s.known) != 1 {
		t.Errorf("%d are kept, %v", len(s.known), err)
	}
}

// Who asks since a moment gets nothing that was begun before it, however fresh;
// the others go on sharing.
func TestSharedSince(t *testing.T) {
	now := noon
	s := newShared[int](time.Second, func() time.Time { return now })
	made := 0
	slow := func() (int, error) { made++; now = now.Add(100 * time.Millisecond); return made, nil }
	for n, step := range []struct {
		since time.Duration
		want  int
	}{{0, 1}, {0, 1}, {50 * time.Millisecond, 2}, {50 * time.Millisecond, 2}, {0, 2}, {100 * time.Millisecond, 2}, {101 * time.Millisecond, 3}} {
		if got, _ := s.since(noon.Add(step.since), "a", slow); got != step.want {
			t.Errorf("step %d: %d, want %d", n, got, step.want)
		}
	}
}
