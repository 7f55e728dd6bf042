package site

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
)

// joined is a device and a mailbox of one reader, with what came to both.
func (h *house) joined() (c credentials, box string) {
	h.t.Helper()
	h.fill()
	c = h.subscribe("mutedRegions", `["JP-13"]`, "overrides", `[{"regions":["JP-01"],"level":"flash"}]`, "quiet", `{"from":"22:00","to":"07:00"}`)
	_, box = h.confirmed("reader@b.example")
	m := h.store.boxes[box]
	m.SubscriberID = "subscriber-of-" + c.ID
	m.Wishes.Preference.Sections = []string{"culture"}
	h.store.boxes[box] = m
	h.store.sent = map[string][]news.Release{m.SubscriberID: {h.store.releases[killedAlert][1], h.store.releases[killedAlert][0], h.store.releases[sentAlert][0]}}
	h.store.stories = map[string]news.Story{
		"https://news.example/film": {URI: "https://news.example/film", Status: news.Usable, Headline: "A film in Kyoto", Standfirst: "It opens on Friday.", Language: "en", URL: "https://news.example/film", Regions: []string{"JP-26"}, Sections: []string{"culture"}, Created: testNow},
		"https://news.example/gone": {URI: "https://news.example/gone", Status: news.Canceled, Headline: "Never told again", Language: "en", URL: "https://news.example/gone", Regions: []string{"JP"}, Created: testNow},
		"https://news.example/soon": {URI: "https://news.example/soon", Status: news.Usable, Headline: "A version under embargo", Language: "en", URL: "https://news.example/soon", Regions: []string{"JP"}, Created: testNow, Embargo: testNow.Add(time.Hour)},
	}
	day := news.DigestMail{MailboxID: box, LocalDate: "2026-11-23", EditionAt: testNow.Add(-24 * time.Hour), State: news.DigestSent, Stories: []string{"https://news.example/film", "https://news.example/gone", "https://news.example/soon"}}
	old := day
	old.LocalDate, old.EditionAt = "2026-10-01", testNow.AddDate(0, 0, -54)
	h.store.digests = map[string][]news.DigestMail{box: {day, old}}
	return c, box
}

// TestManageSaysWhatCameAndWhy: device and mailbox, from the one link and from the
// other, what is followed in words, what came, each with its reason.
func TestManageSaysWhatCameAndWhy(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Explainer = explainer{} })
	c, box := h.joined()
	for name, path := range map[string]string{"device": h.path(link.ManageDevice, c.ID), "mailbox": h.path(link.ManageMailbox, box)} {
		page := h.do("GET", path+"?lang=en", "").Body.String()
		for _, want := range []string{"Retracted: minister resigns", "Strong quake off Luzon", `href="/why/` + sentAlert + "/", `href="/why/` + killedAlert + "/",
			"By mail on 23 Nov 2026", "A film in Kyoto", "It is about a place you follow: Japan.", "a subject you chose: Culture.", `id="part"`} {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page lacks %q", name, want)
			}
		}
		for _, alien := range []string{"Never told again", "A version under embargo", "2026-10-01", "Said to have", "reader@b"} {
			if strings.Contains(page, alien) {
				t.Errorf("%s: the page tells %q", name, alien)
			}
		}
		wellFormed(t, name, page)
	}
	page := h.do("GET", h.path(link.ManageDevice, c.ID)+"?lang=en", "").Body.String()
	for _, want := range []string{"Japan, without Tokyo", "For Hokkaido you chose: Flash.", "22:00–07:00 (UTC)"} {
		if !strings.Contains(page, want) {
			t.Errorf("in words: the page lacks %q: %s", want, page)
		}
	}
	_, why, _ := strings.Cut(page, `href="/why/`+sentAlert)
	why, _, _ = strings.Cut(why, `"`)
	if w := h.do("GET", "/why/"+sentAlert+why, ""); w.Code != 200 {
		t.Errorf("the reason: %d", w.Code)
	}
	// Parted, neither shows the other.
	h.form(h.path(link.ManageDevice, c.ID), "action=part")
	if h.store.boxes[box].SubscriberID != "" {
		t.Error("joined still")
	}
	if page := h.do("GET", h.path(link.ManageMailbox, box), "").Body.String(); strings.Contains(page, "Luzon") || strings.Contains(page, `id="part"`) {
		t.Error("the mailbox shows what the device got")
	}
}

