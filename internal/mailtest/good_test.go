package mailtest_test

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dateline/internal/digest"
	"dateline/internal/email"
	"dateline/internal/mailtest"
	"dateline/internal/news"
	"dateline/templates"
)

var update = flag.Bool("update", false, "write the mail anew that the tests begin with")

var goodFile = filepath.Join("testdata", "good.eml")

const unsubscribe = "https://alerts.news.example/unsubscribe/0123456789abcdef"

// composed is a mail as our readers get it: of the real templates and composer.
func composed(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	words, err := email.LoadWords(templates.FS)
	if err != nil {
		t.Fatal(err)
	}
	publisher := email.Publisher{Name: "The Example", Address: []string{"1 Example Street"}}
	r, err := digest.NewRenderer(templates.FS, words, publisher, "https://alerts.news.example")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 2, 6, 22, 0, 0, 0, time.UTC)
	one := func(uri, language, headline, standfirst string) *news.Story {
		return &news.Story{URI: "https://news.example/" + uri, URL: "https://news.example/" + uri, Version: 1, Status: news.Usable, Language: language,
			Regions: []string{"JP"}, Sections: []string{"politics"}, Urgency: 4, Headline: headline, Standfirst: standfirst, Kind: "article", Created: at.Add(-time.Hour)}
	}
	lead := one("flood", "en", "Flood warnings for three valleys", "Residents were told to move to higher ground.")
	lead.Image = &news.Image{URL: "https://img.news.example/1.jpg", Alt: "Workers carry sandbags", Width: 800, Height: 600}
	rendered, err := r.Render(digest.Edition{At: at, LocalDate: "2026-02-07"},
		news.Wishes{Language: "en", Timezone: "Asia/Tokyo", Preference: news.Preference{Regions: []string{"142"}, Level: news.LevelBulletin}},
		digest.Selection{Lead: lead, Groups: []digest.Group{
			{Section: "world", Stories: []*news.Story{one("doha", "ar", "الدوحة تستضيف محادثات لتمديد الهدنة", "يصل المبعوثون مساء اليوم.")}}}})
	if err != nil {
		t.Fatal(err)
	}
	m, err := email.New(email.Config{Server: email.Server{Host: "127.0.0.1", Port: 25}, From: "The Example <digest@news.example>", DKIMKey: key, DKIMSelector: "d2026"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	plate, err := m.Prepare(rendered.Pattern("The Example", m.Domain(), m.Address()))
	if err != nil {
		t.Fatal(err)
	}
	letter, err := plate.Print(email.Copy{To: "reader@mail.example", MessageID: "digest.20260207.0123@news.example", Date: at, Unsubscribe: unsubscribe,
		Help: "https://alerts.news.example/manage/0123456789abcdef", FeedbackID: "20260207:Asia-Tokyo:daily:news.example"})
	if err != nil {
		t.Fatal(err)
	}
	return letter.Bytes()
}

// letter is a mail taken apart, so that a test can spoil one thing in it.
type letter struct{ head, text, page string }

func (l *letter) bytes(t *testing.T) []byte {
	t.Helper()
	_, params, err := mime.ParseMediaType(strings.TrimSpace(l.field("Content-Type")))
	boundary := params["boundary"]
	if err != nil || boundary == "" {
		boundary = "lost"
	}
	var out bytes.Buffer
	out.WriteString(l.head + "\r\n\r\n")
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(boundary); err != nil {
		t.Fatal(err)
	}
	for _, p := range [][2]string{{"text/plain", l.text}, {"text/html", l.page}} {
		part, err := w.CreatePart(map[string][]string{"Content-Type": {p[0] + "; charset=UTF-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			t.Fatal(err)
		}
		q := quotedprintable.NewWriter(part)
		if _, err := q.Write([]byte(p[1])); err != nil {
			t.Fatal(err)
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// field is a header field with what it is folded into.
func (l *letter) field(name string) string {
	_, rest, ok := strings.Cut("\r\n"+l.head, "\r\n"+name+":")
	if !ok {
		return ""
	}
	lines := strings.SplitAfter(rest, "\r\n")
	value := lines[0]
	for _, line := range lines[1:] {
		if !strings.HasPrefix(line, " ") {
			break
		}
		value += line
	}
	return strings.TrimSuffix(value, "\r\n")
}

// set gives a field another value; "" takes it out.
func (l *letter) set(name, value string) {
	old := name + ":" + l.field(name)
	if value == "" {
		l.head = strings.TrimSuffix(strings.Replace(l.head+"\r\n", old+"\r\n", "", 1), "\r\n")
		return
	}
	l.head = strings.Replace(l.head, old, name+": "+value, 1)
}

// TestGoodMail: the mail that the tests spoil has nothing wrong with it, nor
// has one of today's templates.
func TestGoodMail(t *testing.T) {
	if *update {
		if err := os.WriteFile(goodFile, composed(t, nil), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good, err := os.ReadFile(goodFile)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	apart := takeApart(t)
	for name, raw := range map[string][]byte{"kept": good, "put together again": apart.bytes(t), "today's": composed(t, nil)} {
		for _, finding := range mailtest.Lint(raw) {
			t.Errorf("%s: %s", name, finding)
		}
	}
}

// takeApart reads the kept mail.
func takeApart(t *testing.T) letter {
	t.Helper()
	raw, err := os.ReadFile(goodFile)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	head, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	l := letter{head: head}
	_, params, err := mime.ParseMediaType(l.field("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(body), params["boundary"])
	for _, into := range []*string{&l.text, &l.page} {
		part, err := r.NextPart() // which decodes quoted-printable
		if err != nil {
			t.Fatal(err)
		}
		encoded := io.Reader(part)
		if part.Header.Get("Content-Transfer-Encoding") == "base64" {
			encoded = base64.NewDecoder(base64.StdEncoding, part)
		}
		var text bytes.Buffer
		if _, err := text.ReadFrom(encoded); err != nil {
			t.Fatal(err)
		}
		*into = text.String()
	}
	return l
}
