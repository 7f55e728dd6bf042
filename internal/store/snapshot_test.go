package store_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jmoiron/sqlx"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// pushOf is a new subscription that is born in the cell.
func pushOf(s *store.Store, cell int) news.PushSubscription {
	for {
		if p := push(); store.HomeCell(s, p.Endpoint) == cell {
			return p
		}
	}
}

// folded is a cell as a stream leaves it with whoever takes all of it.
func folded(t testing.TB, s *store.Store, cell int, after int64) (devices map[uint32]news.Device, came int) {
	t.Helper()
	devices = map[uint32]news.Device{}
	must(t, s.CellDevices(context.Background(), []int{cell}, []int64{after}, func(d news.Device) error {
		if before, ok := devices[d.Number]; ok && before.Change > d.Change {
			t.Errorf("number %d comes as of change %d after %d", d.Number, d.Change, before.Change)
		}
		devices[d.Number] = d
		came++
		return nil
	}))
	return devices, came
}

func snapshot(t testing.TB, s *store.Store, cell int) (parts int) {
	t.Helper()
	must(t, s.SnapshotCell(context.Background(), cell, func(time.Duration) error { parts++; return nil }))
	return parts
}

// everyRow reads a cell's rows, whatever snapshots there are.
const everyRow = -1

// Whatever readers and snapshots do, a cell's stream says what its rows say.
func TestSnapshotsSayWhatRowsSay(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, clk *clock) {
		const cell = 7
		store.SetSnapshotPart(s, 8)
		random := rand.New(rand.NewPCG(1, 2))
		ctx := context.Background()
		var ids []string
		for step := range 300 {
			clk.add(time.Minute)
			var d news.Device
			if len(ids) > 0 {
				d, _ = s.Subscription(ctx, ids[random.IntN(len(ids))])
			}
			switch act := random.IntN(10); {
			case act < 4 || d.ID == "":
				d, _, err := s.CreateSubscription(ctx, pushOf(s, cell), allWishes(random))
				must(t, err)
				ids = append(ids, d.ID)
			case act == 4:
				_, err := s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Wishes = allWishes(random); return nil })
				must(t, err)
			case act == 5:
				must(t, s.Leave(ctx, d.ID))
			case act == 6:
				must(t, s.MarkGone(ctx, []news.DeviceRef{{Cell: d.Cell, Number: d.Number}}))
			case act == 7:
				must(t, s.WipeDevice(ctx, d.ID))
			case act == 8:
				snapshot(t, s, cell)
			}
			want, _ := folded(t, s, cell, everyRow)
			got, _ := folded(t, s, cell, 0)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("step %d (-rows +stream):\n%s", step, diff)
			}
		}
	})
}

// allWishes are wishes of every kind.
func allWishes(random *rand.Rand) news.Wishes {
	w := wishes([]string{"JP", "SG", "035", "IN-MH"}[random.IntN(4)])
	w.Cap, w.OnlyLanguage = random.IntN(5), random.IntN(2) == 0
	w.Language, w.Timezone = []string{"en", "ja", "zh-Hant"}[random.IntN(3)], []string{"Asia/Tokyo", "Asia/Kathmandu"}[random.IntN(2)]
	if random.IntN(2) == 0 {
		w.Quiet = &news.Quiet{From: random.IntN(1440), To: random.IntN(1440), Flash: random.IntN(2) == 0}
	}
	if random.IntN(3) == 0 {
		w.PausedUntil = begin.Add(time.Duration(random.IntN(1000)) * time.Hour)
	}
	for i := range random.IntN(3) {
		w.MutedStories = append(w.MutedStories, fmt.Sprintf("https://news.example/%d", random.IntN(3)+i*3))
		w.OverStories = append(w.OverStories, fmt.Sprintf("https://news.example/over/%d", i))
	}
	return w
}

