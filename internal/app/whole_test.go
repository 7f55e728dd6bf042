package app_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/simulate"
	"dateline/internal/store/storetest"
)

// onBoth runs the test with SQLite and with a real Postgres.
func onBoth(t *testing.T, fn func(t *testing.T, settings ...string)) {
	t.Run("sqlite", func(t *testing.T) { fn(t) })
	t.Run("postgres", func(t *testing.T) { fn(t, withPostgres(t, storetest.Postgres(t))...) })
}

// withPostgres are the settings of a program that keeps its data there, fresh
// keys among them.
func withPostgres(t *testing.T, url string) []string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, err := (&program{t: t, path: path, env: cleanEnv()}).run("", "keys")
	if err != nil {
		t.Fatalf("keys: %v\n%s", err, out)
	}
	settings := []string{"DATABASE_URL=" + url}
	for line := range strings.SplitSeq(strings.TrimSpace(out), "\n") {
		if !strings.HasPrefix(line, "DATELINE_ADMIN_KEY") {
			settings = append(settings, line)
		}
	}
	return settings
}

// TestTheMainJob goes the whole way through the public doors: subscribe,
// publish, receive, hold, kill, leave; sign up for the digest, confirm, get
// it, unsubscribe.
func TestTheMainJob(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, settings ...string) {
		got := newAnswers()
		modern := service(t, simulate.PushOptions{Name: "modern", OnShown: got.shown})
		old := service(t, simulate.PushOptions{Name: "old", HTTP1: true, Authority: modern.Authority(), OnShown: got.shown})
		mail, err := simulate.NewMailServer(simulate.MailOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mail.Close() })
		p := newProgram(t, []*simulate.PushService{modern, old}, mail, settings...)
		began := time.Now()
		p.start()
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("ready after %s", took)
		}
		w := &wholeTest{t: t, p: p, got: got, mail: mail, services: []*simulate.PushService{modern, old}}
		t.Run("subscriptions", w.subscriptions)
		t.Run("alerts", w.alerts)
		t.Run("digests", w.digests)
		if took := p.terminate(); took > 10*time.Second {
			t.Errorf("SIGTERM took %s", took)
		}
		p.start()
		if took := p.terminate(); took > 10*time.Second {
			t.Errorf("SIGTERM took %s", took)
		}
	})
}

type wholeTest struct {
	t        *testing.T
	p        *program
	got      *answers
	mail     *simulate.MailServer
	services []*simulate.PushService
}

// titles is what a phone shows.
func titles(p *simulate.Phone) string {
	var out []string
	for _, n := range p.Shown() {
		out = append(out, n.Title)
	}
	return strings.Join(out, " | ")
}

func (w *wholeTest) subscriptions(t *testing.T) {
	p := w.p
	p.t = t
	phone := phones(t, w.services[0], 1)[0]
	var first, second struct{ ID, Token string }
	body := subscription(phone, "JP")
	if code := p.callAs("", "POST", "/api/v1/subscriptions", body, &first); code != http.StatusCreated {
		t.Fatalf("new: %d", code)
	}
	if code := p.callAs("", "POST", "/api/v1/subscriptions", body, &second); code != http.StatusOK || second.ID != first.ID {
		t.Fatalf("again: %d %+v", code, second)
	}
	stolen := subscription(phone, "ID")
	stolen["subscription"].(map[string]any)["keys"].(map[string]string)["auth"] = base64url([]byte("another 16 bytes"))
	if code := p.callAs("", "POST", "/api/v1/subscriptions", stolen, nil); code != http.StatusConflict {
		t.Errorf("T37: another auth for a known endpoint: %d, want 409", code)
	}
	door := "/api/v1/subscriptions/" + first.ID
	if code := p.callAs("wrong", "GET", door, nil, nil); code != http.StatusUnauthorized && code != http.StatusNotFound {
		t.Errorf("a wrong token: %d", code)
	}
	var read map[string]any
	if code := p.callAs(first.Token, "GET", door, nil, &read); code != http.StatusOK {
		t.Errorf("read: %d", code)
	}
	uri := "https://news.example/subscriptions/1"
	p.story(uri, "For a new reader")
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == 1 })
	if got := titles(phone); got != "For a new reader" {
		t.Errorf("the phone shows %q", got)
	}
	if code := p.callAs(first.Token, "PATCH", door, map[string]any{"regions": []string{"ID"}}, nil); code != http.StatusOK {
		t.Errorf("change: %d", code)
	}
	uri = "https://news.example/subscriptions/2"
	p.story(uri, "Not hers any more")
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Intended == 0 })
	if code := p.callAs(first.Token, "PATCH", door, map[string]any{"regions": []string{"JP"}}, nil); code != http.StatusOK {
		t.Errorf("change: %d", code)
	}
	if code := p.callAs(first.Token, "DELETE", door, nil, nil); code >= 300 {
		t.Errorf("leave: %d", code)
	}
	uri = "https://news.example/subscriptions/3"
	p.story(uri, "She has left")
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Intended == 0 })
	if got := titles(phone); got != "For a new reader" {
		t.Errorf("after leaving the phone shows %q", got)
	}
}

