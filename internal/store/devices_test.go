package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

func TestSubscriptionRoundTrip(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		p, w := push(), wishes("035", "JP", "035")
		created, isNew, err := s.CreateSubscription(ctx, p, w)
		must(t, err)
		if !isNew || created.State != news.DeviceActive || created.Number == 0 || !bytes.Equal(created.Push.Auth, p.Auth) {
			t.Errorf("created %+v", created)
		}
		w.Preference.Regions = []string{"035", "JP"} // canonical: sorted, once
		if diff := cmp.Diff(w, created.Wishes); diff != "" {
			t.Errorf("wishes (-want +got):\n%s", diff)
		}
		read, err := s.Subscription(ctx, created.ID)
		must(t, err)
		if diff := cmp.Diff(created, read); diff != "" {
			t.Errorf("read (-want +got):\n%s", diff)
		}
		streamed := changed(t, s, [news.Cells]int64{})
		untimed := created
		untimed.CreatedAt, untimed.UpdatedAt = time.Time{}, time.Time{}
		if diff := cmp.Diff([]news.Device{untimed}, streamed); diff != "" {
			t.Errorf("streamed (-want +got):\n%s", diff)
		}
		least := news.Wishes{Preference: news.Preference{Regions: []string{"JP"}, Level: news.LevelNotice}, Language: "en", Timezone: "UTC"}
		d := subscribe(t, s, least)
		if diff := cmp.Diff(least, d.Wishes); diff != "" {
			t.Errorf("least wishes (-want +got):\n%s", diff)
		}
		if _, err := s.Subscription(ctx, id()); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestSubscriptionAgain(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		p := push()
		first, _, err := s.CreateSubscription(ctx, p, wishes("JP"))
		must(t, err)
		c.add(time.Minute)
		again, created, err := s.CreateSubscription(ctx, p, wishes("TW"))
		must(t, err)
		if created || again.ID != first.ID || again.Number != first.Number || again.Change <= first.Change ||
			again.Wishes.Preference.Regions[0] != "TW" || again.PreferenceID == first.PreferenceID {
			t.Errorf("the same endpoint and auth: %+v", again)
		}
		// T37: somebody else's endpoint.
		forged := p
		forged.Auth = bytes.Repeat([]byte{1}, 16)
		if _, _, err := s.CreateSubscription(ctx, forged, wishes("KR")); !errors.Is(err, news.ErrConflict) {
			t.Errorf("another auth: %v", err)
		}
		if d, _ := s.Subscription(ctx, first.ID); !bytes.Equal(d.Push.Auth, p.Auth) || d.Wishes.Preference.Regions[0] != "TW" {
			t.Errorf("a refused subscription changed %+v", d)
		}
		// Leaving, twice, and coming back: the number stays.
		must(t, s.Leave(ctx, first.ID))
		left, err := s.Subscription(ctx, first.ID)
		must(t, err)
		must(t, s.Leave(ctx, first.ID))
		must(t, s.Leave(ctx, id()))
		same, err := s.Subscription(ctx, first.ID)
		must(t, err)
		if left.State != news.DeviceLeft || left.Change <= again.Change || same.Change != left.Change {
			t.Errorf("left %+v", left)
		}
		back, created, err := s.CreateSubscription(ctx, p, wishes("TW"))
		must(t, err)
		if created || back.State != news.DeviceActive || back.Number != first.Number || back.Cell != first.Cell || back.Change <= left.Change {
			t.Errorf("back %+v", back)
		}
		got := changed(t, s, [news.Cells]int64{})
		if len(got) != 1 || got[0].State != news.DeviceActive {
			t.Errorf("stream %+v", got)
		}
	})
}

