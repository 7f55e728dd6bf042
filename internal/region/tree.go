package region

import (
	_ "embed"
	"encoding/json"
	"iter"
	"slices"
	"strings"
	"sync"
)

// What is embedded. places.txt, names.tsv, subdivisions.tsv and zones.tsv are
// written by gen from CLDR; the others are kept by hand.
var (
	//go:embed places.txt
	placesText string
	//go:embed names.tsv
	namesText string
	//go:embed subdivisions.tsv
	subdivisionsText string
	//go:embed zones.tsv
	zonesText string
	//go:embed aliases.tsv
	aliasesText string
	//go:embed aliases-other.tsv
	aliasesOtherText string
	//go:embed cities.tsv
	citiesText string
	//go:embed cities-other.tsv
	citiesOtherText string
	//go:embed dates.tsv
	datesText string
	//go:embed abbreviations.tsv
	abbreviationsText string
	//go:embed groups.json
	groupsText []byte
)

// Group is a named set of places: a club of countries or an area as
// newspapers use the word.
type Group struct {
	Name    string            `json:"name"`
	Club    bool              `json:"club"`  // has members, and so a name of its own even where it covers just what an area does
	Title   string            `json:"title"` // in English
	Titles  map[string]string `json:"titles"`
	Members []string          `json:"members"`
	AsOf    string            `json:"asOf"` // 2006-01-02: since when the members are these
	Source  string            `json:"source"`
	Note    string            `json:"note"`
}

// node is a place. The atoms (places without a part) are numbered in tree
// order, so that every place is the one range [from, to) of them.
type node struct {
	code     string
	name     string // subdivisions, in English
	parent   int    // -1 for the world
	depth    int
	children []int
	from, to uint16
}

func (n *node) kind() Kind {
	switch {
	case len(n.code) == 2:
		return KindCountry
	case strings.Contains(n.code, "-"):
		return KindSubdivision
	}
	return KindArea
}

// city is a place's dateline: its capital or main city and that city's zone.
type city struct{ zone, name string }

// atlas is everything embedded, read once.
type atlas struct {
	nodes    []node
	index    map[string]int
	replaced map[string]string
	groups   []Group
	names    map[string]map[string]string // by language and code
	cities   map[string]city
	citiesIn map[string]map[string]string // by language and code
	dates    map[string]dateStyle         // by language
	// abbreviations are by zone.
	abbreviations map[string]abbreviation
}

var tree = sync.OnceValue(load)

func load() *atlas {
	t := &atlas{index: map[string]int{}, replaced: map[string]string{}, cities: map[string]city{},
		dates: map[string]dateStyle{}, abbreviations: map[string]abbreviation{}}
	t.loadPlaces()
	t.number(0, 0)
	if err := json.Unmarshal(groupsText, &t.groups); err != nil { // our own file; a test reads it
		t.groups = nil
	}
	slices.SortFunc(t.groups, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	t.names, t.citiesIn = byLanguage(namesText), byLanguage(citiesOtherText)
	for fields := range rows(citiesText, 3) {
		t.cities[fields[0]] = city{zone: fields[1], name: fields[2]}
	}
	for fields := range rows(datesText, 3) {
		t.dates[fields[0]] = dateStyle{fields[1], strings.Fields(fields[2])}
	}
	for fields := range rows(abbreviationsText, 3) {
		t.abbreviations[fields[0]] = abbreviation{fields[1], fields[2]}
	}
	return t
}

// What is large and not asked for at start-up is read when it is: the names of
// Asia's subdivisions, the cities of zones (with "=", their names in CLDR), and
// what else places and cities are called.
var (
	subdivisionNames = sync.OnceValue(func() map[string]map[string]string { return byLanguage(subdivisionsText) })
	zoneCities       = sync.OnceValue(func() map[string]map[string]string { return byLanguage(zonesText) })
	otherNames       = sync.OnceValue(loadAliases)
	cityNames        = sync.OnceValue(loadCityNames)
)

// byLanguage reads lines of language, code, name.
func byLanguage(text string) map[string]map[string]string {
	names := map[string]map[string]string{}
	for fields := range rows(text, 3) {
		if names[fields[0]] == nil {
			names[fields[0]] = map[string]string{}
		}
		names[fields[0]][fields[1]] = fields[2]
	}
	return names
}

// loadPlaces reads the indented tree: a tab per level, code, name.
func (t *atlas) loadPlaces() {
	var path []int // the nodes from the world to the last line's place
	for line := range strings.Lines(placesText) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		text := strings.TrimLeft(line, "\t")
		depth := len(line) - len(text)
		code, name, _ := strings.Cut(text, " ")
		if left, ok := strings.CutPrefix(code, "="); ok {
			t.replaced[left] = name
			continue
		}
		parent, here := -1, len(t.nodes)
		if depth > 0 && depth <= len(path) {
			parent = path[depth-1]
			t.nodes[parent].children = append(t.nodes[parent].children, here)
		}
		t.nodes = append(t.nodes, node{code: code, name: name, parent: parent, depth: depth})
		t.index[code] = here
		path = append(path[:min(depth, len(path))], here)
	}
}

// number gives the atoms their numbers from next on and returns the next free.
func (t *atlas) number(i int, next uint16) uint16 {
	n := &t.nodes[i]
	n.from = next
	if len(n.children) == 0 {
		next++
	}
	for _, c := range n.children {
		next = t.number(c, next)
	}
	n.to = next
	return next
}

func (t *atlas) group(name string) (*Group, bool) {
	i, ok := slices.BinarySearchFunc(t.groups, name, func(g Group, n string) int { return strings.Compare(g.Name, n) })
	if !ok {
		return nil, false
	}
	return &t.groups[i], true
}

// rows yields the tab-separated fields of each line that has n of them and is
// no comment.
func rows(text string, n int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for line := range strings.Lines(text) {
			fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if len(fields) != n || strings.HasPrefix(line, "#") {
				continue
			}
			if !yield(fields) {
				return
			}
		}
	}
}
