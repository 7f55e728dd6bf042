package app

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"dateline/internal/news"
	"dateline/internal/simulate"
)

// BenchPush are the options of `dateline bench push`.
type BenchPush struct {
	Bench
	Devices  int
	Baseline int // messages of each measurement of the baseline
	Rounds   int
	Services int
	RTT      time.Duration // the services' delay
	Streams  int           // each connection may have
	Hold     time.Duration // of the alert with a countdown, which lasts twice that
	Profile  string        // file for a CPU profile of the first armed alert; "": none
	Outage   bool          // measure an outage of two services instead
	Pairs    int           // of measurements of the outage
}

// benchPush is one run.
type benchPush struct {
	BenchPush
	*benchRoom
	stories int
	phones  []news.PushSubscription // of the baseline
}

// outageServices are the push services of an outage: two are well throughout.
const outageServices = 4

// check finds everything that is wrong at once.
func (o BenchPush) check() error {
	var p news.Problems
	benchSizes(&p, map[string]int{"--devices": o.Devices, "--baseline": o.Baseline, "--rounds": o.Rounds, "--services": o.Services, "--streams": o.Streams, "--pairs": o.Pairs})
	if o.RTT < 0 {
		p.Add("--rtt", "%s must be 0s or more", o.RTT)
	}
	if o.Hold < 0 {
		p.Add("--hold", "%s must be 0s or more", o.Hold)
	}
	if o.Outage && o.Devices < 100*outageServices {
		p.Add("--devices", "%d must be %d or more for --outage: 99 %% of each service's are looked at", o.Devices, 100*outageServices)
	}
	if o.Outage && o.Profile != "" {
		p.Add("--profile", "is of an armed alert, which --outage does not measure")
	}
	return p.Err()
}

// Run measures how an alert goes to many devices: by the whole program with its
// keys made ahead, the repair right after it, and without such keys; and by the
// baseline in between. With Outage it measures alerts while two of four services
// are down, beside alerts while all are well.
func (o BenchPush) Run(ctx context.Context) error {
	what := "bench push"
	sizes := map[string]string{"--devices": strconv.Itoa(o.Devices), "--streams": strconv.Itoa(o.Streams), "--rtt": o.RTT.String()}
	if o.Outage {
		what, o.Services = "bench push --outage", outageServices
		sizes["--pairs"] = strconv.Itoa(o.Pairs)
	} else {
		sizes["--baseline"], sizes["--rounds"], sizes["--hold"] = strconv.Itoa(o.Baseline), strconv.Itoa(o.Rounds), o.Hold.String()
	}
	sizes["--services"] = strconv.Itoa(o.Services)
	if err := o.check(); err != nil {
		return err
	}
	b := &benchPush{BenchPush: o, benchRoom: newBenchRoom(o.Bench, what,
		fmt.Sprintf("%d simulated push services on loopback, in a process of their own on the same processors; delay %s, %d streams per connection", o.Services, o.RTT, o.Streams), sizes)}
	sinks := make([]simulate.SinkOptions, o.Services)
	for i := range sinks {
		sinks[i] = simulate.SinkOptions{Delay: o.RTT, Streams: uint32(o.Streams)}
	}
	return b.run(ctx, BenchPlan{Sinks: sinks}, b.program)
}

// program measures beside one that knows the services.
func (b *benchPush) program(ctx context.Context) error {
	ca := filepath.Join(b.folder, "ca.pem")
	if err := os.WriteFile(ca, []byte(b.services.CA), 0o600); err != nil {
		return err
	}
	settings := map[string]string{"DATELINE_POLICY": "flash=one,bulletin=auto", "DATELINE_HOLD": b.Hold.String(), "DATELINE_PUSH_ORIGINS": strings.Join(b.services.Origins, ","), "DATELINE_PUSH_CA": ca}
	return b.withProgram(settings, nil, b.measure)(ctx)
}

func (b *benchPush) measure(ctx context.Context) error {
	keys, err := benchKeys(min(b.Devices, 2000))
	if err != nil {
		return err
	}
	if err := b.settle(ctx, b.Devices, func(i int) news.NewDevice {
		d := b.device(i, keys)
		if len(b.phones) < 5000 {
			b.phones = append(b.phones, d.Push)
		}
		return d
	}); err != nil {
		return err
	}
	if b.Outage {
		return b.outage(ctx)
	}
	for range b.Rounds {
		if err := b.round(ctx); err != nil {
			return err
		}
	}
	return nil
}

