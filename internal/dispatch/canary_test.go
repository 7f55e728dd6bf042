package dispatch

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

// newCanaryDesk has so many devices and one dispatcher whose alerts begin with a
// canary.
func newCanaryDesk(t *testing.T, devices int) *desk {
	d := newDesk(t)
	d.policy, d.canary = news.PolicyOne, true
	d.devices(devices, wishes("JP"))
	return d
}

func (d *desk) phase() (news.Phase, news.ReleaseState) {
	r := d.releases(news.ReleaseAlert)[0]
	return r.Phase, r.State
}

// The first few go first, all others when they have answered.
func TestCanaryThenEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCanaryDesk(t, 5_000)
		d.service.takes = 100 * time.Millisecond
		d.dispatcher("one")
		begun := time.Now()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("the canary out", time.Second, func() bool { return d.service.total() == 50 })
		if phase, _ := d.phase(); phase != news.PhaseCanary {
			t.Errorf("the phase is %s while nobody has answered", phase)
		}
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if first := d.service.total() - len(d.service.after(begun, 150*time.Millisecond)); first != 50 {
			t.Errorf("%d were sent to before the first had answered, want 50", first)
		}
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 5_000 || d.service.total() != 5_000 {
			t.Errorf("%d sends, counts %+v", d.service.total(), c)
		}
		if phase, _ := d.phase(); phase != news.PhaseAll {
			t.Errorf("the phase is %s", phase)
		}
	})
}

// A mistake of ours stops at the first few; whoever resumes sends to all others.
func TestCanaryPausesWhatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCanaryDesk(t, 5_000)
		d.service.answer = func(push.Target, int) news.Receipt {
			return news.Receipt{Outcome: news.Refused, Status: 400, Reason: "bad-request"}
		}
		d.dispatcher("one")
		a := d.alert("story-1", news.LevelFlash, "JP")
		d.until("held", 5*time.Second, func() bool { return d.state(a.ID) == news.AlertHeld })
		time.Sleep(10 * time.Second)
		d.store.mu.Lock()
		reason := d.store.alerts[a.ID].Reason
		d.store.mu.Unlock()
		phase, state := d.phase()
		if d.service.total() != 50 || phase != news.PhasePaused || state != news.ReleaseHeld || !strings.Contains(reason, "of the first 50 devices failed") {
			t.Fatalf("%d sends, phase %s, release %s, reason %q", d.service.total(), phase, state, reason)
		}
		if n := d.paused.Load(); n != 1 {
			t.Errorf("the desk was told %d times", n)
		}
		d.service.behaves()
		d.change(a.ID, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) { return news.Resume(a, editor) })
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 4_950 || c.Failed != 50 {
			t.Errorf("counts %+v", c)
		}
	})
}

// An alert that an editor holds during its canary goes on with it when she
// resumes it, whenever that is: its few are judged by their answers, or when
// they have had their three seconds, which the hold is no part of.
func TestACanaryHeldByHandIsJudged(t *testing.T) {
	const takes, first = 250 * time.Millisecond, 20
	inside := 0
	for _, how := range []string{"accepted", "refused", "silent"} {
		for press := time.Duration(0); press <= 450*time.Millisecond; press += 75 * time.Millisecond {
			for _, held := range []time.Duration{100 * time.Millisecond, time.Minute} {
				synctest.Test(t, func(t *testing.T) {
					d := newCanaryDesk(t, 2_000)
					if d.service.takes = takes; how == "silent" {
						d.service.takes = 9 * time.Second
					} else if how == "refused" {
						d.service.answer = func(push.Target, int) news.Receipt { return news.Receipt{Outcome: news.Refused, Status: 400} }
					}
					d.dispatcher("one")
					a := d.alert("story-1", news.LevelBulletin, "JP")
					time.Sleep(press)
					if phase, _ := d.phase(); phase != news.PhaseCanary {
						return // judged before the press
					}
					inside++
					d.change(a.ID, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) { return news.Hold(a, editor, "by hand") })
					time.Sleep(held)
					synctest.Wait()
					if phase, state := d.phase(); phase != news.PhaseCanary || state != news.ReleaseHeld || d.service.total() > first {
						t.Fatalf("%s, pressed after %s: on hold it is %s, %s, with %d sends", how, press, phase, state, d.service.total())
					}
					resumed := time.Now()
					d.change(a.ID, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) { return news.Resume(a, editor) })
					d.judged(how, a.ID, first, resumed, takes)
				})
			}
		}
	}
	if inside < 24 {
		t.Errorf("only %d holds fell into the canary", inside)
	}
}

// judged holds the end of a canary that was resumed against its answers.
func (d *desk) judged(how, id string, first int, resumed time.Time, takes time.Duration) {
	d.t.Helper()
	if how == "refused" {
		d.until("held by the canary", 10*time.Second, func() bool { p, s := d.phase(); return p == news.PhasePaused && s == news.ReleaseHeld })
		time.Sleep(5 * time.Second)
		if d.service.total() != first || d.state(id) != news.AlertHeld {
			d.t.Errorf("refused: %d sends, the alert is %s", d.service.total(), d.state(id))
		}
		return
	}
	d.until("sent", time.Hour, func() bool { return d.state(id) == news.AlertSent })
	times := d.service.times()
	others := times[first]
	if answered := times[first-1].Add(takes); how == "accepted" && others.Before(answered) {
		d.t.Errorf("others went %s after the resume, the first few had answered after %s", others.Sub(resumed), answered.Sub(resumed))
	}
	if waited := others.Sub(resumed); how == "silent" && waited < min(news.CanaryPatience, times[first-1].Add(9*time.Second).Sub(resumed)) {
		d.t.Errorf("others went %s after the resume and nobody had answered", waited)
	}
}

