package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func TestAlertRoundTrip(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		storeStory(t, s, "https://news.example/a")
		want := alert("https://news.example/a")
		want.State, want.HeldFrom, want.Submitter, want.Approver = news.AlertHeld, news.AlertApproved, "kenji", "ana"
		want.Releaser, want.ApprovedHash, want.Reason = "ana", want.Hash(), "checking"
		want.HoldUntil, want.ReleasedAt = begin.Add(time.Minute), begin
		must(t, s.CreateAlert(ctx, want, news.AuditEntry{By: "mira", Action: "draft", Subject: "alert/" + want.ID}))
		got, err := s.Alert(ctx, want.ID)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := s.CreateAlert(ctx, want, news.AuditEntry{}); !errors.Is(err, news.ErrConflict) {
			t.Errorf("the same id again: %v", err)
		}
		other := alert("https://news.example/none")
		if err := s.CreateAlert(ctx, other, news.AuditEntry{}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an alert without a story: %v", err)
		}
		if _, err := s.Alert(ctx, id()); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an unknown alert: %v", err)
		}
	})
}

func TestReleaseRoundTrip(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		const uri = "https://news.example/r"
		storeStory(t, s, uri)
		d := subscribe(t, s, wishes("JP"))
		a := alert(uri)
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		want := release(a, news.ReleaseCorrection)
		want.Raised, want.Supersedes, want.Phase = true, true, news.PhaseCanary
		changedAlert, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, st news.Story) (news.AlertAction, error) {
			if st.URI != uri || st.Version != 1 {
				t.Errorf("story %+v", st)
			}
			a.State, a.ReleasedAt = news.AlertSending, begin
			a.ID, a.StoryURI, a.Revision = "forged", "forged", 99
			return news.AlertAction{Release: want}, nil
		})
		must(t, err)
		want.Revision = 1
		want.Changes[d.Cell] = d.Change
		got, err := s.Release(ctx, want.ID)
		must(t, err)
		if diff := cmp.Diff(*want, got); diff != "" {
			t.Errorf("release (-want +got):\n%s", diff)
		}
		a.State, a.ReleasedAt, a.Revision = news.AlertSending, begin, 1
		if diff := cmp.Diff(a, changedAlert); diff != "" {
			t.Errorf("alert (-want +got):\n%s", diff)
		}
		stored, err := s.Alert(ctx, a.ID)
		must(t, err)
		if diff := cmp.Diff(a, stored); diff != "" {
			t.Errorf("stored alert (-want +got):\n%s", diff)
		}
		since, err := s.ReleasesSince(ctx, begin)
		must(t, err)
		later, err := s.ReleasesSince(ctx, begin.Add(time.Microsecond))
		must(t, err)
		if len(since) != 1 || len(later) != 0 {
			t.Errorf("%d since, %d later", len(since), len(later))
		}
	})
}

// The phase of a release leaves the canary once, whoever tries, and with the
// state of its alert or not at all.
func TestTheCanaryMovesOnce(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		const uri = "https://news.example/canary"
		storeStory(t, s, uri)
		a := alert(uri)
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		r := release(a, news.ReleaseAlert)
		r.Phase = news.PhaseCanary
		_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			a.State = news.AlertSending
			return news.AlertAction{Release: r}, nil
		})
		must(t, err)
		before, err := s.Control(ctx)
		must(t, err)
		var moved, late atomic.Int64
		var all sync.WaitGroup
		for _, to := range []news.Phase{news.PhasePaused, news.PhasePaused, news.PhasePaused} {
			all.Go(func() {
				_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
					return news.MoveCanary(a, to, "the canary: 20 of the first 200 devices failed")
				})
				switch {
				case err == nil:
					moved.Add(1)
				case errors.Is(err, news.ErrConflict):
					late.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		got, err := s.Release(ctx, r.ID)
		must(t, err)
		held, err := s.Alert(ctx, a.ID)
		must(t, err)
		after, err := s.Control(ctx)
		must(t, err)
		if moved.Load() != 1 || late.Load() != 2 || got.Phase != news.PhasePaused || got.State != news.ReleaseHeld || held.State != news.AlertHeld ||
			held.Reason != "the canary: 20 of the first 200 devices failed" || after != before+1 {
			t.Errorf("moved %d, refused %d, release %s %s, alert %s %q, counter %d -> %d", moved.Load(), late.Load(), got.Phase, got.State,
				held.State, held.Reason, before, after)
		}
		_, err = s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			return news.Resume(a, news.Person{Name: "ana"})
		})
		must(t, err)
		if got, err = s.Release(ctx, r.ID); err != nil || got.State != news.ReleaseSending || got.Phase != news.PhasePaused {
			t.Errorf("resumed: %s %s %v", got.State, got.Phase, err)
		}
	})
}

