package site

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

// TestWishForStory: what a press on a notification asks for is kept in the
// reader's wishes, is shown on her page, and is taken back there or here.
func TestWishForStory(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	c := h.subscribe()
	auth := []string{"Authorization", "Bearer " + c.Token}
	door := "/api/v1/subscriptions/" + c.ID + "/stories"
	for _, step := range []struct {
		want        string
		muted, over []string
		page        string // on the manage page
	}{
		{"none", []string{sentURI}, nil, "Muted: no more alerts"},
		{"over", nil, []string{sentURI}, "Only when it&#39;s over"},
		{"over", nil, []string{sentURI}, "Strong quake off Luzon"},
		{"all", nil, nil, ""},
		{"none", []string{sentURI}, nil, "Take it back"},
	} {
		w := h.do("POST", door, `{"alert":"`+sentAlert+`","want":"`+step.want+`"}`, auth...)
		if got := strings.TrimSpace(w.Body.String()); w.Code != 200 || got != `{"story":"`+sentURI+`","want":"`+step.want+`"}` {
			t.Fatalf("%s: %d %s", step.want, w.Code, got)
		}
		if got := h.alarm.take(); got != "control devices" {
			t.Errorf("%s wakes %q", step.want, got)
		}
		wishes := h.store.devices[c.ID].Wishes
		if diff := cmp.Diff([][]string{step.muted, step.over}, [][]string{wishes.MutedStories, wishes.OverStories}); diff != "" {
			t.Errorf("%s: %s", step.want, diff)
		}
		page := h.do("GET", "/manage/"+c.Token, "").Body.String()
		if !strings.Contains(page, step.page) || step.page == "" && strings.Contains(page, "Stories you have singled out") {
			t.Errorf("%s: the page lacks %q", step.want, step.page)
		}
	}
	if w := h.form("/manage/"+c.Token, "action=story&story="+sentURI); w.Code != 303 || len(h.store.devices[c.ID].Wishes.MutedStories) != 0 {
		t.Errorf("taken back on the page: %d %+v", w.Code, h.store.devices[c.ID].Wishes)
	}
	for body, want := range map[string]int{
		`{"alert":"` + sentAlert + `","want":"some"}`: 400,
		`{"want":"none"}`:                              400,
		`{"alert":"nope","want":"none"}`:               404,
		`{"alert":"` + draftAlert + `","want":"none"}`: 404, // of what was never sent nothing is told
		`[`: 400,
	} {
		if w := h.do("POST", door, body, auth...); w.Code != want {
			t.Errorf("%s: %d, want %d", body, w.Code, want)
		}
	}
	other := h.subscribe("subscription", subscription(goodPush+"/other", goodP256dh, goodAuth))
	if w := h.do("POST", door, `{"alert":"`+sentAlert+`","want":"none"}`, "Authorization", "Bearer "+other.Token); w.Code != 403 {
		t.Errorf("with another's token: %d", w.Code)
	}
	h.do("DELETE", "/api/v1/subscriptions/"+c.ID, "", auth...)
	if w := h.do("POST", door, `{"alert":"`+sentAlert+`","want":"none"}`, auth...); w.Code != 410 {
		t.Errorf("after leaving: %d", w.Code)
	}
}

// recorded is a push path that remembers what went out.
type recorded struct {
	Push
	to      []push.Target
	sent    []push.Message
	outcome news.Outcome
}

func (r *recorded) Send(_ context.Context, t push.Target, m push.Message) news.Receipt {
	r.to, r.sent = append(r.to, t), append(r.sent, m)
	return news.Receipt{Outcome: r.outcome, Reason: "said so"}
}

