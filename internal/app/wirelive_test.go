package app

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
	"dateline/internal/web"
)

// openDesks is the program with some desks open, each a signed-in editor's
// server-sent events over HTTP.
type openDesks struct {
	tb      testing.TB
	app     *App
	desks   []*openDesk
	cookies []string
}

// openDesk is one page that listens: when it saw which story, and how often.
type openDesk struct {
	mu    sync.Mutex
	seen  map[string][]time.Time
	alert map[string]int // lines that came anew because of an alert
	more  chan struct{}  // something was seen
}

func newOpenDesks(tb testing.TB, desks int, settings map[string]string) *openDesks {
	tb.Helper()
	folder := tb.TempDir()
	cfg, err := Load(func(name string) string {
		if v, ok := settings[name]; ok {
			return v
		}
		return map[string]string{"DATELINE_DATA": folder, "DATELINE_LISTEN": "127.0.0.1:0", "DATELINE_OPS_LISTEN": "127.0.0.1:0"}[name]
	})
	if err != nil {
		tb.Fatal(err)
	}
	o := &openDesks{tb: tb}
	if o.app, err = Open(tb.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	over := make(chan error, 1)
	go func() { over <- o.app.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-over; err != nil {
			tb.Error(err)
		}
		if err := o.app.Close(); err != nil {
			tb.Error(err)
		}
	})
	for i := range desks {
		o.cookies = append(o.cookies, o.signIn(fmt.Sprintf("Editor %d", i)))
		o.desks = append(o.desks, o.listen(ctx, o.cookies[i]))
	}
	return o
}

// signIn is what joining and signing in leave behind; the forms are other
// tests'.
func (o *openDesks) signIn(name string) (cookie string) {
	o.tb.Helper()
	ctx, s, later := o.tb.Context(), o.app.store, time.Now().Add(time.Hour)
	account := news.Account{Editor: name, Role: news.RoleEditor, Password: "no", Secret: make([]byte, 16)}
	cookie, hash := web.NewSession()
	for _, step := range []func() error{
		func() error { return s.AddEditor(ctx, news.Editor{Name: name, Role: news.RoleEditor}, news.SystemName) },
		func() error { return s.Invite(ctx, name, hash, later, news.SystemName) },
		func() error { return s.Join(ctx, hash, account) },
		func() error { return s.SignIn(ctx, account, 1, hash, later) },
	} {
		if err := step(); err != nil {
			o.tb.Fatal(err)
		}
	}
	return cookie
}

// listen opens the wire as a browser does: the page, then its events.
func (o *openDesks) listen(ctx context.Context, cookie string) *openDesk {
	o.tb.Helper()
	page := o.get(ctx, "/desk", cookie)
	html, err := io.ReadAll(page.Body)
	page.Body.Close()
	_, rest, found := strings.Cut(string(html), `data-after="`)
	if err != nil || !found {
		o.tb.Fatalf("the wire: %v, %s", err, html)
	}
	after, _, _ := strings.Cut(rest, `"`)
	d := &openDesk{seen: map[string][]time.Time{}, alert: map[string]int{}, more: make(chan struct{}, 1)}
	events := o.get(ctx, "/desk/wire/events?after="+after, cookie)
	go func() {
		defer events.Body.Close()
		kind, data := "", ""
		for lines := bufio.NewReader(events.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(line, "event: "):
				kind = strings.TrimSpace(line[len("event: "):])
			case strings.HasPrefix(line, "data: "):
				data += line[len("data: "):]
			case line == "\n":
				d.note(kind, data)
				kind, data = "", ""
			}
		}
	}()
	return d
}

func (o *openDesks) get(ctx context.Context, path, cookie string) *http.Response {
	o.tb.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.app.URL()+path, http.NoBody)
	if err != nil {
		o.tb.Fatal(err)
	}
	r.AddCookie(&http.Cookie{Name: "desk", Value: cookie})
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != http.StatusOK {
		o.tb.Fatalf("%s: %v, %v", path, resp, err)
	}
	return resp
}

func (d *openDesk) note(kind, data string) {
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, part := range strings.Split(data, `data-uri="`) {
		uri, _, _ := strings.Cut(part, `"`)
		switch {
		case i == 0:
		case kind == "story":
			d.seen[uri] = append(d.seen[uri], now)
		case kind == "lines" && strings.Contains(part, `class="alerted`):
			d.alert[uri]++
		}
	}
	select {
	case d.more <- struct{}{}:
	default:
	}
}

// until waits for the desk to have seen what is asked for.
func (d *openDesk) until(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for patience := time.After(time.Minute); ; {
		d.mu.Lock()
		done := ok()
		d.mu.Unlock()
		if done {
			return
		}
		select {
		case <-d.more:
		case <-patience:
			tb.Fatalf("a desk did not see %s within a minute", what)
		}
	}
}

