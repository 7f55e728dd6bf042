package dispatch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// BenchmarkLoad is the start of a process: every device from the database into
// memory, from rows and from snapshots. DATELINE_BENCH_DEVICES says how many; to
// write them first takes longer.
func BenchmarkLoad(b *testing.B) {
	devices := 100_000 // a cell of fewer than 256 has no snapshot
	if n, err := strconv.Atoi(os.Getenv("DATELINE_BENCH_DEVICES")); err == nil && n > 0 {
		devices = n
	}
	for _, url := range []struct {
		name string
		of   func(testing.TB) string
	}{{"sqlite", storetest.SQLite}, {"postgres", storetest.Postgres}} {
		b.Run(url.name, func(b *testing.B) {
			st := storetest.Open(b, store.Config{URL: url.of(b)})
			importSome(b, st, devices)
			b.Run("rows", func(b *testing.B) { loadAll(b, st, devices) })
			cells, err := st.StaleSnapshots(context.Background(), everyCell())
			for _, cell := range cells {
				err = errors.Join(err, st.SnapshotCell(context.Background(), cell, func(time.Duration) error { return nil }))
			}
			if err != nil || len(cells) != news.Cells {
				b.Fatal(len(cells), "snapshots:", err)
			}
			b.Run("snapshots", func(b *testing.B) { loadAll(b, st, devices) })
		})
	}
}

func everyCell() []int {
	cells := make([]int, news.Cells)
	for i := range cells {
		cells[i] = i
	}
	return cells
}

func loadAll(b *testing.B, st *store.Store, devices int) {
	for b.Loop() {
		s := New(Config{Store: st, Sender: newService(), Links: testLinks, Holder: "one", BaseURL: "https://alerts.example"})
		if err := s.loadDevices(context.Background(), everyCell()); err != nil {
			b.Fatal(err)
		}
		if got := s.audience.Size(); got.Active != devices {
			b.Fatalf("%+v", got)
		}
		b.StopTimer()
		empty(s.audience, s.quiver)
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(devices), "µs/device")
}

func importSome(b *testing.B, st *store.Store, devices int) {
	for at := 0; at < devices; at += 2000 {
		var list []news.NewDevice
		for i := at; i < min(at+2000, devices); i++ {
			d := someDevice(i, 20_000)
			list = append(list, news.NewDevice{Push: d.Push, Wishes: d.Wishes})
		}
		faults, err := st.ImportSubscriptions(context.Background(), list)
		if err := errors.Join(err, errors.Join(faults...)); err != nil {
			b.Fatal(fmt.Errorf("devices from %d on: %w", at, err))
		}
	}
}
