package site

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
	"dateline/templates"
)

// stage is the site before a real browser.
type stage struct {
	*house
	t       *testing.T
	svc     *browsertest.Autopush
	browser *browsertest.Browser
	sender  *push.Sender
	url     string
	shelf   *shelf
	handler atomic.Pointer[http.Handler]
}

// open puts another handler before the browser.
func (s *stage) open(h http.Handler) { s.handler.Store(&h) }

func newStage(t *testing.T, options ...browsertest.BrowserOption) *stage {
	t.Helper()
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	s := &stage{t: t, svc: browsertest.NewAutopush(t), shelf: &shelf{stories: map[string]news.Story{}}}
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	s.url = "http://" + strings.Replace(server.Listener.Addr().String(), "127.0.0.1", "localhost", 1)
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	if s.sender, err = push.New(push.Config{Keys: keys, Subject: "https://alerts.example", Origins: []string{s.svc.Origin()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sender.Close)
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: s.url})
	if err != nil {
		t.Fatal(err)
	}
	s.house = newHouse(t, func(c *Config) {
		c.Rehearser, c.Stories = byPlace{}, s.shelf
		c.Floor, c.Push, c.StoryHosts = floor, s.sender, []string{"news.example", "other.example:8443"}
		c.Now = nil
	})
	s.now = time.Now()
	s.open(s.http)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*s.handler.Load()).ServeHTTP(w, r) })
	server.Start()
	s.browser = browsertest.Firefox(t, append(options, browsertest.WithPush(s.svc))...)
	return s
}

// device is the only one there is, or the only one that has not left.
func (s *stage) device() (found news.Device) {
	s.t.Helper()
	defer s.store.lock()()
	for _, d := range s.store.devices {
		if found.ID == "" || d.State == news.DeviceActive {
			found = d
		}
	}
	if found.ID == "" {
		s.t.Fatal("nobody has subscribed")
	}
	return found
}

// states are those of all devices.
func (s *stage) states() string {
	defer s.store.lock()()
	var states []string
	for _, d := range s.store.devices {
		states = append(states, string(d.State))
	}
	slices.Sort(states)
	return strings.Join(states, " ")
}

// breakStore makes every call of the store fail; nil mends it.
func (s *stage) breakStore(err error) {
	defer s.store.lock()()
	s.store.broken = err
}

// send pushes one revision of a story.
func (s *stage) send(tag string, revision int, title, receipt string) {
	s.t.Helper()
	d := s.device()
	payload, err := json.Marshal(map[string]any{"web_push": 8030, "mutable": true, "notification": map[string]any{
		"title": title, "body": "本文 " + title, "navigate": "https://news.example/story", "lang": "ja", "dir": "ltr", "tag": tag,
		"icon": s.url + "/icons/192.png", "timestamp": 1, "silent": false, "renotify": revision > 1, "requireInteraction": false, "mutable": true,
		"data": map[string]any{"alert": sentAlert, "revision": revision, "level": "flash", "regions": []string{"JP"}, "receipt": receipt}}})
	if err != nil {
		s.t.Fatal(err)
	}
	got := s.sender.Send(context.Background(), push.Target{Endpoint: d.Push.Endpoint, P256dh: d.Push.P256dh, Auth: d.Push.Auth},
		push.Message{Payload: payload, TTL: 60, Urgency: "high"}) // no Topic: the service keeps both revisions
	if got.Outcome != news.Accepted {
		s.t.Fatalf("send: %+v", got)
	}
}

func (s *stage) waitTitle(title string) browsertest.Notification {
	s.t.Helper()
	return s.browser.WaitNotifications(title, func(shown []browsertest.Notification) bool {
		return len(shown) == 1 && shown[0].Title == title
	})[0]
}

