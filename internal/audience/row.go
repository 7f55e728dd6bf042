package audience

import "dateline/internal/region"

// rowSpans is how many ranges of atoms a simple row holds: readers follow
// three places or so.
const rowSpans = 4

// row is a preference as most are, without mutes and overrides, in 16 bytes:
// matching reads millions of them. What it consists of is interned, too, so that
// a query judges each range and each demand once. One that does not fit is not
// simple and has a taste instead.
type row struct {
	spans   [rowSpans]uint16 // ids of ranges; 0: the empty one
	demand  uint16           // id
	simple  bool
	holders uint32 // devices that have it
}

// span is a range [from, to) of atoms.
type span struct{ from, to uint16 }

func spansOf(s region.Set) []span {
	var spans []span
	for from, to := range s.Spans() {
		spans = append(spans, span{from, to})
	}
	return spans
}

// demand is the sections and the level that a reader wants.
type demand struct {
	sections uint32 // bits of news.Sections; 0: all
	level    uint8
}

// ids numbers what comes, up to as many as two bytes hold; 0 is the zero value.
type ids[T comparable] struct {
	of   map[T]uint16
	list []T
}

func newIDs[T comparable]() ids[T] {
	var zero T
	return ids[T]{map[T]uint16{zero: 0}, []T{zero}}
}

func (s *ids[T]) id(v T) (id uint16, ok bool) {
	id, ok = s.of[v]
	if !ok && len(s.list) <= 1<<16-1 {
		id, ok = uint16(len(s.list)), true
		s.list = append(s.list, v)
		s.of[v] = id
	}
	return id, ok
}

// rowOf is a taste as a row. The interned are locked.
func (in *interned) rowOf(t *taste) (r row) {
	spans := spansOf(t.places)
	bits, known := sectionBits(t.wanted.Sections)
	if len(t.wanted.Muted) > 0 || len(t.wanted.Overrides) > 0 || len(spans) > rowSpans || !known {
		return r
	}
	ok := make([]bool, 0, rowSpans+1)
	add := func(id uint16, fits bool) uint16 {
		ok = append(ok, fits)
		return id
	}
	for i, s := range spans {
		r.spans[i] = add(in.spans.id(s))
	}
	r.demand = add(in.demands.id(demand{bits, uint8(t.wanted.Level)}))
	r.simple = true
	for _, fits := range ok {
		r.simple = r.simple && fits
	}
	return r
}

// lens is what a query says of ranges and demands, by id: the parts that rows are
// judged from.
type lens struct {
	query *Query
	aim   *aim
	// meets has, of a bulletin or flash, 1 where a range overlaps the audience. Of
	// a notice it has a bit for each range of its places that lies inside: bits are
	// numbered through parts.
	meets   []uint64
	parts   []uint64 // of a notice: the bits of each of its places
	demands []uint8  // outcomeSection and outcomeLevel
	spans   []span
}

// What an outcome is found by, beside 1 for "the places meet".
const (
	outcomeSection = 2
	outcomeLevel   = 4
)

// outcomes are the verdicts on a simple row; the first that fails is given.
var outcomes = [8]glance{
	1 | outcomeSection | outcomeLevel: glanceMatched,
	1 | outcomeSection:                glanceLevel,
	1 | outcomeLevel:                  glanceSection,
	1:                                 glanceSection,
} // without 1: glanceNotFollowed

// see adds what is new since it last looked.
func (l *lens) see(in *interned) {
	l.spans = in.spans.list
	for _, s := range l.spans[len(l.meets):] {
		l.meets = append(l.meets, l.span(s))
	}
	for _, d := range in.demands.list[len(l.demands):] {
		l.demands = append(l.demands, l.demand(d))
	}
	if l.notice() && l.parts == nil {
		bit := 0
		for _, part := range l.aim.spans {
			l.parts = append(l.parts, (1<<len(part)-1)<<bit)
			bit += len(part)
		}
	}
}

func (l *lens) notice() bool { return !l.query.loud() }

func (l *lens) span(s span) (meets uint64) {
	if !l.notice() {
		if l.aim.covered[s.to] > l.aim.covered[s.from] {
			return 1
		}
		return 0
	}
	bit := 0
	for _, part := range l.aim.spans {
		for _, p := range part {
			if s.from <= p.from && p.to <= s.to {
				meets |= 1 << bit // where there are too many, nothing
			}
			bit++
		}
	}
	return meets
}

func (l *lens) demand(d demand) (outcome uint8) {
	if d.sections == 0 || l.aim.anySection || d.sections&l.aim.sections != 0 {
		outcome |= outcomeSection
	}
	if uint8(l.query.Level) >= d.level {
		outcome |= outcomeLevel
	}
	return outcome
}

// judge is taste.judge for a simple row. It runs for every distinct preference of
// an alert and its outcomes are as good as random, so it is written without
// branches that a processor would guess wrong.
func (l *lens) judge(r *row) glance {
	m := l.meets[r.spans[0]] | l.meets[r.spans[1]] | l.meets[r.spans[2]] | l.meets[r.spans[3]]
	if l.parts != nil {
		m = l.inside(r, m)
	}
	return outcomes[(uint8((m|-m)>>63)|l.demands[r.demand])&7]
}

// inside is not zero if one of a notice's places lies inside the row's ranges,
// which contain those of the bits.
func (l *lens) inside(r *row, contained uint64) (met uint64) {
	bit := 0
	for i, part := range l.parts {
		if bit += len(l.aim.spans[i]); bit > 64 { // more than there are bits
			return met | uint64(boolInt(inside(l.aim.spans[i:], r, l.spans)))
		}
		if contained&part == part {
			met = 1
		}
	}
	return met
}

// inside reports whether all ranges of one of the parts lie in those of the row.
func inside(parts [][]span, r *row, spans []span) bool {
	for _, part := range parts {
		all := true
		for _, p := range part {
			found := false
			for _, id := range r.spans {
				s := spans[id]
				found = found || s.from <= p.from && p.to <= s.to
			}
			all = all && found
		}
		if all {
			return true
		}
	}
	return false
}
