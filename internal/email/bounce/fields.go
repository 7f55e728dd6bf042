package bounce

import "strings"

// field is a line of a machine-readable part; its name is lower case.
type field struct{ name, value string }

// maxGroups bounds the groups of a delivery status: a mail of ours has one
// recipient, and an alias may make some more of her.
const maxGroups = 64

// fieldGroups reads the fields of a delivery status or a feedback report
// (RFC 3464, 2.1; RFC 5965, 3): folded ones made whole, a new group after each
// empty line, and also where a field that a group has once (in keys) comes
// again: there are servers that forget the empty line.
func fieldGroups(text string, keys ...string) [][]field {
	var groups [][]field
	var group []field
	seen := map[string]bool{}
	flush := func() {
		if len(group) > 0 && len(groups) < maxGroups {
			groups = append(groups, group)
		}
		group = nil
		clear(seen)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimRight(name, " \t"))
		switch {
		case strings.TrimSpace(line) == "":
			flush()
		case line[0] == ' ' || line[0] == '\t':
			if len(group) > 0 {
				last := &group[len(group)-1]
				last.value = extended(last.value, line)
			}
		case ok && name != "" && len(group) < maxFields:
			if seen[name] {
				flush()
			}
			for _, key := range keys {
				seen[name] = seen[name] || name == key
			}
			group = append(group, field{name, strings.TrimSpace(value)})
		}
	}
	flush()
	return groups
}

// maxValue is how much of a value is kept: the code is at its beginning.
const maxValue = 4 << 10

func extended(value, line string) string {
	if len(value) > maxValue {
		return value
	}
	return value + " " + strings.TrimSpace(line)
}

// valueOf is the first value of a name in a group.
func valueOf(group []field, name string) string {
	for _, f := range group {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// firstField is the value of the first line of a text that looks like that
// field of a header, with the line it may be folded into.
func firstField(text, name string) string {
	value, found := "", false
	for line := range strings.Lines(text) {
		if found {
			if line[0] == ' ' || line[0] == '\t' {
				value += " " + line
			}
			return strings.TrimSpace(value)
		}
		key, after, ok := strings.Cut(line, ":")
		if ok && strings.EqualFold(strings.TrimSpace(key), name) {
			value, found = after, true
		}
	}
	return strings.TrimSpace(value)
}