func TestChangeSubscription(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, c *clock) {
		ctx := context.Background()
		d, other := subscribe(t, s, wishes("JP")), subscribe(t, s, wishes("JP"))
		if d.PreferenceID != other.PreferenceID {
			t.Error("equal preferences have different ids")
		}
		nothing, err := s.ChangeSubscription(ctx, d.ID, func(*news.Device) error { return nil })
		if err != nil || nothing.Change != d.Change {
			t.Errorf("no change moved the counter: %d, %v", nothing.Change, err)
		}
		paused, err := s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error {
			d.Wishes.PausedUntil = begin.Add(48 * time.Hour)
			d.Wishes.Preference.Regions[0] = "KR" // the callback's own copy
			return nil
		})
		must(t, err)
		if paused.Change <= d.Change || !paused.Wishes.PausedUntil.Equal(begin.Add(48*time.Hour)) {
			t.Errorf("paused %+v", paused)
		}
		if o, _ := s.Subscription(ctx, other.ID); o.Wishes.Preference.Regions[0] != "JP" {
			t.Error("another reader's preference changed")
		}
		moved := push()
		c.add(time.Minute)
		got, err := s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Push = moved; return nil })
		must(t, err)
		if got.Push.Endpoint != moved.Endpoint || got.Number != d.Number || got.Cell != d.Cell {
			t.Errorf("moved %+v", got)
		}
		// A 410 that comes now may be about the old endpoint.
		ref := []news.DeviceRef{{Cell: d.Cell, Number: d.Number}}
		must(t, s.MarkGone(ctx, ref))
		if got, _ = s.Subscription(ctx, d.ID); got.State != news.DeviceActive {
			t.Errorf("a late answer made the new endpoint %s", got.State)
		}
		c.add(2 * time.Minute)
		must(t, s.MarkGone(ctx, ref))
		if got, _ = s.Subscription(ctx, d.ID); got.State != news.DeviceGone {
			t.Errorf("state %s, want gone", got.State)
		}
		if _, err := s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Push = other.Push; return nil }); !errors.Is(err, news.ErrConflict) {
			t.Errorf("another device's endpoint: %v", err)
		}
		mine := errors.New("no")
		if _, err := s.ChangeSubscription(ctx, d.ID, func(*news.Device) error { return mine }); !same(err, mine) {
			t.Errorf("got %v, want the callback's own error", err)
		}
		if _, err := s.ChangeSubscription(ctx, id(), nil); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
	})
}

func TestMarkGone(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		var refs []news.DeviceRef
		var devices []news.Device
		for range 20 {
			d := subscribe(t, s, wishes("JP"))
			devices = append(devices, d)
			refs = append(refs, news.DeviceRef{Cell: d.Cell, Number: d.Number})
		}
		must(t, s.Leave(ctx, devices[0].ID))
		before, err := s.CellChanges(ctx)
		must(t, err)
		must(t, s.MarkGone(ctx, append(refs, refs...)))
		must(t, s.MarkGone(ctx, []news.DeviceRef{{Cell: 9, Number: 4_000_000_000}}))
		if err := s.MarkGone(ctx, []news.DeviceRef{{Cell: 256, Number: 1}}); err == nil {
			t.Error("cell 256 exists")
		}
		got := changed(t, s, before)
		if len(got) != 19 {
			t.Fatalf("%d devices changed, want 19 (one had left)", len(got))
		}
		for _, d := range got {
			if d.State != news.DeviceGone {
				t.Errorf("%s is %s", d.ID, d.State)
			}
		}
		// It subscribes again: the number is the old one.
		back, created, err := s.CreateSubscription(ctx, devices[3].Push, wishes("JP"))
		must(t, err)
		if created || back.Number != devices[3].Number || back.State != news.DeviceActive {
			t.Errorf("back %+v", back)
		}
	})
}

// Numbers and changes are unique and without gaps however many writers there
// are, and a reader who goes on from the counter misses nothing.
func TestDeviceNumbersUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		const writers, each = 4, 30
		var wg sync.WaitGroup
		errs := make([]error, writers)
		for w := range writers {
			s := storetest.Open(t, store.Config{URL: url})
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range each {
					d, _, err := s.CreateSubscription(ctx, push(), wishes("JP"))
					if err == nil && i%3 == 0 {
						_, err = s.ChangeSubscription(ctx, d.ID, func(d *news.Device) error { d.Wishes.Cap = i; return nil })
					}
					if err == nil && i%5 == 0 {
						err = s.MarkGone(ctx, []news.DeviceRef{{Cell: d.Cell, Number: d.Number}})
					}
					errs[w] = errors.Join(errs[w], err)
				}
			}()
		}
		finished := make(chan struct{})
		go func() { wg.Wait(); close(finished) }()
		reader := storetest.Open(t, store.Config{URL: url})
		var seen [news.Cells]int64
		known := map[string]news.Device{}
		catchUp := func() {
			counters, err := reader.CellChanges(ctx)
			must(t, err)
			for _, d := range changed(t, reader, seen) {
				known[d.ID] = d
			}
			seen = counters
		}
		for running := true; running; {
			select {
			case <-finished:
				running = false
			default:
			}
			catchUp()
		}
		must(t, errors.Join(errs...))
		whole := map[string]news.Device{}
		numbers, changes := map[news.DeviceRef]bool{}, map[int][]int64{}
		for _, d := range changed(t, reader, [news.Cells]int64{}) {
			whole[d.ID] = d
			numbers[news.DeviceRef{Cell: d.Cell, Number: d.Number}] = true
			changes[d.Cell] = append(changes[d.Cell], d.Change)
		}
		if diff := cmp.Diff(whole, known); diff != "" {
			t.Errorf("what the reader knows differs (-whole +known):\n%s", diff)
		}
		if len(numbers) != writers*each {
			t.Errorf("%d numbers for %d devices", len(numbers), writers*each)
		}
		for ref := range numbers {
			if ref.Number > 1 && !numbers[news.DeviceRef{Cell: ref.Cell, Number: ref.Number - 1}] {
				t.Errorf("cell %d has number %d and not the one before", ref.Cell, ref.Number)
			}
		}
		for cell, list := range changes {
			slices.Sort(list)
			if len(slices.Compact(slices.Clone(list))) != len(list) {
				t.Errorf("cell %d has a change twice: %v", cell, list)
			}
		}
		inOrder(t, reader)
	})
}

