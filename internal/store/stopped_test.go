package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// Who stopped an alert, and when, stands beside it while it is stopped.
func TestWhoStoppedAnAlert(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		const uri = "https://news.example/stopped"
		storeStory(t, s, uri)
		a := alert(uri)
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		step := func(decide func(a *news.Alert) (news.AlertAction, error), by string, at time.Time) {
			t.Helper()
			c.add(time.Minute)
			_, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) { return decide(a) })
			must(t, err)
			got, err := s.Alert(ctx, a.ID)
			if must(t, err); got.StoppedBy != by || !got.StoppedAt.Equal(at) {
				t.Errorf("stopped by %q at %v, want %q at %v", got.StoppedBy, got.StoppedAt, by, at)
			}
		}
		hold := func(by string) func(a *news.Alert) (news.AlertAction, error) {
			return func(a *news.Alert) (news.AlertAction, error) { return news.Hold(a, news.Person{Name: by}, "why") }
		}
		first := begin.Add(time.Minute)
		step(hold("Ann"), "Ann", first)
		step(hold("Ben"), "Ann", first) // it is held already
		step(func(a *news.Alert) (news.AlertAction, error) { return news.Resume(a, news.Person{Name: "Ben"}) }, "", time.Time{})
		step(func(a *news.Alert) (news.AlertAction, error) {
			return news.Kill(a, &news.Story{}, news.Person{Name: "Cleo"}, "forged", nil, news.ReleaseTerms{})
		}, "Cleo", begin.Add(4*time.Minute))
	})
}

// What is saved as it was is no change, and leaves no line.
func TestUnchangedRulesLeaveNoLine(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		caps := news.Caps{news.LevelFlash: {Hour: 3, Day: 8}, news.LevelBulletin: {}}
		for range 2 {
			must(t, s.SetCaps(ctx, caps, "Cleo"))
			must(t, s.SetPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyTwo, news.LevelBulletin: news.DefaultPolicies()[news.LevelBulletin]}, "Cleo"))
		}
		entries, err := s.Audit(ctx, 10)
		must(t, err)
		var lines []string
		for _, e := range entries {
			lines = append(lines, e.Subject+" "+e.Detail)
		}
		if got := strings.Join(lines, ", "); got != "policy/flash two, cap/flash 3/8" {
			t.Errorf("the trail: %s", got)
		}
		must(t, s.InitCaps(ctx, news.Caps{news.LevelBulletin: {Hour: 1, Day: 2}}))
		if got, err := s.Caps(ctx); err != nil || !got[news.LevelBulletin].None() {
			t.Errorf("the chief wanted no cap, the configuration gave one: %v, %v", got, err)
		}
	})
}

// A chief who asks for two editors while one releases is either first, and the
// release hears of it, or waits until it is made.
func TestThePolicyOfAReleaseStays(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		ctx := context.Background()
		const uri = "https://news.example/policy"
		storeStory(t, s, uri)
		a := alert(uri)
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		must(t, s.SetPolicies(ctx, news.Policies{a.Level: news.PolicyOne}, "Cleo"))
		set := make(chan error, 1)
		var once sync.Once
		_, err := s.ReleaseAlert(ctx, a.ID, func(a *news.Alert, _ news.Story, policy news.Policy, _ news.Room) (news.AlertAction, error) {
			if policy != news.PolicyOne {
				t.Errorf("released under %s", policy)
			}
			once.Do(func() {
				go func() { set <- s.SetPolicies(ctx, news.Policies{a.Level: news.PolicyTwo}, "Cleo") }()
				for waiting, until := 0, time.Now().Add(10*time.Second); s.Engine() == "postgres" && waiting == 0; {
					must(t, raw(t, url).Get(&waiting, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM policies%'"))
					if time.Now().After(until) {
						t.Fatal("the policy waits for no release")
					}
				}
			})
			return news.AlertAction{Audit: "release", By: "Ann"}, nil
		})
		must(t, err)
		must(t, <-set)
		entries, err := s.Audit(ctx, 2)
		if must(t, err); entries[0].Action != "policy" || entries[1].Action != "release" {
			t.Errorf("the trail: %s, then %s", entries[1].Action, entries[0].Action)
		}
		_, err = s.ReleaseAlert(ctx, a.ID, func(_ *news.Alert, _ news.Story, policy news.Policy, _ news.Room) (news.AlertAction, error) {
			if policy != news.PolicyTwo {
				t.Errorf("the next one is released under %s", policy)
			}
			return news.AlertAction{}, nil
		})
		must(t, err)
	})
}

// Of a name in several spellings one person comes of it, also when all are added
// at once and no chief is there whose line they wait for.
func TestOneSpellingOfAName(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		names := []string{"Aiko Mori", "aiko mori", "AIKO MORI", "Aiko mori", "aiko Mori"}
		errs := make(chan error, len(names))
		var together sync.WaitGroup
		for _, name := range names {
			together.Go(func() { errs <- s.AddEditor(ctx, news.Editor{Name: name, Role: news.RoleReporter}, "Cleo") })
		}
		together.Wait()
		close(errs)
		refused := 0
		for err := range errs {
			if err != nil && !errors.Is(err, news.ErrConflict) {
				t.Error(err)
			}
			if err != nil {
				refused++
			}
		}
		editors, err := s.Editors(ctx)
		if must(t, err); len(editors) != 1 || refused != len(names)-1 {
			t.Errorf("%d editors, %d refused: %v", len(editors), refused, editors)
		}
		must(t, s.AddEditor(ctx, news.Editor{Name: editors[0].Name, Role: news.RoleEditor}, "Cleo"))
		must(t, s.AddEditor(ctx, news.Editor{Name: "Ömer", Role: news.RoleEditor}, "Cleo"))
		if err := s.AddEditor(ctx, news.Editor{Name: "ÖMER", Role: news.RoleEditor}, "Cleo"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("letters that SQLite does not fold: %v", err)
		}
	})
}

// A letter that was dismissed waits no more, and is kept with who, when and why.
func TestDismissedLetters(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		var ids []string
		for i := range 3 {
			ids = append(ids, id())
			must(t, s.SaveDeadLetter(ctx, news.DeadLetter{ID: ids[i], Source: "nats", Sequence: uint64(i + 1)}))
		}
		c.add(time.Hour)
		must(t, s.DismissLetter(ctx, ids[1], "Ann", "the old CMS\x00"))
		if err := s.DismissLetter(ctx, ids[1], "Ben", "again"); !errors.Is(err, news.ErrConflict) || !strings.Contains(fmt.Sprint(err), "Ann has dismissed it") {
			t.Errorf("twice: %v", err)
		}
		if err := s.DismissLetter(ctx, id(), "Ben", "what"); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		open, err := s.DeadLetters(ctx, 10)
		if must(t, err); len(open) != 2 || open[0].ID == ids[1] || open[1].ID == ids[1] {
			t.Errorf("waiting: %+v", open)
		}
		gone, err := s.DismissedLetters(ctx, 10)
		if must(t, err); len(gone) != 1 || gone[0].ID != ids[1] || gone[0].DismissedBy != "Ann" || gone[0].DismissedFor != "the old CMS\uFFFD" || !gone[0].DismissedAt.Equal(c.Now()) {
			t.Errorf("dismissed: %+v", gone)
		}
		entries, err := s.Audit(ctx, 1)
		if must(t, err); len(entries) != 1 || entries[0].Action != "dismiss" || entries[0].Subject != "letter/"+ids[1] || entries[0].By != "Ann" {
			t.Errorf("the trail: %+v", entries)
		}
	})
}
