package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dateline/internal/news"
)

// memory is a Store and a Newsroom in memory, with the store's semantics of
// ChangeAlert: revisions per story, releases frozen, thawed and stopped.
type memory struct {
	mu       sync.Mutex
	stories  map[string]news.Story
	alerts   map[string]news.Alert
	order    []string
	releases []news.Release
	figures  map[string]news.ReleaseFigures
	policies news.Policies
	audit    []news.AuditEntry
	editors  []news.Editor
	keys     []news.APIKey
	invited  map[string]string // hash -> editor
	broken   error             // every read of releases fails with it
	caps     news.Caps
	glass    []news.Emergency
}

func newMemory(stories ...news.Story) *memory {
	m := &memory{stories: map[string]news.Story{}, alerts: map[string]news.Alert{},
		figures: map[string]news.ReleaseFigures{}, policies: news.DefaultPolicies()}
	for _, s := range stories {
		m.stories[s.URI] = s
	}
	return m
}

func (m *memory) Story(_ context.Context, uri string) (news.Story, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.stories[uri]
	if !ok {
		return s, fmt.Errorf("%w: story %s", news.ErrNotFound, uri)
	}
	return s, nil
}

func (m *memory) CreateAlert(_ context.Context, a news.Alert, audit news.AuditEntry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.alerts[a.ID]; known {
		return fmt.Errorf("%w: alert %s", news.ErrConflict, a.ID)
	}
	m.alerts[a.ID] = a
	m.order = append(m.order, a.ID)
	m.audit = append(m.audit, audit)
	return nil
}

func (m *memory) Alert(_ context.Context, id string) (news.Alert, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, ok := m.alerts[id]
	if !ok {
		return a, fmt.Errorf("%w: alert %s", news.ErrNotFound, id)
	}
	return a, nil
}

