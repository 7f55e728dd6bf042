package desk

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

// alertView is the page "desk/alert".
type alertView struct {
	Title   string
	By      news.Person
	Story   news.Story
	Problem string
	Status  statusView
	// Write is the form; nil when the alert is past being written.
	Write *writeView
	Reach *Reach
	// The steps that this person may press now.
	MaySubmit, MayApprove, MayRelease, MayHold, MayResume, MayCancel, MayKill, MayCorrect bool
	// Correction is the form's texts; Correcting says that they were refused.
	Correction []textView
	Correcting bool
}

// statusView is the block "status", which an open page is sent anew whenever
// it changes.
type statusView struct {
	ID, State, Level, Hash string
	Says                   string // the state in a sentence
	Until                  string // of the countdown, RFC 3339; "" when there is none
	Author, Submitter      string
	Approver, Releaser     string
	Reason                 string
	Texts                  []textView
	Words                  string // the audience
	Counts                 news.Counts
	Released               bool
	Done                   int // per cent of the intended that need nothing any more
	P50, P90, P99          string
	Repairs                []repairView
	ChangedSince           bool
	Dateline               string
}

type repairView struct {
	Kind, State, At string
	Counts          news.Counts
}

type textView struct{ Language, Name, Dir, Title, Body string }

// platform is how many columns of a notification are seen before it is opened.
// Vendors disagree and nobody measures East Asian text: a guide, never a limit
// (webpushnotifications.xyz, Nov 2026; a wide character takes two columns).
type platform struct {
	name        string
	title, body int
}

func platforms() []platform {
	return []platform{{"Android", 30, 65}, {"macOS", 43, 88}, {"Windows", 69, 139}}
}

// TitleLimits and BodyLimits are the guide as the page's script reads it.
func (textView) TitleLimits() string { return limits(func(p platform) int { return p.title }) }

// BodyLimits is TitleLimits for the text.
func (textView) BodyLimits() string { return limits(func(p platform) int { return p.body }) }

func limits(of func(platform) int) string {
	parts := make([]string, 0, 3)
	for _, p := range platforms() {
		parts = append(parts, p.name+" "+strconv.Itoa(of(p)))
	}
	return strings.Join(parts, ", ")
}

// writeView is the form of an alert that may still be written.
type writeView struct {
	Levels   []levelView
	Audience string
	Texts    []textView
	Sections []sectionView
	Narrowed bool // to some sections
	Unsaved  bool // was refused and is not in the store
}

type levelView struct {
	Name, Says string
	Picked     bool
}

type sectionView struct {
	Name   string
	Picked bool
}

// levelWords says what each level does to a reader.
func levelWords() []levelView {
	return []levelView{
		{Name: "flash", Says: "Wakes people: passes quiet hours and caps, unless a reader said no."},
		{Name: "bulletin", Says: "Breaking news: waits for the morning of those who sleep, counts for their cap."},
		{Name: "notice", Says: "A new story, only to those who asked for everything in its place."},
	}
}

// stateWords says where an alert stands.
func stateWords(a *news.Alert) string {
	switch a.State {
	case news.AlertDraft:
		return "A draft. Nobody but the desk sees it."
	case news.AlertSubmitted:
		return "Waits for another editor's approval."
	case news.AlertApproved:
		return "Approved. It goes when it is released."
	case news.AlertHolding:
		return "Counting down. Nothing has gone yet: Undo stops it."
	case news.AlertSending:
		return "Going out now."
	case news.AlertSent:
		return "Has gone to everybody it could reach."
	case news.AlertHeld:
		return "On hold: no send starts until somebody resumes it."
	case news.AlertCancelled:
		return "Cancelled. What had gone stays with its readers."
	case news.AlertKilled:
		return "Killed. Whoever was sent it gets the retraction."
	}
	return string(a.State)
}

func (p *Pages) getAlertPage(w http.ResponseWriter, r *http.Request) error {
	return p.showAlert(w, r, http.StatusOK, "")
}

