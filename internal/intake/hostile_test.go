package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/bus"
	"dateline/internal/news"
)

// The hostile inputs T01 to T14 of reliability.md: each is refused or set
// aside, the consumer lives, and the next message is handled.

// line is a real NATS with the intake behind it.
type line struct {
	t       *testing.T
	bus     *bus.Bus
	store   *fakeStore
	service *Service
	handled chan news.Disposition
}

func newLine(t *testing.T) *line {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	l := &line{t: t, bus: b, store: newFakeStore(), handled: make(chan news.Disposition, 100)}
	l.service = newService(t, l.store)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- b.ConsumeStories(ctx, func(ctx context.Context, m bus.Message) func() bus.Disposition {
			finish := l.service.Take(ctx, m)
			return func() bus.Disposition {
				d := finish()
				l.handled <- d
				return d
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the consumer died: %v", err)
		}
		b.Close()
	})
	return l
}

func (l *line) publish(ev news.StoryEvent) error {
	return l.bus.PublishStory(l.t.Context(), news.StoryEvent{Headers: ev.Headers, Body: ev.Body})
}

// send publishes and waits for what becomes of it.
func (l *line) send(ev news.StoryEvent) news.Disposition {
	l.t.Helper()
	if err := l.publish(ev); err != nil {
		l.t.Fatal(err)
	}
	return l.next()
}

func (l *line) next() news.Disposition {
	l.t.Helper()
	select {
	case d := <-l.handled:
		return d
	case <-time.After(60 * time.Second):
		l.t.Fatal("nothing was handled")
	}
	panic("unreachable")
}

// lives checks that a good story after a bad one is stored.
func (l *line) lives() {
	l.t.Helper()
	if d := l.send(event(l.t, with(map[string]any{"uri": "urn:next"}))); d != news.Ack() {
		l.t.Errorf("the next message: %+v", d)
	}
	l.store.story(l.t, "urn:next")
}

// aside checks that the one bad event was set aside for the reason.
func (l *line) aside(d news.Disposition, reason string) {
	l.t.Helper()
	if !d.Done || d.Reason == "" {
		l.t.Errorf("not set aside: %+v", d)
	}
	letter := l.store.onlyLetter(l.t)
	if got := problems(l.t, &news.InvalidError{Problems: letter.Problems}); !strings.Contains(got, reason) {
		l.t.Errorf("%q lacks %q", got, reason)
	}
}

// refused checks that the decoder refuses each body for the reason.
func refused(t *testing.T, reason string, bodies ...string) {
	t.Helper()
	d := newDecoder(t)
	for _, body := range bodies {
		_, err := d.Decode(news.StoryEvent{Body: []byte(body)})
		if err == nil {
			t.Errorf("accepted: %.80q", body)
			continue
		}
		if got := problems(t, err); !strings.Contains(got, reason) {
			t.Errorf("%.80q: %q lacks %q", body, got, reason)
		}
	}
}

// refusedWith checks that the story with these changes is refused.
func refusedWith(t *testing.T, reason string, changes ...map[string]any) {
	t.Helper()
	for _, c := range changes {
		refused(t, reason, string(event(t, with(c)).Body))
	}
}

func TestT01_DeepJSON(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.aside(l.send(news.StoryEvent{Body: bytes.Repeat([]byte("["), 200_000)}), "nests deeper than 32 levels")
	l.lives()
	// Two million do not even get to us; were they to, size comes first.
	if err := l.publish(news.StoryEvent{Body: bytes.Repeat([]byte("["), 2_000_000)}); !errors.Is(err, news.ErrTooLarge) {
		t.Errorf("two million: %v", err)
	}
	refused(t, "bytes; at most 262144", strings.Repeat("[", 2_000_000))
	refused(t, "nests deeper", strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 40)+"1", strings.Repeat(`[{"`, 20_000))
	refused(t, "is not JSON", "[", strings.Repeat("[", 32), `{"a":"`)
}

func TestT02_HugeHeadline(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	huge := func(size int) news.StoryEvent {
		return event(t, with(map[string]any{"headline": strings.Repeat("x", size)}))
	}
	if err := l.publish(huge(5 << 20)); !errors.Is(err, news.ErrTooLarge) {
		t.Errorf("five megabytes: %v", err)
	}
	if status, _ := post(t, newDoor(t, newFakeStore()), string(huge(5<<20).Body), adminKey, nil); status != http.StatusRequestEntityTooLarge {
		t.Errorf("by HTTP: %d", status)
	}
	l.aside(l.send(huge(300<<10)), "the event has 307") // too large for us, not for the stream
	l.lives()
	refusedWith(t, "headline: has 1001 characters; at most 1000 are allowed", map[string]any{"headline": strings.Repeat("x", 1001)})
}

