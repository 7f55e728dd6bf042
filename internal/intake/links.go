package intake

import (
	"net/url"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// hostSet reads DATELINE_STORY_HOSTS.
func hostSet(list []string) (map[string]bool, error) {
	hosts, err := web.Hosts(list)
	if err != nil {
		return nil, news.Invalid("DATELINE_STORY_HOSTS", "%s", err.Error())
	}
	set := map[string]bool{}
	for _, h := range hosts {
		set[h] = true
	}
	return set, nil
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
	host, err := web.Host(u)
	if err != nil {
		r.problems.Add(path, "has a host name that is not valid")
		return s
	}
	u.Host = host
	u.RawQuery = ascii(u.RawQuery)
	return u.String()
}
