package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/browsertest"
	"dateline/internal/link"
)

// TestAReadersPagesAreAccessible holds the pages of a reader's own, the archive
// and an alert's history against WCAG 2.2 AA, in both themes and both directions.
// With DATELINE_PICTURES set to a folder it leaves pictures there, at the width
// of a phone and of a desk.
func TestAReadersPagesAreAccessible(t *testing.T) {
	t.Parallel()
	for name, theme := range map[string]func() browsertest.BrowserOption{"light": browsertest.Light, "dark": browsertest.Dark} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, theme())
			s.site.Explainer = explainer{}
			c, box := s.joined()
			s.store.digests[box][0].EditionAt = time.Now().Add(-24 * time.Hour)
			var signup string
			for signup = range s.store.signups {
			}
			fresh := link.Path(link.FreshMailbox, s.links.Sign(link.FreshMailbox, box, s.now.Add(time.Hour)))
			pages := map[string]string{"manage-device": "/manage/" + c.Token, "manage-mailbox": s.path(link.ManageMailbox, box), "manage-fresh": fresh,
				"alerts": "/alerts?section=&region=JP", "archive": "/alerts", "killed": "/alerts/" + killedAlert, "corrected": "/alerts/" + sentAlert,
				"why": "/why/" + sentAlert + "/" + s.links.Sign(link.Why, c.ID, s.now.Add(time.Hour)), "confirm": s.path(link.Confirm, signup), "unsubscribe": s.path(link.Unsubscribe, box)}
			pictures := os.Getenv("DATELINE_PICTURES")
			for _, lang := range []string{"en", "ar", "ja", "hi"} {
				if pictures == "" && lang == "hi" {
					continue
				}
				for page, path := range pages {
					glue := "?"
					if strings.Contains(path, "?") {
						glue = "&"
					}
					s.browser.Navigate(s.url + path + glue + "lang=" + lang)
					s.browser.Eval(`(() => { for (const d of document.querySelectorAll("details.because, details.sent")) d.open = true; })()`)
					if lang == "en" || lang == "ar" {
						s.accessible(name, strings.Join([]string{name, lang, page}, " "))
					}
					for width, size := range map[int]string{360: "360", 1280: "1280"} {
						s.browser.Resize(width, 900)
						if wide := s.browser.Eval(`[...document.querySelectorAll("body *")].filter(e => document.documentElement.scrollWidth > document.documentElement.clientWidth
							&& e.getBoundingClientRect().right > document.documentElement.clientWidth).map(e => e.tagName + "." + e.className + "#" + e.id).join(" ")`); wide != "" {
							t.Errorf("%s %s at %d pixels: wider than its window: %s", lang, page, width, wide)
						}
						if pictures != "" {
							s.browser.Screenshot(filepath.Join(pictures, strings.Join([]string{page, lang, name, size}, "-")+".png"))
						}
					}
				}
			}
		})
	}
}

// accessible holds the page against all rules in the light theme, and in the dark
// one, which has the same pages, against those that go by colours.
func (s *stage) accessible(theme, name string) {
	s.t.Helper()
	if theme == "dark" {
		s.browser.AccessibleColours(name)
		return
	}
	s.browser.Accessible(name)
}
