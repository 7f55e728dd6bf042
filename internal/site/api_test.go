package site

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/link"
	"dateline/internal/news"
)

func TestSubscribeEverything(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe(
		"regions", `["jp","035","ASEAN","JP"]`, "mutedRegions", `["SG"]`, "sections", `["politics"]`, "level", `"flash"`,
		"overrides", `[{"regions":["JP"],"level":"notice"}]`, "language", `"zh-hant"`, "onlyLanguage", "true", "timezone", `"Asia/Tokyo"`,
		"quiet", `{"from":"22:00","to":"07:30"}`, "cap", "5", "pausedUntil", `"2026-12-01T00:00:00+09:00"`, "mutedStories", `["https://news.example/a"]`)
	want := news.Wishes{
		Preference: news.Preference{Regions: []string{"035", "ASEAN", "JP"}, Muted: []string{"SG"}, Sections: []string{"politics"}, Level: news.LevelFlash,
			Overrides: []news.Override{{Regions: []string{"JP"}, Level: news.LevelNotice}}},
		Language: "zh-Hant", OnlyLanguage: true, Timezone: "Asia/Tokyo", Quiet: &news.Quiet{From: 22 * 60, To: 7*60 + 30, Flash: true}, Cap: 5,
		PausedUntil: time.Date(2026, 11, 30, 15, 0, 0, 0, time.UTC), MutedStories: []string{"https://news.example/a"}}
	if d := cmp.Diff(want, h.store.devices[c.ID].Wishes); d != "" {
		t.Error(d)
	}
	var view map[string]any
	w := h.do("GET", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+c.Token)
	decode(t, w.Body, &view)
	if w.Code != 200 || view["pausedUntil"] != "2026-11-30T15:00:00Z" || view["cap"] != 5.0 || !strings.HasPrefix(view["manage"].(string), "https://alerts.example/manage/") {
		t.Errorf("%d %v", w.Code, view)
	}
	if d := cmp.Diff(map[string]any{"from": "22:00", "to": "07:30", "flash": true}, view["quiet"]); d != "" {
		t.Error(d)
	}
}

func TestSubscribeDefaults(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe("cap", "null", "quiet", "null", "pausedUntil", "null")
	want := news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelBulletin}, Language: "en", Timezone: "UTC"}
	if d := cmp.Diff(want, h.store.devices[c.ID].Wishes); d != "" {
		t.Error(d)
	}
	if c.ID == "" || c.Token == "" {
		t.Errorf("%+v", c)
	}
}

func TestSubscribeTwiceIsTheSame(t *testing.T) {
	h := newHouse(t, nil)
	first := h.do("POST", "/api/v1/subscriptions", body())
	if got := h.alarm.take(); got != "devices" {
		t.Errorf("woken: %q", got)
	}
	again := h.do("POST", "/api/v1/subscriptions", body("regions", `["ID"]`))
	if first.Code != 201 || again.Code != 200 || first.Body.String() != again.Body.String() {
		t.Errorf("%d %s, then %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	if len(h.store.devices) != 1 {
		t.Errorf("%d devices", len(h.store.devices))
	}
}

func TestSubscribeFaultsAreNamedAllAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	w := h.do("POST", "/api/v1/subscriptions", body(
		"subscription", "", "regions", `["JP","XX",5]`, "sections", `["gossip"]`, "level", `"loud"`, "language", `"not a tag"`, "timezone", `"Local"`,
		"quiet", `{"from":"25:00"}`, "cap", `-1`, "pausedUntil", `"tomorrow"`, "onlyLanguage", `"yes"`, "overrides", `[{"regions":["YY"]}]`, "mutedStories", `[1]`))
	if w.Code != 400 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := faults(t, w)
	want := "subscription regions/2 sections/0 level overrides/0/regions/0 overrides/0/level language onlyLanguage timezone quiet/from quiet/to cap pausedUntil mutedStories/0"
	if got != want {
		t.Errorf("faults at\n%s, want\n%s", got, want)
	}
	if h.store.writes != 0 {
		t.Error("something was stored")
	}
}

// TestMutedStoriesAreNamedAsTheIntakeNamesThem: a story's uri has up to 1,024
// characters and is kept in NFC; muting it must meet it.
func TestMutedStoriesAreNamedAsTheIntakeNamesThem(t *testing.T) {
	h := newHouse(t, nil)
	long := "urn:" + strings.Repeat("震", 1020)
	w := h.do("POST", "/api/v1/subscriptions", body("mutedStories", `["urn:cafe\u0301","`+long+`"]`))
	if w.Code != 201 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, d := range h.store.devices {
		if want := []string{"urn:caf\u00e9", long}; !slices.Equal(d.Wishes.MutedStories, want) {
			t.Errorf("%q", d.Wishes.MutedStories)
		}
	}
}

