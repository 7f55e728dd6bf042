package digest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// correction is an hour old.
func correction(uri string, change ...func(*news.Repair)) news.Repair {
	r := news.Repair{StoryURI: uri, AlertID: "alert-" + uri, Kind: news.ReleaseCorrection, At: now().Add(-time.Hour), Language: "en",
		Texts: map[string]news.Text{"en": {Title: "Right title of " + uri, Body: "The right figure is seven."}}}
	for _, c := range change {
		c(&r)
	}
	return r
}

func killed(r *news.Repair) { r.Kind = news.ReleaseKill }

func repairShelf(stories []news.Story, repairs ...news.Repair) *Shelf {
	s := NewShelf(stories, now())
	s.Repair(repairs, nil)
	return s
}

// Exactly those are told who got it, by push or by digest, before it was repaired.
func TestRepairsForWhoGotIt(t *testing.T) {
	before, after := now().Add(-2*time.Hour), now().Add(-30*time.Minute)
	carried := func(at time.Time) Past { return Past{Carried: map[string]time.Time{"wrong": at}} }
	pushed := func(first time.Time, kind news.ReleaseKind) []news.Pushed {
		return []news.Pushed{{StoryURI: "wrong", AlertID: "alert-wrong", Kind: kind, First: first, At: now().Add(-time.Minute)}}
	}
	fix := correction("wrong")
	for name, c := range map[string]struct {
		past   Past
		pushed []news.Pushed
		want   bool
	}{
		"never got it":                        {},
		"by digest, before":                   {past: carried(before), want: true},
		"by digest, after: it was right then": {past: carried(after)},
		"by push":                             {pushed: pushed(before, news.ReleaseAlert), want: true},
		"by push, and the correction too":     {pushed: pushed(before, news.ReleaseCorrection), want: true},
		"the corrected text alone":            {pushed: pushed(fix.At, news.ReleaseCorrection)},
		"another alert, later":                {pushed: pushed(after, news.ReleaseAlert)},
		"another story":                       {pushed: []news.Pushed{{StoryURI: "right", First: before}}},
		"told already":                        {past: Past{Carried: map[string]time.Time{"wrong": before}, Told: []string{fix.Key()}}},
	} {
		for _, kill := range []bool{false, true} {
			r := fix
			if kill {
				killed(&r)
				for i := range c.past.Told {
					c.past.Told[i] = r.Key()
				}
			}
			got := repairShelf([]news.Story{story("a")}, r).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Past: c.past, Pushed: c.pushed})
			if (len(got.Repairs) == 1) != c.want || c.want && got.RepairKeys()[0] != r.Key() {
				t.Errorf("%s, killed %t: %v", name, kill, got.RepairKeys())
			}
		}
	}
}

// A story that was withdrawn without any alert is taken back where a digest carried it.
func TestRepairsOfWithdrawnStories(t *testing.T) {
	gone := story("gone", func(s *news.Story) { s.Status, s.Version, s.StoredAt = news.Canceled, 2, now().Add(-time.Hour) })
	held := story("held", func(s *news.Story) { s.Status, s.Version, s.StoredAt = news.Withheld, 2, now().Add(-time.Hour) })
	past := Past{Carried: map[string]time.Time{"gone": now().Add(-24 * time.Hour), "held": now().Add(-24 * time.Hour)}}
	got := repairShelf([]news.Story{story("a"), gone, held}).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Past: past})
	if len(got.Repairs) != 1 || got.Repairs[0].StoryURI != "gone" || got.Repairs[0].Kind != news.ReleaseKill {
		t.Errorf("%+v", got.Repairs)
	}
	// The alert was corrected first, and the story withdrawn afterwards.
	both := repairShelf([]news.Story{story("a"), gone}, correction("gone", func(r *news.Repair) { r.At = now().Add(-2 * time.Hour) })).
		Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Past: past})
	if len(both.Repairs) != 1 || both.Repairs[0].Kind != news.ReleaseKill {
		t.Errorf("%+v", both.Repairs)
	}
	// With nothing else to say there is no mail, and the repair waits for the next.
	if alone := repairShelf([]news.Story{gone}).Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Past: past}); !alone.Empty() || len(alone.Repairs) != 0 {
		t.Errorf("%+v", alone)
	}
}

