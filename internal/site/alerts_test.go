package site

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

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
// asked for in one go, and nothing of it is lost to clocks that differ.
func TestListAsksOnce(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	for i := range h.store.alerts {
		h.store.alerts[i].CreatedAt = testNow.Add(2 * time.Minute) // by the drafting process's clock
	}
	page := h.do("GET", "/alerts", "").Body.String()
	if h.store.looked != 1 {
		t.Errorf("%d queries", h.store.looked)
	}
	if !strings.Contains(page, "Quake off Luzon: magnitude corrected") || !strings.Contains(page, "Retracted: minister resigns") {
		t.Errorf("/alerts lacks something: %s", page)
	}
}

type explainer struct{}

func (explainer) Explain(_ context.Context, a news.Alert, d news.Device) (Explanation, error) {
	if a.ID == killedAlert {
		return Explanation{Reason: "matched", Words: "It fits"}, nil
	}
	return Explanation{Got: true, Reason: "matched", Words: fmt.Sprintf("%s is followed by %s", a.Audience, d.ID)}, nil
}

func TestWhy(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Explainer = explainer{} })
	h.fill()
	c := h.subscribe()
	w := h.do("GET", "/why/"+sentAlert+"/"+h.links.Sign(link.Why, c.ID, time.Time{}), "")
	missed := h.do("GET", "/why/"+killedAlert+"/"+h.links.Sign(link.Why, c.ID, time.Time{}), "").Body.String()
	if !strings.Contains(missed, "was not sent to your device") || strings.Contains(missed, "It fits<") || !strings.Contains(missed, "you may have followed later") {
		t.Errorf("not sent, and the rule says that it fits: %s", missed)
	}
	if w.Code != 200 || !strings.Contains(w.Body.String(), "is followed by "+c.ID) || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
