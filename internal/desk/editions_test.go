package desk

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
	"dateline/templates"
)

// Everybody reads the figures; buttons are for editors and chiefs.
func TestEditionsAreShown(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		e := p.morning()
		weekly := news.Edition{ID: news.EditionID("2026-11-28", "Asia/Jakarta", 8, true), LocalDate: "2026-11-28", Timezone: "Asia/Jakarta", Hour: 8, Weekly: true,
			At: time.Date(2026, 11, 28, 1, 0, 0, 0, time.UTC)}
		p.mails(weekly, "gmail", news.DigestSent, "", 1)
		_, err := p.PauseEdition(t.Context(), news.EditionPause{Edition: e.ID, Provider: "gmail", Reason: news.PauseBounces,
			Detail: "2.1 % of 1,204 mails have no such mailbox", By: news.SystemName})
		p.must(err)
		for _, name := range []string{"Cleo", "Ann", "Rika"} {
			cookie := p.as(name)
			list := p.page(cookie, "/desk/editions", 200)
			has(t, "the list", list, "Tue 1 Dec 2026", "Tokyo 07:00", "30 Nov 22:00 UTC", "Paused for Gmail:</strong> <bdi>2.1 % of 1,204 mails have no such mailbox",
				`<td class="n">11</td>`, `aria-label="8 of 11 over, 3 sent"`, `<td class="n loud">2</td>`, `href="/desk/editions">Digests</a>`)
			lacks(t, "the list", list, "Jakarta", "Does not add up")
			has(t, "a date", p.page(cookie, "/desk/editions?date=2026-11-28", 200), "Jakarta 08:00, weekly", "Sat 28 Nov 2026")
			one := p.page(cookie, onePath(e), 200)
			has(t, "the edition", one, "Adds up", "By provider", "Outlook", "1 (25.0 %)", "Mend SPF, DKIM and DMARC", "nobody was suppressed", "Tracking is off",
				"Nobody ended the digest by this mail", "not counted")
			buttons := []string{">Resume Gmail</button>", "Pause this edition", `name="count"`}
			if name == "Rika" {
				lacks(t, "a reporter's page", list+one, buttons...)
				lacks(t, "a reporter's page", list, "Pause an edition")
			} else {
				has(t, name+"'s page", one, buttons...)
				has(t, name+"'s list", list, buttons[0], "Pause an edition")
			}
		}
		cookie := p.as("Ann")
		p.desk.counted = true
		p.must(p.CountVisit(t.Context(), e.ID, ""))
		p.pages.editionTurn.Add(1)
		one := p.page(cookie, onePath(e), 200)
		has(t, "the edition", one, "<dt>opens</dt><dd>1</dd>")
		lacks(t, "the edition", one, "Tracking is off")
		p.page(cookie, "/desk/editions?date=yesterday", 400)
		p.page(cookie, "/desk/editions/one?id=2026-12-01+09+Asia/Tokyo", 404)
		p.page(cookie, "/desk/editions/one?id=x", 400)
		has(t, "an empty day", p.page(cookie, "/desk/editions?date=2026-10-01", 200), "No edition was planned")
		if got := p.ask("GET", "/desk/editions", "", nil); got.status != http.StatusSeeOther {
			t.Errorf("a stranger: %d", got.status)
		}
	})
}

// Figures that do not add up are said aloud, in all or within a provider.
func TestWhatDoesNotAddUpIsLoud(t *testing.T) {
	good := news.EditionFigures{Due: 3, Sent: 2, Waiting: 1}
	for name, c := range map[string]struct {
		all, gmail news.EditionFigures
		loud       bool
	}{
		"it does":           {good, good, false},
		"one is in none":    {news.EditionFigures{Due: 4, Sent: 2, Waiting: 1}, good, true},
		"another sum":       {good, news.EditionFigures{Due: 2, Sent: 1, Waiting: 1}, true},
		"within a provider": {good, news.EditionFigures{Due: 3, Sent: 3, Waiting: 1}, true},
	} {
		a := news.EditionAccount{Edition: tokyo(), EditionFigures: c.all, Providers: map[string]news.EditionFigures{"gmail": c.gmail}}
		floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: officeOrigin})
		if err != nil {
			t.Fatal(err)
		}
		dates := datesOf([]news.EditionAccount{a})
		list, err := floor.Part("desk/editions", "live", editionsLive{Dates: dates})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(list, `class="wrong">Does not add up`); got != c.loud || (dates[0].Wrong != "") != c.loud {
			t.Errorf("%s: loud is %v", name, got)
		}
	}
}

