package audience

import (
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
)

// interned keeps one copy of everything that many devices share. Preferences
// are counted and forgotten with their last device; languages and zones are
// few and stay.
type interned struct {
	mu          sync.RWMutex
	preferences map[string]uint32 // by packed content
	rows        []row             // by preference id
	packed      []string          // by preference id, the keys of preferences; "": free
	spans       ids[span]
	demands     ids[demand]
	involved    map[uint32]*taste // of the rows that are not simple
	free        []uint32
	reused      uint64 // grows whenever an id is given to another preference
	languages   names
	fronts      fronts
	clocks      map[clock]uint32
	clockList   []clock // by clock id
	zones       names
	locations   []*time.Location // by zone id
}

// clock is quiet hours and the zone they are read in.
type clock struct {
	quiet quiet
	zone  uint32
}

// names numbers strings as they come.
type names struct {
	ids  map[string]uint32
	list []string
}

func newInterned() *interned {
	return &interned{preferences: map[string]uint32{}, spans: newIDs[span](), demands: newIDs[demand](), involved: map[uint32]*taste{},
		languages: names{ids: map[string]uint32{}}, fronts: newFronts(), clocks: map[clock]uint32{}, zones: names{ids: map[string]uint32{}}}
}

func (n *names) id(s string) uint32 {
	id, ok := n.ids[s]
	if !ok {
		id = uint32(len(n.list))
		s = strings.Clone(s)
		n.list = append(n.list, s)
		n.ids[s] = id
	}
	return id
}

// common is what a device has in common with others, by number.
type common struct {
	preference, language, clock, front uint32
	rest                               string // of the endpoint, behind its front
}

// hold numbers what a device shares, and counts one device more that has its
// preference.
func (in *interned) hold(d *news.Device) (s common) {
	var buffer [256]byte
	key := packPreference(buffer[:0], d.Wishes.Preference)
	in.mu.Lock()
	defer in.mu.Unlock()
	id, ok := in.preferences[string(key)]
	if !ok {
		id = in.place(string(key))
	}
	in.rows[id].holders++
	s.preference, s.language, s.clock = id, in.languages.id(d.Wishes.Language), in.clockID(&d.Wishes)
	s.front, s.rest = in.fronts.cut(d.Push.Endpoint)
	return s
}

// place puts a new preference under a free id.
func (in *interned) place(key string) (id uint32) {
	if n := len(in.free); n > 0 {
		id = in.free[n-1]
		in.free = in.free[:n-1]
		in.reused++
	} else {
		id = uint32(len(in.rows))
		in.rows = append(in.rows, row{})
		in.packed = append(in.packed, "")
	}
	t := newTaste(unpackPreference(key))
	in.rows[id], in.packed[id], in.preferences[key] = in.rowOf(t), key, id
	if !in.rows[id].simple {
		in.involved[id] = t
	}
	return id
}

// release takes one device off a preference.
func (in *interned) release(id uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.rows[id].holders--; in.rows[id].holders > 0 {
		return
	}
	delete(in.preferences, in.packed[id])
	delete(in.involved, id)
	in.rows[id], in.packed[id] = row{}, ""
	in.free = append(in.free, id)
}

// clockID numbers a reader's quiet hours and zone. The caller holds the lock.
func (in *interned) clockID(w *news.Wishes) uint32 {
	c := clock{packQuiet(w.Quiet), in.zones.id(w.Timezone)}
	if int(c.zone) == len(in.locations) {
		in.locations = append(in.locations, zoneOf(in.zones.list[c.zone])) // its own copy of the name: a zone keeps it
	}
	id, ok := in.clocks[c]
	if !ok {
		id = uint32(len(in.clockList))
		in.clockList = append(in.clockList, c)
		in.clocks[c] = id
	}
	return id
}

func (in *interned) preference(id uint32) news.Preference {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return unpackPreference(in.packed[id])
}

func (in *interned) language(id uint32) string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.languages.list[id]
}

// spoken is frontList and language under one lock.
func (in *interned) spoken(language uint32) (fronts []string, name string) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.fronts.list, in.languages.list[language]
}

// frontList is the fronts there are. It only grows, so what was read from it
// stays true.
func (in *interned) frontList() []string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.fronts.list
}

// clock is a clock and its zone; name is how the reader wrote that.
func (in *interned) clock(id uint32) (c clock, zone *time.Location, name string) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	c = in.clockList[id]
	return c, in.locations[c.zone], in.zones.list[c.zone]
}

// zone is zoneOf, from memory where some device has the zone.
func (in *interned) zone(name string) *time.Location {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if id, ok := in.zones.ids[name]; ok {
		return in.locations[id]
	}
	return zoneOf(name)
}

func (in *interned) distinct() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.preferences)
}