// inOrder checks the order of streams: a whole cell comes by number, what
// changed behind a counter by change.
func inOrder(t *testing.T, s *store.Store) {
	t.Helper()
	for cell := range news.Cells {
		for _, after := range []int64{0, 1} {
			last := int64(-1)
			must(t, s.CellDevices(t.Context(), []int{cell}, []int64{after}, func(d news.Device) error {
				place := d.Change
				if after == 0 {
					place = int64(d.Number)
				}
				if place <= last {
					t.Errorf("cell %d after %d: %d comes behind %d", cell, after, place, last)
				}
				last = place
				return nil
			}))
		}
	}
}

// The same browser subscribes in many tabs and through two processes at once:
// one device, one number.
func TestSubscribeOnceUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		stores := []*store.Store{storetest.Open(t, store.Config{URL: url}), storetest.Open(t, store.Config{URL: url})}
		p := push()
		type answer struct {
			id      string
			created bool
			err     error
		}
		answers := make(chan answer, 12)
		for i := range cap(answers) {
			go func() {
				d, created, err := stores[i%2].CreateSubscription(context.Background(), p, wishes("JP"))
				answers <- answer{d.ID, created, err}
			}()
		}
		ids, created := map[string]bool{}, 0
		for range cap(answers) {
			a := <-answers
			must(t, a.err)
			ids[a.id] = true
			if a.created {
				created++
			}
		}
		if len(ids) != 1 || created != 1 || len(changed(t, stores[0], [news.Cells]int64{})) != 1 {
			t.Errorf("%d devices, %d created", len(ids), created)
		}
	})
}

// More devices in one cell than are read at once stream whole, in order, and
// fn may use the store, as many streams at once as there are connections.
func TestStreamManyOfOneCell(t *testing.T) {
	storetest.Each(t, func(t *testing.T, s *store.Store) {
		ctx := context.Background()
		const cell = 7
		var list []news.NewDevice
		for len(list) < store.StreamChunk+50 {
			if p := push(); store.HomeCell(s, p.Endpoint) == cell {
				list = append(list, news.NewDevice{Push: p, Wishes: wishes(fmt.Sprint("R", len(list)%40))})
			}
		}
		faults, err := s.ImportSubscriptions(ctx, list)
		must(t, errors.Join(err, errors.Join(faults...)))
		done := make(chan error, 25)
		for range cap(done) {
			go func() {
				n, last := 0, int64(0)
				err := s.CellDevices(ctx, []int{cell}, []int64{0}, func(d news.Device) error {
					n++
					if d.Cell != cell || d.Change <= last {
						return fmt.Errorf("cell %d: change %d after %d", d.Cell, d.Change, last)
					}
					if last = d.Change; n%500 == 0 {
						_, err := s.Subscription(ctx, d.ID)
						return err
					}
					return nil
				})
				if err == nil && n != len(list) {
					err = fmt.Errorf("streamed %d of %d", n, len(list))
				}
				done <- err
			}()
		}
		for range cap(done) {
			must(t, <-done)
		}
		stop := errors.New("enough")
		if err := s.CellDevices(ctx, []int{cell}, []int64{0}, func(news.Device) error { return stop }); !same(err, stop) {
			t.Errorf("got %v, want the callback's own error", err)
		}
	})
}

