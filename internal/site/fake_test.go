package site

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
	"dateline/internal/web"
	"dateline/templates"
)

// memory is a store in memory with the store's rules for readers.
type memory struct {
	mu         sync.Mutex
	devices    map[string]news.Device
	signups    map[string]news.DigestSignup
	boxes      map[string]news.Mailbox
	alerts     []news.Alert
	releases   map[string][]news.Release
	receipts   map[news.DeviceReceipt]bool
	stories    map[string]news.Story
	sent       map[string][]news.Release    // by subscriber
	digests    map[string][]news.DigestMail // by mailbox
	mails      map[string]int               // by address: confirmations queued
	writes     int                          // every write that changed something
	looked     int                          // queries for releases
	wiped      map[string]bool
	departures []news.Departure
	visits     map[[2]string]int
	broken     error // answered by every call
	delay      func(address string) time.Duration
}

func newMemory() *memory {
	return &memory{visits: map[[2]string]int{}, devices: map[string]news.Device{}, signups: map[string]news.DigestSignup{}, boxes: map[string]news.Mailbox{},
		releases: map[string][]news.Release{}, receipts: map[news.DeviceReceipt]bool{}, mails: map[string]int{}}
}

func (m *memory) lock() func() { m.mu.Lock(); return m.mu.Unlock }

func (m *memory) CreateSubscription(_ context.Context, sub news.PushSubscription, w news.Wishes) (news.Device, bool, error) {
	defer m.lock()()
	if m.broken != nil {
		return news.Device{}, false, m.broken
	}
	m.writes++
	for id, d := range m.devices {
		if d.Push.Endpoint != sub.Endpoint {
			continue
		}
		if !bytes.Equal(d.Push.Auth, sub.Auth) {
			return news.Device{}, false, fmt.Errorf("store.CreateSubscription: %w", news.ErrConflict)
		}
		d.Push, d.Wishes, d.State = sub, w, news.DeviceActive
		m.devices[id] = d
		return d, false, nil
	}
	id := fmt.Sprintf("0192f0c1-0000-7000-8000-%012d", len(m.devices)+1)
	d := news.Device{ID: id, SubscriberID: "subscriber-of-" + id, Push: sub, Wishes: w, State: news.DeviceActive, CreatedAt: testNow}
	m.devices[id] = d
	return d, true, nil
}

func (m *memory) Subscription(_ context.Context, id string) (news.Device, error) {
	defer m.lock()()
	d, ok := m.devices[id]
	switch {
	case m.wiped[id]:
		return d, fmt.Errorf("store.Subscription(%s): %w: %w", id, news.ErrNotFound, news.ErrGone)
	case !ok:
		return d, fmt.Errorf("store.Subscription(%s): %w", id, cmp.Or(m.broken, news.ErrNotFound))
	}
	return d, m.broken
}

func (m *memory) ChangeSubscription(_ context.Context, id string, change func(*news.Device) error) (news.Device, error) {
	defer m.lock()()
	d, ok := m.devices[id]
	if !ok {
		return d, news.ErrNotFound
	}
	if err := cmp.Or(m.broken, change(&d)); err != nil {
		return news.Device{}, fmt.Errorf("store.ChangeSubscription(%s): %w", id, err)
	}
	m.writes++
	m.devices[id] = d
	return d, nil
}

func (m *memory) Leave(_ context.Context, id string) error {
	defer m.lock()()
	if d, ok := m.devices[id]; ok {
		d.State = news.DeviceLeft
		m.devices[id] = d
		m.writes++
	}
	return m.broken
}

func (m *memory) CreateDigestSignup(_ context.Context, s news.DigestSignup) error {
	if m.delay != nil {
		time.Sleep(m.delay(s.Address)) // inside a synctest bubble: no real time
	}
	defer m.lock()()
	m.writes++
	m.signups[s.ID] = s
	if m.mails[s.Address] == 0 {
		m.mails[s.Address]++
	}
	return m.broken
}

