package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/web"
)

const (
	// drillsShown are listed on the page.
	drillsShown = 20
	// copiesOffered is how many real stories can be copied into a drill.
	copiesOffered  = 12
	drillFormLimit = 16 << 10
)

// drillDoors are the pages of the live desk from which drills are run.
type drillDoors struct {
	*drillRoom
	app *App
}

// routes puts them, and the drill's own pages, on a mux of the desk.
func (d drillDoors) routes(mux *http.ServeMux) {
	root, in := web.DeskPath+"/drill", d.app.pages.SignedIn
	mux.Handle("GET "+root, in(d.getDrill))
	mux.Handle("GET "+root+"/events", d.app.pages.Live(d.renderState))
	mux.Handle("POST "+root+"/start", in(d.form(news.ScopeAlertsRelease, d.postStart)))
	mux.Handle("POST "+root+"/end", in(d.form(news.ScopeAlertsRelease, d.postEnd)))
	mux.Handle("POST "+root+"/next", in(d.form(news.ScopeStoriesWrite, d.postNext)))
	mux.Handle("POST "+root+"/copy", in(d.form(news.ScopeStoriesWrite, d.postCopy)))
	mux.Handle("GET "+root+"/reports/{id}", in(d.getReport))
	mux.Handle("GET "+root+"/reports/{id}/report.json", in(d.getReportJSON))
	mux.Handle("GET "+root+"/reports/{id}/report.html", in(d.getReportFile))
	mux.Handle(web.DrillPath+"/", d.drillRoom)
}

// drillView is the page "desk/drill".
type drillView struct {
	Title   string
	By      news.Person
	Problem string
	State   drillState
	// The form.
	Devices string // as it was typed
	Most    int
	Moods   []moodChoice
	Mood    mood
	Two     bool
	// The lists.
	Copies []copyOffer
	Past   []pastDrill
	// MayRun: start and end; MayInject: bring stories in.
	MayRun, MayInject bool
}

type moodChoice struct {
	Mood   mood
	Says   string
	Picked bool
}

type copyOffer struct{ URI, Headline, Language, Dir string }

type pastDrill struct {
	ID, At, By, Place, Ended string
	Here, Runs, Report       bool
}

// drillState is the part of the page that changes by itself.
type drillState struct {
	Running        bool
	Busy           string
	Since, By      string
	Until          string
	Loaded         int
	Devices        int
	Ready          bool
	Says           string
	Stories        []drillLine
	Desk, Phones   string
	Next, NextLang string
}

type drillLine struct {
	At, By, Headline, Language, Dir string
	Copy                            bool
}

// state is how it stands now.
func (d drillDoors) state() (drillState, error) {
	d.mu.Lock()
	run, busy := d.current, d.busy
	d.mu.Unlock()
	s := drillState{Busy: busy, Desk: web.DrillPath + web.DeskPath, Phones: web.DrillPath + "/phones"}
	if run == nil {
		return s, nil
	}
	s.Running, s.Since, s.By, s.Devices, s.Until = true, clockIn(run.Began), run.By, run.Devices, clockIn(run.Began.Add(drillFor))
	s.Loaded, s.Ready = run.ready()
	for _, m := range moods() {
		if m.Mood == run.Mood {
			s.Says = m.Says
		}
	}
	for _, in := range run.stories() {
		s.Stories = append(s.Stories, drillLine{At: in.At.Format("15:04:05 MST"), By: in.By, Headline: in.Headline, Language: in.Language,
			Dir: news.Direction(in.Language), Copy: in.Copy})
	}
	var err error
	s.Next, s.NextLang, err = run.nextUp()
	return s, err
}

func (d drillDoors) renderState(*http.Request) (string, error) {
	s, err := d.state()
	if err != nil {
		return "", err
	}
	return d.app.deskFloor.Part("desk/drill", "drillstate", s)
}

func (d drillDoors) getDrill(w http.ResponseWriter, r *http.Request) error {
	return d.show(w, r, http.StatusOK, "", emptyForm())
}

// emptyForm is the form as it is first seen.
func emptyForm() drillView { return drillView{Devices: strconv.Itoa(drillDevices), Mood: moodHealthy} }

