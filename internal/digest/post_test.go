package digest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"dateline/internal/email"
	"dateline/internal/news"
)

// sorting is a post whose mails take a while, and what it was seen to do.
type sorting struct {
	*post
	mu     sync.Mutex
	order  []string // slots, as mails began
	begun  map[string][]time.Time
	active map[string]int
	most   map[string]int // under way at once, by provider
	all    int
	took   time.Duration
	done   sync.WaitGroup
}

func newSorting(limit int, took time.Duration, busy func() bool) *sorting {
	s := &sorting{begun: map[string][]time.Time{}, active: map[string]int{}, most: map[string]int{}, took: took}
	if busy == nil {
		busy = func() bool { return false }
	}
	s.post = newPost(limit, busy, func(x parcel) (outcome, error) {
		s.enter(x)
		time.Sleep(s.took)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.active[x.job.provider]--
		s.active[""]--
		return sent, nil
	})
	return s
}

func (s *sorting) enter(x parcel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.order = append(s.order, x.slot)
	s.begun[x.job.provider] = append(s.begun[x.job.provider], time.Now())
	for _, key := range []string{x.job.provider, ""} {
		s.active[key]++
		s.most[key] = max(s.most[key], s.active[key])
	}
	s.all++
}

func (s *sorting) give(slot, provider string, n int) (taken int) {
	for i := range n {
		s.done.Add(1)
		j := job{provider: provider, reader: news.DigestReader{Mailbox: news.Mailbox{ID: fmt.Sprintf("%s-%s-%d", slot, provider, i)}}}
		if !s.offer(parcel{ctx: context.Background(), job: j, slot: slot, done: func(outcome, error) { s.done.Done() }}) {
			s.done.Done()
			return i
		}
	}
	return n
}

// TestSlotsTakeTurns: the few readers at 08:00 in Shanghai are through while the many at
// 07:00 in Jakarta, the same moment, still wait.
func TestSlotsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(8, time.Second, nil)
		s.give("Asia/Jakarta|7", email.Rest, 400)
		s.give("Asia/Bangkok|7", email.Rest, 400)
		s.give("Asia/Shanghai|8", email.Rest, 20)
		s.done.Wait()
		last := 0
		for i, slot := range s.order {
			if slot == "Asia/Shanghai|8" {
				last = i
			}
		}
		if last > 3*20+8 {
			t.Errorf("Shanghai's 20 were through with the %d. mail of %d", last+1, len(s.order))
		}
	})
}

// TestSlowLaneHoldsNobodyUp: one provider of which every mail takes a minute, and the
// others are through as if it were not there.
func TestSlowLaneHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(16, 0, nil)
		s.send = func(x parcel) (outcome, error) {
			s.enter(x)
			if x.job.provider == "yahoo" {
				time.Sleep(time.Minute)
			} else {
				time.Sleep(100 * time.Millisecond)
			}
			return sent, nil
		}
		began := time.Now()
		s.give("a", "yahoo", 100)
		s.give("a", email.Rest, 400)
		s.done.Wait()
		others := s.begun[email.Rest]
		if took := others[len(others)-1].Sub(began); took > 6*time.Second {
			t.Errorf("400 mails on 8 connections of 0.1 s each took %s", took)
		}
	})
}

// TestLanesKeepTheirBounds: whatever comes, no provider has more connections or a higher
// pace than its line of the table says, and no more than limit are under way.
func TestLanesKeepTheirBounds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limit := rapid.IntRange(1, 30).Draw(rt, "limit")
		took := time.Duration(rapid.IntRange(1, 500).Draw(rt, "ms")) * time.Millisecond
		counts := map[string]int{}
		for _, p := range email.Providers() {
			counts[p.Name] = rapid.IntRange(0, 60).Draw(rt, p.Name)
		}
		synctest.Test(t, func(*testing.T) {
			s := newSorting(limit, took, nil)
			for _, p := range email.Providers() {
				s.give("x", p.Name, counts[p.Name])
			}
			s.done.Wait()
			if s.most[""] > limit {
				rt.Fatalf("%d of %d under way", s.most[""], limit)
			}
			for _, p := range email.Providers() {
				if s.most[p.Name] > p.Connections {
					rt.Fatalf("%s: %d connections of %d", p.Name, s.most[p.Name], p.Connections)
				}
				begun := s.begun[p.Name]
				if len(begun) != counts[p.Name] {
					rt.Fatalf("%s: %d of %d", p.Name, len(begun), counts[p.Name])
				}
				for i := 1; p.PerMinute > 0 && i < len(begun); i++ {
					if gap := begun[i].Sub(begun[i-1]); gap < time.Minute/time.Duration(p.PerMinute) {
						rt.Fatalf("%s: two mails within %s", p.Name, gap)
					}
				}
			}
		})
	})
}

