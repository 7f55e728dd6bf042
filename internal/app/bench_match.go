package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// BenchMatch are the options of `dateline bench match`.
type BenchMatch struct {
	Bench
	Devices     int
	Preferences int // different ones, at most
	Baseline    int // of the devices, in the plain loop
	Rounds      int
	Postgres    string // URL of a scratch database; "": the SQL plans are not run
}

// benchMatch is one run.
type benchMatch struct {
	BenchMatch
	*benchRoom
	audience         *audience.Audience
	plain            []news.Device
	countries, zones []string
	sql              *benchSQL // nil: not run
}

func (o BenchMatch) check() error {
	var p news.Problems
	benchSizes(&p, map[string]int{"--devices": o.Devices, "--preferences": o.Preferences, "--baseline": o.Baseline, "--rounds": o.Rounds})
	checkScratch(&p, o.Postgres)
	return p.Err()
}

// Run measures how long it takes to plan who gets an alert, on one core: by the
// audience in memory, by a plain loop over the devices, and by the best plans of
// Postgres.
func (o BenchMatch) Run(ctx context.Context) (err error) {
	if err := o.check(); err != nil {
		return err
	}
	o.Baseline = min(o.Baseline, o.Devices)
	b := &benchMatch{BenchMatch: o, benchRoom: newBenchRoom(o.Bench, "bench match",
		fmt.Sprintf("no services; one core; of the plain loop %d devices", o.Baseline), map[string]string{"--devices": strconv.Itoa(o.Devices),
			"--preferences": strconv.Itoa(o.Preferences), "--baseline": strconv.Itoa(o.Baseline), "--rounds": strconv.Itoa(o.Rounds)})}
	measure := func() error {
		if err := b.measure(ctx); err != nil {
			return err
		}
		return b.report.write(b.benchRoom.Out, b.benchRoom.JSON)
	}
	if o.Postgres == "" {
		b.report.NotRun = append(b.report.NotRun, "Postgres: no --postgres URL of a scratch database was given; --help says how to get one")
		return measure()
	}
	return inScratch(ctx, o.Postgres, func(url string) (err error) {
		if b.sql, err = newBenchSQL(ctx, url); err != nil {
			return err
		}
		defer b.sql.close()
		return measure()
	})
}

func (b *benchMatch) measure(ctx context.Context) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range b.Rounds {
		for _, place := range benchPlaces() {
			if err := b.round(ctx, place.code, place.what); err != nil {
				return err
			}
		}
	}
	return nil
}

// benchPlaces are where the stories are.
func benchPlaces() []struct{ code, what string } {
	return []struct{ code, what string }{{"BT", "rare country"}, {"BF", "common country"}, {"142", "continent"}, {"001", "world"}}
}

// settle brings the devices, in the order in which a process loads them.
func (b *benchMatch) settle(ctx context.Context) error {
	b.countries, b.zones = countriesAndZones()
	progress := NewProgress(b.benchRoom.Out, "making devices")
	defer progress.Done()
	before := taken()
	b.audience = audience.New()
	made := 0
	for cell := range news.Cells {
		for i := cell; i < b.Devices; i += news.Cells {
			b.audience.Cell(cell).Put(b.device(i))
			made++
		}
		progress.Set(int64(made), int64(b.Devices))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	b.report.Sizes["memory of a device"] = fmt.Sprintf("%.0f B", float64(taken()-before)/float64(b.Devices))
	b.report.Sizes["different preferences"] = strconv.Itoa(b.audience.Size().Preferences)
	before = taken()
	b.plain = make([]news.Device, b.Baseline)
	for i := range b.plain {
		b.plain[i] = b.device(i)
	}
	b.report.Sizes["memory of a device in the plain loop"] = fmt.Sprintf("%.0f B", float64(taken()-before)/float64(b.Baseline))
	if b.sql == nil {
		return nil
	}
	return b.sql.fill(ctx, b.Devices, b.device, NewProgress(b.benchRoom.Out, "filling Postgres"))
}

// taken is the memory of this process: devices lie outside of Go's heap.
func taken() int64 {
	runtime.GC()
	return ownMemory()
}

// device is reader i: three places skewed to a few countries, eight sections, 38
// zones, half with quiet hours (performance.md, as in the audience's own
// benchmark). Her preference is one of so many.
func (b *benchMatch) device(i int) news.Device {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	r = rand.New(rand.NewPCG(uint64(r.IntN(b.Preferences)), 8))
	skewed := func() string { u := r.Float64(); return b.countries[int(u*u*u*float64(len(b.countries)))] }
	sections := benchSections()
	p := news.Preference{Regions: []string{skewed(), skewed(), skewed()}, Level: news.Levels()[r.IntN(3)]}
	if r.IntN(2) == 0 {
		p.Sections = []string{sections[r.IntN(8)], sections[r.IntN(8)]}
	}
	r = rand.New(rand.NewPCG(uint64(i), 9))
	d := news.Device{ID: benchUUID(i, 1), SubscriberID: benchUUID(i, 2), Cell: i % news.Cells, Number: uint32(i / news.Cells), State: news.DeviceActive,
		Push:   news.PushSubscription{Endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%0151d", i), P256dh: make([]byte, 65), Auth: make([]byte, 16)},
		Wishes: news.Wishes{Preference: p, Language: []string{"en", "ja", "zh-Hant", "zh-Hans", "hi", "ko"}[r.IntN(6)], Timezone: b.zones[r.IntN(len(b.zones))]}}
	if r.IntN(2) == 0 {
		d.Wishes.Quiet = &news.Quiet{From: 22 * 60, To: (6 + r.IntN(3)) * 60, Flash: true}
	}
	return d
}

func benchUUID(i int, kind byte) string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:], uint64(i))
	u[15] = kind
	return u.String()
}

