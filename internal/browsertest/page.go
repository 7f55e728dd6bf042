package browsertest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"
)

// Notification is one that the browser shows now.
type Notification struct {
	Title string          `json:"title"`
	Body  string          `json:"body"`
	Tag   string          `json:"tag"`
	Lang  string          `json:"lang"`
	Dir   string          `json:"dir"`
	Icon  string          `json:"icon"`
	Image string          `json:"image"`
	Data  json.RawMessage `json:"data"` // what the worker attached
}

// page is what can be asked of the open page, whichever browser shows it.
type page struct {
	tb testing.TB
	// try runs JavaScript as if a person had just pressed something, waits for a
	// promise and gives its value as text.
	try func(ctx context.Context, js string) (string, error)
}

// Navigate opens an address and waits until the page is complete.
func (b *Browser) Navigate(url string) {
	b.tb.Helper()
	ctx, cancel := withPatience()
	defer cancel()
	params := b.session.inWindow(object{"url": url, "wait": "complete"})
	if err := b.session.call(ctx, "browsingContext.navigate", params, nil); err != nil {
		b.tb.Fatalf("browsertest: Navigate(%s): %v", url, err)
	}
}

// Eval runs JavaScript in the page, as if a person had just pressed something,
// waits for a promise and gives its value as text.
func (b *page) Eval(js string) string {
	b.tb.Helper()
	text, err := b.TryEval(js)
	if err != nil {
		b.tb.Fatalf("browsertest: Eval(%s): %v", js, err)
	}
	return text
}

// TryEval is Eval for scripts that may throw or reject.
func (b *page) TryEval(js string) (string, error) {
	ctx, cancel := withPatience()
	defer cancel()
	return b.try(ctx, js)
}

// EvalJSON runs a JavaScript expression and decodes its value as JSON.
func (b *page) EvalJSON(expression string, into any) {
	b.tb.Helper()
	text := b.Eval("(async () => JSON.stringify(await (" + expression + ")))()")
	if err := json.Unmarshal([]byte(text), into); err != nil {
		b.tb.Fatalf("browsertest: EvalJSON(%s): %q: %v", expression, text, err)
	}
}

// Until returns when the JavaScript expression is true in the page. A script
// that fails counts as not yet true: the page may be on its way to another.
func (b *page) Until(expression string) {
	b.tb.Helper()
	b.poll(expression, func() error {
		text, err := b.TryEval("Boolean(" + expression + ")")
		if err == nil && text != "true" {
			err = errNotYet
		}
		return err
	})
}

// Steady is Eval on a page that may come anew by itself meanwhile: what fails on
// the way is asked again.
func (b *page) Steady(js string) string {
	b.tb.Helper()
	return b.steady(js, js)
}

func (b *page) steady(what, js string) (text string) {
	b.tb.Helper()
	b.poll(what, func() (err error) {
		text, err = b.TryEval(js)
		return err
	})
	return text
}

// errNotYet says that a condition was asked for and does not hold.
var errNotYet = errors.New("not true yet")

// poll asks until try succeeds; a page can't tell us by itself.
func (b *page) poll(what string, try func() error) {
	b.tb.Helper()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	deadline := time.After(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.tb.Fatalf("browsertest: waited %s in vain for: %s (%v)", patience, what, err)
		}
	}
}

// Click presses the element that the CSS selector finds, as soon as it is there.
func (b *page) Click(selector string) {
	b.tb.Helper()
	b.Until("document.querySelector(" + quote(selector) + ")")
	b.Eval(fmt.Sprintf("document.querySelector(%s).click()", quote(selector)))
}

// Fill writes into a field, as soon as it is there, the way a person does: the
// page hears of it.
func (b *page) Fill(selector, value string) {
	b.tb.Helper()
	b.Until("document.querySelector(" + quote(selector) + ")")
	b.Eval(fmt.Sprintf(`(() => {
		const field = document.querySelector(%s);
		field.focus();
		field.value = %s;
		for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, {bubbles: true}));
	})()`, quote(selector), quote(value)))
}

