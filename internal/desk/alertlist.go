package desk

import (
	"fmt"
	"net/http"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

// listView is the page "desk/alerts".
type listView struct {
	Title      string
	By         news.Person
	Open, Past []lineView
	Policies   []policyView
	Rooms      []capView   // what the newsroom's caps leave
	Review     []glassView // released by one editor, not reviewed
}

type lineView struct {
	ID, State, Level, Title, Lang, Dir, Dateline, At, Reason string
	Accepted, Intended                                       int
	Stopped                                                  *stopView
}

type policyView struct{ Level, Policy string }

func (p *Pages) getAlertList(w http.ResponseWriter, r *http.Request) error {
	views, err := p.desk.Newest(r.Context())
	if err != nil {
		return err
	}
	policyOf, err := p.desk.policyOf(r.Context())
	if err != nil {
		return err
	}
	view := listView{Title: "Alerts", By: web.PersonFrom(r.Context())}
	for _, l := range news.Levels() {
		view.Policies = append(view.Policies, policyView{l.String(), string(policyOf(l))})
	}
	if view.Rooms, err = p.rooms(r); err != nil {
		return err
	}
	open, err := p.desk.store.OpenEmergencies(r.Context())
	if err != nil {
		return fmt.Errorf("desk: releases to be reviewed: %w", err)
	}
	if view.Review, err = p.glassOf(r.Context(), view.By, open); err != nil {
		return err
	}
	for _, v := range views {
		line, err := p.lineOf(r, v)
		if err != nil {
			return err
		}
		if v.Alert.State.Unfinished() {
			view.Open = append(view.Open, line)
		} else {
			view.Past = append(view.Past, line)
		}
	}
	return p.floor.Render(w, http.StatusOK, "desk/alerts", view)
}

func (p *Pages) lineOf(r *http.Request, v View) (lineView, error) {
	a := &v.Alert
	story, err := p.desk.store.Story(r.Context(), a.StoryURI)
	if err != nil {
		return lineView{}, fmt.Errorf("desk: story of alert %s: %w", a.ID, err)
	}
	at := a.CreatedAt
	if !a.ReleasedAt.IsZero() {
		at = a.ReleasedAt
	}
	line := lineView{ID: a.ID, State: string(a.State), Level: a.Level.String(), Title: a.Texts[a.Language].Title, Lang: a.Language,
		Dir: news.Direction(a.Language), Dateline: region.Dateline(region.DatelinePlace(story.Regions), story.Created, "en"), At: clockTime(at), Reason: reasonOf(a), Stopped: stopOf(a)}
	if v.First != nil {
		line.Accepted, line.Intended = v.First.Figures.Counts.Accepted, v.First.Figures.Counts.Intended
	}
	return line, nil
}
