package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func TestStoryRoundTrip(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		want := story("https://news.example/a", 3)
		got, result, err := s.StoreStory(ctx, want, noEffects)
		if err != nil || result != news.StoryStored {
			t.Fatalf("%s, %v", result, err)
		}
		want.StoredAt = begin
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("returned (-want +got):\n%s", diff)
		}
		read, err := s.Story(ctx, want.URI)
		must(t, err)
		if diff := cmp.Diff(want, read); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
		bare := news.Story{URI: "https://news.example/bare", Status: news.Usable, Headline: "h", URL: "https://news.example/bare",
			Regions: []string{"JP"}, Created: begin, Hash: "x"}
		if _, _, err := s.StoreStory(ctx, bare, noEffects); err != nil {
			t.Fatal(err)
		}
		read, err = s.StoryVersion(ctx, bare.URI, 1)
		must(t, err)
		bare.Version, bare.StoredAt = 1, begin.Add(time.Microsecond)
		if diff := cmp.Diff(bare, read); diff != "" {
			t.Errorf("bare (-want +got):\n%s", diff)
		}
		if _, err := s.Story(ctx, "https://news.example/none"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an unknown story: %v", err)
		}
		for _, strange := range []string{"", "\x00", "\xff\xfe", "' OR 1=1 --"} {
			if _, err := s.Story(ctx, strange); !errors.Is(err, news.ErrNotFound) && !errors.Is(err, news.ErrInvalid) {
				t.Errorf("%q: %v", strange, err)
			}
		}
	})
}

func TestStoryVersions(t *testing.T) {
	const uri = "https://news.example/v"
	at := func(version int64, minutes int, hash string) news.Story {
		st := story(uri, version)
		st.Created, st.Hash = begin.Add(time.Duration(minutes)*time.Minute), hash
		return st
	}
	steps := []struct {
		name    string
		in      news.Story
		result  news.StoryResult
		version int64
	}{
		{"first without a version", at(0, 1, "a"), news.StoryStored, 1},
		{"again", at(0, 1, "a"), news.StoryDuplicate, 1},
		{"again, with its version", at(1, 1, "a"), news.StoryDuplicate, 1},
		{"created later: next", at(0, 5, "b"), news.StoryStored, 2},
		{"created before: older", at(0, 4, "c"), news.StoryOlder, 2},
		{"the first one again: older", at(0, 1, "a"), news.StoryOlder, 2},
		{"same instant, other content", at(0, 5, "d"), news.StoryConflict, 2},
		{"a jump", at(7, 6, "e"), news.StoryStored, 7},
		{"between: older", at(4, 3, "f"), news.StoryOlder, 4},
		{"same version, other content", at(7, 6, "g"), news.StoryConflict, 7},
		{"that again", at(7, 6, "g"), news.StoryConflict, 7},
		{"an old version again", at(2, 5, "b"), news.StoryDuplicate, 2},
		{"an old version with other content", at(2, 5, "h"), news.StoryConflict, 2},
		{"next without a version", at(0, 9, "i"), news.StoryStored, 8},
	}
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		stored := 0
		for _, step := range steps {
			asked := false
			got, result, err := s.StoreStory(ctx, step.in, func(p news.StoryPrior) (news.StoryEffects, error) {
				asked = true
				if (p.Latest == nil) != (stored == 0) {
					t.Errorf("%s: prior %v after %d stored", step.name, p.Latest, stored)
				}
				return news.StoryEffects{}, nil
			})
			if err != nil || result != step.result || got.Version != step.version {
				t.Fatalf("%s: %s version %d, %v; want %s %d", step.name, result, got.Version, err, step.result, step.version)
			}
			if asked != (result == news.StoryStored) {
				t.Errorf("%s: decide asked %v", step.name, asked)
			}
			if asked {
				stored++
			}
		}
		conflicts, err := s.StoryConflicts(ctx, 10)
		must(t, err)
		var kept []string
		for _, c := range conflicts {
			kept = append(kept, fmt.Sprintf("%d %s/%s", c.Version, c.Known, c.Received.Hash))
		}
		slices.Sort(kept)
		if diff := cmp.Diff([]string{"2 b/d", "2 b/h", "7 e/g"}, kept); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		want := at(7, 6, "g")
		for _, c := range conflicts {
			if c.Version == 7 && !cmp.Equal(c.Received, want) {
				t.Errorf("the received body is not whole:\n%s", cmp.Diff(want, c.Received))
			}
		}
	})
}

