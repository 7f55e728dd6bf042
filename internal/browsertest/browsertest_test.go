package browsertest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	webpush "github.com/SherClockHolmes/webpush-go"
	"github.com/google/go-cmp/cmp"
)

// world is a push service, a page and a browser that has subscribed on it, with
// webpush-go as the sender: nothing of our own but what is tested here.
type world struct {
	t               *testing.T
	svc             *Autopush
	ff              *Browser
	page            string
	private, public string
	subscription    webpush.Subscription
	client          *http.Client
}

type message struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Tag   string `json:"tag"`
}

func newWorld(t *testing.T, svc *Autopush, options ...BrowserOption) *world {
	t.Helper()
	w := &world{t: t, svc: svc, client: http.DefaultClient}
	w.ff = Firefox(t, append(options, WithPush(svc))...)
	var err error
	if w.private, w.public, err = webpush.GenerateVAPIDKeys(); err != nil {
		t.Fatal(err)
	}
	return w
}

// serve serves the page over http and gives its origin under a host name.
func serve(t *testing.T, host string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir("testdata/web")))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + net.JoinHostPort(host, port)
}

func serveTLS(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.FileServer(http.Dir("testdata/web")))
	t.Cleanup(server.Close)
	return server.URL
}

func (w *world) open(origin string) {
	w.t.Helper()
	w.page = origin + "/?key=" + url.QueryEscape(w.public)
	w.ff.Navigate(w.page)
}

func (w *world) subscribe(origin string) {
	w.t.Helper()
	w.open(origin)
	w.ff.Click("#subscribe")
	w.ff.Until(`document.getElementById("state").textContent === "subscribed"`)
	w.ff.EvalJSON("current()", &w.subscription)
	if w.subscription.Keys.Auth == "" || !strings.HasPrefix(w.subscription.Endpoint, w.svc.Origin()+"/push/") {
		w.t.Fatalf("subscription %+v", w.subscription)
	}
}

func (w *world) send(m message, topic string, ttl int) int {
	w.t.Helper()
	return w.sendTo(w.subscription, m, topic, ttl)
}

func (w *world) sendTo(s webpush.Subscription, m message, topic string, ttl int) int {
	w.t.Helper()
	raw, err := json.Marshal(m)
	if err != nil {
		w.t.Fatal(err)
	}
	resp, err := webpush.SendNotification(raw, &s, &webpush.Options{HTTPClient: w.client, Subscriber: "ops@example.org",
		VAPIDPublicKey: w.public, VAPIDPrivateKey: w.private, TTL: ttl, Topic: topic, Urgency: webpush.UrgencyHigh})
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode
}

func (w *world) mustSend(m message, topic string, ttl int) {
	w.t.Helper()
	if status := w.send(m, topic, ttl); status != http.StatusCreated {
		w.t.Fatalf("send %q: %d", m.Title, status)
	}
}

// waitTitles waits until exactly these titles are shown, in any order.
func (w *world) waitTitles(titles ...string) []Notification {
	w.t.Helper()
	return w.ff.WaitNotifications(strings.Join(titles, ", "), func(shown []Notification) bool {
		have := map[string]bool{}
		for _, n := range shown {
			have[n.Title] = true
		}
		for _, title := range titles {
			if !have[title] {
				return false
			}
		}
		return len(shown) == len(titles)
	})
}

// TestBrowser goes the way of one device: subscribed, told, corrected,
// wrongly keyed, away, back, restarted, gone.
func TestBrowser(t *testing.T) {
	w := newWorld(t, NewAutopush(t))
	w.subscribe(serve(t, "localhost"))
	w.svc.WaitConnected()

	first := message{Title: "Japan risks losing trust", Body: "外務大臣 – ünïcode ✓", Tag: "story-1"}
	w.mustSend(first, "", 60)
	shown := w.waitTitles(first.Title)
	if got := (message{shown[0].Title, shown[0].Body, shown[0].Tag}); got != first {
		t.Errorf("shown %+v", got)
	}
	var data struct{ Text string }
	if err := json.Unmarshal(shown[0].Data, &data); err != nil || !strings.Contains(data.Text, "外務大臣") {
		t.Errorf("data %s: %v", shown[0].Data, err)
	}
	w.svc.WaitAck(Delivered)

	// Not subtests: the browser and the service fail the test they belong to.
	for _, then := range []struct {
		what string
		do   func(*testing.T, *world)
	}{
		{"a correction replaces it", testCorrection},
		{"a wrong key shows nothing", testWrongKey},
		{"topic and TTL while away", testAway},
		{"a restart keeps the subscription", testRestart},
		{"after the end comes 410", testEnd},
	} {
		t.Log(then.what)
		then.do(t, w)
	}
}

