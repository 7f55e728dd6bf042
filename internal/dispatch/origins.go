package dispatch

import (
	"bytes"
	"sync"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// origins knows the push services of endpoints: their lanes. A plan asks for a
// million of few services, and reading an endpoint strictly takes a microsecond.
type origins struct {
	mu    sync.Mutex
	known map[string]string // by scheme and host as the endpoints have them
}

// mostOrigins bounds what is remembered of endpoints: they are strangers' words.
const mostOrigins = 4_096

func newOrigins() *origins { return &origins{known: map[string]string{}} }

// sort puts numbers of a cell by push service, each ascending; "" has those that
// have no device, or an endpoint that is none.
func (o *origins) sort(c *audience.Cell, numbers *news.Numbers) map[string][]uint32 {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := map[string][]uint32{}
	c.EachEndpoint(numbers, func(n uint32, endpoint []byte) {
		origin := o.of(endpoint)
		lines[origin] = append(lines[origin], n)
	})
	return lines
}

// number is the push service of one device.
func (o *origins) number(c *audience.Cell, n uint32) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	to, _ := c.Target(n)
	return o.of([]byte(to.Endpoint))
}

// of is the push service of an endpoint. o.mu is held.
func (o *origins) of(endpoint []byte) string {
	site := endpoint
	if scheme := bytes.Index(endpoint, []byte("://")); scheme >= 0 {
		if host := bytes.IndexByte(endpoint[scheme+3:], '/'); host >= 0 {
			site = endpoint[:scheme+3+host]
		}
	}
	if origin, ok := o.known[string(site)]; ok {
		return origin
	}
	if len(o.known) >= mostOrigins {
		clear(o.known)
	}
	origin := push.Origin(string(endpoint))
	if origin != "" { // else it is this endpoint's fault
		o.known[string(site)] = origin
	}
	return origin
}
