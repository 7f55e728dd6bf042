package audience

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
)

// interned keeps one copy of everything that many devices share. Preferences
// are counted and forgotten with their last device; languages and zones are
// few and stay.
type interned struct {
	mu        sync.RWMutex
	tastes    []*taste // by preference id; nil: free
	keys      map[string]uint32
	holders   []uint32 // devices per preference
	free      []uint32
	reused    uint64 // grows whenever an id is given to another preference
	languages names
	zoneNames names
	zones     []*time.Location // by zone id
}

// names numbers strings as they come.
type names struct {
	ids  map[string]uint32
	list []string
}

func newInterned() *interned {
	return &interned{keys: map[string]uint32{}, languages: names{ids: map[string]uint32{}},
		zoneNames: names{ids: map[string]uint32{}}}
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
	p = canonical(p)
	key := preferenceKey(p)
	in.mu.Lock()
	defer in.mu.Unlock()
	id, ok := in.keys[key]
	if !ok {
		id = in.place(newTaste(p))
		in.keys[key] = id
	}
	in.holders[id]++
	return id
}

// place puts a new preference under a free id.
func (in *interned) place(t *taste) uint32 {
	if n := len(in.free); n > 0 {
		id := in.free[n-1]
		in.free = in.free[:n-1]
		in.tastes[id] = t
		in.reused++
		return id
	}
	in.tastes = append(in.tastes, t)
	in.holders = append(in.holders, 0)
	return uint32(len(in.tastes) - 1)
}

// release takes one device off a preference.
func (in *interned) release(id uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.holders[id]--; in.holders[id] > 0 {
		return
	}
	delete(in.keys, preferenceKey(in.tastes[id].wanted))
	in.tastes[id] = nil
	in.free = append(in.free, id)
}

// placeOf numbers a language and a zone. A zone that cannot be loaded is UTC.
func (in *interned) placeOf(language, zone string) (languageID, zoneID uint32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, ok := in.zoneNames.ids[zone]; !ok {
		in.zones = append(in.zones, zoneOf(zone))
	}
	return in.languages.id(language), in.zoneNames.id(zone)
}

func (in *interned) taste(id uint32) *taste {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.tastes[id]
}

func (in *interned) language(id uint32) string {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.languages.list[id]
}

func (in *interned) zone(id uint32) (string, *time.Location) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.zoneNames.list[id], in.zones[id]
}

func (in *interned) preferences() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.keys)
}

// capacity is how many preference ids there are, and the count of reuses.
func (in *interned) capacity() (ids int, reused uint64) {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.tastes), in.reused
}

// canonical sorts what has no order and owns its memory.
func canonical(p news.Preference) news.Preference {
	p.Regions, p.Muted, p.Sections = sorted(p.Regions), sorted(p.Muted), sorted(p.Sections)
	overrides := make([]news.Override, 0, len(p.Overrides))
	for _, o := range p.Overrides {
		overrides = append(overrides, news.Override{Regions: sorted(o.Regions), Level: o.Level})
	}
	slices.SortFunc(overrides, func(a, b news.Override) int {
		if c := slices.Compare(a.Regions, b.Regions); c != 0 {
			return c
		}
		return int(a.Level) - int(b.Level)
	})
	p.Overrides = slices.Clip(overrides)
	return p
}

func sorted(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Clip(slices.Compact(list))
}

// preferenceKey is equal for equal canonical preferences and only for them:
// every part is preceded by its length.
func preferenceKey(p news.Preference) string {
	var b strings.Builder
	list := func(items []string) {
		b.WriteString(strconv.Itoa(len(items)))
		for _, s := range items {
			b.WriteByte(' ')
			b.WriteString(strconv.Itoa(len(s)))
			b.WriteByte(':')
			b.WriteString(s)
		}
		b.WriteByte(';')
	}
	list(p.Regions)
	list(p.Muted)
	list(p.Sections)
	b.WriteString(p.Level.String())
	for _, o := range p.Overrides {
		b.WriteByte(';')
		list(o.Regions)
		b.WriteString(o.Level.String())
	}
	return b.String()
}
