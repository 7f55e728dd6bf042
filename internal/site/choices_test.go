package site

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
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

// TestPartsOfACountry: subdivisions come by themselves, as rows of the list, and
// stand in the page where one of them is chosen or they were asked for.
func TestPartsOfACountry(t *testing.T) {
	h := newHouse(t, nil)
	w := h.do("GET", "/places/jp", "")
	if w.Code != 200 || strings.Count(w.Body.String(), `name="region"`) != 47 || !strings.Contains(w.Body.String(), `id="mute-JP-13"`) ||
		strings.Contains(w.Body.String(), "<html") {
		t.Errorf("%d %.300s", w.Code, w.Body)
	}
	for _, not := range []string{"/places/035", "/places/JP-13", "/places/XX", "/places/ASEAN"} {
		if w := h.do("GET", not, ""); w.Code != 404 {
			t.Errorf("%s: %d", not, w.Code)
		}
	}
	if page := h.do("GET", "/subscribe", "").Body.String(); strings.Contains(page, `id="region-JP-13"`) {
		t.Error("the list is born with parts that nobody asked for")
	}
	for _, query := range []string{"open=JP", "region=JP-13", "region=JP&mute=JP-13"} {
		page := h.do("GET", "/subscribe?"+query, "").Body.String()
		if !strings.Contains(page, `id="region-JP-01"`) || !strings.Contains(page, `id="area-030" open`) {
			t.Errorf("%s: Japan is not open", query)
		}
		wellFormed(t, query, page)
	}
	// Without the page's script: a button of the form opens a country and keeps what is typed.
	w = h.form("/subscribe", "form=1&region=TH&email=reader%40b.example&open=JP")
	if page := w.Body.String(); w.Code != 200 || !strings.Contains(page, `id="region-JP-13"`) || !strings.Contains(page, `id="region-TH" checked`) ||
		!strings.Contains(page, "reader@b.example") || len(h.store.signups) != 0 {
		t.Errorf("open: %d", w.Code)
	}
}

// TestPlacesAreSuggestedByLanguage: and no place is where a language is at home
// that lies outside of Asia.
func TestPlacesAreSuggestedByLanguage(t *testing.T) {
	h := newHouse(t, nil)
	chip := regexp.MustCompile(`class="chip" name="pick" value="([A-Z0-9]+)"`)
	for accept, want := range map[string]string{"ja": "JP 030", "zh-HK,zh;q=0.9": "HK CN 030", "zh-Hant": "TW 030", "en-SG,en;q=0.8": "SG 035", "en-US,en;q=0.9": "",
		"ur, ar;q=0.5": "PK 034", "hi-IN,en-IN;q=0.8,bn": "IN BD 034", "": "", "de,ko;q=0.3": "KR 030", "*": ""} {
		var got []string
		for _, m := range chip.FindAllStringSubmatch(h.do("GET", "/subscribe", "", "Accept-Language", accept).Body.String(), -1) {
			got = append(got, m[1])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", accept, got, want)
		}
	}
	if page := h.do("GET", "/subscribe?region=JP", "", "Accept-Language", "ja").Body.String(); chip.MatchString(page) {
		t.Error("something is suggested to who has chosen")
	}
	w := h.form("/subscribe", "form=1&region=TH&pick=JP")
	if page := w.Body.String(); w.Code != 200 || !strings.Contains(page, `id="region-JP" checked`) || !strings.Contains(page, `id="region-TH" checked`) {
		t.Errorf("a suggestion taken without a script: %d", w.Code)
	}
}

// TestZonesExist: every zone by which a country is suggested is one, and speaks
// for one country.
func TestZonesExist(t *testing.T) {
	h := newHouse(t, nil)
	of := map[string]string{}
	for _, area := range h.site.atlas.lists["en"].Areas {
		for _, p := range area.Places {
			for _, zone := range strings.Fields(p.Zones) {
				if _, err := time.LoadLocation(zone); err != nil {
					t.Errorf("%s: %v", p.Code, err)
				}
				if of[zone] != "" {
					t.Errorf("%s is of %s and of %s", zone, of[zone], p.Code)
				}
				of[zone] = p.Code
			}
			if p.Zones == "" {
				t.Errorf("%s has no zone", p.Code)
			}
		}
	}
	for zone, country := range map[string]string{"Asia/Calcutta": "IN", "Asia/Saigon": "VN", "Asia/Urumqi": "CN", "Asia/Makassar": "ID", "Asia/Singapore": "SG"} {
		if of[zone] != country {
			t.Errorf("%s is of %q", zone, of[zone])
		}
	}
}

