package store

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"dateline/internal/news"
)

const deviceColumns = "cell, number, id, subscriber_id, state, change, endpoint_mac, key_id, secret, vapid_key_id, " +
	"created_at, updated_at, gone_at, endpoint_changed_at"

type deviceRow struct {
	Cell              int     `db:"cell"`
	Number            int64   `db:"number"`
	ID                string  `db:"id"`
	SubscriberID      *string `db:"subscriber_id"`
	State             string  `db:"state"`
	Change            int64   `db:"change"`
	EndpointMAC       []byte  `db:"endpoint_mac"`
	KeyID             string  `db:"key_id"`
	Secret            []byte  `db:"secret"`
	VAPIDKeyID        string  `db:"vapid_key_id"`
	CreatedAt         stamp   `db:"created_at"`
	UpdatedAt         stamp   `db:"updated_at"`
	GoneAt            stamp   `db:"gone_at"`
	EndpointChangedAt stamp   `db:"endpoint_changed_at"`
}

// device completes a row with its subscriber's wishes.
func (s *Store) device(r deviceRow, w news.Wishes, preferenceID string) (news.Device, error) {
	d := news.Device{ID: r.ID, Cell: r.Cell, Number: uint32(r.Number), State: news.DeviceState(r.State),
		Change: r.Change, PreferenceID: preferenceID, Wishes: w, CreatedAt: r.CreatedAt.Time, UpdatedAt: r.UpdatedAt.Time}
	if r.SubscriberID != nil {
		d.SubscriberID = *r.SubscriberID
	}
	if len(r.Secret) == 0 { // wiped
		return d, nil
	}
	var err error
	d.Push, err = s.seal.openPush(r.KeyID, r.ID, r.Secret)
	return d, err
}

// streamColumns: what CellDevices reads of a device and of its subscriber.
// Reading a time costs as much as opening a seal.
const streamColumns = "d.cell, d.number, d.id, d.state, d.change, d.key_id, d.secret, " +
	"s.id, s.preference_id, s.language, s.only_language, s.timezone, s.quiet_from, s.quiet_to, s.quiet_flash, s.cap, " +
	"s.paused_until, s.muted_stories, s.over_stories"

// streamChunk devices are in memory at once, and read in one statement: no
// connection and no read transaction is held while fn works.
const streamChunk = 1000

// CellDevices streams the devices of some cells that changed after the given
// counter (after runs beside cells), in any state, cell by cell. After 0, that is
// everything, comes by number or, where the cell has a snapshot, by number as of
// then and by the order of changes since; else by the order of changes. A device
// may come twice, the later state later, and one that changes while the stream
// runs may come as it was: who asks again for what changed since the stream began
// has everything. Preferences and a subscription's bytes are shared between
// devices and must not be changed; to keep one device keeps the memory of a
// thousand. The devices' times are zero. Of a wiped device only its place and
// state are left. fn's error ends the stream and comes back as it is.
func (s *Store) CellDevices(ctx context.Context, cells []int, after []int64, fn func(news.Device) error) error {
	each := func(devices []news.Device) error {
		for i := range devices {
			if err := fn(devices[i]); err != nil {
				return verdictOf(err)
			}
		}
		return nil
	}
	for i, cell := range cells {
		var err error
		if after[i] == 0 {
			err = s.wholeCell(ctx, cell, each)
		} else {
			err = s.eachChunk(ctx, changesOf(cell, after[i]), each)
		}
		if err != nil {
			return s.fail(err, "CellDevices", strconv.Itoa(cell))
		}
	}
	return nil
}

// stretch is devices of a cell whose number or change (column) lies behind after,
// up to and with upTo. The table lies in the order of numbers, so that many of
// them are read without a look-up for each device.
type stretch struct {
	cell        int
	column      string
	after, upTo int64
}

func changesOf(cell int, after int64) stretch { return stretch{cell, "change", after, math.MaxInt64} }

// maxNumber: no device's is larger.
const maxNumber = math.MaxUint32

// eachChunk calls fn with the devices of a stretch, some at a time.
func (s *Store) eachChunk(ctx context.Context, at stretch, fn func([]news.Device) error) error {
	for {
		devices, err := s.deviceChunk(ctx, at)
		if err != nil {
			return err
		}
		if err := fn(devices); err != nil {
			return err
		}
		if len(devices) < streamChunk {
			return nil
		}
		last := &devices[len(devices)-1]
		at.after = int64(last.Number)
		if at.column == "change" {
			at.after = last.Change
		}
	}
}

// streamRow is a device with its subscriber's wishes.
type streamRow struct {
	deviceRow
	wishesRow
}

