package desk

import (
	"context"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/news"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
	"dateline/templates"
)

var shots = flag.String("shots", "", "folder to put pictures of the pages of digests into")

// pressRoom is the pages of editions in a browser, as somebody who is signed in.
type pressRoom struct {
	*press
	*browsertest.Chromium
	base string
}

func newPressRoom(t *testing.T, as string) *pressRoom {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	p := newPress(t, storetest.SQLite(t))
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	base := "http://" + strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: base})
	p.must(err)
	p.pages.floor = floor
	cookie := p.as(as)
	mux := http.NewServeMux()
	p.pages.Routes(mux)
	mux.Handle("GET /static/", floor.Static())
	mux.HandleFunc("GET /enter", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "desk", Value: cookie, Path: "/", HttpOnly: true})
		http.Redirect(w, r, "/desk/caps", http.StatusSeeOther)
	})
	server.Config.Handler = floor.Handler(mux)
	server.Start()
	room := &pressRoom{p, browsertest.NewChromium(t, browsertest.NewGoogle(t)), base}
	room.Navigate(base + "/enter")
	return room
}

// look holds the open page against WCAG 2.2 AA, in both themes, as wide as a screen
// and as the smallest phone.
func (p *pressRoom) look(name string) {
	p.t.Helper()
	for _, size := range []struct {
		name          string
		width, height int
	}{{"wide", 1280, 900}, {"phone", 360, 740}} {
		for _, dark := range []bool{false, true} {
			what := name + "-" + map[bool]string{false: "light", true: "dark"}[dark] + "-" + size.name
			p.Look(size.width, size.height, dark)
			p.Accessible(what)
			if wide := p.Steady(`String(document.documentElement.scrollWidth > innerWidth)`); wide == "true" {
				p.t.Errorf("%s: wider than the screen", what)
			}
			if *shots != "" {
				p.must(os.MkdirAll(*shots, 0o750))
				p.Screenshot(filepath.Join(*shots, what+".png"))
			}
		}
	}
	p.Look(1280, 900, false)
}

// busyPress stands before the store with figures of a large newsroom.
type busyPress struct {
	EditionStore
	list []news.EditionAccount
}

func (b *busyPress) Editions(context.Context, time.Time, time.Time) ([]news.EditionAccount, error) {
	return b.list, nil
}

func (b *busyPress) Edition(_ context.Context, id string) (news.EditionAccount, error) {
	for _, a := range b.list {
		if a.ID == id {
			return a, nil
		}
	}
	return news.EditionAccount{}, news.ErrNotFound
}

func (b *busyPress) OpenPauses(context.Context) ([]news.EditionPause, error) {
	var open []news.EditionPause
	for _, a := range b.list {
		for _, p := range a.Pauses {
			if p.Open() {
				open = append(open, p)
			}
		}
	}
	return open, nil
}

