package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Aside is what the intake could not take: stories with faults, newest first,
// and second bodies of a version that was stored already.
type Aside interface {
	DeadLetters(ctx context.Context, limit int) ([]news.DeadLetter, error) // not dismissed
	DismissedLetters(ctx context.Context, limit int) ([]news.DeadLetter, error)
	DismissLetter(ctx context.Context, id, by, why string) error
	StoryConflicts(ctx context.Context, limit int) ([]news.StoryConflictRecord, error)
}

// Replay handles a dead letter again; *intake.Service does.
type Replay func(ctx context.Context, id string) (news.Story, news.StoryResult, error)

const (
	// asideShown are listed of each kind.
	asideShown = 100
	// bodyShown is how much of a letter's body is shown, in bytes: a story has
	// about 4 KB.
	bodyShown = 16 << 10
	// deepest JSON that is put on many lines: each of them begins with two
	// spaces a level, so that a sender's brackets could fill the memory.
	deepest = 32
)

// asideView is the page "desk/aside".
type asideView struct {
	Title     string
	By        news.Person
	May       bool // replay and dismiss
	Said      string
	Problem   string
	Letters   []letterView
	Dismissed []letterView
	Conflicts []conflictView
}

type letterView struct {
	ID, At, Source, Body, Replayed, Note string
	Problems                             []news.Problem
	Cut                                  bool // the body is longer
	JSON                                 bool // else it would be refused for ever
	DismissedBy, DismissedFor, Dismissed string
	Typed                                string // a reason that was refused
}

type conflictView struct {
	At, URI, Headline string
	Version           int64
}

func (p *Pages) getAside(w http.ResponseWriter, r *http.Request) error {
	return p.showAside(w, r, http.StatusOK, asideView{})
}

func (p *Pages) showAside(w http.ResponseWriter, r *http.Request, status int, view asideView) error {
	letters, err := p.aside.DeadLetters(r.Context(), asideShown)
	if err != nil {
		return fmt.Errorf("desk: dead letters: %w", err)
	}
	conflicts, err := p.aside.StoryConflicts(r.Context(), asideShown)
	if err != nil {
		return fmt.Errorf("desk: conflicts: %w", err)
	}
	dismissed, err := p.aside.DismissedLetters(r.Context(), asideShown)
	if err != nil {
		return fmt.Errorf("desk: dismissed letters: %w", err)
	}
	by := web.PersonFrom(r.Context())
	view.Title, view.By, view.May = "Set aside", by, by.May(news.ScopeStoriesWrite)
	for _, l := range letters {
		v := letterOf(l)
		if view.Problem != "" && v.ID == r.PathValue("id") {
			v.Typed = r.PostFormValue("reason")
		}
		view.Letters = append(view.Letters, v)
	}
	for _, l := range dismissed {
		view.Dismissed = append(view.Dismissed, letterOf(l))
	}
	for _, c := range conflicts {
		view.Conflicts = append(view.Conflicts, conflictView{clockTime(c.ReceivedAt), c.URI, c.Received.Headline, c.Version})
	}
	return p.floor.Render(w, status, "desk/aside", view)
}

func letterOf(l news.DeadLetter) letterView {
	v := letterView{ID: l.ID, At: clockTime(l.ReceivedAt), Source: l.Source, Problems: l.Problems, Note: l.ReplayNote,
		JSON: json.Valid(l.Body), DismissedBy: l.DismissedBy, DismissedFor: l.DismissedFor}
	if !l.DismissedAt.IsZero() {
		v.Dismissed = clockTime(l.DismissedAt)
	}
	if !l.ReplayedAt.IsZero() {
		v.Replayed = clockTime(l.ReplayedAt)
	}
	v.Body, v.Cut = readable(l.Body)
	return v
}

// readable is a body as a person can look at it: JSON on many lines, and what
// is no text as Go would write it.
func readable(body []byte) (text string, cut bool) {
	var b bytes.Buffer
	if len(body) <= bodyShown && depth(body) <= deepest && json.Indent(&b, body, "", "  ") == nil {
		body = b.Bytes()
	}
	if cut = len(body) > bodyShown; cut {
		body = body[:bodyShown]
		for len(body) > 0 && !utf8.RuneStart(body[len(body)-1]) {
			body = body[:len(body)-1]
		}
		body = body[:max(0, len(body)-1)]
	}
	if !utf8.Valid(body) {
		return fmt.Sprintf("%q", body), cut
	}
	return string(body), cut
}

// depth is how deep the brackets of a body go, at most: those in its strings
// count, too.
func depth(body []byte) int {
	most, now := 0, 0
	for _, c := range body {
		switch c {
		case '{', '[':
			now++
			most = max(most, now)
		case '}', ']':
			now--
		}
	}
	return most
}

func (p *Pages) postReplay(w http.ResponseWriter, r *http.Request) error {
	if by := web.PersonFrom(r.Context()); !by.May(news.ScopeStoriesWrite) {
		return fmt.Errorf("%w: a %s may not replay stories", news.ErrForbidden, by.Role)
	}
	story, result, err := p.replay(r.Context(), r.PathValue("id"))
	var invalid *news.InvalidError
	switch {
	case errors.As(err, &invalid):
		return p.showAside(w, r, http.StatusUnprocessableEntity, asideView{Problem: "The story still has faults. " + sentence(err)})
	case err != nil:
		return err
	}
	return p.showAside(w, r, http.StatusOK, asideView{Said: fmt.Sprintf("“%s”, version %d: %s.", story.Headline, story.Version, result)})
}

// postDismiss takes a letter off the list that needs nothing any more.
func (p *Pages) postDismiss(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	by := web.PersonFrom(r.Context())
	if !by.May(news.ScopeStoriesWrite) {
		return fmt.Errorf("%w: a %s may not dismiss what was set aside", news.ErrForbidden, by.Role)
	}
	why := cleanReason(r.PostFormValue("reason"))
	err := error(nil)
	if !news.Visible(why) {
		err = news.Invalid("reason", "is required: others read why nothing needs to be done")
	} else {
		err = p.aside.DismissLetter(r.Context(), r.PathValue("id"), by.Name, why)
	}
	switch {
	case isRefusal(err):
		return p.showAside(w, r, web.StatusOf(err), asideView{Problem: sentence(err)})
	case err != nil:
		return err
	}
	p.log.Info("dead letter dismissed", "dead_letter", r.PathValue("id"), "by", by.Name)
	http.Redirect(w, r, p.root+"/aside", http.StatusSeeOther)
	return nil
}

func clockTime(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05 MST") }
