package desk

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

func storyAt(i int) string { return fmt.Sprint("https://news.example/", i) }

// planForm is a form that can be saved.
func planForm() url.Values {
	return url.Values{"date": {"2026-12-05"}, "version": {"0"}, "languages": {"en", "ja"}, "note.en": {" Good  morning\r\n<b>all</b>\u202e "}, "note.ja": {"おはようございます"},
		"pins": {storyAt(1), storyAt(0)}, "drops": {storyAt(2)}}
}

func (p *press) stored(date string, weekly bool) news.EditionPlan {
	p.t.Helper()
	plan, err := p.desk.plan(p.t.Context(), date, weekly)
	p.must(err)
	plan.ChangedAt = time.Time{}
	return plan
}

// A plan is written, cleaned and kept; a reporter reads it.
func TestAPlanIsWritten(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		if got := p.ask("POST", "/desk/digest", p.as("Rika"), planForm()); got.status != 403 {
			t.Errorf("a reporter: %d", got.status)
		}
		got := p.ask("POST", "/desk/digest", p.as("Ann"), planForm())
		if got.status != 303 || got.where != "/desk/digest?date=2026-12-05" {
			t.Fatalf("%d to %s: %s", got.status, got.where, problemOn(got.text))
		}
		want := news.EditionPlan{LocalDate: "2026-12-05", Notes: map[string]string{"en": "Good morning <b>all</b>", "ja": "おはようございます"},
			Pins: []string{storyAt(1), storyAt(0)}, Drops: []string{storyAt(2)}, Version: 1, ChangedBy: "Ann"}
		if diff := cmp.Diff(want, p.stored("2026-12-05", false)); diff != "" {
			t.Error(diff)
		}
		if weekly := p.stored("2026-12-05", true); weekly.Version != 0 {
			t.Errorf("it is the weekly's, too: %+v", weekly)
		}
		for _, name := range []string{"Cleo", "Ann", "Rika"} {
			page := p.page(p.as(name), "/desk/digest?date=2026-12-05", 200)
			has(t, "the page of "+name, page, "Digest of Sat 5 Dec 2026", "Good morning &lt;b&gt;all&lt;/b&gt;", "おはようございます", "Last changed by <bdi>Ann</bdi>", "Headline 1", "Headline 2",
				"Quake off Japan", "41 KB of 80", "3 min", `sandbox=""`, "Opens the mail: it has the most points.", "Older than what an edition takes")
			lacks(t, "the page of "+name, page, "Not saved yet")
			if name == "Rika" {
				lacks(t, "a reporter's page", page, "Save the plan", "Send the test", `name="pin"`, `method="post" action="/desk/digest"`)
			} else {
				has(t, "the page of "+name, page, "Save the plan", "Send the test", `name="pin"`, "18 of 600 columns")
			}
		}
		weekly := planForm()
		weekly.Set("weekly", "1")
		if got := p.ask("POST", "/desk/digest", p.as("Cleo"), weekly); got.where != "/desk/digest?date=2026-12-05&weekly=1" {
			t.Errorf("weekly: %d to %s, %s", got.status, got.where, problemOn(got.text))
		}
		page := p.page(p.as("Ann"), "/desk/digest", 200)
		has(t, "without a date", page, "Digest of Wed 2 Dec 2026", "No", "Nothing is pinned.")
		has(t, "the weekly without a date", p.page(p.as("Ann"), "/desk/digest?weekly=1", 200), "Weekly digest of Sat 5 Dec 2026")
		has(t, "a date that is none", p.page(p.as("Ann"), "/desk/digest?date=soon", 400), "must be a date", "Digest of Wed 2 Dec 2026")
	})
}