// deviceChunk reads the next devices of a stretch.
func (s *Store) deviceChunk(ctx context.Context, at stretch) ([]news.Device, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	c := s.read()
	// A chunk takes 10 ms, and not to be able to stop within it saves the SQLite
	// driver a look at the context, under locks, for every row.
	whole := context.WithoutCancel(ctx)
	rows, err := scanChunk(whole, c, at)
	if s.reconnect(err) {
		rows, err = scanChunk(whole, c, at)
	}
	if err != nil {
		return nil, err
	}
	devices := make([]news.Device, len(rows))
	for i := range rows {
		r := &rows[i]
		if devices[i], err = s.device(r.deviceRow, r.wishes(news.Preference{}), r.PreferenceID); err != nil {
			return nil, err
		}
	}
	return devices, s.addPreferences(ctx, c, devices)
}

func scanChunk(ctx context.Context, c conn, at stretch) ([]streamRow, error) {
	rows, err := c.QueryxContext(ctx, c.rebind("SELECT "+streamColumns+` FROM devices d
		LEFT JOIN subscribers s ON s.id = d.subscriber_id WHERE d.cell = ? AND d.`+at.column+` > ? AND d.`+at.column+` <= ?
		ORDER BY d.`+at.column+` LIMIT ?`), at.cell, at.after, at.upTo, streamChunk)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := make([]streamRow, 0, 64)
	for rows.Next() {
		r, err := scanStream(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// scanStream reads one row of streamColumns: by hand, because reflection
// doubles the time of a million rows.
func scanStream(scan func(...any) error) (streamRow, error) {
	var r streamRow
	var preferenceID, language, timezone *string // null: wiped
	var only *bool
	var limit *int
	err := scan(&r.Cell, &r.Number, &r.ID, &r.State, &r.Change, &r.KeyID, &r.Secret,
		&r.SubscriberID, &preferenceID, &language, &only, &timezone, &r.QuietFrom, &r.QuietTo, &r.QuietFlash, &limit,
		&r.PausedUntil, &r.MutedStories, &r.OverStories)
	if err == nil && r.SubscriberID != nil {
		r.PreferenceID, r.Language, r.Timezone, r.OnlyLanguage, r.Cap = *preferenceID, *language, *timezone, *only, *limit
	}
	return r, err
}

// addPreferences fills in the preferences, those unknown by one statement.
func (s *Store) addPreferences(ctx context.Context, c conn, devices []news.Device) error {
	missing := map[string]bool{}
	for i := range devices {
		d := &devices[i]
		if d.PreferenceID == "" {
			continue
		}
		var ok bool
		if d.Wishes.Preference, ok = s.prefs.get(d.PreferenceID); !ok {
			missing[d.PreferenceID] = true
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := s.preferences(ctx, c, sortedKeys(missing))
	if err != nil {
		return err
	}
	for i := range devices {
		if id := devices[i].PreferenceID; missing[id] {
			devices[i].Wishes.Preference = found[id]
		}
	}
	return nil
}

// endpointGrace: for this long after a device got a new endpoint, an answer
// "gone" may still be about the old one (a request lives 10 s at most).
const endpointGrace = time.Minute

// MarkGone makes tombstones of active devices that their push service does
// not know any more. The number stays taken.
func (s *Store) MarkGone(ctx context.Context, refs []news.DeviceRef) error {
	for _, chunk := range chunks(refs, 500) {
		if err := s.inTx(ctx, func(c conn) error { return s.markGone(ctx, c, chunk) }); err != nil {
			return s.fail(err, "MarkGone", strconv.Itoa(len(refs)))
		}
	}
	return nil
}

func (s *Store) markGone(ctx context.Context, c conn, refs []news.DeviceRef) error {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, func(a, b news.DeviceRef) int {
		if a.Cell != b.Cell {
			return a.Cell - b.Cell
		}
		return int(int64(a.Number) - int64(b.Number))
	})
	refs = slices.Compact(refs)
	changed := map[int]int{}
	for _, r := range refs {
		changed[r.Cell]++
	}
	turns, err := takeTurns(ctx, c, nil, changed)
	if err != nil {
		return err
	}
	now := s.now()
	for _, r := range refs {
		if err := c.exec(ctx, `UPDATE devices SET state = 'gone', gone_at = ?, updated_at = ?, change = ?
			WHERE cell = ? AND number = ? AND state = 'active'
			AND (endpoint_changed_at IS NULL OR endpoint_changed_at <= ?)`,
			now, now, turns[r.Cell].next(), r.Cell, int64(r.Number), now.Add(-endpointGrace)); err != nil {
			return err
		}
	}
	return nil
}
