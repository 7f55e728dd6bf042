package audience

import "time"

// This file judges what many devices share, once for a query.

// glance is the verdict on a preference in three bits: what it takes to sort 64
// devices by it at once. The lowest says that place, section and level match; of
// the others the two above say why not.
type glance uint8

const (
	glanceNotFollowed glance = iota << 1
	glanceMutedPlace
	glanceSection
	glanceLevel
	glanceMatched glance = 1
)

// glanceOf is for the five codes that taste.judge gives.
var glanceOf = [codes]glance{codeNotFollowed: glanceNotFollowed, codeMutedPlace: glanceMutedPlace,
	codeSection: glanceSection, codeLevel: glanceLevel, codeMatched: glanceMatched}

// codeOf undoes glanceOf.
var codeOf = [8]code{glanceNotFollowed: codeNotFollowed, glanceMutedPlace: codeMutedPlace,
	glanceSection: codeSection, glanceLevel: codeLevel, glanceMatched: codeMatched}

// begin judges what is new, and everything if ids mean something else by now.
// The interned are locked for reading, and stay so while the caller reads what
// was judged: nobody gets a new id meanwhile, so that of several callers only the
// first finds anything to do.
func (m *Matcher) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.interned
	if m.reused == in.reused && len(m.tastes) == len(in.rows) && len(m.readable) == len(in.languages.list) && len(m.clocks) == len(in.clockList) {
		return
	}
	if m.reused != in.reused {
		m.tastes, m.reused = nil, in.reused
	}
	known := len(m.tastes)
	m.tastes = grown(m.tastes, len(m.interned.rows))
	m.judge(known)
	m.readable = grown(m.readable, len(m.interned.languages.list))
	m.lookAtClocks()
}

// judge judges the preferences from an id on, in order: rows lie one after the
// other, and a processor reads ahead.
func (m *Matcher) judge(from int) {
	if m.query.Repair {
		return // nobody's preference counts
	}
	m.lens.see(m.interned)
	rows := m.interned.rows
	for id := from; id < len(rows); id++ {
		if r := &rows[id]; r.simple {
			m.tastes[id] = m.lens.judge(r)
		} else if r.holders > 0 {
			m.tastes[id] = glanceOf[m.interned.involved[uint32(id)].judge(&m.query, m.aim)]
		}
	}
}

// lookAtClocks reads the clocks that are new. What takes time is to find a zone's
// offset, and zones are few.
func (m *Matcher) lookAtClocks() {
	for _, zone := range m.interned.locations[len(m.seconds):] {
		m.seconds = append(m.seconds, int32(secondOfDay(m.query.Now.In(zone))))
	}
	for _, c := range m.interned.clockList[len(m.clocks):] {
		m.clocks = append(m.clocks, m.look(c.quiet, int(m.seconds[c.zone])))
	}
}

// look reads one clock, on which it is so many seconds past midnight.
func (m *Matcher) look(q quiet, second int) (clock uint8) {
	if m.query.passes(q.flashHeld()) {
		clock |= clockPasses
	}
	if w := q.unpack(); w != nil && within(wrap(w.From), wrap(w.To), second) {
		clock |= clockAsleep
		if clock&clockPasses == 0 {
			clock |= clockHolds
		}
	}
	return clock
}

// reads reports whether a text on hand is in a language.
func (m *Matcher) reads(language uint32) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.readable[language] == 0 {
		m.readable[language] = 1
		if readable(m.interned.languages.list[language], m.query.Languages) {
			m.readable[language] = 2
		}
	}
	return m.readable[language] == 2
}

// asleepUntil is the end of a clock's quiet hours; zero: it is not quiet. Only
// whether it is zero counts for a plan.
func (m *Matcher) asleepUntil(id uint32) time.Time {
	if m.clocks[id]&clockAsleep == 0 {
		return time.Time{}
	}
	return m.query.Now
}
