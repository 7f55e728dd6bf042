package site

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/link"
	"dateline/internal/news"
)

func TestConfirm(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	w := h.do("POST", "/api/v1/digests", `{"email":"reader@b.example","regions":["JP"],"hour":6}`, "Authorization", "Bearer "+c.Token, "User-Agent", "Firefox Android")
	if w.Code != 202 {
		t.Fatal(w.Code)
	}
	var id string
	for id = range h.store.signups {
	}
	path := h.path(link.Confirm, id)
	page := h.do("GET", path, "").Body.String()
	if !strings.Contains(page, "r•••@b.example") || !strings.Contains(page, "Firefox on Android") || strings.Contains(page, "reader@") {
		t.Errorf("%s", page)
	}
	if len(h.store.boxes) != 0 {
		t.Fatal("confirmed by a GET")
	}
	for range 2 {
		w := h.form(path, "")
		if w.Code != 200 || w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
		manage := regexp.MustCompile(`href="(/manage/[^"]+)"`).FindStringSubmatch(w.Body.String())
		if manage == nil || h.do("GET", manage[1], "").Code != 200 {
			t.Errorf("no way to manage: %v", manage)
		}
	}
	// Opened again it says so, and a look changes nothing.
	writes := h.store.writes
	again := h.do("GET", path, "").Body.String()
	manage := regexp.MustCompile(`href="(/manage/[^"]+)"`).FindStringSubmatch(again)
	if !strings.Contains(again, "Confirmed already") || strings.Contains(again, `id="confirm"`) || manage == nil || h.do("GET", manage[1], "").Code != 200 || h.store.writes != writes {
		t.Errorf("opened again after the press: %s", again)
	}
	if !strings.Contains(h.form(path, "").Body.String(), `hreflang="ja"`) {
		t.Error("the answer to the press has no language menu")
	}
	box := h.store.boxes["box-"+id]
	defer func() {
		if err := h.store.LeaveMailbox(t.Context(), news.Departure{MailboxID: box.ID, Way: news.LeftByPage}); err != nil {
			t.Fatal(err)
		}
		if page := h.form(path, "").Body.String(); !strings.Contains(page, "You have left") || h.store.boxes[box.ID].State != news.MailboxLeft {
			t.Error("an old link signed up somebody who has left")
		}
	}()
	if box.SubscriberID != "subscriber-of-"+c.ID || box.Consent.ConfirmedAt != testNow || box.Consent.RequestedAt != testNow || box.Hour != 6 {
		t.Errorf("%+v", box)
	}
}

func TestT70_UnsubscribeTwiceAndAfterDeletion(t *testing.T) {
	h := newHouse(t, nil)
	_, box := h.confirmed("reader@b.example")
	path := link.Path(link.Unsubscribe, h.links.Sign(link.Unsubscribe, box, time.Time{}))
	// RFC 8058: no cookie, no browser headers, no redirect.
	oneClick := func() int {
		return h.do("POST", path, "List-Unsubscribe=One-Click", "Content-Type", "application/x-www-form-urlencoded").Code
	}
	if got := oneClick(); got != 200 || h.store.boxes[box].State != news.MailboxLeft {
		t.Errorf("%d %s", got, h.store.boxes[box].State)
	}
	if got := oneClick(); got != 200 {
		t.Errorf("twice: %d", got)
	}
	if page := h.do("GET", path, "").Body.String(); !strings.Contains(page, "You have left") {
		t.Errorf("who has left is asked again: %s", page)
	}
	delete(h.store.boxes, box)
	if got := oneClick(); got != 200 {
		t.Errorf("after deletion: %d", got)
	}
	if w := h.do("POST", path, "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n", "Content-Type", "multipart/form-data; boundary=b"); w.Code != 200 {
		t.Errorf("as multipart: %d", w.Code)
	}
	h.now = h.now.AddDate(20, 0, 0)
	if got := oneClick(); got != 200 {
		t.Errorf("after 20 years: %d", got)
	}
}

func TestT71_PageTokens(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	signup, box := h.confirmed("reader@b.example")
	h.fill()
	good := map[string]string{"/confirm/": signup, "/unsubscribe/": box, "/manage/": c.ID}
	purposes := map[string]link.Purpose{"/confirm/": link.Confirm, "/unsubscribe/": link.Unsubscribe, "/manage/": link.ManageDevice}
	for page, id := range good {
		token := h.links.Sign(purposes[page], id, h.now.Add(time.Hour))
		for name, bad := range map[string]string{
			"truncated":       token[:len(token)-1],
			"nonsense":        "nonsense",
			"another key":     link.New([]byte("x")).Sign(purposes[page], id, h.now.Add(time.Hour)),
			"another purpose": h.links.Sign(link.Why, id, h.now.Add(time.Hour)),
			"path traversal":  "..%2f..%2fetc%2fpasswd",
		} {
			for _, w := range []int{h.do("GET", page+bad, "").Code, h.form(page+bad, "action=leave").Code} {
				if w != 404 {
					t.Errorf("%s %s: %d, want 404", page, name, w)
				}
			}
		}
		expired := h.links.Sign(purposes[page], id, h.now)
		if got := h.do("GET", page+expired, "").Code; got != 410 {
			t.Errorf("%s expired: %d, want 410", page, got)
		}
		if got := h.form(page+expired, "action=leave").Code; got != 410 {
			t.Errorf("%s expired POST: %d, want 410", page, got)
		}
	}
	if h.store.boxes[box].State != news.MailboxActive || h.store.devices[c.ID].State != news.DeviceActive {
		t.Error("a bad token did something")
	}
	if got := h.do("GET", "/why/"+sentAlert+"/nonsense", "").Code; got != 404 {
		t.Errorf("why: %d", got)
	}
}

