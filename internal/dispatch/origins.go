package dispatch

import (
	"strings"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/push"
)

// origins knows the push services of endpoints: their lanes. A plan asks for a
// million of few services, and reading an endpoint strictly takes a microsecond.
type origins struct {
	mu    sync.Mutex
	known map[string]string // by the front of endpoints
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
	c.EachEndpoint(numbers, func(n uint32, e audience.Endpoint) {
		origin := o.of(e)
		lines[origin] = append(lines[origin], n)
	})
	return lines
}

// number is the push service of one device.
func (o *origins) number(c *audience.Cell, n uint32) (origin string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.EachEndpoint(roaring.BitmapOf(n), func(_ uint32, e audience.Endpoint) { origin = o.of(e) })
	return origin
}

// of is the push service of an endpoint. o.mu is held.
func (o *origins) of(e audience.Endpoint) string {
	site := e.Front()
	if site == "" {
		site = siteOf(e.String())
	}
	if origin, ok := o.known[site]; ok {
		return origin
	}
	if len(o.known) >= mostOrigins {
		clear(o.known)
	}
	origin := push.Origin(e.String())
	if origin != "" { // else it is this endpoint's fault
		o.known[site] = origin
	}
	return origin
}

// siteOf is an endpoint up to the slash after its host.
func siteOf(endpoint string) string {
	if scheme := strings.Index(endpoint, "://"); scheme >= 0 {
		if host := strings.IndexByte(endpoint[scheme+3:], '/'); host >= 0 {
			return endpoint[:scheme+3+host]
		}
	}
	return endpoint
}
