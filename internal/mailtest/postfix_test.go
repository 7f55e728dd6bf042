package mailtest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"dateline/internal/mailtest"
	"dateline/internal/simulate"
)

// code is what the answer to a mail was; 250 when it was taken.
func code(t *testing.T, err error) int {
	t.Helper()
	var reply *textproto.Error
	var other *gosmtp.SMTPError
	switch {
	case err == nil:
		return 250
	case errors.As(err, &reply):
		return reply.Code
	case errors.As(err, &other):
		return other.Code
	}
	t.Fatal(err)
	return 0
}

func mailServer(t *testing.T) *simulate.MailServer {
	t.Helper()
	s, err := simulate.NewMailServer(simulate.MailOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// plainReader is sent to without SMTPUTF8, as our mailer does. Go's net/smtp asks
// for it where it is offered, and the report is one of RFC 6533 then.
const plainReader = "reader0@"

func sendPlain(addr, from, to, raw string) (err error) {
	c, err := gosmtp.Dial(addr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Quit()) }()
	return c.SendMail(from, []string{to}, strings.NewReader(raw))
}

// TestPostfix sends twenty mails, four to each fate, to the real thing: each
// meets its own end, and what Postfix can't deliver it reports by itself.
func TestPostfix(t *testing.T) {
	t.Parallel()
	readers, bounces := mailServer(t), mailServer(t)
	fates := []mailtest.Fate{mailtest.Delivered, mailtest.Refused, mailtest.Greylist, mailtest.Unknown, mailtest.Full}
	domains := map[string]mailtest.Fate{}
	for _, fate := range fates {
		domains[string(fate)+".example"] = fate
	}
	p := mailtest.StartPostfix(t, mailtest.PostfixOptions{Domains: domains, Deliver: readers.Addr(), Routes: map[string]string{"bounces.news.example": bounces.Addr()}})
	send := func(from, to string) int {
		raw := fmt.Sprintf("From: digest@news.example\r\nTo: %s\r\nSubject: Good morning\r\nMessage-ID: <%s>\r\n\r\nNews.\r\n", to, to)
		if strings.HasPrefix(to, plainReader) {
			return code(t, sendPlain(p.Addr(), from, to, raw))
		}
		return code(t, smtp.SendMail(p.Addr(), nil, from, []string{to}, []byte(raw)))
	}
	first := map[mailtest.Fate]int{mailtest.Refused: 550, mailtest.Greylist: 450}
	for _, fate := range fates {
		for n := range 4 {
			to, want := fmt.Sprintf("reader%d@%s.example", n, fate), max(first[fate], 250)
			from := fmt.Sprintf("%s-%d@bounces.news.example", fate, n)
			if got := send(from, to); got != want {
				t.Errorf("%s: %d, want %d", to, got, want)
			}
			if fate != mailtest.Greylist {
				continue
			}
			if got := send(from, to); got != 250 || p.Asked(to) != 2 {
				t.Errorf("%s again: %d, asked %d times", to, got, p.Asked(to))
			}
		}
	}
	if got := send("a@bounces.news.example", "reader@elsewhere.example"); got != 554 {
		t.Errorf("mail for a stranger: %d, want 554", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := errors.Join(readers.Wait(ctx, 8), bounces.Wait(ctx, 8), p.WaitEmpty(ctx)); err != nil {
		t.Fatal(err)
	}
	delivered(t, readers)
	reported(t, bounces)
}

// delivered wants each reader's mail once, and nobody else's.
func delivered(t *testing.T, readers *simulate.MailServer) {
	t.Helper()
	var got, want []string
	for _, m := range readers.Mails() {
		got = append(got, m.To)
		if m.Subject != "Good morning" {
			t.Errorf("a reader got %q", m.Subject)
		}
	}
	for n := range 4 {
		want = append(want, fmt.Sprintf("reader%d@delivered.example", n), fmt.Sprintf("reader%d@greylist.example", n))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("delivered to %v, want %v", got, want)
	}
}

// reported wants a report for each mail that was taken and not delivered: from
// nobody, to the envelope's sender, with its status (RFC 3464).
func reported(t *testing.T, bounces *simulate.MailServer) {
	t.Helper()
	status := map[string]string{"unknown": "5.1.1", "full": "5.2.2"}
	seen := map[string]bool{}
	for _, m := range bounces.Mails() {
		fate, n, _ := strings.Cut(strings.TrimSuffix(m.To, "@bounces.news.example"), "-")
		reader := fmt.Sprintf("reader%s@%s.example", n, fate)
		seen[reader] = true
		header, err := m.Header()
		if err != nil {
			t.Fatal(err)
		}
		if kind, params, err := header.ContentType(); err != nil || kind != "multipart/report" || params["report-type"] != "delivery-status" || m.From != "" {
			t.Errorf("%s: %s %v from %q, %v", reader, kind, params, m.From, err)
		}
		kind := "message/global-delivery-status"
		if strings.HasPrefix(reader, plainReader) {
			kind = "message/delivery-status"
		}
		for _, line := range []string{"Content-Type: " + kind, "Final-Recipient: rfc822; " + reader, "Action: failed", "Status: " + status[fate]} {
			if !bytes.Contains(m.Raw, []byte("\r\n"+line+"\r\n")) {
				t.Errorf("%s: the report has no line %q\n%s", reader, line, m.Raw)
			}
		}
	}
	if len(bounces.Mails()) != 8 || len(seen) != 8 {
		t.Errorf("%d reports for %d readers, want 8", len(bounces.Mails()), len(seen))
	}
}

// TestPostfixLine: a line of main.cf that a test asks for is the last word.
func TestPostfixLine(t *testing.T) {
	t.Parallel()
	p := mailtest.StartPostfix(t, mailtest.PostfixOptions{Main: map[string]string{"smtpd_banner": "tea.example ESMTP"}})
	conn, err := textproto.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, banner, err := conn.ReadResponse(220); err != nil || banner != "tea.example ESMTP" {
		t.Errorf("%q, %v", banner, err)
	}
}