// What a canary said counts no more when a correction goes instead: it would
// hold the correction.
func TestACanaryDoesNotHoldItsCorrection(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		const uri = "https://news.example/corrected-canary"
		storeStory(t, s, uri)
		a := alert(uri)
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		first, correction := release(a, news.ReleaseAlert), release(a, news.ReleaseCorrection)
		first.Phase = news.PhaseCanary
		for _, action := range []news.AlertAction{{Release: first}, {Stop: true, Release: correction}} {
			_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
				a.State = news.AlertSending
				return action, nil
			})
			must(t, err)
		}
		_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			return news.MoveCanary(a, news.PhasePaused, "the canary: 20 of the first 200 devices failed")
		})
		got, e := s.Release(ctx, correction.ID)
		if must(t, e); !errors.Is(err, news.ErrConflict) || got.State != news.ReleaseSending {
			t.Errorf("%v; the correction is %s", err, got.State)
		}
	})
}

func TestChangeAlertActions(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		a, _ := released(t, s, "https://news.example/x")
		editor := news.Person{Name: "ana", Role: news.RoleEditor}
		terms := news.ReleaseTerms{NewID: id, Now: begin, Navigate: func(*news.Alert, *news.Story) string { return "https://news.example/x" }}
		texts := map[string]news.Text{"en": {Title: "Correction"}}
		steps := []struct {
			name   string
			do     func(a *news.Alert, st news.Story) (news.AlertAction, error)
			alert  news.AlertState
			states string
			bump   bool
		}{
			{"hold", func(a *news.Alert, _ news.Story) (news.AlertAction, error) { return news.Hold(a, editor, "check") },
				news.AlertHeld, "held", true},
			{"resume", func(a *news.Alert, _ news.Story) (news.AlertAction, error) { return news.Resume(a, editor) },
				news.AlertSending, "sending", true},
			{"nothing", func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
				return news.AlertAction{Audit: "look", By: "ana"}, nil
			},
				news.AlertSending, "sending", false},
			{"correct", func(a *news.Alert, st news.Story) (news.AlertAction, error) {
				return news.Correct(a, &st, editor, texts, terms)
			},
				news.AlertSending, "stopped sending", true},
			{"hold again", func(a *news.Alert, _ news.Story) (news.AlertAction, error) { return news.Hold(a, editor, "check") },
				news.AlertHeld, "stopped held", true},
			{"kill", func(a *news.Alert, st news.Story) (news.AlertAction, error) {
				return news.Kill(a, &st, editor, "wrong", texts, terms)
			}, news.AlertKilled, "stopped stopped sending", true},
		}
		for i, step := range steps {
			before, err := s.Control(ctx)
			must(t, err)
			got, err := s.ChangeAlert(ctx, a.ID, step.do)
			must(t, err)
			list, err := s.ReleasesOfAlert(ctx, a.ID)
			must(t, err)
			states := ""
			for n, r := range list {
				if r.Revision != n+1 {
					t.Errorf("%s: release %d has revision %d", step.name, n, r.Revision)
				}
				states += " " + string(r.State)
			}
			if got.State != step.alert || states != " "+step.states || got.Revision != len(list) {
				t.Errorf("%s: alert %s rev %d, releases%s", step.name, got.State, got.Revision, states)
			}
			after, err := s.Control(ctx)
			must(t, err)
			if (after != before) != step.bump {
				t.Errorf("%s: control %d -> %d", step.name, before, after)
			}
			if audit, _ := s.Audit(ctx, 100); len(audit) != 2+i+1 {
				t.Errorf("%s: %d audit lines", step.name, len(audit))
			}
		}
		mine := errors.New("no")
		if _, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			a.State = news.AlertDraft
			return news.AlertAction{Stop: true}, mine
		}); !same(err, mine) {
			t.Errorf("got %v, want the callback's own error", err)
		}
		if got, _ := s.Alert(ctx, a.ID); got.State != news.AlertKilled {
			t.Errorf("a refused change left %s", got.State)
		}
		if _, err := s.ChangeAlert(ctx, id(), nil); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an unknown alert: %v", err)
		}
	})
}