// TestReaderFollowsInFirefox goes the reader's way: from the front page to a
// notification in three presses, corrections, a late older one, leaving.
func TestReaderFollowsInFirefox(t *testing.T) {
	s := newStage(t)
	b := s.browser
	b.Navigate(s.url + "/")
	b.Click("#choose")
	b.Until(`document.body.dataset.state === "ready"`)
	b.Click("#follow")
	b.Until(`document.body.dataset.state === "error" && document.body.dataset.error === "regions"`)
	b.Click("#region-JP")
	b.Click("#follow")
	b.Until(`document.body.dataset.state === "subscribed" && document.body.dataset.id !== ""`)
	b.Until(`document.body.dataset.trial === "shown"`) // the test notification, sent and shown
	if shown := s.waitTitle("This is how an alert looks"); shown.Tag != trialTag {
		t.Errorf("%+v", shown)
	}
	if d := s.device(); d.Wishes.Preference.Regions[0] != "JP" || d.ID != b.Eval(`document.body.dataset.id`) {
		t.Errorf("%+v", d)
	}

	receipt := s.links.Receipt(link.Receipt{AlertID: sentAlert, Revision: 1, Cell: 1, Number: 2}, time.Now().Add(time.Hour))
	s.send("quake", 1, "first", receipt)
	n := s.waitTitle("first")
	if n.Body != "本文 first" || n.Lang != "ja" || n.Tag != "quake" {
		t.Errorf("%+v", n)
	}
	s.send("quake", 3, "corrected", "")
	s.waitTitle("corrected")
	s.send("quake", 2, "late", "")
	s.send("other", 1, "another story", "")
	b.WaitNotifications("both stories, the newest of each", func(shown []browsertest.Notification) bool {
		titles := map[string]bool{}
		for _, n := range shown {
			titles[n.Title] = true
		}
		if titles["late"] {
			t.Error("a late older revision was shown")
		}
		return len(shown) == 2 && titles["corrected"] && titles["another story"]
	})
	defer s.store.lock()()
	if want := (news.DeviceReceipt{AlertID: sentAlert, Revision: 1, Device: news.DeviceRef{Cell: 1, Number: 2}, Kind: "shown"}); !s.store.receipts[want] || len(s.store.receipts) != 1 {
		t.Errorf("receipts %v", s.store.receipts)
	}
}

// TestReaderComesBackInFirefox: the page knows who follows, its manage link
// works, leaving is one press, and the same browser may come back.
func TestReaderComesBackInFirefox(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	b := s.browser
	follow := func() {
		b.Navigate(s.url + "/subscribe?region=ID")
		b.Until(`document.body.dataset.state === "ready"`)
		b.Click("#follow")
		b.Until(`document.body.dataset.state === "subscribed"`)
	}
	follow()
	s.breakStore(news.ErrUnavailable)
	b.Navigate(s.url + "/subscribe") // our outage is no reason to forget whom we know
	b.Until(`document.body.dataset.known === "trouble"`)
	s.breakStore(nil)
	b.Navigate(s.url + "/subscribe")
	b.Until(`!document.getElementById("already").hidden`)
	b.Navigate(s.url + b.Eval(`document.getElementById("already-manage").pathname`))
	if b.Eval(`String(document.getElementById("region-ID").checked)`) != "true" {
		t.Error("the manage page does not know what is followed")
	}
	b.Click("#pause-week")
	b.Until(`document.getElementById("resume") !== null`)
	if s.device().Wishes.PausedUntil.IsZero() {
		t.Error("not paused")
	}
	b.Click("#leave")
	b.Until(`document.querySelector(".notice") !== null`)
	if s.device().State != news.DeviceLeft {
		t.Error("not left")
	}
	// The next page finds that its reader has left, and the browser forgets, too.
	s.svc.WaitUnregistered(s.device().Push.Endpoint)
	follow()
	if states := s.states(); states != "active left" {
		t.Errorf("after leaving and following again: %s", states)
	}
	testPlacesAreFound(t, s)
	testWeeklyTakesTheDays(t, s)
	testNamesAreWhole(t, s)
	testPagesFitAPhone(t, s)
	testT80WorkerOpensGoodLinksOnly(t, s)
	testWorkerSaysWhenItSaves(t, s)
}

// testWorkerSaysWhenItSaves: without a network, by what the browser tells a worker of
// its return. It runs the worker's own code over a store in memory.
func testWorkerSaysWhenItSaves(t *testing.T, s *stage) {
	t.Helper()
	source, err := json.Marshal(s.do("GET", "/sw.js", "").Body.String())
	if err != nil {
		t.Fatal(err)
	}
	for sync, want := range map[string]string{
		`{sync: {register: async () => undefined}}`:              "Noted here; it will be saved as soon as you are online",
		`{sync: {register: async () => { throw new Error(); }}}`: "Noted here; it will be saved with the next alert, or when you are here again",
		`{}`: "Noted here; it will be saved with the next alert, or when you are here again",
	} {
		got := s.browser.Eval(fmt.Sprintf(`(async () => {
			const on = {}, shown = [], kept = {subscription: {id: "1", token: "t"}};
			const store = {
				get(key) { const request = {}; setTimeout(() => request.onsuccess({target: {result: kept[key]}})); return request; },
				put(value, key) { kept[key] = value; },
				delete(key) { delete kept[key]; },
			};
			const db = {close() {}, transaction() { const tx = {objectStore: () => store}; setTimeout(() => tx.oncomplete(), 20); return tx; }};
			const indexedDB = {open() { const request = {result: db}; setTimeout(() => request.onsuccess()); return request; }};
			const registration = {showNotification: async title => { shown.push(title); }, ...%s};
			const self = {location: {origin: "https://alerts.example"}, navigator: {}, registration, addEventListener(name, work) { on[name] = work; }};
			new Function("self", "indexedDB", "fetch", "Notification", %s)(self, indexedDB, async () => { throw new TypeError("no network"); }, {maxActions: 2});
			let all;
			on.notificationclick({action: "over", notification: {title: "A quake", lang: "en", data: {alert: "x"}, close() {}}, waitUntil(promise) { all = promise; }});
			await all;
			return shown.join("|") + (kept.later?.x === "over" ? "" : " and is not noted");
		})()`, sync, source))
		if got != want {
			t.Errorf("with %s: %q, want %q", sync, got, want)
		}
	}
}

