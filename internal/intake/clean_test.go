package intake

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"dateline/internal/news"
)

func TestClean(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "Rice prices rise in Manila", "Rice prices rise in Manila"},
		{"spaces", "  a \t b\r\n c ", "a b c"},
		{"line separators", "a\u2028b\u2029c\u0085d", "a b c d"},
		{"controls", "a\x01b\x7fc\u009fd", "abcd"},
		{"tags", "<b>Rice</b> <i class=x>prices</i>", "Rice prices"},
		{"paragraphs do not run together", "<p>One.</p><p>Two.<br>Three.</p>", "One. Two. Three."},
		{"script goes with its content", "a<script>alert('x')</script>b<style>p{}</style>c", "abc"},
		{"entities", "Tom &amp; Jerry &#8212; caf&eacute;", "Tom & Jerry — café"},
		{"a bare ampersand stays", "AT&T and Q&A", "AT&T and Q&A"},
		{"less than before a number stays", "Growth < 5% and <3", "Growth < 5% and <3"},
		{"encoded markup goes too", "&lt;script&gt;alert(1)&lt;/script&gt;Rice", "Rice"},
		{"encoded twice", "&amp;lt;b&amp;gt;Rice", "Rice"},
		{"unclosed comment", "Rice <!-- never closed", "Rice"},
		{"unclosed tag", "Rice <img src=x onerror=alert(1)", "Rice"},
		{"a tag hidden by a zero-width space", "<\u200bscript>x</\u200bscript>Rice", "Rice"},
		{"bidi overrides", "abc\u202Edef\u202C\u2066ghi\u2069", "abcdefghi"},
		{"zero width", "a\u200bb\u2060c\ufeffd", "abcd"},
		{"joiners stay for Hindi and Persian", "क्\u200dष می\u200cخواهم", "क्\u200dष می\u200cخواهم"},
		{"direction marks stay", "\u200fعربي\u200e", "\u200fعربي\u200e"},
		{"emoji stay whole", "👩‍👩‍👧‍👦 ❤️ 🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "👩‍👩‍👧‍👦 ❤️ 🏴\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F"},
		{"hidden text in tag characters", "Rice\U000E0068\U000E0069", "Rice"},
		{"NFC", "Cafe\u0301 が", "Café が"},
		{"NFC makes no entity", "It&rsquo\u037Es", "It’s"},
		{"the ideographic space stays", "速報　東京で地震", "速報　東京で地震"},
		{"a tower of marks", "a" + strings.Repeat("\u0489", 50), "a" + strings.Repeat("\u0489", 16)},
		{"nothing but markup", "<p></p>", ""},
	}
	for _, tt := range tests {
		got, err := clean(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	if _, err := clean("&" + strings.Repeat("amp;", 50) + "lt;b>"); err == nil {
		t.Error("fifty layers of encoding were accepted")
	}
}

// Whatever comes in: clean text is valid, NFC, without anything hidden or any
// tag, and cleaning it again changes nothing.
func TestCleanIsClean(t *testing.T) {
	t.Parallel()
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"<", ">", "&", "lt;", "gt", "amp;", "&#x202e;", "<script>", "</", "<!--", "-->", "\u200b", "\u202e", "\u0338",
			"\u037e", "　", " ", "\n", "🏴", "\U000E0067", "ß", "が", "か\u3099", "क्\u200dष", "<b", "title>", "<plaintext>", "<![CDATA[", "\ufeff"}),
		rapid.StringN(0, 8, 24))
	rapid.Check(t, func(t *rapid.T) {
		in := strings.Join(rapid.SliceOfN(piece, 0, 12).Draw(t, "pieces"), "")
		got, err := clean(in)
		if err != nil {
			return // refused
		}
		again, err := clean(got)
		if err != nil || again != got {
			t.Fatalf("%q became %q and then %q, %v", in, got, again, err)
		}
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.Contains(strings.ToLower(got), "<script") {
			t.Fatalf("%q became %q", in, got)
		}
		if news.CleanLine(got) != got {
			t.Fatalf("%q became %q, in which something is hidden", in, got)
		}
	})
}

func TestQuote(t *testing.T) {
	t.Parallel()
	if got := quote("a\x1b[31m\u202e" + strings.Repeat("x", 100)); strings.ContainsAny(got, "\x1b\u202e") || utf8.RuneCountInString(got) != 43 {
		t.Errorf("got %q", got)
	}
}
