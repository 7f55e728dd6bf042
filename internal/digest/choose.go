package digest

import (
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
	return [...]string{"none", "chosen", "not-usable", "embargoed", "seen", "too-old", "not-followed", "section", "language",
		"muted-story", "pushed", "carried", "no-room"}[min(int(r), 12)]
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
	Carried []string // URIs of stories her earlier mails carried
}

// Selection is what goes into a digest.
type Selection struct {
	Groups  []Group
	Alerted []Alerted
	// Until is the newest availability considered; the next edition goes on
	// from there.
	Until time.Time
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

// Empty reports whether there is nothing to send.
func (s Selection) Empty() bool { return len(s.Groups) == 0 }

// Lead is the story that opens the mail; nil in an empty selection.
func (s Selection) Lead() *news.Story {
	if s.Empty() {
		return nil
	}
	return s.Groups[0].Stories[0]
}

// Stories lists what the selection carries, in reading order.
func (s Selection) Stories() []*news.Story {
	var out []*news.Story
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

// Choose fills one reader's digest, decided at the shelf's instant. A story
// comes in when its newest version is usable, its embargo over, it became
// available after the reader's last edition was made and was created within
// the window, one of its places is followed and not muted, its section is hers
// (or she chose all, or it has none), it is in her language if she wants no
// other, she has not muted it, none of her devices was sent it, and no earlier
// mail carried it. The level she asks for says how loudly alerts may speak; it
// does not narrow a digest.
//
// Of these the twelve with the most points (rank.go) are taken, one telling of each
// event, and at most four of one section while other sections have something. They
// are grouped by section, the section of the best story first, stories without one
// last.
func (s *Shelf) Choose(q Query) Selection {
	out := Selection{Until: later(q.Since, s.until)}
	var fit []ranked
	for _, r := range s.taste(q.Wishes.Preference).order {
		if s.judge(r.item, Chosen, q) == Chosen {
			fit = append(fit, r)
		}
	}
	out.Groups = group(pick(fit, q.Wishes.Preference.Sections), q.Wishes.Preference.Sections)
	if !out.Empty() {
		out.Alerted = s.alerted(q)
	}
	return out
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
	case slices.Contains(q.Carried, story.URI):
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
