package desk

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"dateline/internal/region"
)

// placesOffered are the groups, and the areas and countries of Asia.
func placesOffered() []choice {
	var out []choice
	for _, g := range region.Groups() {
		out = append(out, choice{g.Name, g.Title})
	}
	for place := range region.All() {
		if place.Kind <= region.KindCountry && region.Within(place.Code, asia) {
			out = append(out, choice{place.Code, region.Name(place.Code, "en")})
		}
	}
	return out
}

// placeCalled is the code of what somebody typed: a code, one of before, or the
// name of a place that is offered; "" when there is none.
func placeCalled(typed string) string {
	code, known := region.Canonical(typed)
	if known {
		return code
	}
	if now := region.Replacement(code); now != "" {
		return now
	}
	for _, c := range placesOffered() {
		if strings.EqualFold(c.Name, typed) {
			return c.Value
		}
	}
	return ""
}

var (
	saidWithout = regexp.MustCompile(`(?i)[,;]?\s*\b(?:without|except|but not)\b`)
	saidAnd     = regexp.MustCompile(`(?i)\s*(?:[,;+]|\band\b)\s*`)
)

// saidPlaces is the expression of an audience as the page itself says it, such as
// "ASEAN and Taiwan, without Japan"; "" where a name is no place's.
func saidPlaces(text string) string {
	var expr []string
	for i, part := range saidWithout.Split(text, -1) {
		sign := "+"
		if i > 0 {
			sign = "-"
		}
		for _, name := range saidAnd.Split(strings.TrimSpace(part), -1) {
			if name == "" { // "ASEAN +", "Taiwan and": not said to its end
				return ""
			}
			code := placeCalled(name)
			if code == "" {
				return ""
			}
			expr = append(expr, sign, code)
		}
	}
	if len(expr) == 0 || expr[0] != "+" {
		return ""
	}
	return strings.Join(expr[1:], " ")
}

// mostMeant places are asked after.
const mostMeant = 3

// placesLike are the places that somebody may have meant, the likeliest first.
func placesLike(typed string) []choice {
	typed = strings.ToLower(typed)
	type candidate struct {
		choice
		away int
	}
	var near []candidate
	for _, c := range placesOffered() {
		name := strings.ToLower(c.Name)
		away := min(editsBetween(typed, name), editsBetween(typed, strings.ToLower(c.Value))+1)
		if len(typed) > 2 && strings.HasPrefix(name, typed) {
			away = min(away, 1)
		}
		if away <= max(1, len([]rune(typed))/3) {
			near = append(near, candidate{c, away})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int { return cmp.Compare(a.away, b.away) })
	var out []choice
	for _, c := range near[:min(len(near), mostMeant)] {
		out = append(out, c.choice)
	}
	return out
}

// editsBetween is the Levenshtein distance: letters to put in, take out or change.
func editsBetween(a, b string) int {
	from, to := []rune(a), []rune(b)
	row := make([]int, len(to)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range from {
		before := row[0]
		row[0] = i + 1
		for j, s := range to {
			change := before
			if r != s {
				change++
			}
			before = row[j+1]
			row[j+1] = min(change, row[j]+1, before+1)
		}
	}
	return row[len(to)]
}
