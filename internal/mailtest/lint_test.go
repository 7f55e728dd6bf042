package mailtest_test

import (
	"slices"
	"strings"
	"testing"

	"dateline/internal/mailtest"
)

// spoil is one thing done to a good mail, and a part of what Lint says of it.
type spoil struct {
	says string
	do   func(l *letter)
}

func set(name, value string) func(*letter) { return func(l *letter) { l.set(name, value) } }

func inPage(old, better string) func(*letter) {
	return func(l *letter) { l.page = strings.ReplaceAll(l.page, old, better) }
}

func inText(old, better string) func(*letter) {
	return func(l *letter) { l.text = strings.ReplaceAll(l.text, old, better) }
}

// add puts elements before the imprint.
func add(elements string) func(*letter) {
	return func(l *letter) { l.page = strings.Replace(l.page, "</body>", elements+"</body>", 1) }
}

const outLink = "<" + unsubscribe + ">"

func headerSpoils() map[string]spoil {
	return map[string]spoil{
		"no From":               {"From is not one address", set("From", "")},
		"two in To":             {"To is not one address", set("To", "a@mail.example, b@mail.example")},
		"no Subject":            {"Subject is empty", set("Subject", "")},
		"blank Subject":         {"Subject is empty", set("Subject", "=?UTF-8?q?_?=")},
		"long Subject":          {"Subject has 124 columns", set("Subject", "=?UTF-8?b?"+strings.Repeat("5pel", 62)+"?=")},
		"Subject of a template": {`Subject has "<no value>"`, set("Subject", "<no value>")},
		"unknown charset":       {"Subject can't be decoded", set("Subject", "=?x-none?q?a?=")},
		"no Date":               {"Date is missing", set("Date", "")},
		"odd Date":              {"Date is missing or is no date", set("Date", "yesterday")},
		"Message-ID":            {"Message-ID is not", set("Message-ID", "<1234>")},
		"MIME-Version":          {"MIME-Version", set("MIME-Version", "")},
		"Auto-Submitted":        {"Auto-Submitted", set("Auto-Submitted", "no")},
		"two Froms":             {"From is there 2 times", set("MIME-Version", "1.0\r\nFrom: <a@mail.example>")},
		"two ways out":          {"List-Unsubscribe is there 2 times", set("MIME-Version", "1.0\r\nList-Unsubscribe: "+outLink)},
		"8 bit":                 {"From is not plain ASCII", set("From", "Žurnál <digest@news.example>")},
		"no name":               {"is not the name of a header field", set("MIME-Version", "1.0\r\nFrom digest@news.example")},
		"long line":             {"a line has 1206 bytes", set("Feedback-ID", "a:b:c:"+strings.Repeat("d", 1187))},
		"List-Id":               {"List-Id", set("List-Id", "The Example")},
		"no List-Id":            {"List-Id", set("List-Id", "")},
		"no List-Unsubscribe":   {"List-Unsubscribe has no https URL", set("List-Unsubscribe", "")},
		"http way out":          {"List-Unsubscribe holds a http URL", set("List-Unsubscribe", "<http://alerts.news.example/u>, <mailto:a@news.example>")},
		"no mailto":             {"List-Unsubscribe has no mailto URL", set("List-Unsubscribe", outLink)},
		"One-Click":             {"List-Unsubscribe-Post", set("List-Unsubscribe-Post", "One-Click")},
		"no One-Click":          {"List-Unsubscribe-Post", set("List-Unsubscribe-Post", "")},
		"Feedback-ID":           {"Feedback-ID has not four fields", set("Feedback-ID", "a:b:c")},
		"empty in Feedback-ID":  {"Feedback-ID has not four fields", set("Feedback-ID", "a::c:d")},
		"Precedence":            {"Precedence", set("Precedence", "list")},
		"one part":              {"Content-Type is not multipart/alternative", set("Content-Type", "text/html")},
		"mixed":                 {"Content-Type is not multipart/alternative", set("Content-Type", "multipart/mixed; boundary=a")},
		"another link in parts": {"the text does not have the unsubscribe link", set("List-Unsubscribe", "<https://alerts.news.example/u/2>, <mailto:a@news.example>")},
		"none in the HTML":      {"the HTML has no unsubscribe link", set("List-Unsubscribe", "<https://alerts.news.example/u/2>, <mailto:a@news.example>")},
	}
}

func textSpoils() map[string]spoil {
	return map[string]spoil{
		"empty text":  {"the text/plain part is empty", func(l *letter) { l.text = " \n" }},
		"empty HTML":  {"the text/html part is empty", func(l *letter) { l.page = "" }},
		"not UTF-8":   {"the text/plain part is not UTF-8", func(l *letter) { l.text += "\xff" }},
		"no way out":  {"the text does not have the unsubscribe link", inText(unsubscribe, "")},
		"no story":    {"the text does not have the link https://news.example/flood", inText("https://news.example/flood", "")},
		"tags":        {"the text has the tag <b>", inText("Workers", "<b>Workers")},
		"no value":    {"the text/plain part has", inText("Workers", "<no value>")},
		"format":      {"the text/plain part has", inText("Workers", "%!s(MISSING)")},
		"extra":       {"the text/plain part has", inText("Workers", "%!(EXTRA int=1)")},
		"braces":      {"the text/plain part has", inText("Workers", "{{.Who}}")},
		"placeholder": {"the text has the placeholder {places}", inText("Workers", "{places}")},
		"Zgotmplz":    {"the text/html part has", inPage("https://img.news.example/1.jpg", "#ZgotmplZ")},
		"huge":        {"the mail has", add("<p>" + strings.Repeat("many words ", 8000) + "</p>")},
	}
}

