package site

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"dateline/internal/browsertest"
)

// on is the code of the country that has the focus on the map.
func (s *stage) on() string { return s.browser.Eval(`document.activeElement.dataset.code || ""`) }

// is asks for the state of the focused country as it is announced.
func (s *stage) announced() string {
	return s.browser.Eval(`(g => [g.getAttribute("role"), g.getAttribute("aria-label"), g.getAttribute("aria-checked")].join(" "))(document.activeElement)`)
}

func (s *stage) ticked(id string) bool {
	return s.browser.Eval(fmt.Sprintf(`document.getElementById(%q).checked`, id)) == "true"
}

// TestMapInFirefox goes over the map by keyboard, with real key presses: one stop of
// the tab key, arrows reach every country, a press ticks the list, and the list fills
// the map; and sees what the choice means change as it is made.
func TestMapInFirefox(t *testing.T) {
	s := newStage(t)
	s.past(s.shelf, "JP", 87, 8*time.Hour)
	s.past(s.shelf, "SG", 30, 24*time.Hour)
	b := s.browser
	b.Navigate(s.url + "/subscribe")
	b.Until(`document.querySelector("#map.live")`)

	// One stop, and the next one is beyond the map.
	b.Eval(`document.querySelector("#map [tabindex='0']").focus()`)
	if n := b.Eval(`document.querySelectorAll("#map [tabindex='0']").length`); n != "1" {
		t.Errorf("the map is %s stops of the tab key", n)
	}
	b.Press(browsertest.KeyTab)
	if b.Eval(`document.activeElement.closest("#map") === null`) != "true" {
		t.Error("a tab stays on the map")
	}
	b.Eval(`document.querySelector("#map [tabindex='0']").focus()`)
	testArrowsReachEveryCountry(t, s)

	// Home and End are the first and last by name; a letter goes to the next that begins with it.
	b.Press(browsertest.KeyHome)
	if s.on() != "AF" {
		t.Errorf("Home is %s", s.on())
	}
	b.Press(browsertest.KeyEnd)
	if s.on() != "YE" {
		t.Errorf("End is %s", s.on())
	}
	b.Press("j")
	if got := s.announced(); got != "checkbox Japan false" {
		t.Errorf("j is %q", got)
	}
	b.Press(" ")
	if got := s.announced(); got != "checkbox Japan true" || !s.ticked("region-JP") {
		t.Errorf("after a press: %q, ticked %t", got, s.ticked("region-JP"))
	}
	b.Until(`document.getElementById("preview-text").textContent === "About 3 alerts a day."`)
	if got := b.Eval(`[...document.querySelectorAll("#preview-examples a")].map(a => a.textContent).join(", ")`); got != "JP 0, JP 1, JP 2" {
		t.Errorf("examples: %s", got)
	}
	b.Press(browsertest.KeyEnter)
	if got := s.announced(); got != "checkbox Japan false" || s.ticked("region-JP") {
		t.Errorf("after a second press: %q", got)
	}
	b.Until(`document.getElementById("preview-text").textContent.startsWith("Choose a place")`)
	testListAndMapAreOne(t, s)
	testPartsInTheList(t, s)
}