// show renders the page with what was typed and what was wrong with it.
func (d drillDoors) show(w http.ResponseWriter, r *http.Request, status int, problem string, v drillView) error {
	by := web.PersonFrom(r.Context())
	v.Title, v.By, v.Problem, v.Most = "Drill", by, problem, drillDevicesMost
	v.MayRun, v.MayInject = by.May(news.ScopeAlertsRelease), by.May(news.ScopeStoriesWrite)
	var err error
	if v.State, err = d.state(); err != nil {
		return err
	}
	for _, m := range moods() {
		v.Moods = append(v.Moods, moodChoice{m.Mood, m.Says, m.Mood == v.Mood})
	}
	if v.Past, err = d.past(r.Context()); err != nil {
		return err
	}
	if v.State.Running {
		stories, err := d.app.store.NewestStored(r.Context(), copiesOffered)
		if err != nil {
			return fmt.Errorf("drill: stories to copy: %w", err)
		}
		for _, s := range stories {
			if s.Status == news.Usable && !s.Embargoed(time.Now()) {
				v.Copies = append(v.Copies, copyOffer{s.URI, s.Headline, s.Language, news.Direction(s.Language)})
			}
		}
	}
	return d.app.deskFloor.Render(w, status, "desk/drill", v)
}

func (d drillDoors) past(ctx context.Context) ([]pastDrill, error) {
	list, err := d.book.Drills(ctx, drillsShown)
	if err != nil {
		return nil, fmt.Errorf("drill: those before: %w", err)
	}
	var past []pastDrill
	for _, x := range list {
		p := pastDrill{ID: x.ID, At: x.StartedAt.UTC().Format("2 Jan 15:04 MST"), By: x.StartedBy, Place: x.Place, Here: x.Place == d.place,
			Runs: x.Runs(time.Now()), Report: !x.EndedAt.IsZero()}
		switch {
		case !x.EndedAt.IsZero():
			p.Ended = clockIn(x.EndedAt)
		case !p.Runs:
			p.Ended = "cut off"
		}
		past = append(past, p)
	}
	return past, nil
}

// form reads a form and lets those in who hold the scope. What was refused is
// said on the page.
func (d drillDoors) form(scope string, post func(http.ResponseWriter, *http.Request) (drillView, error)) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, drillFormLimit)
		if err := r.ParseForm(); err != nil {
			return fmt.Errorf("%w: the form can't be read", news.ErrInvalid)
		}
		view, err := emptyForm(), error(nil)
		if by := web.PersonFrom(r.Context()); by.May(scope) {
			view, err = post(w, r)
		} else {
			err = fmt.Errorf("%w: a %s may not do this with a drill", news.ErrForbidden, by.Role)
		}
		if err != nil && web.StatusOf(err) < http.StatusInternalServerError {
			return d.show(w, r, web.StatusOf(err), drillProblem(err), view)
		}
		return err
	}
}

// drillProblem is what the page says of an error.
func drillProblem(err error) string {
	var invalid *news.InvalidError
	if errors.As(err, &invalid) {
		var parts []string
		for _, p := range invalid.Problems {
			parts = append(parts, p.Path+" "+p.Message+".")
		}
		return strings.Join(parts, " ")
	}
	return web.PublicText(err) + "."
}

func (d drillDoors) back(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, web.DeskPath+"/drill", http.StatusSeeOther)
}

func (d drillDoors) postStart(w http.ResponseWriter, r *http.Request) (drillView, error) {
	typed := drillView{Devices: r.PostFormValue("devices"), Mood: mood(r.PostFormValue("mood")), Two: r.PostFormValue("two") != ""}
	o, err := d.options(r, typed)
	if err != nil {
		return typed, err
	}
	if err := d.start(r.Context(), o); err != nil {
		return typed, err
	}
	d.back(w, r)
	return typed, nil
}

