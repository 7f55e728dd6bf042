package dispatch

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/audience"
	"dateline/internal/news"
)

// A plan that was made in the countdown is the one that is sent, and begins when
// the countdown ends, not at a later look.
func TestAForecastIsThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(1000, wishes("JP"))
		d.service.takes = time.Second
		s, stop := d.dispatcher("one")
		defer stop()
		d.holds = 20*time.Second + 17*time.Millisecond
		a := d.alert("story-1", news.LevelFlash, "JP")
		ends := time.Now().Add(d.holds)
		time.Sleep(19 * time.Second)
		synctest.Wait()
		s.forecasts.mu.Lock()
		made := s.forecasts.made[a.ID]
		s.forecasts.mu.Unlock()
		if made == nil || len(made.cells) != news.Cells {
			t.Fatalf("in the countdown: %+v", made)
		}
		d.until("all are out", time.Minute, func() bool { return d.service.total() == 1000 })
		s.book.mu.Lock()
		for _, r := range s.book.runs {
			for cell, c := range r.cells {
				if c.row.Planned != made.cells[cell].plan.Planned {
					t.Errorf("cell %d was planned anew", cell)
				}
			}
		}
		s.book.mu.Unlock()
		first := d.service.times()[0]
		for _, at := range d.service.times() {
			if at.Before(first) {
				first = at
			}
		}
		if late := first.Sub(ends); late < 0 || late > 10*time.Millisecond {
			t.Errorf("the first send began %s after the countdown", late)
		}
		s.forecasts.mu.Lock()
		defer s.forecasts.mu.Unlock()
		if left := len(s.forecasts.made); left != 0 {
			t.Errorf("%d forecasts are kept", left)
		}
	})
}

// An alert that is undone and goes out as another takes nothing from what was
// foreseen, and what nobody asks for is let go.
func TestForecastsOfWhatWasUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(300, wishes("JP"))
		d.devices(200, wishes("KR"))
		s, stop := d.dispatcher("one")
		defer stop()
		d.holds = 20 * time.Second
		a := d.alert("story-1", news.LevelFlash, "JP")
		gone := d.alert("story-2", news.LevelFlash, "JP")
		time.Sleep(10 * time.Second)
		d.press("hold", a.ID)
		d.press("cancel", gone.ID)
		d.change(a.ID, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
			a.State, a.Audience = news.AlertDraft, "KR"
			terms := d.terms()
			terms.Hold, terms.Policy = d.holds, news.PolicyOne
			return news.Start(a, s, editor, a.Hash(), terms)
		})
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		if got := d.service.total(); got != 200 {
			t.Errorf("%d sends", got)
		}
		time.Sleep(2 * forgottenAfter)
		d.holds = 0
		d.alert("story-3", news.LevelFlash, "TW")
		synctest.Wait()
		s.forecasts.mu.Lock()
		defer s.forecasts.mu.Unlock()
		if len(s.forecasts.made) != 0 {
			t.Errorf("kept: %v", s.forecasts.made)
		}
	})
}

