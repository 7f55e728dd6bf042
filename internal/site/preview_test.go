package site

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// byPlace rehearses the place rule of a bulletin alone: enough to see what the
// site makes of an answer. The rules themselves are package audience's.
type byPlace struct{}

type placed []region.Set

func (byPlace) Rehearse(past []news.Release) Rehearsal {
	var sets placed
	for _, r := range past {
		e, _ := region.Parse(r.Audience)
		sets = append(sets, e.Set())
	}
	return sets
}

func (p placed) Comes(w news.Wishes) []int {
	follows, _ := region.SetOf(w.Preference.Regions, w.Preference.Muted)
	var all []int
	for i, set := range p {
		if set.Overlaps(follows) {
			all = append(all, i)
		}
	}
	return all
}

func (p placed) Fits(w news.Wishes) []int { return p.Comes(w) }

// shelf is a newsroom's stories.
type shelf struct {
	stories map[string]news.Story
	looked  int
}

func (s *shelf) Story(_ context.Context, uri string) (news.Story, error) {
	s.looked++
	story, ok := s.stories[uri]
	if !ok {
		return story, news.ErrNotFound
	}
	return story, nil
}

func (s *shelf) RecentStories(_ context.Context, f news.StoryFilter) ([]news.Story, error) {
	var out []news.Story
	for _, story := range s.stories {
		if f.Status == "" || story.Status == f.Status {
			out = append(out, story)
		}
	}
	slices.SortFunc(out, func(a, b news.Story) int { return b.Created.Compare(a.Created) })
	return out, nil
}

// past fills the house with n alerts about a place, one every so many hours,
// the newest an hour old, and their stories.
func (h *house) past(s *shelf, place string, n int, every time.Duration) {
	for i := range n {
		id := fmt.Sprintf("0192f0c1-0000-7000-8000-%s%010d", place, i)
		at := h.now.Add(-time.Hour - time.Duration(i)*every)
		uri := "https://news.example/" + id
		h.store.releases[id] = []news.Release{{ID: "r" + id, AlertID: id, StoryURI: uri, Revision: 1, Kind: news.ReleaseAlert, State: news.ReleaseSent,
			Level: news.LevelBulletin, Language: "en", Texts: map[string]news.Text{"en": {Title: place + " " + fmt.Sprint(i)}}, Audience: place,
			Regions: []string{place}, ReleasedAt: at, Navigate: uri}}
		s.stories[uri] = news.Story{URI: uri, Status: news.Usable, Headline: "story " + id, Language: "en", URL: uri, Regions: []string{place}, Created: at}
	}
}

func (h *house) preview(t *testing.T, query string, header ...string) preview {
	t.Helper()
	w := h.do("GET", "/api/v1/preview?"+query, "", header...)
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", query, w.Code, w.Body)
	}
	if err := readOpenAPI(t).holds("Preview", w.Body.String()); err != nil {
		t.Errorf("%s: %v", query, err)
	}
	var p preview
	decode(t, w.Body, &p)
	return p
}

func titles(p preview) string {
	var all []string
	for _, e := range p.Examples {
		all = append(all, e.Title)
	}
	return strings.Join(all, ", ")
}

func newPreviewHouse(t testing.TB) (*house, *shelf) {
	t.Helper()
	s := &shelf{stories: map[string]news.Story{}}
	return newHouse(t, func(c *Config) { c.Rehearser, c.Stories = byPlace{}, s }), s
}

func TestPreviewSaysHowMany(t *testing.T) {
	h, s := newPreviewHouse(t)
	h.past(s, "JP", 87, 8*time.Hour)
	h.past(s, "SG", 4, 7*24*time.Hour)
	h.past(s, "MV", 2, 24*time.Hour)
	h.past(s, "IN", 30, 24*time.Hour)
	for _, c := range []struct{ query, lang, text, places, examples string }{
		{"region=JP", "en", "About 3 alerts a day.", "Japan", "JP 0, JP 1, JP 2"},
		{"region=JP", "ja", "一日に約3件の速報。", "日本", "JP 0, JP 1, JP 2"},
		{"region=JP", "ar", "نحو \u20683\u2069 تنبيهات في اليوم.", "اليابان", "JP 0, JP 1, JP 2"},
		{"region=IN", "en", "About one alert a day.", "India", "IN 0, IN 1, IN 2"},
		{"region=SG", "en", "About one alert a week.", "Singapore", "SG 0, SG 1, SG 2"},
		{"region=MV", "en", "2 alerts in the last 30 days.", "Maldives", "MV 0, MV 1"},
		{"region=MV", "ar", "تنبيهان في آخر 30 يومًا.", "جزر المالديف", "MV 0, MV 1"},
		{"region=BT", "en", "No alert in the last 30 days. You would hear from us only when it matters.", "Bhutan", ""},
		{"region=035&mute=SG", "en", "No alert in the last 30 days. You would hear from us only when it matters.", "Southeast Asia, without Singapore", ""},
		{"region=035&mute=JP", "en", "About one alert a week.", "Southeast Asia", "SG 0, SG 1, SG 2"},
		{"", "en", "Choose a place, and you will see here how many alerts that means.", "", ""},
	} {
		p := h.preview(t, c.query, "Accept-Language", c.lang)
		if p.Text != c.text || p.Places != c.places || titles(p) != c.examples {
			t.Errorf("%s in %s: %q, %q, %q", c.query, c.lang, p.Text, p.Places, titles(p))
		}
	}
	if p := h.preview(t, "region=JP"); p.Days != 29 || !p.Enough || p.Alerts != 87 || p.PerDay != 3 {
		t.Errorf("%+v", p)
	}
}

