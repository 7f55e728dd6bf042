package site

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"dateline/internal/news"
	"dateline/internal/region"
	"dateline/internal/web"
)

const (
	// previewDays is how far back a choice is held against what went out.
	previewDays = 30
	// previewEnough is from how many days on a number is said: with fewer, one
	// loud day would speak for a month.
	previewEnough = 7
	// previewFor is how long what went out is kept in memory: a reader who
	// clicks asks every second or so, and the answer is not of this second.
	previewFor = 30 * time.Second
	// previewExamples are shown of what would have come.
	previewExamples = 3
	// previewLimit is how many previews one client address gets in a minute: a
	// click a second of a school's hundred readers is far below.
	previewLimit = 240
	// previewStories is how many of the newest stories are looked at where there
	// are no alerts yet.
	previewStories = 200
)

// Rehearser holds wishes against what went out in the past.
type Rehearser interface {
	// Rehearse prepares releases, in any order for Fits, the oldest first for Comes.
	Rehearse(past []news.Release) Rehearsal
}

// Rehearsal is the past, prepared. It is safe for concurrent use.
type Rehearsal interface {
	// Comes is the index of every release that would have made a notification
	// of its own for a reader with these wishes.
	Comes(w news.Wishes) []int
	// Fits is the index of every release that is about what these wishes ask for,
	// as often and at whatever hour it came.
	Fits(w news.Wishes) []int
}

// Stories is what was published.
type Stories interface {
	Story(ctx context.Context, uri string) (news.Story, error)
	RecentStories(ctx context.Context, f news.StoryFilter) ([]news.Story, error) // the latest created first
}

// preview is what a choice means, as the API says it.
type preview struct {
	Days     int              `json:"days"`   // that were looked at
	Enough   bool             `json:"enough"` // false: too few to say a number; the examples are stories
	PerDay   float64          `json:"perDay"`
	Alerts   int              `json:"alerts"`
	Places   string           `json:"places"` // what is followed, in the page's language
	Text     string           `json:"text"`   // the number as a sentence, in the page's language
	Examples []previewExample `json:"examples"`
}

type previewExample struct {
	ID       string    `json:"id,omitempty"` // of the alert; a story has none
	Title    string    `json:"title"`
	At       time.Time `json:"at"`
	Level    string    `json:"level,omitempty"`
	URL      string    `json:"url"`
	Dateline string    `json:"dateline"`
	Language string    `json:"language"`
	Dir      string    `json:"dir"`
}

// past is what went out and what was published, as of an instant.
type past struct {
	at       time.Time
	days     int
	alerts   []news.Release          // first alerts, oldest first
	latest   map[string]news.Release // what was sent last, by alert
	hidden   map[string]bool         // alerts and stories, by id and uri, that are no example
	stories  []news.Release          // as if each had been an alert, oldest first
	rehearse [2]Rehearsal            // alerts, stories

	mu    sync.Mutex
	shown map[string]bool // by story: whether readers may see it
}

// lately keeps the past for a while. Whoever asks while it is fetched waits
// for that one answer.
type lately struct {
	mu   sync.Mutex
	past *past
}

// sharedFor bounds a look that many wait for.
const sharedFor = 10 * time.Second

// shared is for a look whose result others wait for: it does not end with the
// one who happened to ask first.
func shared(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), sharedFor)
}

func (s *Site) recently(ctx context.Context) (*past, error) {
	s.lately.mu.Lock()
	defer s.lately.mu.Unlock()
	now := s.Now()
	if p := s.lately.past; p != nil && now.Sub(p.at) < previewFor && !now.Before(p.at) {
		return p, nil
	}
	ctx, cancel := shared(ctx)
	defer cancel()
	p, err := s.fetchPast(ctx, now)
	if err != nil {
		return nil, err
	}
	s.lately.past = p
	return p, nil
}

func (s *Site) fetchPast(ctx context.Context, now time.Time) (*past, error) {
	const day = 24 * time.Hour
	since := now.Add(-previewDays * day)
	// A week more tells a newsroom that is young from one that was silent.
	releases, err := s.Store.ReleasesSince(ctx, since.Add(-previewEnough*day))
	if err != nil {
		return nil, fmt.Errorf("site.fetchPast: %w", err)
	}
	slices.SortStableFunc(releases, func(a, b news.Release) int { return a.ReleasedAt.Compare(b.ReleasedAt) })
	p := &past{at: now, shown: map[string]bool{}}
	if len(releases) > 0 {
		p.days = min(previewDays, int(now.Sub(releases[0].ReleasedAt)/day))
	}
	p.sortOut(releases, since)
	if p.days < previewEnough {
		if p.stories, err = s.recentStories(ctx, now); err != nil {
			return nil, err
		}
	}
	if s.Rehearser != nil {
		p.rehearse = [2]Rehearsal{s.Rehearser.Rehearse(p.alerts), s.Rehearser.Rehearse(p.stories)}
	}
	return p, nil
}

