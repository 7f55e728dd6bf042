package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// crashURL makes this test binary a writer that is going to be killed.
const crashURL = "DATELINE_STORETEST_CRASH_URL"

// TestCrashWriter is no test: it is the process that TestKill9 kills. It says
// each story and device when the store has said that it is stored.
func TestCrashWriter(t *testing.T) {
	url := os.Getenv(crashURL)
	if url == "" {
		return
	}
	ctx := context.Background()
	s := storetest.Open(t, store.Config{URL: url})
	run := id()
	for i := 0; ; i++ {
		uri := fmt.Sprintf("https://news.example/%s/%d", run, i)
		draft := alert(uri)
		draft.State = news.AlertSending
		_, _, err := s.StoreStory(ctx, story(uri, 1), func(news.StoryPrior) (news.StoryEffects, error) {
			return news.StoryEffects{Draft: &draft, Release: release(draft, news.ReleaseAlert)}, nil
		})
		must(t, err)
		d, _, err := s.CreateSubscription(ctx, push(), wishes("JP"))
		must(t, err)
		fmt.Printf("ACK %s %s\n", uri, d.ID)
	}
}

// What a store said is stored survives kill -9 of its process, whole; what it
// did not say is there whole or not at all (C7, C8).
func TestKill9(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s := storetest.Open(t, store.Config{URL: url})
		var acked []string
		for round := range 3 {
			acked = append(acked, killWriter(t, url, 5+round*7)...)
		}
		for _, line := range acked {
			var uri, device string
			if _, err := fmt.Sscanf(line, "ACK %s %s", &uri, &device); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if _, err := s.Story(ctx, uri); err != nil {
				t.Errorf("lost: %v", err)
			}
			if _, err := s.Subscription(ctx, device); err != nil {
				t.Errorf("lost: %v", err)
			}
		}
		stories, err := s.RecentStories(ctx, news.StoryFilter{Limit: 100_000})
		must(t, err)
		for _, st := range stories { // also those that were not acknowledged
			releases, err := s.ReleasesOfStory(ctx, st.URI)
			must(t, err)
			alerts, err := s.AlertsOfStory(ctx, st.URI)
			must(t, err)
			if len(releases) != 1 || len(alerts) != 1 || alerts[0].Revision != 1 {
				t.Errorf("%s: %d releases, %d alerts", st.URI, len(releases), len(alerts))
			}
		}
		numbers := map[news.DeviceRef]bool{}
		for _, d := range changed(t, s, [news.Cells]int64{}) {
			ref := news.DeviceRef{Cell: d.Cell, Number: d.Number}
			if numbers[ref] {
				t.Errorf("number %v twice", ref)
			}
			numbers[ref] = true
		}
		if len(acked) < 30 || len(stories) < len(acked) {
			t.Errorf("%d acknowledged, %d stories", len(acked), len(stories))
		}
	})
}

// killWriter starts a writer, kills it in the middle of its work after so many
// acknowledgements, and returns all that it gave.
func killWriter(t *testing.T, url string, after int) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestCrashWriter$", "-test.count=1")
	cmd.Env = append(os.Environ(), crashURL+"="+url)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var acked []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "ACK ") {
			acked = append(acked, lines.Text())
		}
		if len(acked) == after {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || len(acked) < after {
		t.Fatalf("the writer ended by itself after %d lines: %v", len(acked), err)
	}
	return acked
}