// What can't be is refused with words that say which and why; nothing changes and
// what was typed stays.
func TestPlansThatAreRefused(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	cookie := p.as("Ann")
	many := make([]string, news.MaxDrops+1)
	for i := range many {
		many[i] = storyAt(i)
	}
	for name, c := range map[string]struct {
		field string
		value []string
		says  string
	}{
		"an unknown pin":    {"pins", []string{"https://news.example/none"}, "is the uri of no story that was published here"},
		"an unknown drop":   {"drops", []string{"no uri"}, "is the uri of no story that was published here"},
		"both":              {"drops", []string{storyAt(0)}, "it can&#39;t be both"},
		"twice":             {"pins", []string{storyAt(1), storyAt(1)}, "names a story twice"},
		"six pins":          {"pins", []string{"1", "2", "3", "4", "5", "6"}, "has 6 stories; at most 5"},
		"51 drops":          {"drops", many, "has 51 stories; at most 50"},
		"an empty uri":      {"pins", []string{" "}, "names no story"},
		"a long note":       {"note.en", []string{strings.Repeat("漢", 301)}, "The note in English is 602 columns long"},
		"a heavy note":      {"note.en", []string{strings.Repeat("👩\u200d", 2000) + "a"}, "columns long; a note may have 600"},
		"nothing visible":   {"note.en", []string{"\u3164"}, "has nothing to be seen"},
		"no language":       {"languages", []string{"klingon is none"}, "is not a language tag"},
		"a Friday's weekly": {"weekly", []string{"1"}, "is a Friday: a weekly digest comes on a Saturday"},
		"over":              {"date", []string{"2026-11-29"}, "is over everywhere"},
		"far ahead":         {"date", []string{"2028-01-01"}, "is more than a year ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			form := planForm()
			form["note.klingon is none"] = []string{"Qapla"}
			if c.field == "weekly" {
				form.Set("date", "2026-12-04")
			}
			form[c.field] = c.value
			got := p.ask("POST", "/desk/digest", cookie, form)
			if got.status != http.StatusBadRequest {
				t.Fatalf("%d", got.status)
			}
			has(t, "the refusal", got.text, `role="alert"`, c.says)
			if c.field != "languages" {
				has(t, "the refusal", got.text, "おはようございます", "Not saved yet.")
			}
			if plan := p.stored(form.Get("date"), form.Has("weekly")); plan.Version != 0 {
				t.Errorf("it was saved: %+v", plan)
			}
		})
	}
	for name, form := range map[string]url.Values{"no date": {"date": {"tomorrow"}}, "no kind": {"weekly": {"perhaps"}}} {
		if got := p.ask("POST", "/desk/digest", cookie, form); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, got.status)
		}
	}
}

// Two editors at once: the second is told who was first, and keeps her words.
func TestAPlanIsNotWrittenOver(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		if got := p.ask("POST", "/desk/digest", p.as("Cleo"), planForm()); got.status != 303 {
			t.Fatal(got.status)
		}
		mine := planForm()
		mine.Set("note.en", "My own note")
		cookie := p.as("Ann")
		got := p.ask("POST", "/desk/digest", cookie, mine)
		if got.status != http.StatusConflict {
			t.Fatalf("%d", got.status)
		}
		has(t, "the conflict", got.text, "Cleo changed this plan at", "My own note", "What <bdi>Cleo</bdi> saved", "Good morning &lt;b&gt;all", `name="version" value="1"`)
		if plan := p.stored("2026-12-05", false); plan.ChangedBy != "Cleo" || plan.Version != 1 {
			t.Errorf("%+v", plan)
		}
		mine.Set("version", regexp.MustCompile(`name="version" value="(\d+)"`).FindStringSubmatch(got.text)[1])
		if got := p.ask("POST", "/desk/digest", cookie, mine); got.status != 303 {
			t.Fatalf("saved over: %d, %s", got.status, problemOn(got.text))
		}
		if plan := p.stored("2026-12-05", false); plan.Notes["en"] != "My own note" || plan.Version != 2 {
			t.Errorf("%+v", plan)
		}
	})
}

