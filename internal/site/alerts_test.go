package site

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/audience"
	"dateline/internal/link"
	"dateline/internal/news"
)

func TestArchiveShowsWhatWasSent(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	page := h.do("GET", "/alerts", "").Body.String()
	for _, want := range []string{"Quake off Luzon: magnitude corrected", "Corrected", "Retracted", "MANILA"} {
		if !strings.Contains(page, want) {
			t.Errorf("/alerts lacks %q", want)
		}
	}
	if strings.Contains(page, draftAlert) {
		t.Error("/alerts shows what was never sent")
	}
	one := h.do("GET", "/alerts/"+sentAlert, "").Body.String()
	if !strings.Contains(one, "A &lt;magnitude&gt; 7.1 quake") || !strings.Contains(one, `href="https://news.example/quake"`) || strings.Index(one, "It was 6.8") > strings.Index(one, "7.1 quake") {
		t.Errorf("%s", one)
	}
	killed := h.do("GET", "/alerts/"+killedAlert, "").Body.String()
	if strings.Contains(killed, "news.example/minister") || !strings.Contains(killed, "He did not") {
		t.Errorf("a retracted alert leads to its story: %s", killed)
	}
	if ja := h.do("GET", "/alerts", "", "Accept-Language", "ja").Body.String(); !regexp.MustCompile(`<li lang="ja" dir="ltr">\s+<strong[^<]+</strong> <a [^>]+>地震</a>`).MatchString(ja) {
		t.Errorf("no Japanese text for a Japanese reader: %s", ja)
	}
	for _, id := range []string{draftAlert, "nonsense"} {
		if w := h.do("GET", "/alerts/"+id, ""); w.Code != 404 {
			t.Errorf("%s: %d", id, w.Code)
		}
	}
	if w := newHouse(t, nil).do("GET", "/", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "No alerts yet") {
		t.Errorf("an empty house: %d", w.Code)
	}
}

// TestMarksOfStrangers: a mark that no page made is the first page's, on every
// database.
func TestMarksOfStrangers(t *testing.T) {
	good := news.ArchiveMark{At: testNow, AlertID: sentAlert}
	if got := markOf(strings.TrimPrefix(archiveFilter{}.query(good), "?before=")); got != good {
		t.Errorf("a page's own: %+v", got)
	}
	for _, typed := range []string{"", "x", "-1.x", "-9000000000000000000.x", "9000000000000000000.x", "99999999999999999999.x", "1700000000000000." + strings.Repeat("x", 65)} {
		if got := markOf(typed); got != (news.ArchiveMark{}) {
			t.Errorf("%q: %+v", typed, got)
		}
	}
}

// TestDraftsHideNoAlerts: what was thrown away before it was sent takes no
// place on the list of what was.
func TestDraftsHideNoAlerts(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	for i := range 120 {
		dropped := news.Alert{ID: fmt.Sprint("dropped-", i), State: news.AlertCancelled}
		h.store.alerts = append([]news.Alert{dropped}, h.store.alerts...)
	}
	for _, path := range []string{"/", "/alerts"} {
		if page := h.do("GET", path, "").Body.String(); !strings.Contains(page, "Quake off Luzon: magnitude corrected") || strings.Contains(page, "dropped-") {
			t.Errorf("%s does not show what was sent", path)
		}
	}
}

// TestListAsksOnce: however many alerts there are, what was sent of them is
// asked for in one go.
func TestListAsksOnce(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	page := h.do("GET", "/alerts", "").Body.String()
	if h.store.looked != 1 {
		t.Errorf("%d queries", h.store.looked)
	}
	if !strings.Contains(page, "Quake off Luzon: magnitude corrected") || !strings.Contains(page, "<s><a href=\"/alerts/"+killedAlert+"\">Minister resigns</a></s>") {
		t.Errorf("/alerts lacks something: %s", page)
	}
}

type explainer struct{}

func (explainer) Explain(_ context.Context, alertID string, d news.Device) (Explanation, error) {
	if alertID == killedAlert {
		return Explanation{Reason: ReasonMissed}, nil
	}
	return Explanation{Got: true, Reason: "matched", Places: d.Wishes.Preference.Regions, Sections: []string{"politics"},
		Demands: []Demand{{nil, news.LevelNotice}, {[]string{"TW"}, news.LevelFlash}}}, nil
}

// onlyOn explains an alert that one device of a reader's got.
type onlyOn struct{ device string }