// TestDataNeedsAFreshLink: a link in an old mail gives nothing away, erases
// nothing and sends nothing elsewhere.
func TestDataNeedsAFreshLink(t *testing.T) {
	h := newHouse(t, nil)
	_, box := h.joined()
	old := h.path(link.ManageMailbox, box)
	if w := h.do("GET", old+"/data.json", ""); w.Code != 403 || strings.Contains(w.Body.String(), "reader@") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, action := range []string{"action=wipe&sure=on", "action=move&email=thief%40b.example"} {
		if w := h.form(old, action); w.Code != 403 {
			t.Errorf("%s: %d", action, w.Code)
		}
	}
	if len(h.store.boxes) != 1 || h.store.mails["thief@b.example"] != 0 {
		t.Error("an old link did something")
	}
	if page := h.do("GET", old, "").Body.String(); strings.Contains(page, `id="wipe"`) || !strings.Contains(page, `id="send-link"`) {
		t.Error("the old link's page offers what it can't do")
	}
	if w := h.form(old, "action=link"); w.Code != 303 || w.Header().Get("Location") != old+"?mailed" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	var asked news.DigestSignup
	for _, s := range h.store.signups {
		if s.Kind == news.SignupLink {
			asked = s
		}
	}
	if asked.MailboxID != box || asked.ExpiresAt != testNow.Add(time.Hour) {
		t.Errorf("%+v", asked)
	}
	fresh := link.Path(link.FreshMailbox, h.links.Sign(link.FreshMailbox, box, testNow.Add(link.FreshFor)))
	w := h.do("GET", fresh+"/data.json", "")
	for _, want := range []string{`"address": "reader@b.example"`, `"requestedAt"`, `"https://news.example/film"`, `"endpoint": "` + goodPush, `"Strong quake off Luzon"`} {
		if got := strings.ReplaceAll(w.Body.String(), `":"`, `": "`); w.Code != 200 || !strings.Contains(got, want) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%d, the export lacks %s: %s", w.Code, want, w.Body)
		}
	}
	if err := readOpenAPI(t).holds("Export", w.Body.String()); err != nil {
		t.Error(err)
	}
	if w := h.form(fresh, "action=move&email=New%40b.example"); w.Code != 303 || h.store.boxes[box].Address != "reader@b.example" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for _, s := range h.store.signups {
		if s.Kind == news.SignupMove {
			page := h.do("GET", h.path(link.Confirm, s.ID), "").Body.String()
			if s.Address != "new@b.example" || s.Consent.Source != "move" || !strings.Contains(page, "from now on") || !strings.Contains(page, "n•••@b.example") {
				t.Errorf("%+v %s", s, page)
			}
		}
	}
	before := len(h.store.signups)
	if w := h.form(fresh, "action=move&email=Reader%40b.example"); w.Header().Get("Location") != fresh+"?same" || len(h.store.signups) != before ||
		!strings.Contains(h.do("GET", fresh+"?same", "").Body.String(), "to this address already") {
		t.Errorf("moved to where it goes already: %d %v", w.Code, w.Header())
	}
	if w := h.form(fresh, "action=move&email=nonsense"); w.Code != 400 || !strings.Contains(w.Body.String(), `id="faults"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := h.form(fresh, "action=wipe"); w.Code != 400 || len(h.store.boxes) != 1 {
		t.Errorf("without being sure: %d", w.Code)
	}
	if w := h.form(fresh, "action=wipe&sure=on"); w.Code != 200 || len(h.store.boxes) != 0 || !strings.Contains(w.Body.String(), "Everything is erased") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.now = h.now.Add(link.FreshFor)
	if w := h.do("GET", fresh, ""); w.Code != 410 {
		t.Errorf("an hour later: %d", w.Code)
	}
}

// Who has left has a right to what is kept of her, too: an old link has a fresh
// one mailed, and gives nothing away itself.
func TestWhoLeftAsksForAFreshLink(t *testing.T) {
	h := newHouse(t, nil)
	_, box := h.confirmed("reader@b.example")
	old := h.path(link.ManageMailbox, box)
	if w := h.form(old, "action=leave"); w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	page := h.do("GET", old, "").Body.String()
	if !strings.Contains(page, `id="send-link"`) || strings.Contains(page, `id="wipe"`) || strings.Contains(page, "data.json") {
		t.Errorf("the page of who has left: %s", page)
	}
	if w := h.form(old, "action=link"); w.Code != 303 || !strings.Contains(h.do("GET", old+"?mailed", "").Body.String(), `id="saved"`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	fresh := link.Path(link.FreshMailbox, h.links.Sign(link.FreshMailbox, box, testNow.Add(link.FreshFor)))
	if page := h.do("GET", fresh, "").Body.String(); !strings.Contains(page, `id="wipe"`) || !strings.Contains(page, fresh+"/data.json") || strings.Contains(page, `id="move"`) {
		t.Errorf("the fresh link's page: %s", page)
	}
}

// An old mail may have been forwarded. Its link shows what came, and leads to no
// page on which the device that is joined is exported or erased; a fresh one does,
// for as long as it lasts itself.
func TestAnOldMailOpensNoDevice(t *testing.T) {
	h := newHouse(t, nil)
	_, box := h.joined()
	device := regexp.MustCompile(`href="(/(?:manage|why)/[^"]+)"`)
	opens := func(path string) (found string) {
		links := device.FindAllStringSubmatch(h.do("GET", path, "").Body.String(), -1)
		asked := 0
		for _, m := range links { // and what those that ask why lead to
			if strings.HasPrefix(m[1], "/why/") {
				asked++
				links = append(links, device.FindAllStringSubmatch(h.do("GET", m[1], "").Body.String(), -1)...)
			}
		}
		if asked == 0 {
			t.Error("the page has no link that asks why")
		}
		for _, m := range links {
			if w := h.do("GET", m[1]+"/data.json", ""); w.Code == 200 && strings.Contains(w.Body.String(), "p256dh") {
				found = m[1]
			}
		}
		return found
	}
	if got := opens(h.path(link.ManageMailbox, box)); got != "" {
		t.Errorf("a link of 30 days leads to %s", got)
	}
	fresh := opens(h.path(link.FreshMailbox, box))
	if fresh == "" {
		t.Fatal("a fresh link leads to no device")
	}
	h.now = h.now.Add(link.FreshFor + time.Second)
	if w := h.do("GET", fresh, ""); w.Code != 410 {
		t.Errorf("the device's page outlives the fresh link: %d", w.Code)
	}
}