// countriesAndZones are all countries, and 38 zones of Asia.
func countriesAndZones() (countries, zones []string) {
	for p := range region.All() {
		if p.Kind != region.KindCountry {
			continue
		}
		countries = append(countries, p.Code)
		if z := region.Zone(p.Code); region.Within(p.Code, "142") && !slices.Contains(zones, z) && len(zones) < 38 {
			zones = append(zones, z)
		}
	}
	return countries, zones
}

// round plans one story each way. Ours has a new matcher each time, as each release
// has one.
func (b *benchMatch) round(ctx context.Context, code, what string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	expr, err := region.Parse(code)
	if err != nil {
		return err
	}
	q := audience.Query{StoryURI: "https://news.example/1", Level: news.LevelBulletin, Expr: expr, Sections: []string{"politics"},
		Languages: []string{"en", "ja"}, Language: "en", Now: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)}
	// The plain loop's devices make Go's heap large: without this every plan would take
	// memory that the system has to give first, which no serving process has to.
	runtime.GC()
	m := startMeter()
	planned, head := b.plan(q)
	ours := m.row("audience, "+what, b.Devices)
	ours.Remarks = fmt.Sprintf("%d planned", planned)
	m = startMeter()
	looped := plainMatch(q, b.plain)
	loop := m.row("plain loop, "+what, b.Baseline)
	loop.Baseline = true
	if looped != head {
		return fmt.Errorf("the measurement is invalid: of %d devices the audience plans %d and the plain loop %d for %s", b.Baseline, head, looped, code)
	}
	b.report.Rows = append(b.report.Rows, ours, loop)
	b.report.compare(ours, loop, "")
	if b.sql == nil {
		return nil
	}
	return b.sql.round(ctx, q, ours, planned, &b.report)
}

// plan gives how many of all devices, and of those that the plain loop has, are
// planned.
func (b *benchMatch) plan(q audience.Query) (planned, head int) {
	m := b.audience.NewMatcher(q)
	for c := range news.Cells {
		numbers := m.MatchCell(b.audience.Cell(c), nil, nil).Planned
		planned += int(numbers.GetCardinality())
		if n := (b.Baseline - c + news.Cells - 1) / news.Cells; n > 0 {
			head += int(numbers.Rank(uint32(n - 1)))
		}
	}
	return planned, head
}

// plainMatch is a loop over the devices as the database gives them, with the codes
// that meet the audience in a map and the zones loaded once, as one would write it
// first.
func plainMatch(q audience.Query, devices []news.Device) (planned int) {
	meets := map[string]bool{}
	for _, code := range meeting(q) {
		meets[code] = true
	}
	local := map[string]int{}
	for i := range devices {
		d := &devices[i]
		p := &d.Wishes.Preference
		if d.State != news.DeviceActive || q.Level < p.Level ||
			!slices.ContainsFunc(p.Regions, func(c string) bool { return meets[c] }) || !news.SectionsOverlap(p.Sections, q.Sections) {
			continue
		}
		if d.Wishes.Quiet != nil { // held ones are planned too, but somebody has to look
			if _, ok := local[d.Wishes.Timezone]; !ok {
				zone, _ := time.LoadLocation(d.Wishes.Timezone)
				local[d.Wishes.Timezone] = q.Now.In(zone).Hour()
			}
		}
		planned++
	}
	return planned
}

// meeting are the codes of all places that meet the audience.
func meeting(q audience.Query) (codes []string) {
	for p := range region.All() {
		if s, err := region.SetOf([]string{p.Code}, nil); err == nil && s.Overlaps(q.Expr.Set()) {
			codes = append(codes, p.Code)
		}
	}
	return codes
}
