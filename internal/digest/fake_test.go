package digest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"dateline/internal/email"
	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/simulate"
	"dateline/internal/web"
	"dateline/templates"
)

// memory is a store in memory that keeps the rules of the real one.
type memory struct {
	mu        sync.Mutex
	now       func() time.Time
	boxes     map[string]news.Mailbox
	stories   map[string]news.Story
	killed    map[string]int64
	pushed    map[string][]news.Pushed
	mails     map[[2]string]news.DigestMail
	told      map[[2]string]bool // as unknown
	signups   map[string]news.DigestSignup
	done      map[string]bool // signups
	forgotten []time.Time     // what ForgetSignups was asked
	fail      error           // of every call
	failMark  func(news.DigestMail) error
	reads     int // of the stories
	scans     int
	afterMark func(news.DigestMail)

	editions map[string]news.Edition
	pauses   []news.EditionPause
	repairs  []news.Repair
	plans    []news.EditionPlan
	reserved map[[2]string]int // provider and day
	reports  map[string]news.MailReport
}

func newMemory(now func() time.Time) *memory {
	return &memory{now: now, told: map[[2]string]bool{}, boxes: map[string]news.Mailbox{}, stories: map[string]news.Story{}, pushed: map[string][]news.Pushed{},
		mails: map[[2]string]news.DigestMail{}, signups: map[string]news.DigestSignup{}, done: map[string]bool{},
		editions: map[string]news.Edition{}, reserved: map[[2]string]int{}, reports: map[string]news.MailReport{}}
}

func (m *memory) lock() func() {
	m.mu.Lock()
	return m.mu.Unlock
}

func (m *memory) ClaimDigest(_ context.Context, d news.DigestMail) (bool, error) {
	defer m.lock()()
	if m.fail != nil {
		return false, m.fail
	}
	if m.boxes[d.MailboxID].State != news.MailboxActive {
		return false, nil
	}
	key := [2]string{d.MailboxID, d.LocalDate}
	known, ok := m.mails[key]
	now := m.now()
	for _, p := range m.pauses {
		if p.Open() && p.Edition == d.Edition && (p.Provider == "" || p.Provider == d.Provider) {
			return false, nil
		}
	}
	free := !ok || known.State == news.DigestDue || known.State == news.DigestDeferred && !known.NextAt.After(now) ||
		known.State == news.DigestClaimed && !known.LeaseUntil.After(now)
	if free {
		d.Attempts = known.Attempts + 1
		m.mails[key] = d
	}
	return free, nil
}

func (m *memory) MarkDigest(_ context.Context, d news.DigestMail) error {
	defer m.lock()()
	if m.fail != nil {
		return m.fail
	}
	if m.failMark != nil {
		if err := m.failMark(d); err != nil {
			return err
		}
	}
	key := [2]string{d.MailboxID, d.LocalDate}
	known := m.mails[key]
	open := []news.DigestState{news.DigestClaimed, news.DigestStarted, news.DigestUnknown}
	if known.Owner != d.Owner || !slices.Contains(open, known.State) {
		return fmt.Errorf("%w: the mail is not %s's", news.ErrFenced, d.Owner)
	}
	d.Attempts = known.Attempts
	m.mails[key] = d
	if m.afterMark != nil {
		m.afterMark(d)
	}
	return nil
}

func (m *memory) RecoverDigests(_ context.Context, now time.Time) (retry, unknown int, err error) {
	defer m.lock()()
	for key, d := range m.mails {
		switch {
		case d.LeaseUntil.After(now):
			continue
		case d.State == news.DigestClaimed:
			d.State, d.Owner, d.NextAt = news.DigestDeferred, "", now
			retry++
		case d.State == news.DigestStarted:
			d.State = news.DigestUnknown
			unknown++
		}
		m.mails[key] = d
	}
	return retry, unknown, m.fail
}

func (m *memory) TellUnknown(_ context.Context, from, until time.Time) (int, error) {
	defer m.lock()()
	n := 0
	for key, d := range m.mails {
		if d.State == news.DigestUnknown && !m.told[key] && d.EditionAt.After(from) && !d.EditionAt.After(until) {
			m.told[key] = true
			n++
		}
	}
	return n, m.fail
}