// TestDeviceData: a device's token exports and erases that device, and no other.
func TestDeviceData(t *testing.T) {
	h := newHouse(t, nil)
	c, box := h.joined()
	other := h.subscribe("subscription", subscription(goodPush+"/other", goodP256dh, goodAuth))
	door := "/api/v1/subscriptions/" + c.ID + "/data"
	for _, method := range []string{"GET", "DELETE"} {
		if w := h.do(method, door, "", "Authorization", "Bearer "+other.Token); w.Code != 403 {
			t.Errorf("%s with another's token: %d", method, w.Code)
		}
		if w := h.do(method, door, ""); w.Code != 401 {
			t.Errorf("%s without a token: %d", method, w.Code)
		}
	}
	w := h.do("GET", door, "", "Authorization", "Bearer "+c.Token)
	if err := readOpenAPI(t).holds("Export", w.Body.String()); err != nil || w.Code != 200 || strings.Contains(w.Body.String(), "reader@b") || strings.Contains(w.Body.String(), "/other") {
		t.Errorf("%d %v %s", w.Code, err, w.Body)
	}
	if page := h.do("GET", h.path(link.ManageDevice, c.ID)+"/data.json", "").Body.String(); !strings.Contains(page, c.ID) {
		t.Errorf("the page's file: %s", page)
	}
	h.alarm.take()
	for range 2 {
		if w := h.do("DELETE", door, "", "Authorization", "Bearer "+c.Token); w.Code != 204 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	if _, there := h.store.devices[c.ID]; there || len(h.store.boxes) != 1 || h.alarm.take() != "control devices" {
		t.Errorf("not erased, or the mailbox %s with it", box)
	}
}

// TestOneDomainIsNotBombed: from however many clients, one mail server hears of
// so many sign-ups an hour.
func TestOneDomainIsNotBombed(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.SignupLimit = 2 })
	codes := map[int]int{}
	for n := range 80 {
		r := h.from(fmt.Sprintf("198.51.100.%d", n), fmt.Sprintf(`{"email":"a%d@victim.example","regions":["JP"]}`, n))
		codes[r]++
	}
	if codes[202] != 2*domainShare || codes[429] != 40 {
		t.Errorf("%v", codes)
	}
	if got := h.from("198.51.100.200", `{"email":"a@other.example","regions":["JP"]}`); got != 202 {
		t.Errorf("another domain: %d", got)
	}
}

// TestAcceptLanguageSuggests: tag by tag, the first that we speak in its own
// script.
func TestAcceptLanguageSuggests(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "zh-HK": "zh-Hant", "zh-TW,zh;q=0.5": "zh-Hant", "zh-Hant-MO": "zh-Hant", "zh": "zh-Hans", "zh-SG": "zh-Hans", "fr, ja;q=0.8, en;q=0.7": "ja",
		"en;q=0.1, ur": "ur", "ar-EG": "ar", "hi-IN,hi": "hi", "in": "id", "xx": "en", "ko-KR": "ko", "th;q=0, vi": "vi", "nonsense;;;": "en",
	} {
		if got := suggested(accept); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}
