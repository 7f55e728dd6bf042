package app

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"dateline/internal/mailtest"
	"dateline/internal/news"
	"dateline/internal/simulate"
)

// What becomes of 2,000 readers' mails at a real server. Fewer than 2 % do not exist, or
// the edition would pause itself.
const (
	mtaReaders = 2000
	mtaRefused = 10  // 5.1.1 at RCPT
	mtaNobody  = 6   // taken, and reported as 5.1.1 afterwards
	mtaFull    = 20  // taken, and reported as 5.2.2 afterwards
	mtaGrey    = 200 // told to come back
)

// TestPostfix sends an edition to 2,000 readers through a Debian Postfix, which delivers
// most mails, asks some to come back, refuses some and reports some as failed. Its own
// reports come back to our listener; then every mail is in the state that it has at the
// server, the mailboxes that are not there are suppressed, and nothing went out twice.
func TestPostfix(t *testing.T) {
	inbox, err := simulate.NewMailServer(simulate.MailOptions{Keep: mtaReaders})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = inbox.Close() })
	back := freeAddress(t)
	mta := mailtest.StartPostfix(t, mailtest.PostfixOptions{Deliver: inbox.Addr(), Routes: map[string]string{"back.news.example": back},
		Domains: map[string]mailtest.Fate{"good.example": mailtest.Delivered, "refused.example": mailtest.Refused, "grey.example": mailtest.Greylist,
			"nobody.example": mailtest.Unknown, "full.example": mailtest.Full}})
	cfg, err := Load(settings("DATELINE_DATA="+filepath.Join(t.TempDir(), "data"), "DATELINE_LISTEN=127.0.0.1:0", "DATELINE_OPS_LISTEN=127.0.0.1:0",
		"DATELINE_BASE_URL=https://alerts.news.example", "SMTP_URL="+mta.URL(), "DATELINE_MAIL_FROM=Asia Desk <digest@news.example>",
		"DATELINE_BOUNCE_ADDRESS=digest@back.news.example", "DATELINE_BOUNCE_LISTEN="+back))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.Run(ctx) })
	t.Cleanup(func() {
		stop()
		if err := group.Wait(); err != nil {
			t.Error(err)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	edition := mtaEdition(t, a)
	run := func() news.DigestFigures {
		t.Helper()
		f, err := a.digest.RunAt(ctx, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	if got, want := run(), (news.DigestFigures{Due: mtaReaders, Sent: mtaReaders - mtaRefused - mtaGrey, Deferred: mtaGrey, Failed: mtaRefused}); got != want {
		t.Errorf("first run: %+v, want %+v", got, want)
	}
	putBack(t, filepath.Join(cfg.Data, databaseFile)) // five minutes pass
	if got, want := run(), (news.DigestFigures{Due: mtaGrey, Sent: mtaGrey}); got != want {
		t.Errorf("second run: %+v, want %+v", got, want)
	}
	if err := mta.WaitEmpty(ctx); err != nil {
		t.Fatalf("%v\n%s", err, mta.Log())
	}
	checkEdition(t, a, edition)
	checkMailboxes(ctx, t, a, inbox)
}

// mtaEdition makes the readers, due an hour ago, and a story, and gives their edition.
func mtaEdition(t *testing.T, a *App) string {
	t.Helper()
	now := time.Now().UTC()
	slot := mtaSlot()
	due := now.Add(-time.Hour).Truncate(time.Hour)
	if due.Hour() != slot.Hour {
		due = due.Add(-time.Hour) // the hour has changed since
	}
	var list []news.Mailbox
	for _, i := range rand.Perm(mtaReaders) { // as mailboxes are: the bad ones not all in a row
		list = append(list, news.Mailbox{Address: mtaAddress(i), Hour: due.Hour(), State: news.MailboxActive,
			Wishes:  news.Wishes{Language: "en", Timezone: "UTC", Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelBulletin}},
			Consent: news.Consent{TextVersion: "1", Source: "test", RequestedAt: due.Add(-48 * time.Hour), ConfirmedAt: due.Add(-47 * time.Hour)}})
	}
	faults, err := a.store.ImportMailboxes(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range faults {
		if fault != nil {
			t.Fatal(fault)
		}
	}
	story := news.Story{URI: "https://news.example/quake", Version: 1, Status: news.Usable, Headline: "Strong quake off Honshu", Standfirst: "No tsunami is expected.",
		URL: "https://news.example/quake", Kind: "article", Language: "en", Regions: []string{"JP"}, Sections: []string{"society"}, Urgency: 4, Created: now.Add(-2 * time.Hour)}
	nothing := func(news.StoryPrior) (news.StoryEffects, error) { return news.StoryEffects{}, nil }
	if _, _, err := a.store.StoreStory(t.Context(), story, nothing); err != nil {
		t.Fatal(err)
	}
	return news.EditionID(due.Format(time.DateOnly), "UTC", due.Hour(), false)
}

// mtaSlot is the hour before this.
var mtaSlot = sync.OnceValue(func() news.ZoneHour {
	return news.ZoneHour{Timezone: "UTC", Hour: time.Now().UTC().Add(-time.Hour).Hour()}
})

func mtaAddress(i int) string { return fmt.Sprintf("r%04d@%s", i, mtaDomain(i)) }

func mtaDomain(i int) string {
	switch {
	case i < mtaRefused:
		return "refused.example"
	case i < mtaRefused+mtaNobody:
		return "nobody.example"
	case i < mtaRefused+mtaNobody+mtaFull:
		return "full.example"
	case i < mtaRefused+mtaNobody+mtaFull+mtaGrey:
		return "grey.example"
	}
	return "good.example"
}

// putBack makes the deferred mails due.
func putBack(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "UPDATE digest_mails SET next_at = NULL WHERE state = 'deferred'"); err != nil {
		t.Fatal(err)
	}
}

func checkEdition(t *testing.T, a *App, id string) {
	t.Helper()
	account, err := a.store.Edition(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	want := news.EditionFigures{Due: mtaReaders, Sent: mtaReaders - mtaRefused - mtaNobody - mtaFull, Bounced: mtaRefused + mtaNobody + mtaFull, Hard: mtaRefused + mtaNobody}
	if account.EditionFigures != want || !account.Conserved() || account.Paused() {
		t.Errorf("edition: %+v, want %+v; paused %v", account.EditionFigures, want, account.Pauses)
	}
	reports, err := a.store.Reports(t.Context(), time.Now().Add(-time.Hour))
	if err != nil || reports[news.ReportFailed] != mtaNobody+mtaFull || len(reports) != 1 {
		t.Errorf("reports: %v, %v", reports, err)
	}
}

// checkMailboxes holds every mailbox against what the server did with its mail.
func checkMailboxes(ctx context.Context, t *testing.T, a *App, inbox *simulate.MailServer) {
	t.Helper()
	taken := map[string]int{}
	for _, m := range inbox.Mails() {
		taken[m.To]++
	}
	readers, err := a.store.DigestReaders(ctx, nil, "", mtaReaders)
	if err != nil {
		t.Fatal(err)
	}
	active := map[string]bool{}
	for _, r := range readers {
		active[r.Mailbox.Address] = true
	}
	for i := range mtaReaders {
		address := mtaAddress(i)
		_, domain, _ := strings.Cut(address, "@")
		mails, writable := 1, true
		switch domain {
		case "refused.example", "nobody.example":
			mails, writable = 0, false
		case "full.example": // once is no reason
			mails = 0
		}
		if taken[address] != mails || active[address] != writable {
			t.Errorf("%s: %d mails, active %t; want %d, %t", address, taken[address], active[address], mails, writable)
		}
	}
}
