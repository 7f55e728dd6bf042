package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"dateline/internal/browsertest"
)

// TestFirefoxShowsWhatTheProgramSends drives a real Firefox against the real
// program: it subscribes on our page, decrypts and shows what we send, shows a
// correction in its place, shows nothing for a wrong key, and after it has
// unsubscribed the next send is a 410 that takes the device out.
func TestFirefoxShowsWhatTheProgramSends(t *testing.T) {
	t.Parallel()
	oneWalkAtATime(t)
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	svc := browsertest.NewAutopush(t)
	p := newProgram(t, nil, nil, "DATELINE_PUSH_ORIGINS="+svc.Origin())
	site := strings.Replace(p.url(""), "127.0.0.1", "localhost", 1)
	p.env = append(p.env, "DATELINE_BASE_URL="+site)
	p.start()
	ff := browsertest.Firefox(t, browsertest.WithPush(svc))

	// A wrong key: the browser's own subscription, stored with another secret.
	ff.Navigate(site + "/subscribe")
	ff.Until(`document.body.dataset.state === "ready"`)
	endpoint := ff.Eval(subscribeByHand)
	var device struct{ ID, Token string }
	sub := map[string]any{"regions": []string{"JP"}, "subscription": map[string]any{"endpoint": endpoint, "keys": map[string]string{
		"p256dh": ff.Eval(`window.p256dh`), "auth": base64url([]byte("sixteen bytes!!!"))}}}
	if code := p.callAs("", "POST", "/api/v1/subscriptions", sub, &device); code != http.StatusCreated {
		t.Fatalf("subscribe: %d", code)
	}
	p.publish("https://news.example/wrong-key", "Nobody can read this")
	svc.WaitAck(browsertest.Undecryptable)
	if shown := ff.Notifications(); len(shown) != 0 {
		t.Errorf("a message under a wrong key was shown: %+v", shown)
	}

	// It leaves at its push service only: the next send is a 410, and the
	// device is out of every later plan.
	ff.Eval(`(async () => { const r = await navigator.serviceWorker.ready; const s = await r.pushManager.getSubscription(); return await s.unsubscribe(); })()`)
	svc.WaitUnregistered(endpoint)
	p.publish("https://news.example/gone", "To a device that is gone")
	p.alert("https://news.example/gone", "gone", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Gone == 1 })
	p.publish("https://news.example/later", "To nobody")
	p.alert("https://news.example/later", "planned without it", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Intended == 0 })

	// The page's own way, and a correction in the place of the original.
	ff.Navigate(site + "/subscribe")
	ff.Until(`document.body.dataset.state === "ready"`)
	ff.Click("#region-JP")
	ff.Click("#follow")
	ff.Until(`document.body.dataset.state === "subscribed"`)
	uri := "https://news.example/quake"
	p.publish(uri, "Strong quake off Honshu")
	shown := ff.WaitNotifications("the alert", func(n []browsertest.Notification) bool {
		return len(n) == 1 && n[0].Title == "Strong quake off Honshu"
	})
	if shown[0].Body != "Tokyo says more will follow." {
		t.Errorf("the notification says %q", shown[0].Body)
	}
	a := p.alert(uri, "sent", func(a alertAnswer) bool { return a.State == "sent" })
	texts := map[string]any{"en": map[string]string{"title": "Correction: moderate quake off Honshu", "body": "Magnitude 5.1."}}
	if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/correct", map[string]any{"texts": texts}, nil); code != http.StatusOK {
		t.Fatalf("correct: %d", code)
	}
	ff.WaitNotifications("the correction in its place", func(n []browsertest.Notification) bool {
		return len(n) == 1 && n[0].Title == "Correction: moderate quake off Honshu" && n[0].Tag == shown[0].Tag
	})

	// "Only when it's over", as the worker says it for a press on the notification:
	// a louder alert of the story does not come, the one that is its last does.
	if got := ff.Eval(fmt.Sprintf(`(async () => String((await Dateline.story(%q, "over")).kept))()`, a.ID)); got != "true" {
		t.Fatalf("the wish was not kept: %s", got)
	}
	further := func(title, level string, final bool) {
		t.Helper()
		var drafted struct{ ID, Hash string }
		if code := p.call("POST", "/api/v1/alerts", map[string]any{"story": uri, "level": level, "final": final,
			"texts": map[string]any{"en": map[string]string{"title": title, "body": "More."}}}, &drafted); code != http.StatusCreated {
			t.Fatalf("draft: %d", code)
		}
		if code := p.call("POST", "/api/v1/alerts/"+drafted.ID+"/release", map[string]any{"hash": drafted.Hash}, nil); code != http.StatusOK {
			t.Fatalf("release: %d", code)
		}
		var got alertAnswer
		for end := time.Now().Add(time.Minute); got.State != "sent"; time.Sleep(20 * time.Millisecond) { // of asking another process
			if p.call("GET", "/api/v1/alerts/"+drafted.ID, nil, &got); time.Now().After(end) {
				t.Fatalf("%s: %+v", title, got)
			}
		}
		want := 0
		if final {
			want = 1
		}
		if got.Counts.Intended != want || got.Counts.Accepted != want {
			t.Errorf("%s: %+v, want %d intended and accepted", title, got.Counts, want)
		}
	}
	further("Quake: a second wave", "flash", false)
	further("Quake: the warning is lifted", "flash", true) // a flash: the form's quiet hours hold others at night
	ff.WaitNotifications("the story's last alert in the place of the others", func(n []browsertest.Notification) bool {
		return len(n) == 1 && n[0].Title == "Quake: the warning is lifted" && n[0].Tag == shown[0].Tag
	})
}

// subscribeByHand registers the worker and subscribes as the page would, and
// gives the endpoint.
const subscribeByHand = `(async () => {
  const key = (await (await fetch("/api/v1/push/key")).json()).publicKey;
  const pad = key.replace(/-/g, "+").replace(/_/g, "/") + "=".repeat((4 - key.length % 4) % 4);
  const raw = Uint8Array.from(atob(pad), c => c.charCodeAt(0));
  await navigator.serviceWorker.register("/sw.js");
  const reg = await navigator.serviceWorker.ready;
  const sub = await reg.pushManager.subscribe({userVisibleOnly: true, applicationServerKey: raw});
  window.p256dh = sub.toJSON().keys.p256dh;
  return sub.endpoint;
})()`

// publish sends a breaking story about Japan through NATS, with the command
// line; more are further fields, as JSON.
func (p *program) publish(uri, headline string, more ...string) {
	p.t.Helper()
	story := fmt.Sprintf(`{%s"uri":%q,"version":1,"headline":%q,"standfirst":"Tokyo says more will follow.","url":%q,"regions":["JP"],`+
		`"sections":["politics"],"urgency":1,"breaking":true,"versioncreated":%q}`, strings.Join(append(more, ""), ","), uri, headline, uri, time.Now().UTC().Format(time.RFC3339))
	if out, err := p.run(story, "publish", "-"); err != nil {
		p.t.Fatalf("publish: %v\n%s", err, out)
	}
}

// authenticator is the code that an app shows so many steps from now.
func authenticator(t *testing.T, secret string, steps time.Duration) string {
	t.Helper()
	code, err := totp.GenerateCode(secret, time.Now().Add(steps*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}
