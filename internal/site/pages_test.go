package site

import (
	"encoding/json"
	"fmt"
	"image/png"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/net/html"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/web"
)

const (
	sentAlert   = "0192f0c1-7f3a-7b11-8f10-3a5de5a0c001"
	sentURI     = "https://news.example/" + sentAlert
	killedAlert = "0192f0c1-7f3a-7b11-8f10-3a5de5a0c002"
	draftAlert  = "0192f0c1-7f3a-7b11-8f10-3a5de5a0c003"
)

// fill puts alerts, a device and two mailboxes into the house.
func (h *house) fill() {
	release := func(alert string, revision int, kind news.ReleaseKind, region, title, body, navigate string) news.Release {
		return news.Release{AlertID: alert, StoryURI: "https://news.example/" + alert, Revision: revision, Kind: kind, Level: news.LevelFlash, Language: "en",
			Texts:   map[string]news.Text{"en": {Title: title, Body: body}, "ja": {Title: "地震", Body: "本文"}},
			Regions: []string{region}, Navigate: navigate, ReleasedAt: testNow.Add(time.Duration(revision) * time.Minute)}
	}
	h.store.alerts = []news.Alert{
		{ID: sentAlert, StoryURI: sentURI, State: news.AlertSent, Audience: "ASEAN + TW", Revision: 2, Language: "en", Texts: map[string]news.Text{"en": {Title: "Strong quake off Luzon"}}},
		{ID: killedAlert, State: news.AlertKilled, Audience: "JP", Revision: 2},
		{ID: draftAlert, State: news.AlertCancelled, Audience: "JP"},
	}
	h.store.releases = map[string][]news.Release{
		sentAlert: {release(sentAlert, 1, news.ReleaseAlert, "PH", "Strong quake off Luzon", "A <magnitude> 7.1 quake", "https://news.example/quake"),
			release(sentAlert, 2, news.ReleaseCorrection, "PH", "Quake off Luzon: magnitude corrected", "It was 6.8", "https://news.example/quake")},
		killedAlert: {release(killedAlert, 1, news.ReleaseAlert, "JP", "Minister resigns", "Said to have", "https://news.example/minister"),
			release(killedAlert, 2, news.ReleaseKill, "JP", "Retracted: minister resigns", "He did not", "https://alerts.example/alerts/"+killedAlert)},
	}
}

// confirmed signs a reader up for the digest and gives the sign-up's and the
// mailbox's id.
func (h *house) confirmed(address string) (signup, box string) {
	h.t.Helper()
	if w := h.do("POST", "/api/v1/digests", `{"email":"`+address+`","regions":["JP"]}`); w.Code != 202 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	for id, s := range h.store.signups {
		if s.Address == address {
			signup = id
		}
	}
	if w := h.form(h.path(link.Confirm, signup), ""); w.Code != 200 {
		h.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return signup, "box-" + signup
}

// path is a page's path with a token that lasts an hour.
func (h *house) path(purpose link.Purpose, id string) string {
	return link.Path(purpose, h.links.Sign(purpose, id, h.now.Add(time.Hour)))
}

// wellFormed checks what a browser would silently mend.
func wellFormed(t *testing.T, name, page string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	ids := map[string]bool{}
	labels := map[string]bool{}
	var fields []string
	inLabel := 0
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			attr := map[string]string{}
			for _, a := range n.Attr {
				attr[a.Key] = a.Val
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" {
					t.Errorf("%s: inline %s in <%s>: the policy forbids it", name, a.Key, n.Data)
				}
			}
			if id := attr["id"]; id != "" {
				if ids[id] {
					t.Errorf("%s: id %q twice", name, id)
				}
				ids[id] = true
			}
			switch n.Data {
			case "style":
				t.Errorf("%s: inline style", name)
			case "script":
				if attr["src"] == "" {
					t.Errorf("%s: inline script", name)
				}
			case "label":
				if attr["for"] != "" {
					labels[attr["for"]] = true
				}
			case "input", "select":
				if attr["type"] != "hidden" && inLabel == 0 && attr["aria-label"] == "" {
					fields = append(fields, attr["id"])
				}
			}
			for _, key := range []string{"src", "href", "action"} {
				if v := attr[key]; n.Data != "a" && (strings.HasPrefix(v, "http") || strings.HasPrefix(v, "//")) {
					t.Errorf("%s: <%s %s=%q> is from elsewhere", name, n.Data, key, v)
				}
			}
			if n.Data == "label" {
				inLabel++
				defer func() { inLabel-- }()
			}
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(doc)
	for _, id := range fields {
		if !labels[id] {
			t.Errorf("%s: field %q has no label", name, id)
		}
	}
	if strings.Contains(page, "%!") || strings.Contains(page, "ZgotmplZ") {
		t.Errorf("%s: %s", name, page)
	}
}

