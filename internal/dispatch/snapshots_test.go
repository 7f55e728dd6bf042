package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"dateline/internal/news"
)

// Snapshots are written a minute after the start and where they are due later, of
// the process's own cells, with rests; while an alert goes out none is.
func TestSnapshotsAreWrittenWhileNothingGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.devices(300, wishes("JP"))
		d.store.stale = map[int]bool{3: true, 200: true}
		s, _ := d.dispatcher("me")
		written := func() (parts []time.Time, due int) {
			synctest.Wait()
			d.store.mu.Lock()
			defer d.store.mu.Unlock()
			return d.store.parts, len(d.store.stale)
		}
		time.Sleep(snapshotFirst - time.Second)
		if parts, _ := written(); len(parts) != 0 {
			t.Errorf("%d parts in the first minute", len(parts))
		}
		time.Sleep(20 * time.Second)
		parts, due := written()
		if len(parts) != 4 || due != 0 {
			t.Fatalf("%d parts, %d cells are due", len(parts), due)
		}
		for i := range parts[1:] {
			if rest := parts[i+1].Sub(parts[i]) - time.Second; rest < snapshotRest*time.Second {
				t.Errorf("a rest of %s after part %d", rest, i)
			}
		}

		d.service.takes = 400 * time.Millisecond // 64 at once: the last begin after 1.6 s
		d.store.mu.Lock()
		d.store.stale[7] = true
		d.store.mu.Unlock()
		look := parts[3].Add(snapshotRest*time.Second + snapshotEvery)
		time.Sleep(time.Until(look) - 500*time.Millisecond)
		began := time.Now()
		d.alert("https://news.example/1", news.LevelFlash, "JP")
		s.Poke()
		time.Sleep(time.Minute)
		parts, due = written()
		if len(parts) != 6 || due != 0 {
			t.Fatalf("%d parts, %d cells are due", len(parts), due)
		}
		if quiet := began.Add(1600*time.Millisecond + armQuiet); parts[4].Add(-time.Second).Before(quiet) {
			t.Errorf("a part was begun %s before the alert was out", quiet.Sub(parts[4].Add(-time.Second)))
		}
	})
}
