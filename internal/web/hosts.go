package web

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// Hosts reads a list of hosts, each with a port or without (as in
// DATELINE_STORY_HOSTS), and spells each as Host does. Empty entries are left
// out.
func Hosts(list []string) ([]string, error) {
	hosts := make([]string, 0, len(list))
	for _, typed := range list {
		typed = strings.TrimSpace(typed)
		if typed == "" {
			continue
		}
		u, err := url.Parse("https://" + typed)
		if err != nil || u.Host != typed || u.Path != "" || u.Hostname() == "" {
			return nil, fmt.Errorf("%q is not a host name", typed)
		}
		host, err := Host(u)
		if err != nil {
			return nil, fmt.Errorf("%q is not a host name", typed)
		}
		hosts = append(hosts, host)
	}
	return hosts, nil
}

// Host is the host of an https URL as browsers send it: lower case, punycode,
// and without the default port.
func Host(u *url.URL) (string, error) {
	host := u.Hostname()
	if strings.Contains(host, ":") { // an IPv6 address
		host = "[" + host + "]"
	} else {
		ascii, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", err
		}
		host = ascii
	}
	if port := u.Port(); port != "" && port != "443" {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return "", err
		}
		host += ":" + port
	}
	return strings.ToLower(host), nil
}
