package audience_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
)

func about(t testing.TB, story, places string) audience.Query {
	q := bulletin(t, places)
	q.StoryURI = story
	return q
}

// TestASampleComesAsItWouldBeSent: what a sample says would have come is what
// the one rule says of each alert by itself.
func TestASampleComesAsItWouldBeSent(t *testing.T) {
	places := []string{"JP", "SG", "035", "ASEAN", "142", "JP-13", "IN", "KR"}
	rapid.Check(t, func(r *rapid.T) {
		level := rapid.SampledFrom([]news.Level{news.LevelNotice, news.LevelBulletin, news.LevelFlash})
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(places), 1, 3, rapid.ID[string])
		w := news.Wishes{Preference: news.Preference{Regions: some.Draw(r, "follows"), Level: level.Draw(r, "wanted"),
			Muted: rapid.SliceOfNDistinct(rapid.SampledFrom(places), 0, 2, rapid.ID[string]).Draw(r, "mutes")},
			Language: rapid.SampledFrom([]string{"en", "ja", "ko"}).Draw(r, "language"), OnlyLanguage: rapid.Bool().Draw(r, "only"), Timezone: "Asia/Tokyo"}
		if rapid.Bool().Draw(r, "sections") {
			w.Preference.Sections = []string{"politics"}
		}
		if rapid.Bool().Draw(r, "override") {
			w.Preference.Overrides = []news.Override{{Regions: []string{"JP"}, Level: level.Draw(r, "there")}}
		}
		for _, story := range []string{"a", "b", "c"} {
			if rapid.Bool().Draw(r, "only the end of "+story) {
				w.OverStories = append(w.OverStories, "https://news.example/"+story)
			}
		}
		plain := w
		plain.OverStories = nil
		var queries []audience.Query
		var want, fit []int
		for i := range rapid.IntRange(0, 12).Draw(r, "alerts") {
			q := about(t, "https://news.example/"+string(rune('a'+i)), rapid.SampledFrom([]string{"JP", "SG", "035", "ASEAN + IN", "JP-13", "KR"}).Draw(r, "audience"))
			q.Level, q.Now = level.Draw(r, "level"), time.Date(2026, 11, 1, i, 0, 0, 0, time.UTC)
			if rapid.Bool().Draw(r, "filed") {
				q.Sections = []string{rapid.SampledFrom([]string{"politics", "sport"}).Draw(r, "section")}
			}
			q.Final = rapid.Bool().Draw(r, "final")
			queries = append(queries, q)
			if audience.Judge(q, news.Device{State: news.DeviceActive, Wishes: plain}, 0).Reason == audience.Matched {
				fit = append(fit, i)
			}
			if audience.Judge(q, news.Device{State: news.DeviceActive, Wishes: w}, 0).Reason == audience.Matched {
				want = append(want, i)
			}
		}
		if got := audience.NewSample(queries).Comes(w); !slices.Equal(got, want) {
			r.Fatalf("comes %v, would be sent %v", got, want)
		}
		if got := audience.NewSample(queries).Fits(plain); !slices.Equal(got, fit) {
			r.Fatalf("fits %v, would be sent %v", got, fit)
		}
	})
}

// TestASampleCountsNotifications: one at the end of a night, no more than a cap
// a day, a story again only louder, a pause not at all.
func TestASampleCountsNotifications(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	past := func(level news.Level, story string, when time.Time) audience.Query {
		q := about(t, story, "JP")
		q.Level, q.Now = level, when
		return q
	}
	night := &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true}
	loud, usual := news.LevelFlash, news.LevelBulletin
	for _, c := range []struct {
		name   string
		change func(*news.Wishes)
		past   []audience.Query
		want   []int
	}{
		{"two in one night", func(w *news.Wishes) { w.Quiet = night },
			[]audience.Query{past(usual, "a", at(1, 23)), past(usual, "b", at(2, 3)), past(usual, "c", at(2, 12)), past(usual, "d", at(2, 23))}, []int{0, 2, 3}},
		{"a flash in the night", func(w *news.Wishes) { w.Quiet = night }, []audience.Query{past(usual, "a", at(1, 23)), past(loud, "b", at(2, 3))}, []int{0, 1}},
		{"a flash that may not wake", func(w *news.Wishes) { w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60} },
			[]audience.Query{past(usual, "a", at(1, 23)), past(loud, "b", at(2, 3))}, []int{0}},
		{"a cap", func(w *news.Wishes) { w.Cap = 2 }, []audience.Query{past(usual, "a", at(1, 1)), past(usual, "b", at(1, 2)), past(usual, "c", at(1, 3)),
			past(loud, "d", at(1, 4)), past(usual, "e", at(2, 1))}, []int{0, 1, 3, 4}},
		{"a story twice", func(*news.Wishes) {}, []audience.Query{past(usual, "a", at(1, 1)), past(usual, "a", at(1, 2)), past(loud, "a", at(1, 3))}, []int{0, 2}},
		{"a muted story", func(w *news.Wishes) { w.MutedStories = []string{"a"} }, []audience.Query{past(loud, "a", at(1, 1)), past(usual, "b", at(1, 2))}, []int{1}},
		{"a pause", func(w *news.Wishes) { w.PausedUntil = at(30, 0) }, []audience.Query{past(usual, "a", at(1, 1))}, []int{0}},
	} {
		w := news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelBulletin}, Language: "en", Timezone: "UTC"}
		c.change(&w)
		if got := audience.NewSample(c.past).Comes(w); !slices.Equal(got, c.want) {
			t.Errorf("%s: comes %v, want %v", c.name, got, c.want)
		}
	}
}

func BenchmarkSample(b *testing.B) {
	var queries []audience.Query
	for i := range 900 { // thirty a day, which is as loud as they get
		q := about(b, "https://news.example/"+string(rune('a'+i)), []string{"JP", "SG", "ASEAN", "035 + IN", "142"}[i%5])
		q.Now = time.Date(2026, 11, 1, 0, i, 0, 0, time.UTC)
		queries = append(queries, q)
	}
	s := audience.NewSample(queries)
	w := news.Wishes{Preference: news.Preference{Regions: []string{"035", "JP"}, Muted: []string{"SG"}, Level: news.LevelBulletin},
		Language: "en", Timezone: "Asia/Tokyo", Quiet: &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true}, Cap: 10}
	b.ReportAllocs()
	for b.Loop() {
		s.Comes(w)
	}
}
