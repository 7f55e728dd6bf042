package region

// CountOtherNames is how many names aliases.tsv has.
func CountOtherNames() int {
	count := 0
	for _, names := range otherNames() {
		count += len(names)
	}
	return count
}
