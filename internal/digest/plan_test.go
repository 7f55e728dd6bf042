package digest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

func planned(stories []news.Story, p news.EditionPlan) *Shelf {
	s := NewShelf(stories, now())
	p.LocalDate = tokyoEdition().LocalDate
	s.Plan(p)
	return s
}

// A pin changes the order, never who gets a story; a drop takes it out of every mail of
// the date.
func TestPinsAndDrops(t *testing.T) {
	stories := []news.Story{story("top", func(s *news.Story) { s.Urgency = 1 }), story("pinned", func(s *news.Story) { s.Urgency = 9 }),
		story("pushed"), story("elsewhere", func(s *news.Story) { s.Regions = []string{"TH"} }), story("dropped", func(s *news.Story) { s.Urgency = 1 })}
	shelf := planned(stories, news.EditionPlan{Pins: []string{"elsewhere", "pushed", "pinned"}, Drops: []string{"dropped"}})
	q := Query{Edition: tokyoEdition(), Wishes: japan(), Pushed: []news.Pushed{{StoryURI: "pushed"}}}
	if diff := cmp.Diff([]string{"pinned", "top"}, shelf.Choose(q).URIs()); diff != "" {
		t.Error(diff)
	}
	if got := shelf.Why("dropped", q); got != Dropped {
		t.Errorf("dropped: %s", got)
	}
	other := q
	other.Edition.LocalDate = "2026-02-07"
	if diff := cmp.Diff([]string{"dropped", "top", "pinned"}, shelf.Choose(other).URIs()); diff != "" {
		t.Errorf("another date: %s", diff)
	}
	other = q
	other.Edition.Weekly = true
	if got := shelf.Choose(other).URIs(); got[0] == "pinned" {
		t.Errorf("the weekly edition has a plan of its own: %v", got)
	}
}

// Pinned stories come in though their section is full and twelve others have more points,
// in the order of the pins.
func TestPinsHaveRoom(t *testing.T) {
	var stories []news.Story
	for i := range 20 {
		stories = append(stories, story(fmt.Sprintf("s%02d", i), func(s *news.Story) { s.Urgency = 2 }))
	}
	stories = append(stories, story("x", func(s *news.Story) { s.Urgency = 9 }), story("y", func(s *news.Story) { s.Urgency = 9 }))
	got := planned(stories, news.EditionPlan{Pins: []string{"y", "x"}}).Choose(Query{Edition: tokyoEdition(), Wishes: japan()}).URIs()
	if len(got) != maxStories || got[0] != "y" || got[1] != "x" {
		t.Errorf("%v", got)
	}
}

func TestNoteInHerLanguage(t *testing.T) {
	notes := map[string]string{"en": "Good morning.", "ja": "おはようございます。", "zh-Hant": "早安。"}
	for language, want := range map[string]Note{"ja": {notes["ja"], "ja"}, "zh-Hans": {notes["zh-Hant"], "zh-Hant"}, "th": {notes["en"], "en"}, "": {notes["en"], "en"}} {
		if got := noteIn(notes, language); got != want {
			t.Errorf("%s: %+v", language, got)
		}
	}
	if got := noteIn(map[string]string{"ja": "おはようございます。"}, "th"); got != (Note{}) {
		t.Errorf("a note she can't read: %+v", got)
	}
}

// An editor's note and a pin are in the mails sent after they are set.
func TestPlanIsInTheMail(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("top", func(s *news.Story) { s.Urgency = 1 }), story("pinned"))
	h.store.plans = []news.EditionPlan{{LocalDate: today, Version: 1, Pins: []string{"pinned"}, Notes: map[string]string{"en": "A long day.\n\nWe <begin> in Osaka."}}}
	h.store.join(box("r1"))
	h.run(t)
	mail := h.server.Mails()[0]
	text, html, err := mail.Parts()
	if err != nil {
		t.Fatal(err)
	}
	if mail.Subject != "Headline pinned" || !strings.Contains(text, "From the editors:\r\nA long day.\r\nWe <begin> in Osaka.") || !strings.Contains(html, "We &lt;begin&gt; in Osaka.") {
		t.Errorf("%s\n%s", mail.Subject, text)
	}
}

