package app

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// BenchPush are the options of `dateline bench push`.
type BenchPush struct {
	Devices  int
	Baseline int // messages of each measurement of the baseline
	Rounds   int
	Services int
	RTT      time.Duration // the services' delay
	Streams  int           // each connection may have
	JSON     string        // file; "": none
	Profile  string        // file for a CPU profile of the first armed alert; "": none
	Out      io.Writer
}

// benchPush is one run.
type benchPush struct {
	BenchPush
	app      *App
	services *benchServices
	client   *http.Client
	report   BenchReport
	stories  int
	phones   []news.PushSubscription // of the baseline
}

// Run measures how an alert goes to many devices: by the whole program with its
// keys made ahead, the repair right after it, and without such keys; and by the
// baseline in between.
func (o BenchPush) Run(ctx context.Context) (err error) {
	b := &benchPush{BenchPush: o, client: &http.Client{}, report: BenchReport{What: "bench push", At: time.Now().UTC(), Version: Version(), Machine: machine(),
		Services: fmt.Sprintf("%d simulated push services on loopback, in a process of their own on the same processors; delay %s, %d streams per connection", o.Services, o.RTT, o.Streams)}}
	sinks := make([]simulate.SinkOptions, o.Services)
	for i := range sinks {
		sinks[i] = simulate.SinkOptions{Delay: o.RTT, Streams: uint32(o.Streams)} //nolint:gosec // checked by the command
	}
	if b.services, err = startBenchServices(ctx, sinks); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.services.close()) }()
	folder, err := os.MkdirTemp("", "dateline-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	cfg, err := b.config(folder)
	if err != nil {
		return err
	}
	if b.app, err = Open(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.app.Close()) }()
	return alongside(ctx, b.app.Run, b.measure)
}

// config is a program of its own: nothing of the environment is looked at.
func (b *benchPush) config(folder string) (Config, error) {
	ca := filepath.Join(folder, "ca.pem")
	if err := os.WriteFile(ca, []byte(b.services.CA), 0o600); err != nil {
		return Config{}, err
	}
	settings := map[string]string{"DATELINE_DATA": folder, "DATELINE_LISTEN": "127.0.0.1:0", "DATELINE_OPS_LISTEN": "127.0.0.1:0",
		"DATELINE_POLICY": "auto", "DATELINE_PUSH_ORIGINS": strings.Join(b.services.Origins, ","), "DATELINE_PUSH_CA": ca,
		"DATELINE_VAPID_SUBJECT": "https://news.example", "DATELINE_ADMIN_KEY": rand.Text()}
	return Load(func(name string) string { return settings[name] })
}

func (b *benchPush) measure(ctx context.Context) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	for range b.Rounds {
		if err := b.round(ctx); err != nil {
			return err
		}
	}
	return b.report.write(b.Out, b.JSON)
}

// round measures each way once, with the baseline in between.
func (b *benchPush) round(ctx context.Context) error {
	progress := NewProgress(b.Out, "making keys")
	made := 0
	if err := b.app.dispatch.ArmAll(ctx, func(n int) {
		made += n
		progress.Set(int64(made), int64(2*b.Devices))
	}); err != nil {
		return err
	}
	progress.Done()
	stop, err := b.profile()
	if err != nil {
		return err
	}
	id, armed, err := b.alert(ctx, "armed")
	stop()
	if err != nil {
		return err
	}
	repair, err := b.correct(ctx, id)
	if err != nil {
		return err
	}
	first, err := b.baseline(ctx)
	if err != nil {
		return err
	}
	_, unarmed, err := b.alert(ctx, "not armed")
	if err != nil {
		return err
	}
	second, err := b.baseline(ctx)
	if err != nil {
		return err
	}
	b.report.Rows = append(b.report.Rows, armed, repair, first, unarmed, second)
	b.report.compare(armed, first, "")
	b.report.compare(unarmed, second, "")
	return nil
}

// profile writes a CPU profile until it is stopped.
func (b *benchPush) profile() (stop func(), err error) {
	if b.Profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(b.Profile)
	if err != nil {
		return nil, err
	}
	b.Profile = "" // once
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // it was written
	}, nil
}

// settle brings the devices.
func (b *benchPush) settle(ctx context.Context) error {
	progress := NewProgress(b.Out, "importing devices")
	defer progress.Done()
	keys, err := benchKeys(min(b.Devices, 2000))
	if err != nil {
		return err
	}
	for made := 0; made < b.Devices; {
		list := make([]news.NewDevice, min(500, b.Devices-made))
		for i := range list {
			list[i] = b.device(made+i, keys)
			if len(b.phones) < 5000 {
				b.phones = append(b.phones, list[i].Push)
			}
		}
		faults, err := b.app.store.ImportSubscriptions(ctx, list)
		if err := errors.Join(append(faults, err)...); err != nil {
			return err
		}
		made += len(list)
		progress.Set(int64(made), int64(b.Devices))
	}
	return b.until(ctx, func() (bool, error) { return b.app.dispatch.Audience().Size().Active == b.Devices, nil })
}

// benchKeys are public keys of phones: where millions are needed they share them,
// which costs a sender no less, as every key is made for its own secret.
func benchKeys(n int) ([][]byte, error) {
	keys := make([][]byte, n)
	for i := range keys {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		keys[i] = key.PublicKey().Bytes()
	}
	return keys, nil
}

