package showcase

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"dateline/internal/news"
)

const richMail = `<!doctype html><html lang="ja" dir="ltr"><head><meta charset="utf-8"><style>p{color:red}</style></head>` +
	`<body><p style="margin:0"><a href="https://news.example/a">地震</a></p><script>alert(1)</script></body></html>`

func readersOf(addresses ...string) []news.Mailbox {
	var all []news.Mailbox
	for i, a := range addresses {
		w := wishes([]string{"ja", "ar", "hi"}[i%3], []string{"Asia/Tokyo", "Asia/Riyadh", "Asia/Kolkata"}[i%3], "JP", "ASEAN")
		all = append(all, news.Mailbox{Address: a, Wishes: w, Hour: 7, Days: []int{1, 7}})
	}
	return all
}

func TestOutboxListsNewestFirst(t *testing.T) {
	st := newStage(t, nil)
	st.show.SetReaders(readersOf("tokyo@mail.example", "riyadh@mail.example", "delhi@mail.example"))
	st.mail("tokyo@mail.example", "地震と津波の朝", "本文", richMail)
	st.mail("riyadh@mail.example", "صباح الخير", "نص", "<p>مرحبا</p>")
	st.mail("Visitor@mail.example", "Confirm your <b>digest</b>", "text", `<html lang=en><p>hi</p></html>`)
	for query, want := range map[string]string{
		"":                           "3 2 1",
		"q=confirm":                  "3",
		"q=%E6%B4%A5%E6%B3%A2":       "1", // 津波, inside the subject
		"q=visitor@mail":             "3",
		"lang=ja":                    "1",
		"lang=en":                    "3", // what the mail was written in
		"zone=Asia%2FRiyadh":         "2",
		"zone=Asia%2FRiyadh&lang=ja": "",
		"q=nothing+like+that":        "",
		"page=7":                     "3 2 1",
		"lang=%ff%":                  "3 2 1", // a query that can't be read asks for nothing
		"zone=%00":                   "",
	} {
		for _, path := range []string{"/outbox", "/outbox/live"} {
			a := st.get(path + "?" + query)
			var got []string
			for _, e := range a.with(".subject") {
				got = append(got, strings.TrimPrefix(attr(e, "href"), "/outbox/"))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s?%s: mails %v, want %s", path, query, got, want)
			}
			if a.status != http.StatusOK {
				t.Errorf("%s?%s: %d", path, query, a.status)
			}
		}
	}
	tokyo := said(st.ok("/outbox").with("#mail-1")[0])
	for _, want := range []string{"地震と津波の朝", "tokyo@mail.example", "Japanese · Tokyo", "Mon 23 Nov, 21:00 JST"} {
		if !strings.Contains(tokyo, want) {
			t.Errorf("the list lacks %q: %s", want, tokyo)
		}
	}
	if got := said(st.ok("/outbox").with("#mail-3")[0]); !strings.Contains(got, "Confirm your <b>digest</b>") {
		t.Errorf("markup of a subject: %s", got)
	}
}

func TestOneMail(t *testing.T) {
	st := newStage(t, nil)
	st.show.SetReaders(readersOf("tokyo@mail.example"))
	st.mail("tokyo@mail.example", "地震と津波の朝", "本文 <b>\nzwei", richMail)
	st.mail("other@mail.example", "second", "text alone", "")
	a := st.ok("/outbox/1")
	for _, want := range []string{"地震と津波の朝", "tokyo@mail.example", "Follows Japan, ASEAN", "Comes Mon, Sun, 07:00, Tokyo time", "本文 <b> zwei",
		"List-Unsubscribe <https://dateline.example/unsubscribe/x>", "Subject 地震と津波の朝"} {
		if !strings.Contains(said(a.tree), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	frame := a.with("iframe")
	if len(frame) != 1 || attr(frame[0], "src") != "/outbox/1/html" || attr(frame[0], "width") != "640" ||
		strings.Contains(attr(frame[0], "sandbox"), "script") || strings.Contains(attr(frame[0], "sandbox"), "same-origin") {
		t.Errorf("frame: %+v", frame)
	}
	narrow := st.ok("/outbox/1?width=360&theme=dark").with("iframe")[0]
	if attr(narrow, "width") != "360" || attr(narrow, "class") != "w360 dark" {
		t.Errorf("narrow: %+v", narrow.Attr)
	}

	rich := st.ok("/outbox/1/html")
	policy := rich.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "sandbox allow-popups", "frame-ancestors 'self'", "form-action 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the mail's policy lacks %q: %s", want, policy)
		}
	}
	if strings.Contains(policy, "script") || rich.body != strings.Replace(richMail, "<head>", `<head><base target="_blank">`, 1) {
		t.Errorf("policy %s\n%s", policy, rich.body)
	}
	plain := st.ok("/outbox/1/text")
	if plain.header.Get("Content-Type") != "text/plain; charset=utf-8" || strings.ReplaceAll(plain.body, "\r", "") != "本文 <b>\nzwei" {
		t.Errorf("text: %q %v", plain.body, plain.header)
	}
	raw := st.ok("/outbox/1/raw")
	if raw.header.Get("Content-Type") != "text/plain; charset=utf-8" || raw.body != string(st.mails.Mails()[0].Raw) {
		t.Errorf("source: %q", raw.body)
	}

	second := st.ok("/outbox/2")
	if len(second.with("iframe")) != 0 || !strings.Contains(said(second.tree), "text alone") {
		t.Error("a mail without HTML has a frame, or no text")
	}
	for _, path := range []string{"/outbox/0", "/outbox/3", "/outbox/-1", "/outbox/one", "/outbox/99999999999999999999", "/outbox/2/html", "/outbox/3/raw", "/outbox/x/text"} {
		if got := st.get(path).status; got != http.StatusNotFound {
			t.Errorf("%s: %d", path, got)
		}
	}
}

