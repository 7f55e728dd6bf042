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
	DeadLetters(ctx context.Context, limit int) ([]news.DeadLetter, error)
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
	May       bool // replay
	Said      string
	Letters   []letterView
	Conflicts []conflictView
}

type letterView struct {
	ID, At, Source, Body, Replayed, Note string
	Problems                             []news.Problem
	Cut                                  bool // the body is longer
}

type conflictView struct {
	At, URI, Headline string
	Version           int64
}

func (p *Pages) getAside(w http.ResponseWriter, r *http.Request) error {
	return p.showAside(w, r, http.StatusOK, "")
}

func (p *Pages) showAside(w http.ResponseWriter, r *http.Request, status int, said string) error {
	letters, err := p.aside.DeadLetters(r.Context(), asideShown)
	if err != nil {
		return fmt.Errorf("desk: dead letters: %w", err)
	}
	conflicts, err := p.aside.StoryConflicts(r.Context(), asideShown)
	if err != nil {
		return fmt.Errorf("desk: conflicts: %w", err)
	}
	by := web.PersonFrom(r.Context())
	view := asideView{Title: "Set aside", By: by, May: by.May(news.ScopeStoriesWrite), Said: said}
	for _, l := range letters {
		view.Letters = append(view.Letters, letterOf(l))
	}
	for _, c := range conflicts {
		view.Conflicts = append(view.Conflicts, conflictView{clockTime(c.ReceivedAt), c.URI, c.Received.Headline, c.Version})
	}
	return p.floor.Render(w, status, "desk/aside", view)
}

func letterOf(l news.DeadLetter) letterView {
	v := letterView{ID: l.ID, At: clockTime(l.ReceivedAt), Source: l.Source, Problems: l.Problems, Note: l.ReplayNote}
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
		return p.showAside(w, r, http.StatusUnprocessableEntity, "The story still has faults. "+sentence(err))
	case err != nil:
		return err
	}
	return p.showAside(w, r, http.StatusOK, fmt.Sprintf("“%s”, version %d: %s.", story.Headline, story.Version, result))
}

func clockTime(t time.Time) string { return t.UTC().Format("2 Jan 15:04:05 MST") }