func pageSpoils() map[string]spoil {
	return map[string]spoil{
		"doctype":        {"no doctype", inPage("<!doctype html>", "")},
		"lang":           {"html has no lang", inPage(`<html lang="en"`, "<html")},
		"dir":            {"html has no dir", inPage(`<html lang="en" dir="ltr"`, `<html lang="en"`)},
		"charset":        {"no meta charset", inPage(`<meta charset="utf-8">`, "")},
		"viewport":       {"no meta viewport", inPage(`name="viewport"`, `name="view"`)},
		"color-scheme":   {"no meta color-scheme", inPage(`name="color-scheme"`, `name="color"`)},
		"title":          {"the title is empty", inPage("<title>Flood warnings for three valleys", "<title> ")},
		"alt":            {"a picture has no alt", inPage(`alt="Workers carry sandbags" `, "")},
		"width":          {"a picture's width is", inPage(`width="592"`, `width="100%"`)},
		"height":         {"a picture's height is", inPage(`height="444"`, "")},
		"src":            {"a picture's src", inPage("https://img.news.example/1.jpg", "cid:1")},
		"http":           {`a link leads to "http://news.example/doha"`, inPage("https://news.example/doha", "http://news.example/doha")},
		"relative":       {`a link leads to "/doha"`, inPage("https://news.example/doha", "/doha")},
		"javascript":     {`a link leads to "javascript:alert(1)"`, inPage("https://news.example/doha", "javascript:alert(1)")},
		"data":           {`a link leads to "data:`, inPage("https://news.example/doha", "data:text/html,a")},
		"no href":        {`a link leads to ""`, inPage(`href="https://news.example/doha"`, "")},
		"no words":       {"has no words", inPage("Unsubscribe</a>", "</a>")},
		"empty alt":      {"has no words", inPage(`alt="Workers carry sandbags"`, `alt=""`)},
		"half hidden":    {"has no words", add(`<a href="https://news.example/doha" aria-hidden="true"></a>`)},
		"table":          {"a table for layout", add("<table><tr><td>a</td></tr></table>")},
		"script":         {"there is a script element", add("<script></script>")},
		"form":           {"there is a form element", add("<form></form>")},
		"iframe":         {"there is a iframe element", add("<iframe></iframe>")},
		"object":         {"there is a object element", add("<object></object>")},
		"style sheet":    {"there is a link element", inPage("<style>", `<link rel="stylesheet" href="https://news.example/a.css"><style>`)},
		"handler":        {"a script in onclick", inPage("<h2 ", `<h2 onclick="a()" `)},
		"import":         {"the style sheet has @import", inPage(":root {", "@import 'a.css'; :root {")},
		"font":           {"the style sheet has @font-face", inPage(":root {", "@font-face { src: local(a) } :root {")},
		"url in sheet":   {"the style sheet has a url()", inPage(":root {", ".a { background: url(a.png) } :root {")},
		"url inline":     {"p has a url()", add(`<p style="background:#fff URL(a.png)">a</p>`)},
		"background":     {"td has a background picture", inPage("<td ", `<td background="a.png" `)},
		"position":       {"p has position", add(`<p style="position:absolute">a</p>`)},
		"float":          {"the style sheet has float", inPage(":root {", ".a { float: left } :root {")},
		"no important":   {"is not !important", inPage("#171613 !important", "#171613")},
		"small in sheet": {"the style sheet makes .lead 9px", inPage("font-size: 25px", "font-size: 9px")},
		"small":          {"div has text of 9px", add(`<div style="font-size:9px">a</div>`)},
		"small above":    {"span has text of 10px", add(`<div style="font-size:10px"><span>a</span></div>`)},
		"small alt":      {"img has text of 10px", inPage("height:auto;margin:0 0 14px;font-size:13px", "font-size:10px")},
		"no lead":        {"0 headings are the lead", inPage(`<h1 class="ink lead"`, `<h2 class="ink"`)},
		"two leads":      {"2 headings are the lead", add("<h1>a</h1>")},
		"skipped level":  {"the headings go from h3 to h5", add("<h5>a</h5>")},
		"empty heading":  {"an h2 is empty", add("<h2></h2>")},
		"preheader":      {"preheader", inPage(`<div style="display:none;`, `<div style="`)},
		"empty hidden":   {"preheader", inPage("overflow:hidden;\">الدوحة تستضيف محادثات لتمديد الهدنة</div>", "overflow:hidden;\"></div>")},
		"dir auto":       {`div has the dir "auto"`, inPage(`<div lang="ar" dir="rtl"`, `<div lang="ar" dir="auto"`)},
		"no block dir":   {"a block in another language has no dir", inPage(`<div lang="ar" dir="rtl"`, `<div lang="ar"`)},
		"hidden way out": {"the HTML has no unsubscribe link", func(l *letter) {
			l.page = strings.ReplaceAll(l.page, `<a class="link" href="`+unsubscribe+`"`, `<a style="display:none" href="`+unsubscribe+`"`)
		}},
	}
}

