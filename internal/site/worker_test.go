package site

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/news"
	"dateline/internal/push"
)

// follow presses the button on our own page and waits for the test notification.
func (s *stage) follow() {
	s.t.Helper()
	s.browser.Navigate(s.url + "/subscribe?region=JP")
	s.browser.Until(`document.body.dataset.state === "ready"`)
	s.browser.Click("#follow")
	s.browser.Until(`document.body.dataset.trial === "shown"`)
}

// until waits for something to hold in the store.
func (s *stage) until(what string, ok func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); s.browser.Until(`true`) { // a turn of the browser
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// known is what healing says at a visit of a page.
func (s *stage) known(path string) string {
	s.t.Helper()
	s.browser.Navigate(s.url + path)
	return s.browser.Eval(`(async () => (await Dateline.known).status)()`)
}

// TestSubscriptionHealsInFirefox: each visit of any page mends what has come
// apart between the browser and us, and takes nobody back who has left.
func TestSubscriptionHealsInFirefox(t *testing.T) {
	s := newStage(t)
	s.follow()
	first := s.device()
	if got := s.known("/"); got != "follows" {
		t.Errorf("a browser that follows: %s", got)
	}
	if got := s.device(); got.Push.Endpoint != first.Push.Endpoint || s.store.writes > 2 {
		t.Errorf("%d writes for a browser with which nothing is wrong", s.store.writes)
	}

	// Her wishes change elsewhere; the browser remembers the new ones.
	if _, err := s.store.ChangeSubscription(t.Context(), first.ID, func(d *news.Device) error {
		d.Wishes.Preference.Regions, d.Wishes.OverStories = []string{"ID"}, []string{"https://news.example/s"}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := s.known("/alerts"); got != "follows" {
		t.Errorf("after a change of wishes: %s", got)
	}

	// We lose her; the next visit signs her up anew, with those wishes.
	unlock := s.store.lock()
	clear(s.store.devices)
	unlock()
	if got := s.known("/"); got != "anew" {
		t.Errorf("after we had lost her: %s", got)
	}
	if d := s.device(); d.Wishes.Preference.Regions[0] != "ID" || d.Wishes.OverStories[0] != "https://news.example/s" || d.Push.Endpoint != first.Push.Endpoint {
		t.Errorf("signed up anew as %+v", d)
	}

	// Our key changes: what was subscribed under the old one would get nothing.
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	if s.sender, err = push.New(push.Config{Keys: keys, Subject: "https://alerts.example", Origins: []string{s.svc.Origin()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.sender.Close)
	s.site.Push, s.site.parser = s.sender, NewParser(s.sender)
	if got := s.known("/"); got != "follows" {
		t.Errorf("after a change of our key: %s", got)
	}
	if d := s.device(); d.Push.Endpoint == first.Push.Endpoint || d.Wishes.Preference.Regions[0] != "ID" {
		t.Errorf("under the new key: %+v", d)
	}
	s.send("quake", 1, "under the new key", "")
	s.waitTitle("under the new key")

	s.deadEndpoint()
	s.followsTwice()

	// She leaves by another way, such as the link in a mail: she is not taken back.
	if err := s.store.Leave(t.Context(), s.device().ID); err != nil {
		t.Fatal(err)
	}
	if got := s.known("/"); got != "left" {
		t.Errorf("after she has left: %s", got)
	}
	if got := s.known("/"); got != "none" || s.states() != "left" {
		t.Errorf("a visit later: %s, devices %s", got, s.states())
	}
}

// deadEndpoint: the push service has given up the subscription and the browser
// does not know; a visit makes another.
func (s *stage) deadEndpoint() {
	s.t.Helper()
	before := s.device()
	if _, err := s.store.ChangeSubscription(s.t.Context(), before.ID, func(d *news.Device) error { d.State = news.DeviceGone; return nil }); err != nil {
		s.t.Fatal(err)
	}
	if got := s.known("/"); got != "follows" {
		s.t.Errorf("a dead endpoint: %s", got)
	}
	if d := s.device(); d.State != news.DeviceActive || d.Push.Endpoint == before.Push.Endpoint {
		s.t.Errorf("a dead endpoint was kept: %s", d.State)
	}
}

// followsTwice: pressing Follow once more chooses places and takes nothing else
// away; and a digest asked for there is the same reader's.
func (s *stage) followsTwice() {
	s.t.Helper()
	if _, err := s.store.ChangeSubscription(s.t.Context(), s.device().ID, func(d *news.Device) error {
		d.Wishes.MutedStories = []string{"https://news.example/muted"}
		return nil
	}); err != nil {
		s.t.Fatal(err)
	}
	s.follow()
	if w := s.device().Wishes; w.Preference.Regions[0] != "JP" || len(w.MutedStories) != 1 {
		s.t.Errorf("followed twice: %v, muted %v", w.Preference.Regions, w.MutedStories)
	}
	s.browser.Eval(`document.getElementById("email").value = "reader@b.example"`)
	s.browser.Click("#mail")
	s.browser.Until(`document.body.dataset.mail === "202"`)
	unlock := s.store.lock()
	defer unlock()
	for _, signup := range s.store.signups {
		if signup.SubscriberID == "" || signup.Wishes.Preference.Regions[0] != "JP" {
			s.t.Errorf("a digest beside a device: %+v", signup)
		}
		return
	}
	s.t.Error("no digest was asked for")
}

// TestStoryIsMutedOnItsPage: where a notification has no buttons, the page that
// it may lead to has them, for a browser that follows.
func TestStoryIsMutedOnItsPage(t *testing.T) {
	s := newStage(t)
	s.fill()
	b := s.browser
	page := s.url + "/alerts/" + sentAlert
	b.Navigate(page)
	if b.Eval(`(async () => (await Dateline.known).status)()`) != "none" || b.Eval(`String(document.getElementById("wish").checkVisibility())`) != "false" {
		t.Error("who does not follow is offered to mute")
	}
	s.follow()
	b.Navigate(page)
	b.Until(`document.getElementById("wish").checkVisibility()`)
	b.Click(`[data-want="over"]`)
	b.Until(`document.getElementById("wish").dataset.kept === "over"`)
	if w := s.device().Wishes; len(w.OverStories) != 1 || w.OverStories[0] != sentURI {
		t.Errorf("%+v", w)
	}
	b.Accessible("an alert's page with its story muted")
	b.Click(`[data-want="all"]`)
	b.Until(`document.getElementById("wish").dataset.kept === "all"`)
	if w := s.device().Wishes; len(w.OverStories) != 0 {
		t.Errorf("taken back: %+v", w)
	}
	if got := b.Eval(`(async () => (await Dateline.story("00000000-0000-7000-8000-000000000000", "none")).became)()`); got != "failed" {
		t.Errorf("a wish that is refused is said to be %q", got)
	}
	if got := b.Eval(`(async () => (await Promise.all(["none", "over", "all"].map(want => Dateline.story("` + sentAlert + `", want)))).map(a => a.became).join())()`); got != "kept,kept,kept" {
		t.Errorf("three presses in a row: %s", got)
	}
	if w := s.device().Wishes; len(w.OverStories)+len(w.MutedStories) != 0 {
		t.Errorf("the last of three presses did not win: %+v", w)
	}
}

// TestRepeatMakesNoSound: what was sent again, since nobody knew whether it had
// arrived, is shown without a sound, also after the first was put away.
func TestRepeatMakesNoSound(t *testing.T) {
	s := newStage(t)
	s.follow()
	s.browser.Navigate(s.url + "/")
	shown := func(silent bool) {
		t.Helper()
		s.browser.Until(fmt.Sprintf(`(async () => (await (await navigator.serviceWorker.ready).getNotifications()).some(n => n.title === "again" && n.silent === %t))()`, silent))
	}
	s.send("quake", 1, "again", "")
	shown(false)
	s.browser.Eval(`(async () => { for (const n of await (await navigator.serviceWorker.ready).getNotifications()) n.close(); })()`)
	s.send("quake", 1, "again", "")
	shown(true)
}

// TestChosenZoneStays: the page proposes the browser's zone where none was chosen,
// and leaves the one that was.
func TestChosenZoneStays(t *testing.T) {
	s := newStage(t)
	for query, want := range map[string]string{"": `Intl.DateTimeFormat().resolvedOptions().timeZone`, "&timezone=Asia/Seoul": `"Asia/Seoul"`} {
		s.browser.Navigate(s.url + "/subscribe?region=JP" + query)
		s.browser.Until(`document.body.dataset.state === "ready"`)
		if got := s.browser.Eval(`String(document.getElementById("timezone").value === ` + want + `)`); got != "true" {
			t.Errorf("%q: the zone is %s", query, s.browser.Eval(`document.getElementById("timezone").value`))
		}
	}
}

// TestEndpointChangesInFirefox: the push service gives the browser a new
// address at its restart, and the worker tells us with no page open.
func TestEndpointChangesInFirefox(t *testing.T) {
	s := newStage(t, browsertest.WithPref("dom.push.userAgentID", "")) // forgotten at each start
	s.follow()
	before := s.device()
	s.browser.Restart()
	s.until("the new endpoint comes", func() bool { return s.device().Push.Endpoint != before.Push.Endpoint })
	s.send("quake", 1, "to the new endpoint", "")
	s.browser.Navigate(s.url + "/")
	s.waitTitle("to the new endpoint")
}

// TestOfflineAndRestartInFirefox: of what was sent while the browser was away
// one notification is shown, the newest revision.
func TestOfflineAndRestartInFirefox(t *testing.T) {
	s := newStage(t)
	s.follow()
	s.svc.Disconnect()
	s.send("quake", 2, "older", "")
	s.send("quake", 3, "newest", "")
	s.svc.Allow()
	s.waitTitle("newest")
	s.browser.Close()
	s.send("quake", 5, "newest, while it was closed", "")
	s.send("quake", 4, "late and older", "")
	s.browser.Start()
	s.browser.Navigate(s.url + "/")
	s.waitTitle("newest, while it was closed")
}

// TestWithoutPush: what a reader is told, in place, when her browser can't, and
// what she is offered instead.
func TestWithoutPush(t *testing.T) {
	t.Parallel()
	s := newStage(t, browsertest.WithPref("dom.push.connection.enabled", false)) // subscribe() fails with an AbortError, as Chrome does in mainland China
	b := s.browser
	press := func(before string) {
		b.Navigate(s.url + "/subscribe?region=JP")
		b.Until(`document.body.dataset.state === "ready"`)
		b.Eval(before + `; ""`)
		b.Click("#follow")
		b.Until(`document.body.dataset.state === "error"`)
	}
	offered := `document.getElementById("instead").checkVisibility() && document.getElementById("email").checkVisibility()`
	press(``)
	if got := b.Eval(`document.body.dataset.error`); got != "service" || b.Eval(`String(`+offered+`)`) != "true" {
		t.Errorf("a push service that refuses: %s", got)
	}
	start := time.Now()
	press(`PushManager.prototype.subscribe = () => new Promise(() => undefined)`)
	if got := b.Eval(`document.body.dataset.error`); got != "service" || time.Since(start) > 40*time.Second {
		t.Errorf("a push service that hangs: %s after %s", got, time.Since(start))
	}
	press(`Notification.requestPermission = async () => "denied"`)
	if got := b.Eval(`document.body.dataset.error`); got != "denied" || b.Eval(`String(`+offered+`)`) != "true" {
		t.Errorf("a reader who says no: %s", got)
	}
	for agent, want := range map[string]string{
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1": "ios-tab",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 16_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.3 Mobile/15E148 Safari/604.1": "ios-old",
		"Mozilla/5.0 (iPad; CPU OS 15_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.6 Mobile/15E148 Safari/604.1":          "ios-old",
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                  "no",
	} {
		raw, err := json.Marshal(agent)
		if err != nil {
			t.Fatal(err)
		}
		got := b.Eval(`(() => {
			Object.defineProperty(navigator, "userAgent", {value: ` + string(raw) + `, configurable: true});
			const push = window.PushManager;
			delete window.PushManager;
			try { return Dateline.can(); } finally { window.PushManager = push; }
		})()`)
		if got != want {
			t.Errorf("%s: %s, want %s", agent, got, want)
		}
	}
}

// TestIPhoneGuide: in a tab of an iPhone the page shows how to put the site on
// the Home Screen, and beside it what works without.
func TestIPhoneGuide(t *testing.T) {
	s := newStage(t, browsertest.WithPref("dom.push.enabled", false), browsertest.WithPref("general.useragent.override",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"))
	b := s.browser
	for _, lang := range []string{"en", "ja", "ar"} {
		b.Navigate(s.url + "/subscribe?lang=" + lang)
		b.Until(`document.body.dataset.state === "ready"`)
		if b.Eval(`[...document.querySelectorAll(".guide li")].filter(e => e.checkVisibility()).length + " " + document.getElementById("by-push").hidden + " " + document.getElementById("no-push-no").hidden`) != "3 true true" {
			t.Errorf("%s: the guide is not shown, or not alone", lang)
		}
		b.Accessible("the guide in " + lang)
	}
}

// recipe is a code block of docs/embedding.md, with our addresses in it.
func (s *stage) recipe(kind string) string {
	s.t.Helper()
	raw, err := os.ReadFile("../../docs/embedding.md")
	if err != nil {
		s.t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindStringSubmatch(string(raw))
	if m == nil {
		s.t.Fatalf("docs/embedding.md has no %s", kind)
	}
	return strings.ReplaceAll(m[1], "https://alerts.example", s.url)
}

// publisher is a site of another origin with the recipe of docs/embedding.md on
// it. Its worker has one thing more: a test can press on its notifications.
func (s *stage) publisher() string {
	s.t.Helper()
	press := `
self.addEventListener("message", async event => {
  if (!event.data.press) return;
  const [notification] = (await self.registration.getNotifications()).filter(n => n.title === event.data.on);
  try {
    self.dispatchEvent(new NotificationEvent("notificationclick", { notification, action: event.data.press }));
  } catch (error) { console.log(String(error)); }
});`
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="ja"><title>News</title>` + s.recipe("html")))
	})
	mux.HandleFunc("GET /dateline-worker.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = w.Write([]byte(s.recipe("js") + press))
	})
	server := httptest.NewServer(mux)
	s.t.Cleanup(server.Close)
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

// TestPublishersOwnPageInFirefox follows from a second origin by the documented
// recipe, to a shown, decrypted notification; mutes its story by a press on it,
// takes that back, does it where there is no network; and leaves.
func TestPublishersOwnPageInFirefox(t *testing.T) {
	s := newStage(t)
	s.fill()
	site := s.publisher()
	s.site.EmbedOrigins = []string{site}
	mux := http.NewServeMux()
	s.site.Routes(mux) // anew: with the doors for that origin
	s.open(s.site.Floor.Handler(mux))
	b := s.browser
	b.Navigate(site + "/story")
	b.Until(`!document.getElementById("follow").hidden`)
	b.Click("#follow")
	b.Until(`document.getElementById("said").textContent === "You follow. That is how an alert looks."`)
	d := s.device()
	if d.Wishes.Language != "ja" || d.Wishes.Preference.Regions[0] != "JP" {
		t.Errorf("%+v", d.Wishes)
	}
	s.waitTitle("速報はこのように届きます")
	s.send("quake", 1, "first", "")
	s.waitTitle("first")
	if got := s.browser.Eval(`(async () => (await (await navigator.serviceWorker.ready).getNotifications())[0].actions.map(a => a.title).join("|"))()`); !strings.HasSuffix(got, "この記事をミュート|終わったときだけ") {
		t.Errorf("its actions: %q", got)
	}
	press := func(on, action, then string) {
		t.Helper()
		b.Eval(`(async () => { (await navigator.serviceWorker.ready).active.postMessage({press: "` + action + `", on: "` + on + `"}); return ""; })()`)
		if then != "" {
			s.waitTitle(then)
		}
	}
	uri := sentURI
	press("first", "none", "この記事の速報はもう届きません")
	if w := s.device().Wishes; len(w.MutedStories) != 1 || w.MutedStories[0] != uri {
		t.Errorf("muted by the press: %+v", w)
	}
	press("この記事の速報はもう届きません", "all", "")
	s.until("the mute is taken back", func() bool { return len(s.device().Wishes.MutedStories) == 0 })
	s.send("quake", 2, "second", "")
	s.waitTitle("second")
	s.breakStore(news.ErrUnavailable) // we are away
	press("second", "over", "この端末に記録しました。次の速報のとき、または次のご訪問のときに保存します")
	s.breakStore(nil)
	s.send("quake", 3, "third", "") // what comes next brings the wish along
	s.waitTitle("third")
	s.until("it is said later", func() bool { w := s.device().Wishes; return len(w.OverStories) == 1 && w.OverStories[0] == uri })
	b.Navigate(site + "/another")
	b.Until(`document.getElementById("said").textContent === "You follow."`)
	if b.Eval(`(async () => String(await Dateline.leave()))()`) != "true" || s.states() != "left" {
		t.Errorf("leaving: %s", s.states())
	}
	s.svc.WaitUnregistered(d.Push.Endpoint)
}

// Pages of other origins than the configured ones get nothing from the doors.
func TestOtherOriginsAreNotLetIn(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.EmbedOrigins = []string{"https://www.news.example"} })
	ask := func(method, path, body, origin string) *httptest.ResponseRecorder {
		return h.do(method, path, body, "Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
	}
	if w := ask("POST", "/api/v1/subscriptions", body(), "https://www.news.example"); w.Code != 201 || w.Header().Get("Access-Control-Allow-Origin") != "https://www.news.example" {
		t.Errorf("the publisher's own page: %d %v", w.Code, w.Header())
	}
	for _, origin := range []string{"https://evil.example", "https://www.news.example.evil.example", "http://www.news.example", "https://news.example", "null", "https://www.news.example:8443"} {
		w := ask("POST", "/api/v1/subscriptions", body("subscription", subscription(goodPush+"/2", goodP256dh, goodAuth)), origin)
		if w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", origin, w.Code, w.Header())
		}
		if w := ask("OPTIONS", "/api/v1/subscriptions", "", origin); w.Header().Get("Access-Control-Allow-Origin") != "" || w.Header().Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("preflight of %s: %v", origin, w.Header())
		}
	}
	if w := ask("OPTIONS", "/api/v1/subscriptions/x/stories", "", "https://www.news.example"); w.Code != 204 || w.Header().Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" {
		t.Errorf("preflight: %d %v", w.Code, w.Header())
	}
	for _, door := range []string{"/api/v1/digests", "/subscribe"} { // not among the doors it needs
		if w := ask("POST", door, "{}", "https://www.news.example"); w.Code != 403 {
			t.Errorf("%s: %d", door, w.Code)
		}
	}
	for _, bad := range []string{"https://*.news.example", "news.example", "https://news.example/", "http://news.example", "https://u@news.example", "*", "null"} {
		if CheckEmbedOrigins([]string{bad}) == nil {
			t.Errorf("%q is taken for an origin", bad)
		}
	}
}
