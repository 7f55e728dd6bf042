package push

import (
	"net/netip"
	"net/url"
	"strings"

	"dateline/internal/news"
)

// CheckSubject refuses a VAPID subject that Apple would answer with 403
// BadJwtToken, so that the fault shows at the start and not at the first
// alert: it must be "https://host…" or "mailto:user@host", with a host that
// can be a real one. Top-level .example passes: it is what drills and
// documents use, and nothing says that Apple refuses it.
func CheckSubject(subject string) error {
	if reason := subjectFault(subject); reason != "" {
		return news.Invalid("", "%s; use an https URL of yours or mailto: and an address, for example mailto:desk@news.example", reason)
	}
	return nil
}

func subjectFault(subject string) string {
	if strings.ContainsAny(subject, " \t\r\n<>\"\\") {
		return "has spaces, quotes or angle brackets"
	}
	for _, c := range []byte(subject) {
		if c < 0x21 || c > 0x7e {
			return "has characters that are not plain ASCII"
		}
	}
	if address, ok := strings.CutPrefix(subject, "mailto:"); ok {
		return mailFault(address)
	}
	if !strings.HasPrefix(subject, "https://") {
		return "is neither an https URL nor mailto:"
	}
	u, err := url.Parse(subject)
	if err != nil || u.User != nil {
		return "is not a plain https URL"
	}
	return hostFault(u.Hostname())
}

func mailFault(address string) string {
	user, host, ok := strings.Cut(address, "@")
	if !ok || user == "" || strings.ContainsAny(address, ":,;?/") || strings.Contains(host, "@") {
		return "is not mailto: and one address"
	}
	return hostFault(host)
}

// hostFault names what keeps a host from being anybody's contact.
func hostFault(host string) string {
	host = strings.ToLower(host)
	if host == "" {
		return "has no host"
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return "names an IP address instead of a host"
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return "has no valid host name"
		}
	}
	switch labels[len(labels)-1] {
	case "localhost", "local", "invalid", "test":
		return "names a host that no one outside can reach"
	}
	if len(labels) < 2 || allDigits(labels[len(labels)-1]) {
		return "has no full host name"
	}
	return ""
}

// validLabel is RFC 1123: letters, digits and hyphens, 1 to 63, none at an end.
func validLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range []byte(label) {
		if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" }
