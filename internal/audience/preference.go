package audience

import (
	"encoding/binary"
	"slices"

	"dateline/internal/news"
)

// packPreference appends a preference's canonical content to b: equal bytes
// for equal preferences and only for them. Order and repeats do not count,
// since nothing asks for them.
func packPreference(b []byte, p news.Preference) []byte {
	b = append(b, byte(p.Level))
	b = packList(b, p.Regions)
	b = packList(b, p.Muted)
	b = packList(b, p.Sections)
	overrides := make([][]byte, 0, len(p.Overrides))
	for _, o := range p.Overrides {
		overrides = append(overrides, append(packList(nil, o.Regions), byte(o.Level)))
	}
	slices.SortFunc(overrides, slices.Compare[[]byte])
	for _, o := range slices.CompactFunc(overrides, slices.Equal[[]byte]) {
		b = append(b, o...)
	}
	return b
}

func packList(b []byte, list []string) []byte {
	if !slices.IsSorted(list) {
		list = slices.Sorted(slices.Values(list))
	}
	n := 0
	for i := range list {
		n += boolInt(i == 0 || list[i] != list[i-1])
	}
	b = binary.AppendUvarint(b, uint64(n))
	for i, s := range list {
		if i == 0 || s != list[i-1] {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return b
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// unpackPreference reads what packPreference wrote; its strings are parts of
// the packed one.
func unpackPreference(packed string) (p news.Preference) {
	p.Level, packed = news.Level(packed[0]), packed[1:]
	p.Regions, packed = unpackList(packed)
	p.Muted, packed = unpackList(packed)
	p.Sections, packed = unpackList(packed)
	for packed != "" {
		var o news.Override
		o.Regions, packed = unpackList(packed)
		o.Level, packed = news.Level(packed[0]), packed[1:]
		p.Overrides = append(p.Overrides, o)
	}
	return p
}

func unpackList(packed string) (list []string, rest string) {
	n, rest := unpackNumber(packed)
	for range n {
		var size int
		size, rest = unpackNumber(rest)
		list = append(list, rest[:size])
		rest = rest[size:]
	}
	return list, rest
}

// unpackNumber reads a uvarint.
func unpackNumber(packed string) (n int, rest string) {
	for shift := 0; packed != ""; shift += 7 {
		b := packed[0]
		packed = packed[1:]
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	return n, packed
}