// sortOut finds the first alerts since an instant, what was said last of each,
// and what is no example: a retraction was the last word on the alert or its
// story, or the last was stopped (cancelled, on hold): a correction, too, may have
// been said to nobody.
func (p *past) sortOut(releases []news.Release, since time.Time) {
	p.latest, p.hidden = map[string]news.Release{}, map[string]bool{}
	of := map[string]news.Release{} // what was sent last, by story
	for _, r := range releases {
		if r.Revision > p.latest[r.AlertID].Revision {
			p.latest[r.AlertID] = r
		}
		if r.Revision > of[r.StoryURI].Revision {
			of[r.StoryURI] = r
		}
	}
	stopped := func(r news.Release) bool { return r.State == news.ReleaseStopped || r.State == news.ReleaseHeld }
	for id, r := range p.latest {
		p.hidden[id] = r.Kind == news.ReleaseKill || stopped(r)
	}
	for uri, r := range of {
		p.hidden[uri] = r.Kind == news.ReleaseKill
	}
	for _, r := range releases {
		if r.Kind == news.ReleaseAlert && !r.ReleasedAt.Before(since) && !(stopped(r) && p.latest[r.AlertID].ID == r.ID) {
			p.alerts = append(p.alerts, r)
		}
	}
}

// recentStories are the newest stories that readers may see, as if each had
// been an alert that is loud enough for everybody.
func (s *Site) recentStories(ctx context.Context, now time.Time) ([]news.Release, error) {
	if s.Stories == nil {
		return nil, nil
	}
	stories, err := s.Stories.RecentStories(ctx, news.StoryFilter{Status: news.Usable, Limit: previewStories})
	if err != nil {
		return nil, fmt.Errorf("site.recentStories: %w", err)
	}
	var out []news.Release
	for _, story := range slices.Backward(stories) {
		if story.Embargoed(now) {
			continue
		}
		r := news.Release{StoryURI: story.URI, Level: news.LevelFlash, Language: story.Language, Audience: strings.Join(story.Regions, " + "),
			Regions: story.Regions, Sections: story.Sections, Navigate: story.URL, ReleasedAt: story.AgeFrom(),
			Texts: map[string]news.Text{story.Language: {Title: story.Headline, Body: story.Standfirst}}}
		for l, t := range story.Translations {
			r.Texts[l] = news.Text{Title: t.Headline, Body: t.Standfirst}
		}
		out = append(out, r)
	}
	return out, nil
}

// showable reports whether readers may see a story now: it stands as it was
// published, and nothing that was said of it was taken back.
func (s *Site) showable(ctx context.Context, p *past, r news.Release) (bool, error) {
	uri := r.StoryURI
	if p.hidden[uri] || p.hidden[r.AlertID] {
		return false, nil
	}
	p.mu.Lock()
	known, looked := p.shown[uri]
	p.mu.Unlock()
	if looked || s.Stories == nil {
		return known || s.Stories == nil, nil
	}
	story, err := s.Stories.Story(ctx, uri)
	if err != nil && !errors.Is(err, news.ErrNotFound) {
		return false, fmt.Errorf("site.showable: %w", err)
	}
	ok := err == nil && story.Status == news.Usable && !story.Embargoed(p.at)
	p.mu.Lock()
	p.shown[uri] = ok
	p.mu.Unlock()
	return ok, nil
}

// previewOf says what a choice means. Wishes without a place mean nothing yet.
func (s *Site) previewOf(ctx context.Context, v view, w news.Wishes) (preview, error) {
	out := preview{Examples: []previewExample{}, Places: placesInWords(w.Preference, v.Lang)}
	if len(w.Preference.Regions) == 0 || s.Rehearser == nil {
		var err error
		out.Text, err = v.T("preview.empty")
		return out, err
	}
	if out.Places == "" { // what is left out is all that is followed
		var err error
		out.Text, err = v.T("preview.nothing")
		return out, err
	}
	p, err := s.recently(ctx)
	if err != nil {
		return out, err
	}
	out.Days, out.Enough = p.days, p.days >= previewEnough
	comes := p.rehearse[0].Comes(w)
	out.Alerts = len(comes)
	source := p.alerts
	if out.Enough {
		out.PerDay = float64(int(float64(out.Alerts)/float64(out.Days)*10+.5)) / 10
	} else {
		comes, source = p.rehearse[1].Comes(anyHour(w)), p.stories
	}
	for _, i := range slices.Backward(comes) {
		if len(out.Examples) == previewExamples {
			break
		}
		ok, err := s.showable(ctx, p, source[i])
		if err != nil {
			return out, err
		}
		if ok {
			out.Examples = append(out.Examples, s.exampleOf(v, w, p, source[i]))
		}
	}
	out.Text, err = v.howOften(out)
	return out, err
}