func (m *memory) DigestDeferred(_ context.Context, now time.Time, limit int) ([]news.DigestMail, error) {
	defer m.lock()()
	var out []news.DigestMail
	for _, d := range m.mails {
		if d.State == news.DigestDeferred && !d.NextAt.After(now) && len(out) < limit {
			out = append(out, d)
		}
	}
	return out, m.fail
}

func (m *memory) Digests(_ context.Context, mailboxID string) ([]news.DigestMail, error) {
	defer m.lock()()
	return m.digests(mailboxID), m.fail
}

func (m *memory) digests(mailboxID string) []news.DigestMail {
	var out []news.DigestMail
	for _, d := range m.mails {
		if d.MailboxID == mailboxID {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b news.DigestMail) int { return strings.Compare(b.LocalDate, a.LocalDate) })
	return out
}

func (m *memory) DigestsSince(_ context.Context, mailboxID, date string) ([]news.DigestMail, error) {
	defer m.lock()()
	return slices.DeleteFunc(m.digests(mailboxID), func(d news.DigestMail) bool { return d.LocalDate < date }), m.fail
}

func (m *memory) PlanDigests(_ context.Context, editions []news.Edition, mails []news.DigestMail) error {
	defer m.lock()()
	if m.fail != nil {
		return m.fail
	}
	for _, e := range editions {
		m.editions[e.ID] = e
	}
	for _, d := range mails {
		key := [2]string{d.MailboxID, d.LocalDate}
		if _, ok := m.mails[key]; !ok {
			d.State = news.DigestDue
			m.mails[key] = d
		}
	}
	return nil
}

func (m *memory) ExpireDigests(_ context.Context, upTo time.Time) (expired int, err error) {
	defer m.lock()()
	for key, d := range m.mails {
		if (d.State == news.DigestDue || d.State == news.DigestDeferred) && !d.EditionAt.After(upTo) {
			d.State = news.DigestExpired
			m.mails[key] = d
			expired++
		}
	}
	return expired, m.fail
}

func (m *memory) Edition(_ context.Context, id string) (news.EditionAccount, error) {
	defer m.lock()()
	a := news.EditionAccount{Edition: m.editions[id], Providers: map[string]news.EditionFigures{}, Reasons: map[string]int{}}
	for _, d := range m.mails {
		if d.Edition == id {
			complaints := 0
			if !d.ComplainedAt.IsZero() {
				complaints = 1
			}
			a.Count(d.Provider, d.State, d.Reason, 1, complaints, 0)
		}
	}
	return a, m.fail
}

func (m *memory) PauseEdition(_ context.Context, p news.EditionPause) (bool, error) {
	defer m.lock()()
	for _, known := range m.pauses {
		if known.Edition == p.Edition && known.Provider == p.Provider && known.Reason == p.Reason {
			return false, m.fail
		}
	}
	m.pauses = append(m.pauses, p)
	return true, m.fail
}

func (m *memory) OpenPauses(context.Context) ([]news.EditionPause, error) {
	defer m.lock()()
	return slices.DeleteFunc(slices.Clone(m.pauses), func(p news.EditionPause) bool { return !p.Open() }), m.fail
}

func (m *memory) resume() {
	defer m.lock()()
	for i := range m.pauses {
		m.pauses[i].ResumedAt = m.now()
	}
}

func (m *memory) ReserveMails(_ context.Context, provider, day string, n, limit int) (int, error) {
	defer m.lock()()
	key := [2]string{provider, day}
	granted := max(0, min(n, limit-m.reserved[key]))
	m.reserved[key] += granted
	return granted, m.fail
}

func (m *memory) ProviderDays(_ context.Context, provider, before string) (int, error) {
	defer m.lock()()
	n := 0
	for key, reserved := range m.reserved {
		if key[0] == provider && key[1] < before && reserved > 0 {
			n++
		}
	}
	return n, m.fail
}