// However much was repaired, a reader is told of all of it once, in as few mails as it takes.
func TestRepairsToldOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var repairs []news.Repair
		past := Past{Carried: map[string]time.Time{}}
		want := map[string]bool{}
		for i := range rapid.IntRange(0, 25).Draw(t, "repairs") {
			uri := string(rune('a' + i))
			r := correction(uri, func(r *news.Repair) { r.At = now().Add(-time.Duration(i) * time.Minute) })
			repairs = append(repairs, r)
			if at := rapid.IntRange(-1, 60).Draw(t, "minutes"); at >= 0 {
				past.Carried[uri] = now().Add(-time.Duration(at) * time.Minute)
				if at > i {
					want[r.Key()] = true
				}
			}
		}
		shelf := repairShelf([]news.Story{story("fresh")}, repairs...)
		got := map[string]bool{}
		for range 1 + len(want)/maxRepairs {
			for _, key := range shelf.Choose(Query{Edition: tokyoEdition(), Wishes: japan(), Past: past}).RepairKeys() {
				if got[key] {
					t.Fatalf("%s was told twice", key)
				}
				got[key] = true
				past.Told = append(past.Told, key)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// The whole way: two digests around a correction and a kill.
func TestCorrectionBoxReachesWhoHadTheDigest(t *testing.T) {
	h := newHouse(t, simulate.MailOptions{})
	h.store.put(story("wrong"), story("hoax", func(s *news.Story) { s.Sections = []string{"culture"} }))
	h.store.join(box("r1"))
	h.run(t)
	h.clock.add(24 * time.Hour)
	h.store.put(story("fresh", func(s *news.Story) {
		s.StoredAt, s.Created = h.clock.now().Add(-time.Hour), h.clock.now().Add(-time.Hour)
	}))
	h.store.put(story("hoax", func(s *news.Story) {
		s.Status, s.Version, s.StoredAt, s.Headline = news.Canceled, 2, h.clock.now().Add(-time.Hour), "Whale lands in Osaka"
	}))
	h.store.repairs = []news.Repair{correction("wrong", func(r *news.Repair) { r.At = h.clock.now().Add(-3 * time.Hour) })}
	h.store.join(box("r2")) // new today: nothing to be put right
	h.run(t)
	for address, want := range map[string]int{"r1@mail.example": 1, "r2@mail.example": 0} {
		mails := h.server.To(address)
		text, html, err := mails[len(mails)-1].Parts()
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range []string{text, html} {
			for _, words := range []string{"Right title of wrong", "The right figure is seven.", "/alerts/alert-wrong", "Whale lands in Osaka", "We have withdrawn this report."} {
				if n := strings.Count(part, words); n != want && (n < want || want == 0) {
					t.Errorf("%s: %q %d times, want %d", address, words, n, want)
				}
			}
		}
	}
	if d := h.store.mail(t, "r1", "2026-02-07"); len(d.Repairs) != 2 || d.MadeAt.IsZero() {
		t.Errorf("the record: %v, %s", d.Repairs, d.MadeAt)
	}
	h.clock.add(24 * time.Hour)
	h.store.put(story("later", func(s *news.Story) {
		s.StoredAt, s.Created = h.clock.now().Add(-time.Hour), h.clock.now().Add(-time.Hour)
	}))
	h.run(t)
	mails := h.server.To("r1@mail.example")
	if text, _, _ := mails[len(mails)-1].Parts(); len(mails) != 3 || strings.Contains(text, "Whale") {
		t.Errorf("%d mails, the last: %s", len(mails), text)
	}
}
