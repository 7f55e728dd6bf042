package site

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// folded is text as it is searched: without case, accents, the vowel signs of
// Arabic and Hebrew and what tells Arabic's letters from Persian's and Urdu's;
// with one of the two ways to write a nasal in Devanagari, and one of the two 台.
// plain in places.js does the same.
func folded(text string) string {
	out := make([]rune, 0, len(text))
	for _, r := range lettersOf(text) {
		n := len(out)
		switch {
		case r == chandrabindu:
			r = anusvara
		case n > 1 && 'क' <= r && r <= 'ह' && out[n-1] == virama && strings.ContainsRune("ङञणनम", out[n-2]):
			out = append(out[:n-2], anusvara)
		}
		out = append(out, r)
	}
	return string(out)
}

// Signs of Devanagari.
const chandrabindu, anusvara, virama = 'ँ', 'ं', '्'

// spelledOut is text with the nasal that an anusvara stands for: झारखण्ड for झारखंड.
func spelledOut(text string) string {
	letters := []rune(text)
	var b strings.Builder
	for i, r := range letters {
		if r == anusvara && i+1 < len(letters) {
			for _, row := range [...]string{"कखगघङ", "चछजझञ", "टठडढण", "तथदधन", "पफबभम"} {
				if nasal := []rune(row)[4]; letters[i+1] != nasal && strings.ContainsRune(row, letters[i+1]) {
					b.WriteRune(nasal)
					r = virama
				}
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

// lettersOf is folded but for the nasals.
func lettersOf(text string) string {
	out := make([]rune, 0, len(text))
	var base rune // the letter that marks stand on
	for _, r := range norm.NFD.String(strings.ToLower(text)) {
		switch r {
		case '\u200c', '\u200d': // that join letters or don't
			continue
		case 'đ':
			r = 'd'
		case 'ı':
			r = 'i'
		case 'ی', 'ى':
			r = 'ي'
		case 'ک':
			r = 'ك'
		case 'ہ', 'ھ', 'ة', 'ە':
			r = 'ه'
		case '臺':
			r = '台'
		}
		if !unicode.IsMark(r) {
			base = r
		} else if unicode.In(base, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Arabic, unicode.Hebrew) || isNukta(r) {
			continue
		}
		out = append(out, r)
	}
	return composedKana(string(out))
}

// isNukta: the dot that makes another consonant of one, in the scripts of India
// that have it. Many writers leave it out.
func isNukta(r rune) bool { return strings.ContainsRune("\u093c\u09bc\u0a3c\u0abc\u0b3c", r) }

// composedKana: ガ is a letter, no カ with an accent.
var composedKana = func() func(string) string {
	var pairs []string
	for r := 'ぁ'; r <= 'ヿ'; r++ {
		if apart := norm.NFD.String(string(r)); apart != string(r) {
			pairs = append(pairs, apart, string(r))
		}
	}
	return strings.NewReplacer(pairs...).Replace
}()
