package news

import (
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestCleanLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"markup is text", "a <b> & c", "a <b> & c"},
		{"one line", " a\r\n\tb ", "a b"},
		{"hidden", "a\u200b\u202e\u2066\ufeffb\x00", "ab"},
		{"what parts letter and mark", "e\u200b\u0301", "é"},
		{"tower with hidden floors", "a" + strings.Repeat(strings.Repeat("\u0489", 10)+"\u200b", 4), "a" + strings.Repeat("\u0489", maxMarks)},
		{"marks that are two", "q" + strings.Repeat("\u0344", 16), "q" + strings.Repeat("\u0308\u0301", maxMarks/2)},
	} {
		if got := CleanLine(c.in); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCleanLineIsClean(t *testing.T) {
	piece := rapid.OneOf(rapid.StringN(0, 8, 24), rapid.SampledFrom([]string{" ", "　", "\n", "\u200b", "\u0344", "\u0489", "e", "\u0301", "🏴", "\U000E0067", "\ufdd0"}))
	rapid.Check(t, func(t *rapid.T) {
		got := CleanLine(strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), ""))
		if again := CleanLine(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
		if !norm.NFC.IsNormalString(got) || strings.ContainsFunc(got, func(r rune) bool { return LineEnd(r) || Hidden(r) && r < 0xE0000 }) {
			t.Fatalf("not clean: %q", got)
		}
	})
}
