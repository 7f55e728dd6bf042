package audience

import (
	"strings"
	"sync"

	"dateline/internal/news"
	"dateline/internal/region"
)

// Label sorts a device, for those who watch an alert go: by the push service
// that its messages take and by the place through which the alert reaches it.
// They are indexes into Labels.Services and Labels.Places; 0 is "another".
type Label struct{ Service, Place uint8 }

// Labels numbers push services and places for one audience. It is safe for
// concurrent use.
type Labels struct {
	interned *interned
	aim      region.Set

	mu           sync.Mutex
	services     map[string]uint8 // by scheme and host, as the endpoints have them
	serviceNames []string
	places       map[string]uint8
	placeNames   []string
	byPreference map[uint32]uint8 // the place
	touches      map[string]bool  // whether a followed place is in the audience
	reused       uint64           // interned.reused when byPreference was begun
}

// NewLabels numbers for an alert to these places.
func (a *Audience) NewLabels(places region.Set) *Labels {
	return &Labels{interned: a.interned, aim: places, services: map[string]uint8{}, serviceNames: []string{""},
		places: map[string]uint8{}, placeNames: []string{""}, byPreference: map[uint32]uint8{}, touches: map[string]bool{}}
}

// Services are the scheme and host of every service, by label; Places the
// country, area or group.
func (l *Labels) Services() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.serviceNames
}

// Places is Services for the place.
func (l *Labels) Places() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.placeNames
}

// Of labels the devices of a cell, by number. A number that has no device there
// has the zero Label.
func (l *Labels) Of(c *Cell, numbers *news.Numbers) []Label {
	if numbers.IsEmpty() {
		return nil
	}
	out := make([]Label, numbers.Maximum()+1)
	l.mu.Lock()
	defer l.mu.Unlock()
	c.mu.RLock()
	defer c.mu.RUnlock()
	l.interned.mu.RLock()
	defer l.interned.mu.RUnlock()
	if l.reused != l.interned.reused {
		clear(l.byPreference)
		l.reused = l.interned.reused
	}
	for it := numbers.Iterator(); it.HasNext(); {
		n := it.Next()
		p, i, ok := c.at(n)
		if !ok {
			continue
		}
		place, known := l.byPreference[p.preferences[i]]
		if !known {
			place = l.place(l.interned.packed[p.preferences[i]])
			l.byPreference[p.preferences[i]] = place
		}
		out[n] = Label{l.service(c.record(p, i).endpoint(l.interned.fronts.list)), place}
	}
	return out
}

// service numbers the scheme and host of an endpoint.
func (l *Labels) service(e Endpoint) uint8 {
	site := e.front
	if site == "" {
		site = e.String()
	}
	host := strings.Index(site, "://") + len("://")
	if end := strings.IndexByte(site[host:], '/'); end >= 0 {
		site = site[:host+end]
	}
	if n, ok := l.services[site]; ok {
		return n
	}
	return number(strings.Clone(site), l.services, &l.serviceNames)
}

// place numbers the first of the followed places that the alert is about: a
// country for a part of it, else as it is.
func (l *Labels) place(packed string) uint8 {
	if packed == "" {
		return 0
	}
	for _, code := range unpackPreference(packed).Regions {
		touches, known := l.touches[code]
		if !known {
			set, err := region.SetOf([]string{code}, nil)
			touches = err == nil && set.Overlaps(l.aim)
			l.touches[code] = touches
		}
		if !touches {
			continue
		}
		if country := region.CountryOf(code); country != "" {
			code = country
		}
		if n, ok := l.places[code]; ok {
			return n
		}
		return number(code, l.places, &l.placeNames)
	}
	return 0
}

// number gives a name the next number, as long as there are some: names of
// hosts are strangers' words.
func number(name string, known map[string]uint8, names *[]string) uint8 {
	n := uint8(0)
	if len(*names) < 255 {
		n = uint8(len(*names))
		*names = append(*names, name)
	}
	if len(known) < 4_096 {
		known[name] = n
	}
	return n
}
