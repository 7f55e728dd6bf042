package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"dateline/internal/news"
	"dateline/internal/store"
	"dateline/internal/store/storetest"
)

// eachBench is storetest.Each for benchmarks.
func eachBench(b *testing.B, fn func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { fn(b, storetest.Open(b, store.Config{URL: storetest.SQLite(b)})) })
	b.Run("postgres", func(b *testing.B) { fn(b, storetest.Open(b, store.Config{URL: storetest.Postgres(b)})) })
}

// BenchmarkSaveLedger writes 256 rows: of 20 devices each (a small alert) and
// of 4,000 (a million devices, half answered at random).
func BenchmarkSaveLedger(b *testing.B) {
	for _, devices := range []int{20, 4000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			eachBench(b, func(b *testing.B, s *store.Store) {
				_, rel := released(b, s, "https://news.example/bench")
				fences := acquire(b, s, "me")
				rows := make([]*news.LedgerRow, news.Cells)
				for c := range rows {
					rows[c] = row(rel.ID, c, fences[c])
					for n := range devices {
						rows[c].Planned.Add(uint32(n))
						rows[c].Opened.Add(uint32(n))
						if n*7919%13 < 6 {
							rows[c].Accepted.Add(uint32(n))
						}
					}
				}
				for b.Loop() {
					must(b, s.SaveLedger(context.Background(), "me", rows))
				}
			})
		})
	}
}

// BenchmarkStoreStory is one story event.
func BenchmarkStoreStory(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		for i := 0; b.Loop(); i++ {
			_, _, err := s.StoreStory(context.Background(), story(fmt.Sprint("https://news.example/", i), 1), noEffects)
			must(b, err)
		}
	})
}

// BenchmarkSubscribe is one new device.
func BenchmarkSubscribe(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			subscribe(b, s, wishes("JP"))
		}
	})
}

// BenchmarkImport imports 2,000 devices; BenchmarkStream reads 20,000.
func BenchmarkImport(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			importDevices(b, s, 2000)
		}
	})
}

func importDevices(b *testing.B, s *store.Store, n int) {
	b.Helper()
	list := make([]news.NewDevice, n)
	for i := range list {
		list[i] = news.NewDevice{Push: push(), Wishes: wishes(fmt.Sprint("R", i%500))}
	}
	faults, err := s.ImportSubscriptions(context.Background(), list)
	must(b, errors.Join(err, errors.Join(faults...)))
}

func BenchmarkStream(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		importDevices(b, s, 20_000)
		for b.Loop() {
			if got := len(changed(b, s, [news.Cells]int64{})); got != 20_000 {
				b.Fatalf("%d devices", got)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/20_000, "ns/device")
	})
}

// BenchmarkPermit is what every dispatcher reads every 100 ms.
func BenchmarkPermit(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		for b.Loop() {
			if _, err := s.Control(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
}
