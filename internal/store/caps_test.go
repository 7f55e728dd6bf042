package store_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// A story whose alert would go out by itself is asked about once more when the
// cap is known; the first value of the configuration never overrules a chief.
func TestCapsAreKeptAndTold(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		must(t, s.InitCaps(ctx, news.Caps{news.LevelFlash: {Hour: 2, Day: 4}}))
		must(t, s.SetCaps(ctx, news.Caps{news.LevelBulletin: {Hour: 1, Day: 1}}, "Chief"))
		must(t, s.InitCaps(ctx, news.Caps{news.LevelFlash: {Hour: 9, Day: 9}, news.LevelBulletin: {Hour: 9, Day: 9}}))
		caps, err := s.Caps(ctx)
		must(t, err)
		if caps[news.LevelFlash] != (news.Cap{Hour: 2, Day: 4}) || caps[news.LevelBulletin] != (news.Cap{Hour: 1, Day: 1}) {
			t.Errorf("caps %v", caps)
		}
		var asked []*news.Room
		auto := func(uri string) func(news.StoryPrior) (news.StoryEffects, error) {
			return func(p news.StoryPrior) (news.StoryEffects, error) {
				asked = append(asked, p.Room)
				a := alert(uri)
				if p.Room != nil && p.Room.Full(c.Now()) {
					a.Reason = "over the cap"
					return news.StoryEffects{Draft: &a}, nil
				}
				a.State, a.ReleasedAt = news.AlertSending, c.Now()
				return news.StoryEffects{Draft: &a, Release: release(a, news.ReleaseAlert)}, nil
			}
		}
		for i, uri := range []string{"https://news.example/1", "https://news.example/2"} {
			_, result, err := s.StoreStory(ctx, story(uri, 1), auto(uri))
			if err != nil || result != news.StoryStored {
				t.Fatalf("story %d: %s, %v", i, result, err)
			}
		}
		alerts, err := s.Alerts(ctx, []news.AlertState{news.AlertDraft}, 0)
		if err != nil || len(alerts) != 1 || alerts[0].Reason != "over the cap" {
			t.Errorf("drafts %v, %v", alerts, err)
		}
		if len(asked) < 4 || asked[0] != nil || asked[1] == nil || len(asked[len(asked)-1].At) != 1 {
			t.Errorf("asked with %v", asked)
		}
		c.add(time.Hour)
		if room, err := s.Room(ctx, news.LevelBulletin); err != nil || !room.Full(c.Now()) {
			t.Errorf("room %+v, %v", room, err)
		}
	})
}

// Nobody signs off what she released alone: not by the decision, and not past it.
// Who sets the caps while an alert is released holds nothing that the release
// needs.
func TestCapsAreLockedBeforeTheTrail(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		if s.Engine() != "postgres" {
			return // one writer at a time
		}
		ctx, db, set := context.Background(), raw(t, url), make(chan error, 1)
		const uri = "https://news.example/caps-and-trail"
		storeStory(t, s, uri)
		a := alert(uri)
		a.Level = news.LevelFlash
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{}))
		var once sync.Once
		_, err := s.ReleaseAlert(ctx, a.ID, func(*news.Alert, news.Story, news.Policy, news.Room) (news.AlertAction, error) {
			once.Do(func() {
				go func() {
					set <- s.SetCaps(ctx, news.Caps{news.LevelFlash: {Hour: 3, Day: 8}, news.LevelBulletin: {Hour: 6, Day: 20}}, "Cleo")
				}()
				for waiting, until := 0, time.Now().Add(10*time.Second); waiting == 0; {
					must(t, db.Get(&waiting, "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%FROM caps%'"))
					if time.Now().After(until) {
						t.Fatal("the caps wait for no release")
					}
				}
				tx := db.MustBegin()
				defer tx.Rollback() //nolint:errcheck // nothing was changed
				if _, err := tx.Exec("SELECT seq FROM audit_head FOR UPDATE NOWAIT"); err != nil {
					t.Errorf("the trail is held: %v", err)
				}
			})
			return news.AlertAction{Audit: "release", By: "Ann"}, nil
		})
		must(t, err)
		must(t, <-set)
	})
}