func TestSubscribeSingleFaults(t *testing.T) {
	h := newHouse(t, nil)
	for _, c := range []struct{ name, body, path string }{
		{"no regions", body("regions", ""), "regions"},
		{"empty regions", body("regions", "[]"), "regions"},
		{"null regions", body("regions", "null"), "regions"},
		{"regions no list", body("regions", `"JP"`), "regions"},
		{"unknown region", body("regions", `["JP","ZZ"]`), "regions/1"},
		{"region with NATS wildcard", body("regions", `["*"]`), "regions/0"},
		{"many regions", body("regions", "["+strings.Repeat(`"JP",`, 300)+`"JP"]`), "regions"},
		{"all muted", body("mutedRegions", `["142"]`), "mutedRegions"},
		{"subscription null", body("subscription", "null"), "subscription"},
		{"subscription a string", body("subscription", `"x"`), "subscription"},
		{"keys missing", body("subscription", `{"endpoint":"`+goodPush+`"}`), "subscription/keys/p256dh subscription/keys/auth"},
		{"quiet without to", body("quiet", `{"from":"22:00"}`), "quiet/to"},
		{"quiet of no length", body("quiet", `{"from":"07:00","to":"07:00"}`), "quiet"},
		{"quiet of two faults", body("quiet", `{"from":"7","to":"7"}`), "quiet/from quiet/to"},
		{"zone outside", body("timezone", `"../../etc/passwd"`), "timezone"},
		{"empty zone", body("timezone", `""`), "timezone"},
		{"empty language", body("language", `""`), "language"},
		{"cap of nothing", body("cap", "0"), "cap"},
		{"cap a fraction", body("cap", "1.5"), "cap"},
		{"muted story without a name", body("mutedStories", `["https://news.example/a",""]`), "mutedStories/1"},
		{"muted story no URI", body("mutedStories", `["the quake"]`), "mutedStories/0"},
		{"muted story with NUL", body("mutedStories", `["urn:a\u0000b"]`), "mutedStories/0"},
		{"muted story too long", body("mutedStories", `["urn:`+strings.Repeat("震", 1021)+`"]`), "mutedStories/0"},
		{"not JSON", "regions=JP", ""},
		{"a list", "[]", ""},
		{"null", "null", ""},
		{"empty", "", ""},
		{"two values", body() + body(), ""},
		{"deep", strings.Repeat(`{"a":`, 2000), ""},
	} {
		w := h.do("POST", "/api/v1/subscriptions", c.body)
		if w.Code != 400 {
			t.Errorf("%s: %d %s", c.name, w.Code, w.Body)
			continue
		}
		if got := faults(t, w); got != c.path {
			t.Errorf("%s: fault at %q, want %q", c.name, got, c.path)
		}
	}
	if w := h.do("POST", "/api/v1/subscriptions", strings.Repeat(" ", maxBody+1)); w.Code != 413 {
		t.Errorf("large body: %d", w.Code)
	}
	if len(h.store.devices) != 0 {
		t.Error("something was stored")
	}
}

// endpointFault subscribes with an endpoint that must be refused.
func endpointFault(t *testing.T, endpoints ...string) {
	t.Helper()
	h := newHouse(t, nil)
	for _, e := range endpoints {
		w := h.do("POST", "/api/v1/subscriptions", body("subscription", subscription(e, goodP256dh, goodAuth)))
		if w.Code != 400 {
			t.Errorf("%.60s: %d", e, w.Code)
			continue
		}
		if got := faults(t, w); got != "subscription/endpoint" {
			t.Errorf("%.60s: fault at %q", e, got)
		}
	}
	if len(h.store.devices) != 0 {
		t.Error("something was stored")
	}
	if strings.Contains(h.log.String(), "endpoint=") || strings.Contains(h.log.String(), goodAuth) {
		t.Errorf("the log tells:\n%s", h.log)
	}
}

