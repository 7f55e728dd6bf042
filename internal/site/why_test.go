package site

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/region"
)

// TestWhyTellsTheWiderPlace: of a story about all of Asia it is not said that it is
// about Japan; for random audiences, a place is called what it is about only when a
// part of the audience lies in it or none of it lies around it.
func TestWhyTellsTheWiderPlace(t *testing.T) {
	h := newHouse(t, nil)
	v := view{words: h.site.words, Lang: "en"}
	for _, c := range []struct{ follows, audience, want string }{
		{"JP", "142", "It is about Asia, and what you follow lies there: Japan."},
		{"JP", "JP", "It is about a place you follow: Japan."},
		{"142", "JP", "It is about a place you follow: Asia."},
		{"JP-13", "JP", "It is about Japan, and what you follow lies there: Tokyo."},
		{"SG JP", "ASEAN + JP", "It is about a place you follow: Japan. It is about ASEAN, and what you follow lies there: Singapore."},
		{"JP", "142 - CN", "It is about Asia, without China, and what you follow lies there: Japan."},
		{"ID", "142 - ID-BA", "It is about Asia, without Bali, and what you follow lies there: Indonesia."},
	} {
		got, err := v.sentences(Explanation{Got: true, Reason: "matched", Places: strings.Fields(c.follows)}, c.audience, news.LevelBulletin)
		if said := strings.Join(got, " "); err != nil || said != c.want {
			t.Errorf("%s of %s: %q, want %q", c.follows, c.audience, said, c.want)
		}
	}
	mailed, err := v.whyMailed(news.Preference{Regions: []string{"JP"}}, news.Story{Regions: []string{"142"}})
	if err != nil || len(mailed) == 0 || mailed[0] != "It is about Asia, and what you follow lies there: Japan." {
		t.Errorf("%v %v", mailed, err)
	}
	codes := []string{"JP", "JP-13", "142", "035", "SG", "ASEAN", "ID", "APEC", "001"}
	rapid.Check(t, func(t *rapid.T) {
		audience := strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(codes), 1, 3, rapid.ID).Draw(t, "audience"), " + ")
		followed := rapid.SliceOfNDistinct(rapid.SampledFrom(codes), 1, 3, rapid.ID).Draw(t, "followed")
		near, wide := nearAndWide(followed, audience)
		if all := append(slices.Clone(near), wide...); len(all) != len(followed) {
			t.Fatalf("%v of %v", all, followed)
		}
		about, err := region.Parse(audience)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range wide {
			here, _ := region.SetOf([]string{code}, nil)
			for _, part := range about.Parts() {
				if here.Contains(part) {
					t.Fatalf("%s is about %s, which has a part in it", audience, code)
				}
			}
			if !about.Set().Contains(here) {
				t.Fatalf("%s does not lie in %s", code, audience)
			}
		}
	})
}
