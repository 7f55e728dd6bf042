package region

import (
	"encoding/binary"
	"iter"
	"slices"
	"strconv"

	"dateline/internal/news"
)

// Set is a set of places, down to the smallest ones the tree knows. It is
// immutable; the zero Set is empty. It is held as the sorted, disjoint ranges
// of atoms that it covers (a handful, where a bitmap would need 600 bytes), so
// equal sets have equal ranges.
type Set struct{ spans []span }

// span is the atoms from, from+1, …, to-1.
type span struct{ from, to uint16 }

// Spans gives the ranges [from, to) of atom numbers that the set covers, as
// they are held: sorted, disjoint, not touching. For those who keep millions of
// sets. The numbers run from 0 to Atoms()-1 and hold within one build only.
func (s Set) Spans() iter.Seq2[uint16, uint16] {
	return func(yield func(from, to uint16) bool) {
		for _, p := range s.spans {
			if !yield(p.from, p.to) {
				return
			}
		}
	}
}

// Atoms is how many smallest places there are.
func Atoms() int { return int(tree().nodes[0].to) }

// setOf is the set of one known place or group.
func (t *atlas) set(code string) (Set, bool) {
	if i, ok := t.index[code]; ok {
		return Set{[]span{{t.nodes[i].from, t.nodes[i].to}}}, true
	}
	g, ok := t.group(code)
	if !ok {
		return Set{}, false
	}
	spans := make([]span, 0, len(g.Members))
	for _, m := range g.Members {
		n := &t.nodes[t.index[m]]
		spans = append(spans, span{n.from, n.to})
	}
	return Set{merge(spans)}, true
}

// SetOf is what a reader follows minus what she mutes, in that order. For
// unknown codes it returns the set of the known ones and an error that names
// each with its place: "regions/1", "mutedRegions/0".
func SetOf(include, exclude []string) (Set, error) {
	var problems news.Problems
	in := union(include, "regions", &problems)
	out := union(exclude, "mutedRegions", &problems)
	return in.Minus(out), problems.Err()
}

func union(codes []string, path string, problems *news.Problems) Set {
	t := tree()
	var spans []span
	for i, code := range codes {
		s, ok := t.set(code)
		if !ok {
			problems.Add(path+"/"+strconv.Itoa(i), "%s", unknown(code))
			continue
		}
		spans = append(spans, s.spans...)
	}
	return Set{merge(spans)}
}

// merge sorts spans and joins those that touch. It reuses the slice.
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return int(a.from) - int(b.from) })
	out := spans[:0]
	for _, s := range spans {
		if n := len(out); n > 0 && s.from <= out[n-1].to {
			out[n-1].to = max(out[n-1].to, s.to)
			continue
		}
		out = append(out, s)
	}
	return out
}

// Empty reports whether the set covers nothing.
func (s Set) Empty() bool { return len(s.spans) == 0 }

// Equal reports whether both cover the same places.
func (s Set) Equal(o Set) bool { return slices.Equal(s.spans, o.spans) }

// Overlaps reports whether some place is in both.
func (s Set) Overlaps(o Set) bool {
	i, j := 0, 0
	for i < len(s.spans) && j < len(o.spans) {
		a, b := s.spans[i], o.spans[j]
		switch {
		case a.to <= b.from:
			i++
		case b.to <= a.from:
			j++
		default:
			return true
		}
	}
	return false
}

// Contains reports whether all of o is in s; the empty set is in every set.
func (s Set) Contains(o Set) bool {
	i := 0
	for _, b := range o.spans {
		for i < len(s.spans) && s.spans[i].to < b.to {
			i++
		}
		if i == len(s.spans) || s.spans[i].from > b.from {
			return false
		}
	}
	return true
}

// Union is what either covers.
func (s Set) Union(o Set) Set { return Set{merge(slices.Concat(s.spans, o.spans))} }

// Minus is what s covers and o does not.
func (s Set) Minus(o Set) Set {
	if !s.Overlaps(o) {
		return s
	}
	var out []span
	j := 0
	for _, a := range s.spans {
		for j < len(o.spans) && o.spans[j].to <= a.from {
			j++
		}
		for k := j; k < len(o.spans) && o.spans[k].from < a.to; k++ {
			if o.spans[k].from > a.from {
				out = append(out, span{a.from, o.spans[k].from})
			}
			a.from = min(o.spans[k].to, a.to)
		}
		if a.from < a.to {
			out = append(out, a)
		}
	}
	return Set{out}
}

// Key is equal for equal sets and only for them. It holds within one build
// only: the atoms are numbered anew whenever the tree changes.
func (s Set) Key() string {
	raw := make([]byte, 0, 4*len(s.spans))
	for _, p := range s.spans {
		raw = binary.BigEndian.AppendUint16(raw, p.from)
		raw = binary.BigEndian.AppendUint16(raw, p.to)
	}
	return string(raw)
}
