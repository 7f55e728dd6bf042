package app

import (
	"net"
	"net/url"

	"dateline/internal/desk"
)

// oidc reads the OpenID provider: all of it, or none.
func (r *reader) oidc() *desk.OIDC {
	const issuer, id, secret = "DATELINE_OIDC_ISSUER", "DATELINE_OIDC_CLIENT_ID", "DATELINE_OIDC_CLIENT_SECRET" //nolint:gosec // names of variables
	c := desk.OIDC{Issuer: r.text(issuer, ""), ClientID: r.text(id, ""), ClientSecret: r.secret(secret)}
	if c.Issuer == "" && c.ClientID == "" && c.ClientSecret == "" {
		return nil
	}
	for name, v := range map[string]string{issuer: c.Issuer, id: c.ClientID, secret: c.ClientSecret} {
		if v == "" {
			r.problems.Add(name, "is required to sign in through an OpenID provider; leave all three empty for none")
		}
	}
	u, err := url.Parse(c.Issuer)
	if c.Issuer != "" && (err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil ||
		u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname()))) {
		r.problems.Add(issuer, "must be the provider's issuer, an https address such as https://id.example.org, not %q", c.Issuer)
	}
	return &c
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