// TestEveryPageInEveryLanguage executes every template with real data.
func TestEveryPageInEveryLanguage(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Explainer = explainer{} })
	h.fill()
	c := h.subscribe("quiet", `{"from":"22:00","to":"07:00"}`, "language", `"mn"`, "timezone", `"Europe/Prague"`, "regions", `["JP-13","JP"]`)
	signup, box := h.confirmed("reader@b.example")
	pages := map[string]string{
		"front": "/", "subscribe": "/subscribe?region=jp&region=ZZ", "alerts": "/alerts", "alert": "/alerts/" + sentAlert, "killed": "/alerts/" + killedAlert,
		"why": "/why/" + sentAlert + "/" + h.links.Sign(link.Why, c.ID, time.Time{}), "confirm": h.path(link.Confirm, signup),
		"unsubscribe": h.path(link.Unsubscribe, box), "manage device": h.path(link.ManageDevice, c.ID), "manage mailbox": h.path(link.ManageMailbox, box)}
	for _, lang := range languages() {
		for name, path := range pages {
			glue := "?"
			if strings.Contains(path, "?") {
				glue = "&"
			}
			w := h.do("GET", path+glue+"lang="+lang, "")
			name = lang + " " + name
			if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
				continue
			}
			page := w.Body.String()
			wellFormed(t, name, page)
			if !strings.Contains(page, `<html lang="`+lang+`" dir="`+news.Direction(lang)+`">`) {
				t.Errorf("%s: wrong language or direction", name)
			}
		}
	}
	if got := news.Direction("ur") + news.Direction("ar") + news.Direction("hi"); got != "rtlrtlltr" {
		t.Errorf("directions %s", got)
	}
}

// TestT69_GetsChangeNothing: whatever opens a link without a press changes
// nothing, once on every real page and ten thousand times on the two that a
// mail's scanners open.
func TestT69_GetsChangeNothing(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	c := h.subscribe()
	signup, box := h.confirmed("reader@b.example")
	if w := h.do("POST", "/api/v1/digests", `{"email":"second@b.example","regions":["JP"]}`); w.Code != 202 {
		t.Fatal(w.Code)
	}
	h.alarm.take()
	before := h.store.writes
	paths := []string{"/", "/subscribe", "/alerts", "/alerts/" + sentAlert, "/sw.js", h.path(link.ManageDevice, c.ID), h.path(link.ManageMailbox, box),
		h.path(link.ManageDevice, c.ID) + "?action=leave", h.path(link.Unsubscribe, box)}
	for id := range h.store.signups {
		paths = append(paths, h.path(link.Confirm, id))
	}
	for _, path := range paths {
		for _, method := range []string{"GET", "HEAD"} {
			if w := h.do(method, path, "", "Sec-Purpose", "prefetch;prerender"); w.Code != 200 {
				t.Errorf("%s %s: %d", method, path, w.Code)
			}
		}
	}
	h.bare()
	for i := range 10_000 {
		token := []string{h.path(link.Confirm, signup), h.path(link.Unsubscribe, box)}[i%2]
		if w := h.do([]string{"GET", "HEAD"}[i/2%2], token, "", "Purpose", "prefetch"); w.Code != 200 {
			t.Fatalf("%d", w.Code)
		}
	}
	if h.store.writes != before || h.alarm.take() != "" || h.store.boxes[box].State != news.MailboxActive {
		t.Error("a GET changed something")
	}
}

