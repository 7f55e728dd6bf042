package desk

import (
	"errors"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
)

// TestOnStore walks the way of an alert on the real store: what the fake of
// the other tests stands for.
func TestOnStore(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	s := storetest.Open(t, store.Config{URL: storetest.SQLite(t), Now: clock})
	ctx, ok := t.Context(), must(t)
	story := testStory()
	story.Version, story.Hash = 1, "h"
	if _, _, err := s.StoreStory(ctx, story, func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil }); err != nil {
		t.Fatal(err)
	}
	people := map[string]news.Person{}
	for _, name := range []string{"Ann", "Ben"} {
		if _, err := AddEditor(ctx, s, name, news.RoleEditor, news.SystemName, now); err != nil {
			t.Fatal(err)
		}
		key, _, err := AddAPIKey(ctx, s, KeyWish{Editor: name, Scopes: RoleScopes(news.RoleEditor)}, now)
		if err != nil {
			t.Fatal(err)
		}
		if people[name], err = s.APIKey(ctx, web.HashKey(key)); err != nil {
			t.Fatal(err)
		}
	}
	ann, ben := people["Ann"], people["Ben"]
	if err := s.SetPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyTwo}, "Chief"); err != nil {
		t.Fatal(err)
	}
	d := New(Config{Store: s, BaseURL: "https://alerts.example", Hold: 10 * time.Second, Now: clock})

	v := ok(d.Draft(ctx, ann, Writing{StoryURI: storyURI, Level: "flash", Audience: "ASEAN"}))
	id, hash := v.Alert.ID, v.Alert.Hash()
	ok(d.Submit(ctx, ann, id))
	if _, err := d.Approve(ctx, ann, id, hash); !errors.Is(err, news.ErrForbidden) {
		t.Fatalf("her own: %v", err)
	}
	ok(d.Approve(ctx, ben, id, hash))
	ok(d.Release(ctx, ann, id, hash))
	now = now.Add(time.Minute)
	due, err := s.Countdowns(ctx, now)
	if err != nil || len(due) != 1 {
		t.Fatalf("due: %v, %v", due, err)
	}
	if _, _, err := d.change(ctx, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		return news.EndHold(a, s, d.terms(a.Level, news.PolicyTwo))
	}); err != nil {
		t.Fatal(err)
	}
	ok(d.Hold(ctx, ben, id, "wait"))
	ok(d.Resume(ctx, ben, id))
	ok(d.Correct(ctx, ann, id, map[string]news.Text{"en": {Title: "Weak earthquake"}}))
	ok(d.Kill(ctx, system, id, "wrong"))

	v = ok(d.Alert(ctx, id))
	if v.Alert.State != news.AlertKilled || v.Alert.Revision != 3 || v.First.Release.State != news.ReleaseStopped ||
		len(v.Repairs) != 2 || v.Repairs[1].Release.Kind != news.ReleaseKill || v.ChangedSince {
		t.Errorf("%+v", v)
	}
	for name, list := range map[string]func() ([]View, error){
		"story": func() ([]View, error) { return d.AlertsOfStory(ctx, storyURI) }, "newest": func() ([]View, error) { return d.Newest(ctx) }} {
		if views, err := list(); err != nil || len(views) != 1 || views[0].Alert.ID != id {
			t.Errorf("%s: %v, %v", name, views, err)
		}
	}
	if _, err := d.Kill(ctx, system, "none", ""); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown alert: %v", err)
	}
	audit, err := s.Audit(ctx, 100)
	if err != nil || len(audit) < 8 || audit[0].Action != "kill" {
		t.Errorf("audit: %+v, %v", audit, err)
	}
}