// anyHour is the wishes without clock and cap: a story is no alert.
func anyHour(w news.Wishes) news.Wishes {
	w.Quiet, w.Cap = nil, 0
	return w
}

// exampleOf shows what was sent last about an alert, as the archive does, in
// the language that alerts will come in.
func (s *Site) exampleOf(v view, w news.Wishes, p *past, r news.Release) previewExample {
	at, level := r.ReleasedAt, r.Level.String()
	if newest, ok := p.latest[r.AlertID]; ok && r.AlertID != "" {
		r = newest
	}
	if w.Language != "" {
		v.Lang = w.Language
	}
	line := lineOf(v, r)
	e := previewExample{ID: r.AlertID, Title: line.Title, At: at, Level: level, URL: "/alerts/" + r.AlertID,
		Dateline: line.Dateline, Language: line.Lang, Dir: line.Dir}
	if r.AlertID == "" {
		e.URL, e.Level = r.Navigate, ""
	}
	return e
}

// placesInWords is what is followed as a sentence's part: "South-eastern Asia,
// without Singapore". What is muted and not followed anyway is not said.
func placesInWords(p news.Preference, lang string) string {
	follows, err := region.SetOf(p.Regions, nil)
	if err != nil || len(p.Regions) == 0 {
		return ""
	}
	expr := strings.Join(p.Regions, " + ")
	for _, code := range p.Muted {
		if muted, err := region.SetOf([]string{code}, nil); err == nil && muted.Overlaps(follows) {
			expr += " - " + code
		}
	}
	if _, err := region.Parse(expr); err != nil { // nothing is left
		return ""
	}
	return region.Words(expr, lang)
}

// howOften is the number as a sentence: by the day, by the week where that
// would round to none, by the month where that would too.
func (v view) howOften(p preview) (string, error) {
	const nearlyOne = .95
	day := float64(p.Alerts) / float64(max(p.Days, 1))
	switch {
	case !p.Enough && len(p.Examples) == 0:
		return v.T("preview.young.none")
	case !p.Enough:
		return v.T("preview.young")
	case p.Alerts == 0:
		return v.T("preview.none")
	case day >= nearlyOne:
		return v.counted("preview.day", int(day+.5))
	case day*7 >= nearlyOne:
		return v.counted("preview.week", int(day*7+.5))
	}
	return v.counted("preview.month", p.Alerts)
}

// previewDoor answers GET /api/v1/preview: the fields of the form, repeated
// where the form repeats them.
func (s *Site) previewDoor(w http.ResponseWriter, r *http.Request) error {
	if err := s.previews.Take(web.ClientKey(r)); err != nil {
		return err
	}
	wishes, err := s.previewWishes(r.URL.Query())
	if err != nil {
		return err
	}
	p, err := s.previewOf(r.Context(), s.fetched(w, r), wishes)
	if err != nil {
		return err
	}
	return web.WriteJSON(w, http.StatusOK, p)
}

// previewWishes reads the choice of the door, and whether we speak the language
// that its words are asked for in.
func (s *Site) previewWishes(q url.Values) (news.Wishes, error) {
	var faults news.Problems
	if lang := q.Get(wordsIn); lang != "" && known(lang) == "" {
		faults.Add(wordsIn, "must be one of %s", strings.Join(languages(), ", "))
	}
	w := s.readWishes(q, &faults)
	return w, faults.Err()
}

// wishesOf reads a choice from a form or a query: the same fields, and nothing
// but a place that is unknown, or a value that can't be, is a fault.
func (s *Site) wishesOf(values url.Values) (news.Wishes, error) {
	var faults news.Problems
	w := s.readWishes(values, &faults)
	return w, faults.Err()
}

func (s *Site) readWishes(values url.Values, faults *news.Problems) news.Wishes {
	w := defaultWishes()
	f := formFields(values, faults)
	if len(values["region"]) == 0 {
		delete(f.raw, "regions") // a form that is just begun
	}
	s.parser.wishes(f, &w)
	if values.Get("timezone") == "" {
		w.Timezone = zoneOf(w.Preference)
	}
	return w
}

// feedQuery is a choice as the query of its feed: what a story is chosen by, and
// nothing about the reader.
func feedQuery(w news.Wishes) string {
	p, q := w.Preference, url.Values{}
	if len(p.Regions) == 0 {
		return ""
	}
	q["region"] = p.Regions
	for name, list := range map[string][]string{"mute": p.Muted, "section": p.Sections} {
		if len(list) > 0 {
			q[name] = list
		}
	}
	q.Set("level", p.Level.String())
	for _, o := range p.Overrides {
		for _, code := range o.Regions {
			q.Add("override", code)
			q.Add("overrideLevel", o.Level.String())
		}
	}
	if w.Language != "" {
		q.Set("language", w.Language)
	}
	return "?" + q.Encode()
}
