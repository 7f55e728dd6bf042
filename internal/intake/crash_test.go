package intake

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/bus"
	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

var _ Store = (*store.Store)(nil)

const (
	victimFolder = "DATELINE_TEST_VICTIM"
	victimPoint  = "DATELINE_TEST_POINT"
)

// TestMain can be the process that is killed in the middle of handling a story.
func TestMain(m *testing.M) {
	if dir := os.Getenv(victimFolder); dir != "" {
		if err := beVictim(dir, os.Getenv(victimPoint)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// realLine is the bus, the store and the intake in a folder.
type realLine struct {
	bus     *bus.Bus
	store   *store.Store
	service *Service
}

func openLine(ctx context.Context, dir string) (*realLine, error) {
	db, err := store.Open(ctx, store.Config{URL: "sqlite:" + filepath.Join(dir, "dateline.db"), SealKey: storetest.SealKey()})
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx); err != nil {
		return nil, err
	}
	b, err := bus.Open(ctx, bus.Config{Dir: filepath.Join(dir, "nats")})
	if err != nil {
		return nil, err
	}
	s, err := New(Config{Store: db, Waker: b})
	return &realLine{bus: b, store: db, service: s}, err
}

func (l *realLine) close() {
	l.bus.Close()
	_ = l.store.Close()
}

// beVictim handles stories, tells when it is at the point, and waits there for
// its end.
func beVictim(dir, point string) error {
	ctx := context.Background()
	l, err := openLine(ctx, dir)
	if err != nil {
		return err
	}
	there := func() {
		fmt.Println("there")
		select {}
	}
	if point == "before commit" {
		if l.service, err = New(Config{Store: &trap{l.store, there}, Waker: l.bus}); err != nil {
			return err
		}
	}
	return l.bus.ConsumeStories(ctx, func(ctx context.Context, m bus.Message) func() bus.Disposition {
		finish := l.service.Take(ctx, m)
		return func() bus.Disposition {
			if d := finish(); d.Reason != "" {
				fmt.Println("set aside")
			}
			there()
			panic("unreachable")
		}
	})
}

// trap is a store in which storing a story never ends.
type trap struct {
	*store.Store
	there func()
}

func (s *trap) StoreStory(context.Context, news.Story, func(news.StoryPrior) (news.StoryEffects, error)) (news.Story, news.StoryResult, error) {
	s.there()
	panic("unreachable")
}

// C7 and C8: the process is killed before or after the transaction commits, but
// before the story is acknowledged. It comes again, and its effects are there
// once.
func TestKilledWhileHandling(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"before commit", "after commit"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := openLine(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			story := event(t, with(map[string]any{"versioncreated": time.Now().UTC()}))
			if err := l.bus.PublishStory(t.Context(), news.StoryEvent{Body: story.Body}); err != nil {
				t.Fatal(err)
			}
			l.close()
			if said := killAt(t, dir, point); said != "there" {
				t.Fatalf("the victim said %q", said)
			}

			l, err = openLine(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
			defer cancel()
			var delivery int
			var d news.Disposition
			if err := l.bus.ConsumeStories(ctx, func(ctx context.Context, m bus.Message) func() bus.Disposition {
				finish := l.service.Take(ctx, m)
				return func() bus.Disposition {
					delivery, d = m.Deliveries, finish()
					cancel()
					return d
				}
			}); err != nil {
				t.Fatal(err)
			}
			// The server may have forgotten that it delivered the story before.
			if d != news.Ack() || delivery > 2 {
				t.Fatalf("delivery %d: %+v", delivery, d)
			}
			releases, err := l.store.ReleasesOfStory(t.Context(), "https://news.example/rice")
			if err != nil || len(releases) != 1 {
				t.Errorf("%d releases, %v", len(releases), err)
			}
			if crashes, err := l.store.BeginHandling(t.Context(), 1); err != nil || crashes != 0 {
				t.Errorf("%d crashes left in the count, %v", crashes, err)
			}
		})
	}
}

// killAt runs this test binary as the victim, kills it at the point, and gives
// what it said first.
func killAt(t *testing.T, dir, point string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimFolder+"="+dir, victimPoint+"="+point)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed: always an error
	return lines.Text()
}

