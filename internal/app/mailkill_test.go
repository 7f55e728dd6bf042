package app_test

import (
	"errors"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// killPoint is a moment of a mail's life at which the program is killed, with as many
// mails in it as it has under way at once.
type killPoint struct {
	name string
	verb string // the step at which the mail server holds them
	// still keeps the program from writing to its store from there on, and then
	// the server lets them go: that is how far they come.
	still bool
	// loses lets the mail server die too: what it has read it has not taken.
	loses   bool
	state   string // of the mails, when the program is dead
	unknown bool   // what becomes of them
}

const killReaders = 40

// TestKilledWithMailsUnderWay kills the program at every point at which a mail's fate is
// decided (reliability.md 6, C15 to C18). Before the final dot may have gone out
// the mail is sent again; after it, it is unknown and never sent again unless an
// editor says so. Nobody gets two mails, and nobody else's mail is touched.
func TestKilledWithMailsUnderWay(t *testing.T) {
	t.Parallel()
	for _, point := range []killPoint{
		{name: "C15, claimed and nothing said", verb: "mail", state: "claimed"},
		{name: "C16, the body and no dot", verb: "rcpt", still: true, state: "claimed"},
		{name: "C17, the dot sent and taken", verb: "dot", state: "data_started", unknown: true},
		{name: "C17, the dot sent and lost", verb: "dot", loses: true, state: "data_started", unknown: true},
		{name: "C18, 250 read and not written down", verb: "dot", still: true, state: "data_started", unknown: true},
	} {
		t.Run(point.name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, settings ...string) { point.try(t, settings...) })
		})
	}
}

func (point killPoint) try(t *testing.T, settings ...string) {
	g := newGate(point.verb, killReaders/4)
	if point.loses {
		g.answer = &simulate.MailAnswer{Code: 451, Text: "out of order"}
	}
	o := newPost(t, g.pass, settings...)
	k := &killing{post: o, killPoint: point, gate: g, at: tomorrow()}
	date, hour := dueBy(t, "Asia/Tokyo", k.at)
	k.edition = news.EditionID(date, "Asia/Tokyo", hour, false)
	o.readers("reader", "Asia/Tokyo", hour, killReaders)
	k.kill()
	o.buried()
	o.p.start()
	k.again()
	if point.unknown {
		k.stays()
		k.resend()
	}
}

// killNext are the readers of the hour after.
const killNext = 3

// killing is one program that is killed at a point.
type killing struct {
	*post
	killPoint
	gate    *gate
	at      time.Time // of the edition's run
	edition string
	hit     []string // Message-IDs of the mails that were in it
}

// kill lets the mails come as far as they should, and kills the program there.
func (k *killing) kill() {
	k.t.Helper()
	go k.p.postQuietly("/api/v1/digests/run", map[string]any{"at": k.at.Format(time.RFC3339)})
	k.gate.wait(k.t, "all transactions are at "+k.verb, k.gate.full)
	before := k.bag.all()
	thaw := func() {}
	if k.still {
		thaw = k.freeze()
		close(k.gate.opened)
		if k.verb == "rcpt" {
			k.gate.wait(k.t, "the server waits for all bodies", k.gate.begun)
		} else {
			k.taken(before + transactions)
		}
		k.blocked(transactions)
	}
	k.p.kill()
	thaw()
	if !k.still {
		close(k.gate.opened)
	}
	if k.verb == "dot" && !k.loses {
		k.taken(before + transactions)
	}
	other := map[string]string{"claimed": "data_started", "data_started": "claimed"}[k.state]
	for _, r := range k.rows() {
		switch r.state {
		case k.state:
			k.hit = append(k.hit, r.id)
		case other:
			k.t.Errorf("a mail is %s", other)
		}
	}
	if len(k.hit) != transactions {
		k.t.Fatalf("%d mails were %s when the program died, not %d: %v", len(k.hit), k.state, transactions, k.states())
	}
}

// again runs the edition to its end.
func (k *killing) again() {
	k.t.Helper()
	first := k.run(k.p, k.at)
	k.settled(time.Minute)
	want := 0
	if k.unknown {
		want = transactions
	}
	if n := k.check(killReaders); n != want || first.Unknown != want {
		k.t.Errorf("%d mails are unknown, and the run said %+v; want %d", n, first, want)
	}
	if f := k.run(k.p, k.at); f != (digestCounts{}) {
		k.t.Errorf("the same run again: %+v", f)
	}
	_, next := dueBy(k.t, "Asia/Tokyo", k.at.Add(time.Hour))
	k.readers("next", "Asia/Tokyo", next, killNext)
	if f := k.run(k.p, k.at.Add(time.Hour)); f != (digestCounts{Due: killNext, Sent: killNext}) {
		k.t.Errorf("the next hour's: %+v", f)
	}
	a, err := k.store().Edition(k.t.Context(), k.edition)
	if err != nil || a.Due != killReaders || a.Unknown != want || a.Sent != killReaders-want || !a.Conserved() {
		k.t.Errorf("the account of the edition: %+v, %v", a.EditionFigures, err)
	}
	k.mails("after the restart", 0)
}

// mails checks that what the server has of the mails that were hit is as many as it
// took then, and `more`.
func (k *killing) mails(when string, more int) {
	k.t.Helper()
	want := 1
	if k.loses {
		want = 0
	}
	for _, id := range k.hit {
		if n := k.bag.mails(id); n != want+more {
			k.t.Errorf("%s the server has %d of a mail, want %d", when, n, want+more)
		}
	}
	if n := k.bag.all(); n != killReaders+killNext-transactions+transactions*(want+more) {
		k.t.Errorf("%s the server has %d mails", when, n)
	}
}

// stays starts the program again and again, and runs the edition and the next hour's:
// what is unknown stays so.
func (k *killing) stays() {
	k.t.Helper()
	for range 2 {
		k.p.kill()
		k.p.start()
		for _, at := range []time.Time{k.at, k.at.Add(time.Hour)} {
			if f := k.run(k.p, at); f != (digestCounts{}) {
				k.t.Errorf("after another restart: %+v", f)
			}
		}
		if n := k.check(killReaders + killNext); n != transactions {
			k.t.Errorf("%d mails are unknown, want %d", n, transactions)
		}
	}
	k.mails("after two more restarts", 0)
}

// resend is an editor's choice: the mails go out once more, and then no more.
func (k *killing) resend() {
	k.t.Helper()
	s := k.store()
	if err := s.ResendUnknown(k.t.Context(), k.edition, transactions-1, "Ann"); !errors.Is(err, news.ErrConflict) {
		k.t.Errorf("of another number than there are: %v", err)
	}
	if err := s.ResendUnknown(k.t.Context(), k.edition, transactions, "Ann"); err != nil {
		k.t.Fatal(err)
	}
	for range 2 {
		k.run(k.p, k.at)
		k.settled(time.Minute)
		k.mails("sent again", 1)
	}
	k.p.kill()
	k.p.start()
	if f := k.run(k.p, k.at); f != (digestCounts{}) {
		k.t.Errorf("after it was sent again: %+v", f)
	}
	k.mails("after it was sent again", 1)
	if n := k.states(); n["sent"] != killReaders+killNext {
		k.t.Errorf("in the end the mails are %v", n)
	}
}