func TestStateOfAnEdition(t *testing.T) {
	open := []news.EditionPause{{Reason: news.PauseEditor}}
	for want, a := range map[editionState]news.EditionAccount{
		editionPlanned: {EditionFigures: news.EditionFigures{Due: 2, Waiting: 2}},
		editionSending: {EditionFigures: news.EditionFigures{Due: 2, Deferred: 1, Sent: 1}},
		editionPaused:  {EditionFigures: news.EditionFigures{Due: 2, Waiting: 1, Sent: 1}, Pauses: open},
		editionDone:    {EditionFigures: news.EditionFigures{Due: 2, Unknown: 1, Sent: 1}, Pauses: open},
	} {
		if got := stateOf(&a); got != want {
			t.Errorf("%+v is %s, want %s", a.EditionFigures, got, want)
		}
	}
}

// Editors pause and resume, for all and for a provider; a reporter does not, and
// what was refused changes nothing.
func TestEditionsPauseAndResume(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		e := p.morning()
		send := func(who, what string, form url.Values, want int) answer {
			t.Helper()
			got := p.ask("POST", "/desk/editions/"+what, p.as(who), form)
			if got.status != want {
				t.Fatalf("%s by %s: %d, want %d: %s", what, who, got.status, want, problemOn(got.text))
			}
			return got
		}
		gmail := url.Values{"id": {e.ID}, "provider": {"gmail"}, "reason": {" the  note is wrong "}}
		refused := send("Rika", "pause", gmail, 403)
		has(t, "the refusal", refused.text, "That is not for you", "Chiefs here", "Cleo")
		send("Rika", "resume", gmail, 403)
		send("Rika", "resend", url.Values{"id": {e.ID}, "count": {"2"}}, 403)
		send("Ann", "pause", url.Values{"id": {e.ID}, "provider": {"nobody.example"}}, 400)
		send("Ann", "resume", gmail, 409)
		for _, a := range []string{"", "2026-12-01 25 Asia/Tokyo", "../../etc"} {
			send("Ann", "pause", url.Values{"id": {a}}, 400)
		}
		send("Ann", "pause", url.Values{"id": {"2026-12-01 07 Asia/Seoul"}}, 404)
		if open, err := p.OpenPauses(t.Context()); err != nil || len(open) != 0 {
			t.Fatalf("what was refused paused: %v, %v", open, err)
		}

		if got := send("Ann", "pause", gmail, 303); got.where != "/desk/editions" {
			t.Errorf("to %s", got.where)
		}
		if got := p.trail(1); got != "Ann: pause-edition edition/"+e.ID+" editor, gmail: the note is wrong" {
			t.Error(got)
		}
		again := send("Ann", "pause", gmail, 409)
		has(t, "a second pause", again.text, "It is paused for Gmail already.", `value=" the  note is wrong "`)
		has(t, "the list", p.page(p.as("Rika"), "/desk/editions", 200), "the note is wrong", "by <bdi>Ann</bdi>", `<span class="mark is-paused">`)
		if got := send("Cleo", "pause", url.Values{"id": {e.ID}, "at": {"one"}}, 303); got.where != onePath(e) {
			t.Errorf("to %s", got.where)
		}
		has(t, "the edition", p.page(p.as("Ann"), onePath(e), 200), "Paused for everybody:", "by hand, without a reason given", "Resume all of it", "Resume Gmail")
		send("Ann", "resume", url.Values{"id": {e.ID}, "provider": {"gmail"}, "at": {"one"}}, 303)
		send("Ann", "resume", url.Values{"id": {e.ID}}, 303)
		has(t, "the edition", p.page(p.as("Ann"), onePath(e), 200), "Pauses that ended", "Resumed by <bdi>Ann</bdi>")
		has(t, "who did what", p.page(p.as("Ann"), "/desk/audit", 200), "digest of Tokyo 07:00, Tue 1 Dec 2026", `href="/desk/editions/one?id=2026-12-01&#43;07&#43;Asia%2FTokyo"`)
	})
}

