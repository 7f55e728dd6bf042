package audience

import "strings"

// A front is what the endpoints of one push service begin with: scheme, host and
// a path or the name of a parameter. It is kept once.
const (
	mostFronts = 4096 // endpoints are strangers' words
	mostOfSite = 16   // of one scheme and host: paths may be tokens, too
	longest    = 128  // of those seen in 2026 the longest has 51
)

// fronts numbers them as they come; 0 is "", of endpoints that have none. The
// list only grows.
type fronts struct {
	names
	ofSite map[string]int // how many
}

func newFronts() fronts {
	f := fronts{names{ids: map[string]uint32{}}, map[string]int{}}
	f.id("")
	return f
}

// cut numbers an endpoint's front and gives the rest: all of it where there is no
// room for another front.
func (f *fronts) cut(endpoint string) (front uint32, rest string) {
	site := siteOf(endpoint)
	if site == "" {
		return 0, endpoint
	}
	start := endpoint[:min(len(endpoint), longest)]
	for _, s := range []string{start[:strings.LastIndexAny(start, "/=")+1], site} {
		id, known := f.ids[s]
		if !known && len(f.list) < mostFronts && f.ofSite[site] < mostOfSite {
			id, known = f.id(s), true
			f.ofSite[strings.Clone(site)]++
		}
		if known {
			return id, endpoint[len(s):]
		}
	}
	return 0, endpoint
}

// siteOf is the scheme, the host and the slash after it; "" where that is not how
// the endpoint begins.
func siteOf(endpoint string) string {
	start := endpoint[:min(len(endpoint), longest)]
	scheme := strings.Index(start, "://")
	if scheme < 0 {
		return ""
	}
	host := scheme + len("://")
	slash := strings.IndexByte(start[host:], '/')
	if slash < 0 {
		return ""
	}
	return start[:host+slash+1]
}

// Endpoint is a device's endpoint while its cell is locked: not to be kept. The
// zero Endpoint is that of no device.
type Endpoint struct {
	front string
	rest  []byte
}

// Front is what it has in common with others of its push service: scheme, host,
// the slash after it and perhaps more; "" where it is not known.
func (e Endpoint) Front() string { return e.front }

// String is all of it.
func (e Endpoint) String() string {
	if e.rest == nil {
		return ""
	}
	var buffer [512]byte
	b, _ := unpackText(append(buffer[:0], e.front...), e.rest)
	return string(b)
}