// bare takes the words off the pages behind links in mails and the log off the
// floor: what is left are the handlers, twenty times as quick.
func (h *house) bare() {
	h.t.Helper()
	page := &fstest.MapFile{Data: []byte(`{{define "main"}}{{.Lang}}{{end}}`)}
	floor, err := web.New(web.Config{BaseURL: h.site.Floor.BaseURL(), Templates: fstest.MapFS{
		"site/layout.html": {Data: []byte(`{{block "page" .}}{{block "main" .}}{{end}}{{end}}`)}, "site/confirm.html": page, "site/unsubscribe.html": page}})
	if err != nil {
		h.t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.site.Floor = floor
	h.site.Routes(mux)
	h.http = floor.Handler(mux)
}

func TestT86_T87_PagesCantBeFramedOrPoisoned(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	c := h.subscribe()
	for _, path := range []string{"/", "/subscribe", h.path(link.ManageDevice, c.ID), "/alerts/" + sentAlert, "/nowhere"} {
		w := h.do("GET", path, "", "X-Forwarded-Host", "evil.example", "Forwarded", "host=evil.example")
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") || strings.Contains(w.Body.String(), "evil.example") {
			t.Errorf("%s: %v", path, w.Header())
		}
	}
	var v struct{ Manage string }
	decode(t, h.do("GET", "/api/v1/subscriptions/"+c.ID, "", "Authorization", "Bearer "+c.Token, "Host", "evil.example").Body, &v)
	if !strings.HasPrefix(v.Manage, "https://alerts.example/") {
		t.Errorf("manage link %s", v.Manage)
	}
}

// TestErrorPagesSpeakTheReadersLanguage: also what went wrong is said in the
// language of the other pages, by the same choice.
func TestErrorPagesSpeakTheReadersLanguage(t *testing.T) {
	h := newHouse(t, nil)
	expired := link.Path(link.Confirm, h.links.Sign(link.Confirm, "x", h.now.Add(-time.Second)))
	for _, c := range []struct {
		method, path, accept, cookie string
		status                       int
		want                         []string
	}{
		{"GET", "/nowhere", "", "", 404, []string{`<html lang="en" dir="ltr">`, "Nothing here"}},
		{"GET", "/nowhere", "ja", "", 404, []string{`<html lang="ja" dir="ltr">`, "ページがありません", "トップページへ"}},
		{"GET", "/nowhere?lang=ar", "ja", "", 404, []string{`<html lang="ar" dir="rtl">`, "لا شيء هنا"}},
		{"GET", expired, "", "lang=ur", 410, []string{`<html lang="ur" dir="rtl">`, "اس لنک کی میعاد"}},
		{"PUT", "/alerts", "id", "", 405, []string{`<html lang="id" dir="ltr">`, "Tidak berhasil"}},
		{"GET", "/static/none", "th", "", 404, []string{`<html lang="th" dir="ltr">`}},
	} {
		w := h.do(c.method, c.path, "", "Accept-Language", c.accept, "Cookie", c.cookie)
		for _, want := range c.want {
			if w.Code != c.status || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s in %s%s: %d, lacks %q", c.path, c.accept, c.cookie, w.Code, want)
			}
		}
		if w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: a page that is not there remembers a language", c.path)
		}
		wellFormed(t, c.path, w.Body.String())
	}
}

// TestErrorPagesAreThere: every status that the floor has a page for has words
// of its own or those of its like.
func TestErrorPagesAreThere(t *testing.T) {
	h := newHouse(t, nil)
	r := httptest.NewRequest("GET", "/", nil)
	for _, status := range []int{400, 401, 403, 404, 405, 409, 410, 413, 422, 429, 500, 502, 503} {
		if v := h.site.errorView(r, status); v.Title == "" || v.Text == "" || v.Front == "" || v.Status != status {
			t.Errorf("%d: %+v", status, v)
		}
	}
}

func TestT79_NoRedirectToElsewhere(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	c := h.subscribe()
	for _, path := range []string{"/?u=https://evil.example", "/alerts/" + sentAlert + "?u=https://evil.example", "//evil.example/", "/subscribe?next=//evil.example",
		h.path(link.ManageDevice, c.ID) + "?u=//evil.example"} {
		w := h.do("GET", path, "")
		if to := w.Header().Get("Location"); strings.Contains(to, "//") || w.Code >= 300 && w.Code < 400 && to == "" {
			t.Errorf("%s: %d to %q", path, w.Code, to)
		}
	}
	w := h.form(h.path(link.ManageDevice, c.ID)+"?u=//evil.example", "action=resume")
	if to, err := url.Parse(w.Header().Get("Location")); err != nil || to.Host != "" || !strings.HasPrefix(to.Path, "/manage/") {
		t.Errorf("redirected to %q", w.Header().Get("Location"))
	}
}

