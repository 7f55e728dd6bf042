package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// sameSet lets cmp compare bitmaps by what they hold.
func sameSet() cmp.Option {
	return cmp.Comparer(func(a, b *roaring.Bitmap) bool {
		if a == nil || b == nil {
			return a == b
		}
		return a.Equals(b)
	})
}

// acquire takes every cell and returns the fences by cell.
func acquire(t testing.TB, s *store.Store, holder string) map[int]int64 {
	t.Helper()
	leases, err := s.AcquireCells(context.Background(), holder, time.Minute, news.Cells)
	must(t, err)
	out := map[int]int64{}
	for _, l := range leases {
		out[l.Cell] = l.Fence
	}
	return out
}

func row(releaseID string, cell int, fence int64, planned ...uint32) *news.LedgerRow {
	r := news.NewLedgerRow(releaseID, cell)
	r.Fence = fence
	r.Planned.AddMany(planned)
	return r
}

func TestLedgerRoundTrip(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		_, rel := released(t, s, "https://news.example/l")
		fences := acquire(t, s, "me")
		want := row(rel.ID, 7, fences[7], 1, 2, 3, 4, 5, 6, 7, 8, 70_000)
		want.Held.Add(1)
		want.Opened.AddMany([]uint32{2, 3, 4, 5, 6})
		want.Accepted.Add(2)
		want.Gone.Add(3)
		want.Failed.Add(4)
		want.Ambiguous.Add(5)
		want.Cancelled.Add(7)
		want.Expired.Add(8)
		want.Quarantined = 3
		want.Canary = map[string]news.CanaryTally{"https://fcm.googleapis.com": {Size: 3, Accepted: 1, Gone: 1, Troubled: 1}}
		want.Timing.Record(begin, begin.Add(80*time.Millisecond))
		want.Timing.Record(begin, begin.Add(250*time.Millisecond))
		empty := row(rel.ID, 8, fences[8])
		empty.Settled = true
		must(t, s.SaveLedger(ctx, "me", []*news.LedgerRow{want, empty}))
		got, err := s.Ledger(ctx, []string{rel.ID}, nil)
		must(t, err)
		if diff := cmp.Diff([]*news.LedgerRow{want, empty}, got, sameSet()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		canary, err := s.Canary(ctx, rel.ID)
		must(t, err)
		if diff := cmp.Diff(news.CanaryFigures{Rows: 2, Planned: 8, Tallies: want.Canary}, canary); diff != "" {
			t.Errorf("canary (-want +got):\n%s", diff)
		}
		held, err := s.HeldRows(ctx, []int{6, 7, 8})
		must(t, err)
		if len(held) != 1 || held[0].Cell != 7 {
			t.Errorf("held rows %v", held)
		}
		if none, err := s.HeldRows(ctx, []int{8}); err != nil || len(none) != 0 {
			t.Errorf("held rows of cell 8: %v, %v", none, err)
		}
		if only, err := s.Ledger(ctx, []string{rel.ID, id()}, []int{8, 9}); err != nil || len(only) != 1 || only[0].Cell != 8 {
			t.Errorf("rows of cells 8, 9: %v, %v", only, err)
		}
		if none, err := s.Ledger(ctx, []string{rel.ID}, []int{}); err != nil || len(none) != 0 {
			t.Errorf("rows of no cells: %v, %v", none, err)
		}

		want.Settle(6, want.Accepted)
		want.Settled = true
		must(t, s.SaveLedger(ctx, "me", []*news.LedgerRow{want}))
		got, err = s.Ledger(ctx, []string{rel.ID}, []int{7})
		must(t, err)
		if diff := cmp.Diff([]*news.LedgerRow{want}, got, sameSet()); diff != "" {
			t.Errorf("written again (-want +got):\n%s", diff)
		}
		figures, err := s.ReleaseFigures(ctx, []string{rel.ID, "none"})
		must(t, err)
		counts := want.Counts()
		if diff := cmp.Diff(map[string]news.ReleaseFigures{"none": {}, rel.ID: {Counts: counts, Timing: want.Timing}}, figures); diff != "" {
			t.Errorf("figures (-want +got):\n%s", diff)
		}
	})
}

