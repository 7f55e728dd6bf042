package app_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// mailbag is the log of a mail server: what it took, whatever its sender knows of
// it.
type mailbag struct {
	mu    sync.Mutex
	byID  map[string]int    // mails by Message-ID
	dates map[[2]string]int // mails by reader and local date
	from  []string          // envelope senders of the digests
	faults
}

// faults are lines of the log that say nothing.
type faults []string

func newMailbag() *mailbag { return &mailbag{byID: map[string]int{}, dates: map[[2]string]int{}} }

// Write takes a line of the log. The local date is the second word of a digest's
// Message-ID.
func (b *mailbag) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var m simulate.MailLine
	words := []string{}
	if err := json.Unmarshal(line, &m); err == nil {
		words = strings.Split(m.MessageID, ".")
	}
	if len(words) < 3 || words[0] != "digest" {
		b.faults = append(b.faults, string(line))
		return len(line), nil
	}
	b.byID[m.MessageID]++
	b.from = append(b.from, m.From)
	b.dates[[2]string{m.To, words[1]}]++
	return len(line), nil
}

// mails is how many were taken under a Message-ID.
func (b *mailbag) mails(id string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.byID[id]
}

// paths are the return paths of the digests.
func (b *mailbag) paths() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.from)
}

// all is how many were taken.
func (b *mailbag) all() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, mails := range b.byID {
		n += mails
	}
	return n
}

// twice are the readers who got more than one mail for a local date.
func (b *mailbag) twice() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := append([]string{}, b.faults...)
	for who, mails := range b.dates {
		if mails > 1 {
			out = append(out, fmt.Sprintf("%s got %d mails for %s", who[0], mails, who[1]))
		}
	}
	return out
}

// gate stops mails under way at a step of their transactions, as many as the
// program has at once.
type gate struct {
	verb   string
	after  int // mails that go through before
	answer *simulate.MailAnswer

	mu      sync.Mutex
	seen    int
	bodies  int
	waiting int
	full    chan struct{} // closed when all wait
	begun   chan struct{} // closed when all that waited at "rcpt" were told to send the body
	opened  chan struct{}
}

func newGate(verb string, after int) *gate {
	return &gate{verb: verb, after: after, full: make(chan struct{}), begun: make(chan struct{}), opened: make(chan struct{})}
}

// pass is the mail server's Answer.
func (g *gate) pass(s simulate.MailStep) *simulate.MailAnswer {
	if !g.stops(s.Verb) {
		return nil
	}
	select {
	case <-g.opened: // long ago
		return nil
	default:
	}
	<-g.opened
	return g.answer
}

func (g *gate) stops(verb string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if verb == "body" && g.waiting >= transactions {
		if g.bodies++; g.bodies == transactions {
			close(g.begun)
		}
	}
	if verb != g.verb {
		return false
	}
	if g.seen++; g.seen <= g.after {
		return false
	}
	if g.waiting++; g.waiting == transactions {
		close(g.full)
	}
	return true
}

// wait waits for what one of the channels says.
func (g *gate) wait(t *testing.T, what string, happened <-chan struct{}) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(time.Minute):
		t.Fatalf("%s: not within a minute", what)
	}
}

// post is a program with a mail server, and the rows of its mails.
type post struct {
	t        *testing.T
	p        *program
	bag      *mailbag
	database *sql.DB
	url      string // the store's
}

