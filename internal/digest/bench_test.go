package digest

import (
	"testing"

	"dateline/internal/email"
)

// BenchmarkMail is what one reader's mail costs once its content is rendered:
// her links, MIME and, in production, the signature.
func BenchmarkMail(b *testing.B) {
	m, err := email.New(email.Config{Server: email.Server{Host: "127.0.0.1", Port: 25}, From: "digest@news.example"})
	if err != nil {
		b.Fatal(err)
	}
	rendered := renderDay(b, "en")
	b.ReportAllocs()
	for b.Loop() {
		text, html := rendered.For(readerLinks())
		if _, err := m.Compose(email.Mail{To: "reader@mail.example", Subject: rendered.Subject, Text: text, HTML: html, MessageID: "a@news.example", Date: now()}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkChoose is what one more reader of a known preference costs, among
// a big newsroom's stories.
func BenchmarkChoose(b *testing.B) {
	day := newsDay()
	for len(day) < 2000 {
		day = append(day, newsDay()...)
	}
	for i := range day {
		day[i].URI += string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
	}
	shelf := NewShelf(day, now())
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	b.ReportAllocs()
	for b.Loop() {
		shelf.Choose(q)
	}
}