// TestPhotosAreStoodIn: a picture of ours stays, all others become drawings
// that are there.
func TestPhotosAreStoodIn(t *testing.T) {
	st := newStage(t, nil)
	st.mail("a@mail.example", "photos", "t", `<img alt="a > b" src="https://news.example/a.jpg" width="1"><IMG SRC="http://x.example/b.png">`+
		`<img src="http://127.0.0.1/icons/192.png"><a href="https://news.example/c.jpg">c</a>`)
	a := st.ok("/outbox/1/html")
	var got []string
	for _, img := range a.with("img") {
		src := attr(img, "src")
		if strings.HasPrefix(src, "/static/") {
			if kind := st.ok(src).header.Get("Content-Type"); kind != "image/svg+xml" {
				t.Errorf("%s is %s", src, kind)
			}
			src = "ours"
		}
		got = append(got, src)
	}
	// The > inside an attribute hides the first; the policy blocks it all the same.
	if want := "https://news.example/a.jpg ours http://127.0.0.1/icons/192.png"; strings.Join(got, " ") != want {
		t.Errorf("pictures %v", got)
	}
	if attr(a.with("a")[0], "href") != "https://news.example/c.jpg" {
		t.Error("a link was changed")
	}
	if !strings.Contains(st.ok("/outbox/1").body, "Drawings stand in") {
		t.Error("the page does not say so")
	}
}

func TestUnreadableMail(t *testing.T) {
	st := newStage(t, nil)
	n := st.rawMail("a@mail.example", "Content-Type: multipart/mixed; boundary=x\r\n\r\nno parts at all")
	a := st.ok(fmt.Sprintf("/outbox/%d", n))
	if !strings.Contains(said(a.tree), "(no subject)") || !strings.Contains(said(a.tree), "can't be read") {
		t.Error(said(a.tree))
	}
	if raw := st.ok(fmt.Sprintf("/outbox/%d/raw", n)); !strings.Contains(raw.body, "no parts at all") {
		t.Error(raw.body)
	}
	for _, part := range []string{"html", "text"} {
		if got := st.get(fmt.Sprintf("/outbox/%d/%s", n, part)).status; got != http.StatusNotFound {
			t.Errorf("%s: %d", part, got)
		}
	}
}

// TestNumbersStay: a mail keeps its number when older ones are dropped.
func TestNumbersStay(t *testing.T) {
	st := newStage(t, nil)
	for i := range 403 {
		st.mail("a@mail.example", fmt.Sprint("subject ", i+1), "t", "")
	}
	a := st.ok("/outbox")
	if first := a.with(".subject")[0]; attr(first, "href") != "/outbox/403" || said(first) != "subject 403" {
		t.Errorf("first %s: %s", attr(first, "href"), said(first))
	}
	if !strings.Contains(said(a.tree), "3 older ones are no longer held") || !strings.Contains(said(a.tree), "1 to 50 of 400") {
		t.Error("what is gone is not told of")
	}
	if got := said(st.ok("/outbox/4").with("h1")[0]); got != "subject 4" {
		t.Error(got)
	}
	if st.get("/outbox/3").status != http.StatusNotFound {
		t.Error("a dropped mail is still there")
	}
}

func TestHours(t *testing.T) {
	for want, b := range map[string]news.Mailbox{
		"every day, 07:00":     {Hour: 7, Days: []int{1, 2, 3, 4, 5, 6, 7}},
		"every day, 00:00":     {},
		"Mon, Fri, Sun, 18:00": {Hour: 18, Days: []int{1, 5, 7}},
		"Saturdays, 09:00":     {Hour: 9, Weekly: true},
	} {
		if got := hours(b); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