func TestSubscribeFormWithoutJavaScript(t *testing.T) {
	h := newHouse(t, nil)
	w := h.form("/subscribe", "region=JP&level=bulletin&language=ja&timezone=Asia/Tokyo&email=Reader%40b.example&hour=7&day=1&day=2")
	if w.Code != 202 || !strings.Contains(w.Body.String(), "reader@b.example") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if len(h.store.signups) != 1 {
		t.Error("nothing stored")
	}
	// A second one within a day is answered alike, and no mail goes: so none is promised.
	again := h.form("/subscribe", "region=KR&level=bulletin&language=ja&timezone=Asia/Tokyo&email=Reader%40b.example&hour=7&day=1")
	if again.Body.String() != w.Body.String() || !strings.Contains(w.Body.String(), "If we have not written to this address already today") {
		t.Errorf("a second time: %d %s", again.Code, again.Body)
	}
	clear(h.store.signups)
	if page := h.do("GET", mailedPath+"?lang=ja", ""); !strings.Contains(w.Body.String(), `href="`+mailedPath+`?lang=ja"`) || !strings.Contains(page.Body.String(), "メールをご確認ください") {
		t.Errorf("the answer in another language: %d %s", page.Code, page.Body)
	}
	wellFormed(t, "a place twice", h.do("GET", "/subscribe?region=JP-13&region=jp-13", "").Body.String())
	// Without a script nobody told us of her clock: that of her place, not ours.
	if page := h.do("GET", "/subscribe", "").Body.String(); !strings.Contains(page, `<option value="" selected>As in my places</option>`) {
		t.Error("a zone is chosen that nobody chose")
	}
	for regions, zone := range map[string]string{"region=JP": "Asia/Tokyo", "region=035&region=ID": "Asia/Jakarta", "region=035": "UTC", "region=ID&region=JP&mute=ID": "Asia/Tokyo"} {
		h.store.signups = map[string]news.DigestSignup{}
		w := h.form("/subscribe", regions+"&timezone=&email=other%40b.example&hour=7&day=1")
		for _, s := range h.store.signups {
			if s.Wishes.Timezone != zone {
				t.Errorf("%s: zone %s, want %s", regions, s.Wishes.Timezone, zone)
			}
		}
		if w.Code != 202 || len(h.store.signups) != 1 {
			t.Errorf("%s: %d", regions, w.Code)
		}
	}
	w = h.form("/subscribe", "region=JP&mute=JP-13&timezone=&email=nonsense&hour=9&day=1&quiet=on&quietFrom=x")
	page := w.Body.String()
	if !strings.Contains(page, `href="/subscribe?lang=ko&amp;level=bulletin&amp;mute=JP-13&amp;region=JP"`) {
		t.Error("what was typed wrongly can't be turned into another language")
	}
	if w.Code != 400 || !strings.Contains(page, `value="nonsense"`) || !strings.Contains(page, `id="region-JP" checked`) || !strings.Contains(page, `<a href="#email">Mail address</a>: Please give a mail address`) ||
		!strings.Contains(page, `<option value="" selected>`) {
		t.Errorf("%d %s", w.Code, page)
	}
	wellFormed(t, "subscribe again", page)
	if w := h.form("/subscribe", strings.Repeat("region=JP&", maxBody/8)); w.Code != 413 {
		t.Errorf("large form: %d", w.Code)
	}
}

// TestBothDirectionsOnOnePage: on a page written from the right, what is in
// another language keeps its own direction, full stops and all.
func TestBothDirectionsOnOnePage(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Publisher.Name = "SNOWLAND s.r.o." })
	h.fill()
	alerts := h.do("GET", "/alerts?lang=ur", "").Body.String()
	for _, want := range []string{`<bdi>SNOWLAND s.r.o.</bdi></a>`, `<li lang="en" dir="ltr">`, `<strong class="mark" lang="ur">`, `<bdi class="dateline" dir="ltr">MANILA, 24 Nov,`} {
		if !strings.Contains(alerts, want) {
			t.Errorf("/alerts in Urdu lacks %s", want)
		}
	}
	if one := h.do("GET", "/alerts/"+sentAlert+"?lang=ar", "").Body.String(); !strings.Contains(one, `<article class="alert" lang="en" dir="ltr">`) {
		t.Error("an English alert on an Arabic page stands as Arabic")
	}
	h.store.releases[sentAlert][1].Texts["ar"], h.store.releases[sentAlert][1].Regions = news.Text{Title: "زلزال", Body: "نص"}, []string{"RU-SA"}
	if arabic := h.do("GET", "/alerts?lang=ar", "").Body.String(); !strings.Contains(arabic, `<bdi class="dateline" dir="rtl">YAKUTSK`+"\u200f، 24 ") {
		t.Error("a place in Latin letters turns its dateline around")
	}
	faulty := h.do("POST", "/subscribe?lang=ar", "email=x", "Content-Type", "application/x-www-form-urlencoded").Body.String()
	for _, want := range []string{"\u2068SNOWLAND s.r.o.\u2069", `<li><a href="#email">عنوان البريد</a>: اكتب`} {
		if !strings.Contains(faulty, want) {
			t.Errorf("/subscribe in Arabic lacks %q", want)
		}
	}
	for address, class := range map[string]string{"first-last@b.example": "address short", "first-last-and-more@long-host.example": "address"} {
		mailed := h.form("/subscribe?lang=ar", "region=JP&hour=7&day=1&email="+url.QueryEscape(address)).Body.String()
		if !strings.Contains(mailed, `<bdi class="`+class+`" dir="ltr">`+address+`</bdi>`) {
			t.Errorf("%s does not stand by itself: %s", address, mailed)
		}
	}
	if en := h.do("GET", "/subscribe", "").Body.String(); strings.Contains(en, "\u2068") {
		t.Error("marks of direction where none are needed")
	}
}

