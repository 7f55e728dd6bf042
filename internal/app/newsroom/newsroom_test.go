package newsroom

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"

	"dateline/internal/intake"
	"dateline/internal/news"
	"dateline/internal/region"
)

var end = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// decoded are the day's stories as the intake reads them.
func decoded(t *testing.T) ([]Entry, []news.Story) {
	t.Helper()
	entries, err := Day()
	if err != nil {
		t.Fatal(err)
	}
	d, err := intake.NewDecoder([]string{"news.example"}, func() time.Time { return end })
	if err != nil {
		t.Fatal(err)
	}
	stories := make([]news.Story, 0, len(entries))
	for i, e := range entries {
		body, err := e.Dated(end)
		if err != nil {
			t.Fatal(err)
		}
		s, err := d.Decode(news.StoryEvent{Body: body, At: end})
		if err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		stories = append(stories, s)
	}
	return entries, stories
}

// TestVariety holds the day to what the demo shows: places, languages,
// sections, kinds, urgencies.
func TestVariety(t *testing.T) {
	_, stories := decoded(t)
	uris, languages, sections, kinds, places := set{}, set{}, set{}, set{}, set{}
	urgencies := map[int]bool{}
	areas, translated, pictures := map[string]int{}, 0, 0
	for _, s := range stories {
		if s.Version > 1 {
			continue
		}
		uris[s.URI], languages[s.Language], kinds[s.Kind], urgencies[s.Urgency] = true, true, true, true
		for _, sec := range s.Sections {
			sections[sec] = true
		}
		for _, r := range s.Regions {
			places[r] = true
		}
		for _, area := range []string{"030", "034", "035", "143", "145"} {
			if slices.ContainsFunc(s.Regions, func(r string) bool { return region.Within(r, area) }) {
				areas[area]++
			}
		}
		if len(s.Translations) > 0 {
			translated++
		}
		if s.Image != nil {
			pictures++
		}
	}
	if len(uris) < 64 {
		t.Errorf("%d stories", len(uris))
	}
	for area, least := range map[string]int{"030": 8, "034": 8, "035": 8, "143": 5, "145": 8} {
		if areas[area] < least {
			t.Errorf("%s has %d stories, want %d", region.Name(area, "en"), areas[area], least)
		}
	}
	for _, want := range []string{"ja", "zh-Hans", "zh-Hant", "ko", "hi", "ar", "ur", "th", "id", "vi", "fa", "kk", "ru", "en"} {
		if !languages[want] {
			t.Errorf("no story in %s", want)
		}
	}
	for _, want := range []string{"JP-13", "IN-MH", "ID-JK", "035", "142", "ASEAN", "GCC", "SAARC"} {
		if !places[want] {
			t.Errorf("no story of %s", want)
		}
	}
	for _, want := range news.Kinds() {
		if !kinds[want] {
			t.Errorf("no %s", want)
		}
	}
	for u := 1; u <= 7; u++ {
		if !urgencies[u] {
			t.Errorf("no story of urgency %d", u)
		}
	}
	if len(sections) < 8 || translated < 48 || pictures < 40 || len(places) < 45 {
		t.Errorf("%d sections, %d translated, %d pictures, %d places", len(sections), translated, pictures, len(places))
	}
}

type set = map[string]bool

func TestEveryStory(t *testing.T) {
	entries, stories := decoded(t)
	seen, texts := set{}, set{}
	for i, s := range stories {
		at := fmt.Sprintf("entry %d (%s)", i, s.URI)
		version := fmt.Sprintf("%s v%d", s.URI, s.Version)
		if seen[version] {
			t.Errorf("%s: %s twice", at, version)
		}
		seen[version] = true
		if s.Version > 1 && !seen[fmt.Sprintf("%s v%d", s.URI, s.Version-1)] {
			t.Errorf("%s: version %d before the one it follows", at, s.Version)
		}
		if s.Version == 1 && texts[s.Headline] || s.Version == 1 && texts[s.Standfirst] {
			t.Errorf("%s: a text stands twice", at)
		}
		texts[s.Headline], texts[s.Standfirst] = true, true
		checkText(t, at, entries[i].Story, s)
		if s.Image != nil && (s.Image.Alt == "" || s.Image.Width < 600 || s.Image.Height < 400 || !strings.HasPrefix(s.Image.URL, "https://news.example/photos/")) {
			t.Errorf("%s: picture %+v", at, s.Image)
		}
		if !strings.HasPrefix(s.URL, "https://news.example/") || s.URL != s.URI {
			t.Errorf("%s: URL %s", at, s.URL)
		}
		for _, r := range s.Regions {
			if !region.Known(r) {
				t.Errorf("%s: region %s", at, r)
			}
		}
		for _, sec := range s.Sections {
			if !news.IsSection(sec) {
				t.Errorf("%s: section %s", at, sec)
			}
		}
	}
}