func (w *wholeTest) alerts(t *testing.T) {
	p := w.p
	p.t = t
	var all []*simulate.Phone
	for _, s := range w.services {
		all = append(all, phones(t, s, 150)...)
	}
	p.importPhones(all, "JP")
	others := phones(t, w.services[0], 50)
	p.importPhones(others, "TH")

	uri := "https://news.example/alerts/1"
	p.publish(uri, "Sent to Japan")
	a := p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" })
	if a.Counts.Accepted != len(all) || a.Counts.Intended != len(all) {
		t.Errorf("counts %+v", a.Counts)
	}
	if a.Times.P50 == nil || a.Times.FirstAccepted == "" {
		t.Errorf("times %+v", a.Times)
	}
	if out, err := p.run("", "alert", "kill", a.ID, "--reason", "It did not happen."); err != nil {
		t.Fatalf("kill: %v\n%s", err, out)
	}
	p.alert(uri, "retracted", func(a alertAnswer) bool {
		return a.State == "killed" && len(a.Repairs) == 1 && a.Repairs[0].Counts.Accepted == len(all)
	})
	for _, phone := range all {
		shown := phone.Shown()
		if len(shown) != 1 || shown[0].Revision != 2 || shown[0].Title == "Sent to Japan" {
			t.Fatalf("after the kill a phone shows %+v", shown)
		}
	}
	for _, phone := range others {
		if len(phone.Received()) != 0 {
			t.Fatal("a phone that follows Thailand got an alert about Japan")
		}
	}
	w.holdFromTheCommandLine(t, len(all))
	w.twoEditors(t)
}

// holdFromTheCommandLine holds a send under way, sees that it stays, resumes.
func (w *wholeTest) holdFromTheCommandLine(t *testing.T, n int) {
	p := w.p
	for _, s := range w.services {
		s.SetRate(40)
	}
	uri := "https://news.example/alerts/2"
	p.story(uri, "To be held")
	a := p.alert(uri, "under way", func(a alertAnswer) bool { return a.Counts.Accepted > 10 })
	if out, err := p.run("", "alert", "hold", a.ID); err != nil {
		t.Fatalf("hold: %v\n%s", err, out)
	}
	held := p.alert(uri, "held", func(a alertAnswer) bool { return a.State == "held" })
	for _, s := range w.services {
		s.SetRate(0)
	}
	if held.Counts.Accepted >= n {
		t.Fatal("everything had gone before the hold")
	}
	if out, err := p.run("", "alert", "resume", a.ID); err != nil {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == n })
}

var lastLine = regexp.MustCompile(`(?m)^(\S+)\s*\z`)

// twoEditors: an alert drafted through the API under a level that needs two
// people. (The policy of the running program is auto; the rights of keys are
// what is tried here, the rules of two in package desk.)
func (w *wholeTest) twoEditors(t *testing.T) {
	p := w.p
	for _, name := range []string{"Kim", "Lee"} {
		if out, err := p.run("", "editor", "add", name, "--role", "editor"); err != nil {
			t.Fatalf("editor: %v\n%s", err, out)
		}
	}
	out, err := p.run("", "apikey", "add", "--editor", "Kim", "--scopes", "alerts:read,alerts:draft")
	if err != nil {
		t.Fatalf("apikey: %v\n%s", err, out)
	}
	key := lastLine.FindStringSubmatch(out)[1]
	uri := "https://news.example/alerts/3"
	body := storyBody(uri, "A story for the desk")
	body["breaking"], body["regions"] = false, []string{"KR"}
	if code := p.call("POST", "/api/v1/stories", body, nil); code != http.StatusAccepted {
		t.Fatalf("story: %d", code)
	}
	var alert alertAnswer
	if code := p.callAs(key, "POST", "/api/v1/alerts", map[string]any{"story": uri, "level": "bulletin", "audience": "JP + KR"}, &alert); code != http.StatusCreated {
		t.Fatalf("draft: %d", code)
	}
	if code := p.callAs(key, "POST", "/api/v1/alerts/"+alert.ID+"/release", map[string]any{"hash": alert.Hash}, nil); code != http.StatusForbidden {
		t.Errorf("release with a key that may only draft: %d, want 403", code)
	}
	if code := p.call("POST", "/api/v1/alerts/"+alert.ID+"/release", map[string]any{"hash": strings.Repeat("0", 64)}, nil); code != http.StatusConflict {
		t.Errorf("release with a stale hash: %d, want 409", code)
	}
	if code := p.call("POST", "/api/v1/alerts/"+alert.ID+"/release", map[string]any{"hash": alert.Hash}, nil); code != http.StatusOK {
		t.Errorf("release: %d", code)
	}
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Level == "bulletin" })
}