func TestStoryEffects(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		const uri = "https://news.example/e"
		d := subscribe(t, s, wishes("JP"))
		draft := alert(uri)
		draft.State, draft.StoryVersion = news.AlertSending, 0
		before, err := s.Control(ctx)
		must(t, err)
		_, _, err = s.StoreStory(ctx, story(uri, 0), func(news.StoryPrior) (news.StoryEffects, error) {
			return news.StoryEffects{Draft: &draft, Release: release(draft, news.ReleaseAlert)}, nil
		})
		must(t, err)
		a, err := s.Alert(ctx, draft.ID)
		must(t, err)
		if a.Revision != 1 || a.StoryVersion != 1 || a.State != news.AlertSending {
			t.Errorf("alert %+v", a)
		}
		releases, err := s.ReleasesOfStory(ctx, uri)
		must(t, err)
		if len(releases) != 1 || releases[0].Revision != 1 || releases[0].Changes[d.Cell] != d.Change {
			t.Fatalf("releases %+v", releases)
		}
		if after, _ := s.Control(ctx); after == before {
			t.Error("a release did not move the stop counter")
		}
		// The next version is canceled: the alert is killed with a retraction.
		next := story(uri, 2)
		next.Status = news.Canceled
		_, _, err = s.StoreStory(ctx, next, func(p news.StoryPrior) (news.StoryEffects, error) {
			if len(p.Alerts) != 1 || p.Latest == nil || p.Latest.Version != 1 {
				t.Errorf("prior %+v", p)
			}
			killed := p.Alerts[0]
			killed.State, killed.Reason = news.AlertKilled, "wrong"
			return news.StoryEffects{Changes: []news.AlertChange{{Alert: killed,
				Action: news.AlertAction{Stop: true, Release: release(killed, news.ReleaseKill), Audit: "kill", By: news.SystemName}}}}, nil
		})
		must(t, err)
		releases, err = s.ReleasesOfAlert(ctx, draft.ID)
		must(t, err)
		if len(releases) != 2 || releases[0].State != news.ReleaseStopped || releases[1].Kind != news.ReleaseKill || releases[1].Revision != 2 {
			t.Errorf("after the kill: %+v", releases)
		}
		if a, _ = s.Alert(ctx, draft.ID); a.State != news.AlertKilled || a.Revision != 2 {
			t.Errorf("killed alert %+v", a)
		}
		audit, err := s.Audit(ctx, 10)
		must(t, err)
		words := []string{}
		for _, e := range audit {
			words = append(words, e.Action)
		}
		slices.Sort(words)
		if diff := cmp.Diff([]string{"draft", "kill", "send"}, words); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

func TestStoryDecideFails(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		mine := fmt.Errorf("mine: %w", news.ErrForbidden)
		_, _, err := s.StoreStory(ctx, story("https://news.example/f", 1), func(news.StoryPrior) (news.StoryEffects, error) {
			return news.StoryEffects{}, mine
		})
		if !same(err, mine) {
			t.Errorf("got %v, want the callback's own error", err)
		}
		if _, err := s.Story(ctx, "https://news.example/f"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the story is there: %v", err)
		}
	})
}

// Many processes handle the same event at once: its effects happen once.
func TestStoryEffectsOnce(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		const uri = "https://news.example/once"
		results := make([]news.StoryResult, 16)
		errs := make([]error, len(results))
		var wg sync.WaitGroup
		for i := range results {
			wg.Add(1)
			go func() {
				defer wg.Done()
				draft := alert(uri)
				draft.State = news.AlertSending
				_, results[i], errs[i] = stores[i%2].StoreStory(ctx, story(uri, 1), func(news.StoryPrior) (news.StoryEffects, error) {
					return news.StoryEffects{Draft: &draft, Release: release(draft, news.ReleaseAlert)}, nil
				})
			}()
		}
		wg.Wait()
		must(t, errors.Join(errs...))
		count := map[news.StoryResult]int{}
		for _, r := range results {
			count[r]++
		}
		if count[news.StoryStored] != 1 || count[news.StoryDuplicate] != len(results)-1 {
			t.Errorf("results %v", count)
		}
		releases, err := stores[0].ReleasesOfStory(ctx, uri)
		must(t, err)
		alerts, err := stores[1].AlertsOfStory(ctx, uri)
		must(t, err)
		if len(releases) != 1 || len(alerts) != 1 {
			t.Errorf("%d alerts, %d releases", len(alerts), len(releases))
		}
	})
}

