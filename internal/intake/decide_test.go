package intake

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

func storyAt(version int64, change func(*news.Story)) news.Story {
	s := news.Story{URI: "https://news.example/quake", Version: version, Status: news.Usable, Headline: "Strong quake off Taiwan",
		Standfirst: "No tsunami warning.", URL: "https://news.example/quake", Language: "en", Regions: []string{"TW", "JP-47"},
		Sections: []string{"disaster"}, Urgency: 2, Created: clock().Add(-time.Minute),
		Translations: map[string]news.StoryText{"zh-Hant": {Headline: "台灣外海強震"}}}
	if change != nil {
		change(&s)
	}
	return s
}

func breaking(s *news.Story) { s.Breaking = true }

func flash(s *news.Story) { s.Breaking, s.Urgency = true, 1 }

func old(s *news.Story) { s.Created = clock().Add(-6*time.Hour - time.Second) }

func embargoed(s *news.Story) { s.Embargo = clock().Add(time.Hour) }

func all(changes ...func(*news.Story)) func(*news.Story) {
	return func(s *news.Story) {
		for _, f := range changes {
			f(s)
		}
	}
}

func status(p news.PubStatus) func(*news.Story) { return func(s *news.Story) { s.Status = p } }

func rulesWith(p news.Policies) Rules {
	return Rules{Policies: p, MaxStoryAge: 6 * time.Hour, NewID: newIDs(), Now: clock(),
		Navigate: func(_ *news.Alert, s *news.Story) string { return s.URL }}
}

func auto() news.Policies {
	return news.Policies{news.LevelFlash: news.PolicyAuto, news.LevelBulletin: news.PolicyAuto, news.LevelNotice: news.PolicyAuto}
}

func alertIn(state news.AlertState, level news.Level, revision int) news.Alert {
	return news.Alert{ID: string(state) + "-" + level.String(), StoryURI: "https://news.example/quake", State: state, Level: level, Revision: revision,
		Texts: map[string]news.Text{"en": {Title: "Strong quake", Body: "Details."}, "ja": {Title: "強い地震"}}, Language: "en", Audience: "TW"}
}

// What a story raises: "" nothing, else level/state, with "+sent" for a release.
func TestDrafts(t *testing.T) {
	t.Parallel()
	v1 := func(f func(*news.Story)) *news.Story { s := storyAt(1, f); return &s }
	noticeSent := alertIn(news.AlertSent, news.LevelNotice, 1)
	tests := []struct {
		name   string
		story  news.Story
		latest *news.Story
		alerts []news.Alert
		one    string // default policies
		auto   string // all auto
	}{
		{"not breaking", storyAt(1, nil), nil, nil, "notice/sending+sent", "notice/sending+sent"},
		{"breaking", storyAt(1, breaking), nil, nil, "bulletin/draft", "bulletin/sending+sent"},
		{"breaking, urgency 1", storyAt(1, flash), nil, nil, "flash/draft", "flash/sending+sent"},
		{"breaking, embargoed", storyAt(1, all(breaking, embargoed)), nil, nil, "bulletin/draft", "bulletin/holding"},
		{"notice, embargoed", storyAt(1, embargoed), nil, nil, "notice/holding", "notice/holding"},
		{"old", storyAt(1, all(breaking, old)), nil, nil, "", ""},
		{"exactly six hours", storyAt(1, func(s *news.Story) { s.Created = clock().Add(-6 * time.Hour) }), nil, nil, "notice/sending+sent", "notice/sending+sent"},
		{"old, but the embargo just ended", storyAt(1, all(old, func(s *news.Story) { s.Embargo = clock().Add(-time.Hour) })), nil, nil, "notice/sending+sent", "notice/sending+sent"},
		{"withheld at first", storyAt(1, all(breaking, status(news.Withheld))), nil, nil, "", ""},
		{"canceled at first", storyAt(1, all(breaking, status(news.Canceled))), nil, nil, "", ""},
		{"usable after withheld", storyAt(2, breaking), v1(all(breaking, status(news.Withheld))), nil, "bulletin/draft", "bulletin/sending+sent"},
		{"second breaking version", storyAt(2, breaking), v1(breaking), []news.Alert{alertIn(news.AlertDraft, news.LevelBulletin, 0)}, "", ""},
		{"second breaking version, the first was too old", storyAt(2, breaking), v1(all(breaking, old)), nil, "", ""},
		{"second breaking version, urgency raised", storyAt(2, flash), v1(breaking), []news.Alert{alertIn(news.AlertSent, news.LevelBulletin, 1)}, "", ""},
		{"becomes breaking", storyAt(2, breaking), v1(nil), []news.Alert{noticeSent}, "bulletin/draft", "bulletin/sending+sent"},
		{"becomes breaking, nothing was sent", storyAt(2, breaking), v1(old), nil, "bulletin/draft", "bulletin/sending+sent"},
		{"becomes breaking, but the desk raised it already", storyAt(2, breaking), v1(nil), []news.Alert{alertIn(news.AlertCancelled, news.LevelFlash, 0)}, "", ""},
		{"breaking again after a pause", storyAt(3, breaking), func() *news.Story { s := storyAt(2, nil); return &s }(), []news.Alert{alertIn(news.AlertSent, news.LevelBulletin, 1)}, "", ""},
		{"second version, not breaking", storyAt(2, nil), v1(nil), []news.Alert{noticeSent}, "", ""},
		{"usable again, its notice was held", storyAt(3, nil), func() *news.Story { s := storyAt(2, status(news.Withheld)); return &s }(), []news.Alert{alertIn(news.AlertHeld, news.LevelNotice, 0)}, "", ""},
		{"no version of its own", storyAt(0, breaking), v1(nil), nil, "bulletin/draft", "bulletin/sending+sent"},
		{"an older version", storyAt(1, breaking), func() *news.Story { s := storyAt(2, nil); return &s }(), nil, "", ""},
	}
	for _, tt := range tests {
		for policies, want := range map[*news.Policies]string{ptr(news.DefaultPolicies()): tt.one, ptr(auto()): tt.auto} {
			got, err := Decide(tt.story, news.StoryPrior{Latest: tt.latest, Alerts: tt.alerts}, rulesWith(*policies))
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if s := summary(got); s != want {
				t.Errorf("%s: got %q, want %q", tt.name, s, want)
			}
		}
	}
}

