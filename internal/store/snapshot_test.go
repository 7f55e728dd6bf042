package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
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
	p := push()
	for i, endpoint := 0, p.Endpoint; store.HomeCell(s, p.Endpoint) != cell; i++ {
		p.Endpoint = fmt.Sprint(endpoint, "/", i)
	}
	return p
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

// readers act on the devices of one cell.
type readers struct {
	s      *store.Store
	cell   int
	random *rand.Rand
	mu     *sync.Mutex
	ids    *[]string
}

func (r readers) act() error {
	ctx := context.Background()
	r.mu.Lock()
	act, id := r.random.IntN(8), ""
	if n := len(*r.ids); n > 0 {
		id = (*r.ids)[r.random.IntN(n)]
	}
	w := allWishes(r.random)
	r.mu.Unlock()
	d, err := r.s.Subscription(ctx, id)
	switch {
	case err != nil || act < 4:
		d, _, err = r.s.CreateSubscription(ctx, pushOf(r.s, r.cell), w)
		r.mu.Lock()
		*r.ids = append(*r.ids, d.ID)
		r.mu.Unlock()
	case act == 4:
		_, err = r.s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Wishes = w; return nil })
	case act == 5:
		err = r.s.Leave(ctx, d.ID)
	case act == 6:
		err = r.s.MarkGone(ctx, []news.DeviceRef{{Cell: d.Cell, Number: d.Number}})
	case act == 7:
		err = r.s.WipeDevice(ctx, d.ID)
	}
	if errors.Is(err, news.ErrNotFound) { // another has wiped her meanwhile
		return nil
	}
	return err
}

// agree holds the stream of a cell against its rows.
func agree(t testing.TB, s *store.Store, cell int) {
	t.Helper()
	want, _ := folded(t, s, cell, everyRow)
	got, _ := folded(t, s, cell, 0)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("(-rows +stream):\n%s", diff)
	}
}

// Whatever readers do between the parts of a snapshot, and while one is read, the
// cell's stream says what its rows say.
func TestSnapshotsSayWhatRowsSay(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		r := readers{s, 7, rand.New(rand.NewPCG(1, 2)), &sync.Mutex{}, &[]string{}}
		store.SetSnapshotPart(s, 8)
		for range 40 {
			must(t, r.act())
			switch r.random.IntN(4) {
			case 0:
				must(t, s.SnapshotCell(context.Background(), r.cell, func(time.Duration) error { return r.act() }))
			case 1:
				first := int64(8 * r.random.IntN(len(*r.ids)/8+1))
				must(t, store.SnapshotWhile(context.Background(), s, r.cell, first, func() error { return errors.Join(r.act(), r.act()) }))
			}
			agree(t, s, r.cell)
		}
	})
}

