package digest

import (
	"crypto/sha512"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

// now is the instant at which the tests' digests are made: 07:00 in Tokyo.
func now() time.Time { return time.Date(2026, 2, 5, 22, 0, 0, 0, time.UTC) }

func tokyoEdition() Edition { return Edition{At: now(), LocalDate: "2026-02-06"} }

// story is usable, of Japan and politics, an hour old.
func story(uri string, change ...func(*news.Story)) news.Story {
	s := news.Story{URI: uri, Version: 1, Status: news.Usable, Headline: "Headline " + uri, Standfirst: "Standfirst " + uri + ", " + words(uri),
		URL: "https://news.example/" + uri, Kind: "article", Language: "en", Regions: []string{"JP"}, Sections: []string{"politics"},
		Urgency: 5, Created: now().Add(-time.Hour), StoredAt: now().Add(-time.Hour)}
	for _, c := range change {
		c(&s)
	}
	return s
}

// words are a story's own: others tell of something else.
func words(uri string) string {
	return fmt.Sprintf("%x%x", sha512.Sum512([]byte(uri)), sha512.Sum512([]byte("more of "+uri)))
}

func japan() news.Wishes {
	return news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelBulletin}, Language: "en", Timezone: "Asia/Tokyo"}
}

func TestJudge(t *testing.T) {
	since := now().Add(-24 * time.Hour)
	base := Query{Edition: tokyoEdition(), Wishes: japan(), Since: since}
	tests := []struct {
		name  string
		story news.Story
		query func(*Query)
		want  Reason
	}{
		{"plain", story("a"), nil, Chosen},
		{"withheld", story("a", func(s *news.Story) { s.Status = news.Withheld }), nil, NotUsable},
		{"killed", story("a", func(s *news.Story) { s.Status = news.Canceled }), nil, NotUsable},
		{"embargoed", story("a", func(s *news.Story) { s.Embargo = now().Add(time.Second) }), nil, Embargoed},
		{"embargo just over", story("a", func(s *news.Story) { s.Embargo = now() }), nil, Chosen},
		{"stored long ago, embargo over since", story("a", func(s *news.Story) {
			s.StoredAt, s.Created, s.Embargo = now().Add(-60*time.Hour), now().Add(-60*time.Hour), now().Add(-time.Hour)
		}), nil, Chosen},
		{"stored with the last edition", story("a", func(s *news.Story) { s.StoredAt = since }), nil, Seen},
		{"first edition ever", story("a", func(s *news.Story) { s.StoredAt = since }), func(q *Query) { q.Since = time.Time{} }, Chosen},
		{"36 hours old", story("a", func(s *news.Story) { s.Created = now().Add(-36 * time.Hour) }), nil, Chosen},
		{"older", story("a", func(s *news.Story) { s.Created = now().Add(-36*time.Hour - time.Second) }), nil, TooOld},
		{"older, weekly", story("a", func(s *news.Story) { s.Created = now().Add(-7 * 24 * time.Hour) }), func(q *Query) { q.Edition.Weekly = true }, Chosen},
		{"elsewhere", story("a", func(s *news.Story) { s.Regions = []string{"TH"} }), nil, NotFollowed},
		{"her country's area", story("a", func(s *news.Story) { s.Regions = []string{"030"} }), nil, Chosen},
		{"inside her country", story("a", func(s *news.Story) { s.Regions = []string{"JP-13"} }), nil, Chosen},
		{"a place nobody knows", story("a", func(s *news.Story) { s.Regions = []string{"XX"} }), nil, NotFollowed},
		{"muted place", story("a", func(s *news.Story) { s.Regions = []string{"JP-13"} }), func(q *Query) { q.Wishes.Preference.Muted = []string{"JP-13"} }, NotFollowed},
		{"a group", story("a", func(s *news.Story) { s.Regions = []string{"TH"} }), func(q *Query) { q.Wishes.Preference.Regions = []string{"ASEAN"} }, Chosen},
		{"other section", story("a"), func(q *Query) { q.Wishes.Preference.Sections = []string{"sport"} }, OtherSection},
		{"no section", story("a", func(s *news.Story) { s.Sections = nil }), func(q *Query) { q.Wishes.Preference.Sections = []string{"sport"} }, Chosen},
		{"any level", story("a"), func(q *Query) { q.Wishes.Preference.Level = news.LevelFlash }, Chosen},
		{"other language", story("a"), func(q *Query) { q.Wishes.Language = "ja" }, Chosen},
		{"only her language", story("a"), func(q *Query) { q.Wishes.Language, q.Wishes.OnlyLanguage = "ja", true }, OtherTongue},
		{"translated", story("a", func(s *news.Story) { s.Translations = map[string]news.StoryText{"ja": {Headline: "見出し"}} }),
			func(q *Query) { q.Wishes.Language, q.Wishes.OnlyLanguage = "ja", true }, Chosen},
		{"muted story", story("a"), func(q *Query) { q.Wishes.MutedStories = []string{"a"} }, MutedStory},
		{"pushed", story("a"), func(q *Query) { q.Pushed = []news.Pushed{{StoryURI: "a"}} }, Pushed},
		{"carried", story("a"), func(q *Query) { q.Past.Carried = map[string]time.Time{"a": now().Add(-24 * time.Hour)} }, Carried},
	}
	for _, test := range tests {
		q := base
		if test.query != nil {
			test.query(&q)
		}
		shelf := NewShelf([]news.Story{test.story}, now())
		if got := shelf.Why("a", q); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
		if chosen := len(shelf.Choose(q).Stories()) == 1; chosen != (test.want == Chosen) {
			t.Errorf("%s: Choose and Why differ", test.name)
		}
	}
}

