package dispatch

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"dateline/internal/link"
	"dateline/internal/news"
	"dateline/internal/push"
)

// memory is a Store that keeps everything in maps, with the semantics that the
// real one promises: fencing, change counters, whole rows.
type memory struct {
	mu       sync.Mutex
	down     bool // every call fails
	control  int64
	owner    [news.Cells]string
	fence    [news.Cells]int64
	until    [news.Cells]time.Time
	change   [news.Cells]int64
	next     [news.Cells]uint32
	devices  []news.Device
	rows     map[string]map[int]*news.LedgerRow
	releases []news.Release
	alerts   map[string]*news.Alert
	stories  map[string]news.Story
	saves    int
}

var errDown = errors.New("the database is down")

func newMemory() *memory {
	return &memory{rows: map[string]map[int]*news.LedgerRow{}, alerts: map[string]*news.Alert{}, stories: map[string]news.Story{}}
}

func (m *memory) lock() (func(), error) {
	m.mu.Lock()
	if m.down {
		m.mu.Unlock()
		return nil, errDown
	}
	return m.mu.Unlock, nil
}

// addDevice stores a device in a cell, as a committed transaction would.
func (m *memory) addDevice(cell int, w news.Wishes, endpoint string) news.Device {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change[cell]++
	d := news.Device{ID: fmt.Sprintf("device-%d-%d", cell, m.next[cell]), Cell: cell, Number: m.next[cell],
		SubscriberID: fmt.Sprintf("subscriber-%d-%d", cell, m.next[cell]), State: news.DeviceActive,
		Push:   news.PushSubscription{Endpoint: endpoint, P256dh: make([]byte, 65), Auth: make([]byte, 16)},
		Wishes: w, Change: m.change[cell]}
	m.next[cell]++
	m.devices = append(m.devices, d)
	return d
}

// changeDevice applies f to a stored device and stamps it.
func (m *memory) changeDevice(ref news.DeviceRef, f func(*news.Device)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.devices {
		if d := &m.devices[i]; d.Cell == ref.Cell && d.Number == ref.Number {
			m.change[ref.Cell]++
			f(d)
			d.Change = m.change[ref.Cell]
		}
	}
}

func (m *memory) AcquireCells(_ context.Context, holder string, ttl time.Duration, limit int) ([]news.Lease, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var got []news.Lease
	for c := range news.Cells {
		if len(got) == limit || m.owner[c] != "" && m.until[c].After(time.Now()) {
			continue
		}
		m.owner[c], m.until[c] = holder, time.Now().Add(ttl)
		m.fence[c]++
		got = append(got, news.Lease{Cell: c, Fence: m.fence[c], Until: m.until[c]})
	}
	return got, nil
}

func (m *memory) RenewCells(_ context.Context, holder string, ttl time.Duration) ([]news.Lease, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var got []news.Lease
	for c := range news.Cells {
		if m.owner[c] == holder && m.until[c].After(time.Now()) {
			m.until[c] = time.Now().Add(ttl)
			got = append(got, news.Lease{Cell: c, Fence: m.fence[c], Until: m.until[c]})
		}
	}
	return got, nil
}

func (m *memory) YieldCells(_ context.Context, holder string) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for c := range news.Cells {
		if m.owner[c] == holder {
			m.owner[c] = ""
		}
	}
	return nil
}

func (m *memory) CellChanges(context.Context) ([news.Cells]int64, error) {
	unlock, err := m.lock()
	if err != nil {
		return [news.Cells]int64{}, err
	}
	defer unlock()
	return m.change, nil
}