// showAlert shows the alert as it is now, with what went wrong.
func (p *Pages) showAlert(w http.ResponseWriter, r *http.Request, status int, problem string) error {
	v, err := p.desk.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	story, err := p.desk.store.Story(r.Context(), v.Alert.StoryURI)
	if err != nil {
		return fmt.Errorf("desk: story of alert %s: %w", v.Alert.ID, err)
	}
	view := alertView{Title: "Alert", By: web.PersonFrom(r.Context()), Story: story, Problem: problem, Status: statusOf(v, &story)}
	if err := p.offer(r, &view, v); err != nil {
		return err
	}
	view.keep(r)
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
	unreleased := a.State == news.AlertDraft || a.State == news.AlertSubmitted || a.State == news.AlertApproved
	can := func(s step) bool { return may(by, s) == nil }
	view.MaySubmit = a.State == news.AlertDraft && policy == news.PolicyTwo && can(stepSubmit)
	view.MayApprove = a.State == news.AlertSubmitted && a.Author != by.Name && can(stepApprove)
	view.MayRelease = can(stepRelease) && (a.State == news.AlertApproved || unreleased && policy != news.PolicyTwo)
	view.MayHold = can(stepHold) && (a.State == news.AlertHolding || a.State == news.AlertSending)
	view.MayResume = can(stepResume) && a.State == news.AlertHeld
	view.MayCancel = can(stepCancel) && a.State.Unfinished()
	view.MayKill = can(stepKill) && v.First != nil && a.State != news.AlertKilled
	view.MayCorrect = can(stepCorrect) && v.First != nil && a.State != news.AlertKilled && a.State != news.AlertCancelled
	if view.MayCorrect {
		view.Correction = textsOf(a)
	}
	if unreleased && can(stepEdit) {
		view.Write = writeOf(a)
	}
	if unreleased && p.reach != nil {
		view.Reach = p.reachOf(*a)
	}
	return nil
}

func writeOf(a *news.Alert) *writeView {
	v := &writeView{Audience: a.Audience, Texts: textsOf(a), Narrowed: len(a.Sections) > 0}
	for _, l := range levelWords() {
		l.Picked = l.Name == a.Level.String()
		v.Levels = append(v.Levels, l)
	}
	for _, s := range news.Sections() {
		v.Sections = append(v.Sections, sectionView{s.Name, slices.Contains(a.Sections, s.Name)})
	}
	return v
}

// keep puts into the form what was typed into it and refused: nobody has to
// write twice.
func (v *alertView) keep(r *http.Request) {
	switch s := step(r.PathValue("step")); {
	case s == stepCorrect && v.MayCorrect:
		v.Correcting = true
		typed(v.Correction, r)
	case s == stepEdit && v.Write != nil:
		v.Write.Unsaved = true
		v.Write.Audience = r.PostFormValue("audience")
		typed(v.Write.Texts, r)
		for i := range v.Write.Levels {
			v.Write.Levels[i].Picked = v.Write.Levels[i].Name == r.PostFormValue("level")
		}
		for i := range v.Write.Sections {
			v.Write.Sections[i].Picked = slices.Contains(r.PostForm["sections"], v.Write.Sections[i].Name)
		}
		v.Write.Narrowed = len(r.PostForm["sections"]) > 0
	}
}

func typed(texts []textView, r *http.Request) {
	for i, t := range texts {
		if r.PostForm.Has("title." + t.Language) {
			texts[i].Title, texts[i].Body = r.PostFormValue("title."+t.Language), r.PostFormValue("body."+t.Language)
		}
	}
}

// textsOf lists an alert's texts, its own language first.
func textsOf(a *news.Alert) []textView {
	out := make([]textView, 0, len(a.Texts))
	for _, l := range sortedKeys(a.Texts) {
		out = append(out, textView{l, languageName(l), news.Direction(l), a.Texts[l].Title, a.Texts[l].Body})
	}
	slices.SortStableFunc(out, func(x, y textView) int {
		switch {
		case x.Language == a.Language:
			return -1
		case y.Language == a.Language:
			return 1
		}
		return 0
	})
	return out
}