// device follows Japan in one of many ways. Endpoints are as long as Chrome's.
func (b *benchPush) device(i int, keys [][]byte) news.NewDevice {
	id := make([]byte, 110)
	auth := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	_, _ = rand.Read(auth)
	others := []string{"ID", "TH", "KR", "IN", "PK", "VN", "SG", "MY"}
	return news.NewDevice{
		Push: news.PushSubscription{Endpoint: b.services.Origins[i%len(b.services.Origins)] + "/fcm/send/" + base64.RawURLEncoding.EncodeToString(id),
			P256dh: keys[i%len(keys)], Auth: auth},
		Wishes: news.Wishes{Language: []string{"en", "ja"}[i/7%2], Timezone: "Asia/Tokyo", Preference: news.Preference{Level: news.LevelBulletin,
			Regions: []string{[]string{"JP", "030", "142"}[i%3], others[i/3%8], others[i/24%8]}}}}
}

// alert publishes a story that goes to all, and measures from before its
// publication until the last is accepted and written down.
func (b *benchPush) alert(ctx context.Context, name string) (id string, row BenchRow, err error) {
	b.stories++
	uri := fmt.Sprintf("https://news.example/bench/%d", b.stories)
	story := map[string]any{"uri": uri, "headline": "Japan's parliament passes the budget after a night of votes", "standfirst": "The upper house agreed at dawn; markets open in an hour.",
		"url": uri, "regions": []string{"JP"}, "sections": []string{"politics"}, "urgency": 2, "breaking": true, "versioncreated": time.Now().UTC(),
		"translations": map[string]any{"ja": map[string]string{"headline": "予算案が未明に成立", "standfirst": "参院本会議は夜を徹した採決の末に可決した。"}}}
	row, err = b.watch(ctx, name, func() error { return b.call(ctx, "POST", "/api/v1/stories", story, nil) }, func() (a benchSent, err error) {
		var list struct{ Alerts []benchSent }
		err = b.call(ctx, "GET", "/api/v1/alerts?story="+uri, nil, &list)
		if len(list.Alerts) > 0 {
			a = list.Alerts[0]
		}
		return a, err
	}, &id)
	return id, row, err
}

// correct repairs it.
func (b *benchPush) correct(ctx context.Context, id string) (BenchRow, error) {
	texts := map[string]any{"texts": map[string]any{"en": map[string]string{"title": "CORRECTION: Japan's lower house passes the budget", "body": "The upper house votes tomorrow."}}}
	var same string
	return b.watch(ctx, "repair, armed", func() error { return b.call(ctx, "POST", "/api/v1/alerts/"+id+"/correct", texts, nil) }, func() (a benchSent, err error) {
		err = b.call(ctx, "GET", "/api/v1/alerts/"+id, nil, &a)
		if len(a.Repairs) == 0 {
			return benchSent{}, err
		}
		return a.Repairs[0], err
	}, &same)
}

// benchSent is what a bench reads of an alert, or of its repair.
type benchSent struct {
	ID     string
	State  string
	Counts struct{ Accepted int }
	Times  struct {
		Released, LastAccepted time.Time
		P50, P90, P99          float64 // seconds
	}
	Repairs []benchSent
}

// watch measures from the press until all have accepted and the ledger says so.
func (b *benchPush) watch(ctx context.Context, name string, press func() error, look func() (benchSent, error), id *string) (BenchRow, error) {
	before, err := b.services.taken()
	if err != nil {
		return BenchRow{}, err
	}
	figures := b.app.dispatch.Figures()
	accepted, armed, commits := figures.Accepted.Load(), figures.Armed.Load(), figures.Commits.Load()
	m := startMeter()
	if err := press(); err != nil {
		return BenchRow{}, err
	}
	if err := b.until(ctx, func() (bool, error) { return figures.Accepted.Load()-accepted >= int64(b.Devices), nil }); err != nil {
		return BenchRow{}, err
	}
	var a benchSent
	err = b.until(ctx, func() (done bool, err error) {
		a, err = look()
		return a.State == string(news.ReleaseSent) && a.Counts.Accepted >= b.Devices, err
	})
	row := m.row(name, b.Devices)
	if err != nil {
		return row, fmt.Errorf("%w: the alert stands at %+v", err, a)
	}
	after, err := b.services.taken()
	*id = a.ID
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	row.Wall, row.P50, row.P90, row.P99 = a.Times.LastAccepted.Sub(a.Times.Released), seconds(a.Times.P50), seconds(a.Times.P90), seconds(a.Times.P99)
	row.Bytes = after.Bytes - before.Bytes
	row.Remarks = fmt.Sprintf("%d with a key made ahead, %d commits, %d requests at the services", figures.Armed.Load()-armed, figures.Commits.Load()-commits, after.Requests-before.Requests)
	return row, err
}

// until waits for something; ten minutes without it are a fault.
func (b *benchPush) until(ctx context.Context, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
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
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// call asks the program as the newsroom's system does.
func (b *benchPush) call(ctx context.Context, method, path string, body, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, b.app.URL()+path, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+b.app.cfg.AdminKey)
	resp, err := b.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	text, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return err
	case !slices.Contains([]int{200, 201, 202}, resp.StatusCode):
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, text)
	case answer == nil:
		return nil
	}
	return json.Unmarshal(text, answer)
}
