package intake

import (
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"

	"dateline/internal/news"
)

// hostSet reads DATELINE_STORY_HOSTS: hosts, each with a port or without.
func hostSet(hosts []string) (map[string]bool, error) {
	set := map[string]bool{}
	for _, h := range hosts {
		h = strings.TrimSpace(h)
		if h == "" {
			continue
		}
		u, err := url.Parse("https://" + h)
		if err != nil || u.Host != h || u.Path != "" || u.Hostname() == "" {
			return nil, news.Invalid("DATELINE_STORY_HOSTS", "%s is not a host name", quote(h))
		}
		host, err := asciiHost(u)
		if err != nil {
			return nil, news.Invalid("DATELINE_STORY_HOSTS", "%s is not a host name", quote(h))
		}
		set[host] = true
	}
	return set, nil
}

// asciiHost is the host as browsers send it: lower case, punycode, and without
// the default port.
func asciiHost(u *url.URL) (string, error) {
	host := u.Hostname()
	if !strings.Contains(host, ":") { // not an IPv6 address
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", err
		}
		host = ascii
	} else {
		host = "[" + host + "]"
	}
	if port := u.Port(); port != "" && port != "443" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", err
		}
		host += ":" + port
	}
	return strings.ToLower(host), nil
}

// storyLink is a link that readers follow: https, on an allowed host.
func (r *reader) storyLink(path, s string) string {
	before := len(r.problems)
	s = r.link(path, s)
	if len(r.problems) > before || len(r.decoder.hosts) == 0 {
		return s
	}
	u, err := url.Parse(s)
	if err != nil || !r.decoder.hosts[u.Host] {
		r.problems.Add(path, "leads to a host that is not in DATELINE_STORY_HOSTS")
	}
	return s
}

// link is an absolute https link without user or password, in the spelling
// that all browsers understand alike: //evil/ and \ are refused, since parsers
// differ about them.
func (r *reader) link(path, s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.ContainsAny(s, "\\ \t"):
		r.problems.Add(path, "%s is not a link", quote(s))
		return s
	case u.Scheme != "https" || u.Opaque != "" || u.Hostname() == "":
		r.problems.Add(path, "must be an absolute https link, not %s", quote(s))
		return s
	case u.User != nil:
		r.problems.Add(path, "must not contain a user name or password")
		return s
	}
	host, err := asciiHost(u)
	if err != nil {
		r.problems.Add(path, "has a host name that is not valid")
		return s
	}
	u.Host = host
	u.RawQuery = ascii(u.RawQuery)
	return u.String()
}
