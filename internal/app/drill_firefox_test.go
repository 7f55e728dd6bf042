package app_test

import (
	"strings"
	"testing"
)

// TestFirefoxHoldsADrill: two editors rehearse, one of them in the dark. Every
// page says which it is, the drill's or the live desk's, in the title, in the
// masthead and with stripes, and passes axe-core.
func TestFirefoxHoldsADrill(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	t.Parallel()
	oneWalkAtATime(t)
	p := newProgram(t, nil, nil, "DATELINE_POLICY=one", "DATELINE_HOLD=1s")
	p.start()
	starter, second := p.joins("Aiko Mori", "editor", "light"), p.joins("Ben Tan", "chief", "dark")
	starter.opens("/desk/drill", "drill-start")
	second.opens("/desk/drill", "drill-start")
	// What the second one has typed is there again when the first one's drill is over.
	second.Fill("#devices", "321")
	second.Click("input[value='slow']")
	starter.Fill("#devices", "200")
	starter.Click("input[name='two']")
	starter.Click("form[action$='/start'] .button")
	for _, e := range []*editorsBrowser{starter, second} { // the second one's page follows by itself
		e.Until(`document.querySelector(".striped")?.textContent.includes("200 simulated phones are there")`)
		e.wordIs("LIVE", false)
		e.look("drill-running")
	}
	starter.presses("#inject")
	starter.Until(`document.querySelectorAll(".injected li").length === 1`)
	for path, name := range map[string]string{"/drill/desk": "drill-wire", "/drill/desk/alerts": "drill-alerts", "/drill/phones": "drill-phones-quiet"} {
		second.opens(path, name)
		second.wordIs("DRILL", true)
	}

	starter.opens("/drill/desk/alerts", "drill-alerts")
	starter.presses(".alert-title a")
	starter.Until(`document.querySelector("#audience") !== null`)
	alert := starter.Eval(`location.pathname`)
	starter.Fill("#audience", "142")
	starter.presses("form[action$='/edit'] .row .button")
	starter.Until(`document.querySelector("#status")?.textContent.includes("Written by Aiko Mori")`)
	starter.wordIs("DRILL", true)
	starter.look("drill-alert")
	starter.presses("form[action$='/submit'] button")
	starter.state("submitted")
	second.opens(alert, "drill-alert")
	second.presses("form[action$='/approve'] button")
	second.state("approved")
	second.presses("form[action$='/release'] button")
	second.state("sent")
	second.Navigate(p.url("/drill/phones"))
	second.Until(`document.querySelector(".wall-of .note b")?.textContent.startsWith("DRILL · ")`)
	second.look("drill-phones")
	starter.opens("/drill/phones", "drill-phones")

	starter.Navigate(p.url("/desk/drill"))
	starter.presses("form[action$='/end'] button")
	starter.Until(`location.pathname.startsWith("/desk/drill/reports/")`)
	if text := starter.Eval(`document.querySelector(".report").textContent`); !strings.Contains(text, "Everything that was tried worked") {
		t.Errorf("the report: %s", text)
	}
	second.Navigate(p.url("/desk/drill"))
	second.Until(`document.querySelector("#devices")?.value === "321" && document.querySelector("input[value='slow']").checked && !document.querySelector("input[name='two']").checked`)
	starter.look("drill-report")
	second.opens(starter.Eval(`location.pathname`), "drill-report")
	second.wordIs("", false)
}

// wordIs holds the page against what it is.
func (e *editorsBrowser) wordIs(word string, striped bool) {
	e.t.Helper()
	if got := e.Eval(`document.querySelector(".masthead .word")?.textContent ?? ""`); got != word {
		e.t.Errorf("%s: the masthead says %q, want %q", e.Eval(`location.pathname`), got, word)
	}
	if got := e.Eval(`document.title`); strings.HasPrefix(got, word+" · ") != (word != "") {
		e.t.Errorf("the title is %q", got)
	}
	if got := e.Eval(`String(getComputedStyle(document.body).borderImageSource.startsWith("repeating-linear-gradient"))`); (got == "true") != striped {
		e.t.Errorf("%s: striped %s, want %v", e.Eval(`location.pathname`), got, striped)
	}
}