// Mails of which nobody knows go again when an editor types how many there are.
func TestUnknownMailsAreResent(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		e := p.morning()
		cookie := p.as("Ann")
		for typed, want := range map[string]int{"": 400, "two": 400, "0": 400, "-2": 400, "3": 409, "99999999999999999999": 400} {
			got := p.ask("POST", "/desk/editions/resend", cookie, url.Values{"id": {e.ID}, "at": {"one"}, "count": {typed}})
			if got.status != want || problemOn(got.text) == "" {
				t.Errorf("%q: %d, %q", typed, got.status, problemOn(got.text))
			}
			if typed == "3" {
				has(t, "the conflict", got.text, "2 mails of this edition are unknown, not 3", `value="3"`)
			}
		}
		if a, _ := p.Edition(t.Context(), e.ID); a.Unknown != 2 {
			t.Fatalf("what was refused left %d unknown", a.Unknown)
		}
		if got := p.ask("POST", "/desk/editions/resend", cookie, url.Values{"id": {e.ID}, "at": {"one"}, "count": {" 2 "}}); got.status != 303 {
			t.Fatalf("resend: %d, %s", got.status, problemOn(got.text))
		}
		if got := p.trail(1); got != "Ann: resend-unknown edition/"+e.ID+" 2 mails" {
			t.Error(got)
		}
		lacks(t, "the edition", p.page(cookie, onePath(e), 200), `name="count"`)
	})
}

