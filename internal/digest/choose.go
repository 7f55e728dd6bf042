package digest

import (
	"maps"
	"slices"
	"time"

	"dateline/internal/news"
)

// Reason says why a story is in a digest or not.
type Reason uint8

// The reasons, in the order in which they are looked for.
const (
	Chosen       Reason = iota + 1
	NotUsable           // withheld or canceled by its newest version
	Embargoed           // not before its embargo ends
	Dropped             // an editor left it out of this edition
	Seen                // available before the reader's last edition was made
	TooOld              // created before the edition's window
	NotFollowed         // no place of it is followed, or all are muted
	OtherSection        // none of the reader's sections
	OtherTongue         // not in the only language the reader wants
	MutedStory          // the reader muted it
	Pushed              // it reached a device of hers
	Carried             // an earlier mail carried it
	NoRoom              // twelve others come first
)

func (r Reason) String() string {
	return [...]string{"none", "chosen", "not-usable", "embargoed", "dropped", "seen", "too-old", "not-followed", "section", "language",
		"muted-story", "pushed", "carried", "no-room"}[min(int(r), 13)]
}

// Limits of one digest: a mail is read in three minutes, and one section may
// not push the others out while they have something to say.
const (
	maxStories    = 12
	maxPerSection = 4
	maxAlerted    = 5
)

// Query is one reader's digest to be filled.
type Query struct {
	Edition Edition
	Wishes  news.Wishes
	Since   time.Time // what became available until then was considered before
	Pushed  []news.Pushed
	Past    Past
}

// Past is what a reader's earlier mails told her.
type Past struct {
	// Carried are the stories, by URI, and when the first mail with it was made.
	Carried map[string]time.Time
	Told    []string // keys of repairs
}

// Selection is what goes into a digest.
type Selection struct {
	Lead    *news.Story // the first of all; nil in an empty selection
	Groups  []Group     // the rest
	Alerted []Alerted
	Repairs []told
	Note    Note
	// Until is the newest availability considered; the next edition goes on
	// from there.
	Until time.Time
	// As is the instant whose knowledge it has.
	As time.Time
}

// Group is a section's stories; Section is "" for those without one, last.
type Group struct {
	Section string
	Stories []*news.Story
}

// Alerted is an alert she got about a story, which is therefore left out.
type Alerted struct {
	AlertID   string
	At        time.Time
	Corrected bool
}

// Note is what the editors say; the zero value is nothing.
type Note struct{ Text, Language string }

// Empty reports whether there is nothing to send.
func (s Selection) Empty() bool { return s.Lead == nil }

// Stories lists what the selection carries, in reading order.
func (s Selection) Stories() []*news.Story {
	if s.Lead == nil {
		return nil
	}
	out := []*news.Story{s.Lead}
	for _, g := range s.Groups {
		out = append(out, g.Stories...)
	}
	return out
}

// URIs are those of Stories.
func (s Selection) URIs() []string {
	var out []string
	for _, story := range s.Stories() {
		out = append(out, story.URI)
	}
	return out
}

// RepairKeys are those of Repairs.
func (s Selection) RepairKeys() []string {
	var out []string
	for _, r := range s.Repairs {
		out = append(out, r.Key())
	}
	return out
}

// Choose fills one reader's digest, decided at the shelf's instant. A story
// comes in when its newest version is usable, its embargo over, it became
// available after the reader's last edition was made and was created within
// the window, one of its places is followed and not muted, its section is hers
// (or she chose all, or it has none), it is in her language if she wants no
// other, she has not muted it, none of her devices was sent it, and no earlier
// mail carried it. The level she asks for says how loudly alerts may speak; it
// does not narrow a digest.
//
// Of these, the stories that an editor pinned come first; then those with the most
// points (rank.go), twelve in all, one telling of each event, and at most four of one
// section while other sections have something. The first is the lead; the others are
// grouped by section, the section of the best story first, stories without one last.
// What was corrected or withdrawn after she got it is told beside them (repairs.go).
func (s *Shelf) Choose(q Query) Selection {
	out := Selection{Until: later(q.Since, s.until), As: s.now}
	var fit []ranked
	for _, r := range s.taste(q.Wishes.Preference).order {
		if s.judge(r.item, Chosen, q) == Chosen {
			fit = append(fit, r)
		}
	}
	plan := s.planOf(q.Edition)
	picked := pick(pinnedFirst(fit, plan.Pins), q.Wishes.Preference.Sections)
	if len(picked) == 0 {
		return out
	}
	out.Lead, out.Groups = picked[0], group(picked[1:], q.Wishes.Preference.Sections)
	out.Alerted, out.Repairs = s.alerted(q), s.repairsFor(q)
	out.Note = noteIn(plan.Notes, q.Wishes.Language)
	return out
}

