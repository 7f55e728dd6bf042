package desk

import (
	"errors"
	"fmt"
	"html/template"
	"io"
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

const (
	// wireLooked stories are filtered for a page that shows wireShown at most.
	wireLooked = 1000
	wireShown  = 100
	// streamBeat keeps proxies from closing a quiet stream, and is how often
	// it is asked whether its editor is still signed in.
	streamBeat = 15 * time.Second
	// pushWithin is how long a page may take to read what it is sent: a stream
	// that nobody reads would outlive the session.
	pushWithin = 30 * time.Second
	asia       = "142" // UN M.49
)

// endOfSession tells a live page that whoever opened it is signed out.
const endOfSession = "event: end\ndata: signed out\n\n"

// wireView is the page "desk/wire".
type wireView struct {
	Title  string
	By     news.Person
	Filter wireFilter
	Items  []template.HTML
	After  string // what the live stream goes on from
	Query  string
	Looked int
	// The menus of the filter.
	Regions, Sections, Languages []choice
}

type choice struct{ Value, Name string }

// Filtered reports whether anything is left out.
func (v wireView) Filtered() bool { return !v.Filter.empty() }

// Urgencies are the choices of the filter.
func (wireView) Urgencies() []int { return []int{1, 2, 3, 4, 5} }

func (p *Pages) getWire(w http.ResponseWriter, r *http.Request) error {
	view := wireView{Title: "The wire", By: web.PersonFrom(r.Context()), Filter: filterOf(r.URL.Query()), After: "1"}
	view.Query = view.Filter.query()
	stories, err := p.wire.store.NewestStored(r.Context(), wireLooked)
	if err != nil {
		return fmt.Errorf("desk: the wire: %w", err)
	}
	if view.Looked = len(stories); view.Looked > 0 {
		view.After = eventID(stories[0].StoredAt)
	}
	view.menus(stories)
	stories = slices.DeleteFunc(stories, func(s news.Story) bool { return !view.Filter.fits(&s) })
	tops, under := fold(stories)
	items, err := p.wire.items(r.Context(), tops[:min(len(tops), wireShown)], under)
	if err != nil {
		return fmt.Errorf("desk: the wire: %w", err)
	}
	for _, item := range items {
		view.Items = append(view.Items, template.HTML(item.html)) //nolint:gosec // rendered by html/template
	}
	return p.floor.Render(w, http.StatusOK, "desk/wire", view)
}

// menus offers every area, country and group, every section, and the
// languages the stories are in.
func (v *wireView) menus(stories []news.Story) {
	for _, g := range region.Groups() {
		v.Regions = append(v.Regions, choice{g.Name, g.Title})
	}
	for place := range region.All() {
		if place.Kind <= region.KindCountry && region.Within(place.Code, asia) {
			v.Regions = append(v.Regions, choice{place.Code, region.Name(place.Code, "en")})
		}
	}
	for _, s := range news.Sections() {
		v.Sections = append(v.Sections, choice{s.Name, capital(s.Name)})
	}
	seen := map[string]bool{}
	for _, s := range stories {
		if !seen[s.Language] {
			seen[s.Language] = true
			v.Languages = append(v.Languages, choice{s.Language, display.English.Tags().Name(language.Make(s.Language))})
		}
	}
	slices.SortFunc(v.Languages, func(a, b choice) int { return strings.Compare(a.Name, b.Name) })
}

// getWireEvents streams what is stored from now on (or since the last event
// the page got) as server-sent events.
func (p *Pages) getWireEvents(w http.ResponseWriter, r *http.Request) error {
	filter, after := filterOf(r.URL.Query()), eventTime(r.URL.Query().Get("after"))
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		after = eventTime(last)
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	if err := p.push(w, ": the wire\nretry: 1000\n\n"); err != nil {
		return nil //nolint:nilerr // the page is gone
	}
	for {
		items, more, err := p.wire.since(r.Context(), after)
		if err != nil {
			p.log.Warn("a live page can't be fed; it comes back by itself", "error", err)
			return nil
		}
		for _, item := range items {
			after = item.story.StoredAt
			if filter.fits(&item.story) {
				if err := p.push(w, event("story", after, item.html)); err != nil {
					return nil //nolint:nilerr // the page is gone
				}
			}
		}
		if len(items) > 0 {
			continue // the store may have more than one batch
		}
		if !p.wait(w, r, more, nil, beat.C) {
			return nil
		}
	}
}

// wait returns when there is more, or at the tick; false when the stream has to
// end.
func (p *Pages) wait(w http.ResponseWriter, r *http.Request, more <-chan struct{}, tick, beat <-chan time.Time) bool {
	for {
		select {
		case <-more:
			return true
		case <-tick:
			return true
		case <-r.Context().Done():
			return false
		case <-p.wire.over:
			return false
		case <-p.roll.called():
			if !p.stillIn(w, r) {
				return false
			}
		case <-beat:
			if !p.stillIn(w, r) || p.push(w, ":\n\n") != nil {
				return false
			}
		}
	}
}

// stillIn asks whether the stream's editor is still signed in, and tells the
// page when she is not.
func (p *Pages) stillIn(w http.ResponseWriter, r *http.Request) bool {
	_, err := p.person(r)
	if errors.Is(err, news.ErrUnknownKey) {
		_ = p.push(w, endOfSession)
	}
	return err == nil // a store that is down for a moment: the page comes back by itself
}

// push sends text, to a page that takes it in time.
func (p *Pages) push(w http.ResponseWriter, text string) error {
	// A writer without deadlines (a test's) needs none.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(pushWithin))
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}

// event is one server-sent event; each line of data has its own field.
func event(name string, id time.Time, data string) string {
	return "event: " + name + "\nid: " + eventID(id) + "\ndata: " + strings.ReplaceAll(strings.TrimSpace(data), "\n", "\ndata: ") + "\n\n"
}

// eventID is an instant in microseconds: stored times differ at least by one.
func eventID(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// eventTime reads an eventID; what is none is the present.
func eventTime(id string) time.Time {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 0 {
		return time.Now()
	}
	return time.UnixMicro(n).UTC()
}

// itemView is the block "item" of the page "desk/wire".
type itemView struct {
	Story    news.Story
	Dir      string
	Dateline string
	Places   string
	Marks    []mark
	Alerts   []alertedView
	Under    []underView
	Alike    string // the URIs of Under
	Raisable bool
}

// underView is another telling of the same event.
type underView struct {
	Headline, URL, Language, Dir, At string
	Alerts                           []alertedView
}

// mark is a word about a story, and how loudly it is shown.
type mark struct{ Kind, Word string }

type alertedView struct{ ID, Level, State, At string }

// item renders one story of the wire.
func (p *Pages) item(w wireStory) (string, error) {
	s, uris := &w.story, []string{}
	v := itemView{Story: *s, Dir: news.Direction(s.Language), Marks: marksOf(s, p.now()), Places: region.Words(strings.Join(s.Regions, " + "), "en"),
		Dateline: region.Dateline(region.DatelinePlace(s.Regions), s.Created, "en"), Alerts: alerted(w.alerts[s.URI])}
	for _, u := range w.under {
		v.Under = append(v.Under, underView{u.Headline, u.URL, u.Language, news.Direction(u.Language), u.StoredAt.UTC().Format("15:04 MST"), alerted(w.alerts[u.URI])})
		uris = append(uris, u.URI)
	}
	v.Alike = strings.Join(uris, " ")
	v.Raisable = s.Status == news.Usable
	return p.floor.Part("desk/wire", "item", v)
}

// alerted is what was alerted of a story, and when.
func alerted(alerts []news.Alert) []alertedView {
	var out []alertedView
	for _, a := range alerts {
		at := a.CreatedAt
		if !a.ReleasedAt.IsZero() {
			at = a.ReleasedAt
		}
		out = append(out, alertedView{a.ID, a.Level.String(), string(a.State), at.UTC().Format("15:04 MST")})
	}
	return out
}

// marksOf says what an editor must not overlook, the weightiest first.
func marksOf(s *news.Story, now time.Time) []mark {
	var out []mark
	switch s.Status {
	case news.Canceled:
		out = append(out, mark{"kill", "killed"})
	case news.Withheld:
		out = append(out, mark{"kill", "on hold"})
	}
	if s.Embargo.After(now) {
		out = append(out, mark{"embargo", "embargo until " + s.Embargo.UTC().Format("2 Jan 15:04 MST")})
	}
	if s.Breaking {
		out = append(out, mark{"live", "breaking"})
	}
	out = append(out, mark{"", "urgency " + strconv.Itoa(s.Urgency)})
	if s.Version > 1 {
		out = append(out, mark{"", "version " + strconv.FormatInt(s.Version, 10)})
	}
	return out
}