func (m *memory) SuspendMailbox(_ context.Context, id string) (bool, error) {
	defer m.lock()()
	soft := 0
	for _, d := range m.digests(id) {
		if d.State != news.DigestBounced || d.Reason != news.SoftBounce {
			break
		}
		soft++
	}
	if soft < 3 {
		return false, m.fail
	}
	b := m.boxes[id]
	b.State = news.MailboxSuspended
	m.boxes[id] = b
	return true, m.fail
}

func (m *memory) TakeReport(_ context.Context, r news.MailReport) (string, bool, error) {
	defer m.lock()()
	if _, known := m.reports[r.MessageID]; known || m.fail != nil {
		return "", false, m.fail
	}
	m.reports[r.MessageID] = r
	return m.mails[[2]string{r.MailboxID, r.LocalDate}].Edition, true, nil
}

func (m *memory) Repairs(context.Context, time.Time) ([]news.Repair, error) {
	defer m.lock()()
	return m.repairs, m.fail
}

func (m *memory) EditionPlans(context.Context, string) ([]news.EditionPlan, error) {
	defer m.lock()()
	return m.plans, m.fail
}

func (m *memory) DigestSlots(context.Context) ([]news.ZoneHour, error) {
	defer m.lock()()
	var out []news.ZoneHour
	for _, b := range m.boxes {
		if slot := (news.ZoneHour{Timezone: b.Wishes.Timezone, Hour: b.Hour}); b.State == news.MailboxActive && !slices.Contains(out, slot) {
			out = append(out, slot)
		}
	}
	return out, m.fail
}

func (m *memory) DigestReaders(_ context.Context, slot *news.ZoneHour, afterID string, limit int) ([]news.DigestReader, error) {
	defer m.lock()()
	m.scans++
	var out []news.DigestReader
	for _, b := range m.boxes {
		if b.State != news.MailboxActive || b.ID <= afterID || slot != nil && *slot != (news.ZoneHour{Timezone: b.Wishes.Timezone, Hour: b.Hour}) {
			continue
		}
		r := news.DigestReader{Mailbox: b, Place: b.ID}
		for _, d := range m.digests(b.ID) {
			if d.State == news.DigestSent || d.State == news.DigestUnknown || d.State == news.DigestEmpty {
				r.LastUntil, r.LastDate = d.StoriesUntil, d.LocalDate
				break
			}
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b news.DigestReader) int { return strings.Compare(a.Mailbox.ID, b.Mailbox.ID) })
	return out[:min(len(out), limit)], m.fail
}

func (m *memory) Mailbox(_ context.Context, id string) (news.Mailbox, error) {
	defer m.lock()()
	if b, ok := m.boxes[id]; ok {
		return b, m.fail
	}
	return news.Mailbox{}, news.ErrNotFound
}

func (m *memory) ChangeMailbox(_ context.Context, id string, change func(*news.Mailbox) error) (news.Mailbox, error) {
	defer m.lock()()
	b := m.boxes[id]
	if err := change(&b); err != nil {
		return b, err
	}
	m.boxes[id] = b
	return b, m.fail
}

func (m *memory) RecentStories(context.Context, news.StoryFilter) ([]news.Story, error) {
	defer m.lock()()
	m.reads++
	var out []news.Story
	for _, s := range m.stories {
		out = append(out, s)
	}
	return out, m.fail
}

func (m *memory) Retracted(context.Context, time.Time) (map[string]int64, error) {
	defer m.lock()()
	return m.killed, m.fail
}

func (m *memory) PushedTo(context.Context, []string, time.Time) (map[string][]news.Pushed, error) {
	return m.pushed, nil
}

func (m *memory) ClaimSignupMails(_ context.Context, _ string, limit int, _ time.Duration) ([]news.DigestSignup, error) {
	defer m.lock()()
	var out []news.DigestSignup
	for id, s := range m.signups {
		if len(out) < limit {
			out = append(out, s)
			delete(m.signups, id)
		}
	}
	return out, m.fail
}

