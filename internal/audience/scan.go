package audience

import (
	"math/bits"
	"slices"

	"dateline/internal/news"
)

// scan is one pass over a cell.
type scan struct {
	m         *Matcher
	cell      *Cell
	sentToday func(string) int
	counts    [codes]int
	planned   gathering
	held      gathering
	exclude   window  // sent this story already
	capped    window  // known already, instead of sentToday
	caps      bool    // somebody knows what was sent today
	census    *census // nil: nobody asks who they are
	woke      bool    // clocks were needed for the last 64
	touched   uint16  // only so that the compiler leaves what touches memory
	readable  []uint8 // m.readable, for this goroutine alone
}

func newScan(m *Matcher, c *Cell, sentToday func(string) int, exclude *news.Numbers) *scan {
	return &scan{m: m, cell: c, sentToday: sentToday, exclude: window{set: exclude}, caps: sentToday != nil}
}

// run goes over the cell.
func (s *scan) run() {
	m, c := s.m, s.cell
	c.mu.RLock()
	defer c.mu.RUnlock()
	m.interned.mu.RLock()
	defer m.interned.mu.RUnlock()
	m.begin()
	if s.census != nil {
		s.census.begin(m)
	}
	s.readable = make([]uint8, len(m.interned.languages.list))
	for at, p := range c.pages.list {
		s.page(p, c.pages.order[at]*pageSize)
	}
	s.planned.done()
	s.held.done()
}

func (s *scan) page(p page, first uint32) {
	s.counts[codeGone] += int(p.gone)
	s.counts[codeLeft] += int(p.left)
	for w := range len(p.plain) {
		at := first + uint32(w)*64
		sent := s.exclude.word(at)
		planned, held := s.plain(p, w, at, sent)
		if p.aside[w] != 0 {
			more, asleep := s.unusual(p, w, at, sent)
			planned, held = planned|more, held|asleep
		}
		s.planned.add(at, planned)
		s.held.add(at, held)
		if s.census != nil {
			s.census.word(s.cell, p, uint32(w)*64, at, planned, held)
		}
	}
}

// unusual judges those aside among 64 neighbours.
func (s *scan) unusual(p page, w int, at uint32, sent uint64) (planned, held uint64) {
	eachBit(p.aside[w], func(i uint32) {
		verdict := s.aside(p, uint32(w)*64+i, at+i, sent>>i&1 != 0)
		planned |= uint64(boolInt(verdict.planned())) << i
		held |= uint64(boolInt(verdict == codeHeldQuiet)) << i
	})
	return planned, held
}

// plain judges the plain devices among 64 neighbours, in the order of decide.
func (s *scan) plain(p page, w int, at uint32, sent uint64) (planned, held uint64) {
	todo := p.plain[w] &^ sent
	s.counts[codeAlreadySent] += bits.OnesCount64(p.plain[w] & sent)
	if todo == 0 {
		return 0, 0
	}
	if s.m.query.Repair {
		s.counts[codeMatched] += bits.OnesCount64(todo)
		return todo, 0
	}
	ids := (*[64]uint16)(p.clocks[w*64:])
	if s.woke { // most likely they are needed again: they come from memory while the tastes are looked up
		s.touched += ids[0] + ids[32]
	}
	planned = todo & s.tastes(todo, (*[64]uint32)(p.preferences[w*64:]))
	s.woke = planned&p.quiet[w] != 0
	if only := planned & p.only[w]; only != 0 {
		planned &^= s.unreadable(p, w, only)
	}
	if planned == 0 {
		return 0, 0
	}
	held, passes := s.clocks(planned, p.quiet[w], ids)
	if most := planned & p.capped[w] &^ held &^ passes; most != 0 && s.caps {
		planned &^= s.full(p, w, at, most)
	}
	s.counts[codeHeldQuiet] += bits.OnesCount64(held)
	s.counts[codeMatched] += bits.OnesCount64(planned &^ held)
	return planned, held
}

// planes sorts 64 devices by the three lowest bits of what a table says of their
// ids. Eight are looked up before their bits are drawn together, by one
// multiplication (it moves bit 8i to 56+i), so that nothing is guessed.
func planes[T ~uint8, ID uint16 | uint32](table []T, ids *[64]ID) (low, middle, high uint64) {
	const each, gather = 0x0101010101010101, 0x0102040810204080
	for i := 0; i < 64; i += 8 {
		q := (*[8]ID)(ids[i:])
		x := uint64(table[q[0]]) | uint64(table[q[1]])<<8 | uint64(table[q[2]])<<16 | uint64(table[q[3]])<<24 |
			uint64(table[q[4]])<<32 | uint64(table[q[5]])<<40 | uint64(table[q[6]])<<48 | uint64(table[q[7]])<<56
		low = low>>8 | (x&each*gather)>>56<<56
		middle = middle>>8 | (x>>1&each*gather)>>56<<56
		high = high>>8 | (x>>2&each*gather)>>56<<56
	}
	return low, middle, high
}

