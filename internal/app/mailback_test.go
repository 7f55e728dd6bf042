package app_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
)

// failure is what a mail server reports of a digest (RFC 3464), to its return path.
func failure(to string, n int) string {
	lines := []string{
		"From: MAILER-DAEMON@mx.readers.example", "To: " + to, "Subject: Undelivered Mail Returned to Sender",
		fmt.Sprintf("Message-ID: <%d@mx.readers.example>", n), "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
		`Content-Type: multipart/report; report-type=delivery-status; boundary="x"`, "",
		"--x", "Content-Type: text/plain", "", "This is the mail system at host mx.readers.example.", "",
		"--x", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.readers.example", "",
		"Final-Recipient: rfc822; somebody@readers.example", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 5.1.1 user unknown", "",
		"--x--", "",
	}
	return strings.Join(lines, "\r\n")
}

// TestC23KilledWhileMailComesBack kills the program again and again while failures are
// reported to it. A mail server that did not hear "taken" comes again, as they do, and so
// do some that did; in the end every failure counts once.
func TestC23KilledWhileMailComesBack(t *testing.T) {
	const readers, failed = 60, 40
	back := freePort(t)
	onBoth(t, func(t *testing.T, settings ...string) {
		o := newPost(t, nil, append(settings, "DATELINE_BOUNCE_LISTEN="+back, "DATELINE_MAIL_FROM=Desk <digest@news.example>")...)
		at := tomorrow()
		date, hour := dueBy(t, "Asia/Tokyo", at)
		o.readers("reader", "Asia/Tokyo", hour, readers)
		o.run(o.p, at)
		paths := o.bag.paths()
		if len(paths) != readers {
			t.Fatalf("%d return paths of %d mails", len(paths), readers)
		}
		rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
		var servers sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		for i, path := range paths[:failed] {
			servers.Go(func() {
				for range 2 { // taken twice
					for !report(ctx, back, path, failure(path, i)) {
						if ctx.Err() != nil {
							t.Errorf("report %d was never taken", i)
							return
						}
					}
				}
			})
		}
		for range 3 {
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond) // where the kill falls is left to chance
			o.p.kill()
			o.p.start()
		}
		servers.Wait()
		account, err := o.store().Edition(t.Context(), news.EditionID(date, "Asia/Tokyo", hour, false))
		if err != nil || account.Hard != failed || account.Bounced != failed || account.Sent != readers-failed || !account.Conserved() {
			t.Errorf("%+v, %v", account.EditionFigures, err)
		}
		for table, want := range map[string]int{"mail_reports": failed, "suppressions": failed, "departures": failed, "mailboxes WHERE state = 'active'": readers - failed} {
			var n int
			if err := o.database.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil || n != want {
				t.Errorf("%s: %d, want %d (%v)", table, n, want, err)
			}
		}
	})
}

// report hands a mail over as a mail server does; false when nobody said that it is taken.
func report(ctx context.Context, addr, to, mail string) bool {
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	c, err := smtp.NewClient(conn, "mx.readers.example")
	if err != nil || c.Mail("") != nil || c.Rcpt(to) != nil {
		return false
	}
	w, err := c.Data()
	if err != nil {
		return false
	}
	if _, err := w.Write([]byte(mail)); err != nil {
		return false
	}
	return w.Close() == nil
}
