package desk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// alertView is the page "desk/alert".
type alertView struct {
	Title   string
	By      news.Person
	Story   news.Story
	Problem string
	Status  statusView
	Chart   *chartView // nil before the release
	// Write is the form; nil when the alert is past being written.
	Write *writeView
	Card  *cardView // whom it would reach; nil when it is past that
	Rules rulesView
	// The steps that this person may press now.
	MaySubmit, MayApprove, MayRelease, MayHold, MayResume, MayCancel, MayKill, MayCorrect bool
	// Correction is the form's texts; Correcting says that they were refused.
	Correction []textView
	Correcting bool
}

func (p *Pages) getAlertPage(w http.ResponseWriter, r *http.Request) error {
	return p.showAlert(w, r, http.StatusOK, "")
}

// showAlert shows the alert as it is now, with what went wrong.
func (p *Pages) showAlert(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	v, story, now, err := p.lookAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	view := alertView{Title: "Alert", By: web.PersonFrom(r.Context()), Story: story, Problem: problem, Status: now, Chart: p.chart(r.Context(), v)}
	if err := p.offer(r, &view, v); err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		p.keep(r.Context(), &view, step(r.PathValue("step")), &v.Alert, r.PostForm)
	}
	return p.floor.Render(w, status, "desk/alert", view)
}

// offer adds what the person may do with the alert now.
func (p *Pages) offer(r *http.Request, view *alertView, v View) error {
	policyOf, err := p.desk.policyOf(r.Context())
	if err != nil {
		return err
	}
	a, by := &v.Alert, view.By
	policy := policyOf(a.Level)
	if view.Rules, err = p.rulesOf(r, by, a, policy); err != nil {
		return err
	}
	unreleased := a.State == news.AlertDraft || a.State == news.AlertSubmitted || a.State == news.AlertApproved
	can := func(s step) bool { return may(by, s) == nil }
	view.MaySubmit = a.State == news.AlertDraft && policy == news.PolicyTwo && can(stepSubmit)
	view.MayApprove = a.State == news.AlertSubmitted && a.Author != by.Name && a.Submitter != by.Name && can(stepApprove)
	view.MayRelease = can(stepRelease) && (a.State == news.AlertApproved || unreleased && policy != news.PolicyTwo)
	view.MayHold = can(stepHold) && (a.State == news.AlertHolding || a.State == news.AlertSending)
	view.MayResume = can(stepResume) && a.State == news.AlertHeld
	view.MayCancel = can(stepCancel) && a.State.Unfinished()
	view.MayKill = can(stepKill) && v.First != nil && a.State != news.AlertKilled
	view.MayCorrect = can(stepCorrect) && v.First != nil && a.State != news.AlertKilled && a.State != news.AlertCancelled
	if view.MayCorrect {
		view.Correction = correctionOf(a, r.PostForm["keep"])
	}
	if unreleased {
		f := p.saved(a, &view.Story)
		view.Card = p.cardOf(r.Context(), f, false)
		if can(stepEdit) {
			view.Write = p.writeOf(f, false)
		}
	}
	return nil
}

// postStep takes the step that the pressed button names.
func (p *Pages) postStep(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
	}
	if step(r.PathValue("step")) == stepEdit && presses(r.PostForm) {
		return p.showAlert(w, r, http.StatusOK, "")
	}
	err := p.step(r, step(r.PathValue("step")))
	switch {
	case err == nil:
		http.Redirect(w, r, p.root+"/alerts/"+r.PathValue("id"), http.StatusSeeOther)
		return nil
	case errors.Is(err, news.ErrInvalid), errors.Is(err, news.ErrConflict), errors.Is(err, news.ErrForbidden):
		return p.showAlert(w, r, web.StatusOf(err), sentence(err))
	}
	return err
}

func (p *Pages) step(r *http.Request, s step) error {
	ctx, by, id := r.Context(), web.PersonFrom(r.Context()), r.PathValue("id")
	if s == stepKill && !strings.EqualFold(strings.TrimSpace(r.PostFormValue("typed")), "kill") {
		return news.Invalid("typed", "type the word kill to retract this alert from everybody who was sent it")
	}
	if s == stepEdit {
		return p.save(ctx, by, id, r.PostForm)
	}
	if (s == stepRelease || s == "alone") && may(by, stepRelease) == nil {
		if err := p.counted(ctx, id, r.PostFormValue("count")); err != nil {
			return err
		}
	}
	switch r.PathValue("step") {
	case "release":
		_, err := p.desk.Press(ctx, by, id, Pressing{Hash: r.PostFormValue("hash"), OverCap: overCap(r)})
		return err
	case "alone":
		return p.alone(r)
	case "review":
		return p.review(r)
	}
	act, ok := p.desk.acts()[s]
	if !ok {
		return fmt.Errorf("%w: there is no such step", news.ErrNotFound)
	}
	body := stepBody{Hash: r.PostFormValue("hash"), Reason: r.PostFormValue("reason")}
	if s == stepCorrect {
		a, err := p.desk.store.Alert(ctx, id)
		if err != nil {
			return fmt.Errorf("desk: correct alert %s: %w", id, err)
		}
		body.Texts = textsTo(newWords(&a, textsOfForm(r.PostForm), r.PostForm["keep"]))
	}
	_, err := act(ctx, by, id, body)
	return err
}

// correctionOf is what the form of a correction offers.
func correctionOf(a *news.Alert, kept []string) []textView {
	texts := textsOf(a)
	for i := range texts {
		l := texts[i].Language
		texts[i].Repair, texts[i].Own, texts[i].Keep = true, l == a.Language, slices.Contains(kept, l)
	}
	return texts
}

// newWords are the texts of a correction: what the form offered and nobody
// changed may be what was wrong, and is not sent again, unless somebody ticked
// that it is right (keep). The text of last resort stands beside new ones as it is.
func newWords(a *news.Alert, texts map[string]news.Text, keep []string) map[string]news.Text {
	out := map[string]news.Text{}
	for l, t := range texts {
		t = news.Text{Title: news.CleanLine(t.Title), Body: news.CleanLine(t.Body)}
		if t != a.Texts[l] && t != (news.Text{}) {
			out[l] = t
		}
	}
	if len(out) == 0 {
		return out
	}
	if own := texts[a.Language]; news.Visible(own.Title) {
		out[a.Language] = own
	}
	for _, l := range keep {
		if t, written := a.Texts[l]; written && out[l] == (news.Text{}) {
			out[l] = t
		}
	}
	return out
}
