# Prints what failed tests, packages and builds said (input: go test -json, twice).
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
{ key = get("Package") " " get("Test"); action = get("Action") }
NR == FNR {
	if (action == "run") bad[key] = 1
	if (action == "fail") bad[key] = 1
	if (action == "pass" || action == "skip") delete bad[key]
	next
}
action == "build-output" { printf "%s", said() }
action == "output" && key in bad {
	if (key != last) printf "\n-- %s\n", key
	last = key
	printf "%s", said()
}
