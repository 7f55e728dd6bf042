package app_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/simulate"
	"dateline/internal/store/storetest"
)

// A kill costs two or three seconds: eight in the normal suite, 200 in .ci/nightly.
var mailKills = flag.Int("mail.kills", 8, "kills in TestKill9SendsNoMailTwice")

const (
	roundReaders = 120
	// roundStep is how long the mail server thinks about each step of a mail at most,
	// so that kills fall into all of them.
	roundStep = 24 * time.Millisecond
	// roundLasts is about how long a round's mails take, 4 at once with 4 steps each.
	roundLasts = roundReaders / transactions * 4 * roundStep / 2
	// perFolder is at most how many rounds share a database, of which every second is
	// a Postgres: each scan walks all of its readers.
	perFolder = 25
)

func roundZones() []string {
	return []string{"Asia/Tokyo", "Asia/Kolkata", "Asia/Jakarta", "Asia/Dubai", "Asia/Beirut", "America/New_York"}
}

// TestKill9SendsNoMailTwice kills the program at random moments of digest runs over
// readers in many zones, starts it again, and compares rows and mails as sets:
// nobody gets two mails for a local date, and who got none has a row that says
// unknown.
func TestKill9SendsNoMailTwice(t *testing.T) {
	t.Parallel()
	kills := *mailKills
	if testing.Short() {
		kills = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	k := &mailKillings{rng: rand.New(rand.NewPCG(seed, 18))}
	began := time.Now()
	each := min(perFolder, (kills+1)/2)
	for done := 0; done < kills; done += each {
		var settings []string
		if done/each%2 == 1 {
			settings = withPostgres(t, storetest.Postgres(t))
		}
		k.folder(t, min(kills-done, each), settings...)
	}
	t.Logf("%d kills in %s, %d of them with mails under way; %d mails taken, %d unknown in all, of which %d had not been taken; nobody got two",
		kills, time.Since(began).Round(time.Second), k.inRun, k.mails, k.unknown, k.lost)
	if k.inRun < kills/2 {
		t.Errorf("only %d of %d kills fell into a run", k.inRun, kills)
	}
}

// mailKillings are the kills of all folders.
type mailKillings struct {
	rng                         *rand.Rand
	inRun, mails, unknown, lost int
}

// slowly is a mail server that thinks about each step for a while. Of those whose
// sender died at the last step it takes some and loses some.
type slowly struct {
	on, dead atomic.Bool
	thinking atomic.Int64
}

func (s *slowly) answer(step simulate.MailStep) *simulate.MailAnswer {
	if !s.on.Load() || step.Verb == "connect" {
		return nil
	}
	s.thinking.Add(1)
	defer s.thinking.Add(-1)
	time.Sleep(rand.N(roundStep)) // a server at work: no test waits for it
	if step.Verb == "dot" && s.dead.Load() && rand.IntN(2) == 0 {
		return &simulate.MailAnswer{Code: 451, Text: "went down with it"}
	}
	return nil
}

// folder is some kills on one database.
func (k *mailKillings) folder(t *testing.T, kills int, settings ...string) {
	var s slowly
	o := newPost(t, s.answer, settings...)
	defer o.p.kill()
	for n := range kills {
		if t.Failed() {
			return
		}
		at := tomorrow()
		o.importLines(k.readers(t, n, at))
		s.on.Store(true)
		before := o.bag.all()
		go o.p.postQuietly("/api/v1/digests/run", map[string]any{"at": at.Format(time.RFC3339)})
		time.Sleep(time.Duration(k.rng.Int64N(int64(roundLasts)))) // the random moment
		o.p.kill()
		s.dead.Store(true)
		if mails := o.bag.all() - before; mails > 0 && mails < roundReaders {
			k.inRun++
		}
		o.buried()
		o.until("the mail server is done with the dead", func() bool { return s.thinking.Load() == 0 })
		s.on.Store(false)
		s.dead.Store(false)
		o.p.start()
		o.run(o.p, at)
		o.settled(time.Minute)
		o.check((n + 1) * roundReaders)
	}
	k.unknown += o.states()["unknown"]
	k.mails += o.bag.all()
	k.lost += kills*roundReaders - o.bag.all()
}

// readers are a round's, in all zones.
func (k *mailKillings) readers(t *testing.T, round int, at time.Time) string {
	t.Helper()
	var lines bytes.Buffer
	encode := json.NewEncoder(&lines)
	zones := roundZones()
	for i := range roundReaders {
		zone := zones[i%len(zones)]
		_, hour := dueBy(t, zone, at)
		if err := encode.Encode(map[string]any{"email": fmt.Sprintf("reader%d-%d@readers.example", round, i), "regions": []string{"JP"},
			"timezone": zone, "language": "en", "hour": hour, "confirmedAt": time.Now().UTC().Format(time.RFC3339), "source": "test"}); err != nil {
			t.Fatal(err)
		}
	}
	return lines.String()
}
