package region

import (
	"slices"
	"strings"
)

// OtherName is what else a place is called.
type OtherName struct {
	Text, Lang string
	// Quiet is a name that is colonial, of a state of the past, or contested: who
	// types it whole finds the place, and no page shows it.
	Quiet bool
}

// loadAliases reads aliases.tsv (a code, names in English with a comma between)
// and aliases-other.tsv, which has a language before.
func loadAliases() map[string][]OtherName {
	all := map[string][]OtherName{}
	add := func(lang, code, names string) {
		for name := range strings.SplitSeq(names, ", ") {
			text, quiet := strings.CutPrefix(name, "~")
			all[code] = append(all[code], OtherName{text, lang, quiet})
		}
	}
	for fields := range rows(aliasesText, 2) {
		add("en", fields[0], fields[1])
	}
	for fields := range rows(aliasesOtherText, 3) {
		add(fields[0], fields[1], fields[2])
	}
	return all
}

// OtherNames are what else a place or group is looked up by: names it had
// (Burma), abbreviations (UAE), other spellings, and the large cities of a
// subdivision that is called otherwise (Bombay), those in English first. The
// caller must not change them.
func OtherNames(code string) []OtherName { return otherNames()[code] }

// CityNames are the names in other languages of a city of Asia, by its English
// one in any case: of a capital, and of a city that stands for a time zone. The
// caller must not change them.
func CityNames(english string) []OtherName { return cityNames()[strings.ToLower(english)] }

func loadCityNames() map[string][]OtherName {
	all := map[string][]OtherName{}
	add := func(english, lang, name string) {
		english = strings.ToLower(english)
		if n := (OtherName{Text: name, Lang: lang}); !slices.Contains(all[english], n) {
			all[english] = append(all[english], n)
		}
	}
	for lang, names := range tree().citiesIn {
		for code, name := range names {
			add(DatelineCity(code), lang, name)
		}
	}
	for lang, names := range zoneCities() {
		if lang == "=" || lang == "en" || lang == "root" {
			continue
		}
		for zone, name := range names {
			if strings.HasPrefix(zone, "Asia/") || zone == "Europe/Istanbul" {
				add(ZoneCity(zone, "en"), lang, name)
			}
		}
	}
	for _, names := range all { // in one order, whatever that of the maps
		slices.SortFunc(names, func(a, b OtherName) int {
			return strings.Compare(a.Lang+" "+a.Text, b.Lang+" "+b.Text)
		})
	}
	return all
}
