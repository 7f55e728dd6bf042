package store_test

import (
	"context"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// A process that was frozen in the middle of a transaction holds the locks of
// it. Postgres ends that transaction after 3 s, so a kill waits no longer; and
// when the process wakes, nothing it had in hand is written over the kill.
func TestAFrozenProcessDoesNotHoldUpAKill(t *testing.T) {
	t.Parallel()
	ctx, url := context.Background(), storetest.Postgres(t)
	frozen, other := storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})
	alert, _ := released(t, frozen, "https://news.example/frozen")
	inside, wake := make(chan struct{}, 1), make(chan struct{})
	woken := make(chan error, 1)
	var saw []news.AlertState
	go func() {
		_, err := frozen.ChangeAlert(ctx, alert.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			if saw = append(saw, a.State); len(saw) == 1 {
				inside <- struct{}{}
				<-wake
			}
			a.Reason = "what the frozen one had in hand"
			return news.AlertAction{}, nil
		})
		woken <- err
	}()
	<-inside
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := other.ChangeAlert(limited, alert.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
		a.State = news.AlertKilled
		return news.AlertAction{Stop: true}, nil
	}); err != nil {
		t.Fatalf("the kill waited %s for the frozen one: %v", time.Since(began), err)
	}
	close(wake)
	if err := <-woken; err == nil && (len(saw) != 2 || saw[1] != news.AlertKilled) {
		t.Errorf("the woken one wrote what it had decided before: %v", saw)
	}
	if a, err := other.Alert(ctx, alert.ID); err != nil || a.State != news.AlertKilled {
		t.Errorf("%s, %v", a.State, err)
	}
}