func TestPreview(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	for i := range 15 {
		h.store.put(story(fmt.Sprintf("s%02d", i)))
	}
	h.store.put(story("thai", func(s *news.Story) { s.Regions = []string{"TH"} }), story("late", func(s *news.Story) { s.Embargo = now().Add(time.Hour) }))
	plan := &news.EditionPlan{Pins: []string{"s14"}, Drops: []string{"s00"}, Notes: map[string]string{"en": "Not saved yet."}}
	got, err := h.Preview(t.Context(), news.DigestWish{Wishes: japan(), Plan: plan})
	if err != nil {
		t.Fatal(err)
	}
	if got.Empty || got.Subject != "Headline s14" || !strings.Contains(got.HTML, "Not saved yet.") || got.Minutes < 1 || got.Bytes < 5000 || got.Bytes > 80<<10 {
		t.Errorf("%+v", got)
	}
	reasons := map[string]string{}
	for _, c := range got.Stories {
		reasons[c.URI] = c.Reason
	}
	if !got.Stories[0].Lead || !got.Stories[0].Pinned || reasons["s00"] != "dropped" || reasons["late"] != "embargoed" || reasons["thai"] != "" {
		t.Errorf("%v", reasons)
	}
	if n := len(slices.DeleteFunc(slices.Clone(got.Stories), func(c news.DigestChoice) bool { return c.Reason != "no-room" })); n != 2 {
		t.Errorf("%d without room", n)
	}
	if h.server.Taken() != 0 || len(h.store.mails) != 0 {
		t.Error("a preview left something behind")
	}
	for name, w := range map[string]news.DigestWish{
		"zone": {Wishes: news.Wishes{Timezone: "Moon/Base"}}, "date": {LocalDate: "tomorrow"},
	} {
		if _, err := h.Preview(t.Context(), w); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSendTest(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("a"))
	r, err := h.SendTest(t.Context(), news.DigestWish{Wishes: japan()}, "editor@news.example")
	if err != nil || r.Outcome != news.Accepted {
		t.Fatalf("%+v, %v", r, err)
	}
	if mails := h.server.Mails(); len(mails) != 1 || mails[0].Subject != "[TEST] Headline a" || len(h.store.mails) != 0 {
		t.Errorf("%d mails, %d rows", len(mails), len(h.store.mails))
	}
	if _, err := h.SendTest(t.Context(), news.DigestWish{Wishes: japan()}, "a@b\r\nRCPT TO:<c@d.example>"); err == nil {
		t.Error("an address that is none was taken")
	}
	w := news.DigestWish{Wishes: japan()}
	w.Wishes.Preference.Regions = []string{"TH"}
	if _, err := h.SendTest(t.Context(), w, "editor@news.example"); err == nil {
		t.Error("an empty digest was sent")
	}
}

func TestMinutes(t *testing.T) {
	view := func(text string) *mailView { return &mailView{Lead: storyView{Standfirst: text}} }
	for name, c := range map[string]struct {
		text string
		want int
	}{
		"nothing": {"", 1}, "a line": {"Short.", 1}, "words": {strings.Repeat("word ", 3*wordsAMinute), 3},
		"Japanese": {strings.Repeat("日", 3*ideographsAMinute), 3}, "Thai": {strings.Repeat("กขคงจ", 3*wordsAMinute), 3},
		"Arabic": {strings.Repeat("كلمة ", 3*wordsAMinute), 3},
	} {
		if got := view(c.text).minutes(); got != c.want {
			t.Errorf("%s: %d minutes, want %d", name, got, c.want)
		}
	}
}