// testPlacesAreFound: by their names in the page's language, in English, by
// those of the groups they stand for; what is shown is what matches and the rows
// it stands in, in a first search and in one after others; and where there is
// nothing, or nothing can be looked up, it is said.
func testPlacesAreFound(t *testing.T, s *stage) {
	t.Helper()
	s.browser.Navigate(s.url + "/subscribe?lang=ar")
	s.browser.Until(`!document.getElementById("search-row").hidden`)
	s.find("japan", "JP")
	s.find("اليابان", "JP")
	s.find("اليابانن", "! form.search.none")
	s.find("Southeast Asia", "035")
	s.find("asean", "035 ASEAN_PLUS_THREE")
	s.find("Korean pen", "KOREAN_PENINSULA")
	s.find("ميانمار", "MM")
	s.find("Burma", "MM")
	s.foundBy("MM", "Burma")
	s.find("日本", "JP")
	s.foundBy("JP", "日本")
	s.find("ميانمار", "MM")
	s.foundBy("MM", "")

	s.browser.Navigate(s.url + "/subscribe?lang=en")
	s.browser.Until(`!document.getElementById("search-row").hidden`)
	for _, wanted := range []struct{ typed, shown string }{
		{"Ja", "AZ AZ-CAB AZ-CAL GE GE-SJ ID ID-JW IN IN-JK IN-RJ JP KG KG-J KZ KZ-31"}, // a first search, of names in the list too
		{"Tokyo", "JP JP-13"}, {"Sab", "AZ AZ-SAB LK LK-9 MY MY-12"}, {"USA", "TR TR-64"},
		{"Mumbai", "IN IN-MH"}, {"Tokyo", "JP JP-13"}, {"Toky", "JP JP-13"}, {"zzz", "! form.search.none"},
		{"Macau", "MO"}, {"Burma", "MM"}, {"日本", "JP"}, {"Hongkong", "HK"}, {"Bombay", "IN IN-MH"},
	} {
		s.find(wanted.typed, wanted.shown)
	}
	s.foundBy("IN-MH", "Bombay")
	s.foundBy("JP", "") // of the search before
	s.find("Bombay", "IN IN-MH")
	s.foundBy("IN-MH", "Bombay")
	s.browser.Fill("#search", "") // takes the names with it, and what refers to them
	s.browser.Until(`document.querySelectorAll("small.by, input[aria-describedby^=by-]").length === 0`)
	testScriptFolds(t, s)
	s.find("Mahara", "IN IN-MH")
	s.foundBy("IN-MH", "")
	// What is no place is not searched.
	if seen := s.browser.Eval(`(() => {
		const example = document.getElementById("preview-examples").appendChild(document.createElement("li"));
		example.textContent = "An example";
		document.getElementById("search").dispatchEvent(new Event("input"));
		return example.checkVisibility();
	})()`); seen != "true" {
		t.Error("a search takes the examples out of the preview")
	}
	// The reader's own press opens the whole list, and closes it.
	s.find("Tokyo", "JP JP-13")
	s.browser.Click(`.parts[value=JP]`)
	s.browser.Click(`.parts[value=JP]`)
	if got := s.places(); strings.Count(got, "JP-") != 47 {
		t.Errorf("a press on the parts of Japan shows %s", got)
	}
	testNothingIsFoundOffline(t, s)
}

// testScriptFolds: the page takes the same texts for one as the server does.
func testScriptFolds(t *testing.T, s *stage) {
	t.Helper()
	for _, tt := range foldings() {
		got := s.browser.Eval(fmt.Sprintf(`import("/static/site/places.js").then(script => script.plain(%q))`, tt[0]))
		if got != tt[1] {
			t.Errorf("plain(%q) = %q, want %q", tt[0], got, tt[1])
		}
	}
}