var confirmLink = regexp.MustCompile(`https?://[^\s"<>]+/confirm/[^\s"<>]+`)

func (w *wholeTest) digests(t *testing.T) {
	p := w.p
	p.t = t
	const reader = "reader@mailbox.example"
	signup := map[string]any{"email": reader, "regions": []string{"JP"}, "timezone": "Asia/Tokyo", "language": "en", "hour": 7}
	for range 2 {
		if code := p.callAs("", "POST", "/api/v1/digests", signup, nil); code != http.StatusAccepted {
			t.Fatalf("sign up: %d", code)
		}
	}
	confirm := w.waitMails(t, reader, 1)[0]
	text, _, err := confirm.Parts()
	if err != nil {
		t.Fatal(err)
	}
	link, err := url.Parse(confirmLink.FindString(text))
	if err != nil || link.Path == "" {
		t.Fatalf("no confirm link in %q", text)
	}
	if code := p.callAs("", "GET", link.Path, nil, nil); code != http.StatusOK {
		t.Fatalf("GET confirm: %d", code)
	}
	at := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	var figures struct{ Due, Sent, Deferred, Empty, Failed, Unknown int }
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": at}, &figures); code != http.StatusOK || figures.Due != 0 {
		t.Fatalf("a GET confirmed: %d %+v", code, figures)
	}
	if code := p.form(link.Path); code >= 400 {
		t.Fatalf("POST confirm: %d", code)
	}
	p.story("https://news.example/digest/1", "Read it in the morning")
	p.alert("https://news.example/digest/1", "sent", func(a alertAnswer) bool { return a.State == "sent" })
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": at}, &figures); code != http.StatusOK || figures.Sent != 1 {
		t.Fatalf("run: %d %+v", code, figures)
	}
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": at}, &figures); code != http.StatusOK || figures.Sent != 0 {
		t.Fatalf("the same run again: %d %+v", code, figures)
	}
	mails := w.waitMails(t, reader, 2)
	digest := mails[len(mails)-1]
	text, html, err := digest.Parts()
	if err != nil || !strings.Contains(text, "Read it in the morning") || !strings.Contains(html, "Read it in the morning") {
		t.Fatalf("the digest lacks the story: %v\n%s", err, text)
	}
	header, err := digest.Header()
	if err != nil {
		t.Fatal(err)
	}
	if header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Errorf("List-Unsubscribe-Post: %q", header.Get("List-Unsubscribe-Post"))
	}
	unsubscribe := regexp.MustCompile(`<(http[^>]+)>`).FindStringSubmatch(header.Get("List-Unsubscribe"))
	link, err = url.Parse(unsubscribe[1])
	if err != nil {
		t.Fatal(err)
	}
	if code := p.callAs("", "GET", link.Path, nil, nil); code != http.StatusOK {
		t.Errorf("GET unsubscribe: %d", code)
	}
	for range 2 {
		if code := p.oneClick(link.Path); code != http.StatusOK {
			t.Errorf("one click: %d", code)
		}
	}
	p.story("https://news.example/digest/2", "Nobody reads this")
	later := time.Now().Add(26*time.Hour - time.Minute).UTC().Format(time.RFC3339)
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": later}, &figures); code != http.StatusOK || figures.Sent != 0 {
		t.Errorf("after leaving: %d %+v", code, figures)
	}
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": time.Now().Add(30 * time.Hour).UTC().Format(time.RFC3339)}, nil); code != http.StatusUnprocessableEntity {
		t.Errorf("more than 26 h ahead: %d, want 422", code)
	}
}