// A form of another site presses nothing, and what others wrote is text.
func TestT74_T81_EditionsAreNotForStrangers(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	e := tokyo()
	p.mails(e, evil, news.DigestBounced, evil, 1)
	p.mails(e, "gmail", news.DigestDue, "", 1)
	_, err := p.PauseEdition(t.Context(), news.EditionPause{Edition: e.ID, Reason: news.PauseContent, Detail: evil, By: evil})
	p.must(err)
	_, err = p.PauseEdition(t.Context(), news.EditionPause{Edition: evil, Provider: evil, Reason: news.PauseReason(evil), By: news.SystemName})
	p.must(err)
	p.story("https://news.example/evil", evil)
	_, err = p.SetEditionPlan(t.Context(), news.EditionPlan{LocalDate: "2026-12-02", Notes: map[string]string{"en": evil, evil: evil},
		Pins: []string{"https://news.example/evil", evil}, Drops: []string{evil + "2"}}, evil)
	p.must(err)
	p.digests.made = news.DigestPreview{Subject: evil, Preheader: evil, HTML: evil, Text: evil, Stories: []news.DigestChoice{{URI: evil, Headline: evil, Section: evil, Reason: evil},
		{URI: evil + "3", Headline: evil, Section: evil, Reason: "chosen", Lead: true}}}
	p.digests.receipt = news.Receipt{Outcome: news.Refused, Reason: evil, Detail: "550 " + evil}
	cookie := p.as("Ann")
	pages := map[string]string{}
	for _, path := range []string{"/desk/editions", onePath(e), "/desk/digest", "/desk/digest?regions=" + url.QueryEscape(evil) + "&zone=" + url.QueryEscape(evil) + "&as=" + url.QueryEscape(evil),
		"/desk/digest?words=script"} {
		pages[path] = p.page(cookie, path, 200)
	}
	test := p.ask("POST", "/desk/digest/test", cookie, url.Values{"date": {"2026-12-05"}, "to": {"ann@example.org"}, "languages": {"en"}, "note.en": {evil}})
	pages["a test"] = test.text
	has(t, "a test", test.text, "It was refused.")
	pages["a refused form"] = p.ask("POST", "/desk/digest", cookie, url.Values{"date": {"2026-12-05"}, "pins": {evil}, "languages": {evil}, "note." + evil: {evil}, "to": {evil}, "uri": {evil}}).text
	for what, body := range pages {
		lacks(t, what, body, "<script>alert", "<img src=x", `'><script`)
		has(t, what, body, "&lt;script&gt;alert(1)")
	}

	before := p.trail(1)
	for path, form := range map[string]url.Values{"/desk/editions/pause": {"id": {e.ID}, "provider": {"gmail"}}, "/desk/editions/resume": {"id": {e.ID}},
		"/desk/editions/resend": {"id": {e.ID}, "count": {"1"}}, "/desk/digest": {"date": {"2026-12-05"}}, "/desk/digest/test": {"to": {"a@example.org"}}} {
		for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set(header[0], header[1])
			r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
			w := httptest.NewRecorder()
			if p.handler.ServeHTTP(w, r); w.Code != http.StatusForbidden {
				t.Errorf("%s with %s: %d", path, header, w.Code)
			}
		}
		if got := p.ask("POST", path, "", form); got.status != 303 || !strings.HasPrefix(got.where, "/desk/signin?next=%2Fdesk%2F") {
			t.Errorf("%s without a session: %d to %s", path, got.status, got.where)
		}
	}
	if got := p.trail(1); got != before || len(p.digests.sent) != 1 {
		t.Errorf("a foreign form did something: %s", got)
	}
}

// Without a store of editions there are neither pages nor doors: a drill has none.
func TestWithoutEditionsThereAreNoPages(t *testing.T) {
	l := newLobby(t)
	for _, path := range []string{"/desk/editions", "/desk/digest"} {
		if got := l.ask(t, "GET", path, l.as(ann), nil); got.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, got.StatusCode)
		}
	}
	newDoors(t).want(t, 404, "Ann", "GET", "/api/v1/editions", "")
}

// Open pages are one query, and whoever pressed sees what came of it.
func TestOpenEditionPagesShareTheirFigures(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	e := p.morning()
	asked := &asking{EditionStore: p.Store}
	p.desk.editions = asked
	cookie := p.as("Ann")
	for range 5 {
		p.page(cookie, "/desk/editions", 200)
		p.page(cookie, onePath(e), 200)
	}
	if asked.lists != 1 || asked.ones != 1 {
		t.Errorf("%d lists and %d editions were read", asked.lists, asked.ones)
	}
	if got := p.ask("POST", "/desk/editions/pause", cookie, url.Values{"id": {e.ID}}); got.status != 303 {
		t.Fatal(got.status)
	}
	has(t, "the list after a press", p.page(cookie, "/desk/editions", 200), "Paused for everybody")
	asked.broken = errors.New("the store is away")
	p.pages.editionTurn.Add(1)
	p.page(cookie, "/desk/editions", 500)
}

type asking struct {
	EditionStore
	lists, ones int
	broken      error
}

func (a *asking) Editions(ctx context.Context, from, until time.Time) ([]news.EditionAccount, error) {
	a.lists++
	if a.broken != nil {
		return nil, a.broken
	}
	return a.EditionStore.Editions(ctx, from, until)
}

func (a *asking) Edition(ctx context.Context, id string) (news.EditionAccount, error) {
	a.ones++
	return a.EditionStore.Edition(ctx, id)
}

