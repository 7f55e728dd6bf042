package app

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// benchSQL matches by SQL, in the two ways that were the best of those tried
// (performance.md section 5): a table of who follows what with the level and the
// sections copied in, whose index answers alone; and GIN on an array of places.
type benchSQL struct {
	db    *sql.DB
	codes map[string]int  // a small number for each place
	used  map[string]bool // places that anybody follows: a query that names thousands of others is slow for nothing
}

func newBenchSQL(ctx context.Context, url string) (*benchSQL, error) {
	db, err := sql.Open("postgres", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // its settings are the session's
	b := &benchSQL{db: db, codes: map[string]int{}, used: map[string]bool{}}
	for p := range region.All() {
		b.codes[p.Code] = len(b.codes) + 1
	}
	err = b.exec(ctx, "SET max_parallel_workers_per_gather = 0", "SET jit = off", "SET work_mem = '256MB'", "SET maintenance_work_mem = '512MB'",
		"CREATE UNLOGGED TABLE follows (place INT NOT NULL, device INT NOT NULL, level INT NOT NULL, sections INT NOT NULL)",
		"CREATE UNLOGGED TABLE arrays (device INT NOT NULL, places INT[] NOT NULL, level INT NOT NULL, sections INT NOT NULL)")
	if err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *benchSQL) close() { _ = b.db.Close() } // the schema is dropped

func (b *benchSQL) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := b.db.ExecContext(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// fill brings the same devices.
func (b *benchSQL) fill(ctx context.Context, n int, device func(i int) news.Device, progress *Progress) error {
	defer progress.Done()
	for start := 0; start < n; start += 100_000 {
		end := min(n, start+100_000)
		if err := b.copyIn(ctx, "follows", []string{"place", "device", "level", "sections"}, start, end, func(i int, add func(...any) error) error {
			p := device(i).Wishes.Preference
			for _, code := range p.Regions {
				b.used[code] = true
			}
			for _, place := range b.places(p.Regions) {
				if err := add(place, i, int(p.Level), sectionBits(p.Sections)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		if err := b.copyIn(ctx, "arrays", []string{"device", "places", "level", "sections"}, start, end, func(i int, add func(...any) error) error {
			p := device(i).Wishes.Preference
			return add(i, pq.Array(b.places(p.Regions)), int(p.Level), sectionBits(p.Sections))
		}); err != nil {
			return err
		}
		progress.Set(int64(end), int64(n))
	}
	return b.exec(ctx, "CREATE INDEX ON follows (place, level, sections, device)", "CREATE INDEX ON arrays USING GIN (places)", "VACUUM ANALYZE follows", "VACUUM ANALYZE arrays")
}

func (b *benchSQL) copyIn(ctx context.Context, table string, columns []string, start, end int, row func(i int, add func(...any) error) error) (err error) {
	tx, err := b.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, tx.Rollback())
		}
	}()
	copying, err := tx.PrepareContext(ctx, "COPY "+table+" ("+strings.Join(columns, ", ")+") FROM STDIN") //nolint:sqlclosecheck // it is closed twice: to hear of faults, and after one
	if err != nil {
		return err
	}
	defer copying.Close() //nolint:errcheck // where it matters, it was closed before
	add := func(values ...any) error {
		_, err := copying.ExecContext(ctx, values...)
		return err
	}
	for i := start; i < end; i++ {
		if err := row(i, add); err != nil {
			return err
		}
	}
	if err := errors.Join(add(), copying.Close()); err != nil { // without values: the end
		return err
	}
	return tx.Commit()
}

func (b *benchSQL) places(codes []string) []int64 {
	var numbers []int64
	for _, c := range codes {
		numbers = append(numbers, int64(b.codes[c]))
	}
	slices.Sort(numbers)
	return slices.Compact(numbers)
}

// sectionBits has a bit for each section; 0 is all of them.
func sectionBits(sections []string) (bits int) {
	for _, s := range sections {
		bits |= 1 << slices.Index(benchSections(), s)
	}
	return bits
}

func benchSections() []string {
	return []string{"politics", "business", "technology", "culture", "world", "society", "science", "sport"}
}

// round plans a story by both. Only the wall time is known: the work is done in
// Postgres' process.
func (b *benchSQL) round(ctx context.Context, q audience.Query, ours BenchRow, planned int, report *BenchReport) error {
	meets := pq.Array(b.places(slices.DeleteFunc(meeting(q), func(code string) bool { return !b.used[code] })))
	wanted := sectionBits(q.Sections)
	for _, plan := range []struct{ name, query string }{
		{"join table", "SELECT count(DISTINCT device) FROM follows WHERE place = ANY($1) AND level <= $2 AND (sections = 0 OR sections & $3 <> 0)"},
		{"GIN on int[]", "SELECT count(*) FROM arrays WHERE places && $1::int[] AND level <= $2 AND (sections = 0 OR sections & $3 <> 0)"},
	} {
		var got int
		m := startMeter()
		if err := b.db.QueryRowContext(ctx, plan.query, meets, int(q.Level), wanted).Scan(&got); err != nil {
			return fmt.Errorf("%s: %w", plan.name, err)
		}
		row := m.row("Postgres, "+plan.name+ours.Name[len("audience"):], ours.Items)
		row.Baseline, row.CPU, row.Allocs = true, 0, 0
		if got != planned {
			return fmt.Errorf("the measurement is invalid: the audience plans %d, %s %d", planned, row.Name, got)
		}
		report.Rows = append(report.Rows, row)
		report.compare(ours, row, "")
	}
	return nil
}