// TestTooMuchHalvesALane, and a hundred mails taken bring a quarter back.
func TestTooMuchHalvesALane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(16, time.Second, nil)
		s.slow(email.Rest)
		s.slow(email.Rest)
		s.give("x", email.Rest, 30)
		s.done.Wait()
		if s.most[email.Rest] != 2 {
			t.Errorf("%d of 8 connections after two halvings", s.most[email.Rest])
		}
		for range 10 {
			s.give("x", email.Rest, 100)
			s.done.Wait()
		}
		if s.most[email.Rest] != 8 {
			t.Errorf("%d of 8 connections after a thousand mails", s.most[email.Rest])
		}
		for range 20 {
			s.slow("naver")
		}
		s.give("x", "naver", 3)
		s.done.Wait()
		if len(s.begun["naver"]) != 3 {
			t.Error("a lane was halved to nothing")
		}
	})
}

// TestAlertsGoFirst: while an alert is on its way an eighth of the mails are under way at
// most, and afterwards all of them again.
func TestAlertsGoFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := newSorting(8, time.Second, func() bool { return time.Since(began) < 10*time.Second })
		s.give("x", email.Rest, 100)
		time.Sleep(9 * time.Second)
		s.mu.Lock()
		if s.most[""] != 1 || s.all == 0 {
			t.Errorf("%d mails at once, %d in all, while an alert is on its way", s.most[""], s.all)
		}
		s.mu.Unlock()
		s.done.Wait()
		if took := time.Since(began); s.most[""] != 8 || took > 24*time.Second {
			t.Errorf("%d at once after it; all took %s", s.most[""], took)
		}
	})
}

func TestPostTakesAMailboxOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(1, time.Second, nil)
		s.give("x", email.Rest, 5)
		s.give("x", email.Rest, 5)
		if room := s.give("y", email.Rest, queueRoom+50); room != queueRoom {
			t.Errorf("a slot's queue took %d", room)
		}
		s.done.Wait()
		if n := len(slices.DeleteFunc(s.order, func(slot string) bool { return slot != "x" })); n != 5 {
			t.Errorf("%d mails for 5 mailboxes", n)
		}
	})
}

// TestCalledOffGoesAtOnce: what waits for its turn at a slow provider when the program
// stops is handed back at once, and not at the provider's pace.
func TestCalledOffGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(16, time.Second, nil)
		ctx, cancel := context.WithCancel(context.Background())
		for i := range 400 {
			s.done.Add(1)
			j := job{provider: "qq", reader: news.DigestReader{Mailbox: news.Mailbox{ID: fmt.Sprint(i)}}}
			s.offer(parcel{ctx: ctx, job: j, slot: "x", done: func(outcome, error) { s.done.Done() }})
		}
		time.Sleep(3 * time.Second)
		cancel()
		began := time.Now()
		s.done.Wait()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// TestPacesDoNotHoldEachOtherUp: a lane whose next mail may begin soon does not wait for
// one whose next may begin late.
func TestPacesDoNotHoldEachOtherUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSorting(16, time.Microsecond, nil)
		for range 20 {
			s.slow("qq") // some nineteen mails a minute
		}
		s.give("x", "gmail", 100)
		s.give("x", "qq", 3)
		s.done.Wait()
		gmail := s.begun["gmail"]
		if took := gmail[len(gmail)-1].Sub(gmail[0]); took > 2100*time.Millisecond {
			t.Errorf("a hundred mails at 3,000 a minute took %s", took)
		}
	})
}

// TestScanComesBack: a slot with more readers of a slow provider than wait at once is
// read through for all providers, every reader once.
func TestScanComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, out := newMemory(time.Now), newPostbox(t)
		out.delay = 50 * time.Millisecond
		const readers = 2000
		for i := range readers {
			store.join(box(fmt.Sprintf("r%05d", i), func(b *news.Mailbox) {
				b.Wishes.Timezone, b.Hour, b.CreatedAt = "UTC", 1, time.Now()
				if i%4 != 0 {
					b.Address = b.ID + "@yahoo.com"
				}
			}))
		}
		store.put(story("a", func(s *news.Story) { s.StoredAt, s.Created = time.Now(), time.Now() }))
		config := configOf(t, store, out, time.Now)
		config.Workers = 16
		s, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		f, err := s.RunAt(context.Background(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		wantFigures(t, f, news.DigestFigures{Due: readers, Sent: readers})
		if n := len(slices.Compact(slices.Sorted(slices.Values(out.to)))); n != readers || len(out.to) != readers {
			t.Errorf("%d mails to %d readers", len(out.to), n)
		}
		// 900 a minute to Yahoo: 1,500 take 100 s; the others were through long before.
		last := map[string]time.Time{}
		for i, to := range out.to {
			last[domainOf(to)] = out.sent[i]
		}
		began := out.sent[0]
		if rest, yahoo := last["mail.example"].Sub(began), last["yahoo.com"].Sub(began); rest > 10*time.Second || yahoo < 99*time.Second {
			t.Errorf("the others took %s, Yahoo %s", rest, yahoo)
		}
		_ = s.Close()
	})
}