func (m *memory) ForgetSignups(_ context.Context, before time.Time) (int, error) {
	defer m.lock()()
	m.forgotten = append(m.forgotten, before)
	return 1, m.fail
}

func (m *memory) MarkSignupMail(_ context.Context, id string, done bool, _ time.Time) error {
	defer m.lock()()
	m.done[id] = done
	return nil
}

func (m *memory) put(stories ...news.Story) {
	defer m.lock()()
	for _, s := range stories {
		m.stories[s.URI] = s
	}
}

func (m *memory) join(boxes ...news.Mailbox) {
	defer m.lock()()
	for _, b := range boxes {
		m.boxes[b.ID] = b
	}
}

func (m *memory) mail(t *testing.T, mailbox, date string) news.DigestMail {
	t.Helper()
	defer m.lock()()
	d, ok := m.mails[[2]string{mailbox, date}]
	if !ok {
		t.Fatalf("no mail of %s on %s; there are %v", mailbox, date, m.digests(mailbox))
	}
	return d
}

// box is a mailbox in Tokyo at 07:00, confirmed long ago.
func box(id string, change ...func(*news.Mailbox)) news.Mailbox {
	b := news.Mailbox{ID: id, Address: id + "@mail.example", State: news.MailboxActive, Wishes: japan(), Hour: 7,
		CreatedAt: now().Add(-30 * 24 * time.Hour)}
	for _, c := range change {
		c(&b)
	}
	return b
}

// clock is an instant that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// house is a service on a store in memory and a real SMTP server.
type house struct {
	*Service
	store  *memory
	server *simulate.MailServer
	clock  *clock
}

func newHouse(t *testing.T, o simulate.MailOptions, change ...func(*Config)) *house {
	t.Helper()
	server, err := simulate.NewMailServer(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	url, err := email.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	mailer, err := email.New(email.Config{Server: url, From: "Asia Desk <digest@news.example>"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mailer.Close() })
	c := &clock{at: now()}
	store := newMemory(c.now)
	config := configOf(t, store, mailer, c.now)
	for _, f := range change {
		f(&config)
	}
	s, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &house{s, store, server, c}
}

func configOf(t testing.TB, store Store, mailer Mailer, now func() time.Time) Config {
	t.Helper()
	floor, err := web.New(web.Config{BaseURL: "https://alerts.news.example", AdminKey: "an admin key of the tests"})
	if err != nil {
		t.Fatal(err)
	}
	return Config{Store: store, Mailer: mailer, Links: link.New([]byte("a link key of 32 bytes for tests")), Floor: floor,
		Templates: templates.FS, Publisher: publisher(), BaseURL: "https://alerts.news.example/", Now: now,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (h *house) run(t *testing.T) news.DigestFigures {
	t.Helper()
	f, err := h.RunAt(t.Context(), h.clock.now())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (h *house) mux() http.Handler {
	mux := http.NewServeMux()
	h.Routes(mux)
	return mux
}

func wantFigures(t *testing.T, got, want news.DigestFigures) {
	t.Helper()
	if got != want {
		t.Errorf("figures %+v, want %+v", got, want)
	}
}

// bad answers a step of some recipients with a code.
func bad(verb string, only func(simulate.MailStep) bool, answer simulate.MailAnswer) func(simulate.MailStep) *simulate.MailAnswer {
	return func(step simulate.MailStep) *simulate.MailAnswer {
		if step.Verb == verb && (only == nil || only(step)) {
			return &answer
		}
		return nil
	}
}

var errTest = errors.New("the store is away")

// brokenTemplates is the mail's folder with a template that fails only when it
// is executed.
func brokenTemplates() fs.FS {
	out := fstest.MapFS{}
	for _, name := range []string{"words.json", "digest.txt", "confirm.html", "confirm.txt"} {
		raw, err := fs.ReadFile(templates.FS, "email/"+name)
		if err != nil {
			panic(err)
		}
		out["email/"+name] = &fstest.MapFile{Data: raw}
	}
	out["email/digest.html"] = &fstest.MapFile{Data: []byte("{{.NoSuchField}}")}
	return out
}
