package news

import "testing"

func TestDirection(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string]string{"ar": "rtl", "ur-PK": "rtl", "fa": "rtl", "he": "rtl", "dv": "rtl", "ps": "rtl", "sd": "rtl", "ug": "rtl",
		"ckb": "rtl", "yi": "rtl", "az-Arab": "rtl", "sd-Deva": "ltr", "en": "ltr", "ja": "ltr", "??": "ltr", "": "ltr"} {
		if got := Direction(lang); got != want {
			t.Errorf("%s is written %s", lang, got)
		}
	}
}
