# Lists the packages whose only failure is that the race detector itself broke
# down (input: go test -json). ThreadSanitizer's "CHECK failed" is a fault of
# its own book-keeping (golang/go#78156: timers of a synctest bubble that are
# due when they are made); a data race reads "WARNING: DATA RACE" instead. A
# package with a failed test is not listed, and nothing is when any other
# package failed.
function get(name,   i, rest) {
	i = index($0, "\"" name "\":\"")
	if (!i) return ""
	rest = substr($0, i + length(name) + 4)
	return substr(rest, 1, index(rest, "\"") - 1)
}
{ package = get("Package"); action = get("Action") }
/"Output":"ThreadSanitizer: CHECK failed/ { broke[package] = 1 }
/"Output":"WARNING: DATA RACE/ { racy[package] = 1 }
action == "build-fail" { other = 1 }
action == "fail" && get("Test") != "" { failed[package] = 1 }
action == "fail" && get("Test") == "" { down[package] = 1 }
END {
	for (p in down) if (!(p in broke) || p in failed || p in racy) other = 1
	if (!other) for (p in down) print p
}
