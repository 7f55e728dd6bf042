package app

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"dateline/internal/dispatch"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/simulate"
	"dateline/internal/web"
)

// room is a running program with a newsroom that is signed in.
type room struct {
	*App
	t       *testing.T
	cookies map[string]string
}

func newRoom(t *testing.T, env map[string]string) *room {
	t.Helper()
	r := openRoom(t, env)
	r.signIn("Ann", news.RoleEditor)
	r.signIn("Bao", news.RoleEditor)
	r.signIn("Rita", news.RoleReporter)
	return r
}

// openRoom is newRoom without anybody in it.
func openRoom(t *testing.T, env map[string]string) *room {
	t.Helper()
	set := map[string]string{"DATELINE_DATA": t.TempDir(), "DATELINE_LISTEN": "127.0.0.1:0", "DATELINE_OPS_LISTEN": "127.0.0.1:0",
		"DATELINE_HOLD": "0s", "DATELINE_VAPID_SUBJECT": "https://dateline.example"}
	for name, value := range env {
		set[name] = value
	}
	cfg, err := Load(func(name string) string { return set[name] })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	a, err := Open(ctx, cfg, discard())
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- a.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-over, a.Close()); err != nil {
			t.Errorf("the program stopped with %v", err)
		}
	})
	r := &room{a, t, map[string]string{}}
	r.until("the program runs", func() bool {
		a.drills.mu.Lock()
		defer a.drills.mu.Unlock()
		return a.drills.base != nil
	})
	return r
}

func (r *room) signIn(name string, role news.Role) {
	r.t.Helper()
	ctx, soon := r.t.Context(), time.Now().Add(time.Hour)
	cookie, hash := web.NewSession()
	for _, err := range []error{
		r.store.AddEditor(ctx, news.Editor{Name: name, Role: role}, news.SystemName),
		r.store.Invite(ctx, name, "invitation of "+name, soon, news.SystemName),
		r.store.Join(ctx, "invitation of "+name, news.Account{Editor: name, Password: "none", Secret: []byte("sixteen bytes of")}),
		r.store.SignIn(ctx, news.Account{Editor: name, Password: "none"}, 1, hash, soon),
	} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
	r.cookies[name] = cookie
}