// TestPreviewShowsNothingThatWasTakenBack: killed, cancelled, held, withheld,
// embargoed and vanished things are no examples; a correction is, as corrected.
func TestPreviewShowsNothingThatWasTakenBack(t *testing.T) {
	h, s := newPreviewHouse(t)
	h.past(s, "JP", 40, 24*time.Hour)
	id := func(i int) string { return fmt.Sprintf("0192f0c1-0000-7000-8000-JP%010d", i) }
	follow := func(i int, kind news.ReleaseKind, title string) {
		r := h.store.releases[id(i)][0]
		r.ID, r.State, r.Kind, r.Revision, r.Texts = "repair-"+r.ID, news.ReleaseSent, kind, 2, map[string]news.Text{"en": {Title: title}}
		h.store.releases[id(i)] = append(h.store.releases[id(i)], r)
	}
	story := func(i int, change func(*news.Story)) {
		uri := "https://news.example/" + id(i)
		st := s.stories[uri]
		change(&st)
		s.stories[uri] = st
	}
	follow(0, news.ReleaseKill, "retracted")
	h.store.releases[id(1)][0].State = news.ReleaseStopped
	h.store.releases[id(2)][0].State = news.ReleaseHeld
	story(3, func(st *news.Story) { st.Status = "withheld" })
	story(4, func(st *news.Story) { st.Status = "canceled" })
	story(5, func(st *news.Story) { st.Embargo = h.now.Add(time.Hour) })
	delete(s.stories, "https://news.example/"+id(6))
	follow(7, news.ReleaseCorrection, "as corrected")
	h.store.releases[id(8)][0].State = news.ReleaseStopped // its correction went out instead
	follow(8, news.ReleaseCorrection, "corrected on the way")
	follow(9, news.ReleaseCorrection, "a correction that nobody was sent")
	h.store.releases[id(9)][1].State = news.ReleaseStopped
	if got := titles(h.preview(t, "region=JP")); got != "as corrected, corrected on the way, JP 10" {
		t.Errorf("examples: %s", got)
	}
}

// TestPreviewOfAYoungNewsroom: under seven days no number is said, and stories
// stand for the alerts.
func TestPreviewOfAYoungNewsroom(t *testing.T) {
	h, s := newPreviewHouse(t)
	h.past(s, "JP", 5, 24*time.Hour)
	s.stories["a"] = news.Story{URI: "a", Status: news.Usable, Headline: "under embargo", Regions: []string{"JP"}, Created: h.now, Embargo: h.now.Add(time.Hour)}
	s.stories["b"] = news.Story{URI: "b", Status: "withheld", Headline: "withheld", Regions: []string{"JP"}, Created: h.now}
	p := h.preview(t, "region=JP&quiet=on&quietFrom=00:00&quietTo=23:59&cap=1")
	if p.Enough || p.Days != 4 || p.PerDay != 0 || !strings.Contains(p.Text, "not sent alerts for long enough") || len(p.Examples) != 3 ||
		!strings.HasPrefix(p.Examples[0].Title, "story ") || !strings.HasPrefix(p.Examples[0].URL, "https://news.example/") || p.Examples[0].ID != "" {
		t.Errorf("%+v", p)
	}
	for lang, want := range map[string]string{"en": "no stories that fit lately", "ja": "条件に合う記事はありませんでした"} {
		if p := h.preview(t, "region=BT", "Accept-Language", lang); p.Enough || len(p.Examples) != 0 || !strings.Contains(p.Text, want) || strings.Contains(p.Text, "These are stories") {
			t.Errorf("stories are promised where there are none: %+v", p)
		}
	}
	h.now = h.now.Add(3 * 24 * time.Hour)
	if p := h.preview(t, "region=JP"); !p.Enough || p.Days != 7 {
		t.Errorf("after seven days: %+v", p)
	}
}

