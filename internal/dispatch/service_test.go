package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
	"dateline/internal/push"
)

const origin = "https://push.example"

func wishes(regions ...string) news.Wishes {
	return news.Wishes{Preference: news.Preference{Regions: regions, Level: news.LevelBulletin}, Language: "en", Timezone: "Asia/Tokyo"}
}

// desk is a test's hands on one dispatcher and its store.
type desk struct {
	inFlight int // requests per push service: few, so that much can happen while an alert goes out
	t        *testing.T
	store    *memory
	service  *service
	ids      atomic.Int64
	// lasts, when set, is how long the alerts made here may be sent.
	lasts time.Duration
	// policy and canary are the terms alerts are released under; "": auto.
	policy news.Policy
	canary bool
	paused atomic.Int64  // told of so many alerts
	final  bool          // the alerts made here are their story's last
	holds  time.Duration // the countdown of alerts made here
	slowly bool          // caps are counted a cell at a time
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, inFlight: 64, store: newMemory(), service: newService()}
}

// terms are those of a release made now.
func (d *desk) terms() news.ReleaseTerms {
	return news.ReleaseTerms{Policy: cmp.Or(d.policy, news.PolicyAuto), Canary: d.canary, Now: time.Now(), NewID: func() string { return fmt.Sprintf("id-%d", d.ids.Add(1)) },
		Navigate: func(*news.Alert, *news.Story) string { return "https://news.example/story" }}
}

// dispatcher starts a dispatcher; stop ends it in order.
func (d *desk) dispatcher(holder string) (s *Service, stop func()) {
	d.t.Helper()
	return d.dispatcherFor(d.store, d.service, holder)
}

func (d *desk) dispatcherOn(store Store, holder string) (s *Service, stop func()) {
	return d.dispatcherFor(store, d.service, holder)
}

func (d *desk) dispatcherWith(sender Sender, holder string) (s *Service, stop func()) {
	return d.dispatcherFor(d.store, sender, holder)
}

func (d *desk) dispatcherFor(store Store, sender Sender, holder string) (s *Service, stop func()) {
	s = New(Config{Store: store, Sender: sender, InFlight: d.inFlight, Links: testLinks, Holder: holder, BaseURL: "https://alerts.example", Terms: d.terms(), Paused: func(news.Alert) { d.paused.Add(1) }})
	if d.slowly {
		s.countFor = 0 // in a bubble no time passes while it is counted
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	over := make(chan error, 1)
	go func() { over <- s.Run(ctx) }()
	<-s.Ready()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-over; err != nil {
			d.t.Errorf("Run: %v", err)
		}
	}
	d.t.Cleanup(stop)
	return s, stop
}

// devices stores n devices over the cells.
func (d *desk) devices(n int, w news.Wishes) []news.Device {
	var out []news.Device
	for i := range n {
		out = append(out, d.store.addDevice(i%news.Cells, w, fmt.Sprintf("%s/%s/%d", origin, w.Preference.Regions[0], d.ids.Add(1))))
	}
	return out
}

// alert releases an alert: at once, unless they count down.
func (d *desk) alert(uri string, level news.Level, audience string) *news.Alert {
	d.t.Helper()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	story := news.Story{URI: uri, Version: 1, Status: news.Usable, Headline: "Headline of " + uri, Regions: []string{"JP"}, Language: "en"}
	d.store.stories[uri] = story
	a := &news.Alert{ID: fmt.Sprintf("00000000-0000-7000-8000-%012d", d.ids.Add(1)), StoryURI: uri, State: news.AlertDraft, Level: level, Audience: audience,
		Language: "en", Texts: map[string]news.Text{"en": {Title: "First " + uri, Body: "Body"}}, CreatedAt: time.Now(), Final: d.final}
	if d.lasts > 0 {
		a.Deadline = time.Now().Add(d.lasts)
	}
	d.store.alerts[a.ID] = a
	by, terms, hash := news.Person{Name: news.SystemName, System: true}, d.terms(), ""
	if terms.Hold = d.holds; d.holds > 0 {
		by, terms.Policy, hash = editor, news.PolicyOne, a.Hash()
	}
	action, err := news.Start(a, &story, by, hash, terms)
	if err != nil {
		d.t.Fatal(err)
	}
	d.store.apply(a, action)
	return a
}

