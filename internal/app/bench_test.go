package app

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

// benchBeside runs a bench's services inside the test.
func benchBeside(plan BenchPlan) (*benchServices, error) {
	inRead, inWrite := io.Pipe()
	outRead, outWrite := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := BenchServices(plan, inRead, outWrite)
		outWrite.CloseWithError(errors.Join(io.EOF, err))
		inRead.Close()
		ended <- err
	}()
	return newBenchServices(inWrite, outRead, func() error { return <-ended }, outRead.Close)
}

// tried runs a bench and reads its JSON. Its folder must be gone afterwards.
func tried(t *testing.T, run func(ctx context.Context, b Bench) error) BenchReport {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	for _, name := range []string{"DATABASE_URL", "NATS_URL", "SMTP_URL"} {
		t.Setenv(name, "nonsense://nowhere.invalid") // nobody may look
	}
	file := filepath.Join(t.TempDir(), "figures.json")
	var out bytes.Buffer
	if err := run(t.Context(), Bench{JSON: file, Out: &out, begin: benchBeside}); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "dateline-bench-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r BenchReport
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if r.What == "" || r.Machine == "" || len(r.Sizes) == 0 || len(r.Rows) == 0 {
		t.Errorf("the report says too little: %s", text)
	}
	for _, row := range r.Rows {
		if row.Items < 1 || row.Wall <= 0 || !strings.Contains(out.String(), row.Name) {
			t.Errorf("row %+v, table:\n%s", row, &out)
		}
	}
	if !slices.ContainsFunc(r.Rows, func(row BenchRow) bool { return row.Baseline }) {
		t.Errorf("no baseline: %s", text)
	}
	return r
}

// rowsNamed are the names of ours and of the baselines.
func rowsNamed(r BenchReport) (ours, baselines []string) {
	for _, row := range r.Rows {
		if row.Baseline {
			baselines = append(baselines, row.Name)
		} else {
			ours = append(ours, row.Name)
		}
	}
	return ours, baselines
}

func TestBenchPush(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchPush{Bench: b, Devices: 40, Baseline: 10, Rounds: 1, Services: 2, Streams: 100, Hold: 50 * time.Millisecond, Pairs: 1}.Run(ctx)
	})
	ours, baselines := rowsNamed(r)
	if !slices.Equal(ours, []string{"armed", "repair, armed", "not armed", "armed, countdown, canary"}) || len(baselines) != 2 || len(r.Ratios) != 2 {
		t.Errorf("rows %v and %v, ratios %v", ours, baselines, r.Ratios)
	}
}

func TestBenchPushOutage(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchPush{Bench: b, Devices: 400, Baseline: 1, Rounds: 1, Services: 1, Streams: 100, Outage: true, Pairs: 1}.Run(ctx)
	})
	if len(r.Rows) != 2 || len(r.Ratios) != 1 || r.Ratios[0].Wall <= 0 {
		t.Errorf("%+v", r)
	}
}

func TestBenchMatch(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchMatch{Bench: b, Devices: 3000, Preferences: 1000, Baseline: 1700, Rounds: 1}.Run(ctx)
	})
	ours, baselines := rowsNamed(r)
	if len(ours) != 4 || len(baselines) != 4 || len(r.NotRun) != 1 {
		t.Errorf("rows %v and %v, not run %v", ours, baselines, r.NotRun)
	}
}

func TestBenchMatchPostgres(t *testing.T) {
	url := storetest.Postgres(t)
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchMatch{Bench: b, Devices: 2000, Preferences: 1000, Baseline: 2000, Rounds: 1, Postgres: url}.Run(ctx)
	})
	if ours, baselines := rowsNamed(r); len(ours) != 4 || len(baselines) != 12 || len(r.NotRun) != 0 {
		t.Errorf("rows %v and %v, not run %v", ours, baselines, r.NotRun)
	}
	noSchemaLeft(t, url)
}

// noSchemaLeft: a bench drops what it made in a scratch database.
func noSchemaLeft(t *testing.T, url string) {
	t.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var left int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'dateline_bench_%'").Scan(&left); err != nil || left > 0 {
		t.Errorf("%d schemas left: %v", left, err)
	}
}

func TestBenchDigest(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchDigest{Bench: b, Mails: 12, Rounds: 2, Connections: 2, Stories: 3}.Run(ctx)
	})
	if ours, baselines := rowsNamed(r); len(ours) != 4 || len(baselines) != 4 || len(r.Ratios) != 4 {
		t.Errorf("rows %v and %v, ratios %v", ours, baselines, r.Ratios)
	}
}