func (m *memory) DigestSignup(_ context.Context, id string) (news.DigestSignup, error) {
	defer m.lock()()
	s, ok := m.signups[id]
	if !ok {
		return s, news.ErrNotFound
	}
	return s, m.broken
}

func (m *memory) ConfirmDigest(_ context.Context, id string, consent news.Consent) (news.Mailbox, error) {
	defer m.lock()()
	s, ok := m.signups[id]
	if !ok || m.broken != nil {
		return news.Mailbox{}, cmp.Or(m.broken, news.ErrNotFound)
	}
	if box, done := m.boxes["box-"+id]; done {
		return box, nil
	}
	m.writes++
	box := news.Mailbox{ID: "box-" + id, Address: s.Address, SubscriberID: s.SubscriberID, State: news.MailboxActive, Wishes: s.Wishes,
		Hour: s.Hour, Days: s.Days, Weekly: s.Weekly, Consent: consent}
	m.boxes[box.ID] = box
	s.UsedAt, s.MailboxID = consent.ConfirmedAt, box.ID
	m.signups[id] = s
	return box, nil
}

func (m *memory) Mailbox(_ context.Context, id string) (news.Mailbox, error) {
	defer m.lock()()
	box, ok := m.boxes[id]
	if !ok {
		return box, news.ErrNotFound
	}
	return box, m.broken
}

func (m *memory) ChangeMailbox(_ context.Context, id string, change func(*news.Mailbox) error) (news.Mailbox, error) {
	defer m.lock()()
	box, ok := m.boxes[id]
	if !ok {
		return box, news.ErrNotFound
	}
	if err := cmp.Or(m.broken, change(&box)); err != nil {
		return news.Mailbox{}, err
	}
	m.writes++
	m.boxes[id] = box
	return box, nil
}

func (m *memory) CountVisit(_ context.Context, edition, story string) error {
	defer m.lock()()
	m.visits[[2]string{edition, story}]++
	return m.broken
}

func (m *memory) LeaveMailbox(_ context.Context, d news.Departure) error {
	id := d.MailboxID
	m.departures = append(m.departures, d)
	defer m.lock()()
	if m.broken != nil {
		return m.broken
	}
	box, ok := m.boxes[id]
	if !ok {
		return news.ErrNotFound
	}
	if box.State != news.MailboxLeft {
		m.writes++
	}
	box.State = news.MailboxLeft
	m.boxes[id] = box
	return nil
}

func (m *memory) Alert(_ context.Context, id string) (news.Alert, error) {
	defer m.lock()()
	for _, a := range m.alerts {
		if a.ID == id {
			return a, m.broken
		}
	}
	return news.Alert{}, news.ErrNotFound
}

func (m *memory) Alerts(_ context.Context, states []news.AlertState, limit int) ([]news.Alert, error) {
	defer m.lock()()
	var out []news.Alert
	for _, a := range m.alerts {
		if slices.Contains(states, a.State) && len(out) < limit {
			out = append(out, a)
		}
	}
	return out, m.broken
}

// PublicAlerts are in the order of m.alerts: newest first.
func (m *memory) PublicAlerts(_ context.Context, before news.ArchiveMark, limit int) ([]news.PublicAlert, error) {
	defer m.lock()()
	m.looked++
	var out []news.PublicAlert
	passed := before.At.IsZero()
	for _, a := range m.alerts {
		if releases := m.releases[a.ID]; passed && len(releases) > 0 && len(out) < limit {
			out = append(out, news.PublicAlert{ID: a.ID, Releases: releases})
		}
		passed = passed || a.ID == before.AlertID
	}
	return out, m.broken
}

func (m *memory) PublicAlert(_ context.Context, id string) (news.PublicAlert, error) {
	defer m.lock()()
	if len(m.releases[id]) == 0 {
		return news.PublicAlert{}, news.ErrNotFound
	}
	return news.PublicAlert{ID: id, Releases: m.releases[id]}, m.broken
}