func crowded() *busyPress {
	b := &busyPress{}
	for i, zone := range []string{"Asia/Kathmandu", "Asia/Kolkata", "Asia/Bangkok", "Asia/Shanghai", "Asia/Tokyo", "Asia/Jakarta"} {
		date := []string{"2026-12-01", "2026-12-01", "2026-12-01", "2026-12-01", "2026-12-01", "2026-11-30"}[i]
		a := news.EditionAccount{Edition: news.Edition{ID: news.EditionID(date, zone, 7, i == 5), LocalDate: date, Timezone: zone, Hour: 7, Weekly: i == 5,
			At: time.Date(2026, 12, 1, 1-i, 15, 0, 0, time.UTC)}, Providers: map[string]news.EditionFigures{}, Reasons: map[string]int{}, Opens: 41203, Clicks: 9120}
		add := func(provider string, state news.DigestState, reason string, n, complaints, left int) {
			if n > 0 {
				a.Count(provider, state, reason, n, complaints, left)
			}
		}
		for j, provider := range []string{"gmail", "outlook", "yahoo", "rest"} {
			if i == 0 {
				add(provider, news.DigestDue, "", 1200*(j+1), 0, 0)
				continue
			}
			add(provider, news.DigestSent, "accepted", 12031*i*(j+1), 3*i, 7*i)
			add(provider, news.DigestBounced, news.HardBounce, 25*(j+1), 0, 0)
			add(provider, news.DigestDeferred, "throttled", 310*(5-i), 0, 0)
			add(provider, news.DigestClaimed, "", 50*(5-i), 0, 0)
			add(provider, news.DigestDue, "", 9000*(5-i), 0, 0)
			add(provider, news.DigestUnknown, "no-answer", 3*(j%2), 0, 0)
			add(provider, news.DigestBounced, "policy", 40*(j%2), 0, 0)
			add(provider, news.DigestEmpty, "", 120, 0, 0)
			add(provider, news.DigestSuppressed, "", 4, 0, 0)
		}
		b.list = append(b.list, a)
	}
	at := time.Date(2026, 12, 1, 0, 12, 0, 0, time.UTC)
	b.list[2].Pauses = []news.EditionPause{{Edition: b.list[2].ID, Provider: "gmail", Reason: news.PauseBounces, Detail: "2.1 % of 1,204 mails have no such mailbox", At: at, By: news.SystemName},
		{Edition: b.list[2].ID, Reason: news.PauseEditor, Detail: "The note names the wrong minister", At: at, By: "Cleo"},
		{Edition: b.list[2].ID, Provider: "yahoo", Reason: news.PauseComplaints, Detail: "0.12 % of 9,310 mails were called spam", At: at, By: news.SystemName, ResumedAt: at.Add(time.Minute), ResumedBy: "Ann"}}
	b.list[3].Due++ // does not add up
	return b
}

// The pages of digests hold WCAG 2.2 AA, fit a phone, and follow what happens by
// themselves.
func TestEditionsInChromium(t *testing.T) {
	p := newPressRoom(t, "Ann")
	e := p.morning()
	p.Navigate(p.base + "/desk/editions")
	p.Until(`document.querySelector(".editions a")?.textContent === "Tokyo 07:00"`)
	_, err := p.PauseEdition(t.Context(), news.EditionPause{Edition: e.ID, Provider: "gmail", Reason: news.PauseContent, Detail: "3.4 % of 88 mails were refused for what is in them", By: news.SystemName})
	p.must(err)
	p.Until(`document.querySelector(".pause")?.textContent.includes("3.4 % of 88 mails")`)
	p.Eval(`document.querySelector(".pause button").click()`)
	p.Until(`document.readyState === "complete" && document.querySelector(".editions") && !document.querySelector(".pause")`)
	if open, err := p.OpenPauses(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("%v, %v", open, err)
	}

	crowd := crowded()
	crowd.EditionStore, p.desk.editions = p.Store, crowd
	p.pages.editionTurn.Add(1)
	p.Navigate(p.base + "/desk/editions")
	p.look("editions")
	p.Navigate(p.base + "/desk/editions/one?id=" + url.QueryEscape(crowd.list[2].ID))
	p.Eval(`document.querySelector(".pausing").open = true`)
	p.look("edition")
}