func TestT03_BrokenText(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	good := string(event(t, with(nil)).Body)
	inHeadline := func(s string) string { return strings.Replace(good, "Rice", s, 1) }
	l.aside(l.send(news.StoryEvent{Body: []byte(inHeadline("\xff"))}), "not valid UTF-8 (byte")
	l.lives()
	refused(t, "not valid UTF-8", inHeadline("\xc3"), inHeadline("\xed\xa0\x80"), inHeadline("\xf5\x80\x80\x80"), good+"\xff")
	refused(t, "half a surrogate pair", inHeadline(`\ud800`), inHeadline(`\udc00`), inHeadline(`\ud83d\ud83d\ude00`), inHeadline(`\ud83dx`), inHeadline(`\uD83D\n`))
	refused(t, "NUL", inHeadline(`\u0000`), inHeadline("\x00"))
	if _, err := newDecoder(t).Decode(news.StoryEvent{Body: []byte(inHeadline(`\ud83d\ude00 \\ud800 \\\\u0000 \u3042`))}); err != nil {
		t.Errorf("whole pairs and escaped backslashes: %v", err)
	}
}

func TestT04_BidiAndZeroWidth(t *testing.T) {
	t.Parallel()
	s, err := decode(t, with(map[string]any{"headline": "\u202egnp.exe\u202c Rice\u2066\u2067\u2068\u2069\u200b\ufeff می\u200cخواهم"}))
	if err != nil || s.Headline != "gnp.exe Rice می\u200cخواهم" {
		t.Errorf("%q, %v", s.Headline, err)
	}
}

func TestT05_Markup(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"<script>alert(1)</script>Rice":                     "Rice",
		"Rice<img src=x onerror=alert(1)>":                  "Rice",
		"</title><script>alert(1)</script>Rice":             "Rice",
		"Rice<!-- unclosed <script>alert(1)</script>":       "Rice",
		"<svg/onload=alert(1)>Rice":                         "Rice",
		"&lt;img src=x onerror=alert(1)&gt;Rice":            "Rice",
		"<scr<script>ipt>Rice":                              "ipt>Rice",
		"<plaintext><b>Rice":                                "Rice",
		"<textarea></textarea><title><b>Rice</b></title>":   "Rice",
		"<a href='javascript:alert(1)'>Rice</a>":            "Rice",
		"<iframe srcdoc='<script>x</script>'></iframe>Rice": "Rice",
	} {
		s, err := decode(t, with(map[string]any{"headline": in, "body": []string{in}}))
		if err != nil || s.Headline != want || !slices.Equal(s.Body, []string{want}) {
			t.Errorf("%q: %q, %q, %v", in, s.Headline, s.Body, err)
		}
	}
	refusedWith(t, "headline: has no text once markup", map[string]any{"headline": "<!-- Rice"}, map[string]any{"headline": "<script>Rice</script>"})
}

func TestT06_ScriptLinks(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"javascript:alert(1)", "data:text/html,<script>", "JaVaScRiPt:alert(1)", "\tjavascript:alert(1)", "vbscript:x"} {
		refusedWith(t, "url: ", map[string]any{"url": link})
		refusedWith(t, "image/url: ", map[string]any{"image": map[string]any{"url": link}})
	}
}