// newPost starts a program whose mails go to a server that answers like this.
func newPost(t *testing.T, answer func(simulate.MailStep) *simulate.MailAnswer, settings ...string) *post {
	t.Helper()
	o := &post{t: t, bag: newMailbag()}
	server, err := simulate.NewMailServer(simulate.MailOptions{Log: o.bag, Keep: 1, Answer: answer})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	o.p = newProgram(t, nil, server, settings...)
	o.p.start()
	o.p.story("https://news.example/kills", "Something to tell")
	o.p.alert("https://news.example/kills", "sent", func(a alertAnswer) bool { return a.State == "sent" })
	driver, dsn := "sqlite", "file:"+filepath.Join(o.p.folder, "data", "dateline.db")+"?_busy_timeout=5000"
	o.url = "sqlite:" + filepath.Join(o.p.folder, "data", "dateline.db")
	for _, s := range settings {
		if address, ok := strings.CutPrefix(s, "DATABASE_URL="); ok {
			driver, dsn, o.url = "postgres", address, address
		}
	}
	if o.database, err = sql.Open(driver, dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.database.Close() })
	return o
}

func (o *post) postgres() bool { return !strings.HasPrefix(o.url, "sqlite:") }

// dueBy is the newest edition of a zone that is made on the hour, at an instant.
func dueBy(t *testing.T, zone string, at time.Time) (date string, hour int) {
	t.Helper()
	place, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return at.In(place).Format(time.DateOnly), at.In(place).Hour()
}

// tomorrow is an instant ahead for which the program may be asked, and another hour's
// too.
func tomorrow() time.Time {
	return time.Now().Add(24*time.Hour + 20*time.Minute).UTC().Truncate(time.Second)
}

// readers imports n readers of a zone and hour.
func (o *post) readers(name, zone string, hour, n int) {
	o.t.Helper()
	var lines bytes.Buffer
	encode := json.NewEncoder(&lines)
	for i := range n {
		if err := encode.Encode(map[string]any{"email": fmt.Sprintf("%s-%d@readers.example", name, i), "regions": []string{"JP"}, "timezone": zone,
			"language": "en", "hour": hour, "confirmedAt": time.Now().UTC().Format(time.RFC3339), "source": "test"}); err != nil {
			o.t.Fatal(err)
		}
	}
	o.importLines(lines.String())
}

func (o *post) importLines(lines string) {
	o.t.Helper()
	if out, err := o.p.run(lines, "import", "readers", "-"); err != nil {
		o.t.Fatalf("import readers: %v\n%s", err, out)
	}
}

// digestCounts is the answer of a digest run.
type digestCounts struct{ Due, Sent, Deferred, Empty, Failed, Unknown int }

// run sends the editions of an instant.
func (o *post) run(p *program, at time.Time) digestCounts {
	o.t.Helper()
	var f digestCounts
	if code := p.call("POST", "/api/v1/digests/run", map[string]any{"at": at.Format(time.RFC3339)}, &f); code != http.StatusOK {
		o.t.Fatalf("digests: %d", code)
	}
	return f
}

// settled waits until every mail has its last state.
func (o *post) settled(within time.Duration) {
	o.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); ; <-tick.C {
		n := o.states()
		if open := n["due"] + n["claimed"] + n["data_started"] + n["deferred"]; open == 0 {
			return
		}
		if time.Now().After(deadline) {
			o.t.Fatalf("after %s the mails are %v\n%s", within, n, o.p.stderr)
		}
	}
}

// states counts the mails by state.
func (o *post) states() map[string]int {
	o.t.Helper()
	out := map[string]int{}
	for _, r := range o.rows() {
		out[r.state]++
	}
	return out
}

// mailRow is a mail as the store has it.
type mailRow struct{ id, mailbox, date, state string }

