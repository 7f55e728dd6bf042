package desk

import (
	"math"
	"testing"
)

func TestOverlap(t *testing.T) {
	for name, c := range map[string]struct {
		places   []string
		audience string
		share    float64
		words    string
	}{
		"the same":        {[]string{"JP"}, "JP", 1, "covered all of its places"},
		"inside":          {[]string{"ID", "MY-10"}, "ASEAN", 1, "covered all of its places"},
		"some":            {[]string{"TH", "ID", "MY"}, "TH", 1.0 / 3, "covered 33 % of its places: did not reach Indonesia, Malaysia"},
		"none":            {[]string{"JP", "KR"}, "TH", 0, "reached none of its places"},
		"a part":          {[]string{"JP"}, "JP-13", 0.5, "covered 50 % of its places: reached only part of Japan"},
		"without":         {[]string{"JP", "KR"}, "142 - KR", 0.5, "covered 50 % of its places: did not reach South Korea"},
		"both":            {[]string{"JP", "KR", "TW", "TH"}, "JP + KR-11", 0.375, "covered 38 % of its places: did not reach Taiwan, Thailand, reached only part of South Korea"},
		"many":            {[]string{"JP", "ID", "MY", "TH", "VN", "PH", "LA"}, "JP", 1.0 / 7, "covered 14 % of its places: did not reach Indonesia, Malaysia, Thailand, Vietnam, 2 more"},
		"no place":        {nil, "JP", 0, ""},
		"an odd audience": {[]string{"JP"}, "JP +", 0, "reached none of its places"},
		"an odd place":    {[]string{"QQ"}, "JP", 0, "reached none of its places"},
	} {
		o := overlapOf(c.places, c.audience)
		if got := o.share(); math.Abs(got-c.share) > 1e-9 {
			t.Errorf("%s: %v", name, got)
		}
		if got := o.words(); got != c.words {
			t.Errorf("%s: %q", name, got)
		}
	}
}
