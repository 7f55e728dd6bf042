package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/digest"
	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/templates"
)

// BenchDigest are the options of `dateline bench digest`.
type BenchDigest struct {
	Bench
	Mails       int // of each kind in a round
	Rounds      int
	Connections int
	Stories     int // in a mail
}

// benchDigest is one run.
type benchDigest struct {
	BenchDigest
	*benchRoom
	senders []mailSender
	close   []func() error
	sent    int
}

func (o BenchDigest) check() error {
	var p news.Problems
	benchSizes(&p, map[string]int{"--mails": o.Mails, "--rounds": o.Rounds, "--connections": o.Connections, "--stories": o.Stories})
	if o.Stories > 100 {
		p.Add("--stories", "%d must be 100 or fewer", o.Stories)
	}
	return p.Err()
}

// Run measures what a digest costs its sender, by our plates and by go-mail with
// the templates run for each reader, unsigned and signed. Each kind has its turn in
// every round, so that a slow minute of the machine meets all.
func (o BenchDigest) Run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	b := &benchDigest{BenchDigest: o, benchRoom: newBenchRoom(o.Bench, "bench digest",
		"a simulated mail server on loopback without TLS, in a process of its own on the same processors", map[string]string{"--mails": strconv.Itoa(o.Mails),
			"--rounds": strconv.Itoa(o.Rounds), "--connections": strconv.Itoa(o.Connections), "--stories": strconv.Itoa(o.Stories)})}
	return b.run(ctx, BenchPlan{Mail: true}, b.measure)
}

func (b *benchDigest) measure(ctx context.Context) (err error) {
	if err := b.prepare(); err != nil {
		return err
	}
	defer func() {
		for _, end := range b.close {
			err = errors.Join(err, end())
		}
	}()
	progress := NewProgress(b.benchRoom.Out, "sending mails")
	defer progress.Done()
	for range b.Rounds {
		rows := make([]BenchRow, len(b.senders))
		for i, s := range b.senders {
			if rows[i], err = b.send(ctx, s); err != nil {
				return err
			}
			progress.Set(int64(b.sent), int64(b.Mails*b.Rounds*len(b.senders)))
		}
		b.report.Rows = append(b.report.Rows, rows...)
		b.report.compare(rows[0], rows[1], "")
		b.report.compare(rows[2], rows[3], "")
	}
	return nil
}

