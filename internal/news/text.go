package news

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// maxMarks is how many combining marks one letter keeps: Tibetan and Vietnamese
// need no more than four; a tower of them covers the lines above it.
const maxMarks = 16

// CleanLine makes one line of what somebody wrote: no control, bidi-override,
// zero-width or tag characters, single spaces, NFC. U+200C to U+200F stay:
// Hindi, Urdu, Persian and emoji need them. Markup is left alone. Cleaning a
// clean line changes nothing: NFC comes first, since it can make two marks of
// one, and last, since what is dropped may have stood between two that join.
func CleanLine(s string) string {
	return squeeze(norm.NFC.String(dropRunes(norm.NFC.String(s))))
}

// dropRunes takes out what no plain text needs and turns line ends into spaces.
func dropRunes(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	marks, flag := 0, false
	for _, r := range s {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me) && !variation(r):
			marks++
		case LineEnd(r) || !Hidden(r): // what is dropped parts no marks
			marks = 0
		}
		// Flags of regions (England) are a black flag followed by tag characters;
		// anywhere else tag characters are hidden text.
		tag := r >= 0xE0020 && r <= 0xE007F
		switch {
		case LineEnd(r):
			b.WriteByte(' ')
		case marks > maxMarks, tag && !flag, !tag && Hidden(r):
		default:
			b.WriteRune(r)
		}
		flag = r == 0x1F3F4 || tag && flag
	}
	return b.String()
}

func variation(r rune) bool { return r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF }

// LineEnd reports characters that end a line.
func LineEnd(r rune) bool {
	return r >= '\t' && r <= '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// Hidden reports characters that change how others look, or look like nothing.
func Hidden(r rune) bool {
	switch {
	case unicode.Is(unicode.Cc, r): // controls
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069: // bidi embeddings, overrides, isolates
	case r == 0x200B, r >= 0x2060 && r <= 0x2065, r >= 0x206A && r <= 0x206F, r == 0xFEFF: // zero width
	case r >= 0xFFF9 && r <= 0xFFFB: // interlinear annotation
	case r >= 0xE0000 && r <= 0xE001F: // tags
	case r >= 0xFDD0 && r <= 0xFDEF, r&0xFFFE == 0xFFFE: // not characters
	default:
		return false
	}
	return true
}

// squeeze makes runs of spaces one and trims. The ideographic space stays where
// it stands alone: Japanese headlines are parted by it.
func squeeze(s string) string {
	s = strings.TrimFunc(s, unicode.IsSpace)
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		if r == ' ' && space {
			continue
		}
		space = r == ' '
		b.WriteRune(r)
	}
	return b.String()
}

// Visible reports whether there is something to see.
func Visible(s string) bool {
	for _, r := range s {
		switch r {
		case 0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800: // fillers and the blank Braille cell
			continue
		}
		if unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) {
			return true
		}
	}
	return false
}
