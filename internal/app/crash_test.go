package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/simulate"
)

func base64url(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// answers remembers, per alert and revision, what the push service took and
// when.
type answers struct {
	mu    sync.Mutex
	taken map[string][]time.Time // alert/revision -> each message
	more  chan struct{}
}

func newAnswers() *answers {
	return &answers{taken: map[string][]time.Time{}, more: make(chan struct{}, 1)}
}

func (a *answers) shown(_ *simulate.Phone, d simulate.Delivery) {
	a.mu.Lock()
	key := fmt.Sprintf("%s/%d", d.Notification.Alert, d.Notification.Revision)
	a.taken[key] = append(a.taken[key], d.At)
	a.mu.Unlock()
	select {
	case a.more <- struct{}{}:
	default:
	}
}

func (a *answers) count(alert string, revision int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.taken[fmt.Sprintf("%s/%d", alert, revision)])
}

// within counts what was taken in the last d before at.
func (a *answers) within(alert string, at time.Time, d time.Duration) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, t := range a.taken[alert+"/1"] {
		if t.After(at.Add(-d)) {
			n++
		}
	}
	return n
}

const (
	crashPhones  = 5_000
	crashReaders = 40 // per run
	crashPace    = 900.0
	// crashDot is how long the mail server thinks about each mail: 40 of them take
	// some seconds, as the send does, beside which few are under way at a time.
	crashDot = 500 * time.Millisecond
	// inFlight is how many requests a dispatcher has at one push service, and
	// how many SMTP transactions a mailer has open with one mailbox provider.
	inFlight     = 64
	transactions = 8
)

// A kill costs 5 s of sending and the program's start: ten in the normal suite,
// more in .ci/nightly.
var crashKills = flag.Int("crash.kills", 10, "kills in TestKill9LosesNothing")

