package desk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"dateline/internal/news"
	"dateline/internal/web"
)

// storiesFound is how many stories a search for something to pin offers.
const storiesFound = 20

// planView is the page "desk/digest".
type planView struct {
	Title   string
	By      news.Person
	Problem string
	Said    string
	May     bool
	Faults  []string // of what is typed and not saved

	Date, Words    string
	Weekly         bool
	Earlier, Later string
	Version        int64
	ChangedBy      string
	ChangedAt      string
	Unsaved        bool
	// Theirs is what another editor saved meanwhile; nil: nobody did.
	Theirs *planTheirs

	Notes     []noteView
	Languages []languageView // that could be added
	MaxNote   int
	Pins      []storyRef
	Drops     []storyRef
	Find      string
	Found     []storyRef
	Looked    bool
	URI       string

	Wish    wishView
	Preview *previewDigest
	To      string // an address that was typed for a test
	Dark    bool   // how its frames were looked at
}

type planTheirs struct {
	By, At string
	Notes  []noteView
	Pins   []storyRef
	Drops  []storyRef
}

type noteView struct {
	Language, Name, Dir, Text string
	Length                    string
	Over                      bool
}

// storyRef is a story that a plan names or could name.
type storyRef struct {
	URI, Headline, Lang, Dir, When string
	Unknown                        bool
	Pinned, Dropped                bool
}

// planTyped is the form of a plan, saved or not.
type planTyped struct {
	plan  news.EditionPlan
	langs []string // of the notes, in the form's order
}

func (p *Pages) planRoutes(mux *http.ServeMux) {
	mux.Handle("GET "+p.root+"/digest", p.signedIn(p.getPlan))
	mux.Handle("POST "+p.root+"/digest", p.signedIn(p.postPlan))
	mux.Handle("POST "+p.root+"/digest/test", p.signedIn(p.postTest))
	mux.Handle("GET "+p.root+"/digest/mail/{token}", p.signedIn(p.getLetter))
}

func (p *Pages) getPlan(w http.ResponseWriter, r *http.Request) error {
	date, weekly, err := p.desk.planAsked(r.URL.Query())
	view := planView{}
	status := http.StatusOK
	if err != nil {
		view.Problem, status = sentence(err), web.StatusOf(err)
		date = nextDay(weekly, p.now())
	}
	stored, err := p.desk.plan(r.Context(), date, weekly)
	if err != nil {
		return err
	}
	return p.showPlan(w, r, status, view, r.URL.Query(), typedOf(&stored), &stored)
}

// postPlan saves what was typed, or shows it again with what a button changed.
func (p *Pages) postPlan(w http.ResponseWriter, r *http.Request) error {
	t, stored, err := p.readPlan(w, r)
	if err != nil {
		return err
	}
	if pressesPlan(r.PostForm) {
		t.press(r.PostForm)
		return p.showPlan(w, r, http.StatusOK, planView{}, r.PostForm, t, stored)
	}
	saved, err := p.desk.setPlan(r.Context(), web.PersonFrom(r.Context()), t.plan)
	switch {
	case err == nil:
		q := wishQuery(r.PostForm)
		q.Set("date", saved.LocalDate)
		if saved.Weekly {
			q.Set("weekly", "1")
		}
		http.Redirect(w, r, p.root+"/digest?"+q.Encode(), http.StatusSeeOther)
		return nil
	case errors.Is(err, news.ErrConflict):
		view := planView{Problem: sentence(err)}
		now, failed := p.desk.plan(r.Context(), t.plan.LocalDate, t.plan.Weekly)
		if failed != nil {
			return failed
		}
		view.Theirs = p.theirs(r.Context(), &now)
		t.plan.Version = now.Version // to save once more is to save over it
		return p.showPlan(w, r, http.StatusConflict, view, r.PostForm, t, &now)
	case isRefusal(err):
		return p.showPlan(w, r, web.StatusOf(err), planView{Problem: sentence(err)}, r.PostForm, t, stored)
	}
	return err
}

