package app

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
)

// DrillReport is what a drill was good for: when each step happened, by whom,
// how soon what was asked for was done, and whether the desk counted what the
// simulated services took.
type DrillReport struct {
	ID        string            `json:"id"`
	StartedAt time.Time         `json:"startedAt"`
	StartedBy string            `json:"startedBy"`
	EndedAt   time.Time         `json:"endedAt"`
	EndedBy   string            `json:"endedBy"`
	How       string            `json:"how"` // it ended
	Devices   int               `json:"devices"`
	Services  string            `json:"services"` // how they behaved
	Policies  map[string]string `json:"policies"`
	Stories   []DrillStory      `json:"stories"`
	Alerts    []DrillAlert      `json:"alerts"`
	People    []DrillPerson     `json:"people"`
	// NotRehearsed are the steps that nobody took.
	NotRehearsed []string `json:"notRehearsed"`
	// Connections are those to the drill's own services; Refused is what tried
	// to go elsewhere.
	Connections int `json:"connections"`
	Refused     int `json:"refused"`
	// Faults are what did not work.
	Faults []string `json:"faults"`
}

// DrillStory is a story that came in.
type DrillStory struct {
	Headline string    `json:"headline"`
	Language string    `json:"language"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Visible  time.Time `json:"visible"` // on the wire
	Copy     bool      `json:"copy"`
}

// DrillAlert is one alert and what became of it.
type DrillAlert struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Language string         `json:"language"`
	Level    string         `json:"level"`
	State    string         `json:"state"`
	Steps    []DrillStep    `json:"steps"`
	Spans    []DrillSpan    `json:"spans"`
	Releases []DrillRelease `json:"releases"`

	done map[string]bool // acts that editors took
}

// DrillStep is a line of the drill's own audit trail.
type DrillStep struct {
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"` // since the story was visible
	By      string    `json:"by"`
	Action  string    `json:"action"`
	Detail  string    `json:"detail,omitempty"`
}

// DrillSpan is how long something took.
type DrillSpan struct {
	What    string  `json:"what"`
	Seconds float64 `json:"seconds"`
}

// DrillRelease is one send: the alert's first, a correction or a kill.
type DrillRelease struct {
	Kind      string `json:"kind"`
	Revision  int    `json:"revision"`
	State     string `json:"state"`
	Intended  int    `json:"intended"`
	Accepted  int    `json:"accepted"`
	Pending   int    `json:"pending"`
	Held      int    `json:"held"`
	Gone      int    `json:"gone"`
	Failed    int    `json:"failed"`
	Ambiguous int    `json:"ambiguous"`
	Cancelled int    `json:"cancelled"`
	Expired   int    `json:"expired"`
	// AtServices is how many phones the simulated services delivered it to;
	// Agrees says that the desk counts the same.
	AtServices int  `json:"atServices"`
	Agrees     bool `json:"agrees"`
	// Seconds from the release until a share of them was accepted; nil where
	// nothing was.
	First *float64 `json:"first"`
	P50   *float64 `json:"p50"`
	P90   *float64 `json:"p90"`
	P99   *float64 `json:"p99"`
}

// DrillPerson is somebody who took part.
type DrillPerson struct {
	Name  string         `json:"name"`
	Steps map[string]int `json:"steps"`
}

