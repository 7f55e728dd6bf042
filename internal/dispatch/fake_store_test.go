package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"dateline/internal/news"
)

// memory is a Store that keeps everything in maps, with the semantics of the
// real one: fencing, change counters, whole rows, when a release settles and
// unsettles, and which releases a stop reaches.
type memory struct {
	mu       sync.Mutex
	down     bool // every call fails
	control  int64
	owner    [news.Cells]string
	fence    [news.Cells]int64
	until    [news.Cells]time.Time
	there    map[string]time.Time // dispatchers, until
	change   [news.Cells]int64
	next     [news.Cells]uint32
	devices  []news.Device
	rows     map[string]map[int]*news.LedgerRow
	releases []news.Release
	settled  map[string]bool // by release
	alerts   map[string]*news.Alert
	stories  map[string]news.Story
	// fault, when set, may make a call fail: before it did anything, or after
	// it did all (the answer was lost).
	fault func(call string) (before, after bool)
	// slow, when set, is how long a call takes before it does anything
	// (CellDevices: each of n cells), and with "after " before its name, before
	// it answers.
	slow func(call string, n int) time.Duration
	// stale are the cells whose snapshots are due; parts, when one was written.
	stale map[int]bool
	parts []time.Time
	// saved, when set, sees every row before it is stored over the old one.
	saved func(old, row *news.LedgerRow)
}

var (
	errDown = errors.New("the database is down")
	errLost = errors.New("the answer of the database was lost")
)

func newMemory() *memory {
	return &memory{there: map[string]time.Time{}, rows: map[string]map[int]*news.LedgerRow{}, settled: map[string]bool{},
		alerts: map[string]*news.Alert{}, stories: map[string]news.Story{}}
}

