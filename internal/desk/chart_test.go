package desk

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
)

// went is a release of 1,000 devices that was accepted at an even pace over ten
// seconds, but for ten that slept.
func went() View {
	f := news.ReleaseFigures{Counts: news.Counts{Intended: 1020, Reachable: 1010, Accepted: 1000, Gone: 6, Failed: 4, Shown: 250}}
	for i := range 990 {
		f.Timing.Record(noon, noon.Add(time.Duration(i+1)*10*time.Millisecond))
	}
	for range 10 {
		f.Timing.Record(noon, noon.Add(9*time.Hour))
	}
	return View{First: &Sent{Release: news.Release{ID: "r", ReleasedAt: noon, Deadline: noon.Add(time.Hour)}, Figures: f}}
}

func TestTheChartOfTime(t *testing.T) {
	c := chartOf(went(), nil)
	if c.Later != 10 || len(c.Marks) != 3 || c.Marks[1].Share != "90 %" || len(c.Rows) != chartSlices/tableSlices {
		t.Errorf("%+v", c)
	}
	for i, want := range []float64{4.95, 8.91, 9.8} { // to 5 %
		var got float64
		if _, err := fmt.Sscanf(c.Marks[i].Within, "%f s", &got); err != nil || got < want*0.95 || got > want*1.05 {
			t.Errorf("%s within %s, want about %v s (%v)", c.Marks[i].Share, c.Marks[i].Within, want, err)
		}
	}
	if last := c.Rows[len(c.Rows)-1]; last.Total != "990" || c.Rows[3].Rate != "100" && c.Rows[3].Rate != "99" {
		t.Errorf("the table: %+v", c.Rows)
	}
	want := []string{"Intended: 1020 devices matched. Accepted by their push services: 1000, 98.0 % of these.",
		"Reachable: 1010 of them, without 10 in quarantine. Accepted: 99.0 % of these.",
		"Reported: 250 devices say that they showed it, of 1000 that were asked: 25.0 %. An estimate: not every browser reports."}
	for i, got := range c.Denominators {
		if got != want[i] {
			t.Errorf("%q, want %q", got, want[i])
		}
	}
	if c.Counted || chartOf(View{}, nil) != nil {
		t.Error("what nobody counted is shown")
	}
	if off := denominators(news.Counts{Intended: 10, Reachable: 10, Accepted: 9}, true); !strings.Contains(off[2], "not measured") {
		t.Errorf("without tracking the desk says %q", off[2])
	}
	many := denominators(news.Counts{Intended: 1_000_000, Reachable: 1_000_000, Accepted: 500_000, Shown: 5_000}, false)
	if !strings.Contains(many[2], "of about 10000 that were asked: 50.0 %") {
		t.Errorf("a sample: %s", many[2])
	}
	if none := chartOf(View{First: &Sent{}}, nil); none.Line != "" || none.Says != "Nothing was accepted yet." {
		t.Errorf("before the first: %+v", none)
	}
}

func TestTheChartByServiceAndPlace(t *testing.T) {
	here := Progress{Cells: 100, Services: map[string]news.Counts{
		"https://fcm.googleapis.com":                {Reachable: 60, Accepted: 30, Pending: 30},
		"https://wns2-a.notify.windows.com":         {Reachable: 10, Accepted: 10},
		"https://wns2-b.notify.windows.com":         {Reachable: 10, Gone: 4, Failed: 6},
		"https://push.example":                      {Reachable: 5, Held: 5},
		"":                                          {Reachable: 1, Ambiguous: 1},
		"https://updates.push.services.mozilla.com": {Reachable: 2, Accepted: 2},
	}, Places: map[string]news.Counts{"JP": {Reachable: 9}}}
	for i := range 12 {
		here.Places[fmt.Sprint("ID-", i)] = news.Counts{Reachable: 1}
	}
	c := chartOf(went(), &here)
	if c.Here != 100 || c.Elsewhere != 156 || len(c.Services) != 5 || len(c.Places) > chartLines+1 || c.Places[0].Name != "Japan" {
		t.Errorf("%+v", c)
	}
	google, windows := c.Services[0], c.Services[1]
	if google.Name != "Google (Chrome, Android)" || google.Percent != 50 || google.Waiting != 30 || google.AcceptedTo != "50.00" {
		t.Errorf("%+v", google)
	}
	if windows.Name != "Microsoft (Edge, Windows)" || windows.Reachable != 20 || windows.Accepted != 10 || windows.Lost != 10 || windows.LostWidth != "50.00" {
		t.Errorf("%+v", windows)
	}
}

