package desk

import (
	"context"
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
	Meant  []choice // instead of a place that nobody knows
	// The menus of the filter.
	Regions, Sections, Languages []choice
}

type choice struct{ Value, Name string }

// Filtered reports whether anything is left out.
func (v wireView) Filtered() bool { return !v.Filter.empty() }

// Urgencies are the choices of the filter.
func (wireView) Urgencies() []int { return []int{1, 2, 3, 4, 5} }

func (p *Pages) getWire(w http.ResponseWriter, r *http.Request) error {
	view := wireView{Title: "The wire", By: web.PersonFrom(r.Context()), Filter: filterOf(r.URL.Query())}
	view.Query = view.Filter.query()
	if view.Filter.Unknown != "" {
		view.Meant = placesLike(view.Filter.Unknown)
	}
	at := wirePoint{stored: time.UnixMicro(1)}
	var err error
	if at.change, err = p.wire.store.LastChange(r.Context()); err != nil { // before the alerts: what changes from now on comes live
		return fmt.Errorf("desk: the wire: %w", err)
	}
	stories, err := p.wire.store.NewestStored(r.Context(), wireLooked)
	if err != nil {
		return fmt.Errorf("desk: the wire: %w", err)
	}
	if view.Looked = len(stories); view.Looked > 0 {
		at.stored = stories[0].StoredAt
	}
	view.After = at.id()
	view.menus(stories)
	stories = slices.DeleteFunc(stories, func(s news.Story) bool { return !view.Filter.fits(&s) })
	tops, under := fold(stories)
	lines, err := p.wire.lines(r.Context(), tops[:min(len(tops), wireShown)], under)
	if err != nil {
		return fmt.Errorf("desk: the wire: %w", err)
	}
	for _, l := range lines {
		view.Items = append(view.Items, template.HTML(l.html)) //nolint:gosec // rendered by html/template
	}
	return p.floor.Render(w, http.StatusOK, "desk/wire", view)
}

// menus offers every area, country and group, every section, and the
// languages the stories are in.
func (v *wireView) menus(stories []news.Story) {
	v.Regions = placesOffered()
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

// getWireEvents streams what is stored and what changes of alerts from now on
// (or since the last event the page got) as server-sent events.
func (p *Pages) getWireEvents(w http.ResponseWriter, r *http.Request) error {
	filter, last := filterOf(r.URL.Query()), r.URL.Query().Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		last = id
	}
	beat := time.NewTicker(streamBeat)
	defer beat.Stop()
	if err := p.push(w, ": the wire\nretry: 1000\n\n"); err != nil {
		return nil //nolint:nilerr // the page is gone
	}
	at, ok := p.wire.pointOf(r.Context(), last)
	for ok {
		events, caught, more, err := p.wire.since(r.Context(), at)
		if err != nil {
			p.log.Warn("a live page can't be fed; it comes back by itself", "error", err)
			return nil
		}
		at = caught
		for i := range events {
			at = at.past(&events[i])
			if text := filter.event(&events[i], at.id()); text != "" {
				if err := p.push(w, text); err != nil {
					return nil //nolint:nilerr // the page is gone
				}
			}
		}
		// With events, the store may have more than one batch.
		ok = len(events) > 0 || p.wait(w, r, more, nil, beat.C)
	}
	return nil
}

// event is what a page with the filter is told. A version that does not fit any
// more takes the line of the one before it out of play. Touched lines go to every
// page: where they do not stand, nothing is replaced.
func (f *wireFilter) event(e *wireEvent, id string) string {
	if e.story {
		switch s := &e.lines[0].story; {
		case f.fits(s):
			return event("story", id, e.lines[0].html)
		case s.Version > 1:
			return event("unfit", id, s.URI)
		}
		return ""
	}
	var b strings.Builder
	for _, l := range e.lines {
		b.WriteString(l.html)
	}
	return event("lines", id, b.String())
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

// momentID is the id of an event that a page does not resume from.
func momentID(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// event is one server-sent event, "" for one without an id; each line of data has its own field. A lone CR
// ends a line, too (HTML, 9.2.5): left in, the words after it would be fields.
func event(name, id, data string) string {
	data = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSpace(data))
	if id != "" {
		name += "\nid: " + id
	}
	return "event: " + name + "\ndata: " + strings.ReplaceAll(data, "\n", "\ndata: ") + "\n\n"
}

// id is the point as a page keeps it: the instant in microseconds (stored times
// differ at least by one), and the line of the audit trail.
func (p wirePoint) id() string {
	return strconv.FormatInt(p.stored.UnixMicro(), 10) + "-" + strconv.FormatInt(p.change, 10)
}

// pointOf reads an id; what can't be read is the present. It waits for the
// wire's first look, and is false where the stream has to end.
func (w *wire) pointOf(ctx context.Context, id string) (at wirePoint, ok bool) {
	select {
	case <-w.begun:
	case <-ctx.Done():
		return at, false
	case <-w.over:
		return at, false
	}
	at = w.now()
	stored, change, _ := strings.Cut(id, "-")
	if n, err := strconv.ParseInt(stored, 10, 64); err == nil && n >= 0 {
		at.stored = time.UnixMicro(n).UTC()
	}
	if n, err := strconv.ParseInt(change, 10, 64); err == nil && n >= 0 {
		at.change = n
	}
	return at, true
}