func TestChooseRanksAndGroups(t *testing.T) {
	stories := []news.Story{
		story("old", func(s *news.Story) { s.Created = now().Add(-3 * time.Hour) }),
		story("new"),
		story("sport", func(s *news.Story) { s.Sections, s.Urgency = []string{"sport"}, 3 }),
		story("none", func(s *news.Story) { s.Sections, s.Urgency = nil, 1 }),
		story("breaking", func(s *news.Story) { s.Breaking, s.Created = true, now().Add(-5*time.Hour) }),
		story("urgent", func(s *news.Story) { s.Urgency = 2 }),
		story("none late", func(s *news.Story) { s.Sections, s.Urgency = nil, 2 }),
	}
	got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan()})
	want := []string{"none", "urgent", "new", "breaking", "old", "sport", "none late"}
	if diff := cmp.Diff(want, got.URIs()); diff != "" {
		t.Error(diff)
	}
	if got.Lead.URI != "none" || len(got.Groups) != 3 || got.Groups[2].Section != "" { // the most important of all opens, whatever its section
		t.Errorf("groups: %+v", got.Groups)
	}
}

// The points of rank.go, one thing at a time: which of two comes first.
func TestRank(t *testing.T) {
	hours := func(h int) func(*news.Story) {
		return func(s *news.Story) { s.Created = now().Add(-time.Duration(h) * time.Hour) }
	}
	urgency := func(u int) func(*news.Story) { return func(s *news.Story) { s.Urgency = u } }
	of := func(codes ...string) func(*news.Story) { return func(s *news.Story) { s.Regions = codes } }
	breaking := func(s *news.Story) { s.Breaking = true }
	weekly := Edition{At: now(), LocalDate: "2026-02-06", Weekly: true}
	for name, c := range map[string]struct {
		first, second news.Story
		follows       []string
		edition       Edition
	}{
		"more urgent":                      {story("b", urgency(4)), story("a", urgency(5)), []string{"JP"}, tokyoEdition()},
		"more urgent, four hours older":    {story("b", urgency(4), hours(5)), story("a", urgency(5), hours(1)), []string{"JP"}, tokyoEdition()},
		"newer by six hours, less urgent":  {story("b", urgency(5), hours(1)), story("a", urgency(4), hours(7)), []string{"JP"}, tokyoEdition()},
		"breaking":                         {story("b", breaking), story("a"), []string{"JP"}, tokyoEdition()},
		"newer":                            {story("b", hours(1)), story("a", hours(2)), []string{"JP"}, tokyoEdition()},
		"her country before its area":      {story("b", of("JP")), story("a", of("KR")), []string{"030", "JP"}, tokyoEdition()},
		"an area before a continent":       {story("b", of("TH")), story("a", of("IN")), []string{"142", "035"}, tokyoEdition()},
		"a group as an area":               {story("b", of("TH")), story("a", of("IN")), []string{"142", "ASEAN"}, tokyoEdition()},
		"a place inside her country":       {story("b", of("JP-13")), story("a", of("KR")), []string{"JP", "030"}, tokyoEdition()},
		"the nearest of its places counts": {story("b", of("US", "JP")), story("a", of("KR")), []string{"142", "JP"}, tokyoEdition()},
		"very urgent before near":          {story("b", of("KR"), urgency(3)), story("a", of("JP"), urgency(5)), []string{"142", "JP"}, tokyoEdition()},
		"age stops to count":               {story("b", hours(150), urgency(4)), story("a", hours(40), urgency(5)), []string{"JP"}, weekly},
		"else by name":                     {story("a"), story("b"), []string{"JP"}, tokyoEdition()},
	} {
		w := japan()
		w.Preference.Regions = c.follows
		for _, stories := range [][]news.Story{{c.first, c.second}, {c.second, c.first}} {
			got := NewShelf(stories, now()).Choose(Query{Edition: c.edition, Wishes: w}).URIs()
			if diff := cmp.Diff([]string{c.first.URI, c.second.URI}, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

// One country does not fill the mail while others have something.
func TestChooseSpreadsOverCountries(t *testing.T) {
	var stories []news.Story
	sections := []string{"politics", "business", "culture", "sport", "science"}
	for i := range 15 {
		stories = append(stories, story(fmt.Sprintf("jp%02d", i), func(s *news.Story) { s.Urgency, s.Sections = 3, sections[i%5:i%5+1] }))
	}
	for i, country := range []string{"KR", "TH", "IN"} {
		stories = append(stories, story("other-"+country, func(s *news.Story) { s.Regions, s.Sections, s.Urgency = []string{country}, sections[i:i+1], 5 }))
	}
	w := japan()
	w.Preference.Regions = []string{"142"}
	got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: w}).URIs()
	for _, country := range []string{"KR", "TH", "IN"} {
		if !slices.Contains(got, "other-"+country) {
			t.Errorf("nothing of %s in %v", country, got)
		}
	}
	if len(got) != maxStories {
		t.Errorf("%d stories", len(got))
	}
}

// Of two tellings of one event the better comes in, also where there is room.
func TestChooseTellsAnEventOnce(t *testing.T) {
	quake := func(uri string, urgency int, headline string) news.Story {
		return story(uri, func(s *news.Story) {
			s.Urgency, s.Headline, s.Standfirst = urgency, headline, "The agency warned of waves of up to three metres along the Pacific coast."
		})
	}
	got := NewShelf([]news.Story{quake("a", 3, "Magnitude 7.1 earthquake off Hokkaido; tsunami warning issued"),
		quake("b", 2, "Magnitude 7.1 earthquake strikes off Hokkaido, tsunami warning issued"), story("c")}, now()).
		Choose(Query{Edition: tokyoEdition(), Wishes: japan()}).URIs()
	if diff := cmp.Diff([]string{"b", "c"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestChooseStandsUnderTheReadersSection(t *testing.T) {
	s := story("a", func(s *news.Story) { s.Sections = []string{"politics", "technology"} })
	w := japan()
	w.Preference.Sections = []string{"technology"}
	got := NewShelf([]news.Story{s}, now()).Choose(Query{Edition: tokyoEdition(), Wishes: w})
	if got := sectionOf(got.Lead, w.Preference.Sections); got != "technology" {
		t.Errorf("section %s", got)
	}
}

func TestChooseLeavesRoomForOtherSections(t *testing.T) {
	var stories []news.Story
	for i := range 20 {
		stories = append(stories, story(fmt.Sprintf("p%02d", i), func(s *news.Story) { s.Urgency = 2 }))
	}
	for i := range 6 {
		stories = append(stories, story(fmt.Sprintf("c%02d", i), func(s *news.Story) { s.Sections = []string{"culture"} }))
	}
	got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan()})
	if len(got.Stories()) != maxStories || len(got.Groups[0].Stories) != 7 || len(got.Groups[1].Stories) != 4 {
		t.Errorf("chosen: %v", got.URIs())
	}
	only := NewShelf(stories[:20], now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan()})
	if len(only.Stories()) != maxStories {
		t.Errorf("one section alone: %d stories", len(only.Stories()))
	}
}

func TestChooseNamesWhatWasPushed(t *testing.T) {
	stories := []news.Story{story("a"), story("pushed"), story("corrected"), story("retracted"), story("before"),
		story("killed", func(s *news.Story) { s.Status = news.Canceled })}
	since := now().Add(-24 * time.Hour)
	pushed := []news.Pushed{
		{StoryURI: "pushed", AlertID: "of pushed", Kind: news.ReleaseAlert, At: now().Add(-2 * time.Hour)},
		{StoryURI: "corrected", AlertID: "of corrected", Kind: news.ReleaseCorrection, At: now().Add(-time.Hour)},
		{StoryURI: "retracted", Kind: news.ReleaseKill, At: now().Add(-time.Hour)},
		{StoryURI: "killed", Kind: news.ReleaseAlert, At: now().Add(-time.Hour)},
		{StoryURI: "before", Kind: news.ReleaseAlert, At: since.Add(-time.Hour)},
		{StoryURI: "unknown", Kind: news.ReleaseAlert, At: now().Add(-time.Hour)},
	}
	got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Since: since, Pushed: pushed})
	if diff := cmp.Diff([]string{"a"}, got.URIs()); diff != "" {
		t.Error(diff)
	}
	if len(got.Alerted) != 2 || got.Alerted[0].AlertID != "of corrected" || !got.Alerted[0].Corrected || got.Alerted[1].AlertID != "of pushed" {
		t.Errorf("alerted: %+v", got.Alerted)
	}
}

