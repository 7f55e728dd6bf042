package desk

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
	// alikeShown are named under the newest.
	alikeShown = 5
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

// telling is a story with what it is compared by.
type telling struct {
	story  news.Story
	print  uint64
	places region.Set
}

func tellingOf(s news.Story) *telling {
	places, _ := region.SetOf(s.Regions, nil) // a place that is not in the tree any more touches none
	return &telling{s, fingerprint(&s), places}
}

// alike reports whether two stories seem to tell of the same event: nearly the
// same words in one language, about places that touch, within half a day.
func (t *telling) alike(o *telling) bool {
	apart := t.story.StoredAt.Sub(o.story.StoredAt).Abs()
	return t.story.URI != o.story.URI && bits.OnesCount64(t.print^o.print) <= alikeBits && apart <= alikeWithin &&
		t.places.Overlaps(o.places) && news.SameLanguage(t.story.Language, o.story.Language)
}

// like lists, of the others, those that tell of the same event, in their order.
func (t *telling) like(others []*telling) []news.Story {
	var out []news.Story
	for _, o := range others {
		if len(out) < alikeShown && t.alike(o) {
			out = append(out, o.story)
		}
	}
	return out
}

// fold puts every story that an earlier one of the list tells of, too, under
// that one.
func fold(stories []news.Story) (tops []news.Story, under map[string][]news.Story) {
	tellings := make([]*telling, 0, len(stories))
	for _, s := range stories {
		tellings = append(tellings, tellingOf(s))
	}
	under, folded := map[string][]news.Story{}, map[string]bool{}
	for i, t := range tellings {
		if folded[t.story.URI] {
			continue
		}
		tops = append(tops, t.story)
		for _, s := range t.like(tellings[i+1:]) {
			under[t.story.URI] = append(under[t.story.URI], s)
			folded[s.URI] = true
		}
	}
	return tops, under
}