// So do several processes that act, write snapshots and load at once. Who goes on
// from the counter of before the load has everything in the end, and nobody who was
// wiped is in a snapshot.
func TestSnapshotsUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		random, mu, ids := rand.New(rand.NewPCG(5, 6)), &sync.Mutex{}, &[]string{}
		var open []*store.Store
		for range 3 {
			s := storetest.Open(t, store.Config{URL: url})
			store.SetSnapshotPart(s, 4)
			open = append(open, s)
		}
		const cell = 9
		var actors, writers sync.WaitGroup
		for _, s := range open[:2] {
			actors.Go(func() {
				for range 60 {
					if err := (readers{s, cell, random, mu, ids}).act(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		over := make(chan struct{})
		for _, s := range open[1:] {
			writers.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
						if err := s.SnapshotCell(ctx, cell, func(time.Duration) error { return nil }); err != nil {
							t.Error(err)
							return
						}
					}
				}
			})
		}
		for range 20 {
			before, err := open[0].CellChanges(ctx)
			must(t, err)
			known, _ := folded(t, open[0], cell, 0)
			now, err := open[0].CellChanges(ctx)
			must(t, err)
			changed, _ := folded(t, open[0], cell, max(before[cell], 1)) // 0 would be everything once more
			maps.Copy(known, changed)
			whole, _ := folded(t, open[0], cell, everyRow)
			for number, d := range whole {
				if got := known[number]; d.Change > 1 && d.Change <= now[cell] && cmp.Diff(d, got, cmpopts.EquateEmpty()) != "" {
					t.Errorf("number %d as of change %d of %d (%d before) is known as of %d", number, d.Change, now[cell], before[cell], got.Change)
				}
			}
		}
		actors.Wait()
		close(over)
		writers.Wait()
		agree(t, open[0], cell)
		wiped, _ := folded(t, open[0], cell, everyRow)
		for _, h := range store.SnapshotDevices(t, open[0], cell) {
			if d := wiped[h.Number]; d.SubscriberID == "" && h.SubscriberID != "" {
				t.Errorf("number %d was wiped and is in a snapshot", h.Number)
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
			"UPDATE cell_snapshots SET sealed = (SELECT sealed FROM cell_snapshots WHERE first = 100) WHERE first = 0",
			"UPDATE cell_snapshots SET change = change - 1 WHERE first = 100",
			"UPDATE cell_snapshots SET last = last - 1 WHERE first = 100",
			"UPDATE cell_snapshots SET key_id = 'another' WHERE first = 200",
			"DELETE FROM cell_snapshots WHERE first = 0",
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

// Rows of another history beside an old snapshot: what its labels are ahead of is
// not believed. And what is kept of a part's words does not keep the part.
func TestSnapshotOfAnotherHistory(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		const cell = 3
		store.SetSnapshotPart(s, 100)
		fill(t, s, cell, store.SnapshotLeast+10)
		snapshot(t, s, cell)
		db := raw(t, url)
		execute(t, db, "DELETE FROM devices WHERE number > 50")
		execute(t, db, "UPDATE cells SET change = 50, next_number = 51 WHERE cell = 3")
		agree(t, s, cell)
		fill(t, s, cell, store.SnapshotLeast-48)
		stale, err := s.StaleSnapshots(context.Background(), []int{cell})
		must(t, err)
		if len(stale) != 1 {
			t.Error("a snapshot that is ahead of its cell is not due")
		}
		snapshot(t, s, cell)
		agree(t, s, cell)
	})
}

// Readers with very much to mute make smaller parts.
func TestSnapshotPartsAreBounded(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		s := storetest.Open(t, store.Config{URL: url})
		const cell = 3
		w := wishes("JP")
		for i := range 300 {
			w.MutedStories = append(w.MutedStories, fmt.Sprintf("https://news.example/%d/%01000d", i, i))
		}
		for range 8 {
			_, _, err := s.CreateSubscription(context.Background(), pushOf(s, cell), w)
			must(t, err)
			w.MutedStories[0] += "x"
		}
		fill(t, s, cell, 10)
		if parts := snapshot(t, s, cell); parts != 1 {
			t.Errorf("%d parts: shared words count once", parts)
		}
		agree(t, s, cell)
		store.SetSnapshotBytes(s, 2000)
		execute(t, raw(t, url), "DELETE FROM cell_snapshots")
		if parts := snapshot(t, s, cell); parts < 4 {
			t.Errorf("%d parts", parts)
		}
		agree(t, s, cell)
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
			must(t, db.Select(&list, "SELECT first FROM cell_snapshots ORDER BY first"))
			return list
		}
		snapshot(t, s, cell)
		must(t, other.WipeDevice(ctx, devices[150].ID))
		if got := parts(); cmp.Diff([]int{0, 200}, got) != "" {
			t.Errorf("parts %v are left, want those she is not in", got)
		}
		// While the last part is read, somebody of it is wiped.
		must(t, store.SnapshotWhile(ctx, s, cell, 200, func() error { return other.WipeDevice(ctx, devices[220].ID) }))
		if got := parts(); cmp.Diff([]int{0}, got) != "" {
			t.Errorf("parts %v are left, want neither's", got)
		}
		// The version before wipes, and knows nothing of snapshots.
		snapshot(t, s, cell)
		execute(t, db, "UPDATE devices SET subscriber_id = NULL, change = change + 1000 WHERE cell = 3 AND number = 20")
		if got := parts(); cmp.Diff([]int{100, 200}, got) != "" {
			t.Errorf("parts %v are left, want not that of whom an older version wiped", got)
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
	f.Add(store.PackDevices(list))
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{1, 1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0}) // nobody's, and not wiped
	f.Fuzz(func(t *testing.T, raw []byte) {
		devices, err := store.ReadDevices(1, raw)
		if err != nil {
			return
		}
		packed := store.PackDevices(devices)
		again, err := store.ReadDevices(1, packed)
		if err != nil || cmp.Diff(devices, again, cmpopts.EquateEmpty()) != "" {
			t.Errorf("read again: %v", err)
		}
		if repacked := store.PackDevices(again); !bytes.Equal(packed, repacked) {
			t.Error("packed again it is something else")
		}
	})
}