func TestT21_PlainHTTPEndpoint(t *testing.T) {
	endpointFault(t, "http://fcm.googleapis.com/fcm/send/x")
}
func TestT22_LoopbackEndpoint(t *testing.T) {
	endpointFault(t, "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://10.0.0.1/", "https://169.254.169.254/latest")
}
func TestT23_UserInfoEndpoint(t *testing.T) {
	endpointFault(t, "https://fcm.googleapis.com@evil.example/", "https://fcm.googleapis.com:x@evil.example/")
}
func TestT24_ServiceNameInPath(t *testing.T) { endpointFault(t, "https://127.0.0.1/x.google.com/") }
func TestT25_ServiceNameAsPrefix(t *testing.T) {
	endpointFault(t, "https://fcm.googleapis.com.evil.tld/x", "https://evilfcm.googleapis.com.tld/", "https://a.b.push.apple.com/x")
}
func TestT26_OtherPort(t *testing.T) {
	endpointFault(t, "https://fcm.googleapis.com:22/x", "https://fcm.googleapis.com:8443/x", "https://push.test:8444/x", "https://push.test/x")
}
func TestT27_DisguisedHosts(t *testing.T) {
	endpointFault(t, "https://fcm.googleapis.com./x", "https://FCM.googleapis.com/x", "https://fcm.g\u043e\u043egleapis.com/x", "https://2130706433/", "https://0x7f.1/",
		"https://xn--fcm-googleapis-x.com/", "https:/\\fcm.googleapis.com/", "javascript:alert(1)", "//fcm.googleapis.com/x", "https://fcm.googleapis.com\\@evil/")
}

// TestT28_T33_AtTheSubscribeDoor: rebinding, mapped addresses, redirects and
// floods happen at the send; at this door the literal forms are refused.
func TestT29_MappedAddresses(t *testing.T) {
	endpointFault(t, "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/", "https://[::ffff:7f00:1]/")
}

func TestT34_BadPublicKey(t *testing.T) {
	keyFault(t, "subscription/keys/p256dh", func(bad string) string { return subscription(goodPush, bad, goodAuth) },
		"", "BCVx", strings.Repeat("A", 87), goodP256dh[:86], goodP256dh+"AA", "!!"+goodP256dh[2:],
		"AyVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcx" /* compressed */, "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw5" /* off the curve */)
}

func TestT35_BadAuth(t *testing.T) {
	keyFault(t, "subscription/keys/auth", func(bad string) string { return subscription(goodPush, goodP256dh, bad) },
		"", "BTBZMqHH6r4Tts7J_aSI" /* 15 */, "BTBZMqHH6r4Tts7J_aSIggA" /* 17 */, "BTBZMqHH6r4Tts7J_aSIg!", "BTBZ\nMqHH6r4Tts7J_aSIgg")
}

func keyFault(t *testing.T, path string, sub func(bad string) string, bads ...string) {
	t.Helper()
	h := newHouse(t, nil)
	for _, bad := range bads {
		w := h.do("POST", "/api/v1/subscriptions", body("subscription", sub(bad)))
		if w.Code != 400 {
			t.Errorf("%q: %d", bad, w.Code)
			continue
		}
		if got := faults(t, w); got != path {
			t.Errorf("%q: fault at %q", bad, got)
		}
	}
}

func TestT36_SubscriptionsByOneClient(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.SignupLimit = 3 })
	post := func(n int, header ...string) int {
		w := h.do("POST", "/api/v1/subscriptions", body("subscription", subscription(fmt.Sprint(goodPush, n), goodP256dh, goodAuth)), header...)
		if w.Code == 429 && w.Header().Get("Retry-After") != "3600" {
			t.Errorf("Retry-After %q", w.Header().Get("Retry-After"))
		}
		return w.Code
	}
	for n, want := range []int{201, 201, 201, 429, 429} {
		if got := post(n); got != want {
			t.Errorf("subscription %d: %d, want %d", n, got, want)
		}
	}
	if got := post(3, "X-Forwarded-For", "203.0.113.7"); got != 429 {
		t.Errorf("with a made-up X-Forwarded-For: %d", got)
	}
	h.now = h.now.Add(time.Hour)
	for n, want := range []int{200, 200, 200, 201, 201, 201, 429} {
		if got := post(n); got != want {
			t.Errorf("an hour later, subscription %d: %d, want %d", n, got, want)
		}
	}
	if none := newHouse(t, nil); true {
		for n := range 1100 {
			if w := none.do("POST", "/api/v1/subscriptions", body("subscription", subscription(fmt.Sprint(goodPush, n), goodP256dh, goodAuth))); w.Code != 201 {
				t.Fatalf("no limit: %d at %d", w.Code, n)
			}
		}
	}
}