func TestT07_SchemelessLinks(t *testing.T) {
	t.Parallel()
	for _, link := range []string{"//evil/", "//evil/path", "///evil/", `\\evil\`, "/\\evil/", "https:evil", "http://evil/", "https://news.example@evil/"} {
		refusedWith(t, "url: ", map[string]any{"url": link})
	}
	if _, err := newDecoder(t, "news.example").Decode(event(t, with(map[string]any{"url": "https://evil.example/"}))); err == nil {
		t.Error("a foreign host was accepted")
	}
}

func TestT08_OtherBodySameVersion(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.send(event(t, with(map[string]any{"version": 1})))
	if d := l.send(event(t, with(map[string]any{"version": 1, "headline": "Another"}))); d != news.Ack() {
		t.Errorf("got %+v", d)
	}
	if l.store.conflicts != 1 || l.store.story(t, "https://news.example/rice").Headline != "Rice prices rise in Manila" || len(l.store.releases) != 1 {
		t.Errorf("%d conflicts, %d releases", l.store.conflicts, len(l.store.releases))
	}
	l.lives()
}

func TestT09_VersionGoesBack(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.send(event(t, with(map[string]any{"version": 5})))
	if d := l.send(event(t, with(map[string]any{"version": 4, "breaking": true}))); d != news.Ack() {
		t.Errorf("got %+v", d)
	}
	if got := l.store.story(t, "https://news.example/rice"); got.Version != 5 || len(l.store.alerts[got.URI]) != 1 || l.service.Figures().Older != 1 {
		t.Errorf("version %d, %+v", got.Version, l.service.Figures())
	}
	l.lives()
}

func TestT10_StrangeDates(t *testing.T) {
	t.Parallel()
	refusedWith(t, "versioncreated: is 1970-01-01T00:00:00Z: before there was anything on line", map[string]any{"versioncreated": "1970-01-01T00:00:00Z"})
	refusedWith(t, "versioncreated: is 2099-01-01T00:00:00Z: more than 5 minutes ahead of our clock", map[string]any{"versioncreated": "2099-01-01T00:00:00Z"})
	refusedWith(t, "more than 5 minutes ahead", map[string]any{"versioncreated": clock().Add(maxAhead + time.Second)})
	refusedWith(t, "versioncreated: must be an RFC 3339 time", map[string]any{"versioncreated": "0000-00-00T00:00:00Z"},
		map[string]any{"versioncreated": "2024-05-06"}, map[string]any{"versioncreated": "99999-01-01T00:00:00Z"}, map[string]any{"versioncreated": "2024-06-30T23:59:60Z"})
	if _, err := decode(t, with(map[string]any{"versioncreated": clock().Add(maxAhead)})); err != nil {
		t.Errorf("five minutes: %v", err)
	}
	// Old, but possible: stored, and raises nothing.
	store := newFakeStore()
	newService(t, store).Handle(t.Context(), event(t, with(map[string]any{"versioncreated": "2003-03-20T02:34:00Z", "breaking": true})))
	if got := store.story(t, "https://news.example/rice"); len(store.alerts[got.URI]) != 0 {
		t.Errorf("raised %+v", store.alerts[got.URI])
	}
}

func TestT11_StrangeRegions(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.aside(l.send(event(t, with(map[string]any{"regions": []string{"JP", "*"}}))), "regions/1: “*” is not a known region")
	l.lives()
	for _, code := range []string{"XX", "*", ">", "JP.*", "stories.>", "JP-", "", " ", "JP + TW", "\u202eJP", strings.Repeat("J", 40)} {
		refusedWith(t, "regions/0: ", map[string]any{"regions": []string{code}})
	}
	refusedWith(t, "regions: has 10000 entries; at most 50 are allowed", map[string]any{"regions": slices.Repeat([]string{"JP"}, 10_000)})
	if _, err := decode(t, with(map[string]any{"regions": []string{"jp", "TW", "HK", "MO", "035", "SAARC"}})); err != nil {
		t.Errorf("known ones: %v", err)
	}
}

func TestT12_MessageIDs(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	ev := event(t, with(map[string]any{"version": 1}))
	for range 3 { // without an id: handled three times, one story
		l.send(ev)
	}
	if got := l.service.Figures(); got.Stored != 1 || got.Duplicates != 2 || len(l.store.releases) != 1 {
		t.Errorf("without ids: %+v", got)
	}
	// The same id on different stories is the publisher's fault: the stream
	// drops the second, and nothing of ours minds.
	ev.Headers = map[string][]string{"Nats-Msg-Id": {"same"}}
	other := event(t, with(map[string]any{"uri": "urn:other"}))
	other.Headers = ev.Headers
	l.send(ev)
	if err := l.publish(other); err != nil {
		t.Fatal(err)
	}
	l.lives() // had the other one come, it would have been next
	if len(l.store.stories["urn:other"]) != 0 {
		t.Error("the stream let a repeated id pass")
	}
}

func TestT13_HugeHeaders(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	ev := event(t, with(nil))
	ev.Headers = map[string][]string{"x-trace": {strings.Repeat("h", 64<<10)}}
	if err := l.publish(ev); !errors.Is(err, news.ErrTooLarge) { // JetStream's own limit
		t.Errorf("64 KiB: %v", err)
	}
	ev.Headers["x-trace"][0] = ev.Headers["x-trace"][0][:63<<10]
	l.aside(l.send(ev), "headers: have 64519 bytes; at most 16384 are allowed")
	l.lives()
}

func TestT14_StoryThatAlwaysCrashes(t *testing.T) {
	t.Parallel()
	l := newLine(t)
	l.store.saved = make(chan news.DeadLetter, 1)
	l.store.crash = func(s news.Story) {
		if s.URI == "https://news.example/rice" {
			panic("poison")
		}
	}
	l.send(event(t, with(nil)))
	l.lives() // it holds nobody up
	select {  // within 5 s: TestPanicIsCountedLikeACrash adds up the waits
	case d := <-l.store.saved:
		if !strings.Contains(d.Problems[0].Message, "took the process down 5 times") || !json.Valid(d.Body) {
			t.Errorf("got %+v", d)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("never set aside")
	}
	if got := l.service.Figures(); got.Panics != maxCrashes {
		t.Errorf("got %+v", got)
	}
}
