package app_test

import (
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"dateline/internal/browsertest"
)

// TestChromiumShowsWhatTheProgramSends drives a real Chromium against the real
// program, with a stand-in for Google's services: from the front page to a
// decrypted notification with its picture in three presses, a story muted, a
// correction in the place of the original, two revisions while it was closed, and
// an end.
func TestChromiumShowsWhatTheProgramSends(t *testing.T) {
	t.Parallel()
	oneWalkAtATime(t)
	if testing.Short() {
		t.Skip("NOT RUN: -short leaves the browsers out")
	}
	google := browsertest.NewGoogle(t)
	var pictures atomic.Int64
	photos := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pictures.Add(1)
		w.Header().Set("Content-Type", "image/png")
		_ = png.Encode(w, image.NewGray(image.Rect(0, 0, 64, 32)))
	}))
	t.Cleanup(photos.Close)
	p := newProgram(t, nil, nil, "DATELINE_PUSH_ORIGINS="+google.Origin())
	site := google.Front(p.url(""), "/sw.", "/embed.")
	p.env = append(p.env, "DATELINE_BASE_URL="+site)
	p.start()
	c := browsertest.NewChromium(t, google)
	c.Permit(site)

	c.Navigate(site + "/")
	c.Click("#choose")
	c.Until(`document.body.dataset.state === "ready"`)
	c.Click("#region-JP")
	c.Click("#follow")
	c.Until(`document.body.dataset.state === "subscribed"`)
	c.Until(`document.body.dataset.trial === "shown"`)
	google.WaitConnected()

	const uri = "https://news.example/quake"
	p.publish(uri, "Strong quake off Honshu", fmt.Sprintf(`"image":{"url":%q,"alt":"A street"}`, photos.URL+"/quake.png"))
	alone := func(title string) browsertest.Notification {
		t.Helper()
		return c.WaitNotifications(title, func(n []browsertest.Notification) bool { return len(n) == 1 && n[0].Title == title })[0]
	}
	shown := alone("Strong quake off Honshu")
	if shown.Body != "Tokyo says more will follow." || shown.Image != photos.URL+"/quake.png" || pictures.Load() == 0 {
		t.Errorf("shown %+v, its picture fetched %d times", shown, pictures.Load())
	}
	a := p.alert(uri, "sent and seen", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Accepted == 1 })
	corrected := func(title string) {
		t.Helper()
		texts := map[string]any{"en": map[string]string{"title": title, "body": "Magnitude 5.1."}}
		if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/correct", map[string]any{"texts": texts}, nil); code != http.StatusOK {
			t.Fatalf("correct: %d", code)
		}
	}
	corrected("Correction: moderate quake off Honshu")
	if n := alone("Correction: moderate quake off Honshu"); n.Tag != shown.Tag {
		t.Errorf("the correction has the tag %q, the original %q", n.Tag, shown.Tag)
	}

	// Closed, two more revisions, open again: the newest alone.
	google.WaitTaken()
	c.Close()
	google.WaitAway()
	before := len(google.Posts())
	corrected("Correction: a light quake")
	google.WaitPosts(before + 1)
	corrected("Correction: no quake")
	google.WaitPosts(before + 2)
	c.Start()
	c.Navigate(site + "/subscribe")
	alone("Correction: no quake")

	// Muted, as the worker says it for a press on the notification.
	if got := c.Eval(fmt.Sprintf(`(async () => String((await Dateline.story(%q, "none")).kept))()`, a.ID)); got != "true" {
		t.Fatalf("the wish was not kept: %s", got)
	}

	// It leaves at its push service alone: the next send is a 410.
	endpoint := c.Eval(`(async () => { const r = await navigator.serviceWorker.ready; return (await r.pushManager.getSubscription()).endpoint; })()`)
	if posts := google.Posts(); posts[0].Endpoint != endpoint {
		t.Errorf("after the restart it is at %s, before at %s", endpoint, posts[0].Endpoint)
	}
	c.Eval(`(async () => { const r = await navigator.serviceWorker.ready; return await (await r.pushManager.getSubscription()).unsubscribe(); })()`)
	google.WaitUnregistered()
	p.publish("https://news.example/gone", "To a device that is gone")
	p.alert("https://news.example/gone", "gone", func(a alertAnswer) bool { return a.State == "sent" && a.Counts.Gone == 1 })
	for _, post := range google.Posts() {
		if post.Status != http.StatusCreated && post.Status != http.StatusGone {
			t.Errorf("a request was answered %d: %s", post.Status, post.Why)
		}
	}
}
