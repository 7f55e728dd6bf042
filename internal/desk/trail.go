package desk

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// Trail is who did what.
type Trail interface {
	Audit(ctx context.Context, limit int) ([]news.AuditEntry, error) // newest first
	AlertsByID(ctx context.Context, ids []string) (map[string]news.Alert, error)
}

// trailShown lines stand on the page; `dateline export audit` has all.
const trailShown = 300

// hashLength is the hex SHA-256 of an alert's content.
const hashLength = 64

// trailView is the page "desk/audit".
type trailView struct {
	Title string
	By    news.Person
	Lines []trailLine
}

type trailLine struct {
	Seq                              int64
	At, Who, Action, Subject, Detail string
	// Of a subject that has a page: what it is called there, and where that is.
	Title, Lang, Dir, To string
}

func (p *Pages) getTrail(w http.ResponseWriter, r *http.Request) error {
	entries, err := p.trail.Audit(r.Context(), trailShown)
	if err != nil {
		return fmt.Errorf("desk: the audit trail: %w", err)
	}
	alerts, err := p.trail.AlertsByID(r.Context(), alertsOf(entries))
	if err != nil {
		return fmt.Errorf("desk: alerts of the audit trail: %w", err)
	}
	view := trailView{Title: "Who did what", By: web.PersonFrom(r.Context())}
	for _, e := range entries {
		view.Lines = append(view.Lines, p.trailLine(e, alerts))
	}
	return p.floor.Render(w, http.StatusOK, "desk/audit", view)
}

// alertsOf are the alerts that lines are of, once each.
func alertsOf(entries []news.AuditEntry) []string {
	var ids []string
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Subject, "alert/"); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// trailLine is a line, with a way to what it is of.
func (p *Pages) trailLine(e news.AuditEntry, alerts map[string]news.Alert) trailLine {
	l := trailLine{Seq: e.Seq, At: clockTime(e.At), Who: e.By, Action: e.Action, Subject: e.Subject, Detail: e.Detail}
	switch kind, id, _ := strings.Cut(e.Subject, "/"); kind {
	case "alert":
		if a, known := alerts[id]; known {
			l.Title, l.Lang, l.Dir, l.To = a.Texts[a.Language].Title, a.Language, news.Direction(a.Language), p.root+"/alerts/"+id
		}
		if strings.HasPrefix(e.Action, "draft") && len(e.Detail) == hashLength { // the hash of a content: nothing to read
			l.Detail = ""
		}
	case "letter":
		l.Title, l.To = "set aside", p.root+"/aside"
	case "cap":
		l.Title, l.To = "cap of "+id, p.root+"/caps"
	}
	return l
}
