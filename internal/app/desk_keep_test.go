package app_test

import (
	"strings"
	"testing"
)

// TestFirefoxKeepsWhatWasTyped: a text that can't be saved because the session
// is over, or that the desk refuses, stays where it is; whoever signs in again
// comes back to the alert and puts it back. Pages that say no are looked at, too.
func TestFirefoxKeepsWhatWasTyped(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	t.Parallel()
	oneWalkAtATime(t)
	p := newProgram(t, nil, nil, "DATELINE_POLICY=one")
	p.start()
	e := p.joins("Aiko Mori", "editor", "dark")
	p.publish("https://news.example/kept", "Strong quake off Honshu")
	e.presses(".alerted a")
	e.Until(`document.querySelector("form[data-preview] [name='title.en']") !== null && document.getElementById("live").dataset.state === "on"`)
	alert := e.Eval(`location.pathname`)
	const said, title = `(document.querySelector("form[data-preview] .said")?.textContent ?? "")`, "Typed in the last minute of the shift"
	typed := `document.querySelector("[name='title.en']").value === "` + title + `"`

	e.Fill("form.write [name='title.en']", " ")
	e.presses("form[data-preview] .savebar .button")
	e.Until(said + `.startsWith("Not saved: The title in English is required.") && document.getElementById("title-fault-en") !== null`)
	e.look("alert-refused")

	e.Fill("form.write [name='title.en']", title)
	e.presses("form.release .button") // would send the words that were saved before
	e.Until(`(document.querySelector("form.release .said")?.textContent ?? "").startsWith("Not done: the form below has changes that are not saved") && document.getElementById("status").dataset.state === "draft"`)
	e.Eval(`fetch("/desk/signout", { method: "POST" }).then(() => { document.body.dataset.out = ""; }); ""`)
	e.Until(`document.body.dataset.out === ""`)
	e.presses("form[data-preview] .savebar .button")
	e.Until(said + `.startsWith("Not saved: you are signed out.") && ` + typed)
	e.Click("form[data-preview] .said a")
	e.Until(`location.pathname === "/desk/signin"`)
	e.signsIn(1)
	e.Until(`location.pathname === "` + alert + `" && document.querySelector("#kept .offer") !== null`)
	if offer := e.Eval(`document.getElementById("kept").textContent`); !strings.Contains(offer, "You had unsaved text from") || !strings.Contains(offer, title) {
		t.Errorf("offered: %s", offer)
	}
	e.look("alert-offer")
	e.Click("#kept .button")
	e.Until(`document.querySelector("form[data-preview][data-unsaved]") !== null && ` + typed)
	e.presses("form[data-preview] .savebar .button")
	e.Until(said + `.startsWith("Saved") && document.querySelector("#status h1").textContent === "` + title + `"`)
	if left := e.Eval(`Object.keys(sessionStorage).join()`); left != "" {
		t.Errorf("what was saved is kept: %s", left)
	}
	e.opens("/desk?region=Japn", "wire-unknown")
	e.opens("/desk/newsroom", "forbidden")
}