// What can't be read is read from the rows, and is due again.
func TestSnapshotThatCannotBeRead(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		clk := newClock()
		s := storetest.Open(t, store.Config{URL: url, Now: clk.Now})
		const cell = 3
		store.SetSnapshotPart(s, 100)
		fill(t, s, cell, store.SnapshotLeast+10)
		due := func(want bool, when string) {
			t.Helper()
			stale, err := s.StaleSnapshots(context.Background(), []int{2, cell, 4})
			must(t, err)
			if (len(stale) == 1 && stale[0] == cell) != want || len(stale) > 1 {
				t.Errorf("%s: %v are due", when, stale)
			}
		}
		due(true, "before there is one")
		if parts := snapshot(t, s, cell); parts != 3 {
			t.Errorf("%d parts", parts)
		}
		due(false, "just after")
		want, rows := folded(t, s, cell, everyRow)
		if _, came := folded(t, s, cell, 0); came != rows {
			t.Errorf("%d came for %d devices", came, rows)
		}
		db := raw(t, url)
		for _, broken := range []string{
			"UPDATE cell_snapshots SET sealed = (SELECT sealed FROM cell_snapshots WHERE part = 1) WHERE part = 0",
			"UPDATE cell_snapshots SET change = change - 1 WHERE part = 1",
			"UPDATE cell_snapshots SET key_id = 'another' WHERE part = 2",
		} {
			execute(t, db, broken)
			if got, _ := folded(t, s, cell, 0); cmp.Diff(want, got, cmpopts.EquateEmpty()) != "" {
				t.Errorf("%s: the stream says something else", broken)
			}
			due(true, broken)
			snapshot(t, s, cell)
			due(false, "written anew")
		}
		fill(t, s, cell, 40)
		due(true, "more than an eighth later")
		snapshot(t, s, cell)
		clk.add(8 * 24 * time.Hour)
		due(false, "old, and nothing has changed")
		fill(t, s, cell, 1)
		due(true, "old, and something has")
	})
}

func fill(t testing.TB, s *store.Store, cell, devices int) {
	t.Helper()
	var list []news.NewDevice
	for range devices {
		list = append(list, news.NewDevice{Push: pushOf(s, cell), Wishes: wishes("JP")})
	}
	faults, err := s.ImportSubscriptions(context.Background(), list)
	must(t, err)
	for _, f := range faults {
		must(t, f)
	}
}

func execute(t testing.TB, db *sqlx.DB, query string) {
	t.Helper()
	_, err := db.Exec(query)
	must(t, err)
}

// Nothing of who was wiped is left in a snapshot: not in one that there was, and
// not in one whose devices were read before.
func TestSnapshotForgetsWhoIsWiped(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		s, other := storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})
		const cell = 3
		for _, one := range []*store.Store{s, other} {
			store.SetSnapshotPart(one, 100)
		}
		fill(t, s, cell, 250)
		devices, _ := folded(t, s, cell, everyRow)
		db := raw(t, url)
		parts := func() (list []int) {
			must(t, db.Select(&list, "SELECT part FROM cell_snapshots ORDER BY part"))
			return list
		}
		snapshot(t, s, cell)
		must(t, other.WipeDevice(ctx, devices[150].ID))
		if got := parts(); cmp.Diff([]int{0, 2}, got) != "" {
			t.Errorf("parts %v are left, want those she is not in", got)
		}
		// While the last part is read, somebody of it is wiped.
		must(t, store.SnapshotWhile(ctx, s, cell, 2, func() error { return other.WipeDevice(ctx, devices[220].ID) }))
		if got := parts(); cmp.Diff([]int{0}, got) != "" {
			t.Errorf("parts %v are left, want neither's", got)
		}
		got, _ := folded(t, s, cell, 0)
		for _, number := range []uint32{150, 220} {
			if d := got[number]; d.Push.Endpoint != "" || d.SubscriberID != "" || d.State != news.DeviceLeft {
				t.Errorf("number %d is %+v", number, d)
			}
		}
	})
}

// FuzzReadDevices: whatever lies in a snapshot, reading it ends, and what it
// accepts it would write.
func FuzzReadDevices(f *testing.F) {
	random := rand.New(rand.NewPCG(3, 4))
	var list []news.Device
	for i := range 3 {
		list = append(list, news.Device{ID: id(), SubscriberID: id(), Number: uint32(i + 1), Change: int64(i), State: news.DeviceActive,
			PreferenceID: "p", Wishes: allWishes(random), Push: push()})
	}
	f.Add(store.AppendDevices(nil, list))
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		devices, err := store.ReadDevices(1, raw)
		if err != nil {
			return
		}
		packed := store.AppendDevices(nil, devices)
		again, err := store.ReadDevices(1, packed)
		if err != nil || cmp.Diff(devices, again, cmpopts.EquateEmpty()) != "" {
			t.Errorf("read again: %v", err)
		}
		if repacked := store.AppendDevices(nil, again); !bytes.Equal(packed, repacked) {
			t.Error("packed again it is something else")
		}
	})
}
