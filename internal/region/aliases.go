package region

import "strings"

// loadAliases reads aliases.tsv: a code, names with a comma between.
func loadAliases() map[string][]string {
	names := map[string][]string{}
	for fields := range rows(aliasesText, 2) {
		names[fields[0]] = append(names[fields[0]], strings.Split(fields[1], ", ")...)
	}
	return names
}

// OtherNames are what else a place or group is looked up by: names it had
// (Burma), abbreviations (UAE), other spellings, and the large cities of a
// subdivision that is called otherwise (Bombay). The caller must not change them.
func OtherNames(code string) []string { return otherNames()[code] }

// CitiesIn are the names of a place's dateline city in other scripts, by language.
func CitiesIn(code string) map[string]string {
	cities := map[string]string{}
	for lang, names := range tree().citiesIn {
		if name := names[code]; name != "" {
			cities[lang] = name
		}
	}
	return cities
}