// Whoever does not answer costs three seconds, not the alert.
func TestCanaryDoesNotWaitForTheSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCanaryDesk(t, 2_500)
		d.service.takes = 20 * time.Second
		d.dispatcher("one")
		begun := time.Now()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("everybody under way", 10*time.Second, func() bool { return d.service.total() > 25 })
		if took := time.Since(begun); took < news.CanaryPatience || took > news.CanaryPatience+500*time.Millisecond {
			t.Errorf("others went after %s", took)
		}
		d.until("sent", 50*time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
	})
}

// Small plans, repairs and what goes by itself have no canary.
func TestWhatHasNoCanary(t *testing.T) {
	for name, set := range map[string]func(*desk){
		"small":     func(d *desk) { d.devices(1_999, wishes("JP")) },
		"automatic": func(d *desk) { d.devices(3_000, wishes("JP")); d.policy = news.PolicyAuto },
		"off":       func(d *desk) { d.devices(3_000, wishes("JP")); d.canary = false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDesk(t)
				d.policy, d.canary = news.PolicyOne, true
				set(d)
				d.service.takes = 500 * time.Millisecond
				d.dispatcher("one")
				d.alert("story-1", news.LevelBulletin, "JP")
				d.until("more than a canary under way", 300*time.Millisecond, func() bool { return d.service.total() > 30 })
			})
		})
	}
}

// A kill in the canary reaches exactly the first few; a correction reaches them
// as a repair and everybody else instead, without a canary of its own.
func TestRepairsInTheCanary(t *testing.T) {
	for _, kill := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := newCanaryDesk(t, 3_000)
			d.service.takes = 700 * time.Millisecond
			d.dispatcher("one")
			a := d.alert("story-1", news.LevelBulletin, "JP")
			d.until("the canary out", time.Second, func() bool { return d.service.total() == 30 })
			want, kind := 3_000, news.ReleaseCorrection
			if kill {
				want, kind = 30, news.ReleaseKill
				d.kill(a.ID)
			} else {
				d.correct(a.ID, "Corrected")
			}
			d.until("repaired", time.Minute, func() bool { return d.service.total() == 30+want })
			time.Sleep(5 * time.Second)
			if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 30 || c.Cancelled != 2_970 || d.service.total() != 30+want {
				t.Errorf("kill %t: %d sends, original %+v", kill, d.service.total(), c)
			}
			if c := d.balanced(d.releases(kind)[0].ID); c.Accepted != want {
				t.Errorf("%s: %+v", kind, c)
			}
		})
	}
}

// Two dispatchers pick the same few; one of them moves the phase for both. What
// a crash left in the canary goes on in it.
func TestCanaryOverTwoDispatchers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newCanaryDesk(t, 20_000)
		half := make([]int, 0, news.Cells/2)
		for c := range news.Cells / 2 {
			half = append(half, c)
		}
		d.store.give("two", time.Now().Add(time.Minute), half...)
		d.service.takes = 60 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		time.Sleep(time.Second)
		if n := d.service.total(); n != 0 {
			t.Fatalf("%d sends before the whole plan was known", n)
		}
		d.store.give("", time.Time{}, half...)
		d.dispatcher("two")
		d.until("the canary out", 2*time.Second, func() bool { return d.service.total() >= 200 })
		if n := d.service.total(); n != 200 {
			t.Errorf("%d sends in the canary, want 200", n)
		}
		stop()
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 20_000 {
			t.Errorf("counts %+v", c)
		}
	})
}

// A row in which somebody waits for the end of the canary is not settled, also
// where a crash has left nobody in it pending; and what is over in the store
// holds nobody back in the book.
func TestWhoWaitsForTheCanaryIsNotLost(t *testing.T) {
	row := news.NewLedgerRow("1", 0)
	row.Planned.Add(7)
	row.Ambiguous.Add(7)
	r := &run{release: news.Release{ID: "1"}, state: news.ReleaseSending, phase: news.PhaseCanary, cells: map[int]*cellRun{}}
	c := &cellRun{run: r, row: row, todo: map[string][]uint32{}, canary: canaryPart{later: map[string][]uint32{"lane": {7}}}}
	r.cells[0] = c
	if c.markSettled(); row.Settled {
		t.Error("the row is settled and one of it waits")
	}
	b := newBook(nil, nil, nil, nil, time.Now)
	b.runs["1"] = r
	b.setStates(nil, map[string]news.ReleaseState{"1": news.ReleaseSent})
	if r.inCanary() || len(c.canary.later) != 0 || len(c.todo["lane"]) != 1 {
		t.Errorf("phase %s, later %v, todo %v", r.phase, c.canary.later, c.todo)
	}
}
