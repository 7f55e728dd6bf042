package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/region"
)

// alertLine is one alert as readers see it: what was sent last about it.
type alertLine struct {
	ID       string
	Dateline string
	Title    string
	Body     string
	Lang     string // of the text, and of its dateline
	Dir      string
	Level    string
	Mark     string // "correction" or "kill"; "" for an alert as first sent
	Navigate string // "" when there is nothing to open
}

// lines are the latest alerts that readers were sent.
func (s *Site) lines(ctx context.Context, v view, limit int) ([]alertLine, error) {
	alerts, err := s.sent(ctx, limit)
	if err != nil {
		return nil, err
	}
	latest, err := s.latest(ctx, alerts)
	if err != nil {
		return nil, err
	}
	var lines []alertLine
	for _, a := range alerts {
		if r, ok := latest[a.ID]; ok {
			lines = append(lines, lineOf(v, r))
		}
	}
	return lines, nil
}

// clockSlack is how far apart the clocks of two processes may be: one drafts
// an alert, another releases it.
const clockSlack = time.Hour

// latest is what was sent last about each alert. It is asked for in one go: all
// that was sent since the oldest of them was drafted is little more than
// theirs, as they are the newest there are.
func (s *Site) latest(ctx context.Context, alerts []news.Alert) (map[string]news.Release, error) {
	if len(alerts) == 0 {
		return nil, nil
	}
	oldest := slices.MinFunc(alerts, func(a, b news.Alert) int { return a.CreatedAt.Compare(b.CreatedAt) })
	releases, err := s.Store.ReleasesSince(ctx, oldest.CreatedAt.Add(-clockSlack))
	if err != nil {
		return nil, fmt.Errorf("site.latest: %w", err)
	}
	latest := map[string]news.Release{}
	for _, r := range releases {
		if r.Revision > latest[r.AlertID].Revision {
			latest[r.AlertID] = r
		}
	}
	return latest, nil
}

// deepest is how many alerts are looked at for the ones that were sent.
const deepest = 2000

// sent are the newest alerts of which something was sent. The states do not
// tell: a draft that was dropped is cancelled, too.
func (s *Site) sent(ctx context.Context, limit int) ([]news.Alert, error) {
	states := []news.AlertState{news.AlertSending, news.AlertSent, news.AlertHeld, news.AlertCancelled, news.AlertKilled}
	for look := 4 * limit; ; look *= 4 {
		look = min(look, deepest)
		alerts, err := s.Store.Alerts(ctx, states, look)
		if err != nil {
			return nil, fmt.Errorf("site.sent: %w", err)
		}
		whole := len(alerts) < look || look == deepest
		alerts = slices.DeleteFunc(alerts, func(a news.Alert) bool { return a.Revision == 0 })
		if whole || len(alerts) >= limit {
			return alerts[:min(len(alerts), limit)], nil
		}
	}
}

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

func (s *Site) alertsPage(w http.ResponseWriter, r *http.Request) error {
	v := s.view(w, r)
	lines, err := s.lines(r.Context(), v, 100)
	if err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/alerts", struct {
		view
		Alerts []alertLine
	}{v, lines})
}

// history is what was sent of an alert, newest first; an alert that nobody was
// sent is not there.
func (s *Site) history(ctx context.Context, v view, id string) (news.Alert, []alertLine, error) {
	alert, err := s.Store.Alert(ctx, id)
	if err != nil {
		return news.Alert{}, nil, fmt.Errorf("site.history: %w", err)
	}
	releases, err := s.Store.ReleasesOfAlert(ctx, id)
	if err != nil {
		return news.Alert{}, nil, fmt.Errorf("site.history(%s): %w", id, err)
	}
	if len(releases) == 0 {
		return news.Alert{}, nil, fmt.Errorf("%w: no such alert", news.ErrNotFound)
	}
	lines := make([]alertLine, 0, len(releases))
	for i := len(releases) - 1; i >= 0; i-- {
		lines = append(lines, lineOf(v, releases[i]))
	}
	return alert, lines, nil
}

type alertView struct {
	view
	Now       alertLine
	Earlier   []alertLine
	Retracted bool
	Places    string
	Why       *Explanation // nil: the rule in general
	Asked     bool         // it is the page that says why
	Manage    string
}

func (s *Site) alertPage(w http.ResponseWriter, r *http.Request) error {
	v, err := s.alertView(w, r, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.Floor.Render(w, http.StatusOK, "site/alert", v)
}

func (s *Site) alertView(w http.ResponseWriter, r *http.Request, id string) (alertView, error) {
	v := s.view(w, r)
	alert, lines, err := s.history(r.Context(), v, id)
	if err != nil {
		return alertView{}, err
	}
	a := alertView{view: v, Now: lines[0], Earlier: lines[1:], Retracted: alert.State == news.AlertKilled}
	if alert.Audience != "" {
		a.Places = region.Words(alert.Audience, v.Lang)
	}
	if a.Now.Navigate == s.Floor.BaseURL()+"/alerts/"+id {
		a.Now.Navigate = "" // it is this page
	}
	return a, nil
}

// whyPage says why a device got an alert, or why not, in words.
func (s *Site) whyPage(w http.ResponseWriter, r *http.Request) error {
	token, now := r.PathValue("token"), s.Now()
	id, err := s.Links.Verify(link.Why, token, now)
	if errors.Is(err, link.ErrBad) {
		id, err = s.Links.Verify(link.ManageDevice, token, now)
	}
	if err != nil {
		return err
	}
	device, err := s.device(r, id)
	if err != nil {
		return err
	}
	v, err := s.alertView(w, r, r.PathValue("alert"))
	if err != nil {
		return err
	}
	v.Asked = true
	v.Manage = link.Path(link.ManageDevice, s.Links.Sign(link.ManageDevice, id, now.Add(link.ManageFor)))
	if s.Explainer != nil {
		alert, err := s.Store.Alert(r.Context(), r.PathValue("alert"))
		if err != nil {
			return fmt.Errorf("site.whyPage: %w", err)
		}
		why, err := s.Explainer.Explain(r.Context(), alert, device)
		if err != nil {
			return fmt.Errorf("site.whyPage: %w", err)
		}
		v.Why = &why
	}
	return s.Floor.Render(w, http.StatusOK, "site/alert", v)
}