// prepare lays the mail out and makes the ways to send it.
func (b *benchDigest) prepare() error {
	server, err := email.ParseURL(b.services.Mail)
	if err != nil {
		return err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	words, err := email.LoadWords(templates.FS)
	if err != nil {
		return err
	}
	r, err := digest.NewRenderer(templates.FS, words, email.Publisher{Name: "The Bench", Address: []string{"1 Example Street"}}, "https://alerts.news.example")
	if err != nil {
		return err
	}
	edition := digest.Edition{At: time.Now(), LocalDate: time.Now().Format(time.DateOnly)}
	wishes := news.Wishes{Language: "en", Timezone: "Asia/Tokyo", Preference: news.Preference{Regions: []string{"142"}, Level: news.LevelBulletin}}
	selection := benchDay(b.Stories)
	view, err := r.View(edition, wishes, selection)
	if err != nil {
		return err
	}
	rendered, err := r.Render(edition, wishes, selection)
	if err != nil {
		return err
	}
	config := email.Config{Server: server, From: benchMailFrom, Connections: b.Connections}
	signed := config
	signed.DKIMKey, signed.DKIMSelector = key, "d2026"
	for _, c := range []email.Config{config, signed} {
		if err := b.addOurs(c, rendered); err != nil {
			return err
		}
	}
	b.senders = []mailSender{b.senders[0], goMail(server, view.For), b.senders[1], goMailSigned(server, view.For, key)}
	return nil
}

// benchDay is a selection of stories; 20 make a mail of about 55 KB.
func benchDay(stories int) digest.Selection {
	sections := []string{"politics", "business", "technology", "culture", "world"}
	var s digest.Selection
	for i := range stories {
		if i%4 == 1 {
			s.Groups = append(s.Groups, digest.Group{Section: sections[i/4%len(sections)]})
		}
		uri := fmt.Sprintf("https://news.example/2026/02/06/flood-warnings-as-the-spillway-opens-%02d", i)
		one := news.Story{URI: uri, Version: 1, Status: news.Usable, Language: "en", Regions: []string{"JP"}, Sections: []string{"politics"}, Urgency: 5,
			Headline:   fmt.Sprintf("Flood warnings issued for %d river valleys as the dam’s spillway opens – residents urged to move", i+3),
			Standfirst: strings.Repeat("Officials said the gauges rose past the alert mark overnight; shelters opened in four towns & roads were closed. ", 3),
			URL:        uri + "?utm_source=digest", Kind: []string{"article", "article", "article", "analysis"}[i%4], Created: time.Now().Add(-time.Hour),
			Image: &news.Image{URL: fmt.Sprintf("https://img.news.example/2026/02/06/spillway-%02d.jpg", i), Alt: "Rescue workers carry sandbags", Width: 800, Height: 600}}
		if i == 0 {
			s.Lead = &one
			continue
		}
		g := &s.Groups[len(s.Groups)-1]
		g.Stories = append(g.Stories, &one)
	}
	return s
}

const benchMailFrom = "digest@news.example"

// mailReader is the n-th, with links as long as real ones.
func mailReader(n int) (address string, l digest.Links) {
	return fmt.Sprintf("u%07d@mail.example", n), digest.Links{Manage: fmt.Sprintf("https://alerts.news.example/manage/%051d", n),
		Unsubscribe: fmt.Sprintf("https://alerts.news.example/unsubscribe/%046d", n)}
}

// mailSender is a way to send mails: worker gives, for one connection, what sends
// the mail of a reader.
type mailSender struct {
	name     string
	baseline bool
	worker   func(ctx context.Context) (send func(n int) error, end func() error, err error)
}

// addOurs prints copies of one plate.
func (b *benchDigest) addOurs(c email.Config, rendered *digest.Rendered) error {
	m, err := email.New(c)
	if err != nil {
		return err
	}
	b.close = append(b.close, m.Close)
	plate, err := m.Prepare(rendered.Pattern("The Bench", m.Domain(), m.Address()))
	if err != nil {
		return err
	}
	letter, err := plate.Print(benchCopy(0))
	if err != nil {
		return err
	}
	name := "plates"
	if b.report.Sizes["a mail"] = fmt.Sprintf("%.1f KB", float64(len(letter.Bytes()))/1024); c.DKIMKey != nil {
		name = "plates, DKIM RSA-2048"
	}
	b.senders = append(b.senders, mailSender{name: name, worker: func(ctx context.Context) (func(int) error, func() error, error) {
		send := func(n int) error {
			c := benchCopy(n)
			letter, err := plate.Print(c)
			if err != nil {
				return err
			}
			if r := m.SendLetter(ctx, benchMailFrom, c.To, letter, func() error { return nil }); r.Outcome != news.Accepted {
				return fmt.Errorf("receipt %+v", r)
			}
			return nil
		}
		return send, func() error { return nil }, nil
	}})
	return nil
}

// benchCopy is the n-th reader's.
func benchCopy(n int) email.Copy {
	to, l := mailReader(n)
	return email.Copy{To: to, MessageID: fmt.Sprintf("digest.20260206.%032d@news.example", n), Date: time.Now(),
		Unsubscribe: l.Unsubscribe, Help: l.Manage, FeedbackID: "20260206:Asia-Tokyo:daily:news.example"}
}

// send measures one way.
func (b *benchDigest) send(ctx context.Context, s mailSender) (BenchRow, error) {
	took := make([]time.Duration, b.Mails)
	faults := make([]error, b.Connections)
	var next atomic.Int64
	var busy sync.WaitGroup
	m := startMeter()
	for i := range b.Connections {
		busy.Go(func() {
			send, end, err := s.worker(ctx)
			for n := next.Add(1) - 1; err == nil && n < int64(b.Mails); n = next.Add(1) - 1 {
				began := time.Now()
				err = errors.Join(send(b.sent+int(n)), ctx.Err())
				took[n] = time.Since(began)
			}
			if end != nil {
				err = errors.Join(err, end())
			}
			faults[i] = err
		})
	}
	busy.Wait()
	row := m.row(s.name, b.Mails)
	if i := slices.IndexFunc(faults, func(err error) bool { return err != nil }); i >= 0 {
		return row, fmt.Errorf("%s: the measurement is invalid: %w", s.name, faults[i])
	}
	b.sent += b.Mails
	row.Baseline = s.baseline
	row.times(took)
	t, err := b.services.tell(ctx, "")
	if err == nil && t.Mails != b.sent {
		err = fmt.Errorf("%s: the measurement is invalid: %d mails arrived of %d", s.name, t.Mails, b.sent)
	}
	return row, err
}