func TestLedgerFenced(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		_, rel := released(t, s, "https://news.example/f")
		old := acquire(t, s, "old")
		must(t, s.SaveLedger(ctx, "old", []*news.LedgerRow{row(rel.ID, 3, old[3], 1)}))
		c.add(2 * time.Minute)
		// Its lease has ended, but nobody took the cell: its fence is current.
		must(t, s.SaveLedger(ctx, "old", []*news.LedgerRow{row(rel.ID, 3, old[3], 1, 2)}))
		fresh := acquire(t, s, "new")
		refused := func(name, holder string, rows ...*news.LedgerRow) {
			t.Helper()
			if err := s.SaveLedger(ctx, holder, rows); !errors.Is(err, news.ErrFenced) {
				t.Errorf("%s: %v, want ErrFenced", name, err)
			}
		}
		refused("the old holder", "old", row(rel.ID, 3, old[3], 9))
		refused("the old holder with the new fence", "old", row(rel.ID, 3, fresh[3], 9))
		refused("the new holder with the old fence", "new", row(rel.ID, 3, old[3], 9))
		refused("one row of many", "new", row(rel.ID, 4, fresh[4], 9), row(rel.ID, 3, old[3], 9))
		refused("two fences for one cell", "new", row(rel.ID, 3, fresh[3], 9), row(rel.ID, 3, old[3], 9))
		refused("no such cell", "new", row(rel.ID, 300, 0, 9))
		rows, err := s.Ledger(ctx, []string{rel.ID}, nil)
		must(t, err)
		if len(rows) != 1 || !rows[0].Planned.Equals(roaring.BitmapOf(1, 2)) {
			t.Errorf("a refused write left %d rows, %v", len(rows), rows[0].Planned)
		}
		must(t, s.SaveLedger(ctx, "new", []*news.LedgerRow{row(rel.ID, 3, fresh[3], 1, 2, 3)}))
	})
}

// Whatever holders do to the leases and to the ledger, a row only ever holds
// what somebody wrote while it held the cell, and fences only grow.
func TestLedgerFencingProperty(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		_, rel := released(t, s, "https://news.example/p")
		cells := []int{0, 1, 2}
		must(t, s.YieldCells(ctx, "nobody"))
		if _, err := s.AcquireCells(ctx, "rest", 1000*time.Hour, news.Cells); err != nil {
			t.Fatal(err)
		}
		must(t, s.YieldCells(ctx, "rest")) // so that 0, 1 and 2 are what a limit of 3 gives
		written := map[int]uint32{}        // by cell: the number in the row
		fence := map[int]int64{}           // by cell: the highest seen
		believed := map[string]map[int]int64{"a": {}, "b": {}, "c": {}}
		n := uint32(0)
		rapid.Check(t, func(rt *rapid.T) {
			rt.Repeat(map[string]func(*rapid.T){
				"acquire": func(rt *rapid.T) {
					h := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "holder")
					got, err := s.AcquireCells(ctx, h, time.Minute, rapid.IntRange(1, 3).Draw(rt, "limit"))
					must(t, err)
					for _, l := range got {
						if l.Fence <= fence[l.Cell] {
							rt.Fatalf("cell %d got fence %d after %d", l.Cell, l.Fence, fence[l.Cell])
						}
						fence[l.Cell], believed[h][l.Cell] = l.Fence, l.Fence
					}
				},
				"renew": func(rt *rapid.T) {
					h := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "holder")
					got, err := s.RenewCells(ctx, h, time.Minute)
					must(t, err)
					for _, l := range got {
						if l.Fence != fence[l.Cell] || l.Fence != believed[h][l.Cell] {
							rt.Fatalf("%s renewed cell %d under fence %d", h, l.Cell, l.Fence)
						}
					}
				},
				"yield": func(rt *rapid.T) {
					must(t, s.YieldCells(ctx, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "holder")))
				},
				"wait": func(rt *rapid.T) { c.add(time.Duration(rapid.IntRange(1, 90).Draw(rt, "seconds")) * time.Second) },
				"write": func(rt *rapid.T) {
					h := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "holder")
					cell := rapid.SampledFrom(cells).Draw(rt, "cell")
					n++
					err := s.SaveLedger(ctx, h, []*news.LedgerRow{row(rel.ID, cell, believed[h][cell], n)})
					switch current := believed[h][cell] == fence[cell] && fence[cell] > 0; {
					case err == nil && !current:
						rt.Fatalf("%s wrote cell %d under fence %d, current %d", h, cell, believed[h][cell], fence[cell])
					case err == nil:
						written[cell] = n
					case !errors.Is(err, news.ErrFenced):
						rt.Fatal(err)
					}
				},
				"": func(rt *rapid.T) {
					rows, err := s.Ledger(ctx, []string{rel.ID}, nil)
					must(t, err)
					for _, r := range rows {
						if !r.Planned.Equals(roaring.BitmapOf(written[r.Cell])) {
							rt.Fatalf("cell %d holds %v, last written %d", r.Cell, r.Planned, written[r.Cell])
						}
					}
				},
			})
		})
	})
}

