package region

// CountOtherNames is how many names aliases.tsv and aliases-other.tsv have.
func CountOtherNames() int {
	count := 0
	for _, names := range otherNames() {
		count += len(names)
	}
	return count
}

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
