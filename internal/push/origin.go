package push

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	"dateline/internal/news"
)

// MaxEndpoint is the longest endpoint we take. Real ones have 150 to 500
// characters; Microsoft's reach about 700.
const MaxEndpoint = 2048

// builtIn lists the public push services by exact host: Chrome and its kin
// (android.googleapis.com is their old name, jmt17.google.com what current
// Chromium builds are given), Firefox.
func builtIn(host string) bool {
	switch host {
	case "fcm.googleapis.com", "jmt17.google.com", "android.googleapis.com",
		"updates.push.services.mozilla.com":
		return true
	}
	return underDomain(host, "push.apple.com") || underDomain(host, "notify.windows.com")
}

// underDomain reports one more label below domain: as far as the services'
// wildcard certificates reach.
func underDomain(host, domain string) bool {
	label, ok := strings.CutSuffix(host, "."+domain)
	return ok && validLabel(label)
}

// isApple reports an origin that refuses tokens without a good subject.
func isApple(origin string) bool {
	return underDomain(strings.TrimPrefix(origin, "https://"), "push.apple.com")
}

// Origin is the lane of an endpoint: scheme://host[:port], lower case, without
// the scheme's own port. "" when it is no endpoint at all.
func Origin(endpoint string) string {
	_, origin, fault := parseEndpoint(endpoint)
	if fault != "" {
		return ""
	}
	return origin
}

// parseEndpoint reads an endpoint as strictly as a stranger's URL deserves.
// fault is what is wrong with its shape; whether we send there is route's.
func parseEndpoint(endpoint string) (u *url.URL, origin, fault string) {
	switch {
	case endpoint == "":
		return nil, "", "is required"
	case len(endpoint) > MaxEndpoint:
		return nil, "", fmt.Sprintf("must not be longer than %d characters", MaxEndpoint)
	}
	for _, c := range []byte(endpoint) {
		if c <= 0x20 || c >= 0x7f || c == '\\' || c == '#' {
			return nil, "", "must be a plain ASCII URL without spaces, backslashes or a fragment"
		}
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Opaque != "" || u.Hostname() == "" {
		return nil, "", "must be an absolute URL"
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		return nil, "", "must not carry a user name"
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return nil, "", "must be an https URL"
	}
	origin, fault = canonical(u)
	return u, origin, fault
}

// canonical checks the host and port as browsers serialize them and gives the
// origin. Another spelling of the same host would be another lane, another
// token audience and another device, so it is refused rather than repaired.
func canonical(u *url.URL) (origin, fault string) {
	host, port := u.Hostname(), u.Port()
	if strings.HasSuffix(u.Host, ":") || port != "" && !validPort(port) {
		return "", "must have a valid port"
	}
	if strings.HasPrefix(u.Host, "[") {
		addr, err := netip.ParseAddr(host)
		if err != nil || addr.Zone() != "" || addr.String() != host {
			return "", "must have a valid host"
		}
		host = "[" + host + "]"
	} else if !validHost(host) {
		return "", "must have a plain lower-case host name"
	}
	if port == "" || port == "443" && u.Scheme == "https" || port == "80" && u.Scheme == "http" {
		return u.Scheme + "://" + host, ""
	}
	return u.Scheme + "://" + host + ":" + port, ""
}

func validPort(port string) bool {
	if len(port) > 5 || !allDigits(port) || port[0] == '0' {
		return false
	}
	return len(port) < 5 || port <= "65535"
}

// validHost accepts lower-case names and dotted-quad addresses; a name whose
// last label is a number is an address in disguise (2130706433, 0x7f.1).
func validHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Is4()
	}
	if len(host) > 253 {
		return false
	}
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if !validLabel(label) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return !allDigits(last) && !strings.HasPrefix(last, "0x")
}

// parseOrigins reads the operator's list.
func parseOrigins(list []string) (map[string]bool, error) {
	var faults news.Problems
	origins := map[string]bool{}
	for i, text := range list {
		origin, err := ParseOrigin(text)
		if err != nil {
			faults.Take(fmt.Sprint(i), err)
			continue
		}
		origins[origin] = true
	}
	return origins, faults.Err()
}

// ParseOrigin reads one origin of the operator's list: scheme, host and port,
// nothing more. http is allowed here, and only here.
func ParseOrigin(text string) (string, error) {
	u, origin, fault := parseEndpoint(strings.TrimSpace(text))
	if fault != "" {
		return "", news.Invalid("", "%q %s", text, fault)
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.ForceQuery {
		return "", news.Invalid("", "%q must be scheme, host and port only, for example https://push.example:8443", text)
	}
	return origin, nil
}

// route says whether we send to an endpoint, and over which lane. fault is the
// reason why not, in words for the subscribe door.
func (s *Sender) route(endpoint string) (u *url.URL, origin, fault string) {
	u, origin, fault = parseEndpoint(endpoint)
	switch {
	case fault != "":
		return nil, "", fault
	case s.subject == "" && isApple(origin):
		return nil, "", noSubject // also where the operator named it
	case s.origins[origin]:
		return u, origin, ""
	case s.closed:
		return nil, "", "is not at a push service of this sender"
	case u.Scheme != "https":
		return nil, "", "must be an https URL"
	case u.Port() != "" && u.Port() != "443":
		return nil, "", "must be on port 443"
	case !builtIn(u.Hostname()):
		return nil, "", "is not at a push service we know"
	}
	return u, origin, ""
}

const noSubject = "is at Apple's push service, which takes messages only from senders with a contact: DATELINE_VAPID_SUBJECT is not set"

// AppleOff says why Apple's origin is off, or "" when it is not.
func (s *Sender) AppleOff() string {
	if s.subject != "" {
		return ""
	}
	return "Apple's push service is off: it takes messages only from senders with a contact, and DATELINE_VAPID_SUBJECT is not set"
}