// readPlan reads the form of whoever may change plans, and the plan as it is.
func (p *Pages) readPlan(w http.ResponseWriter, r *http.Request) (planTyped, *news.EditionPlan, error) {
	if err := mayRunDigests(web.PersonFrom(r.Context())); err != nil {
		return planTyped{}, nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	if err := r.ParseForm(); err != nil {
		return planTyped{}, nil, fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
	}
	t, err := p.typedPlan(r.PostForm)
	if err != nil {
		return t, nil, err
	}
	stored, err := p.desk.plan(r.Context(), t.plan.LocalDate, t.plan.Weekly)
	return t, &stored, err
}

func typedOf(plan *news.EditionPlan) planTyped {
	return planTyped{plan: *plan, langs: sortedKeys(plan.Notes)}
}

func (p *Pages) typedPlan(form url.Values) (planTyped, error) {
	date, weekly, err := p.desk.planAsked(form)
	if err != nil {
		return planTyped{}, err
	}
	t := planTyped{plan: news.EditionPlan{LocalDate: date, Weekly: weekly, Notes: map[string]string{}, Pins: bounded(form["pins"], 2*news.MaxPins),
		Drops: bounded(form["drops"], 2*news.MaxDrops), Version: versionOf(form.Get("version"))}}
	for _, l := range bounded(form["languages"], maxLanguages) {
		if _, twice := t.plan.Notes[l]; !twice {
			t.langs = append(t.langs, l)
			t.plan.Notes[l] = form.Get("note." + l)
		}
	}
	return t, nil
}

func bounded(list []string, most int) []string { return slices.Clone(list[:min(len(list), most)]) }

func versionOf(text string) (n int64) {
	if _, err := fmt.Sscan(text, &n); err != nil {
		return 0
	}
	return n
}

// The buttons of the form that change it, or look at it again, and save nothing.
var planPresses = []string{pressAdd, pressRemove, pressShow, "pin", "unpin", "up", "drop", "undrop", "find", "byuri"}

func pressesPlan(form url.Values) bool {
	return slices.ContainsFunc(planPresses, form.Has)
}

// press does what such a button asks.
func (t *planTyped) press(form url.Values) {
	plan := &t.plan
	without := func(list []string, uri string) []string {
		return slices.DeleteFunc(list, func(s string) bool { return s == uri })
	}
	pin := func(uri string) {
		if uri = strings.TrimSpace(uri); uri != "" && !slices.Contains(plan.Pins, uri) {
			plan.Pins, plan.Drops = append(plan.Pins, uri), without(plan.Drops, uri)
		}
	}
	drop := func(uri string) {
		if uri = strings.TrimSpace(uri); uri != "" && !slices.Contains(plan.Drops, uri) {
			plan.Drops, plan.Pins = append(plan.Drops, uri), without(plan.Pins, uri)
		}
	}
	if form.Has("pin") {
		pin(form.Get("pin"))
	}
	if form.Has("drop") {
		drop(form.Get("drop"))
	}
	switch form.Get("byuri") {
	case "pin":
		pin(form.Get("uri"))
	case "drop":
		drop(form.Get("uri"))
	}
	plan.Pins, plan.Drops = without(plan.Pins, form.Get("unpin")), without(plan.Drops, form.Get("undrop"))
	if i := slices.Index(plan.Pins, form.Get("up")); i > 0 {
		plan.Pins[i-1], plan.Pins[i] = plan.Pins[i], plan.Pins[i-1]
	}
	if l := form.Get(pressRemove); l != "" {
		delete(plan.Notes, l)
		t.langs = without(t.langs, l)
	}
	if form.Has(pressAdd) {
		tag, err := language.Parse(form.Get("language"))
		if err == nil && tag != language.Und && !slices.Contains(t.langs, tag.String()) {
			t.langs = append(t.langs, tag.String())
			plan.Notes[tag.String()] = ""
		}
	}
}

// differs reports whether the form says something else than what is stored. Who
// cleans it finds no difference in spaces.
func (t *planTyped) differs(stored *news.EditionPlan) bool {
	var none news.Problems
	notes := cleanNotes(t.plan.Notes, &none)
	return len(none) > 0 || !slices.Equal(t.plan.Pins, stored.Pins) || !slices.Equal(t.plan.Drops, stored.Drops) || !sameNotes(notes, stored.Notes)
}

func sameNotes(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for l, text := range a {
		if b[l] != text {
			return false
		}
	}
	return true
}

// showPlan shows a form as it is, with the mail that would come of it now.
func (p *Pages) showPlan(w http.ResponseWriter, r *http.Request, status int, view planView, form url.Values, t planTyped, stored *news.EditionPlan) error {
	ctx := r.Context()
	view.By = web.PersonFrom(ctx)
	view.May = mayRunDigests(view.By) == nil
	view.Title = "Digest of " + dayWords(t.plan.LocalDate)
	view.Date, view.Words, view.Weekly, view.Version = t.plan.LocalDate, dayWords(t.plan.LocalDate), t.plan.Weekly, t.plan.Version
	view.Earlier, view.Later = neighbours(t.plan.LocalDate, t.plan.Weekly)
	view.Unsaved = t.differs(stored)
	if stored.ChangedBy != "" {
		view.ChangedBy, view.ChangedAt = stored.ChangedBy, clockTime(stored.ChangedAt)
	}
	view.MaxNote = news.MaxNote
	view.Notes, view.Languages = notesOf(t.langs, t.plan.Notes), languagesLeft(t.langs)
	view.Pins, view.Drops = p.refs(ctx, t.plan.Pins), p.refs(ctx, t.plan.Drops)
	view.URI = form.Get("uri")
	if form.Has("byuri") {
		view.URI = "" // it stands in a list now
	}
	if err := p.search(ctx, &view, form, &t.plan); err != nil {
		return err
	}
	view.Wish, view.Dark = wishOf(form), form.Get("theme") == "dark"
	clean, faults := p.desk.cleanPlan(ctx, t.plan)
	if faults != nil {
		if !errors.Is(faults, news.ErrInvalid) {
			return faults
		}
		if view.Unsaved && view.Problem == "" {
			view.Problem = sentence(faults)
		}
	}
	p.lookAtDigest(ctx, &view, t, clean, faults)
	return p.floor.Render(w, status, "desk/digest", view)
}

// neighbours are the dates before and after, of the same kind.
func neighbours(date string, weekly bool) (earlier, later string) {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return "", ""
	}
	step := 1
	if weekly {
		step = 7
	}
	return day.AddDate(0, 0, -step).Format(time.DateOnly), day.AddDate(0, 0, step).Format(time.DateOnly)
}