// The chart comes with the page, and anew when a count changes; every open page
// shares one count.
func TestTheChartIsLive(t *testing.T) {
	l := newLobby(t)
	counted := 0
	l.pages.progress = func(context.Context, string) (Progress, error) {
		counted++
		return Progress{Cells: 256, Places: map[string]news.Counts{"JP": {Reachable: 10, Accepted: 5, Pending: 5}}}, nil
	}
	_, to := l.press(t, ann, "/desk/raise", url.Values{"story": {storyURI}})
	if strings.Contains(l.read(t, ann, to), `class="chart"`) {
		t.Error("a draft has a chart")
	}
	l.press(t, ann, to+"/release", url.Values{"hash": {hashOn(t, l.read(t, ann, to))}})
	l.desk.begin(t, strings.TrimPrefix(to, "/desk/alerts/"))
	for range 3 {
		body := l.read(t, ann, to)
		for _, want := range []string{"How it goes out", "Intended: 0 devices matched", "Japan", "5 of 10 (50&nbsp;%)", "By push service"} {
			if !strings.Contains(body, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	}
	if counted != 1 {
		t.Errorf("three pages counted %d times", counted)
	}
	server := httptest.NewServer(l.handler)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	open := streamOf(t, server, to+"/events", l.as(ann), "")
	if first, second := open.event(t), open.event(t); !strings.Contains(first, `data-state="sending"`) || !strings.Contains(second, "5 of 10 (50&nbsp;%)") {
		t.Errorf("live: %s, then %s", first, second)
	}
}

// An alert of which nothing is on its way is counted once, however long somebody
// looks, and an open page leaves it alone until there is a step.
func TestWhatIsOverIsCountedOnce(t *testing.T) {
	l := newLobby(t)
	counted := 0
	l.pages.progress = func(context.Context, string) (Progress, error) {
		counted++
		return Progress{Cells: 256}, nil
	}
	v := l.desk.draft(t, ann, Writing{})
	must(t)(l.desk.Release(t.Context(), ann, v.Alert.ID, v.Alert.Hash()))
	l.desk.begin(t, v.Alert.ID)
	l.desk.mem.figures[l.desk.mem.releases[0].ID] = news.ReleaseFigures{Counts: news.Counts{Intended: 9, Reachable: 9, Accepted: 8, Pending: 1}}
	at := noon
	l.pages.progresses.now = func() time.Time { at = at.Add(time.Hour); return at } // nothing stays fresh
	look := func() bool {
		t.Helper()
		v, err := l.desk.Alert(t.Context(), v.Alert.ID)
		if err != nil || l.pages.chart(t.Context(), v) == nil {
			t.Fatal(err)
		}
		return v.final()
	}
	first := look()
	if second := look(); first || second || counted != 2 {
		t.Errorf("on its way it is final, or was counted %d times", counted)
	}
	l.desk.mem.figures[l.desk.mem.releases[0].ID] = news.ReleaseFigures{Counts: news.Counts{Intended: 9, Reachable: 9, Accepted: 8, Held: 1}}
	l.desk.mem.releases[0].State = news.ReleaseSent
	if look() {
		t.Error("one who sleeps still gets it, and it is final")
	}
	l.desk.mem.figures[l.desk.mem.releases[0].ID] = news.ReleaseFigures{Counts: news.Counts{Intended: 9, Reachable: 9, Accepted: 9}}
	for before := counted; counted < before+1; {
		if !look() {
			t.Fatal("nothing is on its way, and it is not final")
		}
	}
	after := counted
	for range 5 {
		look()
	}
	if counted != after {
		t.Errorf("what is over was counted %d times more", counted-after)
	}
	resting := rest{}
	if !resting.over(t.Context(), l.pages) {
		t.Error("the first look is put off")
	}
	resting = rest{until: time.Now().Add(time.Hour)}
	if resting.over(t.Context(), l.pages) {
		t.Error("it is looked at again at once")
	}
	l.stories.change(news.Alert{ID: v.Alert.ID, StoryURI: storyURI})
	if !resting.over(t.Context(), l.pages) {
		t.Error("a step is not looked at")
	}
}

func TestAllOfManyIsAHundredPerCent(t *testing.T) {
	for n := range 1_000 {
		if p := partOf("x", news.Counts{Reachable: n + 1, Accepted: n + 1}); p.Percent != 100 {
			t.Fatalf("%d of %d is %d %%", n+1, n+1, p.Percent)
		}
	}
	if p := partOf("x", news.Counts{Reachable: 1_000, Accepted: 999}); p.Percent != 99 {
		t.Errorf("999 of 1000 is %d %%", p.Percent)
	}
}