func TestTakeAForecast(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	asked := news.Release{AlertID: "a", StoryURI: "s", Level: news.LevelFlash, Audience: "JP", Sections: []string{"world"}, Language: "en",
		Texts: map[string]news.Text{"en": {Title: "x"}, "ja": {Title: "y"}}, ReleasedAt: at}
	for name, c := range map[string]struct {
		change func(r *news.Release)
		later  time.Duration
		caps   int
		want   string
	}{
		"the same":         {want: "holds"},
		"another wording":  {change: func(r *news.Release) { r.Texts = map[string]news.Text{"ja": {Title: "z"}, "en": {Title: "z"}} }, want: "holds"},
		"a little late":    {later: foreseenFor, want: "holds"},
		"late":             {later: foreseenFor + 1, want: "sorted"},
		"before":           {later: -time.Millisecond, want: "sorted"}, // in the minute before
		"caps counted":     {caps: 1, want: "sorted"},
		"another audience": {change: func(r *news.Release) { r.Audience = "KR" }, want: "none"},
		"another level":    {change: func(r *news.Release) { r.Level = news.LevelNotice }, want: "none"},
		"other sections":   {change: func(r *news.Release) { r.Sections = nil }, want: "none"},
		"other languages":  {change: func(r *news.Release) { r.Texts = map[string]news.Text{"en": {Title: "x"}} }, want: "none"},
		"another default":  {change: func(r *news.Release) { r.Language = "ja" }, want: "none"},
		"another story":    {change: func(r *news.Release) { r.StoryURI = "t" }, want: "none"},
		"the last":         {change: func(r *news.Release) { r.Final = true }, want: "none"},
		"another alert":    {change: func(r *news.Release) { r.AlertID = "b" }, want: "none"},
	} {
		f, r := newForecasts(), asked
		f.begin("a", &asked, 0)
		if c.change != nil {
			c.change(&r)
		}
		got := "none"
		if ahead := f.take(&r, at.Add(c.later), c.caps); ahead != nil {
			got = map[bool]string{true: "holds", false: "sorted"}[ahead.holds]
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if again := f.take(&r, at, 0); again != nil {
			t.Errorf("%s: given away twice", name)
		}
	}
}

// What was foreseen of a cell holds for that cell as it was: not after a change,
// such as of an endpoint, nor in another tenure, nor for others than foreseen.
func TestAForecastHoldsForTheCellAsItWas(t *testing.T) {
	was, lines := cellState{change: 5, fence: 1}, map[string][]uint32{origin: {1, 2}}
	foreseen := audience.Plan{Planned: roaring.BitmapOf(1, 2, 3), Held: roaring.BitmapOf(3)}
	ahead := &taken{cells: map[int]foreseenCell{7: {state: was, plan: foreseen, lines: lines}}, holds: true}
	nobody, atOnce := roaring.New(), roaring.BitmapOf(1, 2)
	for name, c := range map[string]struct {
		cell          int
		now           cellState
		sent, numbers *news.Numbers
		plan, sorted  bool
	}{
		"as it was":       {7, was, nobody, atOnce, true, true},
		"changed":         {7, cellState{change: 6, fence: 1}, nobody, atOnce, false, false},
		"in a new tenure": {7, cellState{change: 5, fence: 2}, nobody, atOnce, false, false},
		"another cell":    {8, was, nobody, atOnce, false, false},
		"some had one":    {7, was, roaring.BitmapOf(9), atOnce, false, true},
		"others go":       {7, was, nobody, roaring.BitmapOf(1, 2, 3), true, false},
		"fewer go":        {7, was, nobody, roaring.BitmapOf(1), true, false},
	} {
		_, plan := ahead.plan(c.cell, c.now, c.sent)
		if sorted := ahead.lines(c.cell, c.now, c.numbers) != nil; plan != c.plan || sorted != c.sorted {
			t.Errorf("%s: the plan holds %t, its order %t", name, plan, sorted)
		}
	}
	if _, ok := (*taken)(nil).plan(7, was, nobody); ok || (*taken)(nil).lines(7, was, atOnce) != nil {
		t.Error("what was not foreseen holds")
	}
}

// meanwhile is something that happens while an alert counts down.
type meanwhile struct {
	after  time.Duration
	device int
	what   string
}

// moments are when something happens to devices. Other alerts go out at a moment of
// their own, otherAlerts: who comes just then may or may not be in their plans.
var moments = []time.Duration{time.Second, otherAlerts, 10 * time.Second, 19900 * time.Millisecond, 19999 * time.Millisecond}

const otherAlerts = 5 * time.Second

// at is when it happens.
func (e meanwhile) at() time.Duration {
	if e.what == "other alert" || e.what == "same story" {
		return otherAlerts
	}
	return e.after
}

// Whatever happens in a countdown, the alert goes to those to whom one would go
// that is released without a countdown when it ends.
func TestACountdownChangesNobody(t *testing.T) {
	const countdown = 20 * time.Second
	rapid.Check(t, func(rt *rapid.T) {
		level := rapid.SampledFrom([]news.Level{news.LevelFlash, news.LevelBulletin, news.LevelNotice}).Draw(rt, "level")
		events := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) meanwhile {
			return meanwhile{after: rapid.SampledFrom(slices.DeleteFunc(slices.Clone(moments), func(m time.Duration) bool { return m == otherAlerts })).Draw(rt, "after"),
				device: rapid.IntRange(0, 39).Draw(rt, "device"),
				what:   rapid.SampledFrom([]string{"leave", "mute", "move", "come", "pause", "sleep", "cap", "number", "other alert", "same story", "nothing"}).Draw(rt, "what")}
		}), 0, 12).Draw(rt, "events")
		var got [2]string
		for i, foreseen := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) { got[i] = countedDown(t, foreseen, countdown, level, events) })
		}
		if diff := cmp.Diff(got[0], got[1]); diff != "" {
			rt.Fatalf("without a countdown and with one (-/+):\n%s", diff)
		}
	})
}