func (e onlyOn) Explain(_ context.Context, _ string, d news.Device) (Explanation, error) {
	if d.ID != e.device {
		return Explanation{Reason: ReasonFailed}, nil
	}
	return Explanation{Got: true, Reason: "matched", Places: d.Wishes.Preference.Regions}, nil
}

// A mailbox's page asks why for all of its reader's devices: what one of them got,
// she got. A device's own page asks for itself.
func TestWhyOfOneOfTwoDevices(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	first, second := h.subscribe(), h.subscribe("subscription", subscription(goodPush+"2", goodP256dh, goodAuth))
	for _, id := range []string{first.ID, second.ID} {
		d := h.store.devices[id]
		d.SubscriberID = "of-both"
		h.store.devices[id] = d
	}
	h.site.Explainer = onlyOn{second.ID}
	for name, token := range map[string]string{"of both": h.links.Sign(link.Why, first.ID, time.Time{}), "of the second": h.links.Sign(link.ManageDevice, second.ID, time.Time{})} {
		if page := h.do("GET", "/why/"+sentAlert+"/"+token+"?lang=en", "").Body.String(); !strings.Contains(page, "was sent to your device") {
			t.Errorf("%s: %s", name, page)
		}
	}
	if page := h.do("GET", "/why/"+sentAlert+"/"+h.links.Sign(link.ManageDevice, first.ID, time.Time{})+"?lang=en", "").Body.String(); !strings.Contains(page, "was not sent to your device") {
		t.Errorf("of the first: %s", page)
	}
}

// TestWhy: the rule that decided is told in the page's language, with the places
// and sections by name.
func TestWhy(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Explainer = explainer{} })
	h.fill()
	r := h.store.releases[sentAlert]
	r[0].Level = news.LevelBulletin
	c := h.subscribe("regions", `["JP","ASEAN"]`, "language", `"ja"`)
	path := "/why/" + sentAlert + "/" + h.links.Sign(link.Why, c.ID, time.Time{})
	for lang, want := range map[string][]string{
		"en": {"was sent to your device", "It is about a place you follow: ASEAN and Japan.", "a subject you chose: Politics.", "you chose yourself: Everything.", "For Taiwan you chose: Flash."},
		"":   {`<html lang="ja"`, "フォロー中の地域に関する速報です：ASEANと日本。", "政治"}, // the language of her alerts
		"ar": {`<html lang="ar" dir="rtl">`, "اليابان"},
	} {
		glue := ""
		if lang != "" {
			glue = "?lang=" + lang
		}
		w := h.do("GET", path+glue, "", "Accept-Language", "ko")
		for _, text := range want {
			if w.Code != 200 || !strings.Contains(w.Body.String(), text) || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("%s: %d, lacks %q: %s", lang, w.Code, text, w.Body)
			}
		}
	}
	missed := h.do("GET", "/why/"+killedAlert+"/"+h.links.Sign(link.Why, c.ID, time.Time{})+"?lang=en", "").Body.String()
	if !strings.Contains(missed, "was not sent to your device") || !strings.Contains(missed, "you may have followed later") {
		t.Errorf("not sent, and the rule says that it fits: %s", missed)
	}
	if w := h.do("GET", "/why/"+draftAlert+"/"+h.links.Sign(link.Why, c.ID, time.Time{}), ""); w.Code != 404 {
		t.Errorf("of a draft: %d", w.Code)
	}
}

// TestEveryReasonHasWords: every code of the rules and of the ledger, got or not.
func TestEveryReasonHasWords(t *testing.T) {
	h := newHouse(t, nil)
	for _, lang := range languages() {
		v := view{words: h.site.words, Lang: lang}
		said := map[string]string{}
		for _, reason := range append(audienceReasons(), ReasonChanged, ReasonMissed, ReasonStopped, ReasonLate, ReasonFailed, ReasonUnderWay) {
			got, err := v.sentences(Explanation{Got: reason == "matched" || reason == ReasonChanged, Reason: reason, Places: []string{"JP"}, Sections: []string{"sport"}}, "X", news.LevelBulletin)
			if err != nil || len(got) == 0 || strings.Contains(got[0], "%!") {
				t.Errorf("%s %s: %v %v", lang, reason, got, err)
				continue
			}
			if other, twice := said[got[0]]; twice {
				t.Errorf("%s: %s is told as %s is", lang, reason, other)
			}
			said[got[0]] = reason
		}
	}
}

// audienceReasons are the codes of package audience, which pages may not know.
func audienceReasons() []string {
	var out []string
	for _, r := range audience.Reasons() {
		out = append(out, string(r))
	}
	return out
}
