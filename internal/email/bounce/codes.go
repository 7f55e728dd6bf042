package bounce

import (
	"regexp"
	"strings"

	"dateline/internal/email"
)

var (
	// enhanced is an enhanced status code (RFC 3463, 2): a class, a subject of
	// 0 to 7, a detail.
	enhanced = regexp.MustCompile(`[245]\.[0-7]\.[0-9]{1,3}`)
	// answered is such a code where an SMTP answer has it (RFC 2034), "550 5.1.1"
	// or "550-5.1.1", where qmail and Exchange put it, "(#5.1.1)", or after a word
	// for it.
	answered = regexp.MustCompile(`(?i)(?:\b[245][0-5][0-9][ -]+#?|#|\b(?:status|error|code|dsn|said|returned)[ :='"]{1,4})[245]\.[0-7]\.[0-9]{1,3}`)
	// refusedPlainly is an SMTP answer without one.
	refusedPlainly = regexp.MustCompile(`(?:^|[^0-9.A-Za-z])[45][0-5][0-9][ :-]`)
)

// maxCodes bounds how many are looked at: the first that says something is
// taken.
const maxCodes = 32

// codes are the enhanced codes of a text. What goes on after one, or came
// before it, makes it an IP address or the version of a program.
func codes(text string) []string {
	var out []string
	for _, at := range enhanced.FindAllStringIndex(text, maxCodes) {
		if !continues(text[:at[0]], text[at[1]:]) {
			out = append(out, text[at[0]:at[1]])
		}
	}
	return out
}

func continues(before, after string) bool {
	if before != "" {
		c := before[len(before)-1]
		if c == '.' || isAlnum(c) {
			return true
		}
	}
	return after != "" && isAlnum(after[0]) || len(after) > 1 && after[0] == '.' && isAlnum(after[1])
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// vague: no code, or one of subject 0, which says no more than its class.
func vague(code string) bool { return len(code) < 3 || code[2] == '0' }

// bestCode is the first that says something, else the first.
func bestCode(all []string) string {
	for _, code := range all {
		if !vague(code) {
			return code
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return ""
}

// answerCode is the best code of a prose text, of those that stand where a
// server's answer has them: elsewhere three numbers may be anything.
func answerCode(text string) string {
	var all []string
	for _, at := range answered.FindAllStringIndex(text, maxCodes) {
		code := text[at[0]:at[1]]
		code = code[strings.IndexByte(code, '.')-1:]
		if !continues("", text[at[1]:]) {
			all = append(all, code)
		}
	}
	return bestCode(all)
}

// tellingLine is the line of a prose text that says why: the one with the code,
// else with a plain SMTP answer, else with one of the phrases.
func tellingLine(text, code string) string {
	for _, tells := range []func(line string) bool{
		func(line string) bool { return code != "" && strings.Contains(line, code) },
		refusedPlainly.MatchString,
		failedPhrase,
	} {
		for line := range strings.Lines(text) {
			if tells(line) {
				return strings.TrimSpace(line)
			}
		}
	}
	return ""
}

// cleanDetail is a server's words without addresses, links (ours have tokens in
// them) and the names left of the @ of whom the mail was for.
func cleanDetail(text string, about ...string) string {
	if len(text) > maxValue {
		text = text[:maxValue]
	}
	words := strings.Fields(text)
	names := map[string]bool{}
	for _, address := range about {
		if local := localOf(address); len(local) > 1 {
			names[strings.ToLower(local)] = true
		}
	}
	for i, word := range words {
		if strings.Contains(word, "://") {
			words[i] = "(link)"
		} else if names[strings.ToLower(strings.Trim(word, `<>"'(),;:.`))] {
			words[i] = "(address)"
		}
	}
	return email.CleanReply(strings.Join(words, " "))
}

// localOf is the local part in a field such as "rfc822; <reader@mail.example>".
func localOf(field string) string {
	local, _, ok := strings.Cut(field, "@")
	if !ok {
		return ""
	}
	return strings.Trim(local[strings.LastIndexAny(local, " ;<")+1:], `"`)
}
