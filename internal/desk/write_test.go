package desk

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

func TestDraftDefaults(t *testing.T) {
	d := newDesktop(t)
	a := d.draft(t, ann, Writing{}).Alert
	want := news.Alert{ID: a.ID, StoryURI: storyURI, StoryVersion: 1, State: news.AlertDraft, Level: news.LevelBulletin,
		Language: "en", Audience: "ID + MY", Sections: []string{"disaster"}, Author: "Ann", CreatedAt: noon,
		Texts: map[string]news.Text{
			"en": {Title: "Earthquake off the coast", Body: "People are told to move to high ground."},
			"id": {Title: "Gempa di lepas pantai", Body: "Warga diminta ke tempat tinggi."},
		}}
	if diff := cmp.Diff(want, a); diff != "" {
		t.Error(diff)
	}
	if len(d.mem.audit) != 1 || d.mem.audit[0].Action != "draft" || d.mem.audit[0].By != "Ann" {
		t.Errorf("audit: %+v", d.mem.audit)
	}
	for _, c := range []struct {
		urgency  int
		breaking bool
		want     news.Level
	}{{1, true, news.LevelFlash}, {2, true, news.LevelBulletin}, {1, false, news.LevelNotice}} {
		s := testStory()
		s.Urgency, s.Breaking = c.urgency, c.breaking
		d := newDesktop(t, s)
		if got := d.draft(t, ann, Writing{}).Alert.Level; got != c.want {
			t.Errorf("urgency %d, breaking %v: %s, want %s", c.urgency, c.breaking, got, c.want)
		}
	}
}

func TestDraftWritten(t *testing.T) {
	d := newDesktop(t)
	deadline := time.Date(2026, 11, 24, 7, 0, 0, 123456789, time.FixedZone("JST", 9*3600))
	a := d.draft(t, ann, Writing{Level: "flash", Audience: "ASEAN + TW - SG", Sections: []string{"Weather", "disaster", "weather"},
		Deadline: deadline, Texts: map[string]news.Text{"en": {Title: "  Quake\u202E\n now\x00 ", Body: "Move\u2066 up."}, "zh-hant": {Title: "地震"}}}).Alert
	if a.Level != news.LevelFlash || a.Audience != "ASEAN + TW - SG" || !cmp.Equal(a.Sections, []string{"disaster", "weather"}) {
		t.Errorf("%+v", a)
	}
	if want := time.Date(2026, 11, 23, 22, 0, 0, 123456000, time.UTC); a.Deadline != want {
		t.Errorf("deadline %v, want %v", a.Deadline, want)
	}
	want := map[string]news.Text{"en": {Title: "Quake now", Body: "Move up."}, "zh-Hant": {Title: "地震"},
		"id": {Title: "Gempa di lepas pantai", Body: "Warga diminta ke tempat tinggi."}}
	if diff := cmp.Diff(want, a.Texts); diff != "" {
		t.Error(diff)
	}
	hidden := d.draft(t, ann, Writing{Texts: map[string]news.Text{"en": {Title: "速報　Qu\u200bake\u2060 <3\U000E0068\U000E0069", Body: "a\ufeff  b"}}}).Alert
	if got := hidden.Texts["en"]; got != (news.Text{Title: "速報　Quake <3", Body: "a b"}) {
		t.Errorf("%q", got)
	}
	all := d.draft(t, ann, Writing{Sections: []string{}}).Alert
	if len(all.Sections) != 0 {
		t.Errorf("sections %v, want all", all.Sections)
	}
}

