package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	devpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Chromium is one Chromium with a profile of its own. Its methods fail the test
// when the browser does not obey, so they belong in the test's own goroutine.
type Chromium struct {
	page
	binary, profile string
	google          *Google
	journal         *journal
	window          context.Context //nolint:containedctx // what chromedp calls a target
	end             []context.CancelFunc
	permitted       string
}

// NewChromium starts a browser that uses these push services, and stops it with
// the test. Without an installed Chromium the test is skipped as NOT RUN, or
// fails where CI is set.
func NewChromium(tb testing.TB, google *Google) *Chromium {
	tb.Helper()
	c := &Chromium{binary: installed(tb, "CHROMIUM", "chromium"), google: google, journal: newJournal()}
	c.page = page{tb, c.evaluate}
	c.journal.dumpOnFailure(tb, "chromium")
	c.profile = profileDir(tb, "chromium")
	tb.Cleanup(c.Close)
	c.Start()
	return c
}

// Start starts a browser that was closed, on the same profile.
func (c *Chromium) Start() {
	c.tb.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(c.binary), chromedp.UserDataDir(c.profile),
		chromedp.NoSandbox, // root, as tests may be, has none
		chromedp.CombinedOutput(c.journal),
		chromedp.ModifyCmdFunc(func(cmd *exec.Cmd) { dieWithParent(cmd) }),
		chromedp.Flag("gcm-checkin-url", c.google.signup+"/checkin"),
		chromedp.Flag("gcm-registration-url", c.google.signup+"/register"),
		chromedp.Flag("gcm-mcs-endpoint", "https://"+c.google.mcs.Addr().String()),
		chromedp.Flag("ignore-certificate-errors", true))
	allocator, endAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	window, endWindow := chromedp.NewContext(allocator)
	c.window, c.end = window, []context.CancelFunc{endWindow, endAllocator}
	err := chromedp.Do(window) // which starts it
	if err == nil && c.permitted != "" {
		err = c.permit()
	}
	if err != nil {
		c.tb.Fatalf("browsertest: start %s: %v", c.binary, err)
	}
}

// Close ends the browser in order; its profile stays until the test ends.
// Closing twice is allowed.
func (c *Chromium) Close() {
	if c.window == nil {
		return
	}
	if err := chromedp.Cancel(c.window); err != nil {
		c.journal.add(err.Error())
	}
	for _, end := range c.end {
		end()
	}
	c.window, c.end = nil, nil
}

// Permit lets an origin notify, also after a restart: nobody answers questions.
func (c *Chromium) Permit(origin string) {
	c.tb.Helper()
	c.permitted = origin
	if err := c.permit(); err != nil {
		c.tb.Fatalf("browsertest: Permit(%s): %v", origin, err)
	}
}

func (c *Chromium) permit() error {
	_, err := chromedp.CallBrowser(c.window, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "notifications"}, Setting: "granted", Origin: c.permitted})
	return err
}

// Navigate opens an address and waits until the page is complete.
func (c *Chromium) Navigate(url string) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.window, patience)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		c.tb.Fatalf("browsertest: Navigate(%s): %v", url, err)
	}
}

// Look sets the size of the page in CSS pixels, and whether it is asked for in the
// dark.
func (c *Chromium) Look(width, height int, dark bool) {
	c.tb.Helper()
	theme := "light"
	if dark {
		theme = "dark"
	}
	_, err := chromedp.Call(c.window, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: int64(width), Height: int64(height), DeviceScaleFactor: 1})
	if err == nil {
		_, err = chromedp.Call(c.window, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}})
	}
	if err != nil {
		c.tb.Fatalf("browsertest: Look(%d, %d): %v", width, height, err)
	}
}

// Screenshot writes a PNG of the whole page, also of what has to be scrolled to.
func (c *Chromium) Screenshot(path string) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(c.window, patience)
	defer cancel()
	whole := true
	out, err := chromedp.Call(ctx, devpage.CaptureScreenshot, devpage.CaptureScreenshotParams{CaptureBeyondViewport: &whole})
	if err == nil {
		err = os.WriteFile(path, out.Data, 0o600)
	}
	if err != nil {
		c.tb.Fatalf("browsertest: Screenshot(%s): %v", path, err)
	}
}

func (c *Chromium) evaluate(_ context.Context, js string) (string, error) {
	if c.window == nil {
		return "", errors.New("the browser is closed")
	}
	ctx, cancel := context.WithTimeout(c.window, patience)
	defer cancel()
	yes := true
	out, err := chromedp.Call(ctx, runtime.Evaluate, runtime.EvaluateParams{Expression: js, ReturnByValue: &yes, UserGesture: &yes, AwaitPromise: &yes})
	switch {
	case err != nil:
		return "", err
	case out.ExceptionDetails != nil:
		return "", fmt.Errorf("javascript: %s", out.ExceptionDetails.Text)
	case out.Result == nil:
		return "", nil
	}
	var text string
	if json.Unmarshal(out.Result.Value, &text) != nil {
		text = string(out.Result.Value)
	}
	return text, nil
}

// Write makes a journal take what a browser prints.
func (j *journal) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		j.add(strings.TrimRight(line, "\n"))
	}
	return len(p), nil
}

var _ io.Writer = (*journal)(nil)