func (r *room) until(what string, done func() bool) {
	r.t.Helper()
	limit, tick := time.After(time.Minute), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			r.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// ask makes a request as somebody ("" : nobody) and gives status, place to go
// to, and page. A form makes it a POST.
func (r *room) ask(who, path string, form url.Values) (status int, to, page string) {
	r.t.Helper()
	method, body := http.MethodGet, io.Reader(nil)
	if form != nil {
		method, body = http.MethodPost, strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, r.URL()+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if who != "" {
		req.AddCookie(&http.Cookie{Name: "desk", Value: r.cookies[who]})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("Location"), string(raw)
}

// must is ask with the status that has to come.
func (r *room) must(want int, who, path string, form url.Values) (to, page string) {
	r.t.Helper()
	status, to, page := r.ask(who, path, form)
	if status != want {
		r.t.Fatalf("%s, %s: %d, want %d\n%s", who, path, status, want, page)
	}
	return to, page
}

func (r *room) says(page string, want ...string) {
	r.t.Helper()
	for _, w := range want {
		if !strings.Contains(page, w) {
			r.t.Errorf("the page lacks %q:\n%s", w, page)
		}
	}
}

func (r *room) startDrill(o drillOptions) *drill {
	r.t.Helper()
	if o.Policies == nil {
		o.Policies = news.Policies{news.LevelFlash: news.PolicyOne, news.LevelBulletin: news.PolicyOne, news.LevelNotice: news.PolicyOne}
	}
	o.By, o.BaseURL, o.Sessions, o.Mood = "Ann", r.baseURL(), r.store.Session, moodHealthy
	if err := r.drills.start(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
	return r.drills.running()
}

// canary is a listener on loopback that nobody may call.
type canary struct {
	net.Listener
	calls atomic.Int32
}

func newCanary(t *testing.T) *canary {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &canary{Listener: l}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.calls.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close() })
	return c
}

// Whatever stands in a drill's database, no byte of it leaves for anything but
// the drill's own simulated services, and the real sender is not involved.
func TestADrillCanReachNobody(t *testing.T) {
	canary := newCanary(t)
	realService, err := simulate.NewPushService(simulate.PushOptions{Name: "real"})
	if err != nil {
		t.Fatal(err)
	}
	defer realService.Close()
	realPhone, err := realService.NewPhone()
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, realService.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRoom(t, map[string]string{"DATELINE_PUSH_ORIGINS": realService.Origin() + ",http://" + canary.Addr().String(), "DATELINE_PUSH_CA": ca})
	// The same device is a real reader's, too.
	importDevices(t, r.store.ImportSubscriptions, realPhone.Subscription())

	d := r.startDrill(drillOptions{Devices: 20, odd: func(q *simulate.PushRequest) *simulate.PushAnswer {
		if q.Post == 1 && q.Total%2 == 0 { // a service that sends us elsewhere
			return &simulate.PushAnswer{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {"http://" + canary.Addr().String() + "/x"}}}
		}
		return nil
	}})
	var mu sync.Mutex
	connected := map[string]bool{}
	d.gate.dialler.Control = func(_, address string, _ syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		connected[address] = true
		return nil
	}
	r.until("the phones are there", func() bool { _, all := d.ready(); return all })
	port := canary.Addr().(*net.TCPAddr).Port
	own := strings.TrimPrefix(d.services[0].Origin(), "https://127.0.0.1")
	foreign := []string{"https://fcm.googleapis.com/fcm/send/a", "https://jmt17.google.com/fcm/send/a", "https://android.googleapis.com/gcm/send/a",
		"https://updates.push.services.mozilla.com/wpush/v2/a", "https://web.push.apple.com/a", "https://sg2p.notify.windows.com/w/?token=a",
		"https://203.0.113.7/a", "https://[2001:4860:4860::8888]/a", "http://" + canary.Addr().String() + "/a", "https://" + canary.Addr().String() + "/a",
		"https://localhost:" + itoa(port) + "/a", "https://localhost" + own + "/fcm/send/a", "https://push.elsewhere.example/a", "http://169.254.169.254/latest",
		r.URL() + "/api/v1/receipts"}
	subs := []news.PushSubscription{realPhone.Subscription()}
	for _, endpoint := range foreign {
		s := realPhone.Subscription()
		s.Endpoint = endpoint
		subs = append(subs, s)
	}
	importDevices(t, d.store.ImportSubscriptions, subs...)
	_ = d.wakes.Wake("devices")
	r.until("the foreign devices are known", func() bool { return d.dispatch.Audience().Size().Active == 20+len(subs) })

	in, err := d.injectNext(t.Context(), "Ann")
	if err != nil {
		t.Fatal(err)
	}
	views, err := d.desk.AlertsOfStory(t.Context(), in.URI)
	if err != nil || len(views) != 1 {
		t.Fatalf("%d alerts, %v", len(views), err)
	}
	id, ann := views[0].Alert.ID, person("Ann")
	edit := drillEdit("142")
	if _, err := d.desk.Edit(t.Context(), ann, id, edit); err != nil {
		t.Fatal(err)
	}
	v, err := d.desk.Alert(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.desk.Release(t.Context(), ann, id, v.Alert.Hash()); err != nil {
		t.Fatal(err)
	}
	r.until("everything is settled", func() bool {
		active, err := d.store.ActiveReleases(t.Context())
		v, _ = d.desk.Alert(t.Context(), id)
		return err == nil && len(active) == 0 && v.First != nil
	})
	c := v.First.Figures.Counts
	if c.Failed < len(subs) || c.Accepted == 0 {
		t.Errorf("%d of the foreign devices failed, want all %d; %d accepted", c.Failed, len(subs), c.Accepted)
	}
	mu.Lock()
	defer mu.Unlock()
	for address := range connected {
		if !slices.Contains(d.gate.own, address) {
			t.Errorf("the drill connected to %s", address)
		}
	}
	if len(connected) == 0 || len(connected) > len(d.services) {
		t.Errorf("connected to %v", connected)
	}
	if canary.calls.Load() != 0 || realService.Requests() != 0 {
		t.Errorf("the canary was called %d times, the real service %d", canary.calls.Load(), realService.Requests())
	}
	if f := r.dispatch.Figures(); f.Sends.Load() != 0 {
		t.Errorf("the real dispatcher sent %d messages", f.Sends.Load())
	}
}

// Were the list of origins ever wrong, the gate alone would hold: it dials its
// own listeners by their address, and looks no name up.
func TestTheGateDialsItsOwnOnly(t *testing.T) {
	canary := newCanary(t)
	g := newGate([]string{"127.0.0.1:1"})
	g.dialler.Control = func(_, address string, _ syscall.RawConn) error {
		t.Errorf("connects to %s", address)
		return errGate
	}
	for _, address := range []string{canary.Addr().String(), "localhost:1", "fcm.googleapis.com:443", "[::1]:1", "127.0.0.2:1", "127.0.0.1:01", ""} {
		if _, err := g.dial(t.Context(), "tcp", address); !errors.Is(err, errGate) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if _, err := g.dial(t.Context(), "udp", "127.0.0.1:1"); !errors.Is(err, errGate) {
		t.Error(err)
	}
	if g.refused.Load() != 8 || g.passed.Load() != 0 || canary.calls.Load() != 0 {
		t.Errorf("%d refused, %d passed, %d calls", g.refused.Load(), g.passed.Load(), canary.calls.Load())
	}
}

// A message that does not bear the word is not sent by a drill.
func TestADrillSendsNothingUnmarked(t *testing.T) {
	d, err := openDrill(t.Context(), drillOptions{Folder: t.TempDir(), Devices: 1, Mood: moodHealthy, BaseURL: drillSite})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	}()
	phone, err := d.services[0].NewPhone()
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]news.Outcome{
		`{"web_push":8030,"notification":{"title":"An earthquake","data":{"alert":"a","revision":1}}}`:         news.Refused,
		`{"web_push":8030,"notification":{"title":"DRILL · An earthquake","data":{"alert":"a","revision":1}}}`: news.Accepted,
		`not json`: news.Refused,
	} {
		if got := sendOne(t, d.starts, target(phone), message(payload)); got.Outcome != want {
			t.Errorf("%s: %+v", payload, got)
		}
	}
	if shown := phone.Shown(); len(shown) != 1 || !marked(shown[0]) {
		t.Errorf("the phone shows %+v", shown)
	}
}

// sendOne sends one message as the dispatcher does.
func sendOne(t *testing.T, sender dispatch.Sender, to push.Target, m push.Message) news.Receipt {
	t.Helper()
	room, fault := sender.Reserve(t.Context(), push.Origin(to.Endpoint), 1)
	if room == nil {
		t.Fatalf("no room: %+v", fault)
	}
	var got receipts = make(chan news.Receipt, 1)
	room.Send(t.Context(), []push.Outgoing{{To: to, Message: m}}, func(int, int) error { return nil }, got, nil)
	return <-got
}

// receipts are those of the messages of a room.
type receipts chan news.Receipt

func (c receipts) Report(reports []push.Report) {
	for _, r := range reports {
		c <- r.Receipt
	}
}

// Editors rehearse as themselves: the drill's pages know the desk's sign-ins
// and roles, and the rule of the second person; nothing of it is in the real
// database but that it was held, and its report.
func TestADrillOnTheDesk(t *testing.T) {
	r := newRoom(t, nil)
	r.must(http.StatusForbidden, "Rita", "/desk/drill/start", url.Values{"devices": {"30"}, "mood": {"healthy"}})
	_, page := r.must(http.StatusBadRequest, "Ann", "/desk/drill/start", url.Values{"devices": {"50001"}, "mood": {"odd"}, "two": {"1"}})
	r.says(page, "Devices must be a number from 1 to 50000", "Services must be one of", `name="two" value="1" checked`, `value="50001"`)
	if r.drills.running() != nil {
		t.Fatal("a refused form started a drill")
	}
	if to, _ := r.must(http.StatusSeeOther, "Ann", "/drill/desk", nil); to != "/desk/drill" {
		t.Errorf("without a drill its pages lead to %s", to)
	}
	before := r.rows()
	r.must(http.StatusSeeOther, "Ann", "/desk/drill/start", url.Values{"devices": {"60"}, "mood": {"healthy"}, "two": {"1"}})
	r.must(http.StatusConflict, "Bao", "/desk/drill/start", url.Values{"devices": {"60"}, "mood": {"healthy"}})
	d := r.drills.running()
	r.until("the phones are there", func() bool { _, all := d.ready(); return all })

	if to, _ := r.must(http.StatusSeeOther, "", "/drill/desk/alerts", nil); to != "/desk/signin?next=%2Fdrill%2Fdesk%2Falerts" {
		t.Errorf("who is not signed in is sent to %s", to)
	}
	for _, path := range []string{"/drill/desk/signin", "/drill/desk/signout", "/drill/desk/join/x"} {
		if status, _, page := r.ask("Ann", path, url.Values{}); status != http.StatusNotFound || !strings.Contains(page, "DRILL") {
			t.Errorf("%s: %d\n%s", path, status, page)
		}
	}
	r.walk(d)

	_, page = r.must(http.StatusOK, "Rita", "/desk", nil)
	r.says(page, "<title>LIVE · ", ">LIVE</strong>", "started by <bdi>Ann</bdi>")
	for _, path := range []string{"/drill/desk", "/drill/desk/alerts", "/drill/desk/audit", "/drill/desk/aside", "/drill/phones"} {
		_, page = r.must(http.StatusOK, "Rita", path, nil)
		r.says(page, "<title>DRILL · ", ">DRILL</strong>", `<body class="desk drill">`)
		if strings.Contains(page, "LIVE ·") {
			t.Errorf("%s says LIVE", path)
		}
	}
	r.says(page, "<b>DRILL · Rehearsed</b>")

	r.must(http.StatusForbidden, "Rita", "/desk/drill/end", url.Values{})
	to, _ := r.must(http.StatusSeeOther, "Bao", "/desk/drill/end", url.Values{})
	r.checkReport(to)
	if _, page := r.must(http.StatusOK, "Rita", "/drill/desk/wire/events", nil); page != "event: end\ndata: over\n\n" {
		t.Errorf("an open page is told %q", page)
	}
	r.checkLeftovers(before)
	_, page = r.must(http.StatusOK, "Rita", "/desk", nil)
	if strings.Contains(page, "LIVE") || strings.Contains(page, "DRILL") {
		t.Errorf("after the drill the live page says\n%s", page)
	}
}

// walk takes an alert of the drill from a story to a kill, on its pages.
func (r *room) walk(d *drill) {
	r.t.Helper()
	r.must(http.StatusSeeOther, "Rita", "/desk/drill/next", url.Values{})
	_, page := r.must(http.StatusOK, "Rita", "/drill/desk/alerts", nil)
	found := regexp.MustCompile(`/drill/desk/alerts/([0-9a-f-]{36})`).FindStringSubmatch(page)
	if found == nil {
		r.t.Fatalf("no alert:\n%s", page)
	}
	path := found[0]
	hash := func() url.Values {
		_, page := r.must(http.StatusOK, "Ann", path, nil)
		return url.Values{"hash": {regexp.MustCompile(`data-hash="([0-9a-f]{64})"`).FindStringSubmatch(page)[1]}}
	}
	form := hash()
	for name, value := range map[string]string{"level": "flash", "audience": "142", "title.en": "Rehearsed", "body.en": "Nothing has happened."} {
		form.Set(name, value)
	}
	r.must(http.StatusSeeOther, "Ann", path+"/edit", form)
	r.must(http.StatusSeeOther, "Ann", path+"/submit", url.Values{})
	r.must(http.StatusForbidden, "Ann", path+"/approve", hash())
	r.must(http.StatusForbidden, "Rita", path+"/approve", hash())
	r.must(http.StatusForbidden, "Ann", path+"/release", hash())
	r.must(http.StatusSeeOther, "Bao", path+"/approve", hash())
	r.must(http.StatusForbidden, "Rita", path+"/release", hash())
	r.must(http.StatusSeeOther, "Ann", path+"/release", hash())
	settled := func() bool {
		v, err := d.desk.Alert(r.t.Context(), found[1])
		active, err2 := d.store.ActiveReleases(r.t.Context())
		return err == nil && err2 == nil && v.First != nil && v.First.Figures.Counts.Accepted > 0 && len(active) == 0
	}
	r.until("it has gone", settled)
	_, page = r.must(http.StatusOK, "Rita", "/drill/phones", nil)
	r.says(page, "<b>DRILL · Rehearsed</b>")
}

// checkReport reads the report in its three forms.
func (r *room) checkReport(path string) {
	r.t.Helper()
	_, page := r.must(http.StatusOK, "Rita", path, nil)
	r.says(page, "report of", "HOLD", "story visible to released", "Ann", "Bao")
	_, file := r.must(http.StatusOK, "Rita", path+"/report.html", nil)
	r.says(file, "<title>DRILL · ", "story visible to released")
	_, raw := r.must(http.StatusOK, "Rita", path+"/report.json", nil)
	var report DrillReport
	if err := json.Unmarshal([]byte(raw), &report); err != nil {
		r.t.Fatal(err)
	}
	if len(report.Faults) > 0 || report.StartedBy != "Ann" || report.EndedBy != "Bao" || report.Devices != 60 || report.Refused != 0 || len(report.Stories) != 1 {
		r.t.Errorf("the report: %+v", report)
	}
	if !slices.Contains(report.NotRehearsed, "killing") || slices.Contains(report.NotRehearsed, "releasing") {
		r.t.Errorf("not rehearsed: %v", report.NotRehearsed)
	}
	if len(report.Alerts) != 1 || len(report.Alerts[0].Releases) != 1 {
		r.t.Fatalf("alerts: %+v", report.Alerts)
	}
	sent := report.Alerts[0].Releases[0]
	if !sent.Agrees || sent.Accepted == 0 || sent.AtServices != sent.Accepted || sent.P99 == nil {
		r.t.Errorf("the send: %+v", sent)
	}
	var took []string
	for _, s := range report.Alerts[0].Steps {
		if s.Action == "edit" || s.Action == "submit" || s.Action == "approve" || s.Action == "release" {
			took = append(took, s.By+" "+s.Action)
		}
	}
	if got := strings.Join(took, ", "); got != "Ann edit, Ann submit, Bao approve, Ann release" {
		r.t.Errorf("who did what: %s", got)
	}
}

// rows counts the rows of every table of the real database.
func (r *room) rows() map[string]int {
	r.t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(r.cfg.Data, databaseFile))
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	tables, err := db.Query("SELECT name FROM sqlite_schema WHERE type = 'table'")
	if err != nil {
		r.t.Fatal(err)
	}
	defer tables.Close()
	var names []string
	for tables.Next() {
		var name string
		if err := tables.Scan(&name); err != nil {
			r.t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := tables.Err(); err != nil {
		r.t.Fatal(err)
	}
	counts := map[string]int{}
	for _, name := range names {
		var n int
		if err := db.QueryRow("SELECT COUNT(*) FROM " + name).Scan(&n); err != nil {
			r.t.Fatal(err)
		}
		counts[name] = n
	}
	return counts
}

// checkLeftovers: one line in drills, two in the audit trail, and no folder.
func (r *room) checkLeftovers(before map[string]int) {
	r.t.Helper()
	for table, n := range r.rows() {
		if more := n - before[table]; more != map[string]int{"drills": 1, "audit": 2}[table] {
			r.t.Errorf("the drill left %d more rows in %s of the real database", more, table)
		}
	}
	trail, err := r.store.Audit(r.t.Context(), 2)
	if err != nil || len(trail) != 2 || trail[0].Action != "drill end" || trail[0].By != "Bao" || trail[1].Action != "drill start" || trail[1].By != "Ann" {
		r.t.Errorf("the real audit trail: %+v, %v", trail, err)
	}
	if left, _ := filepath.Glob(filepath.Join(r.cfg.Data, drillFolders)); len(left) > 0 {
		r.t.Errorf("left behind: %v", left)
	}
}

// A copy of a real story has an address of its own, and the story stays as it is.
func TestARealStoryIsCopiedIntoADrill(t *testing.T) {
	r := newRoom(t, nil)
	body := `{"uri":"https://news.example/1","headline":"Real","url":"https://news.example/1","regions":["JP"],"versioncreated":"` + time.Now().UTC().Format(time.RFC3339) + `","translations":{"ja":{"headline":"本物"}}}`
	if done := r.intake.Handle(t.Context(), news.StoryEvent{Body: []byte(body), At: time.Now()}); done != news.Ack() {
		t.Fatalf("%+v", done)
	}
	d := r.startDrill(drillOptions{Devices: 1})
	_, page := r.must(http.StatusOK, "Rita", "/desk/drill", nil)
	r.says(page, "Copy into the drill", `value="https://news.example/1"`)
	r.must(http.StatusSeeOther, "Rita", "/desk/drill/copy", url.Values{"story": {"https://news.example/1"}})
	r.must(http.StatusNotFound, "Rita", "/desk/drill/copy", url.Values{"story": {"https://news.example/none"}})
	copies, err := d.store.NewestStored(t.Context(), 10)
	if err != nil || len(copies) != 1 || copies[0].Headline != "Real" || copies[0].Translations["ja"].Headline != "本物" {
		t.Fatalf("%+v, %v", copies, err)
	}
	if s := copies[0]; !strings.HasPrefix(s.URI, drillSite) || !strings.HasPrefix(s.URL, drillSite) {
		t.Errorf("the copy leads back: %s, %s", s.URI, s.URL)
	}
}

// A drill is over when its process is; what a crash left is removed and closed
// at the next start.
func TestADrillEndsWithItsProcess(t *testing.T) {
	folder := t.TempDir()
	left := filepath.Join(folder, "drill-left")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	var id string
	t.Run("stopped", func(t *testing.T) {
		r := newRoom(t, map[string]string{"DATELINE_DATA": folder, "DATELINE_LISTEN": listen})
		if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder of a drill that was cut off: %v", err)
		}
		id = r.startDrill(drillOptions{Devices: 5}).ID
		lost := news.DrillRecord{ID: "lost", Place: r.drills.place, StartedAt: time.Now(), StartedBy: "Ann", Until: time.Now().Add(time.Hour)}
		if err := r.store.BeginDrill(t.Context(), lost, ""); err != nil {
			t.Fatal(err)
		}
	})
	again := newRoomApp(t, folder, listen)
	for want, name := range map[string]string{"ended with its process": id, "": "lost"} {
		d, err := again.store.Drill(t.Context(), name)
		if err != nil || d.EndedAt.IsZero() || !strings.Contains(string(d.Report), want) || (want == "") != (len(d.Report) == 0) {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// stubBook is a drillBook in memory that does something while a drill is begun.
type stubBook struct {
	drillBook
	onBegin func()
	ended   []string
}

func (b *stubBook) BeginDrill(context.Context, news.DrillRecord, string) error {
	b.onBegin()
	return nil
}

func (b *stubBook) EndDrill(_ context.Context, _, _, detail string, _ []byte) error {
	b.ended = append(b.ended, detail)
	return nil
}

// A process that stops while a drill is being made leaves nothing running and
// nothing behind.
func TestADrillStartedIntoAStop(t *testing.T) {
	book, folder := &stubBook{}, t.TempDir()
	r := &drillRoom{book: book, folder: folder, log: discard(), base: t.Context()}
	book.onBegin = func() {
		if err := r.stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
	err := r.start(t.Context(), drillOptions{Devices: 5, Mood: moodHealthy, Policies: news.Policies{news.LevelFlash: news.PolicyOne}, BaseURL: drillSite})
	if !errors.Is(err, news.ErrUnavailable) || r.running() != nil || len(book.ended) != 1 {
		t.Errorf("%v; it runs: %v; ends: %q", err, r.running() != nil, book.ended)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

// A drill whose report can't be made is over all the same, and nobody takes part
// in one that is ending.
func TestADrillWithoutAReportIsOver(t *testing.T) {
	book := &stubBook{}
	d, err := openDrill(t.Context(), drillOptions{Folder: t.TempDir(), Devices: 5, Mood: moodHealthy, Policies: news.Policies{news.LevelFlash: news.PolicyOne}, BaseURL: drillSite})
	if err != nil {
		t.Fatal(err)
	}
	r := &drillRoom{book: book, log: discard(), base: t.Context(), current: d}
	r.busy = "ending"
	if r.taking() != nil {
		t.Error("people take part in a drill that is ending")
	}
	r.busy = ""
	if err := d.store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.end(t.Context(), "Ann", "ended by Ann"); err == nil || r.running() != nil ||
		!slices.Equal(book.ended, []string{"ended by Ann; there is no report"}) {
		t.Errorf("%v; it runs: %v; ends: %q", err, r.running() != nil, book.ended)
	}
}

// The script goes the whole way and finds nothing wrong.
func TestDrillCommand(t *testing.T) {
	t.Parallel() // it waits for its own countdowns
	var out strings.Builder
	if err := Drill(t.Context(), DrillRun{Devices: 90, JSON: true, Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var report DrillReport
	if err := json.Unmarshal([]byte(out.String()), &report); err != nil {
		t.Fatal(err)
	}
	if len(report.NotRehearsed) != 0 || len(report.Alerts) != 2 || len(report.Alerts[0].Releases) != 3 || report.Alerts[0].State != "killed" ||
		len(report.Alerts[1].Releases) != 0 || report.Alerts[1].State != "cancelled" {
		t.Errorf("%s", out.String())
	}
	for _, words := range []string{"DRILL report", "Undo pressed to the last send that started", "HOLD pressed to the last send that started", "agrees", "no faults"} {
		if !strings.Contains(report.Text(), words) {
			t.Errorf("the text lacks %q:\n%s", words, report.Text())
		}
	}
	if err := Drill(t.Context(), DrillRun{Devices: 1, Out: &out}); err == nil {
		t.Error("one device is no drill")
	}
}

// What did not work is a fault of the report.
func TestTheReportNamesFaults(t *testing.T) {
	r := DrillReport{Refused: 2, Alerts: []DrillAlert{{Title: "A", Spans: []DrillSpan{{spanKill, 0.7}, {spanHold, 0.2}},
		Releases: []DrillRelease{{Revision: 1, Accepted: 3, AtServices: 2}, {Revision: 2, Accepted: 1, AtServices: 1, Agrees: true}}}}}
	r.judge(errors.New("broken"))
	if got := strings.Join(r.Faults, "\n"); len(r.Faults) != 4 || !strings.Contains(got, "0.70 s") || !strings.Contains(got, "revision 1") || !strings.Contains(got, "broken") {
		t.Errorf("faults:\n%s", got)
	}
}