// round measures each way once, with the baseline in between.
func (b *benchPush) round(ctx context.Context) error {
	if err := b.arm(ctx); err != nil {
		return err
	}
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
	if err := b.arm(ctx); err != nil {
		return err
	}
	careful, err := b.careful(ctx)
	if err != nil {
		return err
	}
	b.report.Rows = append(b.report.Rows, armed, repair, first, unarmed, second, careful)
	b.report.compare(armed, first, "")
	b.report.compare(unarmed, second, "")
	return nil
}

// arm makes both keys of every device.
func (b *benchPush) arm(ctx context.Context) error {
	progress := NewProgress(b.benchRoom.Out, "making keys")
	defer progress.Done()
	var made atomic.Int64 // it is told by several at once
	return b.app.dispatch.ArmAll(ctx, func(n int) { progress.Set(made.Add(int64(n)), int64(2*b.Devices)) })
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
	var uri string
	row, err = b.watch(ctx, name, func() (err error) {
		uri, err = b.publish(ctx, 2)
		return err
	}, func() (benchSent, error) { return b.alertOf(ctx, uri) }, &id)
	return id, row, err
}

// careful is an alert that an editor releases: a flash, which is not sent by itself
// here, has a countdown before its first message and a canary behind it.
func (b *benchPush) careful(ctx context.Context) (BenchRow, error) {
	var uri, id string
	row, err := b.watch(ctx, "armed, countdown, canary", func() (err error) {
		if uri, err = b.publish(ctx, 1); err != nil {
			return err
		}
		var drafted benchSent
		if err := b.until(ctx, func() (bool, error) { drafted, err = b.alertOf(ctx, uri); return drafted.Hash != "", err }); err != nil {
			return err
		}
		return b.call(ctx, "POST", "/api/v1/alerts/"+drafted.ID+"/release", map[string]string{"hash": drafted.Hash}, nil)
	}, func() (benchSent, error) { return b.alertOf(ctx, uri) }, &id)
	row.Remarks += fmt.Sprintf("; the countdown of %s before it is not in its time, what was done meanwhile is in its CPU time; %d went first", 2*b.Hold, news.CanarySize(b.Devices))
	return row, err
}

// publish gives the program a breaking story that goes to all; urgency 1 is a
// flash.
func (b *benchPush) publish(ctx context.Context, urgency int) (uri string, err error) {
	b.stories++
	uri = fmt.Sprintf("https://news.example/bench/%d", b.stories)
	return uri, b.call(ctx, "POST", "/api/v1/stories", map[string]any{"uri": uri,
		"headline": "Japan's parliament passes the budget after a night of votes", "standfirst": "The upper house agreed at dawn; markets open in an hour.",
		"url": uri, "regions": []string{"JP"}, "sections": []string{"politics"}, "urgency": urgency, "breaking": true, "versioncreated": time.Now().UTC(),
		"translations": map[string]any{"ja": map[string]string{"headline": "予算案が未明に成立", "standfirst": "参院本会議は夜を徹した採決の末に可決した。"}}}, nil)
}

// alertOf is the alert of a story, as it stands.
func (b *benchPush) alertOf(ctx context.Context, uri string) (a benchSent, err error) {
	var list struct{ Alerts []benchSent }
	err = b.call(ctx, "GET", "/api/v1/alerts?story="+uri, nil, &list)
	if len(list.Alerts) > 0 {
		a = list.Alerts[0]
	}
	return a, err
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
	Hash   string
	Counts struct{ Accepted int }
	Times  struct {
		Released, LastAccepted time.Time
		P50, P90, P99          float64 // seconds
	}
	Repairs []benchSent
}

// watch measures from the press until all have accepted and the ledger says so.
func (b *benchPush) watch(ctx context.Context, name string, press func() error, look func() (benchSent, error), id *string) (BenchRow, error) {
	before, err := b.services.tell(ctx, "")
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
	after, err := b.services.tell(ctx, "")
	*id = a.ID
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	row.Wall, row.P50, row.P90, row.P99 = a.Times.LastAccepted.Sub(a.Times.Released), seconds(a.Times.P50), seconds(a.Times.P90), seconds(a.Times.P99)
	row.Bytes = after.Bytes - before.Bytes
	row.Remarks = fmt.Sprintf("%d with a key made ahead, %d commits, %d requests at the services", figures.Armed.Load()-armed, figures.Commits.Load()-commits, after.Requests-before.Requests)
	return row, err
}
