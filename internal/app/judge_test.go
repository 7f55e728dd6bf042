package app

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// TestJudgeAgreesWithAudience: the demo's verdict is worth something only if
// its second reading of the rules is the same as the first, over far more
// wishes and alerts than one day has.
func TestJudgeAgreesWithAudience(t *testing.T) {
	leaves := newJudge().leaves // of places: the same for every case
	asked := map[audience.Reason]int{}
	agree := func(rt *rapid.T) {
		j := &judge{leaves: leaves, matched: map[string]bool{}}
		w, r := drawWishes(rt), drawRelease(rt)
		sentToday := rapid.IntRange(0, 3).Draw(rt, "sentToday")
		expr, err := region.Parse(r.Audience)
		if err != nil {
			rt.Fatal(err)
		}
		q := audience.Query{StoryURI: r.StoryURI, Level: r.Level, Expr: expr, Sections: r.Sections, Language: r.Language,
			Languages: textLanguages(r), Now: r.ReleasedAt}
		first := audience.Judge(q, news.Device{State: news.DeviceActive, Wishes: w}, sentToday).Reason
		asked[first]++
		second := j.of(w, r, sentToday)
		if (first == audience.Matched) != (second == hers) || second == asleep && first != audience.HeldQuiet {
			rt.Fatalf("audience says %s, the judge %d\nwishes %+v\nalert %s to %s, sections %v, at %s", first, second, w, r.Level, r.Audience, r.Sections, r.ReleasedAt)
		}
	}
	unasked := func() (left []audience.Reason) {
		for _, reason := range []audience.Reason{audience.Matched, audience.HeldQuiet, audience.NotFollowed, audience.Level} {
			if asked[reason] == 0 {
				left = append(left, reason)
			}
		}
		return left
	}
	// One case in twenty matches: a hundred of them may have none that sleeps.
	for round := 0; round < 20 && !t.Failed() && (round == 0 || len(unasked()) > 0); round++ {
		rapid.Check(t, agree)
	}
	if left := unasked(); len(left) > 0 && !t.Failed() {
		t.Errorf("no case was %v: %v", left, asked)
	}
}

func drawPlaces(rt *rapid.T, name string, least, most int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"JP", "JP-13", "CN", "TW", "ID", "ID-JK", "TH", "035", "030", "142", "ASEAN"}),
		least, most, rapid.ID).Draw(rt, name)
}

func drawLevel(rt *rapid.T, name string) news.Level {
	return rapid.SampledFrom(news.Levels()).Draw(rt, name)
}

func drawSections(rt *rapid.T, name string) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"politics", "sport", "weather"}), 0, 2, rapid.ID).Draw(rt, name)
}

func drawWishes(rt *rapid.T) news.Wishes {
	w := news.Wishes{Preference: news.Preference{Regions: drawPlaces(rt, "regions", 1, 3), Muted: drawPlaces(rt, "muted", 0, 2),
		Sections: drawSections(rt, "sections"), Level: drawLevel(rt, "level")},
		Language: rapid.SampledFrom([]string{"en", "ja", "zh-Hant", "id"}).Draw(rt, "language"), OnlyLanguage: rapid.Bool().Draw(rt, "only"),
		Timezone: rapid.SampledFrom([]string{"Asia/Tokyo", "Asia/Kolkata", "Europe/Prague"}).Draw(rt, "zone"), Cap: rapid.IntRange(0, 3).Draw(rt, "cap")}
	for range rapid.IntRange(0, 2).Draw(rt, "overrides") {
		w.Preference.Overrides = append(w.Preference.Overrides, news.Override{Regions: drawPlaces(rt, "override", 1, 2), Level: drawLevel(rt, "override level")})
	}
	if rapid.Bool().Draw(rt, "quiet") {
		minute := rapid.IntRange(0, 24*60-1)
		w.Quiet = &news.Quiet{From: minute.Draw(rt, "from"), To: minute.Draw(rt, "to"), Flash: rapid.Bool().Draw(rt, "flash passes")}
	}
	if rapid.IntRange(0, 5).Draw(rt, "muted story") == 0 {
		w.MutedStories = []string{"https://news.example/1"}
	}
	return w
}

func drawRelease(rt *rapid.T) news.Release {
	r := news.Release{ID: "r1", StoryURI: "https://news.example/1", Level: drawLevel(rt, "alert level"),
		Language: "en", Audience: strings.Join(drawPlaces(rt, "audience", 1, 2), " + "), Sections: drawSections(rt, "alert sections"),
		Texts: map[string]news.Text{"en": {Title: "Quake"}}}
	if rapid.Bool().Draw(rt, "translated") {
		r.Texts["ja"] = news.Text{Title: "地震"}
	}
	// An autumn day on which Prague's clocks are set back, and the day before.
	r.ReleasedAt = time.Date(2026, 10, 24, 0, rapid.IntRange(0, 48*60).Draw(rt, "minute"), 0, 0, time.UTC)
	return r
}

// TestJudgeByHand holds the judge itself against cases that were worked out on
// paper.
func TestJudgeByHand(t *testing.T) {
	at := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	release := func(level news.Level, places string) news.Release {
		return news.Release{ID: places + level.String(), Level: level, Audience: places, Language: "en", Texts: map[string]news.Text{"en": {}}, ReleasedAt: at}
	}
	wishes := func(level news.Level, regions ...string) news.Wishes {
		return news.Wishes{Preference: news.Preference{Regions: regions, Level: level}, Language: "en", Timezone: "Asia/Tokyo"}
	}
	quiet := wishes(news.LevelNotice, "JP") // it is 21:00 in Tokyo
	quiet.Quiet = &news.Quiet{From: 20 * 60, To: 6 * 60, Flash: true}
	capped := wishes(news.LevelNotice, "JP")
	capped.Cap = 2
	for i, c := range []struct {
		w    news.Wishes
		r    news.Release
		sent int
		want verdict
	}{
		{wishes(news.LevelBulletin, "ID"), release(news.LevelBulletin, "035"), 0, hers}, // the tsunami of DESIGN 7
		{wishes(news.LevelNotice, "ID"), release(news.LevelNotice, "035"), 0, notHers},  // not inside
		{wishes(news.LevelNotice, "035"), release(news.LevelNotice, "ID"), 0, hers},
		{wishes(news.LevelFlash, "ID"), release(news.LevelBulletin, "ID"), 0, notHers},
		{quiet, release(news.LevelBulletin, "JP"), 0, asleep},
		{quiet, release(news.LevelFlash, "JP"), 0, hers},
		{capped, release(news.LevelBulletin, "JP"), 1, hers},
		{capped, release(news.LevelBulletin, "JP"), 2, notHers},
		{capped, release(news.LevelFlash, "JP"), 2, hers},
	} {
		if got := newJudge().of(c.w, c.r, c.sent); got != c.want {
			t.Errorf("%d: %d, want %d", i, got, c.want)
		}
	}
}
