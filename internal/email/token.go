package email

import "strings"

// WithToken makes an address that tells by itself what a mail to it is about,
// digest+TOKEN@news.example: an envelope sender (VERP), or the mailto of
// List-Unsubscribe. Where the local part would be too long for RFC 5321, or
// there is no token, it is the base address and false: a mail can be sent from
// that, but nobody will know whose it was when it comes back.
func WithToken(base, token string) (string, bool) {
	local, domain, ok := strings.Cut(base, "@")
	if !ok || token == "" || len(local)+len("+")+len(token) > maxLocal {
		return base, false
	}
	return local + "+" + token + "@" + domain, true
}

// TokenOf is the token of an address that WithToken made, in lower case, or ""
// for the base address itself; false for any other address. Tokens are letters
// and digits. Case does not matter: the domain's by right, the local part's
// because it is ours.
func TokenOf(base, address string) (token string, ours bool) {
	if len(address) > maxAddress || !isASCII(address) { // ToLower makes a k of the Kelvin sign
		return "", false
	}
	base, address = strings.ToLower(base), strings.ToLower(address)
	if address == base {
		return "", true
	}
	local, domain, ok := strings.Cut(base, "@")
	token, cut := strings.CutPrefix(address, local+"+")
	token, found := strings.CutSuffix(token, "@"+domain)
	if !ok || !cut || !found || token == "" || len(local)+len("+")+len(token) > maxLocal ||
		strings.Trim(token, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return "", false
	}
	return token, true
}