// publish sends stories at a pace and gives when each was acknowledged.
func (o *openDesks) publish(stories int, pace time.Duration) map[string]time.Time {
	o.tb.Helper()
	acknowledged := map[string]time.Time{}
	var mu sync.Mutex
	var all sync.WaitGroup
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for n := range stories {
		uri, body := o.story(n)
		all.Go(func() {
			if err := o.app.bus.PublishStory(o.tb.Context(), news.StoryEvent{Body: body}); err != nil {
				o.tb.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			acknowledged[uri] = time.Now()
		})
		<-tick.C
	}
	all.Wait()
	return acknowledged
}

// story is one of a busy day: a headline and a standfirst of usual length, one
// in twenty breaking, which drafts an alert; the others go as notices.
func (o *openDesks) story(n int) (uri string, body []byte) {
	words := func(count int) string {
		out := make([]string, count)
		for i := range out {
			out[i] = strings.ToLower(rand.Text()[:3+(n+i)%7])
		}
		return strings.Join(out, " ")
	}
	uri = "https://news.example/wire/" + strconv.Itoa(n)
	body, err := json.Marshal(map[string]any{"uri": uri, "version": 1, "headline": "Story " + words(9), "standfirst": words(24), "url": uri,
		"regions": []string{[]string{"JP", "ID", "IN-MH", "KR", "035"}[n%5]}, "sections": []string{"politics"}, "urgency": 4,
		"breaking": n%20 == 0, "versioncreated": time.Now().UTC().Format(time.RFC3339)})
	if err != nil {
		o.tb.Fatal(err)
	}
	return uri, body
}

// Every open desk gets every story once, and the line of a story anew when its
// alert changes.
func TestEveryDeskSeesEveryStoryOnce(t *testing.T) {
	const desks, stories = 20, 60
	o := newOpenDesks(t, desks, nil)
	acknowledged := o.publish(stories, time.Millisecond)
	for _, d := range o.desks {
		d.until(t, "all stories", func() bool { return len(d.seen) == stories })
	}
	drafts, err := o.app.store.Alerts(t.Context(), []news.AlertState{news.AlertDraft}, 0)
	if err != nil || len(drafts) != stories/20 {
		t.Fatalf("%d drafts, %v", len(drafts), err)
	}
	draft := drafts[0]
	before := map[*openDesk]int{}
	for _, d := range o.desks { // every story has an alert: a draft, or a notice that goes by itself
		d.until(t, "all alerts", func() bool {
			before[d] = d.alert[draft.StoryURI]
			return len(d.alert) == stories
		})
	}
	if _, err := o.app.desk.Cancel(t.Context(), news.Person{Name: news.SystemName, System: true}, draft.ID, "no"); err != nil {
		t.Fatal(err)
	}
	for n, d := range o.desks {
		d.until(t, "the cancelled alert", func() bool { return d.alert[draft.StoryURI] > before[d] })
		d.mu.Lock()
		for uri := range acknowledged {
			if times := len(d.seen[uri]); times != 1 {
				t.Errorf("desk %d saw %s %d times", n, uri, times)
			}
		}
		d.mu.Unlock()
	}
}

// BenchmarkPubAckToDesk is the bar of the wire: from the PubAck of a story to
// its arrival at an open desk, 50 stories a second for 20 s and 20 desks. Once
// with alerts that wait for an editor, once with notices that go by themselves:
// 50 plans, sends and settled ledgers a second beside it.
func BenchmarkPubAckToDesk(b *testing.B) {
	for _, notices := range []string{"one", "auto"} {
		policy := map[string]string{"DATELINE_POLICY": "flash=one,bulletin=one,notice=" + notices}
		b.Run("sqlite/notices="+notices, func(b *testing.B) { benchmarkPubAckToDesk(b, policy) })
		b.Run("postgres/notices="+notices, func(b *testing.B) {
			settings := map[string]string{"DATABASE_URL": storetest.Postgres(b), "DATELINE_BASE_URL": "http://localhost"}
			maps.Copy(settings, policy)
			maps.Copy(settings, freshKeys(b))
			benchmarkPubAckToDesk(b, settings)
		})
	}
}

func benchmarkPubAckToDesk(b *testing.B, settings map[string]string) {
	const desks, stories, pace = 20, 1000, time.Second / 50
	for b.Loop() {
		o := newOpenDesks(b, desks, settings)
		acknowledged := o.publish(stories, pace)
		var took []time.Duration
		for _, d := range o.desks {
			d.until(b, "all stories", func() bool { return len(d.seen) == stories })
			d.mu.Lock()
			for uri, at := range acknowledged {
				if len(d.seen[uri]) != 1 {
					b.Fatalf("%s came %d times", uri, len(d.seen[uri]))
				}
				took = append(took, max(0, d.seen[uri][0].Sub(at)))
			}
			d.mu.Unlock()
		}
		slices.Sort(took)
		at := func(q float64) float64 {
			return float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds()) / 1000
		}
		b.ReportMetric(at(0.5), "p50-ms")
		b.ReportMetric(at(0.99), "p99-ms")
		b.ReportMetric(at(1), "max-ms")
	}
}