func TestT74_CrossSiteFormsChangeNothing(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	for _, path := range []string{h.path(link.ManageDevice, c.ID), "/subscribe"} {
		if w := h.do("POST", path, "action=leave", "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
	if h.store.devices[c.ID].State != news.DeviceActive {
		t.Error("left from another site")
	}
}

func TestManageDevice(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe("overrides", `[{"regions":["JP"],"level":"notice"}]`, "mutedStories", `["https://news.example/a"]`)
	path := h.path(link.ManageDevice, c.ID)
	wishes := func() news.Wishes { return h.store.devices[c.ID].Wishes }
	w := h.form(path, "action=save&region=ID&region=035&mute=SG&section=culture&level=notice&language=ja&timezone=Asia/Jakarta&quiet=on&quietFrom=23:00&quietTo=06:00&cap=3")
	if w.Code != 303 || w.Header().Get("Location") != path+"?saved" {
		t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	got := wishes()
	if fmt.Sprintln(got.Preference.Regions, got.Preference.Muted, got.Preference.Sections, got.Preference.Level, got.Language, got.Timezone, *got.Quiet, got.Cap) !=
		"[035 ID] [SG] [culture] notice ja Asia/Jakarta {1380 360 false} 3\n" {
		t.Errorf("%+v", got)
	}
	if len(got.Preference.Overrides) != 1 || len(got.MutedStories) != 1 {
		t.Error("what the form does not show was lost")
	}
	if woken := h.alarm.take(); woken != "control devices" {
		t.Errorf("woken: %q", woken)
	}
	if page := h.do("GET", path, "", "Accept-Language", "ko").Body.String(); !strings.Contains(page, `<html lang="ja"`) {
		t.Error("the page is not in the language of her alerts")
	}
	if page := h.do("GET", path, "", "Cookie", "lang=ar").Body.String(); !strings.Contains(page, `<html lang="ar"`) {
		t.Error("the page is not in the language she picked for pages")
	}
	page := h.do("GET", path+"?saved&lang=en", "").Body.String()
	for _, want := range []string{`id="saved"`, `value="035" id="region-035" checked`, `id="region-ID" checked`, `id="mute-SG" checked`, `id="level-notice" checked`, `value="23:00"`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	w = h.form(path, "action=save&cap=many&level=flash&region=TH")
	for _, typed := range []string{`id="level-flash" checked`, `id="region-TH" checked`} {
		if !strings.Contains(w.Body.String(), typed) {
			t.Errorf("one fault, and what was typed besides is lost: %s", typed)
		}
	}
	if w.Code != 400 || !strings.Contains(w.Body.String(), `id="faults"`) || wishes().Cap != 3 {
		t.Errorf("%d", w.Code)
	}
	h.form(path, "action=pause&for=week")
	if until := wishes().PausedUntil; until != testNow.Add(7*24*time.Hour) {
		t.Errorf("paused until %s", until)
	}
	if page := h.do("GET", path, "").Body.String(); !strings.Contains(page, "2026年12月1日 14:00 WIB まで") {
		t.Error("the end of the pause is not told in the reader's zone")
	}
	h.form(path, "action=resume")
	if !wishes().PausedUntil.IsZero() {
		t.Error("paused still")
	}
	for _, bad := range []string{"", "action=dance", "action=pause&for=ever"} {
		if w := h.form(path, bad); w.Code != 400 {
			t.Errorf("%q: %d", bad, w.Code)
		}
	}
	h.alarm.take()
	if w := h.form(path, "action=leave"); w.Code != 200 || h.store.devices[c.ID].State != news.DeviceLeft || !strings.Contains(w.Body.String(), "解除しました") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if woken := h.alarm.take(); woken != "control devices" {
		t.Errorf("woken: %q", woken)
	}
	if w := h.form(path, "action=save&region=JP"); w.Code != 409 {
		t.Errorf("saved after leaving: %d", w.Code)
	}
	if w := h.do("GET", path+"?lang=en", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "You have left") ||
		!strings.Contains(w.Body.String(), `id="export"`) || !strings.Contains(w.Body.String(), `id="wipe"`) || h.do("GET", path+"/data.json", "").Code != 200 {
		t.Errorf("%d", w.Code)
	}
}

func TestManageMailbox(t *testing.T) {
	h := newHouse(t, nil)
	_, box := h.confirmed("reader@b.example")
	path := h.path(link.ManageMailbox, box)
	page := h.do("GET", path, "").Body.String()
	if strings.Contains(page, "reader@") || strings.Contains(page, `id="quietFrom"`) || !strings.Contains(page, `id="day-7" checked`) {
		t.Error("wrong page")
	}
	// What is said of a device does not hold for a mail: no level, and nothing that wakes.
	for _, alien := range []string{`name="level"`, "alerts</label>", "waking", "wake me"} {
		if strings.Contains(page, alien) {
			t.Errorf("the mailbox's page says %q", alien)
		}
	}
	if !strings.Contains(page, `<label for="language">Language of the digest</label>`) {
		t.Error("the language is not the digest's")
	}
	if !strings.Contains(page, `id="digest-keeps"`) || !strings.Contains(page, "<dt>Language of the digest</dt> <dd>English</dd>") {
		t.Error("what the digest goes by is not told")
	}
	before := h.store.boxes[box].Wishes.Preference.Level
	if w := h.form(path, "action=save&region=IN&language=hi&timezone=Asia/Kolkata&hour=4&day=1&day=5"); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	// Weekly, the days don't count, and are there again after it.
	if w := h.form(path, "action=save&region=IN&language=hi&timezone=Asia/Kolkata&hour=5&weekly=on"); w.Code != 303 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	got := h.store.boxes[box]
	if fmt.Sprintln(got.Wishes.Preference.Regions, got.Wishes.Language, got.Hour, got.Days, got.Weekly) != "[IN] hi 5 [1 5] true\n" ||
		got.Wishes.Preference.Level != before {
		t.Errorf("%+v", got)
	}
	if w := h.form(path, "action=save&region=IN&hour=6"); w.Code != 400 || !strings.Contains(w.Body.String(), `<option value="6" selected>`) {
		t.Errorf("no day: %d", w.Code)
	}
	if w := h.form(path, "action=pause&for=until&until=2026-12-01"); w.Code != 303 || h.store.boxes[box].Wishes.PausedUntil.IsZero() {
		t.Errorf("a break of the digest: %d", w.Code)
	}
	if page := h.form(path, "action=pause&for=until&until=x").Body.String(); !strings.Contains(page, `href="#resume"`) || !strings.Contains(page, `id="resume"`) {
		t.Error("a fault leads to a field that is not there")
	}
	if w := h.form(path, "action=leave"); w.Code != 200 || h.store.boxes[box].State != news.MailboxLeft {
		t.Errorf("%d", w.Code)
	}
}

var faultLink = regexp.MustCompile(`<li><a href="#([^"]+)">`)

// TestFaultsComeInThePagesOrder: all of them at once, as the page has their fields,
// and each leads to a field that is there.
func TestFaultsComeInThePagesOrder(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	_, box := h.confirmed("reader@b.example")
	const wrong = "action=save&region=XX&mute=YY&section=gossip&level=loud&language=%3F&timezone=Mars&quiet=on&quietFrom=x&cap=x&email=nonsense&hour=25&override=ZZ&overrideLevel=loud"
	for path, want := range map[string]string{"/subscribe": "places places sections language timezone email hour day-1",
		"/manage/" + c.Token: "places places levels overrides sections language timezone hours cap", h.path(link.ManageMailbox, box): "places places sections language timezone hour day-1"} {
		page := h.form(path, wrong).Body.String()
		at, found := 0, []string{}
		for _, m := range faultLink.FindAllStringSubmatch(page, -1) {
			found = append(found, m[1])
			here := strings.Index(page, ` id="`+m[1]+`"`)
			if here < at {
				t.Errorf("%s: #%s is told out of turn, or is not there", path, m[1])
			}
			at = here
		}
		if got := strings.Join(found, " "); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestDigestKeepsWhatAMailGoesBy: places, sections, language and clock; nothing of
// how loud an alert may be, by the form.
func TestDigestKeepsWhatAMailGoesBy(t *testing.T) {
	h := newHouse(t, nil)
	w := h.form("/subscribe", "region=JP&mute=JP-13&section=culture&level=flash&override=JP&overrideLevel=notice&language=ja&timezone=Asia/Tokyo&quiet=on&quietFrom=22:00&quietTo=07:00&cap=3&email=a%40b.example&hour=6&day=1")
	if w.Code != 202 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	for _, s := range h.store.signups {
		want := news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Muted: []string{"JP-13"}, Sections: []string{"culture"}, Level: news.LevelBulletin},
			Language: "ja", Timezone: "Asia/Tokyo"}
		if d := cmp.Diff(want, s.Wishes); d != "" {
			t.Error(d)
		}
	}
	for _, lang := range languages() {
		page := h.do("GET", "/subscribe?lang="+lang, "").Body.String()
		told, _ := h.site.words.say(lang, "digest.keeps")
		if mail := page[strings.Index(page, `id="by-mail"`):]; !strings.Contains(mail, told) {
			t.Errorf("%s: the form does not say what a digest goes by", lang)
		}
	}
}
