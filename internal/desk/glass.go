package desk

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"dateline/internal/news"
	"dateline/internal/web"
)

// aloneWord is what an editor types to release alone.
const aloneWord = "alone"

// Review signs off what another editor released alone.
func (d *Service) Review(ctx context.Context, by news.Person, id, note string) (news.Emergency, error) {
	if err := may(by, stepReview); err != nil {
		return news.Emergency{}, err
	}
	note = cleanReason(note)
	e, err := d.store.ReviewEmergency(ctx, id, func(e *news.Emergency) error { return news.Review(e, by, note, d.now()) })
	if err != nil {
		return news.Emergency{}, fmt.Errorf("desk: review %s: %w", id, err)
	}
	d.log.Info("release reviewed", "alert", e.AlertID, "by", by.Name)
	if d.waker != nil {
		if err := d.waker.Wake(topicDesk); err != nil {
			d.log.Warn("wake-up failed; open pages see it within a second", "error", err)
		}
	}
	return e, nil
}

// glassView is one release by one editor, as the desk shows it.
type glassView struct {
	ID, AlertID, Level, State, Title, Lang, Dir string
	By, Reason, At                              string
	ReviewedBy, Note, ReviewedAt                string
	MayReview                                   bool
	// What became of it: it counts down, or was undone before anything went.
	Counting, Undone bool
	Typed            string // a review that was refused
}

func (p *Pages) glassOf(ctx context.Context, by news.Person, emergencies []news.Emergency) ([]glassView, error) {
	out := make([]glassView, 0, len(emergencies))
	for i := range emergencies {
		e := &emergencies[i]
		a, err := p.desk.store.Alert(ctx, e.AlertID)
		if err != nil {
			return nil, fmt.Errorf("desk: alert of a release to be reviewed: %w", err)
		}
		v := glassView{ID: e.ID, AlertID: a.ID, Level: a.Level.String(), State: string(a.State), Title: a.Texts[a.Language].Title, Lang: a.Language,
			Dir: news.Direction(a.Language), By: e.By, Reason: e.Reason, At: clockTime(e.At), ReviewedBy: e.ReviewedBy, Note: e.Note,
			MayReview: !e.Reviewed() && e.By != by.Name && may(by, stepReview) == nil}
		// A release that was undone takes its time off the alert, or the next one puts
		// another there; one that counts has sent something.
		its := a.ReleasedAt.Equal(e.At)
		v.Counting = its && a.State == news.AlertHolding
		v.Undone = !v.Counting && !(its && a.Revision > 0)
		if e.Reviewed() {
			v.ReviewedAt = clockTime(e.ReviewedAt)
		}
		out = append(out, v)
	}
	return out, nil
}

// rulesView is what the alert's page says of the newsroom's rules.
type rulesView struct {
	ID, Hash string
	// Room is what the cap leaves, in words; Full that a release would go over
	// it, and MayPass that this person may do so.
	Room, Why     string
	Full, MayPass bool
	// MayAlone offers a release without the second editor; Wait is its countdown.
	MayAlone bool
	Wait     string
	Reason   string // as it was typed and refused
	Glass    []glassView
}

// rulesOf is what holds for this alert and this person now.
func (p *Pages) rulesOf(r *http.Request, by news.Person, a *news.Alert, policy news.Policy) (rulesView, error) {
	ctx, v := r.Context(), rulesView{ID: a.ID, Hash: a.Hash()}
	if r.PathValue("step") == "alone" { // what was typed and refused is not typed twice
		v.Reason = r.PostFormValue("reason")
	}
	emergencies, err := p.desk.store.EmergenciesOfAlert(ctx, a.ID)
	if err != nil {
		return v, fmt.Errorf("desk: releases to be reviewed: %w", err)
	}
	if v.Glass, err = p.glassOf(ctx, by, emergencies); err != nil {
		return v, err
	}
	for i := range v.Glass {
		if r.PathValue("step") == "review" && v.Glass[i].ID == r.PostFormValue("emergency") {
			v.Glass[i].Typed = r.PostFormValue("note")
		}
	}
	switch a.State {
	case news.AlertDraft, news.AlertSubmitted, news.AlertApproved:
	default:
		return v, nil
	}
	room, err := p.desk.store.Room(ctx, a.Level)
	if err != nil {
		return v, fmt.Errorf("desk: what the cap leaves: %w", err)
	}
	now := p.desk.now()
	if !room.Cap.None() {
		v.Room = room.Says(a.Level, now)
	}
	if room.Full(now) {
		v.Full, v.Why = true, capital(room.Why(a.Level, now))+"."
		v.MayPass = by.Role == news.RoleChief && by.SignedIn
	}
	// A second editor may have approved already: then nobody is alone.
	alone := *a
	_, err = news.StartAlone(&alone, &news.Story{Status: news.Usable}, by, "", strings.Repeat("x", 10),
		news.ReleaseTerms{Policy: policy, Now: now, NewID: func() string { return "" }, Navigate: p.desk.navigate})
	v.MayAlone = err == nil && may(by, stepAlone) == nil && (!v.Full || v.MayPass)
	v.Wait = strconv.Itoa(int(news.AloneHold(HoldFor(a.Level, policy, p.desk.hold)).Seconds())) + " seconds"
	return v, nil
}

// alone releases without the second editor.
func (p *Pages) alone(r *http.Request) error {
	if !strings.EqualFold(strings.TrimSpace(r.PostFormValue("typed")), aloneWord) {
		return news.Invalid("typed", "type the word %s to release this without a second editor", aloneWord)
	}
	_, err := p.desk.Press(r.Context(), web.PersonFrom(r.Context()), r.PathValue("id"), Pressing{Hash: r.PostFormValue("hash"),
		Alone: true, Reason: r.PostFormValue("reason"), OverCap: overCap(r)})
	return err
}

// review signs a release off.
func (p *Pages) review(r *http.Request) error {
	_, err := p.desk.Review(r.Context(), web.PersonFrom(r.Context()), r.PostFormValue("emergency"), r.PostFormValue("note"))
	return err
}
