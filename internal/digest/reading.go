package digest

import (
	"strings"
	"unicode"
)

// How fast people read on a screen (M. Brysbaert, "How many words do we read per
// minute?", 2019, for words; Chinese and Japanese readers' 260 to 500 characters a
// minute by the same and by K. Rayner's survey: the middle). Thai is written without
// spaces; about five letters are a word.
const (
	wordsAMinute      = 238
	ideographsAMinute = 400
	lettersAWord      = 5
)

// minutes is how long the mail takes to read, one at least.
func (v *mailView) minutes() int {
	var seconds float64
	read := func(texts ...string) {
		for _, text := range texts {
			seconds += secondsFor(text)
		}
	}
	if v.Note != nil {
		read(v.Note.Paragraphs...)
	}
	for _, r := range v.Repairs {
		read(r.Headline, r.Text)
	}
	read(v.Lead.Headline, v.Lead.Standfirst)
	for _, g := range v.Groups {
		for _, s := range g.Stories {
			read(s.Headline, s.Standfirst)
		}
	}
	return max(1, int(seconds/60+0.5))
}

// secondsFor is how long a text takes.
func secondsFor(text string) float64 {
	ideographs, unspaced := 0, 0
	rest := strings.Map(func(r rune) rune {
		switch {
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana):
			ideographs++
			return ' '
		case unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar):
			if unicode.IsLetter(r) {
				unspaced++
			}
			return ' '
		}
		return r
	}, text)
	words := float64(len(strings.Fields(rest))) + float64(unspaced)/lettersAWord
	return 60 * (words/wordsAMinute + float64(ideographs)/ideographsAMinute)
}