// T66: nothing left is an empty selection, not a mail with nothing in it.
func TestT66NothingLeft(t *testing.T) {
	for name, stories := range map[string][]news.Story{
		"no story":    nil,
		"only pushed": {story("pushed")},
		"only killed": {story("k", func(s *news.Story) { s.Status = news.Canceled })},
	} {
		got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Pushed: []news.Pushed{{StoryURI: "pushed", At: now()}}})
		if !got.Empty() || got.Lead != nil || len(got.Alerted) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestUntilIsTheNewestConsidered(t *testing.T) {
	stories := []news.Story{story("a"), story("later", func(s *news.Story) { s.Embargo = now().Add(time.Hour) })}
	got := NewShelf(stories, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan()})
	if !got.Until.Equal(stories[0].StoredAt) {
		t.Errorf("until %s, want %s: the embargoed one is for the next edition", got.Until, stories[0].StoredAt)
	}
	ahead := story("ahead", func(s *news.Story) { s.StoredAt = now().Add(time.Second) })
	if got := NewShelf([]news.Story{ahead}, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan()}); got.Empty() || !got.Until.Equal(ahead.StoredAt) {
		t.Errorf("until %s: a story of a clock that is ahead would be told twice", got.Until)
	}
	since := now().Add(-time.Minute)
	if got := NewShelf(nil, now()).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Since: since}); !got.Until.Equal(since) {
		t.Errorf("until %s went back from %s", got.Until, since)
	}
}