// TestKill9LosesNothing kills the program again and again while an alert goes out
// and a digest run is under way, starts it again, repairs the alert, and
// compares what phones and mailboxes got as sets.
func TestKill9LosesNothing(t *testing.T) {
	runs := *crashKills
	if testing.Short() {
		runs = 3
	}
	got := newAnswers()
	push := service(t, simulate.PushOptions{OnShown: got.shown})
	c := &crashes{t: t, push: push, got: got}
	mail, err := simulate.NewMailServer(simulate.MailOptions{Answer: func(s simulate.MailStep) *simulate.MailAnswer {
		if s.Verb == "dot" {
			return &simulate.MailAnswer{Delay: time.Duration(c.mailDelay.Load())}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mail.Close() })
	p := newProgram(t, []*simulate.PushService{push}, mail)
	list := phones(t, push, crashPhones)
	p.start()
	p.importPhones(list, "JP")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c.p, c.mail, c.phones, c.rng = p, mail, list, rand.New(rand.NewPCG(seed, 9))
	counted := 0
	for run := range runs {
		if c.run(run) {
			counted++
		}
	}
	t.Logf("%d of %d kills fell between 5 and 95 %% of the send; repeats in all %d; %d fell into a digest run, unknown in all %d", counted, runs, c.repeats, c.inRun, c.unknown)
	if counted < runs*3/4 {
		t.Errorf("only %d of %d kills fell into the send", counted, runs)
	}
}

// crashes is the series of kills.
type crashes struct {
	t       *testing.T
	p       *program
	push    *simulate.PushService
	mail    *simulate.MailServer
	got     *answers
	phones  []*simulate.Phone
	rng     *rand.Rand
	repeats int
	unknown int
	inRun   int // digest runs that the kill fell into
	// mailDelay is how long the mail server takes to answer the final dot.
	mailDelay atomic.Int64
}

// run makes one kill and checks what came of it. It reports whether the kill
// fell into the send.
func (c *crashes) run(n int) (counts bool) {
	t, p := c.t, c.p
	readers := c.importReaders(n)
	uri := fmt.Sprintf("https://news.example/crash/%d", n)
	at := time.Now().Add(25 * time.Hour).UTC().Format(time.RFC3339)
	c.push.SetRate(crashPace)
	c.mailDelay.Store(int64(crashDot))
	p.story(uri, fmt.Sprintf("Run %d", n))
	a := p.alert(uri, "released", func(a alertAnswer) bool { return a.State == "sending" || a.State == "sent" })
	go p.postQuietly("/api/v1/digests/run", map[string]any{"at": at})
	goal := crashPhones/20 + c.rng.IntN(crashPhones*8/10)
	c.until("the send is under way", func() bool { return c.got.count(a.ID, 1) >= goal })
	p.kill()
	killed := time.Now()
	mailed := c.mailed(readers)
	if mailed > 0 && mailed < len(readers) {
		c.inRun++
	}
	c.mailDelay.Store(0)
	out := c.got.count(a.ID, 1)
	counts = out >= crashPhones/20 && out <= crashPhones*19/20
	// Two bounds on who is sent it twice: what the promise says, answers of the
	// last 500 ms and requests in flight; and what the ledger had not got.
	atRisk := c.got.within(a.ID, killed, 500*time.Millisecond) + inFlight
	open := out - c.committed(a.ID) + inFlight
	had := c.shownRevision(a.ID)
	c.push.SetRate(0)
	p.start()
	step, body := "correct", any(map[string]any{"texts": map[string]any{"en": map[string]string{"title": "Corrected", "body": "As it is"}}})
	if n%2 == 1 {
		step, body = "kill", map[string]any{"reason": "It was not so."}
	}
	early := n%4 < 2 // the repair overtakes what is left of the original
	if !early {
		p.alert(uri, "sent after the restart", func(a alertAnswer) bool { return a.State == "sent" })
	}
	if code := p.call("POST", "/api/v1/alerts/"+a.ID+"/"+step, body, nil); code != http.StatusOK {
		t.Fatalf("run %d: %s: %d", n, step, code)
	}
	done := p.alert(uri, "repaired", func(a alertAnswer) bool {
		return len(a.Repairs) == 1 && a.Repairs[0].State == "sent" && a.Counts.Pending == 0
	})
	c.checkPhones(n, step, early, had, a.ID, atRisk, open)
	if sum := done.Counts.Held + done.Counts.Accepted + done.Counts.Gone + done.Counts.Failed + done.Counts.Ambiguous +
		done.Counts.Cancelled + done.Counts.Expired; sum != crashPhones {
		t.Errorf("run %d: the counts add up to %d: %+v", n, sum, done.Counts)
	}
	c.checkDigests(n, at, readers)
	return counts
}

// committed is how many acceptances of the alert are in the ledger of the
// program that was killed.
func (c *crashes) committed(alert string) int {
	c.t.Helper()
	out, err := c.p.run("", "alert", "show", alert)
	if err != nil {
		c.t.Fatalf("alert show: %v\n%s", err, out)
	}
	n, err := strconv.Atoi(acceptedOf.FindStringSubmatch(out)[1])
	if err != nil {
		c.t.Fatal(err)
	}
	return n
}

var acceptedOf = regexp.MustCompile(` (\d+) accepted,`)

// shownRevision is the phones that have the first revision of the alert.
func (c *crashes) shownRevision(alert string) map[*simulate.Phone]bool {
	had := map[*simulate.Phone]bool{}
	for _, phone := range c.phones {
		for _, d := range phone.Received() {
			if d.Notification.Alert == alert && d.Notification.Revision == 1 {
				had[phone] = true
			}
		}
	}
	return had
}

// checkPhones: everybody who had the original has the repair; nobody is
// without any word (a kill in the middle leaves those without the alert alone);
// repeats are bounded.
func (c *crashes) checkPhones(n int, step string, early bool, had map[*simulate.Phone]bool, alert string, atRisk, open int) {
	c.t.Helper()
	repeats, lost, unrepaired, extra := 0, 0, 0, 0
	for _, phone := range c.phones {
		originals, repairs := 0, 0
		for _, d := range phone.Received() {
			switch {
			case d.Notification.Alert != alert:
			case d.Notification.Revision == 1:
				originals++
			default:
				repairs++
			}
		}
		repeats += max(0, originals-1)
		switch {
		case originals == 0 && repairs == 0 && (step == "correct" || !early):
			lost++
		case originals > 0 && repairs == 0:
			unrepaired++
		case originals == 0 && repairs > 0 && step == "kill" && !had[phone]:
			extra++
		}
	}
	c.repeats += repeats
	if lost+unrepaired > 0 {
		c.t.Errorf("run %d (%s): %d phones without the alert, %d without its repair", n, step, lost, unrepaired)
	}
	// Whoever may have been sent it gets the retraction too: what was opened
	// and not answered when the program died can't be told from the sent.
	if repeats > min(atRisk, open) {
		c.t.Errorf("run %d (%s): %d repeats; %d were at risk, %d had no answer in the ledger", n, step, repeats, atRisk, open)
	}
	c.t.Logf("run %d: %s early %v: %d had it at the kill, %d repeats (%d at risk, %d open), %d retracted without having it", n, step, early, len(had), repeats, atRisk, open, extra)
}

// importReaders adds this run's digest readers.
func (c *crashes) importReaders(n int) []string {
	c.t.Helper()
	var lines bytes.Buffer
	var list []string
	for i := range crashReaders {
		address := fmt.Sprintf("reader%d-%d@readers.example", n, i)
		list = append(list, address)
		if err := json.NewEncoder(&lines).Encode(map[string]any{"email": address, "regions": []string{"JP"}, "timezone": "Asia/Tokyo",
			"language": "en", "hour": 7, "confirmedAt": time.Now().UTC().Format(time.RFC3339), "source": "test"}); err != nil {
			c.t.Fatal(err)
		}
	}
	if out, err := c.p.run(lines.String(), "import", "readers", "-"); err != nil {
		c.t.Fatalf("import readers: %v\n%s", err, out)
	}
	return list
}

// mailed counts the readers who have a mail.
func (c *crashes) mailed(readers []string) int {
	n := 0
	for _, address := range readers {
		n += min(1, len(c.mail.To(address)))
	}
	return n
}

// checkDigests runs the same editions again: nobody gets a second mail, and
// who got none is counted as unknown.
func (c *crashes) checkDigests(n int, at string, readers []string) {
	c.t.Helper()
	var figures struct{ Due, Sent, Deferred, Empty, Failed, Unknown int }
	if code := c.p.call("POST", "/api/v1/digests/run", map[string]any{"at": at}, &figures); code != http.StatusOK {
		c.t.Fatalf("run %d: digests: %d", n, code)
	}
	without, twice := 0, map[string]int{}
	for _, address := range readers {
		switch mails := c.mail.To(address); len(mails) {
		case 0:
			without++
		default:
			for _, m := range mails {
				if twice[m.MessageID]++; twice[m.MessageID] > 1 || len(mails) > 1 {
					c.t.Errorf("run %d: a reader got %d mails, %d with one Message-ID", n, len(mails), twice[m.MessageID])
				}
			}
		}
	}
	c.unknown += figures.Unknown
	c.t.Logf("run %d: digests %+v, %d readers without a mail", n, figures, without)
	if without > figures.Unknown || figures.Unknown > transactions {
		c.t.Errorf("run %d: %d readers without a mail, %d unknown; %d transactions can be open", n, without, figures.Unknown, transactions)
	}
}

// postQuietly posts and forgets: the program is about to be killed.
func (p *program) postQuietly(path string, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		return
	}
	req, err := http.NewRequest(http.MethodPost, p.url(path), bytes.NewReader(raw))
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+adminKey)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
}

// until waits for something that phones bring about.
func (c *crashes) until(what string, ok func() bool) {
	c.t.Helper()
	limit := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-c.got.more:
		case <-limit:
			c.t.Fatalf("%s: not within a minute\n%s", what, c.p.stderr)
		}
	}
}