// TestTestNotification: one message, to the device that asks, in its language;
// a few an hour; no receipt, no alert.
func TestTestNotification(t *testing.T) {
	h := newHouse(t, nil)
	path := &recorded{Push: h.site.Push, outcome: news.Accepted}
	h.site.Push = path
	c := h.subscribe("language", `"ar-EG"`)
	auth := []string{"Authorization", "Bearer " + c.Token}
	door := "/api/v1/subscriptions/" + c.ID + "/test"
	seen := map[string]bool{}
	for range trials {
		w := h.do("POST", door, "", auth...)
		var got trial
		decode(t, w.Body, &got)
		if w.Code != 200 || got.Result != "accepted" || len(got.Test) < 20 || seen[got.Test] {
			t.Fatalf("%d %+v", w.Code, got)
		}
		seen[got.Test] = true
		var p push.Payload
		if err := json.Unmarshal(path.sent[len(path.sent)-1].Payload, &p); err != nil {
			t.Fatal(err)
		}
		n := p.Notification
		if n.Title != "هكذا يبدو التنبيه" || n.Dir != "rtl" || n.Data.Test != got.Test || n.Data.Receipt != "" || n.Data.Alert != "" || n.Navigate != "https://alerts.example/alerts" {
			t.Errorf("%+v", n)
		}
	}
	if path.to[0].Endpoint != goodPush || len(path.to) != trials {
		t.Errorf("sent to %+v", path.to)
	}
	if w := h.do("POST", door, "", auth...); w.Code != 429 || w.Header().Get("Retry-After") == "" || len(path.sent) != trials {
		t.Errorf("one more: %d, %d sent", w.Code, len(path.sent))
	}
	h.now = h.now.Add(time.Hour)
	path.outcome = news.Gone
	if w := h.do("POST", door, "", auth...); w.Code != 200 || !strings.Contains(w.Body.String(), `"result":"gone"`) || h.store.devices[c.ID].State != news.DeviceActive {
		t.Errorf("a device that is gone: %d %s; a test takes nobody out", w.Code, w.Body)
	}
	if w := h.do("POST", door, ""); w.Code != 401 {
		t.Errorf("without a token: %d", w.Code)
	}
	h.do("DELETE", "/api/v1/subscriptions/"+c.ID, "", auth...)
	if w := h.do("POST", door, "", auth...); w.Code != 410 {
		t.Errorf("after leaving: %d", w.Code)
	}
}

// TestNothingIsMeasured: of a site without tracking, and of a reader whose
// browser says that she does not want it.
func TestNothingIsMeasured(t *testing.T) {
	for name, c := range map[string]struct {
		off    bool
		header []string
		want   int
	}{
		"measured":      {false, nil, 1},
		"tracking off":  {true, nil, 0},
		"Sec-GPC":       {false, []string{"Sec-GPC", "1"}, 0},
		"Do Not Track":  {false, []string{"DNT", "1"}, 0},
		"DNT, not said": {false, []string{"DNT", "0"}, 1},
	} {
		h := newHouse(t, func(config *Config) { config.NoReceipts = c.off })
		token := h.links.Receipt(link.Receipt{AlertID: sentAlert, Revision: 1, Cell: 1, Number: 1}, h.now.Add(time.Hour))
		if w := h.do("POST", "/api/v1/receipts", `{"receipt":"`+token+`","kind":"shown"}`, c.header...); w.Code != 204 || len(h.store.receipts) != c.want {
			t.Errorf("%s: %d, %d receipts", name, w.Code, len(h.store.receipts))
		}
	}
}

// TestManifest: the installed app's name and shortcuts are in the page's
// language, and its icons are there.
func TestManifest(t *testing.T) {
	h := newHouse(t, nil)
	var m struct {
		Name, Lang, Dir, Display, StartURL string
		Start                              string `json:"start_url"`
		Icons                              []struct{ Src, Purpose string }
		Shortcuts                          []struct{ Name, URL string }
	}
	decode(t, h.do("GET", "/manifest.webmanifest?lang=ar", "").Body, &m)
	if m.Name != "تنبيهات SNOWLAND" || m.Lang != "ar" || m.Dir != "rtl" || m.Display != "standalone" || m.Start != "/" || len(m.Shortcuts) != 2 || m.Shortcuts[1].Name != "تابِع" {
		t.Errorf("%+v", m)
	}
	maskable := 0
	for _, icon := range m.Icons {
		if w := h.do("GET", icon.Src, ""); w.Code != 200 || w.Header().Get("Content-Type") != "image/png" {
			t.Errorf("%s: %d", icon.Src, w.Code)
		}
		if icon.Purpose == "maskable" {
			maskable++
		}
	}
	if maskable != 2 || !strings.Contains(h.do("GET", "/?lang=ja", "").Body.String(), `href="/manifest.webmanifest?lang=ja"`) {
		t.Errorf("%d maskable icons, or a page that names no manifest of its language", maskable)
	}
}

// The worker has words for its buttons in every language of the pages.
func TestWorkerWords(t *testing.T) {
	h := newHouse(t, nil)
	for lang, words := range h.site.workerWords() {
		for name, text := range words {
			if text == "" {
				t.Errorf("%s: no word for %q", lang, name)
			}
		}
	}
	worker := h.do("GET", "/sw.js", "")
	if policy := worker.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "img-src 'self' https:") {
		t.Errorf("the worker may load no picture of a story: %q", policy)
	}
	source := worker.Body.String()
	if strings.Contains(source, wordsMark) || strings.Contains(source, hostsMark) || !strings.Contains(source, "この記事をミュート") {
		t.Error("the worker has no words, or no hosts")
	}
}