func (o *post) rows() []mailRow {
	o.t.Helper()
	rows, err := o.database.QueryContext(context.Background(), "SELECT message_id, mailbox_id, local_date, state FROM digest_mails")
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close()
	var out []mailRow
	for rows.Next() {
		var r mailRow
		if err := rows.Scan(&r.id, &r.mailbox, &r.date, &r.state); err != nil {
			o.t.Fatal(err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	return out
}

// exec changes the database behind the program's back.
func (o *post) exec(query string) {
	o.t.Helper()
	if _, err := o.database.ExecContext(context.Background(), query); err != nil {
		o.t.Fatal(err)
	}
}

// buried ends the leases of a process that is dead, once nothing of what it asked for is
// under way: on a database that others may share, half a minute would be waited for
// them. (With SQLite the start itself ends them.)
func (o *post) buried() {
	o.t.Helper()
	if !o.postgres() {
		return
	}
	o.until("the dead has left Postgres", func() bool {
		return o.count("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'dateline'") == 0
	})
	o.exec("UPDATE digest_mails SET lease_until = '2001-01-01 00:00:00+00:00' WHERE state IN ('claimed', 'data_started')")
}

// store opens the program's store beside it, as the desk's buttons use it.
func (o *post) store() *store.Store {
	o.t.Helper()
	s, err := store.Open(o.t.Context(), store.Config{URL: o.url, SealKey: storetest.SealKey()})
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = s.Close() })
	return s
}

// check compares rows and mails as sets: what is sent was taken, what was taken is
// sent or unknown, and nobody got two. It gives how many mails are unknown.
func (o *post) check(readers int) (unknown int) {
	o.t.Helper()
	for _, fault := range o.bag.twice() {
		o.t.Error(fault)
	}
	known, n := 0, map[news.DigestState]int{}
	for _, r := range o.rows() {
		state, mails := news.DigestState(r.state), o.bag.mails(r.id)
		n[state]++
		known += mails
		if state == news.DigestSent && mails != 1 || state != news.DigestSent && state != news.DigestUnknown {
			o.t.Errorf("the row of a mail says %s, and the server has %d of it", state, mails)
		}
	}
	if rows := n[news.DigestSent] + n[news.DigestUnknown]; rows != readers || known != o.bag.all() {
		o.t.Errorf("%d readers, and rows %v; the server took %d mails, of which %d have a row", readers, n, o.bag.all(), known)
	}
	return n[news.DigestUnknown]
}

// taken waits until the server has so many mails.
func (o *post) taken(n int) {
	o.t.Helper()
	o.until(fmt.Sprintf("%d mails are taken", n), func() bool { return o.bag.all() >= n })
}

func (o *post) until(what string, ok func() bool) {
	o.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			o.t.Fatalf("%s: not within a minute\n%s", what, o.p.stderr)
		}
	}
}

// freeze keeps everybody else from writing the rows of mails; they can be read.
func (o *post) freeze() (thaw func()) {
	o.t.Helper()
	ctx := context.Background()
	c, err := o.database.Conn(ctx)
	if err != nil {
		o.t.Fatal(err)
	}
	locks := []string{"BEGIN IMMEDIATE"}
	if o.postgres() {
		locks = []string{"BEGIN", "LOCK TABLE digest_mails IN SHARE MODE"}
	}
	for _, statement := range locks {
		if _, err := c.ExecContext(ctx, statement); err != nil {
			o.t.Fatal(err)
		}
	}
	return func() {
		o.orphans()
		if _, err := c.ExecContext(ctx, "ROLLBACK"); err != nil {
			o.t.Fatal(err)
		}
		_ = c.Close()
	}
}

// stoodStill finds the connections that wait to mark a mail.
const stoodStill = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'UPDATE digest_mails SET edition_at%'"

// blocked waits until so many marks wait for a frozen store. SQLite has nobody to ask:
// whoever wants to write tries again and again.
func (o *post) blocked(n int) {
	o.t.Helper()
	if o.postgres() {
		o.until(fmt.Sprintf("%d marks wait", n), func() bool { return o.count("SELECT count(*) "+stoodStill) == n })
	}
}

// orphans ends what a dead process has asked Postgres for and waits for a lock: it
// would be done after its death.
func (o *post) orphans() {
	o.t.Helper()
	if o.postgres() {
		o.until("nothing is done for the dead", func() bool {
			return o.count("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 0
		})
	}
}

func (o *post) count(query string) int {
	o.t.Helper()
	var n int
	if err := o.database.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		o.t.Fatal(err)
	}
	return n
}