func ptr[T any](v T) *T { return &v }

func summary(e news.StoryEffects) string {
	if e.Draft == nil {
		return ""
	}
	s := e.Draft.Level.String() + "/" + string(e.Draft.State)
	if e.Release != nil {
		s += "+sent"
	}
	return s
}

func TestReleaseOfADraft(t *testing.T) {
	t.Parallel()
	latest := storyAt(1, nil)
	prior := news.StoryPrior{Latest: &latest, Alerts: []news.Alert{alertIn(news.AlertSent, news.LevelNotice, 1)}}
	got, err := Decide(storyAt(2, breaking), prior, rulesWith(auto()))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]news.Text{"en": {Title: "Strong quake off Taiwan", Body: "No tsunami warning."}, "zh-Hant": {Title: "台灣外海強震"}}
	wantDraft := &news.Alert{ID: "id-1", StoryURI: "https://news.example/quake", StoryVersion: 2, State: news.AlertSending, Level: news.LevelBulletin,
		Texts: texts, Language: "en", Audience: "TW + JP-47", Sections: []string{"disaster"}, Author: "system", Releaser: "system",
		CreatedAt: clock(), ReleasedAt: clock()}
	wantRelease := &news.Release{ID: "id-2", AlertID: "id-1", StoryURI: "https://news.example/quake", Kind: news.ReleaseAlert, State: news.ReleaseSending, Phase: news.PhaseAll,
		Level: news.LevelBulletin, Texts: texts, Language: "en", Audience: "TW + JP-47", Sections: []string{"disaster"}, Regions: []string{"TW", "JP-47"},
		Navigate: "https://news.example/quake", Deadline: clock().Add(time.Hour), ReleasedAt: clock(), Raised: true}
	if diff := cmp.Diff(wantDraft, got.Draft); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(wantRelease, got.Release); diff != "" {
		t.Error(diff)
	}
	if got, _ = Decide(storyAt(1, breaking), news.StoryPrior{}, rulesWith(auto())); got.Release.Raised {
		t.Error("a first alert is not a raised one")
	}
}

