# Lists every skipped test with its reason (input: go test -json).
function get(name,   i, rest) {
	i = index($0, "\"" name "\":\"")
	if (!i) return ""
	rest = substr($0, i + length(name) + 4)
	return substr(rest, 1, index(rest, "\"") - 1)
}
{ key = get("Package") " " get("Test") }
get("Action") == "output" && /"Output":"    .*_test\.go:[0-9]+: |NOT RUN/ {
	text = $0
	sub(/.*"Output":" */, "", text)
	sub(/^[^ ]*\.go:[0-9]+: /, "", text)
	sub(/\\n"}$/, "", text)
	gsub(/\\"/, "\"", text)
	sub(/^NOT RUN: /, "", text)
	said[key] = text
}
get("Action") == "skip" && get("Test") != "" {
	printf "%s: %s\n", key, key in said ? said[key] : "skipped without a reason"
}
