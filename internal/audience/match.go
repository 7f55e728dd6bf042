package audience

import (
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

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
	passes := q.Level == news.LevelFlash && !p.flashHeld
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

// Verdict is the answer for one device.
type Verdict struct {
	Reason    Reason
	HeldUntil time.Time // held-quiet only: the end of her quiet hours
	Language  string    // of the text she gets, or would get
	Via       []string  // the followed places, as she wrote them, that the alert touches
}

// Matcher judges devices for one query, each distinct preference, language and
// quiet time once. It is safe for concurrent use; calls of MatchCell on one
// matcher take turns.
type Matcher struct {
	query    Query
	aim      *aim
	interned *interned

	mu       sync.Mutex
	tastes   []code // by preference id; codeNone: not judged yet
	reused   uint64 // interned.reused when tastes was begun
	readable map[uint32]bool
	quiet    []asleep // by clock id
}

// asleep is whether and how long a clock's quiet hours last at the query's Now.
type asleep struct {
	known     bool
	flashHeld bool
	until     time.Time // zero: it is not quiet
}

// NewMatcher prepares a query.
func (a *Audience) NewMatcher(q Query) *Matcher {
	return &Matcher{query: q, aim: aimOf(q), interned: a.interned,
		readable: map[uint32]bool{}}
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
	t := newTaste(w.Preference)
	r := rowOf(t)
	if c := verdictOn(&r, t, &q, a); !q.Repair && !(over && q.Final) && c != codeMatched {
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
	scan := scan{m: m, cell: c, sentToday: sentToday, exclude: exclude}
	scan.run()
	return scan.plan()
}

// run goes over the cell.
func (s *scan) run() {
	m, c := s.m, s.cell
	m.mu.Lock()
	defer m.mu.Unlock()
	c.mu.RLock()
	defer c.mu.RUnlock()
	m.interned.mu.RLock()
	defer m.interned.mu.RUnlock()
	m.begin()
	if s.census != nil {
		s.census.begin(m)
	}
	if s.exclude != nil && s.exclude.IsEmpty() {
		s.exclude = nil
	}
	for _, key := range c.order {
		s.page(c.pages[key], key*pageSize)
	}
}

// begin drops what was judged under ids that mean something else by now. While
// the locks are held no id changes its meaning.
func (m *Matcher) begin() {
	if m.reused != m.interned.reused {
		m.tastes, m.reused = nil, m.interned.reused
	}
	if more := len(m.interned.rows) - len(m.tastes); more > 0 {
		m.tastes = append(m.tastes, make([]code, more)...)
	}
	if more := len(m.interned.clockList) - len(m.quiet); more > 0 {
		m.quiet = append(m.quiet, make([]asleep, more)...)
	}
}

// scan is one pass over a cell.
type scan struct {
	m         *Matcher
	cell      *Cell
	sentToday func(string) int
	exclude   *news.Numbers
	counts    [codes]int
	planned   []uint32
	held      []uint32
	census    *census       // nil: nobody asks who they are
	capped    *news.Numbers // known already, instead of sentToday; nil: it is not
}

func (s *scan) page(p *page, first uint32) {
	for i := range uint32(pageSize) {
		if p.states[i] == stateNone {
			continue
		}
		verdict := s.glance(p, i, first+i)
		if verdict == codeMatched {
			who := s.person(p, i, first+i)
			verdict = decide(&s.m.query, &who, func() int { return s.sent(p, i, first+i) })
			s.add(verdict, first+i)
			if s.census != nil && verdict.planned() {
				s.census.count(p, i, verdict.goes() && !who.quietUntil.IsZero())
			}
		}
		s.counts[verdict]++
	}
}

func (s *scan) add(verdict code, number uint32) {
	if verdict == codeHeldQuiet {
		s.held = append(s.held, number)
	}
	if verdict.planned() {
		s.planned = append(s.planned, number)
	}
}

// glance is the cheap half: state, sent before, and the preference's verdict.
func (s *scan) glance(p *page, i, number uint32) code {
	if c := stateCode(p.states[i]); c != codeNone {
		return c
	}
	if s.m.query.Final && !s.m.query.Repair && len(s.cell.over) > 0 && slices.Contains(s.cell.over[number], s.m.query.StoryURI) {
		return codeMatched
	}
	if s.exclude != nil && s.exclude.Contains(number) {
		return codeAlreadySent
	}
	if s.m.query.Repair {
		return codeMatched
	}
	id := p.preferences[i]
	verdict := s.m.tastes[id]
	if verdict == codeNone {
		verdict = s.m.interned.judge(id, &s.m.query, s.m.aim)
		s.m.tastes[id] = verdict
	}
	return verdict
}

func (s *scan) sent(p *page, i, number uint32) int {
	switch {
	case s.capped != nil && s.capped.Contains(number):
		return int(p.caps[i])
	case s.sentToday == nil:
		return 0
	}
	return s.sentToday(p.record(i).subscriber())
}

func (s *scan) person(p *page, i, number uint32) person {
	who := person{quarantined: p.states[i] == stateQuarantined, cap: int(p.caps[i])}
	if p.only[i] {
		who.unreadable = !s.m.reads(p.languages[i])
	}
	sleep := &s.m.quiet[p.clocks[i]]
	if !sleep.known {
		*sleep = s.m.asleep(p.clocks[i])
	}
	who.flashHeld, who.quietUntil = sleep.flashHeld, sleep.until
	if len(s.cell.paused) > 0 {
		who.pausedUntil = s.cell.paused[number]
	}
	if len(s.cell.over) > 0 {
		who.overStory = slices.Contains(s.cell.over[number], s.m.query.StoryURI)
	}
	if len(s.cell.muted) > 0 {
		who.mutedStory = slices.Contains(s.cell.muted[number], s.m.query.StoryURI)
	}
	return who
}

func (m *Matcher) reads(language uint32) bool {
	ok, known := m.readable[language]
	if !known {
		ok = readable(m.interned.languages.list[language], m.query.Languages)
		m.readable[language] = ok
	}
	return ok
}

func (m *Matcher) asleep(id uint32) asleep {
	c := m.interned.clockList[id]
	a := asleep{known: true}
	if q := c.quiet.unpack(); q != nil {
		a.flashHeld = c.quiet.flashHeld()
		a.until, _ = quietUntil(*q, m.interned.zones[c.zone], m.query.Now)
	}
	return a
}

func (s *scan) plan() Plan {
	plan := Plan{Planned: roaring.BitmapOf(s.planned...), Held: roaring.BitmapOf(s.held...),
		Quarantined: s.counts[codeQuarantined], Reasons: map[Reason]int{}}
	for c := codeNone + 1; c < codes; c++ {
		if s.counts[c] > 0 {
			plan.Reasons[c.reason()] = s.counts[c]
		}
	}
	return plan
}