// The holder writes while others steal its cells: what is stored at the end
// was written by the last fence that wrote.
func TestLedgerRace(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		first := storetest.Open(t, store.Config{URL: url})
		_, rel := released(t, first, "https://news.example/race")
		done := make(chan error, 4)
		for h := range 4 {
			s := storetest.Open(t, store.Config{URL: url})
			go func() {
				holder := fmt.Sprint("holder-", h)
				var errs error
				for i := range 15 {
					leases, err := s.AcquireCells(ctx, holder, time.Nanosecond, 8) // ends at once: anybody may take it
					errs = errors.Join(errs, err)
					var rows []*news.LedgerRow
					for _, l := range leases {
						rows = append(rows, row(rel.ID, l.Cell, l.Fence, uint32(l.Fence), uint32(1000+i)))
					}
					if err := s.SaveLedger(ctx, holder, rows); err != nil && !errors.Is(err, news.ErrFenced) {
						errs = errors.Join(errs, err)
					}
				}
				done <- errs
			}()
		}
		for range 4 {
			must(t, <-done)
		}
		rows, err := first.Ledger(ctx, []string{rel.ID}, nil)
		must(t, err)
		if len(rows) == 0 {
			t.Fatal("nobody ever wrote")
		}
		for _, r := range rows {
			if r.Planned.Minimum() != uint32(r.Fence) {
				t.Errorf("cell %d: the row of fence %d was written under %d", r.Cell, r.Fence, r.Planned.Minimum())
			}
		}
	})
}

func TestSettleRelease(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		a, rel := releasedIn(t, s, "https://news.example/s", news.PhaseCanary)
		fences := acquire(t, s, "me")
		write := func(releaseID string, cells []int, settled bool) {
			t.Helper()
			var rows []*news.LedgerRow
			for _, c := range cells {
				r := row(releaseID, c, fences[c], 1)
				if r.Settled = settled; settled {
					r.Settle(1, r.Accepted)
				}
				rows = append(rows, r)
			}
			must(t, s.SaveLedger(ctx, "me", rows))
		}
		settle := func(releaseID string, want bool) {
			t.Helper()
			if done, err := s.SettleRelease(ctx, releaseID); err != nil || done != want {
				t.Fatalf("settled %v, %v; want %v", done, err, want)
			}
		}
		active := func(want ...string) {
			t.Helper()
			list, err := s.ActiveReleases(ctx)
			must(t, err)
			got := []string{}
			for _, r := range list {
				got = append(got, r.ID)
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Fatalf("active %v, want %v", got, want)
			}
		}
		all := make([]int, news.Cells)
		for i := range all {
			all[i] = i
		}
		settle(rel.ID, false) // no rows yet
		write(rel.ID, all[1:], true)
		settle(rel.ID, false) // one row is missing
		write(rel.ID, all[:1], false)
		settle(rel.ID, false) // one row is not settled
		write(rel.ID, all[:1], true)
		active(rel.ID)
		settle(rel.ID, true)
		settle(rel.ID, true) // again
		active()
		rel, err := s.Release(ctx, rel.ID)
		must(t, err)
		sent, err := s.Alert(ctx, a.ID)
		must(t, err)
		if rel.State != news.ReleaseSent || sent.State != news.AlertSent || rel.Phase != news.PhaseAll { // nobody judged the canary
			t.Fatalf("release %s in phase %s, alert %s", rel.State, rel.Phase, sent.State)
		}
		// Held devices wake up: the release has work again, and is still sent.
		write(rel.ID, all[5:6], false)
		active(rel.ID)
		settle(rel.ID, false)
		write(rel.ID, all[5:6], true)
		settle(rel.ID, true)
		active()
		// A correction: the alert is sending until that one is done.
		correction := release(a, news.ReleaseCorrection)
		_, err = s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			a.State = news.AlertSending
			return news.AlertAction{Stop: true, Release: correction}, nil
		})
		must(t, err)
		active(correction.ID)
		write(correction.ID, all[:10], false)
		// Killed on the way: stopped, and closed once every cell has its row, as
		// what the plan named and did not get it must be known.
		kill := release(a, news.ReleaseKill)
		_, err = s.ChangeAlert(ctx, a.ID, func(a *news.Alert, _ news.Story) (news.AlertAction, error) {
			a.State = news.AlertKilled
			return news.AlertAction{Stop: true, Release: kill}, nil
		})
		must(t, err)
		settle(correction.ID, false)
		write(correction.ID, all[:10], true)
		settle(correction.ID, false)
		write(correction.ID, all[10:], true)
		settle(correction.ID, true)
		active(kill.ID)
		write(correction.ID, all[10:11], false) // a holder that had not heard of the stop
		active(kill.ID, correction.ID)
		write(correction.ID, all[10:11], true)
		settle(correction.ID, true)
		// The kill is held: not settled, whatever its rows say.
		write(kill.ID, all, true)
		_, err = s.ChangeAlert(ctx, a.ID, func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Freeze: true}, nil
		})
		must(t, err)
		settle(kill.ID, false)
		_, err = s.ChangeAlert(ctx, a.ID, func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Thaw: true}, nil
		})
		must(t, err)
		settle(kill.ID, true)
		if killed, _ := s.Alert(ctx, a.ID); killed.State != news.AlertKilled {
			t.Errorf("the killed alert became %s", killed.State)
		}
		if _, err := s.SettleRelease(ctx, id()); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("an unknown release: %v", err)
		}
	})
}

