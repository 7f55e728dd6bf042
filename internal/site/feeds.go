package site

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

const (
	feedEntries = 50
	// feedReach is how many alerts are looked through for them.
	feedReach = 500
	// feedKept is how long these serve every feed: each choice has an address of
	// its own, so no cache in front of us saves the database from who asks for
	// many.
	feedKept = 10 * time.Second
	// feedFresh is how long a copy is good: feed readers ask every few minutes,
	// and an alert that waits a minute is no alert.
	feedFresh = "public, max-age=60"
)

// feed is what both formats say.
type feed struct {
	Title   string
	Lang    string
	Self    string // URL
	Home    string
	Updated time.Time
	Entries []feedEntry
}

// feedEntry is an alert as it stands: a correction or a retraction changes its
// text and its time, and never its id.
type feedEntry struct {
	ID        string
	Page      string
	Title     string
	Text      string // opens with the dateline
	Lang      string
	Published time.Time
	Updated   time.Time
	Tags      []string // sections, the level, and what became of it
}

// feed reads the choice from the query, by the form's names; no choice is
// everything. A feed knows nobody: the whole choice is in its address.
func (s *Site) feed(r *http.Request) (feed, error) {
	q := r.URL.Query()
	wishes, err := s.feedWishes(q)
	if err != nil {
		return feed{}, err
	}
	lang := known(wishes.Language)
	if lang == "" {
		lang = suggested(wishes.Language)
	}
	v := view{words: s.words, Lang: lang}
	title, err := v.T("alerts.title")
	if err != nil {
		return feed{}, err
	}
	base := s.Floor.BaseURL()
	f := feed{Title: s.Publisher.Name + " · " + title, Lang: lang, Self: base + r.URL.RequestURI(), Home: base + "/alerts", Updated: time.Unix(0, 0).UTC()}
	if places := placesInWords(wishes.Preference, lang); places != "" && q.Has("region") {
		f.Title += " · " + places
	}
	alerts, err := s.feedAlerts(r.Context(), wishes)
	for _, a := range alerts {
		e := entryOf(v, a, base)
		if e.Updated.After(f.Updated) {
			f.Updated = e.Updated
		}
		f.Entries = append(f.Entries, e)
	}
	return f, err
}

// feedWishes reads a feed's choice. One that names no place is about all of them;
// one that chooses nothing is everything.
func (s *Site) feedWishes(q url.Values) (news.Wishes, error) {
	w := defaultWishes()
	w.Preference.Level = news.LevelNotice
	var faults news.Problems
	f := formFields(q, &faults)
	if !q.Has("region") {
		delete(f.raw, "regions")
		if slices.ContainsFunc([]string{"mute", "section", "level", "override"}, q.Has) {
			f.raw["regions"] = []byte(`["` + region.World + `"]`)
		}
	}
	s.parser.wishes(f, &w)
	f.pairs(q)
	w.Quiet, w.Cap = nil, 0 // a feed wakes nobody
	return w, faults.Err()
}

// pairs holds each place with a level of its own against its level.
func (f fields) pairs(q url.Values) {
	if places, levels := len(q["override"]), len(q["overrideLevel"]); places != levels {
		f.add("overrides", "each override needs its overrideLevel: there are %d and %d", places, levels)
	}
}

// feedAlerts are the newest alerts that fit the wishes.
func (s *Site) feedAlerts(ctx context.Context, w news.Wishes) ([]news.PublicAlert, error) {
	newest, rehearsal, err := s.newest(ctx)
	if err != nil || len(w.Preference.Regions) == 0 || rehearsal == nil {
		return newest[:min(len(newest), feedEntries)], err
	}
	var out []news.PublicAlert
	for _, i := range rehearsal.Fits(w) {
		if len(out) < feedEntries {
			out = append(out, newest[i])
		}
	}
	return out, nil
}

// newestAlerts keeps what feeds are made from. Whoever asks while it is fetched
// waits for it.
type newestAlerts struct {
	mu        sync.Mutex
	at        time.Time
	alerts    []news.PublicAlert
	rehearsal Rehearsal // of alerts; nil: all of them fit
}

// newest are the alerts that feeds are looked for in, of at most feedKept ago.
func (s *Site) newest(ctx context.Context) ([]news.PublicAlert, Rehearsal, error) {
	k := &s.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	now := s.Now()
	if age := now.Sub(k.at); k.alerts != nil && age >= 0 && age < feedKept {
		return k.alerts, k.rehearsal, nil
	}
	ctx, cancel := shared(ctx)
	defer cancel()
	alerts, err := s.Store.PublicAlerts(ctx, news.ArchiveMark{}, feedReach)
	if err != nil {
		return nil, nil, fmt.Errorf("site.newest: %w", err)
	}
	k.at, k.alerts = now, append([]news.PublicAlert{}, alerts...)
	if s.Rehearser != nil {
		first := make([]news.Release, len(alerts))
		for i, a := range alerts {
			first[i] = a.First()
		}
		k.rehearsal = s.Rehearser.Rehearse(first)
	}
	return k.alerts, k.rehearsal, nil
}

