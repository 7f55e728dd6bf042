package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// zoneAliases are the names of each zone by CLDR's own, which is the first that
// the zone ever had: Asia/Calcutta for Asia/Kolkata.
func zoneAliases(common string) (map[string][]string, error) {
	path := filepath.Join(common, "bcp47", "timezone.xml")
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	var file struct {
		Types []struct {
			Alias string `xml:"alias,attr"`
		} `xml:"keyword>key>type"`
	}
	if err := xml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	aliases := map[string][]string{}
	for _, t := range file.Types {
		if names := strings.Fields(t.Alias); len(names) > 0 {
			aliases[names[0]] = names[1:]
		}
	}
	return aliases, nil
}

// exemplarCities are a language's names of the cities that stand for zones, by
// CLDR's name of the zone.
func exemplarCities(path string) (map[string]string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read zones: %w", err)
	}
	var file struct {
		Zones []struct {
			Type string `xml:"type,attr"`
			City string `xml:"exemplarCity"`
		} `xml:"dates>timeZoneNames>zone"`
	}
	if err := xml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("decode %s: %w", path, err)
	}
	cities := map[string]string{}
	for _, z := range file.Zones {
		if z.City != "" && !strings.HasPrefix(z.Type, "Etc/") {
			cities[z.Type] = z.City
		}
	}
	return cities, nil
}

// correctedCities are in place of names that languages of CLDR 41 had from before
// the cities were renamed, or as English has them where the city's own is theirs.
func correctedCities() map[string]map[string]string {
	return map[string]map[string]string{
		"ko": {"Asia/Rangoon": "양곤", "Asia/Saigon": "호찌민"}, "hi": {"Asia/Rangoon": "यांगून"},
		// As the datelines have them.
		"zh-Hant": {"Asia/Bishkek": "比斯凱克", "Asia/Dili": "狄力", "Asia/Dushanbe": "杜尚貝", "Asia/Muscat": "馬斯喀特", "Asia/Tbilisi": "提比里斯"},
		"ar":      {"Asia/Rangoon": "يانغون", "Asia/Hebron": "الخليل"}, "ur": {"Asia/Rangoon": "یانگون", "Asia/Hebron": "الخلیل"},
	}
}

// writeZones writes the other names of zones (language "="), then language, zone
// and city. English, and what CLDR inherits (↑↑↑), is the end of the zone's name.
func writeZones(common, to string, progress io.Writer) error {
	aliases, err := zoneAliases(common)
	if err != nil {
		return err
	}
	known := make([]string, 0, len(aliases))
	for zone := range aliases {
		known = append(known, zone)
	}
	slices.Sort(known)
	var out bytes.Buffer
	fmt.Fprintf(&out, "# Cities of time zones, from CLDR %s (Unicode-DFS-2016, see LICENSE-unicode). Written by gen; don't edit.\n", namesVersion)
	fmt.Fprintln(&out, "# First other names of a zone: =, name, CLDR's name. Then language, CLDR's name, city; what lacks is the end of the name.")
	for _, zone := range known {
		for _, alias := range aliases[zone] {
			if strings.Contains(zone, "/") && !strings.HasPrefix(zone, "Etc/") {
				fmt.Fprintf(&out, "=\t%s\t%s\n", alias, zone)
			}
		}
	}
	files := []string{"root", "en"} // root: what is said in English and in all that lack it
	for _, t := range tongues() {
		files = append(files, t.lang)
	}
	count := 0
	for _, lang := range files {
		file := map[string]string{"zh-Hans": "zh", "zh-Hant": "zh_Hant"}[lang]
		if file == "" {
			file = lang
		}
		cities, err := exemplarCities(filepath.Join(common, "main", file+".xml"))
		if err != nil {
			return err
		}
		maps.Copy(cities, correctedCities()[lang])
		for _, zone := range known {
			end := strings.ReplaceAll(zone[strings.LastIndex(zone, "/")+1:], "_", " ")
			if city := cities[zone]; city != "" && city != "↑↑↑" && city != end {
				fmt.Fprintf(&out, "%s\t%s\t%s\n", lang, zone, city)
				count++
			}
		}
	}
	fmt.Fprintf(progress, "gen: %d names of zones' cities\n", count)
	return os.WriteFile(filepath.Join(to, "zones.tsv"), out.Bytes(), 0o644)
}