// enter locks for one call. done unlocks, and may turn a success into an error.
func (m *memory) enter(ctx context.Context, call string, n ...int) (done func(*error), err error) {
	m.mu.Lock()
	slow := m.slow
	m.mu.Unlock()
	if slow != nil {
		wait(ctx, slow(call, len(n)))
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	m.mu.Lock()
	before, after := m.down, false
	if m.fault != nil && !before {
		before, after = m.fault(call)
	}
	if before {
		m.mu.Unlock()
		return nil, errDown
	}
	return func(err *error) {
		m.mu.Unlock()
		if slow != nil {
			wait(context.Background(), slow("after "+call, len(n)))
		}
		if after && *err == nil {
			*err = errLost
		}
	}, nil
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
	m.changeLocked(ref, f)
}

func (m *memory) changeLocked(ref news.DeviceRef, f func(*news.Device)) {
	for i := range m.devices {
		if d := &m.devices[i]; d.Cell == ref.Cell && d.Number == ref.Number {
			m.change[ref.Cell]++
			f(d)
			d.Change = m.change[ref.Cell]
		}
	}
}

func (m *memory) AcquireCells(ctx context.Context, holder string, ttl time.Duration, limit int) (got []news.Lease, err error) {
	done, err := m.enter(ctx, "AcquireCells")
	if err != nil {
		return nil, err
	}
	defer done(&err)
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

// RenewCells prolongs what is the holder's, also a lease that has ended and
// that nobody took.
func (m *memory) RenewCells(ctx context.Context, holder string, ttl time.Duration) (got []news.Lease, err error) {
	done, err := m.enter(ctx, "RenewCells")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	m.there[holder] = time.Now().Add(ttl)
	for c := range news.Cells {
		if m.owner[c] == holder {
			m.until[c] = time.Now().Add(ttl)
			got = append(got, news.Lease{Cell: c, Fence: m.fence[c], Until: m.until[c]})
		}
	}
	return got, nil
}

func (m *memory) YieldCells(ctx context.Context, holder string) (err error) {
	done, err := m.enter(ctx, "YieldCells")
	if err != nil {
		return err
	}
	defer done(&err)
	delete(m.there, holder)
	for c := range news.Cells {
		if m.owner[c] == holder {
			m.owner[c] = ""
		}
	}
	return nil
}

func (m *memory) Dispatchers(ctx context.Context) (n int, err error) {
	done, err := m.enter(ctx, "Dispatchers")
	if err != nil {
		return 0, err
	}
	defer done(&err)
	for _, until := range m.there {
		if until.After(time.Now()) {
			n++
		}
	}
	return n, nil
}

func (m *memory) YieldSome(ctx context.Context, holder string, cells []int) (err error) {
	done, err := m.enter(ctx, "YieldSome")
	if err != nil {
		return err
	}
	defer done(&err)
	for _, c := range cells {
		if m.owner[c] == holder {
			m.owner[c] = ""
		}
	}
	return nil
}

// give moves cells to another holder, as when their leases had run out.
func (m *memory) give(to string, until time.Time, cells ...int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range cells {
		m.owner[c], m.until[c] = to, until
		m.fence[c]++
	}
}

func (m *memory) CellChanges(ctx context.Context) (changes [news.Cells]int64, err error) {
	done, err := m.enter(ctx, "CellChanges")
	if err != nil {
		return changes, err
	}
	defer done(&err)
	return m.change, nil
}

func (m *memory) CellDevices(ctx context.Context, cells []int, after []int64, fn func(news.Device) error) (err error) {
	done, err := m.enter(ctx, "CellDevices", cells...)
	if err != nil {
		return err
	}
	defer done(&err)
	var from [news.Cells]*int64
	for i, c := range cells {
		from[c] = &after[i]
	}
	for _, d := range m.devices {
		if from[d.Cell] != nil && d.Change > *from[d.Cell] {
			if err := fn(d); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *memory) StaleSnapshots(ctx context.Context, cells []int) (stale []int, err error) {
	done, err := m.enter(ctx, "StaleSnapshots")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	for _, c := range cells {
		if m.stale[c] {
			stale = append(stale, c)
		}
	}
	return stale, nil
}

// SnapshotCell takes a second for each of two parts.
func (m *memory) SnapshotCell(ctx context.Context, cell int, rest func(time.Duration) error) error {
	for range 2 {
		wait(ctx, time.Second)
		m.mu.Lock()
		m.parts = append(m.parts, time.Now())
		m.mu.Unlock()
		if err := rest(time.Second); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.stale, cell)
	return nil
}

func (m *memory) MarkGone(ctx context.Context, refs []news.DeviceRef) (err error) {
	done, err := m.enter(ctx, "MarkGone")
	if err != nil {
		return err
	}
	defer done(&err)
	for _, ref := range refs {
		m.changeLocked(ref, func(d *news.Device) {
			if d.State == news.DeviceActive {
				d.State = news.DeviceGone
			}
		})
	}
	return nil
}

// SaveLedger refuses other fences than the current; a lease that has ended and
// that nobody took still counts.
func (m *memory) SaveLedger(ctx context.Context, holder string, rows []*news.LedgerRow) (err error) {
	done, err := m.enter(ctx, "SaveLedger")
	if err != nil {
		return err
	}
	defer done(&err)
	for _, row := range rows {
		if m.owner[row.Cell] != holder || m.fence[row.Cell] != row.Fence {
			return fmt.Errorf("%w: cell %d", news.ErrFenced, row.Cell)
		}
	}
	for _, row := range rows {
		if m.rows[row.ReleaseID] == nil {
			m.rows[row.ReleaseID] = map[int]*news.LedgerRow{}
		}
		if m.saved != nil {
			m.saved(m.rows[row.ReleaseID][row.Cell], row)
		}
		m.rows[row.ReleaseID][row.Cell] = cloneRow(row)
		if !row.Settled {
			m.settled[row.ReleaseID] = false
		}
	}
	return nil
}

func (m *memory) Ledger(ctx context.Context, ids []string, cells []int) (out []*news.LedgerRow, err error) {
	done, err := m.enter(ctx, "Ledger")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	for _, id := range ids {
		for c := range news.Cells {
			if row := m.rows[id][c]; row != nil && (cells == nil || slices.Contains(cells, c)) {
				out = append(out, cloneRow(row))
			}
		}
	}
	return out, nil
}

func (m *memory) Canary(ctx context.Context, id string) (f news.CanaryFigures, err error) {
	done, err := m.enter(ctx, "Canary")
	if err != nil {
		return f, err
	}
	defer done(&err)
	for _, row := range m.rows[id] {
		f.Rows++
		f.Planned += int(row.Planned.GetCardinality() - row.Held.GetCardinality())
		f.Add(row.Canary)
	}
	return f, nil
}

func (m *memory) Policies(context.Context) (news.Policies, error) {
	return news.DefaultPolicies(), nil
}

func (m *memory) HeldRows(ctx context.Context, cells []int) (out []*news.LedgerRow, err error) {
	done, err := m.enter(ctx, "HeldRows")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	for _, byCell := range m.rows {
		for _, c := range cells {
			if row := byCell[c]; row != nil && !row.Held.IsEmpty() {
				out = append(out, cloneRow(row))
			}
		}
	}
	return out, nil
}

// SettleRelease closes a release once all 256 rows exist and are settled.
func (m *memory) SettleRelease(ctx context.Context, id string) (over bool, err error) {
	done, err := m.enter(ctx, "SettleRelease")
	if err != nil {
		return false, err
	}
	defer done(&err)
	r := m.find(id)
	switch {
	case r == nil:
		return false, news.ErrNotFound
	case m.settled[id]:
		return true, nil
	case r.State == news.ReleaseHeld, len(m.rows[id]) < news.Cells:
		return false, nil
	}
	for _, row := range m.rows[id] {
		if !row.Settled {
			return false, nil
		}
	}
	m.settled[id] = true
	if r.State == news.ReleaseSending {
		r.State = news.ReleaseSent
		if r.Phase == news.PhaseCanary {
			r.Phase = news.PhaseAll
		}
		m.alertSent(r.AlertID)
	}
	return true, nil
}

// alertSent: a newer release that is still on its way keeps the alert sending.
func (m *memory) alertSent(id string) {
	for _, r := range m.releases {
		if r.AlertID == id && (r.State == news.ReleaseSending || r.State == news.ReleaseHeld) {
			return
		}
	}
	if a := m.alerts[id]; a != nil && a.State == news.AlertSending {
		a.State = news.AlertSent
	}
}

func (m *memory) find(id string) *news.Release {
	for i := range m.releases {
		if m.releases[i].ID == id {
			return &m.releases[i]
		}
	}
	return nil
}

func (m *memory) Control(ctx context.Context) (n int64, err error) {
	done, err := m.enter(ctx, "Control")
	if err != nil {
		return 0, err
	}
	defer done(&err)
	return m.control, nil
}

func (m *memory) ActiveReleases(ctx context.Context) ([]news.Release, error) {
	all, err := m.list(ctx, "ActiveReleases", func(r *news.Release) bool { return !m.settled[r.ID] })
	for i, r := range all { // like the real one: what decides about sending, no more
		all[i] = news.Release{ID: r.ID, AlertID: r.AlertID, StoryURI: r.StoryURI, Revision: r.Revision, Kind: r.Kind, State: r.State,
			Level: r.Level, ReleasedAt: r.ReleasedAt, Supersedes: r.Supersedes, Phase: r.Phase}
	}
	return all, err
}

func (m *memory) ReleasesOfStory(ctx context.Context, uri string) ([]news.Release, error) {
	return m.list(ctx, "ReleasesOfStory", func(r *news.Release) bool { return r.StoryURI == uri })
}

func (m *memory) ReleasesSince(ctx context.Context, since time.Time) ([]news.Release, error) {
	return m.list(ctx, "ReleasesSince", func(r *news.Release) bool { return !r.ReleasedAt.Before(since) })
}

func (m *memory) list(ctx context.Context, call string, want func(*news.Release) bool) (out []news.Release, err error) {
	done, err := m.enter(ctx, call)
	if err != nil {
		return nil, err
	}
	defer done(&err)
	for i := range m.releases {
		if want(&m.releases[i]) {
			out = append(out, m.releases[i])
		}
	}
	return out, nil
}

func (m *memory) Release(ctx context.Context, id string) (r news.Release, err error) {
	done, err := m.enter(ctx, "Release")
	if err != nil {
		return r, err
	}
	defer done(&err)
	if found := m.find(id); found != nil {
		return *found, nil
	}
	return r, news.ErrNotFound
}

func (m *memory) Countdowns(ctx context.Context, by time.Time) (list []news.Alert, err error) {
	done, err := m.enter(ctx, "Countdowns")
	if err != nil {
		return nil, err
	}
	defer done(&err)
	for _, id := range slices.Sorted(maps.Keys(m.alerts)) {
		if a := m.alerts[id]; a.State == news.AlertHolding && !a.HoldUntil.After(by) {
			list = append(list, *a)
		}
	}
	slices.SortStableFunc(list, func(x, y news.Alert) int { return x.HoldUntil.Compare(y.HoldUntil) })
	return list, nil
}

func (m *memory) ChangeAlert(ctx context.Context, id string, change func(*news.Alert, news.Story) (news.AlertAction, error)) (a news.Alert, err error) {
	done, err := m.enter(ctx, "ChangeAlert")
	if err != nil {
		return a, err
	}
	defer done(&err)
	a = *m.alerts[id]
	action, err := change(&a, m.stories[a.StoryURI])
	if err != nil {
		return news.Alert{}, err
	}
	if action.Phase != "" && !m.movePhase(a.ID, action.Phase) {
		return news.Alert{}, fmt.Errorf("%w: the canary is over", news.ErrConflict)
	}
	m.apply(&a, action)
	*m.alerts[id] = a
	return a, nil
}

func (m *memory) movePhase(alertID string, to news.Phase) (moved bool) {
	for i := range m.releases {
		if r := &m.releases[i]; r.AlertID == alertID && r.Phase == news.PhaseCanary && (r.State == news.ReleaseSending || r.State == news.ReleaseHeld) {
			r.Phase, moved = to, true
		}
	}
	return moved
}

// apply does what an action says to the releases of the alert. Like the
// store's, a stop reaches what is sending or held, not what counts as sent.
func (m *memory) apply(a *news.Alert, action news.AlertAction) {
	for i := range m.releases {
		r := &m.releases[i]
		switch {
		case r.AlertID != a.ID:
		case action.Freeze && r.State == news.ReleaseSending:
			r.State = news.ReleaseHeld
		case action.Thaw && r.State == news.ReleaseHeld:
			r.State = news.ReleaseSending
		case action.Stop && (r.State == news.ReleaseSending || r.State == news.ReleaseHeld):
			r.State = news.ReleaseStopped
		}
	}
	if action.Freeze || action.Thaw || action.Stop || action.Phase != "" || action.Release != nil {
		m.control++
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

// settledRows is how many of a release's rows are settled.
func (m *memory) settledRows(id string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, row := range m.rows[id] {
		if row.Settled {
			n++
		}
	}
	return n
}
