package desk

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/news"
)

// storyboard is a WireStore in memory.
type storyboard struct {
	mu      sync.Mutex
	stories []news.Story
	alerts  map[string][]news.Alert
	changes []news.ChangedAlert
	others  int64 // newest lines of the trail that tell of no alert
	woken   func()
	broken  error
}

// put stores a story, one microsecond after the last.
func (b *storyboard) put(s news.Story) {
	b.mu.Lock()
	s.StoredAt = noon.Add(time.Duration(len(b.stories)+1) * time.Microsecond)
	b.stories = append(b.stories, s)
	woken := b.woken
	b.mu.Unlock()
	if woken != nil {
		woken()
	}
}

func (b *storyboard) NewestStored(_ context.Context, limit int) ([]news.Story, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := slices.Clone(b.stories)
	slices.Reverse(out)
	return out[:min(limit, len(out))], b.broken
}

func (b *storyboard) StoredSince(_ context.Context, after time.Time, limit int) ([]news.Story, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []news.Story
	for _, s := range b.stories {
		if s.StoredAt.After(after) && len(out) < limit {
			out = append(out, s)
		}
	}
	return out, b.broken
}

func (b *storyboard) AlertsOfStories(context.Context, []string) (map[string][]news.Alert, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.alerts, b.broken
}

func (b *storyboard) Story(_ context.Context, uri string) (news.Story, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range slices.Backward(b.stories) {
		if s.URI == uri {
			return s, b.broken
		}
	}
	return news.Story{}, news.ErrNotFound
}

// change puts the alert in the place of the one with its id, or adds it.
func (b *storyboard) change(a news.Alert) {
	b.mu.Lock()
	defer b.mu.Unlock()
	alerts := map[string][]news.Alert{}
	for uri, list := range b.alerts {
		alerts[uri] = slices.DeleteFunc(slices.Clone(list), func(o news.Alert) bool { return o.ID == a.ID })
	}
	alerts[a.StoryURI] = append(alerts[a.StoryURI], a)
	b.alerts = alerts
	b.changes = append(b.changes, news.ChangedAlert{Seq: int64(len(b.changes) + 1), AlertID: a.ID, StoryURI: a.StoryURI})
}

func (b *storyboard) AlertChanges(_ context.Context, after int64, limit int) ([]news.ChangedAlert, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	later := b.changes[min(after, int64(len(b.changes))):]
	return slices.Clone(later[:min(limit, len(later))]), b.broken
}

func (b *storyboard) LastChange(context.Context) (int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int64(len(b.changes)) + b.others, b.broken
}

func (b *storyboard) onWake(_ string, fn func()) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woken = fn
	return func() {}, nil
}

// pointAfter is what a page has after the first n stories, and no change.
func pointAfter(n int) string {
	return wirePoint{stored: noon.Add(time.Duration(n) * time.Microsecond)}.id()
}

// headline is unlike those of other numbers.
func headline(n int) string {
	sum := sha256.Sum256([]byte{byte(n), byte(n >> 8)})
	return fmt.Sprintf("Headline %d %x", n, sum)
}

func storyNo(n int) news.Story {
	return news.Story{URI: fmt.Sprintf("https://news.example/%d", n), Version: 1, Status: news.Usable, Headline: headline(n),
		Language: "en", Regions: []string{"JP"}, Sections: []string{"politics"}, Urgency: 4, Created: noon}
}

// live is an open page: its events arrive on a channel.
type live struct {
	events chan string // "ID HTML"
	ended  chan struct{}
}

// stream opens the live stream of the server as a browser does.
func stream(t *testing.T, server *httptest.Server, cookie, query, last string) *live {
	t.Helper()
	return streamOf(t, server, "/desk/wire/events?"+query, cookie, last)
}

