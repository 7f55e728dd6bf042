package email

import (
	"strings"

	"golang.org/x/net/idna"

	"dateline/internal/news"
)

// Limits of RFC 5321, 4.5.3.1, with the 254 of the path (erratum 1690).
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// CheckAddress reads a mail address strictly and gives its one spelling: lower
// case, the domain in its ASCII form. It takes what mailboxes are really called
// (dot-atom@host.name) and refuses the rest of RFC 5321, above all quoted local
// parts: `"a> ORCPT=x"@b.c` is a valid address whose wire form is an SMTP
// injection (CVE-2025-59937's class), and no reader has one. The error is an
// *news.InvalidError with an empty path.
func CheckAddress(typed string) (string, error) {
	at := strings.LastIndexByte(typed, '@')
	if len(typed) > maxAddress || at <= 0 || at == len(typed)-1 {
		return "", badAddress("must look like name@example.org")
	}
	local, domain := typed[:at], typed[at+1:]
	if err := checkLocal(local); err != nil {
		return "", err
	}
	domain, err := checkDomain(domain)
	if err != nil {
		return "", err
	}
	address := strings.ToLower(local) + "@" + domain
	if len(address) > maxAddress {
		return "", badAddress("is longer than %d characters", maxAddress)
	}
	return address, nil
}

// badAddress never quotes the address: errors are logged.
func badAddress(format string, args ...any) error {
	return news.Invalid("", "the mail address "+format, args...)
}

func checkLocal(local string) error {
	if len(local) > maxLocal {
		return badAddress("has more than %d characters before the @", maxLocal)
	}
	if local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return badAddress("has a dot where none may be")
	}
	for i := range len(local) {
		if local[i] != '.' && !isAtext(local[i]) {
			return badAddress("has a character before the @ that we can't send to")
		}
	}
	return nil
}

// isAtext is RFC 5322's atext: what a local part is made of without quotes.
func isAtext(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func checkDomain(domain string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil {
		return "", badAddress("has a domain that can't exist")
	}
	labels := strings.Split(strings.ToLower(ascii), ".")
	if len(labels) < 2 {
		return "", badAddress("needs a domain with a dot, as in name@example.org")
	}
	for _, label := range labels {
		if !isLabel(label) {
			return "", badAddress("has a domain that can't exist")
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" {
		return "", badAddress("needs the name of a domain, not a number")
	}
	return strings.Join(labels, "."), nil
}

func isLabel(label string) bool {
	if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for i := range len(label) {
		c := label[i]
		if c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