func notesOf(langs []string, notes map[string]string) []noteView {
	out := make([]noteView, 0, len(langs))
	for _, l := range langs {
		n := columns(news.CleanLine(notes[l]))
		out = append(out, noteView{Language: l, Name: languageName(l), Dir: news.Direction(l), Text: notes[l],
			Length: fmt.Sprintf("%d of %d columns", n, news.MaxNote), Over: n > news.MaxNote})
	}
	return out
}

func languagesLeft(langs []string) []languageView {
	var out []languageView
	for _, l := range alertLanguages() {
		if !slices.Contains(langs, l) {
			out = append(out, languageView{l, languageName(l)})
		}
	}
	slices.SortFunc(out, func(x, y languageView) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// refs names the stories of a plan. One that is not there is named by its uri.
func (p *Pages) refs(ctx context.Context, uris []string) []storyRef {
	out := make([]storyRef, 0, len(uris))
	for _, uri := range uris {
		s, err := p.desk.store.Story(ctx, uri)
		if err != nil {
			out = append(out, storyRef{URI: uri, Headline: firstRunes(uri, 200), Unknown: errors.Is(err, news.ErrNotFound)})
			continue
		}
		out = append(out, refOf(&s))
	}
	return out
}

func refOf(s *news.Story) storyRef {
	return storyRef{URI: s.URI, Headline: cmp.Or(s.Headline, s.URI), Lang: s.Language, Dir: news.Direction(s.Language), When: instantWords(s.Created)}
}

// search finds recent stories by the words typed, as the wire's filter does.
func (p *Pages) search(ctx context.Context, view *planView, form url.Values, plan *news.EditionPlan) error {
	view.Find = firstRunes(news.CleanLine(form.Get("words")), longestSearch)
	if view.Find == "" {
		return nil
	}
	stories, err := p.wire.store.NewestStored(ctx, wireLooked)
	if err != nil {
		return fmt.Errorf("desk: stories for a plan: %w", err)
	}
	view.Looked = true
	f := wireFilter{Text: view.Find}
	for i := range stories {
		if len(view.Found) == storiesFound {
			break
		}
		if s := &stories[i]; f.fits(s) && s.Status == news.Usable {
			ref := refOf(s)
			ref.Pinned, ref.Dropped = slices.Contains(plan.Pins, s.URI), slices.Contains(plan.Drops, s.URI)
			view.Found = append(view.Found, ref)
		}
	}
	return nil
}

func (p *Pages) theirs(ctx context.Context, plan *news.EditionPlan) *planTheirs {
	return &planTheirs{By: plan.ChangedBy, At: clockTime(plan.ChangedAt), Notes: notesOf(sortedKeys(plan.Notes), plan.Notes),
		Pins: p.refs(ctx, plan.Pins), Drops: p.refs(ctx, plan.Drops)}
}
