# Prints what failed tests, packages and builds said, test by test (input: go
# test -json, twice). With -v lines=N it is cut to N lines for each, of at most
# -v tests=M of them: from a panic or a data race on, else the last ones.
#
# A test that began and never ended counts as failed: what brought its process
# down (a panic, a deadlock, a time-out) stands in that test's own output.
function get(name,   i, rest) {
	i = index($0, "\"" name "\":\"")
	if (!i) return ""
	rest = substr($0, i + length(name) + 4)
	return substr(rest, 1, index(rest, "\"") - 1)
}
function said(   text) {
	text = $0
	sub(/.*"Output":"/, "", text)
	sub(/"}$/, "", text)
	gsub(/\\n/, "\n", text)
	gsub(/\\t/, "\t", text)
	gsub(/\\u003c/, "<", text)
	gsub(/\\u003e/, ">", text)
	gsub(/\\u0026/, "\\&", text)
	gsub(/\\"/, "\"", text)
	gsub(/\\\\/, "\\", text)
	return text
}
# keep notes a line under its test, the tests in the order in which they spoke.
function keep(key, text) {
	if (!(key in count)) order[++keys] = key
	if (!(key in start) && text ~ /^(panic: |fatal error: |WARNING: DATA RACE)/) start[key] = count[key] + 1
	line[key, ++count[key]] = text
}
{ key = get("Package") " " get("Test"); action = get("Action") }
NR == FNR {
	if (action == "run") bad[key] = 1
	if (action == "fail") bad[key] = 1
	if (action == "pass" || action == "skip") delete bad[key]
	next
}
action == "build-output" { keep("build of " get("ImportPath"), said()) }
action == "output" && key in bad && !/"Output":"=== / { keep(key, said()) }
END {
	for (k = 1; k <= keys; k++) {
		key = order[k]
		from = 1
		to = count[key]
		if (lines && to > lines) {
			from = key in start ? start[key] : to - lines + 1
			if (to > from + lines - 1) to = from + lines - 1
		}
		if (tests && k > tests) {
			printf "\n(and %d more)\n", keys - tests
			break
		}
		printf "\n-- %s\n", key
		if (from > 1) print "(cut)"
		for (i = from; i <= to; i++) printf "%s", line[key, i]
		if (to < count[key]) print "(cut)"
	}
}