// Alerts of one story are released by two processes at once: every release has
// a revision of its own, without gaps.
func TestRevisionsUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		const uri, alerts, each = "https://news.example/busy", 3, 5
		storeStory(t, stores[0], uri)
		var ids []string
		for range alerts {
			a := alert(uri)
			must(t, stores[0].CreateAlert(ctx, a, news.AuditEntry{}))
			ids = append(ids, a.ID)
		}
		errs := make([]error, alerts*each)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Add(1)
			go func() {
				defer wg.Done()
				_, errs[i] = stores[i%2].ChangeAlert(ctx, ids[i%alerts], func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
					return news.AlertAction{Stop: true, Release: release(*a, news.ReleaseCorrection)}, nil
				})
			}()
		}
		wg.Wait()
		must(t, errors.Join(errs...))
		list, err := stores[1].ReleasesOfStory(ctx, uri)
		must(t, err)
		for i, r := range list {
			if r.Revision != i+1 {
				t.Fatalf("revision %d at place %d", r.Revision, i)
			}
		}
		if len(list) != alerts*each {
			t.Errorf("%d releases", len(list))
		}
		active, err := stores[0].ActiveReleases(ctx)
		must(t, err)
		if len(active) != len(list) {
			t.Errorf("%d active of %d (stopped ones are not settled)", len(active), len(list))
		}
	})
}

func TestAlertLists(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		const uri = "https://news.example/l"
		storeStory(t, s, uri)
		names := map[string]string{}
		for i, state := range []news.AlertState{news.AlertDraft, news.AlertHolding, news.AlertHolding, news.AlertSent} {
			a := alert(uri)
			a.State, a.CreatedAt = state, begin.Add(time.Duration(i)*time.Second)
			if state == news.AlertHolding {
				a.HoldUntil = begin.Add(time.Duration(i) * time.Minute)
			}
			must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
			names[a.ID] = fmt.Sprint(i)
		}
		show := func(list []news.Alert) (out string) {
			for _, a := range list {
				out += names[a.ID]
			}
			return out
		}
		all, err := s.Alerts(ctx, nil, 0)
		must(t, err)
		holding, err := s.Alerts(ctx, []news.AlertState{news.AlertHolding, news.AlertSent}, 2)
		must(t, err)
		ofStory, err := s.AlertsOfStory(ctx, uri)
		must(t, err)
		if show(all) != "3210" || show(holding) != "32" || show(ofStory) != "3210" {
			t.Errorf("all %s, holding %s, of story %s", show(all), show(holding), show(ofStory))
		}
		for minutes, want := range []string{"", "1", "12"} {
			ending, err := s.Countdowns(ctx, begin.Add(time.Duration(minutes)*time.Minute))
			must(t, err)
			if got := show(ending); got != want {
				t.Errorf("ending within %d minutes: %q, want %q", minutes, got, want)
			}
		}
	})
}

