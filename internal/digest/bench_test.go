package digest

import "testing"

// BenchmarkChoose is what one more reader of a known preference costs, among
// a big newsroom's stories.
func BenchmarkChoose(b *testing.B) {
	day := newsDay()
	for len(day) < 2000 {
		day = append(day, newsDay()...)
	}
	for i := range day {
		day[i].URI += string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
	}
	shelf := NewShelf(day, now())
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	b.ReportAllocs()
	for b.Loop() {
		shelf.Choose(q)
	}
}
