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
	involved    map[uint32]*taste // of the rows that are not simple
	free        []uint32
	reused      uint64 // grows whenever an id is given to another preference
	languages   names
	clocks      map[clock]uint32
	clockList   []clock // by clock id
	zones       map[string]*time.Location
}

// clock is quiet hours and the zone they are read in.
type clock struct {
	quiet quiet
	zone  string
}

// names numbers strings as they come.
type names struct {
	ids  map[string]uint32
	list []string
}

func newInterned() *interned {
	return &interned{preferences: map[string]uint32{}, involved: map[uint32]*taste{},
		languages: names{ids: map[string]uint32{}}, clocks: map[clock]uint32{}, zones: map[string]*time.Location{}}
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

// hold gives the id of a preference, counting one device more.
func (in *interned) hold(p news.Preference) uint32 {
	var buffer [256]byte
	key := packPreference(buffer[:0], p)
	in.mu.Lock()
	defer in.mu.Unlock()
	id, ok := in.preferences[string(key)]
	if !ok {
		id = in.place(string(key))
	}
	in.rows[id].holders++
	return id
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
	in.rows[id], in.packed[id], in.preferences[key] = rowOf(t), key, id
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

// judge is the verdict on a preference. The caller holds the lock.
func (in *interned) judge(id uint32, q *Query, a *aim) code {
	r := &in.rows[id]
	if r.simple {
		return verdictOn(r, nil, q, a)
	}
	return verdictOn(r, in.involved[id], q, a)
}

// surroundings numbers a reader's language and clock.
func (in *interned) surroundings(w news.Wishes) (languageID, clockID uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	c := clock{packQuiet(w.Quiet), w.Timezone}
	id, ok := in.clocks[c]
	if !ok {
		c.zone = strings.Clone(c.zone)
		id = uint32(len(in.clockList))
		in.clockList = append(in.clockList, c)
		in.clocks[c] = id
		if in.zones[c.zone] == nil {
			in.zones[c.zone] = zoneOf(c.zone)
		}
	}
	return in.languages.id(w.Language), id
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

func (in *interned) clock(id uint32) (clock, *time.Location) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	c := in.clockList[id]
	return c, in.zones[c.zone]
}

// zone is zoneOf, from memory where some device has the zone.
func (in *interned) zone(name string) *time.Location {
	in.mu.RLock()
	zone := in.zones[name]
	in.mu.RUnlock()
	if zone == nil {
		zone = zoneOf(name)
	}
	return zone
}

func (in *interned) distinct() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.preferences)
}
