package site

import (
	"encoding/json"
	"encoding/xml"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// parsedAtom is an Atom feed as a reader's program takes it (RFC 4287).
type parsedAtom struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string   `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
	ID      string   `xml:"id"`
	Title   string   `xml:"title"`
	Updated string   `xml:"updated"`
	Author  string   `xml:"author>name"`
	Links   []struct {
		Rel  string `xml:"rel,attr"`
		Href string `xml:"href,attr"`
	} `xml:"link"`
	Entries []struct {
		ID        string `xml:"id"`
		Title     string `xml:"title"`
		Published string `xml:"published"`
		Updated   string `xml:"updated"`
		Summary   string `xml:"summary"`
		Lang      string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Link      struct {
			Href string `xml:"href,attr"`
		} `xml:"link"`
	} `xml:"entry"`
}

func (h *house) atom(query string) parsedAtom {
	h.t.Helper()
	w := h.do("GET", "/feeds/alerts.atom"+query, "")
	if w.Code != 200 || w.Header().Get("Content-Type") != "application/atom+xml; charset=utf-8" {
		h.t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	var f parsedAtom
	d := xml.NewDecoder(w.Body)
	d.Strict = true
	if err := d.Decode(&f); err != nil {
		h.t.Fatal(err)
	}
	for _, at := range append([]string{f.Updated}, func() (all []string) {
		for _, e := range f.Entries {
			all = append(all, e.Updated, e.Published)
		}
		return all
	}()...) {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			h.t.Errorf("a time that is none: %q", at)
		}
	}
	if f.ID == "" || f.Title == "" || f.Author == "" || len(f.Links) != 2 {
		h.t.Errorf("what RFC 4287 asks for is not there: %+v", f)
	}
	return f
}

// TestFeeds: both formats tell each alert as it stands; a correction changes the
// entry's time and text and not its id.
func TestFeeds(t *testing.T) {
	h := newHouse(t, nil)
	if empty := h.atom(""); len(empty.Entries) != 0 {
		t.Errorf("%+v", empty)
	}
	later := func() { h.now = h.now.Add(feedKept) }
	h.fill()
	later()
	first := h.store.releases[sentAlert][:1]
	all := h.store.releases[sentAlert]
	h.store.releases[sentAlert] = first
	before := h.atom("")
	h.store.releases[sentAlert] = all
	later()
	after := h.atom("")
	if before.Entries[0].ID != after.Entries[0].ID || before.Entries[0].Updated >= after.Entries[0].Updated ||
		before.Entries[0].Published != after.Entries[0].Published || after.Entries[0].Title != "Quake off Luzon: magnitude corrected" {
		t.Errorf("before %+v\nafter %+v", before.Entries[0], after.Entries[0])
	}
	if e := after.Entries[0]; !strings.HasPrefix(e.Summary, "MANILA, 24 Nov, 15:02 PHT — ") || !strings.HasSuffix(e.Summary, "It was 6.8") || e.Link.Href != "https://alerts.example/alerts/"+sentAlert {
		t.Errorf("%+v", e)
	}
	if e := after.Entries[1]; e.Title != "Retracted: minister resigns" || e.Updated <= e.Published {
		t.Errorf("the retraction: %+v", e)
	}
	if out := h.atom("?region=035&mute=SG&mute=JP"); !strings.HasSuffix(out.Title, " · Southeast Asia, without Singapore") {
		t.Errorf("titled %q", out.Title)
	}
	if ja := h.atom("?language=ja"); ja.Lang != "ja" || ja.Entries[0].Title != "地震" || ja.Entries[0].Lang != "ja" {
		t.Errorf("%+v", ja)
	}

	w := h.do("GET", "/feeds/alerts.json?language=zh-HK", "")
	if err := readOpenAPI(t).holds("Feed", w.Body.String()); err != nil || w.Header().Get("Content-Type") != "application/feed+json" || w.Header().Get("Content-Language") != "zh-Hant" {
		t.Errorf("%v %v", err, w.Header())
	}
	var f jsonFeedBody
	if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil || len(f.Items) != 2 || !slices.Contains(f.Items[1].Tags, "kill") {
		t.Errorf("%v %+v", err, f)
	}
}

// TestFeedsAreCached: who has it gets 304, until something changes.
func TestFeedsAreCached(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	for _, path := range []string{"/feeds/alerts.atom", "/feeds/alerts.json"} {
		w := h.do("GET", path, "")
		etag, modified := w.Header().Get("ETag"), w.Header().Get("Last-Modified")
		if etag == "" || modified == "" || !strings.HasPrefix(w.Header().Get("Cache-Control"), "public") || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %v", path, w.Header())
		}
		for name, value := range map[string]string{"If-None-Match": etag, "If-Modified-Since": modified} {
			if w := h.do("GET", path, "", name, value); w.Code != 304 || w.Body.Len() != 0 {
				t.Errorf("%s with %s: %d", path, name, w.Code)
			}
		}
		if w := h.do("HEAD", path, ""); w.Code != 200 || w.Header().Get("ETag") != etag {
			t.Errorf("HEAD %s: %d", path, w.Code)
		}
		again := h.store.releases[sentAlert][1]
		again.Revision, again.ReleasedAt = 3, again.ReleasedAt.Add(time.Hour)
		all := h.store.releases[sentAlert]
		h.store.releases[sentAlert] = append(slices.Clone(all), again)
		h.now = h.now.Add(feedKept)
		for name, value := range map[string]string{"If-None-Match": etag, "If-Modified-Since": modified} {
			if w := h.do("GET", path, "", name, value); w.Code != 200 {
				t.Errorf("%s after a correction, with %s: %d", path, name, w.Code)
			}
		}
		h.store.releases[sentAlert] = all
		h.now = h.now.Add(feedKept)
	}
}

// TestFeedsSpareTheDatabase: however many choices are asked for, it is looked at
// once in a while, and not for ever.
func TestFeedsSpareTheDatabase(t *testing.T) {
	h := newHouse(t, nil)
	h.fill()
	before := h.store.looked
	for i := range 200 {
		h.atom("?region=JP&section=politics&x=" + strconv.Itoa(i))
	}
	if got := h.store.looked - before; got != 1 {
		t.Errorf("%d looks for 200 feeds", got)
	}
	h.now = h.now.Add(feedKept)
	h.atom("")
	if got := h.store.looked - before; got != 2 {
		t.Errorf("%d looks, %s later", got, feedKept)
	}
}

// onlyKilled rehearses a reader whom the alert that was killed fits, and no other.
type onlyKilled struct{ asked *news.Wishes }

type killedOf struct {
	onlyKilled
	past []news.Release
}

func (o onlyKilled) Rehearse(past []news.Release) Rehearsal { return killedOf{o, past} }

func (k killedOf) Comes(news.Wishes) []int { return nil }

func (k killedOf) Fits(w news.Wishes) []int {
	*k.asked = w
	return []int{slices.IndexFunc(k.past, func(r news.Release) bool { return r.AlertID == killedAlert })}
}

// TestFeedsTakeTheChoice: the fields of the form, read by the same rules, decide
// what is in it; faults are named.
func TestFeedsTakeTheChoice(t *testing.T) {
	var asked news.Wishes
	h := newHouse(t, func(c *Config) { c.Rehearser = onlyKilled{&asked} })
	h.fill()
	f := h.atom("?region=ASEAN&region=jp&mute=SG&section=politics&level=flash&language=ar")
	if len(f.Entries) != 1 || !strings.Contains(f.Entries[0].ID, killedAlert) {
		t.Errorf("%+v", f)
	}
	if p := asked.Preference; strings.Join(p.Regions, " ")+strings.Join(p.Muted, " ")+strings.Join(p.Sections, " ")+p.Level.String()+asked.Language != "ASEAN JPSGpoliticsflashar" || asked.Quiet != nil {
		t.Errorf("%+v", asked)
	}
	if w := h.do("GET", "/feeds/alerts.json?region=ZZ&level=loud", ""); w.Code != 400 || faults(t, w) != "regions/0 level" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if page := h.do("GET", "/alerts?section=politics", "").Body.String(); !strings.Contains(page, `<link rel="alternate" type="application/atom+xml" title="Atom" href="/feeds/alerts.atom?section=politics">`) {
		t.Error("the archive does not lead to its feed")
	}
}