func (m *memory) ReleasesSince(_ context.Context, since time.Time) ([]news.Release, error) {
	defer m.lock()()
	m.looked++
	var out []news.Release
	for _, releases := range m.releases {
		for _, r := range releases {
			if !r.ReleasedAt.Before(since) {
				out = append(out, r)
			}
		}
	}
	return out, m.broken
}

func (m *memory) StoriesByURI(_ context.Context, uris []string) (map[string]news.Story, error) {
	defer m.lock()()
	out := map[string]news.Story{}
	for _, uri := range uris {
		if story, ok := m.stories[uri]; ok {
			out[uri] = story
		}
	}
	return out, m.broken
}

func (m *memory) SentTo(_ context.Context, subscriberID string, _, _ time.Time, limit int) ([]news.Release, error) {
	defer m.lock()()
	sent := m.sent[subscriberID]
	return sent[:min(limit, len(sent))], m.broken
}

func (m *memory) DevicesOf(_ context.Context, subscriberID string) ([]news.Device, error) {
	defer m.lock()()
	var out []news.Device
	for _, d := range m.devices {
		if d.SubscriberID == subscriberID && d.State != news.DeviceLeft {
			out = append(out, d)
		}
	}
	return out, m.broken
}

func (m *memory) MailboxesOf(_ context.Context, subscriberID string) ([]news.Mailbox, error) {
	defer m.lock()()
	var out []news.Mailbox
	for _, b := range m.boxes {
		if b.SubscriberID == subscriberID && b.State != news.MailboxLeft {
			out = append(out, b)
		}
	}
	return out, m.broken
}

func (m *memory) DeviceRecord(_ context.Context, id string) (news.DeviceRecord, error) {
	defer m.lock()()
	d, ok := m.devices[id]
	if !ok {
		return news.DeviceRecord{}, news.ErrNotFound
	}
	return news.DeviceRecord{Device: d, Sent: m.sent[d.SubscriberID]}, m.broken
}

func (m *memory) MailboxRecord(_ context.Context, id string) (news.MailboxRecord, error) {
	defer m.lock()()
	box, ok := m.boxes[id]
	if !ok {
		return news.MailboxRecord{}, news.ErrNotFound
	}
	record := news.MailboxRecord{Mailbox: box, Mails: m.digests[id]}
	for _, d := range m.devices {
		if box.SubscriberID != "" && d.SubscriberID == box.SubscriberID {
			record.Devices = append(record.Devices, news.DeviceRecord{Device: d, Sent: m.sent[d.SubscriberID]})
		}
	}
	return record, m.broken
}

func (m *memory) Digests(_ context.Context, id string) ([]news.DigestMail, error) {
	defer m.lock()()
	return m.digests[id], m.broken
}

func (m *memory) WipeDevice(_ context.Context, id string) error {
	defer m.lock()()
	m.writes++
	delete(m.devices, id)
	return m.broken
}

func (m *memory) WipeMailbox(_ context.Context, id string) error {
	defer m.lock()()
	m.writes++
	delete(m.boxes, id)
	return m.broken
}

func (m *memory) QueueMailboxLink(_ context.Context, s news.DigestSignup) error {
	defer m.lock()()
	m.writes++
	m.signups[s.ID] = s
	return m.broken
}

func (m *memory) SaveReceipt(_ context.Context, r news.DeviceReceipt) (bool, error) {
	defer m.lock()()
	first := !m.receipts[r]
	m.receipts[r] = true
	return first, m.broken
}

// alarm collects wake-ups.
type alarm struct {
	mu     sync.Mutex
	topics []string
}

func (a *alarm) Wake(topic string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.topics = append(a.topics, topic)
	return nil
}

// take gives the topics woken since the last call, sorted, each once.
func (a *alarm) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	slices.Sort(a.topics)
	out := strings.Join(slices.Compact(a.topics), " ")
	a.topics = nil
	return out
}

var testNow = time.Date(2026, 11, 24, 7, 0, 0, 0, time.UTC)

