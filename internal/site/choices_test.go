package site

import (
	"strings"
	"testing"
)

// TestPlacesAreListedOnce: a group that is just an area, or just a club, is
// not listed beside it; the others stand by their names, not their codes; and
// what speaks of the list has the list's words.
func TestPlacesAreListedOnce(t *testing.T) {
	h := newHouse(t, nil)
	page := h.do("GET", "/subscribe", "").Body.String()
	for code, want := range map[string]bool{"030": true, "EAST_ASIA": false, "034": true, "SOUTH_ASIA": false, "SAARC": true, "035": true,
		"SOUTHEAST_ASIA": false, "ASEAN": false, "143": true, "CENTRAL_ASIA": false, "ASEAN_PLUS_THREE": true, "CAUCASUS": true, "150": true} {
		if got := strings.Count(page, `id="region-`+code+`"`); got > 1 || (got == 1) != want {
			t.Errorf("%s is listed %d times", code, got)
		}
	}
	for _, want := range []string{"For example all of Southeast Asia, but not Singapore.", "<summary>Southeast Asia</summary>", "<span>All of Southeast Asia <small>ASEAN</small></span>"} {
		if !strings.Contains(page, want) {
			t.Errorf("/subscribe lacks %s", want)
		}
	}
	last := 0
	for _, code := range []string{"APEC", "ARAB_LEAGUE", "ASEAN_PLUS_THREE", "BIMSTEC", "ECO", "SAARC", "SCO", "CAUCASUS"} {
		at := strings.Index(page, `id="region-`+code+`"`)
		if at < last {
			t.Errorf("%s stands too early", code)
		}
		last = at
	}
	if page := h.do("GET", "/subscribe?region=EAST_ASIA", "").Body.String(); !strings.Contains(page, `id="region-EAST_ASIA" checked> <span>East Asia</span>`) {
		t.Error("a group that she follows already is gone")
	}
}
