package browsertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
)

// axe is axe-core 4.14.1 (MPL-2.0, https://github.com/dequelabs/axe-core), as
// npm has it.
//
//go:embed axe/axe.min.js
var axe string

// What axe looks for: the rules of WCAG 2.2 AA, or those of them that go by
// colours.
const (
	axeAll     = `{type: "tag", values: ["wcag2a","wcag2aa","wcag21a","wcag21aa","wcag22aa"]}`
	axeColours = `{type: "rule", values: ["color-contrast","link-in-text-block"]}`
)

// Dark makes the browser ask for dark pages.
func Dark() BrowserOption { return WithPref("layout.css.prefers-color-scheme.content-override", 0) }

// Light makes it ask for light ones, whatever the machine says.
func Light() BrowserOption { return WithPref("layout.css.prefers-color-scheme.content-override", 1) }

// Accessible fails the test for every rule of WCAG 2.2 AA that axe-core finds
// broken on the page as it is now. name says which page that is.
func (b *page) Accessible(name string) {
	b.tb.Helper()
	b.holds(name, axeAll)
}

// AccessibleColours is Accessible for a page that held already, in another theme.
func (b *page) AccessibleColours(name string) {
	b.tb.Helper()
	b.holds(name, axeColours)
}

func (b *page) holds(name, rules string) {
	b.tb.Helper()
	// The page's own policy (CSP) does not bind what a debugger evaluates.
	script := "(async () => { if (typeof axe === 'undefined') (() => {" + axe + "\nwindow.axe = axe;})();" +
		"return JSON.stringify((await axe.run(document, {runOnly: " + rules + "})).violations); })()"
	var broken []struct {
		ID, Help string
		Nodes    []struct {
			HTML           string
			FailureSummary string
		}
	}
	if err := json.Unmarshal([]byte(b.steady("the rules of axe on "+name, script)), &broken); err != nil {
		b.tb.Fatalf("browsertest: %s: %v", name, err)
	}
	for _, v := range broken {
		var where strings.Builder
		for _, n := range v.Nodes[:min(len(v.Nodes), 3)] {
			fmt.Fprintf(&where, "\n  %s\n  %s", n.HTML, n.FailureSummary)
		}
		b.tb.Errorf("%s: %s (%s, %d times)%s", name, v.Help, v.ID, len(v.Nodes), where.String())
	}
}