// waitMails waits for the n-th mail to the address.
func (w *wholeTest) waitMails(t *testing.T, address string, n int) []simulate.Mail {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if mails := w.mail.To(address); len(mails) >= n {
			return mails
		}
	}
	t.Fatalf("%d mails to the reader, want %d\n%s", len(w.mail.To(address)), n, w.p.stderr)
	return nil
}

// form posts an empty form, as the confirm page's button does.
func (p *program) form(path string) int { return p.postForm(path, url.Values{}) }

// oneClick is a mailbox provider's RFC 8058 request.
func (p *program) oneClick(path string) int {
	return p.postForm(path, url.Values{"List-Unsubscribe": {"One-Click"}})
}

func (p *program) postForm(path string, values url.Values) int {
	p.t.Helper()
	resp, err := http.PostForm(p.url(path), values)
	if err != nil {
		p.t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// TestConfigurationFaultsComeAllAtOnce: nothing is touched before all is well.
func TestConfigurationFaultsComeAllAtOnce(t *testing.T) {
	p := newProgram(t, nil, nil, "DATELINE_VAPID_SUBJECT=mailto:me@localhost", "DATELINE_POLICY=three", "DATELINE_HOLD=soon",
		"DATABASE_URL=mysql://x", "DATELINE_LINK_KEY_FILE=/nowhere/link.key", "DATELINE_BASE_URL=ftp://x")
	out, err := p.run("", "serve")
	if exitCode(err) != 2 {
		t.Errorf("exit %d, want 2", exitCode(err))
	}
	for _, name := range []string{"DATELINE_VAPID_SUBJECT", "DATELINE_POLICY", "DATELINE_HOLD", "DATABASE_URL", "DATELINE_LINK_KEY_FILE", "DATELINE_BASE_URL"} {
		if !strings.Contains(out, name) {
			t.Errorf("%s is not named:\n%s", name, out)
		}
	}
	if _, err := os.Stat(filepath.Join(p.folder, "data")); err == nil {
		t.Error("the data folder was made in spite of the faults")
	}
}

// TestAnUnreadableKeyFileStopsTheStart: a fresh key in its place would cut off
// every reader.
func TestAnUnreadableKeyFileStopsTheStart(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	p.start()
	p.terminate()
	key := filepath.Join(p.folder, "data", "vapid.key")
	for name, spoil := range map[string]func() error{
		"a folder": func() error { _ = os.Remove(key); return os.Mkdir(key, 0o700) },
		"garbage":  func() error { _ = os.RemoveAll(key); return os.WriteFile(key, []byte("not a key"), 0o600) },
		"missing":  func() error { return os.RemoveAll(key) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		out, err := p.run("", "serve")
		if err == nil || !strings.Contains(out, "DATELINE_VAPID_KEY") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

// TestOneServePerDataFolder: the second says who is in its way.
func TestOneServePerDataFolder(t *testing.T) {
	t.Parallel()
	p := newProgram(t, nil, nil)
	p.start()
	second := *p
	second.env = append(p.env[:len(p.env):len(p.env)], "DATELINE_LISTEN=127.0.0.1:0")
	out, err := second.run("", "serve")
	if err == nil || !strings.Contains(out, "another dateline uses the data folder") {
		t.Errorf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(p.folder, "data", "nats.url"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("nats.url: %v %v", info, err)
	}
}

// TestImportNamesRejectedLines and stores the others.
func TestImportNamesRejectedLines(t *testing.T) {
	t.Parallel()
	svc := service(t, simulate.PushOptions{})
	p := newProgram(t, []*simulate.PushService{svc}, nil)
	p.start()
	good := phones(t, svc, 2)
	var lines strings.Builder
	for i, phone := range good {
		sub := phone.Subscription()
		fmt.Fprintf(&lines, `{"subscription":{"endpoint":%q,"keys":{"p256dh":%q,"auth":%q}},"regions":["JP"]}`+"\n", sub.Endpoint, base64url(sub.P256dh), base64url(sub.Auth))
		if i == 0 {
			lines.WriteString(`{"subscription":{"endpoint":"https://127.0.0.1/x","keys":{}},"regions":["XX"]}` + "\nnot json\n")
		}
	}
	out, err := p.run(lines.String(), "import", "devices", "-")
	if exitCode(err) != 0 || !strings.Contains(out, "4 lines: 2 stored, 2 rejected") ||
		!strings.Contains(out, "line 2 rejected") || !strings.Contains(out, "line 3 rejected") {
		t.Errorf("%v\n%s", err, out)
	}
}