func TestT37_SomebodyElsesEndpoint(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	w := h.do("POST", "/api/v1/subscriptions", body("subscription", subscription(goodPush, goodP256dh, "AAAAAAAAAAAAAAAAAAAAAA"), "regions", `["ID"]`))
	if w.Code != 409 || faults(t, w) != "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if d := h.store.devices[c.ID]; d.Wishes.Preference.Regions[0] != "JP" {
		t.Errorf("it was changed: %+v", d.Wishes)
	}
}

func TestT38_LongEndpoint(t *testing.T) {
	endpointFault(t, "https://fcm.googleapis.com/"+strings.Repeat("x", 4096))
}

func TestOperatorsOriginIsTaken(t *testing.T) {
	newHouse(t, nil).subscribe("subscription", subscription(testOrigin+"/send/1", goodP256dh, goodAuth))
}

func TestChangeMergesAndClears(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe("quiet", `{"from":"22:00","to":"07:00"}`, "cap", "5", "sections", `["politics"]`, "language", `"ja"`)
	patch := func(body string) (int, map[string]any) {
		w := h.do("PATCH", "/api/v1/subscriptions/"+c.ID, body, "Authorization", "Bearer "+c.Token)
		var v map[string]any
		decode(t, w.Body, &v)
		return w.Code, v
	}
	code, v := patch(`{"quiet":{"flash":false},"level":"flash"}`)
	if code != 200 || v["level"] != "flash" || v["cap"] != 5.0 || cmp.Diff(map[string]any{"from": "22:00", "to": "07:00", "flash": false}, v["quiet"]) != "" {
		t.Errorf("%d %v", code, v)
	}
	if got := h.alarm.take(); got != "control devices" {
		t.Errorf("woken: %q", got)
	}
	if code, v = patch(`{"quiet":{"to":"22:00"}}`); code != 400 || h.store.devices[c.ID].Wishes.Quiet.To != 7*60 {
		t.Errorf("quiet from ten to ten: %d %v", code, v)
	}
	code, v = patch(`{"quiet":null,"cap":null,"sections":null,"level":null,"language":null,"timezone":null}`)
	if code != 200 || v["quiet"] != nil || v["cap"] != nil || len(v["sections"].([]any)) != 0 || v["level"] != "bulletin" || v["language"] != "en" {
		t.Errorf("%d %v", code, v)
	}
	if code, v = patch(`{"regions":null}`); code != 400 {
		t.Errorf("%d %v", code, v)
	}
	if code, v = patch(`{"regions":["ID"],"level":"loud"}`); code != 400 || h.store.devices[c.ID].Wishes.Preference.Regions[0] != "JP" {
		t.Errorf("half a change was made: %d %v", code, v)
	}
	if code, v = patch(`{"mutedRegions":["JP"]}`); code != 400 {
		t.Errorf("everything muted: %d %v", code, v)
	}
	moved := subscription(goodPush+"-moved", goodP256dh, "AAAAAAAAAAAAAAAAAAAAAA")
	if code, v = patch(`{"subscription":` + moved + `}`); code != 200 || h.store.devices[c.ID].Push.Endpoint != goodPush+"-moved" {
		t.Errorf("%d %v", code, v)
	}
	if code, _ = patch(`{"subscription":` + subscription("https://127.0.0.1/", goodP256dh, goodAuth) + `}`); code != 400 {
		t.Errorf("moved to loopback: %d", code)
	}
}

func TestMovedSubscriptionComesBackToLife(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	d := h.store.devices[c.ID]
	d.State = news.DeviceGone
	h.store.devices[c.ID] = d
	w := h.do("PATCH", "/api/v1/subscriptions/"+c.ID, `{"subscription":`+subscription(goodPush+"2", goodP256dh, goodAuth)+`}`, "Authorization", "Bearer "+c.Token)
	if w.Code != 200 || h.store.devices[c.ID].State != news.DeviceActive {
		t.Errorf("%d %s", w.Code, h.store.devices[c.ID].State)
	}
}

func TestT71_TokensOpenTheirOwnDeviceOnly(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	other := h.subscribe("subscription", subscription(goodPush+"2", goodP256dh, goodAuth))
	for name, x := range map[string]struct {
		token  string
		status int
	}{
		"none":             {"", 401},
		"nonsense":         {"nonsense", 401},
		"another purpose":  {h.links.Sign(link.ManageDevice, c.ID, time.Time{}), 401},
		"another device's": {other.Token, 403},
		"another key":      {link.New([]byte("x")).Sign(link.API, c.ID, time.Time{}), 401},
		"its own":          {c.Token, 200},
	} {
		for _, method := range []string{"GET", "PATCH"} {
			w := h.do(method, "/api/v1/subscriptions/"+c.ID, "{}", "Authorization", "Bearer "+x.token)
			if w.Code != x.status {
				t.Errorf("%s %s: %d, want %d", method, name, w.Code, x.status)
			}
		}
		if x.status == 200 {
			continue
		}
		if w := h.do("DELETE", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+x.token); w.Code != x.status {
			t.Errorf("DELETE %s: %d", name, w.Code)
		}
	}
	if h.store.devices[c.ID].State != news.DeviceActive {
		t.Error("somebody else ended it")
	}
}

