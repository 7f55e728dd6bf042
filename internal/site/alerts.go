package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
)

// alertLine is one thing that was sent, as readers see it.
type alertLine struct {
	ID       string
	Dateline string
	Title    string
	Body     string
	Lang     string // of the text, and of its dateline
	Dir      string
	Level    string
	Mark     string // "correction" or "kill"; "" for an alert as first sent
	Struck   bool   // the title is what was taken back, the body takes it back
	Navigate string // "" when there is nothing to open
	Why      string // path of the page that says why it came; "" elsewhere than in a reader's own list
}

// lineOf is one release.
func lineOf(v view, r news.Release) alertLine {
	have := make([]string, 0, len(r.Texts))
	for l := range r.Texts {
		have = append(have, l)
	}
	lang := news.PickLanguage(v.Lang, have, r.Language)
	text := r.Texts[lang]
	line := alertLine{ID: r.AlertID, Title: text.Title, Body: text.Body, Lang: lang, Dir: news.Direction(lang), Level: r.Level.String(),
		Navigate: r.Navigate}
	if len(r.Regions) > 0 {
		line.Dateline = region.Dateline(r.Regions[0], r.ReleasedAt, lang)
	}
	if r.Repair() {
		line.Mark = string(r.Kind)
	}
	return line
}

// marked is a line on its page, for the template of its mark.
type marked struct {
	Page view
	Line alertLine
}

// Marked puts a line on the page.
func (v view) Marked(line alertLine) marked { return marked{v, line} }

// standing is how an alert stands now: what was sent last about it. One that was
// retracted keeps the title it had, struck out, in the retraction's language.
func standing(v view, a news.PublicAlert) alertLine {
	line := lineOf(v, a.Newest())
	if line.Mark != string(news.ReleaseKill) {
		return line
	}
	for _, r := range slices.Backward(a.Releases) {
		if r.Kind == news.ReleaseKill {
			continue
		}
		if was := lineOf(view{Lang: line.Lang}, r); news.SameLanguage(was.Lang, line.Lang) {
			line.Title, line.Struck = was.Title, true
		}
		break
	}
	return line
}

// lines are the latest alerts that readers were sent.
func (s *Site) lines(ctx context.Context, v view, limit int) ([]alertLine, error) {
	alerts, err := s.Store.PublicAlerts(ctx, news.ArchiveMark{}, limit)
	if err != nil {
		return nil, fmt.Errorf("site.lines: %w", err)
	}
	var lines []alertLine
	for _, a := range alerts {
		lines = append(lines, standing(v, a))
	}
	return lines, nil
}

const (
	archivePage = 50
	// archiveReach is how many alerts one look goes through for those that fit a
	// filter; the next look goes on from there.
	archiveReach = 1000
)

// archiveFilter is what of the archive is looked for. The zero filter is all.
type archiveFilter struct{ Region, Section string }

// filterOf reads a filter, and gives what it does not know of it.
func filterOf(q url.Values) (f archiveFilter, unknown []string) {
	places, unknown := knownPlaces([]string{q.Get("region")})
	if len(places) > 0 {
		f.Region = places[0]
	}
	if news.IsSection(q.Get("section")) {
		f.Section = q.Get("section")
	} else {
		unknown = append(unknown, q.Get("section"))
	}
	return f, unknown
}

// fits reports whether the alert, as it stands, is about the place and filed
// under the section.
func (f archiveFilter) fits(a news.PublicAlert) bool {
	r := a.Newest()
	if f.Section != "" && !slices.Contains(r.Sections, f.Section) {
		return false
	}
	if f.Region == "" {
		return true
	}
	here, err := region.SetOf([]string{f.Region}, nil)
	about, fault := region.SetOf(r.Regions, nil)
	return err == nil && fault == nil && here.Overlaps(about)
}