func TestImportSubscriptions(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		known := subscribe(t, s, wishes("JP"))
		var list []news.NewDevice
		for range 700 { // more than one transaction
			list = append(list, news.NewDevice{Push: push(), Wishes: wishes("JP")})
		}
		list[10] = news.NewDevice{Push: known.Push, Wishes: wishes("TW")} // known: updated
		forged := known.Push
		forged.Auth = make([]byte, 16)
		list[20] = news.NewDevice{Push: forged, Wishes: wishes("KR")}        // refused
		list[30] = news.NewDevice{Push: list[29].Push, Wishes: wishes("TH")} // twice: the later one holds
		list[690] = news.NewDevice{Push: list[2].Push, Wishes: wishes("VN")} // the same, over two transactions
		faults, err := s.ImportSubscriptions(ctx, list)
		must(t, err)
		for i, f := range faults {
			if (f != nil) != (i == 20) || (f != nil && !errors.Is(f, news.ErrConflict)) {
				t.Errorf("line %d: %v", i, f)
			}
		}
		byEndpoint := map[string]news.Device{}
		for _, d := range changed(t, s, [news.Cells]int64{}) {
			byEndpoint[d.Push.Endpoint] = d
		}
		if len(byEndpoint) != 696+1 {
			t.Errorf("%d devices", len(byEndpoint))
		}
		for _, want := range []struct {
			endpoint, region string
		}{{known.Push.Endpoint, "TW"}, {list[29].Push.Endpoint, "TH"}, {list[2].Push.Endpoint, "VN"}, {list[0].Push.Endpoint, "JP"}} {
			if got := byEndpoint[want.endpoint].Wishes.Preference.Regions; !slices.Equal(got, []string{want.region}) {
				t.Errorf("regions %v, want %s", got, want.region)
			}
		}
		if empty, err := s.ImportSubscriptions(ctx, nil); err != nil || len(empty) != 0 {
			t.Errorf("nothing: %v, %v", empty, err)
		}
	})
}

// Two imports of overlapping lists and a site beside them: no deadlock, no
// device twice.
func TestImportsUnderLoad(t *testing.T) {
	storetest.EachURL(t, func(t *testing.T, url string) {
		ctx := context.Background()
		var list []news.NewDevice
		for i := range 300 {
			list = append(list, news.NewDevice{Push: push(), Wishes: wishes(fmt.Sprint("R", i%20))})
		}
		done := make(chan error, 3)
		for i := range 3 {
			s := storetest.Open(t, store.Config{URL: url})
			mine := slices.Clone(list[i*50 : i*50+200])
			if i == 1 {
				slices.Reverse(mine)
			}
			go func() {
				if i < 2 {
					faults, err := s.ImportSubscriptions(ctx, mine)
					done <- errors.Join(err, errors.Join(faults...))
					return
				}
				var errs error
				for _, n := range mine[:40] {
					_, _, err := s.CreateSubscription(ctx, n.Push, n.Wishes)
					errs = errors.Join(errs, err)
				}
				done <- errs
			}()
		}
		for range 3 {
			must(t, <-done)
		}
		endpoints := map[string]bool{}
		all := changed(t, storetest.Open(t, store.Config{URL: url}), [news.Cells]int64{})
		for _, d := range all {
			endpoints[d.Push.Endpoint] = true
		}
		if len(all) != 250 || len(endpoints) != 250 {
			t.Errorf("%d devices, %d endpoints, want 250", len(all), len(endpoints))
		}
	})
}

func TestWipeMailbox(t *testing.T) {
	eachClock(t, func(t *testing.T, s *store.Store, _ *clock) {
		ctx := context.Background()
		d := subscribe(t, s, wishes("JP"))
		m := confirmed(t, s, "reader@example.org", d.SubscriberID)
		must(t, s.WipeMailbox(ctx, m.ID))
		must(t, s.WipeMailbox(ctx, m.ID))
		must(t, s.WipeDevice(ctx, d.ID))
		must(t, s.Leave(ctx, d.ID))
		if _, err := s.Subscription(ctx, d.ID); !errors.Is(err, news.ErrNotFound) || !errors.Is(err, news.ErrGone) {
			t.Errorf("the device: %v; its browser must not take us for having lost it", err)
		}
		if _, err := s.Mailbox(ctx, m.ID); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("the mailbox: %v", err)
		}
		must(t, s.LeaveMailbox(ctx, news.Departure{MailboxID: m.ID, Way: news.LeftByPage})) // an old link still answers well
		got := changed(t, s, [news.Cells]int64{})
		if len(got) != 1 || got[0].State != news.DeviceLeft || got[0].Number != d.Number || got[0].Change <= d.Change ||
			got[0].Push.Endpoint != "" || got[0].SubscriberID != "" {
			t.Errorf("what is left: %+v", got)
		}
		// The suppression outlives the wipe.
		faults, err := s.ImportMailboxes(ctx, []news.Mailbox{{Address: "Reader@Example.org", Wishes: wishes("JP")}})
		if err != nil || faults[0] == nil {
			t.Errorf("a wiped address was imported: %v, %v", faults, err)
		}
		// The browser comes back: a new number.
		back, created, err := s.CreateSubscription(ctx, d.Push, wishes("JP"))
		must(t, err)
		if !created || back.Number == d.Number || back.Cell != d.Cell {
			t.Errorf("back %+v", back)
		}
	})
}