// A holder that has not heard of a stop writes while the release is being
// closed: whatever comes first, an unsettled row never stays behind unseen.
func TestSettleRace(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		a, b := storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})
		fences := acquire(t, a, "me")
		alert, rel := released(t, a, "https://news.example/sr")
		_, err := a.ChangeAlert(ctx, alert.ID, func(*news.Alert, news.Story) (news.AlertAction, error) {
			return news.AlertAction{Stop: true}, nil
		})
		must(t, err)
		for i := range news.Cells {
			r := row(rel.ID, i, fences[i], 1)
			r.Settled = true
			must(t, a.SaveLedger(ctx, "me", []*news.LedgerRow{r}))
		}
		for i := range 40 {
			r := row(rel.ID, i, fences[i], 1)
			done := make(chan error, 2)
			go func() { done <- a.SaveLedger(ctx, "me", []*news.LedgerRow{r}) }()
			go func() { _, err := b.SettleRelease(ctx, rel.ID); done <- err }()
			must(t, errors.Join(<-done, <-done))
			active, err := b.ActiveReleases(ctx)
			must(t, err)
			if len(active) != 1 {
				t.Fatalf("round %d: the release counts as closed, and cell %d is not settled", i, i)
			}
			r.Settled = true
			must(t, a.SaveLedger(ctx, "me", []*news.LedgerRow{r}))
			if done, err := b.SettleRelease(ctx, rel.ID); err != nil || !done {
				t.Fatalf("round %d: closed %v, %v", i, done, err)
			}
		}
	})
}

func TestReceipts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		a, rel := released(t, s, "https://news.example/rc")
		save := func(number uint32, kind string, want bool) {
			t.Helper()
			fresh, err := s.SaveReceipt(ctx, news.DeviceReceipt{AlertID: a.ID, Revision: 1,
				Device: news.DeviceRef{Cell: 3, Number: number}, Kind: kind})
			if err != nil || fresh != want {
				t.Errorf("%d %s: %v, %v", number, kind, fresh, err)
			}
		}
		save(1, "shown", true)
		save(1, "shown", false)
		save(1, "clicked", true)
		save(2, "shown", true)
		counts, err := s.CountReceipts(ctx, a.ID, 1)
		must(t, err)
		if diff := cmp.Diff(map[string]int{"shown": 2, "clicked": 1}, counts); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		figures, err := s.ReleaseFigures(ctx, []string{rel.ID})
		must(t, err)
		if figures[rel.ID].Counts.Shown != 2 {
			t.Errorf("shown %d", figures[rel.ID].Counts.Shown)
		}
	})
}
