package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"dateline/internal/simulate"
)

// readerDoors is a reader with a device and a mailbox, as the doors see her.
type readerDoors struct {
	*wholeTest
	t           *testing.T
	address     string
	id, token   string
	manage, box string // paths of the two pages
}

// page reads one page or file.
func (r *readerDoors) page(path string) (int, string) {
	r.t.Helper()
	resp, err := http.Get(r.p.url(path))
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

var anyLink = regexp.MustCompile(`https?://[^\s"<>]+(/(?:confirm|manage)/[^\s"<>]+)`)

// link is the path of the link in the n-th mail to an address.
func (r *readerDoors) link(address string, n int) string {
	r.t.Helper()
	mails := r.waitMails(r.t, address, n)
	text, _, err := mails[n-1].Parts()
	if err != nil {
		r.t.Fatal(err)
	}
	m := anyLink.FindStringSubmatch(text)
	if m == nil {
		r.t.Fatalf("no link in %q", text)
	}
	return m[1]
}

// newReader follows Japan with a phone, and joins a mailbox to it by its token
// and the link in the mail.
func newReader(t *testing.T, w *wholeTest, address string) *readerDoors {
	t.Helper()
	r := &readerDoors{wholeTest: w, t: t, address: address}
	var c struct{ ID, Token string }
	if code := w.p.callAs("", "POST", "/api/v1/subscriptions", subscription(phones(t, w.services[0], 1)[0], "JP"), &c); code != http.StatusCreated {
		t.Fatalf("subscribe: %d", code)
	}
	r.id, r.token = c.ID, c.Token
	signup := map[string]any{"email": address, "regions": []string{"JP"}, "timezone": "Asia/Tokyo", "language": "en", "hour": 7}
	if code := w.p.callAs(r.token, "POST", "/api/v1/digests", signup, nil); code != http.StatusAccepted {
		t.Fatalf("sign up: %d", code)
	}
	confirm := r.link(address, 1)
	if _, page := r.page(confirm); !strings.Contains(page, "leave out what you have already got") {
		t.Errorf("the confirm page does not name the device: %s", page)
	}
	resp, err := http.PostForm(w.p.url(confirm), url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	r.box = regexp.MustCompile(`href="(/manage/[^"]+)"`).FindStringSubmatch(string(raw))[1]
	var sub struct{ Manage string }
	if code := w.p.callAs(r.token, "GET", "/api/v1/subscriptions/"+r.id, nil, &sub); code != http.StatusOK {
		t.Fatalf("show: %d", code)
	}
	r.manage = sub.Manage[strings.Index(sub.Manage, "/manage/"):]
	return r
}

// TestAReadersOwn goes a reader's ways through the public doors: device and
// mailbox joined and parted, what came and why, all that is kept as a file,
// another address, and the end of it.
func TestAReadersOwn(t *testing.T) {
	onBoth(t, func(t *testing.T, settings ...string) {
		service := service(t, simulate.PushOptions{Name: "push"})
		mail, err := simulate.NewMailServer(simulate.MailOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = mail.Close() })
		p := newProgram(t, []*simulate.PushService{service}, mail, settings...)
		p.start()
		w := &wholeTest{t: t, p: p, mail: mail, services: []*simulate.PushService{service}}
		joined, parted := newReader(t, w, "joined@mailbox.example"), newReader(t, w, "parted@mailbox.example")
		if code := p.postForm(parted.manage, url.Values{"action": {"part"}}); code != http.StatusOK { // after the redirect
			t.Fatalf("part: %d", code)
		}
		const pushed = "https://news.example/own/1"
		p.story(pushed, "Pushed to both")
		alert := p.alert(pushed, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == 2 })
		quiet := storyBody("https://news.example/own/2", "For the morning")
		quiet["breaking"], quiet["urgency"] = false, 5
		if code := p.call("POST", "/api/v1/stories", quiet, nil); code != http.StatusAccepted {
			t.Fatalf("story: %d", code)
		}
		t.Run("digest", func(t *testing.T) { digestLeavesOut(t, joined, parted) })
		t.Run("history", func(t *testing.T) { historyAndWhy(t, joined, alert.ID) })
		t.Run("data", func(t *testing.T) { exportMoveWipe(t, joined, parted) })
	})
}

