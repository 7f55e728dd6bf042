package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func TestLeases(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		take := func(holder string, limit, want int) []news.Lease {
			t.Helper()
			got, err := s.AcquireCells(ctx, holder, 10*time.Second, limit)
			must(t, err)
			if len(got) != want {
				t.Fatalf("%s acquired %d cells, want %d", holder, len(got), want)
			}
			return got
		}
		a := take("a", 100, 100)
		if a[0].Cell != 0 || a[0].Fence != 1 || !a[0].Until.Equal(begin.Add(10*time.Second)) {
			t.Errorf("first lease %+v", a[0])
		}
		take("b", 1000, 156)
		take("c", 1000, 0)
		take("a", 0, 0)
		c.add(9 * time.Second)
		renewed, err := s.RenewCells(ctx, "a", 10*time.Second)
		must(t, err)
		if len(renewed) != 100 || renewed[5].Fence != 1 || !renewed[5].Until.Equal(begin.Add(19*time.Second)) {
			t.Errorf("renewed %d, %+v", len(renewed), renewed[5])
		}
		c.add(2 * time.Second) // b's have ended
		got := take("c", 1000, 156)
		if got[0].Fence != 2 {
			t.Errorf("taken over under fence %d", got[0].Fence)
		}
		if lost, err := s.RenewCells(ctx, "b", time.Second); err != nil || len(lost) != 0 {
			t.Errorf("b renewed %d, %v", len(lost), err)
		}
		c.add(time.Hour) // ended, and nobody took them: still a's
		if kept, err := s.RenewCells(ctx, "a", time.Minute); err != nil || len(kept) != 100 || kept[0].Fence != 1 {
			t.Errorf("a renewed %d, %v", len(kept), err)
		}
		must(t, s.YieldCells(ctx, "a"))
		must(t, s.YieldCells(ctx, "a"))
		d := take("d", 256, 256) // a's and c's ended ones
		if d[0].Fence != 2 || d[200].Fence != 3 {
			t.Errorf("fences %d, %d", d[0].Fence, d[200].Fence)
		}
	})
}

// Two processes grab at once: no cell has two holders.
func TestLeasesRace(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		type grab struct {
			leases []news.Lease
			err    error
		}
		grabs := make(chan grab, 4)
		for h := range 4 {
			s := storetest.Open(t, store.Config{URL: url})
			go func() {
				var all []news.Lease
				for {
					got, err := s.AcquireCells(ctx, fmt.Sprint("p", h), time.Hour, 7)
					if err != nil || len(got) == 0 {
						grabs <- grab{all, err}
						return
					}
					all = append(all, got...)
				}
			}()
		}
		seen := map[int]bool{}
		for range 4 {
			g := <-grabs
			must(t, g.err)
			for _, l := range g.leases {
				if seen[l.Cell] || l.Fence != 1 {
					t.Errorf("cell %d twice, fence %d", l.Cell, l.Fence)
				}
				seen[l.Cell] = true
			}
		}
		// SKIP LOCKED may leave some for the next round; none is lost.
		rest, err := storetest.Open(t, store.Config{URL: url}).AcquireCells(ctx, "rest", time.Hour, news.Cells)
		must(t, err)
		if len(seen)+len(rest) != news.Cells {
			t.Errorf("%d + %d cells", len(seen), len(rest))
		}
	})
}

// Processes that say that they are there are counted until their time is over, or
// they say that they go; and cells can be given back one by one.
func TestDispatchersAreCounted(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		count := func(want int) {
			t.Helper()
			if n, err := s.Dispatchers(ctx); err != nil || n != want {
				t.Errorf("%d dispatchers, %v; want %d", n, err, want)
			}
		}
		count(0)
		for _, holder := range []string{"a", "b", "a"} {
			if _, err := s.RenewCells(ctx, holder, time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		count(2)
		if _, err := s.RenewCells(ctx, "c", -time.Second); err != nil {
			t.Fatal(err)
		}
		count(2)
		must(t, s.YieldCells(ctx, "b"))
		count(1)
		got, err := s.AcquireCells(ctx, "a", time.Minute, 3)
		must(t, err)
		must(t, s.YieldSome(ctx, "a", []int{got[2].Cell, got[0].Cell}))
		must(t, s.YieldSome(ctx, "b", []int{got[1].Cell})) // not b's
		must(t, s.YieldSome(ctx, "a", nil))
		left, err := s.RenewCells(ctx, "a", time.Minute)
		if err != nil || len(left) != 1 || left[0].Cell != got[1].Cell {
			t.Errorf("left %+v, %v", left, err)
		}
	})
}
