package audience_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"dateline/internal/audience"
	"dateline/internal/news"
	"dateline/internal/region"
)

// benchDevices is a million unless DATELINE_BENCH_DEVICES says otherwise
// (performance.md section 5 measures 1 and 10 million).
func benchDevices() int {
	if n, err := strconv.Atoi(os.Getenv("DATELINE_BENCH_DEVICES")); err == nil && n > 0 {
		return n
	}
	return 1_000_000
}

// synthetic makes reader i: three places skewed to a few countries, eight
// sections, 38 zones, half with quiet hours. Her preference is one of `kinds`.
func synthetic(i, kinds int, countries, zones []string) news.Device {
	r := rand.New(rand.NewPCG(uint64(i), 7))
	r = rand.New(rand.NewPCG(uint64(r.IntN(kinds)), 8))
	skewed := func() string { u := r.Float64(); return countries[int(u*u*u*float64(len(countries)))] }
	sections := []string{"politics", "business", "technology", "culture", "world", "society", "science", "sport"}
	p := news.Preference{Regions: []string{skewed(), skewed(), skewed()}, Level: news.Levels()[r.IntN(3)]}
	if r.IntN(2) == 0 {
		p.Sections = []string{sections[r.IntN(8)], sections[r.IntN(8)]}
	}
	r = rand.New(rand.NewPCG(uint64(i), 9))
	d := news.Device{ID: uuidOf(i, 1), SubscriberID: uuidOf(i, 2), Cell: i % news.Cells, Number: uint32(i / news.Cells), State: news.DeviceActive,
		Push:   news.PushSubscription{Endpoint: fmt.Sprintf("https://fcm.googleapis.com/fcm/send/%0151d", i), P256dh: make([]byte, 65), Auth: make([]byte, 16)},
		Wishes: news.Wishes{Preference: p, Language: tongues[r.IntN(6)], Timezone: zones[r.IntN(len(zones))]}}
	if r.IntN(2) == 0 {
		d.Wishes.Quiet = &news.Quiet{From: 22 * 60, To: (6 + r.IntN(3)) * 60, Flash: true}
	}
	return d
}

func uuidOf(i int, kind byte) string {
	var u uuid.UUID
	binary.BigEndian.PutUint64(u[:], uint64(i))
	u[15] = kind
	return u.String()
}

func countriesAndZones() (countries, zones []string) {
	seen := map[string]bool{}
	for p := range region.All() {
		if p.Kind != region.KindCountry {
			continue
		}
		countries = append(countries, p.Code)
		if z := region.Zone(p.Code); region.Within(p.Code, "142") && !seen[z] && len(zones) < 38 {
			seen[z] = true
			zones = append(zones, z)
		}
	}
	return countries, zones
}

func benchQuery(b *testing.B, places string) audience.Query {
	return audience.Query{StoryURI: story, Level: news.LevelBulletin, Expr: expr(b, places), Sections: []string{"politics"},
		Languages: []string{"en", "ja"}, Language: "en", Now: time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)}
}

// BenchmarkMatch plans one story over all cells, each time with a new matcher,
// as each release has one: the time an alert spends before its first send.
// Readers with one of 20,000 or of some 217,000 preferences, and the worst case, nearly all of
// them different.
func BenchmarkMatch(b *testing.B) {
	countries, zones := countriesAndZones()
	for _, kinds := range []int{20_000, 250_000, 1 << 40} {
		b.Run(fmt.Sprintf("kinds=%d", kinds), func(b *testing.B) {
			a := audience.New()
			for cell := range news.Cells { // in the order in which a process loads them
				for i := cell; i < benchDevices(); i += news.Cells {
					a.Cell(cell).Put(synthetic(i, kinds, countries, zones))
				}
			}
			for _, places := range benchPlaces() {
				b.Run(places, func(b *testing.B) {
					planned, used := 0, cpuTime()
					for b.Loop() {
						planned = planAll(a, benchQuery(b, places))
					}
					b.ReportMetric(float64((cpuTime()-used).Nanoseconds())/float64(b.N)/float64(benchDevices()), "cpu-ns/device")
					b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(benchDevices()), "ns/device")
					b.ReportMetric(float64(planned), "planned")
					b.ReportMetric(float64(a.Size().Preferences), "preferences")
				})
			}
		})
	}
}

// benchPlaces are a rare country, a common one, a continent and the world.
func benchPlaces() []string { return []string{"BT", "BF", "142", "001"} }

func planAll(a *audience.Audience, q audience.Query) (planned int) {
	m := a.NewMatcher(q)
	for c := range news.Cells {
		planned += int(m.MatchCell(a.Cell(c), nil, nil).Planned.GetCardinality())
	}
	return planned
}

func BenchmarkPut(b *testing.B) {
	countries, zones := countriesAndZones()
	d := synthetic(1, 1, countries, zones)
	c := audience.New().Cell(0)
	for b.Loop() {
		c.Put(d)
	}
}
