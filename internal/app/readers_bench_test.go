package app

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dateline/internal/news"
	"dateline/internal/store/storetest"
)

// How many devices there are already in BenchmarkReaders. The bar is for
//
//	go test ./internal/app -run XXX -bench Readers -benchtime 1x -timeout 2h -readers.devices 1000000
var (
	readersDevices = flag.Int("readers.devices", 10_000, "devices there are already in BenchmarkReaders")
	readersPages   = flag.Bool("readers.pages", true, "BenchmarkReaders asks for pages and data, too")
	readersLasts   = flag.Duration("readers.lasts", 20*time.Second, "how long BenchmarkReaders asks each door")
)

// readersPace is how many requests a second a door is asked.
const readersPace = 200

// BenchmarkReaders is the bar of the readers' doors: subscribe, change and leave
// over HTTP, 200 a second of each, with many devices there already; and the pages
// and data of what was sent, 20 a second of each. Times count
// from when a request was due, not from when it was sent: whoever waits behind a
// slow one has waited.
func BenchmarkReaders(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) { benchmarkReaders(b, nil) })
	b.Run("postgres", func(b *testing.B) {
		settings := map[string]string{"DATABASE_URL": storetest.Postgres(b), "DATELINE_BASE_URL": "http://localhost"}
		maps.Copy(settings, freshKeys(b))
		benchmarkReaders(b, settings)
	})
}

// freshKeys are those that a program beside a database needs.
func freshKeys(tb testing.TB) map[string]string {
	keys := map[string]string{}
	for _, name := range []string{"DATELINE_VAPID_KEY", "DATELINE_LINK_KEY", "DATELINE_SEAL_KEY"} {
		key, err := ecdh.P256().GenerateKey(rand.Reader) // 32 random bytes, which the other keys are too
		if err != nil {
			tb.Fatal(err)
		}
		keys[name] = base64.RawURLEncoding.EncodeToString(key.Bytes())
	}
	return keys
}

func benchmarkReaders(b *testing.B, settings map[string]string) {
	all := map[string]string{"DATELINE_SIGNUP_LIMIT": "0"}
	maps.Copy(all, settings)
	o := newOpenDesks(b, 0, all)
	c := &crowd{b: b, app: o.app, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}}
	c.makeKeys(1000)
	c.settle(*readersDevices)
	if url := settings["DATABASE_URL"]; url != "" {
		c.tidy(url)
	}
	if *readersPages {
		c.publish(*readersDevices)
	}
	for b.Loop() {
		c.own = make([]ownSubscription, int(readersLasts.Seconds())*readersPace)
		c.measure("subscribe", readersPace, c.subscribe)
		c.measure("change", readersPace, c.change)
		c.measure("leave", readersPace, c.leave)
		if !*readersPages {
			continue
		}
		c.own = make([]ownSubscription, int(readersLasts.Seconds())*readersAsked)
		c.measure("again", readersAsked, c.subscribe)
		c.measure("own", readersAsked, c.see)
		c.measure("archive", readersAsked, c.archive)
		c.measure("alert", readersAsked, c.alert)
		c.measure("manage", readersAsked, c.manage)
		c.measure("export", readersAsked, c.export)
		c.measure("wipe", readersAsked, c.wipe)
	}
}

// crowd is many readers.
type crowd struct {
	b      *testing.B
	app    *App
	client *http.Client
	keys   []string // p256dh
	made   int
	own    []ownSubscription
	alerts []string // that were published
}

func (c *crowd) makeKeys(n int) {
	for range n {
		key, err := ecdh.P256().GenerateKey(rand.Reader)
		if err != nil {
			c.b.Fatal(err)
		}
		c.keys = append(c.keys, base64.RawURLEncoding.EncodeToString(key.PublicKey().Bytes()))
	}
}

// settle brings those who are there already.
func (c *crowd) settle(n int) {
	c.b.Helper()
	began := time.Now()
	for c.made < n {
		list := make([]news.NewDevice, min(500, n-c.made))
		for i := range list {
			key, _ := base64.RawURLEncoding.DecodeString(c.keys[i%len(c.keys)])
			list[i] = news.NewDevice{
				Push:   news.PushSubscription{Endpoint: benchEndpoint(), P256dh: key, Auth: []byte(rand.Text()[:16])},
				Wishes: news.Wishes{Preference: benchWish(c.made % 20_000), Language: "en", Timezone: "Asia/Tokyo"}}
			c.made++
		}
		faults, err := c.app.store.ImportSubscriptions(c.b.Context(), list)
		if err != nil {
			c.b.Fatal(err)
		}
		for _, fault := range faults {
			if fault != nil {
				c.b.Fatal(fault)
			}
		}
	}
	c.b.Logf("%d devices in %.0f s", n, time.Since(began).Seconds())
}

// tidy does for the tests' Postgres, whose autovacuum is off, what a real one has
// done by itself long after so many devices came: it knows how large its tables are,
// and their pages are written.
func (c *crowd) tidy(url string) {
	c.b.Helper()
	db, err := sql.Open("postgres", url)
	if err != nil {
		c.b.Fatal(err)
	}
	for _, statement := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := db.ExecContext(c.b.Context(), statement); err != nil {
			c.b.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		c.b.Fatal(err)
	}
}

func (c *crowd) subscribe(n int) error {
	p := benchWish(n)
	body := map[string]any{"regions": p.Regions, "sections": p.Sections, "language": "en", "timezone": "Asia/Tokyo",
		"quiet": map[string]any{"from": "22:00", "to": "07:00"}, "subscription": map[string]any{"endpoint": benchEndpoint(),
			"keys": map[string]string{"p256dh": c.keys[n%len(c.keys)], "auth": base64.RawURLEncoding.EncodeToString([]byte(rand.Text()[:16]))}}}
	return c.ask("POST", "/api/v1/subscriptions", "", body, http.StatusCreated, &c.own[n])
}

func (c *crowd) change(n int) error {
	body := map[string]any{"mutedRegions": []string{"SG"}, "regions": benchWish(n + 1).Regions}
	return c.ask("PATCH", "/api/v1/subscriptions/"+c.own[n].ID, c.own[n].Token, body, http.StatusOK, nil)
}

func (c *crowd) leave(n int) error {
	return c.ask("DELETE", "/api/v1/subscriptions/"+c.own[n].ID, c.own[n].Token, nil, http.StatusNoContent, nil)
}

func (c *crowd) ask(method, path, token string, body any, want int, answer any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(context.Background(), method, c.app.URL()+path, strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.client.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s %s: %d %s", method, path, resp.StatusCode, got)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(got, answer)
}

// measure asks at the pace, in requests a second, and reports how long the answers
// took.
func (c *crowd) measure(what string, pace int, ask func(n int) error) {
	took := make([]time.Duration, len(c.own))
	began := time.Now()
	tick := time.NewTicker(time.Second / time.Duration(pace))
	defer tick.Stop()
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for n := range c.own {
		due := began.Add(time.Duration(n) * time.Second / time.Duration(pace))
		for time.Now().Before(due) {
			<-tick.C
		}
		all.Go(func() {
			if err := ask(n); err != nil {
				failed.Store(&err)
			}
			took[n] = time.Since(due)
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		c.b.Fatal(*err)
	}
	slices.Sort(took)
	for name, q := range map[string]float64{"p50": 0.5, "p99": 0.99, "max": 1} {
		c.b.ReportMetric(float64(took[min(len(took)-1, int(q*float64(len(took))))].Microseconds())/1000, what+"-"+name+"-ms")
	}
}
