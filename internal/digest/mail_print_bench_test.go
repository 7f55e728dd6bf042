package digest

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"testing"
	"time"

	"dateline/internal/email"
	"dateline/internal/news"
)

// What the parts of a mail cost, without a network: a content's plate (paid
// once), a reader's copy of it, and that copy signed with a key that costs next
// to nothing, which leaves what the hashing costs. With a network and beside
// go-mail: `dateline bench digest`.
func BenchmarkCopy(b *testing.B) {
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	r, selection := newRenderer(b), bigDay()
	rendered, err := r.Render(q.Edition, q.Wishes, selection)
	if err != nil {
		b.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		b.Fatal(err)
	}
	c := email.Config{Server: email.Server{Host: "127.0.0.1", Port: 25}, From: benchSender}
	plain, plate := benchMailer(b, c, rendered)
	c.DKIMKey, c.DKIMSelector = key, "d2026"
	_, signed := benchMailer(b, c, rendered)
	view, err := r.View(q.Edition, q.Wishes, selection)
	if err != nil {
		b.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"print":        func() error { _, err := plate.Print(benchCopy(1)); return err },
		"print-signed": func() error { _, err := signed.Print(benchCopy(1)); return err },
		"prepare":      func() error { _, err := plain.Prepare(rendered.Pattern("a", "news.example", "")); return err },
		"render":       func() error { _, err := r.Render(q.Edition, q.Wishes, selection); return err },
		"templates":    func() error { _, err := view.For(readerLinks()); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// bigDay is a selection of 20 stories, which make a mail of about 55 KB.
func bigDay() Selection {
	var s Selection
	for i := range 20 {
		if i%4 == 0 {
			s.Groups = append(s.Groups, Group{Section: []string{"politics", "business", "technology", "culture", "world"}[i/4]})
		}
		one := story(fmt.Sprintf("https://news.example/2026/02/06/flood-warnings-as-the-spillway-opens-%02d", i), func(s *news.Story) {
			s.Headline = fmt.Sprintf("Flood warnings issued for %d river valleys as the dam’s spillway opens – residents urged to move", i+3)
			s.Standfirst = strings.Repeat("Officials said the gauges rose past the alert mark overnight; shelters opened in four towns & roads were closed. ", 3)
			s.URL = s.URI + "?utm_source=digest"
			s.Image = &news.Image{URL: fmt.Sprintf("https://img.news.example/2026/02/06/spillway-%02d.jpg", i), Alt: "Rescue workers carry sandbags", Width: 800, Height: 600}
			s.Kind = []string{"article", "article", "article", "analysis"}[i%4]
		})
		g := &s.Groups[len(s.Groups)-1]
		g.Stories = append(g.Stories, &one)
	}
	return s
}

// reader is the n-th, with links as long as real ones.
func reader(n int) (address string, l Links) {
	return fmt.Sprintf("u%07d@mail.example", n), Links{Manage: fmt.Sprintf("https://alerts.news.example/manage/%051d", n),
		Unsubscribe: fmt.Sprintf("https://alerts.news.example/unsubscribe/%046d", n)}
}

const benchSender = "digest@news.example"

// benchCopy is the n-th reader's.
func benchCopy(n int) email.Copy {
	to, l := reader(n)
	return email.Copy{To: to, MessageID: fmt.Sprintf("digest.20260206.%032d@news.example", n), Date: time.Now(),
		Unsubscribe: l.Unsubscribe, Help: l.Manage, FeedbackID: "20260206:Asia-Tokyo:daily:news.example"}
}

func benchMailer(b *testing.B, c email.Config, rendered *Rendered) (*email.Mailer, *email.Plate) {
	b.Helper()
	m, err := email.New(c)
	if err != nil {
		b.Fatal(err)
	}
	plate, err := m.Prepare(rendered.Pattern("SNOWLAND s.r.o.", m.Domain(), m.Address()))
	if err != nil {
		b.Fatal(err)
	}
	l, err := plate.Print(benchCopy(0))
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("a mail has %.1f KB", float64(len(l.Bytes()))/1024)
	return m, plate
}
