package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"dateline/internal/bus"
	"dateline/internal/news"
)

// BenchIntake are the options of `dateline bench intake`.
type BenchIntake struct {
	Bench
	Stories    int // of each measurement
	Publishers int // the more of the two numbers that are tried; the other is one
	Rounds     int
	Notices    bool // every story raises an alert
}

// benchIntake is one run.
type benchIntake struct {
	BenchIntake
	*benchRoom
	stored   storedStories
	nats     string // the program's
	raw      string // of the NATS that stands alone
	made     int    // stories so far
	progress *Progress
}

func (o BenchIntake) check() error {
	var p news.Problems
	benchSizes(&p, map[string]int{"--stories": o.Stories, "--publishers": o.Publishers, "--rounds": o.Rounds})
	if o.Publishers > 1000 {
		p.Add("--publishers", "%d must be 1,000 or fewer", o.Publishers)
	}
	return p.Err()
}

// Run measures how stories come in: over NATS until each is stored, over HTTP, and
// what the same NATS does without us.
func (o BenchIntake) Run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	b := &benchIntake{BenchIntake: o, benchRoom: newBenchRoom(o.Bench, "bench intake",
		"publishers in a process of their own on the same processors, over loopback; SQLite and NATS inside the program", map[string]string{
			"--stories": strconv.Itoa(o.Stories), "--publishers": strconv.Itoa(o.Publishers), "--rounds": strconv.Itoa(o.Rounds), "--notices": strconv.FormatBool(o.Notices)})}
	return b.run(ctx, BenchPlan{}, b.withProgramAndNATS)
}

// storedStories is when each was stored.
type storedStories struct {
	mu  sync.Mutex
	at  map[int]time.Time
	bad int // set aside
}

// watch looks on while events are taken.
func (s *storedStories) watch(take takeStory) takeStory {
	return func(ctx context.Context, ev news.StoryEvent) func() news.Disposition {
		finish := take(ctx, ev)
		n, err := strconv.Atoi(strings.Join(ev.Headers[benchHeader], ""))
		return func() news.Disposition {
			d := finish()
			s.mu.Lock()
			defer s.mu.Unlock()
			switch {
			case !d.Done: // it comes again
			case err != nil, d.Reason != "":
				s.bad++
			default:
				s.at[n] = time.Now()
			}
			return d
		}
	}
}

func (b *benchIntake) withProgramAndNATS(ctx context.Context) (err error) {
	raw, err := bus.Open(ctx, bus.Config{Dir: filepath.Join(b.folder, "raw"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer raw.Close()
	if err := raw.WriteURLFile(filepath.Join(b.folder, "raw.url")); err != nil {
		return err
	}
	if b.raw, err = urlIn(filepath.Join(b.folder, "raw.url")); err != nil {
		return err
	}
	b.stored.at = map[int]time.Time{}
	return b.withProgram(nil, func(a *App) { a.take = b.stored.watch(a.take) }, b.measure)(ctx)
}

func urlIn(file string) (string, error) {
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

func (b *benchIntake) measure(ctx context.Context) (err error) {
	if b.nats, err = urlIn(filepath.Join(b.folder, "nats.url")); err != nil {
		return err
	}
	b.progress = NewProgress(b.benchRoom.Out, "publishing stories")
	defer b.progress.Done()
	for range b.Rounds {
		for _, n := range []int{1, b.Publishers} {
			if err := b.round(ctx, n); err != nil {
				return err
			}
			if b.Publishers == 1 {
				break
			}
		}
	}
	return nil
}

// round measures each way once.
func (b *benchIntake) round(ctx context.Context, publishers int) error {
	name := func(what string) string {
		if publishers == 1 {
			return what + ", 1 publisher"
		}
		return fmt.Sprintf("%s, %d publishers", what, publishers)
	}
	raw, err := b.row(ctx, name("JetStream alone"), benchLoad{What: "publish", URL: b.raw, Workers: publishers})
	if err != nil {
		return err
	}
	raw.Baseline = true
	nats, err := b.overNATS(ctx, name("NATS to stored"), publishers)
	if err != nil {
		return err
	}
	post, err := b.row(ctx, name("POST /api/v1/stories"), benchLoad{What: "post", URL: b.app.URL(), Key: b.app.cfg.AdminKey, Workers: publishers})
	if err != nil {
		return err
	}
	b.report.Rows = append(b.report.Rows, raw, nats, post)
	b.report.compare(raw, nats, "")
	b.report.compare(raw, post, "")
	b.progress.Set(int64(b.made), int64(b.Stories*6*b.Rounds))
	return nil
}

// row measures one load of the publishers, from the first until the last answer.
func (b *benchIntake) row(ctx context.Context, name string, l benchLoad) (BenchRow, error) {
	l.N, l.From, l.Notices = b.Stories, b.made, b.Notices
	b.made += b.Stories
	m := startMeter()
	done, err := b.load(ctx, l)
	row := m.row(name, b.Stories)
	if err != nil {
		return row, fmt.Errorf("%s: %w", name, err)
	}
	row.Wall = done.wall()
	row.times(done.Took)
	return row, nil
}

// overNATS measures from the first publication until the last is stored; the times
// are from each one's PubAck until it is stored.
func (b *benchIntake) overNATS(ctx context.Context, name string, publishers int) (BenchRow, error) {
	from := b.made
	b.made += b.Stories
	m := startMeter()
	done, err := b.load(ctx, benchLoad{What: "publish", URL: b.nats, Workers: publishers, N: b.Stories, From: from, Notices: b.Notices})
	if err != nil {
		return BenchRow{}, fmt.Errorf("%s: %w", name, err)
	}
	if err := b.until(ctx, func() (bool, error) { return b.stored.since(from, b.Stories) }); err != nil {
		return BenchRow{}, fmt.Errorf("%s: the measurement is invalid: %w", name, err)
	}
	row := m.row(name, b.Stories)
	last, took := time.Unix(0, done.Began), make([]time.Duration, b.Stories)
	b.stored.mu.Lock()
	defer b.stored.mu.Unlock()
	for i := range took {
		at := b.stored.at[from+i]
		if at.After(last) {
			last = at
		}
		// A story may be stored before its publisher has heard of the PubAck.
		took[i] = max(0, at.Sub(time.Unix(0, done.Ended[i])))
	}
	row.Wall = last.Sub(time.Unix(0, done.Began))
	row.times(took)
	var acks BenchRow
	acks.times(done.Took)
	row.Remarks = fmt.Sprintf("times are from PubAck to stored; publication to PubAck p50 %s ms, p99 %s ms, all acknowledged after %.3f s", millis(acks.P50), millis(acks.P99), done.wall().Seconds())
	return row, nil
}

// since reports whether n stories from a number on are stored.
func (s *storedStories) since(from, n int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bad > 0 {
		return false, errors.New("a story was set aside")
	}
	for i := from; i < from+n; i++ {
		if s.at[i].IsZero() {
			return false, nil
		}
	}
	return true, nil
}
