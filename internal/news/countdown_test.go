package news

import (
	"errors"
	"testing"
	"time"
)

func TestEndHold(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name     string
		state    AlertState
		until    time.Duration
		deadline time.Duration // from now; 0: the default
		status   PubStatus
		embargo  time.Duration
		want     AlertState
		released bool
		err      error
	}{
		{name: "due", state: AlertHolding, until: -time.Second, status: Usable, want: AlertSending, released: true},
		{name: "exactly due", state: AlertHolding, status: Usable, want: AlertSending, released: true},
		{name: "too early", state: AlertHolding, until: time.Second, status: Usable, err: ErrConflict},
		{name: "somebody else was faster", state: AlertSending, status: Usable, err: ErrConflict},
		{name: "held meanwhile", state: AlertHeld, until: -time.Second, status: Usable, err: ErrConflict},
		{name: "withheld", state: AlertHolding, until: -time.Second, status: Withheld, want: AlertHeld},
		{name: "canceled", state: AlertHolding, until: -time.Second, status: Canceled, want: AlertCancelled},
		{name: "later embargo", state: AlertHolding, until: -time.Second, status: Usable, embargo: time.Hour, want: AlertHolding},
		{name: "two hours late", state: AlertHolding, until: -2 * time.Hour, status: Usable, want: AlertCancelled},
		{name: "two hours late, long deadline", state: AlertHolding, until: -2 * time.Hour, deadline: time.Hour, status: Usable, want: AlertSending, released: true},
		{name: "own deadline passed", state: AlertHolding, until: -time.Minute, deadline: -time.Second, status: Usable, want: AlertCancelled},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Alert{ID: "a", State: c.state, Level: LevelBulletin, HoldUntil: now.Add(c.until)}
			if c.deadline != 0 {
				a.Deadline = now.Add(c.deadline)
			}
			s := Story{Status: c.status}
			if c.embargo != 0 {
				s.Embargo = now.Add(c.embargo)
			}
			terms := ReleaseTerms{Now: now, NewID: func() string { return "r" }, Navigate: func(*Alert, *Story) string { return "" }}
			action, err := EndHold(&a, &s, terms)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			if a.State != c.want || (action.Release != nil) != c.released {
				t.Errorf("state %s, release %v; want %s, %v", a.State, action.Release != nil, c.want, c.released)
			}
			if c.want == AlertHolding && !a.HoldUntil.Equal(s.Embargo) {
				t.Errorf("waits until %v, want the embargo's end %v", a.HoldUntil, s.Embargo)
			}
			if r := action.Release; r != nil && !r.Deadline.After(now) {
				t.Errorf("release's deadline %v is not after now", r.Deadline)
			}
		})
	}
}
