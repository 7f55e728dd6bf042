package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"slices"
	"time"

	"dateline/internal/news"
)

// Bench is what every bench is told.
type Bench struct {
	JSON string // file for the figures; "": none
	Out  io.Writer

	// begin starts the services; nil: in a process of their own. Tests run them
	// beside, where there is no program to start.
	begin func(BenchPlan) (*benchServices, error)
}

// benchRoom is one run of a bench: a folder of its own that is removed
// afterwards, the services' process, and a program where one is measured.
type benchRoom struct {
	Bench
	folder   string
	services *benchServices
	app      *App
	client   *http.Client
	report   BenchReport
}

func newBenchRoom(b Bench, what, services string, sizes map[string]string) *benchRoom {
	return &benchRoom{Bench: b, client: &http.Client{}, report: BenchReport{What: what, At: time.Now().UTC(), Version: Version(), Machine: machine(),
		Services: services, Sizes: sizes, Ratios: []Ratio{}}}
}

// run furnishes the room, measures, and leaves nothing behind.
func (r *benchRoom) run(ctx context.Context, plan BenchPlan, measure func(context.Context) error) (err error) {
	if r.begin == nil {
		r.begin = startBenchServices
	}
	if err := writable(r.JSON); err != nil {
		return err
	}
	if r.services, err = r.begin(plan); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.services.close()) }()
	if r.folder, err = os.MkdirTemp("", "dateline-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.folder)) }()
	if err := measure(ctx); err != nil {
		return err
	}
	return r.report.write(r.Out, r.JSON)
}

// writable finds out before a measurement of minutes whether its file can be
// written.
func writable(file string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// withProgram measures beside a program that has the settings and those of every
// bench; prepare changes it before it runs.
func (r *benchRoom) withProgram(settings map[string]string, prepare func(*App), measure func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		all := map[string]string{"DATELINE_DATA": r.folder, "DATELINE_LISTEN": "127.0.0.1:0", "DATELINE_OPS_LISTEN": "127.0.0.1:0",
			"DATELINE_POLICY": "auto", "DATELINE_VAPID_SUBJECT": "https://news.example", adminKey: rand.Text(), "DATELINE_SIGNUP_LIMIT": "0"}
		maps.Copy(all, settings)
		cfg, err := Load(func(name string) string { return all[name] }) // nothing of the environment is looked at
		if err != nil {
			return err
		}
		if r.app, err = Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.app.Close()) }()
		if prepare != nil {
			prepare(r.app)
		}
		return alongside(ctx, r.app.Run, measure)
	}
}

// settle brings n devices.
func (r *benchRoom) settle(ctx context.Context, n int, device func(i int) news.NewDevice) error {
	progress := NewProgress(r.Out, "importing devices")
	defer progress.Done()
	for made := 0; made < n; {
		list := make([]news.NewDevice, min(500, n-made))
		for i := range list {
			list[i] = device(made + i)
		}
		faults, err := r.app.store.ImportSubscriptions(ctx, list)
		if err := errors.Join(append(faults, err)...); err != nil {
			return err
		}
		made += len(list)
		progress.Set(int64(made), int64(n))
	}
	return r.until(ctx, func() (bool, error) { return r.app.dispatch.Audience().Size().Active >= n, nil })
}

// until waits for something; ten minutes without it are a fault.
func (r *benchRoom) until(ctx context.Context, done func() (bool, error)) error {
	limited, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-limited.Done():
			return limited.Err()
		}
	}
}

// call asks the program as the newsroom's system does.
func (r *benchRoom) call(ctx context.Context, method, path string, body, answer any) error {
	return benchAsk(ctx, r.client, benchRequest{method: method, url: r.app.URL() + path, key: r.app.cfg.AdminKey, body: body}, answer)
}

// benchRequest is one request of the API.
type benchRequest struct {
	method, url, key string
	body             any
}

func benchAsk(ctx context.Context, client *http.Client, q benchRequest, answer any) error {
	raw, err := json.Marshal(q.body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, q.method, q.url, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if q.key != "" {
		r.Header.Set("Authorization", "Bearer "+q.key)
	}
	resp, err := client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case !slices.Contains([]int{200, 201, 202, 204}, resp.StatusCode):
		return fmt.Errorf("%s %s: %d %s", q.method, r.URL.Path, resp.StatusCode, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}

// benchSizes notes problems of numbers that must be 1 or more, all at once.
func benchSizes(p *news.Problems, flags map[string]int) {
	for _, flag := range slices.Sorted(maps.Keys(flags)) {
		if n := flags[flag]; n < 1 || n > 100_000_000 {
			p.Add(flag, "%d must be 1 or more, and no more than 100,000,000", n)
		}
	}
}