// The buttons of the form change it and save nothing; the mail is made from the
// form as it is.
func TestPlanButtonsSaveNothing(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	cookie := p.as("Ann")
	for name, c := range map[string]struct {
		button, value string
		pins, drops   []string
		notes         map[string]string
	}{
		"pin":            {"pin", storyAt(3), []string{storyAt(1), storyAt(0), storyAt(3)}, []string{storyAt(2)}, nil},
		"pin a dropped":  {"pin", storyAt(2), []string{storyAt(1), storyAt(0), storyAt(2)}, []string{}, nil},
		"unpin":          {"unpin", storyAt(1), []string{storyAt(0)}, []string{storyAt(2)}, nil},
		"up":             {"up", storyAt(0), []string{storyAt(0), storyAt(1)}, []string{storyAt(2)}, nil},
		"up the first":   {"up", storyAt(1), []string{storyAt(1), storyAt(0)}, []string{storyAt(2)}, nil},
		"drop a pinned":  {"drop", storyAt(1), []string{storyAt(0)}, []string{storyAt(2), storyAt(1)}, nil},
		"let in":         {"undrop", storyAt(2), []string{storyAt(1), storyAt(0)}, []string{}, nil},
		"pin by uri":     {"byuri", "pin", []string{storyAt(1), storyAt(0), storyAt(3)}, []string{storyAt(2)}, nil},
		"drop by uri":    {"byuri", "drop", []string{storyAt(1), storyAt(0)}, []string{storyAt(2), storyAt(3)}, nil},
		"show":           {"show", "1", []string{storyAt(1), storyAt(0)}, []string{storyAt(2)}, nil},
		"remove a note":  {"remove", "ja", []string{storyAt(1), storyAt(0)}, []string{storyAt(2)}, map[string]string{"en": "Good morning <b>all</b>"}},
		"add a language": {"add", "1", []string{storyAt(1), storyAt(0)}, []string{storyAt(2)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			p.digests.wishes = nil
			form := planForm()
			form.Set("uri", " "+storyAt(3)+" ")
			form.Set("language", "ko")
			form.Set(c.button, c.value)
			got := p.ask("POST", "/desk/digest", cookie, form)
			if got.status != 200 || len(p.digests.wishes) != 1 {
				t.Fatalf("%d, %d previews: %s", got.status, len(p.digests.wishes), problemOn(got.text))
			}
			plan := p.digests.wishes[0].Plan
			want := news.EditionPlan{LocalDate: "2026-12-05", Notes: c.notes, Pins: c.pins, Drops: c.drops}
			if want.Notes == nil {
				want.Notes = map[string]string{"en": "Good morning <b>all</b>", "ja": "おはようございます"}
			}
			if plan == nil {
				t.Fatal("the stored plan was looked at")
			}
			if diff := cmp.Diff(want, *plan); diff != "" {
				t.Error(diff)
			}
			has(t, "the form", got.text, "Not saved yet.")
			if name == "add a language" {
				has(t, "the form", got.text, `name="note.ko"`)
			}
		})
	}
	if plan := p.stored("2026-12-05", false); plan.Version != 0 {
		t.Errorf("a button saved: %+v", plan)
	}
	found := p.ask("POST", "/desk/digest", cookie, url.Values{"date": {"2026-12-05"}, "words": {"hEADline 3"}, "find": {"1"}})
	has(t, "the search", found.text, `value="`+storyAt(3)+`"`)
	lacks(t, "the search", found.text, `name="pin" value="`+storyAt(2)+`" formaction="/desk/digest#candidates">Pin<span class="sr">: Headline 2`)
	has(t, "a search in vain", p.page(cookie, "/desk/digest?words=zeppelin", 200), "No recent story has these words.")
}

