package desk

import (
	"net/url"
	"slices"
	"strings"

	"dateline/internal/news"
)

// longestNavigate is how long a story's URL may be to fit into a push payload
// (1,500 bytes in all) beside a readable text; longer ones are opened through
// our own page of the alert, which links on.
const longestNavigate = 400

// Navigate gives the rule for where a press on a notification leads: to the
// story, when its host is one of hosts (empty: any https host), else to our own
// page of the alert.
func Navigate(baseURL string, hosts []string) func(*news.Alert, *news.Story) string {
	base := strings.TrimSuffix(baseURL, "/")
	allowed := make([]string, 0, len(hosts))
	for _, h := range hosts {
		allowed = append(allowed, strings.ToLower(strings.TrimSpace(h)))
	}
	return func(a *news.Alert, s *news.Story) string {
		if storyURLAllowed(s.URL, allowed) {
			return s.URL
		}
		return base + "/alerts/" + url.PathEscape(a.ID)
	}
}

func storyURLAllowed(raw string, hosts []string) bool {
	if len(raw) > longestNavigate {
		return false
	}
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return false
	}
	if len(hosts) == 0 {
		return true
	}
	// A listed host may name a port; without one any port of that host will not
	// do: only the default.
	return slices.Contains(hosts, strings.ToLower(u.Host))
}