// The words of package email's and package digest's reasons are here, by their
// names alone: a new one there needs words.
func TestEveryReasonHasWords(t *testing.T) {
	for _, c := range []struct {
		file, pattern string
		words         func(string) string
		none          string
	}{
		{"../email/receipt.go", `Reason\w+\s*= "([a-z-]+)"`, reasonWords, "The mail server's reason has no words here yet."},
		{"../digest/choose.go", `"([a-z-]+)"[,}]`, choiceReason, ""},
	} {
		source, err := os.ReadFile(c.file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(c.pattern).FindAllSubmatch(source, -1)
		if len(found) < 5 {
			t.Fatalf("%s: %d reasons; the test looks at nothing", c.file, len(found))
		}
		for _, m := range found {
			reason := string(m[1])
			if got := c.words(reason); reason != "none" && reason != "accepted" && (got == c.none || got == reason+".") {
				t.Errorf("%s of %s has no words", reason, c.file)
			}
		}
	}
}

// Every mailbox provider of the mail's table has a name on the desk.
func TestEveryProviderHasAName(t *testing.T) {
	source, err := os.ReadFile("../email/providers.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`\{Name: "([a-z0-9]+)", Label: "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 5 {
		t.Fatalf("%d providers; the test looks at nothing", len(found))
	}
	for _, m := range found {
		if got := providerName(m[1]); got != m[2] {
			t.Errorf("%s is called %q on the desk and %q in the manual", m[1], got, m[2])
		}
	}
}

// The pages of digests are framed by nobody, and a hundred megabytes are not read.
func TestT78_T86_EditionsTakeNoFloodAndNoFrame(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	e := p.morning()
	cookie := p.as("Ann")
	for _, path := range []string{"/desk/editions", onePath(e), "/desk/digest"} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, http.NoBody)
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if policy := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe-inline") {
			t.Errorf("%s: %d, %q", path, w.Code, policy)
		}
	}
	for _, path := range []string{"/desk/editions/pause", "/desk/editions/resume", "/desk/editions/resend", "/desk/digest", "/desk/digest/test"} {
		body := &flood{left: 100 << 20}
		r := httptest.NewRequestWithContext(t.Context(), "POST", path, body)
		r.ContentLength = -1
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
		w := httptest.NewRecorder()
		p.handler.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 || body.read > 2*bodyLimit {
			t.Errorf("%s: %d after %d bytes", path, w.Code, body.read)
		}
	}
}

// A bar is never longer than its mails, and shows each of them once.
func TestBarsAreAsLongAsTheirMails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f news.EditionFigures
		states := []news.DigestState{news.DigestDue, news.DigestClaimed, news.DigestStarted, news.DigestSent, news.DigestDeferred, news.DigestBounced,
			news.DigestUnknown, news.DigestExpired, news.DigestSuppressed, news.DigestEmpty}
		for _, s := range states {
			f.Add(s, rapid.IntRange(0, 100_000).Draw(t, string(s)))
		}
		end := 0.0
		for _, part := range barOf(&f).Parts {
			x, err1 := strconv.ParseFloat(part.X, 64)
			width, err2 := strconv.ParseFloat(part.Width, 64)
			if err1 != nil || err2 != nil || width < 0 || math.Abs(x-end) > 0.3 {
				t.Fatalf("%+v begins at %v, the one before ends at %v", part, x, end)
			}
			end = x + width
		}
		want := 0.0
		if f.Due > 0 {
			want = 100 * float64(f.Due-f.Waiting) / float64(f.Due)
		}
		if math.Abs(end-want) > 0.3 {
			t.Fatalf("the bar of %+v ends at %v, not at %v", f, end, want)
		}
		for n, words := range map[int]string{f.Due: grouped(f.Due), -f.Due: grouped(-f.Due)} {
			if back, err := strconv.Atoi(strings.ReplaceAll(words, ",", "")); err != nil || back != n {
				t.Fatalf("%d is written %s", n, words)
			}
		}
	})
	if got := grouped(1204) + " " + grouped(-999) + " " + grouped(1234567); got != "1,204 -999 1,234,567" {
		t.Error(got)
	}
}