func TestPolicies(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		want := news.DefaultPolicies()
		check := func(when string) {
			t.Helper()
			got, err := s.Policies(ctx)
			must(t, err)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		check("at first")
		must(t, s.InitPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyTwo}))
		want[news.LevelFlash] = news.PolicyTwo
		check("after the configuration")
		must(t, s.SetPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyAuto, news.LevelNotice: news.PolicyOne}, "chief"))
		want[news.LevelFlash], want[news.LevelNotice] = news.PolicyAuto, news.PolicyOne
		check("after the chief")
		must(t, s.InitPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelNotice: news.PolicyTwo}))
		check("after a restart")
		audit, err := s.Audit(ctx, 10)
		must(t, err)
		who := []string{}
		for _, e := range audit {
			who = append(who, e.By+" "+e.Subject+" "+e.Detail)
		}
		slices.Sort(who)
		if diff := cmp.Diff([]string{"chief policy/flash auto", "chief policy/notice one", "system policy/flash two"}, who); diff != "" {
			t.Errorf("audit (-want +got):\n%s", diff)
		}
	})
}

// What an editor killed is not told in a digest, by its versions of that time.
func TestRetracted(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		ids := map[string]string{}
		raise := func(name string) {
			c.add(time.Minute)
			storeVersion(t, s, "https://news.example/"+name, 1)
			a := alert("https://news.example/" + name)
			a.CreatedAt = c.Now()
			must(t, s.CreateAlert(ctx, a, news.AuditEntry{By: "mira", Action: "draft"}))
			ids[name] = a.ID
		}
		change := func(name string, state news.AlertState, kind news.ReleaseKind) {
			_, err := s.ChangeAlert(ctx, ids[name], func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
				a.State = state
				if kind == "" {
					return news.AlertAction{Audit: "step", By: "mira"}, nil
				}
				r := release(*a, kind)
				r.ReleasedAt, a.ReleasedAt = c.Now(), c.Now()
				return news.AlertAction{Release: r, Audit: "step", By: "mira"}, nil
			})
			must(t, err)
		}
		for _, name := range []string{"sent", "killed", "killed late", "countdown", "again", "old"} {
			raise(name)
		}
		for _, name := range []string{"sent", "killed", "killed late", "again"} {
			change(name, news.AlertSent, news.ReleaseAlert)
		}
		storeVersion(t, s, "https://news.example/killed late", 2)
		c.add(time.Minute)
		for _, name := range []string{"killed", "killed late", "again"} {
			change(name, news.AlertKilled, news.ReleaseKill)
		}
		change("countdown", news.AlertKilled, "")
		c.add(time.Minute)
		storeVersion(t, s, "https://news.example/killed", 2) // told anew: only version 1 is out
		raise("again")
		change("again", news.AlertSent, news.ReleaseAlert)
		got, err := s.Retracted(ctx, begin)
		must(t, err)
		want := map[string]int64{"https://news.example/killed": 1, "https://news.example/killed late": 2, "https://news.example/countdown": 1}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got, err := s.Retracted(ctx, c.Now().Add(time.Hour)); err != nil || len(got) != 0 {
			t.Errorf("long ago: %v, %v", got, err)
		}
	})
}

// storeVersion stores a version; one that is there already is left.
func storeVersion(t *testing.T, s *store.Store, uri string, version int64) {
	t.Helper()
	if _, _, err := s.StoreStory(context.Background(), story(uri, version), noEffects); err != nil {
		t.Fatal(err)
	}
}

// Of alerts whose countdown ends at one instant, as those that wait for one
// embargo, the older is released first: the later words are the newer.
func TestCountdownsThatEndAtOnce(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		const uri = "https://news.example/at-once"
		storeStory(t, s, uri)
		begin := time.Now().UTC().Truncate(time.Second)
		var want []string
		for i := range 3 {
			a := alert(uri)
			a.State, a.CreatedAt, a.HoldUntil = news.AlertHolding, begin.Add(time.Duration(i)*time.Second), begin
			must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
			want = append(want, a.ID)
		}
		slices.Sort(want)
		ending, err := s.Countdowns(ctx, begin)
		must(t, err)
		var got []string
		for _, a := range ending {
			got = append(got, a.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
