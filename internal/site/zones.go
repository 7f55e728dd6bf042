package site

import (
	"fmt"
	"slices"
	"time"

	"golang.org/x/text/collate"
	"golang.org/x/text/language"

	"dateline/internal/region"
)

// zone is one to choose from, loaded once: the page says what its clock is at.
type zone struct {
	name string
	at   *time.Location
}

// zoneChoice is a line of the form's list: the zone's IANA name, and its city
// in the page's language with the distance from UTC that holds now.
type zoneChoice struct {
	Zone, Label string
	zone        zone
	city        string
}

// zonesOf are the zones of the places listed, and UTC.
func zonesOf(list placeList) []zone {
	zones := []zone{{region.UTC, time.UTC}}
	for _, area := range list.Areas {
		for _, p := range area.Places {
			at, err := time.LoadLocation(p.Zone)
			if p.Zone == "" || err != nil || slices.ContainsFunc(zones, func(z zone) bool { return z.name == p.Zone }) {
				continue
			}
			zones = append(zones, zone{p.Zone, at})
		}
	}
	return zones
}

// sortZones are the zones in each language of the pages, as their cities are
// looked up.
func (a *atlas) sortZones() map[string][]zoneChoice {
	lists := map[string][]zoneChoice{}
	for _, lang := range languages() {
		order := collate.New(language.Make(lang))
		var list []zoneChoice
		for _, z := range a.zones {
			list = append(list, zoneChoice{Zone: z.name, zone: z, city: region.ZoneCity(z.name, lang)})
		}
		slices.SortStableFunc(list, func(a, b zoneChoice) int { return order.CompareString(a.city, b.city) })
		lists[lang] = list
	}
	return lists
}

// zoneChoices are the zones to choose from, with the reader's own: under the
// name that she has it by, which may be an older one of a zone listed.
func (a *atlas) zoneChoices(lang, own string, now time.Time) []zoneChoice {
	list := slices.Clone(a.zoneLists()[lang])
	for i := range list {
		list[i].Label = labelled(list[i].city, now.In(list[i].zone.at))
	}
	if own == "" || slices.ContainsFunc(list, func(z zoneChoice) bool { return z.Zone == own }) {
		return list
	}
	at, err := time.LoadLocation(own)
	if err != nil {
		at = time.UTC
	}
	mine := zoneChoice{Zone: own, Label: labelled(region.ZoneCity(own, lang), now.In(at))}
	if i := slices.IndexFunc(list, func(z zoneChoice) bool { return z.Label == mine.Label }); i >= 0 {
		list[i].Zone = own
		return list
	}
	return append(list, mine)
}

// labelled is "Tokyo (UTC+9)"; UTC is no city.
func labelled(city string, local time.Time) string {
	if city == region.UTC {
		return city
	}
	return fmt.Sprintf("%s (%s)", city, region.Offset(local))
}