func (m *memory) CellDevices(_ context.Context, cells []int, after []int64, fn func(news.Device) error) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for i, c := range cells {
		for _, d := range m.devices {
			if d.Cell == c && d.Change > after[i] {
				if err := fn(d); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (m *memory) MarkGone(_ context.Context, refs []news.DeviceRef) error {
	if _, err := m.lock(); err != nil {
		return err
	}
	m.mu.Unlock()
	for _, ref := range refs {
		m.changeDevice(ref, func(d *news.Device) { d.State = news.DeviceGone })
	}
	return nil
}

func (m *memory) SaveLedger(_ context.Context, holder string, rows []*news.LedgerRow) error {
	unlock, err := m.lock()
	if err != nil {
		return err
	}
	defer unlock()
	for _, row := range rows {
		if m.owner[row.Cell] != holder || m.fence[row.Cell] != row.Fence || !m.until[row.Cell].After(time.Now()) {
			return fmt.Errorf("%w: cell %d", news.ErrFenced, row.Cell)
		}
	}
	m.saves++
	for _, row := range rows {
		if m.rows[row.ReleaseID] == nil {
			m.rows[row.ReleaseID] = map[int]*news.LedgerRow{}
		}
		m.rows[row.ReleaseID][row.Cell] = cloneRow(row, row.Fence)
	}
	return nil
}

func (m *memory) Ledger(_ context.Context, ids []string, cells []int) ([]*news.LedgerRow, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []*news.LedgerRow
	for _, id := range ids {
		for c, row := range m.rows[id] {
			if cells == nil || slices.Contains(cells, c) {
				out = append(out, cloneRow(row, row.Fence))
			}
		}
	}
	return out, nil
}

func (m *memory) HeldRows(_ context.Context, cells []int) ([]*news.LedgerRow, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []*news.LedgerRow
	for _, byCell := range m.rows {
		for c, row := range byCell {
			if slices.Contains(cells, c) && !row.Held.IsEmpty() {
				out = append(out, cloneRow(row, row.Fence))
			}
		}
	}
	return out, nil
}

func (m *memory) SettleRelease(_ context.Context, id string) (bool, error) {
	unlock, err := m.lock()
	if err != nil {
		return false, err
	}
	defer unlock()
	if len(m.rows[id]) < news.Cells {
		return false, nil
	}
	for _, row := range m.rows[id] {
		if !row.Settled {
			return false, nil
		}
	}
	for i := range m.releases {
		r := &m.releases[i]
		if r.ID == id && r.State == news.ReleaseSending {
			r.State = news.ReleaseSent
			if a := m.alerts[r.AlertID]; a != nil && a.State == news.AlertSending {
				a.State = news.AlertSent
			}
		}
	}
	return true, nil
}

func (m *memory) Control(context.Context) (int64, error) {
	unlock, err := m.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	return m.control, nil
}

func (m *memory) unsettled(id string) bool {
	if len(m.rows[id]) < news.Cells {
		return true
	}
	for _, row := range m.rows[id] {
		if !row.Settled {
			return true
		}
	}
	return false
}

func (m *memory) ActiveReleases(context.Context) ([]news.Release, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []news.Release
	for _, r := range m.releases {
		if r.State == news.ReleaseSending || r.State == news.ReleaseHeld || m.unsettled(r.ID) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) Release(_ context.Context, id string) (news.Release, error) {
	unlock, err := m.lock()
	if err != nil {
		return news.Release{}, err
	}
	defer unlock()
	for _, r := range m.releases {
		if r.ID == id {
			return r, nil
		}
	}
	return news.Release{}, news.ErrNotFound
}

func (m *memory) ReleasesOfStory(_ context.Context, uri string) ([]news.Release, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []news.Release
	for _, r := range m.releases {
		if r.StoryURI == uri {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) ReleasesSince(_ context.Context, since time.Time) ([]news.Release, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var out []news.Release
	for _, r := range m.releases {
		if !r.ReleasedAt.Before(since) {
			out = append(out, r)
		}
	}
	return out, nil
}

func (m *memory) DueAlerts(_ context.Context, now time.Time) ([]string, error) {
	unlock, err := m.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	var due []string
	for id, a := range m.alerts {
		if a.State == news.AlertHolding && !a.HoldUntil.After(now) {
			due = append(due, id)
		}
	}
	return due, nil
}

func (m *memory) ChangeAlert(_ context.Context, id string, change func(*news.Alert, news.Story) (news.AlertAction, error)) (news.Alert, error) {
	unlock, err := m.lock()
	if err != nil {
		return news.Alert{}, err
	}
	defer unlock()
	a := *m.alerts[id]
	action, err := change(&a, m.stories[a.StoryURI])
	if err != nil {
		return news.Alert{}, err
	}
	m.apply(&a, action)
	*m.alerts[id] = a
	return a, nil
}

// apply does what an action says to the releases of the alert.
func (m *memory) apply(a *news.Alert, action news.AlertAction) {
	m.control++
	for i := range m.releases {
		r := &m.releases[i]
		switch {
		case r.AlertID != a.ID:
		case action.Freeze && r.State == news.ReleaseSending:
			r.State = news.ReleaseHeld
		case action.Thaw && r.State == news.ReleaseHeld:
			r.State = news.ReleaseSending
		case action.Stop && (r.State == news.ReleaseSending || r.State == news.ReleaseHeld || r.State == news.ReleaseSent):
			r.State = news.ReleaseStopped
		}
	}
	if action.Release == nil {
		return
	}
	r := *action.Release
	for _, e := range m.releases {
		if e.StoryURI == r.StoryURI {
			r.Revision = max(r.Revision, e.Revision)
		}
	}
	r.Revision++
	a.Revision = r.Revision
	r.Changes = m.change
	m.releases = append(m.releases, r)
}

// counts sums the stored rows of a release.
func (m *memory) counts(id string) news.Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	var c news.Counts
	for _, row := range m.rows[id] {
		c.Add(row.Counts())
	}
	return c
}

// sent is one message that reached a fake push service.
type sent struct {
	endpoint string
	payload  notification
	at       time.Time
}

// service is a Sender that answers as told and remembers what it was sent.
type service struct {
	mu     sync.Mutex
	sent   []sent
	answer func(to push.Target, n int) news.Receipt // n: how often this endpoint was tried before
	tried  map[string]int
	takes  time.Duration
}

func newService() *service { return &service{tried: map[string]int{}} }

func (s *service) Send(ctx context.Context, to push.Target, m push.Message) news.Receipt {
	if m.Permit != nil {
		if err := m.Permit(); err != nil {
			return news.Receipt{Outcome: news.Retry, Reason: "stopped"}
		}
	}
	s.mu.Lock()
	n := s.tried[to.Endpoint]
	s.tried[to.Endpoint]++
	s.sent = append(s.sent, sent{to.Endpoint, decode(m.Payload), time.Now()})
	s.mu.Unlock()
	if s.takes > 0 {
		select {
		case <-time.After(s.takes):
		case <-ctx.Done():
			return news.Receipt{Outcome: news.Ambiguous, Reason: "timeout"}
		}
	}
	if s.answer != nil {
		return s.answer(to, n)
	}
	return news.Receipt{Outcome: news.Accepted, Status: 201}
}

// to lists what one endpoint was sent.
func (s *service) to(endpoint string) []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []sent
	for _, m := range s.sent {
		if m.endpoint == endpoint {
			out = append(out, m)
		}
	}
	return out
}

func (s *service) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sent)
}

var testLinks = link.New([]byte("0123456789abcdef0123456789abcdef"))