// noteIn is the editors' note in the reader's language or a related one, else in
// English, else nothing: who can't read it is not helped by it.
func noteIn(notes map[string]string, language string) Note {
	have := slices.Sorted(maps.Keys(notes))
	if len(have) == 0 {
		return Note{}
	}
	l := news.PickLanguage(language, have, "en")
	if notes[l] == "" {
		return Note{}
	}
	return Note{notes[l], l}
}

// Why answers for one story what Choose decides, short of NoRoom and of another
// telling of the event.
func (s *Shelf) Why(uri string, q Query) Reason {
	taste := s.taste(q.Wishes.Preference)
	for i := range s.stories {
		if s.stories[i].story.URI == uri {
			return s.judge(&s.stories[i], taste.reasons[i], q)
		}
	}
	return TooOld
}

func (s *Shelf) judge(item *shelved, taste Reason, q Query) Reason {
	story := item.story
	switch {
	case story.Status != news.Usable:
		return NotUsable
	case story.Embargoed(s.now):
		return Embargoed
	case slices.Contains(s.planOf(q.Edition).Drops, story.URI):
		return Dropped
	case !item.available.After(q.Since):
		return Seen
	case story.AgeFrom().Before(q.Edition.Oldest(s.now)):
		return TooOld
	case taste != Chosen:
		return taste
	case q.Wishes.OnlyLanguage && !inLanguage(story, q.Wishes.Language):
		return OtherTongue
	case slices.Contains(q.Wishes.MutedStories, story.URI):
		return MutedStory
	case slices.ContainsFunc(q.Pushed, func(p news.Pushed) bool { return p.StoryURI == story.URI }):
		return Pushed
	}
	if _, carried := q.Past.Carried[story.URI]; carried {
		return Carried
	}
	return Chosen
}

func inLanguage(story *news.Story, wanted string) bool {
	if news.SameLanguage(wanted, story.Language) {
		return true
	}
	for l := range story.Translations {
		if news.SameLanguage(wanted, l) {
			return true
		}
	}
	return false
}

// sectionOf is the section a story stands under: the first of its own that the
// reader chose.
func sectionOf(story *news.Story, chosen []string) string {
	for _, section := range story.Sections {
		if len(chosen) == 0 || slices.Contains(chosen, section) {
			return section
		}
	}
	return ""
}

func group(stories []*news.Story, chosen []string) []Group {
	var out []Group
	var rest Group
	for _, story := range stories {
		section := sectionOf(story, chosen)
		if section == "" {
			rest.Stories = append(rest.Stories, story)
			continue
		}
		i := slices.IndexFunc(out, func(g Group) bool { return g.Section == section })
		if i < 0 {
			out = append(out, Group{Section: section})
			i = len(out) - 1
		}
		out[i].Stories = append(out[i].Stories, story)
	}
	if len(rest.Stories) > 0 {
		out = append(out, rest)
	}
	return out
}

// alerted lists what her devices were sent since her last edition and still
// stands, the newest first. What was retracted is not among it.
func (s *Shelf) alerted(q Query) []Alerted {
	pushed := slices.Clone(q.Pushed)
	slices.SortStableFunc(pushed, func(a, b news.Pushed) int { return b.At.Compare(a.At) })
	var out []Alerted
	for _, p := range pushed {
		story := s.byURI[p.StoryURI]
		if story == nil || story.Status != news.Usable || story.Embargoed(s.now) || p.Kind == news.ReleaseKill || !p.At.After(q.Since) {
			continue
		}
		if out = append(out, Alerted{p.AlertID, p.At, p.Kind == news.ReleaseCorrection}); len(out) == maxAlerted {
			break
		}
	}
	return out
}