// query is the filter's part of a link.
func (f archiveFilter) query(mark news.ArchiveMark) string {
	q := url.Values{}
	for name, value := range map[string]string{"region": f.Region, "section": f.Section} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if !mark.At.IsZero() {
		q.Set("before", fmt.Sprintf("%d.%s", mark.At.UnixMicro(), mark.AlertID))
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func markOf(typed string) news.ArchiveMark {
	micros, id, _ := strings.Cut(typed, ".")
	n, err := strconv.ParseInt(micros, 10, 64)
	at := time.UnixMicro(n).UTC()
	if err != nil || len(id) > 64 || at.Year() < 1970 || at.Year() > 9999 { // Postgres has no day before 4713 BC
		return news.ArchiveMark{}
	}
	return news.ArchiveMark{At: at, AlertID: id}
}

// archive is one page of what fits, and the mark of the next; a zero mark: there
// is no more.
func (s *Site) archive(ctx context.Context, f archiveFilter, from news.ArchiveMark, limit int) (found []news.PublicAlert, next news.ArchiveMark, err error) {
	for looked := 0; looked < archiveReach; {
		page, err := s.Store.PublicAlerts(ctx, from, 2*archivePage)
		if err != nil {
			return nil, next, fmt.Errorf("site.archive: %w", err)
		}
		for i, a := range page {
			from = a.Mark()
			if f.fits(a) {
				found = append(found, a)
			}
			if len(found) == limit && (i+1 < len(page) || len(page) == 2*archivePage) {
				return found, from, nil
			}
		}
		if len(page) < 2*archivePage {
			return found, news.ArchiveMark{}, nil
		}
		looked += len(page)
	}
	return found, from, nil
}

// archiveView is a page of the archive.
type archiveView struct {
	view
	Alerts   []alertLine
	Filter   archiveFilter
	Areas    []area
	Sections []news.Section
	Other    *place // the place looked for, when it is not on the list
	Older    string // path; "" none
	Newest   string // path of the first page; "" on it
	Query    string // of the feeds
}

func (s *Site) alertsPage(w http.ResponseWriter, r *http.Request) error {
	v, from := s.view(w, r), markOf(r.URL.Query().Get("before"))
	f, unknown := filterOf(r.URL.Query())
	v.Unknown = unknownInWords(unknown)
	alerts, next, err := s.archive(r.Context(), f, from, archivePage)
	if err != nil {
		return err
	}
	a := archiveView{view: v, Filter: f, Areas: s.atlas.lists[v.Lang].Areas, Sections: news.Sections(), Query: f.query(news.ArchiveMark{})}
	for _, alert := range alerts {
		a.Alerts = append(a.Alerts, standing(v, alert))
	}
	if !next.At.IsZero() {
		a.Older = "/alerts" + f.query(next)
	}
	if !from.At.IsZero() {
		a.Newest = "/alerts" + f.query(news.ArchiveMark{})
	}
	if f.Region != "" && !slices.ContainsFunc(a.Areas, func(ar area) bool {
		return ar.Code == f.Region || slices.ContainsFunc(ar.Places, func(p place) bool { return p.Code == f.Region })
	}) {
		other := placeIn(f.Region, v.Lang)
		a.Other = &other
	}
	return s.Floor.Render(w, http.StatusOK, "site/alerts", a)
}

type alertView struct {
	view
	Now       alertLine
	History   []alertLine // all that was sent, newest first; nil when it is one thing
	Retracted bool
	Places    string
	Why       []string // sentences; nil: the rule in general
	Got       bool
	Asked     bool // it is the page that says why
	Manage    string
}

func (s *Site) alertPage(w http.ResponseWriter, r *http.Request) error {
	v, _, err := s.alertView(r, s.view(w, r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/alert", v)
}

func (s *Site) alertView(r *http.Request, v view, id string) (alertView, news.PublicAlert, error) {
	alert, err := s.Store.PublicAlert(r.Context(), id)
	if err != nil {
		if errors.Is(err, news.ErrNotFound) {
			err = fmt.Errorf("%w: no such alert", news.ErrNotFound)
		}
		return alertView{}, alert, fmt.Errorf("site.alertView: %w", err)
	}
	a := alertView{view: v, Now: standing(v, alert), Retracted: alert.Newest().Kind == news.ReleaseKill}
	if len(alert.Releases) > 1 {
		for _, r := range slices.Backward(alert.Releases) {
			a.History = append(a.History, lineOf(v, r))
		}
	}
	if audience := alert.Newest().Audience; audience != "" {
		a.Places = region.Words(audience, v.Lang)
	}
	if a.Now.Navigate == s.Floor.BaseURL()+"/alerts/"+id {
		a.Now.Navigate = "" // it is this page
	}
	return a, alert, nil
}