// The imagined reader is read as an alert's audience is, and what can't be read is
// said in its place.
func TestTheImaginedReader(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	cookie := p.as("Rika")
	q := url.Values{"date": {"2026-12-05"}, "regions": {"ASEAN and Taiwan, without Thailand"}, "sections": {"disaster", "nonsense"}, "as": {"ja"}, "zone": {"Asia/Tokyo"}, "hour": {"6"}}
	p.page(cookie, "/desk/digest?"+q.Encode(), 200)
	want := news.DigestWish{LocalDate: "2026-12-05", Hour: 6, Wishes: news.Wishes{Language: "ja", Timezone: "Asia/Tokyo",
		Preference: news.Preference{Regions: []string{"ASEAN", "TW"}, Muted: []string{"TH"}, Sections: []string{"disaster"}, Level: news.LevelNotice}}}
	if diff := cmp.Diff(want, p.digests.wishes[0]); diff != "" {
		t.Error(diff)
	}
	p.digests.wishes = nil
	for field, says := range map[string]string{"regions": "Atlantis", "zone": "Choose a zone such as Asia/Tokyo."} {
		q := url.Values{field: {"Atlantis"}}
		has(t, field, p.page(cookie, "/desk/digest?"+q.Encode(), 200), says, "Say which reader is meant")
	}
	if len(p.digests.wishes) != 0 {
		t.Error("nobody was looked at as a reader")
	}
	p.page(cookie, "/desk/digest", 200)
	if got := p.digests.wishes[0].Wishes.Preference.Regions; !slices.Equal(got, []string{asia}) {
		t.Errorf("without a choice she follows %v", got)
	}
	for expr, want := range map[string][2][]string{"JP": {{"JP"}, nil}, "ASEAN + TW - TH - MY": {{"ASEAN", "TW"}, {"TH", "MY"}}, "142 - JP + JP": {{"142", "JP"}, {}}, "JP-13 + 035": {{"JP-13", "035"}, nil}} {
		regions, muted := followed(expr)
		if diff := cmp.Diff(want, [2][]string{regions, muted}); diff != "" {
			t.Errorf("%s: %s", expr, diff)
		}
	}
}

// The mail is shown in a cage, to whoever asked for it and nobody else.
func TestTheMailIsShownInACage(t *testing.T) {
	p := newPress(t, storetest.SQLite(t))
	cookie := p.as("Ann")
	page := p.page(cookie, "/desk/digest", 200)
	frames := regexp.MustCompile(`<iframe src="(/desk/digest/mail/[A-Z0-9]+)" sandbox=""[^>]* width="(\d+)"`).FindAllStringSubmatch(page, -1)
	if len(frames) != 2 || frames[0][2] != "360" || frames[1][2] != "640" {
		t.Fatalf("%v", frames)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", frames[0][1], http.NoBody)
	r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, r)
	policy := w.Header().Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "img-src https: data:", "style-src 'unsafe-inline'", "form-action 'none'", "frame-ancestors 'self'", "sandbox"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the cage lacks %s: %s", want, policy)
		}
	}
	if w.Code != 200 || w.Body.String() != p.digests.made.HTML || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %v, %s", w.Code, w.Header(), w.Body)
	}
	p.page(p.as("Cleo"), frames[0][1], 404)
	p.page(cookie, "/desk/digest/mail/NONE", 404)
	if got := p.ask("GET", frames[0][1], "", nil); got.status != 303 {
		t.Errorf("a stranger: %d", got.status)
	}
	for range lettersKept + 1 {
		p.pages.letters.keep("Ann", "x")
	}
	if len(p.pages.letters.kept) != lettersKept {
		t.Errorf("%d mails are kept", len(p.pages.letters.kept))
	}
	p.pass(lettersFor + time.Second)
	p.page(cookie, frames[1][1], 404)
	for name, c := range map[string]struct {
		made news.DigestPreview
		err  error
		says string
	}{
		"empty":       {news.DigestPreview{Empty: true}, nil, "an empty mail is not sent"},
		"too large":   {news.DigestPreview{Subject: "s", Bytes: 81 << 10}, nil, "81 KB of 80: too large"},
		"unavailable": {news.DigestPreview{}, fmt.Errorf("%w: no mailer", news.ErrUnavailable), "No mailer."},
		"our fault":   {news.DigestPreview{}, fmt.Errorf("pq: secret"), "the log says why"},
	} {
		p.digests.made, p.digests.err = c.made, c.err
		page := p.page(cookie, "/desk/digest", 200)
		has(t, name, page, c.says)
		lacks(t, name, page, "pq: secret", "<iframe")
	}
	p.desk.digests = nil
	has(t, "without a service", p.page(cookie, "/desk/digest", 200), "This process makes no digests")
	if got := p.ask("POST", "/desk/digest/test", cookie, url.Values{"to": {"ann@example.org"}}); got.status != http.StatusServiceUnavailable {
		t.Errorf("a test without a service: %d", got.status)
	}
}

