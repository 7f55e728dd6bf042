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
	t.Parallel()
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
	testAnotherTabsLanguage(t, s)
	testTapsOnAPhone(t, s)
}

// testAnotherTabsLanguage: a page stays in its language when another tab chooses
// another; and as an app it begins with what is chosen on it now.
func testAnotherTabsLanguage(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Navigate(s.url + "/subscribe?lang=ja")
	b.Until(`document.querySelector("#map.live")`)
	b.Eval(`(async () => String((await fetch("/?lang=ko")).status))()`)
	b.Click("#region-JP")
	b.Until(`document.getElementById("preview-places").textContent === "フォロー中： 日本"`)
	b.Click(`.parts[value=JP]`)
	b.Until(`document.querySelector("#mute-JP-01")?.closest("li").textContent.includes("除く")`)
	if app := b.Eval(`document.querySelector("link[rel=manifest]").getAttribute("href")`); !strings.HasPrefix(app, "/manifest.webmanifest?lang=ja&form=1&region=JP&") {
		t.Errorf("as an app it begins with %s", app)
	}
	b.Fill("#cap", "5000")
	b.Until(`document.getElementById("preview-text").textContent === "一日の速報の上限: 1から1000までの整数を入力するか、空欄にしてください。"`)
}

// testTapsOnAPhone: at 360 pixels a finger on a small country, or beside it, takes
// that one and no neighbour, by its drawing as by its circle.
func testTapsOnAPhone(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Resize(360, 740)
	b.Navigate(s.url + "/subscribe?lang=en")
	b.Until(`document.querySelector("#map.live")`)
	b.Eval(`document.getElementById("map").scrollIntoView({block: "center", behavior: "instant"})`)
	const at = `(x, y, kind) => {
		const event = {bubbles: true, clientX: x, clientY: y, detail: 1};
		document.elementFromPoint(x, y).dispatchEvent(kind === "click" ? new MouseEvent(kind, event) : new PointerEvent(kind, event));
	}`
	tap := func(code, part string, dx, dy int) string {
		return b.Eval(fmt.Sprintf(`(() => {
			const box = document.querySelector("#map [data-code=%s] %s").getBoundingClientRect();
			document.activeElement.blur();
			(%s)((box.left + box.right) / 2 + %d, (box.top + box.bottom) / 2 + %d, "click");
			return document.activeElement.dataset.code || "";
		})()`, code, part, at, dx, dy))
	}
	for _, code := range strings.Fields("SG HK BH MV KW QA LB CY TL BT BN TW AM PS AZ BD LK KH NP KR KP TJ JO AE") {
		for _, off := range [][2]int{{0, 0}, {3, 0}, {0, 3}, {-3, 0}, {0, -3}} {
			// Nearer than that there is another small one: theirs are the circles.
			if off != [2]int{} && strings.Contains("HK BH KW QA LB AM PS TJ", code) {
				continue
			}
			if got := tap(code, "path", off[0], off[1]); got != code {
				t.Errorf("a tap on %s, %v pixels off, takes %q", code, off, got)
			}
		}
	}
	for _, code := range strings.Fields("SG HK MO BH MV KW QA LB CY TL BT BN TW AM PS IL") {
		if got := tap(code, "circle", 8, 8); got != code {
			t.Errorf("a tap on the circle of %s takes %q", code, got)
		}
	}
	for _, code := range strings.Fields("CN IN SA IR KZ TR ID JP PH") {
		if got := tap(code, "path", 0, 0); got != code && got != "" {
			t.Errorf("a tap in the middle of %s takes %q", code, got)
		}
	}
	// Every country has a circle, or ground for a finger.
	var ground map[string]int
	b.EvalJSON(`(() => {
		const ground = {}, step = 3, at = `+at+`, svg = document.getElementById("map"), box = svg.getBoundingClientRect();
		for (let x = box.left + 1; x < box.right; x += step) for (let y = box.top + 1; y < box.bottom; y += step) {
			at(x, y, "pointermove");
			const code = svg.querySelector(".aimed")?.dataset.code;
			if (code) ground[code] = (ground[code] || 0) + step * step;
		}
		return ground;
	})()`, &ground)
	const finger = 120 // square pixels; least has Laos, narrow and between neighbours as small
	if len(ground) != 51 {
		t.Errorf("a finger finds %d countries", len(ground))
	}
	for code, pixels := range ground {
		if pixels < finger {
			t.Errorf("%s has %d square pixels", code, pixels)
		}
	}
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
	t.Parallel()
	for name, theme := range map[string]func() browsertest.BrowserOption{"light": browsertest.Light, "dark": browsertest.Dark} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
