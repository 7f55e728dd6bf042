package web

import (
	"context"
	"net/http"
	"net/netip"
	"strings"
)

type clientKey struct{}

func withClient(ctx context.Context, addr netip.Addr) context.Context {
	return context.WithValue(ctx, clientKey{}, addr)
}

// ClientKey names the client for limits: its IPv4 address, or the /64 its
// IPv6 address is in (one household or phone has at least that much). It must
// not be logged.
func ClientKey(r *http.Request) string {
	addr, ok := r.Context().Value(clientKey{}).(netip.Addr)
	if !ok {
		addr = clientAddr(r, nil)
	}
	if !addr.IsValid() {
		return "unknown"
	}
	if addr.Is4() {
		return addr.String()
	}
	prefix, err := addr.WithZone("").Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.String()
}

// clientAddr is the address the request came from. Where that is a trusted
// proxy, X-Forwarded-For is read from its end: the first address that is not
// one of ours is the client. What stands before it anybody may have written.
func clientAddr(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer := parseAddr(r.RemoteAddr)
	if !contains(trusted, peer) {
		return peer
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		hop := parseAddr(strings.TrimSpace(hops[i]))
		if !hop.IsValid() {
			return peer
		}
		peer = hop
		if !contains(trusted, hop) {
			break
		}
	}
	return peer
}

// parseAddr reads "addr", "addr:port" or "[addr]:port".
func parseAddr(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap()
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap()
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	if !addr.IsValid() {
		return false
	}
	for _, p := range prefixes {
		if p.Contains(addr.WithZone("")) {
			return true
		}
	}
	return false
}