// change is a step of the desk on a stored alert.
func (d *desk) change(id string, f func(a *news.Alert, s *news.Story) (news.AlertAction, error)) {
	d.t.Helper()
	_, err := d.store.ChangeAlert(d.t.Context(), id, func(a *news.Alert, s news.Story) (news.AlertAction, error) { return f(a, &s) })
	if err != nil {
		d.t.Fatal(err)
	}
}

var editor = news.Person{Name: "kim"}

func (d *desk) kill(id string) {
	d.change(id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		return news.Kill(a, s, editor, "wrong", map[string]news.Text{"en": {Title: "Retracted", Body: "It was wrong"}}, d.terms())
	})
}

func (d *desk) correct(id, title string) {
	d.change(id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		return news.Correct(a, s, editor, map[string]news.Text{"en": {Title: title, Body: "Body"}}, d.terms())
	})
}

// until waits, in the bubble's time, until ok holds.
func (d *desk) until(what string, limit time.Duration, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(max(10*time.Millisecond, limit/5000)) {
		synctest.Wait()
		if ok() {
			return
		}
	}
	d.t.Fatalf("%s: not within %s", what, limit)
}

func (d *desk) releases(kind news.ReleaseKind) []news.Release {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	var out []news.Release
	for _, r := range d.store.releases {
		if r.Kind == kind {
			out = append(out, r)
		}
	}
	return out
}

func (d *desk) state(id string) news.AlertState {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	return d.store.alerts[id].State
}

// balanced checks that the states of a release add up.
func (d *desk) balanced(id string) news.Counts {
	d.t.Helper()
	c := d.store.counts(id)
	if sum := c.Held + c.Accepted + c.Gone + c.Failed + c.Ambiguous + c.Pending + c.Cancelled + c.Expired; sum != c.Reachable {
		d.t.Errorf("release %s: the states add up to %d of %d: %+v", id, sum, c.Reachable, c)
	}
	return c
}

func TestAlertReachesExactlyThoseWhoFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		followers := d.devices(1000, wishes("JP"))
		others := d.devices(500, wishes("ID"))
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		for _, f := range followers {
			if got := d.service.to(f.Push.Endpoint); len(got) != 1 || got[0].payload.Notification.Title != "First story-1" {
				t.Fatalf("device %s got %d messages", f.ID, len(got))
			}
		}
		for _, o := range others {
			if len(d.service.to(o.Push.Endpoint)) != 0 {
				t.Fatalf("device %s got a message it does not follow", o.ID)
			}
		}
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 1000 || c.Reachable != 1000 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestRetriesUntilAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(50, wishes("JP"))
		start := time.Now()
		d.service.answer = func(_ push.Target, n int) news.Receipt {
			if n == 0 {
				return news.Receipt{Outcome: news.Retry, Status: 503, After: 20 * time.Second}
			}
			return news.Receipt{Outcome: news.Accepted, Status: 201}
		}
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", 10*time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if took := time.Since(start); took < 20*time.Second {
			t.Errorf("Retry-After was not honoured: all done after %s", took)
		}
		if n := d.service.total(); n != 100 {
			t.Errorf("%d sends, want two for each of 50", n)
		}
		d.balanced(d.releases(news.ReleaseAlert)[0].ID)
	})
}

func TestWhatIsNotAcceptedByTheDeadlineExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.lasts = 5 * time.Minute // the longest wait between two attempts is 64 s
		d.devices(10, wishes("JP"))
		d.service.answer = func(push.Target, int) news.Receipt { return news.Receipt{Outcome: news.Retry, Status: 503} }
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("given up", 3*time.Hour, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Expired != 10 {
			t.Errorf("counts %+v, want 10 expired", c)
		}
	})
}

func TestGoneMarksTheDeviceAndRefusedDoesNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(2, wishes("JP"))
		d.service.answer = func(to push.Target, _ int) news.Receipt {
			if to.Endpoint == devices[0].Push.Endpoint {
				return news.Receipt{Outcome: news.Gone, Status: 410}
			}
			return news.Receipt{Outcome: news.Refused, Status: 403}
		}
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		d.store.mu.Lock()
		defer d.store.mu.Unlock()
		if d.store.devices[0].State != news.DeviceGone || d.store.devices[1].State != news.DeviceActive {
			t.Errorf("states %s and %s", d.store.devices[0].State, d.store.devices[1].State)
		}
	})
}

func TestHoldStopsStartsAndResumeGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond // 64 at a time: 16 s in all
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 500 })
		d.change(a.ID, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) { return news.Hold(a, editor, "wait") })
		pressed := time.Now()
		time.Sleep(30 * time.Second)
		held := d.service.total()
		if held == 2000 {
			t.Fatal("everything went in spite of the hold")
		}
		if late := d.service.after(pressed, 500*time.Millisecond); len(late) > 0 {
			t.Fatalf("a send started %s after the hold", late[0].at.Sub(pressed))
		}
		d.change(a.ID, func(a *news.Alert, _ *news.Story) (news.AlertAction, error) { return news.Resume(a, editor) })
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 2000 {
			t.Errorf("%d sends for 2000 devices", n)
		}
	})
}

// The brake is for the time in which a stop is pressed and not written down yet:
// nothing starts while it is said, and all goes on by itself when it was for
// nothing.
func TestTheBrakeStopsStartsBeforeTheStoreKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		s, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 500 })
		pressed := time.Now()
		for range 40 { // 3.2 s
			s.Brake()
			time.Sleep(80 * time.Millisecond)
		}
		if late := d.service.after(pressed, 0); len(late) > 0 {
			t.Fatalf("a send started %s after the press", late[0].at.Sub(pressed))
		}
		released := time.Now()
		d.until("it goes on", time.Second, func() bool { return len(d.service.after(released, 0)) > 0 })
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if n := d.service.total(); n != 2000 {
			t.Errorf("%d sends for 2000 devices", n)
		}
	})
}

func TestKillInTheMiddleRetractsFromExactlyThoseReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 700 })
		d.kill(a.ID)
		d.until("retracted", time.Minute, func() bool {
			kills := d.releases(news.ReleaseKill)
			return len(kills) == 1 && kills[0].State == news.ReleaseSent
		})
		stop()
		reached := 0
		for _, dev := range devices {
			got := d.service.to(dev.Push.Endpoint)
			switch {
			case len(got) == 0:
			case len(got) == 2 && got[0].payload.Notification.Data.Revision == 1 && got[1].payload.Notification.Title == "Retracted":
				reached++
				if !got[1].payload.Notification.Renotify || got[0].payload.Notification.Tag != got[1].payload.Notification.Tag {
					t.Fatal("the retraction does not replace the alert on the device")
				}
			default:
				t.Fatalf("device %s got %d messages", dev.ID, len(got))
			}
		}
		first, second := d.balanced(d.releases(news.ReleaseAlert)[0].ID), d.balanced(d.releases(news.ReleaseKill)[0].ID)
		if reached == 2000 || first.Accepted != reached || second.Accepted != reached || first.Cancelled != 2000-reached {
			t.Errorf("reached %d; alert %+v; retraction %+v", reached, first, second)
		}
	})
}

func TestCorrectionGoesToTheReachedAsRepairAndToTheRestInstead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 700 })
		d.correct(a.ID, "Corrected")
		pressed := time.Now()
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		old := 0
		for _, dev := range devices {
			got := d.service.to(dev.Push.Endpoint)
			last := got[len(got)-1]
			if last.payload.Notification.Title != "Corrected" || last.payload.Notification.Data.Revision != 2 || len(got) > 2 {
				t.Fatalf("device %s got %d messages, the last one %q", dev.ID, len(got), last.payload.Notification.Title)
			}
			if len(got) == 2 {
				old++
				if got[0].at.Sub(pressed) > 500*time.Millisecond {
					t.Fatalf("the old revision started %s after the correction", got[0].at.Sub(pressed))
				}
			}
		}
		c := d.balanced(d.releases(news.ReleaseAlert)[0].ID)
		if old == 0 || old == 2000 || c.Accepted != old || c.Cancelled != 2000-old {
			t.Errorf("%d got the old revision; counts %+v", old, c)
		}
	})
}