func streamOf(t *testing.T, server *httptest.Server, path, cookie, last string) *live {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: cookie})
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, got)
	}
	l := &live{make(chan string, 1000), make(chan struct{})}
	go func() {
		defer close(l.ended)
		defer resp.Body.Close()
		name, id, data := "", "", ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				data += text
			}
			if lines.Text() == "" && data != "" {
				if name != "notices" { // the desk's own, which every stream brings
					l.events <- id + " " + data
				}
				data = ""
			}
		}
	}()
	return l
}

// event is the next event of the stream: its id, a space, its data.
func (l *live) event(t *testing.T) string {
	t.Helper()
	select {
	case got := <-l.events:
		return got
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

// next is the next story of the stream.
func (l *live) next(t *testing.T, want string) (id string) {
	t.Helper()
	id, html, _ := strings.Cut(l.event(t), " ")
	if !strings.Contains(html, `data-uri="`+want+`"`) {
		t.Fatalf("got %s, want %s", html, want)
	}
	return id
}

// open starts the wire and a server for its pages.
func (l *lobby) open(t *testing.T) *httptest.Server {
	t.Helper()
	l.pages.wire.onWake = l.stories.onWake
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = l.pages.Run(ctx)
	}()
	server := httptest.NewServer(l.handler)
	t.Cleanup(func() { cancel(); <-over; server.Close() })
	return server
}

func TestTheWireIsLive(t *testing.T) {
	l := newLobby(t)
	l.stories.put(storyNo(0))
	server, cookie := l.open(t), l.enter(t)
	after := pointAfter(1)
	all := stream(t, server, cookie, "after="+after, "")
	thai := stream(t, server, cookie, "region=TH&after="+after, "")
	l.stories.put(storyNo(1))
	bangkok := storyNo(2)
	bangkok.Regions = []string{"TH-10"}
	l.stories.put(bangkok)
	last := all.next(t, "https://news.example/1")
	all.next(t, "https://news.example/2")
	thai.next(t, "https://news.example/2")

	// A page that lost its connection goes on where it was: from memory, or
	// from the store where memory does not reach.
	again := stream(t, server, cookie, "after="+after, last)
	again.next(t, "https://news.example/2")
	l.pages.wire.mu.Lock()
	l.pages.wire.kept, l.pages.wire.from = nil, l.pages.wire.after
	l.pages.wire.mu.Unlock()
	late := stream(t, server, cookie, "after=1", "")
	for n := range 3 {
		late.next(t, fmt.Sprintf("https://news.example/%d", n))
	}
	l.stories.put(storyNo(3))
	for _, s := range []*live{all, again, late} {
		s.next(t, "https://news.example/3")
	}
}

// Nothing is missed and nothing comes twice, however stories and changes of
// their alerts are dealt over looks, and wherever a page joins; in the end the
// page shows every line as it is.
func TestTheWireMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := newWireModel(t.Context(), rt)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			switch rapid.IntRange(0, 4).Draw(rt, "step") {
			case 0, 1:
				m.put(rapid.SampledFrom([]int{1, 1, 3, 3, wireBatch + 1, wireKept + 7}).Draw(rt, "stories"))
			case 2:
				m.change(rapid.SampledFrom([]int{1, 1, 2, wireBatch + 1}).Draw(rt, "changes"))
			case 3:
				m.look()
			default:
				m.read()
			}
		}
		m.look()
		m.read()
		m.judge()
	})
}

// wireModel is a wire and a page that reads it.
type wireModel struct {
	rt     *rapid.T
	ctx    context.Context
	board  *storyboard
	wire   *wire
	at     wirePoint
	seen   []string          // stories, as they came
	lines  map[string]string // what the page shows of each
	stored int
}

func newWireModel(ctx context.Context, rt *rapid.T) *wireModel {
	m := &wireModel{rt: rt, ctx: ctx, board: &storyboard{}, at: wirePoint{stored: time.Unix(1, 0)}, lines: map[string]string{}}
	m.wire = newWire(m.board, func(s wireStory) (string, error) {
		html := s.story.URI
		for _, a := range s.alerts[s.story.URI] {
			html += " " + a.Reason
		}
		return html, nil
	}, nil, nil)
	m.look()
	return m
}