// house is a site on its feet, over a store in memory.
type house struct {
	t     testing.TB
	site  *Site
	store *memory
	alarm *alarm
	links *link.Signer
	now   time.Time
	log   *bytes.Buffer
	http  http.Handler
}

const testOrigin = "https://push.test:8443"

func newHouse(t testing.TB, change func(*Config)) *house {
	t.Helper()
	h := &house{t: t, store: newMemory(), alarm: &alarm{}, links: link.New([]byte("a link key of thirty-two bytes..")), now: testNow, log: &bytes.Buffer{}}
	logger := slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	floor, err := web.New(web.Config{Templates: templates.FS, BaseURL: "https://alerts.example", Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := push.NewVAPIDKey()
	if err != nil {
		t.Fatal(err)
	}
	sender, err := push.New(push.Config{Keys: keys, Subject: "https://alerts.example", Origins: []string{testOrigin}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sender.Close)
	c := Config{Floor: floor, Links: h.links, Store: h.store, Push: sender, Waker: h.alarm, Logger: logger, DigestPause: time.Nanosecond,
		Publisher: Publisher{Name: "SNOWLAND", ID: "06691200", Address: []string{"Na okraji 381/41", "Praha 6"}},
		Now:       func() time.Time { return h.now }}
	if change != nil {
		change(&c)
	}
	if h.site, err = New(c); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	h.site.Routes(mux)
	h.http = h.site.Floor.Handler(mux)
	return h
}

// do sends one request; header is name, value, name, value …
func (h *house) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	h.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, r)
	return w
}

// from signs up for the digest from a client's address.
func (h *house) from(client, body string) int {
	r := httptest.NewRequest("POST", "/api/v1/digests", strings.NewReader(body))
	r.RemoteAddr = client + ":1234"
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, r)
	return w.Code
}

// form posts a form as a browser on our own page does.
func (h *house) form(path, body string) *httptest.ResponseRecorder {
	h.t.Helper()
	return h.do("POST", path, body, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Site", "same-origin")
}

// A browser's keys: a point on the curve and 16 bytes.
const (
	goodP256dh = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
	goodAuth   = "BTBZMqHH6r4Tts7J_aSIgg"
	goodPush   = "https://fcm.googleapis.com/fcm/send/abc"
)

// body is a subscribe body with fields changed: name, JSON value, …; an empty
// value takes the field out.
func body(changes ...string) string {
	fields := map[string]json.RawMessage{
		"subscription": json.RawMessage(subscription(goodPush, goodP256dh, goodAuth)),
		"regions":      json.RawMessage(`["JP"]`),
	}
	for i := 0; i+1 < len(changes); i += 2 {
		if changes[i+1] == "" {
			delete(fields, changes[i])
			continue
		}
		fields[changes[i]] = json.RawMessage(changes[i+1])
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func subscription(endpoint, p256dh, auth string) string {
	raw, err := json.Marshal(map[string]any{"endpoint": endpoint, "expirationTime": nil, "keys": map[string]string{"p256dh": p256dh, "auth": auth}})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// subscribe makes a subscription and gives its credentials.
func (h *house) subscribe(changes ...string) credentials {
	h.t.Helper()
	w := h.do("POST", "/api/v1/subscriptions", body(changes...))
	if w.Code != 201 {
		h.t.Fatalf("subscribe: %d %s", w.Code, w.Body)
	}
	var c credentials
	decode(h.t, w.Body, &c)
	h.alarm.take()
	return c
}

func decode(t testing.TB, r io.Reader, into any) {
	t.Helper()
	if err := json.NewDecoder(r).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// faults are the paths of a problem's errors.
func faults(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var p struct {
		Errors []struct{ Path, Message string }
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type %q", got)
	}
	decode(t, w.Body, &p)
	var paths []string
	for _, e := range p.Errors {
		if e.Message == "" {
			t.Errorf("fault %q says nothing", e.Path)
		}
		paths = append(paths, e.Path)
	}
	return strings.Join(paths, " ")
}