func TestWithheld(t *testing.T) {
	t.Parallel()
	latest := storyAt(1, breaking)
	prior := news.StoryPrior{Latest: &latest, Alerts: []news.Alert{
		alertIn(news.AlertDraft, news.LevelFlash, 0), alertIn(news.AlertHolding, news.LevelBulletin, 0), alertIn(news.AlertSending, news.LevelNotice, 1),
		alertIn(news.AlertHeld, news.LevelBulletin, 0), alertIn(news.AlertSent, news.LevelBulletin, 1), alertIn(news.AlertKilled, news.LevelBulletin, 1),
	}}
	got, err := Decide(storyAt(2, all(breaking, status(news.Withheld))), prior, rulesWith(auto()))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]news.AlertState{"draft-flash": news.AlertDraft, "holding-bulletin": news.AlertHolding, "sending-notice": news.AlertSending}
	if got.Draft != nil || len(got.Changes) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for _, c := range got.Changes {
		if c.Alert.State != news.AlertHeld || c.Alert.HeldFrom != want[c.Alert.ID] || !c.Action.Freeze || c.Action.Release != nil ||
			c.Alert.Reason != "the newsroom withheld the story (version 2)" {
			t.Errorf("%+v", c)
		}
	}
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	latest := storyAt(1, breaking)
	prior := news.StoryPrior{Latest: &latest, Alerts: []news.Alert{
		alertIn(news.AlertDraft, news.LevelFlash, 0), alertIn(news.AlertSending, news.LevelBulletin, 1), alertIn(news.AlertHeld, news.LevelNotice, 1),
		alertIn(news.AlertSent, news.LevelFlash, 2), alertIn(news.AlertCancelled, news.LevelNotice, 1), alertIn(news.AlertCancelled, news.LevelFlash, 0),
		alertIn(news.AlertKilled, news.LevelBulletin, 3),
	}}
	tests := []struct {
		name     string
		policies news.Policies
		want     map[string]string
	}{
		// Notices are auto by default; what needs an editor is stopped, and the
		// KILL of what was sent is the desk's.
		{"default", news.DefaultPolicies(), map[string]string{"draft-flash": "cancelled", "sending-bulletin": "cancelled", "held-notice": "killed+kill", "cancelled-notice": "killed+kill"}},
		{"auto", auto(), map[string]string{"draft-flash": "cancelled", "sending-bulletin": "killed+kill", "held-notice": "killed+kill", "sent-flash": "killed+kill", "cancelled-notice": "killed+kill"}},
	}
	for _, tt := range tests {
		for _, story := range []news.Story{storyAt(2, status(news.Canceled)), storyAt(2, all(old, status(news.Canceled)))} {
			got, err := Decide(story, prior, rulesWith(tt.policies))
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]string{}
			for _, c := range got.Changes {
				seen[c.Alert.ID] = string(c.Alert.State)
				if r := c.Action.Release; r != nil {
					seen[c.Alert.ID] += "+" + string(r.Kind)
					if r.Texts["en"].Title != "RETRACTED: Strong quake" || r.Texts["ja"].Title != "【取り消し】強い地震" || r.Texts["ja"].Body == "" {
						t.Errorf("%s: texts %+v", tt.name, r.Texts)
					}
				}
				if !c.Action.Stop {
					t.Errorf("%s: %s is not stopped", tt.name, c.Alert.ID)
				}
			}
			if diff := cmp.Diff(tt.want, seen); diff != "" || got.Draft != nil {
				t.Errorf("%s: %s", tt.name, diff)
			}
		}
	}
}

// The retraction tries as long as what it takes back may still arrive, also
// where no editor pressed KILL.
func TestCanceledOutlives(t *testing.T) {
	t.Parallel()
	latest := storyAt(1, breaking)
	a := alertIn(news.AlertSent, news.LevelFlash, 1)
	a.Deadline = clock().Add(20 * time.Hour)
	got, err := Decide(storyAt(2, status(news.Canceled)), news.StoryPrior{Latest: &latest, Alerts: []news.Alert{a}}, rulesWith(auto()))
	if err != nil || len(got.Changes) != 1 || got.Changes[0].Action.Release == nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if end := got.Changes[0].Action.Release.Deadline; !end.Equal(a.Deadline) {
		t.Errorf("the retraction ends at %v, the alert at %v", end, a.Deadline)
	}
}