func TestEmergenciesAreReviewedByOthers(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		ctx := context.Background()
		storeStory(t, s, "https://news.example/a")
		a := alert("https://news.example/a")
		must(t, s.CreateAlert(ctx, a, news.AuditEntry{By: "Ann", Action: "draft", Subject: "alert/" + a.ID}))
		e := news.Emergency{ID: id(), AlertID: a.ID, By: "Ann", Reason: "nobody answers", At: begin}
		_, err := s.ReleaseAlert(ctx, a.ID, func(a *news.Alert, _ news.Story, _ news.Policy, _ news.Room) (news.AlertAction, error) {
			a.State, a.HoldUntil = news.AlertHolding, begin
			return news.AlertAction{Emergency: &e, Audit: "release alone", Detail: e.Reason, By: "Ann"}, nil
		})
		must(t, err)
		signed := func(by string) error {
			_, err := s.ReviewEmergency(ctx, e.ID, func(e *news.Emergency) error {
				return news.Review(e, news.Person{Name: by, Role: news.RoleEditor, SignedIn: true}, "it had to go at once", begin)
			})
			return err
		}
		if err := signed("Ann"); !errors.Is(err, news.ErrForbidden) {
			t.Errorf("her own: %v", err)
		}
		if _, err := s.ReviewEmergency(ctx, e.ID, func(e *news.Emergency) error { e.ReviewedBy = "Ann"; return nil }); err == nil {
			t.Error("the schema takes a review by whom it is of")
		}
		if open, err := s.OpenEmergencies(ctx); err != nil || len(open) != 1 || open[0] != e {
			t.Errorf("open %+v, %v", open, err)
		}
		must(t, signed("Ben"))
		if err := signed("Cem"); !errors.Is(err, news.ErrConflict) {
			t.Errorf("twice: %v", err)
		}
		open, err := s.OpenEmergencies(ctx)
		of, err2 := s.EmergenciesOfAlert(ctx, a.ID)
		if err != nil || err2 != nil || len(open) != 0 || len(of) != 1 || of[0].ReviewedBy != "Ben" {
			t.Errorf("open %v, of the alert %+v", open, of)
		}
		lines, err := s.Audit(ctx, 2)
		if err != nil || lines[0].Action != "review" || lines[1].Action != "release alone" || news.ReadRecord(lines[1].Detail).Why != "nobody answers" {
			t.Errorf("trail %+v, %v", lines, err)
		}
	})
}

// Phones end with what they stand on, and their endpoints are not at rest in
// the clear.
func TestPhones(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url, VAPIDKeyID: "vapid-1"})
		ctx := context.Background()
		for _, name := range []string{"Ann", "Ben"} {
			signedIn(t, s, name, time.Now())
		}
		add := func(editor string, sub news.PushSubscription) error {
			return s.AddPhone(ctx, news.Phone{Editor: editor, Push: sub}, 2, "cookie of "+editor)
		}
		count := func(want int) []news.Phone {
			t.Helper()
			got, err := s.Phones(ctx)
			if err != nil || len(got) != want {
				t.Fatalf("%d phones, want %d: %v", len(got), want, err)
			}
			return got
		}
		shared := push()
		must(t, add("Ann", shared))
		must(t, add("Ben", push()))
		if err := add("Eve", push()); !errors.Is(err, news.ErrConflict) {
			t.Errorf("a phone of nobody: %v", err)
		}
		if err := s.AddPhone(ctx, news.Phone{Editor: "Ann", Push: push()}, 2, "cookie of Ben"); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("with another's session: %v", err)
		}
		got := count(2)
		if got[0].Editor != "Ann" || got[0].Role != news.RoleEditor || got[0].Push.Endpoint != shared.Endpoint || string(got[0].Push.Auth) != string(shared.Auth) {
			t.Errorf("phone %+v", got[0])
		}
		var leaks int
		must(t, raw(t, url).Get(&leaks, "SELECT COUNT(*) FROM desk_phones WHERE CAST(secret AS TEXT) LIKE '%push.example%'"))
		if leaks != 0 {
			t.Error("an endpoint is at rest in the clear")
		}
		must(t, add("Ben", shared)) // the device changes hands
		if got := count(2); got[0].Editor != "Ben" || got[1].Editor != "Ben" {
			t.Errorf("phones %+v", got)
		}
		must(t, add("Ben", shared)) // one that is there takes no more room
		if err := add("Ben", push()); !errors.Is(err, news.ErrConflict) {
			t.Errorf("one too many: %v", err)
		}
		if err := s.RemovePhone(ctx, "Ann", got[0].ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("another's phone: %v", err)
		}
		must(t, s.PhoneGone(ctx, count(2)[0].ID))
		count(1)
		must(t, s.SignOutEverywhere(ctx, "Ben", "Ben"))
		count(0)
		if err := add("Ben", push()); !errors.Is(err, news.ErrUnknownKey) {
			t.Errorf("a phone of who was signed out meanwhile: %v", err)
		}
		must(t, s.SignIn(ctx, account("Ben"), 9, "cookie of Ben", time.Now().Add(soon)))
		must(t, add("Ben", push()))
		must(t, s.RemoveEditor(ctx, "Ben", news.SystemName))
		count(0)
		must(t, add("Ann", push()))
		if other := storetest.Open(t, store.Config{URL: url, VAPIDKeyID: "vapid-2"}); other != nil {
			if got, err := other.Phones(ctx); err != nil || len(got) != 0 {
				t.Errorf("under another key: %v, %v", got, err)
			}
		}
	})
}
