package site

import (
	"maps"
	"slices"
	"strconv"

	"dateline/internal/news"
)

// overrideRow is one place with a level of its own, as the form has it.
type overrideRow struct {
	Code, Level string
	Place       place // zero: none chosen yet
	Listed      bool  // it is among the places to choose from
}

// overrideRows are the overrides place by place, and an empty row where there
// is none: without the page's script it is the one to fill in.
func overrideRows(overrides []news.Override) []overrideRow {
	var rows []overrideRow
	for _, o := range overrides {
		for _, code := range o.Regions {
			rows = append(rows, overrideRow{Code: code, Level: o.Level.String()})
		}
	}
	if len(rows) == 0 {
		rows = append(rows, overrideRow{})
	}
	return rows
}

// OverrideRows are the form's rows.
func (c choices) OverrideRows() []overrideRow {
	listed := c.listed()
	rows := slices.Clone(c.Overrides)
	for i, r := range rows {
		if r.Code != "" {
			rows[i].Place, rows[i].Listed = placeIn(r.Code, c.Lang), listed[r.Code]
		}
		if r.Level == "" { // the other end of the general level is what is wanted most often
			rows[i].Level = news.LevelFlash.String()
			if c.Wishes.Preference.Level == news.LevelFlash {
				rows[i].Level = news.LevelNotice.String()
			}
		}
	}
	return rows
}

// overridesTyped pairs the form's places with their levels; a row without a
// place says nothing. Places with the same level are one override.
func overridesTyped(places, levels []string) []map[string]any {
	byLevel := map[string][]string{}
	for i, code := range places {
		if code != "" && i < len(levels) {
			byLevel[levels[i]] = append(byLevel[levels[i]], code)
		}
	}
	out := []map[string]any{}
	for _, level := range slices.Sorted(maps.Keys(byLevel)) {
		out = append(out, map[string]any{"regions": byLevel[level], "level": level})
	}
	return out
}

// dropOverride takes the row out whose number the press named.
func dropOverride(values map[string][]string, pressed string) {
	i, err := strconv.Atoi(pressed)
	if err != nil || i < 0 || i >= len(values["override"]) || i >= len(values["overrideLevel"]) {
		return
	}
	values["override"] = slices.Delete(slices.Clone(values["override"]), i, i+1)
	values["overrideLevel"] = slices.Delete(slices.Clone(values["overrideLevel"]), i, i+1)
}