func languageName(tag string) string {
	if name := display.English.Tags().Name(language.Make(tag)); name != "" {
		return name
	}
	return tag
}

func statusOf(v View, story *news.Story) statusView {
	a := &v.Alert
	s := statusView{ID: a.ID, State: string(a.State), Level: a.Level.String(), Hash: a.Hash(), Says: stateWords(a), Author: a.Author,
		Submitter: a.Submitter, Approver: a.Approver, Releaser: a.Releaser, Reason: a.Reason, Texts: textsOf(a),
		Words: region.Words(a.Audience, "en"), ChangedSince: v.ChangedSince,
		Dateline: region.Dateline(region.DatelinePlace(story.Regions), story.Created, "en")}
	if a.State == news.AlertHolding {
		s.Until = a.HoldUntil.UTC().Format(time.RFC3339)
	}
	if v.First == nil {
		return s
	}
	s.Released, s.Counts = true, v.First.Figures.Counts
	if n := s.Counts.Intended; n > 0 {
		s.Done = (n - s.Counts.Pending - s.Counts.Held) * 100 / n
	}
	t := v.First.Figures.Timing
	s.P50, s.P90, s.P99 = seconds(quantile(t, 0.5)), seconds(quantile(t, 0.9)), seconds(quantile(t, 0.99))
	for _, r := range v.Repairs {
		s.Repairs = append(s.Repairs, repairView{string(r.Release.Kind), string(r.Release.State), clockTime(r.Release.ReleasedAt), r.Figures.Counts})
	}
	return s
}

func seconds(s *float64) string {
	if s == nil {
		return "—"
	}
	return strconv.FormatFloat(*s, 'f', 2, 64) + " s"
}

// postRaise drafts an alert about a story and goes to its page.
func (p *Pages) postRaise(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(w, r); err != nil {
		return err
	}
	v, err := p.desk.Draft(r.Context(), web.PersonFrom(r.Context()), Writing{StoryURI: r.PostFormValue("story")})
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/desk/alerts/"+v.Alert.ID, http.StatusSeeOther)
	return nil
}

// postStep takes the step that the pressed button names.
func (p *Pages) postStep(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
	}
	err := p.step(r, step(r.PathValue("step")))
	switch {
	case err == nil:
		http.Redirect(w, r, "/desk/alerts/"+r.PathValue("id"), http.StatusSeeOther)
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
		_, err := p.desk.Edit(ctx, by, id, writingOf(r))
		return err
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
		body.Texts = textsTo(newWords(&a, textsOfForm(r)))
	}
	_, err := act(ctx, by, id, body)
	return err
}

// writingOf reads the form of an alert.
func writingOf(r *http.Request) Writing {
	sections := r.PostForm["sections"]
	if sections == nil {
		sections = []string{}
	}
	return Writing{Level: r.PostFormValue("level"), Audience: r.PostFormValue("audience"), Sections: sections, Texts: textsOfForm(r),
		Hash: r.PostFormValue("hash")}
}

// newWords are the texts of a correction: what the form offered and nobody
// changed may be what was wrong, and is not sent again. The text of last resort
// stands beside new ones as it is.
func newWords(a *news.Alert, texts map[string]news.Text) map[string]news.Text {
	out := map[string]news.Text{}
	for l, t := range texts {
		t = news.Text{Title: news.CleanLine(t.Title), Body: news.CleanLine(t.Body)}
		if t != a.Texts[l] && t != (news.Text{}) {
			out[l] = t
		}
	}
	if own := texts[a.Language]; len(out) > 0 && news.Visible(own.Title) {
		out[a.Language] = own
	}
	return out
}

// textsOfForm reads the fields "title.en" and "body.en" of every language.
func textsOfForm(r *http.Request) map[string]news.Text {
	texts := map[string]news.Text{}
	for field := range r.PostForm {
		if l, ok := strings.CutPrefix(field, "title."); ok {
			texts[l] = news.Text{Title: r.PostFormValue(field), Body: r.PostFormValue("body." + l)}
		}
	}
	return texts
}