// TestLintBites: each rule, broken once in a mail that is good otherwise, is
// found.
func TestLintBites(t *testing.T) {
	good := takeApart(t)
	for _, spoils := range []map[string]spoil{headerSpoils(), textSpoils(), pageSpoils()} {
		for name, s := range spoils {
			l := good
			s.do(&l)
			if l == good {
				t.Errorf("%s: nothing was spoilt", name)
			}
			found := mailtest.Lint(l.bytes(t))
			if !slices.ContainsFunc(found, func(finding string) bool { return strings.Contains(finding, s.says) }) {
				t.Errorf("%s: %q is not among %q", name, s.says, found)
			}
		}
	}
}

// TestLintBitesOnTheWire: what can't be spoilt in a mail taken apart.
func TestLintBitesOnTheWire(t *testing.T) {
	apart := takeApart(t)
	good := string(apart.bytes(t))
	for says, c := range map[string][2]string{
		"bare CR or LF":            {"MIME-Version: 1.0\r\n", "MIME-Version: 1.0\n"},
		"has a bare CR":            {"MIME-Version: 1.0\r\n", "MIME-Version: 1.0\r \r\n"},
		"NUL":                      {"MIME-Version: 1.0", "MIME-Version: 1.0\x00"},
		"no empty line":            {good, "From: digest@news.example\r\n"},
		"does not say that it is":  {"text/plain; charset=UTF-8", "text/plain"},
		"does not pass every":      {"Content-Transfer-Encoding: quoted-printable", "Content-Transfer-Encoding: 8bit"},
		"not text/plain and then":  {"text/plain;", "text/enriched;"},
		"the parts can't be read":  {"Content-Type: text/plain; charset=UTF-8", "Content-Type: ;"},
		"Content-Type is not mult": {"boundary=", "b="},
	} {
		raw := strings.ReplaceAll(good, c[0], c[1])
		if raw == good {
			t.Errorf("%s: nothing was spoilt", says)
		}
		found := mailtest.Lint([]byte(raw))
		if !slices.ContainsFunc(found, func(finding string) bool { return strings.Contains(finding, says) }) {
			t.Errorf("%q is not among %q", says, found)
		}
	}
}

// TestLintLeavesAlone: what looks like a fault and is none.
func TestLintLeavesAlone(t *testing.T) {
	good := takeApart(t)
	for name, do := range map[string]func(*letter){
		"a folded Message-ID":      set("Message-ID", "\r\n <digest.1@news.example>"),
		"a link that decorates":    add(`<a href="https://news.example/other" aria-hidden="true" tabindex="-1"></a>`),
		"a label":                  add(`<a href="https://news.example/doha" aria-label="Doha"></a>`),
		"a mailbox":                add(`<a href="mailto:desk@news.example">Write to us</a>`),
		"a table of data":          add("<table><tr><th>a</th></tr></table>"),
		"small, but hidden":        add(`<div style="display:none;font-size:1px">a</div>`),
		"a percent sign":           inText("Workers", "100%! they said"),
		"smaller than":             inText("Workers", "a < b > c"),
		"a colour outside a media": inPage(":root {", ".a { color: red } :root {"),
		"a comment":                inPage(":root {", "/* } { */ :root {"),
		"a property's like":        inPage(":root {", ".a { background-position: 0 } :root {"),
	} {
		l := good
		do(&l)
		if l == good {
			t.Errorf("%s: nothing was changed", name)
		}
		if found := mailtest.Lint(l.bytes(t)); len(found) > 0 {
			t.Errorf("%s: %q", name, found)
		}
	}
}

// TestLintAsksLessOfAMailThatIsNoLists: a confirmation is nothing to leave.
func TestLintAsksLessOfAMailThatIsNoLists(t *testing.T) {
	l := takeApart(t)
	for _, name := range []string{"List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Help", "Feedback-ID", "Precedence"} {
		l.set(name, "")
	}
	inText(unsubscribe, "")(&l)
	inPage(`<a class="link" href="`+unsubscribe+`" style="color:#1a4f8a;">Unsubscribe</a>`, "")(&l)
	if found := mailtest.Lint(l.bytes(t)); len(found) > 0 {
		t.Errorf("%q", found)
	}
}

// FuzzLint: a mail of any kind is judged, not a reason to fall.
func FuzzLint(f *testing.F) {
	f.Add([]byte("From: a\r\n\r\nb"))
	f.Add([]byte("Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(mailtest.Lint(raw)) == 0 && !strings.Contains(string(raw), "multipart/alternative") {
			t.Error("nothing was found")
		}
	})
}