// T14 with real processes: a story that takes down each process that handles it
// is set aside by the sixth.
func TestT14_StoryThatKillsTheProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := openLine(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	story := event(t, with(map[string]any{"versioncreated": time.Now().UTC()}))
	if err := l.bus.PublishStory(t.Context(), news.StoryEvent{Body: story.Body}); err != nil {
		t.Fatal(err)
	}
	l.close()
	killed := 0
	for killAt(t, dir, "before commit") == "there" {
		if killed++; killed > maxCrashes {
			t.Fatalf("%d processes were killed", killed)
		}
	}
	// Published while nobody ran, its first handling was counted, too.
	if killed != maxCrashes && killed != maxCrashes-1 {
		t.Errorf("set aside after %d", killed)
	}
	if l, err = openLine(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	defer l.close()
	letters, err := l.store.DeadLetters(t.Context(), 10)
	if err != nil || len(letters) != 1 || !strings.Contains(letters[0].Problems[0].Message, "took the process down") {
		t.Errorf("%+v, %v", letters, err)
	}
}

// A story's life on both engines, with the real transitions of its alert.
func TestLifeOfAStory(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.Store) {
		s := newService(t, db, func(c *Config) { c.Now, c.NewID = nil, nil })
		send := func(changes map[string]any) news.Disposition {
			base := map[string]any{"versioncreated": time.Now().UTC()}
			for k, v := range changes {
				base[k] = v
			}
			return s.Handle(t.Context(), event(t, with(base)))
		}
		const uri = "https://news.example/rice"
		alert := func() news.Alert {
			t.Helper()
			alerts, err := db.AlertsOfStory(t.Context(), uri)
			if err != nil || len(alerts) != 1 {
				t.Fatalf("%d alerts, %v", len(alerts), err)
			}
			return alerts[0]
		}
		send(map[string]any{"version": 1})
		if a := alert(); a.State != news.AlertSending || a.Revision != 1 || a.StoryVersion != 1 {
			t.Errorf("after version 1: %+v", a)
		}
		send(map[string]any{"version": 2, "headline": "Rice prices rise again"})
		if a := alert(); a.Texts["en"].Title != "Rice prices rise in Manila" {
			t.Errorf("version 2 changed the alert: %+v", a)
		}
		send(map[string]any{"version": 3, "pubstatus": "withheld"})
		if a := alert(); a.State != news.AlertHeld || a.HeldFrom != news.AlertSending {
			t.Errorf("after withheld: %+v", a)
		}
		send(map[string]any{"version": 4, "pubstatus": "canceled"})
		if a := alert(); a.State != news.AlertKilled || a.Revision != 2 {
			t.Errorf("after canceled: %+v", a)
		}
		releases, err := db.ReleasesOfStory(t.Context(), uri)
		if err != nil || len(releases) != 2 || releases[1].Kind != news.ReleaseKill || releases[1].Revision != 2 {
			t.Fatalf("releases %+v, %v", releases, err)
		}
		send(map[string]any{"version": 2, "headline": "Conflict"})
		conflicts, err := db.StoryConflicts(t.Context(), 10)
		if err != nil || len(conflicts) != 1 {
			t.Errorf("%d conflicts, %v", len(conflicts), err)
		}
		send(map[string]any{"regions": []string{"XX"}})
		letters, err := db.DeadLetters(t.Context(), 10)
		if err != nil || len(letters) != 1 || letters[0].Problems[0].Path != "regions/0" {
			t.Errorf("%+v, %v", letters, err)
		}
		want := Figures{Stored: 4, Conflicts: 1, DeadLetters: 1}
		if got := s.Figures(); got != want {
			t.Errorf("got %+v", got)
		}
	})
}
