package audience

import (
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// person is everything about one device beside its preference that the rules
// look at.
type person struct {
	unreadable  bool // onlyLanguage, and no text on hand is in it
	mutedStory  bool
	overStory   bool
	pausedUntil time.Time
	quarantined bool
	flashHeld   bool      // flash:false
	quietUntil  time.Time // zero: it is not quiet now
	cap         int
}

// decide is the second half of the rules, after place, section and level. It
// asks sentToday only of people with a cap, and only if all else holds.
func decide(q *Query, p *person, sentToday func() int) code {
	if q.Repair {
		if p.quarantined {
			return codeQuarantined
		}
		return codeMatched
	}
	passes := q.passes(p.flashHeld)
	switch {
	case p.unreadable:
		return codeLanguage
	case p.mutedStory:
		return codeMutedStory
	case p.overStory && !q.Final:
		return codeOverStory
	case p.pausedUntil.After(q.Now):
		return codePaused
	case p.quarantined:
		return codeQuarantined
	case !passes && !p.quietUntil.IsZero():
		return codeHeldQuiet
	case !passes && p.cap > 0 && sentToday() >= p.cap:
		return codeCapped
	case p.overStory:
		return codeStoryOver
	}
	return codeMatched
}

// loud: a bulletin or flash, which need only overlap what a reader follows.
func (q *Query) loud() bool { return q.Level > news.LevelNotice }

// passes reports whether the alert wakes and is not counted, but for those who
// want no exception.
func (q *Query) passes(flashHeld bool) bool { return q.Level == news.LevelFlash && !flashHeld }

// Verdict is the answer for one device.
type Verdict struct {
	Reason    Reason
	HeldUntil time.Time // held-quiet only: the end of her quiet hours
	Language  string    // of the text she gets, or would get
	Via       []string  // the followed places, as she wrote them, that the alert touches
}

// Matcher judges devices for one query, each distinct preference, language and
// quiet time once. It is safe for concurrent use: calls of MatchCell on one
// matcher, for different cells, run side by side.
type Matcher struct {
	query    Query
	aim      *aim
	interned *interned

	mu       sync.Mutex
	lens     lens
	tastes   []glance // by preference id
	reused   uint64   // interned.reused when tastes was begun
	readable []uint8  // by language id: unknown, unreadable, readable
	clocks   []uint8  // by clock id
	seconds  []int32  // by zone id: of the day, at the query's Now
}

// What a clock says at the query's Now.
const (
	clockHolds  uint8 = 1 << iota // the alert waits for the end of its quiet hours
	clockPasses                   // caps don't count: a flash, and the reader did not say "flash":false
	clockAsleep                   // it is quiet
)

// NewMatcher prepares a query.
func (a *Audience) NewMatcher(q Query) *Matcher {
	m := &Matcher{query: q, aim: aimOf(q), interned: a.interned}
	m.lens.query, m.lens.aim = &m.query, m.aim
	return m
}

// Judge says what the alert does with one device: the same rules as MatchCell,
// by the same functions. sentToday is how many alerts that count for the cap
// went to its subscriber on her local day.
func (m *Matcher) Judge(d news.Device, sentToday int) Verdict {
	return judge(m.query, m.aim, d, sentToday, m.interned.zone)
}

// Judge is Matcher.Judge for those who hold no cells.
func Judge(q Query, d news.Device, sentToday int) Verdict {
	return judge(q, aimOf(q), d, sentToday, zoneOf)
}

func judge(q Query, a *aim, d news.Device, sentToday int, zone func(string) *time.Location) Verdict {
	w := d.Wishes
	v := Verdict{Language: news.PickLanguage(w.Language, q.Languages, q.Language), Via: via(w.Preference, a)}
	if c := stateCode(stateOf(d.State)); c != codeNone {
		v.Reason = c.reason()
		return v
	}
	over := slices.Contains(w.OverStories, q.StoryURI)
	if c := newTaste(w.Preference).judge(&q, a); !q.Repair && !(over && q.Final) && c != codeMatched {
		v.Reason = c.reason()
		return v
	}
	var until time.Time
	if w.Quiet != nil {
		until, _ = quietUntil(*w.Quiet, zone(w.Timezone), q.Now)
	}
	c := decide(&q, &person{unreadable: w.OnlyLanguage && !readable(w.Language, q.Languages),
		mutedStory: slices.Contains(w.MutedStories, q.StoryURI), overStory: over, pausedUntil: w.PausedUntil,
		quarantined: d.State == news.DeviceQuarantined, flashHeld: w.Quiet != nil && !w.Quiet.Flash, quietUntil: until, cap: w.Cap},
		func() int { return sentToday })
	v.Reason = c.reason()
	if c == codeHeldQuiet {
		v.HeldUntil = until
	}
	return v
}

// stateCode is the reason that a state alone is; codeNone if it is none.
func stateCode(s state) code {
	switch s {
	case stateActive, stateQuarantined:
		return codeNone
	case stateLeft:
		return codeLeft
	}
	return codeGone
}

func readable(language string, texts []string) bool {
	return slices.ContainsFunc(texts, func(have string) bool { return news.SameLanguage(language, have) })
}

// Plan is what an alert does in one cell.
type Plan struct {
	Planned     *news.Numbers // matched: to be sent, now or later
	Held        *news.Numbers // the part of Planned that sleeps
	Quarantined int           // matched, but in quarantine
	Reasons     map[Reason]int
}

// MatchCell plans the query for every device of the cell. sentToday says how
// many alerts that count for the cap went to a subscriber on her local day (nil:
// none); it is called under read locks and must not call back into the audience. Numbers in exclude (nil:
// none) were sent this story already.
func (m *Matcher) MatchCell(c *Cell, sentToday func(subscriberID string) int, exclude *news.Numbers) Plan {
	scan := newScan(m, c, sentToday, exclude)
	scan.run()
	return scan.plan()
}