// testNothingIsFoundOffline: what can't be looked up is not called unknown, and a
// press on a country's parts says why there are none.
func testNothingIsFoundOffline(t *testing.T, s *stage) {
	t.Helper()
	s.browser.Navigate(s.url + "/subscribe?lang=en&region=KR")
	s.browser.Until(`!document.getElementById("search-row").hidden`)
	online := *s.handler.Load()
	s.open(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	s.find("Busan", "! form.search.failed")
	s.browser.Fill("#search", "")
	s.browser.Click(`.parts[value=KR]`)
	s.browser.Until(`document.querySelector("li > .none-found")?.textContent === document.getElementById("search-none").dataset.failed`)
	s.open(online)
	s.browser.Click(`.parts[value=KR]`)
	s.browser.Until(`document.querySelectorAll("li > .none-found").length === 0 && document.getElementById("region-KR-26").checkVisibility()`)
	s.find("Busan", "KR KR-26")
}

// places are the codes of the places in sight, in alphabetical order.
func (s *stage) places() string {
	return s.browser.Eval(`[...document.querySelectorAll("input[name=region]")].filter(e => e.checkVisibility()).map(e => e.value).sort().join(" ")`)
}

// find searches for a place, and waits for just these to be shown, or for "!" and
// what is said instead.
func (s *stage) find(typed, want string) {
	s.t.Helper()
	lang := s.browser.Eval(`document.documentElement.lang`)
	if key, ok := strings.CutPrefix(want, "! "); ok {
		said, err := s.site.words.say(lang, key)
		if err != nil {
			s.t.Fatal(err)
		}
		want = "! " + said
	}
	s.browser.Fill("#search", typed)
	const shown = `(places => places + (places ? "" : "! " + document.getElementById("search-none").textContent))(
		[...document.querySelectorAll("input[name=region]")].filter(e => e.checkVisibility()).map(e => e.value).sort().join(" "))`
	got, deadline := "", time.Now().Add(5*time.Second)
	for got = s.browser.Eval(shown); got != want && time.Now().Before(deadline); got = s.browser.Eval(shown) {
		s.browser.Eval(`new Promise(requestAnimationFrame)`)
	}
	if got != want {
		s.t.Errorf("%q finds %s, want %s", typed, got, want)
	}
}

// foundBy waits for the name beside a place by which it was found, which its box
// is described by.
func (s *stage) foundBy(code, want string) {
	s.t.Helper()
	s.browser.Until(fmt.Sprintf(`(input => (document.getElementById(input.getAttribute("aria-describedby"))?.textContent ?? "") === %q)(document.getElementById("region-%s"))`, want, code))
}

// testPagesFitAPhone: at 320 pixels no page scrolls sideways and nothing is cut
// off (WCAG 2.2, 1.4.10 Reflow), whatever the language and the direction.
func testPagesFitAPhone(t *testing.T, s *stage) {
	t.Helper()
	s.fill()
	s.browser.Resize(320, 640)
	for _, page := range []string{"/", "/subscribe?region=ID&", "/alerts/" + sentAlert, s.path(link.ManageDevice, s.device().ID), "/nope"} {
		for _, lang := range []string{"en", "vi", "ar"} {
			query, _, ok := strings.Cut(page, "&")
			if !ok {
				query += "?"
			}
			s.browser.Navigate(s.url + query + "&lang=" + lang)
			wide := s.browser.Eval(`(() => {
				for (const d of document.querySelectorAll("details")) d.open = true;
				const width = document.documentElement.clientWidth;
				return [...document.body.querySelectorAll("*")].filter(e => !e.closest(".skip")).filter(e => {
					const box = e.getBoundingClientRect();
					return box.width > 0 && (box.right > width + 1 || box.left < -1);
				}).map(e => e.tagName + "#" + e.id + "." + e.className).slice(0, 3).join(" ");
			})()`)
			if wide != "" {
				t.Errorf("%s in %s: wider than a phone: %s", query, lang, wide)
			}
		}
	}
}

// testWeeklyTakesTheDays: a digest that comes on Saturday has no days to choose, and
// has them again when it is daily; the faults that a script says are in the page's language.
func testWeeklyTakesTheDays(t *testing.T, s *stage) {
	t.Helper()
	b := s.browser
	b.Navigate(s.url + "/subscribe?lang=ja&region=KR")
	b.Until(`document.body.dataset.state === "ready"`)
	const off = `[...document.querySelectorAll(".days input")].filter(e => e.disabled).length`
	for _, want := range []string{"7", "0"} {
		b.Click("#weekly")
		if got := b.Eval(off); got != want {
			t.Errorf("%s of the days can't be chosen, want %s", got, want)
		}
	}
	b.Fill("#cap", "5000")
	b.Click("#follow")
	b.Until(`document.body.dataset.error === "refused"`)
	if said := b.Eval(`document.getElementById("status").textContent`); !strings.HasSuffix(said, "一日の速報の上限: 1から1000までの整数を入力するか、空欄にしてください。") {
		t.Errorf("refused with %q", said)
	}
}

// testNamesAreWhole: beside the box that leaves a place out, its name has room or
// is broken, and is not cut, on a desk's screen.
func testNamesAreWhole(t *testing.T, s *stage) {
	t.Helper()
	for _, lang := range []string{"en", "th", "vi"} {
		s.browser.Navigate(s.url + "/subscribe?region=035&region=JP&region=JP-13&mute=SG&mute=JP-01&lang=" + lang)
		for _, width := range []int{320, 1100, 1280, 1440, 1920} {
			s.browser.Resize(width, 900)
			if cut := s.browser.Eval(`[...document.querySelectorAll(".tree .tick > span")].filter(e => e.checkVisibility()).filter(e => {
				const text = document.createRange();
				text.selectNodeContents(e);
				const name = text.getBoundingClientRect();
				return [e.closest("label"), ...e.closest("label").parentElement.querySelectorAll(":scope > .out, :scope > .parts")].some((other, i) => {
					const box = other.getBoundingClientRect();
					if (i === 0) return name.right > box.right + 1;
					return box.width > 0 && name.right > box.left + 1 && name.left < box.right && name.bottom > box.top && name.top < box.bottom;
				});
			}).map(e => e.textContent).join(", ")`); cut != "" {
				t.Errorf("in %s at %d pixels these are cut: %s", lang, width, cut)
			}
		}
	}
}

// testT80WorkerOpensGoodLinksOnly runs the worker's own choice of where a
// press leads. It goes along with a browser that has started already.
func testT80WorkerOpensGoodLinksOnly(t *testing.T, s *stage) {
	t.Helper()
	source, err := json.Marshal(s.do("GET", "/sw.js", "").Body.String())
	if err != nil {
		t.Fatal(err)
	}
	s.browser.Navigate("about:blank") // no policy here that forbids new Function
	const alert = `"alert":"` + sentAlert + `"`
	own := "https://alerts.example/alerts/" + sentAlert
	for data, want := range map[string]string{
		`{"navigate":"https://news.example/a?b=c",` + alert + `}`:         "https://news.example/a?b=c",
		`{"navigate":"https://alerts.example/alerts/1",` + alert + `}`:    "https://alerts.example/alerts/1",
		`{"navigate":"javascript:alert(1)",` + alert + `}`:                own,
		`{"navigate":"data:text/html,x",` + alert + `}`:                   own,
		`{"navigate":"http://news.example/a",` + alert + `}`:              own,
		`{"navigate":"https://news.example:443/a",` + alert + `}`:         "https://news.example/a",
		`{"navigate":"https://news.example:8443/a",` + alert + `}`:        own, // another port is another host
		`{"navigate":"https://other.example:8443/a",` + alert + `}`:       "https://other.example:8443/a",
		`{"navigate":"https://evil.example/",` + alert + `}`:              own,
		`{"navigate":"//evil.example/",` + alert + `}`:                    own,
		`{"navigate":"https://news.example@evil.example/",` + alert + `}`: own,
		`{"navigate":"https://u:p@news.example/",` + alert + `}`:          own,
		`{"navigate":"https://news.example.evil.example/",` + alert + `}`: own,
		`{"navigate":"",` + alert + `}`:                                   own,
		`{"navigate":5,"alert":"../../x"}`:                                "https://alerts.example/alerts",
		`{"navigate":"https://evil.example/","alert":"../../x"}`:          "https://alerts.example/alerts",
		`null`: "https://alerts.example/alerts",
	} {
		got := s.browser.Eval(fmt.Sprintf(`(async () => {
			let opened, all;
			const on = {}, clients = {matchAll: async () => [], openWindow: async url => { opened = url; }};
			const self = {location: {origin: "https://alerts.example"}, navigator: {}, clients, addEventListener(name, work) { on[name] = work; }};
			new Function("self", %s)(self);
			on.notificationclick({action: "", notification: {data: %s, close() {}}, waitUntil(promise) { all = promise; }});
			await all;
			return opened;
		})()`, source, data))
		if got != want {
			t.Errorf("%s opens %s, want %s", data, got, want)
		}
	}
}
