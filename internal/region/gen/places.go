package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// notISO are codes that CLDR places in the tree although ISO 3166-1 only
// reserves them (or, QO, that CLDR made up): parts of other countries.
var notISO = []string{"AC", "CP", "CQ", "DG", "EA", "IC", "QO", "TA"}

// twice are subdivisions that are territories of their own in ISO 3166-1 and
// in our tree, beside those CLDR itself leaves without a name (CN-HK, US-PR…):
// a place stands in the tree once.
var twice = map[string]string{
	"FI-01": "AX", "FR-971": "GP", "FR-972": "MQ", "FR-973": "GF", "FR-974": "RE", "FR-976": "YT",
	"NL-BQ1": "BQ-BO", "NL-BQ2": "BQ-SA", "NL-BQ3": "BQ-SE", "NO-21": "SJ", "NO-22": "SJ",
}

// places is the tree, in order.
type places struct {
	order    []string // as written: parents before children
	children map[string][]string
	names    map[string]string // of subdivisions, in English
	replaced map[string]string // codes left out: what to write instead
}

func readPlaces(source cldr) (*places, error) {
	p := &places{children: map[string][]string{}, names: map[string]string{}, replaced: map[string]string{}}
	countries, err := p.readTerritories(source)
	if err != nil {
		return nil, err
	}
	if err := p.readSubdivisions(source, countries); err != nil {
		return nil, err
	}
	p.walk("001")
	return p, nil
}

type containment map[string]struct {
	Contains []string `json:"_contains"`
	Grouping string   `json:"_grouping"`
}

// readTerritories takes the world, its areas and countries: no groupings (EU,
// UN, 003, 419…), no deprecated codes (…-status-deprecated), nothing that is
// not ISO 3166-1 or M.49 (XK, Kosovo, is the one user-assigned code in general
// use). Antarctica, which CLDR files under its own "outlying Oceania", stands
// directly under the world as in M.49.
func (p *places) readTerritories(source cldr) (map[string]bool, error) {
	var file struct {
		Supplemental struct {
			TerritoryContainment containment `json:"territoryContainment"`
		} `json:"supplemental"`
	}
	if err := source.read(&file, "cldr-core", "supplemental", "territoryContainment.json"); err != nil {
		return nil, err
	}
	countries := map[string]bool{}
	for parent, entry := range file.Supplemental.TerritoryContainment {
		if len(parent) != 3 || entry.Grouping != "" {
			continue
		}
		for _, child := range entry.Contains {
			if slices.Contains(notISO, child) {
				continue
			}
			p.children[parent] = append(p.children[parent], child)
			if len(child) == 2 {
				countries[child] = true
			}
		}
	}
	p.children["001"] = append(p.children["001"], "AQ")
	countries["AQ"] = true
	return countries, nil
}

// readSubdivisions takes ISO 3166-2 as CLDR has it now (its containment lists
// no withdrawn codes), with the English names.
func (p *places) readSubdivisions(source cldr, countries map[string]bool) error {
	var file struct {
		Supplemental struct {
			SubdivisionContainment containment `json:"subdivisionContainment"`
		} `json:"supplemental"`
	}
	if err := source.read(&file, "cldr-core", "supplemental", "subdivisionContainment.json"); err != nil {
		return err
	}
	names, err := subdivisionNames(source)
	if err != nil {
		return err
	}
	for parent, entry := range file.Supplemental.SubdivisionContainment {
		for _, child := range entry.Contains {
			code, name := iso(child), names[child]
			if fixed, ok := names[code]; ok {
				name = fixed
			}
			own := twice[code]
			if last := code[3:]; own == "" && name == "" && countries[last] {
				own = last
			}
			switch {
			case own != "":
				p.replaced[code] = own
			case name == "":
				return fmt.Errorf("subdivision %s has no English name; add one to correctedSubdivisions", code)
			default:
				p.children[iso(parent)] = append(p.children[iso(parent)], code)
				p.names[code] = name
			}
		}
	}
	return nil
}

// subdivisionNames gives CLDR's names by CLDR code and our corrections by ISO
// code.
func subdivisionNames(source cldr) (map[string]string, error) {
	var file struct {
		Subdivisions struct {
			LocaleDisplayNames struct {
				Subdivisions map[string]string `json:"subdivisions"`
			} `json:"localeDisplayNames"`
		} `json:"subdivisions"`
	}
	err := source.read(&file, "cldr-subdivisions-full", "subdivisions", "en", "en.json")
	if err != nil {
		return nil, err
	}
	names := file.Subdivisions.LocaleDisplayNames.Subdivisions
	for code, name := range names {
		names[code] = strings.TrimRight(strings.Replace(name, " oblysy", " Region", 1), "¹²³ ")
	}
	for code, name := range correctedSubdivisions {
		names[code] = name
	}
	return names, nil
}

// iso turns CLDR's "jp13" into ISO 3166-2's "JP-13"; "JP" stays.
func iso(code string) string {
	code = strings.ToUpper(code)
	if len(code) <= 2 {
		return code
	}
	return code[:2] + "-" + code[2:]
}

// walk fixes the order: areas and countries as they sort, depth first.
func (p *places) walk(code string) {
	p.order = append(p.order, code)
	slices.Sort(p.children[code])
	for _, child := range p.children[code] {
		p.walk(child)
	}
}

// text is the tree, one place a line, a tab per level; then the codes left
// out with what to write instead.
func (p *places) text() []byte {
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Places, from CLDR %s (Unicode-3.0, see LICENSE-unicode). Written by gen; don't edit.\n", version)
	p.write(&out, "001", 0)
	left := make([]string, 0, len(p.replaced))
	for code := range p.replaced {
		left = append(left, code)
	}
	slices.Sort(left)
	for _, code := range left {
		fmt.Fprintf(&out, "=%s %s\n", code, p.replaced[code])
	}
	return out.Bytes()
}

func (p *places) write(out *bytes.Buffer, code string, depth int) {
	out.WriteString(strings.Repeat("\t", depth) + code)
	if name := p.names[code]; name != "" {
		out.WriteString(" " + name)
	}
	out.WriteByte('\n')
	for _, child := range p.children[code] {
		p.write(out, child, depth+1)
	}
}