// TestOverridesByForm: rows of a place and its level, added and taken away with
// and without the page's script, and kept by the page of one's choices.
func TestOverridesByForm(t *testing.T) {
	h := newHouse(t, nil)
	rows := func(page string) int { return strings.Count(page, `<select name="override"`) }
	if got := rows(h.do("GET", "/subscribe", "").Body.String()); got != 1 {
		t.Errorf("%d rows at first", got)
	}
	two := "form=1&region=142&override=JP&overrideLevel=notice&override=IN-MH&overrideLevel=flash"
	page := h.form("/subscribe", two+"&more=1").Body.String()
	if rows(page) != 3 || !strings.Contains(page, `<option value="IN-MH" selected>Maharashtra</option>`) {
		t.Errorf("%d rows after adding one", rows(page))
	}
	page = h.form("/subscribe", two+"&drop=1").Body.String()
	if rows(page) != 1 || !strings.Contains(page, `<option value="JP" selected>`) || strings.Contains(page, "Maharashtra</option>") {
		t.Errorf("%d rows after dropping one", rows(page))
	}
	for _, odd := range []string{"&drop=9", "&drop=-1", "&drop=x"} {
		if page := h.form("/subscribe", two+odd).Body.String(); rows(page) != 2 {
			t.Errorf("%s: %d rows", odd, rows(page))
		}
	}
	page = h.do("GET", "/subscribe?region=142&override=&overrideLevel=flash&override=XX&overrideLevel=flash&override=JP&overrideLevel=notice", "").Body.String()
	if rows(page) != 1 || !strings.Contains(page, `<option value="JP" selected>`) || !strings.Contains(page, `<option value="notice" selected>`) {
		t.Error("what a link has besides shifts the levels of its places")
	}
	c := h.subscribe("regions", `["142"]`, "mutedRegions", `["CN","US-CA"]`, "overrides", `[{"regions":["JP","KR"],"level":"notice"}]`)
	manage := "/manage/" + c.Token
	if page := h.do("GET", manage, "").Body.String(); rows(page) != 2 || !strings.Contains(page, `id="mute-US-CA" checked`) {
		t.Errorf("manage shows %d rows, or loses what is left out", rows(page))
	}
	w := h.form(manage, "action=save&"+two+"&override=&overrideLevel=flash&override=KR&overrideLevel=notice&mute=US-CA")
	if w.Code != 303 {
		t.Fatalf("save: %d %s", w.Code, w.Body)
	}
	p := h.store.devices[c.ID].Wishes.Preference
	want := []news.Override{{Regions: []string{"IN-MH"}, Level: news.LevelFlash}, {Regions: []string{"JP", "KR"}, Level: news.LevelNotice}}
	if !reflect.DeepEqual(p.Overrides, want) || !reflect.DeepEqual(p.Muted, []string{"US-CA"}) {
		t.Errorf("saved %+v", p)
	}
	// A button that changes the form saves nothing.
	if w := h.form(manage, "action=save&region=TH&open=TH"); w.Code != 200 || h.store.devices[c.ID].Wishes.Preference.Regions[0] != "142" ||
		!strings.Contains(w.Body.String(), `id="region-TH-10"`) {
		t.Errorf("open on the page of one's choices: %d", w.Code)
	}
}

// TestPauseUntilADay: the day begins on the reader's clock.
func TestPauseUntilADay(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe("timezone", `"Asia/Tokyo"`)
	manage := "/manage/" + c.Token
	for _, bad := range []string{"", "2026-11-24", "2020-01-01", "2027-11-26", "tomorrow"} {
		if w := h.form(manage, "action=pause&for=until&until="+bad); w.Code != 400 || !strings.Contains(w.Body.String(), `href="#pause-date"`) ||
			!strings.Contains(w.Body.String(), "25 Nov 2027 at the latest") {
			t.Errorf("%q: %d", bad, w.Code)
		}
	}
	if page := h.do("GET", manage, "").Body.String(); !strings.Contains(page, `min="2026-11-25" max="2027-11-25"`) {
		t.Error("the field takes days that the server does not")
	}
	if w := h.form(manage, "action=pause&for=until&until=2027-11-25"); w.Code != 303 {
		t.Errorf("the last day that is offered: %d", w.Code)
	}
	if w := h.form(manage, "action=pause&for=until&until=2026-12-01"); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	if got := h.store.devices[c.ID].Wishes.PausedUntil.Format(time.RFC3339); got != "2026-11-30T15:00:00Z" {
		t.Errorf("paused until %s", got)
	}
}

// TestMapShowsTheChoice: without a script it is a picture, of what is chosen.
func TestMapShowsTheChoice(t *testing.T) {
	h := newHouse(t, nil)
	page := h.do("GET", "/subscribe?region=035&mute=SG&mute=ID-BA&region=IN-MH&region=JP", "").Body.String()
	for code, state := range map[string]string{"TH": "in", "SG": "out", "ID": "partly", "IN": "partly", "JP": "in"} {
		if !strings.Contains(page, `<g data-code="`+code+`" data-state="`+state+`">`) {
			t.Errorf("%s is not %s", code, state)
		}
	}
	if !strings.Contains(page, `<g data-code="CN"><path`) || !strings.Contains(page, `role="img" aria-label="Map of Asia"`) {
		t.Error("China is followed, or the map has no name")
	}
	for code := range h.site.atlas.lists["en"].listedCountries() {
		if !strings.Contains(page, `<g data-code="`+code+`"`) {
			t.Errorf("%s is on the list and not on the map", code)
		}
	}
}

func (l placeList) listedCountries() map[string]bool {
	all := map[string]bool{}
	for _, a := range l.Areas {
		for _, p := range a.Places {
			all[p.Code] = true
		}
	}
	return all
}
