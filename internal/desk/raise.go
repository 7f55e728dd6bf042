package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"dateline/internal/news"
	"dateline/internal/web"
)

// unreleased reports whether an alert is still being written.
func unreleased(a *news.Alert) bool {
	return a.State == news.AlertDraft || a.State == news.AlertSubmitted || a.State == news.AlertApproved
}

// raiseView is the page "desk/raise": somebody else is at work on the story.
type raiseView struct {
	Title  string
	By     news.Person
	Story  news.Story
	Dir    string
	Others []alertedView
	// May says that the person can write one of her own.
	May bool
}

// postRaise goes to the alert that the person is to write about a story: her own
// unfinished one, or the one that was drafted by itself, else a new one. Where
// another editor is at work on the story it asks first.
func (p *Pages) postRaise(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	by, uri := web.PersonFrom(r.Context()), r.PostFormValue("story")
	alerts, err := p.desk.store.AlertsOfStory(r.Context(), uri)
	if err != nil {
		return fmt.Errorf("desk: alerts of %s: %w", uri, err)
	}
	mine, others := atWork(alerts, by)
	if mine == "" && len(others) > 0 && r.PostFormValue("own") == "" {
		return p.askFirst(w, r, uri, others)
	}
	if mine == "" {
		if mine, err = p.draftOnce(r.Context(), by, uri, alerts); err != nil {
			return err
		}
	}
	http.Redirect(w, r, p.root+"/alerts/"+mine, http.StatusSeeOther)
	return nil
}

// atWork finds, of a story's alerts, newest first, the unfinished one that the
// person goes on with, and those that others are writing.
func atWork(alerts []news.Alert, by news.Person) (mine string, others []news.Alert) {
	own, drafted := "", ""
	for i := range alerts {
		a := &alerts[i]
		switch {
		case !unreleased(a):
		case a.Author == by.Name && own == "":
			own = a.ID
		case a.Author == news.SystemName && drafted == "":
			drafted = a.ID
		case a.Author != by.Name && a.Author != news.SystemName:
			others = append(others, *a)
		}
	}
	if own == "" && len(others) == 0 {
		own = drafted
	}
	return own, others
}

// draftOnce drafts an alert whose id follows from who raises it of what, and how
// often she did: two presses at once, also in two processes, make the same one,
// and the store takes it once.
func (p *Pages) draftOnce(ctx context.Context, by news.Person, uri string, alerts []news.Alert) (id string, err error) {
	known := map[string]bool{}
	for i := range alerts {
		known[alerts[i].ID] = true
	}
	for n := 0; ; n++ {
		id = uuid.NewSHA1(uuid.Nil, []byte(p.links.Hash("raise", fmt.Sprintf("%d %d:%s %s", n, len(by.Name), by.Name, uri)))).String()
		if !known[id] {
			break
		}
	}
	desk := *p.desk
	desk.newID = func() string { return id }
	_, err = desk.Draft(ctx, by, Writing{StoryURI: uri})
	if errors.Is(err, news.ErrConflict) {
		if _, found := p.desk.store.Alert(ctx, id); found == nil {
			return id, nil // the other press was first
		}
	}
	return id, err
}

func (p *Pages) askFirst(w http.ResponseWriter, r *http.Request, uri string, others []news.Alert) error {
	story, err := p.desk.store.Story(r.Context(), uri)
	if err != nil {
		return fmt.Errorf("desk: story %s: %w", uri, err)
	}
	by := web.PersonFrom(r.Context())
	view := raiseView{Title: "Raise an alert", By: by, Story: story, Dir: news.Direction(story.Language), Others: alerted(others, nil), May: may(by, stepDraft) == nil}
	return p.floor.Render(w, http.StatusConflict, "desk/raise", view)
}
