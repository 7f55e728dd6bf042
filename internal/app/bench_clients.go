package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"dateline/internal/bus"
	"dateline/internal/news"
	"dateline/internal/region"
)

// benchLoad is what clients in the services' process are to ask of the program.
type benchLoad struct {
	What    string `json:"what"` // subscribe, change, leave; publish (NATS), post (HTTP)
	URL     string `json:"url"`
	Key     string `json:"key,omitempty"`
	From    int    `json:"from"` // the first one's number
	N       int    `json:"n"`
	Rate    int    `json:"rate,omitempty"`    // a second; 0: as fast as the answers come
	Workers int    `json:"workers,omitempty"` // without a rate
	Notices bool   `json:"notices,omitempty"` // stories that raise an alert
}

// benchLoaded is how it went.
type benchLoaded struct {
	Took    []time.Duration `json:"took"`  // with a rate since it was due: who waits behind a slow one has waited
	Ended   []int64         `json:"ended"` // nanoseconds since 1970
	Began   int64           `json:"began"`
	Failed  int             `json:"failed"`
	Example string          `json:"example,omitempty"` // of a failure
}

// wall is from the first request until the last answer.
func (l benchLoaded) wall() time.Duration {
	if len(l.Ended) == 0 {
		return 0
	}
	return time.Duration(slices.Max(l.Ended) - l.Began)
}

func (l benchLoaded) err() error {
	if l.Failed == 0 {
		return nil
	}
	return fmt.Errorf("the measurement is invalid: %d of %d failed, as with: %s", l.Failed, len(l.Took), l.Example)
}

// ask has the clients do it.
func (r *benchRoom) load(ctx context.Context, l benchLoad) (done benchLoaded, err error) {
	text, err := json.Marshal(l)
	if err != nil {
		return done, err
	}
	if err := r.services.ask(ctx, "load "+string(text), &done); err != nil {
		return done, err
	}
	return done, done.err()
}

// paced does n things, at a rate or by workers, and measures each.
func paced(ctx context.Context, l benchLoad, do func(ctx context.Context, i int) error) benchLoaded {
	run := pacedRun{took: make([]time.Duration, l.N), ended: make([]int64, l.N), do: do}
	began := time.Now()
	if l.Rate > 0 {
		run.atRate(ctx, began, l.Rate)
	} else {
		run.byWorkers(ctx, max(1, l.Workers))
	}
	out := benchLoaded{Took: run.took, Ended: run.ended, Began: began.UnixNano(), Failed: int(run.failed.Load())}
	if fault := run.fault.Load(); fault != nil {
		out.Example = (*fault).Error()
	}
	return out
}

type pacedRun struct {
	took   []time.Duration
	ended  []int64
	failed atomic.Int64
	fault  atomic.Pointer[error]
	do     func(ctx context.Context, i int) error
}

func (p *pacedRun) one(ctx context.Context, i int, since time.Time) {
	err := ctx.Err()
	if err == nil {
		err = p.do(ctx, i)
	}
	if err != nil {
		p.failed.Add(1)
		p.fault.CompareAndSwap(nil, &err)
	}
	now := time.Now()
	p.took[i], p.ended[i] = now.Sub(since), now.UnixNano()
}

func (p *pacedRun) atRate(ctx context.Context, began time.Time, rate int) {
	var all sync.WaitGroup
	for i := range p.took {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
		}
		all.Go(func() { p.one(ctx, i, due) })
	}
	all.Wait()
}

func (p *pacedRun) byWorkers(ctx context.Context, workers int) {
	var all sync.WaitGroup
	var next atomic.Int64
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(p.took); i = int(next.Add(1)) - 1 {
				p.one(ctx, i, time.Now())
			}
		})
	}
	all.Wait()
}

// crowdMemory is what the clients remember: the subscriptions they made.
type crowdMemory struct {
	own  []ownSubscription
	keys [][]byte
}

type ownSubscription struct{ ID, Token, Manage string }

// load does what a line of JSON says.
func (m *crowdMemory) load(ctx context.Context, text string) benchLoaded {
	var l benchLoad
	if err := json.Unmarshal([]byte(text), &l); err != nil {
		return benchLoaded{Failed: 1, Example: err.Error()}
	}
	do, end, err := m.doing(ctx, l)
	if err != nil {
		return benchLoaded{Failed: 1, Example: err.Error()}
	}
	defer end()
	return paced(ctx, l, do)
}