// Whatever comes, a digest has at most twelve stories, each once, none that
// judge turns down, all of them if there is room, and the same order twice.
func TestChooseProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stories []news.Story
		for i := range rapid.IntRange(0, 40).Draw(t, "n") {
			stories = append(stories, story(fmt.Sprintf("s%02d", i), func(s *news.Story) {
				s.Regions = []string{rapid.SampledFrom([]string{"JP", "TH", "JP-13", "142", "ASEAN"}).Draw(t, "region")}
				s.Sections = rapid.SliceOfN(rapid.SampledFrom([]string{"politics", "sport", "culture"}), 0, 2).Draw(t, "sections")
				s.Urgency = rapid.IntRange(1, 9).Draw(t, "urgency")
				s.StoredAt = now().Add(-time.Duration(rapid.IntRange(0, 48).Draw(t, "stored")) * time.Hour)
				s.Created, s.Headline = s.StoredAt, words(s.URI)
			}))
		}
		w := japan()
		w.Preference.Sections = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"politics", "sport", "culture"}), 0, 2, rapid.ID[string]).Draw(t, "wanted")
		q := Query{Edition: tokyoEdition(), Wishes: w, Since: now().Add(-24 * time.Hour)}
		shelf := NewShelf(stories, now())
		got := shelf.Choose(q).URIs()
		fit := 0
		for _, s := range stories {
			if shelf.Why(s.URI, q) == Chosen {
				fit++
			} else if slices.Contains(got, s.URI) {
				t.Fatalf("%s was chosen though %s", s.URI, shelf.Why(s.URI, q))
			}
		}
		if len(got) != min(fit, maxStories) || len(slices.Compact(slices.Sorted(slices.Values(got)))) != len(got) {
			t.Fatalf("%d fit, chosen %v", fit, got)
		}
		slices.Reverse(stories)
		if diff := cmp.Diff(got, NewShelf(stories, now()).Choose(q).URIs()); diff != "" {
			t.Fatalf("another order of arrival, another digest: %s", diff)
		}
	})
}