// Took lists what she did, most often first.
func (p DrillPerson) Took() string {
	var parts []string
	for _, action := range slices.SortedFunc(maps.Keys(p.Steps), func(a, b string) int {
		return cmp.Or(p.Steps[b]-p.Steps[a], cmp.Compare(a, b))
	}) {
		part := action
		if n := p.Steps[action]; n > 1 {
			part += fmt.Sprintf(" %d×", n)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// report is made from the drill's own database, audit trail, services and
// connections. It is read after end: nothing moves any more.
func (d *drill) report(ctx context.Context, by, how string) (DrillReport, error) {
	r := DrillReport{ID: d.ID, StartedAt: d.Began, StartedBy: d.By, EndedAt: time.Now().UTC().Truncate(time.Microsecond), EndedBy: by, How: how,
		Devices: d.Devices, Services: string(d.Mood), Policies: map[string]string{},
		Connections: int(d.gate.passed.Load()), Refused: int(d.gate.refused.Load()), NotRehearsed: []string{}, Faults: []string{}}
	for level, policy := range d.Policies {
		r.Policies[level.String()] = string(policy)
	}
	var trail []news.AuditEntry
	if err := d.store.AuditTrail(ctx, func(e news.AuditEntry) error { trail = append(trail, e); return nil }); err != nil {
		return r, fmt.Errorf("drill report: %w", err)
	}
	for _, in := range slices.Backward(d.stories()) {
		story, err := d.store.Story(ctx, in.URI)
		if err != nil {
			return r, fmt.Errorf("drill report: %w", err)
		}
		r.Stories = append(r.Stories, DrillStory{Headline: in.Headline, Language: in.Language, By: in.By, At: in.At, Visible: story.StoredAt, Copy: in.Copy})
	}
	if err := d.reportAlerts(ctx, &r, trail); err != nil {
		return r, fmt.Errorf("drill report: %w", err)
	}
	r.count()
	r.judge(d.failure)
	return r, nil
}

// reportAlerts adds every alert, oldest first.
func (d *drill) reportAlerts(ctx context.Context, r *DrillReport, trail []news.AuditEntry) error {
	const most = 1_000
	alerts, err := d.store.Alerts(ctx, nil, most)
	if err != nil {
		return err
	}
	delivered := d.delivered()
	for _, a := range slices.Backward(alerts) {
		view, err := d.reportAlert(ctx, a, trail, delivered)
		if err != nil {
			return err
		}
		r.Alerts = append(r.Alerts, view)
	}
	return nil
}

func (d *drill) reportAlert(ctx context.Context, a news.Alert, trail []news.AuditEntry, delivered map[revisionOf]int) (DrillAlert, error) {
	story, err := d.store.Story(ctx, a.StoryURI)
	if err != nil {
		return DrillAlert{}, err
	}
	releases, err := d.store.ReleasesOfAlert(ctx, a.ID)
	if err != nil {
		return DrillAlert{}, err
	}
	ids := make([]string, 0, len(releases))
	for _, r := range releases {
		ids = append(ids, r.ID)
	}
	figures, err := d.store.ReleaseFigures(ctx, ids)
	if err != nil {
		return DrillAlert{}, err
	}
	view := DrillAlert{ID: a.ID, Title: a.Texts[a.Language].Title, Language: a.Language, Level: a.Level.String(), State: string(a.State)}
	view.steps(a, story.StoredAt, trail)
	view.markUndos(releases)
	view.done = view.rehearsed(releases)
	for _, r := range releases {
		view.Releases = append(view.Releases, releaseOf(r, figures[r.ID], delivered[revisionOf{a.ID, r.Revision}]))
	}
	view.spans(story.StoredAt, releases, figures, d.starts)
	return view, nil
}

// steps are the alert's lines of the trail. Who drafted it is among them also
// where the intake did, which leaves no line of its own.
func (v *DrillAlert) steps(a news.Alert, visible time.Time, trail []news.AuditEntry) {
	drafted := false
	for _, e := range trail {
		if e.Subject == "alert/"+a.ID {
			drafted = drafted || e.Action == "draft"
			v.Steps = append(v.Steps, DrillStep{At: e.At, Seconds: max(0, e.At.Sub(visible).Seconds()), By: e.By, Action: e.Action, Detail: news.ReadRecord(e.Detail).Why})
		}
	}
	if !drafted {
		first := DrillStep{At: a.CreatedAt, Seconds: max(0, a.CreatedAt.Sub(visible).Seconds()), By: news.SystemName, Action: "draft", Detail: "with the story"}
		v.Steps = slices.Insert(v.Steps, 0, first)
	}
}

// releaseOf is one send. What was accepted has been delivered, and so may have
// been what was left in doubt.
func releaseOf(r news.Release, f news.ReleaseFigures, atServices int) DrillRelease {
	c := f.Counts
	out := DrillRelease{Kind: string(r.Kind), Revision: r.Revision, State: string(r.State), Intended: c.Intended, Accepted: c.Accepted,
		Pending: c.Pending, Held: c.Held, Gone: c.Gone, Failed: c.Failed, Ambiguous: c.Ambiguous, Cancelled: c.Cancelled, Expired: c.Expired,
		AtServices: atServices, Agrees: c.Accepted <= atServices && atServices <= c.Accepted+c.Ambiguous}
	if f.Timing.First.IsZero() {
		return out
	}
	at := func(span time.Duration) *float64 { s := span.Seconds(); return &s }
	out.First, out.P50 = at(f.Timing.First.Sub(r.ReleasedAt)), at(f.Timing.Quantile(0.5))
	out.P90, out.P99 = at(f.Timing.Quantile(0.9)), at(f.Timing.Quantile(0.99))
	return out
}

// The spans that the report and those who judge it name.
const (
	spanUndo = "Undo pressed to the last send that started"
	spanHold = "HOLD pressed to the last send that started"
	spanKill = "kill pressed to the last send that started"
)

// spans are how long the newsroom and the program took.
func (v *DrillAlert) spans(visible time.Time, releases []news.Release, figures map[string]news.ReleaseFigures, s *starts) {
	first := map[string]time.Time{}
	for _, step := range v.Steps {
		if _, known := first[step.Action]; !known {
			first[step.Action] = step.At
		}
	}
	add := func(what string, from, to time.Time) {
		if !from.IsZero() && !to.IsZero() {
			v.Spans = append(v.Spans, DrillSpan{what, max(0, to.Sub(from).Seconds())})
		}
	}
	add("story visible to alert drafted", visible, first["draft"])
	add("story visible to submitted", visible, first["submit"])
	add("submitted to approved", first["submit"], first["approve"])
	add("story visible to released", visible, first["release"])
	if len(releases) > 0 {
		add("story visible to first phone", visible, figures[releases[0].ID].Timing.First)
	}
	for i, step := range v.Steps {
		switch step.Action {
		case actUndo:
			v.Spans = append(v.Spans, DrillSpan{spanUndo, v.after(step, v.resumed(i), 0, s)})
		case actHold:
			v.Spans = append(v.Spans, DrillSpan{spanHold, v.after(step, v.resumed(i), 0, s)})
		case "kill":
			v.Spans = append(v.Spans, DrillSpan{spanKill, v.after(step, time.Time{}, revisionOfKill(releases), s)})
		}
	}
}

// resumed is when the hold of step i ended; zero: never.
func (v *DrillAlert) resumed(i int) time.Time {
	for _, later := range v.Steps[i+1:] {
		if later.Action != actHold && later.Action != actUndo {
			return later.At
		}
	}
	return time.Time{}
}

func revisionOfKill(releases []news.Release) int {
	for _, r := range releases {
		if r.Kind == news.ReleaseKill {
			return r.Revision
		}
	}
	return 0
}

// after is how long after a step the last send started that it should have
// stopped: those before the revision (0: all), until an instant.
func (v *DrillAlert) after(step DrillStep, until time.Time, before int, s *starts) float64 {
	var last float64
	for _, r := range v.Releases {
		if before > 0 && r.Revision >= before {
			continue
		}
		if at := s.lastWithin(revisionOf{v.ID, r.Revision}, step.At, until); !at.IsZero() {
			last = max(last, at.Sub(step.At).Seconds())
		}
	}
	return last
}

// stopWithin is DESIGN 3's promise of a hold and a kill, in seconds.
const stopWithin = 0.5

// judge says what did not work as promised.
func (r *DrillReport) judge(failure error) {
	fault := func(words string, args ...any) { r.Faults = append(r.Faults, fmt.Sprintf(words, args...)) }
	if failure != nil {
		fault("a part of the drill ended by itself: %v", failure)
	}
	if r.Refused > 0 {
		fault("%d connections to elsewhere were tried, and refused", r.Refused)
	}
	for _, a := range r.Alerts {
		for _, s := range a.Spans {
			if s.stops() && s.Seconds > stopWithin {
				fault("“%s”: %s: %.2f s, promised are %.1f s", a.Title, s.What, s.Seconds, stopWithin)
			}
		}
		for _, x := range a.Releases {
			if !x.Agrees {
				fault("“%s”, revision %d: the desk counts %d accepted and %d in doubt, the services delivered it to %d phones",
					a.Title, x.Revision, x.Accepted, x.Ambiguous, x.AtServices)
			}
		}
	}
}