func entryOf(v view, a news.PublicAlert, base string) feedEntry {
	newest := a.Newest()
	line := lineOf(v, newest)
	e := feedEntry{ID: "urn:uuid:" + a.ID, Page: base + "/alerts/" + a.ID, Title: line.Title, Text: line.Dateline + " " + line.Body, Lang: line.Lang,
		Published: a.First().ReleasedAt.UTC(), Updated: newest.ReleasedAt.UTC(), Tags: append([]string{newest.Level.String()}, newest.Sections...)}
	if newest.Repair() {
		e.Tags = append(e.Tags, string(newest.Kind))
	}
	return e
}

// The elements of Atom (RFC 4287, section 4).
type atomFeedXML struct {
	XMLName xml.Name       `xml:"http://www.w3.org/2005/Atom feed"`
	Lang    string         `xml:"xml:lang,attr"`
	ID      string         `xml:"id"`
	Title   string         `xml:"title"`
	Updated string         `xml:"updated"`
	Author  atomPerson     `xml:"author"`
	Links   []atomLink     `xml:"link"`
	Entries []atomEntryXML `xml:"entry"`
}

type atomPerson struct {
	Name string `xml:"name"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr"`
	Type string `xml:"type,attr"`
	Href string `xml:"href,attr"`
}

type atomTerm struct {
	Term string `xml:"term,attr"`
}

type atomEntryXML struct {
	Lang       string     `xml:"xml:lang,attr"`
	ID         string     `xml:"id"`
	Title      string     `xml:"title"`
	Published  string     `xml:"published"`
	Updated    string     `xml:"updated"`
	Link       atomLink   `xml:"link"`
	Summary    string     `xml:"summary"`
	Categories []atomTerm `xml:"category"`
}

func (s *Site) atomFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := s.feed(r)
	if err != nil {
		return err
	}
	out := atomFeedXML{Lang: f.Lang, ID: f.Self, Title: f.Title, Updated: f.Updated.Format(time.RFC3339), Author: atomPerson{s.Publisher.Name},
		Links: []atomLink{{"self", "application/atom+xml", f.Self}, {"alternate", "text/html", f.Home}}}
	for _, e := range f.Entries {
		entry := atomEntryXML{Lang: e.Lang, ID: e.ID, Title: e.Title, Published: e.Published.Format(time.RFC3339Nano),
			Updated: e.Updated.Format(time.RFC3339Nano), Link: atomLink{"alternate", "text/html", e.Page}, Summary: e.Text}
		for _, tag := range e.Tags {
			entry.Categories = append(entry.Categories, atomTerm{tag})
		}
		out.Entries = append(out.Entries, entry)
	}
	raw, err := xml.MarshalIndent(out, "", " ")
	if err != nil {
		return fmt.Errorf("site.atomFeed: %w", err)
	}
	return serveFeed(w, r, f, "application/atom+xml; charset=utf-8", append([]byte(xml.Header), raw...))
}

// The names of JSON Feed 1.1.
type jsonFeedBody struct {
	Version  string       `json:"version"`
	Title    string       `json:"title"`
	Home     string       `json:"home_page_url"`
	Self     string       `json:"feed_url"`
	Language string       `json:"language"`
	Authors  []jsonAuthor `json:"authors"`
	Items    []jsonItem   `json:"items"`
}

type jsonAuthor struct {
	Name string `json:"name"`
}

type jsonItem struct {
	ID        string    `json:"id"`
	URL       string    `json:"url"`
	Title     string    `json:"title"`
	Text      string    `json:"content_text"`
	Published time.Time `json:"date_published"`
	Modified  time.Time `json:"date_modified"`
	Language  string    `json:"language"`
	Tags      []string  `json:"tags"`
}

func (s *Site) jsonFeed(w http.ResponseWriter, r *http.Request) error {
	f, err := s.feed(r)
	if err != nil {
		return err
	}
	out := jsonFeedBody{Version: "https://jsonfeed.org/version/1.1", Title: f.Title, Home: f.Home, Self: f.Self, Language: f.Lang,
		Authors: []jsonAuthor{{s.Publisher.Name}}, Items: []jsonItem{}}
	for _, e := range f.Entries {
		out.Items = append(out.Items, jsonItem{e.ID, e.Page, e.Title, e.Text, e.Published, e.Updated, e.Lang, e.Tags})
	}
	raw, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return fmt.Errorf("site.jsonFeed: %w", err)
	}
	return serveFeed(w, r, f, "application/feed+json", raw)
}

// serveFeed answers 304 to who has it already (RFC 9110, section 13).
func serveFeed(w http.ResponseWriter, r *http.Request, f feed, kind string, raw []byte) error {
	sum := sha256.Sum256(raw)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Language", f.Lang)
	h.Set("Cache-Control", feedFresh)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	// Any page may read a public feed; there is nothing of a reader in it.
	h.Set("Access-Control-Allow-Origin", "*")
	modified := f.Updated
	if len(f.Entries) == 0 {
		modified = time.Time{}
	}
	http.ServeContent(w, r, "", modified, bytes.NewReader(raw))
	return nil
}