func TestASecondAlertOfTheSameLevelGoesToNobodyTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(20, wishes("JP"))
		_, stop := d.dispatcher("one")
		for _, level := range []news.Level{news.LevelBulletin, news.LevelBulletin, news.LevelFlash} {
			a := d.alert("story-1", level, "JP")
			d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		}
		stop()
		for _, dev := range devices {
			got := d.service.to(dev.Push.Endpoint)
			if len(got) != 2 || got[1].payload.Notification.Data.Level != "flash" || !got[1].payload.Notification.Renotify {
				t.Fatalf("device %s got %d messages", dev.ID, len(got))
			}
		}
	})
}

// Who asked for a story's end alone gets no other alert of it, whatever its
// level, but the corrections of what she had, and its last alert: once, though
// she was sent the story before.
func TestOnlyWhenItIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(20, wishes("JP"))
		elsewhere := d.devices(1, wishes("KR"))[0]
		ask := func(dev news.Device) {
			d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) { x.Wishes.OverStories = []string{"story-1"} })
		}
		_, stop := d.dispatcher("one")
		first := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("sent", time.Minute, func() bool { return d.state(first.ID) == news.AlertSent })
		for i, dev := range devices {
			if i%2 == 0 {
				ask(dev)
			}
		}
		ask(elsewhere)
		flash := d.alert("story-1", news.LevelFlash, "JP")
		d.until("the flash", time.Minute, func() bool { return d.state(flash.ID) == news.AlertSent })
		d.correct(first.ID, "Corrected")
		d.until("the correction", time.Minute, func() bool { return d.service.total() >= 50 })
		d.final = true
		last := d.alert("story-1", news.LevelNotice, "JP")
		d.until("the last", time.Minute, func() bool { return d.state(last.ID) == news.AlertSent })
		stop()
		levels := func(dev news.Device) (out string) {
			for _, got := range d.service.to(dev.Push.Endpoint) {
				out += fmt.Sprintf(" %s %d %v;", got.payload.Notification.Data.Level, got.payload.Notification.Data.Revision, got.payload.Notification.Data.Final)
			}
			return out
		}
		for i, dev := range devices {
			want := " bulletin 1 false; flash 2 false; bulletin 3 false;"
			if i%2 == 0 {
				want = " bulletin 1 false; bulletin 3 false; notice 4 true;"
			}
			if got := levels(dev); got != want {
				t.Errorf("device %d: %s, want %s", i, got, want)
			}
		}
		if got := levels(elsewhere); got != " notice 4 true;" {
			t.Errorf("who follows another place and asked for the end: %s", got)
		}
	})
}

func TestADatabaseThatIsDownPausesAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(2000, wishes("JP"))
		d.service.takes = 200 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 300 })
		d.store.mu.Lock()
		d.store.down = true
		d.store.mu.Unlock()
		cut := time.Now()
		time.Sleep(time.Minute)
		if late := d.service.after(cut, 500*time.Millisecond); len(late) > 0 {
			t.Fatalf("a send started %s after the database went away", late[0].at.Sub(cut))
		}
		d.store.mu.Lock()
		d.store.down = false
		d.store.mu.Unlock()
		d.until("sent", 5*time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if c := d.balanced(d.releases(news.ReleaseAlert)[0].ID); c.Accepted != 2000 {
			t.Errorf("counts %+v", c)
		}
	})
}

