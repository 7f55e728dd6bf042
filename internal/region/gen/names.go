package main

import (
	"bytes"
	"fmt"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"
)

// languages are those whose country names are compared with x/text: the
// languages of Asia's press and the larger ones elsewhere.
var languages = []string{"en", "ja", "zh-Hans", "zh-Hant", "zh-Hant-HK", "ko", "hi", "bn", "ur", "ta", "te", "mr", "ne", "si",
	"pa", "gu", "kn", "ml", "ar", "fa", "ps", "he", "tr", "az", "hy", "ka", "kk", "ky", "uz", "tk", "tg", "mn", "th", "lo",
	"km", "my", "vi", "id", "ms", "fil", "jv", "ru", "uk", "pl", "cs", "de", "fr", "es", "pt", "it", "nl", "sv", "el", "sw", "am"}

// corrected are the codes whose names in x/text (CLDR 32) are out of date, or
// longer than a newsroom writes them: then CLDR's own short form is taken.
var corrected = map[string]string{"HK": "HK-alt-short", "MO": "MO-alt-short", "MM": "MM-alt-short",
	"MK": "MK", "SZ": "SZ", "TR": "TR", "CV": "CV", "TL": "TL"}

// codesInOrder keeps the file's order.
var codesInOrder = []string{"CV", "HK", "MK", "MM", "MO", "SZ", "TL", "TR"}

// correctedNames is language, code and name for each name that x/text lacks
// or has otherwise.
func correctedNames(source cldr) ([]byte, int, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Names that differ from golang.org/x/text, from CLDR %s (Unicode-3.0, see LICENSE-unicode). Written by gen; don't edit.\n", version)
	count := 0
	for _, lang := range languages {
		names, err := territoryNames(source, lang)
		if err != nil {
			return nil, 0, err
		}
		known := display.Regions(language.MustParse(lang))
		for _, code := range codesInOrder {
			name := names[corrected[code]]
			if name == "" {
				name = names[code]
			}
			if name == "" || (known != nil && known.Name(language.MustParseRegion(code)) == name) {
				continue
			}
			fmt.Fprintf(&out, "%s\t%s\t%s\n", lang, code, name)
			count++
		}
	}
	return out.Bytes(), count, nil
}

func territoryNames(source cldr, lang string) (map[string]string, error) {
	var file struct {
		Main map[string]struct {
			LocaleDisplayNames struct {
				Territories map[string]string `json:"territories"`
			} `json:"localeDisplayNames"`
		} `json:"main"`
	}
	if err := source.read(&file, "cldr-localenames-full", "main", lang, "territories.json"); err != nil {
		return nil, err
	}
	return file.Main[lang].LocaleDisplayNames.Territories, nil
}