// StoredAt grows in the order of commits: whoever reads on from the newest
// StoredAt seen misses nothing.
func TestStoredAtIsACursor(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		const writers, each = 6, 15
		done := make(chan error, writers)
		for w := range writers {
			go func() {
				var err error
				for i := range each {
					_, _, e := s.StoreStory(ctx, story(fmt.Sprintf("https://news.example/%d/%d", w, i), 1), noEffects)
					err = errors.Join(err, e)
				}
				done <- err
			}()
		}
		seen, cursor := map[string]bool{}, time.Time{}
		look := func() {
			list, err := s.RecentStories(ctx, news.StoryFilter{StoredAfter: cursor, Limit: 1000})
			must(t, err)
			for _, st := range list {
				seen[st.URI] = true
				if st.StoredAt.After(cursor) {
					cursor = st.StoredAt
				}
			}
		}
		for finished := 0; finished < writers; {
			select {
			case err := <-done:
				must(t, err)
				finished++
			default:
				look()
			}
		}
		look()
		if len(seen) != writers*each {
			t.Errorf("the cursor saw %d of %d stories", len(seen), writers*each)
		}
	})
}

func TestRecentStories(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		for i, uri := range []string{"a", "b", "c"} {
			st := story(uri, 1)
			st.Created = begin.Add(time.Duration(i) * time.Hour)
			if uri == "b" {
				st.Status = news.Withheld
			}
			_, _, err := s.StoreStory(ctx, st, noEffects)
			must(t, err)
			c.add(time.Minute)
		}
		newer := story("a", 2)
		newer.Created = begin.Add(10 * time.Hour)
		_, _, err := s.StoreStory(ctx, newer, noEffects)
		must(t, err)
		for _, x := range []struct {
			name   string
			filter news.StoryFilter
			want   []string
		}{
			{"all, newest first, newest versions", news.StoryFilter{}, []string{"a2", "c1", "b1"}},
			{"limit", news.StoryFilter{Limit: 1}, []string{"a2"}},
			{"usable", news.StoryFilter{Status: news.Usable}, []string{"a2", "c1"}},
			{"created since", news.StoryFilter{CreatedSince: begin.Add(2 * time.Hour)}, []string{"a2", "c1"}},
			{"stored after", news.StoryFilter{StoredAfter: begin.Add(time.Minute)}, []string{"a2", "c1"}},
			{"stored until", news.StoryFilter{StoredUntil: begin.Add(2 * time.Minute)}, []string{"c1", "b1"}},
		} {
			list, err := s.RecentStories(ctx, x.filter)
			must(t, err)
			got := []string{}
			for _, st := range list {
				got = append(got, fmt.Sprintf("%s%d", st.URI, st.Version))
			}
			if diff := cmp.Diff(x.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", x.name, diff)
			}
		}
	})
}

func TestDeadLetters(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		d := news.DeadLetter{ID: id(), ReceivedAt: begin, Source: "nats", Subject: "stories.published", Sequence: 7,
			Headers: map[string][]string{"ce-id": {"\x00bad\xff"}}, Body: []byte("\x00\xff{"),
			Problems: []news.Problem{{Path: "regions/1", Message: "is not a region: \"XX\""}}}
		must(t, s.SaveDeadLetter(ctx, d))
		again := d
		again.ID = id()
		must(t, s.SaveDeadLetter(ctx, again))
		must(t, s.SaveDeadLetter(ctx, news.DeadLetter{Source: "http", Subject: "bad \x00\xff"}))
		must(t, s.SaveDeadLetter(ctx, news.DeadLetter{Source: "http"}))
		list, err := s.DeadLetters(ctx, 10)
		must(t, err)
		if len(list) != 3 {
			t.Fatalf("%d letters, want 3 (one sequence once)", len(list))
		}
		got, err := s.DeadLetter(ctx, d.ID)
		must(t, err)
		d.Headers = map[string][]string{"ce-id": {"\x00bad\uFFFD"}} // JSON has no invalid UTF-8
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		c.add(time.Hour)
		must(t, s.MarkReplayed(ctx, d.ID, "stored"))
		got, err = s.DeadLetter(ctx, d.ID)
		if err != nil || !got.ReplayedAt.Equal(begin.Add(time.Hour)) || got.ReplayNote != "stored" {
			t.Errorf("replayed %v %q, %v", got.ReplayedAt, got.ReplayNote, err)
		}
		if err := s.MarkReplayed(ctx, id(), ""); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown letter: %v", err)
		}
	})
}

func TestHandlings(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		for crashes := range 4 { // each start is another process: the last one crashed
			s := storetest.Open(t, store.Config{URL: url})
			if n, err := s.BeginHandling(ctx, 1<<40); err != nil || n != crashes {
				t.Fatalf("after %d crashes: %d, %v", crashes, n, err)
			}
			if n, err := s.BeginHandling(ctx, 5); err != nil || n != 0 {
				t.Fatalf("another event: %d, %v", n, err)
			}
			must(t, s.EndHandling(ctx, 5))
		}
		s := storetest.Open(t, store.Config{URL: url})
		must(t, s.EndHandling(ctx, 1<<40))
		if n, err := s.BeginHandling(ctx, 1<<40); err != nil || n != 0 {
			t.Errorf("after the end: %d, %v", n, err)
		}
	})
}