func TestBenchIntake(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchIntake{Bench: b, Stories: 20, Publishers: 4, Rounds: 1, Notices: true}.Run(ctx)
	})
	if ours, baselines := rowsNamed(r); len(ours) != 4 || len(baselines) != 2 {
		t.Errorf("rows %v and %v", ours, baselines)
	}
}

func TestBenchSignup(t *testing.T) {
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchSignup{Bench: b, Devices: 30, Rate: 100, Lasts: 200 * time.Millisecond, Rounds: 2}.Run(ctx)
	})
	if ours, baselines := rowsNamed(r); len(ours) != 6 || len(baselines) != 6 {
		t.Errorf("rows %v and %v", ours, baselines)
	}
}

func TestBenchSignupPostgres(t *testing.T) {
	url := storetest.Postgres(t)
	r := tried(t, func(ctx context.Context, b Bench) error {
		return BenchSignup{Bench: b, Devices: 30, Rate: 100, Lasts: 100 * time.Millisecond, Rounds: 1, Postgres: url}.Run(ctx)
	})
	if ours, baselines := rowsNamed(r); len(ours) != 3 || len(baselines) != 3 {
		t.Errorf("rows %v and %v", ours, baselines)
	}
	noSchemaLeft(t, url)
}

// TestBenchRefuses: all that is wrong with the flags is said at once, before
// anything is started.
func TestBenchRefuses(t *testing.T) {
	begin := func(BenchPlan) (*benchServices, error) { return nil, errors.New("was started") }
	b := Bench{Out: io.Discard, begin: begin}
	for name, try := range map[string]struct {
		err   error
		flags []string
	}{
		"push":          {BenchPush{Bench: b, RTT: -1, Hold: -1}.Run(t.Context()), []string{"--baseline", "--devices", "--hold", "--pairs", "--rounds", "--rtt", "--services", "--streams"}},
		"push --outage": {BenchPush{Bench: b, Devices: 399, Baseline: 1, Rounds: 1, Streams: 1, Pairs: 1, Outage: true, Profile: "x"}.Run(t.Context()), []string{"--devices", "--profile"}},
		"match":         {BenchMatch{Bench: b, Postgres: "mysql://x"}.Run(t.Context()), []string{"--baseline", "--devices", "--postgres", "--preferences", "--rounds"}},
		"digest":        {BenchDigest{Bench: b}.Run(t.Context()), []string{"--connections", "--mails", "--rounds", "--stories"}},
		"intake":        {BenchIntake{Bench: b}.Run(t.Context()), []string{"--publishers", "--rounds", "--stories"}},
		"signup":        {BenchSignup{Bench: b, Postgres: "x"}.Run(t.Context()), []string{"--devices", "--lasts", "--postgres", "--rate", "--rounds"}},
	} {
		var invalid *news.InvalidError
		if !errors.As(try.err, &invalid) {
			t.Errorf("bench %s: %v", name, try.err)
			continue
		}
		var flags []string
		for _, p := range invalid.Problems {
			flags = append(flags, p.Path)
		}
		slices.Sort(flags)
		if !slices.Equal(flags, try.flags) {
			t.Errorf("bench %s refuses %v, want %v", name, flags, try.flags)
		}
	}
}

// TestBenchServicesUnderstand: an order that is none is refused, and the services
// go on.
func TestBenchServicesUnderstand(t *testing.T) {
	s, err := benchBeside(BenchPlan{Mail: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"hang", "hang 0", "throttle 7", "dance 1", "expect -1"} {
		if _, err := s.tell(t.Context(), order); err == nil {
			t.Errorf("%q was understood", order)
		}
	}
	if _, err := s.load(t, "dance"); err == nil {
		t.Error("a load that is none was run")
	}
	if _, err := s.tell(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}

func (s *benchServices) load(t *testing.T, what string) (benchLoaded, error) {
	room := benchRoom{services: s}
	return room.load(t.Context(), benchLoad{What: what, N: 1})
}

// TestBenchEnds: an interrupted bench ends at once with its services, and leaves
// nothing.
func TestBenchEnds(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	var services *benchServices
	b := Bench{Out: io.Discard, begin: func(p BenchPlan) (_ *benchServices, err error) {
		services, err = benchBeside(p)
		stop()
		return services, err
	}}
	if err := (BenchPush{Bench: b, Devices: 40, Baseline: 10, Rounds: 1, Services: 2, Streams: 100, Hold: 50 * time.Millisecond, Pairs: 1}).Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "dateline-bench-*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