func testCorrection(_ *testing.T, w *world) {
	w.mustSend(message{Title: "Corrected: Japan", Tag: "story-1"}, "", 60)
	w.waitTitles("Corrected: Japan")
	w.svc.WaitAck(Delivered)
}

func testWrongKey(t *testing.T, w *world) {
	wrong := w.subscription
	wrong.Keys.Auth = "AAAAAAAAAAAAAAAAAAAAAA"
	if status := w.sendTo(wrong, message{Title: "Nobody may read this"}, "", 60); status != http.StatusCreated {
		t.Fatalf("status %d", status)
	}
	w.svc.WaitAck(Undecryptable)
	w.waitTitles("Corrected: Japan")
}

func testEnd(t *testing.T, w *world) {
	w.ff.Eval("unsubscribe()")
	w.svc.WaitUnregistered(w.subscription.Endpoint)
	if status := w.send(message{Title: "too late"}, "", 60); status != http.StatusGone {
		t.Errorf("status %d", status)
	}
}

func testAway(t *testing.T, w *world) {
	w.svc.Disconnect()
	w.mustSend(message{Title: "old"}, "live", 60)
	w.mustSend(message{Title: "new"}, "live", 60)
	w.mustSend(message{Title: "other"}, "", 60)
	w.mustSend(message{Title: "only for the connected"}, "", 0)
	if n := w.svc.Pending(); n != 2 {
		t.Fatalf("%d messages wait", n)
	}
	w.svc.Allow()
	w.svc.WaitConnected()
	w.svc.WaitAck(Delivered)
	w.svc.WaitAck(Delivered)
	w.waitTitles("Corrected: Japan", "new", "other")

	w.mustSend(message{Title: "now"}, "", 0)
	w.svc.WaitAck(Delivered)
	w.waitTitles("Corrected: Japan", "new", "other", "now")
}

func testRestart(t *testing.T, w *world) {
	w.ff.Close()
	w.svc.WaitAway()
	w.mustSend(message{Title: "while it was down"}, "", 600)
	w.ff.Start()
	w.svc.WaitConnected()
	w.svc.WaitAck(Delivered) // the worker was started for it: no page is open
	w.ff.Navigate(w.page)
	w.ff.WaitNotifications("the message sent meanwhile", func(shown []Notification) bool {
		for _, n := range shown {
			if n.Title == "while it was down" {
				return true
			}
		}
		return false
	})
	var now webpush.Subscription
	w.ff.EvalJSON("current()", &now)
	if diff := cmp.Diff(w.subscription, now); diff != "" {
		t.Errorf("another subscription:\n%s", diff)
	}
}

// TestBrowserTLS has https on both sides and the reader asked first. What else
// needs a browser goes along: starting one costs seconds.
func TestBrowserTLS(t *testing.T) {
	svc := NewAutopush(t, TLS())
	w := newWorld(t, svc, AskFirst())
	w.client = trusting(t, svc.CAPEM())
	testPage(t, w.ff)

	refusing := serve(t, "127.0.0.1") // another origin, also a secure context
	w.ff.Permit(refusing, "denied")
	w.open(refusing)
	w.ff.Click("#subscribe")
	w.ff.Until(`document.getElementById("state").textContent.startsWith("NotAllowedError")`)

	origin := serveTLS(t)
	w.ff.Permit(origin, "granted")
	w.subscribe(origin)
	w.mustSend(message{Title: "over TLS", Tag: "story-1"}, "", 60)
	w.waitTitles("over TLS")
	svc.WaitAck(Delivered)

	testOwnSender(t, w)
}

// testPage holds the small tools for pages.
func testPage(t *testing.T, ff *Browser) {
	ff.Navigate(serve(t, "127.0.0.1") + "/")
	ff.Fill("#name", `quotes "and" 日本`)
	if title := ff.Eval("document.title"); title != `quotes "and" 日本` {
		t.Errorf("title %q", title)
	}
	if _, err := ff.TryEval(`Promise.reject(new Error("told so"))`); err == nil || !strings.Contains(err.Error(), "told so") {
		t.Errorf("rejection: %v", err)
	}
	ff.Resize(390, 844)
	if width := ff.Eval("innerWidth"); width != "390" {
		t.Errorf("width %s", width)
	}
	file := filepath.Join(t.TempDir(), "page.png")
	ff.Screenshot(file)
	raw, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(raw), "\x89PNG") {
		t.Errorf("screenshot: %d bytes, %v", len(raw), err)
	}
}