func (m *wireModel) put(stories int) {
	for range stories {
		s := storyNo(m.stored)
		s.Headline, s.Created = "", noon // what is alike is another test's
		s.Regions = nil
		m.board.put(s)
		m.stored++
	}
}

// change changes the alerts of some stories, the same ones again and again.
func (m *wireModel) change(times int) {
	for range times {
		if m.stored == 0 {
			return
		}
		n := rapid.IntRange(0, min(m.stored-1, 5)).Draw(m.rt, "of")
		a := news.Alert{ID: fmt.Sprint(n), StoryURI: storyNo(n).URI, Reason: fmt.Sprint("change ", len(m.board.changes))}
		m.board.change(a)
	}
}

func (m *wireModel) look() {
	if err := m.wire.look(m.ctx); err != nil {
		m.rt.Fatal(err)
	}
}

// read takes what there is, one event a time: a connection may break anywhere.
func (m *wireModel) read() {
	for {
		events, from, _, err := m.wire.since(m.ctx, m.at)
		if err != nil {
			m.rt.Fatal(err)
		}
		m.at = from
		if len(events) == 0 {
			return
		}
		for i := range events[:rapid.IntRange(1, len(events)).Draw(m.rt, "got")] {
			e := &events[i]
			if !m.at.lacks(e) {
				m.rt.Fatalf("%+v came again", e)
			}
			m.at = m.at.past(e)
			for _, l := range e.lines {
				m.lines[l.story.URI] = l.html
			}
			if e.story {
				m.seen = append(m.seen, e.lines[0].story.URI)
			}
		}
	}
}

func (m *wireModel) judge() {
	if len(m.seen) != m.stored {
		m.rt.Fatalf("%d of %d were seen", len(m.seen), m.stored)
	}
	for n, uri := range m.seen {
		if uri != storyNo(n).URI {
			m.rt.Fatalf("number %d is %s", n, uri)
		}
		want := uri
		for _, a := range m.board.alerts[uri] {
			want += " " + a.Reason
		}
		if m.lines[uri] != want {
			m.rt.Fatalf("the page shows %q, it is %q", m.lines[uri], want)
		}
	}
}

// A page from before a restart is fed from memory once it has caught up, also
// where the newest lines of the trail tell of no alert: a hundred pages would
// else each read the store at every story.
func TestAPageCatchesUpWithMemory(t *testing.T) {
	board := &storyboard{others: 5}
	w := newWire(board, func(s wireStory) (string, error) { return s.story.URI, nil }, nil, nil)
	for n := range 3 {
		board.put(storyNo(n))
	}
	if err := w.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := wirePoint{stored: noon.Add(2 * time.Microsecond)}
	events, at, _, err := w.since(t.Context(), at)
	if err != nil || len(events) != 1 {
		t.Fatalf("the third story: %v, %v", events, err)
	}
	if events, at, _, err = w.since(t.Context(), at.past(&events[0])); err != nil || len(events) != 0 {
		t.Fatalf("nothing more: %v, %v", events, err)
	}
	board.put(storyNo(3))
	if err := w.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	board.broken = news.ErrUnavailable
	if events, _, _, err = w.since(t.Context(), at); err != nil || len(events) != 1 {
		t.Errorf("the fourth story, from memory: %v, %v", events, err)
	}
}