func digestLeavesOut(t *testing.T, joined, parted *readerDoors) {
	p := joined.p
	p.t, joined.t, parted.t = t, t, t
	var figures struct{ Due, Sent, Deferred, Empty, Failed, Unknown int }
	at := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": at}, &figures); code != http.StatusOK || figures.Sent != 2 {
		t.Fatalf("run: %d %+v", code, figures)
	}
	for r, want := range map[*readerDoors]bool{joined: false, parted: true} {
		text, _, err := r.waitMails(t, r.address, 2)[1].Parts()
		if err != nil || !strings.Contains(text, "For the morning") {
			t.Fatalf("%s: %v %s", r.address, err, text)
		}
		if got := strings.Contains(text, "Pushed to both"); got != want {
			t.Errorf("%s: the pushed story is in the digest: %v, want %v\n%s", r.address, got, want, text)
		}
	}
}

func historyAndWhy(t *testing.T, r *readerDoors, alert string) {
	r.t, r.p.t = t, t
	for _, path := range []string{r.manage, r.box} {
		code, page := r.page(path)
		for _, want := range []string{"Pushed to both", "For the morning", "It is about a place you follow: Japan."} {
			if code != http.StatusOK || !strings.Contains(page, want) {
				t.Errorf("%d, the page lacks %q", code, want)
			}
		}
	}
	_, page := r.page(r.manage)
	why := regexp.MustCompile(`href="(/why/` + alert + `/[^"]+)"`).FindStringSubmatch(page)
	if why == nil {
		t.Fatalf("no reason is offered: %s", page)
	}
	if code, page := r.page(why[1]); code != http.StatusOK || !strings.Contains(page, "was sent to your device") || !strings.Contains(page, "It is about a place you follow: Japan.") ||
		!strings.Contains(page, "A flash goes to everyone") {
		t.Errorf("%d %s", code, page)
	}
	// What she wants now is told apart from what she wanted then.
	if code := r.p.callAs(r.token, "PATCH", "/api/v1/subscriptions/"+r.id, map[string]any{"regions": []string{"ID"}}, nil); code != http.StatusOK {
		t.Fatalf("change: %d", code)
	}
	if _, page := r.page(why[1]); !strings.Contains(page, "You have changed your choices since") {
		t.Errorf("%s", page)
	}
	lastOfAStory(t, r, alert)
	for feed, want := range map[string]bool{"/feeds/alerts.atom": true, "/feeds/alerts.json?region=JP": true, "/feeds/alerts.atom?region=ID": false} {
		if code, text := r.page(feed); code != http.StatusOK || strings.Contains(text, "Pushed to both") != want {
			t.Errorf("%s: %d %s", feed, code, text)
		}
	}
}

