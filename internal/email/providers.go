package email

import (
	"slices"
	"strings"
)

// Provider is a company that keeps mailboxes, and how much mail it takes from one
// sender. Whoever gets too much at once throttles (421) or files mail as spam, and
// says so only after the harm is done.
type Provider struct {
	Name  string // "gmail"; in rows, figures and the API
	Label string // "Gmail"
	// Domains of its mailboxes; "yahoo.*" stands for yahoo.com, yahoo.co.in and so on.
	Domains []string
	// Connections is how many mails may be under way at once (reliability.md 4:
	// five to Gmail, two to the others).
	Connections int
	// PerMinute is how many mails are begun in a minute; 0: as many as the connections
	// carry. In practice senders of good standing are not throttled at these.
	PerMinute int
	// WarmUp is how many mails it may get on the first day of a sender it does not know;
	// on each further day twice as many (reliability.md 4: 50 to 100).
	WarmUp int
}

// Rest is the provider of every address that no other has.
const Rest = "rest"

// providers are data: a line is changed here when a provider changes its mind. The
// last takes whoever is left.
var providers = []Provider{
	{Name: "gmail", Label: "Gmail", Domains: []string{"gmail.com", "googlemail.com"}, Connections: 5, PerMinute: 3000, WarmUp: 100},
	{Name: "yahoojp", Label: "Yahoo! Japan", Domains: []string{"yahoo.co.jp", "ybb.ne.jp"}, Connections: 2, PerMinute: 600, WarmUp: 50},
	{Name: "yahoo", Label: "Yahoo", Domains: []string{"yahoo.*", "ymail.com", "rocketmail.com", "aol.com"}, Connections: 2, PerMinute: 900, WarmUp: 50},
	{Name: "outlook", Label: "Outlook", Domains: []string{"outlook.*", "hotmail.*", "live.*", "msn.com"}, Connections: 2, PerMinute: 1200, WarmUp: 50},
	{Name: "qq", Label: "QQ Mail", Domains: []string{"qq.com", "vip.qq.com", "foxmail.com"}, Connections: 2, PerMinute: 300, WarmUp: 50},
	{Name: "163", Label: "NetEase", Domains: []string{"163.com", "vip.163.com", "126.com", "vip.126.com", "yeah.net", "188.com"}, Connections: 2, PerMinute: 300, WarmUp: 50},
	{Name: "naver", Label: "Naver", Domains: []string{"naver.com"}, Connections: 2, PerMinute: 600, WarmUp: 50},
	{Name: Rest, Label: "Others", Connections: 8, WarmUp: 100},
}

// Providers lists them; the last is the rest.
func Providers() []Provider { return slices.Clone(providers) }

// ProviderOf is whose mailbox an address is.
func ProviderOf(address string) Provider {
	domain := strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
	for _, p := range providers {
		if slices.ContainsFunc(p.Domains, func(d string) bool { return matches(d, domain) }) {
			return p
		}
	}
	return providers[len(providers)-1]
}

// ProviderNamed is the provider of a name; the rest when there is none.
func ProviderNamed(name string) Provider {
	for _, p := range providers {
		if p.Name == name {
			return p
		}
	}
	return providers[len(providers)-1]
}

// matches compares a domain with one of the table: "yahoo.*" is yahoo and any public
// suffix of one or two labels (yahoo.com, yahoo.co.in), which is where these companies
// have their mailboxes; nothing stands before it (yahoo.example.com is not one).
func matches(pattern, domain string) bool {
	name, any := strings.CutSuffix(pattern, ".*")
	if !any {
		return pattern == domain
	}
	suffix, ok := strings.CutPrefix(domain, name+".")
	if !ok {
		return false
	}
	labels := strings.Split(suffix, ".")
	// A country's second level is short: com, co, net, org, edu.
	return len(labels) == 1 && len(suffix) >= 2 || len(labels) == 2 && len(labels[0]) <= 3 && len(labels[1]) == 2
}
