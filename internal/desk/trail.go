package desk

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
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
	// Of a subject that has a page: what it was called at that step, and where
	// the page is.
	Title, Lang, Dir, To string
	// Words are what readers were to read from this step on, by language; Whom
	// says who. Content is the hash that an approval names.
	Words   []textView
	Whom    string
	Content string
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
	called := map[string]string{} // alerts, at the step before; "" where that is older than the page
	for _, e := range entries {
		if id, ok := strings.CutPrefix(e.Subject, "alert/"); ok && e.Action != "kill" && len(news.ReadRecord(e.Detail).Words) > 0 {
			called[id] = ""
		}
	}
	for _, e := range slices.Backward(entries) {
		view.Lines = append(view.Lines, p.trailLine(e, alerts, called))
	}
	slices.Reverse(view.Lines)
	return p.floor.Render(w, http.StatusOK, "desk/audit", view)
}

// titleThen is what an alert was called at a step: as now, when no step on the
// page changed that.
func titleThen(called map[string]string, id string, a *news.Alert) string {
	if title, changed := called[id]; changed {
		return cmp.Or(title, "an alert, called otherwise later")
	}
	return a.Texts[a.Language].Title
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
func (p *Pages) trailLine(e news.AuditEntry, alerts map[string]news.Alert, called map[string]string) trailLine {
	l := trailLine{Seq: e.Seq, At: clockTime(e.At), Who: e.By, Action: e.Action, Subject: e.Subject, Detail: e.Detail}
	switch kind, id, _ := strings.Cut(e.Subject, "/"); kind {
	case "alert":
		if a, known := alerts[id]; known {
			r := news.ReadRecord(e.Detail)
			if words := textsOf(&news.Alert{Language: a.Language, Texts: r.Words}); len(words) > 0 && e.Action != "kill" { // a retraction's are not the alert's
				called[id] = words[0].Title
			}
			l.Title, l.Lang, l.Dir, l.To = titleThen(called, id, &a), a.Language, news.Direction(a.Language), p.root+"/alerts/"+id
			l.Detail, l.Content, l.Whom = r.Why, r.Hash, r.To
			l.Words = textsOf(&news.Alert{Language: a.Language, Texts: r.Words})
		}
		if strings.HasPrefix(e.Action, "draft") && len(e.Detail) == hashLength { // the hash of a content: nothing to read
			l.Detail = ""
		}
	case "letter":
		l.Title, l.To = "set aside", p.root+"/aside"
	case "cap":
		l.Title, l.To = "cap of "+id, p.root+"/caps"
	case "edition":
		if e, err := news.ParseEditionID(id); err == nil {
			l.Title, l.To = "digest of "+editionName(&e)+", "+dayWords(e.LocalDate), p.root+"/editions/one?id="+url.QueryEscape(id)
		}
	case "digest":
		l.Title, l.To = "plan of "+dayWords(id), p.root+"/digest?date="+url.QueryEscape(id)
	}
	return l
}