// options reads the form: the policies are the live desk's, copied.
func (d drillDoors) options(r *http.Request, typed drillView) (drillOptions, error) {
	var faults news.Problems
	devices, err := strconv.Atoi(strings.TrimSpace(typed.Devices))
	if err != nil || devices < 1 || devices > drillDevicesMost {
		faults.Add("Devices", "must be a number from 1 to %d", drillDevicesMost)
	}
	known := false
	for _, m := range moods() {
		known = known || m.Mood == typed.Mood
	}
	if !known {
		faults.Add("Services", "must be one of those on the page")
	}
	if err := faults.Err(); err != nil {
		return drillOptions{}, err
	}
	policies, err := d.app.store.Policies(r.Context())
	if err != nil {
		return drillOptions{}, fmt.Errorf("drill: the policies: %w", err)
	}
	if typed.Two {
		for level := range policies {
			policies[level] = news.PolicyTwo
		}
	}
	return drillOptions{Devices: devices, Mood: typed.Mood, Policies: policies, Hold: d.app.cfg.Hold, Canary: d.app.cfg.Canary, Seed: uint64(time.Now().UnixNano()),
		By: web.PersonFrom(r.Context()).Name, BaseURL: d.app.baseURL(), Origin: d.app.deskOrigin(), Sessions: d.app.store.Session, Proxies: d.app.cfg.TrustedProxies, Logger: d.app.log}, nil
}

func (d drillDoors) postEnd(w http.ResponseWriter, r *http.Request) (drillView, error) {
	by := web.PersonFrom(r.Context()).Name
	// Who closes the page must not cut the report off.
	id, err := d.end(context.WithoutCancel(r.Context()), by, "ended by "+by)
	if err != nil {
		return emptyForm(), err
	}
	http.Redirect(w, r, web.DeskPath+"/drill/reports/"+id, http.StatusSeeOther)
	return drillView{}, nil
}

func (d drillDoors) postNext(w http.ResponseWriter, r *http.Request) (drillView, error) {
	return d.bring(w, r, func(run *drill, by string) error {
		_, err := run.injectNext(r.Context(), by)
		return err
	})
}

func (d drillDoors) postCopy(w http.ResponseWriter, r *http.Request) (drillView, error) {
	return d.bring(w, r, func(run *drill, by string) error {
		story, err := d.app.store.Story(r.Context(), r.PostFormValue("story"))
		if err != nil {
			return err
		}
		_, err = run.injectCopy(r.Context(), story, by)
		return err
	})
}

// bring brings a story into the drill that runs here.
func (d drillDoors) bring(w http.ResponseWriter, r *http.Request, how func(*drill, string) error) (drillView, error) {
	v := emptyForm()
	run := d.taking()
	if run == nil {
		return v, fmt.Errorf("%w: no drill is running here", news.ErrConflict)
	}
	if err := how(run, web.PersonFrom(r.Context()).Name); err != nil {
		return v, err
	}
	d.back(w, r)
	return v, nil
}

// reportView is the page "desk/drillreport".
type reportView struct {
	Title string
	By    news.Person
	ID    string
	At    string
	// R is nil where the drill has no report: it runs, or was cut off.
	R *DrillReport
}

func (d drillDoors) readReport(r *http.Request) (news.DrillRecord, reportView, error) {
	record, err := d.book.Drill(r.Context(), r.PathValue("id"))
	if err != nil {
		return record, reportView{}, err
	}
	v := reportView{Title: "Drill report", By: web.PersonFrom(r.Context()), ID: record.ID, At: record.StartedAt.UTC().Format("2 Jan 2006, 15:04 MST")}
	if len(record.Report) > 0 {
		v.R = &DrillReport{}
		if err := json.Unmarshal(record.Report, v.R); err != nil {
			return record, v, fmt.Errorf("drill report %s: %w", record.ID, err)
		}
	}
	return record, v, nil
}

func (d drillDoors) getReport(w http.ResponseWriter, r *http.Request) error {
	_, v, err := d.readReport(r)
	if err != nil {
		return err
	}
	return d.app.deskFloor.Render(w, http.StatusOK, "desk/drillreport", v)
}

func (d drillDoors) getReportJSON(w http.ResponseWriter, r *http.Request) error {
	record, v, err := d.readReport(r)
	if err != nil {
		return err
	}
	if v.R == nil {
		return fmt.Errorf("%w: this drill has no report", news.ErrNotFound)
	}
	download(w, record, "json")
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(record.Report)
	return nil
}

func (d drillDoors) getReportFile(w http.ResponseWriter, r *http.Request) error {
	record, v, err := d.readReport(r)
	if err != nil {
		return err
	}
	download(w, record, "html")
	return d.app.deskFloor.Render(w, http.StatusOK, "desk/drillfile", v)
}

func download(w http.ResponseWriter, d news.DrillRecord, kind string) {
	w.Header().Set("Content-Disposition", fmt.Sprintf(`attachment; filename="drill-%s.%s"`, d.StartedAt.UTC().Format("20060102-1504"), kind))
}