// A test goes to the address typed, with the plan as it is in the form; the trail
// says so without the address, and there are five a minute.
func TestATestMail(t *testing.T) {
	eachPress(t, func(t *testing.T, p *press) {
		form := planForm()
		form.Set("to", "ann@example.org")
		form.Set("as", "ja")
		if got := p.ask("POST", "/desk/digest/test", p.as("Rika"), form); got.status != 403 {
			t.Errorf("a reporter: %d", got.status)
		}
		cookie := p.as("Ann")
		before := p.trail(1)
		for name, to := range map[string]string{"none": "", "two": "a@example.org, b@example.org", "a name": "Ann <ann@example.org>", "no host": "ann", "a header": "ann@example.org\r\nBcc: b@example.org",
			"long": strings.Repeat("a", 250) + "@example.org"} {
			bad := planForm()
			bad.Set("to", to)
			if got := p.ask("POST", "/desk/digest/test", cookie, bad); got.status != 400 || len(p.digests.sent) != 0 {
				t.Errorf("%s: %d, %v", name, got.status, p.digests.sent)
			}
		}
		faulty := planForm()
		faulty.Set("to", "ann@example.org")
		faulty.Set("pins", "none")
		if got := p.ask("POST", "/desk/digest/test", cookie, faulty); got.status != 400 || len(p.digests.sent) != 0 {
			t.Errorf("a plan with faults: %d", got.status)
		}
		if p.trail(1) != before {
			t.Error("what was refused is in the trail")
		}
		got := p.ask("POST", "/desk/digest/test", cookie, form)
		has(t, "the answer", got.text, "The mail server took it.", `value="ann@example.org"`, "おはようございます")
		if len(p.digests.sent) != 1 || p.digests.sent[0] != "ann@example.org" || p.digests.wishes[0].Plan == nil || p.digests.wishes[0].Plan.Notes["ja"] != "おはようございます" {
			t.Errorf("sent %v of %+v", p.digests.sent, p.digests.wishes[0])
		}
		if got := p.trail(1); got != "Ann: test-digest digest/2026-12-05 ja, Asia/Singapore, 07:00: accepted" {
			t.Error(got)
		}
		p.digests.receipt = news.Receipt{Outcome: news.Retry, Reason: "throttled", Detail: "421 4.7.28 slow down"}
		has(t, "a retry", p.ask("POST", "/desk/digest/test", cookie, form).text, "not tried again by itself", "The server said: 421 4.7.28 slow down")
		for range testsPerMinute - 2 {
			p.ask("POST", "/desk/digest/test", cookie, form)
		}
		if got := p.ask("POST", "/desk/digest/test", cookie, form); got.status != http.StatusTooManyRequests || !strings.Contains(got.text, "too many requests (test mails)") && !strings.Contains(got.text, "Too many requests (test mails)") {
			t.Errorf("the sixth: %d, %s", got.status, problemOn(got.text))
		}
		p.pass(time.Minute)
		if got := p.ask("POST", "/desk/digest/test", cookie, form); got.status != 200 || len(p.digests.sent) != testsPerMinute+1 {
			t.Errorf("a minute later: %d, %d sent", got.status, len(p.digests.sent))
		}
	})
}