// lastOfAStory: who asked for a story's last alert and paused is told of the
// pause, and not that she had been sent the story before.
func lastOfAStory(t *testing.T, r *readerDoors, alert string) {
	t.Helper()
	var first struct{ Story, Level string }
	if code := r.p.call("GET", "/api/v1/alerts/"+alert, nil, &first); code != http.StatusOK {
		t.Fatalf("alert: %d", code)
	}
	door := "/api/v1/subscriptions/" + r.id
	if code := r.p.callAs(r.token, "POST", door+"/stories", map[string]string{"alert": alert, "want": "over"}, nil); code != http.StatusOK {
		t.Fatalf("only when it is over: %d", code)
	}
	if code := r.p.callAs(r.token, "PATCH", door, map[string]any{"pausedUntil": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, nil); code != http.StatusOK {
		t.Fatalf("pause: %d", code)
	}
	var last struct{ ID, Hash string }
	if code := r.p.call("POST", "/api/v1/alerts", map[string]any{"story": first.Story, "level": first.Level, "final": true,
		"texts": map[string]any{"en": map[string]string{"title": "It is over", "body": "All of it."}}}, &last); code != http.StatusCreated {
		t.Fatalf("draft: %d", code)
	}
	if code := r.p.call("POST", "/api/v1/alerts/"+last.ID+"/release", map[string]any{"hash": last.Hash}, nil); code != http.StatusOK {
		t.Fatalf("release: %d", code)
	}
	var sent alertAnswer
	for end := time.Now().Add(time.Minute); sent.State != "sent"; time.Sleep(20 * time.Millisecond) { // of asking another process
		if r.p.call("GET", "/api/v1/alerts/"+last.ID, nil, &sent); time.Now().After(end) {
			t.Fatalf("%+v", sent)
		}
	}
	if _, page := r.page("/why/" + last.ID + r.manage[strings.LastIndex(r.manage, "/"):]); !strings.Contains(page, "You had taken a break.") {
		t.Errorf("why the last did not come: %s", page)
	}
}

func exportMoveWipe(t *testing.T, joined, parted *readerDoors) {
	p := joined.p
	p.t, joined.t, parted.t = t, t, t
	if code, body := joined.page(joined.box + "/data.json"); code != http.StatusForbidden {
		t.Errorf("an old link exports: %d %s", code, body)
	}
	fresh := func(r *readerDoors) string {
		had := len(r.mail.To(r.address))
		if code := p.postForm(r.box, url.Values{"action": {"link"}}); code != http.StatusOK {
			t.Fatalf("ask for a link: %d", code)
		}
		return r.link(r.address, had+1)
	}
	hers := fresh(joined)
	code, file := joined.page(hers + "/data.json")
	var data struct {
		Mailbox struct {
			Address string
			Consent struct{ ConfirmedAt time.Time }
			Digests []struct{ Stories []string }
		}
		Devices []struct {
			ID   string
			Sent []struct{ Title string }
		}
	}
	if err := json.Unmarshal([]byte(file), &data); err != nil || code != http.StatusOK || data.Mailbox.Address != joined.address || data.Mailbox.Consent.ConfirmedAt.IsZero() ||
		len(data.Devices) != 1 || data.Devices[0].ID != joined.id || len(data.Devices[0].Sent) != 1 || len(data.Mailbox.Digests) != 1 {
		t.Errorf("%d %v %s", code, err, file)
	}
	if strings.Contains(file, parted.id) || strings.Contains(file, parted.address) {
		t.Error("another reader is in it")
	}
	// Another address, once that has agreed.
	const elsewhere = "elsewhere@mailbox.example"
	if code := p.postForm(fresh(parted), url.Values{"action": {"move"}, "email": {elsewhere}}); code != http.StatusOK {
		t.Fatalf("move: %d", code)
	}
	if code := p.form(parted.link(elsewhere, 1)); code != http.StatusOK {
		t.Fatalf("confirm: %d", code)
	}
	if _, page := parted.page(parted.box); !strings.Contains(page, "e•••@mailbox.example") {
		t.Errorf("not moved: %s", page)
	}
	// The end of it. Nothing brings the digest back but herself.
	if code := p.postForm(hers, url.Values{"action": {"wipe"}, "sure": {"on"}}); code != http.StatusOK {
		t.Fatalf("wipe: %d", code)
	}
	for _, path := range []string{joined.manage, joined.box, hers, hers + "/data.json"} {
		if code, _ := joined.page(path); code != http.StatusNotFound {
			t.Errorf("%s after the wipe: %d", path, code)
		}
	}
	uri := "https://news.example/own/3"
	p.story(uri, "She is gone")
	p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == 1 })
	line := `{"email":"` + joined.address + `","regions":["JP"],"confirmedAt":"2026-01-01T00:00:00Z"}` + "\n"
	out, err := p.run(line, "import", "readers", "-")
	if err == nil || !strings.Contains(out, "left or bounced") {
		t.Errorf("an import took her back: %v %s", err, out)
	}
}
