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
	return b.alerts, b.broken
}

func (b *storyboard) onWake(_ string, fn func()) (func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woken = fn
	return func() {}, nil
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
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/desk/wire/events?"+query, http.NoBody)
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
		id := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if text, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok && strings.Contains(text, "data-uri") {
				l.events <- id + " " + text
			}
		}
	}()
	return l
}

// next is the next story of the stream.
func (l *live) next(t *testing.T, want string) (id string) {
	t.Helper()
	select {
	case got := <-l.events:
		id, html, _ := strings.Cut(got, " ")
		if !strings.Contains(html, `data-uri="`+want+`"`) {
			t.Fatalf("got %s, want %s", html, want)
		}
		return id
	case <-time.After(20 * time.Second):
		t.Fatalf("%s did not come", want)
		return ""
	}
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
	after := eventID(noon.Add(time.Microsecond))
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

// Nothing is missed and nothing comes twice, however the stories are dealt
// over looks, and wherever a page joins.
func TestTheWireMissesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		board := &storyboard{}
		w := newWire(board, func(s wireStory) (string, error) { return s.story.URI, nil }, nil, nil)
		if err := w.look(t.Context()); err != nil {
			rt.Fatal(err)
		}
		var seen []string
		after, put := time.Unix(1, 0), 0
		read := func() {
			for {
				items, _, err := w.since(t.Context(), after)
				if err != nil {
					rt.Fatal(err)
				}
				if len(items) == 0 {
					return
				}
				for _, i := range items {
					seen, after = append(seen, i.html), i.story.StoredAt
				}
			}
		}
		for range rapid.IntRange(1, 9).Draw(rt, "steps") {
			switch rapid.IntRange(0, 3).Draw(rt, "step") {
			case 0, 1:
				for range rapid.SampledFrom([]int{1, 1, 3, 3, wireBatch + 1, wireKept + 7}).Draw(rt, "stories") {
					s := storyNo(put)
					s.Headline = "" // what is alike is another test's
					board.put(s)
					put++
				}
			case 2:
				if err := w.look(t.Context()); err != nil {
					rt.Fatal(err)
				}
			default:
				read()
			}
		}
		if err := w.look(t.Context()); err != nil {
			rt.Fatal(err)
		}
		read()
		if len(seen) != put {
			rt.Fatalf("%d of %d were seen", len(seen), put)
		}
		for n, uri := range seen {
			if uri != storyNo(n).URI {
				rt.Fatalf("number %d is %s", n, uri)
			}
		}
	})
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
		"&lt;script&gt;", "<strong>flash</strong> sent 11:02 UTC", `data-after="` + eventID(noon.Add(4*time.Microsecond)) + `"`} {
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
	open := stream(t, server, cookie, "after="+eventID(noon.Add(time.Microsecond)), "")
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
		"": true, "region=ID": true, "region=asean": true, "region=035": true, "region=JP": false, "region=nowhere": true, "region=ID-JK": true,
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
