package app

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"

	"dateline/internal/news"
)

// BenchSignup are the options of `dateline bench signup`.
type BenchSignup struct {
	Bench
	Devices  int // there already
	Rate     int // requests a second
	Lasts    time.Duration
	Rounds   int
	Postgres string // URL of a scratch database; "": SQLite
}

// benchSignup is one run.
type benchSignup struct {
	BenchSignup
	*benchRoom
	keys  [][]byte
	floor *benchFloor
	done  int // requests so far of each kind
}

// readersSteps are what a reader does, in this order.
func readersSteps() []string { return []string{"subscribe", "change", "leave"} }

func (o BenchSignup) check() error {
	var p news.Problems
	benchSizes(&p, map[string]int{"--devices": o.Devices, "--rate": o.Rate, "--rounds": o.Rounds})
	if o.Rate > 100_000 {
		p.Add("--rate", "%d must be 100,000 or less", o.Rate)
	}
	if o.Lasts <= 0 || o.Lasts > time.Hour || o.requests() < 1 {
		p.Add("--lasts", "%s must be long enough for a request, and an hour or less", o.Lasts)
	}
	checkScratch(&p, o.Postgres)
	return p.Err()
}

// requests of each kind in a round.
func (o BenchSignup) requests() int { return int(o.Lasts.Seconds() * float64(o.Rate)) }

// Run measures how readers subscribe, change and leave over HTTP at a pace, and
// beside each what the database alone needs for the same rows.
func (o BenchSignup) Run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	what := "SQLite in the program"
	if o.Postgres != "" {
		what = "Postgres, whose processor time is not counted"
	}
	b := &benchSignup{BenchSignup: o, benchRoom: newBenchRoom(o.Bench, "bench signup", "clients in a process of their own on the same processors, over loopback; "+what,
		map[string]string{"--devices": strconv.Itoa(o.Devices), "--rate": strconv.Itoa(o.Rate), "--lasts": o.Lasts.String(), "--rounds": strconv.Itoa(o.Rounds)})}
	return b.run(ctx, BenchPlan{}, b.withDatabase)
}

func (b *benchSignup) withDatabase(ctx context.Context) error {
	if b.Postgres == "" {
		return b.withProgram(nil, nil, b.measure)(ctx)
	}
	return inScratch(ctx, b.Postgres, func(url string) error {
		settings := map[string]string{"DATABASE_URL": url, "DATELINE_BASE_URL": "http://localhost"}
		for _, k := range keyFiles() {
			key, err := k.fresh()
			if err != nil {
				return err
			}
			settings[k.variable] = key
		}
		return b.withProgram(settings, nil, b.measure)(ctx)
	})
}

func (b *benchSignup) measure(ctx context.Context) (err error) {
	if b.keys, err = benchKeys(min(b.Devices, 1000)); err != nil {
		return err
	}
	if err := b.settle(ctx, b.Devices, b.device); err != nil {
		return err
	}
	if b.floor, err = newBenchFloor(ctx, b.app.cfg.DatabaseURL, b.app.cfg.storeURL()); err != nil {
		return fmt.Errorf("the database's floor: %w", err)
	}
	defer b.floor.close()
	progress := NewProgress(b.benchRoom.Out, "asking")
	defer progress.Done()
	for i := range b.Rounds {
		if err := b.round(ctx); err != nil {
			return err
		}
		progress.Set(int64(i+1), int64(b.Rounds))
	}
	return nil
}

// device is one of those that are there already.
func (b *benchSignup) device(i int) news.NewDevice {
	auth := make([]byte, 16)
	copy(auth, strconv.Itoa(i))
	return news.NewDevice{Push: news.PushSubscription{Endpoint: benchEndpoint(), P256dh: b.keys[i%len(b.keys)], Auth: auth},
		Wishes: news.Wishes{Preference: benchWish(i % 20_000), Language: "en", Timezone: "Asia/Tokyo"}}
}

// round measures each step over HTTP, and its floor right after it.
func (b *benchSignup) round(ctx context.Context) error {
	for _, step := range readersSteps() {
		m := startMeter()
		done, err := b.load(ctx, benchLoad{What: step, URL: b.app.URL(), From: b.done, N: b.requests(), Rate: b.Rate})
		ours := m.row(step+" over HTTP", b.requests())
		if err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
		ours.times(done.Took)
		ours.Wall = done.wall()

		m = startMeter()
		done = paced(ctx, benchLoad{N: b.requests(), Rate: b.Rate}, func(ctx context.Context, i int) error { return b.floor.do(ctx, step, b.done+i) })
		floor := m.row(step+", the database alone", b.requests())
		if err := done.err(); err != nil {
			return fmt.Errorf("%s: %w", floor.Name, err)
		}
		floor.times(done.Took)
		floor.Wall, floor.Baseline = done.wall(), true

		b.report.Rows = append(b.report.Rows, ours, floor)
		b.report.Ratios = append(b.report.Ratios, Ratio{Of: floor.Name, To: ours.Name, CPU: ours.perItem() / floor.perItem()})
	}
	b.done += b.requests()
	return nil
}

// floorID names the n-th row in as many bytes as the program's ids have.
func floorID(kind string, n int) string { return fmt.Sprintf("%s-%029d", kind, n) }

// floorMAC is a hash that no other has.
func floorMAC(n int) []byte {
	return []byte(base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%024d", n)))
}