// testArrowsReachEveryCountry walks with real presses from where it can to where it
// has not been, and says what stays out of reach.
func testArrowsReachEveryCountry(t *testing.T, s *stage) {
	t.Helper()
	var all []string
	s.browser.EvalJSON(`[...document.querySelectorAll("#map [data-code]")].map(g => g.dataset.code)`, &all)
	arrows := []string{browsertest.KeyUp, browsertest.KeyDown, browsertest.KeyLeft, browsertest.KeyRight}
	seen, queue := map[string]bool{s.on(): true}, []string{s.on()}
	for len(queue) > 0 {
		from := queue[0]
		queue = queue[1:]
		for _, arrow := range arrows {
			s.browser.Eval(fmt.Sprintf(`document.querySelector("#map [data-code=%s]").focus()`, from))
			s.browser.Press(arrow)
			if to := s.on(); !seen[to] {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	for _, code := range all {
		if !seen[code] {
			t.Errorf("no arrow leads to %s", code)
		}
	}
	if len(all) != 51 || len(seen) != 51 {
		t.Errorf("%d countries, %d reached", len(all), len(seen))
	}
}

// testListAndMapAreOne: a part of Asia ticked in the list, a country of it left out
// on the map, said in words.
func testListAndMapAreOne(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Click("#region-035")
	state := func(code string) string {
		return b.Eval(fmt.Sprintf(`document.querySelector("#map [data-code=%s]").dataset.state || ""`, code))
	}
	if state("TH") != "in" || state("SG") != "in" || state("JP") != "" {
		t.Errorf("Thailand %q, Singapore %q, Japan %q", state("TH"), state("SG"), state("JP"))
	}
	b.Eval(`document.querySelector("#map [data-code=SG] circle").dispatchEvent(new MouseEvent("click", {bubbles: true}))`)
	if state("SG") != "out" || !s.ticked("mute-SG") || s.announced() != "checkbox Singapore, left out false" {
		t.Errorf("Singapore is %q, %q", state("SG"), s.announced())
	}
	b.Until(`document.getElementById("preview-places").textContent === "You follow: Southeast Asia, without Singapore"`)
	b.Until(`document.getElementById("preview-text").textContent.startsWith("No alert in the last 30 days.")`)
	if fill := b.Eval(`getComputedStyle(document.querySelector("#map [data-code=SG] circle")).fill`); !strings.Contains(fill, "map-out") {
		t.Errorf("left out by colour alone: %s", fill)
	}
	b.Click("#mute-SG") // and back, in the list
	if state("SG") != "in" {
		t.Errorf("Singapore is %q again", state("SG"))
	}
	b.Until(`document.getElementById("preview-text").textContent === "About one alert a day."`)
	if feed := b.Eval(`document.getElementById("feed-atom").href`); !strings.HasSuffix(feed, "/feeds/alerts.atom?region=035&level=bulletin&language=en") {
		t.Errorf("the feed is %s", feed)
	}
	// Turned into another language, the page keeps the choice.
	b.Navigate(b.Eval(`document.querySelector(".languages a[lang=ja]").href`))
	b.Until(`document.querySelector("#map.live")`)
	if !s.ticked("region-035") || state("TH") != "in" || b.Eval(`document.getElementById("preview-places").textContent`) != "フォロー中： 東南アジア" {
		t.Error("the choice is lost with the language")
	}
	b.Navigate(s.url + "/subscribe?lang=en")
	b.Until(`document.querySelector("#map.live")`)
	testSuggestionsGo(t, s)
}

// testSuggestionsGo: a suggestion is taken by a press, and gone once it is followed.
func testSuggestionsGo(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Eval(`(() => {
		const button = Object.assign(document.createElement("button"), {className: "chip", name: "pick", value: "TH", textContent: "Thailand"});
		document.getElementById("suggestion").append(button);
		document.getElementById("suggestion").hidden = false;
	})()`)
	b.Click(`#suggestion [value=TH]`)
	if !s.ticked("region-TH") || b.Eval(`document.activeElement.id`) != "region-TH" || b.Eval(`document.querySelector("#suggestion [value=TH]").hidden`) != "true" {
		t.Error("a suggestion is not taken, or stays")
	}
	b.Click("#region-TH")
}

// testPartsInTheList: a prefecture is found by its name though the page was born
// without it, ticked, and left out of its country.
func testPartsInTheList(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Fill("#search", "hokkaido")
	b.Until(`document.getElementById("region-JP-01")?.checkVisibility()`)
	if shown := b.Eval(`[...document.querySelectorAll("#places input[name=region]")].filter(e => e.checkVisibility()).map(e => e.value).join(" ")`); shown != "JP JP-01" {
		t.Errorf("found: %s", shown)
	}
	b.Click("#region-JP-01")
	if got := b.Eval(`document.querySelector("#map [data-code=JP]").getAttribute("aria-checked")`); got != "mixed" {
		t.Errorf("Japan is %s", got)
	}
	b.Until(`document.getElementById("preview-places").textContent === "You follow: Hokkaido"`)
	b.Click("#region-JP")
	b.Click("#mute-JP-01")
	b.Until(`document.getElementById("preview-places").textContent === "You follow: Japan, without Hokkaido"`)
	if s.ticked("region-JP-01") {
		t.Error("followed and left out at once")
	}
	b.Fill("#search", "")
	b.Click(`.parts[value=JP]`)
	if b.Eval(`document.getElementById("region-JP-01").checkVisibility()`) != "false" {
		t.Error("the parts do not close")
	}
	// Rows of places with a level of their own.
	if got := b.Eval(`[...document.querySelector("[name=override]").options].filter(o => o.value === "JP-02").length`); got != "0" {
		t.Errorf("%s lines for a prefecture that is not followed", got)
	}
	b.Click("#region-JP-02")
	if got := b.Eval(`[...document.querySelector("[name=override]").options].filter(o => o.value === "JP-02").length`); got != "1" {
		t.Errorf("%s lines for a prefecture that is followed", got)
	}
	b.Click("#override-more")
	b.Eval(`(() => { const [a, b] = document.querySelectorAll("[name=override]"); a.value = "JP"; b.value = "SG"; })()`)
	b.Click(`[name=drop]`)
	if got := b.Eval(`[...document.querySelectorAll("[name=override]")].map(e => e.value).join()`); got != "SG" {
		t.Errorf("rows after dropping the first: %s", got)
	}
	b.Click(`[name=drop]`)
	if got := b.Eval(`[...document.querySelectorAll("[name=override]")].map(e => e.value).join()`); got != "" {
		t.Errorf("the last row dropped: %s", got)
	}
}

// TestChoosingIsAccessible holds the pages where one chooses against WCAG 2.2 AA, in
// both themes and both directions, empty and full.
func TestChoosingIsAccessible(t *testing.T) {
	for name, theme := range map[string]func() browsertest.BrowserOption{"light": browsertest.Light, "dark": browsertest.Dark} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, theme())
			s.past(s.shelf, "JP", 30, 24*time.Hour)
			c := s.subscribe("regions", `["035","JP-13"]`, "mutedRegions", `["SG"]`, "overrides", `[{"regions":["JP"],"level":"notice"}]`)
			for _, lang := range []string{"en", "ar"} {
				for _, page := range []string{"/?", "/subscribe?", "/subscribe?region=142&mute=SG&region=JP&mute=JP-13&override=JP&overrideLevel=flash&", "/manage/" + c.Token + "?"} {
					s.browser.Navigate(s.url + page + "lang=" + lang)
					s.browser.Eval(`(() => { for (const d of document.querySelectorAll("details")) d.open = true; })()`)
					s.accessible(name, name+" "+lang+" "+page[:min(len(page), 12)])
				}
			}
		})
	}
}