func (m *memory) ChangeAlert(ctx context.Context, id string,
	change func(*news.Alert, news.Story) (news.AlertAction, error),
) (news.Alert, error) {
	a, err := m.Alert(ctx, id)
	if err != nil {
		return a, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	action, err := change(&a, m.stories[a.StoryURI])
	if err != nil {
		return news.Alert{}, err
	}
	if action.Emergency != nil {
		m.glass = append(m.glass, *action.Emergency)
	}
	for i := range m.releases {
		r := &m.releases[i]
		switch {
		case r.AlertID != id:
		case action.Stop && (r.State == news.ReleaseSending || r.State == news.ReleaseHeld):
			r.State = news.ReleaseStopped
		case action.Freeze && r.State == news.ReleaseSending:
			r.State = news.ReleaseHeld
		case action.Thaw && r.State == news.ReleaseHeld:
			r.State = news.ReleaseSending
		}
	}
	if r := action.Release; r != nil {
		r.Revision = 1
		for _, before := range m.releases {
			if before.StoryURI == r.StoryURI {
				r.Revision = before.Revision + 1
			}
		}
		a.Revision = r.Revision
		m.releases = append(m.releases, *r)
	}
	if a.StoppedBy != "" && a.StoppedAt.IsZero() {
		a.StoppedAt = noon.Add(5 * time.Minute)
	}
	m.alerts[id] = a
	m.audit = append(m.audit, news.AuditEntry{By: action.By, Action: action.Audit, Subject: "alert/" + id})
	return a, nil
}

func (m *memory) ReleaseAlert(ctx context.Context, id string,
	change func(*news.Alert, news.Story, news.Policy, news.Room) (news.AlertAction, error),
) (news.Alert, error) {
	return m.ChangeAlert(ctx, id, func(a *news.Alert, s news.Story) (news.AlertAction, error) {
		return change(a, s, m.policies[a.Level], m.roomOf(a.Level))
	})
}

func (m *memory) Room(_ context.Context, level news.Level) (news.Room, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roomOf(level), nil
}

func (m *memory) roomOf(level news.Level) news.Room {
	room := news.Room{Cap: m.caps[level]}
	for _, a := range m.alerts {
		if a.Level == level && !a.ReleasedAt.IsZero() && (a.Revision > 0 || a.State == news.AlertHolding) {
			room.At = append(room.At, a.ReleasedAt)
		}
	}
	slices.SortFunc(room.At, time.Time.Compare)
	return room
}

func (m *memory) Caps(context.Context) (news.Caps, error) { return m.caps, nil }

func (m *memory) SetCaps(_ context.Context, caps news.Caps, _ string) error {
	m.caps = caps
	return nil
}

func (m *memory) OpenEmergencies(context.Context) ([]news.Emergency, error) {
	return m.emergencies(func(e news.Emergency) bool { return !e.Reviewed() }), nil
}

func (m *memory) EmergenciesOfAlert(_ context.Context, id string) ([]news.Emergency, error) {
	return m.emergencies(func(e news.Emergency) bool { return e.AlertID == id }), nil
}

func (m *memory) emergencies(keep func(news.Emergency) bool) []news.Emergency {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []news.Emergency
	for _, e := range slices.Backward(m.glass) {
		if keep(e) {
			out = append(out, e)
		}
	}
	return out
}

func (m *memory) ReviewEmergency(_ context.Context, id string, decide func(*news.Emergency) error) (news.Emergency, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.glass {
		if e := m.glass[i]; e.ID == id {
			err := decide(&e)
			if err == nil {
				m.glass[i] = e
			}
			return e, err
		}
	}
	return news.Emergency{}, news.ErrNotFound
}

func (m *memory) Policies(context.Context) (news.Policies, error) { return m.policies, nil }

func (m *memory) AlertsOfStory(_ context.Context, uri string) ([]news.Alert, error) {
	return m.list(func(a news.Alert) bool { return a.StoryURI == uri }, 0), nil
}

func (m *memory) Alerts(_ context.Context, states []news.AlertState, limit int) ([]news.Alert, error) {
	return m.list(func(a news.Alert) bool { return states == nil || slices.Contains(states, a.State) }, limit), nil
}

func (m *memory) list(keep func(news.Alert) bool, limit int) []news.Alert {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []news.Alert
	for _, id := range slices.Backward(m.order) {
		if a := m.alerts[id]; keep(a) && (limit == 0 || len(out) < limit) {
			out = append(out, a)
		}
	}
	return out
}

func (m *memory) ReleasesOfAlert(_ context.Context, id string) ([]news.Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []news.Release
	for _, r := range m.releases {
		if r.AlertID == id {
			out = append(out, r)
		}
	}
	return out, m.broken
}

func (m *memory) ReleaseFigures(_ context.Context, ids []string) (map[string]news.ReleaseFigures, error) {
	out := map[string]news.ReleaseFigures{}
	for _, id := range ids {
		if f, ok := m.figures[id]; ok {
			out[id] = f
		}
	}
	return out, nil
}

func (m *memory) AddEditor(_ context.Context, e news.Editor, _ string) error {
	m.editors = slices.DeleteFunc(m.editors, func(known news.Editor) bool { return known.Name == e.Name })
	m.editors = append(m.editors, e)
	return nil
}

func (m *memory) Editors(context.Context) ([]news.Editor, error) { return m.editors, nil }

func (m *memory) AddAPIKey(_ context.Context, k news.APIKey, _ string) error {
	m.keys = append(m.keys, k)
	return nil
}

func (m *memory) Invite(_ context.Context, editor, hash string, _ time.Time, _ string) error {
	m.invited = map[string]string{hash: editor}
	return nil
}

// APIKey makes memory a web.KeyStore.
func (m *memory) APIKey(_ context.Context, hash string) (news.Person, error) {
	for _, k := range m.keys {
		if k.Hash != hash {
			continue
		}
		for _, e := range m.editors {
			if e.Name == k.Editor {
				return news.Person{Name: e.Name, Role: e.Role, Scopes: k.Scopes}, nil
			}
		}
	}
	return news.Person{}, news.ErrUnknownKey
}

// wakes records wake-ups.
type wakes struct {
	mu     sync.Mutex
	topics []string
}

func (w *wakes) Wake(topic string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topics = append(w.topics, topic)
	return nil
}

// desktop is a Service over memory with a clock that the test moves.
type desktop struct {
	*Service
	mem  *memory
	wake *wakes
	time *time.Time
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const storyURI = "https://news.example/stories/quake"

func testStory() news.Story {
	return news.Story{URI: storyURI, Version: 1, Status: news.Usable, Headline: "Earthquake off the coast",
		Standfirst: "People are told to move to high ground.", URL: "https://news.example/stories/quake",
		Language: "en", Regions: []string{"ID", "MY"}, Sections: []string{"disaster"}, Urgency: 2, Breaking: true,
		Created: noon.Add(-time.Minute), Translations: map[string]news.StoryText{"id": {Headline: "Gempa di lepas pantai", Standfirst: "Warga diminta ke tempat tinggi."}}}
}

func newDesktop(t *testing.T, stories ...news.Story) *desktop {
	t.Helper()
	if len(stories) == 0 {
		stories = []news.Story{testStory()}
	}
	return makeDesktop(stories...)
}

func makeDesktop(stories ...news.Story) *desktop {
	d := &desktop{mem: newMemory(stories...), wake: &wakes{}, time: new(noon)}
	ids := 0
	d.Service = New(Config{Store: d.mem, Waker: d.wake, BaseURL: "https://alerts.example", Hold: 10 * time.Second,
		Now: func() time.Time { return *d.time },
		NewID: func() string {
			ids++
			return fmt.Sprintf("00000000-0000-7000-8000-%012d", ids)
		}})
	return d
}

// The people of the tests.
var (
	system  = news.Person{Name: news.SystemName, System: true}
	ann     = news.Person{Name: "Ann", Role: news.RoleEditor, Scopes: RoleScopes(news.RoleEditor)}
	ben     = news.Person{Name: "Ben", Role: news.RoleEditor, Scopes: RoleScopes(news.RoleEditor)}
	rika    = news.Person{Name: "Rika", Role: news.RoleReporter, Scopes: RoleScopes(news.RoleReporter)}
	chief   = news.Person{Name: "Chief", Role: news.RoleChief, Scopes: RoleScopes(news.RoleChief)}
	cms     = news.Person{Name: "CMS", Role: news.RoleEditor, Scopes: []string{news.ScopeStoriesWrite}}
	demoted = news.Person{Name: "Dee", Role: news.RoleReporter, Scopes: RoleScopes(news.RoleEditor)}
)

func (d *desktop) draft(t *testing.T, by news.Person, w Writing) View {
	t.Helper()
	if w.StoryURI == "" {
		w.StoryURI = storyURI
	}
	v, err := d.Draft(t.Context(), by, w)
	if err != nil {
		t.Fatalf("draft: %v", err)
	}
	return v
}

// begin ends the countdown, as the dispatcher does.
func (d *desktop) begin(t *testing.T, id string) news.Alert {
	t.Helper()
	*d.time = d.time.Add(time.Minute)
	a, _, err := d.change(t.Context(), id, func(a *news.Alert, s *news.Story) (news.AlertAction, error) {
		return news.EndHold(a, s, d.terms(a.Level, news.PolicyAuto))
	})
	if err != nil {
		t.Fatalf("begin: %v", err)
	}
	return a
}

// must is for steps that have to succeed.
func must(t *testing.T) func(View, error) View {
	t.Helper()
	return func(v View, err error) View {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
