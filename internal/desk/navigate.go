package desk

import (
	"net/url"
	"slices"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// longestNavigate is how long a story's URL may be to fit into a push payload
// (1,500 bytes in all) beside a readable text; longer ones are opened through
// our own page of the alert, which links on.
const longestNavigate = 400

// Navigate gives the rule for where a press on a notification leads: to the
// story, when its host is one of hosts (none: any https host), else to our own
// page of the alert. Hosts that can't be read allow nothing; the start of the
// program refuses them.
func Navigate(baseURL string, hosts []string) func(*news.Alert, *news.Story) string {
	base := strings.TrimSuffix(baseURL, "/")
	allowed, err := web.Hosts(hosts)
	anyHost := err == nil && len(allowed) == 0
	return func(a *news.Alert, s *news.Story) string {
		if host, ok := storyHost(s.URL); ok && (anyHost || slices.Contains(allowed, host)) {
			return s.URL
		}
		return base + "/alerts/" + url.PathEscape(a.ID)
	}
}

// storyHost is the host of a link that a notification may open.
func storyHost(raw string) (string, bool) {
	if len(raw) > longestNavigate {
		return "", false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return "", false
	}
	host, err := web.Host(u)
	return host, err == nil
}