// checkText: NFC, and nothing that the intake had to clean.
func checkText(t *testing.T, at string, raw json.RawMessage, s news.Story) {
	t.Helper()
	var written struct {
		Headline, Standfirst string
		Body                 []string
		Image                *struct{ Alt string }
		Translations         map[string]struct{ Headline, Standfirst string }
	}
	if err := json.Unmarshal(raw, &written); err != nil {
		t.Fatal(err)
	}
	if !norm.NFC.IsNormal(raw) {
		t.Errorf("%s: not NFC", at)
	}
	if written.Headline != s.Headline || written.Standfirst != s.Standfirst || !cmp.Equal(written.Body, s.Body) {
		t.Errorf("%s: cleaned to %q, %q", at, s.Headline, s.Standfirst)
	}
	if s.Standfirst == "" {
		t.Errorf("%s: no standfirst", at)
	}
	if len(written.Translations) != len(s.Translations) || s.Translations[s.Language] != (news.StoryText{}) {
		t.Errorf("%s: translations %v", at, s.Translations)
	}
	for l, w := range written.Translations {
		if s.Translations[l] != news.StoryText(w) || w.Headline == "" {
			t.Errorf("%s: %s cleaned to %+v", at, l, s.Translations[l])
		}
	}
}

// TestTurns: the first and the last entry, and what happens in between.
func TestTurns(t *testing.T) {
	entries, stories := decoded(t)
	last := len(stories) - 1
	recent, breaking, embargoed := 0, 0, 0
	status := map[news.PubStatus]int{}
	for i, s := range stories {
		if entries[i].After >= 0 || entries[i].After < -24*time.Hour {
			t.Errorf("entry %d is %s from the end of the day", i, entries[i].After)
		}
		if i > 1 && entries[i].After < entries[i-1].After {
			t.Errorf("entry %d came out before the one above it", i)
		}
		if s.Version == 1 && entries[i].After > -6*time.Hour {
			recent++
		}
		if s.Breaking {
			breaking++
		}
		if s.Embargoed(end) {
			embargoed++
		}
		if s.Version > 1 {
			status[s.Status]++
		}
	}
	if breaking != 2 || !stories[0].Breaking || entries[0].After > -6*time.Hour {
		t.Errorf("%d breaking stories; the first of the day must be too old to raise an alert", breaking)
	}
	if s := stories[last]; !s.Breaking || news.DefaultLevel(&s) != news.LevelFlash || entries[last].After < -10*time.Minute {
		t.Errorf("the last story is not the breaking one: %+v", s)
	}
	if share := float64(recent) / float64(len(stories)); share < 0.25 || share > 0.4 {
		t.Errorf("%d of %d in the last six hours", recent, len(stories))
	}
	if want := map[news.PubStatus]int{news.Usable: 2, news.Withheld: 1, news.Canceled: 1}; !cmp.Equal(status, want) || embargoed != 1 {
		t.Errorf("second versions %v, %d embargoed", status, embargoed)
	}
}

// TestFirst: the publisher's own story stands there word for word.
func TestFirst(t *testing.T) {
	_, stories := decoded(t)
	s := stories[0]
	if s.URI != "https://news.example/2024/02/japan-cybersecurity-trust" || !cmp.Equal(s.Regions, []string{"JP"}) || s.Urgency != 2 ||
		!cmp.Equal(s.Sections, []string{"politics", "technology"}) || len(s.Body) != 4 ||
		s.Headline != "Japan risks losing trust of US, other allies over its ‘serious’ cybersecurity flaws, minister warns" {
		t.Errorf("%+v", s)
	}
}

func TestDated(t *testing.T) {
	e := Entry{After: -time.Hour, Embargo: 10 * time.Hour, Story: json.RawMessage(`{"uri":"u","embargoed":null}`)}
	body, err := e.Dated(end)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"embargoed":"2026-11-23T22:00:00Z","uri":"u","versioncreated":"2026-11-23T11:00:00Z"}`; string(body) != want {
		t.Errorf("%s, want %s", body, want)
	}
	e.Story = json.RawMessage(`[]`)
	if _, err := e.Dated(end); err == nil {
		t.Error("an entry that is no object")
	}
}
