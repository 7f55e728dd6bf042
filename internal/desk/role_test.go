package desk

import (
	"errors"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// The whole way of an alert, a release by one editor and its review, caps and a
// phone: all as a member of the program's role on Postgres, which owns nothing.
func TestT84_TheDeskWorksWithoutOwningItsTables(t *testing.T) {
	now := noon
	clock := func() time.Time { return now }
	owner := storetest.Postgres(t)
	s := storetest.Open(t, store.Config{URL: storetest.Login(t, owner, "IN ROLE "+store.AppRole), Now: clock, VAPIDKeyID: "key"})
	ctx, ok := t.Context(), must(t)
	none := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	none(s.InitPolicies(ctx, news.Policies{news.LevelFlash: news.PolicyTwo}))
	none(s.InitCaps(ctx, advisedCaps()))
	none(s.CheckFingerprints(ctx, map[string]string{"vapid": "1"}))
	story := testStory()
	story.Hash = "h"
	_, _, err := s.StoreStory(ctx, story, func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil })
	none(err)
	for _, p := range []news.Person{ann, ben, chief} {
		_, err := AddEditor(ctx, s, p.Name, p.Role, news.SystemName, now)
		none(err)
	}
	d := New(Config{Store: s, BaseURL: "https://alerts.example", Hold: 10 * time.Second, Now: clock})
	send := func(id string) {
		t.Helper()
		now = now.Add(2 * time.Minute)
		_, _, err := d.change(ctx, id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
			return news.EndHold(a, s, d.terms(a.Level, news.PolicyTwo))
		})
		none(err)
	}
	v := ok(d.Draft(ctx, ann, Writing{StoryURI: storyURI, Level: "flash"}))
	id, hash := v.Alert.ID, v.Alert.Hash()
	ok(d.Submit(ctx, ann, id))
	ok(d.Approve(ctx, ben, id, hash))
	ok(d.Release(ctx, ann, id, hash))
	ok(d.Hold(ctx, ben, id, "undone"))
	ok(d.Resume(ctx, ben, id))
	ok(d.Release(ctx, ann, id, hash))
	send(id)
	ok(d.Correct(ctx, ann, id, map[string]news.Text{"en": {Title: "Weak earthquake"}}))
	ok(d.Kill(ctx, system, id, "wrong"))

	v = ok(d.Draft(ctx, ann, Writing{StoryURI: storyURI, Level: "flash"}))
	ok(d.Press(ctx, signedIn(ann), v.Alert.ID, Pressing{Hash: v.Alert.Hash(), Alone: true, Reason: "nobody answers at night"}))
	open, err := s.OpenEmergencies(ctx)
	none(err)
	_, err = d.Review(ctx, signedIn(ben), open[0].ID, "right, the coast had to know")
	none(err)
	none(s.SetCaps(ctx, news.Caps{news.LevelFlash: {Hour: 1, Day: 2}}, "Chief"))
	none(s.Invite(ctx, "Ben", "invitation", now.Add(time.Hour), "Chief"))
	account := news.Account{Editor: "Ben", Password: "p", Secret: []byte("s"), Step: 1}
	none(s.Join(ctx, "invitation", account))
	none(s.SignIn(ctx, account, 2, "cookie", now.Add(time.Hour)))
	none(s.AddPhone(ctx, news.Phone{Editor: "Ben", Push: news.PushSubscription{Endpoint: "https://push.example/1", P256dh: []byte("p"), Auth: []byte("a")}},
		phonesEach, "cookie"))
	none(s.RemoveEditor(ctx, "Ben", news.SystemName))
	if phones, err := s.Phones(ctx); err != nil || len(phones) != 0 {
		t.Errorf("phones %v, %v", phones, err)
	}
	if err := s.AuditTrail(ctx, func(news.AuditEntry) error { return nil }); err != nil {
		t.Error(err)
	}
	if _, err := s.Grant(ctx); !errors.Is(err, news.ErrForbidden) {
		t.Errorf("it gives itself rights: %v", err)
	}
}