// TestFaultsLeadToTheirFields: what the form can get wrong is named by the
// field's own label, and the label leads to it.
func TestFaultsLeadToTheirFields(t *testing.T) {
	h := newHouse(t, nil)
	page := h.do("GET", "/subscribe", "").Body.String()
	for _, path := range []string{"email", "regions", "regions/1", "mutedRegions", "sections/0", "level", "language", "timezone", "quiet/from", "cap", "hour", "days"} {
		f := faultOf(news.Problem{Path: path})
		if _, err := h.site.words.say("ja", f.Label); err != nil || !strings.Contains(page, ` id="`+f.At+`"`) {
			t.Errorf("%s: %+v leads nowhere (%v)", path, f, err)
		}
	}
}

// TestFaultsSpeakTheReadersLanguage: nothing of what a form can get wrong is said in
// the words of the API, and nothing twice.
func TestFaultsSpeakTheReadersLanguage(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	_, box := h.confirmed("reader@b.example")
	wrong := url.Values{"action": {"save"}, "region": {"JP", "XX"}, "mute": {"YY"}, "section": {"gossip"}, "level": {"loud"}, "language": {"?"},
		"timezone": {"Mars/Olympus"}, "quiet": {"on"}, "quietFrom": {"x"}, "quietTo": {""}, "cap": {"2.5"}, "email": {"nonsense"}, "hour": {"25"},
		"override": {"ZZ"}, "overrideLevel": {"loud"}}.Encode()
	for _, lang := range languages() {
		for path, fewest := range map[string]int{"/subscribe": 8, "/manage/" + c.Token: 9, h.path(link.ManageMailbox, box): 2} {
			w := h.form(path+"?lang="+lang, wrong)
			_, after, _ := strings.Cut(w.Body.String(), `id="faults">`)
			said, _, _ := strings.Cut(after, "</div>")
			lines := regexp.MustCompile(`<li>.*?</li>`).FindAllString(said, -1)
			if w.Code != 400 || len(lines) < fewest || strings.Contains(said, "must be") || strings.Contains(said, "is not a place") {
				t.Errorf("%s in %s: %d %s", path, lang, w.Code, said)
			}
			slices.Sort(lines)
			if len(slices.Compact(slices.Clone(lines))) != len(lines) {
				t.Errorf("%s in %s says something twice: %s", path, lang, said)
			}
		}
	}
	const loud = "region=JP&quiet=on&quietFrom=x&quietTo=y&cap=0"
	if page := h.form("/manage/"+c.Token, "action=save&"+loud).Body.String(); strings.Count(page, "two different times of day") != 2 ||
		!strings.Contains(page, `<a href="#cap">At most this many alerts a day</a>: Please give a whole number from 1 to 1000`) {
		t.Errorf("%s", page)
	}
	// What a mail knows nothing of can't be wrong with it, and stays as it was typed.
	if page := h.form("/subscribe", "email=a@b.example&hour=7&"+loud+"&level=flash").Body.String(); strings.Count(page, "two different times of day") != 1 ||
		!strings.Contains(page, `<a href="#day-1">When it comes</a>: Please choose at least one day`) || strings.Contains(page, `href="#cap"`) ||
		!strings.Contains(page, `id="level-flash" checked`) {
		t.Errorf("%s", page)
	}
}

