package app_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/simulate"
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
	// name and secret are hers to sign in with once more.
	name, secret string
}

const editorsPassword = "a few words in a row"

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
	e := &editorsBrowser{Browser: browsertest.Firefox(p.t, look), t: p.t, p: p, theme: theme, name: name}
	e.Navigate(p.url("/desk/join/" + token))
	e.look("join")
	e.secret = e.Eval(`document.querySelector(".secret").textContent`)
	e.Fill("#code", authenticator(p.t, e.secret, -1)) // the phone is slow: the next code is still unused
	e.Fill("#password", editorsPassword)
	e.Click("form .button")
	e.Until(`location.pathname === "/desk/signin"`)
	e.look("signin")
	e.signsIn(0)
	return e
}

// signsIn fills the form that is open, with the code of now or of a step later.
func (e *editorsBrowser) signsIn(later time.Duration) {
	e.t.Helper()
	e.Fill("#name", e.name)
	e.Fill("#password", editorsPassword)
	e.Fill("#code", authenticator(e.t, e.secret, later))
	e.Click("form .button")
	e.Until(`document.getElementById("live")?.dataset.state === "on"`)
}

// looked are the pages that were looked at: several walks pass the same ones.
var looked sync.Map

// look checks the page against WCAG 2.2 AA, as wide as a screen and as a phone,
// once in each theme.
func (e *editorsBrowser) look(name string) {
	e.t.Helper()
	if _, before := looked.LoadOrStore(name+", "+e.theme, true); before {
		return
	}
	for _, size := range []struct {
		name          string
		width, height int
	}{{"wide", 1280, 900}, {"phone", 390, 844}} {
		e.Resize(size.width, size.height)
		e.Accessible(name + ", " + e.theme + ", " + size.name)
		if wide := e.Steady(`String(document.documentElement.scrollWidth > innerWidth)`); wide == "true" {
			e.t.Errorf("%s, %s: wider than the screen", name, size.name)
		}
		if *shots != "" {
			e.Until(`document.getElementById("live")?.dataset.state !== "off"`) // a page that came anew connects anew
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

// presses waits for a button, opens what it is in, and presses it, on the page
// that is there then: one that was saved comes anew by itself. Its scripts have
// run by then: before, the browser sends a form by itself, and a page comes that
// says nothing of it in place.
func (e *editorsBrowser) presses(selector string) {
	e.t.Helper()
	e.Until(`document.querySelector("` + selector + `") !== null`)
	e.Until(`document.querySelector("` + selector + `")?.closest("details")?.setAttribute("open", "") ?? true`)
	e.Until(`(() => {
		if (document.readyState !== "complete") return false;
		const button = document.querySelector("` + selector + `");
		button?.closest("details")?.setAttribute("open", "");
		button?.click();
		return button !== null;
	})()`)
}

// readersOfAsia are sign-ups of so many phones from all over Asia, a third of
// them of people who follow Japan; nobody has quiet hours.
func readersOfAsia(list []*simulate.Phone) []map[string]any {
	homes := []struct {
		regions            []string
		language, timezone string
	}{
		{[]string{"JP"}, "ja", "Asia/Tokyo"}, {[]string{"SG", "MY"}, "en", "Asia/Singapore"}, {[]string{"ID"}, "id", "Asia/Jakarta"},
		{[]string{"142"}, "en", "Asia/Hong_Kong"}, {[]string{"IN", "LK"}, "hi", "Asia/Kolkata"}, {[]string{"GCC"}, "ar", "Asia/Dubai"},
	}
	bodies := make([]map[string]any, 0, len(list))
	for i, phone := range list {
		home := homes[i%len(homes)]
		body := subscription(phone, home.regions...)
		body["language"], body["timezone"] = home.language, home.timezone
		bodies = append(bodies, body)
	}
	return bodies
}

// walks with browsers go beside other tests, but one at a time: each has two
// browsers, and six on two processors time out in their own helpers.
var walks sync.Mutex

func oneWalkAtATime(t *testing.T) {
	t.Helper()
	walks.Lock()
	t.Cleanup(walks.Unlock) // registered first, so done last: after the browsers have ended
}

// TestFirefoxWalksTheDesk is an alert's whole way, by two editors with a browser
// each, one of them in the dark: story, write, submit, approve by the other,
// release, undo, release, watch, correct, kill. Every page on the way is checked
// with axe-core against WCAG 2.2 AA, and what the readers' phones show with what
// was pressed.
func TestFirefoxWalksTheDesk(t *testing.T) {
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	t.Parallel()
	oneWalkAtATime(t)
	push := service(t, simulate.PushOptions{Rate: 60})
	p := newProgram(t, []*simulate.PushService{push}, nil, "DATELINE_POLICY=flash=two,bulletin=two,notice=one", "DATELINE_HOLD=8s")
	readers := phones(t, push, 360)
	p.importDevices(readersOfAsia(readers))
	p.start()
	author, approver := p.joins("Aiko Mori", "editor", "light"), p.joins("Ben Tan", "chief", "dark")

	p.publish("https://news.example/walk", "Strong quake off Honshu")
	for _, e := range []*editorsBrowser{author, approver} {
		e.Until(`document.querySelector(".wire h2")?.textContent === "Strong quake off Honshu"`)
		e.look("wire")
		if at := e.Eval(`document.querySelector("nav [aria-current=page]")?.textContent`); at != "Wire" {
			e.t.Errorf("the navigation says that this is %q", at)
		}
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
	const title = "Strong quake off Honshu; tsunami possible"
	author.Until(`document.querySelector("#card .count")?.textContent === "120"`) // Japan, and all of Asia
	author.Fill("form.write input[name='title.en']", title)
	author.Fill("#audience", "JP + SG")
	author.Until(`document.querySelector("#audience-words").textContent.includes("Japan and Singapore")`)
	author.Until(`document.querySelector("#card .count")?.textContent === "180"`) // as it is written, not saved
	author.Until(`document.querySelector(".picture.android .open .t").textContent === "` + title + `"`)
	author.look("alert-draft")
	author.presses("form[action$='/edit'] .row .button")
	author.Until(`document.querySelector("#status h1")?.textContent === "` + title + `"`)
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
	author.presses(".undo") // at once, as the second half of a double press: not meant
	author.Until(`performance.now() > 2000 && document.getElementById("status").dataset.state === "holding" &&
		(document.querySelector(".steps .said")?.textContent ?? "").startsWith("Not undone: ")`)
	author.presses(".undo")
	author.state("held")
	author.presses("form[action$='/resume'] button")
	author.state("approved")
	author.presses("form[action$='/release'] button")
	approver.state("holding")
	push.SetRate(3) // a minute for 180 phones: long enough to look at it on its way
	approver.look("alert-countdown")
	for _, e := range []*editorsBrowser{approver, author} {
		e.state("sending")
		e.look("alert-sending")
		e.state("sending")
	}
	push.SetRate(0)
	author.state("sent")
	author.look("alert-sent")
	shown(t, readers, 180, title)
	author.Until(`document.querySelector("form[action$='/correct'] input[name='title.en']") !== null`)
	author.Eval(`document.querySelector("form[action$='/correct']").closest("details").open = true; ""`)
	author.Fill("form[action$='/correct'] input[name='title.en']", "Correction: moderate quake off Honshu")
	author.presses("form[action$='/correct'] button")
	author.Until(`document.querySelector("#status h1")?.textContent === "Correction: moderate quake off Honshu"`)
	author.state("sent")
	shown(t, readers, 180, "Correction: moderate quake off Honshu")
	approver.Until(`document.querySelector("#typed") !== null`)
	approver.Eval(`document.querySelector("#typed").closest("details").open = true; ""`)
	approver.look("alert-before-kill")
	approver.Fill("#typed", "kill")
	approver.presses("form[action$='/kill'] button")
	approver.state("killed")
	author.state("killed")
	author.look("alert-killed")
	p.alert("https://news.example/walk", "retracted from everybody", func(a alertAnswer) bool {
		return a.State == "killed" && a.Repairs[len(a.Repairs)-1].Counts.Accepted == 180
	})
}

// shown checks that so many phones show one notification with the title, and the
// others none.
func shown(t *testing.T, readers []*simulate.Phone, want int, title string) {
	t.Helper()
	n := 0
	for _, phone := range readers {
		switch got := titles(phone); got {
		case title:
			n++
		case "":
		default:
			t.Errorf("a phone shows %q", got)
		}
	}
	if n != want {
		t.Errorf("%d phones show %q, want %d", n, title, want)
	}
}
