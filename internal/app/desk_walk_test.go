package app_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dateline/internal/browsertest"
)

// shots is a folder for pictures of the desk's pages: docs/desk has those of
// the last time somebody asked.
var shots = flag.String("shots", "", "write pictures of the desk's pages into this folder")

// editorsBrowser is one editor's Firefox, and what looks at each page of hers.
type editorsBrowser struct {
	*browsertest.Browser
	t     *testing.T
	p     *program
	theme string
}

// joins gives an editor an account and signs her in with a browser of her own.
func (p *program) joins(name, role, theme string) *editorsBrowser {
	p.t.Helper()
	out, err := p.run("", "editor", "add", name, "--role", role)
	if err != nil {
		p.t.Fatalf("editor add: %v\n%s", err, out)
	}
	_, token, found := strings.Cut(strings.TrimSpace(out), "/desk/join/")
	if !found {
		p.t.Fatalf("no invitation: %s", out)
	}
	look := browsertest.Light()
	if theme == "dark" {
		look = browsertest.Dark()
	}
	e := &editorsBrowser{browsertest.Firefox(p.t, look), p.t, p, theme}
	e.Navigate(p.url("/desk/join/" + token))
	e.look("join")
	secret := e.Eval(`document.querySelector(".secret").textContent`)
	const password = "a few words in a row"
	e.Fill("#code", authenticator(p.t, secret, -1)) // the phone is slow: the next code is still unused
	e.Fill("#password", password)
	e.Click("form .button")
	e.Until(`location.pathname === "/desk/signin"`)
	e.look("signin")
	e.Fill("#name", name)
	e.Fill("#password", password)
	e.Fill("#code", authenticator(p.t, secret, 0))
	e.Click("form .button")
	e.Until(`document.getElementById("live")?.dataset.state === "on"`)
	return e
}

// look checks the page against WCAG 2.2 AA, as wide as a screen and as a phone.
func (e *editorsBrowser) look(name string) {
	e.t.Helper()
	for _, size := range []struct {
		name          string
		width, height int
	}{{"wide", 1280, 900}, {"phone", 390, 844}} {
		e.Resize(size.width, size.height)
		e.Accessible(name + ", " + e.theme + ", " + size.name)
		if wide := e.Eval(`String(document.documentElement.scrollWidth > innerWidth)`); wide == "true" {
			e.t.Errorf("%s, %s: wider than the screen", name, size.name)
		}
		if *shots != "" && (size.name == "wide" || name == "wire" || name == "alert-countdown") {
			file := strings.Join([]string{name, e.theme, size.name}, "-") + ".png"
			if err := os.MkdirAll(*shots, 0o750); err != nil {
				e.t.Fatal(err)
			}
			e.Screenshot(filepath.Join(*shots, file))
		}
	}
	e.Resize(1280, 900)
}

// opens goes to a page of the desk and looks at it.
func (e *editorsBrowser) opens(path, name string) {
	e.t.Helper()
	e.Navigate(e.p.url(path))
	e.look(name)
}

// state waits until the open alert is in the state, and its buttons are those
// for it: by itself, nobody reloads.
func (e *editorsBrowser) state(state string) {
	e.t.Helper()
	e.Until(`document.querySelector(".now")?.dataset.state === "` + state + `" && document.getElementById("status").dataset.state === "` + state + `"`)
}

// presses waits for a button, and presses it.
func (e *editorsBrowser) presses(selector string) {
	e.t.Helper()
	e.Until(`document.querySelector("` + selector + `") !== null`)
	e.Eval(`document.querySelector("` + selector + `").closest("details")?.setAttribute("open", ""); ""`)
	e.Click(selector)
}

// TestFirefoxWalksTheDesk is an alert's whole way, by two editors with a browser
// each, one of them in the dark: story, raise, submit, approve by the other, release,
// undo, release, watch, correct, kill. Every page on the way is checked with
// axe-core against WCAG 2.2 AA.
func TestFirefoxWalksTheDesk(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	p := newProgram(t, nil, nil, "DATELINE_POLICY=flash=two,bulletin=two,notice=one", "DATELINE_HOLD=8s")
	p.start()
	author, approver := p.joins("Aiko Mori", "editor", "light"), p.joins("Ben Tan", "chief", "dark")

	p.publish("https://news.example/walk", "Strong quake off Honshu")
	for _, e := range []*editorsBrowser{author, approver} {
		e.Until(`document.querySelector(".wire h2")?.textContent === "Strong quake off Honshu"`)
		e.look("wire")
		e.opens("/desk/alerts", "alerts")
		e.opens("/desk/aside", "aside")
		e.opens("/desk/audit", "audit")
		e.opens("/desk/account", "account")
		e.opens("/desk", "wire")
	}
	approver.opens("/desk/newsroom", "newsroom")
	approver.opens("/desk", "wire")
	author.presses(".alerted a")
	author.Until(`document.querySelector("#status h1")?.textContent === "Strong quake off Honshu"`)
	alert := author.Eval(`location.pathname`)
	author.look("alert-draft")
	author.presses("form[action$='/submit'] button")
	author.state("submitted")
	if author.Eval(`String(document.querySelector("form[action$='/approve']") !== null)`) == "true" {
		t.Error("the author is offered to approve her own alert")
	}
	approver.opens(alert, "alert-submitted")
	approver.presses("form[action$='/approve'] button")
	approver.state("approved")
	author.state("approved")
	author.presses("form[action$='/release'] button")
	author.Until(`document.querySelector(".undo") !== null`)
	author.presses(".undo")
	author.state("held")
	author.presses("form[action$='/resume'] button")
	author.state("approved")
	author.presses("form[action$='/release'] button")
	approver.state("holding")
	approver.look("alert-countdown")
	author.state("sent")
	author.look("alert-sent")
	author.Until(`document.querySelector("form[action$='/correct'] input[name='title.en']") !== null`)
	author.Eval(`document.querySelector("form[action$='/correct']").closest("details").open = true; ""`)
	author.Fill("form[action$='/correct'] input[name='title.en']", "Correction: moderate quake off Honshu")
	author.presses("form[action$='/correct'] button")
	author.Until(`document.querySelector("#status h1")?.textContent === "Correction: moderate quake off Honshu"`)
	author.state("sent")
	approver.Until(`document.querySelector("#typed") !== null`)
	approver.Eval(`document.querySelector("#typed").closest("details").open = true; ""`)
	approver.look("alert-before-kill")
	approver.Fill("#typed", "kill")
	approver.presses("form[action$='/kill'] button")
	approver.state("killed")
	author.state("killed")
	author.look("alert-killed")
}