func TestAfterACrashNobodyIsWithoutTheAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(1500, wishes("JP"))
		d.service.takes = 400 * time.Millisecond
		// The crash: from one moment on nothing of the first process reaches the
		// store or the services any more.
		dead := &severed{memory: d.store}
		first := New(Config{Store: dead, Sender: dead.sender(d.service), InFlight: 64, Links: testLinks, Holder: "one", BaseURL: "https://alerts.example", Terms: d.terms(), Paused: func(news.Alert) { d.paused.Add(1) }})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- first.Run(ctx) }()
		<-first.Ready()
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 500 })
		dead.cut.Store(true)
		cancel()
		_ = <-over
		time.Sleep(10 * time.Second) // the leases run out
		_, stop := d.dispatcher("two")
		d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		d.correct(a.ID, "Corrected")
		d.until("corrected", time.Minute, func() bool { return d.releases(news.ReleaseCorrection)[0].State == news.ReleaseSent })
		stop()
		repeats := 0
		for _, dev := range devices {
			n := 0
			got := d.service.to(dev.Push.Endpoint)
			for _, m := range got {
				if m.payload.Notification.Data.Revision == 1 {
					n++
				}
			}
			if n == 0 || got[len(got)-1].payload.Notification.Title != "Corrected" {
				t.Fatalf("device %s got the alert %d times and %d messages", dev.ID, n, len(got))
			}
			repeats += n - 1
		}
		// 64 in flight, and the answers of at most 500 ms: 64 every 400 ms.
		if repeats > 64*3 {
			t.Errorf("%d repeats", repeats)
		}
	})
}

// severed is a store, and a sender, that a crash cuts off.
type severed struct {
	*memory
	cut atomic.Bool
}

func (s *severed) SaveLedger(ctx context.Context, holder string, rows []*news.LedgerRow) error {
	if s.cut.Load() {
		return errDown
	}
	return s.memory.SaveLedger(ctx, holder, rows)
}

func (s *severed) YieldCells(ctx context.Context, holder string) error {
	if s.cut.Load() {
		return errDown
	}
	return s.memory.YieldCells(ctx, holder)
}

func (s *severed) sender(to *service) Sender { return severedSender{s, to} }

type severedSender struct {
	s  *severed
	to *service
}

func (s severedSender) Reserve(context.Context, string, int) (push.Room, *news.Receipt) {
	return oneByOne{s, ""}, nil
}

func (s severedSender) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	if s.s.cut.Load() {
		return news.Receipt{Outcome: news.Retry}
	}
	return s.to.Send(ctx, to, m)
}

func TestQuietHoursHoldAndOneMorningPushStandsForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := wishes("JP")
		w.Quiet = &news.Quiet{From: 22 * 60, To: 7 * 60, Flash: true}
		tokyo, err := time.LoadLocation("Asia/Tokyo")
		if err != nil {
			t.Fatal(err)
		}
		night := time.Date(2024, 2, 7, 6, 54, 0, 0, tokyo)
		time.Sleep(time.Until(night)) // the bubble's clock starts in 2000
		sleeping := d.devices(3, w)
		awake := d.devices(3, wishes("JP"))
		_, stop := d.dispatcher("one")
		var alerts []*news.Alert
		for i, level := range []news.Level{news.LevelBulletin, news.LevelBulletin, news.LevelFlash, news.LevelBulletin} {
			a := d.alert(fmt.Sprintf("story-%d", i), level, "JP")
			alerts = append(alerts, a)
			time.Sleep(time.Second)
			d.until("sent to those awake", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		}
		d.kill(alerts[3].ID)
		d.until("the night's sends", time.Minute, func() bool { return d.service.total() == 3*4+3+3 })
		stop() // a restart in the night forgets nobody
		_, stop = d.dispatcher("two")
		time.Sleep(time.Until(time.Date(2024, 2, 7, 7, 2, 0, 0, tokyo)))
		stop()
		for _, dev := range sleeping {
			got := d.service.to(dev.Push.Endpoint)
			if len(got) != 2 || got[0].payload.Notification.Title != "First story-2" {
				t.Fatalf("%s got %d messages in the night and the morning", dev.ID, len(got))
			}
			morning := got[1]
			if at := morning.at.In(tokyo); at.Hour() != 7 || at.Minute() > 1 {
				t.Errorf("the morning push came at %s", at)
			}
			if morning.payload.Notification.Title != "First story-1" || morning.payload.Notification.Body != "Body (and 1 more)" {
				t.Errorf("the morning push says %q %q", morning.payload.Notification.Title, morning.payload.Notification.Body)
			}
		}
		if n := len(d.service.to(awake[0].Push.Endpoint)); n != 5 {
			t.Errorf("an awake device got %d messages, want 4 alerts and a retraction", n)
		}
		for _, r := range d.releases(news.ReleaseAlert) {
			if c := d.balanced(r.ID); c.Held != 0 || c.Pending != 0 {
				t.Errorf("%s: %+v", r.StoryURI, c)
			}
		}
	})
}