// doing is one request of the load, and what to do at its end.
func (m *crowdMemory) doing(ctx context.Context, l benchLoad) (do func(ctx context.Context, i int) error, end func(), err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	client, end := &http.Client{Transport: transport}, transport.CloseIdleConnections
	ask := func(ctx context.Context, method, path, key string, body, answer any) error {
		return benchAsk(ctx, client, benchRequest{method: method, url: l.URL + path, key: key, body: body}, answer)
	}
	path := func(i int) string { return "/api/v1/subscriptions/" + m.own[i].ID }
	switch l.What {
	case "subscribe":
		m.own = make([]ownSubscription, l.N)
		if m.keys, err = benchKeys(200); err != nil {
			return nil, nil, err
		}
		return func(ctx context.Context, i int) error {
			return ask(ctx, "POST", "/api/v1/subscriptions", "", m.wanted(l.From+i), &m.own[i])
		}, end, nil
	case "change":
		return func(ctx context.Context, i int) error {
			return ask(ctx, "PATCH", path(i), m.own[i].Token, map[string]any{"mutedRegions": []string{"SG"}, "regions": benchWish(l.From + i + 1).Regions}, nil)
		}, end, nil
	case "leave":
		return func(ctx context.Context, i int) error { return ask(ctx, "DELETE", path(i), m.own[i].Token, nil, nil) }, end, nil
	case "post":
		return func(ctx context.Context, i int) error {
			var said struct{ Result news.StoryResult }
			err := ask(ctx, "POST", "/api/v1/stories", l.Key, benchStory(l.From+i, l.Notices), &said)
			if err == nil && said.Result != news.StoryStored {
				err = fmt.Errorf("a story was not stored but %s", said.Result)
			}
			return err
		}, end, nil
	case "publish":
		return publishing(ctx, l)
	}
	return nil, nil, fmt.Errorf("%q is not understood", l.What)
}

// publishing sends stories to NATS, each until its PubAck, over a connection from
// outside as the newsroom's system does.
func publishing(ctx context.Context, l benchLoad) (do func(ctx context.Context, i int) error, end func(), err error) {
	b, err := bus.Open(ctx, bus.Config{URL: l.URL, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, nil, err
	}
	return func(ctx context.Context, i int) error {
		body, err := json.Marshal(benchStory(l.From+i, l.Notices))
		if err != nil {
			return err
		}
		return b.PublishStory(ctx, bus.Message{Body: body, Headers: map[string][]string{benchHeader: {strconv.Itoa(l.From + i)}}})
	}, b.Close, nil
}

// benchHeader numbers a story, so that nobody needs to read it to know when it was
// stored.
const benchHeader = "Bench-Number"

// benchStory is the n-th, of about 1.5 KB. A new one raises a notice; one that is
// older than alerts may be is stored and no more.
func benchStory(n int, notice bool) map[string]any {
	created := time.Now().UTC()
	if !notice {
		created = created.AddDate(0, 0, -10)
	}
	uri := fmt.Sprintf("https://news.example/bench/%d", n)
	return map[string]any{"uri": uri, "url": uri, "headline": fmt.Sprintf("Dam gates open as monsoon floods reach %d northern provinces", n),
		"standfirst": "Villagers along the lower valley were told to move to higher ground overnight; two roads are closed and trains stop short of the border.",
		"regions":    []string{"TH", "LA"}, "sections": []string{"society", "weather"}, "urgency": 5, "breaking": false, "versioncreated": created,
		"image": map[string]any{"url": uri + ".jpg", "alt": "Rescue workers carry sandbags along the river bank", "width": 1200, "height": 675},
		"translations": map[string]any{
			"th": map[string]string{"headline": "เปิดประตูเขื่อนหลังน้ำท่วมจากมรสุมลามถึงสามจังหวัดภาคเหนือ", "standfirst": "ชาวบ้านริมหุบเขาตอนล่างได้รับคำสั่งให้ย้ายขึ้นที่สูงในช่วงกลางคืน ถนนสองสายถูกปิด"},
			"ja": map[string]string{"headline": "モンスーンの洪水が北部に拡大、ダムの水門を開放", "standfirst": "下流の住民に夜間の避難指示。道路二本が通行止め、列車は国境手前で折り返している。"}}}
}

// benchWish is one of many different preferences.
func benchWish(n int) news.Preference {
	countries := region.Children("142")
	p := news.Preference{Level: news.LevelBulletin}
	for i := range 3 {
		area := region.Children(countries[(n+i)%len(countries)])
		p.Regions = append(p.Regions, area[(n/(7*(i+1)))%len(area)])
	}
	slices.Sort(p.Regions)
	p.Regions = slices.Compact(p.Regions)
	if n%3 == 0 {
		p.Sections = []string{[]string{"politics", "business", "technology", "sport"}[n/3%4]}
	}
	return p
}

// benchEndpoint is a new one of a real service, which is never asked.
func benchEndpoint() string {
	return "https://fcm.googleapis.com/fcm/send/" + rand.Text() + rand.Text()
}

// wanted is the n-th reader's subscription as her browser sends it.
func (m *crowdMemory) wanted(n int) map[string]any {
	p := benchWish(n)
	return map[string]any{"regions": p.Regions, "sections": p.Sections, "language": "en", "timezone": "Asia/Tokyo",
		"quiet": map[string]any{"from": "22:00", "to": "07:00"}, "subscription": map[string]any{"endpoint": benchEndpoint(),
			"keys": map[string]string{"p256dh": base64.RawURLEncoding.EncodeToString(m.keys[n%len(m.keys)]),
				"auth": base64.RawURLEncoding.EncodeToString([]byte(rand.Text()[:16]))}}}
}