func TestEmbargoEndsEarlier(t *testing.T) {
	t.Parallel()
	latest := storyAt(1, embargoed)
	waiting := alertIn(news.AlertHolding, news.LevelNotice, 0)
	waiting.HoldUntil = latest.Embargo
	counting := alertIn(news.AlertHolding, news.LevelBulletin, 0)
	counting.HoldUntil = clock().Add(10 * time.Second)
	prior := news.StoryPrior{Latest: &latest, Alerts: []news.Alert{waiting, counting}}
	tests := map[string]struct {
		embargo time.Time
		want    time.Time // zero: no change
	}{
		"lifted":  {time.Time{}, clock()},
		"earlier": {clock().Add(time.Minute), clock().Add(time.Minute)},
		"same":    {latest.Embargo, time.Time{}},
		"later":   {latest.Embargo.Add(time.Hour), time.Time{}}, // seen when the wait is over (news.EndHold)
	}
	for name, tt := range tests {
		got, err := Decide(storyAt(2, func(s *news.Story) { s.Embargo = tt.embargo }), prior, rulesWith(auto()))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case tt.want.IsZero() && len(got.Changes) != 0:
			t.Errorf("%s: %+v", name, got.Changes)
		case !tt.want.IsZero() && (len(got.Changes) != 1 || !got.Changes[0].Alert.HoldUntil.Equal(tt.want) || got.Changes[0].Alert.ID != waiting.ID):
			t.Errorf("%s: %+v", name, got.Changes)
		}
	}
}

// Over any history of a story: nothing goes out by itself that is old,
// withheld, canceled or embargoed; only notices unless the policy is auto; at
// most one alert for each level is drafted; and what is finished stays finished.
func TestDecideHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policies := news.Policies{}
		for _, l := range news.Levels() {
			policies[l] = rapid.SampledFrom([]news.Policy{news.PolicyAuto, news.PolicyOne, news.PolicyTwo}).Draw(t, "policy")
		}
		store := newFakeStore()
		rules := rulesWith(policies)
		drafted := 0
		for version := int64(1); version <= 6; version++ {
			story := storyAt(version, func(s *news.Story) {
				s.Status = rapid.SampledFrom([]news.PubStatus{news.Usable, news.Usable, news.Withheld, news.Canceled}).Draw(t, "status")
				s.Breaking = rapid.Bool().Draw(t, "breaking")
				s.Urgency = rapid.IntRange(1, 3).Draw(t, "urgency")
				s.Created = clock().Add(-time.Duration(rapid.IntRange(0, 8).Draw(t, "age")) * time.Hour)
				s.Embargo = clock().Add(time.Duration(rapid.IntRange(-2, 2).Draw(t, "embargo")) * time.Hour)
				s.Hash = string(rune('a' + version))
			})
			var effects news.StoryEffects
			_, _, err := store.StoreStory(t.Context(), story, func(prior news.StoryPrior) (news.StoryEffects, error) {
				var err error
				effects, err = Decide(story, prior, rules)
				for _, c := range effects.Changes {
					for _, a := range prior.Alerts {
						if a.ID == c.Alert.ID && !a.State.Unfinished() && c.Action.Release == nil {
							t.Errorf("version %d changes %s, which is %s", version, a.ID, a.State)
						}
					}
				}
				return effects, err
			})
			if err != nil {
				t.Fatal(err)
			}
			if effects.Draft != nil {
				drafted++
			}
			silent := story.Status != news.Usable || story.Embargoed(clock()) || clock().Sub(story.AgeFrom()) > rules.MaxStoryAge
			if effects.Release != nil && (silent || policies[effects.Release.Level] != news.PolicyAuto) {
				t.Fatalf("version %d sends %+v", version, effects.Release)
			}
			if effects.Draft != nil && (story.Status != news.Usable || clock().Sub(story.AgeFrom()) > rules.MaxStoryAge) {
				t.Fatalf("version %d drafts %+v", version, effects.Draft)
			}
		}
		if drafted > 2 {
			t.Fatalf("%d drafts of one story", drafted)
		}
	})
}

// Over the newsroom's cap nothing goes out by itself: the alert stays a draft
// that says why, and the story is stored as ever.
func TestOverTheCapStaysADraft(t *testing.T) {
	t.Parallel()
	rules := rulesWith(auto())
	full := &news.Room{Cap: news.Cap{Hour: 1, Day: 5}, At: []time.Time{rules.Now.Add(-time.Minute)}}
	got, err := Decide(storyAt(1, breaking), news.StoryPrior{Room: full}, rules)
	if err != nil || got.Draft == nil || got.Release != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	if got.Draft.State != news.AlertDraft || !got.Draft.ReleasedAt.IsZero() || !strings.Contains(got.Draft.Reason, "not released by itself: the newsroom's cap for a") {
		t.Errorf("draft %+v", got.Draft)
	}
	full.Cap.Hour = 2
	if got, err = Decide(storyAt(1, breaking), news.StoryPrior{Room: full}, rules); err != nil || got.Release == nil {
		t.Errorf("with room left: %+v, %v", got, err)
	}
}
