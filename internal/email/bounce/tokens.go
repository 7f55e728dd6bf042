package bounce

import "strings"

const (
	// minToken keeps the search from taking other people's "+" addresses: what
	// is signed is longer.
	minToken = 20
	// maxToken is what a local part has room for.
	maxToken = 64
	// maxTokens is how many candidates a mail gives: it is about one mail.
	maxTokens = 4
)

// tokens are the candidates in the mail that came back: its return path, its
// unsubscribe address, what servers on the way noted of its envelope, and a
// complaint's own fields for that.
func (p *pieces) tokens(base string) []string {
	local, _, ok := strings.Cut(strings.ToLower(base), "@")
	if !ok || local == "" {
		return nil
	}
	var out []string
	for fields := p.original.Fields(); fields.Next(); {
		out = tokensIn(out, fields.Value(), local)
	}
	for _, group := range fieldGroups(p.feedback) {
		for _, f := range group {
			out = tokensIn(out, f.value, local)
		}
	}
	return tokensIn(out, p.copied, local)
}

// unescaped undoes what a URL does to an address.
var unescaped = strings.NewReplacer("%2b", "+", "%40", "@")

// tokensIn adds those in a text. The domain is not asked for: a server that
// forwards puts its own (SRS), and the token proves itself.
func tokensIn(out []string, text, local string) []string {
	text = unescaped.Replace(strings.ToLower(text))
	for len(out) < maxTokens {
		at := strings.Index(text, local+"+")
		if at < 0 {
			return out
		}
		begins := at == 0 || !isAlnum(text[at-1])
		text = text[at+len(local)+1:]
		end := strings.IndexFunc(text, notToken)
		if end < minToken || end > maxToken || !begins || text[end] != '@' {
			continue
		}
		out = appendNew(out, text[:end])
	}
	return out
}

func appendNew(out []string, token string) []string {
	for _, have := range out {
		if have == token {
			return out
		}
	}
	return append(out, token)
}

func notToken(r rune) bool { return r > 'z' || !isAlnum(byte(r)) }
