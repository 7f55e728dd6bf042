# Shows one line for each package as its tests end (input: go test -json).
function get(name,   i, rest) {
	i = index($0, "\"" name "\":\"")
	if (!i) return ""
	rest = substr($0, i + length(name) + 4)
	return substr(rest, 1, index(rest, "\"") - 1)
}
function seconds(   i) {
	i = index($0, "\"Elapsed\":")
	return i ? substr($0, i + 10) + 0 : 0
}
get("Test") == "" {
	action = get("Action")
	if (action == "pass" || action == "fail" || action == "skip") {
		printf "%-5s %7.1f s  %s\n", action == "skip" ? "-" : action, seconds(), get("Package")
		fflush()
	}
}
