package digest

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	gomail "github.com/wneessen/go-mail"

	"dateline/internal/email"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// The bar of the digest's speed is for
//
//	go test ./internal/digest -run XXX -bench Sender -benchtime 1x
var (
	senderMails  = flag.Int("sender.mails", 1000, "mails of each kind in a round of BenchmarkSender")
	senderRounds = flag.Int("sender.rounds", 5, "rounds of BenchmarkSender")
)

const (
	senderConnections = 4
	sinkEnv           = "DATELINE_TEST_SINK"
)

// TestMain makes this binary a mail server when it is started as one: what a
// sender costs has to be told apart from what it costs to receive.
func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		if err := sink(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// sink takes mails until its input ends, and says where and, then, how many.
func sink(in io.Reader, out io.Writer) error {
	s, err := simulate.NewMailServer(simulate.MailOptions{Keep: 1})
	if err != nil {
		return err
	}
	defer s.Close()
	fmt.Fprintln(out, s.URL())
	_, err = io.Copy(io.Discard, in)
	fmt.Fprintln(out, s.Taken())
	return err
}

// startSink starts it in a process of its own. stop gives the mails taken.
func startSink(b *testing.B) (url string, stop func() int) {
	b.Helper()
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), sinkEnv+"=1"), os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		b.Fatal("the sink says nothing")
	}
	return lines.Text(), func() int {
		_ = in.Close()
		n := 0
		if lines.Scan() {
			_, _ = fmt.Sscan(lines.Text(), &n)
		}
		_ = c.Wait()
		return n
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

// sender sends mails over senderConnections connections: worker gives, for one
// of them, what sends the mail of a reader.
type sender struct {
	name   string
	worker func(ctx context.Context) (send func(n int) error, end func() error, err error)
}

// run sends mails to the readers from first on, and gives the processor time
// of this process for each.
func (s sender) run(ctx context.Context, first, mails int) (time.Duration, error) {
	var next atomic.Int64
	var busy sync.WaitGroup
	faults := make(chan error, senderConnections)
	began := processorTime()
	for range senderConnections {
		busy.Go(func() {
			send, end, err := s.worker(ctx)
			for n := next.Add(1) - 1; err == nil && n < int64(mails); n = next.Add(1) - 1 {
				err = send(first + int(n))
			}
			if err == nil {
				err = end()
			}
			if err != nil {
				faults <- fmt.Errorf("%s: %w", s.name, err)
			}
		})
	}
	busy.Wait()
	select {
	case err := <-faults:
		return 0, err
	default:
		return (processorTime() - began) / time.Duration(mails), nil
	}
}

// processorTime is what this process has used, its kernel's part included.
func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// ours prints copies of one plate.
func ours(name string, m *email.Mailer, plate *email.Plate) sender {
	return sender{name, func(ctx context.Context) (func(int) error, func() error, error) {
		send := func(n int) error {
			c := benchCopy(n)
			letter, err := plate.Print(c)
			if err != nil {
				return err
			}
			if r := m.SendLetter(ctx, benchSender, c.To, letter, func() error { return nil }); r.Outcome != news.Accepted {
				return fmt.Errorf("receipt %+v", r)
			}
			return nil
		}
		return send, func() error { return nil }, nil
	}}
}

// benchCopy is the n-th reader's.
func benchCopy(n int) email.Copy {
	to, l := reader(n)
	return email.Copy{To: to, MessageID: fmt.Sprintf("digest.20260206.%032d@news.example", n), Date: time.Now(),
		Unsubscribe: l.Unsubscribe, Help: l.Manage, FeedbackID: "20260206:Asia-Tokyo:daily:news.example"}
}

// content gives what go-mail is to send to a reader.
type content func(Links) (*Rendered, error)

func theirMail(write content, n int) (*gomail.Msg, error) {
	to, l := reader(n)
	rendered, err := write(l)
	if err != nil {
		return nil, err
	}
	m := gomail.NewMsg(gomail.WithEncoding(gomail.EncodingQP))
	if err := m.From(benchSender); err != nil {
		return nil, err
	}
	if err := m.To(to); err != nil {
		return nil, err
	}
	m.Subject(rendered.Subject)
	m.SetMessageIDWithValue(fmt.Sprintf("digest.20260206.%032d@news.example", n))
	m.SetDate()
	for name, value := range map[string]string{"Auto-Submitted": "auto-generated", "Precedence": "bulk", "List-Id": "<digest.news.example>",
		"List-Unsubscribe": "<" + l.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "List-Help": "<" + l.Manage + ">",
		"Feedback-ID": "20260206:Asia-Tokyo:daily:news.example"} {
		m.SetGenHeader(gomail.Header(name), value)
	}
	m.SetBodyString(gomail.TypeTextPlain, rendered.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, rendered.HTML)
	return m, nil
}

func goMailClient(s email.Server) (*gomail.Client, error) {
	return gomail.NewClient(s.Host, gomail.WithPort(s.Port), gomail.WithTLSPolicy(gomail.NoTLS), gomail.WithHELO("news.example"))
}

// goMail is go-mail with a connection that lasts.
func goMail(name string, server email.Server, write content) sender {
	return sender{name, func(ctx context.Context) (func(int) error, func() error, error) {
		c, err := goMailClient(server)
		if err != nil {
			return nil, nil, err
		}
		send := func(n int) error {
			m, err := theirMail(write, n)
			if err != nil {
				return err
			}
			return c.Send(m)
		}
		return send, c.Close, c.DialWithContext(ctx)
	}}
}

// goMailSigned is go-mail, its bytes signed by go-msgauth (go-mail's own
// signatures do not verify with so many header fields), on its SMTP client.
func goMailSigned(server email.Server, write content, key crypto.Signer) sender {
	options := &dkim.SignOptions{Domain: "news.example", Selector: "d2026", Signer: key, HeaderCanonicalization: dkim.CanonicalizationRelaxed,
		BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: []string{"From", "To", "Subject", "Date", "Message-ID", "MIME-Version",
			"Content-Type", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post"}}
	return sender{"go-mail signed", func(ctx context.Context) (func(int) error, func() error, error) {
		c, err := goMailClient(server)
		if err != nil {
			return nil, nil, err
		}
		conn, err := c.DialToSMTPClientWithContext(ctx)
		if err != nil {
			return nil, nil, err
		}
		send := func(n int) error {
			m, err := theirMail(write, n)
			if err != nil {
				return err
			}
			var plain, signed bytes.Buffer
			if _, err := m.WriteTo(&plain); err != nil {
				return err
			}
			if err := dkim.Sign(&signed, &plain, options); err != nil {
				return err
			}
			to, _ := reader(n)
			if err := conn.Mail("<" + benchSender + ">"); err != nil {
				return err
			}
			if err := conn.Rcpt("<" + to + ">"); err != nil {
				return err
			}
			body, err := conn.Data()
			if err != nil {
				return err
			}
			if _, err := signed.WriteTo(body); err != nil {
				return err
			}
			return body.Close()
		}
		return send, conn.Quit, nil
	}}
}

// BenchmarkSender is the bar of the digest's speed: the sender's processor time
// for a mail of about 55 KB with 20 stories, over 4 connections to a mail
// server in another process. Each kind has its turn in every round, so that a
// slow minute of the machine meets all. The medians are given, and how many
// times ours theirs is: with the templates run for each reader, which is the
// bar; with one text for all, which nobody can send; and signed.
func BenchmarkSender(b *testing.B) {
	url, stop := startSink(b)
	server, err := email.ParseURL(url)
	if err != nil {
		b.Fatal(err)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	q := Query{Edition: tokyoEdition(), Wishes: wishes("en")}
	r, selection := newRenderer(b), bigDay()
	view, err := r.View(q.Edition, q.Wishes, selection)
	if err != nil {
		b.Fatal(err)
	}
	rendered, err := r.Render(q.Edition, q.Wishes, selection)
	if err != nil {
		b.Fatal(err)
	}
	config := email.Config{Server: server, From: benchSender, Connections: senderConnections}
	plain, plainPlate := benchMailer(b, config, rendered)
	config.DKIMKey, config.DKIMSelector = key, "d2026"
	signing, signedPlate := benchMailer(b, config, rendered)
	same := func(Links) (*Rendered, error) { return rendered, nil }
	senders := []sender{ours("ours", plain, plainPlate), goMail("go-mail", server, view.For), goMail("go-mail same text", server, same),
		ours("ours signed", signing, signedPlate), goMailSigned(server, view.For, key)}
	costs := make([][]time.Duration, len(senders))
	sent := 0
	for b.Loop() {
		for range *senderRounds {
			for i, s := range senders {
				cost, err := s.run(b.Context(), sent, *senderMails)
				if err != nil {
					b.Fatal(err)
				}
				costs[i] = append(costs[i], cost)
				sent += *senderMails
			}
		}
	}
	_, _ = plain.Close(), signing.Close()
	if taken := stop(); taken != sent {
		b.Errorf("%d mails arrived of %d", taken, sent)
	}
	medians := make([]float64, len(senders))
	for i, s := range senders {
		slices.Sort(costs[i])
		medians[i] = float64(costs[i][len(costs[i])/2].Nanoseconds()) / 1000
		b.Logf("%-18s %7.1f us a mail, %s to %s", s.name, medians[i], costs[i][0], costs[i][len(costs[i])-1])
		b.ReportMetric(medians[i], strings.ReplaceAll(s.name, " ", "-")+"-us/mail")
	}
	b.ReportMetric(medians[1]/medians[0], "times")
	b.ReportMetric(medians[2]/medians[0], "times-same-text")
	b.ReportMetric(medians[4]/medians[3], "times-signed")
	b.ReportMetric(0, "ns/op")
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
