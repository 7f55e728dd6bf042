// Package telling says whether two stories tell of the same event: several
// agencies, or one, write of it more than once. The desk folds them together, and
// a digest has room for one.
//
// It promises: nothing is fetched and nothing kept; the answer depends on the two
// stories alone, and is the same both ways.
package telling

import (
	"hash/fnv"
	"math/bits"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"dateline/internal/news"
	"dateline/internal/region"
)

const (
	// alikeBits is how many of 64 bits may differ in two tellings of one event:
	// the pairs of alike_test.go that are one differ in 6 to 16, all 2,500 pairs
	// of the demo's day in 17 and more.
	alikeBits = 16
	// alikeWithin is how far apart they may come.
	alikeWithin = 12 * time.Hour
	// gram is how many letters are looked at together, about a stem; gramOfWords
	// in scripts where two characters make a word.
	gram        = 3
	gramOfWords = 2
	// headlineWeight: a headline says what happened, the standfirst who said so.
	headlineWeight = 2
)

// fingerprint is the SimHash (Charikar 2002) of what a story tells: texts that
// share most of their parts differ in few bits.
func fingerprint(s *news.Story) uint64 {
	var votes [64]int
	vote(&votes, s.Headline, headlineWeight)
	vote(&votes, s.Standfirst, 1)
	var print uint64
	for bit, v := range votes {
		if v > 0 {
			print |= 1 << bit
		}
	}
	return print
}

// vote counts each part of the text for the bits its hash has and against the
// others.
func vote(votes *[64]int, text string, weight int) {
	letters := []rune(strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, norm.NFKC.String(text)))
	for i := range letters {
		n := gram
		if unicode.In(letters[i], unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			n = gramOfWords
		}
		if i+n > len(letters) {
			break
		}
		h := fnv.New64a()
		_, _ = h.Write([]byte(string(letters[i : i+n])))
		sum := mix(h.Sum64())
		for bit := range votes {
			if sum>>bit&1 == 1 {
				votes[bit] += weight
			} else {
				votes[bit] -= weight
			}
		}
	}
}

// mix spreads FNV's weak high bits (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// Telling is a story with what it is compared by.
type Telling struct {
	Story  *news.Story
	print  uint64
	places region.Set
}

// Of prepares a story: about 20 µs. The story is kept.
func Of(s *news.Story) *Telling {
	places, _ := region.SetOf(s.Regions, nil) // a place that is not in the tree any more touches none
	return &Telling{s, fingerprint(s), places}
}

// Alike reports whether two stories seem to tell of the same event: nearly the
// same words in one language, about places that touch, within half a day.
func (t *Telling) Alike(o *Telling) bool {
	apart := t.Story.StoredAt.Sub(o.Story.StoredAt).Abs()
	return t.Story.URI != o.Story.URI && bits.OnesCount64(t.print^o.print) <= alikeBits && apart <= alikeWithin &&
		t.places.Overlaps(o.places) && news.SameLanguage(t.Story.Language, o.Story.Language)
}