// countedDown says who was planned and who held of an alert that was released
// with a countdown, or when it would have ended.
func countedDown(t *testing.T, foreseen bool, countdown time.Duration, level news.Level, events []meanwhile) string {
	d := newDesk(t)
	capped := wishes("JP")
	capped.Cap = 1
	d.devices(5, wishes("KR"))
	devices := append(d.devices(20, wishes("JP")), d.devices(20, capped)...)
	_, stop := d.dispatcher("one")
	defer stop()
	begin := time.Now()
	var a *news.Alert
	if foreseen {
		d.holds = countdown
		a = d.alert("story-1", level, "JP + KR")
		d.holds = 0
	}
	for _, after := range moments {
		time.Sleep(time.Until(begin.Add(after)))
		for _, e := range events {
			if e.at() == after {
				d.happens(e.what, devices[e.device])
			}
		}
	}
	time.Sleep(time.Until(begin.Add(countdown)))
	if !foreseen {
		a = d.alert("story-1", level, "JP + KR")
	}
	d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
	return d.rowsOf(a.ID)
}

func (d *desk) happens(what string, to news.Device) {
	soon, day := time.Now().Add(time.Hour), &news.Quiet{From: 0, To: 23*60 + 59}
	for name, f := range map[string]func(x *news.Device){
		"leave":  func(x *news.Device) { x.State = news.DeviceLeft },
		"mute":   func(x *news.Device) { x.Wishes.MutedStories = []string{"story-1"} },
		"move":   func(x *news.Device) { x.Wishes.Preference.Regions = []string{"ID"} },
		"pause":  func(x *news.Device) { x.Wishes.PausedUntil = soon },
		"sleep":  func(x *news.Device) { x.Wishes.Quiet = day },
		"cap":    func(x *news.Device) { x.Wishes.Cap = 1 },
		"number": func(x *news.Device) { x.Push.Endpoint = strings.Replace(x.Push.Endpoint, "push", "other", 1) },
	} {
		if name == what {
			d.store.changeDevice(news.DeviceRef{Cell: to.Cell, Number: to.Number}, f)
		}
	}
	switch what {
	case "come":
		d.devices(3, wishes("KR"))
	case "other alert":
		d.alert(fmt.Sprint("other ", d.ids.Load()), news.LevelBulletin, "JP")
	case "same story":
		d.alert("story-1", news.LevelBulletin, "KR") // counts for nobody's cap
	}
}

// rowsOf is an alert's first release as the store has it: who was to get it, who
// of them sleeps, who got it.
func (d *desk) rowsOf(alert string) string {
	id := d.releaseOf(alert)
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	out := ""
	for cell := range news.Cells {
		if r := d.store.rows[id][cell]; r != nil && !r.Planned.IsEmpty() {
			out += fmt.Sprintf("%d: planned %v held %v accepted %v\n", cell, r.Planned, r.Held, r.Accepted)
		}
	}
	return out
}