func TestTheCapCountsPerLocalDayAndSurvivesARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := wishes("JP")
		w.Cap, w.Timezone = 2, "UTC"
		time.Sleep(23*time.Hour + 57*time.Minute) // the bubble's clock starts at midnight UTC
		dev := d.devices(1, w)[0]
		_, stop := d.dispatcher("one")
		send := func(i int, level news.Level) {
			a := d.alert(fmt.Sprintf("story-%d", i), level, "JP")
			d.until("sent", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		}
		send(1, news.LevelBulletin)
		send(2, news.LevelFlash) // passes, and uses nothing up
		stop()
		_, stop = d.dispatcher("two")
		send(3, news.LevelBulletin)
		send(4, news.LevelBulletin) // one too many
		time.Sleep(4 * time.Minute)
		send(5, news.LevelBulletin)
		stop()
		var titles []string
		for _, m := range d.service.to(dev.Push.Endpoint) {
			titles = append(titles, m.payload.Notification.Title)
		}
		if got := fmt.Sprint(titles); got != "[First story-1 First story-2 First story-3 First story-5]" {
			t.Errorf("got %s", got)
		}
	})
}

func TestAHangingServiceSlowsItsOwnLaneOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for i := range 16_000 {
			host := origin
			if i%2 == 0 {
				host = "https://hanging.example"
			}
			d.store.addDevice(i%news.Cells, wishes("JP"), fmt.Sprintf("%s/%d", host, i))
		}
		hang := hanging{d.service}
		s := New(Config{Store: d.store, Sender: hang, Links: testLinks, Holder: "one", BaseURL: "https://alerts.example", Terms: d.terms(), Paused: func(news.Alert) { d.paused.Add(1) }})
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- s.Run(ctx) }()
		<-s.Ready()
		start := time.Now()
		d.alert("story-1", news.LevelBulletin, "JP")
		d.until("the healthy half", time.Minute, func() bool { return d.service.total() == 8_000 })
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("the healthy service took %s beside one that hangs", took)
		}
		cancel()
		_ = <-over
	})
}

// hanging never answers for one host.
type hanging struct{ *service }

func (h hanging) Reserve(context.Context, string, int) (push.Room, *news.Receipt) {
	return oneByOne{h, ""}, nil
}

func (h hanging) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	if push.Origin(to.Endpoint) == "https://hanging.example" {
		wait(ctx, 10*time.Second)
		return news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
	}
	return h.service.Send(ctx, to, m)
}

func TestWithoutALeaseNothingStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 300 })
		// Another process takes every cell, as it may once a lease has run out.
		d.store.mu.Lock()
		for c := range news.Cells {
			d.store.owner[c] = "other"
			d.store.fence[c]++
			d.store.until[c] = time.Now().Add(time.Hour)
		}
		d.store.mu.Unlock()
		taken := time.Now()
		time.Sleep(20 * time.Second)
		stop()
		if late := d.service.after(taken, 4*time.Second); len(late) > 0 { // two thirds of the lease of 6 s
			t.Fatalf("a send started %s after the cells were lost", late[0].at.Sub(taken))
		}
	})
}

func TestLeavingAndMutingStopSendsAfterThePlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		devices := d.devices(2000, wishes("JP"))
		d.service.takes = 500 * time.Millisecond
		_, stop := d.dispatcher("one")
		a := d.alert("story-1", news.LevelBulletin, "JP")
		d.until("some are out", time.Minute, func() bool { return d.service.total() > 300 })
		left := time.Now()
		for _, dev := range devices {
			d.store.changeDevice(news.DeviceRef{Cell: dev.Cell, Number: dev.Number}, func(x *news.Device) {
				if dev.Number%2 == 0 {
					x.State = news.DeviceLeft
				} else {
					x.Wishes.MutedStories = []string{"story-1"}
				}
			})
		}
		d.until("over", time.Minute, func() bool { return d.state(a.ID) == news.AlertSent })
		stop()
		if late := d.service.after(left, time.Second); len(late) > 0 {
			t.Fatalf("a send started %s after its reader had left", late[0].at.Sub(left))
		}
	})
}
