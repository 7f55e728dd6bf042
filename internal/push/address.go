package push

import (
	"errors"
	"net/netip"
	"syscall"
)

// errAddress is a connection that the address check refused.
var errAddress = errors.New("push: the address is not public")

// specialBlocks are the blocks of the IANA special-purpose address registries
// (IPv4 and IPv6, as of 2025-10) and of multicast. The few in them that are
// called globally reachable (192.0.0.9, AS112, AMT, NAT64's well-known prefix)
// are in: no push service lives there, and NAT64, 6to4 and Teredo addresses
// carry another address inside.
var specialBlocks = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20",
)

// globalV6 is all that has been given out as global unicast; whatever lies
// outside (loopback, NAT64, unique local, link local, SRv6, discard) is special.
var globalV6 = netip.MustParsePrefix("2000::/3")

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, 0, len(texts))
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// public reports whether an address is one that a public push service can have.
func public(addr netip.Addr) bool {
	addr = addr.Unmap()
	if !addr.IsValid() || addr.Zone() != "" || addr.Is6() && !globalV6.Contains(addr) {
		return false
	}
	for _, block := range specialBlocks {
		if block.Contains(addr) {
			return false
		}
	}
	return true
}

// checkAddress is a net.Dialer's Control: it sees the very address that is
// about to be connected to, after every look-up, so a name that changes its
// answer between subscribing and sending gains nothing.
func checkAddress(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr()) {
		return errAddress
	}
	return nil
}