func TestLanguageOfThePage(t *testing.T) {
	h := newHouse(t, nil)
	for accept, want := range map[string]string{
		"": "en", "ja-JP,en;q=0.5": "ja", "zh-HK": "zh-Hant", "zh-TW,zh;q=0.9": "zh-Hant", "zh-CN": "zh-Hans", "zh": "zh-Hans", "fr,de;q=0.8": "en",
		"fr,ko;q=0.8": "ko", "en-GB,ja;q=0.9": "en", "ur-PK": "ur", "*": "en", "nonsense;;;": "en", strings.Repeat("ja,", 200): "en",
	} {
		page := h.do("GET", "/subscribe", "", "Accept-Language", accept).Body.String()
		if !strings.Contains(page, `<html lang="`+want+`"`) {
			t.Errorf("Accept-Language %.30q: want %s", accept, want)
		}
	}
	w := h.do("GET", "/subscribe?lang=th", "", "Accept-Language", "ja")
	cookie := w.Header().Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "lang=th;") || !strings.Contains(cookie, "Secure") {
		t.Errorf("cookie %q", cookie)
	}
	if page := h.do("GET", "/", "", "Accept-Language", "ja", "Cookie", "lang=th").Body.String(); !strings.Contains(page, `<html lang="th"`) {
		t.Error("what the reader picked is forgotten")
	}
	if w := h.do("GET", "/?lang=%3Cscript%3E", ""); w.Code != 200 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestServiceWorkerAndApp(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.StoryHosts = []string{"News.example:443", " www.news.example", "新聞.example"} })
	w := h.do("GET", "/sw.js", "")
	if w.Code != 200 || w.Header().Get("Cache-Control") != "no-cache" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") ||
		!strings.Contains(w.Body.String(), `const HOSTS = ["news.example","www.news.example","xn--efvv70d.example"];`) {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if any := newHouse(t, nil).do("GET", "/sw.js", "").Body.String(); !strings.Contains(any, "const HOSTS = [];") {
		t.Error("without hosts the worker has no empty list")
	}
	w = h.do("GET", "/manifest.webmanifest", "")
	var manifest struct {
		Name  string
		Icons []struct{ Src, Sizes string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &manifest); err != nil || w.Header().Get("Content-Type") != "application/manifest+json" || manifest.Name != "SNOWLAND Alerts" {
		t.Errorf("%v %v", err, manifest)
	}
	for _, icon := range append(manifest.Icons, struct{ Src, Sizes string }{"/icons/badge-96.png", "96x96"},
		struct{ Src, Sizes string }{"/favicon.ico", "192x192"}) {
		img, err := png.Decode(h.do("GET", icon.Src, "").Body)
		if err != nil {
			t.Errorf("%s: %v", icon.Src, err)
			continue
		}
		if got := fmt.Sprintf("%dx%d", img.Bounds().Dx(), img.Bounds().Dy()); got != icon.Sizes {
			t.Errorf("%s is %s, not %s", icon.Src, got, icon.Sizes)
		}
	}
	if w := h.do("GET", "/icons/../sw.js", ""); w.Code == 200 {
		t.Error("a path out of the icons")
	}
	if w := h.do("GET", "/icons/13.png", ""); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
}

func TestT85_LogsTellNothingOfReaders(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	_, box := h.confirmed("reader@b.example")
	manage := h.path(link.ManageDevice, c.ID)
	h.do("GET", manage, "")
	h.form(manage, "action=pause&for=day")
	h.form(h.path(link.Unsubscribe, box), "")
	h.store.broken = fmt.Errorf("a fault")
	h.do("PATCH", "/api/v1/subscriptions/"+c.ID, `{}`, "Authorization", "Bearer "+c.Token)
	h.form(manage, "action=leave")
	for _, secret := range []string{"reader@", "fcm.googleapis", c.Token, strings.TrimPrefix(manage, "/manage/"), goodAuth, "192.0.2.1"} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log tells %q:\n%s", secret, h.log)
		}
	}
	if !strings.Contains(h.log.String(), `route="POST /manage/{token}"`) {
		t.Errorf("no route in the log:\n%s", h.log)
	}
}

func TestStaticPagesHaveNoTokensInCaches(t *testing.T) {
	h := newHouse(t, nil)
	c := h.subscribe()
	w := h.do("GET", h.path(link.ManageDevice, c.ID), "")
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("X-Robots-Tag") == "" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v", w.Header())
	}
}