func TestLeaveByAPI(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	for range 2 {
		if w := h.do("DELETE", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+c.Token); w.Code != 204 || w.Body.Len() != 0 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if got := h.alarm.take(); got != "control devices" {
		t.Errorf("woken: %q", got)
	}
	for _, method := range []string{"GET", "PATCH"} {
		if w := h.do(method, "/api/v1/subscriptions/"+c.ID, "{}", "Authorization", "Bearer "+c.Token); w.Code != 410 {
			t.Errorf("%s after leaving: %d", method, w.Code)
		}
	}
}

// A browser signs up anew by itself when we have lost it (404), and must not when
// its reader has wiped what we knew (410).
func TestWipedIsNotLost(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	get := func() int {
		return h.do("GET", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+c.Token).Code
	}
	delete(h.store.devices, c.ID)
	if got := get(); got != 404 {
		t.Errorf("lost: %d", got)
	}
	h.store.wiped = map[string]bool{c.ID: true}
	if got := get(); got != 410 {
		t.Errorf("wiped: %d", got)
	}
}

func TestNothingIsSaidToHaveHappenedThatHasNot(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	h.store.broken = fmt.Errorf("dial: %w", news.ErrUnavailable)
	auth := []string{"Authorization", "Bearer " + c.Token}
	manage := link.Path(link.ManageDevice, h.links.Sign(link.ManageDevice, c.ID, time.Time{}))
	for name, got := range map[string]int{
		"subscribe": h.do("POST", "/api/v1/subscriptions", body()).Code,
		"change":    h.do("PATCH", "/api/v1/subscriptions/"+c.ID, "{}", auth...).Code,
		"leave":     h.do("DELETE", "/api/v1/subscriptions/"+c.ID, "", auth...).Code,
		"digest":    h.do("POST", "/api/v1/digests", `{"email":"a@b.example","regions":["JP"]}`).Code,
		"page":      h.form(manage, "action=leave").Code,
		"one-click": h.form(link.Path(link.Unsubscribe, h.links.Sign(link.Unsubscribe, "x", time.Time{})), "").Code,
	} {
		if got != 503 {
			t.Errorf("%s with the database down: %d, want 503", name, got)
		}
	}
	if got := h.alarm.take(); got != "" {
		t.Errorf("woken for nothing: %q", got)
	}
}

func TestReceipts(t *testing.T) {
	h := newHouse(t, nil)
	r := link.Receipt{AlertID: "0192f0c1-7f3a-7b11-8f10-3a5de5a0c001", Revision: 2, Cell: 17, Number: 4711}
	token := h.links.Receipt(r, h.now.Add(link.ReceiptFor))
	for _, body := range []string{`{"receipt":"` + token + `","kind":"shown"}`, `{"receipt":"` + token + `","kind":"shown"}`,
		`{"receipt":"` + token + `","kind":"eaten"}`, `{"receipt":"x","kind":"shown"}`, "", "[[[", strings.Repeat("x", 10000)} {
		if w := h.do("POST", "/api/v1/receipts", body); w.Code != 204 || w.Body.Len() != 0 {
			t.Errorf("%.40s: %d %s", body, w.Code, w.Body)
		}
	}
	want := map[news.DeviceReceipt]bool{{AlertID: r.AlertID, Revision: 2, Device: news.DeviceRef{Cell: 17, Number: 4711}, Kind: "shown"}: true}
	if d := cmp.Diff(want, h.store.receipts); d != "" {
		t.Error(d)
	}
	h.store.broken = news.ErrUnavailable
	if w := h.do("POST", "/api/v1/receipts", `{"receipt":"`+token+`","kind":"closed"}`); w.Code != 204 {
		t.Errorf("database down: %d", w.Code)
	}
}

func TestPushKey(t *testing.T) {
	h := newHouse(t, nil)
	var v map[string]string
	decode(t, h.do("GET", "/api/v1/push/key", "").Body, &v)
	if len(v) != 1 || len(v["publicKey"]) != 87 {
		t.Errorf("%v", v)
	}
}
