package digest

import (
	"crypto/ed25519"
	"testing"

	"dateline/internal/email"
)

// What the parts of a mail cost, without a network: a content's plate (paid
// once), a reader's copy of it, and that copy signed with a key that costs next
// to nothing, which leaves what the hashing costs.
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
