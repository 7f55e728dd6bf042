package store_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// expiry of the keys in tests.
const expiry = 24 * time.Hour

// begin is when the tests take place.
var begin = time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)

// clock is a clock that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: begin} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// eachClock is storetest.Each with a clock of the test's.
func eachClock(t *testing.T, fn func(t *testing.T, s *store.Store, c *clock)) {
	t.Helper()
	storetest.EachURL(t, func(t *testing.T, url string) {
		c := newClock()
		fn(t, storetest.Open(t, store.Config{URL: url, Now: c.Now, VAPIDKeyID: "vapid-1"}), c)
	})
}

func id() string { return uuid.Must(uuid.NewV7()).String() }

// same reports whether err came back as it was: not wrapped.
func same(err, want error) bool { return errors.Is(err, want) && err.Error() == want.Error() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// story is a full story: every field set.
func story(uri string, version int64) news.Story {
	return news.Story{URI: uri, Version: version, Status: news.Usable, Headline: "Quake off Honshu " + fmt.Sprint(version),
		Standfirst: "東京で強い揺れ", Body: []string{"One.", "Two."}, URL: uri + "/page",
		Image: &news.Image{URL: "https://img.example/a.jpg", Alt: "A street", Width: 1200, Height: 675},
		Kind:  "article", Byline: "A. Reporter", Language: "en", Regions: []string{"JP", "035"},
		Sections: []string{"society"}, Urgency: 2, Breaking: true, Created: begin.Add(time.Duration(version) * time.Minute),
		Embargo:      begin.Add(time.Hour),
		Translations: map[string]news.StoryText{"ja": {Headline: "地震", Standfirst: "強い揺れ"}},
		Hash:         fmt.Sprintf("hash-%d", version)}
}

// noEffects is a decision that nothing follows.
func noEffects(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil }

// storeStory stores a plain story.
func storeStory(t testing.TB, s *store.Store, uri string) news.Story {
	t.Helper()
	out, result, err := s.StoreStory(context.Background(), story(uri, 1), noEffects)
	if err != nil || result != news.StoryStored {
		t.Fatalf("store %s: %s, %v", uri, result, err)
	}
	return out
}

// alert is a full draft of a story.
func alert(uri string) news.Alert {
	return news.Alert{ID: id(), StoryURI: uri, StoryVersion: 1, State: news.AlertDraft, Level: news.LevelBulletin,
		Texts:    map[string]news.Text{"en": {Title: "Quake", Body: "Strong shaking"}, "ja": {Title: "地震", Body: "強い揺れ"}},
		Language: "en", Audience: "JP + 035", Sections: []string{"society"}, Final: true, Deadline: begin.Add(time.Hour),
		Author: "mira", Reason: "", CreatedAt: begin}
}

func release(a news.Alert, kind news.ReleaseKind) *news.Release {
	return &news.Release{ID: id(), AlertID: a.ID, StoryURI: a.StoryURI, Kind: kind, State: news.ReleaseSending,
		Level: a.Level, Texts: a.Texts, Language: a.Language, Audience: a.Audience, Sections: a.Sections, Final: a.Final,
		Regions: []string{"JP", "035"}, Navigate: a.StoryURI, Image: "https://img.example/a.jpg",
		Deadline: begin.Add(time.Hour), ReleasedAt: begin}
}

// released stores a story, an alert of it, and its first release.
func released(t testing.TB, s *store.Store, uri string) (news.Alert, news.Release) {
	t.Helper()
	return releasedIn(t, s, uri, news.PhaseAll)
}

// releasedIn is released, in a phase.
func releasedIn(t testing.TB, s *store.Store, uri string, phase news.Phase) (news.Alert, news.Release) {
	t.Helper()
	return releasedAs(t, s, uri, func(r *news.Release) { r.Phase = phase })
}

// releasedAt is released, at a time.
func releasedAt(t testing.TB, s *store.Store, uri string, at time.Time) (news.Alert, news.Release) {
	t.Helper()
	return releasedAs(t, s, uri, func(r *news.Release) { r.Phase, r.ReleasedAt = news.PhaseAll, at })
}

func releasedAs(t testing.TB, s *store.Store, uri string, set func(*news.Release)) (news.Alert, news.Release) {
	t.Helper()
	ctx := context.Background()
	if _, err := s.Story(ctx, uri); err != nil {
		storeStory(t, s, uri)
	}
	a := alert(uri)
	must(t, s.CreateAlert(ctx, a, news.AuditEntry{By: "mira", Action: "draft", Subject: "alert/" + a.ID}))
	r := release(a, news.ReleaseAlert)
	set(r)
	a, err := s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
		a.State = news.AlertSending
		return news.AlertAction{Release: r, Audit: "send", By: "mira"}, nil
	})
	must(t, err)
	stored, err := s.Release(ctx, r.ID)
	must(t, err)
	return a, stored
}

// push is a subscription that nobody else has.
func push() news.PushSubscription {
	key := make([]byte, 81) // no real point on the curve: the store does not look
	_, _ = rand.Read(key)
	return news.PushSubscription{Endpoint: "https://push.example/v1/" + id(), P256dh: key[:65], Auth: key[65:]}
}

// wishes are full wishes.
func wishes(regions ...string) news.Wishes {
	return news.Wishes{Preference: news.Preference{Regions: regions, Muted: []string{"JP-13"}, Sections: []string{"politics", "society"},
		Level: news.LevelBulletin, Overrides: []news.Override{{Regions: []string{"JP"}, Level: news.LevelNotice}}},
		Language: "ja", OnlyLanguage: true, Timezone: "Asia/Tokyo", Quiet: &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true},
		Cap: 5, PausedUntil: begin.Add(time.Hour), MutedStories: []string{"https://news.example/old"}, OverStories: []string{"https://news.example/running"}}
}

// subscribe adds a device.
func subscribe(t testing.TB, s *store.Store, w news.Wishes) news.Device {
	t.Helper()
	d, created, err := s.CreateSubscription(context.Background(), push(), w)
	must(t, err)
	if !created {
		t.Fatal("a new endpoint was not created")
	}
	return d
}

// changed reads the devices of all cells that changed after `after`.
func changed(t testing.TB, s *store.Store, after [news.Cells]int64) []news.Device {
	t.Helper()
	cells := make([]int, news.Cells)
	for i := range cells {
		cells[i] = i
	}
	var out []news.Device
	must(t, s.CellDevices(context.Background(), cells, after[:], func(d news.Device) error {
		out = append(out, d)
		return nil
	}))
	return out
}