// What is sent can't begin a field or an event of its own.
func TestAnEventIsOneEvent(t *testing.T) {
	got := event("status", "1", "a\r\revent: story\rdata: b\r\nc\n")
	if want := "event: status\nid: 1\ndata: a\ndata: \ndata: event: story\ndata: data: b\ndata: c\n\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// A line whose alert changes is sent anew to every open page, with that under
// which it stands; a page that was away gets what it missed, once.
func TestAnAlertIsLiveOnTheWire(t *testing.T) {
	l := newLobby(t)
	first, again := storyNo(1), storyNo(2)
	first.Headline, again.Headline = "Strong quake off Hokkaido; tsunami warning", "Strong quake off Hokkaido: tsunami warning"
	for _, s := range []news.Story{storyNo(0), first, again} {
		l.stories.put(s)
	}
	server, cookie := l.open(t), l.enter(t)
	all := stream(t, server, cookie, "after="+pointAfter(3), "")
	filtered := stream(t, server, cookie, "region=TH&after="+pointAfter(3), "")
	<-l.pages.wire.begun
	alert := news.Alert{ID: "a", StoryURI: first.URI, Level: news.LevelFlash, Audience: "KR", Author: "Ann", State: news.AlertDraft, CreatedAt: noon}
	last := ""
	for _, state := range []news.AlertState{news.AlertDraft, news.AlertHolding, news.AlertSending, news.AlertHeld, news.AlertSent, news.AlertKilled} {
		if alert.State = state; state == news.AlertSending {
			alert.Revision, alert.ReleasedAt = 1, noon
		}
		l.stories.change(alert)
		l.stories.woken()
		want := fmt.Sprintf(`data-state="%s"`, state)
		for _, page := range []*live{all, filtered} {
			id, html, _ := strings.Cut(page.event(t), " ")
			if !strings.Contains(html, `data-uri="`+first.URI+`"`) || !strings.Contains(html, `data-uri="`+again.URI+`"`) || strings.Count(html, want) != 2 {
				t.Errorf("%s: %s", state, html)
			}
			if alert.Revision > 0 && !strings.Contains(html, "already alerted 12:00 UTC</strong>: flash "+stateName(string(state))+", reached none of its places") {
				t.Errorf("%s: the folded line says nothing: %s", state, html)
			}
			if state == news.AlertDraft {
				last = id
			}
		}
	}
	// One that broke off after the first change gets the last state, once or in
	// steps, and nothing after that.
	back := stream(t, server, cookie, "after="+pointAfter(3), last)
	for got := ""; !strings.Contains(got, `data-state="killed"`); {
		got = back.event(t)
	}
	l.stories.put(storyNo(5))
	for _, page := range []*live{all, back} {
		page.next(t, storyNo(5).URI)
	}
}

// A version that does not fit a page's filter any more takes its line out of
// play there, and only there.
func TestAVersionThatFitsNoMore(t *testing.T) {
	l := newLobby(t)
	l.stories.put(storyNo(1))
	server, cookie := l.open(t), l.enter(t)
	all := stream(t, server, cookie, "after="+pointAfter(1), "")
	japan := stream(t, server, cookie, "region=JP&after="+pointAfter(1), "")
	<-l.pages.wire.begun
	moved, other := storyNo(1), storyNo(2)
	moved.Version, moved.Regions, other.Regions = 2, []string{"TH"}, []string{"TH"}
	l.stories.put(moved)
	l.stories.put(other)
	all.next(t, moved.URI)
	all.next(t, other.URI)
	if _, got, _ := strings.Cut(japan.event(t), " "); got != moved.URI {
		t.Errorf("the filtered page got %q", got)
	}
	l.stories.put(storyNo(3)) // the new story of Thailand was not worth a word
	japan.next(t, storyNo(3).URI)
}

func TestTheWirePage(t *testing.T) {
	l := newLobby(t)
	killed, embargoed, urdu := storyNo(1), storyNo(2), storyNo(3)
	killed.Status, killed.Version = news.Canceled, 4
	embargoed.Embargo = noon.Add(time.Hour)
	urdu.Language, urdu.Headline, urdu.Standfirst = "ur", "زلزلہ", `<script>alert("x")</script>`
	for _, s := range []news.Story{storyNo(0), killed, embargoed, urdu} {
		l.stories.put(s)
	}
	l.stories.alerts = map[string][]news.Alert{storyNo(0).URI: {{Level: news.LevelFlash, State: news.AlertSent, ReleasedAt: noon.Add(-58 * time.Minute)}}}
	body := page(t, l, "/desk")
	for _, want := range []string{"TOKYO, 23 Nov, 21:00 JST", ">killed<", "version 4", "embargo until 23 Nov 13:00 UTC", `lang="ur" dir="rtl"`,
		"&lt;script&gt;", "<strong>flash</strong> sent 11:02 UTC", `data-after="` + pointAfter(4) + `"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the wire lacks %q", want)
		}
	}
	if n := strings.Count(body, "data-uri="); n != 4 {
		t.Errorf("%d stories", n)
	}
	if body := page(t, l, "/desk?language=ur&q="+url.QueryEscape("زلزلہ")); strings.Count(body, "data-uri=") != 1 || !strings.Contains(body, "Show everything") {
		t.Error("the filter is not kept")
	}
	if body := page(t, l, "/desk?section=sport"); !strings.Contains(body, "No story fits, of the last 4") {
		t.Error("an empty list says nothing")
	}
}

// A story that tells of an event again comes with what it stands over, live and
// on the page, and says what was alerted of that.
func TestTheWireShowsWhatIsAlike(t *testing.T) {
	l := newLobby(t)
	first, again := storyNo(1), storyNo(2)
	first.Headline, again.Headline = "Strong quake off Hokkaido; tsunami warning", "Strong quake off Hokkaido: tsunami warning"
	l.stories.alerts = map[string][]news.Alert{first.URI: {{Level: news.LevelFlash, State: news.AlertSent, ReleasedAt: noon}}}
	l.stories.put(first)
	server, cookie := l.open(t), l.enter(t)
	open := stream(t, server, cookie, "after="+pointAfter(1), "")
	<-l.pages.wire.begun
	l.stories.put(again)
	for where, html := range map[string]string{"live": <-open.events, "page": page(t, l, "/desk")} {
		for _, want := range []string{`data-uri="` + again.URI + `" data-alike="` + first.URI + `"`} {
			if !strings.Contains(html, want) {
				t.Errorf("%s lacks %q", where, want)
			}
		}
	}
	if body := page(t, l, "/desk"); strings.Count(body, "data-uri=") != 1 || !strings.Contains(body, "1 more like this · flash sent 12:00 UTC") {
		t.Error("the earlier one is not folded")
	}
}

func page(t *testing.T, l *lobby, path string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	r.AddCookie(&http.Cookie{Name: "__Host-desk", Value: l.enter(t)})
	w := httptest.NewRecorder()
	l.handler.ServeHTTP(w, r)
	if w.Code != 200 {
		t.Fatalf("%s: %d", path, w.Code)
	}
	return w.Body.String()
}

func TestWhatFitsTheFilter(t *testing.T) {
	s := storyNo(1)
	s.Regions, s.Sections, s.Urgency, s.Headline = []string{"ID-JK"}, []string{"weather", "politics"}, 3, "Flood in JAKARTA"
	s.Translations = map[string]news.StoryText{"id": {Headline: "Banjir di Jakarta"}}
	for query, want := range map[string]bool{
		"": true, "region=ID": true, "region=asean": true, "region=035": true, "region=JP": false, "region=nowhere": false, "region=ID-JK": true,
		"region=ID-BA": false, "section=weather": true, "section=sport": false, "language=en": true, "language=id": true, "language=ja": false,
		"urgency=3": true, "urgency=2": false, "urgency=x": true, "q=jakarta": true, "q=BANJIR": true, "q=tokyo": false,
		"q=flood&region=ID&section=weather&urgency=4": true,
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		f := filterOf(q)
		if got := f.fits(&s); got != want {
			t.Errorf("%q fits: %v", query, got)
		}
		again, err := url.ParseQuery(f.query())
		if err != nil {
			t.Fatal(err)
		}
		if g := filterOf(again); g.fits(&s) != want || g.query() != f.query() {
			t.Errorf("%q comes back as %q", query, g.query())
		}
	}
}