// The plan is written with the keyboard's Enter and the buttons, and the mail in its
// cage follows the switch of the theme.
func TestThePlanInChromium(t *testing.T) {
	p := newPressRoom(t, "Ann")
	if html, err := os.ReadFile("../digest/testdata/digest.en.html"); err == nil {
		p.digests.made.HTML = string(html)
	}
	for i := range 9 {
		p.digests.made.Stories = append(p.digests.made.Stories, news.DigestChoice{URI: storyAt(i), Headline: "Headline of a story that is long enough to need more than one line on a phone", Section: "politics",
			Reason: []string{"chosen", "pushed", "no-room"}[i%3]})
	}
	p.Navigate(p.base + "/desk/digest?date=2026-12-05")
	p.Eval(`document.querySelector("[name=add]").click()`)
	p.Until(`document.querySelector("[name='note.en']") !== null && document.readyState === "complete"`)
	p.Eval(`(() => { const note = document.querySelector("[name='note.en']"); note.value = "おはよう, good morning"; note.dispatchEvent(new Event("input", {bubbles: true})); })()`)
	p.Until(`document.querySelector(".note .length").textContent === "22 of 600 columns"`)
	p.Eval(`document.querySelector("[name=pin][value='` + storyAt(0) + `']").click()`)
	p.Until(`document.querySelector("input[name=pins]") !== null && document.readyState === "complete" && location.hash === "#candidates"`)
	p.Until(`document.querySelectorAll(".mails iframe").length === 2`)
	p.look("digest")
	p.Eval(`document.getElementById("mail-dark").click()`)
	p.Until(`getComputedStyle(document.querySelector(".mails iframe")).colorScheme === "dark"`)
	p.Eval(`document.querySelector(".save .button").click()`)
	p.Until(`location.search.includes("date=2026-12-05") && document.querySelector("form.plan:not([data-unsaved])") !== null && document.readyState === "complete"`)
	if plan := p.stored("2026-12-05", false); plan.Notes["en"] != "おはよう, good morning" || len(plan.Pins) != 1 {
		t.Errorf("%+v", plan)
	}
	p.isOvertaken()
}

// isOvertaken saves a plan that another changed meanwhile: what was typed stays, and
// whose words it would go over is shown.
func (p *pressRoom) isOvertaken() {
	p.t.Helper()
	theirs := p.stored("2026-12-05", false)
	theirs.Notes, theirs.Drops = map[string]string{"en": "Good morning from Cleo", "ja": "おはようございます"}, []string{storyAt(2)}
	_, err := p.SetEditionPlan(p.t.Context(), theirs, "Cleo")
	p.must(err)
	p.Eval(`(() => { const note = document.querySelector("[name='note.en']"); note.value = "My own note"; note.dispatchEvent(new Event("input", {bubbles: true})); })()`)
	p.Eval(`document.querySelector(".save .button").click()`)
	p.Until(`document.querySelector(".theirs")?.textContent.includes("Good morning from Cleo") && document.readyState === "complete"`)
	if got := p.Eval(`document.querySelector("[name='note.en']").value`); got != "My own note" {
		p.t.Errorf("what was typed is %q now", got)
	}
	p.look("conflict")
	p.Eval(`document.querySelector(".save .button").click()`)
	p.Until(`document.querySelector("form.plan:not([data-unsaved])") !== null && document.readyState === "complete"`)
	if plan := p.stored("2026-12-05", false); plan.Notes["en"] != "My own note" || plan.ChangedBy != "Ann" {
		p.t.Errorf("%+v", plan)
	}
}

// A reporter reads it all, and is offered nothing that she may not do.
func TestAReporterReadsTheDigestInChromium(t *testing.T) {
	p := newPressRoom(t, "Rika")
	p.morning()
	p.must(func() error {
		_, err := p.SetEditionPlan(t.Context(), news.EditionPlan{LocalDate: "2026-12-02", Notes: map[string]string{"en": "Good morning"}, Pins: []string{storyAt(1)}}, "Cleo")
		return err
	}())
	p.Navigate(p.base + "/desk/digest?date=2026-12-02")
	p.look("reporter")
	p.Eval(`(() => { document.getElementById("as").value = "ja"; document.querySelector("form.plan .button.quiet").click(); })()`)
	p.Until(`location.search.includes("as=ja") && document.readyState === "complete"`)
	if got := p.Eval(`String(document.querySelectorAll("form.plan [name=pin], form.plan [name=to], form.plan .save").length)`); got != "0" {
		t.Errorf("%s buttons are offered to a reporter", got)
	}
}