func TestDraftFaults(t *testing.T) {
	text := func(title, body string) map[string]news.Text {
		return map[string]news.Text{"en": {Title: title, Body: body}}
	}
	for _, c := range []struct {
		name string
		w    Writing
		path string
	}{
		{"level", Writing{Level: "loud"}, "level"},
		{"no title", Writing{Texts: text("", "body")}, "texts/en/title"},
		{"title of spaces", Writing{Texts: text(" \u202E\n", "body")}, "texts/en/title"},
		{"title of nothing to see", Writing{Texts: text("\u200f\u3164", "body")}, "texts/en/title"},
		{"long title", Writing{Texts: text(repeat("t", 2000), "")}, "texts/en/title"},
		{"long body", Writing{Texts: text("t", repeat("b", 1400))}, "texts/en/body"},
		{"long body in Hindi", Writing{Texts: map[string]news.Text{"hi": {Title: "ख़बर", Body: repeat("क", 400)}}}, "texts/hi/body"},
		{"language", Writing{Texts: map[string]news.Text{"english!": {Title: "t"}}}, "texts/english!"},
		{"no language", Writing{Texts: map[string]news.Text{"": {Title: "t"}}}, "texts/"},
		{"language twice", Writing{Texts: map[string]news.Text{"zh-Hant": {Title: "t"}, "zh-hant": {Title: "t"}}}, "texts/zh-hant"},
		{"audience", Writing{Audience: "ASEAN + XX"}, "audience"},
		{"empty audience", Writing{Audience: "JP - JP"}, "audience"},
		{"section", Writing{Sections: []string{"weather", "gossip"}}, "sections/1"},
		{"past deadline", Writing{Deadline: noon}, "deadline"},
		{"far deadline", Writing{Deadline: noon.Add(28*24*time.Hour + time.Second)}, "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesktop(t)
			c.w.StoryURI = storyURI
			_, err := d.Draft(t.Context(), ann, c.w)
			var invalid *news.InvalidError
			if !errors.As(err, &invalid) || len(invalid.Problems) != 1 || invalid.Problems[0].Path != c.path {
				t.Fatalf("%v, want one fault at %s", err, c.path)
			}
			if len(d.mem.alerts) != 0 {
				t.Error("it was stored")
			}
		})
	}
	d := newDesktop(t)
	_, err := d.Draft(t.Context(), ann, Writing{StoryURI: storyURI, Texts: text("", ""), Audience: "??", Deadline: noon.Add(-1)})
	var invalid *news.InvalidError
	if !errors.As(err, &invalid) || len(invalid.Problems) != 3 {
		t.Errorf("%v; want all three faults at once", err)
	}
	if _, err := d.Draft(t.Context(), ann, Writing{}); !errors.Is(err, news.ErrInvalid) {
		t.Errorf("without a story: %v", err)
	}
	if _, err := d.Draft(t.Context(), ann, Writing{StoryURI: "https://news.example/unknown"}); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown story: %v", err)
	}
	many := map[string]news.Text{}
	for i := range maxLanguages + 1 {
		many[string(rune('a'+i%26))+string(rune('a'+i/26))] = news.Text{Title: "t"}
	}
	if _, err := d.Draft(t.Context(), ann, Writing{StoryURI: storyURI, Texts: many}); !errors.Is(err, news.ErrInvalid) {
		t.Errorf("%d languages: %v", len(many), err)
	}
}

// Whatever is accepted fits into a push payload of DESIGN 9 without its image.
func TestPayloadFits(t *testing.T) {
	letters := rapid.SampledFrom([]rune{'a', ' ', '"', '\\', '<', '&', 'é', 'क', '字', '🌏', '\u200d', '\u2028'})
	rapid.Check(t, func(rt *rapid.T) {
		s := testStory()
		s.URL = "https://news.example/" + repeat("p", rapid.IntRange(0, 2000).Draw(rt, "path"))
		s.Standfirst = rapid.StringOfN(letters, 0, 2000, -1).Draw(rt, "standfirst")
		s.Regions = s.Regions[:rapid.IntRange(1, 2).Draw(rt, "regions")]
		d := makeDesktop(s)
		w := Writing{StoryURI: storyURI, Texts: map[string]news.Text{"hi": {
			Title: rapid.StringOfN(letters, 1, 300, -1).Draw(rt, "title"), Body: rapid.StringOfN(letters, 0, 1500, -1).Draw(rt, "body")}}}
		v, err := d.Draft(t.Context(), ann, w)
		if err != nil {
			if !errors.Is(err, news.ErrInvalid) {
				rt.Fatal(err)
			}
			delete(w.Texts, "hi")
			if v, err = d.Draft(t.Context(), ann, w); err != nil { // the story's own text always fits
				rt.Fatal(err)
			}
		}
		for l, text := range v.Alert.Texts {
			if n := payloadSize(v.Alert, s, l, text); n > maxPlaintext {
				rt.Fatalf("%s: payload of %d bytes", l, n)
			}
		}
	})
}

// payloadSize is the size of DESIGN 9's payload without its image.
func payloadSize(a news.Alert, s news.Story, lang string, text news.Text) int {
	type m = map[string]any
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(m{"web_push": 8030, "mutable": true, "notification": m{"title": text.Title, "body": text.Body,
		"navigate": Navigate("https://alerts.example", nil)(&a, &s), "lang": lang, "dir": "ltr",
		"tag": repeat("t", 32), "icon": "https://alerts.example/static/icon-192.png", "timestamp": noon.UnixMilli(),
		"silent": false, "renotify": false, "requireInteraction": false, "mutable": true,
		"data": m{"alert": a.ID, "revision": 12, "level": a.Level.String(), "regions": s.Regions, "receipt": repeat("r", 80)}}})
	if err != nil {
		panic(err)
	}
	return b.Len() - 1
}
