package desk

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// busy is a store in which a change waits for its turn.
type busy struct {
	*memory
	takes time.Duration
}

func (b busy) ChangeAlert(ctx context.Context, id string, change func(*news.Alert, news.Story) (news.AlertAction, error)) (news.Alert, error) {
	time.Sleep(b.takes)
	return b.memory.ChangeAlert(ctx, id, change)
}

// Every press that stops is heard at once and until it is written down, however
// busy the database is; the others say nothing before.
func TestAStopBrakesUntilItIsWrittenDown(t *testing.T) {
	for what, press := range map[string]func(d *Service, id string) error{
		"hold":   func(d *Service, id string) error { _, err := d.Hold(context.Background(), ann, id, ""); return err },
		"kill":   func(d *Service, id string) error { _, err := d.Kill(context.Background(), ann, id, "no"); return err },
		"cancel": func(d *Service, id string) error { _, err := d.Cancel(context.Background(), ann, id, "no"); return err },
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDesktop(t)
			v := d.draft(t, ann, Writing{})
			if _, err := d.Release(t.Context(), ann, v.Alert.ID, v.Alert.Hash()); err != nil {
				t.Fatal(err)
			}
			d.wake.topics = nil
			slow := New(Config{Store: busy{d.mem, time.Second}, Waker: d.wake, BaseURL: "https://alerts.example", Now: d.Service.now})
			done := make(chan error)
			go func() { done <- press(slow, v.Alert.ID) }()
			synctest.Wait()
			if got := d.wake.said(); !slices.Equal(got, []string{topicBrake}) {
				t.Errorf("%s: at the press it said %v", what, got)
			}
			if err := <-done; err != nil {
				t.Fatal(what, err)
			}
			time.Sleep(time.Second)
			said := d.wake.said()
			n := 0
			for _, topic := range said {
				if topic == topicBrake {
					n++
				}
			}
			if want := int(time.Second / brakeEvery); n < want || n > want+2 {
				t.Errorf("%s: %d times in a second, and none after it: %v", what, n, said)
			}
			if last := said[len(said)-1]; last == topicBrake {
				t.Errorf("%s: it brakes when all is written down: %v", what, said)
			}
		})
	}
}

func TestWhoMayNotStopDoesNotBrake(t *testing.T) {
	d := newDesktop(t)
	v := d.draft(t, ann, Writing{})
	d.wake.topics = nil
	if _, err := d.Kill(t.Context(), rika, v.Alert.ID, "no"); err == nil {
		t.Fatal("a reporter kills")
	}
	if got := d.wake.said(); len(got) > 0 {
		t.Errorf("said %v", got)
	}
}

func (w *wakes) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.topics)
}
