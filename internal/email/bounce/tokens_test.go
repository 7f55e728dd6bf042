package bounce

import (
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
)

func TestTokensOfWhatCameBack(t *testing.T) {
	for field, want := range map[string][]string{
		"<digest+" + tokenB + "@news.example>":                                   {tokenB},
		"<DIGEST+" + strings.ToUpper(tokenB) + "@NEWS.EXAMPLE>":                  {tokenB},
		"<mailto:digest%2B" + tokenU + "%40news.example?subject=x>":              {tokenU},
		"pass smtp.mailfrom=digest+" + tokenB + "@news.example; dkim=pass":       {tokenB},
		"<SRS0=Ab1=ZZ=news.example=digest+" + tokenB + "@forward.example>":       {tokenB},
		"<digest+" + tokenB + "@a>, <digest+" + tokenB + "@a>":                   {tokenB},
		"<mydigest+" + tokenB + "@news.example>":                                 nil,
		"<digest+short@news.example>":                                            nil,
		"<digest+" + tokenB + ">":                                                nil,
		"<digest+" + tokenB + "." + tokenB + "@news.example>":                    nil,
		"<digest+" + tokenB:                                                      nil,
		"digest+digest+" + tokenB + "@news.example":                              {tokenB},
		"<digest+" + strings.Repeat("a", 65) + "@news.example>":                  nil,
		"<digest+" + tokenB + "@a> <digest+" + tokenU + "@b>":                    {tokenB, tokenU},
		strings.Join(slices.Repeat([]string{"digest+" + tokenB + "@a"}, 9), " "): {tokenB},
	} {
		p := &pieces{original: message.HeaderFromMap(map[string][]string{"X-Field": {field}})}
		if got := p.tokens(base); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", field, got, want)
		}
	}
}
