package desk

import (
	"context"
	"fmt"
	"net/http"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Trail is who did what.
type Trail interface {
	Audit(ctx context.Context, limit int) ([]news.AuditEntry, error) // newest first
}

// trailShown lines stand on the page; `dateline export audit` has all.
const trailShown = 300

// trailView is the page "desk/audit".
type trailView struct {
	Title string
	By    news.Person
	Lines []trailLine
}

type trailLine struct {
	Seq                              int64
	At, Who, Action, Subject, Detail string
}

func (p *Pages) getTrail(w http.ResponseWriter, r *http.Request) error {
	entries, err := p.trail.Audit(r.Context(), trailShown)
	if err != nil {
		return fmt.Errorf("desk: the audit trail: %w", err)
	}
	view := trailView{Title: "Who did what", By: web.PersonFrom(r.Context())}
	for _, e := range entries {
		view.Lines = append(view.Lines, trailLine{e.Seq, clockTime(e.At), e.By, e.Action, e.Subject, e.Detail})
	}
	return p.floor.Render(w, http.StatusOK, "desk/audit", view)
}
