//go:build unix

package app_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

const twoReaders = 400

// TestTwoSchedulers lets two processes on one Postgres run the same editions at once,
// and kills one of them at a random moment (reliability.md 6, C22): each edition is
// there once, nobody gets two mails, and who got none has a row that says unknown. What
// the dead one had claimed the other takes over when its lease has run out.
func TestTwoSchedulers(t *testing.T) {
	t.Parallel()
	var s slowly
	settings := append(withPostgres(t, storetest.Postgres(t)), "NATS_URL="+natsCluster(t))
	o := newPost(t, s.answer, settings...)
	other := newProgram(t, nil, nil, append(settings, mailOf(o.p)...)...)
	other.start()
	at := tomorrow()
	zones, editions := roundZones(), map[string]bool{}
	for i, zone := range zones {
		date, hour := dueBy(t, zone, at)
		editions[news.EditionID(date, zone, hour, false)] = true
		o.readers(fmt.Sprintf("reader%d", i), zone, hour, (twoReaders+i)/len(zones))
	}
	readers := o.count("SELECT count(*) FROM mailboxes")
	s.on.Store(true)
	var runs sync.WaitGroup
	for _, p := range []*program{o.p, other} {
		runs.Go(func() { p.postQuietly("/api/v1/digests/run", map[string]any{"at": at.Format(time.RFC3339)}) })
	}
	goal := rand.IntN(readers * 3 / 4)
	o.until(fmt.Sprintf("%d mails are taken", goal), func() bool { return o.bag.all() >= goal })
	other.kill()
	runs.Wait()
	s.on.Store(false)
	o.settled(2 * time.Minute) // a lease, and a tick
	unknown := o.check(readers)
	t.Logf("killed at %d of %d mails; %d are unknown, %d were not taken", goal, readers, unknown, readers-o.bag.all())
	if unknown > transactions {
		t.Errorf("%d mails are unknown; a process has %d under way", unknown, transactions)
	}
	o.editions(editions, readers)
}

// mailOf are a program's settings of its mail server.
func mailOf(p *program) []string {
	var out []string
	for _, kv := range p.env {
		if strings.HasPrefix(kv, "SMTP_URL=") || strings.HasPrefix(kv, "DATELINE_MAIL_FROM=") {
			out = append(out, kv)
		}
	}
	return out
}

// editions checks that each is there once, and that their accounts add up.
func (o *post) editions(want map[string]bool, readers int) {
	o.t.Helper()
	if n := o.count("SELECT count(*) FROM (SELECT 1 FROM editions GROUP BY local_date, timezone, hour, weekly HAVING count(*) > 1) AS twice"); n > 0 {
		o.t.Errorf("%d editions are there twice", n)
	}
	list, err := o.store().Editions(o.t.Context(), time.Now(), time.Now().Add(48*time.Hour))
	if err != nil {
		o.t.Fatal(err)
	}
	var sum news.EditionFigures
	for _, a := range list {
		if !want[a.ID] || !a.Conserved() {
			o.t.Errorf("edition %s: %+v", a.ID, a.EditionFigures)
		}
		sum = sum.Plus(a.EditionFigures)
	}
	if len(list) != len(want) || sum.Due != readers || !sum.Conserved() {
		o.t.Errorf("%d editions, want %d; of %d readers %+v", len(list), len(want), readers, sum)
	}
}