// tastes are those whose preference matches; the others of todo are counted.
func (s *scan) tastes(todo uint64, ids *[64]uint32) uint64 {
	matched, middle, high := planes(s.m.tastes, ids)
	lost := todo &^ matched
	s.counts[codeNotFollowed] += bits.OnesCount64(lost &^ middle &^ high)
	s.counts[codeMutedPlace] += bits.OnesCount64(lost & middle &^ high)
	s.counts[codeSection] += bits.OnesCount64(lost &^ middle & high)
	s.counts[codeLevel] += bits.OnesCount64(lost & middle & high)
	return matched
}

// fewOf 64 are looked at one by one: quicker than all at once.
const fewOf = 12

// clocks are those of planned whom the alert does not wake, and those whose caps
// it passes. Only quiet hours make a difference.
func (s *scan) clocks(planned, quiet uint64, ids *[64]uint16) (held, passes uint64) {
	if s.m.query.passes(false) {
		passes = planned &^ quiet
	}
	quiet &= planned
	if bits.OnesCount64(quiet) > fewOf {
		holds, wakes, _ := planes(s.m.clocks, ids)
		return holds & quiet, passes | wakes&quiet
	}
	for quiet != 0 { // four at a time: how many there are can't be guessed either
		for range 4 {
			one := quiet & -quiet // 0 when there are no more
			clock := uint64(s.m.clocks[ids[bits.TrailingZeros64(quiet)%64]])
			held |= one & -(clock & uint64(clockHolds))
			passes |= one & -(clock & uint64(clockPasses) >> 1)
			quiet ^= one
		}
	}
	return held, passes
}

// unreadable are those, of readers who want nothing but their language, for whom
// there is no text.
func (s *scan) unreadable(p page, w int, only uint64) (lost uint64) {
	eachBit(only, func(i uint32) {
		if !s.reads(uint32(p.languages[uint32(w)*64+i])) {
			lost |= 1 << i
		}
	})
	s.counts[codeLanguage] += bits.OnesCount64(lost)
	return lost
}

// full are those whose readers have had as many alerts today as they want.
func (s *scan) full(p page, w int, at uint32, most uint64) (full uint64) {
	if s.sentToday == nil {
		full = most & s.capped.word(at)
	} else {
		eachBit(most, func(i uint32) {
			if n := uint32(w)*64 + i; s.sentToday(s.cell.record(p, n).subscriber()) >= int(p.caps[n]) {
				full |= 1 << i
			}
		})
	}
	s.counts[codeCapped] += bits.OnesCount64(full)
	return full
}

// aside judges one device that is not plain.
func (s *scan) aside(p page, i, number uint32, sent bool) code {
	verdict := s.first(p, i, number, sent)
	if verdict == codeMatched {
		who := s.person(p, i, number)
		verdict = decide(&s.m.query, &who, func() int { return s.sent(p, i, number) })
	}
	s.counts[verdict]++
	return verdict
}

// first is the half before decide: sent before, and the preference's verdict.
func (s *scan) first(p page, i, number uint32, sent bool) code {
	q := &s.m.query
	switch {
	case q.Final && !q.Repair && slices.Contains(s.cell.over[number], q.StoryURI):
		return codeMatched
	case sent:
		return codeAlreadySent
	case q.Repair:
		return codeMatched
	}
	return codeOf[s.m.tastes[p.preferences[i]]]
}

func (s *scan) sent(p page, i, number uint32) int {
	if s.sentToday != nil {
		return s.sentToday(s.cell.record(p, i).subscriber())
	}
	if s.capped.word(number&^63)>>(number%64)&1 != 0 {
		return int(p.caps[i])
	}
	return 0
}

func (s *scan) person(p page, i, number uint32) person {
	clock := s.cell.clock(p, i, number)
	return person{
		unreadable: p.only.has(i) && !s.reads(s.cell.language(p, i, number)), quarantined: p.state(i) == stateQuarantined, cap: int(p.caps[i]),
		flashHeld: s.m.interned.clockList[clock].quiet.flashHeld(), quietUntil: s.m.asleepUntil(clock),
		pausedUntil: s.cell.paused[number], overStory: slices.Contains(s.cell.over[number], s.m.query.StoryURI),
		mutedStory: slices.Contains(s.cell.muted[number], s.m.query.StoryURI),
	}
}

func (s *scan) reads(language uint32) bool {
	if s.readable[language] == 0 {
		s.readable[language] = 1 + uint8(boolInt(s.m.reads(language)))
	}
	return s.readable[language] == 2
}

func (s *scan) plan() Plan {
	plan := Plan{Planned: s.planned.numbers(), Held: s.held.numbers(),
		Quarantined: s.counts[codeQuarantined], Reasons: map[Reason]int{}}
	for c := codeNone + 1; c < codes; c++ {
		if s.counts[c] > 0 {
			plan.Reasons[c.reason()] = s.counts[c]
		}
	}
	return plan
}