// TestPreviewIsCheap: the past is fetched once in 30 seconds however many ask,
// and an address that asks without end is told to wait.
func TestPreviewIsCheap(t *testing.T) {
	h, s := newPreviewHouse(t)
	h.past(s, "JP", 30, 24*time.Hour)
	for range previewLimit {
		h.preview(t, "region=JP")
	}
	if h.store.looked != 1 || s.looked != previewExamples {
		t.Errorf("%d looks for releases, %d for stories", h.store.looked, s.looked)
	}
	if w := h.do("GET", "/api/v1/preview?region=JP", ""); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("one too many: %d %v", w.Code, w.Header())
	}
	if w := h.do("GET", "/subscribe?region=JP", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "You can follow all the same.") {
		t.Errorf("the page itself: %d", w.Code)
	}
	h.now = h.now.Add(time.Minute)
	h.preview(t, "region=JP")
	if h.store.looked != 2 {
		t.Errorf("%d looks a minute later", h.store.looked)
	}
	if h.store.writes != 0 {
		t.Error("a preview wrote something")
	}
	// A database that is away costs the number, not the page.
	h.now, h.store.broken = h.now.Add(time.Minute), news.ErrUnavailable
	if w := h.do("GET", "/subscribe?region=JP", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "You can follow all the same.") {
		t.Errorf("the page without a database: %d", w.Code)
	}
	if w := h.do("GET", "/api/v1/preview?region=JP", ""); w.Code != 503 {
		t.Errorf("the preview without a database: %d", w.Code)
	}
}

func TestPreviewRefusesWhatCantBe(t *testing.T) {
	h, _ := newPreviewHouse(t)
	for query, at := range map[string]string{"region=XX": "regions/0", "region=SG&mute=SG": "mutedRegions", "region=JP&level=loud": "level",
		"region=JP&override=XX&overrideLevel=flash": "overrides/0/regions/0", "region=JP&override=JP&overrideLevel=x": "overrides/0/level",
		"region=JP&cap=none": "cap", "region=JP&quiet=on&quietFrom=x&quietTo=07:00": "quiet/from"} {
		if w := h.do("GET", "/api/v1/preview?"+query, ""); w.Code != 400 || faults(t, w) != at {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
	if w := h.do("GET", "/api/v1/preview?region=JP&override=JP", ""); w.Code != 200 { // no level: the row is not finished
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestPreviewWithoutAScript: "Show me" shows the form as it was, with what it
// means, and signs nobody up; the address goes into no address bar.
func TestPreviewWithoutAScript(t *testing.T) {
	h, s := newPreviewHouse(t)
	h.past(s, "JP", 30, 24*time.Hour)
	w := h.form("/subscribe", "form=1&region=JP&email=reader%40b.example&hour=9&level=flash&override=JP&overrideLevel=notice&show=1&timezone=")
	page := w.Body.String()
	if w.Code != 200 || len(h.store.signups) != 0 {
		t.Errorf("%d, %d sign-ups", w.Code, len(h.store.signups))
	}
	for _, want := range []string{"<strong>Japan</strong>", "About one alert a day.", `value="reader@b.example"`, `id="level-flash" checked`,
		`<option value="JP" selected>Japan</option>`, `<option value="notice" selected>`, ">JP 0</a>", `<option value="9" selected>`,
		"/feeds/alerts.atom?language=en&amp;level=flash&amp;override=JP&amp;overrideLevel=notice&amp;region=JP"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(page, `id="quiet" checked`) {
		t.Error("quiet hours that were taken off are on again")
	}
	wellFormed(t, "show", page)
	w = h.form("/subscribe", "form=1&region=SG&mute=SG&show=1&cap=many")
	if page := w.Body.String(); w.Code != 400 || !strings.Contains(page, `href="#cap"`) || !strings.Contains(page, `id="mute-SG" checked`) ||
		!strings.Contains(page, "With this choice nothing is left to tell you about.") {
		t.Errorf("a choice that can't be: %d", w.Code)
	}
	if w := h.do("GET", "/subscribe?region=SG&mute=SG&cap=many&level=loud", ""); w.Code != 200 || strings.Contains(w.Body.String(), `id="faults"`) {
		t.Errorf("a link that can't be: %d", w.Code)
	}
	// The same by a link.
	q, _ := url.ParseQuery("region=JP&level=flash")
	if page := h.do("GET", "/subscribe?"+q.Encode(), "").Body.String(); !strings.Contains(page, `id="level-flash" checked`) ||
		!strings.Contains(page, "About one alert a day.") || !strings.Contains(page, `id="quiet" checked`) {
		t.Error("a link does not choose, or does not propose quiet hours")
	}
}

// TestPluralsFollowCLDR: each language has every form that its rules ask for.
func TestPluralsFollowCLDR(t *testing.T) {
	words, err := loadWords()
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range languages() {
		v := view{words: words, Lang: lang}
		for _, key := range []string{"preview.day", "preview.week", "preview.month"} {
			for n := 1; n < 300; n++ {
				if _, ok := words.words[lang][key+"."+pluralForm(lang, n)]; !ok {
					t.Errorf("%s lacks %s.%s, for %d", lang, key, pluralForm(lang, n), n)
					break
				}
				if text, err := v.counted(key, n); err != nil || strings.Contains(text, "%") {
					t.Errorf("%s: %s of %d: %q, %v", lang, key, n, text, err)
				}
			}
		}
	}
}