// Press presses and releases keys one after the other, as a keyboard does:
// what has the focus gets them. A key is a character, or one of those below.
func (b *Browser) Press(keys ...string) {
	b.tb.Helper()
	ctx, cancel := withPatience()
	defer cancel()
	var actions []object
	for _, key := range keys {
		actions = append(actions, object{"type": "keyDown", "value": key}, object{"type": "keyUp", "value": key})
	}
	params := b.session.inWindow(object{"actions": []object{{"type": "key", "id": "keyboard", "actions": actions}}})
	if err := b.session.call(ctx, "input.performActions", params, nil); err != nil {
		b.tb.Fatalf("browsertest: Press(%q): %v", keys, err)
	}
}

// The keys without a character, as WebDriver writes them (W3C WebDriver, 17.4.2).
const (
	KeyTab   = "\ue004"
	KeyEnter = "\ue007"
	KeyEnd   = "\ue010"
	KeyHome  = "\ue011"
	KeyLeft  = "\ue012"
	KeyUp    = "\ue013"
	KeyRight = "\ue014"
	KeyDown  = "\ue015"
)

// quote writes a string as JavaScript.
func quote(s string) string {
	raw, err := json.Marshal(s)
	if err != nil { // a string: cannot happen
		return `""`
	}
	return string(raw)
}

// Permit answers the question whether the origin may notify: "granted",
// "denied" or "prompt".
func (b *Browser) Permit(origin, state string) {
	b.tb.Helper()
	ctx, cancel := withPatience()
	defer cancel()
	params := object{"descriptor": object{"name": "notifications"}, "state": state, "origin": origin}
	if err := b.session.call(ctx, "permissions.setPermission", params, nil); err != nil {
		b.tb.Fatalf("browsertest: Permit(%s, %s): %v", origin, state, err)
	}
}

// listNotifications asks every service worker of the page's origin.
const listNotifications = `navigator.serviceWorker.getRegistrations()
	.then(all => Promise.all(all.map(r => r.getNotifications())))
	.then(lists => lists.flat().map(n => ({title: n.title, body: n.body, tag: n.tag,
		lang: n.lang, dir: n.dir, icon: n.icon, image: n.image ?? "", data: n.data})))`

// Notifications lists what is shown now for the origin of the open page, in no
// order.
func (b *page) Notifications() []Notification {
	b.tb.Helper()
	var shown []Notification
	b.EvalJSON(listNotifications, &shown)
	return shown
}

// WaitNotifications returns what is shown as soon as ok holds for it.
func (b *page) WaitNotifications(what string, ok func([]Notification) bool) []Notification {
	b.tb.Helper()
	var shown []Notification
	b.poll(what, func() error {
		shown = b.Notifications()
		if !ok(shown) {
			return fmt.Errorf("%w: %+v", errNotYet, shown)
		}
		return nil
	})
	return shown
}

// Screenshot writes a PNG of the whole page, also of what has to be scrolled to.
func (b *Browser) Screenshot(path string) {
	b.tb.Helper()
	ctx, cancel := withPatience()
	defer cancel()
	var out struct {
		Data string `json:"data"`
	}
	err := b.session.call(ctx, "browsingContext.captureScreenshot", b.session.inWindow(object{"origin": "document"}), &out)
	if err != nil {
		b.tb.Fatalf("browsertest: Screenshot: %v", err)
	}
	png, err := base64.StdEncoding.DecodeString(out.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o600)
	}
	if err != nil {
		b.tb.Fatalf("browsertest: Screenshot(%s): %v", path, err)
	}
}

// Resize sets the size of the page in CSS pixels: a phone is about 390 by 844.
func (b *Browser) Resize(width, height int) {
	b.tb.Helper()
	ctx, cancel := withPatience()
	defer cancel()
	params := b.session.inWindow(object{"viewport": object{"width": width, "height": height}})
	if err := b.session.call(ctx, "browsingContext.setViewport", params, nil); err != nil {
		b.tb.Fatalf("browsertest: Resize(%d, %d): %v", width, height, err)
	}
}
