package app

import (
	"slices"
	"testing"
	"time"

	"dateline/internal/news"
)

// TestRehearsalFollowsTheRulesOfPlans: places, sections, levels and overrides as
// the dispatcher reads them; an audience that can't be read comes to nobody.
func TestRehearsalFollowsTheRulesOfPlans(t *testing.T) {
	at := time.Date(2026, 11, 1, 3, 0, 0, 0, time.UTC)
	release := func(uri, audience string, level news.Level, sections ...string) news.Release {
		at = at.Add(time.Hour)
		return news.Release{StoryURI: uri, Audience: audience, Level: level, Sections: sections, ReleasedAt: at, Language: "en",
			Texts: map[string]news.Text{"en": {Title: uri}, "ja": {Title: uri}}}
	}
	past := rehearser{}.Rehearse([]news.Release{
		release("quake", "035", news.LevelFlash),
		release("singapore", "SG", news.LevelBulletin),
		release("budget", "JP", news.LevelBulletin, "politics"),
		release("cup", "JP", news.LevelBulletin, "sport"),
		release("festival", "JP-26", news.LevelNotice),
		release("lost", "ATLANTIS", news.LevelFlash),
		release("both", "ASEAN + JP - SG", news.LevelBulletin),
	})
	wants := func(change func(*news.Wishes)) news.Wishes {
		w := news.Wishes{Preference: news.Preference{Regions: []string{"035", "JP"}, Level: news.LevelBulletin}, Language: "en", Timezone: "UTC"}
		change(&w)
		return w
	}
	for name, c := range map[string]struct {
		wishes news.Wishes
		want   []int
	}{
		"as it comes":      {wants(func(*news.Wishes) {}), []int{0, 1, 2, 3, 6}},
		"without a part":   {wants(func(w *news.Wishes) { w.Preference.Muted = []string{"SG"} }), []int{0, 2, 3, 6}},
		"sections":         {wants(func(w *news.Wishes) { w.Preference.Sections = []string{"sport"} }), []int{0, 1, 3, 6}},
		"flashes alone":    {wants(func(w *news.Wishes) { w.Preference.Level = news.LevelFlash }), []int{0}},
		"all of Japan":     {wants(func(w *news.Wishes) { w.Preference = allOfJapan() }), []int{0, 2, 3, 4, 6}},
		"another language": {wants(func(w *news.Wishes) { w.Language, w.OnlyLanguage = "ko", true }), nil},
		"elsewhere":        {wants(func(w *news.Wishes) { w.Preference.Regions = []string{"IN"} }), nil},
	} {
		if got := past.Comes(c.wishes); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// allOfJapan is everything from there, and only flashes from elsewhere.
func allOfJapan() news.Preference {
	return news.Preference{Regions: []string{"035", "JP"}, Level: news.LevelFlash,
		Overrides: []news.Override{{Regions: []string{"JP"}, Level: news.LevelNotice}}}
}
